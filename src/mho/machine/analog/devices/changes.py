"""Variants of a device: dotted keys to new values, written into the content of its file."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from mho.errors import DeviceError, choices

SOURCE = "override"
"""The name under which changed numbers cite their source."""

FORMS: dict[str, str] = {
    "name": "text",
    "description": "text",
    "g_on_s": "S",
    "g_off_s": "S",
    "on_off": "plain",
    "programming.kind": "plain",
    "programming.sigma": "variation",
    "programming.shift": "variation",
    "verify.iterations": "plain",
    "verify.tolerance": "range",
    "read.sigma": "range",
    "stuck.on_share": "plain",
    "stuck.off_share": "plain",
    "drift.t0_s": "s",
    "drift.nu": "number",
    "drift.nu_spread": "number",
    "relaxation.t0_s": "s",
    "relaxation.sigma": "range",
    "relaxation.sigma_per_log": "range",
    "relaxation.shift": "range",
    "relaxation.shift_per_log": "range",
    "endurance.kind": "plain",
    "endurance.median": "plain",
    "endurance.spread": "plain",
    "endurance.mode": "plain",
    "validity.cell_bits": "plain",
    "validity.age_s": "s",
    "validity.writes": "plain",
    "validity.conductance_s": "whole",
    "validity.temperature_k": "whole",
}
"""Key to how a bare value is written: with which unit, without one (plain), as it is (text), or not at all (whole)."""


def changed(content: Mapping[str, Any], values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the content with the values in place; DeviceError for an unknown key. The reader checks the rest."""
    result = copy.deepcopy(dict(content))
    sources = result["sources"]
    name, number = SOURCE, 1
    while sources.get(name, source) != source:
        number += 1
        name = f"{SOURCE}-{number}"
    kinds = _kind(content), str(_plain(values.get("programming.kind", _kind(content))))
    cited = False
    for key, given in values.items():
        value = given.item() if isinstance(given, np.generic) else given
        if key not in FORMS:
            raise DeviceError(f"override: unknown key {key!r}; {choices(str(key), FORMS)}")
        head, _, tail = key.partition(".")
        if isinstance(value, Mapping):
            new = copy.deepcopy(dict(value))
            if "source" not in new:
                new, cited = {**new, "source": name}, True
        elif FORMS[key] == "text":
            new = value
        else:
            new, cited = _quantity(key, value, name, kinds[1]), True
        if tail:
            part = result.get(head, {})
            result[head] = {**part, tail: new}
        else:
            result[head] = new
            if head in ("on_off", "g_off_s"):
                result.pop("g_off_s" if head == "on_off" else "on_off", None)
    if kinds[0] != kinds[1]:
        _follow(result, values, kinds[1])
    if cited:
        sources[name] = source
    return result


def _quantity(key: str, value: Any, source: str, kind: str) -> dict[str, Any]:
    form = FORMS[key]
    if form == "whole":
        raise DeviceError(f"override: {key}: give a mapping with minimum, maximum and unit, not {value!r}")
    if form == "variation":
        form = "log" if kind == "lognormal" else "range"
    if form == "plain" or value == "unlimited":
        return {"value": value, "source": source}
    return {"value": value, "unit": form, "source": source}


def _kind(content: Mapping[str, Any]) -> str:
    return str(content.get("programming", {}).get("kind", {}).get("value", "none"))


def _plain(value: Any) -> Any:
    return value.get("value") if isinstance(value, Mapping) else value


def _follow(result: dict[str, Any], values: Mapping[str, Any], kind: str) -> None:
    """Let sigma and shift follow a new kind: gone with none; zeros take its unit, others must be given anew."""
    part = result["programming"]
    for key in ("sigma", "shift"):
        if f"programming.{key}" in values or key not in part:
            continue
        if kind == "none":
            del part[key]
        elif part[key].get("value") == 0:
            part[key] = {**part[key], "unit": "log" if kind == "lognormal" else "range"}
        else:
            raise DeviceError(
                f"override: programming.kind: give programming.{key} too, for it means another thing in {kind}"
            )
