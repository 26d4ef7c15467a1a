"""A preset as a chip file to start from: every value, with what it may be beside it, read from the specification."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from mho.chip.roles import ROLES
from mho.chip.spec import ChipSpec
from mho.chip.store import PRESETS, read_chip
from mho.quantity import mark_of, part_of

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
    raw = read_chip(PRESETS.path(preset))
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
        *(
            f"#   {role}: {{use: ..., source: {OWN}}}  # {_where(role)}"
            for role in ROLES
            if role not in raw["components"] and ROLES[role].part in (None, *raw)
        ),
    ]
    return "\n".join(lines) + "\n"


def _part(model: type[BaseModel], raw: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        part = part_of(field)
        if part is None:
            remark = mark_of(field).allowed(field)
            if name not in raw:
                yield f"# {indent}{name}: {{value: ..., source: {OWN}}}  # {remark}"
            elif isinstance(raw[name], list):
                yield f"{indent}{name}:  # {remark}"
                yield from (f"{indent}  - {_plain(entry)}" for entry in raw[name])
            else:
                yield f"{indent}{name}: {_plain(raw[name])}  # {remark}"
        elif name in raw:
            yield f"{indent}{name}:  # {_sentence(part)}"
            yield from _part(part, raw[name], f"{indent}  ")
        else:
            yield f"# {name}: {{{', '.join(part.model_fields)}}}  # not on this chip. {_sentence(part)}"


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
