"""Specifications in YAML: values with unit and source, read by the fields of frozen models, varied by dotted keys.

    array:
      rows: {value: 128, unit: rows, source: aras-table-2}

`source` names an entry of the file's own `sources:` table. A source whose text starts with "assumption:" is ours, says why, and
is repeated in every report that rests on it. A model's field says by a mark what it is: `Dimension` a number with a unit, `Words`
a choice. The mark reads the value, writes it where a value is replaced, and says in a template what is allowed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby
from numbers import Integral, Real
from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from mho.errors import MhoError, choices
from mho.units import SI_UNIT, to_si, units_of

LARGEST = 1e36
"""The largest number of a file that is no quantity with a unit, which has the range of its dimension."""
NEW_SOURCE = "a new source is a line under sources:, such as mine: 'assumption: why'"
"""How a source is added, told wherever one is missing."""

Kind = type[MhoError]
Model = TypeVar("Model", bound=BaseModel)


class Part(BaseModel):
    """What every part of a specification has: it is frozen, and refuses keys and types that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


@dataclass(frozen=True)
class Provenance:
    """Where a value comes from: value and unit as written in the file, and the full text of its source."""

    value: int | float | str | tuple[float, ...]
    unit: str
    source: str

    @property
    def assumed(self) -> bool:
        """Return True if the value is an assumption of ours."""
        return self.source.startswith("assumption:")


@dataclass(frozen=True)
class KnownModel(Generic[Model]):
    """A model that was read before, from what, and where each of its values comes from."""

    raw: Mapping[str, Any]
    model: Model
    provenance: Mapping[str, Provenance]

    @cached_property
    def by_field(self) -> Mapping[str, Mapping[str, Provenance]]:
        """The provenance of the values of each field."""
        return {
            name: dict(values) for name, values in groupby(self.provenance.items(), lambda item: item[0].split(".")[0])
        }


