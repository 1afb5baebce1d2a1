"""Faults as a converter might make them, planted one at a time: wrong attributes, weights, kinds and wiring."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mobigen.export.reference.package import Function, Operation, Value

NEIGHBOURS = {  # a kind of operation -> others that take the same parameters
    "add": ("sub", "maximum"),
    "avg_pool": ("max_pool",),
    "cos": ("sin",),
    "equal": ("not_equal",),
    "floor": ("round",),
    "greater_equal": ("less",),
    "maximum": ("minimum",),
    "mul": ("add", "real_div"),
    "not_equal": ("equal",),
    "real_div": ("mul", "floor_div"),
    "reduce_l2_norm": ("reduce_l1_norm", "reduce_max"),
    "reduce_mean": ("reduce_max", "reduce_sum", "reduce_l2_norm"),
    "reduce_sum": ("reduce_mean", "reduce_max"),
    "relu": ("relu6", "silu", "softplus", "identity"),
    "rsqrt": ("inverse",),
    "silu": ("relu", "sigmoid", "tanh"),
    "sin": ("cos",),
    "sub": ("add", "mul"),
}
RENAMED = {  # and those whose one attribute has another name
    "pixel_shuffle": ("depth_to_space", "upscale_factor", "block_size"),
    "pixel_unshuffle": ("space_to_depth", "downscale_factor", "block_size"),
}
SWAPPED = {  # pairs of inputs that could be taken for each other
    "matmul": ("x", "y"),
    "real_div": ("x", "y"),
    "scaled_dot_product_attention": ("key", "value"),
    "select": ("a", "b"),
    "sub": ("x", "y"),
}
DROPPED = {"conv": "bias", "layer_norm": "gamma", "linear": "bias", "scaled_dot_product_attention": "attn_mask"}
MODES = {"gelu": ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION")}
FLAGS = {"matmul": ("transpose_x", "transpose_y"), "reduce_mean": ("keep_dims",), "concat": ("interleave",)}
SCALARS = ("alpha", "beta", "epsilon", "value")
AXES = ("axes", "axis")


@dataclass(frozen=True)
class Fault:
    """A program's function with one thing changed."""

    kind: str
    place: str
    function: Function


