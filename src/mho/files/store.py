"""Finished work kept in a file, a record a line, so that an interruption costs only what was under way.

A record is plain JSON data under a key: the digest of all that it follows from, the code that computes it included.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from mho.errors import OutputError
from mho.files.sources import code_digest
from mho.files.text import parse_json
from mho.files.writing import refusal, refuse_others, write_whole
from mho.plugins import brought


def key_of(module: str, *parts: Any) -> str:
    """Return the digest of plain data, of the code of `module` with all that it imports, and of the versions of plugins."""
    content = json.dumps([code_digest(module), *brought(), *parts], sort_keys=True, allow_nan=False)
    return hashlib.sha256(content.encode()).hexdigest()


class Store:
    """Records by key: in memory alone, or in a file of one JSON object a line, which is read first where it is there.

        store = Store("results.jsonl")
        store.put(key, {"right": 41})
        store.get(key, ("right",))

    A new record is appended in one write, and nothing that stands in the file is written again: so the bytes written grow with
    the records, several processes may append to one file, and an interruption harms the last line at most. A line that cannot
    be read is passed over; of two lines with one key the later counts. The folder is made with the first record.

    Of a file only the keys are held, with the place of each line in bytes; a record is read when it is asked for.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        """Read what is kept. Raises OutputError where the path is not a file that can be read."""
        self.path = None if path is None else Path(path)
        self._records: dict[str, dict[str, Any]] = {}
        self._places: dict[str, int] = {}
        self._torn, self._spare = False, 0
        self._read()

    def _read(self) -> None:
        """Find the place of each key in the file."""
        self._places, place, line, lines = {}, 0, b"", 0
        with self._opened() as stream:
            # Lines of bytes: a name in a record may hold what splitlines takes for the end of a line.
            for line in stream:
                if (found := _record(line)) is not None:
                    self._places[found[0]] = place
                place, lines = place + len(line), lines + 1
        self._spare = lines - len(self._places)
        self._torn = bool(line) and not line.endswith(b"\n")

    def _opened(self) -> BinaryIO:
        """Open the file to read; nothing where there is none yet. Raises OutputError where it cannot be read."""
        if self.path is None:
            return io.BytesIO()
        refuse_others(self.path)
        try:
            return self.path.open("rb")
        except (FileNotFoundError, NotADirectoryError):
            return io.BytesIO()
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be read: {error.strerror or error}") from None

    def __len__(self) -> int:
        """Count the records."""
        return len(self._records) + len(self._places)

    def __contains__(self, key: object) -> bool:
        """Return True if there is a record under this key."""
        return key in self._records or key in self._places

    def __iter__(self) -> Iterator[str]:
        """Yield the keys, in the order in which they first came."""
        return iter((*self._records, *self._places))

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the records, in the order in which their keys first came."""
        yield from self._records.values()
        with self._opened() as stream:
            for key, place in [*self._places.items()]:
                found = _record(_line(stream, place))
                record = found[1] if found is not None and found[0] == key else self._record(key)
                if record is not None:
                    yield record

    def get(self, key: str, fields: Sequence[str]) -> dict[str, Any] | None:
        """Return the record with exactly these fields, None where there is none."""
        record = self._record(key)
        return record if record is not None and set(fields) == record.keys() else None

    def _record(self, key: str) -> dict[str, Any] | None:
        """Return the record of a key, and find all places again where the file has another line in its place, or none."""
        for _ in range(2):
            if key not in self._places:
                break
            with self._opened() as stream:
                found = _record(_line(stream, self._places[key]))
            if found is not None and found[0] == key:
                return found[1]
            # Another process has arranged the file, or somebody has taken it away.
            self._read()
        return self._records.get(key)

    def put(self, key: str, record: dict[str, Any]) -> dict[str, Any]:
        """Keep a record and return it as the file gives it back. Raises OutputError where the file cannot be written."""
        kept: dict[str, Any] = json.loads(json.dumps(record, allow_nan=False))
        if self.path is None:
            self._records[key] = kept
        else:
            line = json.dumps({"key": key, **record}, ensure_ascii=False).encode("utf-8", "backslashreplace")
            self._places[key] = self._append(self.path, line + b"\n")
        return kept

    def _append(self, path: Path, line: bytes) -> int:
        """Write a line at the end of the file and return its place."""
        refuse_others(path)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, flags, 0o666)
            try:
                content = b"\n" + line if self._torn else line
                self._torn = os.write(handle, content) != len(content)
                # Wherever the end was: others may have written since.
                place = os.lseek(handle, 0, os.SEEK_CUR) - len(line)
            finally:
                os.close(handle)
        except OSError as error:
            raise refusal(path, error) from None
        if self._torn:
            raise OutputError(f"{path}: cannot be written: the last record is there in part; is the disk full?")
        return place

    def arrange(self, keys: Iterable[str]) -> None:
        """Write the records anew in the order of these keys, those of no other key after them in the order they have.

        So the same records make the same bytes, in whatever order they were finished. The file is there whole at any time, and is
        left alone where it is so already; what another process appends meanwhile may be lost. Raises OutputError where the file
        cannot be written.
        """
        if self.path is None:
            wanted = {key: self._records[key] for key in keys if key in self._records}
            self._records = wanted | {key: record for key, record in self._records.items() if key not in wanted}
            return
        self._read()
        # Moved, not copied: keys of millions of records need not be there twice.
        places = {key: self._places.pop(key) for key in keys if key in self._places}
        places |= self._places

        def fill(target: BinaryIO) -> None:
            written = 0
            with self._opened() as stream:
                for key, place in places.items():
                    places[key] = written
                    written += target.write(_line(stream, place).rstrip(b"\r\n") + b"\n")

        in_order = not (self._torn or self._spare) and all(one < other for one, other in pairwise(places.values()))
        try:
            if not in_order and places:
                write_whole(self.path, fill)
        except BaseException:
            self._read()
            raise
        self._places, self._torn = places, self._torn and not places


def _line(stream: BinaryIO, place: int) -> bytes:
    stream.seek(place)
    return stream.readline()


def _record(line: bytes) -> tuple[str, dict[str, Any]] | None:
    """Return key and record of a line; None for one that holds none."""
    with contextlib.suppress(ValueError):
        record = parse_json(line.decode("utf-8", errors="replace"))
        if isinstance(record, dict) and isinstance(key := record.pop("key", None), str):
            return key, record
    return None
