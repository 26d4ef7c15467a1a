"""The word that stands for a number of tiles where a chip is to be sized to its network (`mho.schedule.sized`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mho.errors import OptionError

TILES = "tiles"
FIT = "fit"
"""As many tiles as hold one copy of each weight; `fit:2`: two copies."""


def copies_asked(changes: Mapping[str, Any]) -> int:
    """Return the copies that changes of a chip size it to; 0 where they do not. OptionError for no number of copies."""
    value = changes.get(TILES)
    word, colon, copies = value.partition(":") if isinstance(value, str) else ("", "", "")
    if word != FIT:
        return 0
    if colon and not (copies.isdecimal() and int(copies) > 0):
        raise OptionError(f"{TILES}: {FIT} or {FIT}:COPIES, such as {FIT}:2, not {value!r}")
    return int(copies) if colon else 1


def unsized(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes of a chip without its size to a network. OptionError as `copies_asked`."""
    return {key: value for key, value in changes.items() if not (key == TILES and copies_asked(changes))}
