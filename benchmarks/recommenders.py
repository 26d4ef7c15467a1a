"""Whole recommenders on one chip: time and energy of tables and dense part, scores from the cells, and with noise
(docs/recommender-chip.md).

The trained DLRM comes from `python examples/train_dlrm.py --save FILE`, the published NCF from the folder of real data.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.files import ROOT, read_json, write_json, write_measured

RESULTS = ROOT / "benchmarks" / "recommenders.json"
PAGE = ROOT / "docs" / "recommender-chip.md"
SCHEMA = "mho.recommenders/1"
CHIP, BATCH, BUDGET, SEED = "recross", 256, 1.25, 0
QUERIES = {"dlrm": 8192, "ncf": 60_000}
"""Queries that are scored from noisy cells."""
LISTS, CANDIDATES = 600, 100
"""Lists of candidates of NCF in each half."""
SIGMAS = (0.0, 0.02, 0.05, 0.1, 0.2)


def ran(
    name: str, recommender: Any, trace: Any, codings: tuple[str, ...] = ("offset", "differential")
) -> dict[str, Any]:
    """Run a recommender whole on the second half of a trace, groups made by the first; and score the test from noisy cells."""
    import mho
    from mho.explore import Request, design
    from mho.machine.recommender.whole import run_whole
    from mho.schedule import Seated

    # Lists of candidates stay whole: the first ones are history.
    history, test = trace.split(0.5, SEED if name == "dlrm" else None)
    chip = mho.Chip.load(CHIP).override({"lookup.adc_modes": "every"}, source="the benchmark")
    made = design("mho", Request(history, chip, BUDGET, BATCH, recommender.part.width, SEED))
    layout = made.layout

    def compiled(network: Any, seats: Any) -> Any:
        return mho.compile(Seated(network, seats), seats.chip)

    whole = run_whole(recommender, test, layout, chip, compiled, batch=BATCH, placed=made.placed, verified=BATCH)
    found = whole.to_dict()
    return {
        "queries": whole.service.queries,
        "lookups": whole.service.lookups / whole.service.queries,
        "per_bag": found["tables"]["activations"]["per_bag"],
        "verified": whole.verified,
        "tables_s": found["tables"]["batch_s"],
        "dense_s": whole.dense_s,
        "queries_per_s": whole.queries_per_s,
        "energy_j": whole.energy_j(),
        "area_m2": whole.area_m2()["tables"],
        "noisy": {coding: noisy(recommender, test, layout, coding, QUERIES[name]) for coding in codings},
    }


def noisy(recommender: Any, test: Any, layout: Any, coding: str, queries: int) -> dict[str, Any]:
    """Return the scores of the first queries of a test from cells of rising variation, by queries' numbers."""
    import mho
    from mho.chip.lookup import Reading
    from mho.machine.lookup import reduce
    from mho.machine.lookup.dispatch import dispatch
    from mho.mapping.embedding.seats import Seats

    chip = mho.Chip.load(CHIP).override(
        {"lookup.adc_modes": "every", "array.coding": coding, "array.adc_bits": 10}, source="the benchmark"
    )
    begins = np.flatnonzero(np.diff(test.queries, prepend=-1))
    some = test if len(begins) <= queries else test.select(slice(0, int(begins[queries])))
    dimension = recommender.part.width
    seats = Seats(layout, chip, dimension)
    program = dispatch(some, seats, Reading(chip, dimension, 1, int(some.lengths.max())), BATCH)
    codes = np.concatenate([table.codes for table in recommender.tables])
    numbers, query = np.unique(some.queries, return_inverse=True)
    scores = {}
    for sigma in SIGMAS:
        device = mho.machine.Device.load("generic").override({"programming.sigma": sigma})
        made = reduce(program, codes, mho.machine.Analog(device=device, seed=SEED) if sigma else None)
        reduced = np.zeros((len(numbers), len(recommender.tables), dimension), dtype=np.int64)
        np.add.at(reduced, (query, some.tables), made.vectors)
        if not sigma:
            assert (reduced == recommender.reduce(some)).all()
        scores[f"{sigma:g}"] = recommender.predict(reduced)
    return {"queries": numbers, "scores": scores}


def dlrm(checkpoint: Path, data: Path) -> dict[str, Any]:
    """Run the trained DLRM on held-out interactions of MovieLens-1M."""
    from mho.machine.recommender import auc, log_loss, open_recommender
    from mho.training.recommender import Interactions

    recommender = open_recommender(checkpoint)
    interactions = Interactions.load(data / "ml1m.npz")
    queries = interactions.test(unseen=False)
    found = ran("dlrm", recommender, recommender.bags(interactions.bags(queries)))
    for coding, made in found.pop("noisy").items():
        labels = queries.labels[made["queries"]]
        judged = {
            sigma: {"auc": auc(scores, labels), "log_loss": log_loss(scores, labels)}
            for sigma, scores in made["scores"].items()
        }
        found.setdefault("judged", {})[coding] = judged
    return found


