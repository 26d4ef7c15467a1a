"""Reports side by side as data, as a page, and as its files (schema mho.comparison/1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mho.engineering import count, ratio
from mho.files.writing import save_texts
from mho.machine.energy import KINDS
from mho.report.bars import Bar, draw
from mho.report.sheets import Page, Sheet, as_json
from mho.report.terminal import amber, compared, named
from mho.shown import Columns, columns

if TYPE_CHECKING:
    from mho.machine.report import Report

SCHEMA = "mho.comparison/1"


def as_dict(reports: Sequence[Report]) -> dict[str, Any]:
    """Return everything, ready for JSON."""
    return {"schema": SCHEMA, "reports": [report.to_dict() for report in reports]}


def frame(reports: Sequence[Report]) -> Columns:
    """Return a row a report as columns, in SI units."""
    return columns(
        {
            **{
                key: content[key]
                for key in ("schedule", "latency_s", "throughput_per_s", "lower_bound_s", "bound_ratio")
            },
            "energy_j": content["energy_j"]["total"],
            **{f"{kind}_j": content["energy_j"]["by_kind"][kind] for kind in KINDS},
            "pulses": content["writes"]["pulses"],
        }
        for content in (report.to_dict() for report in reports)
    )


def comparison_page(reports: Sequence[Report]) -> str:
    """Return the page of a comparison."""
    contents = [report.to_dict() for report in reports]
    title, labels = named(contents)
    model, chip = contents[0]["model"], contents[0]["chip"]
    about = (
        f"{count(model['layers'])} matrix layers · {count(model['weights'])} weights · {count(model['macs'])} MACs · "
        f"batch {model['batch']} · weights: {model['weights_origin']} · chip {chip['digest'][:12]} · mho {contents[0]['version']}"
    )
    sheets = []
    for heading, cells in zip(("Time", "Energy and writes"), compared(contents), strict=True):
        lines = [(label, *(values[row] for values in cells.values())) for row, label in enumerate(labels)]
        sheets.append(Sheet(heading, ("schedule", *cells), lines))
    times = [
        Bar(label, {"": each["latency_s"]}, (each["lower_bound_s"], "no legal schedule is faster"))
        for label, each in zip(labels, contents, strict=True)
    ]
    energies = [
        Bar(label, {kind: each["energy_j"]["by_kind"][kind] for kind in KINDS})
        for label, each in zip(labels, contents, strict=True)
    ]
    return Page(
        f"{title}: schedules side by side",
        about,
        model["weights_origin"],
        sheets,
        list(dict.fromkeys(note for content in contents for note in content["notes"])),
        said=conclusion(contents, labels),
        amber=amber(reports),
        before=[draw("Time of one inference", times, "s"), draw("Energy of one inference", energies, "J")],
    ).render()


def conclusion(contents: Sequence[dict[str, Any]], labels: Sequence[str]) -> str:
    """Say in a sentence which is fastest, by how much and how near the bound, and which takes the least energy."""
    times = [content["latency_s"] for content in contents]
    energies = [content["energy_j"]["total"] for content in contents]
    fastest, frugal = _least(times), _least(energies)
    first = fastest[0]
    said = f"{_joined(fastest, labels)} the fastest, {ratio(contents[first]['bound_ratio'])} the time that no legal schedule beats"
    if 0 not in fastest:
        said += f", {ratio(times[0] / times[first])} as fast as {labels[0]}"
    if len(frugal) == len(labels):
        return f"{said}; all take the same energy."
    return f"{said}; {_joined(frugal, labels)} of the least energy."


def _least(values: Sequence[float]) -> list[int]:
    """Return where the least value stands, and what is equal to it but for rounding."""
    return [place for place, value in enumerate(values) if value <= min(values) * (1 + 1e-9)]


def _joined(places: Sequence[int], labels: Sequence[str]) -> str:
    names = [labels[place] for place in places]
    return f"{names[0]} is" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} are"


def save_comparison(reports: Sequence[Report], folder: Path) -> tuple[Path, ...]:
    """Write compare.json and compare.html into a folder, all or none; OutputError names the path."""
    texts = {"compare.json": as_json(as_dict(reports)), "compare.html": comparison_page(reports)}
    return save_texts(texts, folder)
