"""A quantity of a YAML file: `{value: 128, unit: rows, source: aras-table-2}`, checked and converted to SI.

`source` names an entry of the file's own top-level `sources:` table. A source whose text starts with
"assumption:" is ours, says why, and is repeated in every report that rests on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from mho.chip.units import SI_UNIT, to_si, units_of
from mho.errors import ChipError, choices

LARGEST = 1e36
"""The largest number of a file that is no quantity with a unit, which has the range of its dimension."""


@dataclass(frozen=True)
class Provenance:
    """Where a value comes from: value and unit as written in the file, and the full text of its source."""

    value: int | float | str | tuple[float, ...]
    unit: str
    source: str

    @property
    def assumed(self) -> bool:
        """Whether the value is an assumption of ours."""
        return self.source.startswith("assumption:")


NEW_SOURCE = "a new source is a line under sources:, such as mine: 'assumption: why'"
"""How a source is added, told wherever one is missing."""


@dataclass(frozen=True)
class Sources:
    """The `sources:` table of one file."""

    file: str
    texts: Mapping[str, str]

    @classmethod
    def of(cls, file: str, raw: Any) -> Sources:
        """Check a `sources:` table: words to texts that are not empty."""
        table = as_mapping(file, "sources", raw)
        for key, text in table.items():
            if not isinstance(text, str) or not text.strip():
                raise ChipError(f"{file}: sources.{key}: must be the text of a citation, or 'assumption: ...'")
        return cls(file, {key: " ".join(text.split()) for key, text in table.items()})

    def text(self, key: str, raw: Mapping[str, Any]) -> str:
        """Return the text of the source that the mapping at dotted `key` names; raise ChipError where it
        names none.
        """
        name = raw.get("source")
        if name is None:
            raise ChipError(f"{self.file}: {key}: source is missing; {choices('', self.texts)}; {NEW_SOURCE}")
        if not isinstance(name, str) or name not in self.texts:
            known = choices(str(name), self.texts)
            raise ChipError(f"{self.file}: {key}.source: unknown source {_show(name)}; {known}; {NEW_SOURCE}")
        return self.texts[name]


def as_mapping(file: str, key: str, raw: Any) -> dict[str, Any]:
    """Return `raw` as a mapping with words as keys, or raise ChipError."""
    if not isinstance(raw, dict) or not all(isinstance(name, str) for name in raw):
        raise ChipError(f"{file}: {key}: must be a mapping with words as keys, not {_show(raw)}")
    return raw


def check_keys(
    file: str, key: str, raw: Mapping[str, Any], needed: Iterable[str], optional: Iterable[str] = ()
) -> None:
    """Raise ChipError for a key of `raw` that is not known, and for a needed one that is missing."""
    needed = list(needed)
    known = [*needed, *optional]
    prefix = f"{key}." if key else ""
    for name in raw:
        if name not in known:
            raise ChipError(f"{file}: {prefix}{name}: unknown key; {choices(name, known)}")
    for name in needed:
        if name not in raw:
            raise ChipError(f"{file}: {prefix}{name}: missing; needed: {', '.join(needed)}")


def as_number(file: str, key: str, raw: Any, largest: float = LARGEST) -> int | float:
    """Return `raw` if it is a number (1e9 is a word in YAML: write 1.0e+9) of at most `largest` in size, or raise ChipError."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise ChipError(f"{file}: {key}: must be a number, not {_show(raw)}")
    if isinstance(raw, float) and not math.isfinite(raw):
        raise ChipError(f"{file}: {key}: must be a finite number, not {raw}")
    if not -largest <= raw <= largest:
        raise ChipError(f"{file}: {key}: must be a number of at most {largest:g} in size, not {_show(raw)}")
    return raw


def read_number(
    file: str, key: str, raw: Any, dimension: str, sources: Sources, optional: Iterable[str] = ()
) -> tuple[float, Provenance]:
    """Read one quantity as a number in the SI unit of `dimension`, with its provenance."""
    if not isinstance(raw, dict):
        form = f"{{value: {_show(raw)}, unit: {SI_UNIT[dimension]}, source: ID}}"
        raise ChipError(
            f"{file}: {key}: must be of the form {form}, not {_show(raw)}; ID: {_ids(sources)}; {NEW_SOURCE}"
        )
    mapping = as_mapping(file, key, raw)
    check_keys(file, key, mapping, ("value",), ("unit", "source", *optional))
    number = as_number(file, f"{key}.value", mapping["value"], math.inf)
    text = sources.text(key, mapping)
    unit = mapping.get("unit")
    if not isinstance(unit, str):
        raise ChipError(f"{file}: {key}.unit: missing; one of: {', '.join(units_of(dimension))}")
    return to_si(number, unit, dimension, f"{file}: {key}"), Provenance(number, unit, text)


def read_word(file: str, key: str, raw: Any, allowed: Iterable[str], sources: Sources) -> tuple[str, Provenance]:
    """Read a choice `{value: word, source: id}`."""
    names = list(allowed)
    if not isinstance(raw, dict):
        form = f"{{value: {raw if raw in names else names[0]}, source: ID}}"
        raise ChipError(
            f"{file}: {key}: must be of the form {form}, not {_show(raw)}; ID: {_ids(sources)}; {NEW_SOURCE}"
        )
    mapping = as_mapping(file, key, raw)
    check_keys(file, key, mapping, ("value",), ("source",))
    word = mapping["value"]
    if not isinstance(word, str) or word not in names:
        raise ChipError(f"{file}: {key}: {_show(word)} is not allowed; {choices(str(word), names)}")
    return word, Provenance(word, "", sources.text(key, mapping))


def _ids(sources: Sources) -> str:
    return choices("", sources.texts) if sources.texts else "none is there yet"


def check_limits(file: str, key: str, number: float, field: FieldInfo) -> None:
    """Raise ChipError where a number is outside what its field takes, saying all of that range."""
    known = {
        name: getattr(mark, name) for mark in field.metadata for name in ("ge", "gt", "le", "lt") if hasattr(mark, name)
    }
    beyond = (
        number < known.get("ge", number), number > known.get("le", number),
        "gt" in known and number <= known["gt"], "lt" in known and number >= known["lt"],
    )  # fmt: skip
    if any(beyond):
        raise ChipError(f"{file}: {key}: must be {limits(field.metadata)}, not {number:g}")


def limits(marks: list[Any]) -> str:
    """Say between which numbers a field is: "1 to 8", "above 0", "from 0 on"."""
    known = {name: getattr(mark, name) for mark in marks for name in ("ge", "gt", "le", "lt") if hasattr(mark, name)}
    low, high = known.get("ge", known.get("gt")), known.get("le", known.get("lt"))
    if high is not None:
        upper = f"{high:,}" if isinstance(high, int) else f"{high:g}"
        return f"{'above ' * ('gt' in known)}{low:g} to {upper}" if low is not None else f"up to {upper}"
    if low is None:
        return "any number"
    return f"above {low:g}" if "gt" in known else f"from {low:g} on"


def _show(raw: Any) -> str:
    text = repr(raw)
    return text if len(text) <= 40 else f"{text[:37]}..."
