"""A device as records for people: every value as its file gives it, with the text of its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NAMED = ("value", "minimum", "maximum", "polynomial", "points")
"""Keys of which every value has one."""
UNTOLD = ("schema", "name", "description", "sources")


def values(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one record a value of a device's file: `key`, `value`, `unit` and `source`."""
    sources = content["sources"]
    return [
        {
            "key": key,
            "value": _written(leaf),
            "unit": leaf.get("unit", ""),
            "source": " ".join(str(sources.get(leaf.get("source"), "")).split()),
        }
        for key, leaf in _leaves("", {key: value for key, value in content.items() if key not in UNTOLD})
    ]


def _leaves(prefix: str, content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, value in content.items():
        # Points are numbers of a curve, or values each with a time of its own.
        parts = value.get("points") if isinstance(value, Mapping) else None
        if isinstance(parts, list) and isinstance(parts[0], Mapping):
            yield from _leaves(f"{prefix}{key}.points.", {str(place): part for place, part in enumerate(parts)})
        elif any(name in value for name in NAMED):
            yield f"{prefix}{key}", value
        else:
            yield from _leaves(f"{prefix}{key}.", value)


def _written(leaf: Mapping[str, Any]) -> Any:
    if "value" in leaf:
        return leaf["value"]
    if "minimum" in leaf:
        return f"{leaf['minimum']} to {leaf['maximum']}"
    argument = leaf.get("argument")
    of = "the state, 0 to 1" if not isinstance(argument, Mapping) else f"G / ({argument['per']} {argument['unit']})"
    if "points" in leaf:
        return f"{', '.join(f'{at}: {value}' for at, value in leaf['points'])} over {of}"
    return f"polynomial {', '.join(map(str, leaf['polynomial']))} of {of}"