@dataclass(frozen=True)
class Document:
    """A file that is being read: its name, the error that what is wrong in it raises, and its sources by identifier.

    Every method raises that error, naming file and dotted key.
    """

    file: str
    error: Kind
    sources: Mapping[str, str]

    @classmethod
    def of(cls, file: str, raw: Any, error: Kind) -> Document:
        """Check the file's `sources:` table: words to texts that are not empty."""
        document = cls(file, error, {})
        table = document.mapping("sources", raw)
        for key, text in table.items():
            if not isinstance(text, str) or not text.strip():
                raise document.fail(f"sources.{key}", "must be the text of a citation, or 'assumption: ...'")
        return cls(file, error, {key: " ".join(text.split()) for key, text in table.items()})

    def fail(self, key: str, problem: str) -> MhoError:
        """Return the error that says what is wrong at a key."""
        return self.error(f"{self.file}: {key}: {problem}")

    def mapping(self, key: str, raw: Any) -> dict[str, Any]:
        """Return `raw` if it is a mapping with words as keys."""
        if not isinstance(raw, dict) or not all(isinstance(name, str) for name in raw):
            raise self.fail(key, f"must be a mapping with words as keys, not {shown(raw)}")
        return raw

    def check_keys(self, key: str, raw: Mapping[str, Any], needed: Iterable[str], optional: Iterable[str] = ()) -> None:
        """Refuse a key of `raw` that is not known, and one that is needed and missing."""
        needed = list(needed)
        known = [*needed, *optional]
        prefix = f"{key}." if key else ""
        for name in raw:
            if name not in known:
                raise self.fail(f"{prefix}{name}", f"unknown key; {choices(str(name), known)}")
        for name in needed:
            if name not in raw:
                raise self.fail(f"{prefix}{name}", f"missing; needed: {', '.join(needed)}")

    def number(self, key: str, raw: Any, largest: float = LARGEST) -> int | float:
        """Return `raw` if it is a number (1e9 is a word in YAML: write 1.0e+9) of at most `largest` in size."""
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            raise self.fail(key, f"must be a number, not {shown(raw)}")
        if isinstance(raw, float) and not math.isfinite(raw):
            raise self.fail(key, f"must be a finite number, not {raw}")
        if not -largest <= raw <= largest:
            raise self.fail(key, f"must be a number of at most {largest:g} in size, not {shown(raw)}")
        return raw

    def source(self, key: str, raw: Mapping[str, Any]) -> str:
        """Return the text of the source that the mapping at `key` names."""
        name = raw.get("source")
        if name is None:
            raise self.fail(key, f"source is missing; {choices('', self.sources)}; {NEW_SOURCE}")
        if not isinstance(name, str) or name not in self.sources:
            known = choices(str(name), self.sources)
            raise self.fail(f"{key}.source", f"unknown source {shown(name)}; {known}; {NEW_SOURCE}")
        return self.sources[name]

    def entry(self, key: str, raw: Any, form: str, optional: Iterable[str]) -> dict[str, Any]:
        """Return `raw` if it is a mapping with a `value`; `form` is what it should look like."""
        if not isinstance(raw, dict):
            known = choices("", self.sources) if self.sources else "none is there yet"
            raise self.fail(key, f"must be of the form {form}, not {shown(raw)}; ID: {known}; {NEW_SOURCE}")
        self.check_keys(key, self.mapping(key, raw), ("value",), optional)
        return raw

    def quantity(self, key: str, raw: Any, dimension: str, optional: Iterable[str] = ()) -> tuple[float, Provenance]:
        """Read `{value: 128, unit: rows, source: ID}` as a number in the SI unit of `dimension`."""
        form = f"{{value: {shown(raw)}, unit: {SI_UNIT[dimension]}, source: ID}}"
        entry = self.entry(key, raw, form, ("unit", "source", *optional))
        number = self.number(f"{key}.value", entry["value"], math.inf)
        text, unit = self.source(key, entry), entry.get("unit")
        if not isinstance(unit, str):
            raise self.fail(f"{key}.unit", f"missing; one of: {', '.join(units_of(dimension))}")
        value = to_si(number, unit, dimension, f"{self.file}: {key}", self.error)
        return value, Provenance(number, unit, text)

    def word(self, key: str, raw: Any, allowed: Iterable[str]) -> tuple[str, Provenance]:
        """Read `{value: word, source: ID}`, a choice among `allowed`."""
        names = list(allowed)
        entry = self.entry(key, raw, f"{{value: {raw if raw in names else names[0]}, source: ID}}", ("source",))
        word = entry["value"]
        if not isinstance(word, str) or word not in names:
            raise self.fail(key, f"{shown(word)} is not allowed; {choices(str(word), names)}")
        return word, Provenance(word, "", self.source(key, entry))

    def whole(self, key: str, number: float, unit: str) -> int:
        """Return a number that has no fraction."""
        if number != int(number):
            raise self.fail(key, f"must be a whole number of {unit}, not {number}")
        return int(number)

    def model(
        self, model: type[Model], raw: Mapping[str, Any], key: str = "", like: KnownModel[Model] | None = None
    ) -> tuple[Model, dict[str, Provenance]]:
        """Read all fields of a model, which stand at `key`, and where each of its values comes from, by dotted key.

        Of fields that are the very ones of what was read before (`like`), values and provenance are taken from there.
        """
        provenance: dict[str, Provenance] = {}
        values = self._part(key, raw, model, provenance, like)
        try:
            return model.model_validate(values), provenance
        except ValidationError as error:
            raise self.error(f"{self.file}: {f'{key}: ' * bool(key)}{one_line(error)}") from None

    def _part(
        self,
        prefix: str,
        raw: Mapping[str, Any],
        model: type[BaseModel],
        provenance: dict[str, Provenance],
        like: KnownModel[Any] | None = None,
    ) -> dict[str, Any]:
        optional = [name for name, field in model.model_fields.items() if not field.is_required()]
        self.check_keys(prefix, raw, [name for name in model.model_fields if name not in optional], optional)
        values: dict[str, Any] = {}
        for name, field in model.model_fields.items():
            key = f"{prefix}.{name}" if prefix else name
            if name in optional and name not in raw:
                continue
            if like is not None and like.raw.get(name) is raw[name]:
                values[name] = getattr(like.model, name)
                provenance |= like.by_field[name]
            elif (part := part_of(field)) is not None:
                values[name] = self._part(key, self.mapping(key, raw[name]), part, provenance)
            else:
                values[name], provenance[key] = mark_of(field).read(self, key, raw[name], field)
        return values


