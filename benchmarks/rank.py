"""How well cheap scores rank searched recommenders: Kendall's tau with the log loss of models trained alone (docs/rank.md).

`JUDGED` models are drawn, each trained alone from three seeds: the truth is the mean of their log losses on the fold to choose by,
the ceiling is how well one seed ranks as another does. `OTHERS`, drawn apart and trained from one seed, are what the default score
is chosen by and predictors are fitted to. What is done is kept in a file, line by line: it goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from random import Random
from time import process_time
from typing import Any

# One thread, before numpy is imported.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
from scipy.stats import kendalltau

from benchmarks.files import ROOT, SCRATCH, read_json, write_json, write_measured
from mho.machine.recommender.scores import log_loss
from mho.network.clicks import Clicks
from mho.network.zoo.interaction import Genotype
from mho.network.zoo.interaction.space import ModelSpace
from mho.training.searched.alone import Alone, Budget
from mho.training.searched.predictor import Predictor
from mho.training.searched.score import SCORES, UNTRAINED
from mho.training.searched.supernet import Supernet

RESULTS = ROOT / "benchmarks" / "rank.json"
PAGE = ROOT / "docs" / "rank.md"
SCHEMA = "mho.rank/1"
DATA = Path(os.environ.get("MHO_DATA", ROOT.parent / "shared" / "data")) / "ctr"
SPACE = ModelSpace(blocks=3, widths=(16, 32, 64, 128), counts=(4, 8))
BUDGET = Budget(dimension=8)
ROWS, VALID = 200_704, 8192
"""Records to train on and to choose by, the first ones of the file."""
JUDGED, SEEDS, OTHERS = 30, 3, 12
SEARCHED = 400
"""Designs that a search scores, as `mho autorac` does if nothing is said: the trainings that a predictor is fitted to, and the
supernet, are spread over them.
"""
STEPS = 392
"""Of the supernet: as many as four whole trainings."""
SETS = ("frappe_x1",)
FEWEST = 10
"""Models that a tau is told of."""
RESAMPLED = 400
"""Draws of the judged models, with repetition, from which tau's standard error is."""
Numbers = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Task:
    """A model to be trained alone: its place among the drawn ones, and the seed."""

    place: int
    seed: int


def models() -> list[Genotype]:
    """Draw the judged models, then the others, all different."""
    random, drawn = Random(2026), {}
    while len(drawn) < JUDGED + OTHERS:
        model = SPACE.genotype(SPACE.drawn(random))
        drawn.setdefault(model.key(), model)
    return list(drawn.values())


def clicks(name: str) -> Clicks:
    """Read the first records of the folds to train on and to choose by; the test fold is not looked at."""
    every = Clicks.load(DATA / f"{name}.npz")
    keep = np.zeros(len(every), dtype=bool)
    for fold, most in ((0, ROWS), (1, VALID)):
        keep[np.flatnonzero(every.fold == fold)[:most]] = True
    return replace(every, x=every.x[keep], y=every.y[keep], fold=every.fold[keep])


def tasks() -> Iterator[Task]:
    """Name what is trained alone: seed after seed, so that an unfinished run tells of all models."""
    yield from (Task(place, 0) for place in range(JUDGED + OTHERS))
    yield from (Task(place, seed) for seed in range(1, SEEDS) for place in range(JUDGED))


def trained(model: Genotype, data: Clicks, seed: int) -> dict[str, float]:
    """Train a model alone; return its log loss and the CPU seconds that it took."""
    start = process_time()
    alone = Alone(model, data, BUDGET, seed)
    alone.train(BUDGET.steps(data))
    seconds = process_time() - start
    return {"loss": log_loss(alone.logits(data.valid.x), data.valid.y), "seconds": seconds}


def scored(model: Genotype, supernet: Supernet, score: str) -> dict[str, float]:
    """Score a model; return the score and the CPU seconds that it took."""
    start = process_time()
    loss = SCORES[score](supernet, model)
    return {"loss": loss, "seconds": process_time() - start}


