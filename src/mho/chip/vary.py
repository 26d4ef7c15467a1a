"""A chip varied in Python: the chip's own description with some quantities replaced, to be checked anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from pydantic import BaseModel

from mho.chip.roles import ROLES
from mho.chip.spec import ChipSpec, Dimension, part_of
from mho.chip.store import read_technology
from mho.chip.units import SI_UNIT
from mho.errors import ChipError, choices

BANKS = "buffer.banks"
"""The one key that holds several values."""


def leaves(model: type[BaseModel] = ChipSpec, prefix: str = "") -> dict[str, str | None]:
    """Return every dotted key of a chip with its SI unit, or None where its value is a word."""
    found: dict[str, str | None] = {}
    for name, field in model.model_fields.items():
        part = part_of(field)
        if part is not None:
            found |= leaves(part, f"{prefix}{name}.")
        else:
            dimension = next((mark.name for mark in field.metadata if isinstance(mark, Dimension)), None)
            found[f"{prefix}{name}"] = SI_UNIT[dimension] if dimension else None
    found |= {BANKS: SI_UNIT["bytes"]} if not prefix else {}
    return found


def vary(content: dict[str, Any], values: Mapping[str, Any], source: str, name: str) -> dict[str, Any]:
    """Return a chip's description (`Chip.to_dict`) with quantities in SI units and components replaced."""
    if not source.strip():
        raise ChipError("override: source must say why the chip is varied")
    number = 1
    while f"override-{number}" in content["sources"]:
        number += 1
    identifier = f"override-{number}"
    content["name"] = name
    content["sources"][identifier] = source
    units = leaves()
    for key, value in values.items():
        head, _, role = key.partition(".")
        if head == "components" and role in ROLES:
            content["components"][role] = {"use": value, "source": identifier}
            technology = str(value).partition("/")[0]
            if technology != "none" and not _has(content, technology, str(value).partition("/")[2] or role):
                content["technologies"][technology] = dict(read_technology(technology, f"override: {key}", None).raw)
            continue
        if key not in units:
            roles = [f"components.{name}" for name in ROLES]
            raise ChipError(f"override: unknown key {key!r}; {choices(key, [*units, *roles])}")
        if isinstance(value, Sequence) and not isinstance(value, str) and key != BANKS:
            raise ChipError(f"override: {key}: takes one value, not a list of {len(value)}; only {BANKS} takes a list")
        *path, last = key.split(".")
        place = content
        for part in path:
            # A part that the chip has not yet is added; whether it is then complete is checked with the chip.
            place = place.setdefault(part, {})
        place[last] = _entry(value, units[key], identifier)
    return content


def _has(content: Mapping[str, Any], technology: str, component: str) -> bool:
    return component in content["technologies"].get(technology, {}).get("components", {})


def _entry(value: Any, unit: str | None, identifier: str) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_entry(item, unit, identifier) for item in value]
    if isinstance(value, Integral) and not isinstance(value, bool):
        value = int(value)
    elif isinstance(value, Real) and not isinstance(value, bool):
        value = float(value)
    if value is None:
        return {"value": "ideal", "source": identifier}
    if isinstance(value, str) or unit is None:
        return {"value": value, "source": identifier}
    return {"value": value, "unit": unit, "source": identifier}
