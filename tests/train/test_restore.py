"""The tasks of super-resolution: their losses by formula, learning, and what they save."""

import numpy as np
import pytest
import torch
from tiny_networks import tiny

from mobigen.data.photos import Pairs, PhotoCrops, draw_pairs, load_photos, reduce
from mobigen.data.synthetic import write_synthetic_photos
from mobigen.models.mfagan import AggregationGenerator, PatchDiscriminator
from mobigen.models.plain_upscaler import PlainUpscaler
from mobigen.models.sesr import SESR
from mobigen.train.fidelity import luma_of_pixels
from mobigen.train.loop import RunSettings, train
from mobigen.train.restore import PhotoRestoration, Restoration, charbonnier, luma_of, pixel_loss


def source(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    write_synthetic_photos(folder / "data", 2)
    return draw_pairs(PhotoCrops(load_photos([folder / "data"], folder), torch.device("cpu")), 8, 2, reduce)


# --- losses -------------------------------------------------------------------------------------------------


def test_charbonnier_is_the_absolute_value_but_near_zero():
    large = torch.tensor([-0.5, 0.25])
    assert charbonnier(large).item() == pytest.approx(0.375, abs=2e-3)
    small = torch.tensor([1e-4])
    assert charbonnier(small).item() == pytest.approx(1e-8 / 2e-3, rel=0.01)  # d^2 / (2 epsilon)
    assert charbonnier(torch.zeros(3)).item() == 0


def test_luma_of_tensors_is_that_of_arrays():
    pixels = torch.randint(0, 256, (1, 3, 4, 5), generator=source(), dtype=torch.uint8)
    expected = luma_of_pixels(pixels[0].permute(1, 2, 0).numpy())
    np.testing.assert_allclose((luma_of(pixels / 255) * 255)[0, 0].numpy(), expected, atol=1e-4)


def test_a_white_error_counts_once_in_luma_and_a_quarter_in_colour():
    black, grey = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.5)
    total, parts = pixel_loss(grey, black)
    assert parts["luma"].item() == pytest.approx(0.5, abs=2e-3)
    assert parts["colour"].item() == pytest.approx(0.5, abs=2e-3)
    assert total.item() == pytest.approx(0.625, abs=2e-3)


def test_a_network_of_one_channel_is_judged_by_luma():
    large = torch.rand(1, 3, 4, 4, generator=source())
    total, parts = pixel_loss(luma_of(large), large)
    assert (total.item(), parts) == (0, {})


def test_a_cpu_is_given_the_same_pictures_with_channels_last(pairs):
    network, seen = tiny(PlainUpscaler), []
    network.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    Restoration(network, pairs).loss("upscaler", 3, source())
    assert torch.equal(seen[0], pairs(3, source()).small)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


# --- learning -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PlainUpscaler, SESR])
def test_it_learns_to_do_better_than_it_began(kind, pairs, tmp_path):
    network = kind(2, width=8, depth=1, hidden=8)
    with torch.no_grad():
        before = Restoration(network, pairs).loss("upscaler", 32, source(99)).value.item()
    settings = RunSettings(4, 5e-3, max_train_steps=60, lr_warmup_steps=5, weight_decay=0.0, ema_decay=0.9)
    train(Restoration(network, pairs), settings, tmp_path / "run", tmp_path)
    learnt = kind.from_pretrained(tmp_path / "upscaler")
    with torch.no_grad():
        after = Restoration(learnt, pairs).loss("upscaler", 32, source(99)).value.item()
    assert after < 0.97 * before


def test_the_same_command_goes_on_after_an_interruption(pairs, tmp_path):
    def run(folder, pairs):
        torch.manual_seed(0)
        network = PlainUpscaler(2, width=8, depth=1, hidden=8)
        settings = RunSettings(2, 1e-3, max_train_steps=4, ema_decay=0.9, lr_warmup_steps=1)
        train(Restoration(network, pairs), settings, folder / "run", folder)
        return PlainUpscaler.from_pretrained(folder / "upscaler")

    batches = iter(range(2))

    def interrupted(count, generator):
        if next(batches, None) is None:
            raise KeyboardInterrupt
        return pairs(count, generator)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "twice", interrupted)
    twice, once = run(tmp_path / "twice", pairs), run(tmp_path / "once", pairs)
    for mine, theirs in zip(once.parameters(), twice.parameters(), strict=True):
        assert torch.equal(mine, theirs)


# --- photos -------------------------------------------------------------------------------------------------


class Difference(torch.nn.Module):
    """In the place of a perceptual loss."""

    def forward(self, images, references):
        return (images - references).square().mean()


@pytest.fixture
def photo_task(pairs):
    return PhotoRestoration(tiny(AggregationGenerator, scale=2), tiny(PatchDiscriminator), pairs, Difference())


def test_both_networks_have_turns(photo_task):
    assert [photo_task.turn(step) for step in range(4)] == ["discriminator", "upscaler"] * 2


def test_the_upscaler_fools_and_the_discriminator_tells(photo_task):
    """The same logits, seen from both sides: the sum of softplus(d) and softplus(-d) differs by d."""
    tells = photo_task.loss("discriminator", 3, source()).value
    loss = photo_task.loss("upscaler", 3, source())
    small, large = photo_task.pairs(3, source())
    judge, upscaler = photo_task.networks["discriminator"], photo_task.networks["upscaler"]
    made, real = judge(upscaler(small)), judge(large)
    torch.testing.assert_close(tells, torch.log1p(torch.exp(made - real)).mean())
    torch.testing.assert_close(loss.parts["fools"], torch.log1p(torch.exp(real - made)).mean())
    pixels, _ = pixel_loss(upscaler(small), large)
    features = (upscaler(small) * 2 - large * 2).square().mean()
    torch.testing.assert_close(loss.parts["features"], features)
    torch.testing.assert_close(loss.value, pixels + 0.003 * loss.parts["fools"] + 0.03 * features)


def test_gradients_reach_the_network_whose_turn_it_is(photo_task):
    for turn, other in (("discriminator", "upscaler"), ("upscaler", "discriminator")):
        for network in photo_task.networks.values():
            network.zero_grad()
        photo_task.loss(turn, 2, source()).value.backward()
        assert any(parameter.grad is not None for parameter in photo_task.networks[turn].parameters())
        if turn == "discriminator":
            assert all(parameter.grad is None for parameter in photo_task.networks[other].parameters())


def test_without_features_there_is_no_such_part(pairs):
    task = PhotoRestoration(tiny(AggregationGenerator, scale=2), tiny(PatchDiscriminator), pairs, None)
    assert set(task.loss("upscaler", 2, source()).parts) == {"luma", "colour", "fools"}


def test_both_networks_are_saved(photo_task, tmp_path):
    photo_task.save(photo_task.networks, tmp_path)
    assert AggregationGenerator.from_pretrained(tmp_path / "upscaler").scale == 2
    PatchDiscriminator.from_pretrained(tmp_path / "discriminator")


def test_pairs_fit_each_other(pairs):
    small, large = pairs(3, source())
    assert isinstance(pairs(1, source()), Pairs)
    assert torch.nn.functional.avg_pool2d(large, 2).sub(small).abs().mean() < 0.05
