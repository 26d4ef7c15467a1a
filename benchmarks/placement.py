"""How much faster, and with how many fewer pulses, placed blocks are written on the real networks (docs/placement.md).

Each network is compiled for an ARAS chip of so few tiles that it exceeds it several times, once with write_latency worst_case
and once with actual, and its blocks are placed for time and for pulses. Nothing is executed: placement changes no output.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.accuracy import CASES, data_folder
from benchmarks.files import ROOT, read_json, write_json, write_measured
from benchmarks.reuse import SCHEDULE, scaled_chip

if TYPE_CHECKING:
    from mho.machine.report import Report
    from mho.number import QuantisedNetwork

RESULTS = ROOT / "benchmarks" / "placement.json"
PAGE = ROOT / "docs" / "placement.md"
SCHEMA = "mho.placement/1"
STAGES = "resnet50v2_stage1to3"
NAMES = (*(case.name for case in CASES), STAGES)


def report_of(quantised: QuantisedNetwork, latency: str, placement: str, alignment: str = "none") -> Report:
    """Compile and measure one program."""
    import mho
    from mho.mapping import map_network

    chip = scaled_chip(map_network(quantised.network, mho.Chip.load("aras")).count)
    chip = chip.override({"write_latency": latency}, source="benchmark: placement")
    program = mho.compile(
        quantised, chip, mho.Strategy().with_(schedule=SCHEDULE, placement=placement, alignment=alignment)
    )
    assert not program.setup, f"{quantised.network.name} fits its chip"
    return mho.simulate(program)


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Measure one network; returns its record: seconds, and what placement leaves of time, pulses and energy, as shares."""
    import mho
    from mho.studies.stages import stages

    files = {case.name: case.file for case in CASES}

    network = stages(folder) if name == STAGES else mho.Network.from_onnx(folder / files[name])
    quantised = mho.number.quantise(network)
    worst, actual = (report_of(quantised, latency, "none") for latency in ("worst_case", "actual"))
    time, pulses = report_of(quantised, "actual", "time"), report_of(quantised, "worst_case", "pulses")
    aligned, both = (report_of(quantised, "worst_case", each, "auto") for each in ("none", "pulses"))

    def written(report: Report) -> float:
        return float(report.to_dict()["writes"]["pulses"])

    return {
        "name": name,
        "groups": worst.program.chip.groups,
        "exceeded": worst.program.mapping.count / worst.program.chip.groups,
        "worst_s": worst.latency_s,
        "actual_s": actual.latency_s,
        "time": {
            "latency": time.latency_s / actual.latency_s,
            "pulses": written(time) / written(actual),
            "energy": time.energy_j / actual.energy_j,
        },
        "pulses": {"pulses": written(pulses) / written(worst), "energy": pulses.energy_j / worst.energy_j},
        "aligned": {"pulses": written(aligned) / written(worst), "placed": written(both) / written(worst)},
    }


def saved(share: float) -> str:
    """Write what is left of a whole as what was saved, in percent; more is negative."""
    return f"{100 * (1 - share):.1f}"


def table(results: dict[str, Any]) -> str:
    """Render the results."""
    head = (
        "network", "groups", "exceeded", "worst case, ms", "actual, ms", "placed for time: time saved, %", "pulses, %",
        "energy, %", "placed for pulses: pulses saved, %", "energy, %", "aligned: pulses saved, %", "aligned and placed, %",
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for each in results["networks"]:
        cells = (
            each["name"], each["groups"], f"{each['exceeded']:.1f}", f"{1e3 * each['worst_s']:.2f}",
            f"{1e3 * each['actual_s']:.2f}", *(saved(each["time"][key]) for key in ("latency", "pulses", "energy")),
            *(saved(each["pulses"][key]) for key in ("pulses", "energy")),
            *(saved(each["aligned"][key]) for key in ("pulses", "placed")),
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.placement",
        description="Measure what placement saves on the real networks; writes docs/placement.md and benchmarks/placement.json.",
        epilog="The data are found in the folder MHO_DATA, else in ../shared/data.",
    )
    parser.add_argument("--only", metavar="NAME", action="append", choices=NAMES, help=f"one of: {', '.join(NAMES)}")
    parser.add_argument("--render", action="store_true", help="write the table again from benchmarks/placement.json")
    asked = parser.parse_args(arguments)
    results = read_json(RESULTS)
    records = {each["name"]: each for each in results.get("networks", [])}
    for name in NAMES if not asked.render else ():
        if asked.only is None or name in asked.only:
            records[name] = measure(name, data_folder())
            sys.stderr.write(f"{name}: {records[name]}\n")
            ordered = [records[each] for each in NAMES if each in records]
            write_json(RESULTS, {"schema": SCHEMA, "schedule": SCHEDULE, "networks": ordered})
    write_measured(PAGE, table(read_json(RESULTS)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
