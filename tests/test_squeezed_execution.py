"""Programs of squeezed mapping: exact, legal, and charged for what arrays do with digits, bit by bit (`squeezed_oracle`)."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import MappingError, OptionError, ProgramError
from mho.machine import time_program, wear
from mho.machine.analog import Analog, Signals
from mho.machine.energy import account, count_events
from mho.mapping import DigitBlocks
from mho.network.graph import Network
from mho.network.layers import Convolution
from mho.network.samples import synthetic
from mho.number import Grid, QuantisedNetwork
from mho.program import Activate, Program, Write
from mho.program.bound import lower_bound
from mho.program.instructions import members
from tests.hand_sized import entry, linear, network
from tests.squeezed_oracle import Chain, events_of
from tests.strategies import ALONE, GREEDY, Sketch, networks

some = settings(max_examples=20)
seeds = st.integers(0, 2**16)
PARTS: dict[str, Any] = {
    "sparse.index_bits": 16,
    "sparse.shift_bits": 3,
    "sparse.turns": 4,
    "components.index_memory": "none",
    "components.row_shift": "logic-40nm/register_bit",
    "components.dac": "none",
    "array.adcs": 1,
    "array.pulses_full_range": 60,
}


@st.composite
def chips(draw: st.DrawFn) -> Chip:
    """Chips with index memory whose arrays divide nothing, often too small for one layer."""
    coding, bits = draw(st.sampled_from(["offset", "flipped"])), draw(st.integers(1, 4))
    drawn: dict[str, Any] = {
        "array.rows": draw(st.integers(1, 20)),
        "array.columns": draw(st.integers(8, 24)),
        "array.cell_bits": bits,
        "array.coding": coding,
        "array.dac_bits": draw(st.sampled_from([1, 2, 3, 4, 8])),
        "group.arrays": draw(st.integers(1, 3)),
        "tile.groups": draw(st.integers(1, 3)),
        "tiles": draw(st.integers(1, 6)),
        "layer_order": draw(st.sampled_from(["sequential", "dataflow"])),
        "write_latency": draw(st.sampled_from(["worst_case", "actual"])),
        "memory.bandwidth": 10.0 ** draw(st.integers(6, 15)),
        "buffer.banks": draw(st.lists(st.integers(6, 16).map(lambda power: 2**power), min_size=1, max_size=5)),
    }
    note(f"chip: {drawn}")
    return Chip.load("aras").override({**PARTS, **drawn}, source="drawn")


def recoded(draw: Callable[..., Any], quantised: QuantisedNetwork) -> QuantisedNetwork:
    """A network as it is, on a grid of few planes, or with planes squeezed out by either rule."""
    way = draw(st.sampled_from(["as it is", "window", "fine", "published"]))
    note(way)
    if way == "as it is":
        return quantised
    grid = Grid.window(8, draw(st.integers(1, 7)))
    top, tile = draw(st.integers(0, 4)), draw(st.integers(1, 9))
    if way == "published":
        return mho.number.squeeze(mho.number.recode(quantised, grid), top, tile=tile)
    return mho.number.recode(quantised, grid, squeeze=top if way == "fine" else 0, tile=tile)


@st.composite
def options(draw: st.DrawFn, chip: Chip) -> dict[str, Any]:
    """Options of compiling."""
    placements = ["none", "pulses"] + (["time"] if chip.write_latency == "actual" else [])
    found = {
        "mapping": "squeezed",
        "turns": draw(st.integers(1, 4)),
        "packing": draw(st.sampled_from(["diagonal", "separate"])),
        "schedule": draw(st.sampled_from(ALONE)),
        "residency": draw(st.sampled_from(["auto", "never"])),
        "placement": draw(st.sampled_from(placements)),
    }
    if found["schedule"] == "adaptive":
        found["effort"] = 0.01
    note(str(found))
    return found


@some
@given(networks, chips(), st.data())
def test_any_network_is_bit_exact_legal_and_above_the_bound(network: Network, chip: Chip, data: st.DataObject) -> None:
    inputs = synthetic(network, 1, seed=1).inputs
    quantised = recoded(data.draw, mho.number.quantise(network, inputs))
    program = mho.compile(quantised, chip, GREEDY.with_(data.draw(options(chip))))
    result = mho.verify(program, inputs)
    assert result.ok, str(result)
    resident = any(isinstance(each, Write) for each in program.instructions[: program.setup])
    bound = lower_bound(
        program.network,
        program.mapping,
        chip,
        resident=resident,
        coded=program.coded,
    )
    assert time_program(program).latency_s >= bound.seconds * (1 - 1e-9)


@st.composite
def layers(draw: st.DrawFn) -> tuple[Sketch, np.ndarray]:
    """A linear layer, or a convolution of any grouping, with two samples of dense or sparse inputs of any sign."""
    kind = draw(st.sampled_from(["linear", "convolution", "grouped", "depthwise"]))
    if kind == "linear":
        sketch = Sketch(draw(seeds), (1, draw(st.integers(1, 40))))
        shape: tuple[int, ...] = (2, sketch.layers[0].shape[1])
        sketch.linear(sketch.layers[0], draw(st.integers(1, 12)))
    else:
        channels = draw(st.sampled_from([2, 4]))
        sketch = Sketch(draw(seeds), (1, channels, 3, 3))
        groups = {"convolution": 1, "grouped": 2, "depthwise": channels}[kind]
        sketch.convolution(sketch.layers[0], groups * draw(st.integers(1, 3)), 2, 1, 0, 1, groups)
        shape = (2, channels, 3, 3)
    generator = np.random.default_rng(draw(seeds))
    x = generator.uniform(draw(st.sampled_from([-1.0, 0.0])), 1, shape)
    return sketch, x * (generator.random(shape) < draw(st.sampled_from([1.0, 0.3])))


def windows_of(program: Program, x: np.ndarray) -> np.ndarray:
    """The input codes of the only layer's windows, (matrices, samples, windows, K); no padding, stride 1."""
    assert program.quantised is not None
    (mapped,) = program.mapping.layers
    layer = program.network.layers[mapped.index]
    code = program.quantised.codes[layer.inputs[0]]
    codes = np.clip(np.rint(x / code.scale) + int(code.zero), code.low, code.high).astype(np.int64)
    if not isinstance(layer, Convolution):
        return np.asarray(codes.reshape(1, len(x), -1, codes.shape[-1]))
    tall, wide = layer.weight.shape[2:]
    found = [codes[:, :, i : i + tall, j : j + wide] for i in range(layer.shape[2]) for j in range(layer.shape[3])]
    cut = np.stack(found, axis=1).reshape(len(x), len(found), layer.convolution_groups, -1)
    return np.asarray(cut.transpose(2, 0, 1, 3))


