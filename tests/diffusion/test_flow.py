"""The path, its inverses and its times."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mobigen.diffusion.flow import clean_estimate, guide, interpolate, logit_normal_times, noise_like, shifted_times


def source(seed=0):
    return torch.Generator().manual_seed(seed)


@st.composite
def pairs(draw):
    """Data, noise (B, C, H, W) and times (B,)."""
    shape = draw(st.tuples(*[st.integers(1, 3)] * 4))
    generator = source(draw(st.integers(0, 2**31)))
    times = torch.tensor(draw(st.lists(st.floats(0, 1, width=32), min_size=shape[0], max_size=shape[0])))
    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator), times


@given(pairs())
def test_the_clean_estimate_undoes_the_interpolation(pair):
    clean, noise, time = pair
    noisy = interpolate(clean, noise, time)
    torch.testing.assert_close(clean_estimate(noisy, noise - clean, time), clean, rtol=1e-4, atol=1e-5)


@given(pairs())
def test_the_path_is_straight(pair):
    clean, noise, time = pair
    for row, (data, end, now) in enumerate(zip(clean, noise, time, strict=True)):
        torch.testing.assert_close(interpolate(clean, noise, time)[row], (1 - now) * data + now * end)
    assert torch.equal(interpolate(clean, noise, torch.zeros(len(clean))), clean)
    assert torch.equal(interpolate(clean, noise, torch.ones(len(clean))), noise)


@given(pairs(), st.floats(0.1, 10))
def test_guidance_can_be_undone(pair, scale):
    conditional, unconditional, _ = pair
    guided = guide(conditional, unconditional, scale)
    torch.testing.assert_close(unconditional + (guided - unconditional) / scale, conditional, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(guide(conditional, unconditional, 0), unconditional)
    torch.testing.assert_close(guide(conditional, unconditional, 1), conditional)


def test_logits_of_times_are_normal():
    times = logit_normal_times(20000, source(), mean=0.5, deviation=2.0)
    assert 0 < times.min() < times.max() < 1
    logits = torch.logit(times.double())
    assert logits.mean().item() == pytest.approx(0.5, abs=0.05)
    assert logits.std().item() == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_noise_has_the_shape_and_type_and_repeats(dtype):
    like = torch.zeros(2, 3, 40, 50, dtype=dtype)
    noise = noise_like(like, source(1))
    assert (noise.shape, noise.dtype) == (like.shape, dtype)
    assert noise.float().std().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(noise, noise_like(like, source(1)))
    assert not torch.equal(noise, noise_like(like, source(2)))


@given(st.integers(1, 20), st.floats(1, 8))
def test_shifted_times_descend_and_leave_the_noise_slowly(steps, shift):
    """log(t / (1 - t)), the log of noise to signal, is moved by log(shift)."""
    times = shifted_times(steps, shift)
    assert len(times) == steps + 1
    assert (times[0], times[-1]) == (1.0, 0.0)
    even = torch.linspace(1, 0, steps + 1, dtype=torch.float64)[1:-1]
    moved = torch.tensor(times[1:-1], dtype=torch.float64)
    torch.testing.assert_close(
        torch.logit(moved), torch.logit(even) + torch.log(torch.tensor(shift).double()), rtol=1e-5, atol=1e-5
    )