class Kept:
    """Results by key, a line each in a file; one that is not whole is made again."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.known = dict(json.loads(line) for line in lines if line.endswith("]"))

    def of(self, key: str, make: Callable[[], Any]) -> Any:
        """Return the result of a key, made if it is not known."""
        if key not in self.known:
            self.known[key] = make()
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, self.known[key]]) + "\n")
            print(key, self.known[key], flush=True)
        return self.known[key]


def measure(name: str, folder: Path, scores: Sequence[str], *, known: bool) -> dict[str, Any]:
    """Do what is not done yet for a set, or take what is `known`; return the losses, scores and seconds of models."""
    kept, data, drawn = Kept(folder / f"{name}.jsonl"), clicks(name), models()
    if not known:
        _scores(name, folder, kept, data, drawn, scores)
        for task in tasks():
            kept.of(f"alone {task.place} {task.seed}", partial(trained, drawn[task.place], data, task.seed))
    every = range(len(drawn))
    alone = [(task, kept.known[key]) for task in tasks() if (key := f"alone {task.place} {task.seed}") in kept.known]
    return {
        "alone": [[task.place, task.seed, each["loss"], each["seconds"]] for task, each in alone],
        "scores": {
            score: [
                [found["loss"], found["seconds"]] if (found := kept.known.get(f"{score} {place}")) else [np.nan, np.nan]
                for place in every
            ]
            for score in SCORES
            if all(f"{score} {place}" in kept.known for place in range(JUDGED))
        },
        "supernet_seconds": kept.known.get("supernet", {}).get("seconds"),
        "fields": data.fields,
        "chance": float(-(p := data.valid.y.mean()) * np.log(p) - (1 - p) * np.log1p(-p)),
        "origin": data.origin,
    }


def _scores(name: str, folder: Path, kept: Kept, data: Clicks, drawn: list[Genotype], scores: Sequence[str]) -> None:
    """Score every model, with a supernet that is trained where a score uses it."""
    path = folder / f"{name}.safetensors"
    supernet = Supernet.load(path, data) if path.exists() else Supernet(SPACE, data, BUDGET)
    if not set(scores) <= set(UNTRAINED):
        _train(supernet, path, kept)
    for score in scores:
        for place, model in enumerate(drawn):
            kept.of(f"{score} {place}", partial(scored, model, supernet, score))


def _train(supernet: Supernet, path: Path, kept: Kept) -> None:
    """Train a supernet, and keep it."""
    start = process_time()
    supernet.train(STEPS, lambda done, steps, loss: print(f"supernet {done}/{steps} {loss:.4f}", flush=True))
    if not path.exists():
        kept.of("supernet", lambda: {"seconds": process_time() - start})
        supernet.save(path)


def tau(some: Numbers, others: Numbers) -> float:
    """Return Kendall's tau."""
    return float(kendalltau(some, others).statistic)


def error(some: Numbers, others: Numbers) -> float:
    """Return tau's standard error, from models drawn again with repetition."""
    random = np.random.default_rng(0)
    drawn = (random.integers(0, len(some), len(some)) for _ in range(RESAMPLED))
    return float(np.nanstd([tau(some[each], others[each]) for each in drawn]))


def judged(measured: dict[str, Any]) -> dict[str, Any]:
    """Return for each score tau with its error, tau on the others, and CPU seconds a model; the ceiling; costs.

    A training that did not hold, and is worse than the same chance for all, counts as that.
    """
    losses = np.full((JUDGED + OTHERS, SEEDS), np.nan)
    for place, seed, loss, _ in measured["alone"]:
        losses[place, seed] = min(loss, measured["chance"])
    whole = float(np.mean([took for *_, took in measured["alone"]]))
    truth, ones = np.nanmean(losses[:JUDGED], axis=1), losses[JUDGED:, 0]
    fitted = OTHERS * whole / SEARCHED
    shared = (measured["supernet_seconds"] or 0.0) / SEARCHED
    rows = []
    scores = {name: np.array([each[0] for each in every]) for name, every in measured["scores"].items()}
    took = {name: float(np.nanmean([each[1] for each in every])) for name, every in measured["scores"].items()}
    took = {name: each + (0.0 if name in UNTRAINED else shared) for name, each in took.items()}
    for name, each in scores.items():
        rows.append(_row(name, each[:JUDGED], truth, each[JUDGED:], ones, took[name]))
    with_scores = [("predicted", None, 0.0), *((f"predicted with {name}", scores[name], took[name]) for name in scores)]
    for said, given, seconds in with_scores if not np.isnan(ones).any() else ():
        guesses, left_out = _predicted(models(), ones, measured["fields"], given)
        rows.append(_row(said, guesses, truth, left_out, ones, seconds + fitted))
    pairs, most = [], 0
    for a, b in combinations(range(SEEDS), 2):
        both = ~np.isnan(losses[:JUDGED, [a, b]]).any(axis=1)
        most = max(most, int(both.sum()))
        pairs += [tau(losses[:JUDGED][both, a], losses[:JUDGED][both, b])] if both.sum() >= FEWEST else []
    judges = losses[:JUDGED][~np.isnan(losses[:JUDGED]).any(axis=1)]
    seeds = range(SEEDS) if len(judges) >= FEWEST else ()
    rest = [tau(judges[:, each], np.delete(judges, each, axis=1).mean(axis=1)) for each in seeds]
    return {
        "rows": rows,
        "trainings": int((~np.isnan(losses[:JUDGED])).sum()),
        "twice": most,
        "ceiling": float(np.mean(pairs)) if pairs else None,
        "whole": float(np.mean(rest)) if rest else None,
        "range": [float(truth.min()), float(np.median(truth)), float(truth.max())],
        "seconds": whole,
        "supernet": measured["supernet_seconds"],
    }


