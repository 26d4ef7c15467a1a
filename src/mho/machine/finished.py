"""What long work has finished, kept so that an interruption costs only what was under way.

A record is plain JSON data under a key that is the digest of all that it follows from, the code that computes it included.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from mho.errors import OutputError
from mho.files.text import parse_json
from mho.files.writing import refusal, refuse_others, write_text

COMPUTING = ("chip", "network", "number", "mapping", "program", "machine")
"""Packages of which a change may change a record. Schedules are not among them: what they decide stands in the program."""


def key_of(*parts: Any) -> str:
    """Return the digest of plain data and of the code that computes."""
    content = json.dumps([sources_digest(), *parts], sort_keys=True, allow_nan=False)
    return hashlib.sha256(content.encode()).hexdigest()


@lru_cache(maxsize=1)
def sources_digest() -> str:
    """Return the digest of the code in COMPUTING."""
    root = Path(__file__).parents[1]
    found = hashlib.sha256()
    for package in COMPUTING:
        for path in sorted((root / package).rglob("*.py")):
            found.update(path.relative_to(root).as_posix().encode())
            found.update(path.read_bytes())
    return found.hexdigest()


class Finished:
    """Records by key: in memory alone, or also in a file of a JSON object a line, which is read first where it is there.

    A line that cannot be read is passed over, and what it held is computed again. The file is there whole or not at all; its
    folder is made with the first record.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        """Read what is kept. OutputError where the path is not a file that can be read."""
        self.path = None if path is None else Path(path)
        self._held: dict[str, dict[str, Any]] = {}
        if self.path is None:
            return
        refuse_others(self.path)
        try:
            # Not splitlines: a name in a record may hold what that takes for the end of a line.
            lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        for line in lines:
            with contextlib.suppress(ValueError):
                record = parse_json(line)
                if isinstance(record, dict) and isinstance(record.get("key"), str):
                    self._held[record.pop("key")] = record

    def __len__(self) -> int:
        """Count the records."""
        return len(self._held)

    def get(self, key: str, fields: Sequence[str]) -> dict[str, Any] | None:
        """Return a record with these fields, None where there is none."""
        found = self._held.get(key)
        return found if found is not None and set(fields) == found.keys() else None

    def put(self, key: str, record: dict[str, Any]) -> dict[str, Any]:
        """Keep a record and return it as the file gives it back. OutputError where the file cannot be written."""
        self._held[key] = json.loads(json.dumps(record, allow_nan=False))
        if self.path is not None:
            self._write(self.path)
        return self._held[key]

    def _write(self, path: Path) -> None:
        lines = [json.dumps({"key": key, **record}, ensure_ascii=False) for key, record in self._held.items()]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise refusal(path, error) from None
        write_text(path, "\n".join(lines) + "\n")
