"""Networks of one construct each, for what looks at graphs."""

import torch

from mobigen.models.network import Network
from mobigen.signature import Signature, TensorSpec


class Construct(Network):
    """A function of modules and inputs, in evaluation mode."""

    component = "construct"

    def __init__(self, function, inputs, *modules):
        super().__init__()
        self.function, self.given = function, inputs
        self.parts = torch.nn.ModuleList(modules)
        self.eval()

    def forward(self, **inputs):
        return self.function(*self.parts, *inputs.values())

    def signature(self):
        specs = [TensorSpec(name, tuple(each.shape), _dtype(each)) for name, each in self.given.items()]
        return Signature(self.component, tuple(specs), (TensorSpec("y", (1,)),))

    def example_inputs(self, generator):
        return self.given


def _dtype(tensor):
    return str(tensor.dtype).removeprefix("torch.")


def construct(function, *inputs, modules=()):
    """The network; an input is a tensor, or the shape of random floats in [0, 1)."""
    generator = torch.Generator().manual_seed(0)
    tensors = [each if torch.is_tensor(each) else torch.rand(each, generator=generator) for each in inputs]
    return Construct(function, {f"x{index}": each for index, each in enumerate(tensors)}, *modules)
