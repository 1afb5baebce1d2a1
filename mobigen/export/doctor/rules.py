"""The rules of the accelerators, one table: what breaks each, why, and what to write instead.

Where they come from:
  [ANE]    Apple, "Deploying Transformers on the Apple Neural Engine" (2022), and the rules in its coreai-models:
           layouts, rows of 64 bytes, 1x1 convolutions, few copies, small strides
  [guide]  ane-guide.readthedocs.io, chapters 4 and 17, measured on the M1: kinds, extents, kernels, on-chip memory
  [GPU]    tensorflow/lite/tools/versioning/gpu_compatibility.cc and delegates/gpu/common/model_builder_helper.cc
  [CPU]    one-construct graphs, converted by litert-torch 0.10.0 and opened in LiteRT 2.3.0: what XNNPACK left over
  [web]    the same kind of graphs in @litertjs/core 2.5.3, Chromium, on wasm and on WebGPU
  [float]  IEEE 754: float16 ends at 65504 and has 11 bits of precision
A rule can only rule out. That nothing rules a graph out is no proof that an accelerator takes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from mobigen.export.doctor import constructs
from mobigen.export.doctor.constructs import named
from mobigen.export.doctor.graph import Op
from mobigen.export.doctor.kernels import CONTROL_FLOW, GPU_LACKS, LOOKUPS
from mobigen.export.program import HIGHEST_RANK

__all__ = ["RULES", "TARGETS", "Effect", "Rule"]

TARGETS: dict[str, str] = {  # key -> as people call it
    "neural-engine": "Neural Engine",
    "litert-gpu": "LiteRT GPU",
    "litert-cpu": "LiteRT CPU",
    "browser-cpu": "browser CPU",
    "browser-gpu": "browser GPU",
}
ALL = tuple(TARGETS)
APPLE = ("neural-engine",)
LITERT = ("litert-gpu", "litert-cpu", "browser-cpu", "browser-gpu")
GPUS = ("litert-gpu", "browser-gpu")
CPUS = ("litert-cpu", "browser-cpu")  # the fast path: XNNPACK, natively and as wasm
HALVES = ("neural-engine", "litert-gpu", "browser-gpu")  # what computes in float16


class Effect(Enum):
    """What breaking a rule leads to, the worst first."""

    CONVERSION = "cannot be converted"
    RULED_OUT = "ruled out"  # the operation runs elsewhere, and the graph is cut there
    FAST_PATH = "off the fast path"  # of a CPU: it runs in a plain kernel beside it
    NUMBERS = "numbers at risk"
    SPEED = "slow"
    MEMORY = "memory"


@dataclass(frozen=True)
class Rule:
    """One rule. `breaks` is asked of every operation; `why` and `change` are for whoever wrote the network."""

    key: str
    effect: Effect
    targets: tuple[str, ...]
    breaks: Callable[[Op], bool]
    why: str
    change: str


RULES: tuple[Rule, ...] = (
    # --- cannot be converted: [CPU] for LiteRT, coremltools 9.0 for Core ML -----------------------------------------
    Rule(
        "unknown-size", Effect.CONVERSION, ALL, constructs.has_unknown_size,
        "the size of a tensor is known only when the graph runs, and an accelerator is compiled for fixed sizes",
        "pad to a fixed size and mask the rest; where several sizes are needed, export each (--sizes)",
    ),
    Rule(
        "rank-above-5", Effect.CONVERSION, ALL, constructs.has_rank_above(HIGHEST_RANK),
        f"a tensor has more than {HIGHEST_RANK} axes, which Core ML does not take",
        "fold axes that stay together into one, or split the shuffle into two steps",
    ),
    Rule(
        "complex", Effect.CONVERSION, ALL, constructs.is_complex,
        "neither converter knows complex numbers",
        "write a rotation out with real sines and cosines",
    ),
    Rule(
        "control-flow", Effect.CONVERSION, ALL, named(*CONTROL_FLOW),
        "neither converter takes a branch or a loop that depends on values",
        "unroll the loop; compute both branches and choose by a mask, or make them two components",
    ),
    Rule(
        "custom", Effect.CONVERSION, ALL, constructs.is_custom,
        "it comes from another library than torch itself, and no converter knows it",
        "write it in torch's own operations",
    ),
    Rule(
        "litert-lacks", Effect.CONVERSION, LITERT, named("bucketize", "conv_transpose3d", "exp2", "searchsorted"),
        "LiteRT's converter has nothing to put in its place",
        "exp2(x) is exp(x * log 2); a transposed 3-D convolution is a repeat and a convolution; count comparisons",
    ),
    # --- ruled out: Neural Engine -----------------------------------------------------------------------------------
    Rule(
        "lookup", Effect.RULED_OUT, APPLE, named("embedding", "diagonal", "im2col", *LOOKUPS),
        "the engine does not look things up by index, so the graph is cut here",
        "keep look-ups at the start or the end of a graph, or in a component of their own on the CPU",
    ),  # [guide]
    Rule(
        "integers", Effect.RULED_OUT, APPLE, constructs.computes_on_integers,
        "the engine computes in float16 and does not take whole numbers",
        "hand in floats: a mask, say, beside the ids that it is made from",
    ),  # [guide]
    Rule(
        "recurrent", Effect.RULED_OUT, APPLE, named("gru", "lstm", "rnn_relu", "rnn_tanh"),
        "no recurrent cell runs on the engine; unrolled, it is hundreds of small operations in a row",
        "use convolutions or attention over time, or run the cell on the CPU",
    ),  # [guide]
    Rule(
        "grid-sample", Effect.RULED_OUT, APPLE, named("grid_sampler"),
        "sampling at computed places is a look-up, which the engine does not do",
        "warp by fixed shifts and masks, or put the warp in a component of its own for the GPU",
    ),
    Rule(
        "volume", Effect.RULED_OUT, APPLE, constructs.is_volumetric,
        "3-D convolutions and pools have not been seen on the engine: its compiler refuses them",
        "fold time into the batch for the 2-D part and add shifted maps for the temporal part",
    ),  # [guide]
    Rule(
        "product", Effect.RULED_OUT, APPLE, named("prod"),
        "the engine cannot multiply along an axis",
        "take exp of a sum of logarithms, or multiply slices",
    ),  # [guide]
    Rule(
        "kernel", Effect.RULED_OUT, APPLE, constructs.has_large_kernel,
        "the engine's kernels are at most 13 wide",
        "use several small kernels in a row, or a dilated one",
    ),  # [guide]
    Rule(
        "extent", Effect.RULED_OUT, APPLE, constructs.is_long,
        "a tensor is longer than 16384 along one of its last two axes, or has more than 65536 channels",
        "split it, or fold part of that axis into another",
    ),  # [guide]
    # --- ruled out: LiteRT and browser, GPU -------------------------------------------------------------------------
    Rule(
        "gpu-rank", Effect.RULED_OUT, GPUS, constructs.needs_fifth_axis,
        "a tensor has more than 4 axes, and the GPU delegate knows batch, height, width and channels only",
        "fold axes so that no more than four are left: time or heads into the batch, say",
    ),  # [GPU, web]
    Rule(
        "gpu-lacks", Effect.RULED_OUT, GPUS, named(*GPU_LACKS),
        "the GPU delegate has no such operation",
        "move it out of the graph, to the code that reads the output, or write it with arithmetic",
    ),  # [GPU]
    Rule(
        "gpu-lookup", Effect.RULED_OUT, GPUS, constructs.looks_up,
        "it becomes a look-up by index (GATHER_ND), which the GPU delegate does not have",
        "slice, or multiply by a matrix of zeros and ones; resize by whole ratios or bilinearly",
    ),  # [GPU, web]
    Rule(
        "gpu-broadcast", Effect.RULED_OUT, GPUS, constructs.copies_to_broadcast,
        "it copies a tensor many times (BROADCAST_TO), which the GPU delegate does not have",
        "let arithmetic broadcast instead of expanding; write group norm out as mean, variance and one product",
    ),  # [GPU, web]
    Rule(
        "gpu-clamp", Effect.RULED_OUT, GPUS, constructs.clamps_to_one,
        "clamp(0, 1) is an operation of its own in LiteRT, which the GPU delegate does not have",
        "write it as relu(x) - relu(x - 1), or clamp in the code that reads the output",
    ),  # [GPU, web]
    Rule(
        "gpu-outer", Effect.RULED_OUT, GPUS, constructs.broadcasts_both_ways,
        "the GPU delegate multiplies tensors only where one of them has the full shape",
        "use a matrix product for a column times a row",
    ),  # [GPU]
    Rule(
        "gpu-replicate", Effect.RULED_OUT, GPUS, constructs.replicates,
        "of the paddings that repeat pixels the GPU delegate has only reflection",
        "pad with zeros or by reflection",
    ),  # [GPU]
    Rule(
        "gpu-select", Effect.RULED_OUT, GPUS, constructs.selects_by_broadcast,
        "the GPU delegate chooses only between tensors of the full shape, or single numbers",
        "write the choice as a * mask + b * (1 - mask)",
    ),  # [GPU]
    # --- off the fast path of the CPU, natively and in the browser --------------------------------------------------
    Rule(
        "cpu-lookup", Effect.FAST_PATH, CPUS, lambda op: op.name == "embedding" or constructs.looks_up(op),
        "it becomes a look-up by index, which runs in a plain kernel beside the fast path",
        "harmless once at the start or the end; within a block, slice or multiply by a matrix instead",
    ),  # [CPU]
    Rule(
        "cpu-compare", Effect.FAST_PATH, CPUS, constructs.compares,
        "comparisons, choices and whole numbers run in plain kernels: the fast path knows floats only",
        "harmless on small tensors; otherwise use arithmetic with a mask of floats, and relu for elu or softplus",
    ),  # [CPU]
    Rule(
        "cpu-broadcast", Effect.FAST_PATH, CPUS, constructs.copies_to_broadcast,
        "it copies a tensor many times (BROADCAST_TO) in a plain kernel",
        "let arithmetic broadcast instead of expanding; write group norm out as mean, variance and one product",
    ),  # [CPU]
    Rule(
        "cpu-product", Effect.FAST_PATH, CPUS, constructs.multiplies_by_transposed,
        "a single product with a transposed tensor becomes a dense layer with moving weights, in a plain kernel",
        "use einsum, which stays a matrix product, or several heads",
    ),  # [CPU]
    Rule(
        "cpu-volume", Effect.FAST_PATH, CPUS, constructs.stays_volumetric,
        "3-D convolutions and pools run in plain kernels",
        "fold time into the batch for the 2-D part and add shifted maps for the temporal part",
    ),  # [CPU]
    Rule(
        "cpu-plain", Effect.FAST_PATH, CPUS, constructs.has_plain_kernel,
        "the fast path has no such operation; it runs in a plain kernel",
        "harmless once; otherwise resize bilinearly, pad with zeros, slice without steps, and join at most five",
    ),  # [CPU]
    # --- numbers at risk --------------------------------------------------------------------------------------------
    Rule(
        "infinite", Effect.NUMBERS, HALVES, constructs.is_infinite,
        "it holds an infinite number; in float16 a row of them, or one times zero, is not a number any more",
        "mask with a large finite number, -1e4",
    ),  # [float]
    Rule(
        "float16-range", Effect.NUMBERS, HALVES, constructs.passes_float16,
        "a number passes 65504 on the example inputs, where float16 ends",
        "divide before the sum rather than after it, normalise earlier, or scale the weights",
    ),  # [float]
    Rule(
        "long-sum", Effect.NUMBERS, HALVES, constructs.sums_many,
        f"it sums more than {constructs.LONG_SUM} numbers, beyond which float16 has no room for small ones",
        "take the mean, or sum in two stages",
    ),  # [float]
    Rule(
        "layer-norm", Effect.NUMBERS, GPUS, named("layer_norm"),
        "layer norm over the last axis has come out as zeros on some GPU delegates",
        "compare the output with the CPU's on the device before trusting it",
    ),  # litert-torch issue 718
    # --- slow -------------------------------------------------------------------------------------------------------
    Rule(
        "odd-channels", Effect.SPEED, ("browser-cpu",), constructs.has_odd_channels,
        "a float32 convolution whose output channels are not a multiple of 8 can be 4 to 12 times slower in wasm",
        "pad its channels to a multiple of 8 and slice the result, or ship int8",
    ),  # [web]
    Rule(
        "last-axis", Effect.SPEED, APPLE, constructs.moves_last_axis,
        "moving or resizing the last axis copies the whole tensor",
        "keep (B, C, 1, S) throughout: channels second, positions last",
    ),  # [ANE]
    Rule(
        "linear", Effect.SPEED, APPLE, constructs.is_linear_over_tokens,
        "a linear layer over (B, S, C) wants its channels last, where the engine wants its rows",
        "write it as a 1x1 convolution over (B, C, 1, S)",
    ),  # [ANE]
    Rule(
        "stride", Effect.SPEED, APPLE, constructs.has_large_stride,
        "the engine is made for strides of 1, 2 and 3",
        "fold pixels into channels first (pixel unshuffle), or use two steps",
    ),  # [ANE]
    Rule(
        "on-chip", Effect.SPEED, APPLE, constructs.is_large,
        "a tensor above 2 MiB in float16 does not stay on the chip and is streamed from memory",
        "work at a lower resolution, on tiles, or with fewer channels at this place",
    ),  # [guide]
    # --- memory -----------------------------------------------------------------------------------------------------
    Rule(
        "narrow", Effect.MEMORY, APPLE, constructs.is_narrow,
        "rows are padded to 64 bytes: a last axis of 1 takes 32 times the memory in float16, of 4 eight times",
        "put a long axis last: positions, or width",
    ),  # [ANE]
)  # fmt: skip
