"""Weight files of an .mlpackage (weight.bin): a header, then blobs of numbers, each with a description before it.

Layout, little endian. Header, 64 bytes: number of blobs (uint32), format version 2 (uint32), zeros. Description of a
blob, 64 bytes at the offset that the program gives: sentinel 0xDEADBEEF (uint32), data type (uint32), size in bytes
(uint64), offset of the data from the start of the file (uint64). Numbers of fewer than 8 bits are packed without
gaps, the lowest bit first.
"""

import struct
from pathlib import Path

import numpy as np

from mobigen.errors import BundleError
from mobigen.record import REPAIR

__all__ = ["NUMPY_TYPES", "BlobFile", "from_bytes", "size_in_bytes", "unpack_bits"]

HEADER = struct.Struct("<II56x")
DESCRIPTION = struct.Struct("<IIQQ40x")
SENTINEL = 0xDEADBEEF
VERSION = 2

NUMPY_TYPES: dict[str, type[np.generic]] = {  # MIL's name of a type -> how its values are held in memory
    "bool": np.bool_,
    "fp16": np.float16, "fp32": np.float32, "fp64": np.float64,
    "int4": np.int8, "int8": np.int8, "int16": np.int16, "int32": np.int32, "int64": np.int64,
    "uint1": np.uint8, "uint2": np.uint8, "uint3": np.uint8, "uint4": np.uint8, "uint6": np.uint8,
    "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64,
}  # fmt: skip
CODES = {  # MIL's name -> the data type's number in a description
    "fp16": 1, "fp32": 2, "uint8": 3, "int8": 4, "int16": 6, "uint16": 7, "int4": 8, "uint1": 9, "uint2": 10,
    "uint4": 11, "uint3": 12, "uint6": 13, "int32": 14, "uint32": 15,
}  # fmt: skip
PACKED = {"int4": 4, "uint1": 1, "uint2": 2, "uint3": 3, "uint4": 4, "uint6": 6}  # bits a number


def unpack_bits(data: bytes, bits: int, count: int, signed: bool = False) -> np.ndarray:
    """`count` numbers of `bits` bits each, packed from the lowest bit up -> (count,) uint8, or int8 if `signed`."""
    stream = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little", count=count * bits)
    values = stream.reshape(count, bits) @ (1 << np.arange(bits)).astype(np.uint8)
    if not signed:
        return values
    return np.where(values >> (bits - 1), values.astype(np.int16) - (1 << bits), values).astype(np.int8)


def from_bytes(data: bytes, dtype: str, count: int) -> np.ndarray:
    """`count` numbers of a MIL type as they are stored -> (count,). Raises ValueError if `data` is of another size."""
    if len(data) != size_in_bytes(dtype, count):
        raise ValueError(f"{len(data)} bytes for {count} numbers of {dtype}")
    if dtype in PACKED:
        return unpack_bits(data, PACKED[dtype], count, signed=dtype.startswith("int"))
    return np.frombuffer(data, np.dtype(NUMPY_TYPES[dtype]).newbyteorder("<"))


def size_in_bytes(dtype: str, count: int) -> int:
    """What `count` numbers of a MIL type take when stored."""
    bits = PACKED.get(dtype, 8 * np.dtype(NUMPY_TYPES[dtype]).itemsize)
    return (count * bits + 7) // 8


class BlobFile:
    """One weight file, read whole."""

    def __init__(self, path: Path) -> None:
        """Read `path`. Raises BundleError if it is missing or not a weight file."""
        self.path = path
        try:
            self._data = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{path} cannot be read ({error.strerror}); {REPAIR}") from error
        version = HEADER.unpack_from(self._data)[1] if len(self._data) >= HEADER.size else None
        if version != VERSION:
            raise BundleError(f"{path} is not a weight file of Core ML (format version {version}); {REPAIR}")

    def read(self, offset: int, dtype: str, count: int) -> np.ndarray:
        """The blob described at `offset`, which must hold `count` numbers of a MIL type -> (count,).

        Raises:
            BundleError: there is no such blob: the file was cut off or edited, or belongs to another program.
        """
        if offset + DESCRIPTION.size > len(self._data):
            raise self._damaged(offset, f"the file ends at {len(self._data)}")
        sentinel, code, size, start = DESCRIPTION.unpack_from(self._data, offset)
        if sentinel != SENTINEL:
            raise self._damaged(offset, "there is no blob")
        wanted = CODES.get(dtype), size_in_bytes(dtype, count)
        if (code, size) != wanted:
            raise self._damaged(offset, f"the blob is of type {code} and {size} bytes, the program states {wanted}")
        if start + size > len(self._data):
            raise self._damaged(offset, f"the blob ends at {start + size}, the file at {len(self._data)}")
        return from_bytes(self._data[start : start + size], dtype, count)

    def _damaged(self, offset: int, what: str) -> BundleError:
        return BundleError(f"{self.path} is damaged: at {offset} {what}; {REPAIR}")
