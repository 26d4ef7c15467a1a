"""Devices: the laws that programmed, aged and worn cells obey, the presets against the published fits, and what is refused.

Statistical tests use fixed seeds. A mean of n numbers of standard deviation s is allowed 5 s / sqrt(n), a standard deviation
5 sqrt((m4 / s^2 - s^2) / (4 n)) with m4 the fourth central moment (the delta method: Var(s^2) = (m4 - s^4) / n and
ds = ds^2 / 2s), which for normal numbers is 5 s / sqrt(2 n); a share p, 5 sqrt(p (1 - p) / n).
"""

from __future__ import annotations

import copy
import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from mho.errors import DeviceError
from mho.machine.analog.devices import Device

N = 20_000
GENERIC = Device.load("generic")
WIDE = GENERIC.override({"on_off": 1.2})
"""A pedestal of 5 ranges, so that nothing is cut at 0."""


def cells(cell_bits: int, n: int = N) -> np.ndarray:
    """Return n cells of every level, shape (L, n)."""
    return np.repeat(np.arange(2**cell_bits, dtype=np.uint8)[:, None], n, axis=1)


def program(device: Device, cell_bits: int = 2, n: int = N, seed: int = 1, **rest: Any) -> np.ndarray:
    return device.program(cells(cell_bits, n), cell_bits, (3, 4), seed=seed, **rest)


def targets(device: Device, cell_bits: int) -> np.ndarray:
    return np.arange(2**cell_bits) + device.pedestal(cell_bits)


def matches(found: np.ndarray, mean: float, deviation: float) -> None:
    """Assert that the numbers have this mean and standard deviation, within five standard errors."""
    n, centred = found.size, found - found.mean()
    assert abs(found.mean() - mean) <= 5 * deviation / math.sqrt(n)
    error = math.sqrt(max(np.mean(centred**4) / deviation**2 - deviation**2, 0) / (4 * n))
    assert abs(found.std() - deviation) <= 5 * error


def cut_normal(mean: float, sigma: float) -> tuple[float, float]:
    """Mean and standard deviation of max(X, 0), X normal."""
    a = mean / sigma
    first = mean * stats.norm.cdf(a) + sigma * stats.norm.pdf(a)
    second = (mean**2 + sigma**2) * stats.norm.cdf(a) + mean * sigma * stats.norm.pdf(a)
    return first, math.sqrt(second - first**2)


# ---------------------------------------------------------------------------------------------------------------- programming


@given(
    bits=st.integers(1, 8),
    ratio=st.floats(1.01, 1e6),
    seed=st.integers(0, 2**63 - 1),
    age=st.floats(0, 1e9),
    writes=st.none() | st.floats(0, 1e15),
)
def test_an_exact_device_conducts_level_and_pedestal(
    bits: int, ratio: float, seed: int, age: float, writes: float | None
) -> None:
    device = GENERIC.override({"on_off": ratio})
    assert device.exact
    assert device.pedestal(bits) == pytest.approx((2**bits - 1) / (ratio - 1), rel=1e-9)
    found = program(device, bits, 3, seed, age_s=age, writes=writes)
    np.testing.assert_array_equal(found, cells(bits, 3) + device.pedestal(bits))
    assert not np.any(device.faults((5, 5), (1,), seed=seed, writes=writes))


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize(("sigma", "shift"), [(0.02, 0.0), (0.1, 0.03), (0.3, -0.1)])
def test_gaussian_variation_has_the_stated_mean_and_spread_at_every_level(
    bits: int, sigma: float, shift: float
) -> None:
    device = WIDE.override({"programming.sigma": sigma, "programming.shift": shift})
    steps = 2**bits - 1
    for found, target in zip(program(device, bits), targets(device, bits), strict=True):
        matches(found, target + shift * steps, sigma * steps)
        # Kolmogorov: P(sqrt(n) D > 2.5) is 2 exp(-2 * 2.5^2) = 7e-6.
        assert stats.kstest(found, "norm", (target + shift * steps, sigma * steps)).statistic < 2.5 / math.sqrt(N)


def test_variation_may_depend_on_the_state() -> None:
    curve = {"points": [[0, 0.01], [0.5, 0.2], [1, 0.05]], "unit": "range"}
    shift = {"polynomial": [0.0, 0.1, -0.2], "unit": "range"}
    device = WIDE.override({"programming.sigma": curve, "programming.shift": shift})
    for level, found in enumerate(program(device, 3)):
        state = level / 7
        sigma = 0.01 + 0.38 * state if state <= 0.5 else 0.2 - 0.3 * (state - 0.5)
        matches(found, level + device.pedestal(3) + 7 * (0.1 * state - 0.2 * state**2), 7 * sigma)


def test_units_of_a_spread() -> None:
    """5 uS, 5 % of a range of 100 uS, and a share of each cell's own conductance."""
    plain = GENERIC.override({"g_on_s": 600e-6, "g_off_s": 500e-6})
    same = [{"value": 5, "unit": "uS"}, {"value": 5e-6, "unit": "S"}, 0.05]
    found = [program(plain.override({"programming.sigma": sigma}), 2, 100) for sigma in same]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-12)
    relative = plain.override({"programming.sigma": {"value": 0.02, "unit": "conductance"}})
    for one, target in zip(program(relative), targets(relative, 2), strict=True):
        matches(one, target, 0.02 * target)


