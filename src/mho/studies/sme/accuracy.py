"""Accuracy by the paper's rules and by ours, and arrays against accuracy where each layer has its own coding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mho.studies.chapter import Chapter, Measured
from mho.studies.sme.measure import TOPS, WINDOWS, agreement, allowed
from mho.studies.sme.paper import PAPER


def accuracy(measured: Mapping[str, Measured]) -> Chapter:
    """List what is lost for each window and number of planes."""
    chapter = PAPER.chapter("accuracy")
    for name, runs in measured.items():
        base = runs["8-bit"]
        for key, run in runs.items():
            if key == "8-bit":
                continue
            rule, width, planes = key.split("/")
            lost = 100 * (base["right"] - run["right"]) / base["samples"]
            words = "by the paper's rules" if rule == "paper" else "rounded for outputs"
            note = f"{run['right']} of {run['samples']} right, {base['right']} in 8 bits; {_same(base, run)}."
            series, quantity = f"{rule}/S{width}x{planes}", f"accuracy lost, S = {width}, x = {planes}, {words}"
            chapter.add(series, name, quantity, "points", lost, note=note, network=name)
    names = list(measured)
    for significant in WINDOWS:
        columns = {f"paper/S{significant}x{top}": f"x = {top}" for top in TOPS}
        chapter.table(f"Points lost, S = {significant}, the paper's rules", "network", names, columns)
    columns = {f"output/S3x{top}": f"x = {top}" for top in TOPS}
    chapter.table("Points lost, S = 3, rounded for outputs", "network", names, columns)
    chapter.plot("accuracy-3", "Points lost, S = 3, rounded for outputs", "points of top-1 accuracy", names, columns)
    return chapter


def curve(
    counts: Measured, bases: Measured, points: Mapping[str, Sequence[Mapping[str, Any]]], best: Measured
) -> Chapter:
    """Set arrays against accuracy, and name the fewest arrays within the limit."""
    chapter = PAPER.chapter("curve")
    for name, curve_points in points.items():
        dense, first = counts[name]["dense"], curve_points[0]
        members = []
        for point in curve_points:
            fewer = dense / point["arrays"]
            member = f"{fewer:.2f} times"
            if member in members:
                continue
            members.append(member)
            error = "" if point["error"] is None else f"; error {point['error']:.2g}"
            note = (
                f"{point['arrays']} arrays of {dense}, {point['alone']} where none is shared; {point['right']} of "
                f"{point['samples']} right, {first['right']} in 8 bits; {_same(first, point)}{error}."
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
    shared, alone = "up to two blocks share an array", "none shared"
    columns = {"best": "fewer than dense", "best-alone": alone, "best-apart": "than dense apart"}
    columns |= {"best-lost": "samples lost", "best-same": "same class, %"}
    chapter.table("Times fewer arrays within the limit", "network", list(best), columns)
    title, drawn = "Times fewer arrays than dense, within the limit", {"best": shared, "best-alone": alone}
    chapter.plot("best", title, "times", list(best), drawn, 1.0)
    return chapter


def _same(base: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    return f"{100 * agreement(base, run):.1f} % in the same class"
