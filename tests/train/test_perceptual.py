"""The perceptual loss: its network, its formula, its file."""

import pytest
import torch
from safetensors.torch import save_file

from mobigen.errors import WeightsError
from mobigen.train.perceptual import PerceptualLoss


def source(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def loss():
    torch.manual_seed(0)
    return PerceptualLoss().eval()


def pictures(seed, count=2):
    return torch.rand(count, 3, 64, 64, generator=source(seed)) * 2 - 1


def test_the_features_are_those_of_squeezenet(loss):
    """Channels and sizes of SqueezeNet 1.1 at 64x64 (Iandola et al., table 1, with the changes of version 1.1)."""
    shapes = [tuple(each.shape[1:]) for each in loss.features(pictures(0))]
    assert shapes == [(64, 31, 31), (128, 15, 15), (256, 7, 7), (384, 3, 3), (512, 3, 3)]
    assert sum(parameter.numel() for parameter in loss.parameters()) == 1_235_496 - 513_000  # without the classifier


def test_features_have_unit_length_where_they_are_not_zero(loss):
    for each in loss.features(pictures(0)):
        lengths = each.norm(dim=1)
        assert ((lengths - 1).abs() < 1e-3).logical_or(lengths == 0).all()


def test_the_same_picture_costs_nothing_and_another_something(loss):
    one, other = pictures(0), pictures(1)
    assert loss(one, one).item() == 0
    assert loss(one, other).item() > 0.01
    pairs = zip(loss.features(one), loss.features(other), strict=True)
    expected = sum(((a - b) ** 2).sum(1).mean() for a, b in pairs)
    torch.testing.assert_close(loss(one, other), expected)


def test_gradients_reach_the_picture_and_not_the_reference(loss):
    one, other = pictures(0).requires_grad_(), pictures(1).requires_grad_()
    loss(one, other).backward()
    assert one.grad.abs().max() > 0
    assert other.grad is None


def test_weights_come_from_a_file_without_its_classifier(loss, tmp_path):
    weights = {**loss.state_dict(), "classifier.1.weight": torch.zeros(2)}
    save_file({name: value.half() for name, value in weights.items()}, tmp_path / "squeezenet.safetensors")
    again = PerceptualLoss.from_file(tmp_path / "squeezenet.safetensors")
    assert torch.equal(again.conv1.weight, loss.conv1.weight.half().float())


@pytest.mark.parametrize("content", [None, b"soup", {"conv1.weight": torch.zeros(1)}])
def test_a_file_that_is_missing_or_of_another_network(tmp_path, content):
    path = tmp_path / "squeezenet.safetensors"
    if isinstance(content, dict):
        save_file(content, path)
    elif content:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"no SqueezeNet 1.1 features in .*squeezenet.safetensors") as caught:
        PerceptualLoss.from_file(path)
    assert "\n" not in str(caught.value)
