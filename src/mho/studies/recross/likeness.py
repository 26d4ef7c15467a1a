"""What the traces are like, how well their rows can be grouped, and the law between the two."""

from __future__ import annotations

from mho.studies.chapter import Chapter, Measured
from mho.studies.recross.against import figure, gain
from mho.studies.recross.paper import PAPER


def traces(measured: Measured) -> Chapter:
    """Tell what the traces are like."""
    chapter = PAPER.chapter("traces")
    for name, trace in measured.items():
        history = trace["history"]
        for series, quantity, unit, value in (
            ("bags", "bags of the history", "bags", history["bags"]),
            ("lookups", "look-ups of the history", "look-ups", history["lookups"]),
            ("rows", "rows", "rows", sum(history["rows"])),
            ("length", "look-ups of a bag, mean", "look-ups", history["length_mean"]),
            ("lift", "lift of pairs", "times", history["cooccurrence"]["lift"]),
            ("unseen", "look-ups of the test of rows never looked up before", "share", trace["unseen"]["lookups"]),
        ):
            if value is not None:
                chapter.add(series, name, quantity, unit, float(value), network=name)
    heads = ("bags", "look-ups", "rows", "mean length", "lift", "unseen rows")
    columns = dict(zip(("bags", "lookups", "rows", "length", "lift", "unseen"), heads, strict=True))
    chapter.table("History and test", "trace", list(measured), columns)
    return chapter


WAYS = PAPER.labels("groupings")


def groups(measured: Measured) -> Chapter:
    """Compare ways to group rows."""
    chapter = PAPER.chapter("groups")
    for name, touched in measured.items():
        for way, label in WAYS.items():
            chapter.add(f"touched/{way}", name, f"groups a bag, {label}", "groups", touched[way], network=name)
            if way not in ("least", "greedy"):
                value = 1 - touched[way] / touched["greedy"]
                chapter.add(f"fewer/{way}", name, f"share fewer than greedy, {label}", "share", value, network=name)
    titles = {"touched": "Groups a bag", "fewer": "Share fewer than greedy"}
    chapter.tables(titles, "trace", list(measured), WAYS)
    chapter.plot(
        "groups", "Groups a bag touches", "groups", list(measured),
        {f"touched/{way}": WAYS[way] for way in ("id", "frequency", "greedy", "anneal")},
    )  # fmt: skip
    return chapter


def law(measured: Measured) -> Chapter:
    """Show how gains follow co-occurrence."""
    chapter, shares = PAPER.chapter("law"), {"recross": "ReCross", "ours": "ours"}
    for cohesion, runs in measured.items():
        for design, label in shares.items():
            rows, quantity = runs[design]["rows_mean"], f"look-ups an activation, {label}"
            chapter.add(f"rows/{design}", cohesion, quantity, "look-ups", rows)
            for what in ("time", "energy"):
                quantity = f"times less {what} than nMARS-like, {label}"
                chapter.add(f"{what}/{design}", cohesion, quantity, "times", gain(runs, design, "nmars", what))
    heads = {"rows": "look-ups an activation", "time": "times less time", "energy": "times less energy"}
    columns = {
        f"{series}/{design}": f"{head}, {label}" for series, head in heads.items() for design, label in shares.items()
    }
    chapter.table("By the share of look-ups in the bag's community", "share", list(measured), columns)
    drawn = {f"{what}/{design}": f"{what}, {label}" for what in ("time", "energy") for design, label in shares.items()}
    title = "Times less than nMARS-like, by the share of look-ups in the bag's community"
    chapter.plot("law", title, "times", list(measured), drawn, 1.0)
    return chapter


SWEPT = {"naive": "naive", "nmars": "nMARS-like", "recross": "ReCross", "ours": "ours"}
OVER = PAPER.labels("swept")


def sweeps(measured: Measured) -> Chapter:
    """Show time and energy over array height, batch, area and port."""
    chapter, titles = PAPER.chapter("sweeps"), {"time": "time of a batch", "energy": "energy of a query"}
    for name, served in measured.items():
        for swept, head in OVER.items():
            labels = {f"{name} {value}": value for value in served[swept]}
            for member, value in labels.items():
                for design, label in SWEPT.items():
                    for what, unit in (("time", "s"), ("energy", "J")):
                        series, quantity = f"{swept}/{what}/{design}", f"{what} at {value} {head}, {label}"
                        ours = figure(served[swept][value][design], what)
                        chapter.add(series, member, quantity, unit, ours, network=name)
            for what, title in titles.items():
                columns = {f"{swept}/{what}/{design}": label for design, label in SWEPT.items()}
                chapter.table(f"{name}: {title} over {head}", head, list(labels), columns, labels)
    return chapter
