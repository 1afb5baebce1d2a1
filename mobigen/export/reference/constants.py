"""Constants of a program as numbers: const, and the constexpr_* operations that decompress weights.

They are computed in NumPy in the types they are stored in, as coremltools decompresses them, so that a float16 scale
gives float16 weights in every precision of the executor. Formulas: the MIL operation set of coremltools, iOS16 and
iOS18. A constexpr operation has one name and two forms; what tells them apart is which parameters are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mobigen.errors import ExportError
from mobigen.export.program import first_line
from mobigen.export.reference.blobs import NUMPY_TYPES, unpack_bits
from mobigen.export.reference.package import Function, Value

__all__ = ["CONSTANTS", "Constant", "constant_values"]

Constant = np.ndarray | str
Results = Constant | tuple[Constant, ...]


def const(val: Constant) -> Constant:
    """The value itself."""
    return val


def affine_dequantize(
    quantized_data: np.ndarray, zero_point: np.ndarray, scale: np.ndarray, axis: np.ndarray
) -> np.ndarray:
    """scale * (data - zero_point), each one number or one an entry of `axis`; multiplied in float32."""
    along = [1] * quantized_data.ndim
    along[int(axis)] = -1
    offset, factor = zero_point.astype(np.float32).reshape(along), scale.astype(np.float32).reshape(along)
    return ((quantized_data.astype(np.float32) - offset) * factor).astype(scale.dtype)


def blockwise_shift_scale(data: np.ndarray, scale: np.ndarray, offset: np.ndarray | None = None) -> np.ndarray:
    """scale * (data - offset), one scale a block; blocks divide every axis evenly."""
    wide = data.astype(scale.dtype)
    if offset is not None:
        wide = wide - _repeat(offset.astype(scale.dtype), data.shape)
    return _repeat(scale, data.shape) * wide


def _repeat(blocks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """One number a block -> one number an element."""
    return blocks[_block_index(blocks.shape, shape)]


def _block_index(blocks: tuple[int, ...], shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """For every axis, the block in which each element of `shape` lies, ready to be broadcast."""
    if len(blocks) != len(shape) or any(size % count for size, count in zip(shape, blocks, strict=True)):
        raise ValueError(f"blocks {blocks} do not divide {shape}")
    return np.ix_(*(np.arange(size) // (size // count) for size, count in zip(shape, blocks, strict=True)))


def lut_to_dense(
    indices: np.ndarray, lut: np.ndarray, shape: np.ndarray | None = None, vector_axis: np.ndarray | None = None
) -> np.ndarray:
    """lut[indices].

    With `shape` (iOS16) `indices` are bytes of packed numbers and `lut` is (entries,). Otherwise (iOS18) `lut` is
    (blocks of every axis ..., entries, V): tables by block, each entry V numbers that are laid along `vector_axis`.
    """
    if shape is not None:
        count, bits = int(np.prod(shape)), int(np.log2(lut.size))
        return lut[unpack_bits(indices.tobytes(), bits, count)].reshape(tuple(shape))
    places = (*_block_index(lut.shape[:-2], indices.shape), indices)
    found = lut[places]  # (indices ..., V)
    if vector_axis is None:
        return found[..., 0]
    axis = int(vector_axis) % indices.ndim
    result_shape = [size * lut.shape[-1] if each == axis else size for each, size in enumerate(indices.shape)]
    return np.moveaxis(found, -1, axis + 1).reshape(result_shape)


def sparse_to_dense(nonzero_data: np.ndarray, mask: np.ndarray, shape: np.ndarray | None = None) -> np.ndarray:
    """Zeros, and the data in order where a mask's bit is set; with `shape` (iOS16) the mask is packed in bytes."""
    if shape is not None:
        mask = unpack_bits(mask.tobytes(), 1, int(np.prod(shape))).reshape(tuple(shape))
    dense = np.zeros(mask.shape, nonzero_data.dtype)
    dense[mask != 0] = nonzero_data
    return dense


def lut_to_sparse(
    indices_mask: np.ndarray,
    indices_nonzero_data: np.ndarray,
    lut: np.ndarray,
    vector_axis: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`lut_to_dense` of sparse indices -> the mask, and the values where it is set."""
    mask = indices_mask
    dense = lut_to_dense(sparse_to_dense(indices_nonzero_data, mask), lut, vector_axis=vector_axis)
    if vector_axis is not None:
        mask = np.repeat(mask, lut.shape[-1], axis=int(vector_axis))
    return mask, dense[mask != 0]


def sparse_blockwise_shift_scale(
    data_mask: np.ndarray, nonzero_data: np.ndarray, scale: np.ndarray, offset: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """`blockwise_shift_scale` of sparse data -> the mask, and the values where it is set."""
    dense = blockwise_shift_scale(sparse_to_dense(nonzero_data, data_mask), scale, offset)
    return data_mask, dense[data_mask != 0]


def cast(source_val: np.ndarray, output_dtype: str) -> np.ndarray:
    """The same numbers in another type."""
    return source_val.astype(NUMPY_TYPES[output_dtype])


CONSTANTS: Mapping[str, Callable[..., Results]] = {
    "const": const,
    "constexpr_affine_dequantize": affine_dequantize,
    "constexpr_blockwise_shift_scale": blockwise_shift_scale,
    "constexpr_cast": cast,
    "constexpr_lut_to_dense": lut_to_dense,
    "constexpr_lut_to_sparse": lut_to_sparse,
    "constexpr_sparse_blockwise_shift_scale": sparse_blockwise_shift_scale,
    "constexpr_sparse_to_dense": sparse_to_dense,
}


def constant_values(function: Function) -> dict[str, Constant]:
    """The values of all operations of CONSTANTS in a function by name, in the types in which they are stored.

    Raises:
        ExportError: one cannot be decompressed, or has another shape than the program states.
    """
    values: dict[str, Constant] = {}
    for step in (each for each in function.operations if each.kind in CONSTANTS):
        try:
            results = CONSTANTS[step.kind](**{name: _value(given, values) for name, given in step.parameters().items()})
            several = results if isinstance(results, tuple) else (results,)
            for stated, value in zip(step.outputs, several, strict=True):
                if isinstance(value, np.ndarray) and value.shape != stated.shape:
                    raise ValueError(f"its shape is {value.shape}, the program states {stated.shape}")
                values[stated.name] = value
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise ExportError(f"{step} cannot be decompressed: {first_line(error)}") from error
    return values


def _value(given: tuple[str | Value, ...], values: Mapping[str, Constant]) -> Constant:
    """The one value that a parameter is given."""
    (one,) = given
    return values[one] if isinstance(one, str) else one.value()
