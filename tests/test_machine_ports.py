"""Memory and ports as shared channels: the clock against a plain one, laws of fairness, bytes that are charged and timed alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.machine import time_program, wear
from mho.machine.channels import CHANNELS, GLOBAL_BUFFER, NOC, TILE_BUFFER, Tasks, passed_bytes
from mho.machine.clock import FREE, VECTOR_UNIT, clock, fill
from mho.machine.energy import count_events
from mho.network.graph import Network
from mho.network.layers import Array, Convolution
from mho.program import Activate, Write
from mho.program.columns import FETCH, LOAD, STORE, columns
from mho.program.legality import violations
from mho.program.legality.overload import overload
from mho.program.legality.ports import buffer_bytes, network_bytes, tile_buffer_bytes
from tests.hand_sized import entry, hand_chip, hand_program, linear, network
from tests.strategies import ALONE, GREEDY, chips, networks

some = settings(max_examples=25)
schedules = st.sampled_from(ALONE)
residencies = st.sampled_from(["auto", "never"])


@dataclass(frozen=True)
class Job:
    """An instruction as the plain clock takes it: bytes by channel, and the bytes in which its rate is told."""

    after: tuple[int, ...]
    vector: bool
    lasts: float
    uses: dict[int, float]
    share: float


def arrays(jobs: Sequence[Job], rates: Sequence[float]) -> Tasks:
    """The same as the clock takes it."""
    uses = [pair for job in jobs for pair in job.uses.items()]
    return Tasks(
        np.concatenate([[0], np.cumsum([len(job.after) for job in jobs])]).astype(np.int64),
        np.array([other for job in jobs for other in job.after], dtype=np.int64),
        np.array([VECTOR_UNIT if job.vector else FREE for job in jobs], dtype=np.int8),
        np.array([job.lasts for job in jobs]),
        np.array([job.share for job in jobs]),
        np.concatenate([[0], np.cumsum([len(job.uses) for job in jobs])]).astype(np.int64),
        np.array([channel for channel, _ in uses], dtype=np.int64),
        np.array([size for _, size in uses], dtype=np.float64),
        np.array(rates, dtype=np.float64),
    )


def run(tasks: Tasks) -> tuple[list[float], list[float], list[float]]:
    starts, ends = np.zeros(len(tasks.lasts)), np.zeros(len(tasks.lasts))
    moved = clock(0, len(starts), *tasks, starts, ends)
    return starts.tolist(), ends.tolist(), moved.tolist()


def fair(jobs: Sequence[Job], under_way: Sequence[int], rates: Sequence[float]) -> dict[int, float]:
    """Share of itself that each job gets done in a second: all rise together in bytes of `share` until one has to stop."""
    wish = {i: 1 / jobs[i].lasts if jobs[i].lasts else inf for i in under_way}
    rising, done = set(under_way), dict.fromkeys(under_way, 0.0)
    while rising:
        left = [
            rate - sum(jobs[i].uses.get(c, 0.0) * done[i] for i in done if i not in rising)
            for c, rate in enumerate(rates)
        ]
        slope = [sum(jobs[i].uses.get(c, 0.0) / jobs[i].share for i in rising) for c in range(len(rates))]
        full = {c: max(left[c], 0.0) / slope[c] for c in range(len(rates)) if slope[c] > 0}
        level = min([*full.values(), *(wish[i] * jobs[i].share for i in rising)])
        stopped = {
            i for i in rising
            if wish[i] * jobs[i].share <= level * (1 + 1e-12)
            or any(full[c] <= level * (1 + 1e-12) for c in jobs[i].uses if c in full)
        }  # fmt: skip
        for i in stopped:
            done[i] = min(wish[i], level / jobs[i].share)
        rising -= stopped
    return done


def plainly(jobs: Sequence[Job], rates: Sequence[float]) -> tuple[list[float], list[float]]:
    """Starts and ends by recomputing every rate at every event."""
    starts, ends = [inf] * len(jobs), [inf] * len(jobs)
    left, waiting, queue = {}, list(range(len(jobs))), []
    now, serving = 0.0, -1
    while waiting or left or queue:
        for i in [i for i in waiting if all(ends[j] <= now for j in jobs[i].after)]:
            waiting.remove(i)
            queue.append(i)
        for i in list(queue):
            if not jobs[i].vector or serving < 0:
                serving = i if jobs[i].vector else serving
                queue.remove(i)
                starts[i], left[i] = now, 1.0
        speed = fair(jobs, sorted(left), rates)
        until = {i: now + (left[i] / speed[i] if speed[i] < inf else 0.0) for i in left}
        now, before = min(until.values()), now
        for i in sorted(left):
            left[i] -= (now - before) * speed[i] if now > before else 0.0
            if until[i] <= now * (1 + 1e-12):
                ends[i] = now
                del left[i]
                serving = -1 if serving == i else serving
    return starts, ends


sizes = st.integers(1, 40).map(float)


@st.composite
def loads(draw: st.DrawFn, channels: int = 3) -> list[Job]:
    jobs: list[Job] = []
    for number in range(draw(st.integers(1, 9))):
        after = draw(st.sets(st.integers(0, number - 1), max_size=2)) if number else set()
        uses = draw(st.dictionaries(st.integers(0, channels - 1), sizes, max_size=channels))
        lasts = draw(st.sampled_from([0.0, 1.0, 2.0, 3.5, 8.0]))
        vector = lasts > 0 and draw(st.booleans())
        share = uses[min(uses)] if uses else 1.0
        jobs.append(Job(tuple(sorted(after)), vector, lasts, uses, share))
    return jobs


channel_rates = st.lists(st.sampled_from([1.0, 3.0, 7.0, 20.0, 1000.0, inf]), min_size=3, max_size=3)


@settings(max_examples=250)
@given(loads(), channel_rates)
def test_the_clock_is_the_plain_one(jobs: list[Job], rates: list[float]) -> None:
    starts, ends, moved = run(arrays(jobs, rates))
    expected_starts, expected_ends = plainly(jobs, rates)
    assert starts == pytest.approx(expected_starts, rel=1e-7, abs=1e-7)
    assert ends == pytest.approx(expected_ends, rel=1e-7, abs=1e-7)
    assert moved == pytest.approx([sum(job.uses.get(c, 0.0) for job in jobs) for c in range(3)])


@settings(max_examples=200)
@given(loads(), channel_rates)
def test_no_channel_ever_moves_more_than_it_can_and_nothing_is_faster_than_it_may(
    jobs: list[Job], rates: list[float]
) -> None:
    starts, ends, _ = (np.array(side) for side in run(arrays(jobs, rates)))
    for job, start, end in zip(jobs, starts, ends, strict=True):
        assert end - start >= job.lasts * (1 - 1e-9)
        assert start >= max((ends[j] for j in job.after), default=0.0)
    for channel, rate in enumerate(rates):
        demand = np.array([job.uses.get(channel, 0.0) / rate for job in jobs])
        assert overload(starts[demand > 0], ends[demand > 0], demand[demand > 0], 1e-9) is None


@settings(max_examples=200)
@given(loads())
def test_channels_that_are_infinitely_wide_hold_nobody_up(jobs: list[Job]) -> None:
    """Times are then those of a chip of channel 0 alone, exactly."""
    without = [
        replace(job, uses={c: size for c, size in job.uses.items() if not c}, share=job.uses.get(0, 1.0))
        for job in jobs
    ]
    assert run(arrays(jobs, [5.0, inf, inf]))[:2] == run(arrays(without, [5.0, inf, inf]))[:2]


@settings(max_examples=200)
@given(loads(channels=1), st.floats(0.5, 50.0), st.floats(1.0, 10.0))
def test_a_narrower_channel_never_ends_sooner(jobs: list[Job], rate: float, times: float) -> None:
    """Of what starts together, and of what goes on one after another."""
    together = [replace(job, after=(), vector=False) for job in jobs]
    chained = [replace(job, after=(n - 1,) if n else ()) for n, job in enumerate(jobs)]
    for case in (together, chained):
        narrow, wide = (max(run(arrays(case, [each]))[1]) for each in (rate, rate * times))
        assert narrow >= wide * (1 - 1e-9)


@settings(max_examples=300)
@given(loads(), channel_rates.filter(lambda rates: max(rates) < inf))
def test_whoever_gets_less_than_it_asks_for_gets_as_much_as_anybody_in_a_full_channel(
    jobs: list[Job], rates: list[float]
) -> None:
    flows = [job for job in jobs if job.uses]
    if not flows:
        return
    tasks = arrays(flows, rates)
    wish = np.array([job.share / job.lasts if job.lasts else 1e9 for job in flows])
    got = np.zeros(len(flows))
    uses = tasks.use_starts, tasks.use_channel, tasks.use_bytes
    fill(np.arange(len(flows)), np.arange(3), wish, tasks.share, uses, tasks.rates, got)
    carried = [sum(job.uses.get(c, 0.0) * r / job.share for job, r in zip(flows, got, strict=True)) for c in range(3)]
    assert all(moved <= rate * (1 + 1e-9) for moved, rate in zip(carried, rates, strict=True))
    for job, rate, asked in zip(flows, got, wish, strict=True):
        assert 0 < rate <= asked
        if rate < asked * (1 - 1e-9):
            assert any(
                carried[c] >= rates[c] * (1 - 1e-9)
                and all(rate >= other * (1 - 1e-9) for each, other in zip(flows, got, strict=True) if c in each.uses)
                for c in job.uses
            )


def test_a_flow_held_up_elsewhere_leaves_room() -> None:
    """Channel 0 of 10: a third flow that channel 1 holds at 1 leaves 4.5 each to the others, until it alone is left."""
    jobs = [
        Job((), False, 0.0, {0: 9.0}, 9.0),
        Job((), False, 0.0, {0: 9.0}, 9.0),
        Job((), False, 0.0, {0: 4.0, 1: 8.0}, 4.0),
    ]
    assert run(arrays(jobs, [10.0, 2.0]))[1] == pytest.approx([2.0, 2.0, 4.0])


T = 8 * 2 * 60 * 50e-9
WINDOW = 8 * (9 + 4) * 1e-9


def one_layer(windows: int, **values: int) -> tuple[mho.Program, float]:
    """A layer of 8 inputs and 2 outputs on one group, and how long its windows take as the machine times them."""
    net = network(entry(windows, 8), linear("l", "x", windows, 8, 2))
    program = hand_program(
        hand_chip(memory__bandwidth=1e15, **values), net,
        Write(1, (0, 1), 0, ((0, 1),), ()), Activate(1, (0, 1), 0, (0, windows), ((0, 1),), True, (0,)),
    )  # fmt: skip
    timing = time_program(program)
    return program, float(timing.ends[1] - timing.starts[1])


@pytest.mark.parametrize("windows", [1, 5, 1000])
@pytest.mark.parametrize(
    ("key", "size"),
    # 8 inputs of a byte; into the tile's buffer and out again; over the network with 2 sums of 3 bytes.
    [("buffer__port_bits", 8), ("tile__buffer_port_bits", 16), ("tile__noc_port_bits", 14)],
)
def test_a_layer_lasts_as_long_as_the_slower_of_its_windows_and_its_bytes(windows: int, key: str, size: int) -> None:
    wide = {"buffer__port_bits": 256, "tile__buffer_port_bits": 256, "tile__noc_port_bits": 256}
    assert one_layer(windows, **wide)[1] == pytest.approx(windows * WINDOW, rel=1e-9)
    slow = {**wide, "frequency_hz": 50e6, key: 8}
    # A byte each 20 ns, which is slower than 104 ns a window from 6 bytes on.
    assert one_layer(windows, **slow)[1] == pytest.approx(windows * size * 20e-9, rel=1e-9)


def narrowed(chip: Chip, ports: tuple[int, int, int], clock_hz: float) -> Chip:
    keys = "tile.noc_port_bits", "tile.buffer_port_bits", "buffer.port_bits"
    return chip.override({**dict(zip(keys, ports, strict=True)), "frequency_hz": clock_hz}, source="law")


widths = st.tuples(*[st.sampled_from([8, 32, 256, 1024])] * 3)


fetches = st.sampled_from(["every_window", "once"])


@some
@given(networks, chips(), schedules, residencies, widths, st.sampled_from([1e7, 1e9]), fetches)
def test_programs_are_legal_as_timed_and_never_beat_the_bound_whatever_the_ports(
    net: Network,
    chip: Chip,
    schedule: str,
    residency: str,
    ports: tuple[int, int, int],
    clock_hz: float,
    fetch: str,
) -> None:
    narrow = narrowed(chip, ports, clock_hz).override({"tile.input_fetch": fetch}, source="law")
    program = mho.compile(net, narrow, GREEDY.with_(schedule=schedule, residency=residency))
    timing = time_program(program)
    assert not violations(program, (timing.starts, timing.ends))
    report = mho.simulate(program)
    assert report.bound.seconds <= report.latency_s * (1 + 1e-9), report.bound.arguments


@some
@given(networks, chips(), schedules, residencies, fetches)
def test_the_bytes_that_are_timed_are_those_that_are_charged(
    net: Network, chip: Chip, schedule: str, residency: str, fetch: str
) -> None:
    chip = chip.override({"tile.input_fetch": fetch}, source="law")
    program = mho.compile(net, chip, GREEDY.with_(schedule=schedule, residency=residency))
    passed, table = passed_bytes(program), columns(program)
    charged = dict.fromkeys(CHANNELS, 0.0)
    names = {"memory_byte": "memory", "noc_byte": "noc", "tile_buffer_byte": "tile_buffer"}
    for (_, event, _), count in count_events(program, wear(program), 0, len(program.instructions)).items():
        name = "global_buffer" if event.startswith("global_buffer") else names.get(event)
        if name is not None:
            charged[name] += count
    # Transfers cross the network too, but at no tile's port.
    charged["noc"] -= float(table.size[table.of(LOAD, STORE, FETCH)].sum())
    assert passed.sum(axis=1).tolist() == pytest.approx([charged[name] for name in CHANNELS], rel=1e-9)
    # The checker counts them anew.
    fetched = table.moved_bytes + table.order_bytes
    assert buffer_bytes(program) == pytest.approx(passed[GLOBAL_BUFFER])
    assert network_bytes(program, fetched) == pytest.approx(passed[NOC])
    assert tile_buffer_bytes(program, fetched) == pytest.approx(passed[TILE_BUFFER])


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("buffer.port_bits", "the port of the global buffer"),
        ("tile.noc_port_bits", "the network port of tile"),
        ("tile.buffer_port_bits", "the buffer port of tile"),
    ],
)
def test_more_bytes_than_a_port_gives_are_found(key: str, name: str) -> None:
    """Times are measured with wide ports and checked against a narrow one."""
    program = mho.compile(mho.zoo.load("resnet20"), "aras", GREEDY.with_(schedule="overlap"))
    timing = time_program(program)
    narrow = replace(program, chip=program.chip.override({key: 8}, source="law"))
    found = violations(narrow, (timing.starts, timing.ends))
    assert found and all(each.text.startswith(name) for each in found)


@settings(max_examples=200)
@given(
    st.integers(1, 2), st.integers(1, 3), st.tuples(*[st.integers(1, 6)] * 2), st.tuples(*[st.integers(1, 3)] * 2),
    st.tuples(*[st.integers(1, 4)] * 2), st.tuples(*[st.integers(1, 2)] * 2), st.data(),
)  # fmt: skip
def test_inputs_that_are_kept_are_whole_rows_and_never_fewer_than_the_windows_read(
    batch: int,
    channels: int,
    outputs: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    data: st.DataObject,
) -> None:
    layer = Convolution(
        name="c", inputs=("x",), shape=(batch, 1, *outputs), weight=Array((1, channels, *kernel)), stride=stride,
        dilation=dilation,
    )  # fmt: skip
    places = [
        {
            (sample, y * stride[0] + j * dilation[0], x * stride[1] + i * dilation[1])
            for j in range(kernel[0])
            for i in range(kernel[1])
        }
        for sample in range(batch)
        for y in range(outputs[0])
        for x in range(outputs[1])
    ]
    assert layer.distinct_inputs == channels * len(set.union(*places))
    first = data.draw(st.integers(0, len(places) - 1))
    last = data.draw(st.integers(first + 1, len(places)))
    (kept,) = layer.inputs_kept(np.array([first]), np.array([last])).tolist()
    assert channels * len(set.union(*places[first:last])) <= kept <= (last - first) * layer.rows
    # Whole rows of windows ask for just what they read, where that is fewer than what they ask for one by one.
    if (
        first % outputs[1] == 0
        and last % outputs[1] == 0
        and first // (outputs[0] * outputs[1]) == (last - 1) // (outputs[0] * outputs[1])
    ):
        assert kept == min(channels * len(set.union(*places[first:last])), (last - first) * layer.rows)


def test_inputs_that_are_kept_pass_the_ports_once() -> None:
    """ResNet-20 on `aras`: no instruction moves more than if every window fetched its inputs, and each array reads as much."""
    programs = {
        fetch: mho.compile(
            mho.zoo.load("resnet20"),
            Chip.load("aras").override({"tile.input_fetch": fetch}, source="law"),
            GREEDY.with_(schedule="naive"),
        )
        for fetch in ("every_window", "once")
    }
    assert programs["every_window"].chip == Chip.load("aras") != programs["once"].chip
    every, once = (passed_bytes(programs[fetch]) for fetch in ("every_window", "once"))
    assert (once <= every).all() and once[GLOBAL_BUFFER].sum() < 0.5 * every[GLOBAL_BUFFER].sum()
    assert (once[TILE_BUFFER] >= every[TILE_BUFFER] / 2).all()
    assert time_program(programs["once"]).latency_s <= time_program(programs["every_window"]).latency_s


def test_a_report_says_which_layer_waits_for_which_port() -> None:
    """Five windows of 8 bytes through 8 bits a cycle of 50 MHz: 800 ns, of which arrays take 520."""
    program, lasts = one_layer(5, frequency_hz=50e6, buffer__port_bits=8)
    ports = mho.simulate(program).field("ports")
    assert ports["held_up"] == [
        {"layer": "l", "port": "global_buffer", "held_s": pytest.approx(lasts - 5 * WINDOW, rel=1e-9)}
    ]
    busy = 5 * 8 * 20e-9 / time_program(program).latency_s
    assert ports["global_buffer"] == {"bytes": 40, "busy_fraction": pytest.approx(busy)}
    assert mho.simulate(one_layer(5)[0]).field("ports")["held_up"] == []


def test_on_aras_only_the_port_of_the_global_buffer_holds_layers_up() -> None:
    """Its tiles' ports give just what their groups ask for at full speed."""
    program = mho.compile(mho.zoo.load("resnet18"), "aras", GREEDY.with_(schedule="aras"))
    held = mho.simulate(program).field("ports")["held_up"]
    assert held and {each["port"] for each in held} == {"global_buffer"}