def sums_of(program: Program, x: np.ndarray, analog: Analog, backend: str) -> tuple[np.ndarray, Signals]:
    """The integer sums (matrices, samples, windows, N) of a one-layer program, and its signals."""
    (mapped,) = program.mapping.layers
    layer, quantised, signals = program.network.layers[mapped.index], program.quantised, Signals()
    assert quantised is not None
    matrix = quantised.matrices[mapped.name]
    got = mho.execute(program, x, analog=analog, signals=signals, backend=backend)[mapped.name]
    matrices, _, columns = matrix.codes.shape
    if isinstance(layer, Convolution):
        got = got.reshape(len(x), matrices, columns, -1).transpose(1, 0, 3, 2)
    else:
        got = got.reshape(1, len(x), -1, columns)
    bias = 0 if matrix.bias is None else matrix.bias[:, None, None, :]
    scale = quantised.codes[layer.inputs[0]].scale * matrix.scale
    return (got - bias) / (scale[:, None, None, :] if scale.ndim else scale), signals


def check(program: Program, x: np.ndarray, analog: Analog, step: float | None, high: int, *backends: str) -> None:
    """Compare executions with the chain."""
    wanted = Chain(program, analog, step, high).sums(windows_of(program, x))
    for backend in backends:
        got, signals = sums_of(program, x, analog, backend)
        # Float64 adds and scales; a code too many or too few would count for a step at least.
        assert np.abs(got - wanted.sums).max() <= 1e-9 * (1 + np.abs(wanted.sums).max()), backend
        (layer,) = signals.layers
        assert layer.conversions == wanted.converted, backend
        assert layer.clipped == wanted.clipped, backend


GENERIC = Analog.from_dict({"schema": "mho.analog/1", "device": "generic"})


