"""What to write instead of an operation that cannot be converted and has no cure."""

import re

__all__ = ["WAYS_ROUND", "way_round"]

WAYS_ROUND = {  # a word of the converters' messages -> what to do
    "STABLEHLO_CONVOLUTION": "transposed convolutions of volumes: fold the frames into the batch and use maps",
    "_cdist_forward": "cdist: expand the square of the distance, x^2 - 2 x y + y^2",
    "adaptive_max_pool2d": "adaptive_max_pool2d: use max_pool2d with a fixed kernel",
    "erfinv": "erfinv: compute it outside of the graph",
    "hypot": "hypot: take the root of the sum of squares",
    "median": "median: sort and take the middle",
    "prod": "prod: multiply slices",
}


def way_round(message: str) -> str:
    """A converter's message, and what to do about it if that is known."""
    advice = [WAYS_ROUND[word] for word in re.findall(r"\w+", message) if word in WAYS_ROUND]
    return f"{message}; instead of {advice[0]}" if advice else message
