"""The options of traces: how a file is read, and how a trace is made up."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class ReadingOptions:
    """The options that say how a file is read; None: as where the option is not given."""

    query: str | None = None
    table: str | None = None
    row: str | None = None
    weight: str | None = None
    time: str | None = None
    basket: bool = False
    separator: str | None = None
    header: bool | None = None
    skip_missing: bool = False
    ignore: list[str] | None = None
    bag: str | None = None
    compact: bool = False

    def given(self) -> dict[str, Any]:
        """Return what was given, as `mho.network.trace.read` takes it."""
        given = {option.name: getattr(self, option.name) for option in fields(self)}
        given = {
            name: value
            for name, value in given.items()
            if value not in (None, False) or (name, value) == ("header", False)
        }
        if "ignore" in given:
            given["ignored"] = tuple(given.pop("ignore"))
        return given


@dataclass(frozen=True)
class MakingOptions:
    """The options that say what is made up; None where not given."""

    queries: int | None = None
    mean_length: Any = None
    lengths: str | None = None
    popularity: str | None = None
    community_size: int | None = None
    cohesion: float | None = None
    distinct: bool = False
