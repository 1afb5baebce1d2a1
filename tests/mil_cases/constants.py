"""Compressed constants, added to an input so that they become a result."""

import numpy as np

from mil_cases.case import Case, draw

ZEROS = np.zeros((2, 6), np.float32)
CODES = np.arange(12, dtype=np.uint8).reshape(2, 6) % 4
SCALE = np.array([0.5, 0.25], np.float32)
TABLE = np.array([-1.5, 0.25, 3.0, 7.5], np.float32)
MASK = np.array([[1, 0, 0, 1, 1, 0], [0, 0, 1, 0, 0, 1]], np.uint8)
SET = np.array([1.5, -2.0, 0.5, 4.0, -8.0], np.float32)
SPARSE = np.array([[1.5, 0, 0, -2, 0.5, 0], [0, 0, 4, 0, 0, -8]])
BLOCKS = draw(2, 3, seed=1)


def small(array, dtype):
    """Numbers in one of MIL's types of fewer than 8 bits."""
    from coremltools.converters.mil.mil import types

    return array.astype(types.nptype_from_builtin(types.string_to_builtin(dtype)))


def constant(name, make, expected, target="iOS18", shape=ZEROS.shape):
    return Case(
        name,
        {"x": np.zeros(shape, np.float32)},
        lambda mb, x: mb.add(x=x, y=make(mb)),
        lambda x: expected,
        target,
    )


CASES = [
    constant("constexpr_affine_dequantize",
             lambda mb: mb.constexpr_affine_dequantize(
                 quantized_data=CODES, zero_point=np.uint8(2), scale=SCALE, axis=0),
             (CODES - 2.0) * np.array([[0.5], [0.25]]), "iOS16"),
    constant("constexpr_cast",
             lambda mb: mb.constexpr_cast(source_val=BLOCKS.astype(np.float16), output_dtype="fp32"),
             BLOCKS.astype(np.float16).astype(np.float64), "iOS16", BLOCKS.shape),
    constant("constexpr_lut_to_dense of packed indices",
             lambda mb: mb.constexpr_lut_to_dense(  # 0, 1, 2, 3 in two bits each are 11 10 01 00
                 indices=np.full(3, 0b11100100, np.uint8), lut=TABLE, shape=np.array([2, 6], np.uint32)),
             TABLE[CODES], "iOS16"),
    constant("constexpr_sparse_to_dense of a packed mask",
             lambda mb: mb.constexpr_sparse_to_dense(
                 nonzero_data=SET, mask=np.array([0b00011001, 0b1001], np.uint8), shape=np.array([2, 6], np.uint32)),
             SPARSE, "iOS16"),
    constant("constexpr_blockwise_shift_scale",
             lambda mb: mb.constexpr_blockwise_shift_scale(
                 data=small(CODES.astype(np.int8) - 2, "int4"), scale=BLOCKS,
                 offset=small(np.array([[0, 1, -1], [2, -2, 3]]), "int4")),
             (CODES - 2.0 - np.array([[0, 0, 1, 1, -1, -1], [2, 2, -2, -2, 3, 3]])) * BLOCKS.repeat(2, 1)),
    constant("constexpr_lut_to_dense by block",
             lambda mb: mb.constexpr_lut_to_dense(
                 indices=small(CODES, "uint2"), lut=np.stack([TABLE, -TABLE]).reshape(1, 2, 4, 1)),
             TABLE[CODES] * np.array([1, 1, 1, -1, -1, -1])),
    constant("constexpr_lut_to_dense of vectors",
             lambda mb: mb.constexpr_lut_to_dense(
                 indices=small(CODES, "uint2"), lut=np.stack([TABLE, 10 * TABLE], 1)[None, None], vector_axis=0),
             np.stack([TABLE[CODES[0]], 10 * TABLE[CODES[0]], TABLE[CODES[1]], 10 * TABLE[CODES[1]]]),
             shape=(4, 6)),
    constant("constexpr_sparse_to_dense",
             lambda mb: mb.constexpr_sparse_to_dense(nonzero_data=SET, mask=small(MASK, "uint1")), SPARSE),
    constant("constexpr_lut_to_sparse",
             lambda mb: _joined(mb, mb.constexpr_lut_to_sparse(
                 indices_mask=small(MASK, "uint1"), indices_nonzero_data=small(np.array([3, 0, 1, 2, 2]), "uint2"),
                 lut=TABLE.reshape(1, 1, 4, 1))),
             np.array([[7.5, 0, 0, -1.5, 0.25, 0], [0, 0, 3, 0, 0, 3]])),
    constant("constexpr_sparse_blockwise_shift_scale",
             lambda mb: _joined(mb, mb.constexpr_sparse_blockwise_shift_scale(
                 data_mask=small(MASK, "uint1"), nonzero_data=np.array([3, -4, 5, 6, -7], np.int8),
                 scale=SCALE.reshape(2, 1), offset=np.array([[1], [-2]], np.int8))),
             np.array([[1.0, 0, 0, -2.5, 2, 0], [0, 0, 2, 0, 0, -1.25]])),
]  # fmt: skip


def _joined(mb, parts):
    """Mask and values -> dense."""
    mask, values = parts
    return mb.constexpr_sparse_to_dense(nonzero_data=values, mask=mask)
