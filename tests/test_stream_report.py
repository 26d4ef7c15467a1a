"""A stream's report is of its steady state: its parts sum up, its pace is the program's, and requests wait as the queue says."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import MappingError, OptionError, StrategyError
from mho.machine.clock import clock
from mho.machine.powered import powered, steady_crossing_s
from mho.machine.report import Report
from mho.machine.steady import copies_held, peak_shares, period_s
from mho.machine.streaming import _unrolled, time_stream
from mho.machine.timing import program_tasks
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.program import Program
from mho.program.columns import columns
from mho.report.plot import draw
from mho.report.sections import Track
from mho.report.stream import _folded, one_interval
from mho.report.svg import width_of
from mho.report.views import page, view
from tests.command_line import Shell
from tests.strategies import chips, networks
from tests.test_readme import lines, told

Times = np.ndarray[Any, np.dtype[np.float64]]
few = settings(max_examples=25, deadline=None)
PAGE = Path(__file__).parent.parent / "docs" / "stream.md"
SCHEMA = json.loads((files("mho.report") / "report.schema.json").read_text(encoding="utf-8"))


def stream_of(network: Network | str, chip: Chip | str = "isaac") -> Program:
    net = mho.zoo.load(network) if isinstance(network, str) else network
    return mho.compile(net, chip, mho.Strategy().with_(schedule="stream", banks="greedy"))


@pytest.fixture(scope="module")
def program() -> Program:
    return stream_of("resnet20")


@pytest.fixture(scope="module")
def report(program: Program) -> Report:
    return mho.simulate(program, rate=60_000)


@st.composite
def streams(draw: st.DrawFn) -> Program:
    """Draw a stream: a network of one sample on a chip that may well hold it, layers in the order of data."""
    network, chip = draw(networks), draw(chips(("aras", "isaac")))
    banks = (
        {}
        if chip.buffer.in_tiles
        else {"buffer.banks": draw(st.lists(st.sampled_from([2**8, 2**14]), min_size=2, max_size=5))}
    )
    larger = chip.override(
        {"layer_order": "dataflow", "tiles": draw(st.sampled_from([40, 400])), **banks}, source="drawn"
    )
    try:
        program = stream_of(network, larger)
    except (StrategyError, MappingError):
        assume(False)
        raise
    # Networks in segments: test_segments_report.py.
    assume(program.stream is not None and not program.stream.segments)
    return program


@few
@given(streams())
def test_every_stream_fits_the_schema_and_its_parts_sum_up(program: Program) -> None:
    report = mho.simulate(program)
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    jsonschema.Draft202012Validator(SCHEMA).validate(content)
    stream, energy = content["stream"], content["energy_j"]
    assert math.fsum(stream["peak"].values()) == pytest.approx(1, rel=1e-9)
    for parts in (
        energy["by_kind"].values(),
        energy["by_component"].values(),
        [each["energy_j"] for each in content["layers"]],
    ):
        assert math.fsum(parts) == pytest.approx(energy["total"], rel=1e-9)
    assert content["throughput_per_s"] == stream["rate_per_s"] == report.throughput_per_s
    assert stream["rate_per_s"] * stream["interval_s"] == pytest.approx(1, rel=1e-12)
    assert stream["interval_s"] >= program.stream.interval_s  # type: ignore[union-attr]
    assert stream["in_flight"] * stream["interval_s"] == pytest.approx(stream["latency_s"]["mean"], rel=1e-12)
    assert max(share for name, share in stream["busy"].items() if name != "layer") <= 1 + 1e-9
    if stream["busy"]["layer"] is not None:
        # What is not lost to copies and to the interval is what the busiest ones are busy for, of all that are held.
        lost = stream["peak"]["copies"] + stream["peak"]["useful"] + stream["peak"]["partly_filled"]
        assert lost == pytest.approx(stream["busy"]["copies"] * (1 - stream["peak"]["left_over"]), rel=1e-9, abs=1e-12)
    assert stream["busy"]["memory"] == content["memory"]["busy_fraction"]
    rings = stream["rings"]
    assert rings["bytes"] == sum(each["bytes"] for each in rings["tensors"]) == content["in_use"]["buffer_bytes"]
    assert rings["fullest_bytes"] <= rings["fullest_of"] == program.chip.buffer.banks[rings["fullest_bank"]]
    assert all(1 <= each["rows"] <= 2 * each["of"] + 2 for each in rings["tensors"])
    again = Report.from_dict(content)
    assert (str(again), again.to_dict()) == (str(report), content)


@few
@given(streams())
def test_an_inference_is_charged_its_own_events_and_an_interval_of_what_is_powered(program: Program) -> None:
    alone = mho.simulate(replace(program, stream=None))
    content, other = mho.simulate(program).to_dict(), alone.to_dict()
    for kind in ("write", "compute", "memory"):
        assert content["energy_j"]["by_kind"][kind] == pytest.approx(other["energy_j"]["by_kind"][kind], rel=1e-9)
    always, links = powered(program)
    leaks = program.chip.costs
    stream = time_stream(program)
    used = {bank for use in program.buffers for bank in use.banks}
    watts = sum(count * leaks.figure(name, "leakage") for name, count in always.items())
    watts += sum(leaks.bank_leakage_w[bank] for bank in used)
    crossing = links * leaks.figure("external_io", "leakage") * steady_crossing_s(program, stream)
    assert content["energy_j"]["by_kind"]["static"] == pytest.approx(watts * stream.interval_s + crossing, rel=1e-9)


@few
@given(streams())
def test_shares_of_the_peak_are_what_windows_dealt_one_by_one_leave(program: Program) -> None:
    shares, period, groups = peak_shares(program), period_s(program), program.chip.groups
    busy: dict[tuple[int, int], float] = {}
    held = copies_held(program)
    for run, users in program.mapping.users.items():
        for each in users:
            for window in range(each.windows):
                place = run[0], window % held[run]
                busy[place] = busy.get(place, 0.0) + each.window_s
    size = {run[0]: users[0].count for run, users in program.mapping.users.items()}
    driven = math.fsum(size[first] * seconds for (first, _), seconds in busy.items())
    assert shares.useful + shares.partly_filled == pytest.approx(driven / groups / period, rel=1e-9, abs=1e-15)
    assert max(busy.values(), default=0.0) <= period * (1 + 1e-9)
    taken = sum(
        count * users[0].count for count, users in zip(held.values(), program.mapping.users.values(), strict=True)
    )
    assert shares.left_over == pytest.approx(1 - taken / groups, abs=1e-12)
    # In some order of the machine's clock: each copy works no longer than the interval lasts, so that idle parts are none less.
    assert min(shares.useful, shares.partly_filled, shares.copies, shares.interval, shares.left_over) >= -1e-12


def test_the_useful_share_is_that_of_multiply_accumulates(report: Report) -> None:
    program = report.program
    crossbars = sum(layer.macs for layer in program.network.layers if isinstance(layer, MatrixLayer))
    chip, window = program.chip, program.mapping.layers[0]
    shape = window.blocks.shape
    peak = chip.groups * shape.rows * shape.columns / window.window_s
    # ISAAC's peak as published for 16 bits, 40.9 TOPS (docs/study-silicon.md), is four times as many at 8: 81.9e12 MACs a second.
    assert peak == pytest.approx(81.9e12, rel=0.01)
    assert report.field("stream")["peak"]["useful"] == pytest.approx(crossbars / period_s(program) / peak, rel=1e-9)


def swept(starts: Times, ends: Times, low: float, high: float) -> float:
    """Return for how long any of some stretches lasts between two times, stretch after stretch."""
    total, until = 0.0, low
    for start, end in sorted(zip(starts.ravel().tolist(), ends.ravel().tolist(), strict=True)):
        total += max(0.0, min(end, high) - max(start, until))
        until = max(until, end)
    return total


def test_links_are_powered_while_data_of_any_inference_cross_them() -> None:
    program = stream_of("resnet20", Chip.load("isaac").override({"external_io": "when_used"}, source="test"))
    stream, timing = time_stream(program), mho.simulate(program).timing
    moving = columns(program).size > 0
    low, high = (float(stream.starts[number].min()) for number in (stream.watched.start, stream.watched.stop))
    crossing = steady_crossing_s(program, stream)
    here = moving[program.setup :]
    assert crossing == pytest.approx(
        swept(stream.starts[:, here], stream.ends[:, here], low, high) / len(stream.watched)
    )
    assert 0 < crossing < stream.interval_s
    alone = swept(timing.starts[moving], timing.ends[moving], 0.0, timing.latency_s)
    charged, before = (
        mho.simulate(each).account.by("component")["external_io"] for each in (program, replace(program, stream=None))
    )
    watts = powered(program)[1] * program.chip.costs.figure("external_io", "leakage")
    assert before - charged == pytest.approx(watts * (alone - crossing), rel=1e-6)


def test_without_a_stream_nothing_is_said_of_one(program: Program) -> None:
    alone = mho.simulate(mho.compile(mho.zoo.load("resnet20"), "isaac", "naive"))
    assert "stream" not in alone.to_dict()
    assert alone.stream is None and alone.service is None
    assert alone.throughput_per_s == pytest.approx(1 / alone.latency_s)
    assert not any("a stream:" in note for note in alone.notes())
    told = mho.simulate(program)
    assert told.field("stream")["service"] is None
    assert any("a stream:" in note for note in told.notes())


def test_cells_live_by_the_rate_of_the_stream(program: Program) -> None:
    lived = mho.simulate(program, endurance=1e12).to_dict()["endurance"]
    assert lived["reached_per_s"] == lived["rate_per_s"] == pytest.approx(1 / time_stream(program).interval_s)
    both = mho.simulate(program, endurance=1e12, rate=60_000)
    assert both.to_dict()["endurance"]["rate_per_s"] == 60_000
    assert both.service is not None
    assert mho.simulate(program, endurance=1e12, rate="max").service is None


def test_a_service_is_of_the_streams_interval_and_its_longest_latency(report: Report) -> None:
    stream, service = report.stream, report.service
    assert stream is not None and service is not None
    told = report.field("stream")["service"]
    assert told["load"] == pytest.approx(60_000 * stream.interval_s)
    load, interval = told["load"], stream.interval_s
    assert told["mean_wait_s"] == pytest.approx(load * interval / (2 * (1 - load)))
    assert told["p99_s"] == stream.longest_s + service.queue.quantile(0.99)
    assert [each["load"] for each in told["curve"]] == pytest.approx([*np.arange(1, 10) / 10, 0.95])
    assert [a["p99_s"] <= b["p99_s"] for a, b in pairwise(told["curve"])] == [True] * 9


def answered(program: Program, begun: Times) -> Times:
    """Return how long inferences of a stream that begin at some times take, on the machine's clock."""
    turned, setup, count = program_tasks(program), program.setup, len(begun)
    body = len(turned.tasks.unit) - setup
    tasks = turned.tasks.repeated(setup, count).joined(np.diff(begun, append=begun[-1] + 1))
    starts, ends = np.zeros(len(tasks.unit)), np.zeros(len(tasks.unit))
    clock(
        0,
        len(starts),
        *tasks.waiting(*_unrolled(turned, setup, count, np.zeros(body, dtype=np.bool_), 1)),
        starts,
        ends,
    )
    done = turned.done[setup:] - setup
    return np.asarray(ends[: body * count].reshape(count, body)[:, done].max(axis=1) - begun)


