"""Fake quantisation: the properties that 8-bit graphs rely on, and layers against arithmetic in whole numbers."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mobigen.nn.conv import DepthwiseConv3x3
from mobigen.nn.fake_quant import (
    HIGHEST,
    LOWEST,
    ActivationRange,
    QuantizedLayer,
    activation_grid,
    fake_quantize,
    weight_scale,
)

RELU = (0.0, float("inf"))
numbers = st.floats(-1e4, 1e4, width=32)
ranges = st.tuples(numbers, numbers).map(sorted).filter(lambda pair: pair[1] - pair[0] > 1e-3)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def grid(low, high):
    return activation_grid(torch.tensor(low), torch.tensor(high))


def on_grid(x, low, high):
    return fake_quantize(x, *grid(low, high), LOWEST, HIGHEST)


# --- the grid -----------------------------------------------------------------------------------------------


@given(ranges)
def test_the_grid_holds_zero_and_the_range(pair):
    low, high = min(pair[0], 0.0), max(pair[1], 0.0)
    scale, zero = (float(each) for each in grid(*pair))
    assert zero == int(zero)
    assert LOWEST <= zero <= HIGHEST
    assert scale == pytest.approx((high - low) / 255, rel=1e-5)
    assert (LOWEST - zero) * scale == pytest.approx(low, abs=0.51 * scale)  # nudged by half a step at most
    assert (HIGHEST - zero) * scale == pytest.approx(high, abs=0.51 * scale)


@given(ranges)
def test_zero_stays_zero(pair):
    assert on_grid(torch.zeros(3), *pair).tolist() == [0, 0, 0]


@given(ranges, st.lists(numbers, min_size=1, max_size=20))
def test_once_more_changes_nothing(pair, values):
    once = on_grid(torch.tensor(values), *pair)
    assert torch.equal(on_grid(once, *pair), once)


@given(ranges, st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_inside_the_range_the_error_is_half_a_step(pair, fractions):
    scale, zero = grid(*pair)
    low, high = (LOWEST - zero) * scale, (HIGHEST - zero) * scale
    x = low + torch.tensor(fractions) * (high - low)
    assert ((on_grid(x, *pair) - x).abs() <= 0.5 * scale * 1.001).all()


@given(ranges, st.lists(numbers, min_size=1, max_size=20))
def test_it_is_what_torch_computes(pair, values):
    """torch's own operation multiplies by 1 / S, so a value at the middle of two steps may fall to the other one."""
    scale, zero = grid(*pair)
    x = torch.tensor(values, requires_grad=True)
    theirs = torch.fake_quantize_per_tensor_affine(x, float(scale), int(zero), LOWEST, HIGHEST)
    middle = ((x / scale - (x / scale).floor()) - 0.5).abs() < 1e-2
    ours = on_grid(x, *pair)
    torch.testing.assert_close(ours[~middle], theirs[~middle], rtol=1e-4, atol=float(scale) * 1e-3)
    (wanted,) = torch.autograd.grad(theirs.sum(), x)
    (found,) = torch.autograd.grad(ours.sum(), x)
    assert torch.equal(found[~middle], wanted[~middle])


def test_the_gradient_is_one_inside_and_zero_outside():
    x = torch.tensor([-1.2, -1.0, -0.3, 0.0, 0.7, 2.0, 2.1, 50.0, float("inf")], requires_grad=True)
    y = on_grid(x, -1.0, 2.0)
    y.backward(torch.arange(1.0, 10.0))
    assert x.grad.tolist() == [0, 2, 3, 4, 5, 6, 0, 0, 0]
    assert y.detach().tolist() == pytest.approx([-1, -1, -0.3, 0, 0.7, 2, 2, 2, 2], abs=3 / 255)


# --- weights ------------------------------------------------------------------------------------------------


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**31), st.floats(-6, 6))
def test_each_channel_of_a_weight_uses_its_whole_scale(outputs, inputs, seed, exponent):
    weight = normal(outputs, inputs, 3, 3, seed=seed) * 10**exponent
    scale = weight_scale(weight)
    integers = fake_quantize(weight, scale, 0.0, -HIGHEST, HIGHEST) / scale
    torch.testing.assert_close(integers, integers.round(), rtol=0, atol=1e-3)
    assert integers.abs().amax((1, 2, 3)).round().tolist() == [127] * outputs


def test_a_weight_of_zeros_stays_zero():
    weight = torch.zeros(2, 3)
    assert torch.equal(fake_quantize(weight, weight_scale(weight), 0.0, -HIGHEST, HIGHEST), weight)


# --- ranges -------------------------------------------------------------------------------------------------


def test_a_range_is_a_mean_and_then_a_moving_average():
    activation = ActivationRange(decay=0.75)
    low = high = 0.0
    for step in range(12):
        x = normal(50, seed=step) * (step + 1)
        activation(x)
        weight = max(1 / (step + 1), 0.25)
        low, high = low + weight * (float(x.min()) - low), high + weight * (float(x.max()) - high)
        assert (float(activation.low), float(activation.high)) == pytest.approx((low, high), rel=1e-5)


def test_quantising_begins_after_the_delay():
    activation, x = ActivationRange(delay=2), normal(100)
    assert [torch.equal(activation(x), x) for _ in range(4)] == [True, True, False, False]


