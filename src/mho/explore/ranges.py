"""The values of a swept parameter, as they are given on the command line: adc.bits=4,5,6 or adc.bits=4:9:1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from mho.errors import OptionError, StrategyError
from mho.strategy.strategy import place_of

EXAMPLE = "adc.bits=4,5,6 or adc.bits=4:9:1"
MOST = 1000
"""Values of a range."""

Value = int | float | str


def read_over(given: Sequence[str]) -> dict[str, tuple[Value, ...]]:
    """Read every --over KEY=VALUES. OptionError where one cannot be read, or names a key again."""
    found: dict[str, tuple[Value, ...]] = {}
    for option in given:
        key, equals, text = (part.strip() for part in option.partition("="))
        if not (key and equals and text):
            raise OptionError(f"--over takes KEY=VALUES, such as {EXAMPLE}, not {option!r}")
        if key in found:
            raise OptionError(f"--over {key} is given twice")
        try:
            found[key] = values_of(key, text)
        except OptionError as error:
            raise OptionError(f"--over {error}") from None
    return found


def values_of(key: str, text: str) -> tuple[Value, ...]:
    """Read the values of a key, separated by commas, ranges among them. OptionError names the key."""
    return tuple(value for part in text.split(",") for value in _values(key, part.strip()))


def _values(key: str, text: str) -> list[Value]:
    """Read a number, a word, or a range a:b:step of which b is part where a step meets it."""
    parts = text.split(":")
    # A choice of a strategy may be spelled with its settings, window:8:3, and the size of a chip with copies, fit:2.
    if len(parts) == 1 or (parts[0].isidentifier() and _takes_words(key)):
        return [_number(key, text)]
    try:
        first, last, step = (Decimal(part.strip()) for part in parts)
    except (InvalidOperation, ValueError):
        raise OptionError(f"{key}: a range is FIRST:LAST:STEP, such as 4:9:1, not {text!r}") from None
    if not all(each.is_finite() for each in (first, last, step)) or step <= 0 or last < first:
        raise OptionError(f"{key}: {text!r} is no range: it needs FIRST <= LAST and a positive STEP")
    if (last - first) / step > MOST:
        raise OptionError(f"{key}: {text!r} has more than {MOST} values")
    # Decimals, so that 0:0.3:0.1 ends with 0.3.
    steps = int((last - first) / step)
    return [_number(key, format(first + step * number, "f")) for number in range(steps + 1)]


def _takes_words(key: str) -> bool:
    """Return whether values of a key may be words with colons: a choice or setting of a strategy, the tiles of a chip."""
    try:
        return key in ("tiles", "chip.tiles") or bool(place_of(key.removeprefix("strategy.")))
    except StrategyError:
        return False


def _number(key: str, text: str) -> Value:
    if not text:
        raise OptionError(f"{key}: a value is missing; values are such as {EXAMPLE}")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        if set(text) & set("[]{}\"'"):
            raise OptionError(f"{key}: takes numbers or words, not {text}") from None
        return text
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) == float("inf"):
        raise OptionError(f"{key}: takes numbers or words, not {text}")
    return value
