"""Distilling a network's 8-bit form from its float form, to the graph that comes of it."""

import copy

import pytest
import torch
from tiny_networks import tiny
from tiny_upscaler import arrays, draw_images, tiny_upscaler

from mobigen.distill.output import OutputDistillation, distil_for_8_bits
from mobigen.models.text_encoder import TextEncoder
from mobigen.nn.fake_quant import QuantizedLayer
from mobigen.quantization.network import Quantization
from mobigen.quantization.ranges import learned_layers, read_ranges
from mobigen.train.loop import RunSettings, train


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_loss_is_the_share_of_the_output_that_is_wrong():
    network = tiny_upscaler()
    task = OutputDistillation(network, draw_images)
    assert task.loss("upscaler", 3, source()).value == 0
    with torch.no_grad():
        network.head.bias += 0.1
    loss = task.loss("upscaler", 3, source())
    inputs = draw_images(3, source())
    wanted = tiny_upscaler()(**inputs)
    expected = (network(**inputs) - wanted).square().sum() / wanted.square().sum()
    torch.testing.assert_close(loss.value, expected)
    torch.testing.assert_close(loss.parts, {"upscaled": expected.detach()})


def test_every_output_counts_alike():
    network = tiny(TextEncoder)

    def draw(batch_size, generator):
        return {"token_ids": torch.randint(0, 50, (batch_size, 8), generator=generator, dtype=torch.int32)}

    task = OutputDistillation(network, draw)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=source(1))
    loss = task.loss(task.turn(0), 4, source())
    assert set(loss.parts) == {spec.name for spec in network.signature().outputs}
    assert loss.value.item() == pytest.approx(sum(part.item() for part in loss.parts.values()) / len(loss.parts))


def test_only_the_student_is_quantised_and_learns():
    task = distil_for_8_bits(tiny_upscaler(), draw_images)
    task.networks["upscaler"].train()
    task.loss("upscaler", 2, source()).value.backward()
    assert all(parameter.grad is not None for parameter in task.networks["upscaler"].parameters())
    assert all(parameter.grad is None for parameter in task.frozen["teacher"].parameters())
    assert not any(isinstance(module, QuantizedLayer) for module in task.frozen["teacher"].modules())


def hard_to_quantise():
    """A channel that is never on has a hundred times the others' weight, so that these are left with three levels."""
    network = tiny_upscaler()
    with torch.no_grad():
        network.left.bias[0] = -9
        network.mix.weight[:, 0] = 100 * network.mix.weight.abs().amax()
        network.mix.bias.abs_()
    return network


def test_training_wins_back_most_of_what_8_bits_lose(tmp_path):
    pytest.importorskip("litert_torch")
    from mobigen.export.litert import convert
    from mobigen.export.parity import compare
    from mobigen.export.quantize import quantize
    from mobigen.runtime.litert import LiteRTComponent
    from mobigen.runtime.torch import TorchComponent

    network = hard_to_quantise()
    signature, reference = network.signature(), TorchComponent(copy.deepcopy(network), network.signature())
    calibration, samples = arrays(network, 16, seed=1), arrays(network, 8, seed=2)

    def decibels(network, ranges):
        wide, narrow = tmp_path / "wide.tflite", tmp_path / "narrow.tflite"
        convert(network, wide)
        quantize(wide, narrow, "int8-static", calibration, learned=learned_layers(network, ranges))
        return compare(reference, LiteRTComponent(narrow, signature, 1), samples)["upscaled"]

    before = decibels(network, {})
    task = distil_for_8_bits(copy.deepcopy(network), draw_images, Quantization(decay=0.95, delay=10))
    settings = RunSettings(
        train_batch_size=8, learning_rate=1e-2, max_train_steps=200, lr_warmup_steps=10, ema_decay=0.95, weight_decay=0
    )
    train(task, settings, tmp_path / "run", tmp_path)
    trained = type(network).from_pretrained(tmp_path / "upscaler")
    after = decibels(trained, read_ranges(tmp_path / "upscaler"))
    assert before < 28
    assert after > before + 9  # seven eighths of the squared error are gone
