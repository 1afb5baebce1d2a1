"""The embedding of time."""

import numpy as np
import pytest
import torch

from mobigen.nn.embed import TimeEmbedding


def test_waves_are_geometric_up_to_the_fastest():
    embedding = TimeEmbedding(8, frequencies=5, fastest=100.0)
    np.testing.assert_allclose(embedding.rates.numpy(), 100 ** (np.arange(5) / 4), rtol=1e-5)


def test_embedding_is_its_formula():
    embedding, times = TimeEmbedding(8, frequencies=6), np.array([0.0, 0.25, 1.0])
    angles = times[:, None] * 100 ** (np.arange(6) / 5)
    waves = torch.from_numpy(np.concatenate([np.cos(angles), np.sin(angles)], axis=1)).float()
    torch.testing.assert_close(
        embedding(torch.from_numpy(times).float()), embedding.perceptron(waves), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keeps_its_type(dtype):
    assert TimeEmbedding(8).to(dtype)(torch.rand(3).to(dtype)).dtype == dtype


def test_rates_are_not_stored():
    assert "rates" not in TimeEmbedding(8).state_dict()
