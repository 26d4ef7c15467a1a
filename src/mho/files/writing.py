"""Files that are there whole or not at all: written beside their place, then renamed into it.

Only a place where nothing stands, or a regular file, is written to: a rename would put a file in the place of a device, a pipe or
a link, whatever that leads to.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from mho.errors import OutputError

Fill = Callable[[BinaryIO], object]
"""What writes the content into an open file."""

SHOWN = 40
"""Characters of a file's name that stand in the name of the file beside it, whose length is limited too."""
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link; name what it leads to",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def refusal(path: Path, error: OSError) -> OutputError:
    """Return the error that says of which path an OSError is."""
    return OutputError(f"{path}: cannot be written: {error.strerror or error}")


def _mode(path: Path) -> int | None:
    """Return the mode of what stands at a path, links not followed; None where nothing stands there."""
    try:
        return path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise refusal(path, error) from None
    except ValueError as error:  # A zero character in the name.
        raise OutputError(f"{path}: cannot be written: {error}") from None


def refuse_others(path: Path) -> None:
    """Raise OutputError where what stands at a path is no regular file, or one that must not be written."""
    mode = _mode(path)
    if mode is None:
        return
    if not stat.S_ISREG(mode):
        raise OutputError(f"{path}: cannot be written: it is {_KINDS.get(stat.S_IFMT(mode), 'no regular file')}")
    if not os.access(path, os.W_OK):
        raise OutputError(f"{path}: cannot be written: it is read-only")


def check_file(path: str | Path) -> None:
    """Raise OutputError where a file cannot be written; leave nothing behind."""
    path = Path(path)
    refuse_others(path)
    try:
        _write_beside(path, lambda stream: None).unlink()
    except OSError as error:
        raise refusal(path, error) from None


def _write_beside(path: Path, fill: Fill) -> Path:
    """Write a new file in the folder of `path` and return its path; on failure (OSError, or what `fill` raises) nothing is left."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:SHOWN]}.", suffix=".part", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            fill(stream)
            stream.flush()
            os.fsync(stream.fileno())
        draft.chmod(_permissions(path))
    except BaseException:
        _remove(draft)
        raise
    return draft


def _permissions(path: Path) -> int:
    """Return the permissions of the file that is replaced; where there is none, those of any new file (mkstemp's are narrower)."""
    mode = _mode(path)
    if mode is not None:
        return stat.S_IMODE(mode) & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def write_whole(path: str | Path, fill: Fill) -> None:
    """Write one file so that it is there whole or not at all; OutputError names the path."""
    _write_all({Path(path): fill})


def write_text(path: str | Path, text: str) -> None:
    """Write a text file (UTF-8) so that it is there whole or not at all; OutputError names the path."""
    _write_all({Path(path): _text(text)})


def _text(content: str | bytes) -> Fill:
    # A name that is no UTF-8 keeps its bytes as escapes, which JSON takes for what they are.
    encoded = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
    return lambda stream: stream.write(encoded)


def _write_all(fills: Mapping[Path, Fill]) -> None:
    """Write several files: all beside their places first, then each renamed into place."""
    for path in fills:
        refuse_others(path)
    drafts: dict[Path, Path] = {}
    placed: list[Path] = []
    new = [path for path in fills if _mode(path) is None]
    current = next(iter(fills), Path())
    try:
        for path, fill in fills.items():
            current = path
            drafts[path] = _write_beside(path, fill)
        for path, draft in drafts.items():
            current = path
            draft.replace(path)
            placed.append(path)
    except BaseException as error:
        # What is not complete is not left lying about; what stood there before is not taken away.
        unfinished = [draft for path, draft in drafts.items() if path not in placed]
        for path in [*unfinished, *(path for path in placed if path in new)]:
            _remove(path)
        if isinstance(error, OSError):
            raise refusal(current, error) from None
        raise


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _make(folder: Path) -> list[Path]:
    """Make a folder and those above it; return those that were made, innermost last."""
    folders: list[Path] = []
    try:
        for directory in reversed(_missing(folder)):
            directory.mkdir(exist_ok=True)
            folders.append(directory)
    except OSError as error:
        _unmake(folders)
        raise refusal(folder, error) from None
    return folders


def _missing(folder: Path) -> list[Path]:
    """Return the folders that are not there yet, innermost first; raise OutputError where something else stands in their way."""
    missing: list[Path] = []
    place = folder
    while _mode(place) is None and place.parent != place:
        missing.append(place)
        place = place.parent
    if not place.is_dir():
        raise OutputError(f"{folder}: cannot be written: {place} is not a folder")
    return missing


def _unmake(folders: list[Path]) -> None:
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            folder.rmdir()


def check_folder(folder: str | Path) -> None:
    """Raise OutputError where nothing could be written into a folder, there or yet to be made; leave nothing behind.

    The folder itself is not made, not even for a moment: another process may be writing into it.
    """
    folder = Path(folder)
    missing = _missing(folder)
    try:
        Path(tempfile.mkdtemp(prefix=".mho.", dir=missing[-1].parent if missing else folder)).rmdir()
    except OSError as error:
        raise refusal(folder, error) from None


def save_files(files: Mapping[str, str | bytes], folder: str | Path) -> tuple[Path, ...]:
    """Write files by name into a folder, which is made if need be, and return their paths: all of them or none.

    A name may have folders before it ("dense/report.json"), which are made too.

    Raises OutputError naming the path where the folder cannot be made or written; then no file of ours is left, and no folder
    that we made.
    """
    folder = Path(folder)
    paths = {folder / name: _text(content) for name, content in files.items()}
    new_folders: list[Path] = []
    try:
        for place in dict.fromkeys([folder, *(path.parent for path in paths)]):
            new_folders += _make(place)
        _write_all(paths)
    except BaseException:
        _unmake(new_folders)
        raise
    return tuple(paths)