class Mark:
    """What a field of a model is, beside its type: how it is read from a file, replaced by a new value, and told of."""

    unit: str | None = None
    """The unit of a bare number that replaces a value, None where there is none."""
    several = False
    """True if the field takes a list of values."""
    numbers = True
    """True if its values are numbers, and so have an order."""
    whole = False
    """True if these are whole."""
    share = False
    """True if they are shares, which are looked for from 0 to 1."""

    def read(self, document: Document, key: str, raw: Any, field: FieldInfo) -> tuple[Any, Provenance]:
        """Read the value from a file."""
        raise NotImplementedError

    def write(self, value: Any, source: str) -> Any:
        """Return what stands in a file for a bare value."""
        if value is None:
            value = "ideal"
        unit = {} if isinstance(value, str) or self.unit is None else {"unit": self.unit}
        return {"value": plain(value), **unit, "source": source}

    def allowed(self, field: FieldInfo) -> str:
        """Say what a value may be."""
        raise NotImplementedError


@dataclass(frozen=True)
class Words(Mark):
    """Marks a field as a choice of words."""

    words: tuple[str, ...]
    numbers = False

    def read(self, document: Document, key: str, raw: Any, field: FieldInfo) -> tuple[Any, Provenance]:
        """Read one of the words."""
        return document.word(key, raw, self.words)

    def allowed(self, field: FieldInfo) -> str:
        """Return the words: "offset or flipped"."""
        return " or ".join(self.words)


@dataclass(frozen=True)
class Dimension(Mark):
    """Marks a field as a quantity of a dimension (see `mho.units.SI_UNIT`), or one of `words`, which is kept as None."""

    name: str
    words: tuple[str, ...] = ()

    @property
    def unit(self) -> str:  # type: ignore[override]
        """The SI unit."""
        return SI_UNIT[self.name]

    def read(self, document: Document, key: str, raw: Any, field: FieldInfo) -> tuple[Any, Provenance]:
        """Read a number in SI units, or None for a word."""
        if self.words and isinstance(raw, dict) and isinstance(raw.get("value"), str) and "unit" not in raw:
            return None, document.word(key, raw, self.words)[1]
        number, provenance = document.quantity(key, raw, self.name)
        kinds = (field.annotation, *get_args(field.annotation))
        value = document.whole(key, number, self.unit) if int in kinds else number
        check_limits(document, key, value, field)
        return value, provenance

    def allowed(self, field: FieldInfo) -> str:
        """Say range and units: "1 to 65536 rows", "from 0 on, in ns, us, ms or s"."""
        units, within = units_of(self.name), limits(field.metadata)
        number = f"{within} {units[0]}" if len(units) == 1 else f"{within}, in {', '.join(units)}"
        return " or ".join((*self.words, number))


def part_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a field that is a part, optional or not, or None where the field is a value."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def mark_of(field: FieldInfo) -> Mark:
    """Return the mark of a field."""
    return next(mark for mark in field.metadata if isinstance(mark, Mark))


