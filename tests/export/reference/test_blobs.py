"""Weight files: every type that coremltools stores comes back, and damage is refused."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.errors import BundleError
from mobigen.export.reference.blobs import CODES, NUMPY_TYPES, BlobFile, size_in_bytes, unpack_bits

RANGES = {"fp16": (0, 9), "fp32": (-5, 5), "int4": (-8, 8)}


def range_of(dtype):
    if dtype in RANGES:
        return RANGES[dtype]
    bits = int(dtype.removeprefix("u").removeprefix("int"))
    return (0, 2**bits) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1))


@given(st.lists(st.integers(0, 63), min_size=1, max_size=40), st.sampled_from([6, 8]))
def test_unpacking_undoes_a_packing_into_one_long_number(values, bits):
    packed = sum(value << (bits * place) for place, value in enumerate(values))
    data = packed.to_bytes((len(values) * bits + 7) // 8, "little")
    assert unpack_bits(data, bits, len(values)).tolist() == values


def test_signed_numbers_are_twos_complements():
    assert unpack_bits(bytes([0x98, 0x0F]), 4, 4, signed=True).tolist() == [-8, -7, -1, 0]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """One blob of every type, written by coremltools -> the file, and offset and values by type."""
    pytest.importorskip("coremltools")
    from mobigen.export.quiet import quiet

    with quiet():
        from coremltools.libmilstoragepython import _BlobStorageWriter
    file, random = tmp_path_factory.mktemp("blobs") / "weight.bin", np.random.default_rng(0)
    writer, blobs = _BlobStorageWriter(str(file)), {}
    for dtype in CODES:
        values = random.integers(*range_of(dtype), 13).astype(NUMPY_TYPES[dtype])
        stored = values.view(np.uint16) if dtype == "fp16" else values
        write = getattr(writer, f"write_{'float' if dtype == 'fp32' else dtype}_data")
        blobs[dtype] = write(stored), values
    return file, blobs


@pytest.mark.parametrize("dtype", CODES)
def test_what_coremltools_stores_comes_back(dtype, written):
    file, blobs = written
    offset, values = blobs[dtype]
    found = BlobFile(file).read(offset, dtype, len(values))
    assert found.dtype == values.dtype
    assert found.tolist() == values.tolist()


def test_another_type_or_size_is_refused(written):
    file, blobs = written
    offset, values = blobs["fp16"]
    for dtype, count in (("fp32", len(values)), ("fp16", len(values) + 1), ("int16", len(values)), ("bool", 26)):
        with pytest.raises(BundleError, match="the blob is of type 1 and 26 bytes, the program states"):
            BlobFile(file).read(offset, dtype, count)


@pytest.fixture
def copy(written, tmp_path):
    path = tmp_path / "weight.bin"
    path.write_bytes(written[0].read_bytes())
    return path


def test_a_file_that_was_cut_off_is_refused(copy, written):
    offset, values = written[1]["uint32"]  # the last one
    whole = copy.read_bytes()
    end = offset + 64 + size_in_bytes("uint32", len(values))
    for length, what in ((end - 1, "the blob ends at"), (offset + 63, "the file ends at")):
        copy.write_bytes(whole[:length])
        with pytest.raises(BundleError, match=what):
            BlobFile(copy).read(offset, "uint32", len(values))
    copy.write_bytes(whole[:63])
    with pytest.raises(BundleError, match="not a weight file"):
        BlobFile(copy)


def test_another_version_is_refused(copy):
    copy.write_bytes(struct.pack("<II", 13, 3) + copy.read_bytes()[8:])
    with pytest.raises(BundleError, match="format version 3"):
        BlobFile(copy)


def test_an_offset_where_no_blob_is_is_refused(copy, written):
    offset, values = written[1]["fp32"]
    with pytest.raises(BundleError, match=f"at {offset + 64} there is no blob"):
        BlobFile(copy).read(offset + 64, "fp32", len(values))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BundleError, match=r"nowhere\.bin cannot be read"):
        BlobFile(tmp_path / "nowhere.bin")
