"""Time and energy beside a chip in the manner of ISAAC, and SRE between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mho.studies.chapter import Chapter
from mho.studies.sme.paper import PAPER

Found = Mapping[str, Mapping[str, Any]]
RUNS = {
    "dense": "dense (ISAAC-style)",
    "sre": "SRE",
    "lossless": "squeezed, lossless",
    "few": "squeezed, few planes",
    "folded": "few planes, folded",
}


def layers(counts: Found, found: Found) -> Chapter:
    """List the arrays of every layer."""
    chapter = PAPER.chapter("layers")
    for name, runs in found.items():
        members, labels = [], {}
        for place, layer in enumerate(counts[name]["layers"]):
            member = f"{place + 1}"
            members.append(member)
            size = f"{layer['rows']} × {layer['columns']}" + (
                f" × {layer['matrices']}" if layer["matrices"] > 1 else ""
            )
            labels[member] = f"{layer['name']} ({size})"
            for run, label in RUNS.items():
                if run in runs:
                    arrays = float(runs[run]["layers"][place]["arrays"])
                    what = f"arrays of {layer['name']}, {label}"
                    chapter.add(f"{name}/{run}", member, what, "arrays", arrays, network=name)
        columns = {f"{name}/{run}": label for run, label in RUNS.items()}
        chapter.table(f"{name}: arrays of each layer", "layer (K × N)", members, columns, labels)
    return chapter


def cost(found: Mapping[str, Found]) -> Chapter:
    """Set arrays, time and energy side by side."""
    chapter = PAPER.chapter("cost")
    for name, runs in found.items():
        dense = runs["dense"]
        for run, label in RUNS.items():
            if run not in runs:
                continue
            made = runs[run]
            chapter.add(f"arrays/{run}", name, f"arrays, {label}", "arrays", float(made["arrays"]), network=name)
            chapter.add(f"time/{run}", name, f"time, one copy, {label}", "s", made["latency_s"], network=name)
            chapter.add(f"energy/{run}", name, f"energy of computing, {label}", "J", made["compute_j"], network=name)
            if made["area_m2"] is not None:
                area = made["area_m2"]
                chapter.add(f"area/{run}", name, f"area of the chip, {label}", "m²", area, network=name)
            saved = dense["compute_j"] / made["compute_j"]
            chapter.add(f"less/{run}", name, f"times less energy than dense, {label}", "times", saved, network=name)
            if made["shared_s"] is None:
                speed, note = None, PAPER.says("no-copy")
            else:
                speed, note = dense["shared_s"] / made["shared_s"], ""
            chapter.add(
                f"speed/{run}", name, f"speed-up with equal arrays, {label}", "times", speed, note=note, network=name
            )
    names = list(found)
    for series, title in (
        ("arrays", "Arrays of one copy"),
        ("area", "Area of the whole chip, index memories and row shifts included"),
        ("time", "Time of one inference, one copy"),
        ("energy", "Energy of computing"),
        ("less", "Times less energy than dense"),
        ("speed", "Speed-up over dense with equal arrays"),
    ):
        chapter.table(title, "network", names, {f"{series}/{run}": label for run, label in RUNS.items()})
    chapter.plot(
        "cost-energy", "Times less energy of computing than dense", "times", names,
        {f"less/{run}": label for run, label in RUNS.items() if run != "dense"}, 1.0,
    )  # fmt: skip
    chapter.plot(
        "cost-speed", "Speed-up over dense with equal arrays", "times", names,
        {f"speed/{run}": label for run, label in RUNS.items() if run != "dense"}, 1.0,
    )  # fmt: skip
    return chapter
