"""JSON values as the types that a record's fields declare: what a file says is checked before anything is built of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from mho.errors import ProgramError

LARGEST = 2**62
"""Whole numbers of a file stay below this in magnitude, so that sums and products of counts can be kept in 64 bits."""


def typed(value: Any, hint: Any, what: str) -> Any:
    """Return a JSON value as the type `hint`, lists as tuples; raise ProgramError, naming `what`, for any other value.

    Known: int, float (whole numbers too; no NaN), bool, str, None, tuples, mappings from str, and unions of these with None.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and NoneType in arguments:
            return None
        (hint,) = (argument for argument in arguments if argument is not NoneType)
        return typed(value, hint, what)
    if origin is tuple:
        return _tuple(value, arguments, what)
    if origin is Mapping:
        if not isinstance(value, dict):
            raise ProgramError(f"{what} needs named values, not {shown(value)}")
        return {key: typed(item, arguments[1], f"{what}, {key}") for key, item in value.items()}
    wanted = (int, float) if hint is float else (hint,)
    if type(value) not in wanted:
        raise ProgramError(f"{what} needs {_WORDS.get(hint, hint)}, not {shown(value)}")
    if type(value) is int and abs(value) >= LARGEST:
        raise ProgramError(f"{what} is a number of {len(str(value))} digits, too large")
    if type(value) is float and math.isnan(value):
        raise ProgramError(f"{what} is not a number (NaN)")
    return value


_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def _tuple(value: Any, types: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ProgramError(f"{what} needs a list, not {shown(value)}")
    if types[-1] is Ellipsis:
        return tuple(typed(item, types[0], what) for item in value)
    if len(value) != len(types):
        raise ProgramError(f"{what} needs a list of {len(types)}, not {shown(value)}")
    return tuple(typed(item, kind, what) for item, kind in zip(value, types, strict=True))


def shown(value: Any) -> str:
    """Show a value as JSON would, cut short."""
    text = {None: "null", True: "true", False: "false"}.get(value) if value is None or isinstance(value, bool) else None
    text = text or repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
