"""Few-step distillation: where trajectories end, and which way samples are moved."""

import pytest
import torch
import torch.nn.functional as F
from small_latents import small_latents
from tiny_networks import tiny
from torch import nn

from mobigen.distill.steps import DistributionMatching, TrajectoryRegression
from mobigen.models.denoiser import Denoiser
from mobigen.train.flow import guided_velocity, sample_teacher

TIMES = (1.0, 0.75, 0.5, 0.25)
SCHEDULES = ((1.0,), (1.0, 0.5), TIMES)


def source(seed=0):
    return torch.Generator().manual_seed(seed)


# --- regression ---------------------------------------------------------------------------------------------


def regression(count=5):
    return TrajectoryRegression(tiny(Denoiser, 1), tiny(Denoiser), small_latents(), TIMES, 2.0, count)


def test_a_trajectory_is_the_teachers_walk():
    task = regression()
    task.loss("student", 2, source())
    points, _, told = task.trajectories
    assert points.shape == (5, 5, 4, 4, 4)
    walk = sample_teacher(tiny(Denoiser), points[:, 0], told, 16, 2.0)
    for column, step in enumerate((0, 4, 8, 12, 16)):
        torch.testing.assert_close(points[:, column], walk[step], rtol=1e-4, atol=1e-4)


def test_trajectories_are_sampled_once_and_the_same_in_every_run(monkeypatch):
    one, other = regression(), regression()
    one.loss("student", 2, source(3))
    kept = one.trajectories
    one.loss("student", 2, source(4))
    assert one.trajectories is kept
    other.loss("student", 2, source(9))
    assert torch.equal(other.trajectories.points, kept.points)
    monkeypatch.setattr(TrajectoryRegression, "CHUNK", 2)
    chunked = regression()
    chunked.loss("student", 2, source())
    assert chunked.trajectories.points.shape == kept.points.shape
    assert all(
        part.shape == whole.shape for part, whole in zip(chunked.trajectories.conditions, kept.conditions, strict=True)
    )


def test_the_loss_is_the_distance_to_the_end():
    task = regression()
    loss = task.loss("student", 8, source()).value
    points, _, told = task.trajectories
    generator = source()
    drawn, index = torch.randint(5, (8,), generator=generator), torch.randint(4, (8,), generator=generator)
    total = 0.0
    for row, column in zip(drawn, index, strict=True):
        time, noisy = torch.tensor([TIMES[column]]), points[row, column][None]
        velocity = tiny(Denoiser, 1)(noisy, time, *(part[row][None] for part in told))
        total += (noisy - time * velocity - points[row, -1]).square().mean()
    torch.testing.assert_close(loss, total / 8, rtol=1e-4, atol=1e-5)


def test_regression_saves_a_denoiser(tmp_path):
    regression().save({"student": tiny(Denoiser)}, tmp_path)
    Denoiser.from_pretrained(tmp_path / "denoiser")


# --- distribution matching ----------------------------------------------------------------------------------


def matching(schedules=SCHEDULES):
    torch.manual_seed(0)
    return DistributionMatching(tiny(Denoiser, 1), tiny(Denoiser), small_latents(), schedules, 2.0)


def batch(count=3):
    latents, conditions = small_latents().draw(count, source())
    return latents, conditions


def test_the_student_has_every_third_turn():
    assert [matching().turn(step) for step in range(6)] == ["critic", "critic", "student"] * 2


def test_the_gradient_on_a_sample_is_the_formula(monkeypatch):
    """(mu_fake - mu_real) / mean |x - mu_real|, over the number of values, for each sample."""
    monkeypatch.setattr(DistributionMatching, "STUDENT_GAN", 0.0)
    task = matching()
    torch.nn.init.normal_(task.networks["critic"].denoiser.final.bias, generator=source(7))  # unlike the teacher
    fake, conditions = batch()
    fake.requires_grad_()
    task._student_loss(fake, conditions, source(5)).value.backward()

    generator = source(5)
    time = 0.02 + 0.96 * torch.rand(3, generator=generator)
    wide = time[:, None, None, None]
    with torch.no_grad():
        noisy = (1 - wide) * fake + wide * torch.randn(fake.shape, generator=generator)
        mu_fake = noisy - wide * task.networks["critic"](noisy, time, *conditions)[0]
        mu_real = noisy - wide * guided_velocity(tiny(Denoiser), noisy, time, conditions, 2.0)
    for row in range(3):
        size = (fake[row] - mu_real[row]).abs().mean()
        expected = (mu_fake - mu_real)[row] / size / fake.numel()
        torch.testing.assert_close(fake.grad[row], expected.detach(), rtol=1e-3, atol=1e-6)


