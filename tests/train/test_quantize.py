"""Quantisation-aware training as a task on the loop: what it trains, how it resumes, and what it leaves behind."""

from dataclasses import replace

import pytest
import torch
from tiny_networks import tiny
from tiny_upscaler import TinyUpscaler, draw_images, tiny_upscaler
from torch import nn

from mobigen.data.stickers import StickerBatches, load_stickers
from mobigen.data.synthetic import write_synthetic_shards
from mobigen.distill.decoder import DecoderDistillation
from mobigen.errors import ConfigError
from mobigen.models.autoencoder import Decoder, Encoder, TeacherDecoder
from mobigen.nn.fake_quant import QuantizedLayer
from mobigen.quantization.network import Quantization
from mobigen.quantization.ranges import read_ranges
from mobigen.train.loop import RunSettings, train
from mobigen.train.quantize import QuantizationAware
from mobigen.train.task import Loss

SETTINGS = RunSettings(train_batch_size=2, learning_rate=1e-3, max_train_steps=6, lr_warmup_steps=2, ema_decay=0.5)


class Brightening:
    """A task with a network inside another module: pictures are to become white. Stops at a step if told to."""

    def __init__(self, stop_at=None):
        self.networks = {"upscaler": nn.Sequential(tiny_upscaler())}
        self.frozen = {}
        self.stop_at = stop_at
        self.steps = []

    def turn(self, step):
        self.steps.append(step)
        return "upscaler"

    def loss(self, turn, batch_size, generator):
        if self.steps[-1] == self.stop_at:
            raise KeyboardInterrupt
        value = (1 - self.networks[turn](**_positional(draw_images(batch_size, generator)))).square().mean()
        return Loss(value, {"grey": value.detach()})

    def save(self, averaged, folder):
        averaged["upscaler"][0].save_component(folder)


def _positional(inputs):
    return {"input": inputs["image"]}


def run(folder, task=None, **changes):
    task = task or Brightening()
    train(
        QuantizationAware(task, ["upscaler"], Quantization(delay=1)),
        replace(SETTINGS, **changes),
        folder / "run",
        folder,
    )
    return TinyUpscaler.from_pretrained(folder / "upscaler"), read_ranges(folder / "upscaler")


def test_the_networks_are_quantised_in_place_and_shared_with_the_task():
    inner = Brightening()
    task = QuantizationAware(inner, ["upscaler"])
    assert task.networks is inner.networks
    assert len([m for m in task.networks["upscaler"].modules() if isinstance(m, QuantizedLayer)]) == 5
    assert task.turn(3) == "upscaler"
    assert inner.steps == [3]


def test_a_plain_network_and_its_ranges_are_left(tmp_path):
    network, ranges = run(tmp_path)
    assert network.state_dict().keys() == tiny_upscaler().state_dict().keys()
    assert not torch.equal(network.head.weight, tiny_upscaler().head.weight)
    assert set(ranges) == {"left", "right", "mix", "body", "head"}
    assert ranges["body"].output[1] > 0


def test_the_average_has_the_ranges_of_the_network(tmp_path):
    """They are buffers, which the average copies; its weights are its own."""
    seen = {}

    class Watched(Brightening):
        def save(self, averaged, folder):
            seen["live"] = {name: float(value) for name, value in self.networks["upscaler"].named_buffers()}
            super().save(averaged, folder)

    _, ranges = run(tmp_path, Watched())
    assert seen["live"]["0.body.after.high"] == ranges["body"].output[1]
    assert seen["live"]["0.body.after.passes"] == 6


@pytest.mark.parametrize("step", [0, 3])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(tmp_path, step):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "one", Brightening(stop_at=step))
    resumed, ranges = run(tmp_path / "one")
    whole, whole_ranges = run(tmp_path / "two")
    assert ranges == whole_ranges
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(resumed.parameters(), whole.parameters(), strict=True))


def test_saving_leaves_the_networks_quantised(tmp_path):
    task = QuantizationAware(Brightening(), ["upscaler"])
    train(task, SETTINGS, tmp_path / "run", tmp_path)
    assert isinstance(task.networks["upscaler"][0].head, QuantizedLayer)


def test_it_learns_under_bfloat16_autocast(tmp_path):
    network, ranges = run(tmp_path, mixed_precision="bf16")
    assert all(torch.isfinite(each).all() for each in network.parameters())
    assert ranges.keys() == {"left", "right", "mix", "body", "head"}


def test_a_task_of_the_house_can_be_wrapped(tmp_path):
    """The decoder's distillation: the decoder learns in 8 bits, projections and teacher stay in float."""
    write_synthetic_shards(tmp_path, 4, 64)
    batches = StickerBatches(load_stickers(tmp_path, tmp_path / "cache", size=64), torch.device("cpu"))
    inner = DecoderDistillation(tiny(Decoder), tiny(Encoder), tiny(TeacherDecoder), batches, None, 0.0)
    task = QuantizationAware(inner, ["decoder"])
    train(task, replace(SETTINGS, max_train_steps=2), tmp_path / "run", tmp_path / "out")
    Decoder.from_pretrained(tmp_path / "out" / "decoder")
    assert "levels.0.0.first" in read_ranges(tmp_path / "out" / "decoder")
    assert not any(isinstance(module, QuantizedLayer) for module in inner.networks["decoder"].projections.modules())


def test_a_component_that_is_not_trained_is_refused():
    with pytest.raises(ConfigError, match="trains 0 networks of 'decoder', one is needed; it has upscaler"):
        QuantizationAware(Brightening(), ["decoder"])


def test_two_networks_of_a_component_are_refused():
    task = Brightening()
    task.networks["critic"] = tiny_upscaler(seed=1)
    with pytest.raises(ConfigError, match="trains 2 networks of 'upscaler'"):
        QuantizationAware(task, ["upscaler"])
