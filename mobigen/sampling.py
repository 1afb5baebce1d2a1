"""Sampling: from noise (t = 1) to data (t = 0) by a denoiser.

Time and velocity follow flow matching (Lipman et al., arXiv:2210.02747) on the straight path

    x_t = (1 - t) x_0 + t noise,    velocity = noise - x_0,    so  x_0 = x_t - t velocity.

A denoiser is also told until which time its velocity is to hold: few-step students answer with the average over the
step (mean velocity, Geng et al., arXiv:2505.13447), other networks with the velocity where it begins.

The sampler is a generator that yields a `Step` per call of the denoiser, so that progress, previews and cancelling
belong to the caller. The arithmetic is plain, so NumPy arrays and torch tensors both work.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

__all__ = ["Denoiser", "Step", "conditioned", "euler", "guided", "seeded_noise"]

Array = Any  # a NumPy array or a torch tensor of floats; the sampler returns the kind that it was given
Denoiser = Callable[[Array, float, float], Array]  # (x_t, t, until) -> velocity, of the shape of x_t


@dataclass
class Step:
    """What one call of the denoiser led to.

    Assigning to `latent` before the next step is asked for makes the sampler go on from that value.
    """

    index: int  # 0, 1, 2, ... in the order of the calls
    time: float  # t at which the denoiser was called, in (0, 1]
    estimate: Array  # x_0 as seen from this step
    latent: Array  # x at the next time; after the last step, the sample


def euler(denoise: Denoiser, noise: Array, times: Sequence[float]) -> Iterator[Step]:
    """Integrate dx/dt = velocity with Euler's method (arXiv:2210.02747, section 2).

    Args:
        denoise: (x_t, t, next t) -> velocity, of the shape of x_t.
        noise: unit normal latent of any shape, x at times[0].
        times: descending from 1 to 0; n + 1 times make n calls of the denoiser.
    """
    latent = noise
    for index, (time, next_time) in enumerate(pairwise(times)):
        velocity = denoise(latent, time, next_time)
        step = Step(index, time, latent - time * velocity, latent + (next_time - time) * velocity)
        yield step
        latent = step.latent


def guided(conditional: Denoiser, unconditional: Denoiser, scale: float) -> Denoiser:
    """A denoiser with classifier-free guidance (Ho and Salimans, arXiv:2207.12598): u + scale (c - u).

    For a model that does not have it folded in; each call costs two evaluations.
    """

    def denoise(latent: Array, time: float, until: float) -> Array:
        without = unconditional(latent, time, until)
        return without + scale * (conditional(latent, time, until) - without)

    return denoise


def conditioned(
    velocity: Callable[..., np.ndarray],
    condition: Mapping[str, np.ndarray],
    guidance: float | None,
    averages: bool = False,
) -> Denoiser:
    """A network of batch 1 as a denoiser that is told `condition`, guided against being told nothing if asked.

    Args:
        velocity: called with latent, time (1,) in float32 and the entries of `condition`, by name.
        condition: what the network is told; zeros in all of it mean nothing.
        guidance: the scale of `guided`; None for one evaluation a call.
        averages: whether the network also takes `until` (1,) in float32.
    """

    def told(known: Mapping[str, np.ndarray]) -> Denoiser:
        def denoise(latent: np.ndarray, time: float, until: float) -> np.ndarray:
            times = {"time": time, "until": until} if averages else {"time": time}
            return velocity(latent=latent, **{name: np.full((1,), t, np.float32) for name, t in times.items()}, **known)

        return denoise

    if guidance is None:
        return told(condition)
    return guided(told(condition), told({name: np.zeros_like(each) for name, each in condition.items()}), guidance)


def seeded_noise(shape: Sequence[int], seed: int) -> np.ndarray:
    """Unit normal float32 noise from PCG64."""
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(tuple(shape), dtype=np.float32)
