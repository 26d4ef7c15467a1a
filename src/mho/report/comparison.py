"""Reports side by side, as a person should see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mho.engineering import count, percent, quantity, ratio
from mho.explore.comparison import Comparison, named
from mho.machine.bill import KINDS
from mho.report.robust import intervals, verdicts
from mho.report.run import brief_notes, converters, years
from mho.report.sections import Bar, Bars, Notes, Table, View, synthetic


def _table(contents: Sequence[Mapping[str, Any]], labels: Sequence[str], sure: Mapping[str, Any] | None) -> Table:
    """Lay out reports side by side, measured against the first, whose speed-up is 1."""
    first = contents[0]["latency_s"]
    mappings = [content["strategy"]["mapping"]["choice"] for content in contents]
    areas = [content["area_m2"]["total"] for content in contents]
    cells = {
        **({"mapping": mappings} if len(set(mappings)) > 1 else {}),
        **({"area": [quantity(area, "m²") for area in areas]} if len(set(areas)) > 1 else {}),
        "time": [quantity(content["latency_s"], "s") for content in contents],
        "samples/s": [count(content["throughput_per_s"]) for content in contents],
        "× bound": [ratio(content["bound_ratio"]) for content in contents],
        "speed-up": [ratio(first / content["latency_s"]) for content in contents],
        "energy": [quantity(content["energy_j"]["total"], "J") for content in contents],
        **({} if sure is None else {f"{percent(sure['share'], 1.0)} of draws": intervals(sure)}),
        **{kind: [quantity(content["energy_j"]["by_kind"][kind], "J") for content in contents] for kind in KINDS},
        "pulses": [count(content["writes"]["pulses"]) for content in contents],
    }
    lives = [content["endurance"] for content in contents]
    if any(lives):
        for heading, key in (("lifetime", "years_worst"), ("levelled", "years_levelled")):
            cells[heading] = [
                "–" if life is None else years(life["changed"][key], least=not life["exact"]) for life in lives
            ]
    lines = [(label, *(values[row] for values in cells.values())) for row, label in enumerate(labels)]
    return Table(title="Schedules", heads=("schedule", *cells), lines=lines, cut=True)


def conclusion(contents: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> str:
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


def view(comparison: Comparison) -> View:
    """Return the view of a comparison."""
    contents = comparison.records
    title, labels = named(contents)
    model = contents[0]["model"]
    chips = dict.fromkeys(f"{content['chip']['name']} {content['chip']['digest'][:12]}" for content in contents)
    about = (
        f"{count(model['layers'])} matrix layers, {count(model['weights'])} weights, {count(model['macs'])} MACs, "
        f"batch {model['batch']}; weights: {model['weights_origin']}; {', '.join(chips)}; mho {contents[0]['version']}"
    )
    pairs, sure = list(zip(labels, contents, strict=True)), comparison.content.get("sure")
    bound = "no legal schedule is faster"
    times = [Bar(label, {"": record["latency_s"]}, mark=(record["lower_bound_s"], bound)) for label, record in pairs]
    energies = [Bar(label, {kind: record["energy_j"]["by_kind"][kind] for kind in KINDS}) for label, record in pairs]
    notes = list(dict.fromkeys(note for content in contents for note in content["notes"]))
    conditions = dict.fromkeys(
        replace(each, words=f"{content['chip']['name']}: {each.words}") if len(chips) > 1 else each
        for content in contents
        for each in converters(content["converters"])
    )
    return View(
        title,
        (
            Bars(title="Time of one inference", bars=times, unit="s", where="page"),
            Bars(title="Energy of one inference", bars=energies, unit="J", where="page"),
            _table(contents, labels, sure),
            Notes(notes=notes, brief=brief_notes(comparison.measured) if comparison.measured else None),
        ),
        [about],
        (*verdicts(sure), *conditions, *synthetic(model["weights_origin"])),
        said=conclusion(contents, labels),
    )
