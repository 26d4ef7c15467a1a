"""A published chip among its likes: is ISAAC's own point on the front of what may be varied of it? (docs/fronts.md).

Every design is judged as a stream of resnet50, and only those count whose converters resolve every sum, as ISAAC's do.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

# One thread, before numpy is imported.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from benchmarks.files import ROOT, SCRATCH, read_json, write_json, write_measured
from benchmarks.intervals import compared, interval, priced, verdict, with_ends
from benchmarks.tables import table

RESULTS = ROOT / "benchmarks" / "fronts.json"
PAGE = ROOT / "docs" / "fronts.md"
SCHEMA = "mho.fronts/1"
NETWORK, CHIP = "resnet50", "isaac"
OVER: dict[str, list[Any]] = {
    "tiles": [126, 147, 168, 189, 210, 252, 336],
    "tile.groups": [8, 12, 16],
    "group.arrays": [4, 8, 16],
    "array.rows": [64, 128, 256],
    "array.adcs": [1, 2, 4],
    "array.adc_bits": [7, 8, 9],
}
WHEN = ("tiles * tile.groups * group.arrays * array.rows * array.columns >= 130000000",)
"""Cells for the 25.5 M weights, 4 each, with what blocks leave empty: chips that write in every inference are others."""
OWN = {"tiles": 168, "tile.groups": 12, "group.arrays": 8, "array.rows": 128, "array.adcs": 1, "array.adc_bits": 8}
"""ISAAC-CE: Shafiee et al., ISCA 2016, Table I."""
AIMS = ("interval", "energy", "area")
LIMITS = ("unresolved=0",)
BUDGET = 160


def measure(folder: Path, budget: int, workers: int) -> dict[str, Any]:
    """Search, and set the chip's own point beside the front."""
    import mho
    from mho.explore import OBJECTIVES, Space

    def say(what: str, done: int, total: int) -> None:
        sys.stderr.write(f"\r{what}: {done} of {total}   ")

    strategy = mho.Strategy().with_({"schedule": "stream", "schedule.batch": 1})  # One inference a round: weights stay.
    how: dict[str, Any] = {"minimise": AIMS, "limits": LIMITS, "measure": 0, "workers": workers, "progress": say}
    network, kept = mho.zoo.load(NETWORK), folder / "fronts.jsonl"
    found = mho.explore(network, CHIP, Space(OVER, WHEN), strategy=strategy, budget=budget, store=kept, **how)
    alone = {key: [value] for key, value in OWN.items()}
    (own,) = mho.explore(network, CHIP, alone, strategy=strategy, store=kept, **how).records
    fields = [OBJECTIVES[name].field for name in AIMS]
    content = found.to_dict()
    point = {"values": OWN, **{field: own[field] for field in fields}}
    front = [{"values": each["values"], **{field: each[field] for field in fields}} for each in found.front()]
    return {
        "schema": SCHEMA,
        "space": content["space"],
        "search": content["search"],
        "judged": content["judged"],
        "legal": len(found.legal),
        "refused": content["refused"],
        "own": point,
        "front": front,
        "sure": sure(network, strategy, behind(point, front)[1]["values"]),
    }


def sure(network: Any, strategy: Any, best: dict[str, Any]) -> dict[str, Any]:
    """Return how sure it is that the design that is best takes less energy, and less area, than ISAAC's own point."""
    import mho

    chips = {
        "best": mho.Chip.load(CHIP).override(best, source="fronts"),
        "own": mho.Chip.load(CHIP).override(OWN, source="fronts"),
    }
    reports = {name: mho.simulate(mho.compile(network, chip, strategy)) for name, chip in chips.items()}
    told = {}
    for what in ("energy", "area"):
        found = priced(reports, what)
        told[what] = {name: interval(found, name) for name in chips} | compared(found, "best", "own")
    return told


def behind(own: dict[str, Any], front: list[dict[str, Any]]) -> tuple[float, dict[str, Any]]:
    """Return by what factor in every aim at least the best design of the front is ahead of a point, and which that is."""
    fields = [field for field in own if field != "values"]
    return max(((min(own[field] / each[field] for field in fields), each) for each in front), key=lambda pair: pair[0])


def rendered(results: dict[str, Any]) -> str:
    """Return the sentence and the table."""
    own, front = results["own"], results["front"]
    factor, best = behind(own, front)
    keys = list(OWN)
    if factor > 1:
        said = f"ISAAC's own point is **behind** the front: {values(best)} is at least {factor:.3f} times better in every aim."
    else:
        said = (
            f"ISAAC's own point is **on** the front: no design found is better in every aim; the nearest, {values(best)}, has at "
            f"least {factor:.3f} of its merit in every aim."
        )
    said += " Intervals are exact under the chips' files. By 90 % of draws of published constants: " + "; ".join(
        f"{what} {with_ends(each['best'], unit)} against {with_ends(each['own'], unit)}, {verdict(each)}"
        for what, unit in (("energy", "J"), ("area", "m²"))
        for each in [results["sure"][what]]
    )
    said += "."
    heads = (*keys, "interval, µs", "mJ", "mm²")
    lines = [
        (
            *(str(each["values"][key]) for key in keys),
            f"{each['interval_s'] * 1e6:.1f}",
            f"{each['energy_j'] * 1e3:.2f}",
            f"{each['area_m2'] * 1e6:.1f}",
        )
        for each in [own, *sorted(front, key=lambda each: each["interval_s"])]
    ]
    lines[0] = (f"**{lines[0][0]}** (ISAAC)", *lines[0][1:])
    counted = (
        f"{results['space']['formula']}; {results['judged']} judged (search {results['search']['by']}, seed "
        f"{results['search']['seed']}), of which {results['legal']} can be compiled and resolve every sum."
    )
    return f"{said}\n\n{counted}\n\n{table(heads, lines)}"


def values(design: dict[str, Any]) -> str:
    """Say what a design is."""
    return ", ".join(f"{key} {value}" for key, value in design["values"].items() if value != OWN[key]) or "ISAAC itself"


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fronts", description=__doc__)
    parser.add_argument("--budget", type=int, default=BUDGET, metavar="N", help=f"designs judged; else {BUDGET}")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes; they change no figure")
    parser.add_argument("--render", action="store_true", help="write the page again from benchmarks/fronts.json")
    chosen = parser.parse_args(arguments)
    if not chosen.render:
        write_json(RESULTS, measure(SCRATCH, chosen.budget, chosen.workers))
    write_measured(PAGE, rendered(read_json(RESULTS)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
