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
from mho.machine.functional import Executor
from mho.network.graph import Network
from mho.network.layers import Activation, Array, Convolution, Elementwise, Input, Pool
from mho.number.affine import encode
from mho.number.basis import segments
from tests.test_basis import small

pytest.importorskip("amaranth", reason="the package amaranth is not installed")

from mho.rtl.play import play
from mho.rtl.units import CombiningLane, Dispatcher, RowShift, VectorLane, units_of

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


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_squeezed_rows_are_found_shifted_and_put_where_they_belong(simulator: str) -> None:
    """SME: an index memory brings each row its input, shifted as the program drives it; columns' sums land on their outputs."""
    rng = np.random.default_rng(3)
    weight = Array.of(rng.normal(size=(6, 20, 1, 1)) * rng.choice([0.02, 1.0], size=(1, 20, 1, 1)))
    layers: list[Any] = [
        Input(name="x", inputs=(), shape=(1, 20, 2, 2)),
        Convolution(name="conv", inputs=("x",), shape=(1, 6, 2, 2), weight=weight),
    ]
    network, x = Network("squeezed", tuple(layers), ("conv",), "made (synthetic)"), rng.normal(size=(1, 20, 2, 2))
    quantised = mho.number.squeeze(mho.number.quantise(network, x, symmetric=True), 2)
    program = mho.compile(quantised, "sme", mho.Strategy().with_(mapping="squeezed"))
    blocks = program.mapping.layers[0].blocks
    codes = _driven(program, x)
    row_shift = next(unit for unit in units_of(program.chip) if isinstance(unit, RowShift))
    shifted = 0
    for index in range(blocks.count):
        for (drive,), part in zip((tuple(blocks.drives(index, codes)),), blocks.block(index).parts, strict=False):
            entries = [int(row) | int(part.shifts[at] if part.late else 0) << 16 for at, row in enumerate(part.rows)]
            cycles = [{"write": 1, "address": part.top + at, "entry": entry} for at, entry in enumerate(entries)]
            # The buffer answers with the input that is asked for, in the next cycle.
            asked = play(row_shift, [*cycles, {"start": 1}, *({} for _ in range(part.top + part.height))])
            wanted = [answer["index"] for answer in asked if answer["read"]][part.top :]
            assert wanted[: part.height] == part.rows.tolist()
            given = [{"code": int(codes[0, 0, 0, row])} for row in [0] * part.top + part.rows.tolist()]
            answers = play(row_shift, [*cycles, {"start": 1}, *given, {}], simulator)
            driven = [answer["shifted"] for answer in answers if answer["valid"]][part.top : part.top + part.height]
            low, *high = (inputs[0, part.down].astype(np.int64) for inputs in drive.inputs)
            assert driven == (low + 256 * (high[0] if high else 0)).tolist()
            shifted += int((part.shifts > 0).sum())
            _placed(blocks, index, part, np.array(driven), quantised, codes, simulator)
    assert shifted


def _placed(blocks: Any, index: int, part: Any, driven: Any, quantised: Any, codes: Any, simulator: str) -> None:
    """Compare a combining lane, given columns' sums and what each counts for, with what the program splices."""
    sums = driven @ part.of(quantised.matrices["conv"].centred).astype(np.int64)
    out = np.zeros((blocks.matrices, 1, 1, blocks.columns))
    blocks.splice(index, None, sums[None].astype(np.float64), codes[:, :, :1, :], out)
    lane = CombiningLane(24, 12, blocks.columns)
    entries = [
        (int(s), int(f) * int(part.behind), int(o)) for s, f, o in zip(sums, part.factors, part.outputs, strict=True)
    ]
    total = int((codes[0, 0, 0, part.rows].astype(np.int64) << part.shifts.astype(np.int64)).sum())
    entries += [(total, -int(offset), int(output)) for output, offset in zip(*part.corrected, strict=True)]
    assert _combined(lane, entries, simulator) == {
        output: int(out[part.matrix, 0, 0, output]) for output in {entry[2] for entry in entries}
    }


def _combined(lane: CombiningLane, entries: list[tuple[int, int, int]], simulator: str) -> dict[int, int]:
    """Return what stands for each output after entries (sum, factor, output) went through a lane."""
    seen: set[int] = set()
    cycles: list[dict[str, int]] = []
    for value, factor, output in entries:
        cycles.append({"valid": 1, "sum": value, "factor": factor, "target": output, "first": int(output not in seen)})
        seen.add(output)
    answers = [answer["made"] for answer in play(lane, [*cycles, {}, {}], simulator) if answer["done"]]
    return {output: made for (_, _, output), made in zip(entries, answers, strict=True)}


