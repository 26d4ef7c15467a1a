"""Area, power and leakage of a chip from its components alone: every part, every level, no total typed in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mho.chip.roles import LEVELS, ROLES, Level

if TYPE_CHECKING:
    from mho.chip.chip import Chip


@dataclass(frozen=True)
class ChipPart:
    """Equal components at one place of the hierarchy. Areas and powers are of one instance.

    `count` is per unit of `level` (per array, group, tile or chip), `total` on the whole chip.
    `peak_dynamic_w` is energy per event times events per second when the chip computes at full speed,
    `write_dynamic_w` when all arrays are written at once.
    """

    component: str
    detail: str
    level: Level
    count: int
    total: int
    area_m2: float
    leakage_w: float
    peak_dynamic_w: float
    write_dynamic_w: float
    source: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


@dataclass(frozen=True)
class Breakdown:
    """One quantity of the whole chip, and the same split by component and by level."""

    total: float
    by_component: Mapping[str, float]
    by_level: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return total, by_component and by_level."""
        return {"total": self.total, "by_component": dict(self.by_component), "by_level": dict(self.by_level)}


@dataclass(frozen=True)
class RollUp:
    """All parts of a chip and their sums. Main memory is off the chip and not in it.

    `peak_power_w` is what the literature publishes: every part computing at full speed, plus leakage.
    `write_power_w` is the same chip with all arrays being written instead.
    """

    parts: tuple[ChipPart, ...]
    area_m2: Breakdown
    peak_power_w: Breakdown
    write_power_w: Breakdown
    leakage_w: Breakdown

    def to_dict(self) -> dict[str, Any]:
        """Return parts and totals, safe for JSON."""
        return {
            "parts": [part.to_dict() for part in self.parts],
            "area_m2": self.area_m2.to_dict(),
            "peak_power_w": self.peak_power_w.to_dict(),
            "write_power_w": self.write_power_w.to_dict(),
            "leakage_w": self.leakage_w.to_dict(),
        }


def roll_up(chip: Chip) -> RollUp:
    """Return every part of the chip, inside out, and the sums."""
    parts = tuple(sorted(_parts(chip), key=lambda part: LEVELS.index(part.level)))
    return RollUp(
        parts,
        _totals(parts, lambda part: part.area_m2),
        _totals(parts, lambda part: part.peak_dynamic_w + part.leakage_w),
        _totals(parts, lambda part: part.write_dynamic_w + part.leakage_w),
        _totals(parts, lambda part: part.leakage_w),
    )


def _parts(chip: Chip) -> Iterable[ChipPart]:
    costs = chip.costs
    energy = chip.energy_per_event
    for name, role in costs.roles.items():
        level = costs.level(name)
        if level == "board" or costs.component(name) is None:
            continue
        source = "; ".join(chip.uses[name].source_texts)
        if name == "global_buffer":
            if not chip.buffer.in_tiles:
                yield from _banks(chip, source)
            continue
        per_event = max((energy[event] for event in role.events), default=0.0)
        yield ChipPart(
            component=name,
            detail=chip.uses[name].name,
            level=level,
            count=costs.per_unit(name),
            total=costs.count(name),
            area_m2=costs.area_m2(name),
            leakage_w=costs.figure(name, "leakage"),
            peak_dynamic_w=per_event * role.rate(chip),
            write_dynamic_w=per_event * role.write_rate(chip),
            source=source,
        )


def _banks(chip: Chip, source: str) -> Iterable[ChipPart]:
    """Yield a part for each size of bank; at the peak each bank is accessed every cycle."""
    rate = ROLES["global_buffer"].rate(chip)
    for size, count in sorted(Counter(chip.buffer.banks).items()):
        yield ChipPart(
            component="global_buffer",
            detail=f"{chip.uses['global_buffer'].name}, bank of {size} bytes",
            level="chip",
            count=count,
            total=count,
            area_m2=chip.costs.area_m2("global_buffer", size),
            leakage_w=chip.costs.figure("global_buffer", "leakage", size),
            peak_dynamic_w=max(chip.costs.byte_energies("global_buffer", size)) * rate,
            write_dynamic_w=0.0,
            source=source,
        )


def _totals(parts: tuple[ChipPart, ...], figure: Callable[[ChipPart], float]) -> Breakdown:
    by_component: dict[str, list[float]] = {}
    by_level: dict[str, list[float]] = {level: [] for level in LEVELS}
    for part in parts:
        by_component.setdefault(part.component, []).append(figure(part) * part.total)
        by_level[part.level].append(figure(part) * part.total)
    return Breakdown(
        math.fsum(value for values in by_component.values() for value in values),
        {name: math.fsum(values) for name, values in by_component.items()},
        {level: math.fsum(values) for level, values in by_level.items()},
    )
