"""Arithmetic element by element."""

import math

import numpy as np

from mil_cases.case import Case, draw, integers

X = draw(2, 3, 4)
UNIT = draw(2, 3, 4, low=-0.9, high=0.9)
POSITIVE = draw(2, 3, 4, low=0.1, high=3.0)
HALVES = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49, -0.51, 0.0], np.float32)
ROW = draw(3, 1, seed=1)
NUMBERS, DIVISORS = np.array([-7, -4, 0, 5, 9], np.int32), np.array([2, -3, 4, -2, 4], np.int32)
EPSILON = 2.0**-6

UNARY = {
    "abs": (X, np.abs),
    "acos": (UNIT, np.arccos),
    "asin": (UNIT, np.arcsin),
    "atan": (X, np.arctan),
    "atanh": (UNIT, np.arctanh),
    "ceil": (X, np.ceil),
    "cos": (X, np.cos),
    "cosh": (X, lambda x: (np.exp(x) + np.exp(-x)) / 2),
    "erf": (X, np.vectorize(math.erf)),
    "exp": (X, np.exp),
    "exp2": (X, lambda x: 2**x),
    "floor": (X, np.floor),
    "identity": (X, lambda x: x),
    "round": (HALVES, np.rint),
    "sign": (np.array([-3, 0, 0.5], np.float32), np.sign),
    "sin": (X, np.sin),
    "sinh": (X, lambda x: (np.exp(x) - np.exp(-x)) / 2),
    "sqrt": (POSITIVE, lambda x: x**0.5),
    "square": (X, lambda x: x * x),
    "tan": (X, lambda x: np.sin(x) / np.cos(x)),
    "tanh": (X, lambda x: 1 - 2 / (np.exp(2 * x) + 1)),
}
BINARY = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "real_div": lambda x, y: x / y,
    "floor_div": lambda x, y: np.floor(x / y),
    "mod": lambda x, y: x - y * np.floor(x / y),
    "maximum": np.maximum,
    "minimum": np.minimum,
}
COMPARISONS = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
}
LOGIC = {
    "logical_and": lambda x, y: x & y,
    "logical_or": lambda x, y: x | y,
    "logical_xor": lambda x, y: x ^ y,
}


def _call(kind):
    return lambda mb, **inputs: getattr(mb, kind)(**inputs)


def _of_signs(kind):
    return lambda mb, x, y: getattr(mb, kind)(x=mb.greater(x=x, y=0.0), y=mb.greater(x=y, y=0.0))


CASES = [
    *(Case(kind, {"x": x}, _call(kind), expected) for kind, (x, expected) in UNARY.items()),
    *(Case(kind, {"x": X, "y": ROW}, _call(kind), expected) for kind, expected in BINARY.items()),
    *(
        Case(f"{kind} of integers", {"x": NUMBERS, "y": DIVISORS}, _call(kind), expected)
        for kind, expected in BINARY.items()
        if kind != "real_div"
    ),
    Case("real_div of integers", {"x": NUMBERS, "y": DIVISORS}, _call("real_div"), lambda x, y: np.trunc(x / y)),
    Case("pow", {"x": POSITIVE, "y": ROW}, _call("pow"), lambda x, y: np.exp(y * np.log(x))),
    *(
        Case(kind, {"x": NUMBERS, "y": np.array([-7, 3, 0, 6, 2], np.int32)}, _call(kind), expected)
        for kind, expected in COMPARISONS.items()
    ),
    *(
        Case(kind, {"x": X, "y": ROW}, _of_signs(kind), lambda x, y, f=expected: f(x > 0, y > 0))
        for kind, expected in LOGIC.items()
    ),
    Case("logical_not", {"x": X}, lambda mb, x: mb.logical_not(x=mb.less(x=x, y=0.5)), lambda x: x >= 0.5),
    Case(
        "select",
        {"x": X, "a": draw(2, 3, 4, seed=2), "b": draw(2, 3, 4, seed=3)},
        lambda mb, x, a, b: mb.select(cond=mb.greater(x=x, y=0.25), a=a, b=b),
        lambda x, a, b: np.where(x > 0.25, a, b),
    ),
    Case("clip", {"x": X}, lambda mb, x: mb.clip(x=x, alpha=-0.5, beta=1.25), lambda x: np.clip(x, -0.5, 1.25)),
    Case("threshold", {"x": X}, lambda mb, x: mb.threshold(x=x, alpha=0.25), lambda x: np.maximum(x, 0.25)),
    Case("inverse", {"x": POSITIVE}, lambda mb, x: mb.inverse(x=x, epsilon=EPSILON), lambda x: 1 / (x + EPSILON)),
    Case("inverse by default", {"x": POSITIVE}, _call("inverse"), lambda x: 1 / (x + float(np.float32(1e-4)))),
    Case("log", {"x": POSITIVE}, lambda mb, x: mb.log(x=x, epsilon=EPSILON), lambda x: np.log(x + EPSILON)),
    Case("rsqrt", {"x": POSITIVE}, lambda mb, x: mb.rsqrt(x=x, epsilon=EPSILON), lambda x: (x + EPSILON) ** -0.5),
    Case("cast to an integer", {"x": X}, lambda mb, x: mb.cast(x=x, dtype="int32"), np.trunc),
    Case("cast to bool", {"x": HALVES}, lambda mb, x: mb.cast(x=x, dtype="bool"), lambda x: x != 0),
    Case(
        "cast from an integer",
        {"x": NUMBERS},
        lambda mb, x: mb.mul(x=mb.cast(x=x, dtype="fp32"), y=0.5),
        lambda x: x / 2,
    ),
    Case(
        "cast to a short integer",
        {"x": np.array([-3.7, 0.2, 254.9, 300.0], np.float32)},
        lambda mb, x: mb.cast(x=x, dtype="uint8"),
        lambda x: np.array([0, 0, 254, 255]),
        "iOS17",
    ),
    Case(
        "quantize",
        {"x": draw(2, 3, 4, low=-40, high=40)},
        lambda mb, x: mb.quantize(
            input=x,
            scale=np.array([0.5, 0.25, 0.125], np.float32),
            zero_point=np.array([3, -2, 0], np.int8),
            axis=1,
            output_dtype="int8",
        ),
        lambda x: np.clip(
            np.rint(x / np.array([0.5, 0.25, 0.125])[:, None]) + np.array([3, -2, 0])[:, None], -128, 127
        ),
        "iOS17",
    ),
    Case(
        "dequantize",
        {"x": integers(2, 3, low=0, high=200)},
        lambda mb, x: mb.dequantize(input=mb.cast(x=x, dtype="uint8"), scale=np.float32(0.25), zero_point=np.uint8(10)),
        lambda x: 0.25 * (x - 10.0),
        "iOS17",
    ),
]
