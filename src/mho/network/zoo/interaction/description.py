"""Recommenders that are searched: dense and sparse operators, each of which reads any earlier outputs, with bits of their own.

The operators are NASRec's (Zhang et al. 2023, section 3). Dense operators give a vector of `width` numbers, sparse ones `count`
vectors of the dimension of the tables. Outputs of a kind are counted from 1 in the order in which they may be read; 0 is what
comes in, flat where a dense operator reads it. `operators` says what each operator computes, and where that differs from NASRec.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mho.errors import OptionError, choices

Bits = tuple[int, int]
"""Of the weights of an operator's matrices, and of the inputs that are streamed into them."""
DENSE = ("fc", "dot", "gate", "sum")
SPARSE = ("attention", "mix")
TWO_SIDED = ("gate", "sum")
"""Dense operators that read two sets of dense outputs."""
MOST_BITS = (16, 8)
Place = tuple[str, int]
"""An operator: "dense" or "sparse", and its place."""


@dataclass(frozen=True)
class Merged:
    """An output of the other kind that is merged into an operator's own: its place, and the bits of the matrix that fits it in."""

    of: int
    bits: Bits


@dataclass(frozen=True)
class Dense:
    """A dense operator: one of DENSE, of the dense outputs `left`, and `right` (gate, sum) or the sparse outputs `vectors` (dot).

    `fm`: a factorisation machine of the output of a sparse operator, before its spread, is added to the result.
    """

    kind: str
    width: int
    left: tuple[int, ...]
    bits: Bits
    right: tuple[int, ...] = ()
    vectors: tuple[int, ...] = ()
    fm: Merged | None = None


@dataclass(frozen=True)
class Sparse:
    """A sparse operator: one of SPARSE, of the sparse outputs `reads`, which gives `count` vectors.

    `spread`: vectors made of a dense output stand behind its own, for all that read them.
    """

    kind: str
    count: int
    reads: tuple[int, ...]
    bits: Bits
    spread: Merged | None = None


@dataclass(frozen=True, kw_only=True)
class Description:
    """A searched model. `ends`: the places of the dense and of the sparse output that the score reads, 0 for none of the kind.

    Raises OptionError for operators that there are not, that read what is not there or what rests on them, and for sizes and bits
    out of range. Operators that the score does not rest on are no part of the network.
    """

    dense: tuple[Dense, ...]
    sparse: tuple[Sparse, ...]
    ends: tuple[int, int]
    bits: Bits = (8, 8)
    """Of the matrices of the score."""
    wide: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no network."""
        for place, dense in enumerate(self.dense, 1):
            self._check_dense(f"dense operator {place}", place, dense)
        for place, sparse in enumerate(self.sparse, 1):
            where = f"sparse operator {place}"
            _known(where, sparse.kind, SPARSE)
            _sized(where, sparse.count, sparse.bits)
            _below(where, "reads", sparse.reads, place)
            self._merged(where, sparse.spread, len(self.dense))
        if not any(self.ends) or not (0 <= self.ends[0] <= len(self.dense) and 0 <= self.ends[1] <= len(self.sparse)):
            raise OptionError(f"the score reads a dense output, a sparse one or both that are there, not {self.ends}")
        _sized("the score", 1, self.bits)
        object.__setattr__(self, "order", tuple(self._ordered()))

    order: ClassVar[tuple[Place, ...]]
    """The operators that the score rests on, each behind those that it reads."""

    def _check_dense(self, where: str, place: int, dense: Dense) -> None:
        _known(where, dense.kind, DENSE)
        _sized(where, dense.width, dense.bits)
        _below(where, "left", dense.left, place)
        if dense.kind in TWO_SIDED:
            _below(where, "right", dense.right, place)
        elif dense.right:
            raise OptionError(f"{where}: {dense.kind} reads no right side")
        if dense.kind == "dot":
            _below(where, "vectors", dense.vectors, len(self.sparse) + 1)
        elif dense.vectors:
            raise OptionError(f"{where}: {dense.kind} reads no vectors")
        self._merged(where, dense.fm, len(self.sparse))

    def _merged(self, where: str, merged: Merged | None, most: int) -> None:
        if merged is not None:
            _sized(where, 1, merged.bits)
            if not 1 <= merged.of <= most:
                raise OptionError(f"{where} merges output {merged.of} in, of {most} that there are")

    def needs(self, place: Place) -> Iterator[Place]:
        """Yield the operators that one reads; the spread of a sparse one is read by those that read its output, and by no other."""
        what, number = place
        if what == "dense":
            dense = self.dense[number - 1]
            yield from (("dense", each) for each in (*dense.left, *dense.right) if each)
            yield from self.makers(dense.vectors)
            if dense.fm is not None:
                yield "sparse", dense.fm.of
        else:
            yield from self.makers(self.sparse[number - 1].reads)

    def makers(self, vectors: tuple[int, ...]) -> Iterator[Place]:
        """Yield the operators that sparse outputs are made by."""
        for each in vectors:
            if each:
                yield "sparse", each
                if (spread := self.sparse[each - 1].spread) is not None:
                    yield "dense", spread.of

    def _ordered(self) -> list[Place]:
        """Walk down from the score. OptionError where an operator rests on itself."""
        order: list[Place] = []
        done: dict[Place, bool] = {}

        def visit(place: Place) -> None:
            if place in done:
                if not done[place]:
                    raise OptionError(f"{place[0]} operator {place[1]} rests on itself")
                return
            done[place] = False
            for each in self.needs(place):
                visit(each)
            done[place] = True
            order.append(place)

        dense, sparse = self.ends
        for place in (*((("dense", dense),) if dense else ()), *(self.makers((sparse,)) if sparse else ())):
            visit(place)
        return order


def _known(where: str, kind: str, kinds: tuple[str, ...]) -> None:
    if kind not in kinds:
        raise OptionError(f"{where}: unknown kind {kind!r}; {choices(kind, kinds)}")


def _sized(where: str, size: int, bits: Bits) -> None:
    if size < 1:
        raise OptionError(f"{where} gives at least one number, not {size}")
    if len(bits) != 2 or not all(1 <= each <= most for each, most in zip(bits, MOST_BITS, strict=True)):
        raise OptionError(f"{where}: bits are two, of weights (1 to 16) and of inputs (1 to 8), not {bits}")


def _below(where: str, side: str, reads: tuple[int, ...], end: int) -> None:
    if not reads or len(set(reads)) != len(reads) or min(reads) < 0 or max(reads) >= end:
        raise OptionError(f"{where}: {side} is one or more different outputs from 0 to {end - 1}, not {reads}")


__all__ = ["DENSE", "SPARSE", "TWO_SIDED", "Bits", "Dense", "Description", "Merged", "Place", "Sparse"]
