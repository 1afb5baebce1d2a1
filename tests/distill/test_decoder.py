"""Distilling the decoder: what it is compared with, and what is left at the end."""

import pytest
import torch
from tiny_networks import tiny

from mobigen.data.stickers import StickerBatches, load_stickers
from mobigen.data.synthetic import write_synthetic_shards
from mobigen.distill.decoder import DecoderDistillation
from mobigen.models.autoencoder import Decoder, Encoder, TeacherDecoder
from mobigen.train.pictures import latent_noise, picture_loss


def source(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stickers")
    write_synthetic_shards(folder, 6, 64)
    batches = StickerBatches(load_stickers(folder, folder / "cache", size=64), torch.device("cpu"))
    return DecoderDistillation(tiny(Decoder), tiny(Encoder), tiny(TeacherDecoder), batches, None, 0.0)


def test_the_loss_is_the_sum_of_its_parts(task):
    loss = task.loss("decoder", 4, source())
    generator = source()
    _, images = task.batches.draw(4, generator)
    clean = task.frozen["encoder"](images)
    noise = latent_noise(images, 4, 0.25, generator)
    teacher, student = tiny(TeacherDecoder), task.networks["decoder"]
    straight, wanted = student.pyramid.decoder(clean + noise), teacher(clean)
    picture, _ = picture_loss(straight, images, generator, None, 0.0)
    opacity = (images[:, 3:] + 1) / 2
    output = ((straight - wanted)[:, :3] * opacity).abs().mean()
    errors = []
    maps = zip(student.pyramid.decoder.features(clean + noise), teacher.features(clean), strict=True)
    for (mine, theirs), projection in zip(maps, student.projections, strict=True):
        weight, bias = projection.weight[:, :, 0, 0], projection.bias[:, None, None]
        projected = torch.einsum("oc,bchw->bohw", weight, mine) + bias
        errors.append((projected - theirs).square().sum() / theirs.square().sum())
    expected = picture + 0.5 * output + 0.1 * sum(errors) / 3
    torch.testing.assert_close(loss.value, expected, rtol=1e-4, atol=1e-5)
    assert set(loss.parts) == {"l1", "alpha", "output", "features"}


def test_only_the_student_learns(task):
    task.loss("decoder", 2, source()).value.backward()
    assert all(parameter.grad is not None for parameter in task.networks["decoder"].parameters())
    assert all(parameter.grad is None for each in task.frozen.values() for parameter in each.parameters())


def test_the_projections_are_left_behind(task, tmp_path):
    task.save(task.networks, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["decoder"]
    Decoder.from_pretrained(tmp_path / "decoder")
