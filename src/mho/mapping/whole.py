"""Blocks of whole weights: what dense blocks and bundles of rows have in common.

All rows of such a block are driven at once, all its columns converted together, and no input is prolonged.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from operator import sub

import numpy as np

from mho.mapping.blocks import Blocks, IntArray, Run, Totals, Turn
from mho.number.coded import QuantisedMatrix

WHOLE = (Turn(slice(None), None),)
"""All rows and columns at once."""


MOST_RUNS = 1024
"""Runs of equal blocks whose totals are remembered at the most."""


class WholeBlocks(Blocks):
    """Blocks whose places hold a weight each."""

    @cached_property
    def _sums(self) -> list[list[int]]:
        """Return running sums over blocks of (height, width, places, arrays, height x arrays, width x turns, arrays x turns), from
        0 before the first block on.
        """
        table = np.zeros((self.count + 1, 7), dtype=np.int64)
        turns = -(-self.heights // self.shape.rows_at_once)
        plain = (self.heights, self.widths, self.places, self.arrays, self.heights * self.arrays)
        columns = (*plain, self.widths * turns, self.arrays * turns)
        np.cumsum(np.stack(columns, axis=1), axis=0, out=table[1:])
        sums: list[list[int]] = table.tolist()
        return sums

    def totals(self, run: Run) -> Totals:
        """Sum over the blocks [first, last) in constant time."""
        if run not in self._totals:
            if len(self._totals) >= MOST_RUNS:
                self._totals.clear()
            self._totals[run] = self._summed(run)
        return self._totals[run]

    @cached_property
    def _totals(self) -> dict[Run, Totals]:
        """The runs that were summed: networks and chips that share these blocks ask for the same ones."""
        return {}

    def _summed(self, run: Run) -> Totals:
        height, width, places, arrays, drives, turned, readings = map(sub, self._sums[run[1]], self._sums[run[0]])
        inputs = self.inputs(run, height)
        return Totals(run[1] - run[0], height, turned, places, arrays, drives, inputs, width, turned, readings)

    def slowest(self, plain: int) -> tuple[int, int]:
        """Return the turns that the rows of the highest block take; no input is prolonged."""
        return -(-int(self.heights.max()) // self.shape.rows_at_once), 0

    def converted(self) -> int:
        """Return the columns of the fullest array."""
        return min(int(self.widths.max()), self.shape.per_array)

    def inputs(self, run: Run, height: int) -> int:
        """Return the distinct inputs of a run of blocks of this height together."""
        return height

    def turns(self, index: int) -> tuple[Turn, ...]:
        """Return the only turn, all rows and columns of a block at once."""
        return WHOLE

    def beside(self, matrix: QuantisedMatrix) -> IntArray:
        """Return the base of the coding: cells at level 0 stand for it."""
        return np.full((1, 1), self.shape.coding.base, dtype=np.int64)

    def reads(self, index: int, order: Sequence[int] = ()) -> IntArray:
        """Count arrays read and rows driven in them; see `Blocks.reads`."""
        arrays = len({place // self.shape.per_array for place in order}) if order else int(self.arrays[index])
        return np.array((arrays, arrays * int(self.heights[index]), 0, 0), dtype=np.int64)
