"""Pages of drawings and tables that need nothing but themselves: of accuracies, sweeps, comparisons, baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mho.files.text import json_text


@dataclass(frozen=True)
class Sheet:
    """A table: `told` where its last column is prose."""

    title: str
    heads: Sequence[str]
    lines: Sequence[Sequence[str]]
    remark: str = ""
    told: bool = False


@dataclass(frozen=True)
class Page:
    """A page: `said` is the sentence that it comes to, `origin` where the weights are from (synthetic ones are warned of).

    `amber`: conditions under which it holds. `before` and `after` the tables stand drawings (SVG); `listing` is a title and a text
    to be shown as it is.
    """

    title: str
    about: str
    origin: str
    sheets: Sequence[Sheet]
    notes: Sequence[str]
    said: str = ""
    amber: Sequence[str] = ()
    before: Sequence[str] = ()
    after: Sequence[str] = ()
    listing: tuple[str, str] | None = None

    def render(self) -> str:
        """Return the page as HTML."""
        environment = Environment(
            loader=PackageLoader("mho.report", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        warning = f"Weights are synthetic ({self.origin}): no trained network." if "synthetic" in self.origin else ""
        # Drawings escape what they are given.
        drawn = {where: [Markup(drawing) for drawing in getattr(self, where)] for where in ("before", "after")}
        return environment.get_template("sheets.html.j2").render(page=self, warning=warning, **drawn)


def as_json(content: Mapping[str, Any]) -> str:
    """Write data as the text of a JSON file."""
    return json_text(content, indent=2) + "\n"
