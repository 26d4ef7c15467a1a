"""What an exploration found (schema mho.exploration/1): a record a design, and the designs that no other beats in everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mho.engineering import quantity
from mho.errors import OptionError, choices
from mho.explore.front import non_dominated
from mho.explore.objectives import ALWAYS, Objective, objective, objectives
from mho.files.outcome import Recorded, plain
from mho.shown import Columns, columns
from mho.version import __version__

SCHEMA = "mho.exploration/1"
NOT_FIGURES = ("number", "values", "refused", "reason", "breaks")
"""Fields of a point that are no figures."""


@dataclass(frozen=True, repr=False)
class Exploration(Recorded):
    """Many designs, judged: points of a space, for one network or several.

    found.records          a mapping a point: `values` by key, figures in SI units, and `refused` where it cannot be compiled
    found.front()          the points that none beats in all aims at once (Pareto), of those that keep every limit
    found.front("time", "energy")
    found.best("energy")

    Sweeps, findings, comparisons and recommendations are explorations: what differs is what is varied, what is measured and what is
    concluded. Each is its `content`, of a schema of its own, with its records under the key `within`; `measured` are
    the objects that these figures are of. `Exploration.from_dict` and `load` read them all.
    """

    content: Mapping[str, Any]
    measured: Any = field(default=None, compare=False)
    schema: ClassVar[str] = SCHEMA
    within: ClassVar[str] = "points"
    needs: ClassVar[tuple[str, ...]] = (
        "version", "networks", "chip", "strategy", "space", "aims", "limits", "over", "search", "judged", "base", "points",
        "measured", "hypervolume", "importance", "refused", "notes",
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Keep the content as its file would give it back, with schema and version before it."""
        version = {"version": __version__} if "version" in self.needs else {}
        content = {"schema": self.schema, **version, **self.content}
        object.__setattr__(self, "content", plain(content))

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

    @property
    def legal(self) -> tuple[Mapping[str, Any], ...]:
        """The records of the points that can be compiled and keep every limit."""
        return tuple(record for record in self.feasible if not record.get("breaks"))

    @property
    def aims(self) -> tuple[Objective, ...]:
        """What is minimised, or maximised where more of it is better."""
        return objectives([aim["name"] for aim in self.content.get("aims", ())] or ALWAYS)

    def front(self, *aims: str) -> tuple[Mapping[str, Any], ...]:
        """Return the legal records that no other is at least as good as in all aims and better in one; equal ones all stay."""
        records = self.legal
        if not records:
            return ()
        fields = [field for aim in aims or [each.name for each in self.aims] for field in self._fields(objective(aim))]
        kept = non_dominated([[objective_of(field).cost(record[field]) for field in fields] for record in records])
        return tuple(record for record, keeps in zip(records, kept, strict=True) if keeps)

    def best(self, aim: str) -> Mapping[str, Any]:
        """Return the first legal record that is best in an aim. OptionError where no point can be compiled and keeps the limits."""
        if not self.legal:
            refused = next((record["refused"] for record in self.records if record["refused"]), None)
            why = f"; the first refused: {refused}" if refused else "; all break a limit"
            raise OptionError(f"no point can be compiled and keeps every limit{why}")
        fields = self._fields(objective(aim))
        return min(self.legal, key=lambda record: sum(objective_of(field).cost(record[field]) for field in fields))

    def _fields(self, aim: Objective) -> list[str]:
        """Return the fields that bear an aim: its own, or one for each network."""
        found = [field for field in self.records[0] if field == aim.field or field.startswith(f"{aim.field}:")]
        if not found:
            known = [key for key in self.records[0] if key not in NOT_FIGURES]
            raise OptionError(f"points have no {aim.name}; {choices(aim.field, known)}")
        return found

    def headline(self) -> str:
        """Say what was explored."""
        return f"Exploration: {', '.join(self.content['networks'])} on {self.content['chip']}, {self.content['judged']:,} designs"

    def facts(self) -> Sequence[tuple[str, str]]:
        """Return the best of each aim, how many are on the front, how many break a limit and how many cannot be compiled."""
        refused = sum(entry["count"] for entry in self.content["refused"])
        broken = len(self.feasible) - len(self.legal)
        counted = (("break a limit", f"{broken}"),) if self.content["limits"] else ()
        if not self.legal:
            return (*counted, ("refused", f"{refused}"))
        return (
            *(line for aim in self.aims for line in self._best(aim)),
            ("front", f"{len(self.front())} designs"),
            *counted,
            ("refused", f"{refused}"),
        )

    def _best(self, aim: Objective) -> list[tuple[str, str]]:
        record = self.best(aim.name)
        figures = [quantity(record[field], aim.unit) for field in self._fields(aim) if record[field] is not None]
        return [(f"best {aim.name}", f"{' and '.join(figures)}: {named(record['values'])}")]

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `points`, one a row, and `front`."""
        return {
            "points": lambda: columns({**record["values"], **_figures(record)} for record in self.records),
            "front": lambda: columns({**record["values"], **_figures(record)} for record in self.front()),
        }


def _figures(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in ("values", "breaks")}


def named(values: Mapping[str, Any]) -> str:
    """Write the values of a point: adc.bits=6, age_s=0."""
    return ", ".join(f"{key}={value}" for key, value in values.items())


def objective_of(field: str) -> Objective:
    """Return the objective that a field of a record bears, that of one network of several too."""
    return objective(field.partition(":")[0])


__all__ = ["Exploration", "named", "objective_of"]
