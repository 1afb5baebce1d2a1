"""Few-step distillation: the average over a step, and which way samples are moved."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from small_latents import small_latents
from tiny_networks import tiny
from torch import nn

from mobigen.diffusion.flow import shifted_times
from mobigen.distill.steps import DistributionMatching, TrajectoryRegression
from mobigen.models.denoiser import Denoiser
from mobigen.train.flow import guided_velocity, sample_teacher

TIMES = (1.0, 0.9, 0.75, 0.5, 0.0)
SCHEDULES = ((1.0, 0.0), (1.0, 0.75, 0.0), TIMES)
STEPS = [step for schedule in SCHEDULES for step in pairwise(schedule)]


def source(seed=0):
    return torch.Generator().manual_seed(seed)


# --- regression ---------------------------------------------------------------------------------------------


def regression(count=5):
    return TrajectoryRegression(tiny(Denoiser, 1, averages=True), tiny(Denoiser), small_latents(), STEPS, 2.0, count)


def test_a_trajectory_is_the_teachers_walk():
    task = regression()
    task.loss("student", 2, source())
    points, times, told = task.trajectories
    assert points.shape == (5, 5, 4, 4, 4)
    torch.testing.assert_close(times, torch.tensor([1.0, 0.9, 0.75, 0.5, 0.0]))
    walk = sample_teacher(tiny(Denoiser), points[:, 0].float(), told, shifted_times(16, 3.0), 2.0)
    for column, step in enumerate((0, 4, 8, 12, 16)):
        torch.testing.assert_close(points[:, column].float(), walk[step], rtol=1e-2, atol=1e-2)


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


def test_trajectories_can_be_sampled_in_bfloat16_on_a_processor(monkeypatch):
    monkeypatch.setattr(TrajectoryRegression, "CHUNK", 2)
    task = regression()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.isfinite(task.loss("student", 2, source()).value)
    assert task.trajectories.points.dtype == torch.float16


def test_sampling_says_how_far_it_is(monkeypatch):
    monkeypatch.setattr(TrajectoryRegression, "CHUNK", 2)
    task, lines = regression(), []
    task.tell = lines.append
    for seed in range(2):
        task.loss("student", 2, source(seed))
    assert lines[0].startswith("sampling 5 trajectories of the teacher")
    assert lines[1:] == [f"sampled {done} of 5 trajectories" for done in (2, 4, 5)]


def test_a_step_by_its_velocity_ends_where_the_trajectory_goes():
    task = regression()
    drawn = task.draw(64, source())
    ended = drawn.noisy + (drawn.until - drawn.time)[:, None, None, None] * drawn.velocity
    points, times, _ = task.trajectories
    for row in range(64):
        begin, end = (int((times == each[row]).nonzero()) for each in (drawn.time, drawn.until))
        walk = int((points[:, begin].float() == drawn.noisy[row]).flatten(1).all(1).nonzero()[0])
        torch.testing.assert_close(ended[row], points[walk, end].float(), rtol=1e-3, atol=1e-3)
    found = {(float(time), float(until)) for time, until in zip(drawn.time, drawn.until, strict=True)}
    assert found == {tuple(torch.tensor(step).tolist()) for step in STEPS}


def test_the_loss_is_the_error_of_the_average_velocity():
    task = regression()
    loss = task.loss("student", 8, source()).value
    drawn, student = task.draw(8, source()), tiny(Denoiser, 1, averages=True)
    velocity = student(drawn.noisy, drawn.time, *drawn.conditions, drawn.until)
    torch.testing.assert_close(loss, (velocity - drawn.velocity).square().mean())


def test_regression_saves_a_denoiser(tmp_path):
    regression().save({"student": tiny(Denoiser, averages=True)}, tmp_path)
    assert Denoiser.from_pretrained(tmp_path / "denoiser").until is not None


# --- distribution matching ----------------------------------------------------------------------------------


def matching(schedules=SCHEDULES):
    torch.manual_seed(0)
    teacher, latents = tiny(Denoiser), small_latents()
    kept = TrajectoryRegression(tiny(Denoiser, 1, averages=True), teacher, latents, list(pairwise(TIMES))[:-1], 2.0, 5)
    return DistributionMatching(tiny(Denoiser, 1, averages=True), teacher, latents, schedules, 2.0, kept)


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
    """A student that notes its steps, and whether it learns from them."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.calls = []

    def forward(self, noisy, time, *told):
        self.calls.append((time[0].item(), told[-1][0].item(), torch.is_grad_enabled()))
        return noisy * self.scale


def test_only_the_last_step_learns():
    task = matching()
    walks = set()
    for seed in range(60):
        student = task.networks["student"] = Recording()
        task.loss("student", 2, source(seed))
        assert [learns for *_, learns in student.calls] == [False] * (len(student.calls) - 1) + [True]
        walks.add(tuple(round(until, 4) for _, until, _ in student.calls))
    assert walks == {tuple(schedule[1:]) for schedule in SCHEDULES}


def test_samples_are_the_students_own_walk():
    task = matching([TIMES])
    latents, conditions = batch()
    student = tiny(Denoiser, 1, averages=True)
    noise = torch.randn(latents.shape, generator=source(4))
    noisy, time = task._before_last_step(noise, conditions, source())
    x = noise
    for begin, end in pairwise(TIMES[:-1]):
        x = x + (end - begin) * student(x, torch.full((3,), begin), *conditions, torch.full((3,), end))
    torch.testing.assert_close(noisy, x, rtol=1e-4, atol=1e-4)
    kept = task.kept.draw(4, source())
    sample, regression = task._last_step(noisy, time, conditions, kept)
    torch.testing.assert_close(sample, x - 0.5 * student(x, time, *conditions, torch.zeros(3)), rtol=1e-4, atol=1e-4)
    error = student(kept.noisy, kept.time, *kept.conditions, kept.until) - kept.velocity
    torch.testing.assert_close(regression, error.square().mean(), rtol=1e-4, atol=1e-5)


def test_what_is_kept_is_part_of_the_students_loss():
    loss = matching().loss("student", 3, source(5))
    parts = loss.parts
    torch.testing.assert_close(loss.value.detach(), parts["matching"] + 3e-3 * parts["fools"] + parts["regression"])


def test_matching_saves_the_student(tmp_path):
    task = matching()
    task.save({"student": tiny(Denoiser, 1, averages=True), "critic": task.networks["critic"]}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["denoiser"]
    assert Denoiser.from_pretrained(tmp_path / "denoiser").styles == 7
