"""How many models a space has: encodings, models by their options, and those that are certainly different networks.

Of n = 2^i - 1 subsets that block i may read, m = 2^(i - 1) hold the output of the block before it.

- *raw*: all numbers that the genes can take, dead ones too: what a fixed-length encoding counts. No number of designs.
- *options*: the same without genes that an operator does not have, and with the sides of a sum in one order. No fewer than there
  are networks: blocks that nothing reads are counted, and orders of blocks that do not rest on one another.
- *different*: models whose score reads both kinds, and in which each dense operator reads the dense one before it, and each sparse
  one the sparse one before it. Every operator then counts for the score, and there is one order in which operators of a kind can
  stand: a network that is two such models would map one path onto the other, operator by operator. So no two of them are the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mho.network.zoo.interaction.space import ModelSpace


@dataclass(frozen=True)
class Count:
    """A number of designs, and the formula that gives it."""

    number: int
    formula: str

    @property
    def exponent(self) -> float:
        """The logarithm to the base 10."""
        return math.log10(self.number)

    def times(self, number: int, of: str) -> Count:
        """Return so many times the designs: each with every choice of something else."""
        return Count(self.number * number, f"{self.formula} × {number:,} {of}")

    def __str__(self) -> str:
        """Return formula and size."""
        return f"{self.formula} = 10^{self.exponent:.2f}"


def raw(space: ModelSpace) -> Count:
    """Count encodings."""
    return Count(math.prod(space.sizes), f"product of {len(space.sizes)} genes' choices, dead ones too")


def options(space: ModelSpace) -> Count:
    """Count models by the options that their operators have."""
    ways = {"fc": "n", "dot": "n²", "gate": "n²", "sum": "n (n + 1)/2"}
    number = len(space.wide) * len(space.bits) * (1 + space.alone)
    for block in range(1, space.blocks + 1):
        n = 2**block - 1
        reads = {"fc": n, "dot": n * n, "gate": n * n, "sum": n * (n + 1) // 2}
        number *= _each(space, sum(reads[kind] for kind in space.dense), n)
    ends = "2 ends × " if space.alone else ""
    return Count(number, ends + _said(space, [ways[kind] for kind in space.dense], "n", "n = 2^i - 1"))


def different(space: ModelSpace) -> Count:
    """Count models of which no two are the same network."""
    ways = {"fc": "m", "dot": "m n", "gate": "n² - (n - m)²", "sum": "m (m + 1)/2 + m (n - m)"}
    number = len(space.wide) * len(space.bits)
    for block in range(1, space.blocks + 1):
        n, m = 2**block - 1, 2 ** (block - 1)
        reads = {"fc": m, "dot": m * n, "gate": n * n - (n - m) ** 2, "sum": m * (m + 1) // 2 + m * (n - m)}
        number *= _each(space, sum(reads[kind] for kind in space.dense), m)
    return Count(number, _said(space, [ways[kind] for kind in space.dense], "m", "n = 2^i - 1, m = 2^(i - 1)"))


def _each(space: ModelSpace, dense: int, sparse: int) -> int:
    """Return the choices of one block whose operators can read so much."""
    bits, merged = len(space.bits), 1 + len(space.bits) if space.merges else 1
    return dense * len(space.widths) * bits * merged * sparse * len(space.sparse) * len(space.counts) * bits * merged


def _said(space: ModelSpace, dense: list[str], sparse: str, where: str) -> str:
    bits, merged = len(space.bits), 1 + len(space.bits) if space.merges else 1
    block = (
        f"({' + '.join(dense)}) × {len(space.widths)} widths × {bits} bits × {merged} fm × {sparse} × {len(space.sparse)} kinds × "
        f"{len(space.counts)} counts × {bits} bits × {merged} spreads"
    )
    return f"{len(space.wide)} wide × {bits} bits × product over i = 1..{space.blocks} of [{block}], {where}"


__all__ = ["Count", "different", "options", "raw"]
