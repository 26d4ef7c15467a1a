"""The space of searched models: blocks of one dense and one sparse operator, as NASRec draws them, each with bits of its own.

A model is a number for each gene. Block i reads the outputs of blocks before it and what comes in (0): any subset, not empty. The
score reads the last block. Genes that count for nothing in a design (what a dead operator reads, the right side of a perceptron)
are there in the numbers and gone in the genotype, which is canonical: so different numbers may be one model, and `key` tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import TypeVar

from mho.errors import OptionError, choices
from mho.network.zoo.interaction.description import (
    DENSE,
    MOST_BITS,
    SPARSE,
    TWO_SIDED,
    Bits,
    Dense,
    Merged,
    Place,
    Sparse,
)
from mho.network.zoo.interaction.genotype import Genotype

Indices = tuple[int, ...]
MOST_BLOCKS = 16


@dataclass(frozen=True)
class Gene:
    """A choice: its name, of how many, and whether neighbouring ones are alike; `subset`: it is a set, see `chosen`."""

    name: str
    size: int
    ordered: bool = False
    subset: bool = False


@dataclass(frozen=True)
class ModelSpace:
    """Models of up to so many blocks, of these operators, sizes and bits.

    ModelSpace()                                           NASRec's space, weights of 2, 4 or 8 bits and inputs of 4 or 8
    ModelSpace(blocks=3, widths=(16, 64), counts=(8,))     a small one
    Raises OptionError for a space without choices, or with unknown ones.
    """

    blocks: int = 7
    dense: tuple[str, ...] = DENSE
    sparse: tuple[str, ...] = SPARSE
    widths: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 768, 1024)
    counts: tuple[int, ...] = (16, 32, 48, 64)
    weight_bits: tuple[int, ...] = (2, 4, 8)
    input_bits: tuple[int, ...] = (4, 8)
    merges: bool = True
    """Whether factorisation machines and spreads may be there."""
    wide: tuple[bool, ...] = (False, True)
    alone: bool = False
    """Whether the score may read the last block's dense output alone: vectors that nothing else reads are then not made."""

    def __post_init__(self) -> None:
        """Refuse what is no space."""
        if not 1 <= self.blocks <= MOST_BLOCKS:
            raise OptionError(f"a model has 1 to {MOST_BLOCKS} blocks, not {self.blocks}")
        sizes = (self.dense, self.sparse, self.widths, self.counts, self.weight_bits, self.input_bits, self.wide)
        if not all(values and len(set(values)) == len(values) for values in sizes):
            raise OptionError("a space of models has one or more different choices of each kind")
        for kinds, known in ((self.dense, DENSE), (self.sparse, SPARSE)):
            for kind in kinds:
                if kind not in known:
                    raise OptionError(f"unknown operator {kind!r}; {choices(kind, known)}")
        numbers = (self.widths, self.counts, self.weight_bits, self.input_bits)
        for values, most in zip(numbers, (None, None, *MOST_BITS), strict=True):
            if min(values) < 1 or (most is not None and max(values) > most):
                raise OptionError(f"sizes are at least 1, weights have 1 to 16 bits and inputs 1 to 8, not {values}")

    @cached_property
    def bits(self) -> tuple[Bits, ...]:
        """The pairs of bits that an operator may have."""
        return tuple((weights, inputs) for weights in self.weight_bits for inputs in self.input_bits)

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """The genes: those of the score, then those of each block."""
        found = [Gene("wide", len(self.wide)), Gene("score.bits", len(self.bits))]
        found += [Gene("score.reads", 2)] if self.alone else []
        merged = 1 + len(self.bits) if self.merges else 1
        for block in range(1, self.blocks + 1):
            subsets = 2**block - 1
            found += [
                Gene(f"block{block}.{name}", size, ordered, subset)
                for name, size, ordered, subset in (
                    ("dense", len(self.dense), False, False),
                    ("width", len(self.widths), True, False),
                    ("left", subsets, False, True),
                    ("right", subsets, False, True),
                    ("vectors", subsets, False, True),
                    ("dense.bits", len(self.bits), False, False),
                    ("fm", merged, False, False),
                    ("sparse", len(self.sparse), False, False),
                    ("count", len(self.counts), True, False),
                    ("reads", subsets, False, True),
                    ("sparse.bits", len(self.bits), False, False),
                    ("spread", merged, False, False),
                )
            ]
        return tuple(found)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """How many choices each gene has."""
        return tuple(gene.size for gene in self.genes)

    def drawn(self, random: Random) -> Indices:
        """Draw each gene evenly."""
        return tuple(random.randrange(size) for size in self.sizes)

    def genotype(self, indices: Sequence[int]) -> Genotype:
        """Return the canonical genotype of genes."""
        return self.plain(indices).canonical()

    def plain(self, indices: Sequence[int]) -> Genotype:
        """Return the genotype of genes as they stand, with what is dead in it."""
        if len(indices) != len(self.sizes) or not all(
            0 <= i < size for i, size in zip(indices, self.sizes, strict=True)
        ):
            raise OptionError(f"a model of this space has {len(self.sizes)} genes, each below its number of choices")
        genes = iter(indices)
        wide, score = self.wide[next(genes)], self.bits[next(genes)]
        vectors_too = not (self.alone and next(genes))
        dense, sparse = [], []
        for block in range(1, self.blocks + 1):
            kind, width = self.dense[next(genes)], self.widths[next(genes)]
            left, right, vectors = (chosen(next(genes)) for _ in range(3))
            bits, fm = self.bits[next(genes)], self._merged(block, next(genes))
            right, vectors = right if kind in TWO_SIDED else (), vectors if kind == "dot" else ()
            dense.append(Dense(kind, width, left, bits, right, vectors, fm))
            kind, count = self.sparse[next(genes)], self.counts[next(genes)]
            reads, bits = chosen(next(genes)), self.bits[next(genes)]
            sparse.append(Sparse(kind, count, reads, bits, self._merged(block, next(genes))))
        ends = self.blocks, self.blocks if vectors_too else 0
        return Genotype(dense=tuple(dense), sparse=tuple(sparse), ends=ends, bits=score, wide=wide)

    def indices(self, model: Genotype) -> Indices:
        """Return genes that make a model, those that count for nothing 0. OptionError for one that is not of this space."""
        model = model.canonical()
        places = placed(model, self.blocks)
        of = {place: block for block, both in places.items() for place in both}
        of |= {("dense", 0): 0, ("sparse", 0): 0}

        def number(what: str, reads: tuple[int, ...]) -> int:
            return sum(1 << of[what, each] for each in reads) - 1 if reads else 0

        def merged(one: Merged | None) -> int:
            return 0 if one is None else 1 + _place("bits", self.bits, one.bits)

        found = [_place("wide", self.wide, model.wide), _place("bits", self.bits, model.bits)]
        found += [int(not model.ends[1])] if self.alone else []
        for block in range(1, self.blocks + 1):
            genes = [0] * GENES
            for what, each in places[block]:
                if what == "dense":
                    dense = model.dense[each - 1]
                    genes[:7] = [
                        _place("dense operator", self.dense, dense.kind), _place("width", self.widths, dense.width),
                        number(what, dense.left), number(what, dense.right), number("sparse", dense.vectors),
                        _place("bits", self.bits, dense.bits), merged(dense.fm),
                    ]  # fmt: skip
                else:
                    sparse = model.sparse[each - 1]
                    genes[7:] = [
                        _place("sparse operator", self.sparse, sparse.kind), _place("count", self.counts, sparse.count),
                        number(what, sparse.reads), _place("bits", self.bits, sparse.bits), merged(sparse.spread),
                    ]  # fmt: skip
            found += genes
        made = tuple(found)
        if any(index >= size for index, size in zip(made, self.sizes, strict=True)) or self.genotype(made) != model:
            raise OptionError(
                "the model is none of this space: its score reads one output of each kind, of the last block"
            )
        return made

    def _merged(self, block: int, gene: int) -> Merged | None:
        return Merged(block, self.bits[gene - 1]) if gene else None