@pytest.mark.parametrize("sigma", [0.05, 0.4])
def test_lognormal_variation_is_normal_in_the_logarithm_with_the_target_as_median(sigma: float) -> None:
    device = GENERIC.override({"on_off": 20, "programming.kind": "lognormal", "programming.sigma": sigma})
    for found, target in zip(program(device), targets(device, 2), strict=True):
        matches(np.log(found), math.log(target), sigma)
    # The median of n numbers has the standard error sigma sqrt(pi / 2n) in the logarithm.
    assert abs(math.log(np.median(found) / target)) < 5 * sigma * math.sqrt(math.pi / (2 * N))
    mean = target * math.exp(sigma**2 / 2)
    matches(found, mean, mean * math.sqrt(math.exp(sigma**2) - 1))
    shifted = device.override({"programming.shift": {"value": 0.2, "unit": "log"}})
    np.testing.assert_allclose(program(shifted, n=50), program(device, n=50) * math.exp(0.2), rtol=1e-12)


def test_lognormal_cells_that_do_not_conduct_when_off_stay_off() -> None:
    device = GENERIC.override({"programming.kind": "lognormal", "programming.sigma": 0.5})
    found = program(device)
    assert np.all(found[0] == 0) and np.all(found[1:] > 0)


def test_conductances_are_never_negative_and_cut_normal_at_level_0() -> None:
    device = GENERIC.override({"programming.sigma": 0.3})
    found = program(device)
    assert found.min() == 0
    for level in range(4):
        matches(found[level], *cut_normal(level, 0.9))


# --------------------------------------------------------------------------------------------------------------- write-verify


@pytest.mark.parametrize("iterations", [0, 1, 4])
@pytest.mark.parametrize("tolerance", [0.05, 0.15])
def test_write_verify_leaves_the_cut_distribution(iterations: int, tolerance: float) -> None:
    """Outside with probability (1 - p)^(n + 1); inside, the normal distribution cut to the tolerance."""
    changes = {"programming.sigma": 0.1, "verify.iterations": iterations, "verify.tolerance": tolerance}
    device = WIDE.override(changes)
    error = (program(device) - targets(device, 2)[:, None]).reshape(-1) / 3
    outside = np.abs(error) > tolerance
    ratio = tolerance / 0.1
    expected = (2 * stats.norm.cdf(-ratio)) ** (iterations + 1)
    assert abs(outside.mean() - expected) <= 5 * math.sqrt(expected * (1 - expected) / error.size)
    inside, left = error[~outside], error[outside]
    assert stats.kstest(inside, stats.truncnorm(-ratio, ratio, scale=0.1).cdf).statistic < 2.5 / math.sqrt(inside.size)
    # Outside, |error| is the tail of the normal beyond the tolerance, whatever the number of iterations.
    tail = stats.norm.sf(np.abs(left) / 0.1) / stats.norm.sf(ratio)
    assert stats.kstest(tail, "uniform").statistic < 2.5 / math.sqrt(left.size)


@given(tolerance=st.floats(0.01, 0.3), first=st.integers(0, 6), more=st.integers(1, 6), seed=st.integers(0, 1000))
def test_cells_within_the_tolerance_are_left_alone(tolerance: float, first: int, more: int, seed: int) -> None:
    device = WIDE.override({"programming.sigma": 0.1, "verify.tolerance": tolerance, "verify.iterations": first})
    before = program(device, 2, 50, seed)
    after = program(device.override({"verify.iterations": first + more}), 2, 50, seed)
    good = np.abs(before - targets(device, 2)[:, None]) <= 3 * tolerance
    np.testing.assert_array_equal(after[good], before[good])
    assert np.all(after[~good] != before[~good])


def test_verify_also_takes_the_mean_error_away() -> None:
    device = WIDE.override({"programming.sigma": 0.1, "programming.shift": 0.1})
    checked = device.override({"verify.tolerance": 0.1, "verify.iterations": 60})
    cut = stats.truncnorm(-2, 0, loc=0.1, scale=0.1)
    for found, target in zip(program(checked), targets(device, 2), strict=True):
        matches((found - target) / 3, cut.mean(), cut.std())


# ------------------------------------------------------------------------------------------------------ seeds, keys and knobs


@given(seed=st.integers(0, 2**40), factor=st.floats(0.01, 3))
def test_the_error_is_proportional_to_sigma(seed: int, factor: float) -> None:
    one, other = WIDE.override({"programming.sigma": 0.1}), WIDE.override({"programming.sigma": 0.1 * factor})
    levels = cells(2, 20)
    exact = levels + WIDE.pedestal(2)
    # Errors are differences of numbers up to 20 (pedestal 15, level 3), each rounded to 2^-49.
    np.testing.assert_allclose(
        program(other, 2, 20, seed) - exact,
        factor * (program(one, 2, 20, seed) - exact),
        rtol=0,
        atol=1e-13 * (1 + factor),
    )


