"""Weights that all models of a space share: the largest of each name, and which of its columns a model's own weight is.

A weight is the leading outputs of the shared one, and of its inputs those that stand for what the model reads: each output that may
be read has a stretch of columns of its own, of which its first numbers count. Vectors laid flat have such stretches feature by
feature. What lies within an operator (pairs, features, the sides of a sum) takes the leading columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.network.zoo.interaction.description import Dense, Merged, Sparse
from mho.network.zoo.interaction.genotype import Genotype
from mho.network.zoo.interaction.model import Shapes
from mho.network.zoo.interaction.plan import (
    SPREAD,
    VECTORS,
    Matrix,
    Segment,
    dense_matrices,
    fm_matrix,
    sparse_matrices,
    spread_matrix,
)
from mho.network.zoo.interaction.space import ModelSpace

DIGITS = "0123456789"


@dataclass(frozen=True)
class Store:
    """The shared weights of a space for so many fields of a dimension; `shapes` are those of the weights by name."""

    space: ModelSpace
    fields: int
    dimension: int

    @cached_property
    def matrices(self) -> Mapping[str, Matrix]:
        """The largest matrix of each name."""
        return {matrix.name: matrix for matrix in self._largest()}

    @cached_property
    def shapes(self) -> Shapes:
        """Names and shapes of weights and biases."""
        found: Shapes = {}
        for matrix in self.matrices.values():
            found |= {f"{matrix.name}.weight": (matrix.outputs, matrix.rows), f"{matrix.name}.bias": (matrix.outputs,)}
        return found

    def columns(self, matrix: Matrix) -> npt.NDArray[np.intp]:
        """Return the columns of the shared weight that a model's matrix has, in its order."""
        largest = self.matrices[matrix.name]
        starts: dict[str, int] = {}
        width = 0
        for segment in largest.reads:
            starts[segment.source] = width
            width += segment.length
        # Which output of its kind it is counts where several may be read, and nowhere else.
        known = (starts.get(each.source, starts.get(each.source.rstrip(DIGITS), 0)) for each in matrix.reads)
        once = np.concatenate([start + np.arange(each.length) for start, each in zip(known, matrix.reads, strict=True)])
        columns: npt.NDArray[np.intp] = (np.arange(matrix.times)[:, None] * width + once).reshape(-1)
        return columns

    def cut(self, model: Genotype, weights: Mapping[str, Any]) -> dict[str, Any]:
        """Return a model's own weights of shared ones, arrays or tensors."""
        own: dict[str, Any] = {}
        for matrix in model.matrices(self.fields, self.dimension):
            name = f"{matrix.name}.weight"
            own[name] = weights[name][: matrix.outputs][:, self.columns(matrix)]
            if matrix.bias:
                own[f"{matrix.name}.bias"] = weights[f"{matrix.name}.bias"][: matrix.outputs]
        return own

    def _largest(self) -> Iterator[Matrix]:
        """Yield every matrix, each reading all that its operator may, as large as it may be.

        Operators of a kind are numbered apart from the other kind, so that a dot product may read any sparse output.
        """
        space, dimension, blocks = self.space, self.dimension, range(1, self.space.blocks + 1)
        width, count, bits = max(space.widths), max(space.counts), space.bits[0]
        merged = Merged(1, bits)
        flat = [Segment(VECTORS, self.fields * dimension), *(Segment(f"dense{place}", width) for place in blocks)]
        vectors = [[Segment(VECTORS, self.fields)]]
        for place in blocks:
            spread = [Segment(f"spread{place}", SPREAD)] if space.merges else []
            vectors.append([Segment(f"sparse{place}", count), *spread])
        for place in blocks:
            left, reads = tuple(flat[:place]), tuple(chain(*vectors[:place]))
            for kind in space.dense:
                dense = Dense(kind, width, (), bits)
                yield from dense_matrices(f"dense{place}", dense, left, left, tuple(chain(*vectors)), dimension)
            for kind in space.sparse:
                yield from sparse_matrices(f"sparse{place}", Sparse(kind, count, (), bits), reads, dimension)
            if space.merges:
                yield fm_matrix(f"dense{place}", width, merged, count, dimension)
                yield spread_matrix(place, (Segment("any", width),), merged, dimension)
        yield Matrix("score.dense", 1, (Segment("any", width),), bits)
        last = tuple(Segment(segment.source.rstrip(DIGITS), segment.length) for segment in vectors[-1])
        yield Matrix("score.vectors", 1, last, bits, times=dimension)


__all__ = ["Store"]
