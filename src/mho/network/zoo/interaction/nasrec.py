"""The networks that NASRec found and published, as genotypes: what a search without the chip in it comes to.

Zhang et al. 2023, NASRec, and the repository facebookresearch/NasRec (Apache-2.0), nasrec/configs: the best of each search, for the
data sets Criteo, Avazu and KDD Cup 2012, of the whole space ("full") and of the one of AutoCTR's operators ("small"). A line is a
block: the dense operator, its width, what it reads, what its right side reads; the sparse one, its vectors, what it reads, which a
dot product reads too; then what is merged. Blocks that the score does not rest on are left out of the genotype, as they are of
any: of Criteo's and Avazu's seven of the whole space three are. What they compute here, and where that differs, is told in
`operators`.
"""

from __future__ import annotations

from collections.abc import Mapping

from mho.errors import OptionError, choices
from mho.network.zoo.interaction.description import Bits, Dense, Merged, Sparse
from mho.network.zoo.interaction.genotype import Genotype

PUBLISHED: Mapping[str, str] = {
    "criteo-full": """
        gate 128 0 0 attention 64 0 spread
        dot 32 0 - mix 64 0
        dot 768 12 - mix 32 012 fm
        gate 768 2 0 mix 48 0123 spread
        fc 16 0234 - mix 16 0123 fm
        fc 768 0345 - attention 16 14 spread
        fc 128 023 - attention 48 13 fm
    """,
    "criteo-small": """
        fc 256 0 - mix 48 0 spread
        dot 1024 1 - mix 48 01 fm spread
        fc 128 02 - mix 16 012 spread
        fc 16 2 - mix 48 02 fm
        dot 128 0234 - mix 32 24
        fc 16 0125 - mix 64 125 spread
        fc 1024 035 - mix 64 0125
    """,
    "avazu-full": """
        dot 32 0 - attention 48 0 spread
        dot 768 01 - mix 64 01 spread
        fc 512 0 - mix 48 0 spread
        sum 768 1 0 attention 16 3 fm spread
        dot 768 234 - mix 64 2
        gate 1024 0 3 mix 64 04 spread
        gate 768 0 2 attention 16 23 spread
    """,
    "avazu-small": """
        dot 512 0 - mix 64 0 spread
        fc 1024 01 - mix 48 0 spread
        fc 512 02 - mix 16 0 fm
        dot 768 3 - mix 48 03 fm spread
        fc 128 023 - mix 16 01 fm spread
        fc 128 134 - mix 64 013 spread
        fc 512 5 - mix 32 126 fm spread
    """,
    "kdd-full": """
        dot 128 0 - attention 48 0 spread
        gate 768 0 0 attention 64 1 spread
        gate 16 1 0 mix 48 12
        sum 64 2 2 attention 16 1 spread
        sum 64 0 2 mix 48 02
        fc 128 34 - mix 32 0145 fm
        gate 768 5 5 mix 16 1345 spread
    """,
    "kdd-small": """
        fc 768 0 - mix 48 0 fm spread
        dot 128 01 - mix 64 01 spread
        dot 32 012 - mix 48 01 fm spread
        fc 256 0123 - mix 64 023
        fc 1024 34 - mix 64 0124
        dot 768 125 - mix 64 45
        dot 1024 2346 - mix 48 0124 spread
    """,
}
"""The blocks of each network."""


def nasrec(name: str, bits: Bits = (8, 8)) -> Genotype:
    """Return a published network, all operators of these bits, canonical. OptionError for a name that there is not."""
    if name not in PUBLISHED:
        raise OptionError(f"no network of NASRec is called {name!r}; {choices(name, PUBLISHED)}")
    dense, sparse = [], []
    for place, line in enumerate(PUBLISHED[name].strip().splitlines(), 1):
        kind, width, left, right, mixing, count, reads, *flags = line.split()
        vectors, merged = tuple(map(int, reads)), Merged(place, bits)
        sides = tuple(map(int, left)), () if right == "-" else tuple(map(int, right))
        machine = merged if "fm" in flags else None
        dense.append(Dense(kind, int(width), sides[0], bits, sides[1], vectors if kind == "dot" else (), machine))
        sparse.append(Sparse(mixing, int(count), vectors, bits, merged if "spread" in flags else None))
    ends = len(dense), len(sparse)
    return Genotype(dense=tuple(dense), sparse=tuple(sparse), ends=ends, bits=bits).canonical()


__all__ = ["PUBLISHED", "nasrec"]
