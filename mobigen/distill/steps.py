"""Few-step distillation of a guided denoiser: first along the teacher's trajectories, then to its distribution.

One student serves every schedule of times; guidance is folded in, so a step costs one evaluation without a second,
unconditional one. Regression warms the student up (alone it blurs), distribution matching and a discriminator sharpen.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.data.draw import draw_indices, host_generator
from mobigen.data.latents import Conditions, LatentSet
from mobigen.diffusion.flow import clean_estimate, interpolate, logit_normal_times, noise_like
from mobigen.models.denoiser import Denoiser
from mobigen.sampling import few_step
from mobigen.train.flow import guided_velocity, sample_teacher
from mobigen.train.task import Loss, bare

__all__ = ["DistributionMatching", "TrajectoryRegression"]


class Trajectories(NamedTuple):
    """Points (N, K + 1, C, h, w) of N walks at K `times` (K,) and at their end, and what the teacher was told."""

    points: Tensor
    times: Tensor
    conditions: Conditions


class TrajectoryRegression:
    """Regression onto the ends of the teacher's guided trajectories.

    From the points of a trajectory at its own times, the student predicts where the trajectory ends: progressive
    distillation (Salimans and Ho, arXiv 2202.00512) in one go.
    """

    TEACHER_STEPS = 16
    CHUNK = 1024  # trajectories sampled at once

    def __init__(
        self,
        student: Denoiser,
        teacher: Denoiser,
        latents: LatentSet,
        times: Sequence[float],
        guidance: float,
        count: int,
    ):
        """`times` are multiples of 1 / TEACHER_STEPS; `count` trajectories are sampled at the first loss, and kept."""
        self.networks: dict[str, nn.Module] = {"student": student}
        self.frozen: dict[str, nn.Module] = {"teacher": teacher}
        self.latents, self.times, self.guidance, self.count = latents, list(times), guidance, count
        self.trajectories: Trajectories | None = None

    def turn(self, step: int) -> str:
        return "student"

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        if self.trajectories is None:
            self.trajectories = self._sample(generator.device)
        points, times, told = self.trajectories
        drawn = draw_indices(self.count, batch_size, generator)
        index = draw_indices(len(self.times), batch_size, generator)
        noisy, time, end = points[drawn, index], times[index], points[drawn, -1]
        conditions = Conditions(*(part[drawn] for part in told))
        velocity = self.networks[turn](noisy, time, *conditions).float()
        return Loss(F.mse_loss(clean_estimate(noisy, velocity, time), end), {})

    def _sample(self, device: torch.device) -> Trajectories:
        """Walks the teacher from noise to data; with the same seed whenever a run resumes, and in every process."""
        generator = torch.Generator(device).manual_seed(1)
        keep = [round((1 - time) * self.TEACHER_STEPS) for time in self.times] + [self.TEACHER_STEPS]
        points, told = [], []
        for _ in range(0, self.count, self.CHUNK):
            clean, conditions = self.latents.draw(min(self.CHUNK, self.count), generator)
            path = sample_teacher(
                self.frozen["teacher"], noise_like(clean, generator), conditions, self.TEACHER_STEPS, self.guidance
            )
            points.append(torch.stack([path[index] for index in keep], dim=1))
            told.append(conditions)
        conditions = Conditions(*(torch.cat(parts)[: self.count] for parts in zip(*told, strict=True)))
        return Trajectories(torch.cat(points)[: self.count], torch.tensor(self.times, device=device), conditions)

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        student: Any = averaged["student"]
        student.save_component(folder)


class Critic(nn.Module):
    """A score model of the student's samples, with a discriminator on its tokens (DMD2, arXiv 2405.14867, sec. 4.3)."""

    def __init__(self, denoiser: Denoiser, dim: int):
        super().__init__()
        self.denoiser = denoiser
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, 1))

    def forward(self, noisy: Tensor, time: Tensor, *conditions: Tensor) -> tuple[Tensor, Tensor]:
        """-> velocity (B, C, h, w) and logits (B, N), one a token: above 0 for data, below for samples."""
        velocity, tokens = self.denoiser.evaluate(noisy, time, *conditions)
        return velocity.float(), self.head(tokens).squeeze(-1).float()


