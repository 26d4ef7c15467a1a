"""The report in a terminal: the summary of one run, and the comparison of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mho.engineering import count, percent, quantity, ratio, scaled, shortened
from mho.machine.energy import KINDS

if TYPE_CHECKING:
    from mho.machine.report import Report

COSTLIEST = 10
"""Layers shown, and components shown, before the rest is summed up."""
WIDE = 112
"""Columns from which on the two energy tables stand side by side and a comparison is one table."""
LIFETIMES = 30
"""Columns that the lifetimes in a comparison take."""
COLOURS = {"write": "dark_orange", "compute": "dodger_blue1", "static": "grey62", "memory": "medium_purple1"}


def summary(report: Report, console: Console) -> None:
    """Print what one program costs, laid out for the console's width (80 columns or more)."""
    content = report.to_dict()
    console.print(_headline(report, content))
    for title, body in (
        ("Time", _time(report, content)),
        (
            f"Energy   {quantity(content['energy_j']['total'], 'J')} per inference",
            _energy(content, console.width),
        ),
        ("Chip", _chip(content)),
        *_endurance(content),
        (_layers_title(content), _layers(content, console.width)),
        ("Notes", _notes([report])),
    ):
        console.print()
        console.print(Text(title, style="bold"))
        console.print(Padding(body, (0, 0, 0, 2), expand=False))


def exact(verified: str | None) -> bool:
    """Whether the text of a verification says that the program's outputs are right."""
    return verified is not None and verified.startswith("bit-exact")


def _headline(report: Report, content: Mapping[str, Any]) -> RenderableType:
    model = content["model"]
    line = Text()
    line.append(model["name"], style="bold")
    line.append(" on ")
    line.append(content["chip"]["name"], style="bold")
    line.append(", schedule ")
    line.append(content["schedule"], style="bold")
    if content["verified"] is None:
        line.append("   not executed", style="yellow")
    else:
        line.append(f"   executed: {content['verified']}", style="green" if exact(content["verified"]) else "red")
    below = [Text(words, style=style) for words, style in converters(report)]
    about = (
        f"{count(model['layers'])} matrix layers, {count(model['weights'])} weights, "
        f"{count(model['macs'])} MACs, batch {model['batch']}; weights: {model['weights_origin']}"
    )
    return Group(line, *below, Text(about, style="dim"))


def converters(report: Report) -> list[tuple[str, str]]:
    """Say in lines, each with its colour, what the chip's converters resolve: amber where they fall short."""
    resolved, losses = report.resolution, report.losses
    lines = [(str(resolved), "dim" if resolved.complete else "yellow")]
    if losses is not None:
        lines.append((str(losses), "yellow" if losses.rounded or losses.clipped else "dim"))
    return lines


def amber(reports: Sequence[Report]) -> list[str]:
    """Return the lines of `converters` that are conditions of what reports say, each once."""
    lines = [line for report in reports for line in converters(report)]
    return list(dict.fromkeys(words for words, colour in lines if colour == "yellow"))


