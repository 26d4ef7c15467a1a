"""A reference column of real cells: what it costs, and what its errors do to every column of its array, as derived."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mho
from mho.chip import Chip
from mho.errors import AnalogError, ChipError
from mho.machine.analog import Analog
from mho.network.samples import synthetic
from mho.training.cells import Chain
from tests.strategies import GREEDY
from tests.test_mapping_coding import small

ARAS = Chip.load("aras")
WITH = ARAS.override({"array.reference": "column"}, source="law")
DIGITS = (64.0, 16.0, 4.0, 1.0)
"""What the levels of the four cells of a weight count for."""
IDEAL = Analog().override({"adc.bits": "ideal", "device.on_off": 1.5, "pedestal": "reference"})
"""A pedestal of six levels, so that nothing is cut at 0."""
ROWS, OUTPUTS = 24, 64
WEIGHTS = np.random.default_rng(1).normal(size=(OUTPUTS, ROWS))
CORE = mho.Core(WEIGHTS, WITH)


def errors(analog: Analog, x: np.ndarray) -> np.ndarray:
    """Errors of x (inputs, vectors) through an array, in units of codes, (outputs, vectors)."""
    scale = float(CORE.quantised.matrices["product"].scale) * float(CORE.quantised.codes["x"].scale)
    given = mho.execute(CORE.program, np.ascontiguousarray(x.T), analog=analog)["product"].T
    return np.asarray((given - CORE @ x) / scale)


def test_a_column_more_costs_a_share_of_area_and_reads_and_no_time() -> None:
    share = 1 + 1 / 128
    for figure in ("area", "energy", "leakage"):
        assert WITH.costs.figure("array", figure) == pytest.approx(share * ARAS.costs.figure("array", figure))
    changed = {event for event, joules in WITH.energy_per_event.items() if joules != ARAS.energy_per_event[event]}
    assert changed == {"array_read"}
    more = WITH.roll_up().area_m2.by_component["array"] - ARAS.roll_up().area_m2.by_component["array"]
    assert more == pytest.approx(ARAS.arrays * ARAS.costs.area_m2("array") / 128)
    assert WITH.window_time_s == ARAS.window_time_s and WITH.array_write_time_s == ARAS.array_write_time_s
    assert "reference column" in " ".join(WITH.notes)
    assert ARAS.override({"array.reference": "none"}, source="law").digest == ARAS.digest != WITH.digest


@pytest.mark.parametrize("coding", ["offset", "flipped", "twos_complement"])
def test_exact_cells_take_the_pedestal_away_exactly(coding: str) -> None:
    net = small(1)
    inputs = synthetic(net, 2).inputs
    chip = WITH.override({"array.coding": coding}, source="law")
    program = mho.compile(mho.number.quantise(net, inputs), chip, GREEDY)
    wanted, given = (
        mho.execute(
            program, inputs, analog=Analog().override({"adc.bits": 12, "device.on_off": 8.0, "pedestal": pedestal})
        )
        for pedestal in ("analog", "reference")
    )
    for name, values in wanted.items():
        np.testing.assert_array_equal(given[name], values)


def test_errors_of_its_cells_stand_in_every_column_of_the_array() -> None:
    """error_j = sum_i x_i (sum_k s_k e_ijk - r_i sum_k s_k): its variance, and what two outputs of an array have in common.

    e and r are independent, of mean 0 and deviation sigma (L - 1): 32 outputs fill an array, so that 64 stand in two.
    """
    x = np.random.default_rng(2).integers(0, 256, (ROWS, 1)) / 255 * 2 - 1
    codes = np.rint((x + 1) / 2 * 255)[:, 0]
    sigma, chips = 0.02 * 3, 200
    analog = IDEAL.override({"device.programming.sigma": 0.02})
    found = np.stack([errors(analog.override({"seed": seed}), x)[:, 0] for seed in range(chips)])
    power = float((codes**2).sum()) * sigma**2
    own, shared = power * sum(digit**2 for digit in DIGITS), power * sum(DIGITS) ** 2
    # Means over chips, of independent halves: two arrays a chip.
    halves = found.reshape(chips, 2, 32)
    common = halves.mean(axis=2).ravel()
    deviation = np.sqrt(shared + own / 32)
    assert abs(common.mean()) < 5 * deviation / np.sqrt(common.size)
    assert common.var() == pytest.approx(shared + own / 32, rel=5 * np.sqrt(2 / common.size))
    within = halves.var(axis=2, ddof=1).mean()
    assert within == pytest.approx(own, rel=5 * np.sqrt(2 / (chips * 2 * 31)))
    first, second = halves.mean(axis=2).T
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(chips)
    # An exact reference leaves the cells' own errors alone.
    alone = np.stack([errors(analog.override({"seed": s, "pedestal": "analog"}), x)[:, 0] for s in range(100)])
    assert alone.var() == pytest.approx(own, rel=5 * np.sqrt(2 / alone.size))


def test_noise_of_its_reads_is_that_of_every_conversion_of_a_step() -> None:
    """Each step reads anew: 4^p (sum of d^2) sigma^2 for each bit p, once with (sum s)^2 for all outputs, once with sum s^2."""
    sigma, vectors = 0.01 * 3, 600
    found = errors(IDEAL.override({"device.read.sigma": 0.01}), np.ones((ROWS, vectors))).reshape(2, 32, vectors)
    power = ROWS * sigma**2 * sum(4.0**bit for bit in range(8))
    own, shared = power * sum(digit**2 for digit in DIGITS), power * sum(DIGITS) ** 2
    common = found.mean(axis=1).ravel()
    assert common.var() == pytest.approx(shared + own / 32, rel=5 * np.sqrt(2 / common.size))
    within = found.var(axis=1, ddof=1).mean()
    assert within == pytest.approx(own, rel=5 * np.sqrt(2 / (vectors * 2 * 31)))
    first, second = found.mean(axis=1)
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(vectors)


def test_noise_depends_neither_on_batches_nor_on_backends() -> None:
    net = small(2)
    inputs = synthetic(net, 4).inputs
    program = mho.compile(mho.number.quantise(net, inputs), WITH, GREEDY)
    analog = IDEAL.override({"device.read.sigma": 0.02, "device.programming.sigma": 0.05, "adc.bits": 6})
    whole = mho.execute(program, inputs, analog=analog)
    halves = [mho.execute(program, [part[:2] for part in inputs], analog=analog)]
    plain = mho.execute(program, inputs, analog=analog, backend="plain")
    for name, values in whole.items():
        np.testing.assert_array_equal(plain[name], values)
        np.testing.assert_array_equal(halves[0][name], values[: len(halves[0][name])])


def refused(call: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        call()


def test_what_has_no_reference_column_is_refused() -> None:
    x = np.ones(ROWS)
    refused(lambda: mho.Core(WEIGHTS, ARAS, IDEAL) @ x, AnalogError, "chip aras has no reference column")
    pairs = ARAS.override({"array.coding": "differential"}, source="law")
    refused(lambda: mho.Core(WEIGHTS, pairs, IDEAL) @ x, AnalogError, "cells of a pair are each other's reference")
    refused(
        lambda: pairs.override({"array.reference": "column"}, source="law"),
        ChipError,
        "array.reference: the cells of a pair",
    )
    refused(lambda: Chain(WITH, IDEAL), AnalogError, "pedestal: training does not follow reference columns")
