"""Many designs: points of a space, each compiled and measured, kept as they come, and the best among them.

A point changes the chip ("chip.tiles"), the strategy ("strategy.schedule") or the analog side ("analog.adc.bits") by dotted keys.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mho.chip import Chip
from mho.chip.fit import unsized
from mho.errors import MappingError, OptionError, StrategyError, choices
from mho.explore.evaluation import evaluate
from mho.explore.exploration import Exploration, check_values
from mho.explore.workers import each
from mho.files.store import Store, key_of
from mho.machine.analog import Analog
from mho.machine.report import simulate
from mho.network.graph import Network
from mho.network.samples import Samples
from mho.number import QuantisedNetwork, Sampled
from mho.schedule import compile
from mho.schedule.sizing import fitted
from mho.strategy import Strategy

PARTS = ("chip", "strategy", "analog")
"""What the first word of a key may be."""
SOURCE = "assumption: a point of an exploration"
FIELDS = ("latency_s", "energy_j", "area_m2", "refused")
"""What is kept of a point; `refused` says why it cannot be compiled, and is None where it can."""

Point = Mapping[str, Any]


@dataclass(frozen=True)
class Space:
    """Every combination of the values of some keys, the last key changing fastest.

    mho.Space({"chip.tiles": [4, 8], "strategy.schedule": ["aras", "adaptive"]})              4 points
    mho.Space({"analog.adc.bits": [6, 8], "chip.array.coding": ["offset", "differential"]})   accuracy needs samples

    Raises OptionError for a key that names no part, and for values that are missing or given twice.
    """

    axes: Mapping[str, Sequence[Any]]

    def __post_init__(self) -> None:
        """Refuse an empty space, unknown parts, and values given twice."""
        if not self.axes:
            raise OptionError("a space has at least one key with its values")
        if not isinstance(self.axes, Mapping):
            raise OptionError(f"a space is a mapping of keys to their values, not {self.axes!r}")
        for key, values in self.axes.items():
            part, dot, rest = str(key).partition(".")
            if part not in PARTS or not dot or not rest:
                raise OptionError(
                    f"{key}: a key begins with the part it changes, such as chip.tiles; {choices(part, PARTS)}"
                )
            check_values(key, values, "space")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the points, each a value by key."""
        for values in itertools.product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))

    def __len__(self) -> int:
        """Count the points."""
        return math.prod(map(len, self.axes.values()))


def explore(
    network: Network | QuantisedNetwork | Sampled,
    chip: Chip | str | Path,
    space: Space | Mapping[str, Sequence[Any]],
    *,
    strategy: Strategy | str | None = None,
    samples: Samples | None = None,
    analog: Analog | None = None,
    store: Store | str | Path | None = None,
    workers: int = 1,
) -> Exploration:
    """Compile and measure a network at every point of a space.

        found = mho.explore(network, "aras", {"chip.tiles": [4, 8], "strategy.schedule": ["aras", "adaptive"]}, store="x.jsonl")
        found.front(), found.frame("points")

    Every value is checked before anything is compiled. A point that cannot be compiled stays, with the reason. `samples`, with
    labels, give the accuracy of each point on its analog side; keys of "analog" ask for them. `store` keeps what is finished, by
    all that it rests on: points, chip, strategy, network and the code that computes them. `workers`: processes that compile and
    measure; their number changes no result, and accuracy is measured in this process. Raises OptionError, ChipError,
    StrategyError and AnalogError for what a point cannot be.
    """
    space = space if isinstance(space, Space) else Space(space)
    if samples is None and any(key.startswith("analog.") for key in space.axes):
        raise OptionError("keys of analog change the accuracy alone: give samples with labels")
    base_chip = chip if isinstance(chip, Chip) else Chip.load(chip)
    base = _Design(Sampled.of(network), base_chip, Strategy.of(strategy), analog or Analog())
    designs = [base.at(point) for point in space]
    kept = store if isinstance(store, Store) else Store(store)
    subject = _digest(base.subject)
    keys = [key_of(__name__, subject, one.chip.to_dict(), one.strategy.to_dict()) for one in designs]
    new = {key: one for key, one in zip(keys, designs, strict=True) if kept.get(key, FIELDS) is None}
    for key, record in zip(new, each(_measured, new.values(), workers), strict=True):
        kept.put(key, record)
    records = []
    for point, key, design in zip(space, keys, designs, strict=True):
        record = {"values": point, **(kept.get(key, FIELDS) or {})}
        if samples is not None and record["refused"] is None:
            program = compile(design.subject, design.chip, design.strategy)
            record["accuracy"] = evaluate(program, samples, design.analog, done=kept).accuracy
        records.append(record)
    return Exploration.of(base.subject.net.name, base_chip.name, records)


@dataclass(frozen=True)
class _Design:
    """The design that a point stands for: a network on a chip, by a strategy, with an analog side."""

    subject: Sampled
    chip: Chip
    strategy: Strategy
    analog: Analog

    def at(self, point: Point) -> _Design:
        """Return the design with the changes of a point."""
        changes: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
        for key, value in point.items():
            part, _, rest = key.partition(".")
            changes[part][rest] = value
        strategy = self.strategy.with_(changes["strategy"]) if changes["strategy"] else self.strategy
        of_chip = unsized(changes["chip"])
        chip = self.chip.override(of_chip, SOURCE) if of_chip else self.chip
        with suppress(StrategyError, MappingError):  # What cannot be mapped is refused when it is compiled.
            chip = fitted(chip, changes["chip"], self.subject, strategy)
        return _Design(
            self.subject, chip, strategy, self.analog.override(changes["analog"]) if changes["analog"] else self.analog
        )


def _measured(design: _Design) -> dict[str, Any]:
    """Return the record of a design: its figures, or why it cannot be compiled."""
    try:
        report = simulate(compile(design.subject, design.chip, design.strategy))
    except (StrategyError, MappingError) as error:
        return {**dict.fromkeys(FIELDS), "refused": str(error)}
    content = [report.latency_s, report.energy_j, design.chip.roll_up().area_m2.total]
    return {**dict(zip(FIELDS, map(float, content), strict=False)), "refused": None}


def _digest(subject: Any) -> str:
    """Return the SHA-256 in hexadecimal of a network, its values included, and of the samples that its codes go by."""
    sha256 = hashlib.sha256()

    def feed(value: Any) -> None:
        if isinstance(value, np.ndarray):
            sha256.update(f"{value.dtype.str} {value.shape}".encode())
            sha256.update(np.ascontiguousarray(value).tobytes())
        elif is_dataclass(value) and not isinstance(value, type):
            sha256.update(type(value).__name__.encode())
            for item in fields(value):
                feed(getattr(value, item.name))
        elif isinstance(value, Mapping):
            feed(tuple(value.items()))
        elif isinstance(value, tuple | list):
            sha256.update(f"({len(value)}".encode())
            for item in value:
                feed(item)
        else:
            sha256.update(f"{value!r};".encode())

    feed(subject)
    return sha256.hexdigest()


__all__ = ["Space", "explore"]