def ncf(data: Path) -> dict[str, Any]:
    """Run the published NCF on lists of candidates."""
    from mho.machine.recommender import hit_rate, open_recommender

    recommender = open_recommender(data / "ncf_mlp_ml1m.safetensors")
    with np.load(data / "ncf_ml1m_test.npz") as file:
        users, candidates = file["user"], file["candidates"]
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(users))[: 2 * LISTS])
    whose, items = np.repeat(users[chosen], CANDIDATES), candidates[chosen].reshape(-1)
    trace = recommender.bags({"user": whose, "item": items}, "lists of candidates")
    found = ran("ncf", recommender, trace)
    for coding, made in found.pop("noisy").items():
        # Lists are whole, one after another.
        assert (np.diff(made["queries"]) == 1).all() and len(made["queries"]) % CANDIDATES == 0
        lists = {sigma: scores.reshape(-1, CANDIDATES) for sigma, scores in made["scores"].items()}
        judged = {sigma: {"hits": hit_rate(each), "lists": len(each)} for sigma, each in lists.items()}
        found.setdefault("judged", {})[coding] = judged
    return found


HEADS = (
    "", "look-ups a query", "activations a bag", "tables, batch (p99)", "dense part, batch", "queries/s",
    "nJ a query: tables, dense, leakage", "executed",
)  # fmt: skip


def table(results: dict[str, Any]) -> str:
    """Render the results."""
    lines = [
        f"Preset `{CHIP}`, ADCs of every mode, batches of {BATCH} queries, tables grouped by one half of the queries and served on "
        f"the other, at most {BUDGET:g} of the least area; the dense part under schedule `adaptive` in the tiles that are left.",
        "",
        "| " + " | ".join(HEADS) + " |",
        "|---" + "|---:" * (len(HEADS) - 2) + "|---|",
    ]
    for name in ("dlrm", "ncf"):
        row = results[name]
        energy, batch = row["energy_j"], row["tables_s"]
        cells = (
            name, f"{row['lookups']:.0f}", f"{row['per_bag']:.2f}", f"{1e6 * batch['mean']:.2f} ({1e6 * batch['p99']:.2f}) µs",
            f"{1e6 * row['dense_s']:.2f} µs", f"{row['queries_per_s']:.3g}",
            f"{1e9 * energy['tables']:.2f}, {1e9 * energy['dense']:.1f}, {1e9 * energy['static']:.1f}",
            row["verified"],
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    lists = results["ncf"]["judged"]["offset"]["0"]["lists"]
    lines += [
        "",
        f"Scores from cells whose conductances vary by so much of their range when programmed (DLRM: {QUERIES['dlrm']:,} queries, "
        f"NCF: {lists} lists of {CANDIDATES} candidates; one chip):",
        "",
        "| variation | " + " | ".join(f"{sigma:g}" for sigma in SIGMAS) + " |",
        "|---|" + "---:|" * len(SIGMAS),
    ]
    for coding in ("offset", "differential"):
        for name, what, key in (
            ("dlrm", "DLRM, area under the curve", "auc"),
            ("ncf", "NCF, hits among the first ten", "hits"),
        ):
            judged = results[name]["judged"][coding]
            figures = " | ".join(f"{judged[f'{sigma:g}'][key]:.4f}" for sigma in SIGMAS)
            lines.append(f"| {what}, {coding} | {figures} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure both, and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recommenders", description="Run whole recommenders; write docs/recommender-chip.md's table."
    )  # fmt: skip
    parser.add_argument("--render", action="store_true", help="write the table again from benchmarks/recommenders.json")
    parser.add_argument("--checkpoint", type=Path, help="what examples/train_dlrm.py saved")
    home = os.environ.get("MHO_DATA", str(ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(home) / "recsys", help="folder of ml1m.npz and the NCF files")
    asked = parser.parse_args(arguments)
    if not asked.render:
        if asked.checkpoint is None:
            parser.error("--checkpoint: the trained DLRM is needed")
        rows = {"dlrm": dlrm(asked.checkpoint, asked.data), "ncf": ncf(asked.data)}
        write_json(RESULTS, {"schema": SCHEMA, **rows})
    results = read_json(RESULTS)
    write_measured(PAGE, table(results))
    sys.stdout.write(table(results) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
