"""Accuracy and cost of the same programs on real data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mho.studies.basisn.measure_real import NAME
from mho.studies.basisn.measure_varied import SIGMA
from mho.studies.basisn.paper import PAPER
from mho.studies.chapter import Chapter


def accuracy_chapter(found: Mapping[str, Any]) -> Chapter:
    """List what is right, and what the very programs take; and what is left where cells vary or converters are the chip's."""
    chapter, labels = PAPER.chapter("accuracy"), PAPER.labels("fits")
    if not found.get("fits"):
        chapter.add("right", NAME, "right of all images", "%", None, note=PAPER.says("no-data"), network=NAME)
        return chapter
    before = found["before"]
    count = before["samples"]
    for key in ("float", "bytes"):
        note = f"{before[key]} of {count}."
        chapter.add("right", key, f"right, {labels[key]}", "%", 100 * before[key] / count, note=note, network=NAME)
    for key, fit in found["fits"].items():
        exact = PAPER.says("exact" if fit["exact"] else "not-exact")
        note = f"{fit['right']} of {count}. {exact}"
        chapter.add("right", key, f"right, {labels[key]}", "%", 100 * fit["right"] / count, note=note, network=NAME)
        lost = 100 * (before["float"] - fit["right"]) / count
        chapter.add("lost", key, f"points lost to float, {labels[key]}", "points", lost, network=NAME)
        chapter.add("kept", key, f"coefficients a segment, {labels[key]}", "", fit["kept"], network=NAME)
        for arrays, run in fit["runs"].items():
            for quantity, unit, field in (("time", "s", "latency_s"), ("energy", "J", "energy_j")):
                what = f"{quantity} on {arrays} arrays, {labels[key]}"
                chapter.add(f"{arrays}/{quantity}", key, what, unit, float(run[field]), network=NAME)
    members = ["float", "bytes", *found["fits"]]
    columns = {"right": "right, %", "lost": "points lost", "kept": "coefficients a segment, mean"}
    for arrays in next(iter(found["fits"].values()))["runs"]:
        columns |= {f"{arrays}/{each}": f"{each}, {arrays} arrays" for each in ("time", "energy")}
    chapter.table(f"{NAME}: accuracy and costs of the same programs", "weights", members, columns, labels)
    _on_chips(chapter, found, labels)
    return chapter


def _on_chips(chapter: Chapter, found: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    """List what is left where cells are off, and where the chip's own converters are used."""
    for key, run in found["varied"].items():
        count = run["samples"]
        shares = [100 * right / count for right in run["right"]]
        note = f"{', '.join(map(str, run['right']))} of {count} on {len(shares)} drawn chips; {run['ideal']} without."
        what = f"right where cells are off by {SIGMA:.0%} of the full range, the same codes, {labels[key]}"
        chapter.add("varied", key, what, "%", sum(shares) / len(shares), note=note, network=NAME)
        chapter.add(
            "ideal", key, f"right on the same images, {labels[key]}", "%", 100 * run["ideal"] / count, network=NAME
        )
    for key, run in found["refitted"].items():
        for which, words in (("kept", "the same codes"), ("anew", "codes fitted to its cells")):
            what = f"right on one chip whose cells are off, {words}, {labels[key]}"
            note = f"{run[which]} of {run['samples']}; {run['ideal']} with ideal cells and the codes as they were."
            chapter.add(f"chip/{which}", key, what, "%", 100 * run[which] / run["samples"], note=note, network=NAME)
    columns = {"chip/kept": "the same codes", "chip/anew": "codes fitted to its cells as read"}
    title = f"{NAME}: one chip whose cells are off by {SIGMA:.0%} of the full range, %"
    chapter.table(title, "weights", list(found["refitted"]), columns, labels)
    columns = {"varied": f"cells off by {SIGMA:.0%} of the full range", "ideal": "ideal cells"}
    chapter.table(f"{NAME}: cells that vary, %", "weights", list(found["varied"]), columns, labels)
    for key, run in found["converted"].items():
        for reach in ("full", "calibrated"):
            what = f"right with converters of {run['bits']} bits, range {reach}, {labels[key]}"
            note = f"{run[reach]} of {run['samples']}; {run['ideal']} with converters that resolve every sum."
            chapter.add(
                f"converters/{reach}", key, what, "%", 100 * run[reach] / run["samples"], note=note, network=NAME
            )
    columns = {f"converters/{reach}": f"range {reach}" for reach in ("full", "calibrated")}
    title = f"{NAME}: the chip's own converters, %"
    chapter.table(title, "weights", list(found["converted"]), columns, labels)
