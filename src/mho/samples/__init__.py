"""The sample files that come with mho, and the command `mho init samples` that writes them (made by examples/make_samples.py)."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path

from mho.errors import OutputError

__all__ = ["names", "write_samples"]


def names() -> tuple[str, ...]:
    """Return the names of the sample files, sorted."""
    folder = files("mho.samples")
    return tuple(sorted(each.name for each in folder.iterdir() if each.is_file() and not each.name.endswith(".py")))


def write_samples(folder: Path) -> tuple[str, ...]:
    """Write the sample files into a new folder, all or none; return their names. OutputError where that fails."""
    if os.path.lexists(folder):
        raise OutputError(f"{folder}: is there already; nothing is overwritten")
    part: Path | None = None
    try:
        part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        for name in names():
            (part / name).write_bytes((files("mho.samples") / name).read_bytes())
        part.chmod(0o755)
        part.rename(folder)
    except BaseException as error:
        if part is not None:
            with contextlib.suppress(OSError):
                shutil.rmtree(part)
        if isinstance(error, OSError):
            raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from None
        raise
    return names()
