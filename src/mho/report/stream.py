"""The sections of a report that tell of a stream: its pace, where the peak goes, one interval, rings, and waits at a rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mho.engineering import count, percent, quantity, ratio
from mho.machine.steady import copies_held
from mho.machine.stream_record import rounds_said
from mho.machine.streaming import time_stream
from mho.program import Program
from mho.program.columns import ACTIVATE, COMBINE, FETCH, LOAD, STORE, VECTOR, columns, round_of
from mho.report.sections import Axis, Bar, Bars, Lines, Section, Series, Table, Track, Tracks

if TYPE_CHECKING:
    from mho.machine.report import Report

LOST = {
    "useful": "useful",
    "partly_filled": "partly filled groups",
    "copies": "copies done early",
    "interval": "interval beyond copies",
    "left_over": "groups left over",
}
"""What parts of the peak are called."""
NEAR = 1 / 800
"""Part of an interval below which two stretches are drawn as one: about a pixel."""
FULLEST = 12
"""Rings that a page lists."""

Times = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def stream_cards(content: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return a stream's numbers that are most asked for, of its record."""
    latency, rings, busy = content["latency_s"], content["rings"], content["busy"]
    where = "tile" if rings["in_tiles"] else "bank"
    bound = ""
    if content["bound_arguments_s"]:
        reason, least = max(content["bound_arguments_s"].items(), key=lambda item: item[1])
        bound = f"; {ratio(content['interval_s'] / least)} the least of any stream, {quantity(least, 's')}, by {reason}"
    segments = content.get("segments", ())
    rounds = f", {rounds_said(content)}" if segments else ""
    pace = f"from one inference to the next: {count(content['rate_per_s'])}/s{rounds}{bound}"
    held = f"the fullest {where} holds {quantity(rings['fullest_bytes'], 'B')} of {quantity(rings['fullest_of'], 'B')}"
    units = f"vector unit {percent(busy['vector_unit'], 1.0)}, memory {percent(busy['memory'], 1.0)}"
    rate = quantity(2 * content["macs_per_s"], "OP")
    cards = [
        ("Interval", quantity(content["interval_s"], "s"), pace),
        ("In the stream", quantity(latency["mean"], "s"),
         f"latency on average{', from the beginning of a round' if segments else ''}, at most {quantity(latency['longest'], 's')}; "
         f"the first takes {quantity(latency['first'], 's')}"),
        ("In flight", f"{content['in_flight']:.1f}", "inferences at once, on average"),
        ("Share of peak", percent(content["peak"]["useful"], 1.0),
         f"of what all groups could do: {rate}/s, two for a multiply-accumulate"),
        ("Rings", quantity(rings["bytes"], "B"), f"of rows that are kept; {held}"),
        ("Busiest", percent(busy["copies"], 1.0),
         f"of an interval: copies of {busy['layer']}; {units}"),
    ]  # fmt: skip
    if segments:
        spilled = f"{quantity(content['spilled_bytes'], 'B')} are stored and loaded again between segments"
        cards.append(
            ("Written", quantity(content["written_bytes"], "B"), f"of weights fetched for an inference; {spilled}")
        )
    if (service := content["service"]) is not None:
        answered = (
            f"and 99 % of requests that come at random are answered; half of them within {quantity(service['p50_s'], 's')}; "
            f"they wait {quantity(service['mean_wait_s'], 's')} on average to begin; "
            f"load {percent(service['load'], 1.0)}, knee at {percent(service['knee'], 1.0)}"
        )
        cards.append((f"At {count(service['rate_per_s'])}/s", quantity(service["p99_s"], "s"), answered))
    return cards


def stream_sections(report: Report, content: Mapping[str, Any]) -> Iterator[Section]:
    """Yield the sections of a stream, of which a report's `stream` is the record."""
    interval = quantity(content["interval_s"], "s")
    yield Bars(
        title="Where the chip's peak goes", unit="%",
        bars=[Bar(words, {"": share}, end=percent(share, 1.0), tone="good" if name == "useful" else "")
              for name, share in content["peak"].items() for words in (LOST[name],)],
        about=f"of what all groups could do in an interval of {interval}",
    )  # fmt: skip
    if content.get("segments"):
        yield _segments(content)
    yield one_interval(report.program, content["busy"])
    yield _rings(content["rings"])
    if content["service"] is not None:
        yield from _service(content)


