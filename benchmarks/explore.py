"""How good the designs are that searches find in a few hundred evaluations (docs/explore-speed.md).

A problem whose every design can be judged: resnet18 on variants of aras in eight parameters, by the public API alone. What counts
is the hypervolume of the legal designs found, in decades from a reference; the best is known from judging all.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from time import process_time
from typing import Any

# One thread, before numpy is imported.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np

from benchmarks.files import ROOT, SCRATCH, fingerprint, read_json, write_json, write_measured
from benchmarks.tables import table
from mho.explore.front import decades, hypervolume, non_dominated
from mho.explore.search import FrontSearch, Trial, begin

RESULTS = ROOT / "benchmarks" / "explore.json"
PAGE = ROOT / "docs" / "explore-speed.md"
SCHEMA = "mho.explore-speed/1"
NETWORK = "resnet18"
KIB = 1024
AXES: dict[str, list[Any]] = {
    "tiles": [24, 48, 96, 144, 192, 288],
    "tile.groups": [2, 4, 6, 8, 12],
    "array.rows": [64, 128, 256],
    "array.columns": [64, 128, 256],
    "array.adcs": [2, 4, 8, 16, 32],
    "array.cell_bits": [1, 2, 4],
    "memory.bandwidth": [6.4e9, 12.8e9, 19.2e9, 25.6e9, 38.4e9, 51.2e9],
    "buffer.banks": [[size * KIB] * 4 for size in (128, 256, 512, 1024, 2048)],
}
SIZES = tuple(map(len, AXES.values()))
MIDDLE = tuple((size - 1) // 2 for size in SIZES)
"""The value in the middle of each axis, of six the third."""
WORSE = 10.0
"""The reference costs so many times as much as the design in the middle, in every aim."""
AREA_M2 = 60e-6
SMALL = (*(range(size) for size in SIZES[:6]), (3,), (2,))
"""The small space: bandwidth and buffer stand still."""
MARKS = (50, 100, 200, 300)
SEEDS = tuple(range(10))
BEHIND = 4
GOAL = 0.97
"""The share of the best hypervolume that the front search is to find in the last of MARKS evaluations, mean of the seeds."""
Indices = tuple[int, ...]


class Unguided(FrontSearch):
    """Changes designs of the front without guessing costs."""

    KNOWN = sys.maxsize


class Problem:
    """Judges designs, each once; what is judged is kept in a scratch file, so that an interrupted run goes on."""

    def __init__(self, path: Path = SCRATCH / "explore.npz") -> None:
        import mho

        self.path, self.mark = path, fingerprint((ROOT / "src",), repr(AXES), NETWORK)
        self.network, self.chip = mho.zoo.load(NETWORK), mho.Chip.load("aras")
        self.strategy = mho.Strategy().with_(schedule="overlap", banks="greedy")
        self.costs = np.full((*SIZES, 3), np.nan)
        if path.exists() and (kept := np.load(path))["mark"] == self.mark:
            self.costs = kept["costs"]

    def __call__(self, indices: Indices) -> tuple[float, ...] | None:
        """Return time in s, energy in J and area in m2 of a design, None where it is refused."""
        if np.isnan(self.costs[indices][0]):
            self.costs[indices] = self._judged(indices)
        known = self.costs[indices]
        return tuple(known.tolist()) if np.isfinite(known).all() else None

    def _judged(self, indices: Indices) -> tuple[float, float, float]:
        import mho
        from mho.errors import MhoError

        values = {key: AXES[key][index] for key, index in zip(AXES, indices, strict=True)}
        # As many bits as the largest sum of a column needs, so that no design is better by losing values.
        largest = values["array.rows"] * (2 ** values["array.cell_bits"] - 1)
        try:
            chip = self.chip.override({**values, "array.adc_bits": largest.bit_length()}, source="a point of a search")
            report = mho.simulate(mho.compile(self.network, chip, self.strategy))
            return report.latency_s, report.energy_j, float(chip.roll_up().area_m2.total)
        except MhoError:
            return (np.inf,) * 3

    def keep(self) -> None:
        """Write what is judged."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(self.path, mark=self.mark, costs=self.costs)

    def reference(self) -> np.ndarray[Any, Any]:
        """Return the costs from which volumes are measured."""
        middle = self(MIDDLE)
        assert middle is not None
        return np.array(middle) * WORSE

    def volume(self, designs: Sequence[Indices]) -> float:
        """Return the hypervolume of the legal ones among designs, in decades^3."""
        legal = [costs for each in designs if (costs := self(each)) is not None and costs[2] <= AREA_M2]
        return hypervolume(decades(np.array(legal).reshape(-1, 3), self.reference()), 0.0)


