"""What is measured of a trace: what it is like, how well its rows can be grouped, and what serving it takes in each design."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from mho.chip import Chip
from mho.explore import Design, Request, ablation, design
from mho.machine.lookup.service import Service
from mho.machine.roofline import MEMORIES, measure_cpu
from mho.mapping.embedding import Grouping
from mho.mapping.embedding.group import Hypergraph
from mho.network.trace import Trace, describe, statistics
from mho.strategy import Strategy
from mho.studies.recross.load import COHESIONS, SMALLER, chip, files, load
from mho.studies.work import Work, measured

BATCH, BUDGET, DIMENSION = 256, 1.25, 64
STRATEGY = Strategy.load("mho")
"""How ours serves look-ups."""
METHODS: tuple[str | Grouping, ...] = ("id", "frequency", "greedy", "fast", "refine", Hypergraph(), "anneal")
HEIGHTS = (32, 64, 128, 256)
BATCHES = (1, 16, 64, 256, 1024)
BUDGETS = (1.0, 1.1, 1.25, 1.5, 2.0)
PORTS = (128, 256, 512, 1024)
SWEPT = ("naive", "nmars", "recross", "ours")
COMPARED = ("naive", "frequency", "nmars", "nmars-copies", "nmars-whole", "recross", "ours")
"""Designs as the page calls them: ours is the design mho."""


class StudiedTrace:
    """A trace of the study. What one measurement of it grouped the next one finds."""

    def __init__(self, work: Work, name: str) -> None:
        """Name a trace."""
        self.work, self.name = work, name
        self._requests: dict[int, Request] = {}

    def measure(self, what: str, compute: Callable[[], Mapping[str, Any]], *rests: Any) -> dict[str, Any]:
        """Measure something of it, which rests on the chip, its file, and `rests`."""
        return self.work.measure(f"{self.name}: {what}", compute, chip(), *files(self.work, self.name), *rests)

    def request(self, on: Chip | None = None) -> Request:
        """Return the request for it on a chip, the study's own where none is given."""
        key = chip().array.rows if on is None else on.array.rows
        if key not in self._requests:
            self._requests[key] = Request(self.history, on or chip(), BUDGET, BATCH, DIMENSION, strategy=STRATEGY)
        return self._requests[key]

    @property
    def history(self) -> Trace:
        """The part that layouts are made from."""
        return load(self.work, self.name)[0]

    @property
    def test(self) -> Trace:
        """The part that no layout has seen."""
        return load(self.work, self.name)[1]


def made(name: str, request: Request) -> Design:
    """Make a design by the name that it has here."""
    return design("mho" if name == "ours" else name, request)


def service_record(service: Service) -> dict[str, Any]:
    """Return of a service what the tables show."""
    content = service.to_dict()
    return {
        "batch_s": content["batch_s"],
        "query_j": content["energy_j"]["per_query"],
        "by_component": content["energy_j"]["by_component"],
        "per_bag": content["activations"]["per_bag"],
        "rows_mean": content["activations"]["rows_mean"],
        "by_bits": content["activations"]["by_bits"],
        "area_m2": content["area_m2"]["total"],
        "area_ratio": content["layout"]["area_ratio"],
        "bound_ratio": content["bound_ratio"],
        "busiest": content["utilisation"]["arrays_most"],
        "ports": content["utilisation"]["ports_most"],
    }


def served(subject: StudiedTrace, design: Design, batch: int = BATCH) -> dict[str, Any]:
    """Serve the test of a trace by a design."""
    return service_record(design.serve(subject.test, DIMENSION, batch))


@measured("statistics")
def likeness(subject: StudiedTrace) -> dict[str, Any]:
    """Measure what a trace is like."""
    history, test = subject.history, subject.test
    return {"history": statistics(history).to_dict(), "unseen": asdict(describe(history, test)), "test": test.bags}


@measured("groups")
def grouping(subject: StudiedTrace) -> dict[str, Any]:
    """Count the groups that an unseen bag touches, method by method."""
    request, test = subject.request(), subject.test
    touched = {str(method): float(request.mapped(method).groups_per_bag(test).mean()) for method in METHODS}
    lengths = test.lengths[test.lengths > 0]
    return {**touched, "least": float(np.mean(-(-lengths // request.chip.array.rows)))}


@measured("designs")
def designs(subject: StudiedTrace) -> dict[str, Any]:
    """Serve the test by every design."""
    return {name: served(subject, made(name, subject.request())) for name in COMPARED}


@measured("one idea after another")
def ideas(subject: StudiedTrace) -> dict[str, Any]:
    """Serve the test while one idea after another is added, as published and as ours."""
    request = subject.request()
    return {
        which: [{"name": design.name, **served(subject, design)} for design in ablation(request, published=published)]
        for which, published in (("published", True), ("ours", False))
    }


@measured("processors")
def processors(subject: StudiedTrace) -> dict[str, Any]:
    """Time embedding_bag on this processor, and what memories alone would take."""
    test = subject.test
    times: dict[str, Any] = {"cpu": {"batch_s": measure_cpu(test, DIMENSION, BATCH).batch_s}}
    batches = -(-len(np.unique(test.queries)) // BATCH)
    for memory, figures in MEMORIES.items():
        seconds = figures.seconds(test, DIMENSION, BATCH) / batches
        times[memory] = {"batch_s": seconds, "query_j": figures.joules(test, DIMENSION) / test.bags}
    return times


@measured("sweeps")
def sweeps(subject: StudiedTrace) -> dict[str, Any]:
    """Serve the test over batch, area budget, port width and array height."""

    def serve(request: Request) -> dict[str, Any]:
        return {design: served(subject, made(design, request), request.batch) for design in SWEPT}

    request = subject.request()
    requests: dict[str, dict[Any, Request]] = {
        "batch": {batch: replace(request, batch=batch) for batch in BATCHES},
        "budget": {budget: replace(request, budget=budget) for budget in BUDGETS},
        "port": {bits: replace(request, chip=_changed({"tile.noc_port_bits": bits})) for bits in PORTS},
        "height": {rows: subject.request(_high(rows)) for rows in HEIGHTS},
    }
    return {swept: {f"{value:g}": serve(varied) for value, varied in over.items()} for swept, over in requests.items()}


def _changed(values: Mapping[str, Any]) -> Chip:
    return chip().override(values, source="the study's sweep")


def _high(rows: int) -> Chip:
    """Return the chip with arrays of so many rows, and ADCs that hold their sums."""
    bits = (rows * (chip().levels - 1)).bit_length()
    return _changed({"array.rows": rows, "lookup.most_rows": rows, "array.adc_bits": bits})


def law(work: Work) -> dict[str, Any]:
    """Serve made-up traces of rising co-occurrence by nMARS, ReCross and ours."""

    def compute() -> dict[str, Any]:
        subjects = {f"{cohesion:g}": StudiedTrace(work, f"{SMALLER} {cohesion:g}") for cohesion in COHESIONS}
        return {
            cohesion: {name: served(subject, made(name, subject.request())) for name in ("nmars", "recross", "ours")}
            for cohesion, subject in subjects.items()
        }

    return work.measure("co-occurrence", compute, chip())