@some
@given(layers(), chips(), st.data(), st.integers(2, 8))
def test_converters_that_clip_give_what_the_chain_gives(
    layer: tuple[Sketch, np.ndarray], chip: Chip, data: st.DataObject, bits: int
) -> None:
    sketch, x = layer
    quantised = recoded(data.draw, mho.number.quantise(sketch.network(), x))
    program = mho.compile(quantised, chip, GREEDY.with_(data.draw(options(chip))))
    high = 2**bits - 1
    full = data.draw(st.booleans())
    if full:
        # The largest sum that a column of the layer can give: all rows of a piece, all bits that its digits may have.
        (mapped,) = program.mapping.layers
        assert isinstance(mapped.blocks, DigitBlocks)
        pieces = [piece for index in range(mapped.blocks.count) for piece in mapped.blocks.block(index).parts]
        most = max((len(piece.rows) * mask for piece in pieces for mask in piece.masks.tolist()), default=0)
        step = max(1.0, most * (2**chip.array.dac_bits - 1) / high)
        analog = GENERIC.override({"adc.bits": bits})
    else:
        step = data.draw(st.sampled_from([1.0, 0.7, 3.0]))
        analog = GENERIC.override({"adc.bits": bits, "adc.range": "fixed", "adc.limit": step * high})
    check(program, x, analog, step, high, "plain", "compiled", "torch")


@settings(some, max_examples=12)
@given(layers(), chips(), st.data(), st.integers(3, 8))
def test_drawn_cells_give_what_the_chain_gives(
    layer: tuple[Sketch, np.ndarray], chip: Chip, data: st.DataObject, bits: int
) -> None:
    sketch, x = layer
    quantised = recoded(data.draw, mho.number.quantise(sketch.network(), x))
    program = mho.compile(quantised, chip, GREEDY.with_(data.draw(options(chip))))
    devices = {
        "device.programming.sigma": 0.1,
        "device.stuck.on_share": 0.05,
        "device.stuck.off_share": 0.05,
        "seed": 3,
    }
    limit = 0.3 * chip.array.rows * (2**chip.array.dac_bits - 1) * (chip.levels - 1)
    analog = GENERIC.override({"adc.bits": bits, "adc.range": "fixed", "adc.limit": limit, **devices})
    check(program, x, analog, limit / (2**bits - 1), 2**bits - 1, "plain", "compiled", "torch")
    check(program, x, GENERIC.override({"adc.bits": "ideal", **devices}), None, 0, "compiled")


def small_chip(**values: Any) -> Chip:
    """Eight groups of two arrays of 8 x 12 cells of one bit, one ADC an array; keys with __ for dots."""
    sizes = {
        "array.rows": 8,
        "array.columns": 12,
        "array.cell_bits": 1,
        "group.arrays": 2,
        "tile.groups": 2,
        "tiles": 4,
    }
    more = {key.replace("__", "."): value for key, value in values.items()}
    return Chip.load("aras").override({**PARTS, **sizes, **more}, source="hand")


def small_network(*widths: int, seed: int = 1) -> tuple[QuantisedNetwork, np.ndarray]:
    """Linear layers of these widths on random inputs, on a grid of few planes of which three are squeezed out."""
    sketch = Sketch(seed, (1, widths[0]))
    for width in widths[1:]:
        sketch.linear(sketch.layers[-1], width)
    x = np.random.default_rng(seed).uniform(-1, 1, (3, widths[0]))
    return mho.number.recode(mho.number.quantise(sketch.network(), x), Grid.window(8, 3), squeeze=3, tile=4), x


@pytest.mark.parametrize("dac_bits", [1, 2, 3])
@pytest.mark.parametrize("backend", ["plain", "compiled", "torch"])
def test_steps_that_shifted_inputs_do_not_take_convert_nothing(dac_bits: int, backend: str) -> None:
    # Inputs of 0: each conversion gives what its ADC is beside 0, in as many steps as there are, and clips if that is negative.
    quantised, _ = small_network(20, 7)
    program = mho.compile(quantised, small_chip(array__dac_bits=dac_bits), GREEDY.with_(mapping="squeezed"))
    tiling = program.mapping.layers[0].blocks
    assert isinstance(tiling, DigitBlocks)
    assert any(piece.late for index in range(tiling.count) for piece in tiling.block(index).parts)
    analog = GENERIC.override({"adc.bits": 8, "adc.offset_error": 3.0})
    zeros = np.zeros((1, 20))
    clips = []
    for seed in range(8):
        _, signals = sums_of(program, zeros, analog.override({"seed": seed}), backend)
        (layer,) = signals.layers
        converted = sum(windows_events(tiling, index, program)["adc_conversion"] for index in range(tiling.count))
        assert layer.conversions == converted
        assert layer.clipped <= converted
        clips.append(layer.clipped)
    assert max(clips) > 0


