"""Clicks drawn at random, and logs of them in every format."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from mho.network.clicks import FOLDS, Clicks
from mho.network.clicks.clicks import drawn_folds


def synthetic_clicks(
    records: int = 3000, rows: tuple[int, ...] = (30, 20, 8, 4), *, seed: int = 0, pairs: bool = True
) -> Clicks:
    """Draw clicks whose chance depends on each field and, with `pairs`, on vectors that the first two fields share."""
    random = np.random.default_rng(seed)
    x = np.stack([np.minimum(random.geometric(3.0 / count, records) - 1, count - 1) for count in rows], axis=1)
    logit = np.zeros(records)
    for field, count in enumerate(rows):
        logit += random.normal(0.0, 0.6, count)[x[:, field]]
    if pairs:
        left, right = random.normal(0.0, 1.2, (rows[0], 3)), random.normal(0.0, 1.2, (rows[1], 3))
        logit += (left[x[:, 0]] * right[x[:, 1]]).sum(axis=1)
    y = (random.random(records) < 1.0 / (1.0 + np.exp(-logit))).astype(np.uint8)
    names = tuple(f"f{field}" for field in range(len(rows)))
    fold = drawn_folds(records, (0.7, 0.15, 0.15), seed, "drawn")
    return Clicks(x.astype(np.int32), y, fold, rows, names, f"drawn by seed {seed}", synthetic=True)


def write_log(path: Path, clicks: Clicks) -> None:
    """Write clicks as a log whose values are texts: a label, a split and a column for each field."""
    columns = {"label": clicks.y.astype(np.int64), "split": np.asarray(FOLDS)[clicks.fold]}
    for place, name in enumerate(clicks.names):
        columns[name] = np.char.add(f"{name}=", clicks.x[:, place].astype(str))
    table = pa.table(columns)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
        return
    separator = "\t" if ".tsv" in path.suffixes else ","
    with (gzip.open if path.suffix == ".gz" else open)(path, "wb") as stream:
        arrow_csv.write_csv(table, stream, arrow_csv.WriteOptions(delimiter=separator, quoting_style="none"))
