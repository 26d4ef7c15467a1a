"""What an exploration found: a record a design, and the designs that no other beats in everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mho.engineering import quantity
from mho.errors import OptionError, choices
from mho.files.outcome import Recorded, plain
from mho.shown import Columns, columns
from mho.version import __version__

SCHEMA = "mho.exploration/1"
LESS = {"latency_s": "s", "energy_j": "J", "area_m2": "m²"}
"""What is better where it is less, and its unit."""
MORE = ("accuracy",)
"""What is better where it is more."""


@dataclass(frozen=True, repr=False)
class Exploration(Recorded):
    """Many designs, measured: of one network, the points of a space.

    found.records          a mapping a point: `values` by key, figures in SI units, and `refused` where it cannot be compiled
    found.front()          the points that none beats in time, energy and area at once (Pareto)
    found.best("energy_j")

    Sweeps, findings, comparisons and recommendations are explorations: what differs is what is varied, what is measured and what is
    concluded. Each is its `content`, of a schema of its own, with its records under the key `within`; `measured` are
    the objects that these figures are of. `Exploration.from_dict` and `load` read them all.
    """

    content: Mapping[str, Any]
    measured: Any = field(default=None, compare=False)
    schema: ClassVar[str] = SCHEMA
    within: ClassVar[str] = "points"
    needs: ClassVar[tuple[str, ...]] = ("version", "network", "chip", "points")

    def __post_init__(self) -> None:
        """Keep the content as its file would give it back, with schema and version before it."""
        version = {"version": __version__} if "version" in self.needs else {}
        content = {"schema": self.schema, **version, **self.content}
        object.__setattr__(self, "content", plain(content))

    @classmethod
    def of(cls, network: str, chip: str, records: Sequence[Mapping[str, Any]]) -> Exploration:
        """Return the exploration of a network, on variants of a chip, with these records."""
        return cls({"network": network, "chip": chip, "points": records})

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Exploration:
        """Rebuild what `to_dict` of any exploration gave. OptionError where it is of another schema, or not whole."""
        kinds = {kind.schema: kind for kind in (*cls.__subclasses__(), cls)}
        kind = kinds.get(str(content.get("schema")), cls) if isinstance(content, Mapping) else cls
        return super(Exploration, kind).from_dict(content)

    @property
    def records(self) -> tuple[Mapping[str, Any], ...]:
        """The records of the designs, in their order."""
        return tuple(self.content[self.within])

    @property
    def feasible(self) -> tuple[Mapping[str, Any], ...]:
        """The records of the points that can be compiled."""
        return tuple(record for record in self.records if record.get("refused") is None)

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
        return f"Exploration: {self.content['network']} on {self.content['chip']}, {len(self.records)} points"

    def facts(self) -> Sequence[tuple[str, str]]:
        """Return the best of each usual aim, how many are on the front, and how many cannot be compiled."""
        if not self.feasible:
            return (("refused", f"{len(self.records)}"),)
        best = {aim: self.best(aim) for aim in LESS}
        return (
            *(
                (f"least {aim}", f"{quantity(best[aim][aim], unit)}: {named(best[aim]['values'])}")
                for aim, unit in LESS.items()
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


def _figures(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != "values"}


def named(values: Mapping[str, Any]) -> str:
    """Write the values of a point: adc.bits=6, age_s=0."""
    return ", ".join(f"{key}={value}" for key, value in values.items())


def check_values(key: str, values: Any, what: str) -> None:
    """Refuse values of a key of a space or a sweep that are none, or given twice. OptionError."""
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise OptionError(f"{key}: a {what} needs a list of values, not {values!r}")
    twice = [value for place, value in enumerate(values) if value in values[:place]]
    if twice:
        raise OptionError(f"{key}: {twice[0]!r} is given twice")


__all__ = ["Exploration"]
