"""An analog file to start from: every key with its value where nothing is said, and what it means, read from the models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from mho.machine.analog.devices import Device
from mho.machine.analog.spec import SCHEMA, Adc, Analog, Wires

HEAD = """\
# The analog side of a chip, written by `mho init analog`: converters, cells, wires. What is not given is as it stands here.
# Use it: mho accuracy MODEL --data FILE.npz --analog {file}
"""
EXAMPLES = {"limit": 63, "percentile": 99.9, "effective_bits": 5.5, "writes": 10000, "row_ohm": 1.0, "column_ohm": 1.0}
"""Values of keys that have none where nothing is said."""


def analog_template(name: str, file: str) -> str:
    """Return an analog file that changes nothing, with comments; lines that begin with # may be taken in."""
    lines = [HEAD.format(file=file).rstrip("\n"), f"schema: {SCHEMA}", f"name: {json.dumps(name)}", "adc:"]
    lines += _keys(Adc, "  ")
    lines += [f"device: generic  # {_described(Analog, 'device')}: {', '.join(Device.presets())}"]
    lines += _keys(Analog, "", only=("age_s", "writes", "pedestal", "seed"))
    lines += [
        "# wires:  # where they are not given, wires have no resistance",
        *(f"# {line}" for line in _keys(Wires, "  ")),
    ]
    return "\n".join(lines) + "\n"


def _described(model: type[BaseModel], key: str) -> str:
    return model.model_fields[key].description or ""


def _keys(model: type[BaseModel], indent: str, only: tuple[str, ...] | None = None) -> Iterator[str]:
    for key, field in model.model_fields.items():
        if only is not None and key not in only:
            continue
        open_ = field.is_required() or field.default is None
        value = json.dumps(EXAMPLES[key] if open_ else field.default).strip('"')
        out = "# " if open_ and not field.is_required() else ""
        words = _words(field.annotation)
        comments = [text for text in (_described(model, key), f"one of: {', '.join(words)}" if words else "") if text]
        yield f"{indent}{out}{key}: {value}  # {'; '.join(comments)}"


def _words(annotation: Any) -> tuple[str, ...]:
    """Return the words that a field takes, where words are all that it takes."""
    return tuple(map(str, get_args(annotation))) if get_origin(annotation) is Literal else ()