@given(a=st.floats(0, 0.5), b=st.floats(0, 0.5), c=st.floats(0, 0.5), seed=st.integers(0, 1000))
@example(a=0.005, b=0.01, c=0.0, seed=0)
def test_stuck_cells_stay_stuck_as_their_share_grows(a: float, b: float, c: float, seed: int) -> None:
    low, high = sorted((a, b))
    few = GENERIC.override({"stuck.on_share": low, "stuck.off_share": c}).faults((40, 40), (1,), seed=seed)
    many = GENERIC.override({"stuck.on_share": high, "stuck.off_share": c}).faults((40, 40), (1,), seed=seed)
    assert np.all(many[few == 2] == 2)
    np.testing.assert_array_equal(few == 1, many == 1)
    few = GENERIC.override({"stuck.off_share": low, "stuck.on_share": c}).faults((40, 40), (1,), seed=seed)
    many = GENERIC.override({"stuck.off_share": high, "stuck.on_share": c}).faults((40, 40), (1,), seed=seed)
    assert np.all(many[few == 1] == 1)
    np.testing.assert_array_equal(few == 2, many == 2)


KNOBS = {
    "stuck": {"stuck.on_share": 0.1, "stuck.off_share": 0.05},
    "drift": {"drift.nu": 0.02, "drift.nu_spread": 0.01},
    "relaxation": {"relaxation.sigma": 0.05},
    "endurance": {"endurance.median": 1e6},
}


@pytest.mark.parametrize("knob", KNOBS)
def test_a_knob_leaves_the_other_draws_as_they_are(knob: str) -> None:
    """What a knob adds to the error is the same with and without variation, but for rounding."""
    varied = WIDE.override({"programming.sigma": 0.1})
    conditions = {"age_s": 100.0, "writes": 3e5, "n": 200}
    plain, both = (program(device.override(KNOBS[knob]), **conditions) for device in (WIDE, varied))
    alone = program(varied, **conditions)
    exact = program(WIDE, **conditions)
    if knob == "drift":
        np.testing.assert_allclose(both / alone, plain / exact, rtol=1e-12)
    elif knob == "relaxation":
        np.testing.assert_allclose(both - alone, plain - exact, rtol=0, atol=1e-12)
    else:
        hit = plain != exact
        hit |= np.isin(plain, [WIDE.pedestal(2), 3 + WIDE.pedestal(2)]) & (both == plain)
        assert hit.any() and not hit.all()
        np.testing.assert_array_equal(both[hit], plain[hit])
        np.testing.assert_array_equal(both[~hit], alone[~hit])


EVERYTHING = GENERIC.override(
    {
        "on_off": 10,
        "programming.sigma": 0.1,
        "verify.iterations": 2,
        "verify.tolerance": 0.1,
        "stuck.on_share": 0.02,
        "stuck.off_share": 0.02,
        "drift.nu": 0.01,
        "drift.nu_spread": 0.01,
        "relaxation.sigma": 0.01,
        "relaxation.sigma_per_log": 0.01,
        "endurance.median": 1e6,
        "read.sigma": 0.01,
    }
)


def test_draws_depend_on_seed_and_key_alone() -> None:
    keys = [(0, 0), (0, 1), (1, 0), (0,), (), (1,), (2**32,), (0, 0, 0), (2**32, 0), (1, 2**63)]
    levels = cells(2, 30)

    def all_of(order: list[int]) -> dict[int, np.ndarray]:
        return {i: EVERYTHING.program(levels, 2, keys[i], seed=7, age_s=50.0, writes=1e5) for i in order}

    forth, back = all_of(list(range(len(keys)))), all_of(list(reversed(range(len(keys)))))
    for i in range(len(keys)):
        np.testing.assert_array_equal(forth[i], back[i])
    digests = {found.tobytes() for found in forth.values()}
    assert len(digests) == len(keys)
    other = EVERYTHING.program(levels, 2, keys[0], seed=8, age_s=50.0, writes=1e5)
    # The same but for cells that are stuck the same way both times: 2 % each, 1.1 % worn out, some cut to 0.
    assert np.mean(other == forth[0]) < 0.1


def test_neighbouring_keys_seeds_and_purposes_are_not_correlated() -> None:
    """Each correlation of n independent pairs has standard error 1 / sqrt(n)."""
    device = WIDE.override({"programming.sigma": 0.1})
    aged = WIDE.override({"relaxation.sigma": 0.1})
    levels = np.ones(N, dtype=np.uint8)
    draws = [device.program(levels, 2, key, seed=seed) for key in ((0, 0), (0, 1), (1, 0)) for seed in (0, 1)]
    draws += [aged.program(levels, 2, (0, 0), seed=0)]
    correlation = np.corrcoef(draws)
    assert np.max(np.abs(correlation - np.eye(len(draws)))) < 5 / math.sqrt(N)


