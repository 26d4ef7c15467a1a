"""Device files: `schema: mho.device/1`, every number with a source that the file's own `sources:` table spells out.

Quantities are written as in chip files, `{value: 40, unit: uS, source: wan}`; numbers that depend on the state of the cell as
`{polynomial: [4.78, -0.0091], argument: {per: 1, unit: uS}, unit: uS, source: milo}` or `{points: [[0, 0.01], [1, 0.03]], ...}`.
Each part is read by its law (`laws`), whose fields are also the keys of variants.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mho.errors import DeviceError, choices
from mho.machine.analog.devices.curve import Window
from mho.machine.analog.devices.fields import FORMS, Amount, DeviceDocument, DeviceMark, Plain, Text
from mho.machine.analog.devices.laws import LAWS
from mho.machine.analog.devices.validity import Validity
from mho.quantity import Mark, marks

SCHEMA = "mho.device/1"
NEEDED = ("schema", "name", "description", "sources", "g_on_s", "validity")
SOURCE = "override"
"""The name under which changed numbers cite their source."""
NAMED = (*FORMS, "minimum", "maximum")
"""Keys of which every value has one."""
UNTOLD = ("schema", "name", "description", "sources")
HEAD: Mapping[str, DeviceMark] = {
    "name": Text(),
    "description": Text(),
    "g_on_s": Amount("conductance"),
    "g_off_s": Amount("conductance"),
    "on_off": Plain(1, unlimited="infinite"),
}


def keys() -> dict[str, Mark]:
    """Return the dotted keys that a variant may replace, each with what its value is."""
    laws = {key: mark for name, law in LAWS.items() for key, mark in marks(law, f"{name}.").items()}
    return {**HEAD, **laws, **marks(Validity, "validity.")}


def read_device(file: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Read a file's mapping as the fields of a `Device`; raises DeviceError naming file and key where it is wrong."""
    document = DeviceDocument(file, DeviceError, {})
    raw = document.mapping("the device", dict(content))
    if raw.get("schema") != SCHEMA:
        raise document.fail("schema", f"must be {SCHEMA}, not {raw.get('schema')!r}")
    document.check_keys("", raw, NEEDED, ("g_off_s", "on_off", *LAWS))
    document = DeviceDocument(file, DeviceError, DeviceDocument.of(file, raw["sources"], DeviceError).sources)
    name, description = (HEAD[key].value(document, key, raw[key]) for key in ("name", "description"))
    validity = document.law(Validity, "validity", raw["validity"])
    window = _window(document, raw, validity)
    document = replace(document, window=window)
    laws = {key: law for key, kind in LAWS.items() if key in raw and (law := kind.read(document, key, raw[key]))}
    for law in laws.values():
        law.check(document, laws, validity)
    return {"name": name, "description": description, "window": window, "laws": laws, "validity": validity}


def _window(document: DeviceDocument, raw: Mapping[str, Any], validity: Validity) -> Window:
    on = HEAD["g_on_s"].value(document, "g_on_s", raw["g_on_s"])
    if ("g_off_s" in raw) == ("on_off" in raw):
        raise document.fail("g_off_s", "give either g_off_s or on_off")
    if "g_off_s" in raw:
        off = HEAD["g_off_s"].value(document, "g_off_s", raw["g_off_s"])
    else:
        # 0 for a ratio that is infinite.
        off = on / HEAD["on_off"].value(document, "on_off", raw["on_off"])
    lowest, highest = validity.conductance_s
    # A hair's breadth: g_on_s / on_off need not be the very float that the limit is.
    slack = 1e-12 * on
    if not 0 <= off < on:
        raise document.fail("g_off_s", f"must be from 0 to below g_on_s, {on:g} S, not {off:g} S")
    if off < lowest - slack or on > highest + slack:
        given = f"g_off_s to g_on_s, {off:g} to {on:g} S,"
        raise document.fail("g_on_s", f"{given} leaves validity.conductance_s, {lowest:g} to {highest:g} S")
    return Window(on, off)


def varied(content: Mapping[str, Any], values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the content of a file with new values in place; raises DeviceError for an unknown key. The reader checks the rest."""
    result = copy.deepcopy(dict(content))
    sources = result["sources"]
    name, number = SOURCE, 1
    while sources.get(name, source) != source:
        number += 1
        name = f"{SOURCE}-{number}"
    known = keys()
    given = {key: value.item() if isinstance(value, np.generic) else value for key, value in values.items()}
    for key, value in given.items():
        if key not in known:
            raise DeviceError(f"override: unknown key {key!r}; {choices(str(key), known)}")
        head, _, tail = key.partition(".")
        new = _entry(known[key], key, value, name)
        if tail:
            result[head] = {**result.get(head, {}), tail: new}
        else:
            result[head] = new
            if head in ("on_off", "g_off_s"):
                result.pop("g_off_s" if head == "on_off" else "on_off", None)
        if isinstance(new, Mapping) and new["source"] == name:
            sources[name] = source
    for head, law in LAWS.items():
        own = {key.removeprefix(f"{head}."): value for key, value in given.items() if key.startswith(f"{head}.")}
        if own:
            law.mend(content.get(head, {}), result[head], own)
    return result


def _entry(mark: Mark, key: str, value: Any, source: str) -> Any:
    """Return what stands in the file for a bare value, or for a mapping, which is taken as it is but for its source."""
    if isinstance(value, Mapping):
        return {**copy.deepcopy(dict(value)), "source": value.get("source", source)}
    try:
        return mark.write(value, source)
    except ValueError as error:
        raise DeviceError(f"override: {key}: {error}") from None


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
    form = next(form for form in FORMS if form in leaf)
    limits = f", within {leaf['limits'][0]} and {leaf['limits'][1]}" if "limits" in leaf else ""
    return f"{form} {', '.join(map(str, leaf[form]))} of {of}{limits}"
