"""Streams: the least interval, what the machine measures of it, and inferences in flight that compute what one alone does."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import ProgramError, StrategyError
from mho.machine.analog.products import Products
from mho.machine.fabric import Fabric
from mho.machine.flowing import Stream as Flowing
from mho.machine.functional import IDEAL
from mho.machine.streaming import follow, time_stream
from mho.machine.timing import program_tasks, time_program
from mho.mapping import map_network
from mho.network.graph import Network
from mho.network.samples import synthetic
from mho.number import run_reference
from mho.number.reference import fixed_values
from mho.number.walk import joined, kept
from mho.program import Activate, Combine, Program, Write
from mho.program.columns import ACTIVATE, columns
from mho.program.work import flow
from mho.schedule.interval import CLOSE, Held, copies_for, least_interval, spare_copies
from tests.ported import widen
from tests.strategies import GREEDY, chips, convolutional, networks

some = settings(max_examples=40)
STREAM = GREEDY.with_({"schedule": "stream", "schedule.batch": 1})
"""Weights that stay: rounds of one inference."""
FREE = {"vector.elements_per_s": None, "vector.macs_per_s": None, "memory.bandwidth": 1e18}
"""What takes no time, or next to none; ports are widened beside it."""


@st.composite
def weights(draw: st.DrawFn, most: int = 6) -> list[Held]:
    """A few weights, some of several layers, with windows of simple times."""
    count = draw(st.integers(1, 3))
    users = [draw(st.integers(1, 2)) for _ in range(count)]
    return [
        Held(
            draw(st.integers(1, 3)),
            tuple(draw(st.integers(1, most)) for _ in range(layers)),
            tuple(draw(st.sampled_from([1.0, 2.0, 2.5])) for _ in range(layers)),
        )
        for layers in users
    ]


@settings(max_examples=300)
@given(weights(), st.integers(0, 8), st.sampled_from([0.0, 3.0, 7.5]))
def test_no_choice_of_copies_has_a_shorter_interval(held: list[Held], more: int, floor_s: float) -> None:
    groups = sum(each.groups for each in held) + more
    interval_s, copies = least_interval(held, groups, floor_s)
    choices = product(*(range(1, max(each.windows) + 1) for each in held))
    fitting = [
        choice
        for choice in choices
        if sum(each.groups * count for each, count in zip(held, choice, strict=True)) <= groups
    ]
    best = min(max(each.busy_s(count) for each, count in zip(held, choice, strict=True)) for choice in fitting)
    assert interval_s == pytest.approx(max(best, floor_s), rel=1e-9)
    assert max(each.busy_s(count) for each, count in zip(held, copies, strict=True)) <= interval_s * (1 + 1e-9)
    assert copies_for(held, groups, interval_s) == copies
    assert copies_for(held, groups, interval_s * (1 - 1e-6)) is None or interval_s == floor_s


@settings(max_examples=100)
@given(weights(), st.integers(0, 8))
def test_spare_copies_fit_and_only_help(held: list[Held], more: int) -> None:
    groups = sum(each.groups for each in held) + more
    _, copies = least_interval(held, groups)
    spare = spare_copies(held, copies, groups)
    assert sum(each.groups * count for each, count in zip(held, spare, strict=True)) <= groups
    for each, few, many in zip(held, copies, spare, strict=True):
        assert few == many or each.busy_s(many) < each.busy_s(few)


def plain_spare_copies(held: list[Held], copies: tuple[int, ...], groups: int) -> tuple[int, ...]:
    """Return the same copies by looking at every number of every weight, after every choice."""
    found = list(copies)
    while True:
        left = groups - sum(each.groups * count for each, count in zip(held, found, strict=True))
        best, place, added = 0.0, 0, 0
        for which, (each, now) in enumerate(zip(held, found, strict=True)):
            gain, more = 0.0, 0
            for count in range(now + 1, min(max(each.windows), now + left // each.groups) + 1):
                saved = (each.busy_s(now) - each.busy_s(count)) / ((count - now) * each.groups)
                if saved > gain * (1 + CLOSE):
                    gain, more = saved, count - now
            if gain > best:
                best, place, added = gain, which, more
        if not added:
            return tuple(found)
        found[place] += added


@settings(max_examples=100)
@given(weights(40), st.integers(0, 60))
def test_spare_copies_are_those_of_the_plain_search(held: list[Held], more: int) -> None:
    groups = sum(each.groups for each in held) + more
    _, copies = least_interval(held, groups)
    assert spare_copies(held, copies, groups) == plain_spare_copies(held, copies, groups)


def test_spare_copies_are_found_in_few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers of many windows: a weight is looked at where its turns change, and again where what it would take is gone."""
    looks, busy_s = [0], Held.busy_s

    def counted(self: Held, copies: int) -> float:
        looks[0] += 1
        return busy_s(self, copies)

    monkeypatch.setattr(Held, "busy_s", counted)
    counts = []
    for windows in (1_000, 4_000, 16_000):
        looks[0] = 0
        spare_copies([Held(1, (windows,), (1.0,)) for _ in range(20)], (1,) * 20, 20 + windows)
        counts.append(looks[0])
    # As copies grow to the root of the windows, and each look goes no further than it may gain.
    assert counts[1] <= 2.5 * counts[0]
    assert counts[2] <= 2.5 * counts[1]


