"""The timeline as a Chrome JSON trace, which Perfetto (ui.perfetto.dev) and chrome://tracing open.

Four processes: memory, writing, compute, vector unit; each has as many threads as things ever happen in it at
once. Counters: groups by what they do, and the memory's rate. Times are in µs, to the ns, which is what
Perfetto resolves. A trace cannot show times before 0, so a setup comes first and the inference follows it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mho.files.text import json_text
from mho.machine.bandwidth import bandwidth
from mho.network.layers import MatrixProduct
from mho.program import Program
from mho.program.columns import ACTIVATE, COMBINE, FETCH, GATHER, KINDS, LOAD, STORE, VECTOR, WRITE, columns
from mho.program.listing import span
from mho.report.lanes import lanes

if TYPE_CHECKING:
    from mho.machine.report import Report

PROCESSES = {1: "memory", 2: "writing", 3: "compute", 4: "vector unit", 5: "counters"}
PROCESS_OF = {LOAD: 1, STORE: 1, FETCH: 1, WRITE: 2, ACTIVATE: 3, GATHER: 3, COMBINE: 4, VECTOR: 4}
"""The process in which each kind of instruction is shown."""
DOING = ("computing", "writing", "waiting", "free")
"""What groups do."""
NANO = 1e9


def arguments(program: Program, number: int) -> dict[str, Any]:
    """Say what an instruction works on, in the words of the listing."""
    table = columns(program)
    kind, place = table.kind[number], int(table.layer[number])
    layer = program.network.layers[place]
    said: dict[str, Any] = {"instruction": number, "layer": layer.name, "kind": layer.kind}
    if kind in (WRITE, ACTIVATE):
        blocks = int(table.first_block[number]), int(table.last_block[number])
        said["blocks"] = span(program.mapping.weight_of(blocks[0]).within(blocks))
        said["copy"] = int(table.copy[number])
    if kind == ACTIVATE:
        said["windows"] = span((int(table.first_window[number]), int(table.last_window[number])))
        said["release"] = bool(table.release[number])
    if kind in (WRITE, ACTIVATE):
        said["groups"] = ",".join(span(each) for each in table.ranges_of(number))
        said["group count"] = int(table.group_counts[number])
    if kind in (LOAD, STORE, FETCH):
        said["direction"] = KINDS[kind]
        said["bytes"] = int(table.size[number])
    if isinstance(layer, MatrixProduct):
        said["macs"] = layer.macs
    return said


def event(kind: str, name: str, process: int, thread: int = 0, **more: Any) -> dict[str, Any]:
    """Return an event of a kind (M names, X lasts, i is an instant, C counts) in a thread of a process."""
    return {"ph": kind, "name": name, "pid": process, "tid": thread, **more}


def _metadata(threads: dict[int, int], setup: bool) -> list[dict[str, Any]]:
    """Name processes and threads, in order."""
    events: list[dict[str, Any]] = []
    for process, name in PROCESSES.items():
        events.append(event("M", "process_name", process, args={"name": name}))
        events.append(event("M", "process_sort_index", process, args={"sort_index": process}))
        numbers = range(1, threads.get(process, 0) + 1)
        events += [event("M", "thread_name", process, number, args={"name": f"{name} {number}"}) for number in numbers]
    if setup:
        events.append(event("M", "process_labels", 5, args={"labels": "setup comes first"}))
    return events


def render_trace(report: Report) -> str:
    """Return the trace of a report as JSON text, an event a line."""
    program, timing = report.program, report.timing
    shift = round(timing.setup_s * NANO)
    begins = [round(float(start) * NANO) + shift for start in timing.starts]
    ends = [round(float(end) * NANO) + shift for end in timing.ends]
    kinds = columns(program).kind.tolist()
    members: dict[int, list[int]] = {}
    for number, kind in enumerate(kinds):
        members.setdefault(PROCESS_OF[kind], []).append(number)
    slices: list[dict[str, Any]] = []
    threads: dict[int, int] = {}
    for process_id, numbers in sorted(members.items()):
        chosen = lanes([(begins[number], ends[number]) for number in numbers])
        threads[process_id] = max(chosen) + 1
        for number, lane in zip(numbers, chosen, strict=True):
            said = arguments(program, number)
            name, title = KINDS[kinds[number]], said["layer"]
            slices.append(
                {
                    "ph": "X",
                    "name": title if kinds[number] == ACTIVATE else f"{name} {title}",
                    "cat": "setup" if number < program.setup else "transfer" if process_id == 1 else name,
                    "pid": process_id,
                    "tid": lane + 1,
                    "ts": begins[number] / 1000,
                    "dur": (ends[number] - begins[number]) / 1000,
                    "args": said,
                }
            )
    last = shift + round(timing.latency_s * NANO)
    events = [
        *_metadata(threads, program.setup > 0),
        *(
            {"ph": "i", "name": f"inference {what}", "s": "g", "pid": 5, "tid": 0, "ts": at / 1000}
            for what, at in (("starts", shift), ("ends", last))
        ),
        *slices,
        *_counters(report, shift),
    ]
    lines = ",\n".join(json_text(record) for record in events)
    about = {
        "model": program.network.name,
        "chip": program.chip.name,
        "schedule": program.schedule,
        "inference starts at (µs)": shift / 1000,
        "weights": program.network.origin,
    }
    head = f'"displayTimeUnit": "ns", "otherData": {json.dumps(about, ensure_ascii=False)}'
    return f'{{{head}, "traceEvents": [\n{lines}\n]}}\n'


def _counters(report: Report, shift: int) -> Iterator[dict[str, Any]]:
    """Yield the counters: groups by what they do, and the memory's rate; equal neighbours are left out."""
    filled, groups = report.occupancy, report.program.chip.groups
    used = [each.tolist() for each in (filled.computing, filled.writing, filled.waiting)]
    states = [dict(zip(DOING, (*each, groups - sum(each)), strict=True)) for each in zip(*used, strict=True)]
    times, *rates = (steps.tolist() for steps in bandwidth(report.program, report.timing))
    for name, at, values in (
        ("groups", filled.times_s.tolist(), states),
        ("memory rate", times, [{"byte/s": rate} for rate in rates[0]]),
        ("global buffer rate", times, [{"byte/s": rate} for rate in rates[1]]),
    ):
        for number, (time, value) in enumerate(zip(at, values, strict=True)):
            if not number or value != values[number - 1]:
                yield event("C", name, 5, ts=(round(time * NANO) + shift) / 1000, args=value)