class Planter:
    """All faults that the tables offer for one function; each edit has a constant of its own."""

    def __init__(self, function: Function, seed: int) -> None:
        self.function, self.random = function, np.random.default_rng(seed)
        self.constants = {
            each.outputs[0].name: each.attributes["val"] for each in function.operations if each.kind == "const"
        }
        self.types = {value.name: value for each in function.operations for value in each.outputs}

    def faults(self) -> Iterator[Fault]:
        for place, step in enumerate(self.function.operations):
            if step.kind == "const":
                continue
            for planted in (self.kinds, self.wiring, self.attributes, self.weights):
                for kind, *steps in planted(step):
                    yield Fault(kind, f"{step.kind} ({step.outputs[0].name})", self.with_steps(place, steps))

    def with_steps(self, place, steps):
        """The function with other operations in the place of one."""
        before, after = self.function.operations[:place], self.function.operations[place + 1 :]
        return replace(self.function, operations=(*before, *steps, *after))

    def with_constant(self, step, parameter, data):
        """An operation that reads another constant, and that constant before it."""
        dtype = self.constants[step.inputs[parameter][0]].dtype
        name, kept = f"planted_{step.outputs[0].name}", data if isinstance(data, str) else np.asarray(data)
        value = Value(name, dtype, np.shape(kept), kept)
        const = Operation("const", {}, (replace(value, data=None),), {"val": value})
        return const, replace(step, inputs={**step.inputs, parameter: (name,)})

    def constant(self, step, parameter):
        """The number or numbers that a parameter is given, or None."""
        given = step.inputs.get(parameter, ())
        return self.constants[given[0]].data if len(given) == 1 and given[0] in self.constants else None

    def kinds(self, step):
        """The operation is taken for a neighbour."""
        for other in NEIGHBOURS.get(step.kind, ()):
            yield f"{step.kind} for {other}", replace(step, kind=other)
        if step.kind in RENAMED:
            other, old, new = RENAMED[step.kind]
            inputs = {new if name == old else name: given for name, given in step.inputs.items()}
            yield f"{step.kind} for {other}", replace(step, kind=other, inputs=inputs)
        for mode in MODES.get(step.kind, ()):
            if mode != self.constant(step, "mode"):
                yield f"mode of {step.kind}", *self.with_constant(step, "mode", mode)

    def wiring(self, step):
        """Inputs or outputs are exchanged, forgotten or taken from the wrong place."""
        if step.kind in SWAPPED and self.same(*(step.inputs[each][0] for each in SWAPPED[step.kind])):
            one, other = SWAPPED[step.kind]
            inputs = {**step.inputs, one: step.inputs[other], other: step.inputs[one]}
            yield "inputs exchanged", replace(step, inputs=inputs)
        if DROPPED.get(step.kind) in step.inputs:
            kept = {name: given for name, given in step.inputs.items() if name != DROPPED[step.kind]}
            yield f"{DROPPED[step.kind]} forgotten", replace(step, inputs=kept)
        if step.kind == "split" and len({value.shape for value in step.outputs}) == 1:
            yield "parts exchanged", replace(step, outputs=(*step.outputs[1:], step.outputs[0]))
        values = step.inputs.get("values", ())
        if len(values) > 1 and self.same(*values[:2]):
            yield "parts exchanged", replace(step, inputs={**step.inputs, "values": values[::-1]})
        if step.kind in ("add", "mul") and all(each in self.types for each in step.inputs["x"]):
            other = self.earlier(step)
            if other:
                yield "input of another step", replace(step, inputs={**step.inputs, "x": (other,)})

    def same(self, *names):
        """Whether values have the same type, so that exchanging them keeps the program whole."""
        return len({(self.types[each].dtype, self.types[each].shape) for each in names if each in self.types}) == 1

    def earlier(self, step):
        """The last value before an operation that could be taken for its input x."""
        own = {each for given in step.inputs.values() for each in given}
        names = []
        for each in self.function.operations:
            if each is step:
                break
            names += [value.name for value in each.outputs if each.kind != "const"]
        fitting = [name for name in names if name not in own and self.same(name, step.inputs["x"][0])]
        return fitting[-1] if fitting else None

    def attributes(self, step):
        """A flag, an axis, an order of axes, a padding or a small number is another one."""
        for name in FLAGS.get(step.kind, ()):
            if self.constant(step, name) is not None:
                yield f"{name} of {step.kind}", *self.with_constant(step, name, ~self.constant(step, name))
        for name in SCALARS:
            number = self.constant(step, name)
            if isinstance(number, np.ndarray) and number.size == 1 and number.dtype == np.float32 and 0 < number < 1e6:
                yield f"{name} of {step.kind}", *self.with_constant(step, name, number * np.float32(10))
        for name in AXES:
            axes = self.constant(step, name)
            if axes is not None and (axes != 0).all() and step.kind != "expand_dims":  # whose sizes tell all
                yield f"{name} of {step.kind}", *self.with_constant(step, name, axes - np.sign(axes))
        if step.kind == "transpose":
            yield from self.orders(step)
        pad = self.constant(step, "pad")
        if step.kind == "conv" and pad is not None and pad.any():
            yield "padding on the wrong side", *self.with_constant(step, "pad", pad + np.resize([1, -1], pad.size))
            yield "dilations of conv", *self.doubled(step, pad)
        if step.kind == "slice_by_index":
            yield "begin of a slice", *self.with_constant(step, "begin", self.constant(step, "begin") + 1)

    def doubled(self, step, pad):
        """Dilation 2, with the padding that keeps the size."""
        dilations = self.constant(step, "dilations")
        first, other = self.with_constant(step, "dilations", dilations * 2)
        second, other = self.with_constant(other, "pad", pad * 2)
        renamed = replace(second.outputs[0], name=f"{second.outputs[0].name}_pad")
        inputs = {**other.inputs, "dilations": (first.outputs[0].name,), "pad": (renamed.name,)}
        return first, replace(second, outputs=(renamed,)), replace(other, inputs=inputs)

    def orders(self, step):
        """Two axes of the same size, larger than 1, are exchanged."""
        perm, sizes = self.constant(step, "perm"), step.outputs[0].shape
        for one in range(len(sizes)):
            for other in range(one + 1, len(sizes)):
                if sizes[one] == sizes[other] > 1:
                    changed = perm.copy()
                    changed[[one, other]] = perm[[other, one]]
                    yield "order of axes", *self.with_constant(step, "perm", changed)

    def weights(self, step):
        """A stored tensor is a little off, rounded, turned round or mixed up."""
        for name in step.inputs:
            data = self.constant(step, name)
            if not isinstance(data, np.ndarray) or data.dtype != np.float32 or data.size < 2:
                continue
            row = self.random.integers(len(data))
            for kind, changed in (
                ("one entry off by 1 %", self.entry_off(data)),
                ("one row off by 0.1 %", np.concatenate([data[:row], data[row : row + 1] * 1.001, data[row + 1 :]])),
                ("rounded to float16", data.astype(np.float16).astype(np.float32)),
                ("turned round", data[::-1].copy()),
                ("turned round at the end", data[..., ::-1].copy()),
                ("rolled by one", np.roll(data, 1)),
            ):
                twice = kind == "turned round at the end" and data.ndim == 1
                if not twice and not np.array_equal(changed, data):
                    yield f"{name} {kind}", *self.with_constant(step, name, changed.astype(np.float32))

    def entry_off(self, data):
        changed = data.copy()
        changed[np.unravel_index(self.random.integers(data.size), data.shape)] *= np.float32(1.01)
        return changed
