"""Records of judged designs in a store: each under the digest of all that it follows from, so that no design is judged twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol

from mho.explore.space import Value
from mho.files.store import Store, key_of

Record = dict[str, Any]


class Judges(Protocol):
    """What judges designs: `fields` are the figures of a record."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The figures of a record."""

    def digest(self) -> str:
        """Return the digest of all that a record rests on beside its design."""

    def identity(self, values: Mapping[str, Value]) -> Any:
        """Return, as JSON has it, what decides a record of a design."""

    def __call__(self, values: Mapping[str, Value]) -> Record:
        """Judge a design."""


class Records:
    """What is kept of the designs of a judge. `more`: fields of a record beside its figures."""

    def __init__(self, kept: Store, judge: Judges, *more: str) -> None:
        self.kept, self._judge = kept, judge
        self._fields = (*judge.fields, "refused", "reason", *more)
        self._key = key_of(__name__, judge.digest())

    def key(self, values: Mapping[str, Value]) -> str:
        """Return the key of a design: what it changes of each part decides, not which other values a space has."""
        changed = json.dumps(self._judge.identity(values), sort_keys=True)
        return hashlib.sha256(f"{self._key} {changed}".encode()).hexdigest()

    def get(self, values: Mapping[str, Value]) -> dict[str, Any] | None:
        """Return the record of a design, None where it was not judged."""
        return self.kept.get(self.key(values), self._fields)

    def put(self, values: Mapping[str, Value], record: Mapping[str, Any]) -> dict[str, Any]:
        """Keep the record of a design."""
        return self.kept.put(self.key(values), {name: record[name] for name in self._fields})


__all__ = ["Judges", "Record", "Records"]
