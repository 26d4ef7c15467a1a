"""The report as one page that needs nothing but itself: styles, scripts and data inside, nothing loaded."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mho.engineering import count, percent, quantity, ratio
from mho.files.text import json_text
from mho.machine.energy import KINDS
from mho.report.page import page_data
from mho.report.terminal import COUNTINGS, converters, endurance_title, exact, saving, span, squeezed, years

if TYPE_CHECKING:
    from mho.machine.report import Report


def embedded(data: Any) -> Markup:
    """Return JSON that may stand in a script element, whatever names it holds: no "<" can end the element."""
    text = json_text(data, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _ours(*names: str) -> Markup:
    """Return parts of the page that are ours, so that they are not escaped."""
    folder = files("mho.report") / "templates"
    return Markup("\n".join((folder / name).read_text(encoding="utf-8") for name in names))


def components(report: Report) -> list[dict[str, Any]]:
    """Return the energy of each component, split by kind, the largest first."""
    split: dict[str, dict[str, float]] = {}
    for entry in report.account.entries:
        parts = split.setdefault(entry.component, dict.fromkeys(KINDS, 0.0))
        parts[entry.kind] += entry.joules
    rows = [{"name": name, "joules": sum(parts.values()), "parts": parts} for name, parts in split.items()]
    return sorted(rows, key=lambda row: -row["joules"])


def _cards(report: Report, content: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the numbers on top of the page: what, how much, and a remark."""
    energy, groups, writes = content["energy_j"]["total"], content["groups"], content["writes"]
    latency, memory = content["latency_s"], content["memory"]
    bound = "without a lower bound"
    if report.bound_ratio is not None:
        bound = f"{ratio(report.bound_ratio)} the lower bound of {quantity(content['lower_bound_s'], 's')}"
    peak = f"on average; at most {count(groups['peak'])} of {count(groups['total'])}"
    changed = f"per inference; {count(writes['cells'])} of {count(writes['addressed'])} cells written change"
    busiest = f"changes per inference; {count(writes['per_cell_max'])} in the busiest cell"
    bandwidth = quantity(memory["bandwidth_bytes_per_s"], "B")
    power = f"per inference; {quantity(energy / latency, 'W')} on average" if latency else "per inference"
    cards = [
        ("Latency", quantity(latency, "s"), bound),
        ("Throughput", f"{count(content['throughput_per_s'])}/s", "samples, one inference after another"),
        ("Energy", quantity(energy, "J"), power),
        ("Area", quantity(content["area_m2"]["total"], "m²"), "of the chip"),
        ("Groups in use", percent(groups["mean_occupancy"], 1.0), peak),
        ("Memory busy", percent(memory["busy_fraction"], 1.0), f"of {bandwidth}/s"),
        ("Pulses", count(writes["pulses"]), changed),
        ("Wear per cell", count(writes["per_cell_mean"]), busiest),
    ]
    if squeezed(content):
        cards.append(("Arrays", count(content["arrays"]["used"]), saving(content)))
    if report.program.setup:
        setup = content["setup"]
        remark = f"once; {quantity(setup['energy_j'], 'J')}, {count(setup['pulses'])} pulses"
        cards.append(("Setup", quantity(setup["latency_s"], "s"), remark))
    return cards


def _table(content: dict[str, Any]) -> list[list[str]]:
    """Return the layers as the cells of a table."""
    latency, total = content["latency_s"], content["energy_j"]["total"]
    rows = []
    for record in content["layers"]:
        # A setup's writes come before 0, all together; their times would say nothing about the inference.
        prepared = record["write_start_s"] is not None and record["write_start_s"] < 0
        written = "setup" if prepared else span(record["write_start_s"], record["write_end_s"], latency)
        numbers = [
            record["k"],
            record["n"],
            record["windows"],
            record["macs"],
            record["groups"],
            record["arrays"],
            record["copies"],
        ]
        rows.append(
            [
                record["name"],
                record["kind"],
                *(count(number) if number else "–" for number in numbers),
                written,
                span(record["compute_start_s"], record["compute_end_s"], latency),
                quantity(record["energy_j"], "J"),
                percent(record["energy_j"], total),
            ]
        )
    return rows


def _endurance(content: dict[str, Any]) -> list[list[str]]:
    """Return lifetimes as the cells of a table, a row for each way of counting writes."""
    found, writes = content["endurance"], content["writes"]
    rows = []
    for way, words in COUNTINGS.items():
        lived, prefix = found[way], "addressed_" if way == "addressed" else ""
        told = [count(writes[f"{prefix}per_cell_{name}"]) for name in ("mean", "max", "levelled")]
        least = way == "changed" and not found["exact"]
        told += [
            years(lived[f"years_{name}"], least=least and name != "mean") for name in ("mean", "worst", "levelled")
        ]
        gain = lived["levelling_gain"]
        rows.append([words, *told, "–" if gain is None else ratio(gain)])
    return rows


def _drawing_notes(data: dict[str, Any]) -> list[str]:
    """Say what the charts leave out."""
    notes = []
    if data["gap"] is not None:
        notes.append(
            f"For its size, the timeline unites the {count(data['instructions'])} instructions to "
            f"{count(len(data['bars']['kind']))} bars: neighbours of one row less than "
            f"{quantity(data['gap'], 's')} apart are one."
        )
    if data["averaged"] is not None:
        notes.append(f"For its size, occupancy and memory rate are averages over {quantity(data['averaged'], 's')}.")
    return notes


def render_html(report: Report) -> str:
    """Return the report as one self-contained page."""
    content = report.to_dict()
    data = page_data(report, content["layers"])
    environment = Environment(
        loader=PackageLoader("mho.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(quantity=quantity, percent=percent, count=count)
    return environment.get_template("report.html.j2").render(
        report=content,
        cards=_cards(report, content),
        exact=exact(content["verified"]),
        converters=converters(report),
        kinds=KINDS,
        components=components(report),
        areas=sorted(content["area_m2"]["by_component"].items(), key=lambda item: -item[1]),
        unit=quantity(content["latency_s"], "s").split(" ")[1],
        endurance=None if content["endurance"] is None else (endurance_title(content), _endurance(content)),
        table=_table(content),
        drawing_notes=_drawing_notes(data),
        data=embedded(data),
        style=_ours("style.css"),
        script=_ours("shared.js", "timeline.js", "layers.js"),
    )
