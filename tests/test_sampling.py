"""Sampling against formulas worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.sampling import conditioned, euler, guided, seeded_noise

SHAPE = (1, 4, 8, 8)
DATA = seeded_noise(SHAPE, 100)


def toward_data(latent, time, until):
    """The exact velocity when DATA is the only data point: (x_t - x_0) / t."""
    return (latent - DATA) / time


def descending_times():
    below_one = st.lists(st.floats(0.05, 0.95), max_size=6, unique=True)
    return below_one.map(lambda times: [1.0, *sorted(times, reverse=True)])


@given(descending_times())
def test_euler_follows_a_straight_path_exactly(times):
    times = [*times, 0.0]
    noise = seeded_noise(SHAPE, 3)
    for step, time, following in zip(euler(toward_data, noise, times), times, times[1:], strict=False):
        assert step.time == time
        np.testing.assert_allclose(step.estimate, DATA, atol=1e-4)
        np.testing.assert_allclose(step.latent, (1 - following) * DATA + following * noise, atol=1e-4)


def test_euler_on_a_linear_field_is_a_product():
    """dx/dt = 2 x from t = 1 to 0 in n equal steps multiplies by (1 - 2 / n) each time."""
    *_, last = euler(lambda x, t, s: 2 * x, np.ones(3), np.linspace(1, 0, 11).tolist())
    np.testing.assert_allclose(last.latent, 0.8**10)


def test_a_denoiser_is_told_where_its_step_ends():
    told = []

    def denoise(latent, time, until):
        told.append((time, until))
        return latent

    list(euler(denoise, DATA, [1.0, 0.5, 0.0]))
    assert told == [(1.0, 0.5), (0.5, 0.0)]


def test_the_average_velocity_makes_any_step_exact():
    """dx/dt = x has x_s = x_t exp(s - t), so its average over the step is x_t (exp(s - t) - 1) / (s - t)."""
    *_, last = euler(lambda x, t, s: x * np.expm1(s - t) / (s - t), np.ones(3), [1.0, 0.7, 0.0])
    np.testing.assert_allclose(last.latent, np.exp(-1))


def test_the_sampler_goes_on_from_a_replaced_latent():
    seen = []

    def denoise(latent, time, until):
        seen.append(latent)
        return latent

    for step in euler(denoise, seeded_noise(SHAPE, 0), [1.0, 0.5, 0.0]):
        if step.index == 0:
            step.latent = DATA
    assert seen[1] is DATA


def test_torch_and_numpy_agree_and_keep_float32():
    torch = pytest.importorskip("torch")

    def run(noise, sin):
        *_, last = euler(lambda x, t, s: sin(x * t), noise, [1.0, 0.6, 0.0])
        return last.latent

    noise = seeded_noise(SHAPE, 5)
    by_numpy, by_torch = run(noise, np.sin), run(torch.from_numpy(noise), torch.sin)
    assert by_numpy.dtype == np.float32
    assert by_torch.dtype == torch.float32
    np.testing.assert_allclose(by_torch.numpy(), by_numpy, atol=1e-6)


def test_noise_is_unit_normal_and_repeats():
    noise = seeded_noise((200, 500), 7)
    assert noise.dtype == np.float32
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 1) < 0.01
    np.testing.assert_array_equal(noise, seeded_noise((200, 500), 7))
    assert (noise != seeded_noise((200, 500), 8)).mean() > 0.99


def test_guidance_goes_past_the_conditional_velocity():
    denoise = guided(lambda latent, time, until: latent * 0 + 3 + time, lambda latent, time, until: latent * 0 + 1, 2.5)
    np.testing.assert_allclose(denoise(np.zeros((1, 2), np.float32), 0.5, 0.0), 1 + 2.5 * (3.5 - 1))


def test_a_network_that_averages_takes_the_end_as_well():
    given = {}

    def velocity(**inputs):
        given.update(inputs)
        return inputs["latent"]

    conditioned(velocity, {"words": np.ones(1)}, None, averages=True)(np.zeros(2), 0.5, 0.25)
    assert {name: given[name].tolist() for name in ("time", "until")} == {"time": [0.5], "until": [0.25]}
    assert given["until"].dtype == np.float32


def test_a_guided_network_is_told_its_condition_and_nothing():
    seen = []

    def velocity(latent, time, words):
        seen.append((time.tolist(), words.tolist()))
        return latent * 0 + words.sum()

    plain, guided_twice = (
        conditioned(velocity, {"words": np.ones((1, 3), np.float32)}, scale) for scale in (None, 2.0)
    )
    latent = np.zeros((1, 2), np.float32)
    np.testing.assert_array_equal(plain(latent, 0.5, 0.0), 3)
    np.testing.assert_array_equal(guided_twice(latent, 0.5, 0.0), 6)  # 0 + 2 (3 - 0)
    assert sorted(words for _, words in seen) == [[[0, 0, 0]], [[1, 1, 1]], [[1, 1, 1]]]
    assert all(time == [0.5] for time, _ in seen)
