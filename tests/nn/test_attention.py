"""Attention against sums written out over pairs of tokens."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mobigen.nn.attention import Attention, ReLULinearAttention

DIM, HEADS, TOKENS = 8, 2, 5


def randomised(module, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    return module.eval()


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def by_head(x, weight):
    """RMS norm over the full width, then (heads, N, D), in NumPy."""
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * weight
    return np.stack(np.split(x, HEADS, axis=-1))


def arrays(*tensors):
    return [tensor.detach().double().numpy() for tensor in tensors]


@settings(max_examples=20)
@given(st.integers(1, 12), st.integers(0, 2**31))
def test_linear_attention_is_the_quadratic_formula(tokens, seed):
    """O_i = sum_j relu(q_i).relu(k_j) v_j / (sum_j relu(q_i).relu(k_j) + N eps)."""
    layer = randomised(ReLULinearAttention(DIM, HEADS), seed)
    x = normal(1, tokens, DIM, seed=seed + 1)
    query, key, value = arrays(*layer.qkv(x)[0].chunk(3, dim=-1))
    query = np.maximum(by_head(query, *arrays(layer.query_norm.weight)), 0)
    key = np.maximum(by_head(key, *arrays(layer.key_norm.weight)), 0)
    value = np.stack(np.split(value, HEADS, axis=-1))
    weights = query @ key.transpose(0, 2, 1)  # (heads, N, N)
    mixed = weights @ value / (weights.sum(-1, keepdims=True) + tokens * layer.EPS)
    weight, bias = arrays(layer.out.weight, layer.out.bias)
    expected = np.concatenate(list(mixed), axis=-1) @ weight.T + bias
    np.testing.assert_allclose(layer(x)[0].detach().numpy(), expected, rtol=1e-3, atol=1e-4)


def test_linear_attention_does_not_depend_on_the_order_of_tokens():
    layer, x, order = randomised(ReLULinearAttention(DIM, HEADS)), normal(1, TOKENS, DIM), [3, 0, 4, 1, 2]
    torch.testing.assert_close(layer(x[:, order]), layer(x)[:, order])


def test_attention_is_the_softmax_formula():
    layer = randomised(Attention(DIM, 6, HEADS))
    x, context, mask = normal(1, TOKENS, DIM), normal(1, 4, 6, seed=1), torch.tensor([[1.0, 0.0, 1.0, 1.0]])
    query = by_head(*arrays(layer.query(x)[0], layer.query_norm.weight))
    key = by_head(*arrays(layer.key(context)[0], layer.key_norm.weight))
    value = np.stack(np.split(*arrays(layer.value(context)[0]), HEADS, axis=-1))
    read = [0, 2, 3]
    scores = np.exp(query @ key[:, read].transpose(0, 2, 1) / np.sqrt(DIM / HEADS))
    mixed = scores / scores.sum(-1, keepdims=True) @ value[:, read]
    weight, bias = arrays(layer.out.weight, layer.out.bias)
    expected = np.concatenate(list(mixed), axis=-1) @ weight.T + bias
    np.testing.assert_allclose(layer(x, context, mask)[0].detach().numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_what_is_masked_is_not_read(dtype):
    layer = randomised(Attention(DIM, DIM, HEADS)).to(dtype)
    x, context, mask = (
        normal(1, TOKENS, DIM).to(dtype),
        normal(1, 3, DIM).to(dtype),
        torch.tensor([[1, 1, 0]]).to(dtype),
    )
    other = context.clone()
    other[:, 2] = 1000
    assert torch.equal(layer(x, context, mask), layer(x, other, mask))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_nothing_to_read_is_a_number(dtype):
    layer = randomised(Attention(DIM, DIM, HEADS)).to(dtype)
    result = layer(normal(1, TOKENS, DIM).to(dtype), normal(1, 3, DIM).to(dtype), torch.zeros(1, 3, dtype=dtype))
    assert torch.isfinite(result).all()


def test_linear_attention_in_float16_does_not_grow_with_the_tokens():
    layer = randomised(ReLULinearAttention(DIM, HEADS))
    x = 100 + 10 * normal(1, 16384, DIM)
    torch.testing.assert_close(layer.half()(x.half()).float(), layer.float()(x), rtol=0.02, atol=2.0)
