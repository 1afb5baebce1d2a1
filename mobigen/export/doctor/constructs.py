"""Constructs that rules speak of, each a question to one operation: is it this?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from mobigen.export.doctor.graph import UNKNOWN, Op, Value
from mobigen.export.doctor.kernels import COMPARISONS, COPIES, ELEMENTWISE, HIDDEN_LOOKUPS, LOOKUPS, PLAIN_KERNELS
from mobigen.export.doctor.memory import in_rows

__all__ = [
    "LONG_SUM",
    "broadcasts_both_ways",
    "clamps_to_one",
    "compares",
    "computes_on_integers",
    "copies_to_broadcast",
    "has_large_kernel",
    "has_large_stride",
    "has_odd_channels",
    "has_plain_kernel",
    "has_rank_above",
    "has_unknown_size",
    "is_complex",
    "is_custom",
    "is_infinite",
    "is_large",
    "is_linear_over_tokens",
    "is_long",
    "is_narrow",
    "is_uneven_nearest",
    "is_volumetric",
    "looks_up",
    "moves_last_axis",
    "multiplies_by_transposed",
    "named",
    "needs_fifth_axis",
    "pads_with_pixels",
    "passes_float16",
    "replicates",
    "selects_by_broadcast",
    "stays_volumetric",
    "sums_many",
]

Question = Callable[[Op], bool]

FLOAT16_LARGEST = 65504.0
LONG_SUM = 2048  # terms; from here on float16 steps over whole numbers
SMALL = 4096  # numbers in a tensor that is not worth a word

RESHAPES = {"flatten", "reshape", "unflatten", "view"}
TRANSPOSES = {"movedim", "mT", "permute", "t", "transpose"}


def named(*names: str) -> Question:
    """Whether an operation is one of these."""
    return lambda op: op.name in names


def has_unknown_size(op: Op) -> bool:
    """A size known only when the graph runs."""
    return any(UNKNOWN in value.shape for value in op.values)


def has_rank_above(rank: int) -> Question:
    """Whether a tensor that an operation reads or writes has more axes than that."""
    return lambda op: any(len(value.shape) > rank for value in op.values)


def needs_fifth_axis(op: Op) -> bool:
    """A tensor of more than four axes, here or in what LiteRT makes of it."""
    return op.name == "channel_shuffle" or has_rank_above(4)(op)


def is_complex(op: Op) -> bool:
    """Complex numbers."""
    return any(value.dtype.startswith("complex") for value in op.values)


def is_custom(op: Op) -> bool:
    """An operation of another library than torch."""
    return "::" in op.name


# --- numbers ------------------------------------------------------------------------------------------------


def _largest(op: Op) -> float:
    """The largest magnitude that it writes, or that a constant brings to it."""
    seen = [value.largest for value in op.values if value.kind == "constant" or value in op.outputs]
    return max((each for each in seen if each is not None), default=0.0)


def is_infinite(op: Op) -> bool:
    """An infinite number, or none at all, on the example inputs."""
    return math.isinf(_largest(op))


def passes_float16(op: Op) -> bool:
    """A finite number beyond float16, on the example inputs."""
    return FLOAT16_LARGEST < _largest(op) < math.inf


def sums_many(op: Op) -> bool:
    """A sum of more terms than LONG_SUM."""
    if op.name == "cumsum":
        return op.inputs[0].shape[op.arguments["dim"]] > LONG_SUM
    return op.name in ("sum", "linalg_vector_norm") and op.inputs[0].numel > LONG_SUM * max(op.out.numel, 1)


def computes_on_integers(op: Op) -> bool:
    """Whether it computes on whole numbers, rather than looks something up by them."""
    return op.name not in {"embedding", *LOOKUPS} and any(_is_integer(value) for value in _moving(op))


def compares(op: Op) -> bool:
    """Whether it reads or writes what is no float, or chooses between floats."""
    if op.name == "embedding":
        return False
    attends = op.name == "scaled_dot_product_attention" and op.arguments["is_causal"]
    casts = op.name == "to" and not op.out.is_float
    return attends or casts or op.name in COMPARISONS or any(not value.is_float for value in _moving(op))


def _moving(op: Op) -> list[Value]:
    """Its inputs, without those that come with the network."""
    return [value for value in op.inputs if value.kind != "constant"]


def _is_integer(value: Value) -> bool:
    return not value.is_float and value.dtype != "bool"


# --- shapes and layouts -------------------------------------------------------------------------------------


def is_long(op: Op) -> bool:
    """Longer than the Neural Engine's 16384 rows or columns, or 65536 channels."""
    return any(
        any(size > 16384 for size in value.shape[-2:]) or any(size > 65536 for size in value.shape[-3:-2])
        for value in op.values
        if value.kind != "constant"
    )


def is_narrow(op: Op) -> bool:
    """Whether padding its rows to 64 bytes makes what it writes at least eight times as large."""
    return any(in_rows(value) >= max(SMALL, 8 * value.bytes(2)) for value in op.outputs if value.is_float)


def is_large(op: Op) -> bool:
    """Whether a tensor of it is above 2 MiB in float16."""
    return any(in_rows(value) > 2**21 for value in op.values if value.kind != "constant")


def moves_last_axis(op: Op) -> bool:
    """A transpose or reshape after which the last axis is another, or another size."""
    if op.out.numel < SMALL or not op.inputs or not op.inputs[0].shape:
        return False
    if op.name in RESHAPES:
        return op.inputs[0].shape[-1:] != op.out.shape[-1:]
    return op.name in TRANSPOSES and _order(op)[-1] != len(op.out.shape) - 1


