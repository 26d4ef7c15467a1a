"""Accuracy by the paper's rules and by ours, and arrays against accuracy where each layer has its own coding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mho.studies.chapter import Chapter
from mho.studies.sme.measure import TOPS, WINDOWS, agreement, allowed

Found = Mapping[str, Mapping[str, Any]]

TEXT = (
    "Points of top-1 accuracy lost against the same network in 8 bits, on 250 samples evenly spread over those there "
    "are (200 of ImageNet), by programs on squeezed planes. A negative loss is a gain; one standard error is about a "
    "point, as few samples change sides. The paper's rules: weights to the nearest of a window, dropped bits. For "
    "outputs (S = 3): weights rounded one input after another so that the next ones make good what was lost, for the "
    "least error of the layer's outputs on calibration samples, row shifts chosen meanwhile. Nothing is trained again."
)
CURVE_TEXT = (
    "Each layer takes its weights from 8 bits or from a coding of 6 to 2 bit planes a weight on average, chosen for "
    "each output and each 128 inputs (ours): for the fewest arrays under a budget of error of the network's output, "
    "measured layer by layer on calibration samples; and all layers alike (of networks of most layers, that alone). "
    "The layers of a choice are then recoded one after another, on the inputs that the recoded ones before them give. "
    "Up to two blocks of a layer share an array and are activated one after another, which costs time (below); the "
    "notes also tell the arrays where none is shared. The tables are judged on 500 samples, evenly spread. Of the "
    "points the one of fewest arrays is sought that loses at most 0.3 points on all labelled samples (CIFAR-10: 15 of "
    "5,000 images; one where there are few), from the fewest arrays on: which point that is, is known from the very "
    "samples that judge."
)


def accuracy(found: Mapping[str, Found]) -> Chapter:
    """List what is lost for each window and number of planes."""
    chapter = Chapter("accuracy", "Accuracy lost by windows and squeezing", "Abstract", TEXT)
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
    chapter = Chapter("curve", "Arrays against accuracy", "Abstract", CURVE_TEXT)
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
