"""The figures that a paper prints, read from the paper.yaml of its study; nothing there is ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

import yaml

from mho.studies.rows import DERIVED


@dataclass(frozen=True)
class Printed:
    """A quantity of the paper: its section, its unit, its figures by network, and how those were derived that it does not
    print.
    """

    source: str
    unit: str
    values: Mapping[str, float]
    derived: Mapping[str, str]

    def get(self, key: str) -> float | None:
        """Return the figure of a network (or "mean", "largest", "chip"); None where the paper gives none."""
        return self.values.get(key)

    def note(self, key: str, text: str = "") -> str:
        """Put in front of a note how the paper's figure was derived, where it was."""
        if key not in self.derived:
            return text
        return f"{DERIVED}{self.derived[key]} {text}".strip()


@dataclass(frozen=True)
class Paper:
    """The paper of a study, whose package holds paper.yaml."""

    package: str

    @cached_property
    def _content(self) -> Mapping[str, object]:
        found = yaml.safe_load((files(self.package) / "paper.yaml").read_text(encoding="utf-8"))
        assert isinstance(found, dict)
        return found

    @property
    def citation(self) -> str:
        """Authors, title and number of the paper."""
        return str(self._content["paper"])

    def printed(self, quantity: str) -> Printed:
        """Return a quantity of the paper; KeyError where paper.yaml has none of that name."""
        values = self._content["values"]
        assert isinstance(values, dict)
        entry = values[quantity]
        assert set(entry) <= {"source", "unit", "values", "derived"}, f"paper.yaml: {quantity}"
        derived = {key: " ".join(text.split()) for key, text in entry.get("derived", {}).items()}
        assert derived.keys() <= entry["values"].keys(), f"paper.yaml: {quantity}"
        return Printed(entry["source"], entry["unit"], {k: float(v) for k, v in entry["values"].items()}, derived)