def _driven(program: Any, x: Any) -> Any:
    """Return the inputs of the first layer's windows as a program is executed with them, (matrices, runs, windows, rows)."""
    seen: list[Any] = []
    Executor(program, watch=lambda layer, jobs, inputs: seen.append(inputs)).run((x,))
    return seen[0]


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_lanes_combine_the_sums_of_a_basis(simulator: str) -> None:
    """BasisN: each coefficient of a window's segments in a lane, and what stands for the outputs is what the program computes."""
    rng = np.random.default_rng(5)
    layers: list[Any] = [Input(name="x", inputs=(), shape=(1, 20, 2, 2)), _convolution(rng, "conv", "x", (20, 6), 2)]
    network, x = Network("combined", tuple(layers), ("conv",), "made (synthetic)"), rng.normal(size=(1, 20, 2, 2))
    fitted = mho.number.fit_basis(network, x, 12, 4, height=8)
    coding, layer = fitted.basis, fitted.network.by_name["conv"]
    assert coding is not None
    program = mho.compile(
        fitted, small(), mho.Strategy.load("basisn").with_({"coding": "bytes", "mapping.combine": "lanes"})
    )
    codes, zero = _driven(program, x), int(fitted.codes["x"].zero)
    coefficients, entries = coding.dense(layer), []
    for number, segment in enumerate(segments(layer.rows, coding.height)):
        # Window 1 of each segment, all of which are shorter than the array is high.
        height = segment.stop - segment.start
        inputs = codes[0, 0, number * layer.windows + 1, :height].astype(np.int64) - zero
        sums = coding.elements[:, :height] @ inputs
        places, outputs = np.nonzero(coefficients[0, number])
        entries += [
            (int(sums[p]), int(coefficients[0, number, p, o]), int(o)) for p, o in zip(places, outputs, strict=True)
        ]
    (own,) = (unit for unit in units_of(program.chip) if isinstance(unit, CombiningLane))
    lane = CombiningLane(len(own.sum), len(own.factor), 6)
    scale = float(fitted.codes["x"].scale) * np.broadcast_to(fitted.matrices["conv"].scale, (1, 6))[0]
    computed = Executor(program).run((x,), keep=("conv",))["conv"].reshape(6, 4)[:, 1]
    made = _combined(lane, entries, simulator)
    bias = fitted.matrices["conv"].bias
    assert bias is not None and sorted(made) == list(range(6))
    assert [made[output] * scale[output] + bias[0, output] for output in range(6)] == pytest.approx(
        computed.tolist(), rel=1e-12
    )


@settings(max_examples=5)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(2, 5))
def test_a_dispatcher_fires_what_a_program_of_look_ups_activates(seed: int, most: int, single: int) -> None:
    """Any bags on an array, as few rows at once as may be: rows, modes and counters are those of their activations."""
    rng = np.random.default_rng(seed)
    bags = [rng.permutation(12)[: rng.integers(1, 12)].tolist() for _ in range(8)]
    part = Dispatcher(12, most, single, 9)
    cycles = [{"valid": 1, "row": row, "last": int(row == bag[-1])} for bag in bags for row in bag]
    answers = play(part, [*cycles, {}])
    fired = [(answer["rows"], answer["mode"]) for answer in answers if answer["fire"]]
    pieces = [bag[first : first + most] for bag in bags for first in range(0, len(bag), most)]
    assert fired == [(sum(1 << row for row in piece), single if len(piece) == 1 else 9) for piece in pieces]
    assert answers[-1]["activations"] == len(pieces) and answers[-1]["singles"] == sum(
        len(piece) == 1 for piece in pieces
    )


def _kinds(name: str) -> Iterator[str]:
    return (unit.part for unit in units_of(Chip.load(name)))


def test_chips_have_the_parts_that_they_need() -> None:
    """Index memories for sme, lanes for basisn, dispatchers for recross; a vector lane everywhere."""
    assert list(_kinds("aras")) == ["mho_vector_lane"]
    assert list(_kinds("sme")) == ["mho_vector_lane", "mho_row_shift", "mho_combining_lane"]
    assert list(_kinds("basisn")) == ["mho_vector_lane", "mho_combining_lane"]
    assert list(_kinds("recross")) == ["mho_vector_lane", "mho_dispatcher"]