def windows_events(tiling: DigitBlocks, index: int, program: Program, order: Sequence[int] = ()) -> Counter[str]:
    """The events of one window through a block whose columns sit in `order`."""
    block = tiling.block(index)
    return events_of(block, program, order or range(block.width))


@some
@given(networks, chips(), st.data())
def test_an_activation_is_charged_for_what_its_pieces_do(network: Network, chip: Chip, data: st.DataObject) -> None:
    inputs = synthetic(network, 1, seed=1).inputs
    program = mho.compile(
        recoded(data.draw, mho.number.quantise(network, inputs)), chip, GREEDY.with_(data.draw(options(chip)))
    )
    orders: dict[int, Sequence[int]] = {}
    wanted: dict[int, Counter[str]] = {}
    for number, instruction in enumerate(program.instructions):
        if isinstance(instruction, Write):
            for which, group in enumerate(members(instruction.groups)):
                orders[group] = instruction.columns[which] if instruction.columns else ()
        if isinstance(instruction, Activate) and number >= program.setup:
            mapped = program.mapping.by_index[instruction.layer]
            tiling = mapped.blocks
            assert isinstance(tiling, DigitBlocks)
            windows = instruction.windows[1] - instruction.windows[0]
            for index, group in zip(
                range(*mapped.within(instruction.blocks)), members(instruction.groups), strict=True
            ):
                for event, count in windows_events(tiling, index, program, orders[group]).items():
                    wanted.setdefault(instruction.layer, Counter())[event] += count * windows
    worn = wear(program)
    found = count_events(program, worn, program.setup, len(program.instructions))
    for layer, counts in wanted.items():
        counts["index_byte"] = counts.pop("index bits") / 8  # type: ignore[assignment]
        told = {event: found.get((layer, event, "compute"), 0) for event in counts}
        # Networks move other bytes through tiles and over the network, too: vector layers have layers of their own.
        assert told == dict(counts)
    timing = time_program(program)
    booked = account(program, timing, worn)
    assert sum(booked.by("component").values()) == pytest.approx(booked.total(), rel=1e-12)
    assert sum(booked.by("kind").values()) == pytest.approx(booked.total(), rel=1e-12)


@some
@given(networks, chips(), st.data())
def test_writes_change_and_wear_the_cells_that_differ(network: Network, chip: Chip, data: st.DataObject) -> None:
    inputs = synthetic(network, 1, seed=1).inputs
    program = mho.compile(
        recoded(data.draw, mho.number.quantise(network, inputs)), chip, GREEDY.with_(data.draw(options(chip)))
    )
    assert program.quantised is not None
    room = program.mapping.grid
    cells = np.zeros((chip.groups, room.rows, room.columns), dtype=np.int64)
    changed = np.zeros_like(cells)
    worn, steps = wear(program), {}
    for inference in range(2):
        for number, instruction in enumerate(program.instructions):
            if not isinstance(instruction, Write) or (inference and number < program.setup):
                continue
            took = 0
            mapped = program.mapping.by_index[instruction.layer]
            for which, group in enumerate(members(instruction.groups)):
                index = mapped.within(instruction.blocks)[0] + which
                laid = mapped.blocks.laid(index, program.quantised.matrices[mapped.name]).astype(int)
                rows = (instruction.rows[which] if instruction.rows else ()) or range(laid.shape[0])
                columns = (instruction.columns[which] if instruction.columns else ()) or range(laid.shape[1])
                at = np.ix_([group], rows, columns)
                before = cells[at][0]
                took += int(np.abs(laid - before).sum())
                if inference:
                    changed[at] += laid != before
                cells[at] = laid
            steps[number] = took
    assert {number: count.steps for number, count in worn.counts.items()} == steps
    assert worn.per_cell_max == changed.max()
    assert worn.per_cell_mean == pytest.approx(changed.sum() / chip.cells, rel=1e-12)