def exhausted(problem: Problem, axes: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Judge every design of a space; return how many are legal and refused, the front, and its hypervolume."""
    every = [*product(*axes)]
    known = []
    for place, indices in enumerate(every):
        known.append(problem(indices))
        if place % 5000 == 4999:
            problem.keep()
    legal = [place for place, costs in enumerate(known) if costs is not None and costs[2] <= AREA_M2]
    on = non_dominated([known[place] for place in legal])
    return {
        "designs": len(every),
        "refused": sum(costs is None for costs in known),
        "legal": len(legal),
        "front": int(on.sum()),
        "volume": problem.volume([every[place] for place in legal]),
    }


def played(problem: Problem, by: str, seed: int, axes: Sequence[Sequence[int]], behind: int) -> dict[str, Any]:
    """Search a space with a seed, told of all up to design n - `behind` when asked for design n, as `mho explore` is."""
    begun = Unguided if by == "front, unguided" else partial(begin, by)
    search = begun([*map(len, axes)], lambda indices: True, MARKS[-1], seed)
    asked: list[Indices] = []
    seconds, legal = 0.0, 0

    def design(indices: Indices) -> Indices:
        return tuple(axis[index] for axis, index in zip(axes, indices, strict=True))

    volumes = []
    for number in range(MARKS[-1]):
        if number >= behind:
            earlier = asked[number - behind]
            costs = problem(design(earlier))
            excess = 0.0 if costs is None else max(0.0, costs[2] / AREA_M2 - 1.0)
            before = process_time()
            search.tell(Trial(earlier, costs, excess))
            seconds += process_time() - before
        before = process_time()
        indices = search.ask()
        seconds += process_time() - before
        assert indices is not None
        asked.append(indices)
        costs = problem(design(indices))
        legal += costs is not None and costs[2] <= AREA_M2
        if number + 1 in MARKS:
            volumes.append(problem.volume([*map(design, asked)]))
    return {"volumes": volumes, "legal": legal / len(asked), "ms": 1e3 * seconds / len(asked)}


WHOLE = tuple(range(size) for size in SIZES)
SPACES: dict[str, Sequence[Sequence[int]]] = {"whole": WHOLE, "small": SMALL}
OWN = tuple(
    (space, by, behind)
    for space in SPACES
    for by, behind in (("random", BEHIND), ("front, unguided", BEHIND), ("front", BEHIND), ("front", 32))
)
OPTUNA = tuple(("whole", f"optuna:{variant}", BEHIND) for variant in ("nsga", "tpe"))
"""Not gp, which takes most of a second to ask."""


def measured(problem: Problem, case: tuple[str, str, int]) -> dict[str, Any]:
    """Measure one search with every seed."""
    space, by, behind = case
    runs = [played(problem, by, seed, SPACES[space], behind) for seed in SEEDS]
    problem.keep()
    return {"space": space, "search": by, "behind": behind, "seeds": list(SEEDS), "runs": runs}


def rendered(results: dict[str, Any]) -> str:
    """Return the tables."""
    best = results["best"]
    spaces = table(
        ("space", "designs", "refused", "legal", "on the front", "hypervolume of all, decades³"),
        [
            (name, *(f"{each[key]:,}" for key in ("designs", "refused", "legal", "front")), f"{each['volume']:.3f}")
            for name, each in best.items()
        ],
    )
    return "\n\n".join((spaces, *(_searches(results, name) for name in best)))


def _searches(results: dict[str, Any], space: str) -> str:
    best = results["best"][space]["volume"]
    rows = []
    for each in (each for each in results["cases"] if each["space"] == space):
        columns = [*zip(*(run["volumes"] for run in each["runs"]), strict=True)]
        share = fmean(columns[-1]) / best
        rows.append(
            (
                each["search"], f"{each['behind']}", f"{len(each['seeds'])}", *(_spread(column) for column in columns),
                f"{100 * share:.1f} %", f"{100 * (1 - share):.1f} %", _met(each, share),
                f"{100 * fmean(run['legal'] for run in each['runs']):.0f} %",
                f"{fmean(run['ms'] for run in each['runs']):.2f}",
            )
        )  # fmt: skip
    head = (
        f"{space} space", "behind", "seeds", *map(str, MARKS), "of the best", "regret", f"goal of {100 * GOAL:.0f} % met",
        "legal", "CPU ms to ask and tell",
    )  # fmt: skip
    return table(head, rows)


def _spread(values: Sequence[float]) -> str:
    return f"{fmean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def _met(case: dict[str, Any], share: float) -> str:
    if (case["search"], case["behind"]) != ("front", BEHIND):
        return ""
    return "yes" if share >= GOAL else "no"


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.explore",
        description="What searches find in 50 to 300 evaluations, and what all designs hold; writes docs/explore-speed.md and "
        "benchmarks/explore.json. About 15 minutes, nearly all for judging each of 121,500 designs once. Interrupt it at will: the "
        "next call goes on from there.",
    )
    parser.add_argument(
        "--optuna", action="store_true", help="measure the samplers of Optuna alone, which must be there"
    )
    parser.add_argument("--render", action="store_true", help="write the tables again from benchmarks/explore.json")
    chosen = parser.parse_args(arguments)
    if not chosen.render:
        problem, before = Problem(), read_json(RESULTS)
        cases = [measured(problem, case) for case in (OPTUNA if chosen.optuna else OWN)]
        kept = [each for each in before.get("cases", []) if each["search"].startswith("optuna") != chosen.optuna]
        best = before["best"] if chosen.optuna else {name: exhausted(problem, axes) for name, axes in SPACES.items()}
        problem.keep()
        order = [*OWN, *OPTUNA]
        cases = sorted([*cases, *kept], key=lambda each: order.index((each["space"], each["search"], each["behind"])))
        write_json(RESULTS, {"schema": SCHEMA, "best": best, "cases": cases})
    write_measured(PAGE, rendered(read_json(RESULTS)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
