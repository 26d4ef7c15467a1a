"""What a study runs in: its settings, how it tells what it does, and measurements that survive an interruption.

A measurement is named and gives plain JSON data. Each is kept, as soon as it is finished, in a file beside the results; a
study that was interrupted goes on from there. The file is only taken up by the same version, sources and settings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import mho
from mho.files.text import parse_json

PARTIAL = "study.partial.json"
SHOWN = ("cli/", "report/", "studies/")
"""Packages that only arrange and show results: a change in them leaves finished measurements valid."""
MEASURING = "measure.py"
"""The files of studies that do change them."""


@dataclass(frozen=True)
class Settings:
    """How a study is run. `quick`: the smallest networks alone, and no long measurement. `data`: folder of real weights."""

    quick: bool = False
    data: Path | None = None


def sources_digest() -> str:
    """Digest of everything in the package that can change a measurement: code, chips, technologies."""
    digest = hashlib.sha256()

    def add(folder: Traversable, path: str) -> None:
        for each in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if each.is_dir():
                add(each, f"{path}{each.name}/")
            elif each.name.endswith((".py", ".yaml")) and (not path.startswith(SHOWN) or each.name == MEASURING):
                digest.update(f"{path}{each.name}\0".encode())
                digest.update(each.read_bytes())

    add(files("mho"), "")
    return digest.hexdigest()


def _data_digest(folder: Path | None) -> list[list[Any]]:
    """Names and sizes of the real data."""
    if folder is None:
        return []
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [[path.relative_to(folder).as_posix(), path.stat().st_size] for path in found]


class Work:
    """Measures what a study asks for, unless it was measured before the last interruption."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        folder: Path | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Take up what an earlier run left in `folder`; without one, nothing is kept."""
        self.settings = settings
        self.say = say
        self._path = None if folder is None else folder / PARTIAL
        content = [name, mho.__version__, sources_digest(), settings.quick, _data_digest(settings.data)]
        self._key = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        self._kept: dict[str, Any] = self._read()

    def _read(self) -> dict[str, Any]:
        """Return the measurements kept; none where the file is not there, damaged, or another version's."""
        if self._path is None:
            return {}
        try:
            found = parse_json(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict) or found.get("key") != self._key or not isinstance(found.get("measured"), dict):
            return {}
        return dict(found["measured"])

    def has(self, name: str) -> bool:
        """Whether a measurement is there already."""
        return name in self._kept

    def measure(self, name: str, compute: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Return a measurement: the kept one, or `compute()`, which is then kept."""
        if name not in self._kept:
            self.say(name)
            # As JSON gives it back, so that an interrupted study and an uninterrupted one see the same.
            self._kept[name] = json.loads(json.dumps(compute(), allow_nan=False))
            self._write()
        found = self._kept[name]
        assert isinstance(found, dict)
        return found

    def _write(self) -> None:
        if self._path is not None:
            from mho.files.writing import write_text

            # Not before: a request that is refused leaves no folder behind.
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._path, json.dumps({"key": self._key, "measured": self._kept}) + "\n")

    def finished(self) -> None:
        """Remove what was kept for an interruption."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
