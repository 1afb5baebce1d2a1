"""A cure replaces the nodes that need it, and nothing else."""

import pytest

torch = pytest.importorskip("torch")

from mobigen.export.decompositions import Cure, cure, way_round  # noqa: E402

aten = torch.ops.aten


class Halving(torch.nn.Module):
    """Two additions, of which one is scaled, in place or not."""

    def __init__(self, in_place=False):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        self.in_place = in_place

    def forward(self, x):
        y = x + self.weight
        return {"y": y.add_(x, alpha=0.5) if self.in_place else torch.add(y, x, alpha=0.5)}


def table(calls):
    def replacement(x, other, alpha=1):
        calls.append(alpha)
        return x + torch.tensor([1.0]) * other * alpha

    return {aten.add.Tensor: Cure(replacement, lambda x, other, alpha=1: alpha != 1)}


def exported(module):
    return torch.export.export(module, (), {"x": torch.tensor([3.0, 4.0])}, strict=False)


@pytest.mark.parametrize("in_place", [False, True])
def test_only_what_needs_it_is_replaced(in_place):
    module, calls = Halving(in_place), []
    cured = cure(exported(module), table(calls))
    assert calls == [0.5]
    assert not any(node.kwargs.get("alpha") for node in cured.graph.nodes)
    x = torch.tensor([5.0, 7.0])
    assert torch.equal(cured.module()(x=x)["y"], module(x)["y"])


def test_parameters_stay_the_same_memory():
    module = Halving()
    cured = cure(exported(module), table([]))
    assert [each.data_ptr() for each in cured.parameters()] == [module.weight.data_ptr()]


def test_a_program_without_need_is_returned_as_it_is():
    program = exported(Halving())
    assert cure(program, {}) is program
    assert cure(program, {aten.mul.Tensor: Cure(torch.mul)}) is program


def test_a_message_that_names_a_hopeless_operation_says_what_to_do():
    assert way_round("Unsupported fx node median_1, kind median.dim") == (
        "Unsupported fx node median_1, kind median.dim; instead of median: sort and take the middle"
    )
    assert way_round("something else") == "something else"
