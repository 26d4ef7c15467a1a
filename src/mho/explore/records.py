"""Records of judged designs in a store: each under the digest of all that it follows from, so that no design is judged twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mho.explore.screening import Judge
from mho.explore.space import Value
from mho.files.store import Store, key_of


class Records:
    """What is kept of the designs of a judge. `more`: fields of a record beside its figures."""

    def __init__(self, kept: Store, judge: Judge, *more: str) -> None:
        self.kept, self._judge = kept, judge
        self._fields = (*judge.fields, "refused", "reason", *more)
        self._key = key_of(__name__, judge.digest())

    def key(self, values: Mapping[str, Value]) -> str:
        """Return the key of a design: what it changes of each part decides, not which other values a space has."""
        changed = [self._judge.space.changes(values), self._judge.lean(values)]
        return hashlib.sha256(f"{self._key} {json.dumps(changed, sort_keys=True)}".encode()).hexdigest()

    def get(self, values: Mapping[str, Value]) -> dict[str, Any] | None:
        """Return the record of a design, None where it was not judged."""
        return self.kept.get(self.key(values), self._fields)

    def put(self, values: Mapping[str, Value], record: Mapping[str, Any]) -> dict[str, Any]:
        """Keep the record of a design."""
        return self.kept.put(self.key(values), {name: record[name] for name in self._fields})


__all__ = ["Records"]