def test_a_chip_without_room_for_a_copy_of_each_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="does not hold a copy of each weight"):
        least_interval([Held(2, (3,), (1.0,))], 1)


def roomy(chip: Chip, network: Network, more: int) -> Chip:
    """Return a chip that holds a network and `more` groups, layers in data flow, with a bank for all that is in flight."""
    groups = map_network(network, chip).count + more
    return chip.override(
        {"tile.groups": 1, "tiles": groups, "layer_order": "dataflow", "buffer.banks": [2**18] * 24}, source="roomy"
    )


def streamed(network: Network, chip: Chip, more: int, **settings: int) -> Program:
    """Return a stream of a network with calibrated codes."""
    quantised = mho.quantise(network, synthetic(network, 2, seed=1).inputs)
    return mho.compile(
        quantised, roomy(chip, network, more), STREAM.with_({f"schedule.{k}": v for k, v in settings.items()})
    )


@some
@given(networks, chips(), st.integers(0, 30), st.integers(1, 8), st.data())
def test_inferences_in_flight_compute_what_each_does_alone(
    network: Network, chip: Chip, more: int, pieces: int, data: st.DataObject
) -> None:
    """Every output and every matrix layer's, of distinct inputs; and still so where instructions are late as they please."""
    program = streamed(network, chip, more, pieces=pieces)
    quantised = program.quantised
    assert quantised is not None
    samples = synthetic(network, 5, seed=2).inputs
    keep = tuple(layer.name for layer in network.matrix_layers)
    wanted = run_reference(quantised, samples, keep=keep)
    for got in (
        mho.execute(program, samples, keep=keep),
        late(program, samples, keep, data.draw(st.integers(0, 2**16))),
    ):
        for name, values in wanted.items():
            assert np.array_equal(got[name], values), name


def late(program: Program, samples: object, keep: tuple[str, ...], seed: int) -> dict[str, npt.NDArray[np.float64]]:
    """Execute a stream some of whose instructions take up to ten intervals longer than they would."""
    assert program.stream is not None and program.quantised is not None
    random = np.random.default_rng(seed)
    arrays = samples if isinstance(samples, tuple) else (samples,)
    shape = (len(arrays[0]), len(program.instructions) - program.setup)
    late_s = random.uniform(0, 10 * program.stream.interval_s, shape) * (random.random(shape) < 0.2)
    fabric = Fabric(program)
    for number, each in enumerate(program.instructions):
        if isinstance(each, Write):
            fabric.write(number)
    stream = Flowing(program, fabric, Products(program, IDEAL, "compiled"), fixed_values(program.quantised))
    names = kept(program.network, keep)
    return joined(program.network, names, list(stream.run(arrays, shape[0], tuple(names.values()), 0, late_s)))


