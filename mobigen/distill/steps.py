"""Few-step distillation of a guided denoiser: first along the teacher's trajectories, then to its distribution.

One student serves every schedule of times. It is told where its step ends and predicts the average velocity over it,
with guidance folded in, so a step costs one evaluation. Regression makes it follow the teacher, closely where steps
are short; what a long step blurs, distribution matching and a discriminator sharpen.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.data.draw import draw_indices, host_generator
from mobigen.data.latents import Conditions, LatentSet
from mobigen.diffusion.flow import clean_estimate, interpolate, logit_normal_times, noise_like, shifted_times
from mobigen.models.denoiser import Denoiser
from mobigen.sampling import euler
from mobigen.train.flow import SHIFT, guided_velocity, sample_teacher
from mobigen.train.task import Loss, bare

__all__ = ["DistributionMatching", "TrajectoryRegression"]


class Trajectories(NamedTuple):
    """Points (N, K, C, h, w) in float16 of N walks at `times` (K,), and what the teacher was told."""

    points: Tensor
    times: Tensor
    conditions: Conditions


class Steps(NamedTuple):
    """Steps of trajectories: from `noisy` (B, C, h, w) at `time` (B,) until (B,) with the average `velocity`."""

    noisy: Tensor
    time: Tensor
    until: Tensor
    conditions: Conditions
    velocity: Tensor


class TrajectoryRegression:
    """Regression onto steps of the teacher's guided trajectories, long ones and short ones at once.

    The student learns (x_s - x_t) / (s - t) for each pair of times t > s that a schedule has: progressive distillation
    (Salimans and Ho, arXiv 2202.00512) in one go, with the step's end as an input (Frans et al., arXiv 2410.12557).
    """

    TEACHER_STEPS = 16
    CHUNK = 256  # trajectories sampled at once: minutes on a processor

    def __init__(
        self,
        student: Denoiser,
        teacher: Denoiser,
        latents: LatentSet,
        steps: Sequence[tuple[float, float]],
        guidance: float,
        count: int,
        tell: Callable[[str], None] = lambda line: None,
    ):
        """`steps` are pairs of the teacher's times; `count` trajectories are sampled at the first loss, and kept.

        `tell` is told a line before that, and whenever a part of them is done.
        """
        self.networks: dict[str, nn.Module] = {"student": student}
        self.frozen: dict[str, nn.Module] = {"teacher": teacher}
        self.latents, self.guidance, self.count, self.tell = latents, guidance, count, tell
        self.times = sorted({time for step in steps for time in step}, reverse=True)
        self.columns = torch.tensor([[self.times.index(time) for time in step] for step in steps])
        self.trajectories: Trajectories | None = None

    def turn(self, step: int) -> str:
        return "student"

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        steps = self.draw(batch_size, generator)
        velocity = self.networks[turn](steps.noisy, steps.time, *steps.conditions, steps.until).float()
        return Loss(F.mse_loss(velocity, steps.velocity), {})

    def draw(self, batch_size: int, generator: torch.Generator) -> Steps:
        """Random steps of random trajectories, on the generator's device."""
        if self.trajectories is None:
            self.columns = self.columns.to(generator.device)
            self.trajectories = self._sample(generator.device)
        points, times, told = self.trajectories
        drawn = draw_indices(self.count, batch_size, generator)
        begin, end = self.columns[draw_indices(len(self.columns), batch_size, generator)].unbind(1)
        noisy, goal = points[drawn, begin].float(), points[drawn, end].float()
        time, until = times[begin], times[end]
        velocity = (goal - noisy) / (until - time)[:, None, None, None]
        return Steps(noisy, time, until, Conditions(*(part[drawn] for part in told)), velocity)

    def _sample(self, device: torch.device) -> Trajectories:
        """Walks the teacher from noise to data; with the same seed whenever a run resumes, and in every process."""
        generator = torch.Generator(device).manual_seed(1)
        walk = shifted_times(self.TEACHER_STEPS, SHIFT)
        keep = [walk.index(time) for time in self.times]
        points, told = [], []
        self.tell(f"sampling {self.count} trajectories of the teacher; few --max-train-steps need fewer")
        for start in range(0, self.count, self.CHUNK):
            clean, conditions = self.latents.draw(min(self.CHUNK, self.count), generator)
            noise = noise_like(clean, generator)
            path = sample_teacher(self.frozen["teacher"], noise, conditions, walk, self.guidance)
            points.append(torch.stack([path[index] for index in keep], dim=1).half())
            told.append(conditions)
            self.tell(f"sampled {min(start + self.CHUNK, self.count)} of {self.count} trajectories")
        with torch.autocast(device.type, enabled=False):  # which on a processor joins no float16
            conditions = Conditions(*(torch.cat(parts)[: self.count] for parts in zip(*told, strict=True)))
            return Trajectories(torch.cat(points)[: self.count], torch.tensor(self.times, device=device), conditions)

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        student: Any = averaged["student"]
        student.save_component(folder)


