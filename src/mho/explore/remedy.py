"""A change that may bring back accuracy, and what trying it on a few samples gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ENOUGH = 1
"""Samples of those tried that a remedy may lose."""


@dataclass(frozen=True)
class Remedy:
    """Changes as `--set` takes them, and how many of `samples` are right with them, and in 8-bit integers."""

    changes: Mapping[str, int | float | str]
    right: int
    right_in_integers: int
    samples: int

    @property
    def enough(self) -> bool:
        """True where hardly any sample is lost."""
        return self.right >= self.right_in_integers - ENOUGH

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Remedy:
        """Rebuild what `to_dict` gave."""
        return cls(*(content[key] for key in ("changes", "right", "right_in_integers", "samples")))

    def __str__(self) -> str:
        """Write the changes: adc.bits=8, adc.range=calibrated."""
        return ", ".join(f"{key}={value}" for key, value in self.changes.items()) or "as it is"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "changes": dict(self.changes),
            "right": self.right,
            "right_in_integers": self.right_in_integers,
            "samples": self.samples,
            "enough": self.enough,
        }
