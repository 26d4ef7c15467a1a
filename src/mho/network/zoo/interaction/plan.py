"""The matrices of a searched model: which outputs they read, how large they are, and how often a query multiplies them.

What a network is built from, what a chip is sized to and how weights are cut out of larger ones all follow from this one list.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from mho.network.zoo.interaction.description import Bits, Dense, Description, Merged, Place, Sparse

SPREAD = 8
"""Vectors that a dense output is spread over (NASRec's published code)."""
VECTORS = "vectors"
"""The segment of the network's input."""


@dataclass(frozen=True)
class Segment:
    """A stretch of a matrix's inputs: the output that it is, and its length.

    source: "vectors" (the input), "dense2", "sparse3", "spread3" (what stands behind the vectors of sparse operator 3), or what
    lies within an operator: "aligned", "pairs", "features".
    """

    source: str
    length: int


@dataclass(frozen=True)
class Matrix:
    """A matrix layer by its name: `outputs` x `rows`, multiplied by `windows` vectors a query.

    The segments that it reads stand `times` one behind the other: vectors laid flat are, feature by feature. `squares`: the mean
    square of its inputs where what they are made of has mean 0 and variance 1.
    """

    name: str
    outputs: int
    reads: tuple[Segment, ...]
    bits: Bits
    windows: int = 1
    bias: bool = True
    times: int = 1
    squares: float = 1.0

    @cached_property
    def rows(self) -> int:
        """Inputs of the matrix."""
        return self.times * sum(segment.length for segment in self.reads)


def paired(width: int) -> int:
    """Return to how many vectors a dot product fits its vectors: so many that their pairs are about `width` (NASRec, section 3)."""
    return round(math.sqrt(2 * width))


def named(place: Place) -> str:
    """Return how the layers of an operator begin."""
    return f"{place[0]}{place[1]}"


@dataclass(frozen=True)
class Plan:
    """The matrices of a genotype for so many fields of a dimension."""

    genotype: Description
    fields: int
    dimension: int
    _sparse: dict[int, tuple[Segment, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def dense(self, outputs: tuple[int, ...]) -> tuple[Segment, ...]:
        """Return what dense outputs are, laid behind one another."""
        flat = self.fields * self.dimension
        return tuple(
            Segment(f"dense{each}", self.genotype.dense[each - 1].width) if each else Segment(VECTORS, flat)
            for each in outputs
        )

    def sparse(self, outputs: tuple[int, ...]) -> tuple[Segment, ...]:
        """Return what sparse outputs are, in vectors."""
        return tuple(segment for each in outputs for segment in self._vectors(each))

    def _vectors(self, output: int) -> tuple[Segment, ...]:
        if output not in self._sparse:
            self._sparse[output] = (Segment(VECTORS, self.fields),)
            if output:
                made = self.genotype.sparse[output - 1]
                own = Segment(f"sparse{output}", made.count)
                self._sparse[output] = (own, Segment(f"spread{output}", SPREAD)) if made.spread else (own,)
        return self._sparse[output]

    def __iter__(self) -> Iterator[Matrix]:
        """Yield the matrices, those of an operator behind those of what it reads; those of the score last."""
        for place in self.genotype.order:
            number = place[1]
            if place[0] == "dense":
                yield from self._dense(named(place), self.genotype.dense[number - 1])
            else:
                sparse = self.genotype.sparse[number - 1]
                yield from sparse_matrices(named(place), sparse, self.sparse(sparse.reads), self.dimension)
        for number in self.spreading:
            merged = self.genotype.sparse[number - 1].spread
            assert merged is not None
            yield spread_matrix(number, self.dense((merged.of,)), merged, self.dimension)
        yield from self._score()

    @cached_property
    def spreading(self) -> tuple[int, ...]:
        """The sparse operators whose spread is read, in order."""
        genotype = self.genotype
        read = {genotype.ends[1]}
        for what, number in genotype.order:
            read.update(genotype.dense[number - 1].vectors if what == "dense" else genotype.sparse[number - 1].reads)
        return tuple(each for each in sorted(read) if each and genotype.sparse[each - 1].spread is not None)

    def _dense(self, name: str, dense: Dense) -> Iterator[Matrix]:
        left, right, vectors = self.dense(dense.left), self.dense(dense.right), self.sparse(dense.vectors)
        yield from dense_matrices(name, dense, left, right, vectors, self.dimension)
        if dense.fm is not None:
            yield fm_matrix(name, dense.width, dense.fm, self.genotype.sparse[dense.fm.of - 1].count, self.dimension)

    def _score(self) -> Iterator[Matrix]:
        dense, sparse = self.genotype.ends
        if dense:
            yield Matrix("score.dense", 1, self.dense((dense,)), self.genotype.bits)
        if sparse:
            vectors = self.sparse((sparse,))
            yield Matrix("score.vectors", 1, vectors, self.genotype.bits, bias=not dense, times=self.dimension)


Read = tuple[Segment, ...]


def dense_matrices(name: str, dense: Dense, left: Read, right: Read, vectors: Read, dimension: int) -> Iterator[Matrix]:
    """Yield the matrices of a dense operator, but for its factorisation machine, by what it reads."""
    bits, width = dense.bits, dense.width
    if dense.kind == "fc":
        yield Matrix(f"{name}.fc", width, left, bits)
    elif dense.kind == "gate":
        yield Matrix(f"{name}.gate.left", width, left, bits)
        yield Matrix(f"{name}.gate.right", width, right, bits)
    elif dense.kind == "sum":
        longest = max(sum(segment.length for segment in side) for side in (left, right))
        yield Matrix(f"{name}.sum", width, (Segment("aligned", longest),), bits)
    else:
        count = paired(width)
        pairs = (Segment("pairs", count * (count + 1) // 2),)
        yield Matrix(f"{name}.dot.dense", dimension, left, bits)
        yield Matrix(f"{name}.dot.vectors", count, vectors, bits, windows=dimension)
        yield Matrix(f"{name}.dot.out", width, pairs, bits, squares=dimension)


def fm_matrix(name: str, width: int, fm: Merged, vectors: int, dimension: int) -> Matrix:
    """Return the matrix of a factorisation machine of so many vectors."""
    # A feature is the sum of 2 v w over all pairs of vectors.
    squares = max(2.0 * vectors * (vectors - 1), 1.0)
    return Matrix(f"{name}.fm", width, (Segment("features", dimension),), fm.bits, bias=False, squares=squares)


def sparse_matrices(name: str, sparse: Sparse, reads: Read, dimension: int) -> Iterator[Matrix]:
    """Yield the matrices of a sparse operator, but for its spread, by what it reads."""
    bits, count = sparse.bits, sparse.count
    if sparse.kind == "mix":
        yield Matrix(f"{name}.mix", count, reads, bits, windows=dimension)
    else:
        yield Matrix(f"{name}.attention.project", count, reads, bits, windows=dimension)
        features = (Segment("features", dimension),)
        yield Matrix(f"{name}.attention.attend", 2 * dimension, features, bits, windows=count)


def spread_matrix(number: int, of: Read, merged: Merged, dimension: int) -> Matrix:
    """Return the matrix of a sparse operator's spread."""
    return Matrix(f"spread{number}", SPREAD * dimension, of, merged.bits)


def planned(genotype: Description, fields: int, dimension: int) -> tuple[Matrix, ...]:
    """Return the matrices of a genotype."""
    return tuple(Plan(genotype, fields, dimension))


__all__ = ["SPREAD", "VECTORS", "Matrix", "Plan", "Segment", "named", "paired", "planned"]
