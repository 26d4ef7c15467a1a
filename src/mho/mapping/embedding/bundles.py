"""Bundles of embedding rows: rows of tables that bags look up together share a group (ReCross).

A table is a matrix whose inputs are its rows and whose outputs are its features; a bag is an input that says how often each row is
asked for. A bundle fills a group; where a row has more features than a group has columns, as many groups as these take, and
the blocks of one bundle follow each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np

from mho.mapping.blocks import Bytes, Drive, FloatArray, Fullest, IntArray, Run
from mho.mapping.embedding.layout import Layout
from mho.mapping.shape import GroupShape
from mho.mapping.whole import WHOLE, WholeBlocks
from mho.network.trace.trace import Indices
from mho.number.coded import QuantisedMatrix


class BundleBlocks(WholeBlocks):
    """Blocks of the bundles of a layout, of rows of `columns` features, in groups of this `shape`; of one copy each.

    Raises ValueError where bundles are higher than a group.
    """

    def __init__(self, layout: Layout, columns: int, shape: GroupShape) -> None:
        if layout.height > shape.rows or columns < 1:
            raise ValueError(
                f"bundles of {layout.height} rows of {columns} features do not fit groups of {shape.rows} rows"
            )
        self.matrices, self.rows, self.columns, self.shape = 1, layout.rows, columns, shape
        self.layout = layout

    @property
    def span(self) -> int:
        """Blocks of a bundle: groups that its features take."""
        return -(-self.columns // self.shape.columns)

    @property
    def count(self) -> int:
        """The number of blocks: groups that one copy fills."""
        return self.layout.groups * self.span

    @cached_property
    def heights(self) -> IntArray:
        """Rows of each block, shape (count,)."""
        return np.repeat(np.diff(self.layout.starts), self.span)

    @cached_property
    def widths(self) -> IntArray:
        """Features in each block, shape (count,)."""
        first = np.arange(self.span) * self.shape.columns
        return np.tile(np.minimum(self.columns - first, self.shape.columns), self.layout.groups)

    @property
    def fills(self) -> FloatArray:
        """Return 1 for each block, shape (count,): every place holds a number."""
        return np.ones(self.count)

    @property
    def occupied(self) -> int:
        """Places that hold a number: the features of all rows."""
        return self.rows * self.columns

    def bundle(self, index: int) -> Indices:
        """Return the rows of block `index`, by wordline."""
        self.check(index)
        return self.layout.members[slice(*self.layout.starts[index // self.span :][:2])]

    def features(self, index: int) -> slice:
        """Return the features of block `index`."""
        first = index % self.span * self.shape.columns
        return slice(first, min(first + self.shape.columns, self.columns))

    def of_bundle(self, group: int) -> range:
        """Return the blocks of one bundle."""
        return range(group * self.span, (group + 1) * self.span)

    def inputs(self, run: Run, height: int) -> int:
        """Count inputs: the blocks of one bundle read its rows once."""
        return int(np.diff(self.layout.starts)[run[0] // self.span : -(-run[1] // self.span)].sum()) if height else 0

    def laid(self, index: int, matrix: QuantisedMatrix) -> Bytes:
        """Return the codes of a block's rows as they sit in its group."""
        return matrix.codes[0, self.bundle(index), self.features(index)]

    def drives(self, index: int, x: Bytes) -> Iterator[Drive]:
        """Yield how often each row of a block is asked for."""
        inputs = np.ascontiguousarray(x[0][:, :, self.bundle(index)]).reshape(x.shape[1] * x.shape[2], -1)
        yield Drive(WHOLE[0], (inputs,), int(self.widths[index]))

    def splice(self, index: int, number: int | None, sums: FloatArray, x: Bytes, out: FloatArray) -> None:
        """Add the sums to the features that they belong to."""
        out[0][:, :, self.features(index)] += sums.reshape(*x.shape[1:3], -1)

    def assembled(self, read: Iterable[tuple[int, FloatArray]], matrix: QuantisedMatrix) -> FloatArray:
        """Put rows and features back in their order."""
        weights = np.zeros((1, self.rows, self.columns))
        for index, values in read:
            weights[0, self.bundle(index), self.features(index)] = values + self.shape.coding.base
        return weights

    def fullest(self) -> Fullest:
        """Return the most levels of a column of the highest bundle, and its rows."""
        rows = int(self.heights.max(initial=0))
        return Fullest(self.shape.coding.fullest(rows, rows), rows)
