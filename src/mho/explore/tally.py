"""What a search has found so far, in columns: the front, what decides, what was refused, and the points that are shown."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mho.explore.exploration import objective_of
from mho.explore.front import Front, decades, hypervolume, importance
from mho.explore.objectives import Limit, Objective
from mho.explore.search import Trial
from mho.explore.space import Space
from mho.explore.walk import Found

SHOWN = 20_000
"""Points that an exploration holds; of more, those of the front and others spread evenly."""


class Tally:
    """Designs counted as they come, in memory of a few numbers a design.

    fields: the figures of a record; of these those of the aims are what is minimised, those of the limits what is limited.
    """

    def __init__(self, space: Space, fields: Sequence[str], aims: Sequence[Objective], limits: Sequence[Limit]) -> None:
        self.space = space
        self.aims = [field for aim in aims for field in fields if _bears(field, aim)]
        self._limits = [(limit, [field for field in fields if _bears(field, limit.objective)]) for limit in limits]
        self.front = Front(len(self.aims))
        self.refused: dict[str, dict[str, Any]] = {}
        self._indices, self._costs, self._legal = array("l"), array("d"), array("b")

    def __len__(self) -> int:
        """Count the designs."""
        return len(self._legal)

    def costs(self, record: Mapping[str, Any]) -> tuple[float, ...]:
        """Return the aims of a record so that less is better."""
        return tuple(objective_of(field).cost(record[field]) for field in self.aims)

    def excess(self, record: Mapping[str, Any]) -> dict[str, float]:
        """Return the limits that a record breaks, each with the share by which."""
        broken = {limit.objective.name: sum(limit.excess(record[f]) for f in fields) for limit, fields in self._limits}
        return {name: excess for name, excess in broken.items() if excess > 0}

    def trial(self, found: Found) -> Trial:
        """Return what a search is told of a design."""
        if found.record["refused"] is not None:
            return Trial(found.indices, None, 0.0)
        return Trial(found.indices, self.costs(found.record), sum(self.excess(found.record).values()))

    def add(self, found: Found) -> None:
        """Count a design."""
        record, refused = found.record, found.record["refused"] is not None
        legal = not refused and not self.excess(record)
        costs = (math.nan,) * len(self.aims) if refused else self.costs(record)
        self._indices.extend(found.indices)
        self._costs.extend(costs)
        self._legal.append(legal)
        if legal:
            self.front.add(found.number, costs)
        if refused:
            entry = self.refused.setdefault(
                record["reason"], {"reason": record["reason"], "count": 0, "example": found.number}
            )
            entry["count"] += 1

    def point(self, found: Found) -> dict[str, Any]:
        """Return what is shown of a design."""
        record = found.record
        breaks = [] if record["refused"] is not None else list(self.excess(record))
        return {"number": found.number, "values": self.space.values(found.indices), **record, "breaks": breaks}

    def shown(self) -> list[int]:
        """Return the numbers of the designs that are shown: all, or those of the front and others spread evenly."""
        if len(self) <= SHOWN:
            return list(range(len(self)))
        spread = range(0, len(self), -(-len(self) // SHOWN))
        return sorted({*spread, *self.front.numbers.tolist()})

    def importance(self) -> list[dict[str, Any]]:
        """Return how much each key decides of each aim, among the legal designs."""
        legal = np.frombuffer(self._legal, dtype=np.int8).astype(bool)
        costs = np.frombuffer(self._costs).reshape(len(self), -1)[legal]
        chosen = np.frombuffer(self._indices, dtype=self._indices.typecode).reshape(len(self), -1)[legal]
        finite = np.isfinite(costs).all(axis=1)
        if finite.sum() < 2:
            return []
        shares = importance(chosen[finite], costs[finite])
        return [
            {"key": axis.key, **dict(zip(self.aims, map(float, row), strict=True))}
            for axis, row in zip(self.space.parts, shares, strict=True)
        ]

    def hypervolume(self, reference: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Return the volume between the front and the record of a reference, in decades; None where there are no decades."""
        if reference is None or reference["refused"] is not None or not len(self.front):
            return None
        base, costs = np.array(self.costs(reference)), self.front.costs
        if not (np.isfinite(base).all() and base.all() and ((costs * base > 0) & np.isfinite(costs)).all()):
            return None
        return {
            "value": hypervolume(decades(costs, base), 0.0),
            "unit": f"decades^{len(base)}",
            "from": {field: reference[field] for field in self.aims},
        }


def _bears(field: str, aim: Objective) -> bool:
    return field == aim.field or field.startswith(f"{aim.field}:")


__all__ = ["SHOWN", "Tally"]
