"""How sure the energies of ARAS's networks are, and how fast that is told: python -m benchmarks.sure writes into docs/robust.md."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from time import process_time
from typing import Any

import mho
from benchmarks.files import ROOT, write_measured
from mho.engineering import percent, quantity
from mho.machine import systolic
from mho.machine.robustness import Robust

PAGE = ROOT / "docs" / "robust.md"
NETWORKS = ("vgg16", "resnet50", "densenet161", "bert-base", "bert-large")
BASE = "overlap"
PLANS = {
    BASE: ("aras", "overlap"),
    "aras": ("aras", "aras"),
    "adaptive": ("aras", "adaptive"),
    "coherent": ("aras-coherent", "aras"),
}
ARRAY = "tpu-like"
DRAWS, REPEATS = 100_000, 5
TEXT = """Networks known by shapes alone, preset `aras` (`coherent`: schedule `aras` on `aras-coherent`), {draws:,} draws: energy
at the chip's own constants, where 90 % of the draws lie, and against `overlap` and the systolic array `tpu-like` (hidden
loads) what is decided. Times are exact: no constant is in them.

| network | design | energy | 90 % of draws | against `overlap` | against the array |
|---|---|--:|--:|---|---|
{lines}

{decided} of {compared} comparisons of energies are decided. {programs} programs are priced by {draws:,} draws in {seconds:.2f} s of
one core, {rate:,.0f} draws a second (best of {repeats}; constants drawn, all programs priced)."""


def measured(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Compile each network in every way, and count it on the array."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        network = mho.zoo.load(name)
        sys.stderr.write(f"{name}\n")
        found[name] = {
            label: mho.simulate(mho.compile(network, chip, mho.Strategy().with_(schedule=schedule, banks="greedy")))
            for label, (chip, schedule) in PLANS.items()
        } | {ARRAY: systolic.run(network, ARRAY)}
    return found


def timed(found: dict[str, dict[str, Any]]) -> tuple[int, float]:
    """Return how many programs there are, and the least CPU time in s that drawing and pricing all of them takes."""
    programs = {f"{name}/{label}": each for name, runs in found.items() for label, each in runs.items()}
    priced = mho.robust(programs, draws=DRAWS)
    taken = []
    for _ in range(REPEATS):
        again = Robust(priced.energies, priced.constants, priced.alternatives, DRAWS, 0)
        before = process_time()
        for label in programs:
            again.sampled(label)
        taken.append(process_time() - before)
    return len(programs), min(taken)


def render(found: dict[str, dict[str, Any]]) -> str:
    """Render the measured part of the page."""
    lines, decided, compared = [], 0, 0
    for name, runs in found.items():
        priced = mho.robust(runs, draws=DRAWS)
        for label in (*PLANS, ARRAY):
            cells = []
            for other in (BASE, ARRAY):
                if label == other:
                    cells.append("–")
                    continue
                verdict = priced.verdict(label, other)
                decided, compared = decided + verdict.decided, compared + 1
                what = f"{percent(abs(verdict.saving), 1.0)} {'less' if verdict.saving > 0 else 'more'}"
                flips = "; ".join(f"{flip.constant} {flip.at}" for flip in verdict.flips[:2])
                said = f"{what}, undecided: " + (f"flips at {flips}" if flips else "several constants together")
                same = verdict.decided and verdict.least == verdict.most == 0
                cells.append("the same, decided" if same else f"{what}, decided" if verdict.decided else said)
            low, high = priced.interval(label)
            ends = f"{quantity(low, 'J')} to {quantity(high, 'J')}"
            lines.append(f"| {name} | {label} | {quantity(priced.energy(label), 'J')} | {ends} | {' | '.join(cells)} |")
    programs, seconds = timed(found)
    return TEXT.format(
        lines="\n".join(lines), decided=decided, compared=compared, programs=programs, draws=DRAWS, seconds=seconds,
        rate=DRAWS / seconds, repeats=REPEATS,
    )  # fmt: skip


if __name__ == "__main__":
    write_measured(PAGE, render(measured(sys.argv[1:] or NETWORKS)))
