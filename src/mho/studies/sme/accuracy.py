"""Accuracy by the paper's rules and by ours, and arrays against accuracy where each layer has its own coding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mho.studies.chapter import Chapter
from mho.studies.sme.measure import TOPS, WINDOWS, agreement, allowed
from mho.studies.sme.paper import PAPER

Found = Mapping[str, Mapping[str, Any]]


def accuracy(found: Mapping[str, Found]) -> Chapter:
    """List what is lost for each window and number of planes."""
    chapter = PAPER.chapter("accuracy")
    for name, runs in found.items():
        base = runs["8-bit"]
        for key, run in runs.items():
            if key == "8-bit":
                continue
            rule, width, planes = key.split("/")
            lost = 100 * (base["right"] - run["right"]) / base["samples"]
            words = "by the paper's rules" if rule == "paper" else "rounded for outputs"
            note = f"{run['right']} of {run['samples']} right, {base['right']} in 8 bits; {_same(base, run)}."
            chapter.add(
                f"{rule}/S{width}x{planes}", name, f"accuracy lost, S = {width}, x = {planes}, {words}", "points",
                lost, note=note, network=name,
            )  # fmt: skip
    names = list(found)
    for significant in WINDOWS:
        columns = {f"paper/S{significant}x{top}": f"x = {top}" for top in TOPS}
        chapter.table(f"Points lost, S = {significant}, the paper's rules", "network", names, columns)
    columns = {f"output/S3x{top}": f"x = {top}" for top in TOPS}
    chapter.table("Points lost, S = 3, rounded for outputs", "network", names, columns)
    chapter.plot("accuracy-3", "Points lost, S = 3, rounded for outputs", "points of top-1 accuracy", names, columns)
    return chapter


def curve(counts: Found, bases: Found, points: Mapping[str, Sequence[Mapping[str, Any]]], best: Found) -> Chapter:
    """Set arrays against accuracy, and name the fewest arrays within the limit."""
    chapter = PAPER.chapter("curve")
    for name, found in points.items():
        dense, first = counts[name]["dense"], found[0]
        members = []
        for point in found:
            fewer = dense / point["arrays"]
            member = f"{fewer:.2f} times"
            if member in members:
                continue
            members.append(member)
            note = (
                f"{point['arrays']} arrays of {dense}, {point['alone']} where none is shared; {point['right']} of "
                f"{point['samples']} right, {first['right']} in 8 bits; {_same(first, point)}"
                f"{_error(point)}."
            )
            lost = 100 * (first["right"] - point["right"]) / first["samples"]
            what = f"accuracy lost with {fewer:.2f} times fewer arrays"
            chapter.add(name, member, what, "points", lost, note=note, network=name)
        labelled = {name: "points lost"}
        chapter.table(f"{name}: fewer arrays, and points lost", "fewer arrays", members, labelled)
        title = f"{name}: points lost with so many times fewer arrays than dense"
        chapter.plot(f"curve-{name}", title, "points of top-1 accuracy", members, labelled, 0.3)
    for name, least in best.items():
        base, dense = bases[name], counts[name]
        lost = base["right"] - least["right"]
        note = (
            f"{lost} of {base['samples']} samples lost ({base['right']} right in 8 bits), {_same(base, least)}; "
            f"{allowed(base['samples'])} may be lost."
        )
        for series, label, factor in (
            ("best", "than dense", dense["dense"] / least["arrays"]),
            ("best-alone", "than dense, no array shared", dense["dense"] / least["alone"]),
            ("best-apart", "than dense, small matrices apart", dense["separate"] / least["arrays"]),
        ):
            what = f"times fewer arrays {label}, within the limit"
            chapter.add(series, name, what, "times", factor, note=note, network=name)
        chapter.add("best-lost", name, "samples lost", "samples", float(lost), note=note, network=name)
        same = 100 * agreement(base, least)
        chapter.add("best-same", name, "samples in the same class as in 8 bits", "%", same, note=note, network=name)
    columns = {
        "best": "fewer than dense", "best-alone": "none shared", "best-apart": "than dense apart", "best-lost": "samples lost",
        "best-same": "same class, %",
    }  # fmt: skip
    chapter.table("Times fewer arrays within the limit", "network", list(best), columns)
    chapter.plot(
        "best", "Times fewer arrays than dense, within the limit", "times", list(best),
        {"best": "up to two blocks share an array", "best-alone": "none shared"}, 1.0,
    )  # fmt: skip
    return chapter


def _error(point: Mapping[str, Any]) -> str:
    return "" if point["error"] is None else f"; error {point['error']:.2g}"


def _same(base: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    return f"{100 * agreement(base, run):.1f} % in the same class"
