"""Outcomes as data: what `to_dict` gives has a schema, and `from_dict` and `load` give the outcome again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

from mho.errors import MhoError, OptionError
from mho.files.text import parse_json, read_text
from mho.shown import Shown


class Outcome(Shown):
    """What was found, as data of a schema.

    outcome.to_dict()                       everything, ready for JSON
    type(outcome).from_dict(content)        the outcome again
    type(outcome).load("out/sweep.json")    that of a file

    A class says its `schema`, and reads its data in `_read`, where what is lacking may raise KeyError.
    """

    schema: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return everything, safe for JSON."""
        raise NotImplementedError

    @classmethod
    def _read(cls, content: Mapping[str, Any]) -> Self:
        """Rebuild what `to_dict` gave."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Rebuild what `to_dict` gave. OptionError where it is of another schema, or not whole."""
        schema = content.get("schema") if isinstance(content, Mapping) else None
        if schema != cls.schema:
            raise OptionError(f"this is no outcome of schema {cls.schema!r}: its schema is {schema!r}")
        try:
            return cls._read(content)
        except KeyError as lacking:
            raise OptionError(f"this outcome of schema {cls.schema!r} is not whole: it lacks {lacking}") from None
        except MhoError as wrong:
            raise OptionError(f"this outcome of schema {cls.schema!r} cannot be read: {wrong}") from None
        except (TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as wrong:
            raise OptionError(f"this outcome of schema {cls.schema!r} cannot be read: {wrong}") from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read the file of an outcome that `mho.save` or --json wrote. OptionError, naming it, where it is none."""
        text = read_text(Path(path), OptionError)
        try:
            return cls.from_dict(parse_json(text))
        except ValueError as error:
            raise OptionError(f"{path}: not JSON: {error}") from None
        except OptionError as error:
            raise OptionError(f"{path}: {error}") from None


def plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return data as a file would give them back: lists in place of tuples, words as keys."""
    copied: dict[str, Any] = json.loads(json.dumps(content))
    return copied


class Recorded(Outcome):
    """An outcome that is told by its data, `content`, alone: read back, it has these, and not what they were measured on.

    `needs` names the keys that its data have. AttributeError for what an outcome that was read back does not hold.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    content: Mapping[str, Any]
    read_back = False

    def to_dict(self) -> dict[str, Any]:
        """Return everything, safe for JSON."""
        return deepcopy(dict(self.content))

    @classmethod
    def _read(cls, content: Mapping[str, Any]) -> Self:
        for key in cls.needs:
            content[key]
        outcome = cls.__new__(cls)
        outcome.__dict__.update(content=plain(content), read_back=True, **cls._parts(content))
        # Whole is what everything can be told of.
        outcome.headline()
        outcome.facts()
        for table in outcome.frames().values():
            table()
        return outcome

    @classmethod
    def _parts(cls, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is rebuilt of the data for an outcome that is read back: the outcomes within it."""
        return {}

    def __getattr__(self, name: str) -> Any:
        """Say that an outcome that was read back holds figures alone."""
        which = " that was read back holds figures, and" if self.read_back else " has"
        raise AttributeError(f"a {type(self).__name__}{which} no {name!r}")


class MeasuredOutcome(Recorded):
    """A recorded outcome whose data are gathered from what was measured, by `_content`, when they are first asked for."""

    @cached_property
    def content(self) -> Mapping[str, Any]:  # type: ignore[override]
        """Everything as data."""
        return self._content()

    def _content(self) -> dict[str, Any]:
        raise NotImplementedError
