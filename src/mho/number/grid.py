"""Grids: the magnitudes that a weight in sign-magnitude fixed point may have.

A weight of N bits is a sign and a magnitude of N - 1 bits, in whole steps of its scale. A grid allows some of the magnitudes,
the same for both signs. The fewer bits of a magnitude may be set, the more planes of a sliced matrix are empty: a window grid
allows set bits in S consecutive places only (SME), wherever these places lie.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError, OptionError, choices

FEWEST, MOST = 2, 8
"""Bits of a weight, the sign included."""


@dataclass(frozen=True)
class Grid:
    """The magnitudes that weights of `bits` bits may have, in steps; symmetric in sign.

    Grid.window(8, 3)                        set bits within 3 consecutive places            "window:8:3"
    Grid.uniform(4)                          every magnitude, 0 to 7                          "uniform:4"
    Grid.power_of_two(8)                     one bit set, or none                             "power-of-two:8"
    Grid.additive_power_of_two(8, terms=2)   sums of powers of two, one from each of 2 sets   "additive-power-of-two:8:2"
    Grid.parse("window:8:3")                 the same by name, as `str` gives it

    `magnitudes`: whole numbers in rising order, 0 the first, the last at most 2^(bits - 1) - 1.
    """

    name: str
    bits: int
    magnitudes: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raise NumberError for bits outside 2..8 and for magnitudes that are no such list."""
        _check_bits(self.bits)
        given = self.magnitudes
        if not given or any(isinstance(magnitude, bool) or not isinstance(magnitude, int) for magnitude in given):
            raise NumberError(f"the magnitudes of grid {self.name!r} are whole numbers from 0 on, not {given}")
        if given[0] != 0 or list(given) != sorted(set(given)):
            raise NumberError(f"the magnitudes of grid {self.name!r} start at 0 and rise, not {given}")
        if given[-1] > self.limit:
            raise NumberError(
                f"grid {self.name!r} of {self.bits} bits holds magnitudes up to {self.limit}, not {given[-1]}"
            )

    @classmethod
    def window(cls, bits: int, significant: int) -> Grid:
        """Return the magnitudes whose set bits lie within `significant` consecutive places, 1 to bits - 1 (SME)."""
        _check_bits(bits)
        if not 1 <= significant <= bits - 1:
            raise NumberError(f"a window in weights of {bits} bits has 1 to {bits - 1} places, not {significant}")
        places = bits - significant
        magnitudes = {kept << place for place in range(places) for kept in range(2**significant)}
        return cls(f"window:{bits}:{significant}", bits, tuple(sorted(magnitudes)))

    @classmethod
    def uniform(cls, bits: int) -> Grid:
        """Return every magnitude."""
        _check_bits(bits)
        return cls(f"uniform:{bits}", bits, tuple(range(2 ** (bits - 1))))

    @classmethod
    def power_of_two(cls, bits: int) -> Grid:
        """Return 0 and the powers of two."""
        _check_bits(bits)
        return cls(f"power-of-two:{bits}", bits, (0, *(1 << place for place in range(bits - 1))))

    @classmethod
    def additive_power_of_two(cls, bits: int, terms: int = 2) -> Grid:
        """Return the sums of `terms` terms, each 0 or a power of two from a set of its own.

        Term i takes the places i, i + terms, i + 2 terms and so on, counted from the most significant one down, as the powers
        of each term are in additive powers-of-two quantisation (Li, Dong, Wang, ICLR 2020, equation 5); there the number of
        powers is 2^k - 1 for terms of k bits, here as many as the bits of the magnitude hold. Raises NumberError for terms
        outside 1..bits - 1.
        """
        _check_bits(bits)
        if not 1 <= terms <= bits - 1:
            raise NumberError(f"weights of {bits} bits are sums of 1 to {bits - 1} terms, not {terms}")
        powers = [(0, *(1 << place for place in range(bits - 2 - term, -1, -terms))) for term in range(terms)]
        magnitudes = {sum(chosen) for chosen in product(*powers)}
        return cls(f"additive-power-of-two:{bits}:{terms}", bits, tuple(sorted(magnitudes)))

    @classmethod
    def parse(cls, text: str) -> Grid:
        """Return the grid of that name ("window:8:3"). Raises OptionError for a name that means no grid."""
        kind, *numbers = text.split(":")
        if kind not in KINDS:
            raise OptionError(f"no grid {text!r}: {choices(kind, KINDS)}, as in 'window:8:3' or 'uniform:4'")
        make, least, most = KINDS[kind]
        if not least <= len(numbers) <= most or not all(number.isascii() and number.isdigit() for number in numbers):
            wanted = "bits" if most == 1 else "bits and places" if kind == "window" else "bits and terms"
            raise OptionError(f"no grid {text!r}: {kind} takes {wanted}, whole numbers behind colons")
        try:
            return make(*map(int, numbers))
        except NumberError as error:
            raise OptionError(f"no grid {text!r}: {error}") from None

    def __str__(self) -> str:
        """Return the name, from which `parse` makes the same grid."""
        return self.name

    @property
    def limit(self) -> int:
        """The largest magnitude that the bits hold."""
        return int(2 ** (self.bits - 1) - 1)

    @property
    def largest(self) -> int:
        """The largest magnitude that the grid allows."""
        return self.magnitudes[-1]

    def nearest(self, x: npt.ArrayLike) -> npt.NDArray[np.int16]:
        """Round real numbers, in steps, to the grid: signed, of x's shape.

        Halfway between two magnitudes the smaller one is taken; beyond the largest, the largest. Raises NumberError
        where x is not a number.
        """
        real = np.asarray(x, dtype=np.float64)
        if np.isnan(real).any():
            raise NumberError("a value that is not a number (NaN) cannot be rounded to a grid")
        magnitude = self.table[halves(real, self.limit)]
        return np.where(real < 0, -magnitude, magnitude)

    def holds(self, values: npt.NDArray[Any]) -> bool:
        """Return whether all signed whole numbers lie on the grid."""
        return bool(np.isin(np.abs(values), self.magnitudes).all())

    def shifted(self, top: int, shift: int) -> Grid:
        """Return what is left of the grid where magnitudes are stored shifted right by `shift` in planes of which the top
        `top` are squeezed out: multiples of 2^shift below 2^(bits - 1 - top + shift).

        Raises NumberError unless 0 <= shift <= top <= bits - 2.
        """
        if not 0 <= shift <= top <= self.bits - 2:
            raise NumberError(
                f"weights of {self.bits} bits are squeezed by 0 to {self.bits - 2} planes and their rows shifted by no "
                f"more, not by {top} and {shift}"
            )
        bound = 2 ** (self.bits - 1 - top + shift)
        kept = tuple(magnitude for magnitude in self.magnitudes if magnitude % 2**shift == 0 and magnitude < bound)
        return Grid(f"{self.name} shifted by {shift} of {top}", self.bits, kept)

    @cached_property
    def table(self) -> npt.NDArray[np.int16]:
        """The nearest magnitude by half steps: entry i is that of all x with i = min(ceil(2 |x|), 2 limit).

        It is one magnitude for all of these, because halfway between two whole numbers lies a multiple of 1/2.
        """
        allowed = np.array(self.magnitudes)
        half = np.arange(2 * self.limit + 1)
        place = np.searchsorted(allowed[:-1] + allowed[1:], half, side="left")
        return np.asarray(allowed[place].astype(np.int16))


def halves(x: npt.NDArray[np.float64], limit: int) -> npt.NDArray[np.intp]:
    """Return min(ceil(2 |x|), 2 limit): where to look in a grid's table."""
    scaled = np.asarray(np.abs(x))
    scaled *= 2.0
    np.ceil(scaled, out=scaled)
    np.minimum(scaled, 2 * limit, out=scaled)
    return scaled.astype(np.intp)


def _check_bits(bits: int) -> None:
    if isinstance(bits, bool) or not isinstance(bits, int) or not FEWEST <= bits <= MOST:
        raise NumberError(f"weights on a grid have {FEWEST} to {MOST} bits, not {bits!r}")


KINDS: dict[str, tuple[Callable[..., Grid], int, int]] = {
    "window": (Grid.window, 2, 2),
    "uniform": (Grid.uniform, 1, 1),
    "power-of-two": (Grid.power_of_two, 1, 1),
    "additive-power-of-two": (Grid.additive_power_of_two, 1, 2),
}
"""By kind: what makes the grid, and how many numbers it takes, least and most."""

__all__ = ["KINDS", "Grid", "halves"]