def test_programs_with_squeezes_and_turns_come_back_from_their_files(tmp_path: Path) -> None:
    quantised, x = small_network(20, 7, 5)
    program = mho.compile(quantised, small_chip(), GREEDY.with_(mapping="squeezed", turns=3))
    path = tmp_path / "program.mho"
    program.save(path)
    again = Program.load(path)
    assert again.instructions == program.instructions
    assert (again.mapping.kind, again.strategy.mapping) == ("squeezed", program.strategy.mapping)
    assert again.quantised is not None
    for name, squeeze in quantised.squeezes.items():
        held = again.quantised.squeezes[name]
        assert (held.top, held.tile, held.dropped) == (squeeze.top, squeeze.tile, squeeze.dropped)
        assert (held.shifts == squeeze.shifts).all()
    assert mho.verify(again, x).ok
    again.save(tmp_path / "again.mho")
    assert (tmp_path / "again.mho").read_bytes() == path.read_bytes()


def name_unknown(record: dict[str, Any]) -> None:
    record["quantised"]["squeezes"]["other"] = record["quantised"]["squeezes"].pop("linear1")


def tile_wrong(record: dict[str, Any]) -> None:
    record["quantised"]["squeezes"]["linear1"]["tile"] = 3


def shifts_other(record: dict[str, Any]) -> None:
    squeezes = record["quantised"]["squeezes"]
    squeezes["linear1"]["shifts"] = squeezes["linear2"]["shifts"]


def top_less(record: dict[str, Any]) -> None:
    record["quantised"]["squeezes"]["linear1"]["top"] = 1


def key_missing(record: dict[str, Any]) -> None:
    del record["quantised"]["squeezes"]["linear1"]["dropped"]


def turns_none(record: dict[str, Any]) -> None:
    record["strategy"]["mapping"]["turns"] = 0


def not_squeezed(record: dict[str, Any]) -> None:
    record["strategy"]["mapping"] = {"choice": "dense"}


