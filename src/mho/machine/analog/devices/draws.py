"""Random numbers keyed by the law that draws and where, so that neither order nor process nor another knob changes them.

Each law has streams of its own. So a sweep over one knob leaves all other draws as they are, and the same uniform numbers
compared with a larger share choose a superset of the cells (common random numbers).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mho.errors import DeviceError

_WORD = 1 << 32


def check_key(seed: int, key: tuple[int, ...]) -> None:
    """Raise DeviceError unless the seed and every number of the key are integers from 0 to 2^64 - 1."""
    if not isinstance(key, tuple):
        raise DeviceError(f"key: must be a tuple of integers, not {key!r}")
    for name, number in (("seed", seed), *(("key", number) for number in key)):
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 0 <= number < _WORD * _WORD:
            raise DeviceError(f"{name}: must be integers from 0 to 2^64 - 1, not {number!r}")


def stream(seed: int, number: int, key: Iterable[int], turn: int = 0) -> np.random.Generator:
    """Return the generator of the stream `number` at a place; `turn` counts the repetitions of a write."""
    # Two words a number: a SeedSequence gives numbers of 2^32 and above two words of its own, and places would coincide.
    words = [word for number in key for word in (int(number) % _WORD, int(number) // _WORD)]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(int(seed), spawn_key=(number, turn, *words))))
