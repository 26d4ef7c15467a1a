"""How sure energies are, as a person should see it: intervals, verdicts, and what decides them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mho.engineering import percent, quantity
from mho.machine.robustness import Robust
from mho.report.sections import Figures, Notes, Section, Sentence, Table, View

MOST = 8
"""Constants of each comparison that a terminal shows."""


def view(found: Robust) -> View:
    """Return the view of energies under published constants."""
    content = found.content
    share = percent(content["share"], 1)
    cards = [
        (
            each["name"],
            quantity(each["energy_j"], "J"),
            f"{share} of draws: {_ends(each['low_j'], each['high_j'], 'J')}",
        )
        for each in content["energies"]
    ]
    areas = [
        (each["name"], quantity(each["area_m2"], "m²"), _ends(each["low_m2"], each["high_m2"], "m²"))
        for each in content["areas"]
    ]
    heads = ("design", "area", f"{share} of draws")
    sections: list[Section] = [Figures(rows=cards, cards=True), Table(title="Area", heads=heads, lines=areas)]
    for each in content["verdicts"]:
        sections += _compared(each, content["constants"])
    sections += [_constants(content), Notes(notes=[*content["notes"], *_sources(content)], brief=content["notes"])]
    names = ", ".join(each["name"] for each in content["energies"])
    return View(
        f"How sure: energy of {names}, {content['draws']:,} draws of published constants", sections,
        sentences=[*verdicts(content), *_areas(content)],
        mark=f"mho {content['version']} · robust",
    )  # fmt: skip


def verdicts(content: Mapping[str, Any] | None) -> list[Sentence]:
    """Say of each comparison whether it is decided; nothing where that was not asked."""
    compared = () if content is None else content["verdicts"]
    return [Sentence(each["said"], "good" if each["decided"] else "warn") for each in compared]


def intervals(content: Mapping[str, Any]) -> list[str]:
    """Write the interval of each energy."""
    return [_ends(each["low_j"], each["high_j"], "J") for each in content["energies"]]


def _areas(content: Mapping[str, Any]) -> list[Sentence]:
    """Say of areas that differ whether that is decided."""
    said = [
        each
        for each in content["areas"]
        if each["said"] is not None and each["area_m2"] != content["areas"][0]["area_m2"]
    ]
    return [Sentence(each["said"], "good" if each["decided"] else "warn") for each in said]


def _ends(low: float, high: float, unit: str) -> str:
    return f"{quantity(low, unit)} to {quantity(high, unit)}"


def _said(constant: Mapping[str, Any], value: float) -> str:
    unit = {"m2": "m²"}.get(constant["unit"], constant["unit"])
    return quantity(value, unit) if unit else f"{value:.3g} ×"


def _compared(verdict: Mapping[str, Any], constants: Sequence[Mapping[str, Any]]) -> Iterator[Section]:
    """Yield what each constant alone does to a saving, and what one would have to believe."""
    lines = [(each["constant"], percent(each["low"], 1), percent(each["high"], 1)) for each in verdict["tornado"]]
    between = f"{percent(verdict['low'], 1)} to {percent(verdict['high'], 1)} in most draws"
    title = f"What {verdict['name']} saves over {verdict['over']}: {percent(verdict['saving'], 1)}, {between}"
    heads = ("constant alone", "saving at its low end", "at its high end")
    yield Table(title=title, heads=heads, lines=lines, where="page", remark="Constants that move it most come first.")
    more = f"; {len(lines) - MOST} more: --csv, --json, --out" if len(lines) > MOST else ""
    yield Table(title=title + more, heads=heads, lines=lines[:MOST], where="terminal", cut=True)
    if "wanted" in verdict:
        wanted = verdict["wanted"]
        saved = f"{percent(wanted['saving'], 1)} over {verdict['over']}"
        title = f"What one would have to believe for {verdict['name']} to save {saved}"
        remark = "The constants nearest to those of the chip, over their ranges."
        if wanted["constants"] is None:
            yield Notes(title=title, notes=["no constants within their published ranges give it"])
        else:
            believed = [
                (each["name"], _said(each, each["value"]), _said(each, wanted["constants"][each["name"]]))
                for each in constants
                if each["name"] in wanted["constants"]
            ]
            yield Table(title=title, heads=("constant", "here", "believed"), lines=believed, remark=remark)


def _constants(content: Mapping[str, Any]) -> Section:
    """Return the constants that are drawn."""
    lines = []
    for each in content["constants"]:
        said = [_said(each, each[key]) for key in ("value", "low", "high")]
        lines.append((each["name"], *said, each["shape"].replace("_", " ")))
    lines += [
        (each["name"], "as named", "", "", f"or {', '.join(each['components'][1:])}")
        for each in content["alternatives"]
    ]
    heads = ("constant", "here", "low", "high", "drawn")
    return Table(title="Constants and their published ranges", heads=heads, lines=lines, where="page", prose=True)


def _sources(content: Mapping[str, Any]) -> Iterator[str]:
    for each in content["constants"]:
        yield f"range of {each['name']}: {'; '.join(each['sources'])}"
