"""How pictures are judged: right where they show, free where they do not."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_networks import tiny

from mobigen.data.stickers import StickerBatches, load_stickers, premultiply
from mobigen.data.synthetic import write_synthetic_shards
from mobigen.models.autoencoder import Encoder, TeacherDecoder
from mobigen.train.pictures import AutoencoderTask, composite, latent_noise, picture_loss


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def sticker(seed=0, soft=True):
    """A straight uint8 picture (1, 16, 16, 4), a third opaque, a third transparent and a third in between."""
    image = torch.randint(256, (1, 16, 16, 4), generator=source(seed), dtype=torch.uint8)
    image[:, :5, :, 3], image[:, 5:10, :, 3] = 0, 255
    if not soft:
        image[:, 10:, :, 3] = 255
    return image


def as_straight(image):
    return image.permute(0, 3, 1, 2).float() / 127.5 - 1


def l1(background):
    """Stands in for a perceptual loss; `background` collects what it sees."""

    def loss(images, references):
        background.append((images, references))
        return (images - references).abs().mean()

    return loss


@given(st.integers(0, 2**31))
def test_the_right_picture_costs_nothing_on_any_background(seed):
    image = sticker(seed)
    seen = []
    loss, parts = picture_loss(as_straight(image), premultiply(image), source(seed), l1(seen), 1.0)
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert set(parts) == {"l1", "alpha", "perceptual"}
    torch.testing.assert_close(*seen[0], rtol=1e-4, atol=1e-5)


@given(st.floats(-3, 3), st.integers(0, 2**31))
def test_colour_under_transparency_is_free(colour, seed):
    image = sticker(seed)
    straight = as_straight(image)
    straight[:, :3, :5] = colour
    loss, _ = picture_loss(straight, premultiply(image), source(seed), l1([]), 1.0)
    assert loss.item() == pytest.approx(0, abs=1e-5)


@given(st.floats(0, 5), st.integers(0, 2**31))
def test_alpha_may_overshoot_where_it_is_full_or_empty(past, seed):
    image = sticker(seed, soft=False)
    straight = as_straight(image)
    straight[:, 3] += past * straight[:, 3].sign()
    loss, _ = picture_loss(straight, premultiply(image), source(seed), l1([]), 1.0)
    assert loss.item() == pytest.approx(0, abs=1e-5)


def test_alpha_may_not_fall_short_nor_overshoot_soft_edges():
    image = sticker()
    target = premultiply(image)
    short = as_straight(image)
    short[:, 3] *= 0.5
    far = as_straight(image)
    far[:, 3, 10:] += 0.5
    for straight in (short, far):
        _, parts = picture_loss(straight, target, source(), None, 0.0)
        assert parts["alpha"] > 0.05


def test_the_loss_is_its_formula():
    """Half over black and half over white, and half of alpha's error."""
    image, straight = sticker(soft=False), torch.rand(1, 4, 16, 16, generator=source(1)) * 1.8 - 0.9
    opacity = (straight[:, 3:] + 1) / 2
    true, true_opacity = as_straight(image)[:, :3], (as_straight(image)[:, 3:] + 1) / 2
    errors = []
    for background in (-1, 1):
        made = opacity * straight[:, :3] + (1 - opacity) * background
        errors.append((made - true_opacity * true - (1 - true_opacity) * background).abs().mean())
    expected = sum(errors) / 2 + 0.5 * (opacity - true_opacity).abs().mean() * 2
    loss, parts = picture_loss(straight, premultiply(image), source(), None, 7.0)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    assert set(parts) == {"l1", "alpha"}


def test_the_perceptual_loss_sees_both_over_one_random_colour_each():
    image, seen = sticker().repeat(2, 1, 1, 1), []
    straight = torch.zeros(2, 4, 16, 16)
    loss, parts = picture_loss(straight, premultiply(image), source(), l1(seen), 3.0)
    without, _ = picture_loss(straight, premultiply(image), source(), None, 0.0)
    torch.testing.assert_close(loss, without + 3 * parts["perceptual"])
    _, wanted = seen[0]
    transparent = wanted[:, :, :5]
    assert (transparent == transparent[:, :, :1, :1]).all()
    assert not torch.equal(transparent[0, :, 0, 0], transparent[1, :, 0, 0])


def test_composite():
    straight = torch.tensor([0.5, 0.5, 0.5, 0.0]).reshape(1, 4, 1, 1)
    made = composite(straight, torch.tensor([1.0, 0.0, -1.0]).reshape(1, 3, 1, 1))
    assert made.flatten().tolist() == [0.75, 0.25, -0.25]


def test_latent_noise_has_a_deviation_of_its_own_for_each_picture():
    noise = latent_noise(torch.zeros(300, 4, 256, 256), 2, 0.5, source())
    assert noise.shape == (300, 2, 16, 16)
    deviations = noise.flatten(1).std(1)
    assert deviations.max() < 0.56
    assert deviations.mean().item() == pytest.approx(0.25, abs=0.03)
    assert deviations.min() < 0.02


def test_the_encoders_statistics_are_measured_for_the_averaged_weights(tmp_path, monkeypatch):
    """What is saved gives latents of unit variance, whatever the averaged statistics were."""
    monkeypatch.setattr(AutoencoderTask, "MEASURED", (8, 16))
    write_synthetic_shards(tmp_path, 16, 64)
    batches = StickerBatches(load_stickers(tmp_path, tmp_path / "cache", size=64), torch.device("cpu"))
    task = AutoencoderTask(tiny(Encoder), tiny(TeacherDecoder), batches, None, 0.0)
    averaged = task.networks["autoencoder"]
    averaged.encoder.normalise.running_var.fill_(1e4)
    task.save({"autoencoder": averaged.eval()}, tmp_path / "out")
    _, images = batches.draw(128, source(5))
    with torch.no_grad():
        latents = Encoder.from_pretrained(tmp_path / "out" / "encoder")(images)
    assert latents.std((0, 2, 3)).tolist() == pytest.approx([1] * 4, abs=0.15)
    TeacherDecoder.from_pretrained(tmp_path / "out" / "teacher_decoder")
