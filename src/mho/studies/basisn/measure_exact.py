"""The cases that are near the limit, with banks of the buffer chosen by the integer program, the default."""

from __future__ import annotations

from typing import Any

import mho
from mho.studies.basisn.chips import combining, rewriting
from mho.studies.basisn.measure import DESIGNS, Costs, Runs, record, share, simulated, written
from mho.studies.work import Work

BANKS, NEAR = "ilp", 0.9
"""The choice of banks, and from which part of the limit on, in % of naive's energy x delay, a case is near it."""
DESIGN = "n512k32"


def exact_of(work: Work, costs: Costs) -> Costs:
    """Measure naive reprogramming and 512 vectors again where the greedy choice of banks leaves the answer open."""
    found: dict[str, dict[int, Runs]] = {}
    for name, by_arrays in costs.items():
        for arrays, runs in by_arrays.items():
            part = share(runs, DESIGN, "edp")
            if part is not None and part > NEAR:
                found.setdefault(name, {})[arrays] = _measured(work, name, arrays)
    return found


def _measured(work: Work, name: str, arrays: int) -> Runs:
    def compute() -> dict[str, Any]:
        network, design = mho.zoo.load(name), DESIGNS[DESIGN]
        writing, combined = written("naive").with_(banks=BANKS), design.strategy().with_(banks=BANKS)
        return {
            "naive": record(*simulated(network, rewriting(arrays), writing)),
            DESIGN: record(*simulated(network, combining(arrays, design.vectors), combined)),
        }

    rests = rewriting(arrays), combining(arrays, DESIGNS[DESIGN].vectors)
    return work.measure(f"{name}, {arrays} arrays, banks by integer program", compute, *rests)