def _row(name: str, judged: Numbers, truth: Numbers, others: Numbers, ones: Numbers, seconds: float) -> dict[str, Any]:
    known = None if np.isnan(ones).any() or np.isnan(others).any() else tau(others, ones)
    return {
        "score": name, "tau": tau(judged, truth), "error": error(judged, truth), "others": known, "seconds": seconds,
    }  # fmt: skip


def _predicted(drawn: list[Genotype], ones: Numbers, fields: int, scores: Numbers | None) -> tuple[Numbers, Numbers]:
    """Return guesses of the judged models by a predictor fitted to the others, and of each other by one fitted to the rest."""
    dimension = BUDGET.dimension

    def fitted(places: list[int]) -> Predictor:
        given = None if scores is None else scores[places].tolist()
        losses = ones[[place - JUDGED for place in places]].tolist()
        return Predictor.fit([drawn[place] for place in places], losses, fields, dimension, given)

    def guess(predictor: Predictor, place: int) -> float:
        return predictor(drawn[place], None if scores is None else float(scores[place]))

    rest = list(range(JUDGED, JUDGED + OTHERS))
    every = fitted(rest)
    alone = [guess(fitted([other for other in rest if other != place]), place) for place in rest]
    return np.array([guess(every, place) for place in range(JUDGED)]), np.array(alone)


def rendered(results: dict[str, Any]) -> str:
    """Return the tables of the page."""
    parts = []
    for name, found in results["sets"].items():
        low, middle, high = found["range"]
        seeds = f"mean of {SEEDS} seeds"
        if found["trainings"] < JUDGED * SEEDS:
            seeds = f"mean of the seeds that are trained ({found['trainings']} of {JUDGED * SEEDS} trainings so far)"
        net = "" if found["supernet"] is None else f", the supernet of {STEPS} steps {found['supernet']:.1f}"
        ceiling = "not known yet"
        if found["ceiling"] is not None:
            whole = "not known yet" if found["whole"] is None else f"{found['whole']:.2f}"
            ceiling = (
                f"tau {found['ceiling']:.2f} between two seeds ({found['twice']} models); between a whole training and the mean "
                f"of the other two {whole}"
            )
        parts += [
            f"{name}, first {ROWS:,} records: log losses of the {JUDGED} judged models, {seeds}, {low:.4f} to {high:.4f} (median "
            f"{middle:.4f}). Training one takes {found['seconds']:.1f} CPU seconds{net}. **Ceiling: {ceiling}.**",
            "",
            f"| score | tau, {JUDGED} judged | standard error | tau, {OTHERS} others | CPU s a model | of a training |",
            "|---|---|---|---|---|---|",
        ]
        for row in sorted(found["rows"], key=lambda row: -(row["others"] or 0.0)):
            cells = ["not measured" if row[each] is None else f"{row[each]:.2f}" for each in COLUMNS]
            parts.append(f"| {' | '.join((row['score'], *cells))} | {row['seconds'] / found['seconds']:.0%} |")
        parts.append("")
    return "\n".join(parts).strip()


COLUMNS = ("tau", "error", "others", "seconds")


def main(arguments: list[str] | None = None) -> int:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rank", description=__doc__)
    parser.add_argument("--only", metavar="SET", action="append", choices=SETS, help=f"one of {', '.join(SETS)}")
    parser.add_argument("--folder", type=Path, default=SCRATCH / "rank", help="where what is done is kept")
    parser.add_argument("--score", dest="scores", nargs="+", choices=SCORES, default=list(SCORES), help="which scores")
    parser.add_argument("--known", action="store_true", help="train nothing: judge and write what is kept so far")
    parser.add_argument("--render", action="store_true", help="write the page again from benchmarks/rank.json")
    chosen = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    results = read_json(RESULTS) if RESULTS.exists() else {"schema": SCHEMA, "sets": {}}
    if not chosen.render:
        import torch

        torch.set_num_threads(1)
        for name in chosen.only or SETS:
            results["sets"][name] = judged(measure(name, chosen.folder, chosen.scores, known=chosen.known))
        write_json(RESULTS, results)
    write_measured(PAGE, rendered(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