def one_interval(program: Program, busy: Mapping[str, Any]) -> Tracks:
    """Return what is busy when in one interval of the steady stream: copies of each weight, the vector unit, main memory.

    Of one inference every stretch is drawn where it falls in the interval, in the colour of how many intervals ago it began: so
    are then all inferences that are under way. Of a stream in segments a round takes the place of the interval, and all its
    inferences that of the one. `busy` are the shares of the interval that a report tells.
    """
    stream, table, setup, batch = time_stream(program), columns(program), program.setup, round_of(program)
    kinds, layers = table.kind[setup:], table.layer[setup:]
    begun = stream.watched[0 if batch > 1 else len(stream.watched) // 2]
    starts, ends = (times[begun : begun + batch] - begun * _pace(program) for times in (stream.starts, stream.ends))
    length, held = batch * stream.interval_s, copies_held(program)
    tracks = []

    def drawn(places: Integers) -> list[tuple[float, float, int]]:
        return _folded(starts[:, places].ravel(), ends[:, places].ravel(), length)

    for run, users in program.mapping.users.items():
        places = np.flatnonzero((kinds == ACTIVATE) & np.isin(layers, [each.index for each in users]))
        work = sum(each.windows * each.window_s for each in users)
        copies = f"{count(held[run])} {'copies' if held[run] > 1 else 'copy'}"
        beside = f"{percent(batch * work, held[run] * length)} of {copies}"
        tracks.append(Track(users[0].name, drawn(places), beside))
    for unit, name, chosen in (
        ("vector_unit", "vector unit", (COMBINE, VECTOR)),
        ("memory", "main memory", (LOAD, STORE, FETCH)),
    ):
        places = np.flatnonzero(np.isin(kinds, chosen) & (ends > starts).any(axis=0))
        tracks.append(Track(name, drawn(places), percent(busy[unit], 1.0)))
    deepest = max((kind for track in tracks for _, _, kind in track.stretches), default=0)
    one = "interval" if batch == 1 else "round"
    named = [f"begun in this {one}", *(f"{n} {one}{'s' * (n > 1)} ago" for n in range(1, deepest + 1))]
    return Tracks(
        title=f"One {one} of the stream", tracks=tracks, length_s=length, kinds=named, where="page", beside="busy",
        about=f"Every {quantity(length, 's')} the same: what works on which inference.",
    )  # fmt: skip


def _segments(content: Mapping[str, Any]) -> Table:
    """Return the parts of the network that the chip holds one after another."""
    lines = [
        (
            f"{part['first']} to {part['last']}",
            count(part["weights"]),
            count(part["copies"]),
            count(part["groups"]),
            quantity(part["write_s"], "s"),
            quantity(part["run_s"], "s"),
        )
        for part in content["segments"]
    ]
    return Table(
        title="Segments   parts of the network that the chip holds at a time",
        heads=("layers", "weights", "copies", "groups", "written in", "run for"), lines=lines,
        remark=f"For {count(content['batch'])} at once: from the first of its writes to the end of the last; so of what runs.",
    )  # fmt: skip


def _pace(program: Program) -> float:
    """Return how long after one another inferences are let in, in s."""
    assert program.stream is not None
    return program.stream.interval_s


def _folded(starts: Times, ends: Times, length: float) -> list[tuple[float, float, int]]:
    """Return stretches cut at multiples of a length and laid over one another, with the number of the multiple.

    Near ones are one.
    """
    order = np.argsort(starts, kind="stable")
    united: list[list[float]] = []
    for start, end in zip(starts[order].tolist(), ends[order].tolist(), strict=True):
        if united and start - united[-1][1] <= length * NEAR:
            united[-1][1] = max(united[-1][1], end)
        else:
            united.append([start, end])
    folded = []
    for start, end in united:
        # What begins or ends at a multiple, but for rounding, does not reach across it.
        first, last = int(start / length + 1e-9), int(np.ceil(end / length - 1e-9))
        edges = [max(start, first * length), *(n * length for n in range(first + 1, last)), end]
        for number, (begin, until) in enumerate(pairwise(edges), first):
            if until > begin:
                folded.append((begin - number * length, min(until - number * length, length), number))
    return sorted(folded)


def _rings(content: Mapping[str, Any]) -> Table:
    """Return the largest rings."""
    where = "tiles" if content["in_tiles"] else "banks"
    largest = sorted(content["tensors"], key=lambda ring: -ring["bytes"])[:FULLEST]
    lines = [
        (
            ring["name"],
            f"{count(ring['rows'])} of {count(ring['of'])}",
            quantity(ring["bytes"], "B"),
            count(ring["banks"]),
        )
        for ring in largest
    ]
    return Table(
        title=f"Largest rings   {len(lines)} of {len(content['tensors'])}", where="page",
        heads=("tensor", "rows kept", "bytes", where), lines=lines,
        remark="Rows that are there at once: as many as lie between the newest that is made and the oldest that is still read.",
    )  # fmt: skip


def _service(content: Mapping[str, Any]) -> Iterator[Section]:
    """Yield how long requests wait, by load: a table, and as a curve."""
    service = content["service"]
    curve = sorted([*service["curve"], service], key=lambda each: float(each["load"]))
    times = ("mean_s", "p50_s", "p99_s")
    lines = [
        (percent(each["load"], 1.0), f"{count(each['rate_per_s'])}/s", *(quantity(each[time], "s") for time in times))
        for each in curve
    ]
    knee = f"Knee, where rate over 99 % is highest: load {percent(service['knee'], 1.0)}."
    yield Table(
        title="Requests at random   until their answer", heads=("load", "rate", "mean", "half within", "99 % within"), lines=lines,
        tones={curve.index(service): "strong"}, remark=f"A queue M/D/1 before the stream. {knee}",
    )  # fmt: skip
    series = [
        Series(name, [(each["load"], each[time] * 1e3) for each in curve])
        for name, time in (("half within", "p50_s"), ("99 % within", "p99_s"))
    ]
    low, high = curve[0]["p50_s"] * 1e3, curve[-1]["p99_s"] * 1e3
    yield Lines(
        title="Time to the answer by load", where="page", series=series, remark=knee,
        across=Axis("load", 0.0, 1.0, ticks=[(n / 10, f"{10 * n} %") for n in range(0, 11, 2)]),
        up=Axis("ms", low * 0.8, high * 1.2, log=True),
    )  # fmt: skip
