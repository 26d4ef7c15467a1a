"""From the raw mapping of a chip file to a checked specification, with the provenance of every value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from mho.chip.coding import Coding
from mho.chip.quantity import Provenance, Sources, as_mapping, check_keys, check_limits, read_number, read_word
from mho.chip.spec import ArraySpec, BufferSpec, ChipSpec, Dimension, Words, part_of
from mho.chip.units import SI_UNIT
from mho.errors import ChipError

INPUT_BITS = 8
WEIGHT_BITS = 8
IN_TILES = "in_tiles"


@dataclass(frozen=True)
class Reading:
    """A checked specification, and where each of its values comes from."""

    spec: ChipSpec
    provenance: Mapping[str, Provenance]


def read_spec(file: str, raw: Mapping[str, Any], sources: Sources) -> Reading:
    """Read the quantities of a chip (`raw` holds the fields of ChipSpec and nothing else)."""
    provenance: dict[str, Provenance] = {}
    values = _read_part(file, "", raw, ChipSpec, sources, provenance)
    try:
        spec = ChipSpec.model_validate(values)
    except ValidationError as error:
        raise ChipError(f"{file}: {_one_line(error)}") from None
    _check_array(file, spec.array)
    return Reading(spec, provenance)


def _read_part(
    file: str,
    prefix: str,
    raw: Mapping[str, Any],
    model: type[BaseModel],
    sources: Sources,
    provenance: dict[str, Provenance],
) -> dict[str, Any]:
    optional = [name for name, field in model.model_fields.items() if not field.is_required()]
    check_keys(file, prefix, raw, [name for name in model.model_fields if name not in optional], optional)
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if name in optional and name not in raw:
            continue
        key = f"{prefix}.{name}" if prefix else name
        part = part_of(field)
        if part is not None:
            nested = as_mapping(file, key, raw[name])
            values[name] = _read_part(file, key, nested, part, sources, provenance)
        elif model is BufferSpec and name == "banks":
            values[name], provenance[key] = _read_banks(file, key, raw[name], sources)
        else:
            values[name], provenance[key] = _read_field(file, key, raw[name], field, sources)
    return values


def _read_field(
    file: str, key: str, raw: Any, field: FieldInfo, sources: Sources
) -> tuple[float | str | None, Provenance]:
    dimension = next((mark.name for mark in field.metadata if isinstance(mark, Dimension)), None)
    words = next((mark.allowed for mark in field.metadata if isinstance(mark, Words)), ())
    if dimension is None:
        return read_word(file, key, raw, words, sources)
    if words and isinstance(raw, dict) and isinstance(raw.get("value"), str) and "unit" not in raw:
        word, found = read_word(file, key, raw, words, sources)
        return None, Provenance(word, "", found.source)
    number, found = read_number(file, key, raw, dimension, sources)
    value = _whole(file, key, number, dimension) if field.annotation is int else number
    check_limits(file, key, value, field)
    return value, found


def _read_banks(file: str, key: str, raw: Any, sources: Sources) -> tuple[tuple[int, ...] | None, Provenance]:
    """Read a list of bank sizes, each with a `count` if there are several, or the word `in_tiles`."""
    if isinstance(raw, dict):
        word, found = read_word(file, key, raw, (IN_TILES,), sources)
        return None, Provenance(word, "", found.source)
    if not isinstance(raw, list) or not raw:
        raise ChipError(f"{file}: {key}: must be a list of bank sizes, or {{value: {IN_TILES}, source: ...}}")
    sizes: list[int] = []
    texts: dict[str, None] = {}
    for index, entry in enumerate(raw):
        where = f"{key}.{index}"
        number, found = read_number(file, where, entry, "bytes", sources, optional=("count",))
        count = entry.get("count", 1)
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 1_000_000:
            raise ChipError(f"{file}: {where}.count: must be a whole number from 1 on, not {count!r}")
        sizes += [_whole(file, where, number, "bytes")] * count
        texts[found.source] = None
    return tuple(sizes), Provenance(tuple(sizes), SI_UNIT["bytes"], "; ".join(texts))


def _whole(file: str, key: str, number: float, dimension: str) -> int:
    if number != int(number):
        raise ChipError(f"{file}: {key}: must be a whole number of {SI_UNIT[dimension]}, not {number}")
    return int(number)


def _check_array(file: str, array: ArraySpec) -> None:
    """Refuse arrays whose parts do not fit one another."""
    coding = Coding(array.coding, WEIGHT_BITS, array.cell_bits)
    cells, conversions = coding.cells, coding.conversions(array.columns)
    converted = "pairs of columns" if coding.pairs else "columns"
    for key, wrong, text in (
        ("adcs", array.adcs > conversions, f"more ADCs ({array.adcs}) than {converted} ({conversions})"),
        (
            "columns",
            array.columns < cells,
            f"{array.columns} columns hold no {WEIGHT_BITS}-bit weight; at least {cells} in coding {array.coding}",
        ),
        (
            "pulses_full_range",
            array.pulses_full_range < 2**array.cell_bits - 1,
            f"{array.pulses_full_range} pulses cannot tell {2**array.cell_bits} levels apart; "
            f"at least {2**array.cell_bits - 1}",
        ),
    ):
        if wrong:
            raise ChipError(f"{file}: array.{key}: {text}")


def _one_line(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}, not {first['input']!r}"
