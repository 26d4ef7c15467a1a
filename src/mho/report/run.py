"""The report of one program, as a person should see it: time, energy, chip, lifetimes, layers, timeline, notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mho.engineering import count, percent, quantity, ratio, scaled
from mho.machine.bill import KINDS
from mho.machine.losses import Losses
from mho.mapping.told import basis_said, bits_said
from mho.report.breakdown import breakdown_tables
from mho.report.sections import Bar, Bars, Figures, Notes, Section, Sentence, Table, Timeline, View
from mho.report.stream import stream_cards, stream_sections
from mho.report.sure import sure
from mho.report.timeline import page_data
from mho.report.trace import render_trace

if TYPE_CHECKING:
    from mho.machine.report import Report

COSTLIEST = 10
"""Layers shown in a terminal."""
COUNTINGS = {"changed": "level changes", "addressed": "addressed writes"}
"""The ways of counting what wears a cell."""
LAYERS = ("layer", "kind", "K", "N", "windows", "MACs", "groups", "arrays", "copies")


def verdict(verified: str | None) -> Sentence:
    """Say whether the program was executed, and what that found."""
    if verified is None:
        return Sentence("not executed", "warn")
    return Sentence(f"executed: {verified}", "good" if verified.startswith("bit-exact") else "bad")


def converters(resolution: Mapping[str, Any]) -> list[Sentence]:
    """Say what the chip's converters resolve, of which a report's data are given, as conditions where they fall short."""
    sentences = [Sentence(resolution["text"], "warn" if resolution["short"] else "soft")]
    if resolution["measured"] is not None:
        losses = Losses.from_dict(resolution["measured"])
        sentences.append(Sentence(str(losses), "warn" if losses.rounded or losses.clipped else "soft"))
    return sentences


def squeezed(content: Mapping[str, Any]) -> bool:
    """Return True if the mapping goes by the bits of weights: its arrays are then worth comparing with a dense one's."""
    return bool(content["strategy"]["mapping"]["choice"] == "squeezed")


def saving(content: Mapping[str, Any]) -> str:
    """Say how many arrays a dense mapping takes, against those used."""
    used, dense = content["arrays"]["used"], content["arrays"]["dense"]
    return f"one copy of each layer; a dense mapping takes {count(dense)}, {ratio(dense / used)} as many"


def years(value: float | None, *, least: bool = False) -> str:
    """Write a lifetime: "27.1 years", or "≥ 27.1 years" where it is a bound; None is one without end."""
    return "no limit" if value is None else f"{'≥ ' * least}{count(value)} year{'s' * (value != 1)}"


def brief_notes(reports: Sequence[Report]) -> list[str]:
    """Return the notes that a terminal shows: a chip rests on dozens of assumptions, which the page tells."""
    chips = [report.program.chip for report in reports]
    notes = dict.fromkeys(note for report in reports for note in report.notes())
    brief = [note for note in notes if not any(note in chip.notes for chip in chips)]
    for name, of_chip in {chip.name: chip.notes for chip in chips}.items():
        if of_chip:
            brief.append(
                f"{count(len(of_chip))} assumptions and notes on chip {name}: mho show, report.html, report.json"
            )
    return brief