@pytest.mark.parametrize("load", [0.3, 0.9])
def test_inferences_that_begin_at_random_take_no_longer_than_in_the_steady_stream(
    program: Program, load: float
) -> None:
    stream = time_stream(program)
    arrivals = np.cumsum(np.random.default_rng(7).exponential(stream.interval_s / load, 150))
    begun = [0.0]
    for gap in np.diff(arrivals):
        begun.append(begun[-1] + max(float(gap), stream.interval_s))
    lasted = answered(program, np.array(begun))
    # The vector unit serves whoever comes first, so that one may take a little longer than the slowest of the even stream.
    assert lasted.max() <= stream.longest_s * 1.01
    assert lasted.min() >= mho.simulate(program).latency_s * 0.99


@pytest.mark.parametrize(
    ("rate", "words"),
    [(1e9, "take a rate below"), ("max", "requests to a stream wait without end"), (-1, "must be a positive number")],
)
def test_rates_that_make_no_service_are_refused(program: Program, rate: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        mho.simulate(program, rate=rate)


def texts(drawing: str) -> Iterator[tuple[float, float, float, str]]:
    """Yield the level of each text of a drawing, from where to where it reaches, and its words."""
    for place, anchor, words in re.findall(
        r'<text class="[^"]*" (x="\S+" y="\S+") text-anchor="(\w+)">([^<]*)<', drawing
    ):
        x, y = map(float, re.findall(r'"([\d.]+)"', place))
        wide = width_of(words) * 0.85
        begin = {"start": x, "middle": x - wide / 2, "end": x - wide}[anchor]
        yield y, begin, begin + wide, words


def test_a_page_draws_one_interval_in_which_nothing_is_twice_at_once(report: Report) -> None:
    program = report.program
    chart = one_interval(program, report.field("stream")["busy"])
    assert [track.name for track in chart.tracks][-2:] == ["vector unit", "main memory"]
    assert len(chart.tracks) == len(program.mapping.users) + 2
    for track in chart.tracks:
        assert track.stretches, track.name
        assert all(0 <= begin < end <= chart.length_s * (1 + 1e-9) for begin, end, _ in track.stretches)
        assert all(0 <= kind < len(chart.kinds) for _, _, kind in track.stretches)
    held = copies_held(program)
    for track, (run, users) in zip(chart.tracks, program.mapping.users.items(), strict=False):
        assert sum(end - begin for begin, end, _ in track.stretches) >= sum(
            each.windows * each.window_s for each in users
        ) / held[run] * (1 - 1e-9)
    drawing = draw(chart)
    width = float(re.search(r'viewBox="0 0 (\d+)', drawing)[1])  # type: ignore[index]
    for y, begin, end, words in texts(drawing):
        assert begin >= 0 and end <= width, words
        beside = [(a, b) for level, a, b, other in texts(drawing) if level == y and (a, other) != (begin, words)]
        assert not any(a < end and begin < b for a, b in beside), words
    shown = page(report)
    titles = "One interval of the stream", "Largest rings", "Requests at random", "Time to the answer by load"
    assert all(title in shown for title in titles)
    assert view(report).title == "resnet20 on isaac, schedule stream"


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0.01, 9)), min_size=1, max_size=12))
def test_stretches_fold_into_an_interval_without_loss(drawn: list[tuple[float, float]]) -> None:
    starts = np.array([begin for begin, _ in drawn])
    ends = starts + np.array([length for _, length in drawn])
    folded = _folded(starts, ends, 10.0)
    track = Track("any", folded)
    marks = np.unique(np.concatenate([starts, ends, *([n * 10.0 + b, n * 10.0 + e] for b, e, n in track.stretches)]))
    for middle in ((marks[1:] + marks[:-1]) / 2).tolist():
        covered = bool(np.any((starts <= middle) & (middle < ends)))
        drawn_there = any(n == middle // 10 and b <= middle - 10 * n < e for b, e, n in folded)
        # What is nearer than a pixel is united, and so drawn though nothing is there.
        assert drawn_there if covered else True
    long = sum(e - b for b, e, _ in folded)
    assert long <= float((ends - starts).sum()) + len(drawn) * 10.0 / 800 + 1e-9


def test_the_command_line_makes_streams_and_says_how_long_requests_wait(shell: Shell, tmp_path: Path) -> None:
    ended = shell("run", "resnet20", "--chip", "isaac", "--stream", "--rate", "60000", "--json", "-")
    assert ended.code == 0
    content = ended.json()
    assert content["schedule"] == "stream"
    assert content["stream"]["service"]["rate_per_s"] == 60_000
    same = shell(
        "run", "resnet20", "--chip", "isaac", "--stream", "--schedule", "stream", "--out", str(tmp_path / "out")
    )
    assert same.code == 0
    assert "Where the chip's peak goes" in same.out
    assert "One interval of the stream" in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_the_page_on_streams_prints_what_it_says(shell: Shell) -> None:
    first = next(lines(PAGE.read_text(encoding="utf-8")))
    ended = shell(*shlex.split(first.command)[1:])
    assert (ended.code, len(first.prints)) == (0, 2)
    for printed in first.prints:
        assert printed in told(ended.out), told(ended.out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("resnet20", "--chip", "isaac", "--stream", "--schedule", "naive"), "--schedule naive is another; give one of the two"),
        (("resnet20", "--stream"), "computes one layer at a time (layer_order: sequential)"),
        (
            ("resnet20", *shlex.split("--chip aras --set layer_order=dataflow --set tiles=5 --set buffer.banks=[64] --stream")),
            "bytes of rows, and the buffers of chip aras* hold 64; a round of fewer inferences",
        ),
        (("resnet20", "--chip", "isaac", "--stream", "--batch", "4", "--round", "4"), "--batch beside a stream is --round"),
        (("resnet20", "--chip", "isaac", "--stream", "--rate", "max"), "--rate max is for --endurance"),
        (("resnet20", "--chip", "isaac", "--stream", "--rate", "1e9"), "take a rate below"),
        (("resnet20", "--chip", "isaac", "--rate", "5"), "--rate is for --endurance and for streams"),
        (("resnet20", "--chip", "isaac", "--stream", "--objective", "time"), "is for schedule 'adaptive', not 'stream'"),
        (("dlrm", "--trace", "none.npz", "--stream"), "--stream is not for --trace"),
    ],
)  # fmt: skip
def test_what_makes_no_stream_is_refused_in_a_line(shell: Shell, words: tuple[str, ...], said: str) -> None:
    ended = shell("run", *words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1
