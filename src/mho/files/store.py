"""Finished work kept in a file, a record a line, so that an interruption costs only what was under way.

A record is plain JSON data under a key: the digest of all that it follows from, the code that computes it included.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mho.errors import OutputError
from mho.files.sources import code_digest
from mho.files.text import parse_json
from mho.files.writing import refusal, refuse_others
from mho.plugins import brought


def key_of(module: str, *parts: Any) -> str:
    """Return the digest of plain data, of the code of `module` with all that it imports, and of the versions of plugins."""
    content = json.dumps([code_digest(module), *brought(), *parts], sort_keys=True, allow_nan=False)
    return hashlib.sha256(content.encode()).hexdigest()


class Store:
    """Records by key: in memory alone, or also in a file of one JSON object a line, which is read first where it is there.

        store = Store("results.jsonl")
        store.put(key, {"right": 41})
        store.get(key, ("right",))

    A new record is appended in one write, and nothing that stands in the file is written again: so the bytes written grow with
    the records, several processes may append to one file, and an interruption harms the last line at most. A line that cannot
    be read is passed over; of two lines with one key the later counts. The folder is made with the first record.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        """Read what is kept. Raises OutputError where the path is not a file that can be read."""
        self.path = None if path is None else Path(path)
        self._records: dict[str, dict[str, Any]] = {}
        self._torn = False
        if self.path is None:
            return
        refuse_others(self.path)
        try:
            content = self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        self._torn = not content.endswith(b"\n") and bool(content)
        # Not splitlines: a name in a record may hold what that takes for the end of a line.
        for line in content.decode("utf-8", errors="replace").split("\n"):
            with contextlib.suppress(ValueError):
                record = parse_json(line)
                if isinstance(record, dict) and isinstance(record.get("key"), str):
                    self._records[record.pop("key")] = record

    def __len__(self) -> int:
        """Count the records."""
        return len(self._records)

    def __contains__(self, key: object) -> bool:
        """Return True if there is a record under this key."""
        return key in self._records

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the records, in the order in which their keys first came."""
        return iter(self._records.values())

    def get(self, key: str, fields: Sequence[str]) -> dict[str, Any] | None:
        """Return the record with exactly these fields, None where there is none."""
        record = self._records.get(key)
        return record if record is not None and set(fields) == record.keys() else None

    def put(self, key: str, record: dict[str, Any]) -> dict[str, Any]:
        """Keep a record and return it as the file gives it back. Raises OutputError where the file cannot be written."""
        text = json.dumps(record, allow_nan=False)
        self._records[key] = json.loads(text)
        if self.path is not None:
            line = json.dumps({"key": key, **record}, ensure_ascii=False).encode("utf-8", "backslashreplace")
            self._append(self.path, line + b"\n")
        return self._records[key]

    def _append(self, path: Path, line: bytes) -> None:
        refuse_others(path)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, flags, 0o666)
            try:
                content = b"\n" + line if self._torn else line
                self._torn = os.write(handle, content) != len(content)
            finally:
                os.close(handle)
        except OSError as error:
            raise refusal(path, error) from None
        if self._torn:
            raise OutputError(f"{path}: cannot be written: the last record is there in part; is the disk full?")
