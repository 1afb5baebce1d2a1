"""Flow-matching training and guided sampling."""

import pytest
import torch
from small_latents import small_latents
from tiny_networks import tiny
from torch import nn

from mobigen.data.latents import Conditions
from mobigen.models.denoiser import Denoiser
from mobigen.train.flow import FlowMatching, guided_velocity, sample_teacher


def source(seed=0):
    return torch.Generator().manual_seed(seed)


class Recording(nn.Module):
    """A denoiser that keeps what it was given, and answers with a constant."""

    def __init__(self, answer=0.0):
        super().__init__()
        self.answer, self.given = answer, []

    def forward(self, noisy, time, *conditions):
        self.given.append((noisy, time, Conditions(*conditions)))
        return torch.full_like(noisy, self.answer)


def flow_task(denoiser):
    task = FlowMatching(tiny(Denoiser), small_latents(), "teacher")
    task.networks["denoiser"] = denoiser
    return task


def test_the_loss_is_the_error_of_the_velocity():
    denoiser = Recording(0.25)
    loss = flow_task(denoiser).loss("denoiser", 64, source())
    noisy, time, _ = denoiser.given[0]
    clean, _ = small_latents().draw(64, source())
    wide = time[:, None, None, None]
    velocity = (noisy - clean) / wide  # noise - x0, from x_t = x0 + t (noise - x0)
    torch.testing.assert_close(loss.value, (0.25 - velocity).square().mean(), rtol=1e-3, atol=1e-3)
    assert ((time > 0) & (time < 1)).all()


def test_a_tenth_is_told_nothing():
    denoiser = Recording()
    flow_task(denoiser).loss("denoiser", 4000, source())
    told = denoiser.given[0][2]
    dropped = told.style.sum(1) == 0
    assert 0.08 < dropped.float().mean() < 0.12
    assert torch.equal(told.text_mask.sum(1) == 0, dropped)


def test_the_optimum_is_the_exact_velocity():
    """With one data point, a denoiser that knows it has no loss."""
    latents = small_latents(pictures=1)
    latents.latents = latents.latents[:, :1]
    clean = latents.latents[0, 0].float()

    class Knowing(nn.Module):
        def forward(self, noisy, time, *conditions):
            return (noisy - clean) / time[:, None, None, None]

    task = FlowMatching(tiny(Denoiser), latents, "teacher")
    task.networks["denoiser"] = Knowing()
    assert task.loss("denoiser", 32, source()).value.item() == pytest.approx(0, abs=1e-6)


def test_the_result_is_saved_under_the_name_that_was_asked_for(tmp_path):
    task = FlowMatching(tiny(Denoiser), small_latents(), "teacher")
    task.save(task.networks, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["teacher"]


@torch.no_grad()
@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
def test_guidance_is_the_formula_on_two_evaluations(scale):
    denoiser = tiny(Denoiser)
    noisy, conditions = small_latents().draw(3, source())
    time = torch.tensor([0.1, 0.5, 1.0])
    told, untold = denoiser(noisy, time, *conditions), denoiser(noisy, time, *conditions.nothing())
    expected = (1 - scale) * untold + scale * told
    torch.testing.assert_close(
        guided_velocity(denoiser, noisy, time, conditions, scale), expected, rtol=1e-4, atol=1e-4
    )


def test_a_walk_is_euler_steps_by_hand():
    denoiser = tiny(Denoiser)
    noise, conditions = small_latents().draw(2, source())
    path = sample_teacher(denoiser, noise, conditions, [1.0, 0.75, 0.5, 0.25, 0.0], scale=2.0)
    assert len(path) == 5
    x = noise
    for index, time in enumerate((1.0, 0.75, 0.5, 0.25)):
        torch.testing.assert_close(path[index], x, rtol=1e-4, atol=1e-4)
        with torch.no_grad():
            x = x - 0.25 * guided_velocity(denoiser, x, torch.full((2,), time), conditions, 2.0)
    torch.testing.assert_close(path[-1], x, rtol=1e-4, atol=1e-4)
    assert not path[-1].requires_grad
