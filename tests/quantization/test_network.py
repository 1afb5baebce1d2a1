"""Networks with quantised layers: near their float form, and given back unchanged."""

import copy

import pytest
import torch
from tiny_networks import KINDS as NETWORKS
from tiny_networks import examples, results, tiny
from tiny_upscaler import tiny_upscaler
from torch import nn

from mobigen.errors import ConfigError
from mobigen.models.autoencoder import Decoder, Encoder
from mobigen.models.network import Network
from mobigen.nn.fake_quant import QuantizedLayer
from mobigen.quantization.layers import KINDS, kind_of
from mobigen.quantization.network import Quantization, quantize_layers, quantized_copy, restore_layers


def observed(network, settings=None, passes=3):
    """A quantised copy that has seen some inputs, in evaluation mode."""
    quantized = quantized_copy(network, settings).train()
    generator = torch.Generator().manual_seed(0)
    for _ in range(passes):
        quantized(**network.example_inputs(generator))
    return quantized.eval()


def fused(kind):
    """The deploy form, which is what is trained for 8 bits."""
    return tiny(kind).fuse()


def has_batch_norm(network):
    """Whether one is left: its statistics move in training, and no convolution before it can take it up."""
    return any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("static", [(), KINDS], ids=["weights", "all"])
@pytest.mark.parametrize("kind", [each for each in NETWORKS if each is not Encoder and not has_batch_norm(fused(each))])
def test_a_network_comes_back_as_it_was(kind, static):
    network = fused(kind)
    inputs, wanted = examples(network), results(network, examples(network))
    quantized = observed(network, Quantization(static))
    assert any(not torch.equal(mine, theirs) for mine, theirs in zip(results(quantized, inputs), wanted, strict=True))
    ranges = restore_layers(quantized)
    known = {name for name, module in network.named_modules() if kind_of(module) in static}
    assert known - set(ranges) <= {"sentence"}  # which `forward` of the text encoder does not call
    assert set(ranges) <= known
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(results(quantized, inputs), wanted, strict=True))
    assert quantized.state_dict().keys() == network.state_dict().keys()
    assert not any(isinstance(module, QuantizedLayer) for module in quantized.modules())


def test_the_8_bit_form_is_near_the_float_form():
    network = tiny_upscaler()
    inputs = examples(network)
    (wanted,), (found,) = results(network, inputs), results(observed(network), inputs)
    assert 40 < 10 * torch.log10(1 / (wanted - found).square().mean()) < 70


def test_ranges_tell_what_a_layer_saw():
    network = tiny_upscaler()
    quantized = observed(network, Quantization(delay=99), passes=1)
    seen = {}
    network.mix.register_forward_hook(lambda module, given, result: seen.update(x=given[0], y=result.clamp(0, 6)))
    results(network, examples(network))
    ranges = restore_layers(quantized)
    weight_noise = 0.01
    assert ranges["mix"].input == pytest.approx((0, float(seen["x"].max())), abs=weight_noise)
    assert ranges["mix"].output == pytest.approx((0, float(seen["y"].max())), abs=weight_noise)
    assert ranges["body"].input == ranges["mix"].output  # one tensor
    assert ranges["left"].input == (0, 1)  # stated by the signature
    assert set(ranges) == {"left", "right", "mix", "body", "head"}


def test_parameters_are_the_same_objects_and_a_copy_has_its_own():
    network = tiny_upscaler()
    before = list(network.parameters())
    copied = quantized_copy(network)
    assert not {id(each) for each in copied.parameters()} & {id(each) for each in before}
    quantize_layers(network, Quantization())
    assert [id(each) for each in network.parameters()] == [id(each) for each in before]


def test_evaluation_repeats_and_modes_are_kept():
    network = tiny_upscaler()
    quantized = observed(network)
    inputs = examples(network)
    assert torch.equal(*(results(quantized, inputs)[0] for _ in range(2)))
    assert not any(module.training for module in quantized_copy(network).modules())
    assert all(module.training for module in quantized_copy(network.train()).modules())


def test_another_batch_size_and_picture_size():
    quantized = observed(tiny_upscaler())
    assert quantized(torch.rand(3, 3, 5, 7)).shape == (3, 3, 10, 14)


def test_the_state_of_one_goes_into_another():
    network = tiny_upscaler()
    one, other = observed(network), quantized_copy(tiny_upscaler(seed=1))
    other.load_state_dict(one.state_dict())
    inputs = examples(network)
    assert torch.equal(results(one, inputs)[0], results(other, inputs)[0])


class Tied(Network):
    """The same layer under two names."""

    component = "tied"

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 3, 1)
        self.second = self.first

    def forward(self, image):
        return self.second(self.first(image))

    signature, example_inputs = tiny_upscaler().signature, tiny_upscaler().example_inputs


def test_a_layer_held_twice_stays_one_layer():
    quantized = observed(Tied())
    assert quantized.first is quantized.second
    assert isinstance(quantized.first, QuantizedLayer)
    restore_layers(quantized)
    assert quantized.first is quantized.second
    assert isinstance(quantized.first, nn.Conv2d)


def test_a_network_that_was_never_trained_has_no_ranges():
    with pytest.raises(ConfigError, match="the range of left was never observed; train"):
        restore_layers(quantized_copy(tiny_upscaler()))


class Nothing(Tied):
    """No layer at all."""

    component = "nothing"

    def __init__(self):
        super().__init__()
        del self.first, self.second


def test_a_network_without_layers_is_refused():
    with pytest.raises(ConfigError, match="nothing has no layer to quantise; they are of the kinds conv, depthwise"):
        quantized_copy(Nothing())


def test_a_network_that_cannot_be_quantised_is_left_alone():
    network = tiny(Encoder)
    before = copy.deepcopy(network)
    with pytest.raises(ConfigError, match="batch norm"):
        quantize_layers(network, Quantization())
    assert [type(module) for module in network.modules()] == [type(module) for module in before.modules()]


@pytest.mark.parametrize(
    "wrong", [{"static": ("conv", "norm")}, {"decay": 1.0}, {"decay": -0.1}, {"delay": -1}, {"freeze": 0}]
)
def test_settings_check_themselves(wrong):
    with pytest.raises(ConfigError, match="accepted: "):
        Quantization(**wrong)


def test_decoders_use_the_convolution_kind_by_default():
    quantized = quantized_copy(tiny(Decoder))
    wrapped = [module for module in quantized.modules() if isinstance(module, QuantizedLayer)]
    assert len(wrapped) == len([module for module in tiny(Decoder).modules() if isinstance(module, nn.Conv2d)]) > 5
    assert all(module.after for module in wrapped)