@pytest.mark.parametrize(
    "damage", [name_unknown, tile_wrong, shifts_other, top_less, key_missing, turns_none, not_squeezed]
)
def test_damaged_squeezes_are_refused(tmp_path: Path, damage: Callable[[dict[str, Any]], None]) -> None:
    quantised, _ = small_network(20, 7, 5)
    path, other = tmp_path / "program.mho", tmp_path / "damaged.mho"
    mho.compile(quantised, small_chip(), GREEDY.with_(mapping="squeezed", turns=2)).save(path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    record = json.loads(files["program.json"])
    damage(record)
    files["program.json"] = json.dumps(record).encode()
    with zipfile.ZipFile(other, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    with pytest.raises(ProgramError):
        Program.load(other)


def test_what_squeezed_mapping_cannot_do_is_refused() -> None:
    quantised, x = small_network(20, 7, 5)
    chip = small_chip()
    with pytest.raises(OptionError, match="shapes alone"):
        mho.compile(network(entry(1, 20), linear("only", "x", 1, 20, 7)), chip, GREEDY.with_(mapping="squeezed"))
    with pytest.raises(OptionError, match="index memory"):
        mho.compile(quantised, "isaac", GREEDY.with_(mapping="squeezed"))
    with pytest.raises(MappingError, match="shift by at most 1"):
        mho.compile(quantised, small_chip(sparse__shift_bits=1), GREEDY.with_(mapping="squeezed"))
    with pytest.raises(OptionError, match="difference of two columns"):
        mho.compile(
            quantised,
            small_chip(array__coding="differential", array__columns=16),
            GREEDY.with_(mapping="squeezed"),
        )
    with pytest.raises(OptionError, match="is for mapping"):
        mho.compile(quantised, chip, GREEDY.with_(turns=2))
    for turns in (0, 65, True, 1.0):
        with pytest.raises(OptionError, match="turns"):
            mho.compile(quantised, chip, GREEDY.with_(mapping="squeezed", turns=turns))  # type: ignore[arg-type]
    refused: tuple[dict[str, Any], ...] = ({"alignment": "64"}, {"alignment": "auto"}, {"low_cell": "lower"})
    for option in refused:
        with pytest.raises(OptionError):
            mho.compile(
                mho.number.quantise(quantised.network, x),
                small_chip(array__cell_bits=2),
                GREEDY.with_(option, mapping="squeezed"),
            )
    matrix = quantised.matrices["linear1"]
    weights = matrix.centred.copy()
    shifts = quantised.squeezes["linear1"].by_output(weights.shape[2])
    weights[tuple(np.argwhere(shifts > 0)[0])] |= 1
    changed = {**quantised.matrices, "linear1": matrix.with_integers(weights)}
    with pytest.raises(MappingError, match="no whole multiples"):
        mho.compile(replace(quantised, matrices=changed), chip, GREEDY.with_(mapping="squeezed"))
    far = replace(matrix, zero=np.full(matrix.zero.shape, 300, dtype=np.int64))
    with pytest.raises(MappingError, match="up to 255"):
        mho.compile(
            replace(quantised, matrices={**quantised.matrices, "linear1": far}),
            chip,
            GREEDY.with_(mapping="squeezed"),
        )


def test_calibrated_ranges_lie_at_the_largest_sums_seen() -> None:
    quantised, x = small_network(20, 7)
    for turns in (1, 3):
        program = mho.compile(quantised, small_chip(array__dac_bits=2), GREEDY.with_(mapping="squeezed", turns=turns))
        analog = Analog.from_dict({"schema": "mho.analog/1", "adc": {"bits": 6, "range": "calibrated"}})
        told = Chain(program, analog, 1.0, 10**6).sums(windows_of(program, x))
        limits = mho.machine.calibrate(program, x, analog).limits
        assert limits is not None
        # On a grid of 2^-14 of twice the largest sum of 8 rows driven with 3.
        assert limits["linear1"] == pytest.approx([max(float(each.max()) for each in told.seen)], abs=2 * 24 / 2**14)


@pytest.mark.parametrize("coding", ["offset", "flipped"])
def test_noise_follows_from_the_seed_whatever_the_batch(coding: str) -> None:
    quantised, x = small_network(20, 7, 5)
    program = mho.compile(
        quantised,
        small_chip(array__coding=coding),
        GREEDY.with_(mapping="squeezed", turns=2, residency="never"),
    )
    analog = GENERIC.override({"adc.bits": 6, "adc.effective_bits": 4.0, "device.programming.sigma": 0.1, "seed": 5})
    whole = mho.execute(program, x, analog=analog)["linear2"]
    again = [mho.execute(program, x[i : i + 1], analog=analog, first_sample=i)["linear2"] for i in range(len(x))]
    assert (np.concatenate(again) == whole).all()
    assert (mho.execute(program, x, analog=analog.override({"seed": 6}))["linear2"] != whole).any()


def test_more_groups_are_never_slower_under_adaptive() -> None:
    quantised, _ = small_network(40, 30, 20, 10)
    times = []
    for tiles in (1, 2, 4, 8, 16):
        program = mho.compile(
            quantised,
            small_chip(tiles=tiles),
            GREEDY.with_(mapping="squeezed", schedule="adaptive", residency="never", effort=0.01),
        )
        times.append(time_program(program).latency_s)
    assert all(later <= earlier * (1 + 1e-9) for earlier, later in pairwise(times))


def test_pieces_take_memory_in_proportion_to_rows_and_columns() -> None:
    taken = []
    for size in (256, 512, 1024):
        quantised, _ = small_network(size, size, seed=2)
        chip = small_chip(array__rows=128, array__columns=128)
        tiling = mho.compile(quantised, chip, GREEDY.with_(mapping="squeezed")).mapping.layers[0].blocks
        assert isinstance(tiling, DigitBlocks)
        found = 0
        for index in range(tiling.count):
            for piece in tiling.block(index).parts:
                arrays = (
                    piece.rows,
                    piece.shifts,
                    piece.outputs,
                    piece.signs,
                    piece.positions,
                    piece.masks,
                    piece.offsets,
                )
                found += sum(array.nbytes for array in arrays)
        taken.append(found / size**2)
    # 9 bytes a row of a tile of 4 outputs, and 9 a column of 128 digits, of which an output has at most 8.
    assert max(taken) <= 9 / 4 + 8 * 9 / 128
    assert max(taken) < 1.1 * min(taken)
