"""A device file to start from: an ideal cell, and every law with its keys, commented out, read from the laws' fields."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mho.machine.analog.devices.fields import Curved
from mho.machine.analog.devices.laws import LAWS
from mho.machine.analog.devices.reader import SCHEMA
from mho.machine.analog.devices.validity import Validity
from mho.quantity import Words, mark_of

OWN = "mine"
HEAD = """\
# A device, begun by `mho init device`: a cell that conducts what it should. Take in what yours does (remove the #).
# Use it: mho accuracy MODEL --data FILE.npz --set device={file}
#   A number is {{value: 40, unit: uS, source: ID}}; one that goes by the level {{polynomial: [0.4, 0.1], unit: range, source: ID}},
#   or {{points: [[0, 0.1], [1, 0.2]], unit: range, source: ID}}. ID is a key of sources.
schema: {schema}
name: {name}
description: A cell to start from.
sources:
  mine: "assumption: an example; say here where your values are from"
g_on_s: {{value: 100, unit: uS, source: mine}}  # conductance of the highest level
g_off_s: {{value: 1, unit: uS, source: mine}}  # of level 0; or on_off: {{value: 100, source: mine}}
validity:  # what is beyond these limits is refused
  conductance_s: {{minimum: 0, maximum: 1, unit: S, source: mine}}
  temperature_k: {{minimum: 0, maximum: unlimited, source: mine}}
  cell_bits: {{value: 8, source: mine}}
  age_s: {{value: unlimited, source: mine}}
  writes: {{value: unlimited, source: mine}}
"""


def device_template(name: str, file: str) -> str:
    """Return a device file of an ideal cell, with every law as comments."""
    assert set(Validity.model_fields) == {"conductance_s", "temperature_k", "cell_bits", "age_s", "writes"}
    lines = [HEAD.format(name=name, file=file, schema=SCHEMA).rstrip("\n")]
    for key, law in LAWS.items():
        lines += [
            f"# {key}:  # {' '.join((law.__doc__ or '').split()).partition('. ')[0].removesuffix('.')}",
            *_keys(law),
        ]
    return "\n".join(lines) + "\n"


def _keys(law: type[BaseModel]) -> Iterator[str]:
    for key, field in law.model_fields.items():
        remarks = [text for text in (field.description, mark_of(field).allowed(field)) if text]
        yield f"#   {key}: {_example(field)}  # {'; '.join(remarks)}"


def _example(field: FieldInfo) -> str:
    mark = mark_of(field)
    value: object = 1
    if isinstance(mark, Words):
        # The first may be that there is no such effect.
        value = next(word for word in mark.words if word != "none")
    elif isinstance(mark, Curved) or mark.share:
        value = 0
    unit = f", unit: {mark.unit}" if mark.unit else ""
    return f"{{value: {value}{unit}, source: {OWN}}}"
