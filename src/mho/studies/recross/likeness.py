"""What the traces are like, how well their rows can be grouped, and the law between the two."""

from __future__ import annotations

from mho.studies.chapter import Chapter, Measured
from mho.studies.recross.against import figure, gain
from mho.studies.recross.paper import PAPER


def traces(found: Measured) -> Chapter:
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
    heads = ("bags", "look-ups", "rows", "mean length", "lift", "unseen rows")
    columns = dict(zip(("bags", "lookups", "rows", "length", "lift", "unseen"), heads, strict=True))
    chapter.table("History and test", "trace", list(found), columns)
    return chapter


WAYS = PAPER.labels("groupings")


def groups(found: Measured) -> Chapter:
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


def law(found: Measured) -> Chapter:
    """Show how gains follow co-occurrence."""
    chapter, shares = PAPER.chapter("law"), {"recross": "ReCross", "ours": "ours"}
    for cohesion, runs in found.items():
        for design, label in shares.items():
            rows, quantity = runs[design]["rows_mean"], f"look-ups an activation, {label}"
            chapter.add(f"rows/{design}", cohesion, quantity, "look-ups", rows)
            for what in ("time", "energy"):
                quantity = f"times less {what} than nMARS-like, {label}"
                chapter.add(f"{what}/{design}", cohesion, quantity, "times", gain(runs, design, "nmars", what))
    heads = {"rows": "look-ups an activation", "time": "times less time", "energy": "times less energy"}
    columns = {
        f"{series}/{each}": f"{head}, {label}" for series, head in heads.items() for each, label in shares.items()
    }
    chapter.table("By the share of look-ups in the bag's community", "share", list(found), columns)
    drawn = {f"{what}/{each}": f"{what}, {label}" for what in ("time", "energy") for each, label in shares.items()}
    title = "Times less than nMARS-like, by the share of look-ups in the bag's community"
    chapter.plot("law", title, "times", list(found), drawn, 1.0)
    return chapter


SWEPT = {"naive": "naive", "nmars": "nMARS-like", "recross": "ReCross", "ours": "ours"}
OVER = PAPER.labels("swept")


def sweeps(found: Measured) -> Chapter:
    """Show time and energy over array height, batch, area and port."""
    chapter, titles = PAPER.chapter("sweeps"), {"time": "time of a batch", "energy": "energy of a query"}
    for name, each in found.items():
        for swept, head in OVER.items():
            labels = {f"{name} {value}": value for value in each[swept]}
            for member, value in labels.items():
                for design, label in SWEPT.items():
                    for what, unit in (("time", "s"), ("energy", "J")):
                        series, quantity = f"{swept}/{what}/{design}", f"{what} at {value} {head}, {label}"
                        ours = figure(each[swept][value][design], what)
                        chapter.add(series, member, quantity, unit, ours, network=name)
            for what, title in titles.items():
                columns = {f"{swept}/{what}/{design}": label for design, label in SWEPT.items()}
                chapter.table(f"{name}: {title} over {head}", head, list(labels), columns, labels)
    return chapter