class DistributionMatching:
    """DMD2 (Yin et al., arXiv 2405.14867): the student's samples are moved from where the critic says they are denser
    than the teacher's to where they are thinner.

    Times are the student's own: a schedule and an exit are drawn, the steps before the exit run without gradient on the
    student's own samples (backward simulation), and the prediction at the exit is trained.
    """

    CRITIC_UPDATES = 2  # for each of the student
    STUDENT_GAN, CRITIC_GAN = 3e-3, 1e-2  # weights of the adversarial terms
    TIMES = (0.02, 0.98)  # at which the two scores are compared

    def __init__(
        self,
        student: Denoiser,
        teacher: Denoiser,
        latents: LatentSet,
        schedules: Sequence[Sequence[float]],
        guidance: float,
    ):
        """`schedules` are times from 1 downwards that the student is to serve; `guidance` is the teacher's."""
        critic = Critic(copy.deepcopy(teacher), teacher.position.shape[-1])
        self.networks: dict[str, nn.Module] = {"student": student, "critic": critic}
        self.frozen: dict[str, nn.Module] = {"teacher": teacher}
        self.latents, self.schedules, self.guidance = latents, schedules, guidance

    def turn(self, step: int) -> str:
        return "student" if step % (self.CRITIC_UPDATES + 1) == self.CRITIC_UPDATES else "critic"

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        real, conditions = self.latents.draw(batch_size, generator)
        if turn == "student":
            fake = self._samples(real, conditions, generator, self.networks["student"])
            return self._student_loss(fake, conditions, generator)
        with torch.no_grad():
            fake = self._samples(real, conditions, generator, bare(self.networks["student"]))
        return self._critic_loss(fake, real, conditions, generator)

    def _samples(self, like: Tensor, conditions: Conditions, generator: torch.Generator, at_exit: nn.Module) -> Tensor:
        """The student's estimate of x_0 at a random exit of a random schedule, where it runs as `at_exit`.

        The steps before the exit differ in number between processes, and have no gradients.
        """
        host = host_generator(generator)
        schedule = self.schedules[int(draw_indices(len(self.schedules), 1, host))]
        last = int(draw_indices(len(schedule), 1, host))
        students = iter([bare(self.networks["student"])] * last + [at_exit])

        def denoise(noisy: Tensor, time: float) -> Tensor:
            times = torch.full((len(noisy),), time, device=noisy.device)
            return next(students)(noisy, times, *conditions).float()

        noise = noise_like(like, generator)
        steps = few_step(denoise, noise, schedule[: last + 1], lambda: noise_like(like, generator))
        with torch.no_grad():
            for _ in range(last):
                next(steps)
        return next(steps).estimate

    def _student_loss(self, fake: Tensor, conditions: Conditions, generator: torch.Generator) -> Loss:
        """Gradient (mu_fake - mu_real) / mean |x - mu_real| with respect to the sample x (DMD2, eq. 1; DMD, eq. 7)."""
        low, high = self.TIMES
        time = low + (high - low) * torch.rand(len(fake), generator=generator, device=fake.device)
        noisy = interpolate(fake, noise_like(fake, generator), time)
        velocity, logits = bare(self.networks["critic"])(noisy, time, *conditions)
        with torch.no_grad():
            guided = guided_velocity(self.frozen["teacher"], noisy, time, conditions, self.guidance)
            mu_real, mu_fake = clean_estimate(noisy, guided, time), clean_estimate(noisy, velocity, time)
            size = (fake - mu_real).abs().mean((1, 2, 3), keepdim=True).clamp(min=1e-3)
            target = fake - (mu_fake - mu_real) / size
        matching = 0.5 * F.mse_loss(fake, target)
        adversarial = F.softplus(-logits).mean()
        parts = {"matching": matching.detach(), "fools": adversarial.detach()}
        return Loss(matching + self.STUDENT_GAN * adversarial, parts)

    def _critic_loss(self, fake: Tensor, real: Tensor, conditions: Conditions, generator: torch.Generator) -> Loss:
        """Flow matching on the samples, and telling them from data at the same times."""
        time = logit_normal_times(len(fake), generator)
        noise = noise_like(fake, generator)
        both = torch.cat([interpolate(fake, noise, time), interpolate(real, noise, time)])
        doubled = Conditions(*(torch.cat([part, part]) for part in conditions))
        velocity, logits = self.networks["critic"](both, torch.cat([time, time]), *doubled)
        flow = F.mse_loss(velocity[: len(fake)], noise - fake)
        on_fake, on_real = logits.chunk(2)
        tells = F.softplus(on_fake).mean() + F.softplus(-on_real).mean()
        return Loss(flow + self.CRITIC_GAN * tells, {"flow": flow.detach(), "tells": tells.detach()})

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        student: Any = averaged["student"]
        student.save_component(folder)