def test_the_shape_is_that_of_the_levels() -> None:
    levels = np.random.default_rng(0).integers(0, 4, (3, 5, 7)).astype(np.uint8)
    found = EVERYTHING.program(levels, 2, (1,), seed=0, age_s=9.0)
    assert found.shape == levels.shape and found.dtype == np.float64 and found.min() >= 0
    flat = EVERYTHING.program(levels.reshape(-1), 2, (1,), seed=0, age_s=9.0)
    np.testing.assert_array_equal(found.reshape(-1), flat)
    assert EVERYTHING.program(np.zeros((0, 4), dtype=np.uint8), 2, (1,), seed=0).shape == (0, 4)
    given_levels = levels.copy()
    EVERYTHING.program(levels, 2, (1,), seed=0)
    np.testing.assert_array_equal(levels, given_levels)


# --------------------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(("on", "off"), [(0.01, 0.0), (0.0, 0.002), (0.0175, 0.0904), (0.4, 0.6), (1.0, 0.0)])
def test_stuck_shares_are_binomial(on: float, off: float) -> None:
    device = WIDE.override({"stuck.on_share": on, "stuck.off_share": off, "programming.sigma": 0.1})
    faults = device.faults((4, N), (3, 4), seed=1)
    for code, share in ((2, on), (1, off)):
        assert abs(np.mean(faults == code) - share) <= 5 * math.sqrt(share * (1 - share) / faults.size)
    found = program(device)
    assert np.all(found[faults == 2] == 3 + WIDE.pedestal(2))
    assert np.all(found[faults == 1] == WIDE.pedestal(2))
    working = found[faults == 0]
    assert working.size == 0 or np.unique(working).size == working.size


def test_a_fault_map_is_kept_over_writes() -> None:
    device = WIDE.override({"stuck.on_share": 0.05, "stuck.off_share": 0.05, "programming.sigma": 0.1})
    faults = device.faults((4, 500), (9,), seed=1)
    first, second = (device.program(cells(2, 500), 2, (9, i), seed=1, faults=faults) for i in (0, 1))
    np.testing.assert_array_equal(first[faults > 0], second[faults > 0])
    assert np.all(first[faults == 0] != second[faults == 0])


@pytest.mark.parametrize("kind", ["lognormal", "weibull"])
@pytest.mark.parametrize("spread", [0.3, 1.5])
def test_the_share_of_worn_cells_is_the_distribution_function(kind: str, spread: float) -> None:
    device = GENERIC.override({"endurance.kind": kind, "endurance.median": 1e6, "endurance.spread": spread})
    assert not device.exact and device.laws["endurance"] is not None
    if kind == "lognormal":
        life = stats.lognorm(spread, scale=1e6)
    else:
        shape = math.pi / (math.sqrt(6) * spread)
        life = stats.weibull_min(shape, scale=1e6 / math.log(2) ** (1 / shape))
    # The spread is the standard deviation of ln N, by the quantiles of the distribution itself.
    middles = (np.arange(200_000) + 0.5) / 200_000
    assert np.std(np.log(life.ppf(middles))) == pytest.approx(spread, rel=1e-3)
    assert life.median() == pytest.approx(1e6)
    before = np.zeros(N, dtype=bool)
    for writes in (0, 1e4, 3e5, 1e6, 4e6, 1e9):
        failed = device.faults((N,), (2,), seed=5, writes=writes) == 1
        share = life.cdf(writes)
        assert device.laws["endurance"].failed_share(np.asarray(writes)) == pytest.approx(share, rel=1e-9, abs=1e-300)
        assert abs(failed.mean() - share) <= 5 * math.sqrt(share * (1 - share) / N)
        assert np.all(failed[before])
        before = failed


def test_worn_cells_are_stuck_where_the_device_says_and_writes_may_differ_by_cell() -> None:
    device = GENERIC.override({"endurance.median": 1000, "endurance.spread": 0, "endurance.mode": "stuck_on"})
    writes = np.array([[0.0], [999.0], [1000.0], [5000.0]])
    found = program(device, n=10, writes=writes)
    np.testing.assert_array_equal(found, np.array([[0.0], [1], [3], [3]]) * np.ones((1, 10)))
    np.testing.assert_array_equal(program(device, n=10), cells(2, 10))
    broken = device.override({"stuck.off_share": 1.0})
    assert np.all(program(broken, n=10, writes=1e9) == 0)


# --------------------------------------------------------------------------------------------------------------------- ageing


@given(nu=st.floats(-0.1, 0.2), t0=st.floats(1e-3, 1e3), age=st.floats(0, 1e8))
def test_drift_is_the_power_law(nu: float, t0: float, age: float) -> None:
    device = WIDE.override({"drift.nu": nu, "drift.t0_s": t0})
    factor = (age / t0) ** -nu if age > t0 else 1.0
    np.testing.assert_allclose(program(device, n=4, age_s=age), program(WIDE, n=4) * factor, rtol=1e-9)


def test_drift_exponents_spread_by_cell_and_state() -> None:
    nu, spread = {"polynomial": [0.08, -0.05], "unit": "number"}, {"polynomial": [0.004, 0.02], "unit": "number"}
    device = WIDE.override({"drift.nu": nu, "drift.nu_spread": spread, "drift.t0_s": 20})
    early, late = program(device, age_s=200.0), program(device, age_s=20_000.0)
    start = program(WIDE)
    for level in range(4):
        state = level / 3
        exponent = np.log(early[level] / start[level]) / -math.log(10)
        matches(exponent, 0.08 - 0.05 * state, 0.004 + 0.02 * state)
        np.testing.assert_allclose(
            np.log(late[level] / start[level]) / -math.log(1000), exponent, rtol=1e-7, atol=1e-12
        )


