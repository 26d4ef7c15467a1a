"""What is measured of a trace: what it is like, how well its rows can be grouped, and what serving it takes in each design."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from mho.chip import Chip
from mho.explore import Design, Request, ablation, design
from mho.machine.lookup.service import Service
from mho.machine.roofline import MEMORIES, measure_cpu
from mho.mapping.embedding import Grouping, Layout
from mho.mapping.embedding.group import Hypergraph
from mho.network.trace import Trace, describe, statistics
from mho.strategy import Strategy
from mho.studies.recross.load import COHESIONS, SMALLER, chip, load, rests
from mho.studies.work import Work

BATCH, BUDGET, DIMENSION = 256, 1.25, 64
GROUPING, SWEPT_GROUPING = "best", "refine"
"""How ours groups rows; where arrays of other heights, or traces made up, are compared, by the method that takes seconds."""
METHODS: tuple[str | Grouping, ...] = ("id", "frequency", "greedy", "fast", Hypergraph(), "best")
HEIGHTS = (32, 64, 128, 256)
BATCHES = (1, 16, 64, 256, 1024)
BUDGETS = (1.0, 1.1, 1.25, 1.5, 2.0)
PORTS = (128, 256, 512, 1024)
SWEPT = ("naive", "nmars", "recross", "ours")
COMPARED = ("naive", "frequency", "nmars", "nmars-copies", "nmars-whole", "recross", "ours")
"""Designs as the page calls them: ours is the design mho."""


class Traces:
    """Requests for each trace, so that what one measurement grouped the next one finds."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._requests: dict[tuple[str, int, bool], Request] = {}

    def request(self, name: str, on: Chip | None = None) -> Request:
        """Return the request for a trace on a chip, the study's own where none is given.

        Ours groups rows by GROUPING there; where chips or made-up traces are compared, by SWEPT_GROUPING.
        """
        compared = on is not None or name.startswith(SMALLER)
        key = name, (on or chip()).array.rows, compared
        if key not in self._requests:
            history, _ = load(self.work, name)
            grouping = SWEPT_GROUPING if compared else GROUPING
            strategy = Strategy.load("mho").with_(grouping=grouping)
            self._requests[key] = Request(history, on or chip(), BUDGET, BATCH, DIMENSION, strategy=strategy)
        return self._requests[key]

    def test(self, name: str) -> Trace:
        """Return the part of a trace that no layout has seen."""
        return load(self.work, name)[1]


def made(name: str, request: Request) -> Design:
    """Make a design by the name that it has here."""
    return design("mho" if name == "ours" else name, request)


def told(service: Service) -> dict[str, Any]:
    """Return of a service what the tables show."""
    found = service.to_dict()
    return {
        "batch_s": found["batch_s"],
        "query_j": found["energy_j"]["per_query"],
        "by_component": found["energy_j"]["by_component"],
        "per_bag": found["activations"]["per_bag"],
        "rows_mean": found["activations"]["rows_mean"],
        "by_bits": found["activations"]["by_bits"],
        "area_m2": found["area_m2"]["total"],
        "area_ratio": found["layout"]["area_ratio"],
        "bound_ratio": found["bound_ratio"],
        "busiest": found["utilisation"]["arrays_most"],
        "ports": found["utilisation"]["ports_most"],
    }


def served(traces: Traces, name: str, design: Design, batch: int = BATCH) -> dict[str, Any]:
    """Serve the test of a trace by a design."""
    return told(design.serve(traces.test(name), DIMENSION, batch))


def likeness(work: Work, name: str) -> dict[str, Any]:
    """Measure what a trace is like."""

    def compute() -> dict[str, Any]:
        history, test = load(work, name)
        return {"history": statistics(history).to_dict(), "unseen": asdict(describe(history, test)), "test": test.bags}

    return work.measure(f"{name}: statistics", compute, *rests(work, name))


