"""Hand-made models as points of a space that is searched: perceptrons, factorisation machines, products of vectors, and gates.

A search that begins with models drawn at random begins far from what people know to be good. These are what DeepFM, DLRM and cross
networks come to in the operators of a space, at its widths, with first-order weights where it has them; of gates up to DEEPEST in a
row, each of which multiplies what it reads with itself, as a cross network's layers raise its order.
"""

from __future__ import annotations

from collections.abc import Iterator

from mho.errors import OptionError
from mho.network.zoo.interaction.description import Bits, Dense, Merged, Sparse
from mho.network.zoo.interaction.genotype import Genotype
from mho.network.zoo.interaction.space import ModelSpace

USUAL: Bits = (4, 8)
"""Bits to begin with: weights of 4 bits lose next to nothing (docs/clicks.md), inputs of 4 bits more."""
DEEPEST = 3
"""Gates in a row, at most."""


def forms(space: ModelSpace) -> list[Genotype]:
    """Return models of a space to begin with, narrow ones first: of each width a perceptron, then what each other kind adds."""
    bits = USUAL if USUAL in space.bits else space.bits[-1]
    found: dict[str, Genotype] = {}
    for width in sorted(space.widths):
        for model in _of_width(space, width, bits):
            try:
                model = space.genotype(space.indices(model))
            except OptionError:
                continue
            found.setdefault(model.key(), model)
    return list(found.values())


def _of_width(space: ModelSpace, width: int, bits: Bits) -> Iterator[Genotype]:
    """Yield the forms of a width; those that the space lacks an operator for are none of its models."""
    merged, count = Merged(1, bits), min(space.counts)
    raw = Dense("fc", width, (0,), bits)
    narrower = max((each for each in space.widths if each < width), default=width)
    begun = (
        raw,
        Dense("fc", width, (0,), bits, fm=merged),
        Dense("dot", width, (0,), bits, vectors=(0,)),
        Dense("gate", width, (0,), bits, right=(0,)),
    )
    for first in begun:
        yield _model(space, (first,), count, bits)
        if space.blocks > 1:
            yield _model(space, (first, Dense("fc", narrower, (1,), bits)), count, bits)
    gates = tuple(Dense("gate", width, (place,), bits, right=(place,)) for place in range(min(DEEPEST, space.blocks)))
    for depth in range(2, len(gates) + 1):
        yield _model(space, gates[:depth], count, bits)


def _model(space: ModelSpace, dense: tuple[Dense, ...], count: int, bits: Bits) -> Genotype:
    """Return a model of dense operators, with the vectors that it needs."""
    needs = not space.alone or any(each.fm for each in dense)
    sparse = (Sparse(space.sparse[-1], count, (0,), bits),) if needs else ()
    ends = len(dense), 0 if space.alone else 1
    return Genotype(dense=dense, sparse=sparse, ends=ends, bits=bits, wide=space.wide[-1])


__all__ = ["forms"]
