"""Samplers against formulas worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.sampling import conditioned, euler, few_step, guided, noise_source, seeded_noise

SHAPE = (1, 4, 8, 8)
DATA = seeded_noise(SHAPE, 100)


def toward_data(latent, time, until):
    """The exact velocity when DATA is the only data point: (x_t - x_0) / t."""
    return (latent - DATA) / time


def descending_times():
    below_one = st.lists(st.floats(0.05, 0.95), max_size=6, unique=True)
    return below_one.map(lambda times: [1.0, *sorted(times, reverse=True)])


@given(descending_times(), st.integers(0, 2**32 - 1))
def test_few_step_finds_the_only_data_point_with_any_times(times, seed):
    noise = noise_source(SHAPE, seed)
    steps = list(few_step(toward_data, noise(), times, noise))
    assert [step.time for step in steps] == times
    assert [step.index for step in steps] == list(range(len(times)))
    for step in steps:
        np.testing.assert_allclose(step.estimate, DATA, atol=1e-4)
    np.testing.assert_array_equal(steps[-1].latent, steps[-1].estimate)


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


def test_few_step_puts_fresh_noise_on_the_estimate():
    fresh = [np.full(2, 10.0), np.full(2, 20.0)]
    steps = list(few_step(lambda x, t, s: x - 1, np.full(2, 5.0), [1.0, 0.5, 0.25], lambda: fresh.pop(0)))
    # x0 = x - t (x - 1): 1; then x = 0.5 * 1 + 0.5 * 10 = 5.5, x0 = 3.25; then x = 0.75 * 3.25 + 0.25 * 20
    np.testing.assert_allclose([step.estimate[0] for step in steps], [1.0, 3.25, 7.4375 - 0.25 * 6.4375])
    np.testing.assert_allclose([step.latent[0] for step in steps][:2], [5.5, 7.4375])
    assert not fresh


def test_a_denoiser_is_told_where_its_step_ends():
    told = []

    def denoise(latent, time, until):
        told.append((time, until))
        return latent

    noise = noise_source(SHAPE, 0)
    list(euler(denoise, noise(), [1.0, 0.5, 0.0]))
    list(few_step(denoise, noise(), [1.0, 0.5], noise))
    assert told == [(1.0, 0.5), (0.5, 0.0), (1.0, 0.0), (0.5, 0.0)]


def test_the_average_velocity_makes_any_step_exact():
    """dx/dt = x has x_s = x_t exp(s - t), so its average over the step is x_t (exp(s - t) - 1) / (s - t)."""
    *_, last = euler(lambda x, t, s: x * np.expm1(s - t) / (s - t), np.ones(3), [1.0, 0.7, 0.0])
    np.testing.assert_allclose(last.latent, np.exp(-1))


@pytest.mark.parametrize("sampler", ["few_step", "euler"])
def test_a_sampler_goes_on_from_a_replaced_latent(sampler):
    seen = []

    def denoise(latent, time, until):
        seen.append(latent)
        return latent

    noise = noise_source(SHAPE, 0)
    steps = few_step(denoise, noise(), [1.0, 0.5], noise) if sampler == "few_step" else None
    for step in steps or euler(denoise, noise(), [1.0, 0.5, 0.0]):
        if step.index == 0:
            step.latent = DATA
    assert seen[1] is DATA


@pytest.mark.parametrize("sampler", ["few_step", "euler"])
def test_torch_and_numpy_agree_and_keep_float32(sampler):
    torch = pytest.importorskip("torch")

    def run(noises, sin):
        noises = iter(noises)
        if sampler == "few_step":
            steps = few_step(lambda x, t, s: sin(x * t), next(noises), [1.0, 0.6, 0.3], lambda: next(noises))
        else:
            steps = euler(lambda x, t, s: sin(x * t), next(noises), [1.0, 0.6, 0.0])
        return list(steps)[-1].latent

    draw = noise_source(SHAPE, 5)
    noises = [draw() for _ in range(3)]
    by_numpy = run(noises, np.sin)
    by_torch = run([torch.from_numpy(noise) for noise in noises], torch.sin)
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


def test_a_noise_source_never_repeats_itself():
    source = noise_source(SHAPE, 7)
    first, second = source(), source()
    np.testing.assert_array_equal(first, seeded_noise(SHAPE, 7))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.2


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
