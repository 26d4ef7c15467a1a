"""What a law of devices is: one effect on cells, in one file, with the keys of the part of a device file that it reads.

A law says what it does to cells when they are programmed (`conducts`), which cells it breaks (`breaks`), what it adds to every
read (`read_sigma`), whether it leaves cells exact, and whether chips differ by it. What it does not say, it does not do. It is
registered by a line of `laws.py`; device files, overrides, help, execution, look-ups and training follow from its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mho.errors import DeviceError
from mho.machine.analog.devices.curve import FloatArray, Window
from mho.machine.analog.devices.fields import DeviceDocument
from mho.machine.analog.devices.validity import Validity
from mho.quantity import Part

WORKS, STUCK_OFF, STUCK_ON = 0, 1, 2
"""Values of a fault map, one for each cell."""
_WORD = 1 << 32
Faults = npt.NDArray[np.uint8]
Writes = float | npt.ArrayLike | None


def check_key(seed: int, key: tuple[int, ...]) -> None:
    """Raise DeviceError unless the seed and every number of the key are integers from 0 to 2^64 - 1."""
    if not isinstance(key, tuple):
        raise DeviceError(f"key: must be a tuple of integers, not {key!r}")
    for name, number in (("seed", seed), *(("key", number) for number in key)):
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 0 <= number < _WORD * _WORD:
            raise DeviceError(f"{name}: must be integers from 0 to 2^64 - 1, not {number!r}")


@dataclass(frozen=True, eq=False)
class Draws:
    """Random numbers for cells of `shape` at a place: all follow from seed, key and the number of a law's stream.

    So neither order nor process nor another knob changes them: a sweep over one knob leaves all other draws as they are, and the
    same uniform numbers compared with a larger share choose a superset of the cells (common random numbers).
    """

    seed: int
    key: tuple[int, ...]
    shape: tuple[int, ...]

    def normal(self, number: int, turn: int = 0) -> FloatArray:
        """Return a standard normal number a cell; `turn` counts the repetitions of a write."""
        return self._stream(number, turn).standard_normal(self.shape)

    def uniform(self, number: int) -> FloatArray:
        """Return a number from 0 to below 1 a cell."""
        return self._stream(number).random(self.shape)

    def _stream(self, number: int, turn: int = 0) -> np.random.Generator:
        # Two words a number: a SeedSequence gives numbers of 2^32 and above two words of its own, and places would coincide.
        words = [word for part in self.key for word in (int(part) % _WORD, int(part) // _WORD)]
        source = np.random.SeedSequence(int(self.seed), spawn_key=(number, turn, *words))
        return np.random.Generator(np.random.Philox(source))


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells while they are programmed: the level of each, integers of any shape from 0 to `steps`, and what happens to them."""

    device: str
    levels: npt.NDArray[Any]
    steps: int
    window: Window
    draws: Draws
    age_s: float
    laws: Mapping[str, Law]

    @cached_property
    def states(self) -> FloatArray:
        """The state of each level, from 0 to 1, shape (steps + 1,)."""
        return np.asarray(np.arange(self.steps + 1) / self.steps, dtype=np.float64)

    @cached_property
    def targets(self) -> FloatArray:
        """Return the conductance that each level aims at, in level units, shape (steps + 1,)."""
        return np.asarray(np.arange(self.steps + 1) + float(self.steps * self.window.pedestal), dtype=np.float64)


class Law(Part):
    """One effect. Its fields are the keys of its part of a device file."""

    number: ClassVar[int] = 0
    """The number of its random stream, which is part of every result and never changes; 0 where it draws nothing."""
    ages: ClassVar[bool] = False
    """True if what it does depends on the time since cells were programmed."""
    wears: ClassVar[bool] = False
    """True if what it does depends on how often cells were written."""

    @classmethod
    def read(cls, document: DeviceDocument, key: str, raw: Any) -> Law | None:
        """Read its part of a device file; None where that says that there is no such effect."""
        return document.law(cls, key, raw)

    def check(self, document: DeviceDocument, laws: Mapping[str, Law], validity: Validity) -> None:
        """Refuse what does not agree with the device's other laws, or leaves what the device is valid for."""

    @classmethod
    def mend(cls, before: Mapping[str, Any], after: dict[str, Any], given: Mapping[str, Any]) -> None:
        """Let other keys follow where an override gives keys of this part a new value: `after` is changed in place."""

    @property
    def exact(self) -> bool:
        """True if every cell conducts what it should, at any age and after any number of writes, for all that this law does."""
        return True

    @property
    def quiet(self) -> bool:
        """True if it adds nothing to reads."""
        return True

    def differs(self, age_s: float, writes: Writes) -> bool:
        """Return True if chips of such an age, written so often, differ by it."""
        return False

    def conducts(self, conductance: FloatArray, cells: Cells) -> FloatArray:
        """Return what cells conduct, in level units, where without this law they conduct `conductance` (which may be changed)."""
        return conductance

    def breaks(self, faults: Faults, draws: Draws, writes: Writes) -> Faults:
        """Return which cells are stuck, where without this law `faults` are (which may be changed)."""
        return faults

    def read_sigma(self, states: FloatArray, window: Window) -> FloatArray | None:
        """Return the standard deviation that it adds to a read of cells in these states, as shares of the range, or None."""
        return None
