"""What the denoiser reads and what it does not."""

import pytest
import torch
from tiny_networks import TOKENS, examples, tiny

from mobigen.errors import ConfigError
from mobigen.models.denoiser import Denoiser


@pytest.fixture(scope="module")
def denoiser():
    return tiny(Denoiser)


@pytest.fixture
def inputs(denoiser):
    return examples(denoiser)


@torch.no_grad()
def velocity(denoiser, inputs, **changes):
    return denoiser(**{**inputs, **changes})


def tokens_of(denoiser, latent, text_states, text_mask, **others):
    condition = denoiser.condition(text_states=text_states, text_mask=text_mask, **others)
    return denoiser.tokens(latent, condition, text_states, text_mask)


def test_masked_tokens_are_not_read(denoiser, inputs):
    states = inputs["text_states"].clone()
    states[:, TOKENS // 3 :] += 50
    torch.testing.assert_close(velocity(denoiser, inputs, text_states=states), velocity(denoiser, inputs))


def test_without_words_and_style_it_is_unconditional(denoiser, inputs):
    nothing = {"text_mask": torch.zeros(1, TOKENS), "style": torch.zeros(1, 7)}
    first = velocity(denoiser, inputs, **nothing)
    torch.testing.assert_close(velocity(denoiser, inputs, **nothing, text_states=torch.ones(1, TOKENS, 16)), first)
    assert not torch.allclose(velocity(denoiser, inputs), first)


def test_the_order_of_words_is_the_text_encoders_business(denoiser, inputs):
    """Cross-attention and the mean are over a set."""
    order = torch.randperm(TOKENS, generator=torch.Generator().manual_seed(0))
    shuffled = {"text_states": inputs["text_states"][:, order], "text_mask": inputs["text_mask"][:, order]}
    torch.testing.assert_close(velocity(denoiser, inputs, **shuffled), velocity(denoiser, inputs), rtol=1e-4, atol=1e-5)


def test_styles_mix(denoiser, inputs):
    """Style is linear until the first nonlinearity, so a half-and-half vector is neither style."""
    mixed = velocity(denoiser, inputs, style=torch.tensor([[0.5, 0.5, 0, 0, 0, 0, 0]]))
    assert not torch.allclose(mixed, velocity(denoiser, inputs))
    assert torch.isfinite(mixed).all()


def test_a_new_denoiser_predicts_nothing_and_begins_as_the_identity():
    denoiser = Denoiser(latent_channels=4, latent_size=4, dim=16, depth=2, heads=2, text_dim=16, text_tokens=TOKENS)
    given = examples(denoiser)
    assert denoiser(**given).abs().max() == 0
    embedded = denoiser.embed(given["latent"]).flatten(2).transpose(1, 2) + denoiser.position
    torch.testing.assert_close(tokens_of(denoiser, **given), embedded)


@torch.no_grad()
def test_there_is_a_token_a_place(denoiser, inputs):
    assert tokens_of(denoiser, **inputs).shape == (1, 16, 16)


@torch.no_grad()
def test_one_that_averages_reads_where_the_step_ends():
    averaging = tiny(Denoiser, averages=True)
    given = examples(averaging)
    assert [spec.name for spec in averaging.signature().inputs] == list(given)
    of_no_length = averaging(**{name: given[name] for name in given if name != "until"})
    torch.testing.assert_close(averaging(**{**given, "until": given["time"]}), of_no_length)
    assert not torch.allclose(averaging(**given), of_no_length, atol=1e-3)


@torch.no_grad()
def test_a_teacher_begins_to_average_by_taking_no_notice(denoiser, inputs, tmp_path):
    student = denoiser.averaging().eval()
    for until in (0.0, 0.1):
        torch.testing.assert_close(student(**inputs, until=torch.tensor([until])), velocity(denoiser, inputs))
    student.save_pretrained(tmp_path)
    assert Denoiser.from_pretrained(tmp_path).until is not None


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_a_deepened_denoiser_predicts_the_same_and_learns_in_every_block(denoiser, inputs, depth):
    deeper = denoiser.deepened(depth)
    assert (len(denoiser.blocks), len(deeper.blocks)) == (2, depth)
    torch.testing.assert_close(velocity(deeper, inputs), velocity(denoiser, inputs))
    deeper(**inputs).square().sum().backward()
    assert all(block.attention.out.weight.grad.abs().max() > 0 for block in deeper.blocks)


def test_a_deepened_denoiser_is_saved_as_deep_as_it_is(denoiser, inputs, tmp_path):
    deeper = denoiser.deepened(3)
    deeper.save_component(tmp_path)
    again = Denoiser.from_pretrained(tmp_path / "denoiser")
    torch.testing.assert_close(velocity(again, inputs), velocity(denoiser, inputs), rtol=1e-2, atol=1e-2)


def test_blocks_are_not_taken_out(denoiser):
    with pytest.raises(ConfigError, match="depth 1 is less than the 2 blocks"):
        denoiser.deepened(1)