def test_fooling_the_critic_is_part_of_the_loss():
    task = matching()
    fake, conditions = batch()
    loss = task._student_loss(fake, conditions, source(5))
    expected = loss.parts["matching"] + 3e-3 * loss.parts["fools"]
    torch.testing.assert_close(loss.value.detach(), expected)


def test_the_critic_learns_the_flow_of_samples_and_to_tell_them_from_data():
    task = matching()
    (fake, conditions), (real, _) = batch(), small_latents().draw(3, source(8))
    loss = task._critic_loss(fake, real, conditions, source(5))
    generator, critic = source(5), task.networks["critic"]
    time = torch.sigmoid(torch.randn(3, generator=generator))
    noise, wide = torch.randn(fake.shape, generator=generator), time[:, None, None, None]
    velocity, on_fake = critic((1 - wide) * fake + wide * noise, time, *conditions)
    _, on_real = critic((1 - wide) * real + wide * noise, time, *conditions)
    flow = (velocity - (noise - fake)).square().mean()
    tells = -(F.logsigmoid(-on_fake).mean() + F.logsigmoid(on_real).mean())
    torch.testing.assert_close(loss.value, flow + 1e-2 * tells, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("turn", ["student", "critic"])
def test_each_turn_moves_the_network_whose_turn_it_is(turn):
    task = matching()
    task.loss(turn, 3, source()).value.backward()
    assert all(parameter.grad is not None for parameter in task.networks[turn].parameters())
    if turn == "critic":  # the student's turn reaches through the critic, which does not step
        assert all(parameter.grad is None for parameter in task.networks["student"].parameters())
    assert all(parameter.grad is None for parameter in task.frozen["teacher"].parameters())


class Recording(nn.Module):
    """A student that notes when it runs, and whether it learns from that."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.calls = []

    def forward(self, noisy, time, *conditions):
        self.calls.append((time[0].item(), torch.is_grad_enabled()))
        return noisy * self.scale


def test_samples_stop_at_a_random_exit_and_learn_only_there():
    task = matching()
    latents, conditions = batch()
    walks = set()
    for seed in range(60):
        student = task.networks["student"] = Recording()
        sample = task._samples(latents, conditions, source(seed), student)
        assert sample.requires_grad
        assert [learns for _, learns in student.calls] == [False] * (len(student.calls) - 1) + [True]
        walks.add(tuple(time for time, _ in student.calls))
    assert walks == {schedule[: count + 1] for schedule in SCHEDULES for count in range(len(schedule))}


def test_a_sample_is_predicted_and_noised_again_by_hand():
    task = matching([TIMES])
    latents, conditions = batch()
    seed = next(seed for seed in range(50) if _exit_of(seed) == 1)
    sample = task._samples(latents, conditions, source(seed), task.networks["student"])
    generator = source(seed)
    torch.randint(1, (1,), generator=generator)
    torch.randint(4, (1,), generator=generator)
    student = tiny(Denoiser, 1)
    noise = torch.randn(latents.shape, generator=generator)
    first = noise - student(noise, torch.ones(3), *conditions)
    again = 0.25 * first + 0.75 * torch.randn(latents.shape, generator=generator)
    expected = again - 0.75 * student(again, torch.full((3,), 0.75), *conditions)
    torch.testing.assert_close(sample, expected, rtol=1e-4, atol=1e-4)


def _exit_of(seed):
    generator = source(seed)
    torch.randint(1, (1,), generator=generator)
    return torch.randint(4, (1,), generator=generator).item()


def test_matching_saves_the_student(tmp_path):
    task = matching()
    task.save({"student": tiny(Denoiser, 1), "critic": task.networks["critic"]}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["denoiser"]
    assert Denoiser.from_pretrained(tmp_path / "denoiser").styles == 7
