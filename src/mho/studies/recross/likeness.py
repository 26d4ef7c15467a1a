"""What the traces are like, how well their rows can be grouped, and the law between the two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mho.studies.chapter import Chapter
from mho.studies.recross.against import gain
from mho.studies.recross.paper import PAPER

Found = Mapping[str, Mapping[str, Any]]


def traces(found: Found) -> Chapter:
    """Tell what the traces are like."""
    chapter = PAPER.chapter("traces")
    for name, each in found.items():
        history = each["history"]
        for series, quantity, unit, value in (
            ("bags", "bags of the history", "bags", history["bags"]),
            ("lookups", "look-ups of the history", "look-ups", history["lookups"]),
            ("rows", "rows", "rows", sum(history["rows"])),
            ("length", "look-ups of a bag, mean", "look-ups", history["length_mean"]),
            ("lift", "lift of pairs", "times", history["cooccurrence"]["lift"]),
            ("unseen", "look-ups of the test of rows never looked up before", "share", each["unseen"]["lookups"]),
        ):
            if value is not None:
                chapter.add(series, name, quantity, unit, float(value), network=name)
    columns = {
        "bags": "bags", "lookups": "look-ups", "rows": "rows", "length": "mean length", "lift": "lift",
        "unseen": "unseen rows",
    }  # fmt: skip
    chapter.table("History and test", "trace", list(found), columns)
    return chapter


WAYS = {
    "id": "id", "frequency": "frequency", "greedy": "greedy (ReCross)", "fast": "fast", "hypergraph": "hypergraph",
    "best": "best", "least": "at least",
}  # fmt: skip


def groups(found: Found) -> Chapter:
    """Compare ways to group rows."""
    chapter = PAPER.chapter("groups")
    for name, each in found.items():
        for way, label in WAYS.items():
            chapter.add(f"touched/{way}", name, f"groups a bag, {label}", "groups", each[way], network=name)
            if way not in ("least", "greedy"):
                value = 1 - each[way] / each["greedy"]
                chapter.add(f"fewer/{way}", name, f"share fewer than greedy, {label}", "share", value, network=name)
    titles = {"touched": "Groups a bag", "fewer": "Share fewer than greedy"}
    chapter.tables(titles, "trace", list(found), WAYS)
    chapter.plot(
        "groups", "Groups a bag touches", "groups", list(found),
        {f"touched/{way}": WAYS[way] for way in ("id", "frequency", "greedy", "best")},
    )  # fmt: skip
    return chapter


def law(found: Found) -> Chapter:
    """Show how gains follow co-occurrence."""
    chapter = PAPER.chapter("law")
    shares = {"recross": "ReCross", "ours": "ours"}
    for cohesion, runs in found.items():
        for design, label in shares.items():
            chapter.add(
                f"rows/{design}", cohesion, f"look-ups an activation, {label}", "look-ups", runs[design]["rows_mean"]
            )
            for what in ("time", "energy"):
                value = gain(runs, design, "nmars", what)
                chapter.add(f"{what}/{design}", cohesion, f"times less {what} than nMARS-like, {label}", "times", value)
    columns = {
        f"{series}/{design}": f"{head}, {label}"
        for series, head in (("rows", "look-ups an activation"), ("time", "times less time"), ("energy", "times less energy"))
        for design, label in shares.items()
    }  # fmt: skip
    chapter.table("By the share of look-ups in the bag's community", "share", list(found), columns)
    chapter.plot(
        "law", "Times less than nMARS-like, by the share of look-ups in the bag's community", "times", list(found),
        {f"{what}/{design}": f"{what}, {label}" for what in ("time", "energy") for design, label in shares.items()}, 1.0,
    )  # fmt: skip
    return chapter


SWEPT = {"naive": "naive", "nmars": "nMARS-like", "recross": "ReCross", "ours": "ours"}
OVER = {
    "height": "rows of an array",
    "batch": "queries of a batch",
    "budget": "area over one copy",
    "port": "bits of a tile's port",
}


def sweeps(found: Found) -> Chapter:
    """Show time and energy over array height, batch, area and port."""
    chapter = PAPER.chapter("sweeps")
    for name, each in found.items():
        for swept, head in OVER.items():
            for value, runs in each[swept].items():
                for design, label in SWEPT.items():
                    made, member = runs[design], f"{name} {value}"
                    for what, unit, figure in (
                        ("time", "s", made["batch_s"]["mean"]),
                        ("energy", "J", made["query_j"]),
                    ):
                        quantity = f"{what} at {value} {head}, {label}"
                        chapter.add(f"{swept}/{what}/{design}", member, quantity, unit, figure, network=name)
            members = [f"{name} {value}" for value in each[swept]]
            labels = {f"{name} {value}": value for value in each[swept]}
            for what, title in (("time", "time of a batch"), ("energy", "energy of a query")):
                columns = {f"{swept}/{what}/{design}": label for design, label in SWEPT.items()}
                chapter.table(f"{name}: {title} over {head}", head, members, columns, labels)
    return chapter
