"""Views as pages that need nothing but themselves: styles, scripts, drawings and data inside, nothing loaded."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mho.files.text import json_text
from mho.machine.bill import KINDS
from mho.report import sections as see
from mho.report.plot import draw

SCRIPTS: dict[type[see.Section], tuple[str, ...]] = {
    see.Timeline: ("shared.js", "timeline.js", "layers.js"),
    see.Designs: ("shared.js", "designs.js", "scatter.js", "parallel.js", "front.js"),
}
"""What draws the data of a section, in the order in which it is read; a page has one such section at most."""


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
    scripts = [SCRIPTS[type(section)] for section in shown if type(section) in SCRIPTS]
    return environment.get_template("page.html.j2").render(
        view=view,
        sections=shown,
        kinds=KINDS,
        style=_ours("style.css"),
        script=_ours(*scripts[0]) if scripts else "",
    )