def _pairs(rows: Sequence[tuple[str, str, str]]) -> Table:
    """Lay out rows of (what, number, remark)."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold", style="dim")
    for what, number, remark in rows:
        table.add_row(Text(what), Text(number), Text(remark))
    return table


def _time(report: Report, content: Mapping[str, Any]) -> Table:
    arguments = content["bound_arguments_s"]
    reason = max(arguments, key=lambda name: arguments[name]) if arguments else ""
    memory = content["memory"]
    batch = content["model"]["batch"]
    rows = [
        (
            "latency",
            quantity(content["latency_s"], "s"),
            f"one inference of {count(batch)} sample{'s' * (batch != 1)}",
        ),
        (
            "throughput",
            f"{count(content['throughput_per_s'])}/s",
            "samples, one inference after another",
        ),
        (
            "lower bound",
            quantity(content["lower_bound_s"], "s"),
            f"of any schedule on this chip, by {reason}",
        ),
        ("latency / bound", ratio(content["bound_ratio"]), ""),
        (
            "memory busy",
            percent(memory["busy_fraction"], 1.0),
            f"of {quantity(memory['bandwidth_bytes_per_s'], 'B')}/s",
        ),
    ]
    if report.program.setup:
        setup = content["setup"]
        cost = f"{quantity(setup['energy_j'], 'J')}, {count(setup['pulses'])} pulses"
        remark = f"once, before the first inference: {cost}"
        rows.append(("setup", quantity(setup["latency_s"], "s"), remark))
    return _pairs(rows)


def _energy(content: Mapping[str, Any], width: int) -> RenderableType:
    energy = content["energy_j"]
    wide = width >= WIDE
    bar = 18 if wide else 30
    components = dict(sorted(energy["by_component"].items(), key=lambda item: -item[1]))
    kinds = _bars("kind", energy["by_kind"], bar, COLOURS)
    parts = _bars("component", components, bar, {})
    return Columns([kinds, parts], padding=(0, 4)) if wide else Group(kinds, Text(), parts)


def _bars(title: str, joules: Mapping[str, float], width: int, colours: Mapping[str, str]) -> Table:
    """Draw one bar a name, the smallest ones summed up."""
    total = sum(joules.values())
    most = max(joules.values(), default=0.0)
    shown = list(joules.items())
    if len(shown) > COSTLIEST + 1:
        rest = shown[COSTLIEST:]
        shown = [*shown[:COSTLIEST], (f"{len(rest)} others", sum(value for _, value in rest))]
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, min_width=14)
    table.add_column(justify="right", no_wrap=True, min_width=7)
    table.add_column(justify="right", no_wrap=True, min_width=7)
    table.add_column(no_wrap=True, min_width=width)
    table.add_row(Text(f"by {title}", style="dim"), "", "", "")
    for name, value in shown:
        eighths = round(8 * width * value / most) if most > 0 else 0
        drawn = "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]
        bar = Text(drawn, style=colours.get(name, "dodger_blue1"))
        table.add_row(Text(shortened(name, 22)), Text(quantity(value, "J")), Text(percent(value, total)), bar)
    return table


def _chip(content: Mapping[str, Any]) -> Table:
    area, writes, groups = content["area_m2"], content["writes"], content["groups"]
    largest = sorted(area["by_component"].items(), key=lambda item: -item[1])[:3]
    parts = ", ".join(f"{name} {percent(value, area['total'])}" for name, value in largest)
    peak = f"on average; at most {count(groups['peak'])} of {count(groups['total'])}"
    changed = f"per inference; {count(writes['cells'])} of {count(writes['addressed'])} cells written change"
    busiest = f"changes per inference on average, {count(writes['per_cell_max'])} in the busiest cell"
    return _pairs(
        [
            ("area", quantity(area["total"], "m²"), f"the most of it: {parts}" if parts else ""),
            *([("arrays", count(content["arrays"]["used"]), saving(content))] if squeezed(content) else []),
            ("groups in use", percent(groups["mean_occupancy"], 1.0), peak),
            ("pulses", count(writes["pulses"]), changed),
            ("wear per cell", count(writes["per_cell_mean"]), busiest),
        ]
    )


def squeezed(content: Mapping[str, Any]) -> bool:
    """Whether the mapping goes by the bits of weights, so that its arrays are worth comparing with those of a dense one."""
    return bool(content["strategy"]["mapping"]["choice"] == "squeezed")


def saving(content: Mapping[str, Any]) -> str:
    """Say how many arrays a dense mapping takes, against those used."""
    used, dense = content["arrays"]["used"], content["arrays"]["dense"]
    return f"one copy of each layer; a dense mapping takes {count(dense)}, {ratio(dense / used)} as many"


COUNTINGS = {"changed": "level changes", "addressed": "addressed writes"}
"""The ways of counting what wears a cell."""


def years(value: float | None, *, least: bool = False) -> str:
    """Write a lifetime: "27.1 years", or "≥ 27.1 years" where it is a bound; None is one without end."""
    return "no limit" if value is None else f"{'≥ ' * least}{count(value)} year{'s' * (value != 1)}"


def endurance_title(content: Mapping[str, Any]) -> str:
    """Say what the lifetimes are for, and where the program is too slow for it."""
    found = content["endurance"]
    slow = "" if found["attainable"] else f", but {count(found['reached_per_s'])}/s is reached"
    return f"{count(found['cycles'])} writes a cell, {count(found['rate_per_s'])} inferences/s{slow}"


def _endurance(content: Mapping[str, Any]) -> list[tuple[str, RenderableType]]:
    """Return the section on lifetimes, where they were asked for."""
    found = content["endurance"]
    if found is None:
        return []
    rows = []
    for way, words in COUNTINGS.items():
        lived, least = found[way], way == "changed" and not found["exact"]
        gain = "" if lived["levelling_gain"] is None else f" ({ratio(lived['levelling_gain'])})"
        levelled = years(lived["years_levelled"], least=least)
        remark = f"worst cell; levelled {levelled}{gain}; average {years(lived['years_mean'])}"
        rows.append((words, years(lived["years_worst"], least=least), remark))
    return [(f"Endurance   {endurance_title(content)}", _pairs(rows))]


def _layers_title(content: Mapping[str, Any]) -> str:
    records = content["layers"]
    shown = min(COSTLIEST, len(records))
    return f"Costliest layers   {shown} of {len(records)}"


def span(start: float | None, end: float | None, whole: float) -> str:
    """Write a stretch of time in the unit that suits the whole: "1.204 – 1.972"."""
    if start is None or end is None:
        return "–"
    unit = scaled(whole, "s")[1]
    factor = {"s": 1.0, "ms": 1e3, "µs": 1e6, "ns": 1e9}.get(unit, 1e12)
    decimals = max(0, 4 - len(f"{whole * factor:.0f}"))
    return f"{start * factor:.{decimals}f} – {end * factor:.{decimals}f}"


def _layers(content: Mapping[str, Any], width: int) -> Table:
    total, latency = content["energy_j"]["total"], content["latency_s"]
    setup = content["setup"]["latency_s"]
    unit = scaled(latency, "s")[1]
    records = sorted(content["layers"], key=lambda record: -record["energy_j"])[:COSTLIEST]
    wide = width >= 100
    columns = ["energy", "share", "groups", "copies"] if wide else ["energy", "groups", "copies"]
    table = _table("layer", [f"written, {unit}", f"computed, {unit}", *columns])
    for record in records:
        # A setup's writes come before 0, all together; their times would say nothing about the inference.
        written = span(record["write_start_s"], record["write_end_s"], latency)
        if setup and record["write_start_s"] is not None:
            written = "setup"
        cells = {
            "energy": quantity(record["energy_j"], "J"),
            "share": percent(record["energy_j"], total),
            "groups": count(record["groups"]) if record["groups"] else "–",
            "copies": count(record["copies"]) if record["copies"] else "–",
        }
        table.add_row(
            Text(shortened(record["name"], max(width - (63 if wide else 57), 12))),
            written,
            span(record["compute_start_s"], record["compute_end_s"], latency),
            *(cells[name] for name in columns),
        )
    return table


def _table(first: str, others: Sequence[str]) -> Table:
    """Start a table whose first column is a name and whose others are numbers, none of them ever cut."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column(first, no_wrap=True)
    for title in others:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _notes(reports: Sequence[Report]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for note in dict.fromkeys(note for report in reports for note in report.notes()):
        if not any(note in report.program.chip.notes for report in reports):
            table.add_row("•", Text(note))
    # A chip rests on dozens of assumptions; the page and report.json tell them all.
    for name, notes in {report.program.chip.name: report.program.chip.notes for report in reports}.items():
        if notes:
            said = f"{count(len(notes))} assumptions and notes on chip {name}: mho show, report.html, report.json"
            table.add_row("•", Text(said))
    return table


def named(contents: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """Say what all reports have in common, and name each by what it does not share with the others."""
    keys = {
        "model": [str(content["model"]["name"]) for content in contents],
        "chip": [str(content["chip"]["name"]) for content in contents],
    }
    # Variants of one chip bear the same name; their digests tell them apart.
    digests = [str(content["chip"]["digest"]) for content in contents]
    if len(set(digests)) > len(set(keys["chip"])):
        keys["chip"] = [f"{name} {digest[:6]}" for name, digest in zip(keys["chip"], digests, strict=True)]
    common = {key: values[0] for key, values in keys.items() if len(set(values)) == 1}
    labels = []
    for i, content in enumerate(contents):
        differing = [values[i] for key, values in keys.items() if key not in common]
        labels.append(" ".join([*differing, str(content["schedule"])]))
    return " on ".join(common.values()), labels


Cells = dict[str, list[str]]


def compared(contents: Sequence[Mapping[str, Any]]) -> tuple[Cells, Cells]:
    """Lay out reports side by side, measured against the first: the cells of columns on time and lives, and on energy."""
    first = contents[0]["latency_s"]
    columns: Cells = {
        "time": [quantity(content["latency_s"], "s") for content in contents],
        "samples/s": [count(content["throughput_per_s"]) for content in contents],
        "× bound": [ratio(content["bound_ratio"]) for content in contents],
        "speed-up": [ratio(first / content["latency_s"]) for content in contents],
    }
    energies: Cells = {"energy": [quantity(content["energy_j"]["total"], "J") for content in contents]}
    for kind in KINDS:
        energies[kind] = [quantity(content["energy_j"]["by_kind"][kind], "J") for content in contents]
    energies["pulses"] = [count(content["writes"]["pulses"]) for content in contents]
    lives = [content["endurance"] for content in contents]
    if any(lives):
        for heading, key in (("lifetime", "years_worst"), ("levelled", "years_levelled")):
            columns[heading] = [
                "–" if lived is None else years(lived["changed"][key], least=not lived["exact"]) for lived in lives
            ]
    return columns, energies


def comparison(reports: Sequence[Report], console: Console) -> None:
    """Print several programs side by side, one row each, measured against the first (its speed-up is 1)."""
    contents = [report.to_dict() for report in reports]
    if not contents:
        return
    title, labels = named(contents)
    columns, energies = compared(contents)
    lives = [content["endurance"] for content in contents]
    console.print(Text(title, style="bold"))
    for words, style in dict.fromkeys(line for report in reports for line in converters(report)):
        console.print(Text(words, style=style))
    width = max(len("schedule"), *(len(label) for label in labels))
    needed = WIDE + max(width - 24, 0) + (LIFETIMES if any(lives) else 0)
    tables = [columns | energies] if console.width >= needed else [columns, energies]
    for shown in tables:
        table = _table("schedule", list(shown))
        for i, label in enumerate(labels):
            table.add_row(Text(shortened(label, 30)), *(Text(values[i]) for values in shown.values()))
        console.print()
        console.print(table)
    console.print()
    console.print(Padding(_notes(reports), (0, 0, 0, 2), expand=False))
