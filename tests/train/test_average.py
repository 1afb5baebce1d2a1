"""The moving average against its recursion, in NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mobigen.train.average import MovingAverage


def layer(value):
    network = torch.nn.BatchNorm1d(1)
    torch.nn.init.constant_(network.weight, value)
    return network


@given(st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=20), st.floats(0, 0.9999))
def test_the_average_is_its_recursion(values, decay):
    network = layer(values[0])
    average, expected = MovingAverage(network, decay), values[0]
    for index, value in enumerate(values):
        torch.nn.init.constant_(network.weight, value)
        average.update(network, torch.zeros(()))
        now = min(decay, (1 + index) / (10 + index))
        expected = now * expected + (1 - now) * value
    np.testing.assert_allclose(average.network.weight.item(), expected, rtol=1e-4, atol=1e-4)


def test_buffers_are_copied():
    network = layer(1.0)
    average = MovingAverage(network, 0.9)
    network.running_mean.fill_(5)
    average.update(network, torch.zeros(()))
    assert average.network.running_mean.item() == 5


def test_a_skipped_update_moves_and_counts_nothing():
    network = layer(1.0)
    one, other = MovingAverage(network, 0.9), MovingAverage(network, 0.9)
    network.running_mean.fill_(5)
    one.update(network, torch.ones(()))
    assert one.network.running_mean.item() == 0
    one.update(layer(3.0), torch.ones(()))
    assert one.network.weight.item() == 1
    for average in (one, other):
        average.update(layer(7.0), torch.zeros(()))
    assert torch.equal(one.network.weight, other.network.weight)


def test_the_averaged_network_is_its_own_and_does_not_learn():
    network = layer(1.0)
    average = MovingAverage(network, 0.9)
    torch.nn.init.constant_(network.weight, 2.0)
    assert average.network.weight.item() == 1
    assert not average.network.training
    assert not average.network.weight.requires_grad


def test_a_state_goes_on_where_it_was_taken():
    network = layer(1.0)
    one = MovingAverage(network, 0.9)
    one.update(layer(3.0), torch.zeros(()))
    other = MovingAverage(network, 0.9)
    other.load_state_dict(one.state_dict())
    for average in (one, other):
        average.update(layer(7.0), torch.zeros(()))
    first = 0.1 * 1 + 0.9 * 3  # d = 1 / 10, then 2 / 11
    assert one.network.weight.item() == other.network.weight.item() == pytest.approx(2 / 11 * first + 9 / 11 * 7)