def _order(op: Op) -> list[int]:
    """Where each axis of a transpose's output comes from."""
    rank, arguments = len(op.out.shape), op.arguments
    order = list(range(rank))
    if op.name == "permute":
        return [axis % rank for axis in arguments["dims"]]
    if op.name == "movedim":
        pairs = zip(_several(arguments["destination"]), _several(arguments["source"]), strict=True)
        moved = {target % rank: source % rank for target, source in pairs}
        rest = iter([axis for axis in order if axis not in moved.values()])
        return [moved[axis] if axis in moved else next(rest) for axis in order]
    first, second = (arguments["dim0"], arguments["dim1"]) if op.name == "transpose" else (-1, -min(rank, 2))
    order[first], order[second] = order[second], order[first]
    return order


def _several(value: int | Sequence[int]) -> Sequence[int]:
    """torch takes a number where it would take a list of one."""
    return (value,) if isinstance(value, int) else value


def is_linear_over_tokens(op: Op) -> bool:
    """A linear layer over more than one vector a sample."""
    return op.name == "linear" and len(op.inputs[0].shape) > 2


def multiplies_by_transposed(op: Op) -> bool:
    """A product, one at a time, by a matrix that is computed and then transposed: LiteRT makes a dense layer of it."""
    if op.name not in ("bmm", "matmul", "mm") or op.inputs[1].kind == "constant":
        return False
    shape, maker = op.inputs[1].shape, op.makers[1]
    if maker is None or maker.name not in TRANSPOSES or math.prod(shape[:-2]) != 1:
        return False
    rank = len(shape)
    return _order(maker) == [*range(rank - 2), rank - 1, rank - 2]


def broadcasts_both_ways(op: Op) -> bool:
    """A product of a column and a row, each of which is stretched."""
    if op.name != "mul" or len(op.inputs) < 2 or len(op.inputs[0].shape) != len(op.inputs[1].shape):
        return False
    pairs = list(zip(op.inputs[0].shape, op.inputs[1].shape, strict=True))
    return any(a < b for a, b in pairs) and any(a > b for a, b in pairs)


def copies_to_broadcast(op: Op) -> bool:
    """Whether LiteRT writes out a tensor many times (its BROADCAST_TO)."""
    if op.name in ("expand", "expand_as"):
        return op.out.numel != op.inputs[0].numel and not (op.read_by and op.read_by <= ELEMENTWISE)
    shares_heads = op.name == "scaled_dot_product_attention" and op.arguments["enable_gqa"]
    return shares_heads or op.name in COPIES


def selects_by_broadcast(op: Op) -> bool:
    """`where` with a branch that is neither a single number nor of the result's shape."""
    branches = op.inputs[1:] if op.name == "where" else ()
    return any(branch.numel > 1 and branch.shape != op.out.shape for branch in branches)


# --- convolutions, resizing, padding ------------------------------------------------------------------------


def has_large_kernel(op: Op) -> bool:
    """A kernel of more than 13 along an axis."""
    return op.name.startswith("conv") and any(size > 13 for size in op.inputs[1].shape[2:])


def has_large_stride(op: Op) -> bool:
    """A stride of more than 3."""
    return any(each > 3 for each in _several(op.arguments.get("stride") or ()))


def has_odd_channels(op: Op) -> bool:
    """A dense 2-D convolution, wider than one pixel, whose output channels are not a multiple of eight."""
    if op.name != "conv2d" or op.arguments["groups"] != 1:
        return False
    channels, _, *kernel = op.inputs[1].shape
    return max(kernel) > 1 and channels % 8 != 0


def is_volumetric(op: Op) -> bool:
    """A convolution or pool over three axes."""
    return op.name.startswith(("conv", "max_pool", "avg_pool", "adaptive_")) and op.name.endswith("3d")


def stays_volumetric(op: Op) -> bool:
    """Volumetric also for LiteRT, for which a grouped convolution becomes a sum of 2-D ones."""
    return is_volumetric(op) and op.arguments.get("groups", 1) == 1


def is_uneven_nearest(op: Op) -> bool:
    """Nearest-neighbour resizing by a ratio that is no whole number, up or down."""
    if op.name not in ("upsample_nearest1d", "upsample_nearest2d"):
        return False
    sizes = zip(op.out.shape[2:], op.inputs[0].shape[2:], strict=True)
    return any(new % old and old % new for new, old in sizes)


def looks_up(op: Op) -> bool:
    """Whether LiteRT makes a look-up by index of it (its GATHER_ND)."""
    if op.name == "adaptive_avg_pool2d":
        return any(old % new for old, new in zip(op.inputs[0].shape[-2:], op.out.shape[-2:], strict=True))
    wide = op.name == "pad" and op.arguments["mode"] == "replicate" and max(op.arguments["pad"]) > 1
    return wide or is_uneven_nearest(op) or op.name in LOOKUPS | HIDDEN_LOOKUPS


def pads_with_pixels(op: Op) -> bool:
    """Padding by reflection, replication or from the other side."""
    return op.name == "pad" and op.arguments["mode"] != "constant"


def replicates(op: Op) -> bool:
    """Padding by the pixels at the edge."""
    return op.name == "pad" and op.arguments["mode"] == "replicate"


def clamps_to_one(op: Op) -> bool:
    """clamp(0, 1), which LiteRT has an operation of its own for."""
    low, high = {"clamp": ("min", "max"), "hardtanh": ("min_val", "max_val")}.get(op.name, ("", ""))
    return (op.arguments.get(low), op.arguments.get(high)) == (0, 1)


def has_plain_kernel(op: Op) -> bool:
    """Whether LiteRT runs it by a plain kernel on the CPU."""
    skips = op.name == "slice" and op.arguments["step"] != 1
    joins_many = op.name in ("cat", "stack") and len(op.inputs) > 5
    return skips or joins_many or pads_with_pixels(op) or clamps_to_one(op) or op.name in PLAIN_KERNELS