def grouping(work: Work, traces: Traces, name: str) -> dict[str, Any]:
    """Count the groups that an unseen bag touches, method by method."""

    def compute() -> dict[str, Any]:
        request, test = traces.request(name), traces.test(name)

        def touched(layout: Layout) -> float:
            return float(layout.groups_per_bag(test).mean())

        found: dict[str, Any] = {str(method): touched(request.mapped(method)) for method in METHODS}
        lengths = test.lengths[test.lengths > 0]
        found["least"] = float(np.mean(-(-lengths // request.chip.array.rows)))
        return found

    return work.measure(f"{name}: groups", compute, *rests(work, name))


def designs(work: Work, traces: Traces, name: str) -> dict[str, Any]:
    """Serve the test by every design."""

    def compute() -> dict[str, Any]:
        return {each: served(traces, name, made(each, traces.request(name))) for each in COMPARED}

    return work.measure(f"{name}: designs", compute, *rests(work, name))


def ideas(work: Work, traces: Traces, name: str) -> dict[str, Any]:
    """Serve the test while one idea after another is added, as published and as ours."""

    def compute() -> dict[str, Any]:
        request = traces.request(name)
        return {
            which: [
                {"name": each.name, **served(traces, name, each)} for each in ablation(request, published=published)
            ]
            for which, published in (("published", True), ("ours", False))
        }

    return work.measure(f"{name}: one idea after another", compute, *rests(work, name))


def processors(work: Work, name: str) -> dict[str, Any]:
    """Time embedding_bag on this processor, and what memories alone would take."""

    def compute() -> dict[str, Any]:
        _, test = load(work, name)
        found: dict[str, Any] = {"cpu": {"batch_s": measure_cpu(test, DIMENSION, BATCH).batch_s}}
        batches = -(-len(np.unique(test.queries)) // BATCH)
        for memory, figures in MEMORIES.items():
            seconds = figures.seconds(test, DIMENSION, BATCH) / batches
            found[memory] = {"batch_s": seconds, "query_j": figures.joules(test, DIMENSION) / test.bags}
        return found

    return work.measure(f"{name}: processors", compute, *rests(work, name))


def sweeps(work: Work, traces: Traces, name: str) -> dict[str, Any]:
    """Serve the test over batch, area budget, port width and array height."""

    def swept(values: Sequence[float], serving: Callable[[float], Mapping[str, Any]]) -> dict[str, Any]:
        return {f"{value:g}": serving(value) for value in values}

    def each(request: Request, batch: int = BATCH) -> dict[str, Any]:
        return {design: served(traces, name, made(design, request), batch) for design in SWEPT}

    def compute() -> dict[str, Any]:
        request = traces.request(name)
        return {
            "batch": swept(BATCHES, lambda batch: each(replace(request, batch=int(batch)), int(batch))),
            "budget": swept(BUDGETS, lambda budget: each(replace(request, budget=budget))),
            "port": swept(PORTS, lambda bits: each(replace(request, chip=_changed({"tile.noc_port_bits": int(bits)})))),
            "height": swept(HEIGHTS, lambda rows: each(traces.request(name, _high(int(rows))))),
        }

    return work.measure(f"{name}: sweeps", compute, *rests(work, name))


def _changed(values: Mapping[str, Any]) -> Chip:
    return chip().override(values, source="the study's sweep")


def _high(rows: int) -> Chip:
    """Return the chip with arrays of so many rows, and ADCs that hold their sums."""
    bits = (rows * (chip().levels - 1)).bit_length()
    return _changed({"array.rows": rows, "lookup.most_rows": rows, "array.adc_bits": bits})


def law(work: Work, traces: Traces) -> dict[str, Any]:
    """Serve made-up traces of rising co-occurrence by nMARS, ReCross and ours."""

    def compute() -> dict[str, Any]:
        found: dict[str, Any] = {}
        for cohesion in COHESIONS:
            name = f"{SMALLER} {cohesion:g}"
            request = traces.request(name)
            found[f"{cohesion:g}"] = {
                design: served(traces, name, made(design, request)) for design in ("nmars", "recross", "ours")
            }
        return found

    return work.measure("co-occurrence", compute, chip())
