"""The figures that ARAS prints, read from paper.yaml beside this file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from mho.studies.rows import DERIVED

NETWORKS = ("vgg16", "resnet50", "densenet161", "bert-base", "bert-large")
"""The networks of Section VI, BERT with sequences of 128 tokens."""


@dataclass(frozen=True)
class Printed:
    """A quantity of the paper: its section, its unit, its figures by network, and how those were derived that it "
    "does not print.
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


@cache
def citation() -> str:
    """Return authors, title and number of the paper."""
    return str(_content()["paper"])


@cache
def _content() -> Mapping[str, object]:
    found = yaml.safe_load((files("mho.studies.aras") / "paper.yaml").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


@cache
def printed(quantity: str) -> Printed:
    """Return a quantity of the paper; KeyError where paper.yaml has none of that name."""
    values = _content()["values"]
    assert isinstance(values, dict)
    entry = values[quantity]
    assert set(entry) <= {"source", "unit", "values", "derived"}, f"paper.yaml: {quantity}"
    derived = {key: " ".join(text.split()) for key, text in entry.get("derived", {}).items()}
    assert derived.keys() <= entry["values"].keys(), f"paper.yaml: {quantity}"
    return Printed(entry["source"], entry["unit"], {k: float(v) for k, v in entry["values"].items()}, derived)
