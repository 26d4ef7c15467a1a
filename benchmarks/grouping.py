"""Groups that bags touch by each method of grouping, and its time and memory (docs/grouping.md, docs/grouping-speed.md).

One thread, a process for each measurement. Groups are made from 80 % of the bags, drawn with seed 0, and counted on the rest.
Speed is on made-up traces; its reference, in the same process, is numpy's stable sort of the look-ups by their rows.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

# One thread, before numpy is imported.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

from benchmarks.files import ROOT, apart, read_json, write_json, write_measured
from benchmarks.grouping_tables import HEIGHT, IDEAS, METHODS, speed_table, table

RESULTS = ROOT / "benchmarks" / "grouping.json"
PAGE = ROOT / "docs" / "grouping.md"
SPEED_PAGE = ROOT / "docs" / "grouping-speed.md"
SCHEMA = "mho.grouping/1"
DATA = Path(os.environ.get("MHO_DATA", ROOT.parent / "shared" / "data")) / "recsys"
FILES = {
    "groceries": "groceries_baskets.npz",
    "beauty": "amazon_beauty_seq.npz",
    "gowalla": "gowalla_train.npz",
    "ml1m": "ml1m.npz",
}
HEIGHTS = {
    128: METHODS,
    64: ("id", "frequency", "greedy", "refine", "anneal"),
    256: ("id", "frequency", "greedy", "refine", "anneal"),
}
COPIED = ("ml1m", "gowalla")
BUDGETS = (1.0, 1.25, 1.5)
SPEEDS = {
    "greedy": (10**4, 10**5, 10**6, 10**7),
    "fast": (10**4, 10**5, 10**6, 10**7),
    "refine": (10**4, 10**5, 10**6, 10**7),
    "anneal": (10**4, 10**5, 10**6),
}
OTHER = (
    "ml1m, by time",
    "gowalla, by time",
    "beauty, by time",
    "synthetic, half in communities",
    "synthetic, nearly all",
)
"""Traces that nothing was tuned for: the first 80 % of the bags as history, and made-up ones."""
PARTS = ("quality", "copies", "other", "gain", "speed")


def load(name: str) -> Any:
    """Read a trace, rows counted from 0, bags as they stand."""
    import numpy as np

    from mho.network.trace import Trace

    held = np.load(DATA / FILES[name])
    if name == "ml1m":
        order = np.argsort(held["user"], kind="stable")
        items, lengths = held["item"][order], np.bincount(held["user"])[1:]
        ends = np.concatenate([[0], np.cumsum(lengths)])
    else:
        ends, items = held["indptr"], held["indices"]
    items = items.astype(np.int32) - (1 if name in ("ml1m", "beauty") else 0)
    bags = len(ends) - 1
    tables = np.zeros(bags, dtype=np.int32)
    return Trace((int(items.max()) + 1,), ends.astype(np.int64), items, tables, np.arange(bags), name)


def split(trace: Any) -> tuple[Any, Any]:
    """Return history and unseen bags, 80 to 20, drawn with seed 0."""
    import numpy as np

    order = np.random.default_rng(0).permutation(trace.bags)
    cut = int(0.8 * trace.bags)
    return trace.select(np.sort(order[:cut])), trace.select(np.sort(order[cut:]))


def synthetic(lookups: int) -> Any:
    """Make bags of 20 of ever as many rows as a tenth of the look-ups, in communities of 64; labelled synthetic."""
    import numpy as np

    from mho.network.trace import Trace

    rows, length, community = max(lookups // 10, 100), 20, 64
    draw = np.random.default_rng(0)
    shares = np.cumsum(np.arange(1, rows + 1) ** -0.8)
    rank = np.minimum(np.searchsorted(shares, draw.random(lookups) * shares[-1]), rows - 1)
    communities = max(rows // community, 1)
    which = np.repeat(rank[::length] % communities, length)
    inside = np.minimum(which + (draw.random(lookups) ** 2 * community).astype(np.int64) * communities, rows - 1)
    chosen = draw.permutation(rows)[np.where(draw.random(lookups) < 0.7, inside, rank)].astype(np.int32)
    bags = lookups // length
    ends, tables = np.arange(bags + 1) * length, np.zeros(bags, dtype=np.int32)
    return Trace(
        (rows,), ends, chosen, tables, np.arange(bags), "synthetic: communities of 64, zipf 0.8", synthetic=True
    )


def warm() -> None:
    """Compile what is compiled late."""
    from mho.mapping.embedding import group

    small = synthetic(2000)
    for method in ("greedy", "fast", "refine", "anneal"):
        group(small, 16, method)


def quality(name: str, height: int, method: str) -> dict[str, Any]:
    """Group one trace, and count groups on bags that were not seen."""
    from mho.mapping.embedding import group
    from mho.mapping.embedding.group import Hypergraph

    history, unseen = split(load(name))
    warm()
    start = process_time()
    layout = group(history, height, Hypergraph() if method == Hypergraph.name else method)
    seconds = process_time() - start
    return {
        "trace": name,
        "height": height,
        "method": method,
        "chosen": {"hint": layout.options["hint"]} if method == "anneal" else {},
        "groups": layout.groups,
        "mean_length": float(unseen.lengths.mean()),
        "unseen": float(layout.groups_per_bag(unseen).mean()),
        "history": float(layout.groups_per_bag(history).mean()),
        "seconds": seconds,
    }


def longest_queue(layout: Any, trace: Any, batch: int = 256) -> float:
    """Return the mean over batches of consecutive bags of the most activations that an instance serves.

    The bags of a batch that touch a group are shared evenly among its copies: ceil(bags / copies).
    """
    import numpy as np

    once = layout.touched(trace)
    batches = once // layout.groups // batch
    cells, counts = np.unique(batches * layout.groups + once % layout.groups, return_counts=True)
    queues = -(-counts // layout.copies[cells % layout.groups])
    longest = np.zeros(-(-trace.bags // batch), dtype=np.int64)
    np.maximum.at(longest, cells // layout.groups, queues)
    return float(longest.mean())


def copies(name: str, budget: float) -> list[dict[str, Any]]:
    """Spend one area budget in several ways on annealed groups, and on greedy ones as the paper does."""
    from mho.mapping.embedding import group, replicate

    history, unseen = split(load(name))
    annealed, greedy = group(history, HEIGHT, "anneal"), group(history, HEIGHT, "greedy")
    ways = {
        "greedy, copies by log": lambda: replicate(greedy, history, budget, "log"),
        "anneal, copies by log": lambda: replicate(annealed, history, budget, "log"),
        "anneal, copies by load": lambda: replicate(annealed, history, budget, "load"),
    }
    rows = []
    for way, make in ways.items():
        start = perf_counter()
        layout = make()
        rows.append(
            {
                "trace": name,
                "budget": budget,
                "way": way,
                "seconds": perf_counter() - start,
                "area_ratio": layout.area_ratio,
                "unseen": float(layout.groups_per_bag(unseen).mean()),
                "queue": longest_queue(layout, unseen),
            }
        )
    return rows


def other(name: str) -> list[dict[str, Any]]:
    """Group a trace that nothing was tuned for, by the paper's greedy and by what is usual."""
    from mho.mapping.embedding import group
    from mho.network.trace import Communities, synthesise

    kind = name.split(",")[0]
    if kind == "synthetic":
        company = Communities(64, 0.5 if "half" in name else 0.95)
        made = synthesise(20_000, 20_000, 20.0, popularity="reuse", communities=company, distinct=True, seed=0)
        history, unseen = made.split(0.8, 0)
    else:
        history, unseen = load(kind).split(0.8)
    warm()
    row: dict[str, Any] = {"trace": name, "lookups": history.lookups}
    for method in ("greedy", "refine", "anneal"):
        start = process_time()
        layout = group(history, HEIGHT, method)
        row[method] = float(layout.groups_per_bag(unseen).mean())
        row[f"{method}_s"] = process_time() - start
    return [row]


