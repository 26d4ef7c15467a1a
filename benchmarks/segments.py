"""Rounds of inferences on a chip that cannot hold the network: rate, latency, energy, wear by their number (docs/segments.md)."""

from __future__ import annotations

import argparse
import sys
from itertools import pairwise
from typing import Any

from benchmarks.files import ROOT, read_json, write_json, write_measured
from benchmarks.intervals import compared, ends, interval, priced

RESULTS = ROOT / "benchmarks" / "segments.json"
PAGE = ROOT / "docs" / "segments.md"
SCHEMA = "mho.segments/1"
NETWORKS = ("resnet50", "densenet161", "bert-base", "vgg16")
PORTS = (256, 1024)
ROUNDS = (1, 4, 16, 64)
ENDURANCE = 1e11
"""Writes that a cell survives, as in docs/study-aras.md."""


def measured(name: str, port_bits: int) -> list[dict[str, Any]]:
    """Measure rounds of each number of inferences, and schedule adaptive before them, against which energies are held."""
    rows, reports = [], dict[str, Any]()
    for batch in (None, *ROUNDS):
        row, report = measured_round(name, port_bits, batch)
        sys.stderr.write(f"{row}\n")
        rows.append(row)
        reports |= {} if report is None else {str(batch): report}
    found = priced(reports)
    for row in rows:
        label = str(row["batch"])
        if label in reports:
            row |= {"sure_j": interval(found, label), "against": compared(found, label, str(None))}
    return rows


def measured_round(name: str, port_bits: int, batch: int | None) -> tuple[dict[str, Any], Any]:
    """Measure rounds of `batch` inferences, or, for None, schedule adaptive; what cannot be compiled says why."""
    import mho
    from mho.errors import MappingError

    changes = {"layer_order": "dataflow", "buffer.port_bits": port_bits}
    chip = mho.Chip.load("aras").override(changes, source="benchmarks.segments")
    chosen = {"schedule": "adaptive"} if batch is None else {"schedule": "stream", "schedule.batch": batch}
    row: dict[str, Any] = {"network": name, "port_bits": port_bits, "batch": batch}
    try:
        program = mho.compile(mho.zoo.load(name), chip, mho.Strategy.load("default").with_(chosen))
    except MappingError as error:
        return {**row, "refused": str(error)}, None
    report = mho.simulate(program, endurance=ENDURANCE)
    stream, energy, lived = report.field("stream"), report.field("energy_j"), report.field("endurance")
    bound_s = report.bound.seconds if stream is None else max(stream["bound_arguments_s"].values())
    told = {
        **row,
        "segments": None if stream is None else len(stream["segments"]),
        "rate_per_s": report.throughput_per_s,
        "bound_per_s": 1 / bound_s,
        "latency_s": report.latency_s if stream is None else stream["latency_s"]["mean"],
        "longest_s": report.latency_s if stream is None else stream["latency_s"]["longest"],
        "energy_j": energy["total"],
        "static_j": energy["by_kind"]["static"],
        "write_j": energy["by_kind"]["write"],
        "written_bytes": None if stream is None else stream["written_bytes"],
        "spilled_bytes": None if stream is None else stream["spilled_bytes"],
        "changes_per_cell": report.field("writes")["per_cell_mean"],
        "years_mean": lived["changed"]["years_mean"],
        "years_levelled": lived["changed"]["years_levelled"],
    }
    return told, report


def table(results: dict[str, Any]) -> str:
    """Render the results."""
    heads = (
        "network", "port", "inferences a round", "segments", "per s", "of the bound", "latency, ms", "mJ", "90 % of draws",
        "less than `adaptive`", "static, mJ",
        "written, MB", "spilled, MB", "changes a cell", "years, mean", "years, levelled",
    )  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    refused: dict[str, list[str]] = {}
    for row in results["rows"]:
        batch = "`adaptive`" if row["batch"] is None else str(row["batch"])
        if "refused" in row:
            refused.setdefault(row["refused"], []).append(f"{row['port_bits']} bits, {batch}")
            continue
        moved = ("–" if row[key] is None else f"{row[key] / 1e6:.3g}" for key in ("written_bytes", "spilled_bytes"))
        cells = (
            row["network"], row["port_bits"], batch, row["segments"] or "–", f"{row['rate_per_s']:,.0f}",
            f"{row['rate_per_s'] / row['bound_per_s']:.2f}", f"{row['latency_s'] * 1e3:.2f}", f"{row['energy_j'] * 1e3:.2f}",
            ends(row["sure_j"], "J"), "–" if row["batch"] is None else less(row["against"]), f"{row['static_j'] * 1e3:.2f}",
            *moved, f"{row['changes_per_cell']:.3g}", f"{row['years_mean']:.2f}", f"{row['years_levelled']:.2f}",
        )  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", *(f"- {fallen}" for fallen in falling(results["rows"]))]
    lines += [f"- Refused, {'; '.join(rounds)}: {why}." for why, rounds in refused.items()]
    return "\n".join(lines)


def less(against: dict[str, Any]) -> str:
    """Say whether rounds take less energy, and whether that is decided."""
    which = "yes" if against["factor"] > 1 else "the same" if against["factor"] == 1 else "no"
    return f"{which}, {'decided' if against['decided'] else 'undecided'}"


def falling(rows: list[dict[str, Any]]) -> list[str]:
    """Say whether the rate falls where a round has more inferences."""
    told = []
    for name in NETWORKS:
        for port in PORTS:
            rates = [
                (row["batch"], row["rate_per_s"])
                for row in rows
                if (row["network"], row["port_bits"]) == (name, port) and row["batch"] and "refused" not in row
            ]
            told += [
                f"The rate of {name} with a port of {port} bits falls by {1 - after / before:.1%} from rounds of {few} to {more}."
                for (few, before), (more, after) in pairwise(rates)
                if after < before
            ]
    return told or ["In no case does the rate fall where a round has more inferences."]


def main(arguments: list[str] | None = None) -> int:
    """Measure all networks and write the table."""
    options = argparse.ArgumentParser(prog="python -m benchmarks segments", description=__doc__)
    options.add_argument("--render", action="store_true", help="only put the results that there are into the page")
    if not options.parse_args(arguments).render:
        rows = []
        for name in NETWORKS:
            for port in PORTS:
                rows += measured(name, port)
        write_json(RESULTS, {"schema": SCHEMA, "rows": rows})
    write_measured(PAGE, table(read_json(RESULTS)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
