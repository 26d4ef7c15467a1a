"""Files that are there whole or not at all: written beside their place, then renamed into it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from mho.errors import OutputError

Fill = Callable[[BinaryIO], object]
"""What writes the content into an open file."""


def refusal(path: Path, error: OSError) -> OutputError:
    """Return the error that says of which path an OSError is."""
    return OutputError(f"{path}: cannot be written: {error.strerror or error}")


def refuse_folder(path: Path) -> None:
    """Raise OutputError where a folder stands in the place of a file."""
    if path.is_dir():
        raise OutputError(f"{path}: cannot be written: it is a folder")


def write_beside(path: Path, fill: Fill) -> Path:
    """Write a new file in the folder of `path` and return its path; on failure (OSError, or what `fill` raises) nothing is left."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            fill(stream)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes files that only their owner may read; this one is as readable as any new file.
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o666 & ~mask)
    except BaseException:
        remove(part)
        raise
    return part


def write_whole(path: Path, fill: Fill) -> None:
    """Write one file so that it is there whole or not at all; OutputError names the path."""
    refuse_folder(path)
    part: Path | None = None
    try:
        part = write_beside(path, fill)
        part.replace(path)
    except BaseException as error:
        if part is not None:
            remove(part)
        if isinstance(error, OSError):
            raise refusal(path, error) from None
        raise


def remove(path: Path) -> None:
    """Remove a file if that can be done."""
    with contextlib.suppress(OSError):
        path.unlink()