def gain(name: str) -> list[dict[str, Any]]:
    """Serve unseen bags by the paper's design, by ours, and by all that lies between: times and energies of the whole test."""
    from mho.chip import Chip
    from mho.explore import Request
    from mho.strategy import Strategy

    history, unseen = split(load(name))
    paper, ours = Strategy.load("recross"), Strategy.load("mho")
    request = Request(history, Chip.load("recross"), strategy=ours)

    def taken(ideas: tuple[str, ...]) -> dict[str, float]:
        changes = {stage: getattr(ours, stage) for idea in ideas for stage in IDEAS[idea]}
        service = request.design("between", paper.with_(changes)).serve(unseen, request.dimension, request.batch)
        return {"seconds": service.seconds, "energy_j": service.energy_j}

    names = tuple(IDEAS)
    return [
        {
            "trace": name,
            "chain": [taken(names[:count]) for count in range(len(names) + 1)],
            "alone": {idea: taken((idea,)) for idea in names},
            "without": {idea: taken(tuple(each for each in names if each != idea)) for idea in names},
        }
    ]


def forget_peak() -> int:
    """Begin to measure the largest memory anew, where the system can; returns the memory that is taken now, or was at most."""
    from benchmarks.cases import peak_bytes

    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return peak_bytes()
    return peak_bytes()