def test_relaxation_grows_with_the_logarithm_of_time() -> None:
    changes = {"relaxation.sigma": 0.02, "relaxation.sigma_per_log": 0.01, "relaxation.shift": 0.005}
    device = WIDE.override({**changes, "relaxation.shift_per_log": -0.004, "relaxation.t0_s": 2})
    start = program(WIDE)
    errors = {}
    for age in (0.0, 2.0, 200.0, 1e7):
        log = math.log(max(age, 2.0) / 2)
        errors[age] = (program(device, age_s=age) - start) / 3
        for one in errors[age]:
            matches(one, 0.005 - 0.004 * log, 0.02 + 0.01 * log)
    np.testing.assert_array_equal(errors[0.0], errors[2.0])
    # A cell keeps its place among the cells: errors at two ages are in one line.
    assert np.corrcoef(errors[2.0][1], errors[1e7][1])[0, 1] == pytest.approx(1.0, abs=1e-9)


def test_relaxation_between_two_times_is_a_line_in_the_logarithm() -> None:
    device = Device.load("neurram")
    assert device.laws["relaxation"] is not None
    states = np.linspace(0, 1, 9)
    (_, first), (_, last) = (device.laws["relaxation"].at(age, states, device.window) for age in (1.0, 86400.0))
    middle = device.laws["relaxation"].at(math.sqrt(86400.0), states, device.window)[1]
    np.testing.assert_allclose(middle, (first + last) / 2, rtol=1e-12)


# -------------------------------------------------------------------------------------------------------------- read noise


def test_read_noise_in_level_units() -> None:
    found = np.array([[0.0, 1.5, 7.0], [3.0, 2.0, 9.0]])
    assert not np.any(GENERIC.read_sigma(found, 3))
    np.testing.assert_allclose(GENERIC.override({"read.sigma": 0.02}).read_sigma(found, 3), np.full((2, 3), 0.14))
    relative = GENERIC.override({"read.sigma": {"value": 0.02, "unit": "conductance"}, "on_off": 4})
    np.testing.assert_allclose(relative.read_sigma(found, 3), 0.02 * found, atol=1e-15)
    siemens = GENERIC.override({"read.sigma": {"value": 2, "unit": "uS"}, "on_off": 4})
    np.testing.assert_allclose(siemens.read_sigma(found, 3), np.full((2, 3), 7 * 2 / 75))
    # Beyond the range a fit is held at its end: levels 0 to 7 here, on a pedestal of 0.
    state = GENERIC.override({"read.sigma": {"polynomial": [0.01, 0.02], "unit": "range"}})
    expected = 7 * (0.01 + 0.02 * np.clip(found / 7, 0, 1))
    np.testing.assert_allclose(state.read_sigma(found, 3), expected)


# -------------------------------------------------------------------------------------------------------------------- presets


