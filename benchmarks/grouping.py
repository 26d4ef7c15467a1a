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
METHODS = ("id", "frequency", "greedy", "fast", "refine", "hypergraph", "best")
HEIGHTS = {
    128: METHODS,
    64: ("id", "frequency", "greedy", "refine", "best"),
    256: ("id", "frequency", "greedy", "refine", "best"),
}
COPIED = ("ml1m", "gowalla")
BUDGETS = (1.0, 1.25, 1.5)
SPEEDS = {
    "greedy": (10**4, 10**5, 10**6, 10**7),
    "fast": (10**4, 10**5, 10**6, 10**7),
    "refine": (10**4, 10**5, 10**6, 10**7),
}
HEIGHT = 128


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
    from mho.mapping.embedding.group import Anneal

    small = synthetic(2000)
    for method in ("greedy", "fast", "refine", Anneal(moves=1000)):
        group(small, 16, method)


def quality(name: str, height: int, method: str) -> dict[str, Any]:
    """Group one trace, and count groups on bags that were not seen."""
    from mho.mapping.embedding import group
    from mho.mapping.embedding.group import Hypergraph

    history, unseen = split(load(name))
    warm()
    start = perf_counter()
    layout = group(history, height, Hypergraph() if method == Hypergraph.name else method)
    seconds = perf_counter() - start
    return {
        "trace": name,
        "height": height,
        "method": method,
        "chosen": {key: layout.options.get(key) for key in ("chosen", "hint")} if method == "best" else {},
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
    """Spend one area budget in several ways on the groups of `refine`, and on greedy ones as the paper does."""
    from mho.mapping.embedding import group, replicate

    history, unseen = split(load(name))
    refined, greedy = group(history, HEIGHT, "refine"), group(history, HEIGHT, "greedy")
    ways = {
        "greedy, copies by log": lambda: replicate(greedy, history, budget, "log"),
        "refine, copies by log": lambda: replicate(refined, history, budget, "log"),
        "refine, copies by load": lambda: replicate(refined, history, budget, "load"),
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


def table(results: dict[str, Any]) -> str:
    """Render the groups touched."""
    lines = [
        "Groups that a bag touches, mean over the bags that were not seen (20 %, seed 0); in brackets what `best` chose. "
        "*Less* is of `best` against `greedy`.",
        "",
        f"| trace | look-ups a bag | height | {' | '.join(METHODS)} | less |",
        "|---|---:|---:|" + "---:|" * (len(METHODS) + 1),
    ]
    cells = {(row["trace"], row["height"], row["method"]): row for row in results.get("quality", [])}
    for name in FILES:
        for height in sorted(HEIGHTS):
            found = [cells.get((name, height, method)) for method in METHODS]
            if not any(found):
                continue
            length = next(row for row in found if row)["mean_length"]
            texts = ["" if row is None else f"{row['unseen']:.3f}{_chosen(row)}" for row in found]
            greedy, best = found[METHODS.index("greedy")], found[METHODS.index("best")]
            less = f"{1 - best['unseen'] / greedy['unseen']:.1%}" if greedy and best else ""
            lines.append(f"| {name} | {length:.1f} | {height} | {' | '.join(texts)} | {less} |")
    lines += [
        "",
        f"Seconds for height {HEIGHT}:",
        "",
        f"| trace | {' | '.join(METHODS)} |",
        "|---|" + "---:|" * len(METHODS),
    ]
    for name in FILES:
        found = [cells.get((name, HEIGHT, method)) for method in METHODS]
        times = ["" if row is None else f"{row['seconds']:.2g}" for row in found]
        lines.append(f"| {name} | {' | '.join(times)} |")
    lines += [
        "",
        f"One area, several ways to spend it (height {HEIGHT}; *queue*: most activations that one array serves of a batch of 256 "
        "bags, mean):",
        "",
        "| trace | budget | way | groups a bag | queue | s |",
        "|---|---:|---|---:|---:|---:|",
    ]
    for row in results.get("copies", []):
        lines.append(
            f"| {row['trace']} | {row['budget']:g} | {row['way']} | {row['unseen']:.3f} | {row['queue']:.1f} | "
            f"{row['seconds']:.2g} |"
        )
    return "\n".join(lines)


def _chosen(row: dict[str, Any]) -> str:
    chosen = row["chosen"]
    if not chosen:
        return ""
    return f" ({chosen['chosen']}{', hint ' + format(chosen['hint'], 'g') if chosen.get('hint') else ''})"


def speed_table(results: dict[str, Any]) -> str:
    """Render time and memory."""
    lines = [
        f"Made-up traces of bags of 20 (communities of 64, Zipf 0.8), ten look-ups a row, height {HEIGHT}, one thread, processor "
        "seconds. *Ratio* is "
        "to sorting the look-ups by row.",
        "",
        "| method | look-ups | rows | s | million look-ups/s | ratio | bytes added a look-up | groups a bag (history) |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in results.get("speed", []):
        lookups = row["lookups"]
        lines.append(
            f"| {row['method']} | {lookups:.0e} | {row['rows']:.0e} | {row['seconds']:.3g} | "
            f"{lookups / row['seconds'] / 1e6:.2g} | "
            f"{row['seconds'] / row['reference_s']:.2g} | {row['added_bytes'] / lookups:.0f} | {row['history']:.2f} |"
        )
    return "\n".join(lines)


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
    if "speed" in parts:
        jobs += [("speed", f"{method}:{lookups}") for method, each in SPEEDS.items() for lookups in each]
    return jobs


def _one(part: str, case: str) -> list[dict[str, Any]]:
    first, *rest = case.split(":")
    if part == "quality":
        return [quality(first, int(rest[0]), rest[1])]
    return copies(first, float(rest[0])) if part == "copies" else [speed(first, int(rest[0]))]


def main(arguments: list[str] | None = None) -> int:
    """Measure, each case in a process of its own, and write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.grouping", description="Measure grouping; write the tables of docs/grouping*.md."
    )
    parser.add_argument("--render", action="store_true", help="write the tables again from benchmarks/grouping.json")
    parser.add_argument(
        "--part", choices=("quality", "copies", "speed"), action="append", help="measure these parts only"
    )
    parser.add_argument("--only", metavar="PART/CASE", help="measure one case, and print it as JSON")
    asked = parser.parse_args(arguments)
    if asked.only:
        sys.stdout.write(json.dumps(_one(*asked.only.split("/", 1))) + "\n")
        return 0
    results = {"schema": SCHEMA, **{key: value for key, value in read_json(RESULTS).items() if key != "schema"}}
    if not asked.render:
        parts = set(asked.part or ("quality", "copies", "speed"))
        found: dict[str, list[dict[str, Any]]] = {part: [] for part in parts}
        for part, case in _jobs(parts):
            found[part] += apart("benchmarks.grouping", f"{part}/{case}")
            sys.stderr.write(f"{part} {case}\n")
        results.update(found)
        write_json(RESULTS, results)
    write_measured(PAGE, table(results))
    write_measured(SPEED_PAGE, speed_table(results))
    sys.stdout.write(table(results) + "\n\n" + speed_table(results) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