@some
@given(networks, chips(), st.integers(0, 30), st.integers(1, 8))
def test_the_measured_interval_is_the_one_planned_or_longer_and_buffers_delay_nobody(
    network: Network, chip: Chip, more: int, pieces: int
) -> None:
    program = streamed(network, chip, more, pieces=pieces)
    assert program.stream is not None
    timing = time_stream(program)
    assert timing.interval_s >= program.stream.interval_s
    assert timing.latency_s <= timing.longest_s * (1 + 1e-9)
    ideal = program.chip.override(FREE, source="ideal")
    assert program.quantised is not None
    with pytest.MonkeyPatch.context() as patch:
        widen(patch)
        alone = mho.compile(program.quantised, ideal, program.strategy)
        assert alone.stream is not None
        assert time_stream(alone).interval_s == pytest.approx(alone.stream.interval_s, rel=1e-9)


def cycle_ratio(program: Program) -> float:
    """Return the largest ratio of time to inferences around any circle of waits: Lawler's search with Bellman and Ford's test."""
    turned, setup = program_tasks(program), program.setup
    own = (turned.waits >= setup) & (turned.before >= setup)
    later, earlier, distance = turned.waits[own] - setup, turned.before[own] - setup, turned.distance[own]
    lasts = turned.tasks.lasts[setup:]

    def grows(ratio: float) -> bool:
        reached = np.zeros(len(lasts))
        step = lasts[earlier] - ratio * distance
        for _ in range(len(lasts) + 1):
            further = reached.copy()
            np.maximum.at(further, later, reached[earlier] + step)
            if np.allclose(further, reached, rtol=0, atol=1e-12 * max(ratio, 1e-30)):
                return False
            reached = further
        return True

    low, high = 0.0, float(lasts.sum()) + 1e-12
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if grows(middle) else (low, middle)
    return high


@settings(max_examples=25)
@given(convolutional(), chips(), st.integers(0, 20), st.integers(1, 4))
def test_a_stream_as_fast_as_it_can_go_takes_the_ratio_of_its_worst_circle(
    network: Network, chip: Chip, more: int, pieces: int
) -> None:
    """Where nothing is shared that is not waited for: neither vector unit nor memory takes any time."""
    with pytest.MonkeyPatch.context() as patch:
        widen(patch)
        program = streamed(network, chip.override(FREE, source="free"), more, pieces=pieces)
        assert program.stream is not None
        ratio = cycle_ratio(program)
        note(f"circle {ratio}, planned {program.stream.interval_s}")
        assert ratio <= program.stream.interval_s * (1 + 1e-6)
        hasty = replace(program, stream=replace(program.stream, interval_s=ratio * 1e-6))
        ended = follow(hasty, 80)[1].max(axis=1)
        assert any(ended[-1] - ended[-1 - rounds] == pytest.approx(rounds * ratio, rel=1e-5) for rounds in range(1, 25))


@some
@given(networks, chips(), st.integers(0, 30))
def test_a_ring_of_one_row_less_is_seen_in_the_outputs(network: Network, chip: Chip, more: int) -> None:
    program = streamed(network, chip, more)
    rows = flow(network)
    shrunk = [n for n, use in enumerate(program.buffers) if use.rows is not None and use.rows > 1]
    # A tensor of one value that is drawn alike would hide it.
    shrunk = [n for n in shrunk if network.layers[program.buffers[n].layer].size >= 8]
    assume(shrunk)
    samples = synthetic(network, 6, seed=3).inputs
    assert program.quantised is not None
    wanted = run_reference(program.quantised, samples, keep=tuple(layer.name for layer in network.matrix_layers))
    place = shrunk[0]
    use = program.buffers[place]
    less = replace(use, rows=(use.rows or 0) - 1)
    note(f"{network.layers[use.layer].name} keeps {use.rows} rows of {rows.rows(network.layers[use.layer].name)}")
    wrong = replace(program, buffers=(*program.buffers[:place], less, *program.buffers[place + 1 :]))
    kinds = _differing(wrong, samples, wanted)
    illegal = mho.program.violations(wrong)
    assert illegal or kinds


