"""Traces kept in .npz files of our own: the arrays of the trace by name."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import numpy as np

from mho.errors import OutputError
from mho.network.trace.trace import Trace

SUFFIX = ".npz"


def check_save(path: Path) -> None:
    """Raise OutputError where a trace cannot be saved; leave nothing behind."""
    if path.suffix != SUFFIX:
        raise OutputError(f"{path}: the name of a trace's file ends in {SUFFIX}")
    if path.is_dir():
        raise OutputError(f"{path}: cannot be written: it is a folder")
    handle, part = _beside(path)
    os.close(handle)
    part.unlink()


def _beside(path: Path) -> tuple[int, Path]:
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from None
    return handle, Path(name)


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
    handle, part = _beside(path)
    try:
        with os.fdopen(handle, "wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes files that only their owner may read; a trace is as readable as any new file.
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o666 & ~mask)
        part.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from None
        raise