def leaves(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(content, dict):
        return [path, *(leaf for key in content for leaf in leaves(content[key], (*path, key)))]
    if isinstance(content, list):
        return [path, *(leaf for i, item in enumerate(content) for leaf in leaves(item, (*path, i)))]
    return [path]


def at(content: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        content = content[step]
    return content


@pytest.mark.parametrize("name", Device.presets())
def test_every_number_of_a_preset_has_a_source_and_is_written_back(name: str) -> None:
    device = Device.load(name)
    content = device.to_dict()
    assert device.name == name and device.description
    for path in leaves(content):
        value = at(content, path)
        if isinstance(value, int | float):
            above = [at(content, path[:i]) for i in range(len(path), 0, -1)]
            quantity = next(part for part in above if isinstance(part, dict) and "source" in part)
            assert content["sources"][quantity["source"]].strip(), path
    used = {at(content, path) for path in leaves(content) if path and path[-1] == "source"}
    assert used == set(content["sources"])
    for again in (json.loads(json.dumps(content)), yaml.safe_load(yaml.safe_dump(content))):
        assert Device.from_dict(again) == device
    assert pickle.loads(pickle.dumps(device)) == device
    content["name"] = "changed"
    assert device.to_dict()["name"] == name


@pytest.mark.parametrize("name", Device.presets())
def test_every_preset_is_valid_over_its_whole_range(name: str) -> None:
    device = Device.load(name)
    limits = device.validity
    age, writes = min(limits.age_s, 1e15), min(limits.writes, 1e15)
    for bits in range(1, limits.cell_bits + 1):
        found = program(device, bits, 20, age_s=age, writes=writes)
        assert np.all(np.isfinite(found)) and found.min() >= 0
        assert np.all(device.read_sigma(found, bits) >= 0)
    device.check(1, temperature_k=limits.temperature_k[0])


def published(name: str, g: float, age: float) -> tuple[float, float]:
    """Shift and spread in uS of a cell meant to conduct g uS, as the papers' fits say it."""
    if name == "hfox":
        return 0.0, 4.782321 - 0.009107 * g
    if name == "neurram-cubic":
        return 0.0, 1.536e-4 * g**3 - 1.167e-2 * g**2 + 0.2374 * g + 1.053
    if name == "neurram":
        x = g / 40
        found = {
            1: 0.348 + 16.030 * x - 43.853 * x**2 + 45.393 * x**3 - 16.815 * x**4,
            86400: 0.701 + 22.086 * x - 50.773 * x**2 + 47.095 * x**3 - 16.458 * x**4,
            172800: 0.782 + 20.274 * x - 43.507 * x**2 + 37.062 * x**3 - 11.934 * x**4,
        }
        return 0.0, found[max(int(age), 1)]
    programmed = {"taox": 0.00106879 * g + 0.00081107, "taox-2-percent": 0.01129027418 * g + 0.0112185391}[name]
    log = math.log(max(age, 1.0))
    return -0.08900206 * log, math.hypot(programmed, 0.04201137 * log + 0.41183342)


@pytest.mark.parametrize(
    ("name", "age"),
    [
        ("hfox", 0),
        ("neurram", 0),
        ("neurram", 86400),
        ("neurram", 172800),
        ("neurram-cubic", 1),
        ("taox", 0),
        ("taox", 1e6),
        ("taox-2-percent", 3e8),
    ],
)
def test_presets_are_the_published_fits(name: str, age: float) -> None:
    device = Device.load(name)
    unit = (device.g_on_s - device.g_off_s) / 3
    for level, found in enumerate(program(device, age_s=float(age))):
        target = (device.g_off_s + level * unit) * 1e6
        shift, sigma = published(name, target, age)
        matches(found * unit * 1e6, *cut_normal(target + shift, sigma))


# ------------------------------------------------------------------------------------------------------------------- variants


def test_override_checks_cites_and_leaves_the_original() -> None:
    device = GENERIC.override({"programming.sigma": 0.1}, source="a guess of May")
    assert "a guess of May" in device.to_dict()["sources"].values()
    assert GENERIC.exact and not device.exact
    twice = device.override({"stuck.on_share": np.float64(0.01), "verify.iterations": np.int64(3)}, source="another")
    content = yaml.safe_load(yaml.safe_dump(twice.to_dict()))
    used = content["sources"]
    assert used[content["programming"]["sigma"]["source"]] == "a guess of May"
    assert used[content["stuck"]["on_share"]["source"]] == "another"
    assert Device.from_dict(content) == twice
    assert device.override({}) == device


def test_override_of_the_window() -> None:
    assert GENERIC.on_off == math.inf and GENERIC.pedestal(4) == 0
    ratio = GENERIC.override({"on_off": 16})
    assert ratio.g_off_s == pytest.approx(100e-6 / 16) and ratio.pedestal(4) == pytest.approx(1.0)
    assert ratio.override({"g_off_s": 10e-6}).on_off == pytest.approx(10)
    assert ratio.override({"on_off": "infinite"}).g_off_s == 0


def test_override_of_the_kind_of_variation() -> None:
    lognormal = GENERIC.override({"programming.kind": "lognormal"})
    assert lognormal.exact and lognormal.laws["programming"].sigma.unit == "log"
    assert GENERIC.override({"programming.kind": "none"}).laws.get("programming") is None
    assert (
        lognormal.override({"programming.kind": "gaussian", "programming.sigma": 0.1}).laws["programming"] is not None
    )
    with pytest.raises(DeviceError, match=r"give programming\.sigma too"):
        GENERIC.override({"programming.sigma": 0.1}).override({"programming.kind": "lognormal"})


# ------------------------------------------------------------------------------------------------------------------- refusals


def refused(call: Any, *words: str) -> None:
    with pytest.raises(DeviceError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, (word, text)


def test_unknown_devices_are_refused(tmp_path: Path) -> None:
    refused(lambda: Device.load("neuram"), "unknown device 'neuram'", "did you mean", "neurram")
    refused(lambda: Device.load(tmp_path / "none.yaml"), "no such device file", "ideal")
    (tmp_path / "cut.yaml").write_text("schema: mho.device/1\nname: [", encoding="utf-8")
    refused(lambda: Device.load(tmp_path / "cut.yaml"), "cut.yaml", "line")
    (tmp_path / "chip.yaml").write_text("schema: mho.chip/1\n", encoding="utf-8")
    refused(lambda: Device.load(str(tmp_path / "chip.yaml")), "chip.yaml", "schema: must be mho.device/1")
    (tmp_path / "mine.yml").write_text(yaml.safe_dump(EVERYTHING.to_dict()), encoding="utf-8")
    assert Device.load(tmp_path / "mine.yml") == EVERYTHING


SOURCED = {"source": "zero"}
WRONG: list[tuple[tuple[Any, ...], Any, str]] = [
    (("programming", "sigma", "value"), -0.1, "programming.sigma: must not be negative"),
    (("programming", "sigma", "value"), math.nan, "programming.sigma: must be a finite number"),
    (("programming", "sigma", "value"), math.inf, "programming.sigma: must be a finite number"),
    (("programming", "sigma", "value"), "0.1", "programming.sigma: must be a number"),
    (("programming", "sigma", "value"), True, "programming.sigma: must be a number"),
    (("programming", "sigma", "value"), 1e30, "programming.sigma: must be at most 100"),
    (("programming", "sigma", "unit"), "log", "programming.sigma.unit: 'log' is not allowed"),
    (("programming", "sigma", "unit"), "ohm", "programming.sigma.unit"),
    (("programming", "sigma", "source"), "nowhere", "programming.sigma.source: unknown source"),
    (("programming", "sigma"), {"value": 0.1, "unit": "range"}, "programming.sigma: source is missing"),
    (("programming", "sigma"), {"value": 0.1, "polynomial": [1], "unit": "range", **SOURCED}, "give one of"),
    (("programming", "sigma"), {"polynomial": [], "unit": "range", **SOURCED}, "programming.sigma: must be a list"),
    (
        ("programming", "sigma"),
        {"polynomial": [0.1, -0.3], "unit": "range", **SOURCED},
        "must not be negative; at 1.000",
    ),
    (("programming", "sigma"), {"points": [[0, 0.1]], "unit": "range", **SOURCED}, "at least two pairs"),
    (
        ("programming", "sigma"),
        {"points": [[0, 0.1], [0.5, 0.1]], "unit": "range", **SOURCED},
        "must reach from 0 to 1",
    ),
    (("programming", "sigma"), {"points": [[0, 0.1], [0, 0.1], [1, 1]], "unit": "range", **SOURCED}, "must increase"),
    (
        ("programming", "sigma"),
        {"polynomial": [0.1], "argument": {"per": 0, "unit": "uS"}, "unit": "range", **SOURCED},
        "per must be above 0",
    ),
    (("programming", "kind", "value"), "normal", "programming.kind: 'normal' is not allowed"),
    (("verify", "iterations", "value"), 2.5, "verify.iterations: must be a whole number"),
    (("verify", "iterations", "value"), -1, "verify.iterations: must be from 0 to 1000"),
    (("verify", "tolerance", "value"), -0.1, "verify.tolerance: must not be negative"),
    (("read", "sigma", "value"), -1, "read.sigma: must not be negative"),
    (("stuck", "on_share", "value"), 1.5, "stuck.on_share: must be from 0 to 1"),
    (("stuck", "off_share", "value"), math.nan, "stuck.off_share: must be a finite number"),
    (("drift", "t0_s", "value"), 0, "drift.t0_s: must be above 0"),
    (("drift", "t0_s", "unit"), "uS", "measures conductance, but time is wanted"),
    (("drift", "nu", "value"), math.nan, "drift.nu: must be a finite number"),
    (("relaxation", "sigma_per_log", "value"), -0.1, "relaxation.sigma_per_log: must not be negative"),
    (("relaxation", "points"), [], "relaxation"),
    (("endurance", "median", "value"), 0, "endurance.median: must be from 1 to 1e+30, or unlimited"),
    (("endurance", "spread", "value"), -1, "endurance.spread: must be from 0 to 100"),
    (("endurance", "mode", "value"), "on", "endurance.mode: 'on' is not allowed"),
    (("g_on_s", "value"), 0, "g_off_s: must be from 0 to below g_on_s"),
    (("on_off", "value"), 0.5, "on_off: must be at least 1"),
    (("on_off", "value"), 1, "g_off_s: must be from 0 to below g_on_s"),
    (("g_off_s",), {"value": 1, "unit": "uS", **SOURCED}, "give either g_off_s or on_off"),
    (("validity", "cell_bits", "value"), 9, "validity.cell_bits: must be from 1 to 8"),
    (("validity", "conductance_s", "maximum"), 1e-5, "leaves validity.conductance_s"),
    (("validity", "conductance_s", "minimum"), -1, "validity.conductance_s.minimum: must be at least 0"),
    (("validity", "temperature_k", "minimum"), math.nan, "validity.temperature_k.minimum"),
    (("validity", "age_s"), {"value": "unlimited"}, "validity.age_s.source: missing"),
    (("validity", "age_s"), {"value": -5, "unit": "s", **SOURCED}, "validity.age_s: must be at least 0"),
    (("sources", "zero"), "", "sources.zero: must be the text"),
    (("name",), "", "name: must be a text"),
    (("schema",), "mho.device/2", "schema: must be mho.device/1"),
    (("programing",), {}, "programing: unknown key; did you mean programming"),
    (("stuck", "on"), {"value": 0.1, **SOURCED}, "stuck.on: unknown key"),
    (("validity", "humidity"), {}, "validity.humidity: unknown key"),
]


@pytest.mark.parametrize(("path", "value", "words"), WRONG, ids=lambda case: str(case)[:60])
def test_a_wrong_value_is_refused_with_its_key(path: tuple[Any, ...], value: Any, words: str) -> None:
    content = GENERIC.to_dict()
    at(content, path[:-1])[path[-1]] = value
    refused(lambda: Device.from_dict(content, "mine.yaml"), "mine.yaml", words)


@pytest.mark.parametrize("name", ["generic", "neurram", "hfox"])
def test_every_required_key_is_missed(name: str) -> None:
    content = Device.load(name).to_dict()
    optional = {"g_off_s", "on_off", "shift", "nu_spread", "sigma_per_log", "shift_per_log", "on_share", "off_share"}
    parts = {"programming", "verify", "read", "stuck", "drift", "relaxation", "flicker", "endurance", "argument"}
    for path in leaves(content):
        if not path or isinstance(path[-1], int) or path[-1] in optional | parts or path[0] == "sources":
            continue
        cut = copy.deepcopy(content)
        del at(cut, path[:-1])[path[-1]]
        refused(lambda cut=cut: Device.from_dict(cut, "cut.yaml"), "cut.yaml")


JUNK = st.sampled_from([None, True, -1, 0, 1e308, math.nan, math.inf, "x", "", [], {}, [1], {"value": 1}, "unlimited"])


@settings(max_examples=150)
@given(data=st.data(), name=st.sampled_from(["generic", "neurram", "taox"]), junk=JUNK)
def test_junk_is_refused_in_one_line_or_gives_a_device_that_works(data: st.DataObject, name: str, junk: Any) -> None:
    content = Device.load(name).to_dict()
    path = data.draw(st.sampled_from([path for path in leaves(content) if path]))
    at(content, path[:-1])[path[-1]] = junk
    try:
        device = Device.from_dict(content, "junk.yaml")
    except DeviceError as error:
        assert str(error).startswith("junk.yaml: ") and "\n" not in str(error)
        return
    found = program(device, device.validity.cell_bits, 3)
    assert np.all(np.isfinite(found)) and found.min() >= 0
    assert Device.from_dict(device.to_dict()) == device


def test_use_out_of_range_is_refused() -> None:
    device = Device.load("neurram")
    levels = np.zeros(4, dtype=np.uint8)

    def used(**changes: Any) -> Any:
        arguments = {"levels": levels, "cell_bits": 2, "key": (0,), "seed": 0, **changes}
        return lambda: device.program(**arguments)

    refused(used(cell_bits=5), "neurram: cell_bits: must be an integer from 1 to 4, not 5")
    refused(used(cell_bits=0), "cell_bits")
    refused(used(cell_bits=2.0), "cell_bits")
    refused(used(age_s=172801.0), "age_s: 172801 is out of the range", "from 0 to 172800 s")
    refused(used(age_s=-1.0), "age_s: -1 is out of the range")
    refused(used(age_s=math.nan), "age_s: nan")
    refused(used(age_s="old"), "age_s: must be a number")
    refused(used(writes=1e5), "writes: 100000 is out of the range")
    refused(used(writes=np.array([1, np.nan])), "writes: nan")
    refused(used(levels=np.array([4])), "levels: must be from 0 to 3, not 4 to 4")
    refused(used(levels=np.array([-1])), "levels")
    refused(used(levels=np.array([0.5])), "levels: must be integers")
    refused(used(key=[0]), "key: must be a tuple")
    refused(used(key=(-1,)), "key")
    refused(used(key=(0.5,)), "key")
    refused(used(seed=-1), "seed")
    refused(used(seed=1.0), "seed")
    refused(used(faults=np.zeros(3, dtype=np.uint8)), "faults: must have the shape of levels")
    refused(lambda: device.check(2, temperature_k=400.0), "temperature_k: 400 is out of the range", "K")
    refused(lambda: GENERIC.program(levels, 2, (0,), seed=0, age_s=math.inf), "age_s")
    worn = GENERIC.override({"endurance.median": 10})
    refused(lambda: worn.program(levels, 2, (0,), seed=0, writes=np.full((3, 3), 20.0)), "does not broadcast")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"programming.sigm": 0.1}, "unknown key 'programming.sigm'; did you mean programming.sigma"),
        ({"programming": {}}, "unknown key 'programming'"),
        ({"programming.sigma": -0.1}, "programming.sigma: must not be negative"),
        ({"programming.sigma": math.nan}, "programming.sigma: must be a finite number"),
        ({"programming.sigma": None}, "programming.sigma: must be a number"),
        ({"validity.cell_bits": 0}, "validity.cell_bits"),
        ({"validity.conductance_s": 3}, "give a mapping with minimum"),
        ({"stuck.on_share": 0.6, "stuck.off_share": 0.5}, "must sum to at most 1"),
        ({"g_on_s": 2.0, "g_off_s": 3.0}, "g_off_s: must be from 0 to below g_on_s"),
    ],
)
def test_wrong_overrides_are_refused(values: dict[str, Any], words: str) -> None:
    refused(lambda: GENERIC.override(values), "override", words)


def test_an_override_out_of_validity_is_refused() -> None:
    refused(lambda: Device.load("neurram").override({"g_on_s": 50e-6}), "leaves validity.conductance_s")
    refused(
        lambda: Device.load("neurram").override({"validity.age_s": 1e6}), "goes beyond the last of relaxation.points"
    )
    verify = {"verify.iterations": 3, "verify.tolerance": 0.1}
    refused(lambda: Device.load("neurram").override(verify), "no programming variation that could be verified")
