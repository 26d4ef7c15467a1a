"""The systolic array on ARAS's five networks: python -m benchmarks.systolic writes the table of docs/baseline.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import mho
from benchmarks.files import ROOT, write_measured
from benchmarks.intervals import compared, ends, factors, interval, priced, verdict
from benchmarks.throughput import PAPER
from mho.engineering import quantity, ratio
from mho.machine import systolic

PAGE = ROOT / "docs" / "baseline.md"
DATAFLOWS = ("weight", "input", "output")

TEXT = """| network | {heads} | paper's ARAS |
|---|{ruler}--:|
{lines}

With attention's products on the array, {arrays}.

Times are exact under the array's file: its clock and ports are in them, no published constant is. Energies are at the array's own
constants. What the dataflow of least energy takes, and what preset `aras` takes under `overlap`, before ARAS's savings (sections
V-A to V-C), by draws of published constants ([robust.md](robust.md)):

| network | dataflow | energy | 90 % of draws | `aras`: times that | 90 % of draws | verdict |
|---|---|--:|--:|--:|--:|---|
{sure}

From {low:.2f} to {high:.2f} times the energy of the array: both load every weight once (ARAS as 12 bits of changes), and what
crossbars save in multiply-accumulates they pay in pulses.

How often the array's time goes into that of preset `aras` under schedule `aras`, by what holds the array up and what stays in it
(in brackets: into the time that the paper's own throughput of ARAS means):

| network | {speed_heads} |
|---|{speed_ruler}
{speeds}"""
READINGS = {
    "hidden, best": ("hidden", "best"),
    "hidden, weight": ("hidden", "weight"),
    "exposed, output": ("exposed", "output"),
    "exposed, weight": ("exposed", "weight"),
    "refetched, weight": ("refetched", "weight"),
}
"""What a column of the second table is called, to the array's `stalls` and dataflow."""
WHY = "benchmark: each reading of what holds the array up"


def rows(names: Iterable[str] = tuple(PAPER)) -> list[dict[str, Any]]:
    """Run each network under each dataflow, and on the chip."""
    found: list[dict[str, Any]] = []
    for name in names:
        network = mho.zoo.load(name)
        row: dict[str, Any] = {"network": name, "paper": PAPER[name], "flows": {}}
        runs: dict[str, Any] = {}
        for flow in DATAFLOWS:
            run = runs[flow] = systolic.run(network, "tpu-like", flow)
            row["flows"][flow] = {
                "per_s": run.throughput_per_s,
                "single_per_s": network.batch / run.latency_without_overlap_s,
                "energy_j": run.energy_j,
                "on_array": run.totals[run.dataflow]["array"],
            }
        row["aras_s"] = mho.simulate(mho.compile(network, "aras", "aras")).latency_s
        row["readings"] = {}
        for label, (stalls, flow) in READINGS.items():
            array = systolic.Systolic.load("tpu-like").override({"stalls": stalls}, source=WHY)
            row["readings"][label] = systolic.run(network, array, flow).latency_s
        row["frugal"] = min(DATAFLOWS, key=lambda flow: runs[flow].energy_j)
        both = priced({"array": runs[row["frugal"]], "aras": mho.simulate(mho.compile(network, "aras", "overlap"))})
        row |= {"array_j": interval(both, "array"), "aras_over_array": compared(both, "array", "aras")}
        found.append(row)
    return found


def render(found: list[dict[str, Any]]) -> str:
    """Render the measured part of the page."""
    lines = []
    for row in found:
        cells = [
            f"{each['per_s']:.1f} ({each['single_per_s']:.1f}), {each['energy_j'] * 1e3:.1f} mJ"
            for each in row["flows"].values()
        ]
        lines.append(f"| {' | '.join([row['network'], *cells, str(row['paper'])])} |")
    arrays = []
    for row in (each for each in found if each["network"].startswith("bert")):
        totals = [each["on_array"] for each in row["flows"].values()]
        parts = [f"{1 / each.latency_s:.1f} ({each.energy_j * 1e3:.1f} mJ)" for each in totals]
        arrays.append(f"{row['network']} makes {', '.join(parts)}")
    ratios = [row["aras_over_array"]["factor"] for row in found]
    sure = [
        f"| {row['network']} | {row['frugal']} | {quantity(row['array_j'][0], 'J')} | {ends(row['array_j'], 'J')} | "
        f"{ratio(told['factor'])} | {factors(told)} | {verdict(told)} |"
        for row in found
        for told in [row["aras_over_array"]]
    ]
    ours, theirs = (
        {label: [row["readings"][label] / second(row) for row in found] for label in READINGS}
        for second in (lambda row: row["aras_s"], lambda row: 1 / row["paper"])
    )
    speeds = [
        f"| {row['network']} | {' | '.join(f'{ours[label][i]:.2f} ({theirs[label][i]:.2f})' for label in READINGS)} |"
        for i, row in enumerate(found)
    ]
    for name, of in (("mean", lambda values: sum(values) / len(values)), ("largest", max)):
        speeds.append(
            f"| {name} | {' | '.join(f'{of(ours[each]):.2f} ({of(theirs[each]):.2f})' for each in READINGS)} |"
        )
    return TEXT.format(
        speed_heads=" | ".join(READINGS),
        speed_ruler="--:|" * len(READINGS),
        speeds="\n".join(speeds),
        heads=" | ".join(DATAFLOWS),
        ruler="--:|" * len(DATAFLOWS),
        lines="\n".join(lines),
        arrays="; ".join(arrays),
        sure="\n".join(sure),
        low=min(ratios),
        high=max(ratios),
    )


if __name__ == "__main__":
    write_measured(PAGE, render(rows()))
