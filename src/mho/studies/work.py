"""What a study runs in: its settings, how it tells what it does, and measurements that are kept.

A measurement is named and gives plain JSON data. Each is kept, as soon as it is finished, in a file beside the results, under
the digest of all that it rests on: chips, networks, data, and the code that computes it. So an interrupted study goes on from
where it was, and after a change only that is measured again which the change touches.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial, wraps
from pathlib import Path
from typing import Any, TypeVar, cast

from mho.files.sources import function_digest
from mho.files.store import Store
from mho.plugins import brought

F = TypeVar("F", bound=Callable[..., dict[str, Any]])
KEPT = "study.jsonl"
FIELDS = ("name", "measured")


@dataclass(frozen=True)
class Settings:
    """The settings of a study. `quick`: the smallest networks alone, and no long measurement. `data`: folder of real weights."""

    quick: bool = False
    data: Path | None = None


@dataclass
class Standing:
    """Names of measurements: those that are up to date, those that something has changed under, those never made."""

    current: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


class NotMeasuredError(Exception):
    """A measurement that was never made is asked for, while nothing is to be measured."""


@cache
def _content_digest(path: Path, size: int, changed_ns: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _plain(basis: Any) -> Any:
    """Return as plain data what a measurement rests on: the digest of a chip, a file, a function or a class, else what it is."""
    if isinstance(basis, Path):
        status = basis.stat()
        return _content_digest(basis, status.st_size, status.st_mtime_ns)
    if callable(basis):
        return function_digest(basis)
    if isinstance(basis, list | tuple):
        return [_plain(element) for element in basis]
    return getattr(basis, "digest", basis)


class Work:
    """Measures what a study asks for, unless it is there already and nothing that it rests on has changed."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        folder: Path | None = None,
        say: Callable[[str], None] = lambda text: None,
        *,
        measures: bool = True,
    ) -> None:
        """Take up what is kept in `folder`; without one, nothing is kept. Where it does not measure, what has changed is taken
        as it was, for the standing alone.
        """
        self.name, self.settings, self.folder = name, settings, folder
        self.say, self.measures = say, measures
        self.standing = Standing()
        self._store = Store(None if folder is None else folder / KEPT)
        self._last = {
            record["name"]: record["measured"] for record in self._store.records() if set(record) == set(FIELDS)
        }

    def measure(self, name: str, compute: Callable[[], Mapping[str, Any]], *rests: Any) -> dict[str, Any]:
        """Return a measurement: the kept one, or `compute()`, which is then kept.

        `rests`: what else it rests on besides the code of `compute` and its name: chips, paths of data, functions, plain data.
        """
        content = [self.name, name, self.settings.quick, function_digest(compute), brought(), *map(_plain, rests)]
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        record = self._store.get(key, FIELDS)
        if record is not None:
            self.standing.current.append(name)
        elif not self.measures:
            if name not in self._last:
                self.standing.missing.append(name)
                raise NotMeasuredError(name)
            self.standing.changed.append(name)
            record = {"measured": self._last[name]}
        else:
            self.say(name)
            (self.standing.changed if name in self._last else self.standing.missing).append(name)
            # As JSON gives it back, so that an interrupted study and an uninterrupted one see the same.
            record = self._store.put(key, {"name": name, "measured": dict(compute())})
        measured = record["measured"]
        assert isinstance(measured, dict)
        return measured


def measured(what: str) -> Callable[[F], F]:
    """Make of a function of a subject and plain data a measurement, kept as `what`, in which {0}, {1} ... stand for the data.

    The subject, such as a network, has a method `measure` that knows what all its measurements rest on.
    """

    def decorate(compute: F) -> F:
        @wraps(compute)
        def measurement(subject: Any, *rests: Any) -> Any:
            return subject.measure(what.format(*rests), partial(compute, subject, *rests), *rests)

        return cast(F, measurement)

    return decorate
