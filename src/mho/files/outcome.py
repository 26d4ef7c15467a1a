"""Outcomes as data: what `to_dict` gives has a schema, and `from_dict` and `load` give the outcome again."""

from __future__ import annotations

from collections.abc import Mapping
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
        found = content.get("schema") if isinstance(content, Mapping) else None
        if found != cls.schema:
            raise OptionError(f"this is no outcome of schema {cls.schema!r}: its schema is {found!r}")
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
