"""What explorations hold: one of many designs whose figures follow simple laws, and drawn ones."""

from __future__ import annotations

import math
import random
from typing import Any

from hypothesis import strategies as st

AREA = 6e-5
"""The limit on the area, m²."""
AXES = {"tiles": [24, 48, 96, 192], "array.adcs": [8, 16, 32], "schedule": ["overlap", "adaptive"]}
AIMS = [
    {"name": "time", "field": "latency_s", "unit": "s", "more": False},
    {"name": "energy", "field": "energy_j", "unit": "J", "more": False},
    {"name": "area", "field": "area_m2", "unit": "m²", "more": False},
]


def point(
    number: int, *, tiles: int, adcs: int = 8, schedule: str = "overlap", time: float | None = None,
    energy: float | None = None, area: float | None = None, refused: str | None = None, breaks: list[str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return a design."""
    return {
        "number": number, "values": {"tiles": tiles, "array.adcs": adcs, "schedule": schedule},
        "latency_s": time, "energy_j": energy, "area_m2": area, "refused": refused,
        "reason": None if refused is None else refused.split(":")[0], "breaks": breaks or [],
    }  # fmt: skip


def content(number: int = 70) -> dict[str, Any]:
    """Return what an exploration of `number` designs holds, of which some are refused and some break the limit."""
    drawn, points = random.Random(3), []
    for n in range(number):
        tiles, adcs, schedule = (drawn.choice(values) for values in AXES.values())
        time = 1e-3 * (192 / tiles) ** 1.3 * (32 / adcs) ** 0.4 * drawn.uniform(0.8, 1.25)
        energy = 2e-3 * (1 + 0.2 * math.log(adcs)) * drawn.uniform(0.8, 1.25)
        area = 3e-7 * tiles * (1 + adcs / 30)
        if tiles == 24 and adcs == 32:
            points.append(
                point(n, tiles=24, adcs=32, schedule=schedule, refused=f"does not fit: {n} groups are missing")
            )
        else:
            over = ["area"] if area > AREA else []
            points.append(
                point(n, tiles=tiles, adcs=adcs, schedule=schedule, time=time, energy=energy, area=area, breaks=over)
            )
    refused = [each["number"] for each in points if each["refused"]]
    found = {
        "networks": ["resnet18"], "chip": "aras",
        "strategy": {"schedule": {"choice": "overlap"}, "banks": {"choice": "greedy"}},
        "space": {
            "axes": {key: list(values) for key, values in AXES.items()}, "when": ["array.adcs <= array.columns"],
            "formula": "4 × 3 × 2 = 24 designs", "size": 24,
        },
        "aims": [dict(aim) for aim in AIMS],
        "limits": [{"name": "area", "field": "area_m2", "unit": "m²", "at_most": AREA}],
        "search": {"by": "front", "budget": number, "seed": 0, "behind": 32},
        "over": "sum", "judged": number, "points": points,
        "base": {"latency_s": 2e-3, "energy_j": 2.5e-3, "area_m2": 5e-5, "refused": None, "reason": None},
        "hypervolume": {"value": 6.08, "unit": "decades^3", "from": {"latency_s": 1e-2, "energy_j": 1e-2, "area_m2": AREA}},
        "importance": [
            {"key": key, "latency_s": 0.6 / n, "energy_j": 0.2, "area_m2": None} for n, key in enumerate(AXES, start=1)
        ],
        "refused": [{"reason": "does not fit", "count": len(refused), "example": refused[0]}] if refused else [],
        "notes": ["figures are screened"],
    }  # fmt: skip
    kept = [each for each in points if not each["refused"] and not each["breaks"]]
    figures = ("latency_s", "energy_j", "area_m2")
    front = [
        each for each in kept
        if not any(all(other[f] <= each[f] for f in figures) and any(other[f] < each[f] for f in figures) for other in kept)
    ]  # fmt: skip
    found["measured"] = [
        {"number": each["number"], "latency_s": each["latency_s"], "energy_j": 0.99 * each["energy_j"],
         "area_m2": each["area_m2"], "differs": 0.01, "verified": None,
         "command": f"mho run resnet18 --chip aras --set tiles={each['values']['tiles']} --schedule {each['values']['schedule']}",
         "bound_ratio": 1.5, "refused": None, "report": [f"designs/{each['number']}/report.html"]}
        for each in front
    ]  # fmt: skip
    return found


def only(**changes: Any) -> dict[str, Any]:
    """Return the same with other fields."""
    judged = {"judged": len(changes["points"]), "refused": None} if "points" in changes else {}
    return {**content(), **judged, **changes}


@st.composite
def drawn_contents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what explorations of few designs hold: figures over decades or all alike, aims of either direction."""
    positive = st.sampled_from([1e-6, 1e-3, 2e-3, 0.5, 70.0])
    found = content(1)
    found["aims"] = [{**aim, "more": draw(st.booleans())} for aim in AIMS[: draw(st.integers(1, 3))]]
    found["limits"] = draw(st.sampled_from([[], found["limits"], [{**found["limits"][0], "at_most": 1e-4},
        {"name": "time", "field": "latency_s", "unit": "s", "at_least": 1e-3}]]))  # fmt: skip
    points = []
    for n in range(draw(st.integers(1, 12))):
        if draw(st.integers(0, 4)) == 0:
            points.append(point(n, tiles=24, refused="no: none"))
            continue
        time, energy, area = draw(positive), draw(positive), draw(positive)
        each = point(n, tiles=draw(st.sampled_from(AXES["tiles"])), time=time, energy=energy, area=area)
        for limit in found["limits"]:
            value = each[limit["field"]]
            if value > limit.get("at_most", math.inf) or value < limit.get("at_least", -math.inf):
                each["breaks"].append(limit["name"])
        points.append(each)
    refused = [each["number"] for each in points if each["refused"]]
    found["refused"] = [{"reason": "no", "count": len(refused), "example": refused[0]}] if refused else []
    return {**found, "points": points, "judged": len(points), "measured": [], "importance": [], "hypervolume": None}
