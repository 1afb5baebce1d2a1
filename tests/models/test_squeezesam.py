"""SqueezeSAM as published: its size, and what is painted into its input."""

import pytest
import torch
from tiny_networks import examples, results, tiny

from mobigen.errors import ConfigError
from mobigen.models.squeezesam import SqueezeSAM


def test_it_has_the_published_number_of_parameters():
    with torch.device("meta"):
        network = SqueezeSAM()
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 2) == 10.16


def painted(points, labels, size=64):
    network = tiny(SqueezeSAM, image_size=size)
    return network._painted(torch.tensor([points], dtype=torch.float32), torch.tensor([labels]))[0]


def test_clicks_are_disks_and_without_a_box_all_is_inside():
    box, clicks = painted([[256, 100], [30, 400], [5, 5]], [1, 0, -1], size=512)
    assert box.min() == 1
    rows, columns = torch.meshgrid(torch.arange(512), torch.arange(512), indexing="ij")
    distance = ((rows - 100) ** 2 + (columns - 256) ** 2).sqrt()
    assert torch.equal(clicks, (distance <= 5).float())


def test_a_box_is_ones_within_it():
    box, clicks = painted([[8, 16], [40, 50]], [2, 3])
    assert clicks.max() == 0
    assert box.sum() == (40 - 8) * (50 - 16)
    assert box[17:50, 9:40].min() == 1


def test_a_negative_click_is_not_read():
    network = tiny(SqueezeSAM)
    inputs = examples(network)
    inputs["labels"] = torch.full_like(inputs["labels"], -1)
    inputs["labels"][0, 0] = 1
    before = results(network, inputs)
    inputs["labels"][0, 1] = 0
    for mine, theirs in zip(results(network, inputs), before, strict=True):
        assert torch.equal(mine, theirs)


def test_heads_that_do_not_divide_the_width():
    with pytest.raises(ConfigError, match="dim 16 is not a multiple of heads 3"):
        tiny(SqueezeSAM, heads=3)
