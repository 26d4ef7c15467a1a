"""Parameters with an order: the numbers that one may take, on a grid, from the ranges that its type states.

Parameters are those of `Analog.override`, and after "chip." those of `Chip.override`. Whole numbers stand one by one; real ones
from the lowest to the highest with a constant ratio (`RATIO`), rounded to three digits, and 0 before them where it is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from mho.chip.spec import ChipSpec
from mho.errors import OptionError, choices
from mho.machine.analog.devices.reader import keys
from mho.machine.analog.spec import DEVICE, Adc, Analog, Wires
from mho.quantity import part_of

CHIP = "chip."
"""Before a parameter of the chip, for which the network is compiled anew."""
RATIO = 1.05
"""Neighbouring values of a real parameter: the resolution of what is found."""
SMALLEST = 1e-6
"""Of the highest value: the lowest one of a grid that reaches down to 0, beside 0 itself."""
MOST = 1_000_000
"""Values of a grid."""
Number = int | float


@dataclass(frozen=True)
class Ordered:
    """A parameter and the values that it may take, ascending. `resolution` says in words how they are spaced."""

    key: str
    values: tuple[Number, ...]
    resolution: str


def ordered(key: str, low: Number | None = None, high: Number | None = None, step: Number | None = None) -> Ordered:
    """Return a parameter's values from `low` to `high`, by default those of its type; `step`: with a constant difference.

    OptionError for a key that is not known or takes no numbers, and where its type sets no end and none is given.
    """
    whole, lowest, highest, open_low = range_of(key)
    lowest, highest = lowest if low is None else low, highest if high is None else high
    if lowest is None or highest is None:
        end = "lower" if lowest is None else "upper"
        raise OptionError(f"{key} has no {end} end of its own; give its range: {key}=LOW:HIGH, such as {key}=1:1e6")
    if not lowest < highest or not (math.isfinite(lowest) and math.isfinite(highest)):
        raise OptionError(f"{key}: {lowest:g} to {highest:g} is no range: it needs LOW < HIGH")
    if step is not None or whole:
        return _evenly(key, lowest, highest, 1 if step is None else step, whole)
    if lowest < 0:
        raise OptionError(f"{key}: a range from below 0 needs a step: {key}=LOW:HIGH:STEP")
    first = lowest if lowest > 0 else highest * SMALLEST
    count = math.ceil(math.log(highest / first) / math.log(RATIO))
    if count > MOST:
        raise OptionError(f"{key}: {lowest:g} to {highest:g} takes more than {MOST} values; give a STEP")
    inner = {float(f"{first * (highest / first) ** (i / count):.3g}") for i in range(count + 1)} if count else set()
    inner = {value for value in inner if first < value < highest} | {first, highest}
    zero = {0.0} if lowest == 0 and not (open_low and low is None) else set()
    return Ordered(key, tuple(sorted(inner | zero)), f"steps of {100 * (RATIO - 1):g} %")


def _evenly(key: str, low: Number, high: Number, step: Number, whole: bool) -> Ordered:
    """Return values with a constant difference; whole ones where the parameter takes no others."""
    if whole and not all(float(number).is_integer() for number in (low, high, step)):
        raise OptionError(f"{key} takes whole numbers, not {low:g}:{high:g}:{step:g}")
    if step <= 0 or (high - low) / step > MOST:
        raise OptionError(f"{key}: a step of {step:g} from {low:g} to {high:g} gives no grid of at most {MOST} values")
    count = math.floor((high - low) / step * (1 + 1e-12))
    if whole:
        words = "whole numbers" if step == 1 else f"steps of {step:g}"
        return Ordered(key, tuple(int(low) + int(step) * i for i in range(count + 1)), words)
    return Ordered(key, tuple(float(f"{low + step * i:.12g}") for i in range(count + 1)), f"steps of {step:g}")


def range_of(key: str) -> tuple[bool, Number | None, Number | None, bool]:
    """Return whether a parameter takes whole numbers alone, the ends of its range (None: open), and whether the lower is out."""
    if key.startswith(DEVICE):
        name = key.removeprefix(DEVICE)
        known = keys()
        if name not in known:
            raise OptionError(f"unknown key {key!r}; {choices(key, [DEVICE + name for name in known])}")
        mark = known[name]
        if not mark.numbers:
            raise OptionError(f"{key} has no order: it takes words or whole quantities, not numbers")
        return mark.whole, 0, 1 if mark.share else None, False
    annotation = _annotations().get(key)
    if annotation is None:
        every = [*_annotations(), *(DEVICE + name for name in keys())]
        raise OptionError(f"unknown key {key!r}; {choices(key, every)}")
    schema = TypeAdapter(annotation).json_schema()
    kinds = schema.get("anyOf", [schema])
    numbers = [kind for kind in kinds if kind.get("type") in ("integer", "number")]
    if not numbers:
        raise OptionError(f"{key} has no order: it takes {_words(kinds)}, not numbers")
    (kind,) = numbers
    low = kind.get("minimum", kind.get("exclusiveMinimum"))
    return kind["type"] == "integer", low, kind.get("maximum"), "exclusiveMinimum" in kind


def fits(name: str, value: Any) -> bool:
    """Return whether a value has the type and the range of a key of the chip, whatever else the chip is."""
    annotation = _annotations().get(f"{CHIP}{name}")
    if annotation is None:
        return False
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError:
        return False
    return True


def _words(kinds: list[dict[str, Any]]) -> str:
    words = [str(word) for kind in kinds for word in (kind.get("enum") or [kind.get("const", kind.get("type"))])]
    return ", ".join(words)


def _annotations() -> Mapping[str, Any]:
    """Return the type of each parameter that is no device's."""
    annotations: dict[str, Any] = {}
    known = Analog.keys()
    for prefix, model in (("", Analog), ("adc.", Adc), ("wires.", Wires)):
        for key, field in model.model_fields.items():
            if f"{prefix}{key}" in known and key not in ("adc", "wires", "device", "seed"):
                annotations[f"{prefix}{key}"] = field.rebuild_annotation()
    _add_parts(annotations, CHIP, ChipSpec)
    return annotations


def _add_parts(annotations: dict[str, Any], prefix: str, model: type[BaseModel]) -> None:
    for key, field in model.model_fields.items():
        component = part_of(field)
        if component is None:
            annotations[f"{prefix}{key}"] = field.rebuild_annotation()
        else:
            _add_parts(annotations, f"{prefix}{key}.", component)
