"""One design judged: quickly, for a search, or in full, for the designs that a search ends with.

Both compile and measure the very design. To screen, banks are chosen greedily where the strategy does not say how, and nothing is
measured that no objective asks for; to measure, the strategy is followed as it stands, and accuracy is told where samples are
given.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mho.chip import Chip
from mho.chip.fit import unsized
from mho.errors import MappingError, MhoError, OutputError, PluginError, StrategyError
from mho.explore.evaluation import SEEDS, evaluate
from mho.explore.objectives import BY_SAMPLES, OBJECTIVES, figures
from mho.explore.records import Record
from mho.explore.space import Space, Value
from mho.machine.analog import Analog
from mho.machine.report import Report, simulate
from mho.number import Sampled
from mho.schedule import compile
from mho.schedule.sizing import fitted
from mho.schedule.stages import Schedule
from mho.strategy import Strategy

if TYPE_CHECKING:
    from mho.network.samples import Samples

SOURCE = "assumption: a point of an exploration"
OVER = ("sum", "worst", "each")
"""How figures of several networks become those of a design: added (what cannot be added, the worst), the worst, or each apart."""
_VARYING = re.compile(r"\d[\d,.]*|'[^']*'|\"[^\"]*\"")
Variant = tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Subject:
    """A network by its name, in every variant that the space asks for: values of its keys, sorted, to the network."""

    name: str
    variants: Mapping[Variant, Sampled]

    def at(self, changes: Mapping[str, Value]) -> Sampled:
        """Return the variant of these changes."""
        return self.variants[tuple(sorted(changes.items()))]


@dataclass(frozen=True)
class Design:
    """A network on a chip, by a strategy, with an analog side."""

    subject: Sampled
    chip: Chip
    strategy: Strategy
    analog: Analog


@dataclass(frozen=True)
class Judge:
    """What judges designs: the networks, what designs start from, and the objectives that are told of each.

    over: one of OVER; samples: labelled ones, which tell the accuracy; endurance: writes that a cell survives, for lifetimes.
    whole: measured in full, as the strategy stands; else screened.
    """

    subjects: tuple[Subject, ...]
    space: Space
    chip: Chip
    strategy: Strategy
    analog: Analog
    objectives: tuple[str, ...]
    over: str = "sum"
    samples: Samples | None = None
    seeds: int = SEEDS
    endurance: float | None = None
    whole: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a record's figures."""
        names = [OBJECTIVES[name].field for name in self.objectives]
        if self.over == "each" and len(self.subjects) > 1:
            area = OBJECTIVES["area"].field
            return tuple(
                field
                for name in names
                for field in ([name] if name == area else [f"{name}:{s.name}" for s in self.subjects])
            )
        return tuple(names)

    def digest(self) -> str:
        """Return the SHA-256 in hexadecimal of all that a record follows from beside what its design changes, and the code."""
        sha256 = hashlib.sha256()
        for item in fields(self):
            if item.name != "space":
                _feed(sha256, getattr(self, item.name))
        return sha256.hexdigest()

    def designs(self, values: Mapping[str, Value]) -> tuple[Design, ...]:
        """Return the designs, one a network, that a point of the space stands for. MhoError for what cannot be."""
        changes = self.space.changes(values)
        strategy = self.strategy.with_(changes["strategy"]) if changes["strategy"] else self.strategy
        of_chip = unsized(changes["chip"])
        chip = self.chip.override(of_chip, SOURCE) if of_chip else self.chip
        analog = self.analog.override(changes["analog"]) if changes["analog"] else self.analog
        found = []
        for subject in self.subjects:
            network, sized = subject.at(changes["network"]), chip
            with suppress(StrategyError, MappingError):  # What cannot be mapped is refused when it is compiled.
                sized = fitted(chip, changes["chip"], network, strategy)
            found.append(Design(network, sized, strategy, analog))
        return tuple(found)

    def lean(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return what is changed of the strategy to screen a design."""
        given = self.space.changes(values)["strategy"]
        try:
            strategy = self.strategy.with_(given) if given else self.strategy
        except StrategyError:
            return {}  # What cannot be is refused when it is compiled.
        chosen = any(key.partition(".")[0] == "banks" for key in given) or strategy.banks != Strategy().banks
        # A stream deals banks out by itself.
        return {} if self.whole or chosen or strategy.get(Schedule).flows else {"banks": "greedy"}

    def identity(self, values: Mapping[str, Value]) -> Any:
        """Return what a design changes of each part, which decides its record, and what is changed to screen it."""
        return [self.space.changes(values), self.lean(values)]

    def __call__(self, values: Mapping[str, Value]) -> Record:
        """Return the record of a design: its figures in SI units, or why it cannot be compiled."""
        return self.measured(values)[0]

    def measured(self, values: Mapping[str, Value]) -> tuple[Record, tuple[Report, ...]]:
        """Return the record of a design, and the reports that it is of; none where it is refused."""
        try:
            designs = self.designs(values)
            if changed := self.lean(values):
                designs = tuple(replace(each, strategy=each.strategy.with_(changed)) for each in designs)
            told = [self.told(each) for each in designs]
            return {**self._combined([each for each, _ in told]), "refused": None, "reason": None}, tuple(
                report for _, report in told
            )
        except (OutputError, PluginError):
            raise
        except MhoError as error:
            return {**dict.fromkeys(self.fields), "refused": str(error), "reason": reason(error)}, ()

    def told(self, design: Design) -> tuple[dict[str, float | None], Report]:
        """Return the figures of one network, by field, and the report that they are of. Raises as `compile` does."""
        program = compile(design.subject, design.chip, design.strategy)
        report = simulate(program, endurance=self.endurance)
        accuracy: dict[str, float | None] = {}
        if any(name in BY_SAMPLES for name in self.objectives) and self.samples is not None:
            found = evaluate(program, self.samples, design.analog, seeds=self.seeds)
            exact = found.in_integers if found.in_float is None else found.in_float
            accuracy = {"accuracy": found.accuracy, "accuracy_lost": exact - found.accuracy}
        return {**accuracy, **figures(report, self.objectives)}, report

    def _combined(self, told: list[dict[str, float | None]]) -> dict[str, float | None]:
        """Return the figures of a design from those of its networks, by field."""
        combined: dict[str, float | None] = {}
        for name in self.objectives:
            objective = OBJECTIVES[name]
            values = [each[objective.field] for each in told]
            if self.over == "each" and len(self.subjects) > 1 and name != "area":
                combined |= {f"{objective.field}:{s.name}": v for s, v in zip(self.subjects, values, strict=True)}
            elif self.over == "sum" and objective.adds:
                combined[objective.field] = sum(value for value in values if value is not None)
            else:
                combined[objective.field] = max(values, key=objective.cost)
        return combined


def reason(error: MhoError) -> str:
    """Return the words that refusals of one kind share: without numbers and names."""
    if isinstance(error, StrategyError):
        return f"{error.field}: {_VARYING.sub('…', error.demanded)}"
    return " ".join(_VARYING.sub("…", str(error)).split())


def _feed(sha256: Any, value: Any) -> None:
    """Feed a value, arrays and records within it, to a digest."""
    if isinstance(value, np.ndarray):
        sha256.update(f"{value.dtype.str} {value.shape}".encode())
        sha256.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Chip | Strategy):
        sha256.update(value.digest.encode())
    elif is_dataclass(value) and not isinstance(value, type):
        sha256.update(type(value).__name__.encode())
        for item in fields(value):
            _feed(sha256, getattr(value, item.name))
    elif isinstance(value, Mapping):
        _feed(sha256, tuple(value.items()))
    elif isinstance(value, tuple | list):
        sha256.update(f"({len(value)}".encode())
        for item in value:
            _feed(sha256, item)
    else:
        sha256.update(f"{value!r};".encode())


__all__ = ["OVER", "Design", "Judge", "Subject", "reason"]
