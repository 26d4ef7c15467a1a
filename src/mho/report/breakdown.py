"""Where the time of an inference goes, as tables: what the latency is made of, and what layers do while they are under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mho.engineering import count, percent, quantity
from mho.machine.breakdown import PARTS
from mho.report.sections import Table

MOST = 10
"""Layers shown in a terminal."""
CRITICAL = "Every moment of the latency is charged to the one layer that the end waits for then"
UNDER_WAY = (
    "From a layer's first write or computation to the end of its last; every moment counts as the first of these that the layer "
    "does then, in part where memory or ports slow it down"
)


def breakdown_tables(content: Mapping[str, Any]) -> list[Table]:
    """Return the tables of a report's data: of all layers for the page, of those that take longest for a terminal."""
    time = content["time"]
    whole, layers = time["critical_s"], sorted(time["layers"], key=lambda each: -each["critical_s"]["total"])
    alone = ", of one inference alone" if "stream" in content else ""
    title = f"Where the latency goes   {quantity(whole['total'], 's')}{alone}"
    parts = [part for part in PARTS if whole[part] > 0]
    heads = ("layer", "time", "share", *map(_said, parts))
    total = ("all", *_spent(whole, parts, whole["total"]))
    lines = [
        (each["layer"], *_spent(each["critical_s"], parts, whole["total"]))
        for each in layers
        if each["critical_s"]["total"] > 0
    ]
    some = f"{title}; {MOST} of {count(len(lines))} layers on its path" if len(lines) > MOST else title
    under_way = [part for part in PARTS if any(each["under_way_s"][part] > 0 for each in layers)]
    doing = [
        (each["layer"], quantity(each["under_way_s"]["total"], "s"), *_amounts(each["under_way_s"], under_way))
        for each in time["layers"]
        if each["under_way_s"]["total"] > 0
    ]
    return [
        Table(title=title, heads=heads, lines=[total, *lines], where="page", tones={0: "strong"}, remark=f"{CRITICAL}{alone}."),
        Table(title=some, heads=heads, lines=[total, *lines[:MOST]], where="terminal", tones={0: "strong"}, cut=True),
        Table(title="What layers do while they are under way", heads=("layer", "under way", *map(_said, under_way)), lines=doing,
              where="page", remark=f"{UNDER_WAY}{alone}."),
    ]  # fmt: skip


def _said(part: str) -> str:
    return part.replace("_", " ")


def _spent(times: Mapping[str, float], parts: Sequence[str], whole: float) -> tuple[str, ...]:
    return quantity(times["total"], "s"), percent(times["total"], whole), *_amounts(times, parts)


def _amounts(times: Mapping[str, float], parts: Sequence[str]) -> tuple[str, ...]:
    """Write parts of a time, a dash where there is none."""
    return tuple(quantity(times[part], "s") if times[part] else "–" for part in parts)