def speed(method: str, lookups: int) -> dict[str, Any]:
    """Time one method on a made-up trace, in processor seconds; memory is what it adds to the process at its peak."""
    import numpy as np

    from benchmarks.cases import peak_bytes
    from mho.mapping.embedding import group

    warm()
    trace = synthetic(lookups)
    start = process_time()
    np.argsort(trace.flat, kind="stable")
    reference = process_time() - start
    before = forget_peak()
    start = process_time()
    layout = group(trace, HEIGHT, method)
    seconds = process_time() - start
    return {
        "method": method,
        "lookups": lookups,
        "rows": trace.total_rows,
        "seconds": seconds,
        "reference_s": reference,
        "added_bytes": peak_bytes() - before,
        "history": float(layout.groups_per_bag(trace).mean()),
    }


def _jobs(parts: set[str]) -> list[tuple[str, str]]:
    jobs = []
    if "quality" in parts:
        jobs += [
            ("quality", f"{name}:{height}:{method}")
            for height, methods in HEIGHTS.items()
            for name in FILES
            for method in methods
        ]
    if "copies" in parts:
        jobs += [("copies", f"{name}:{budget}") for name in COPIED for budget in BUDGETS[1:]]
    if "other" in parts:
        jobs += [("other", name) for name in OTHER]
    if "gain" in parts:
        jobs += [("gain", name) for name in FILES]
    if "speed" in parts:
        jobs += [("speed", f"{method}:{lookups}") for method, each in SPEEDS.items() for lookups in each]
    return jobs


def _one(part: str, case: str) -> list[dict[str, Any]]:
    first, *rest = case.split(":")
    if part == "quality":
        return [quality(first, int(rest[0]), rest[1])]
    if part in ("other", "gain"):
        return other(case) if part == "other" else gain(case)
    return copies(first, float(rest[0])) if part == "copies" else [speed(first, int(rest[0]))]


def main(arguments: list[str] | None = None) -> int:
    """Measure, each case in a process of its own, and write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.grouping", description="Measure grouping; write the tables of docs/grouping*.md."
    )
    parser.add_argument("--render", action="store_true", help="write the tables again from benchmarks/grouping.json")
    parser.add_argument("--part", choices=PARTS, action="append", help="measure these parts only")
    parser.add_argument(
        "--method", choices=METHODS, action="append", help="measure these methods only, and keep the others' figures"
    )
    parser.add_argument("--only", metavar="PART/CASE", help="measure one case, and print it as JSON")
    asked = parser.parse_args(arguments)
    if asked.only:
        sys.stdout.write(json.dumps(_one(*asked.only.split("/", 1))) + "\n")
        return 0
    results = {"schema": SCHEMA, **{key: value for key, value in read_json(RESULTS).items() if key != "schema"}}
    if not asked.render:
        parts = set(asked.part or PARTS)
        found: dict[str, list[dict[str, Any]]] = {part: [] for part in parts}
        methods = asked.method or METHODS
        for part in parts & {"quality", "speed"}:
            found[part] = [
                row for row in results.get(part, []) if row["method"] in METHODS and row["method"] not in methods
            ]
        for part, case in _jobs(parts):
            if part not in ("quality", "speed") or set(case.split(":")) & set(methods):
                found[part] += apart("benchmarks.grouping", f"{part}/{case}")
                sys.stderr.write(f"{part} {case}\n")
                # Interrupted, what was measured stays.
                write_json(RESULTS, {**results, **found})
        results.update(found)
        write_json(RESULTS, results)
    write_measured(PAGE, table(results))
    write_measured(SPEED_PAGE, speed_table(results))
    sys.stdout.write(table(results) + "\n\n" + speed_table(results) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
