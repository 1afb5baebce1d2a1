"""Tracing refuses what a phone would refuse."""

import pytest

torch = pytest.importorskip("torch")

from mobigen.errors import ConfigError, ExportError  # noqa: E402
from mobigen.export.program import trace  # noqa: E402
from mobigen.models.network import Network  # noqa: E402
from mobigen.signature import Signature, TensorSpec  # noqa: E402


class Doubling(Network):
    """x -> 2x, with whatever signature and forward a test gives it."""

    component = "doubling"

    def __init__(self, inputs=("x",), outputs=("y",), shape=(1, 4), result=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((1,), 2.0))
        self.names, self.shape, self.result = (inputs, outputs), shape, result

    def forward(self, **inputs):
        (x,) = inputs.values()
        return self.result(x * self.weight) if self.result else x * self.weight

    def signature(self):
        inputs, outputs = (tuple(TensorSpec(name, self.shape) for name in names) for names in self.names)
        return Signature(self.component, inputs, outputs)

    def example_inputs(self, generator):
        return {"x": torch.rand(1, 4, generator=generator)}


def test_names_come_from_the_signature():
    program = trace(Doubling().eval())
    assert list(program.call_spec.out_spec.context) == ["y"]
    assert torch.equal(program.module()(x=torch.ones(1, 4))["y"], torch.full((1, 4), 2.0))


def test_an_output_named_like_an_input_is_refused():
    with pytest.raises(ConfigError, match="uses x twice"):
        trace(Doubling(outputs=("x",)).eval())


def test_training_mode_is_refused():
    with pytest.raises(ExportError, match="training mode"):
        trace(Doubling())


def test_half_precision_is_refused():
    with pytest.raises(ExportError, match=r"torch\.float16; call \.float"):
        trace(Doubling().eval().half())


def test_inputs_that_are_not_the_signatures_are_refused():
    with pytest.raises(ExportError, match="states input"):
        trace(Doubling(inputs=("z",)).eval())


@pytest.mark.parametrize("result", [lambda y: y[:, :2], lambda y: y.int()])
def test_outputs_that_are_not_the_signatures_are_refused(result):
    with pytest.raises(ExportError, match="states output"):
        trace(Doubling(result=result).eval())


def test_rank_six_is_refused():
    def fold(y):
        return y.reshape(1, 1, 2, 1, 2, 1).permute(0, 1, 4, 3, 2, 5).reshape(1, 4)

    with pytest.raises(ExportError, match="6 axes"):
        trace(Doubling(result=fold).eval())


def test_a_size_known_only_at_run_time_is_refused():
    with pytest.raises(ExportError, match="only at run time"):
        trace(Doubling(result=lambda y: y.masked_select(y > 1).sum() + y).eval())


def test_complex_numbers_are_refused():
    with pytest.raises(ExportError, match="is complex; write complex numbers as pairs of real ones"):
        trace(Doubling(result=lambda y: torch.fft.fft(y).real).eval())


@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_a_choice_inside_the_graph_is_refused():
    def choose(y):
        return torch.cond(y.sum() > 0, lambda y: y + 1, lambda y: y - 1, (y,))

    with pytest.raises(ExportError, match="is chosen while the graph runs; unroll"):
        trace(Doubling(result=choose).eval())


def test_a_choice_by_value_is_refused():
    with pytest.raises(ExportError, match=r"cannot be traced"):
        trace(Doubling(result=lambda y: y if y.sum() > 0 else -y).eval())
