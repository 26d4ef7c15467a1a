"""Spaces of designs: the values of some keys of chip, strategy, network and analog side, and conditions that combinations meet."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mho.chip import Chip
from mho.chip.roles import ROLES
from mho.chip.spec import ChipSpec
from mho.errors import OptionError, StrategyError, choices
from mho.explore.condition import Condition
from mho.explore.ranges import values_of
from mho.files.text import read_yaml
from mho.machine.analog.devices.reader import keys as device_keys
from mho.machine.analog.spec import DEVICE, Analog
from mho.quantity import marks
from mho.strategy.strategy import place_of

PARTS = ("chip", "strategy", "analog", "network")
"""What the first word of a key may be; a key without it is looked for in the first three."""
NETWORK_KEYS = ("batch", "sequence", "input_size")
"""What a network may be varied in: how it is read."""
COUNTED = 100_000
"""Designs of a space in which those that meet the conditions are counted."""
FILE = ("over", "when")
"""The keys of a space's file."""

Value = Any
Indices = tuple[int, ...]


@dataclass(frozen=True)
class Axis:
    """A key as it is written, the part that it changes, the key within that, and the values."""

    key: str
    part: str
    name: str
    values: tuple[Value, ...]

    @property
    def ordered(self) -> bool:
        """True where neighbouring values are like one another: numbers that rise or fall."""
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)
        rising = numbers and list(self.values) in (sorted(self.values), sorted(self.values, reverse=True))
        return bool(rising)


