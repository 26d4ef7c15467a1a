"""The systolic array on ARAS's five networks: python -m benchmarks.systolic writes the table of docs/baseline.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import mho
from benchmarks.files import ROOT, write_measured
from benchmarks.throughput import PAPER
from mho.machine import systolic

PAGE = ROOT / "docs" / "baseline.md"
DATAFLOWS = ("weight", "input", "output")

TEXT = """| network | {heads} | paper's ARAS |
|---|{ruler}--:|
{lines}

With attention's products on the array, {arrays}.

Preset `aras` under `overlap`, before ARAS's savings (sections V-A to V-C), takes {low:.2f} to {high:.2f} times the energy of the
best dataflow here: both load every weight once (ARAS as 12 bits of changes), and what crossbars save in
multiply-accumulates they pay in pulses.

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
        for flow in DATAFLOWS:
            run = systolic.run(network, "tpu-like", flow)
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
        row["aras_j"] = mho.simulate(mho.compile(network, "aras", "overlap")).energy_j
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
    ratios = [row["aras_j"] / min(each["energy_j"] for each in row["flows"].values()) for row in found]
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
        low=min(ratios),
        high=max(ratios),
    )


if __name__ == "__main__":
    write_measured(PAGE, render(rows()))
