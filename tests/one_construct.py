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
        with torch.no_grad():
            results = self(**self.given)
        outputs = results if isinstance(results, tuple) else (results,)
        return Signature(self.component, _specs(self.given), _specs({f"y{i}": each for i, each in enumerate(outputs)}))

    def example_inputs(self, generator):
        return self.given


def _specs(tensors):
    """As they are, but for a scalar, which a signature cannot have."""
    return tuple(
        TensorSpec(name, tuple(each.shape) or (1,), str(each.dtype).removeprefix("torch."))
        for name, each in tensors.items()
    )


def construct(function, *inputs, modules=()):
    """The network; an input is a tensor, or the shape of random floats in [0, 1)."""
    generator = torch.Generator().manual_seed(0)
    tensors = [each if torch.is_tensor(each) else torch.rand(each, generator=generator) for each in inputs]
    return Construct(function, {f"x{index}": each for index, each in enumerate(tensors)}, *modules)
