"""A deep recommender on MovieLens-1M: trained, turned into integers, and judged beside simple baselines and the published NCF.

    python examples/train_dlrm.py                          trains (about three minutes on one core), judges, prints
    python examples/train_dlrm.py --save dlrm.safetensors  writes a checkpoint after every epoch; Ctrl-C loses at most one
    python examples/train_dlrm.py --resume dlrm.safetensors [--save ...]   goes on from a checkpoint
    python examples/train_dlrm.py --write                  writes docs/recommender.md's tables and examples/train_dlrm.json

Data are read from --data, or from recsys/ml1m.npz in the folder MHO_DATA; the NCF's two files are looked for beside it.
The same call gives the same record.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
PAGE, RESULTS = ROOT / "docs" / "recommender.md", ROOT / "examples" / "train_dlrm.json"
SCHEMA = "mho.training-dlrm/1"
BEGIN, END = "<!-- measured: begin (written by a command; do not edit) -->", "<!-- measured: end -->"
CHIP, SCHEDULE, EXECUTED, LISTS, CANDIDATES = "isaac", "naive", 5000, 500, 100
"""What programs are executed on, and how many queries of the DLRM and lists of the NCF go through them."""


def judged(training: Any, data: Any) -> dict[str, Any]:
    """Judge a trained model: log loss and area under the curve of held-out interactions, in real numbers and integers."""
    import mho
    from mho.machine.recommender import auc, log_loss

    real = training.real()
    recommender = real.quantise(real.bags(data.bags(data.sample(4096)), data.origin))
    offset, slope = popularity(data)
    rows = []
    for unseen in (False, True):
        queries = data.test(unseen=unseen)
        if not len(queries):
            continue
        trace = real.bags(data.bags(queries), "test")
        reduced = recommender.reduce(trace)
        counts = np.log1p(data.popularity[queries.items].astype(np.float64))
        base = float(np.log(queries.labels.mean() / (1.0 - queries.labels.mean())))
        scores = {
            "the same chance for all": np.full(len(queries), base),
            "popularity of the item": offset + slope * counts,
            "DLRM, real numbers": real.predict(trace),
            "DLRM, 8-bit integers": recommender.predict(reduced),
        }
        for name, found in scores.items():
            figures = {"log_loss": log_loss(found, queries.labels), "auc": auc(found, queries.labels)}
            who = {"users": "unseen" if unseen else "seen", "queries": len(queries)}
            rows.append({**who, "scores": name, **figures})
        if not unseen:
            program = mho.compile(recommender.dense, CHIP, mho.Strategy().with_(schedule=SCHEDULE))
            some = reduced[:EXECUTED]
            got = mho.execute(program, recommender.vectors(some))["score"][:, 0]
            exact = bool(np.array_equal(got, scores["DLRM, 8-bit integers"][:EXECUTED]))
            executed = {"queries": len(some), "exact": exact, "look_ups": trace.lookups / len(queries)}
    return {"rows": rows, "executed": executed, "epochs": training.done, "settings": training.settings.record()}


def popularity(data: Any) -> tuple[float, float]:
    """Fit the chance of an interaction to the logarithm of the item's count on training queries: offset and slope (Newton)."""
    queries = data.sample(100_000)
    x = np.stack([np.ones(len(queries)), np.log1p(data.popularity[queries.items].astype(np.float64))], axis=1)
    found = np.zeros(2)
    for _ in range(20):
        chance = 1.0 / (1.0 + np.exp(-x @ found))
        found += np.linalg.solve((x * (chance * (1.0 - chance))[:, None]).T @ x, x.T @ (queries.labels - chance))
    return float(found[0]), float(found[1])


def ncf(folder: Path) -> dict[str, Any] | None:
    """Judge the published NCF: hits among ten of 100 candidates, in real numbers, integers, and through a program."""
    import mho
    from mho.machine.recommender import hit_rate, open_real, open_recommender

    weights, lists = folder / "ncf_mlp_ml1m.safetensors", folder / "ncf_ml1m_test.npz"
    if not (weights.is_file() and lists.is_file()):
        return None
    real, recommender = open_real(weights), open_recommender(weights)
    with np.load(lists, allow_pickle=False) as file:
        users, candidates = file["user"], file["candidates"]
    program = mho.compile(recommender.for_batch(CANDIDATES), CHIP, mho.Strategy().with_(schedule=SCHEDULE))
    floats, integers, executed = [], [], []
    for start in range(0, len(users), LISTS):
        some = candidates[start : start + LISTS]
        whose = np.repeat(users[start : start + LISTS], CANDIDATES)
        trace = real.bags({"user": whose, "item": some.reshape(-1)}, "lists")
        reduced = recommender.reduce(trace)
        floats.append(real.predict(trace))
        integers.append(recommender.predict(reduced))
        executed.append(mho.execute(program, recommender.vectors(reduced))["score"][:, 0])
    found = [np.concatenate(each).reshape(-1, CANDIDATES) for each in (floats, integers, executed)]
    rates = {name: hit_rate(each) for name, each in zip(("real", "integers", "executed"), found, strict=True)}
    return {**rates, "users": len(users), "exact": bool(np.array_equal(found[1], found[2]))}


