"""Many designs of one network, as a person should see them: the best of each aim, and the front."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mho.engineering import quantity
from mho.report.sections import Figures, Section, Table, Tone, View

if TYPE_CHECKING:
    from mho.explore.exploration import Exploration


def _line(record: Mapping[str, Any], keys: list[str], aims: Mapping[str, str]) -> tuple[str, ...]:
    figures = ["–" if record[name] is None else quantity(record[name], unit) for name, unit in aims.items()]
    return (*(str(record["values"].get(key, "")) for key in keys), *figures, record["refused"] or "")


def view(exploration: Exploration) -> View:
    """Return the view of an exploration: points on the front stand out, refused ones say why."""
    records = exploration.records
    keys = list(dict.fromkeys(key for record in records for key in record["values"]))
    aims = {aim["field"]: aim["unit"] for aim in exploration.content["aims"]}
    front = {id(record) for record in exploration.front()}
    tones: dict[int, Tone] = {place: "strong" for place, record in enumerate(records) if id(record) in front}
    points = Table(
        title="Designs, those on the front set off",
        heads=(*keys, *(name.replace("_", " ") for name in aims), "refused"),
        lines=[_line(record, keys, aims) for record in records],
        names=max(len(keys), 1),
        prose=True,
        tones=tones,
    )
    sections: list[Section] = [
        Figures(title="What was found", rows=[(what, "", said) for what, said in exploration.facts()]),
        points,
    ]
    content = exploration.content
    return View(f"{', '.join(content['networks'])} on {content['chip']}: {content['judged']:,} designs", sections)
