"""What LiteRT makes of torch's operations, by name, as far as the rules speak of it.

Measured by converting one-construct graphs (litert-torch 0.10.0) and looking at what LiteRT 2.3.0 left to its plain
kernels after its fast ones had taken theirs. Where the export rewrites an operation
(`mobigen.export.decompositions`), what counts is what it becomes.
"""

__all__ = [
    "COMPARISONS",
    "CONTROL_FLOW",
    "COPIES",
    "ELEMENTWISE",
    "GPU_LACKS",
    "HIDDEN_LOOKUPS",
    "LOOKUPS",
    "PLAIN_KERNELS",
]

ELEMENTWISE = {"add", "div", "maximum", "minimum", "mul", "pow", "rsub", "sub"}  # they broadcast without a copy
COMPARISONS = {
    *("eq", "ge", "gt", "le", "lt", "ne", "isinf", "isnan", "nan_to_num", "any", "all"),
    *("logical_and", "logical_not", "logical_or", "logical_xor", "bitwise_and", "bitwise_not", "bitwise_or"),
    *("__and__", "__or__", "__xor__"),
    *("where", "masked_fill", "tril", "triu", "threshold", "trunc"),
    *("celu", "elu", "logsumexp", "mish", "selu", "softplus"),  # built on a comparison
}
PLAIN_KERNELS = {
    *("acos", "argmax", "argmin", "argsort", "asin", "atan", "atan2", "cumsum", "fft_rfft", "flip"),
    *("floor_divide", "fmod", "prod", "remainder", "scatter", "scatter_add", "sign", "sort", "topk"),
    *("upsample_nearest2d",),
}
GPU_LACKS = {
    *("all", "any", "argmax", "argmin", "argsort", "fft_rfft", "flip", "logical_not", "logical_or"),
    *("bitwise_not", "bitwise_or", "__or__", "round", "scatter", "scatter_add", "sort", "topk"),
}
LOOKUPS = {"gather", "index", "index_put", "index_select", "masked_select", "take", "take_along_dim"}
HIDDEN_LOOKUPS = {
    *("diagonal", "grid_sampler", "im2col", "upsample_linear1d", "upsample_nearest1d", "upsample_trilinear3d")
}
COPIES = {
    *("group_norm", "repeat", "repeat_interleave", "tile", "upsample_nearest3d"),
    *("_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d"),
}
CONTROL_FLOW = {"cond", "map_impl", "scan", "while_loop"}