def table(record: dict[str, Any]) -> str:
    """Render the record."""
    executed, lines = record["executed"], []
    lines += [
        f"{executed['look_ups']:.0f} look-ups a query; {record['epochs']} epochs, seed {record['settings']['seed']}.",
        "",
    ]
    lines += ["| held-out interactions of | scored by | log loss | area under the curve |", "|---|---|---:|---:|"]
    for row in record["rows"]:
        users = "users trained on" if row["users"] == "seen" else "users never seen"
        lines.append(f"| {users} | {row['scores']} | {row['log_loss']:.4f} | {row['auc']:.4f} |")
    same = "bit for bit what" if executed["exact"] else "NOT what"
    text = f"`mho.execute` on `{CHIP}` gave, for {executed['queries']} queries, {same} the integer reference gives."
    lines += ["", text]
    if record["ncf"] is not None:
        rates = record["ncf"]
        same = "bit for bit the integer reference" if rates["exact"] else "NOT the integer reference"
        lines += ["", f"The published NCF, {rates['users']} users, the held-out item among 99 others:", ""]
        lines += ["| | hits among the first ten |", "|---|---:|"]
        lines += [f"| real numbers | {rates['real']:.4f} |", f"| 8-bit integers | {rates['integers']:.4f} |"]
        lines += [f"| the program, executed on `{CHIP}`: {same} | {rates['executed']:.4f} |"]
    return "\n".join(lines)


def page(text: str, record: dict[str, Any]) -> str:
    """Return docs/recommender.md with the record's tables."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table(record)}\n\n{END}{rest.split(END)[1]}"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    home = os.environ.get("MHO_DATA")
    default = Path(home) / "recsys" / "ml1m.npz" if home else None
    parser.add_argument("--data", type=Path, default=default, help="ml1m.npz (default: recsys/ml1m.npz in MHO_DATA)")
    parser.add_argument("--epochs", type=int, help="epochs in all; the rate of learning falls over them (default: 5)")
    parser.add_argument("--seed", type=int, help="of the weights, the negatives and the order (default: 0)")
    parser.add_argument("--save", type=Path, help="where to write a checkpoint after every epoch")
    parser.add_argument("--resume", type=Path, help="a checkpoint to go on from")
    parser.add_argument("--write", action="store_true", help="write docs/recommender.md's tables and train_dlrm.json")
    asked = parser.parse_args()
    if asked.data is None:
        parser.error("no data: give --data, or set MHO_DATA")
    if asked.resume is not None and asked.seed is not None:
        parser.error("--seed changes nothing beside --resume: a checkpoint has its own")
    return asked


def main() -> None:
    """Train, judge and print; write if asked to."""
    asked = arguments()
    import torch

    from mho.errors import MhoError
    from mho.training.recommender import Interactions, Settings, Training

    torch.set_num_threads(1)
    try:
        data = Interactions.load(asked.data)
        if asked.resume is not None:
            training = Training.resume(data, asked.resume, asked.epochs)
        else:
            given = {name: getattr(asked, name) for name in ("epochs", "seed") if getattr(asked, name) is not None}
            training = Training(data, Settings(**given))
        clock = [time.perf_counter()]

        def progress(epoch: int, loss: float) -> None:
            seconds, clock[0] = time.perf_counter() - clock[0], time.perf_counter()
            text = f"epoch {epoch} of {training.settings.epochs}: log loss {loss:.4f} in training, {seconds:.0f} s"
            print(text, file=sys.stderr, flush=True)
            if asked.save is not None:
                training.save(asked.save)

        try:
            training.run(progress)
        except KeyboardInterrupt:
            where = f"; --resume {asked.save} goes on" if asked.save is not None and training.done else ""
            raise SystemExit(f"stopped after epoch {training.done} of {training.settings.epochs}{where}") from None
        if asked.save is not None and not asked.save.exists():
            training.save(asked.save)
        record = {"schema": SCHEMA, **judged(training, data), "ncf": ncf(asked.data.parent)}
    except MhoError as error:
        raise SystemExit(f"error: {error}") from None
    print(table(record))
    if asked.write:
        RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), record), encoding="utf-8")


if __name__ == "__main__":
    main()
