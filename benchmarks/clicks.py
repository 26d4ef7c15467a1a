"""What hand-made recommenders are worth on clicks, in real numbers and in integers of a chip (docs/clicks.md).

Each training is kept in benchmarks/clicks.json as soon as it is judged, by data, model, bits and seed; what is there with the same
settings is not trained again, so that an interrupted run goes on, and `--only` measures a part. Settings are those of `mho train`,
the same for every model and set: they were chosen on fold valid. Fold test judges once.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

# One thread, before numpy is imported.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from benchmarks.files import ROOT, read_json, write_json, write_measured
from benchmarks.tables import table

RESULTS = ROOT / "benchmarks" / "clicks.json"
PAGE = ROOT / "docs" / "clicks.md"
SCHEMA = "mho.clicks-benchmark/1"
MODELS = ("lr", "fm", "deepfm", "dlrm", "dcnv2", "autoint", "finalmlp")
REAL = "real"
BITS = (REAL, "4/8", "4/4")
"""At which bits models are trained; those of real numbers are judged both as they are and quantised to 8 bits."""
SEEDS = (0, 1, 2)
TOLERANCE = 0.001
"""The log loss that weights of 4 bits may cost."""


@dataclass(frozen=True)
class Set:
    """A data set. `most_loss`: the goal for the best model, log loss of fold test, and `least_auc`, None where there is none.

    `leaderboard`: AUC and log loss of models where others have trained and judged on the same folds.
    """

    name: str
    most_loss: float
    least_auc: float | None = None
    leaderboard: Mapping[str, tuple[float, float]] | None = None


SETS = {
    each.name: each
    for each in (
        # BARS (openbenchmark/BARS, docs/CTR/leaderboard/frappe_x1.csv). Its train negatives are not published: they are drawn anew.
        Set("frappe_x1", 0.155, 0.982, {
            "lr": (0.9356, 0.3076), "fm": (0.9671, 0.2065), "deepfm": (0.9842, 0.1482), "dlrm": (0.9840, 0.1444),
            "dcnv2": (0.9845, 0.1491), "autoint": (0.9848, 0.1490), "finalmlp": (0.9861, 0.1484),
        }),
        Set("movielens1m_binary", 0.5345),
        Set("census_income", 0.1195),
    )
}  # fmt: skip


def key(data: str, model: str, bits: str, seed: int) -> str:
    """Name a training."""
    return f"{data} {model} {bits} {seed}"


def trained(clicks: Any, model: str, bits: str, seed: int) -> dict[str, Any]:
    """Train and judge a model."""
    from mho.network.zoo.interaction import MODELS as KINDS
    from mho.training.clicks import Outcome, Settings, Training

    start = time.process_time()
    training = Training(clicks, KINDS[model](), Settings(bits=None if bits == REAL else bits, seed=seed))
    training.run()
    outcome = Outcome.of(training, time.process_time() - start).to_dict()
    return {name: outcome[name] for name in ("model", "settings", "best_epoch", "worth", "cpu_s")}


def wanted(settings: Mapping[str, Any], found: Mapping[str, Any], model: Mapping[str, Any]) -> bool:
    """Say whether a training is missing, or was of other settings or another form of the model."""
    return not found or found["settings"] != settings or found["model"] != model


def measure(folder: Path, results: dict[str, Any], only: Iterator[tuple[str, str, str, int]]) -> None:
    """Train what is asked for and not there yet; write the results after each."""
    from mho.network.clicks import Clicks
    from mho.network.zoo.interaction import MODELS as KINDS
    from mho.training.clicks import Settings

    held: dict[str, Any] = {}
    for data, model, bits, seed in only:
        name, path = key(data, model, bits, seed), folder / f"{data}.npz"
        settings = Settings(bits=None if bits == REAL else bits, seed=seed).record()
        if not wanted(settings, results["trainings"].get(name, {}), KINDS[model]().record()):
            continue
        if not path.exists():
            raise SystemExit(f"benchmarks.clicks: there is no {path}")
        if data not in held:
            held = {data: Clicks.load(path)}
        sys.stderr.write(f"{name}\n")
        made = trained(held[data], model, bits, seed)
        # Another run may have added its own meanwhile.
        results["trainings"] = {**read_json(RESULTS)["trainings"], name: made}
        write_json(RESULTS, results)


def spread(values: list[float]) -> str:
    """Write the mean of some seeds and their standard deviation."""
    return f"{mean(values):.4f} ± {stdev(values):.4f}" if len(values) > 1 else f"{values[0]:.4f}"


def of_seeds(results: Mapping[str, Any], data: str, model: str, bits: str, how: str) -> tuple[list[float], list[float]]:
    """Return log loss and AUC of fold test for each seed that is there."""
    made = [results["trainings"].get(key(data, model, bits, seed)) for seed in SEEDS]
    worth = [each["worth"][f"test_{how}"] for each in made if each]
    return [each["log_loss"] for each in worth], [each["auc"] for each in worth]


def cell(results: Mapping[str, Any], data: str, model: str, bits: str, how: str) -> str:
    """Write what a model is worth at some bits."""
    losses, areas = of_seeds(results, data, model, bits, how)
    if not losses:
        return "not measured"
    few = "" if len(losses) == len(SEEDS) else f" ({len(losses)} seed{'s' if len(losses) > 1 else ''})"
    return f"{spread(losses)} / {mean(areas):.4f}{few}"


def seconds(results: Mapping[str, Any], data: str, model: str) -> str:
    """Write the seconds of a processor that a training takes in real numbers, on average over seeds."""
    made = [results["trainings"].get(key(data, model, REAL, seed)) for seed in SEEDS]
    taken = [each["cpu_s"] for each in made if each]
    return f"{mean(taken):.0f}" if taken else "not measured"


def verdict(results: Mapping[str, Any], data: Set) -> str:
    """Say what the goals of a set are, and whether they are met: by the model that is best on average."""
    found = {model: of_seeds(results, data.name, model, REAL, "float") for model in MODELS}
    means = {
        model: (mean(losses), mean(areas)) for model, (losses, areas) in found.items() if len(losses) == len(SEEDS)
    }
    goal = f"log loss at most {data.most_loss:g}" + (
        "" if data.least_auc is None else f" and AUC at least {data.least_auc:g}"
    )
    if not means:
        return f"Goal: {goal}; no model has been trained with all seeds."
    best = min(means, key=lambda model: means[model])
    loss, area = means[best]
    met = loss <= data.most_loss and (data.least_auc is None or area >= data.least_auc)
    text = f"Goal: {goal}; {best} has {loss:.4f} / {area:.4f}: {'met' if met else 'missed'}."
    losses, _ = of_seeds(results, data.name, best, "4/8", "integers")
    if len(losses) == len(SEEDS):
        lost = mean(losses) - loss
        more = "more" if lost > 0 else "less"
        kept = "met" if lost <= TOLERANCE else "missed"
        text += f" At 4/8 its log loss is {abs(lost):.4f} {more} (goal: at most {TOLERANCE:g} more): {kept}."
    return text


def rendered(results: dict[str, Any]) -> str:
    """Render the tables, one for each set."""
    parts = []
    for data in SETS.values():
        board = data.leaderboard or {}
        head = ("model", "float", "8/8", "4/8", "4/4", "CPU s", *(("BARS",) if board else ()))
        rows = []
        for model in MODELS:
            cells = [cell(results, data.name, model, bits, how) for bits, how in (
                (REAL, "float"), (REAL, "integers"), ("4/8", "integers"), ("4/4", "integers")
            )]  # fmt: skip
            named = (f"{board[model][1]:.4f} / {board[model][0]:.4f}",) if board else ()
            rows.append((model, *cells, seconds(results, data.name, model), *named))
        parts += [f"**{data.name}**. {verdict(results, data)}", table(head, rows)]
    return "\n\n".join(parts)


def main() -> None:
    """Train, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clicks", description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="the folder of the sets; without it the page is written of what is there"
    )
    parser.add_argument("--set", dest="sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--model", dest="models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--bits", nargs="+", choices=BITS, default=list(BITS))
    parser.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=list(SEEDS))
    asked = parser.parse_args()
    results = read_json(RESULTS)
    if results.get("schema") != SCHEMA:
        results = {"schema": SCHEMA, "trainings": {}}
        write_json(RESULTS, results)
    if asked.data is not None:
        measure(
            asked.data,
            results,
            (
                (data, model, bits, seed)
                for data in asked.sets
                for bits in asked.bits
                for model in asked.models
                for seed in asked.seeds
            ),
        )
    write_measured(PAGE, rendered(results))


if __name__ == "__main__":
    main()
