"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mho.atomic import refusal, refuse_folder, remove, write_beside
from mho.errors import OutputError
from mho.report.html import render_html
from mho.report.trace import render_trace

if TYPE_CHECKING:
    from mho.report.report import Report


def _remove(paths: list[Path]) -> None:
    for path in paths:
        remove(path)


def _beside(path: Path, text: str) -> Path:
    """Write `text` to a new file in the folder of `path` and return it; on failure nothing is left."""
    return write_beside(path, lambda stream: stream.write(text.encode()))


def _write_all(texts: Mapping[Path, str]) -> None:
    """Write several files: all beside their places first, then each renamed into place."""
    for path in texts:
        refuse_folder(path)
    parts: dict[Path, Path] = {}
    placed: list[Path] = []
    new = [path for path in texts if not path.exists()]
    current = next(iter(texts), Path())
    try:
        for path, text in texts.items():
            current = path
            parts[path] = _beside(path, text)
        for path, part in parts.items():
            current = path
            part.replace(path)
            placed.append(path)
    except BaseException as error:
        _remove([part for path, part in parts.items() if path not in placed])
        # A report that is not complete is not left lying about; what stood there before is not taken away.
        _remove([path for path in placed if path in new])
        if isinstance(error, OSError):
            raise refusal(current, error) from None
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write a text file (UTF-8) so that it is there whole or not at all; OutputError names the path."""
    _write_all({Path(path): text})


def _make(folder: Path) -> list[Path]:
    """Make a folder and those above it; return those that were made, innermost last."""
    missing: list[Path] = []
    place = folder
    while not os.path.lexists(place) and place.parent != place:
        missing.append(place)
        place = place.parent
    made: list[Path] = []
    try:
        for each in reversed(missing):
            each.mkdir(exist_ok=True)
            made.append(each)
        if not folder.is_dir():
            raise OutputError(f"{folder}: is not a folder")
    except OSError as error:
        _unmake(made)
        raise refusal(folder, error) from None
    except OutputError:
        _unmake(made)
        raise
    return made


def _unmake(made: list[Path]) -> None:
    for folder in reversed(made):
        with contextlib.suppress(OSError):
            folder.rmdir()


def check_folder(folder: str | Path) -> None:
    """Raise OutputError where nothing could be written into a folder; leave nothing behind."""
    folder = Path(folder)
    made = _make(folder)
    try:
        _beside(folder / "report", "").unlink()
    except OSError as error:
        raise refusal(folder, error) from None
    finally:
        _unmake(made)


def save_report(report: Report, folder: str | Path) -> None:
    """Write report.json, report.html and trace.json into a folder, which is made if need be.

    Everything is rendered before anything is written. Raises OutputError naming the path where the folder
    cannot be made or written; then no file of ours is left, and no folder that we made.
    """
    texts = {
        "report.json": json.dumps(report.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "report.html": render_html(report),
        "trace.json": render_trace(report),
    }
    save_texts(texts, folder)


def save_texts(texts: Mapping[str, str], folder: str | Path) -> tuple[Path, ...]:
    """Write files by name into a folder, which is made if need be, and return their paths; as `save_report`, all or none."""
    folder = Path(folder)
    paths = {folder / name: text for name, text in texts.items()}
    made = _make(folder)
    try:
        _write_all(paths)
    except BaseException:
        _unmake(made)
        raise
    return tuple(paths)