@cache
def marks(model: type[BaseModel], prefix: str = "") -> Mapping[str, Mark]:
    """Return every dotted key of a model with its mark."""
    result: dict[str, Mark] = {}
    for name, field in model.model_fields.items():
        part = part_of(field)
        result |= {f"{prefix}{name}": mark_of(field)} if part is None else marks(part, f"{prefix}{name}.")
    return result


def varied(
    content: Mapping[str, Any],
    values: Mapping[str, Any],
    source: str,
    model: type[BaseModel],
    roles: Iterable[str],
    what: str,
    error: Kind,
) -> dict[str, Any]:
    """Return the content of a file with new values, in SI units, and components of `roles`, citing a new source.

    What does not change is the very same in both.
    """
    if not source.strip():
        raise error(f"override: source must say why the {what} is varied")
    number = 1
    while f"override-{number}" in content["sources"]:
        number += 1
    cited = f"override-{number}"
    content = {**content, "sources": {**content["sources"], cited: source}}
    known, parts = marks(model), [f"components.{role}" for role in roles]
    for key, value in values.items():
        *path, last = key.split(".")
        if key not in known and key not in parts:
            raise error(f"override: unknown key {key!r}; {choices(key, [*known, *parts])}")
        if isinstance(value, Sequence) and not isinstance(value, str) and not (key in known and known[key].several):
            only = ", ".join(name for name, mark in known.items() if mark.several) or "none"
            raise error(f"override: {key}: takes one value, not {shown(list(value))}; a list is for: {only}")
        place = content
        for name in path:
            # A part that is not there yet is added; whether it is then complete is checked with the whole.
            place[name] = dict(place.get(name, {}))
            place = place[name]
        place[last] = known[key].write(value, cited) if key in known else {"use": value, "source": cited}
    return content


def digest_of(content: Any) -> str:
    """Return the SHA-256 in hexadecimal of plain data."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def plain(value: Any) -> Any:
    """Return a number of numpy as one of Python, and anything else as it is."""
    if isinstance(value, bool):
        return value
    return int(value) if isinstance(value, Integral) else float(value) if isinstance(value, Real) else value


def _ends(marks: Iterable[Any]) -> dict[str, float]:
    return {name: getattr(mark, name) for mark in marks for name in ("ge", "gt", "le", "lt") if hasattr(mark, name)}


def check_limits(document: Document, key: str, number: float, field: FieldInfo) -> None:
    """Refuse a number outside what its field takes, saying all of that range."""
    ends = _ends(field.metadata)
    beyond = (
        number < ends.get("ge", number), number > ends.get("le", number),
        "gt" in ends and number <= ends["gt"], "lt" in ends and number >= ends["lt"],
    )  # fmt: skip
    if any(beyond):
        raise document.fail(key, f"must be {limits(field.metadata)}, not {number:g}")


def limits(marks: Iterable[Any]) -> str:
    """Say between which numbers a field is: "1 to 8", "above 0", "from 0 on"."""
    ends = _ends(marks)
    low, high = ends.get("ge", ends.get("gt")), ends.get("le", ends.get("lt"))
    if high is not None:
        upper = f"{high:,}" if isinstance(high, int) else f"{high:g}"
        return f"{'above ' * ('gt' in ends)}{low:g} to {upper}" if low is not None else f"up to {upper}"
    if low is None:
        return "any number"
    return f"above {low:g}" if "gt" in ends else f"from {low:g} on"


def one_line(error: ValidationError) -> str:
    """Say the first thing that a model refuses: where, what, and the value."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("constrained", "literal", "int")))
    text = first["msg"].removeprefix("Value error, ")
    message = f"{place}: {text[0].lower()}{text[1:]}"
    # A rule of our own says itself what is wrong.
    return f"{place}: {text}" if "error" in first.get("ctx", {}) else f"{message}, not {first['input']!r}"


def shown(raw: Any) -> str:
    """Return what stands in a file, cut to 40 characters."""
    text = repr(raw)
    return text if len(text) <= 40 else f"{text[:37]}..."
