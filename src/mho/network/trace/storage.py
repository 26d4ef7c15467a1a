"""Traces kept in .npz files of our own: the arrays of the trace by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mho.errors import OutputError
from mho.files.writing import check_file, write_whole
from mho.network.trace.trace import Trace

SUFFIX = ".npz"


def check_save(path: Path) -> None:
    """Raise OutputError where a trace cannot be saved; leave nothing behind."""
    if path.suffix != SUFFIX:
        raise OutputError(f"{path}: the name of a trace's file ends in {SUFFIX}")
    check_file(path)


def save(trace: Trace, path: Path) -> None:
    """Write a trace whole or not at all; the same trace gives the same bytes. OutputError names the path."""
    check_save(path)
    arrays = {
        "offsets": trace.offsets,
        "indices": trace.indices,
        "tables": trace.tables,
        "queries": trace.queries,
        "rows": np.asarray(trace.rows, dtype=np.int64),
        "names": np.asarray(trace.names, dtype=np.str_),
        "origin": np.asarray(trace.origin, dtype=np.str_),
        "synthetic": np.asarray(trace.synthetic),
    }
    if trace.weights is not None:
        arrays["weights"] = trace.weights
    if trace.ids is not None:
        arrays["ids"] = np.concatenate(trace.ids)
    write_whole(path, lambda stream: np.savez_compressed(stream, **arrays))  # type: ignore[arg-type]