GENES = 12
"""Genes of a block."""
T = TypeVar("T")


def _place(what: str, values: Sequence[T], value: T) -> int:
    if value not in values:
        raise OptionError(f"{what} {value!r} is none of the space's {list(values)}")
    return values.index(value)


def placed(model: Genotype, blocks: int) -> dict[int, tuple[Place, ...]]:
    """Deal the operators of a model out to blocks: those merged into one another together, those of the score in the last.

    Each goes to the first block behind all that it reads that has room for it. OptionError where blocks do not suffice.
    """
    partner: dict[Place, Place] = {}
    for number, dense in enumerate(model.dense, 1):
        if dense.fm is not None:
            partner["dense", number] = "sparse", dense.fm.of
    for number, sparse in enumerate(model.sparse, 1):
        if sparse.spread is not None:
            partner["sparse", number] = "dense", sparse.spread.of
    last = {place for place in zip(("dense", "sparse"), model.ends, strict=True) if place[1]}
    units: list[set[Place]] = []
    for place in model.order:
        unit = {place}
        while more := {each for each in partner.items() if (each[0] in unit) != (each[1] in unit)}:
            unit |= {each for pair in more for each in pair}
        if unit not in units:
            units.append(unit)
    of: dict[Place, int] = {}
    while units:
        for unit in units:
            reads = {each for one in unit for each in model.needs(one)} - unit
            if reads <= of.keys():
                break
        else:
            raise OptionError("operators of the model that are merged with one another rest on one another")
        units.remove(unit)
        kinds, behind = {kind for kind, _ in unit}, max((of[each] for each in reads), default=0)
        taken = {at for (kind, _), at in of.items() if kind in kinds}
        free = (block for block in range(behind + 1, blocks) if block not in taken)
        block = blocks if unit & last and behind < blocks else next(free, 0)
        if not block:
            raise OptionError(f"the operators of the model do not fit {blocks} blocks")
        of |= dict.fromkeys(unit, block)
    return {block: tuple(place for place, at in of.items() if at == block) for block in range(1, blocks + 1)}


def chosen(subset: int) -> tuple[int, ...]:
    """Return the outputs of a subset's number: those of the bits of the number plus one."""
    return tuple(place for place in range((subset + 1).bit_length()) if (subset + 1) >> place & 1)


__all__ = ["Gene", "Indices", "ModelSpace", "chosen", "placed"]