def _differing(program: Program, samples: object, wanted: dict[str, npt.NDArray[np.float64]]) -> list[str]:
    got = mho.execute(program, samples, keep=tuple(wanted))  # type: ignore[arg-type]
    return [name for name, values in wanted.items() if not np.array_equal(got[name], values)]


@some
@given(networks, chips(), st.integers(0, 30), st.integers(1, 8))
def test_energy_is_that_of_one_inference_however_its_windows_flow(
    network: Network, chip: Chip, more: int, pieces: int
) -> None:
    """Windows through every block once, rows combined, computed and moved once: all events but those of writing are the same."""
    from mho.machine.energy import count_events

    program = streamed(network, chip, more, pieces=pieces)
    assert program.quantised is not None
    plain = mho.compile(program.quantised, program.chip, GREEDY.with_(schedule="naive"))
    report, other = mho.simulate(program), mho.simulate(plain)
    events, others = (
        count_events(each.program, each.worn, each.program.setup, len(each.program.instructions))
        for each in (report, other)
    )
    assert set(events) == set(others)
    for key, count in events.items():
        assert count == pytest.approx(others[key], rel=1e-9, abs=1e-9), key


def test_windows_are_dealt_in_turn_and_turns_follow_one_another() -> None:
    """By hand: 8 windows of time t on 3 copies keep turns t / 3 apart, and the last ends a window's time after its turn."""
    network = mho.zoo.load("lenet5") if "lenet5" in mho.zoo.names() else None
    if network is None:
        network = mho.zoo.load("resnet20")
    program = mho.compile(network, "isaac", STREAM)
    table, timing = columns(program), time_program(program)
    window_s = {layer.index: layer.window_s for layer in program.mapping.layers}
    several = [place for place in table.of(ACTIVATE).tolist() if table.copies[place] > 1]
    assert several
    for place in several:
        copies, windows = int(table.copies[place]), int(table.windows[place])
        lasts = (windows - 1) * window_s[int(table.layer[place])] / copies + window_s[int(table.layer[place])]
        assert timing.ends[place] - timing.starts[place] == pytest.approx(lasts, rel=1e-9)


def test_streams_of_published_networks_take_the_least_interval_and_little_more_time_than_that() -> None:
    """The goals set for ISAAC, whose sources are the prototype's: inferences a second, and seconds of one alone."""
    goals = {"resnet18": (16_300, 0.18e-3), "resnet50": (7_800, 0.48e-3), "mobilenet_v2": (7_390, 0.50e-3)}
    for name, (rate, alone_s) in goals.items():
        program = mho.compile(mho.zoo.load(name), "isaac", STREAM)
        assert len(program.instructions) - program.setup <= 10_000
        assert 1 / time_stream(program).interval_s >= rate
        assert time_program(program).latency_s <= alone_s
        filled = np.zeros(program.chip.tiles, dtype=np.int64)
        for use in program.buffers:
            np.add.at(filled, list(use.banks), list(use.parts))
        assert filled.max() <= 64 * 1024


def test_what_holds_no_stream_is_refused_in_one_sentence() -> None:
    network = mho.zoo.load("resnet20")
    with pytest.raises(StrategyError, match="layer_order: sequential"):
        mho.compile(network, "aras", STREAM)
    with pytest.raises(StrategyError, match="stay on the chip"):
        mho.compile(network, "isaac", STREAM.with_(residency="never"))
    program = mho.compile(network, "isaac", GREEDY.with_(schedule="overlap"))
    with pytest.raises(ProgramError, match="schedule stream makes a stream"):
        time_stream(program)


def test_a_stream_is_kept_in_a_file(tmp_path: Path) -> None:
    program = mho.compile(mho.zoo.load("resnet20"), "isaac", STREAM)
    program.save(tmp_path / "stream.mho")
    again = Program.load(tmp_path / "stream.mho")
    assert again.stream == program.stream and again.buffers == program.buffers
    assert again.instructions == program.instructions
    assert any(isinstance(each, Combine) and each.rows for each in again.instructions)
    assert any(isinstance(each, Activate) and each.copies > 1 for each in again.instructions)
    assert "rows" in again.listing()
