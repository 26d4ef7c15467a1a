"""What queries wait that come one by one, as a person should see it: a table and curves by load, the knee marked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mho.engineering import count, percent, quantity, ratio
from mho.report import sections as see

TIMES = {"half within": "p50_s", "99 % within": "p99_s", "99.9 % within": "p999_s"}
"""The times that are told, by the names that they have here."""
MICRO = 1e6


def rule(content: Mapping[str, Any]) -> str:
    """Say when a batch is taken from the line."""
    most = count(content["batch"])
    if content["batch"] == 1:
        return "Queries are served one by one."
    if not content["wait_s"]:
        return f"A batch is what is there when the last one is done, up to {most} queries."
    return f"A batch is {most} queries, or what is there when the first has waited {quantity(content['wait_s'], 's')}."


def knee_of(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the point of the knee."""
    return next(at for at in content["curve"] if at["load"] == content["knee"])


def coming(content: Mapping[str, Any]) -> str:
    """Say how queries come."""
    return (
        f"at random (seed {content['seed']})"
        if content["process"] == "poisson"
        else "at the trace's own times, stretched"
    )


def said(content: Mapping[str, Any]) -> str:
    """Say in a sentence how much is served how soon."""
    knee, last = knee_of(content), content["curve"][-1]
    return (
        f"Queries that come {coming(content)}: at the knee, {count(knee['rate_per_s'])} a second (load "
        f"{percent(knee['load'], 1.0)}), 99 % are done within {quantity(knee['p99_s'], 's')}; at load "
        f"{percent(last['load'], 1.0)} within {quantity(last['p99_s'], 's')}."
    )


def shown(contents: Mapping[str, Mapping[str, Any]], chosen: str) -> list[see.Section]:
    """Return designs side by side, where there are several, and all of the chosen one; nothing where no queries came."""
    if not contents:
        return []
    return [*(compared(contents) if len(contents) > 1 else []), *sections(contents[chosen], chosen)]


def sections(content: Mapping[str, Any], name: str = "") -> list[see.Section]:
    """Return the table and the curves of one service that queries come to."""
    curve = content["curve"]
    lines = [
        (
            percent(at["load"], 1.0),
            f"{count(at['rate_per_s'])}/s",
            *(quantity(at[time], "s") for time in ("mean_s", *TIMES.values())),
            count(at["batch"]),
        )
        for at in curve
    ]
    knee = knee_of(content)
    remark = (
        f"{rule(content)} Load 100 %: {count(content['capacity_per_s'])} queries a second, all batches full. "
        f"{count(content['queries'])} queries a load, {coming(content)}, the first tenth not counted. "
        "Knee, where rate over 99 % is highest."
    )
    by = f", by {name}" if name else ""
    table = see.Table(
        title=f"Queries one by one   until they are done{by}", heads=("load", "rate", "mean", *TIMES, "a batch"), lines=lines,
        tones={curve.index(knee): "strong"}, remark=remark,
    )  # fmt: skip
    series = [see.Series(said, [(at["load"], at[time] * MICRO) for at in curve]) for said, time in TIMES.items()]
    return [table, _lines(f"Latency by load{', ' + name if name else ''}", series, knee, "p99_s")]


def _lines(title: str, series: list[see.Series], knee: Mapping[str, Any], time: str) -> see.Lines:
    values = [value for line in series for _, value in line.points]
    return see.Lines(
        title=title, where="page", series=series, marks=[see.Dot(knee["load"], knee[time] * MICRO, tip="knee")],
        across=see.Axis("load", 0.0, 1.0, ticks=[(n / 10, f"{10 * n} %") for n in range(0, 11, 2)]),
        up=see.Axis("µs", min(values) * 0.8, max(values) * 1.2, log=True),
    )  # fmt: skip


def compared(contents: Mapping[str, Mapping[str, Any]]) -> list[see.Section]:
    """Return several services that the same queries come to, side by side: a table, and what 99 % wait over the rate."""
    heads = ("", "queries/s, full batches", "at the knee", "load", "half within", "99 % within", "99.9 % within")
    first = next(iter(contents.values()))["capacity_per_s"]
    lines = []
    for name, content in contents.items():
        knee = knee_of(content)
        times = (quantity(knee[time], "s") for time in TIMES.values())
        full = f"{count(content['capacity_per_s'])} ({ratio(content['capacity_per_s'] / first)})"
        lines.append((name, full, f"{count(knee['rate_per_s'])}/s", percent(knee["load"], 1.0), *times))
    series = [
        see.Series(name, [(at["rate_per_s"], at["p99_s"] * MICRO) for at in content["curve"]])
        for name, content in contents.items()
    ]
    ends = [point for line in series for point in line.points]
    knees = [(knee_of(content), name) for name, content in contents.items()]
    chart = see.Lines(
        title="99 % within, by rate", where="page", series=series,
        marks=[see.Dot(knee["rate_per_s"], knee["p99_s"] * MICRO, tip=name) for knee, name in knees],
        across=see.Axis("queries a second", min(x for x, _ in ends), max(x for x, _ in ends), log=True),
        up=see.Axis("µs", min(y for _, y in ends) * 0.8, max(y for _, y in ends) * 1.2, log=True),
        remark="Each design up to 95 % of what it can take; its knee is marked.",
    )  # fmt: skip
    remark = f"{rule(next(iter(contents.values())))} Times at the knee, where rate over 99 % is highest."
    return [see.Table(title="Queries one by one, by design", heads=heads, lines=lines, remark=remark), chart]
