"""Views as pages that need nothing but themselves: styles, scripts, drawings and data inside, nothing loaded."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mho.files.text import json_text
from mho.machine.energy import KINDS
from mho.report import sections as see
from mho.report.plot import draw

SCRIPTS = ("shared.js", "timeline.js", "layers.js")
"""What draws a timeline, in the order in which it is read."""


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


def _kind(section: see.Section) -> str:
    """Return the macro that renders a section."""
    return "chart" if isinstance(section, see.Chart) else type(section).__name__.lower()


def render(view: see.View) -> str:
    """Return a view as one self-contained page."""
    environment = Environment(
        loader=PackageLoader("mho.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Drawings escape what they are given.
    environment.filters.update(kind=_kind, draw=lambda chart: Markup(draw(chart)), embedded=embedded)
    shown = [section for section in view.sections if section.where != "terminal"]
    drawn = any(isinstance(section, see.Timeline) for section in shown)
    return environment.get_template("page.html.j2").render(
        view=view,
        sections=shown,
        kinds=KINDS,
        style=_ours("style.css"),
        script=_ours(*SCRIPTS) if drawn else "",
    )
