"""What a study's paper.yaml holds: the figures that the paper prints, of which nothing is ours, and the study's own texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from typing import Any

import yaml
from pydantic import ConfigDict, TypeAdapter, with_config

from mho.studies.chapter import Chapter
from mho.studies.rows import DERIVED, Study
from mho.version import __version__


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class Printed:
    """A quantity of the paper: its section, its unit, its figures by network, and how those were derived that it does not
    print.
    """

    source: str
    unit: str
    values: Mapping[str, float]
    derived: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a derivation of a figure that is not there."""
        if not self.derived.keys() <= self.values.keys():
            raise ValueError(f"derived without a figure: {', '.join(self.derived.keys() - self.values.keys())}")

    def get(self, key: str) -> float | None:
        """Return the figure of a network (or "mean", "largest", "chip"); None where the paper gives none."""
        return self.values.get(key)

    def note(self, key: str, text: str = "") -> str:
        """Put in front of a note how the paper's figure was derived, where it was."""
        return f"{DERIVED}{self.derived[key]} {text}".strip() if key in self.derived else text


@dataclass(frozen=True)
class Paper:
    """The paper of a study, whose package holds paper.yaml."""

    package: str

    @cached_property
    def _content(self) -> Mapping[str, Any]:
        content: Mapping[str, Any] = yaml.safe_load((files(self.package) / "paper.yaml").read_text(encoding="utf-8"))
        return content

    @cached_property
    def _values(self) -> Mapping[str, Printed]:
        return TypeAdapter(dict[str, Printed]).validate_python(self._content["values"])

    @property
    def citation(self) -> str:
        """Authors, title and number of the paper."""
        return str(self._content["paper"])

    @property
    def title(self) -> str:
        """The study's title."""
        return str(self._content["title"])

    @property
    def what(self) -> str:
        """The measured subject, as the page's head names it."""
        return str(self._content["what"])

    def printed(self, quantity: str) -> Printed:
        """Return a quantity of the paper; KeyError where paper.yaml has none of that name."""
        return self._values[quantity]

    def says(self, name: str, **values: Any) -> str:
        """Return the study's sentence of a name with values in it; KeyError where there is none, or a value is missing."""
        return str(self._content["sentences"][name]).format(**values)

    def labels(self, name: str) -> dict[str, str]:
        """Return how the study's tables call some things: designs, runs, kinds of figures."""
        return dict(self._content["labels"][name])

    def chapter(self, part: str, **values: Any) -> Chapter:
        """Begin a part of the study under its title, its section of the paper and its text, with values in it."""
        about = self._content["parts"][part]
        return Chapter(part, about["title"], about["source"], about["text"].format(**values))

    def study(
        self,
        name: str,
        chips: Mapping[str, str],
        settings: Mapping[str, Any],
        chapters: Sequence[Chapter],
        **values: Any,
    ) -> Study:
        """Put finished chapters together, under what the comparison takes for granted, with values in it."""
        assumptions = tuple(text.format(**values) for text in self._content["assumptions"])
        parts = tuple(chapter.finished() for chapter in chapters)
        rows = tuple(row for chapter in chapters for row in chapter.rows.values())
        return Study(name, __version__, self.citation, chips, settings, assumptions, parts, rows)
