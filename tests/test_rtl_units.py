"""Parts beside a group's periphery: what each answers, cycle by cycle, is what the program that is executed computes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.chip.lookup import Reading
from mho.machine.functional import Executor
from mho.network.graph import Network
from mho.network.layers import Activation, Array, Convolution, Elementwise, Input, Pool
from mho.number.affine import encode

pytest.importorskip("amaranth", reason="the package amaranth is not installed")

from mho.rtl.play import play
from mho.rtl.units import Dispatcher, VectorLane, units_of

SIMULATORS = [
    "amaranth",
    pytest.param("icarus", marks=pytest.mark.skipif(not shutil.which("iverilog"), reason="no Icarus")),
]


def _convolution(rng: np.random.Generator, name: str, before: str, channels: tuple[int, int], size: int) -> Convolution:
    weight = Array.of(rng.normal(size=(channels[1], channels[0], 1, 1)))
    return Convolution(name=name, inputs=(before,), shape=(1, channels[1], size, size), weight=weight)


def _residual(seed: int) -> Network:
    rng, shape = np.random.default_rng(seed), (1, 3, 4, 4)
    layers: list[Any] = [
        Input(name="x", inputs=(), shape=(1, 2, 4, 4)), _convolution(rng, "a", "x", (2, 3), 4),
        Activation(name="ra", inputs=("a",), shape=shape, function="relu"), _convolution(rng, "b", "ra", (3, 3), 4),
        Elementwise(name="sum", inputs=("ra", "b"), shape=shape, function="add"),
        Activation(name="rs", inputs=("sum",), shape=shape, function="relu"), _convolution(rng, "c", "rs", (3, 3), 4),
        Elementwise(name="less", inputs=("rs", "c"), shape=shape, function="subtract"),
        Pool(name="pooled", inputs=("less",), shape=(1, 3, 2, 2), function="maximum", kernel=(2, 2), stride=(2, 2)),
        _convolution(rng, "last", "pooled", (3, 2), 2),
    ]  # fmt: skip
    return Network("residual", tuple(layers), ("last",), "made (synthetic)")


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_the_vector_unit_makes_the_codes_of_the_program(simulator: str) -> None:
    """Sums with a relu, and the maximum of differences, of codes and of sums that a requantiser hands on: every code."""
    network, x = _residual(1), np.random.default_rng(1).normal(size=(4, 2, 4, 4))
    quantised = mho.number.quantise(network, x, requantise=24)
    program = mho.compile(quantised, "aras")
    names = ("ra", "b", "rs", "c", "less", "pooled")
    kept = Executor(program).run((x[:1],), keep=names)
    lane = VectorLane(8, 24)
    for coded, fixed, target, low in (("ra", "b", "rs", 0.0), ("rs", "c", "pooled", -np.inf)):
        step, code = quantised.integer_steps[fixed], quantised.codes[target]
        unit = float(code.scale) / 2.0**step.shift
        v = np.rint(kept[fixed] / unit).astype(np.int64).reshape(3, 4, 4)
        codes = encode(kept[coded], quantised.codes[coded]).astype(np.int64).reshape(3, 4, 4)
        (part,) = (made.parts[coded] for made in quantised.integer_steps.values() if coded in made.parts)
        always = {
            "zero": int(quantised.codes[coded].zero), "multiplier": int(part.multiplier) >> part.left, "left": part.left,
            "shift": step.shift, "made_zero": int(code.zero), "low": int(encode(np.array(low), code)), "high": 255, "valid": 1,
        }  # fmt: skip
        cycles: list[dict[str, int]] = []
        if target == "rs":
            for place in np.ndindex(3, 4, 4):
                cycles.append({**always, "first": 1, "whole": 1, "fixed": int(v[place])})
                cycles.append({**always, "code": int(codes[place]), "last": 1})
        else:
            # The maximum of what the program subtracts, which reaches the lane as it is.
            whole = np.rint(kept["less"] / unit).astype(np.int64).reshape(3, 4, 4)
            assert np.array_equal(whole, (codes - always["zero"]) * int(part.multiplier) - v)
            for channel, row, column in np.ndindex(3, 2, 2):
                window = whole[channel, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].ravel().tolist()
                for number, value in enumerate(window):
                    edge = {"first": int(number == 0), "last": int(number == 3)}
                    cycles.append({**always, "operation": 2, "whole": 1, "fixed": value, **edge})
        answers = play(lane, [*cycles, *[{**always, "valid": 0}] * 3], simulator)
        made = [answer["made"] for answer in answers if answer["ready"]]
        assert made == encode(kept[target], code).astype(np.int64).ravel().tolist()


@settings(max_examples=6)
@given(st.integers(0, 10**6), st.integers(1, 12), st.sampled_from(["switch", "every"]), st.integers(1, 2))
def test_a_dispatcher_fires_what_a_program_of_look_ups_activates(
    seed: int, most: int, modes: str, cell_bits: int
) -> None:
    """Any bags on an array, as few rows at once as may be: rows, bits of the ADCs and counters are those of their activations."""
    changes = {"lookup.adc_modes": modes, "lookup.most_rows": most, "array.cell_bits": cell_bits}
    chip = Chip.load("recross").override(changes, source="drawn")
    part = next(unit for unit in units_of(chip) if isinstance(unit, Dispatcher))
    bits, rng = Reading(chip, 8).bits, np.random.default_rng(seed)
    most = len(bits) - 1
    bags = [rng.permutation(chip.weight_rows)[: rng.integers(1, 24)].tolist() for _ in range(8)]
    cycles = [{"valid": 1, "row": row, "last": int(row == bag[-1])} for bag in bags for row in bag]
    answers = play(part, [*cycles, {}])
    fired = [(answer["rows"], answer["mode"]) for answer in answers if answer["fire"]]
    pieces = [bag[first : first + most] for bag in bags for first in range(0, len(bag), most)]
    assert fired == [(sum(1 << row for row in piece), bits[len(piece)]) for piece in pieces]
    assert answers[-1]["activations"] == len(pieces)
    assert answers[-1]["singles"] == sum(len(piece) == 1 for piece in pieces)


def _kinds(name: str) -> Iterator[str]:
    return (unit.part for unit in units_of(Chip.load(name)))


def test_chips_have_the_parts_that_they_need() -> None:
    """Index memories for sme, lanes for basisn, dispatchers for recross; a vector lane everywhere."""
    assert list(_kinds("aras")) == ["mho_vector_lane"]
    assert list(_kinds("sme")) == ["mho_vector_lane", "mho_row_index", "mho_combining_lane"]
    assert list(_kinds("basisn")) == ["mho_vector_lane", "mho_combining_lane"]
    assert list(_kinds("recross")) == ["mho_vector_lane", "mho_dispatcher"]
