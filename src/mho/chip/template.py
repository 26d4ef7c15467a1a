"""A preset as a chip file to start from: every value, with what it may be beside it, read from the specification."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mho.chip.quantity import limits
from mho.chip.roles import ROLES
from mho.chip.spec import ChipSpec, Dimension, Words, part_of
from mho.chip.store import chip_path, read_chip
from mho.chip.units import units_of

OWN = "mine"
"""The source that a template offers for values of the user's own."""
HEAD = """\
# {name}, begun as chip {preset} by `mho init chip`. Change what is yours; `mho show {file}` checks it and adds it up.
#   A number is {{value: 128, unit: rows, source: ID}}; a word is {{value: offset, source: ID}}.
#   ID is a key of `sources:` below, which says in words where a value is from. To add one, add a line there; a text that
#   begins with "assumption:" is repeated in every report that rests on it.
"""


def chip_template(preset: str, name: str, file: str) -> str:
    """Return a chip file that is equal to a preset, with comments. ChipError for a preset that there is not."""
    raw = read_chip(chip_path(preset))
    sources = {OWN: f"assumption: {name} is an example; say here where your values are from", **raw["sources"]}
    lines = [
        HEAD.format(name=name, preset=preset, file=file).rstrip("\n"),
        f"schema: {raw['schema']}",
        f"name: {_plain(name)}",
        f"description: {_plain(f'Like {preset}, until something is changed.')}",
        "sources:",
        *(f"  {key}: {json.dumps(text, ensure_ascii=False)}" for key, text in sources.items()),
        *_part(ChipSpec, raw, ""),
        "components:  # whose figures each part costs: technology/component, or none",
        *(f"  {role}: {_plain(use)}  # {_where(role)}" for role, use in raw["components"].items()),
    ]
    return "\n".join(lines) + "\n"


def _part(model: type[BaseModel], raw: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        part = part_of(field)
        if part is None and name in raw:
            yield from _field(name, field, raw[name], indent)
        elif part is None:
            yield f"# {indent}{name}: {{value: ..., source: {OWN}}}  # {allowed(field)}"
        elif name in raw:
            yield f"{indent}{name}:  # {_sentence(part)}"
            yield from _part(part, raw[name], f"{indent}  ")
        else:
            yield f"# {name}: {{{', '.join(part.model_fields)}}}  # not on this chip. {_sentence(part)}"


def _field(name: str, field: FieldInfo, value: Any, indent: str) -> Iterator[str]:
    if name == "banks":
        remark = (
            "one line a bank size, `count` where there are several; or {value: in_tiles}: none but the tile buffers"
        )
        if not isinstance(value, list):
            yield f"{indent}{name}: {_plain(value)}  # {remark}"
            return
        yield f"{indent}{name}:  # {remark}"
        yield from (f"{indent}  - {_plain(each)}" for each in value)
        return
    yield f"{indent}{name}: {_plain(value)}  # {allowed(field)}"


def allowed(field: FieldInfo) -> str:
    """Say what a field of a chip may be: "1 to 65536 rows", "time from 0 on, in ns, us, ms or s", "offset or flipped"."""
    dimension = next((mark.name for mark in field.metadata if isinstance(mark, Dimension)), None)
    words = next((mark.allowed for mark in field.metadata if isinstance(mark, Words)), ())
    told = [*words]
    if dimension is not None:
        units = units_of(dimension)
        within = limits(field.metadata)
        told.append(f"{within} {units[0]}" if len(units) == 1 else f"{within}, in {', '.join(units)}")
    return " or ".join(told)


def _sentence(model: type[BaseModel]) -> str:
    """Return the first sentence of what a part is."""
    return " ".join((model.__doc__ or "").split()).partition(". ")[0].removesuffix(".")


def _where(role: str) -> str:
    level = ROLES[role].level
    return f"{'off the chip' if level == 'board' else f'in each {level}'}; costs per {ROLES[role].per}"


def _plain(value: Any) -> str:
    """Write a value as YAML in one line."""
    return (
        yaml.safe_dump(value, default_flow_style=True, width=1_000_000, allow_unicode=True, sort_keys=False)
        .removesuffix("...\n")
        .strip()
    )