class Judged(NamedTuple):
    """velocity (B, C, h, w), and logits (B, N), one a token: above 0 for data, below for samples."""

    velocity: Tensor
    logits: Tensor


class Critic(nn.Module):
    """A score model of the student's samples, with a discriminator on its tokens (DMD2, arXiv 2405.14867, sec. 4.3)."""

    def __init__(self, denoiser: Denoiser, dim: int):
        super().__init__()
        self.denoiser = denoiser
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, 1))

    def forward(self, noisy: Tensor, time: Tensor, text_states: Tensor, text_mask: Tensor, style: Tensor) -> Judged:
        """Score samples `noisy` (B, C, h, w) at `time` (B,), as they were made: see `Denoiser.forward`."""
        condition = self.denoiser.condition(time, text_states, text_mask, style)
        tokens = self.denoiser.tokens(noisy, condition, text_states, text_mask)
        return Judged(self.denoiser.velocity(tokens, condition).float(), self.head(tokens).squeeze(-1).float())


class DistributionMatching:
    """DMD2 (Yin et al., arXiv 2405.14867): the student's samples are moved from where the critic says they are denser
    than the teacher's to where they are thinner.

    A schedule is drawn, its steps but the last run without gradient on the student's own samples (backward simulation),
    and the last one is trained. What keeps the steps before it where they are is regression, in the same pass.
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
        kept: TrajectoryRegression,
    ):
        """`schedules` are times from 1 to 0 that the student serves; `guidance` is the teacher's; `kept` draws the
        steps that are to stay as they are, those that are no schedule's last."""
        critic = Critic(copy.deepcopy(teacher), teacher.position.shape[-1])
        self.networks: dict[str, nn.Module] = {"student": student, "critic": critic}
        self.frozen: dict[str, nn.Module] = {"teacher": teacher}
        self.latents, self.schedules, self.guidance, self.kept = latents, schedules, guidance, kept

    def turn(self, step: int) -> str:
        return "student" if step % (self.CRITIC_UPDATES + 1) == self.CRITIC_UPDATES else "critic"

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        real, conditions = self.latents.draw(batch_size, generator)
        noisy, time = self._before_last_step(noise_like(real, generator), conditions, generator)
        if turn == "student":
            steps = self.kept.draw(batch_size, generator)
            fake, regression = self._last_step(noisy, time, conditions, steps)
            loss = self._student_loss(fake, conditions, generator)
            return Loss(loss.value + regression, {**loss.parts, "regression": regression.detach()})
        with torch.no_grad():
            velocity = bare(self.networks["student"])(noisy, time, *conditions, torch.zeros_like(time)).float()
        return self._critic_loss(clean_estimate(noisy, velocity, time), real, conditions, generator)

    @torch.no_grad()
    def _before_last_step(
        self, noise: Tensor, conditions: Conditions, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """The student's latents (B, C, h, w) before the last step of a random schedule, and their time (B,)."""
        student = bare(self.networks["student"])

        def denoise(noisy: Tensor, time: float, until: float) -> Tensor:
            times, ends = (torch.full((len(noisy),), each, device=noisy.device) for each in (time, until))
            return student(noisy, times, *conditions, ends).float()

        chosen = draw_indices(len(self.schedules), 1, host_generator(generator))
        *before, _ = self.schedules[int(chosen)]
        latent = noise
        for step in euler(denoise, noise, before):
            latent = step.latent
        return latent, torch.full((len(noise),), before[-1], device=noise.device)

    def _last_step(self, noisy: Tensor, time: Tensor, conditions: Conditions, kept: Steps) -> tuple[Tensor, Tensor]:
        """The student's samples, and the loss of the steps that are `kept`, in one pass."""
        told = [torch.cat(parts) for parts in zip(conditions, kept.conditions, strict=True)]
        times, until = torch.cat([time, kept.time]), torch.cat([torch.zeros_like(time), kept.until])
        velocity = self.networks["student"](torch.cat([noisy, kept.noisy]), times, *told, until).float()
        last, others = velocity.split([len(noisy), len(kept.noisy)])
        return clean_estimate(noisy, last, time), F.mse_loss(others, kept.velocity)

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
