"""The wrapper of several processes comes off."""

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mobigen.train.task import bare


@pytest.fixture
def one_process(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_bare(one_process):
    network = nn.Linear(2, 2)
    assert bare(network) is network
    assert bare(DistributedDataParallel(network)) is network