def _cards(report: Report, content: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the numbers that are most asked for: what, how much, and a remark."""
    energy, groups, writes = content["energy_j"]["total"], content["groups"], content["writes"]
    latency, memory, batch, stream = (
        content["latency_s"],
        content["memory"],
        content["model"]["batch"],
        content.get("stream"),
    )
    period = stream["interval_s"] if stream else latency
    pace = "samples, as the stream goes on" if stream else f"samples, one inference of {count(batch)} after another"
    arguments, area, used = content["bound_arguments_s"], content["area_m2"], content["in_use"]
    bound = "without a lower bound"
    if report.bound_ratio is not None:
        reason = max(arguments, key=lambda name: arguments[name])
        lower = quantity(content["lower_bound_s"], "s")
        bound = f"{ratio(report.bound_ratio)} the lower bound of {lower}, of any schedule on this chip, by {reason}"
    largest = sorted(area["by_component"].items(), key=lambda item: -item[1])[:3]
    parts = ", ".join(f"{name} {percent(value, area['total'])}" for name, value in largest)
    busiest = f"changes per inference on average; {count(writes['per_cell_max'])} in the busiest cell"
    cards = [
        ("Latency alone" if stream else "Latency", quantity(latency, "s"), bound),
        ("Throughput", f"{count(content['throughput_per_s'])}/s", pace),
        *(stream_cards(stream) if stream else ()),
        ("Energy", quantity(energy, "J"), f"per inference; {quantity(energy / period, 'W')} on average" if period else ""),
        *sure("energy_j", "J", content.get("uncertainty")),
        ("Area", quantity(area["total"], "m²"), f"the most of it: {parts}" if parts else ""),
        *sure("area_m2", "m²", content.get("uncertainty")),
        ("Area in use", quantity(used["area_m2"]["total"], "m²"),
         f"{count(used['tiles'])} of {count(used['of']['tiles'])} tiles; {count(used['arrays'])} arrays in them take "
         f"{quantity(used['area_m2']['arrays'], 'm²')}"),
        ("Leakage", quantity(content["leakage_w"]["total"], "W"),
         f"of the whole chip; {quantity(used['leakage_w']['total'], 'W')} of what is in use"),
        ("Buffer in use", quantity(used["buffer_bytes"], "B"),
         f"at most, of {quantity(used['of']['buffer_bytes'], 'B')}; {count(used['banks'])} of {count(used['of']['banks'])} banks"),
        ("Busiest port", percent(max(used["ports"].values()), 1.0), _busiest(used["ports"])),
        *_held_up(content),
        ("Groups in use", percent(groups["mean_occupancy"], 1.0),
         f"on average; at most {count(groups['peak'])} of {count(groups['total'])}"),
        ("Memory busy", percent(memory["busy_fraction"], 1.0), f"of {quantity(memory['bandwidth_bytes_per_s'], 'B')}/s"),
        ("Pulses", count(writes["pulses"]),
         f"per inference; {count(writes['cells'])} of {count(writes['addressed'])} cells written change"),
        ("Wear per cell", count(writes["per_cell_mean"]), busiest),
    ]  # fmt: skip
    if (basis := content.get("basis")) is not None:
        dense = f"; whole weights would take {count(content['arrays']['dense'])} arrays"
        cards.append(("Basis", f"{count(basis['vectors'])} vectors", basis_said(basis) + dense))
    if squeezed(content):
        cards.append(("Arrays", count(content["arrays"]["used"]), saving(content)))
    if report.program.setup:
        setup = content["setup"]
        remark = (
            f"once, before the first inference: {quantity(setup['energy_j'], 'J')}, {count(setup['pulses'])} pulses"
        )
        cards.append(("Setup", quantity(setup["latency_s"], "s"), remark))
    return cards


def _busiest(ports: Mapping[str, float]) -> str:
    """Say through which tile port most is moved."""
    name = max(ports, key=lambda port: ports[port])
    return f"{name}: what the groups of a tile move through it at once, of what it can move"


def _held_up(content: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Say how busy the port of the global buffer was, and which layers waited for ports; nothing where that is not known."""
    ports, latency = content.get("ports"), content["latency_s"]
    if ports is None:
        return []
    held = sorted(ports["held_up"], key=lambda each: -each["held_s"])
    waits = "no layer waits for a port"
    if held:
        most, total = held[0], quantity(sum(each["held_s"] for each in held), "s")
        waits = f"{count(len(held))} layers wait for ports, {total} in all; most: {most['layer']}, for {most['port']}"
    if ports["global_buffer"]["bytes"]:
        return [("Global buffer busy", percent(ports["global_buffer"]["busy_fraction"], 1.0), f"its port; {waits}")]
    return [("Held up by ports", quantity(held[0]["held_s"], "s"), waits)] if held and latency else []


def _components(report: Report) -> dict[str, dict[str, float]]:
    """Return the energy of each component, split by kind, the largest first."""
    split: dict[str, dict[str, float]] = {}
    for entry in report.account.entries:
        parts = split.setdefault(entry.component, dict.fromkeys(KINDS, 0.0))
        parts[entry.kind] += entry.joules
    return dict(sorted(split.items(), key=lambda item: -sum(item[1].values())))


def _energy(report: Report, content: Mapping[str, Any]) -> list[Bars]:
    total = f"Energy   {quantity(content['energy_j']['total'], 'J')} per inference"
    kinds = [Bar(kind, {kind: content["energy_j"]["by_kind"][kind]}) for kind in KINDS]
    components = [Bar(name, parts) for name, parts in _components(report).items()]
    areas = sorted(content["area_m2"]["by_component"].items(), key=lambda item: -item[1])
    bounds = [Bar(name, {"": seconds}) for name, seconds in content["bound_arguments_s"].items()]
    return [
        Bars(title=f"{total}, by kind", bars=kinds, unit="J"),
        Bars(title="by component", bars=components, unit="J", where="terminal"),
        Bars(title="Energy by component", bars=components, unit="J", where="page"),
        Bars(title="Lower bound: no legal schedule is faster than the longest", unit="s", where="page",
             bars=[*bounds, Bar("this schedule", {"": content["latency_s"]})]),
        Bars(title="Area by component", bars=[Bar(name, {"": area}) for name, area in areas], unit="m²", where="page"),
    ]  # fmt: skip


def _in_use(content: Mapping[str, Any]) -> Table:
    """Return area and leakage of each component, of the whole chip and of what is in use."""
    sums = [(content["area_m2"], "m²"), (content["in_use"]["area_m2"], "m²")]
    sums += [(content["leakage_w"], "W"), (content["in_use"]["leakage_w"], "W")]
    names = sorted(content["area_m2"]["by_component"], key=lambda name: -content["area_m2"]["by_component"][name])
    lines = [(name, *(quantity(each["by_component"][name], unit) for each, unit in sums)) for name in names]
    used, whole = content["in_use"], content["in_use"]["of"]
    return Table(
        title="What of the chip is in use", where="page", tones={len(lines): "strong"},
        heads=("component", "area", "in use", "leakage", "in use"),
        lines=[*lines, ("total", *(quantity(each["total"], unit) for each, unit in sums))],
        remark="At any time, setup included: " + ", ".join(f"{count(used[unit])} of {count(whole[unit])} {unit.replace('_', ' ')}"
                                                           for unit in whole) + ".",
    )  # fmt: skip


def span(start: float | None, end: float | None, whole: float) -> str:
    """Write a stretch of time in the unit that suits the whole: "1.204 – 1.972"."""
    if start is None or end is None:
        return "–"
    unit = scaled(whole, "s")[1]
    factor = {"s": 1.0, "ms": 1e3, "µs": 1e6, "ns": 1e9}.get(unit, 1e12)
    decimals = max(0, 4 - len(f"{whole * factor:.0f}"))
    return f"{start * factor:.{decimals}f} – {end * factor:.{decimals}f}"


def _phases(record: Mapping[str, Any], latency: float) -> tuple[str, str]:
    """Write when a layer is written and when it computes."""
    # A setup's writes come before 0, all together; their times would say nothing about the inference.
    prepared = record["write_start_s"] is not None and record["write_start_s"] < 0
    written = "setup" if prepared else span(record["write_start_s"], record["write_end_s"], latency)
    return written, span(record["compute_start_s"], record["compute_end_s"], latency)


def _counts(record: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """Write counts of a layer, a dash where there is none."""
    return [count(record[key]) if record[key] else "–" for key in keys]


def _spent(record: Mapping[str, Any], latency: float, total: float) -> tuple[str, ...]:
    """Write when a layer is written and computed, and its energy, with the share of all."""
    return *_phases(record, latency), quantity(record["energy_j"], "J"), percent(record["energy_j"], total)


def _costliest(content: Mapping[str, Any]) -> Table:
    """Return the layers that a terminal shows."""
    total, latency = content["energy_j"]["total"], content["latency_s"]
    unit = scaled(latency, "s")[1]
    costliest = sorted(content["layers"], key=lambda record: -record["energy_j"])[:COSTLIEST]
    bits = _bits(content["layers"])
    lines = [
        (record["name"], *_spent(record, latency, total), *_counts(record, ("groups", "copies")), *bits(record))
        for record in costliest
    ]
    return Table(
        title=f"Costliest layers   {len(lines)} of {len(content['layers'])}", lines=lines, cut=True, where="terminal",
        heads=("layer", f"written, {unit}", f"computed, {unit}", "energy", "share", "groups", "copies", *bits(None)),
    )  # fmt: skip


def _bits(records: Sequence[Mapping[str, Any]]) -> Callable[[Mapping[str, Any] | None], tuple[str, ...]]:
    """Return what gives columns of bits: of weights/inputs where any are not 8, of conversions where layers differ.

    It gives the heads for None, the words of a layer for its record.
    """
    own = [key for key in ("weight_bits", "input_bits") if any(record[key] not in (None, 8) for record in records)]
    converted = len({record["adc_bits"] for record in records} - {None}) > 1

    def words(record: Mapping[str, Any] | None) -> tuple[str, ...]:
        if record is None:
            return ("bits",) * bool(own) + ("ADC bits",) * converted
        weights = record["weight_bits"] or "basis"
        of_layer = "" if record["input_bits"] is None else f"{weights}/{record['input_bits']}"
        resolved = "" if record["adc_bits"] is None else str(record["adc_bits"])
        return (of_layer,) * bool(own) + (resolved,) * converted

    return words


def _timeline(report: Report, content: Mapping[str, Any]) -> Timeline:
    data = page_data(report, content["layers"])
    latency, total, records = content["latency_s"], content["energy_j"]["total"], content["layers"]
    unit = scaled(latency, "s")[1]
    numbers = ("k", "n", "windows", "macs", "groups", "arrays", "copies")
    bits = _bits(records)
    lines = [
        (record["name"], record["kind"], *_counts(record, numbers), *_spent(record, latency, total), *bits(record))
        for record in records
    ]
    notes = []
    if data["gap"] is not None:
        notes.append(
            f"For its size, the timeline unites the {count(data['instructions'])} instructions to "
            f"{count(len(data['bars']['kind']))} bars: neighbours of one row less than "
            f"{quantity(data['gap'], 's')} apart are one."
        )
    if data["averaged"] is not None:
        notes.append(f"For its size, occupancy and memory rate are averages over {quantity(data['averaged'], 's')}.")
    writes = any(record["write_start_s"] is not None and record["write_start_s"] >= 0 for record in records)
    once = (
        "; weights are written once, before the first inference" if content["setup"]["latency_s"] and not writes else ""
    )
    heads = (*LAYERS, f"written, {unit}", f"computed, {unit}", "energy", "share", *bits(None))
    return Timeline(
        data=data, heads=heads, lines=lines, timeline_notes=notes, time_note=once, writes=writes, where="page"
    )


def _endurance(content: Mapping[str, Any]) -> Table:
    """Return lifetimes, a line for each way of counting writes."""
    wear, writes = content["endurance"], content["writes"]
    slow = "" if wear["attainable"] else f", but {count(wear['reached_per_s'])}/s is reached"
    title = f"Endurance   {count(wear['cycles'])} writes a cell, {count(wear['rate_per_s'])} inferences/s{slow}"
    lines = []
    for way, words in COUNTINGS.items():
        lifetime, prefix = wear[way], "addressed_" if way == "addressed" else ""
        least = way == "changed" and not wear["exact"]
        per_cell = [count(writes[f"{prefix}per_cell_{name}"]) for name in ("mean", "max", "levelled")]
        lifetimes = [
            years(lifetime[f"years_{name}"], least=least and name != "mean") for name in ("mean", "worst", "levelled")
        ]
        gain = lifetime["levelling_gain"]
        lines.append((words, *per_cell, *lifetimes, "–" if gain is None else ratio(gain)))
    heads = ("counting", "writes: average", "worst", "levelled", "lifetime: average", "worst", "levelled", "gain")
    remark = "Writes of a cell per inference. Levelled: the groups of the chip take turns. The worst cell dies first."
    return Table(title=title, heads=heads, lines=lines, remark=remark)


def _sources(content: Mapping[str, Any]) -> Table:
    lines = list(content["sources"].items())
    return Table(
        title="Where the constants come from", heads=("", ""), lines=lines, prose=True, where="page",
        remark=f"Chip {content['chip']['name']}, digest {content['chip']['digest']}. Schema {content['schema']}.",
        tones={number: "warn" for number, (_, source) in enumerate(lines) if "assumption:" in source},
    )  # fmt: skip


def _choice(stage: str, settings: Mapping[str, Any]) -> str:
    """Write the choice at a stage of the strategy, with its settings: "banks: ilp, time limit s 60"."""
    more = [(name, value) for name, value in settings.items() if name != "choice" and value is not None]
    written = "".join(f", {name.replace('_', ' ')} {value}" for name, value in more)
    return f"{stage.replace('_', ' ')}: {settings['choice']}{written}"


def view(report: Report) -> View:
    """Return the view of a report."""
    content = report.to_dict()
    model = content["model"]
    chosen = [_choice(stage, settings) for stage, settings in content["strategy"].items()]
    about = (
        f"{count(model['layers'])} matrix layers, {count(model['weights'])} weights, "
        f"{count(model['macs'])} MACs, batch {model['batch']}; weights: {model['weights_origin']}"
        f"{'; ' + bits_said(model['bits']) if model.get('bits') else ''}"
    )
    sections: list[Section] = [Figures(rows=_cards(report, content), cards=True)]
    if "stream" in content:
        sections += stream_sections(report, content["stream"])
    sections += [_timeline(report, content), *breakdown_tables(content)]
    sections += [*_energy(report, content), _in_use(content)]
    if content["endurance"] is not None:
        sections.append(_endurance(content))
    sections += [_costliest(content), Notes(notes=content["notes"], brief=brief_notes([report])), _sources(content)]
    return View(
        f"{model['name']} on {content['chip']['name']}, schedule {content['schedule']}",
        sections,
        [about, " · ".join(chosen)],
        (verdict(content["verified"]), *converters(content["converters"])),
        mark=f"mho {content['version']} · report",
    )


def files(report: Report) -> dict[str, str]:
    """Return what is kept beside data and page: the timeline for Perfetto."""
    return {"trace.json": render_trace(report)}