def test_a_frozen_range_stays():
    activation = ActivationRange(freeze=2)
    for scale in (1, 2, 30, 40):
        activation(torch.tensor([-1.0, 1.0]) * scale)
    assert (float(activation.low), float(activation.high), int(activation.passes)) == (-1.5, 1.5, 4)


def test_a_fixed_range_stays():
    activation = ActivationRange(fixed=(0.0, 1.0))
    activation(torch.tensor([-5.0, 5.0]))
    assert activation.eval()(torch.tensor([-5.0, 0.5, 5.0])).tolist() == pytest.approx([0, 0.5, 1], abs=1 / 255)


def test_evaluation_changes_nothing_and_repeats():
    activation, x = ActivationRange(delay=100), normal(100)
    activation(x)
    before = copy.deepcopy(activation.eval().state_dict())
    first = activation(100 * x)
    assert torch.equal(first, activation(100 * x))
    assert len(first.unique()) > 2
    assert (first.max(), first.min()) == pytest.approx((float(x.max()), float(x.min())), abs=0.05)
    assert all(torch.equal(value, before[name]) for name, value in activation.state_dict().items())


def test_without_a_range_values_pass():
    assert torch.equal(ActivationRange().eval()(normal(9)), normal(9))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_leave_the_range_alone(bad):
    """The loop skips such a step; a range that it had spoilt would never heal."""
    activation = ActivationRange()
    activation(torch.tensor([bad, 1.0]))
    activation(torch.tensor([-2.0, 1.0]))
    activation(torch.tensor([bad, 99.0]))
    assert (float(activation.low), float(activation.high), int(activation.passes)) == (-2, 1, 1)


# --- layers -------------------------------------------------------------------------------------------------


def quantized(layer, bounds=None, **options):
    """A layer that has seen some inputs, in evaluation mode."""
    module = QuantizedLayer(layer, ActivationRange(**options), bounds, ActivationRange(**options))
    module(inputs_for(layer))
    return module.eval()


def inputs_for(layer, seed=0):
    if isinstance(layer, nn.Conv2d):
        return normal(2, layer.in_channels, 5, 6, seed=seed)
    return normal(2, 5, 6, layer.in_features if isinstance(layer, nn.Linear) else len(layer.bias), seed=seed)


def test_a_convolution_is_the_one_of_whole_numbers():
    """acc = sum (q_x - Z_x) q_w in int32, as eq. 4 of Jacob et al. has it, and a bias of the scale S_x S_w."""
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3, padding=1)
    module, x = quantized(layer, RELU), inputs_for(layer, 7)
    scale, zero = activation_grid(module.before.low, module.before.high)
    integers = (torch.round(x / scale) + zero).clamp(LOWEST, HIGHEST) - zero
    w_scale = layer.weight.abs().amax((1, 2, 3)) / 127
    w_integers = torch.round(layer.weight / w_scale[:, None, None, None])
    sums = F.conv2d(integers.long(), w_integers.long(), padding=1)
    real = sums * (scale * w_scale)[:, None, None] + layer.bias[:, None, None]
    out_scale, out_zero = activation_grid(module.after.low, module.after.high)
    wanted = ((torch.round(real / out_scale) + out_zero).clamp(out_zero, HIGHEST) - out_zero) * out_scale
    torch.testing.assert_close(module(x), wanted, rtol=0, atol=float(out_scale) * 1e-2)
    assert float(module.after.low) == 0


LAYERS = {
    "conv": lambda: nn.Conv2d(3, 4, 3, padding=1),
    "grouped": lambda: nn.Conv2d(4, 8, 3, padding=1, groups=2, bias=False),
    "linear": lambda: nn.Linear(5, 4),
    "depthwise": lambda: DepthwiseConv3x3(4),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_a_quantised_layer_is_near_its_own(kind):
    torch.manual_seed(0)
    layer = LAYERS[kind]()
    x = inputs_for(layer)
    wanted, found = layer.eval()(x), quantized(layer)(x)
    assert 0 < (wanted - found).abs().max() < 0.05 * wanted.abs().max()


@pytest.mark.parametrize("kind", LAYERS)
def test_all_parameters_learn(kind):
    layer = LAYERS[kind]()
    module = quantized(layer).train()
    module(inputs_for(layer)).square().sum().backward()
    for parameter in layer.parameters():
        assert parameter.grad.abs().sum() > 0


def test_autocast_changes_nothing_but_the_type_of_the_input():
    module = quantized(nn.Conv2d(3, 4, 3))
    x = normal(2, 3, 5, 6).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = module(x)
    assert found.dtype == torch.float32
    assert torch.equal(found, module(x.float()))


def test_a_half_precision_layer_computes_in_float32():
    module = quantized(nn.Conv2d(3, 4, 3)).half()
    found = module(normal(2, 3, 5, 6).half())
    assert found.dtype == torch.float16
    torch.testing.assert_close(found, module.float()(normal(2, 3, 5, 6).half()).half(), rtol=1e-3, atol=1e-3)


def test_the_compiler_sees_one_graph():
    module = quantized(nn.Conv2d(3, 4, 3), delay=2, freeze=3).train()
    compiled = torch.compile(copy.deepcopy(module), backend="eager", fullgraph=True)
    for step in range(4):  # through the end of the delay
        x = normal(2, 3, 5, 6, seed=step)
        torch.testing.assert_close(compiled(x), module(x), rtol=1e-5, atol=1e-6)
    assert int(module.before.passes) == 5
