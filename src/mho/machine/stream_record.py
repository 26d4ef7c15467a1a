"""What a report says of a stream as JSON-ready data (`stream` in docs/report.md), and in a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mho.engineering import count, quantity
from mho.machine.rounds import part_times_s, residents, ring_bytes, spilled_bytes, written_bytes
from mho.machine.service import LOADS, Service
from mho.machine.steady import busiest_copies, busy_shares, peak_shares
from mho.machine.streaming import time_stream
from mho.machine.timing import Timing
from mho.program import Program
from mho.program.columns import round_of
from mho.program.stream_bound import interval_bound
from mho.program.work import flow


def stream_record(program: Program, timing: Timing, service: Service | None) -> dict[str, Any]:
    """Return the steady state of a program's stream: its pace, its rings, and where the chip's peak goes."""
    stream, busiest = time_stream(program), busiest_copies(program)
    batch = round_of(program)
    written = batch if len(residents(program)) > 1 else None
    bound = interval_bound(program.network, program.mapping, program.chip, coded=program.coded, batch=written)
    return {
        "batch": batch,
        "segments": [] if written is None else segment_records(program),
        "written_bytes": written_bytes(program),
        "spilled_bytes": spilled_bytes(program),
        "interval_s": stream.interval_s,
        "rate_per_s": 1 / stream.interval_s,
        "bound_arguments_s": dict(bound.arguments),
        "latency_s": {
            "mean": stream.latency_s,
            "longest": stream.longest_s,
            "first": float(stream.ends[0].max()),
        },
        "in_flight": stream.in_flight,
        "macs_per_s": program.network.macs / stream.interval_s,
        "peak": asdict(peak_shares(program)),
        "busy": {
            "layer": None if busiest is None else busiest[0],
            "copies": 0.0 if busiest is None else busiest[1],
            **busy_shares(program, timing),
        },
        "rings": rings_record(program),
        "service": None if service is None else service_record(service),
    }


def segment_records(program: Program) -> list[dict[str, Any]]:
    """Return one record a part of the network that the chip holds at a time, in order."""
    return [
        {
            "first": layers[0].name,
            "last": layers[-1].name,
            "layers": len(layers),
            "weights": len(part.users),
            "copies": sum(part.copies.values()),
            "groups": part.groups,
            "write_s": write_s,
            "run_s": run_s,
        }
        for part, (write_s, run_s) in zip(residents(program), part_times_s(program), strict=True)
        if (
            layers := sorted((layer for users in part.users.values() for layer in users), key=lambda layer: layer.index)
        )
    ]


def rings_record(program: Program) -> dict[str, Any]:
    """Return what rings keep: bytes in all and in the fullest bank, the most at once, and of each tensor the rows."""
    kept, banks, layers = ring_bytes(program), program.chip.buffer.banks, program.network.layers
    most = kept.max(axis=0).tolist()
    fullest = max(range(len(most)), key=lambda bank: most[bank])
    return {
        "bytes": int(kept.sum(axis=1).max()),
        "in_tiles": program.chip.buffer.in_tiles,
        "fullest_bank": fullest,
        "fullest_bytes": most[fullest],
        "fullest_of": banks[fullest],
        "tensors": [
            {
                "name": layers[use.layer].name,
                "rows": use.rows,
                "of": flow(program.network).rows(layers[use.layer].name),
                "bytes": use.size,
                "banks": len(use.banks),
            }
            for use in sorted(program.buffers, key=lambda use: use.layer)
        ],
    }


def service_record(service: Service) -> dict[str, Any]:
    """Return how long requests wait and until they are answered: at the rate asked for, and at other loads."""
    return {
        **_at(service),
        "mean_wait_s": service.queue.mean_s,
        "knee": service.knee,
        "curve": [_at(service.at(load)) for load in LOADS],
    }


def _at(service: Service) -> dict[str, float]:
    return {
        "load": service.queue.load,
        "rate_per_s": service.rate_per_s,
        "mean_s": service.latency_s + service.queue.mean_s,
        "p50_s": service.quantile(0.5),
        "p99_s": service.quantile(0.99),
    }


def stream_said(content: Mapping[str, Any]) -> str:
    """Say a stream's pace in a line, of its record."""
    flying = f"{content['in_flight']:.2g}" if content["in_flight"] < 10 else count(content["in_flight"])
    rounds = f"; {rounds_said(content)}" if content.get("segments") else ""
    pace = f"an inference every {quantity(content['interval_s'], 's')}, {count(content['rate_per_s'])}/s"
    return f"{pace}; {flying} in flight{rounds}"


def rounds_said(content: Mapping[str, Any]) -> str:
    """Say in how many segments inferences come, of a stream's record."""
    batch = content["batch"]
    return f"in {len(content['segments'])} segments, {count(batch)} inference{'s' * (batch > 1)} a round"
