"""What an exploration found: a record a point, and the points that no other beats in everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mho.engineering import quantity
from mho.errors import OptionError, choices
from mho.shown import Columns, Shown, columns
from mho.version import __version__

SCHEMA = "mho.exploration/1"
LESS = {"latency_s": "s", "energy_j": "J", "area_m2": "m²"}
"""What is better where it is less, and its unit."""
MORE = ("accuracy",)
"""What is better where it is more."""


@dataclass(frozen=True, repr=False)
class Exploration(Shown):
    """Many designs of one network, measured.

    found.records          a mapping a point: `values` by key, figures in SI units, and `refused` where it cannot be compiled
    found.front()          the points that none beats in time, energy and area at once (Pareto)
    found.best("energy_j")
    """

    network: str
    chip: str
    records: tuple[Mapping[str, Any], ...]

    @property
    def feasible(self) -> tuple[Mapping[str, Any], ...]:
        """The records of the points that can be compiled."""
        return tuple(record for record in self.records if record["refused"] is None)

    def front(self, *aims: str) -> tuple[Mapping[str, Any], ...]:
        """Return the records that no other is at least as good as in all aims and better in one; equal ones all stay."""
        costs = [tuple(self._cost(record, aim) for aim in aims or LESS) for record in self.feasible]
        return tuple(
            record
            for record, cost in zip(self.feasible, costs, strict=True)
            if not any(other != cost and all(a <= b for a, b in zip(other, cost, strict=True)) for other in costs)
        )

    def best(self, aim: str) -> Mapping[str, Any]:
        """Return the first record of the least (accuracy: the most) of an aim. OptionError where no point can be compiled."""
        if not self.feasible:
            raise OptionError(f"no point can be compiled; the first: {self.records[0]['refused']}")
        return min(self.feasible, key=lambda record: self._cost(record, aim))

    def _cost(self, record: Mapping[str, Any], aim: str) -> float:
        if aim not in record or aim not in (*LESS, *MORE):
            raise OptionError(f"points have no {aim!r}; {choices(aim, [k for k in record if k in (*LESS, *MORE)])}")
        return -float(record[aim]) if aim in MORE else float(record[aim])

    def headline(self) -> str:
        """Say what was explored."""
        return f"Exploration: {self.network} on {self.chip}, {len(self.records)} points"

    def facts(self) -> Sequence[tuple[str, str]]:
        """Return the best of each usual aim, how many are on the front, and how many cannot be compiled."""
        if not self.feasible:
            return (("refused", f"{len(self.records)}"),)
        return (
            *(
                (f"least {aim}", f"{quantity(self.best(aim)[aim], LESS[aim])}: {_named(self.best(aim))}")
                for aim in LESS
            ),
            ("front", f"{len(self.front())} points"),
            ("refused", f"{len(self.records) - len(self.feasible)}"),
        )

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `points`, one a row, and `front`."""
        return {
            "points": lambda: columns({**record["values"], **_figures(record)} for record in self.records),
            "front": lambda: columns({**record["values"], **_figures(record)} for record in self.front()),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything, safe for JSON."""
        records = [dict(record) for record in self.records]
        return {"schema": SCHEMA, "version": __version__, "network": self.network, "chip": self.chip, "points": records}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Exploration:
        """Return the exploration of `to_dict`; OptionError where it is none."""
        if content.get("schema") != SCHEMA:
            raise OptionError(f"this is no exploration: its schema is {content.get('schema')!r}, not {SCHEMA!r}")
        return cls(content["network"], content["chip"], tuple(content["points"]))


def _figures(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != "values"}


def _named(record: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in record["values"].items())


__all__ = ["Exploration"]