@dataclass(frozen=True)
class Space:
    """Every combination of the values of some keys that meets all conditions, the last key changing fastest.

    mho.Space({"tiles": [4, 8], "schedule": ["aras", "adaptive"]})                            4 designs
    mho.Space({"array.adcs": [4, 8, 16], "array.columns": [64, 128]}, when=["array.adcs * 16 <= array.columns"])
    mho.Space({"analog.adc.bits": [6, 8], "chip.array.coding": ["offset", "differential"]})   accuracy needs samples
    mho.Space.load("space.yaml")                                                              keys over and when

    A key is one of the chip, of the strategy or of the analog side; where several have it, the part stands before it. Keys of the
    network are network.batch, network.sequence and network.input_size. Raises OptionError for a key that there is not, for values
    that are missing or given twice, and for a condition that cannot be read.
    """

    axes: Mapping[str, Sequence[Value]]
    when: Sequence[str] = ()
    parts: tuple[Axis, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse an empty space, unknown keys, and values given twice."""
        if not self.axes:
            raise OptionError("a space has at least one key with its values")
        if not isinstance(self.axes, Mapping):
            raise OptionError(f"a space is a mapping of keys to their values, not {self.axes!r}")
        if isinstance(self.when, str) or not all(isinstance(text, str) for text in self.when):
            raise OptionError(f"conditions of a space are a list of texts, not {self.when!r}")
        parts = []
        for key, values in self.axes.items():
            check_values(key, values, "space")
            parts.append(Axis(str(key), *placed(str(key)), tuple(values)))
        for place, axis in enumerate(parts):
            for other in parts[:place]:
                if (axis.part, axis.name) == (other.part, other.name):
                    raise OptionError(f"{axis.key} and {other.key} are the same key; give its values once")
        object.__setattr__(self, "parts", tuple(parts))

    @classmethod
    def load(cls, path: str | Path) -> Space:
        """Read a file: `over` gives keys their values, a list or text such as 24:192:24; `when` is a list of conditions."""
        content = read_yaml(Path(path), OptionError)
        for key in content:
            if key not in FILE:
                raise OptionError(f"{path}: unknown key {key!r}; {choices(str(key), FILE)}")
        over = content.get("over")
        if not isinstance(over, dict):
            raise OptionError(f"{path}: over: gives each key its values, such as over: {{tiles: [48, 96]}}")
        try:
            axes = {key: values_of(str(key), each) if isinstance(each, str) else each for key, each in over.items()}
            return cls(axes, content.get("when") or ())
        except OptionError as error:
            raise OptionError(f"{path}: {error}") from None

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The number of values of each axis."""
        return tuple(len(axis.values) for axis in self.parts)

    @property
    def ordered(self) -> tuple[bool, ...]:
        """Whether neighbouring values of each axis are like one another."""
        return tuple(axis.ordered for axis in self.parts)

    def values(self, indices: Indices) -> dict[str, Value]:
        """Return the values of a design, by key."""
        return {axis.key: axis.values[i] for axis, i in zip(self.parts, indices, strict=True)}

    def changes(self, values: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
        """Return what a design changes, by part: nothing of axes that have no value."""
        changed: dict[str, dict[str, Value]] = {part: {} for part in PARTS}
        for axis in self.parts:
            if axis.key in values:
                changed[axis.part][axis.name] = values[axis.key]
        return changed

    def conditions(self, chip: Chip | None = None) -> tuple[Condition, ...]:
        """Return the conditions; words that are no axis are values of a chip. OptionError for one that cannot be read."""
        names = {name: axis.key for axis in self.parts for name in (axis.key, axis.name, f"{axis.part}.{axis.name}")}

        def fixed(name: str) -> Value | None:
            value: Any = None if chip is None else chip.spec
            for part in name.removeprefix("chip.").split("."):
                value = getattr(value, part, None) if part in getattr(type(value), "model_fields", ()) else None
            return value if isinstance(value, int | float | str) else None

        return tuple(Condition(text, names, fixed) for text in self.when)

    def allows(self, chip: Chip | None = None) -> Callable[[Indices], bool]:
        """Return what says whether a design meets all conditions, beside the values of a chip."""
        conditions = self.conditions(chip)
        if not conditions:
            return lambda indices: True
        return lambda indices: all(condition(self.values(indices)) for condition in conditions)

    def __iter__(self) -> Iterator[dict[str, Value]]:
        """Yield the designs that meet the conditions, each a value by key."""
        allows = self.allows()
        for indices in itertools.product(*map(range, self.sizes)):
            if allows(indices):
                yield self.values(indices)

    def __len__(self) -> int:
        """Count the combinations, those included that do not meet the conditions."""
        return math.prod(self.sizes)

    def formula(self, chip: Chip | None = None) -> str:
        """Say how many designs there are: 3 × 2 = 6 designs, of which 5 meet the conditions."""
        product, size = " × ".join(map(str, self.sizes)), math.prod(self.sizes)
        said = f"{product} = {size:,} designs" if len(self.sizes) > 1 else f"{size:,} designs"
        if not self.when:
            return said
        if size > COUNTED:
            return f"{said}, fewer by conditions"
        allows = self.allows(chip)
        meeting = sum(map(allows, itertools.product(*map(range, self.sizes))))
        return f"{said}, of which {meeting:,} meet the conditions"

    def to_dict(self, chip: Chip | None = None) -> dict[str, Any]:
        """Return it as data, with its size."""
        return {
            "axes": {axis.key: list(axis.values) for axis in self.parts},
            "when": list(self.when),
            "size": len(self),
            "formula": self.formula(chip),
        }


def placed(key: str) -> tuple[str, str]:
    """Return the part that a key changes, and the key within it. OptionError for one that there is not, or that several have."""
    part, dot, rest = key.partition(".")
    if dot and part in PARTS:
        if part == "network" and rest not in NETWORK_KEYS:
            raise OptionError(f"{key}: a network has no such key; {choices(rest, NETWORK_KEYS)}")
        return part, rest
    homes = [part for part, known in _homes(key).items() if known]
    if len(homes) == 1:
        return homes[0], key
    if homes:
        raise OptionError(f"{key} is a key of several parts; write {' or '.join(f'{home}.{key}' for home in homes)}")
    if key in NETWORK_KEYS:
        raise OptionError(f"{key}: write network.{key}")
    raise OptionError(f"unknown key {key!r}; {choices(key, _every())}")


def _homes(key: str) -> dict[str, bool]:
    try:
        of_strategy = bool(place_of(key))
    except StrategyError:
        of_strategy = False
    return {"chip": key in _chip_keys(), "strategy": of_strategy, "analog": key in _analog_keys()}


def _chip_keys() -> tuple[str, ...]:
    return (*marks(ChipSpec), *(f"components.{role}" for role in ROLES))


def _analog_keys() -> tuple[str, ...]:
    return (*Analog.keys(), *(f"{DEVICE}{name}" for name in device_keys()))


def _every() -> list[str]:
    from mho.strategy.strategy import keys

    return [*_chip_keys(), *keys(), *_analog_keys(), *(f"network.{name}" for name in NETWORK_KEYS)]


def check_values(key: str, values: Any, what: str) -> None:
    """Refuse values of a key of a space or a sweep that are none, or given twice. OptionError."""
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise OptionError(f"{key}: a {what} needs a list of values, not {values!r}")
    twice = [value for place, value in enumerate(values) if value in values[:place]]
    if twice:
        raise OptionError(f"{key}: {twice[0]!r} is given twice")


__all__ = ["Axis", "Space", "check_values", "placed"]
