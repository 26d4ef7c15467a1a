"""Time and energy beside a chip in the manner of ISAAC, and SRE between them."""

from __future__ import annotations

from collections.abc import Mapping

from mho.studies.chapter import Chapter, Measured
from mho.studies.sme.paper import PAPER

RUNS = PAPER.labels("runs")


def layers(counts: Measured, costs: Measured) -> Chapter:
    """List the arrays of every layer."""
    chapter = PAPER.chapter("layers")
    for name, runs in costs.items():
        members, labels = [], {}
        for place, layer in enumerate(counts[name]["layers"]):
            member = f"{place + 1}"
            members.append(member)
            sizes = [layer["rows"], layer["columns"], *([layer["matrices"]] if layer["matrices"] > 1 else [])]
            labels[member] = f"{layer['name']} ({' × '.join(map(str, sizes))})"
            for run, label in RUNS.items():
                if run in runs:
                    arrays = float(runs[run]["layers"][place]["arrays"])
                    what = f"arrays of {layer['name']}, {label}"
                    chapter.add(f"{name}/{run}", member, what, "arrays", arrays, network=name)
        columns = {f"{name}/{run}": label for run, label in RUNS.items()}
        chapter.table(f"{name}: arrays of each layer", "layer (K × N)", members, columns, labels)
    return chapter


TITLES = PAPER.labels("costs")


def cost(costs: Mapping[str, Measured]) -> Chapter:
    """Set arrays, time and energy side by side."""
    chapter, names = PAPER.chapter("cost"), list(costs)
    for name, runs in costs.items():
        dense = runs["dense"]
        for run in (each for each in RUNS if each in runs):
            measured, shared = runs[run], runs[run]["shared_s"]
            for series, quantity, unit, figure in (
                ("arrays", "arrays", "arrays", float(measured["arrays"])),
                ("time", "time, one copy", "s", measured["latency_s"]),
                ("energy", "energy of computing", "J", measured["compute_j"]),
                ("area", "area of the chip", "m²", measured["area_m2"]),
                ("less", "times less energy than dense", "times", dense["compute_j"] / measured["compute_j"]),
                (
                    "speed",
                    "speed-up with equal arrays",
                    "times",
                    None if shared is None else dense["shared_s"] / shared,
                ),
            ):
                # SRE is counted on the dense chip, and has no area of its own.
                if figure is not None or series == "speed":
                    note = PAPER.says("no-copy") if figure is None else ""
                    quantity = f"{quantity}, {RUNS[run]}"
                    chapter.add(f"{series}/{run}", name, quantity, unit, figure, note=note, network=name)
    chapter.tables(TITLES, "network", names, RUNS)
    others = [run for run in RUNS if run != "dense"]
    for plot, series, title in (
        ("cost-energy", "less", "Times less energy of computing than dense"),
        ("cost-speed", "speed", TITLES["speed"]),
    ):
        chapter.plot(plot, title, "times", names, {f"{series}/{run}": RUNS[run] for run in others}, 1.0)
    return chapter
