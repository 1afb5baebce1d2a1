"""Norms against their formulas, in NumPy."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from mobigen.nn.norm import ChannelRMSNorm, RMSNorm, modulate


@given(st.integers(1, 9), st.floats(1e-3, 1e4), st.integers(0, 2**31))
def test_rms_norm_is_x_over_its_root_mean_square(dim, size, seed):
    norm = RMSNorm(dim)
    torch.nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(seed))
    x = size * torch.randn(3, dim, generator=torch.Generator().manual_seed(seed + 1))
    wide = x.double().numpy()
    expected = wide / np.sqrt((wide**2).mean(-1, keepdims=True) + norm.eps) * norm.weight.detach().double().numpy()
    np.testing.assert_allclose(norm(x).detach().numpy(), expected, rtol=1e-4, atol=1e-6)


def test_channel_rms_norm_takes_the_channels_of_each_pixel():
    x = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0))
    wide = x.double().numpy()
    expected = wide / np.sqrt((wide**2).mean(1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(ChannelRMSNorm()(x).numpy(), expected, rtol=1e-5)


def test_zeros_stay_zeros():
    assert RMSNorm(4)(torch.zeros(2, 4)).abs().max() == 0
    assert ChannelRMSNorm()(torch.zeros(2, 4, 3, 3)).abs().max() == 0


def test_squares_beyond_float16_do_not_overflow():
    x = torch.full((1, 8), 6e4, dtype=torch.float16)
    assert RMSNorm(8)(x).dtype == torch.float16
    torch.testing.assert_close(RMSNorm(8)(x).float(), torch.ones(1, 8), rtol=1e-3, atol=0)
    maps = x[:, :, None, None]
    torch.testing.assert_close(ChannelRMSNorm()(maps).float(), torch.ones(1, 8, 1, 1), rtol=1e-3, atol=0)


def test_modulate():
    x, shift, scale = torch.tensor([[[2.0, 3.0]]]), torch.tensor([[[10.0, 20.0]]]), torch.tensor([[[0.5, -1.0]]])
    assert modulate(x, shift, scale).tolist() == [[[13.0, 20.0]]]
