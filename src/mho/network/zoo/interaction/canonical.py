"""The one description of a searched model: its live operators, numbered as its graph decides, whatever they were numbered.

Two genotypes are the same network exactly where their graphs of operators are isomorphic: kinds, sizes, bits, and who reads what on
which side. Each operator is coloured by what it is, then again and again by the colours of those that it reads and that read it;
where operators stay alike, each of them is told apart in turn and the least description counts (B. D. McKay, A. Piperno,
"Practical graph isomorphism II", 2014, sections 2 and 3). Operators that read and are read alike are exchangeable: one stands for
all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from mho.network.zoo.interaction.description import Dense, Description, Merged, Place, Sparse

Described = TypeVar("Described", bound=Description)
Colours = dict[Place, int]
Edge = tuple[str, Place]
"""How an operator reads another: the side, or "fm" or "spread"; raw inputs are no operators and count as part of what it is."""


def canonical(genotype: Described) -> Described:
    """Return the canonical genotype of the same network."""
    graph = Graph(genotype)
    return min(
        (renumbered(genotype, order) for order in graph.orders()),
        key=lambda each: repr((each.dense, each.sparse, each.ends)),
    )


@dataclass(frozen=True)
class Graph:
    """The live operators of a genotype, as coloured nodes."""

    genotype: Description

    @cached_property
    def live(self) -> tuple[Place, ...]:
        """The operators that the score rests on."""
        return self.genotype.order

    def operator(self, place: Place) -> Dense | Sparse:
        """Return an operator."""
        what, number = place
        return self.genotype.dense[number - 1] if what == "dense" else self.genotype.sparse[number - 1]

    @cached_property
    def read(self) -> frozenset[int]:
        """Sparse operators whose output is read together with its spread."""
        read = {self.genotype.ends[1]}
        for place in self.live:
            operator = self.operator(place)
            read.update(operator.vectors if isinstance(operator, Dense) else operator.reads)
        return frozenset(each for each in read if each)

    @cached_property
    def reads(self) -> dict[Place, tuple[Edge, ...]]:
        """What each operator reads, by side."""
        edges: dict[Place, tuple[Edge, ...]] = {}
        for place in self.live:
            operator = self.operator(place)
            found: list[Edge] = []
            if isinstance(operator, Dense):
                # The sides of a sum may be exchanged: what both read counts as such, what one reads apart from the other.
                found += [("left", ("dense", each)) for each in operator.left if each]
                found += [("right", ("dense", each)) for each in operator.right if each]
                found += [("vectors", ("sparse", each)) for each in operator.vectors if each]
                found += [("fm", ("sparse", operator.fm.of))] if operator.fm else []
            else:
                found += [("reads", ("sparse", each)) for each in operator.reads if each]
                if operator.spread and place[1] in self.read:
                    found.append(("spread", ("dense", operator.spread.of)))
            edges[place] = tuple(found)
        return edges

    @cached_property
    def readers(self) -> dict[Place, tuple[Edge, ...]]:
        """Who reads each operator, by side."""
        found: dict[Place, list[Edge]] = {place: [] for place in self.live}
        for place, edges in self.reads.items():
            for side, of in edges:
                found[of].append((side, place))
        return {place: tuple(edges) for place, edges in found.items()}

    def itself(self, place: Place) -> tuple[Any, ...]:
        """Return what an operator is, without what it reads of others."""
        operator, ends = self.operator(place), self.genotype.ends
        of_score = place in (("dense", ends[0]), ("sparse", ends[1]))
        if isinstance(operator, Dense):
            raw = [0 in operator.left, 0 in operator.right]
            sides = tuple(sorted(raw) if operator.kind == "sum" else raw)
            merged = operator.fm.bits if operator.fm else ()
            return "dense", of_score, operator.kind, operator.width, operator.bits, sides, 0 in operator.vectors, merged
        merged = operator.spread.bits if operator.spread and place[1] in self.read else ()
        return "sparse", of_score, operator.kind, operator.count, operator.bits, 0 in operator.reads, merged

    def orders(self) -> Iterator[tuple[Place, ...]]:
        """Yield orders of the operators that any numbering of the same network has among its own."""
        depth: dict[Place, int] = {}
        for place in self.live:  # Spreads are read with their vectors: no operator stands before one that it needs.
            depth[place] = 1 + max((depth[each] for each in self.genotype.needs(place)), default=0)
        first = _ranked({place: (depth[place], self.itself(place)) for place in self.live})
        yield from self._told_apart(self._refined(first))

    def _refined(self, colours: Colours) -> Colours:
        """Colour by the colours of neighbours until no more are told apart."""
        while True:
            seen = {
                place: (
                    colours[place],
                    self._sides(place, colours),
                    tuple(sorted((self._side(side, by), colours[by]) for side, by in self.readers[place])),
                )
                for place in self.live
            }
            finer = _ranked(seen)
            if len(set(finer.values())) == len(set(colours.values())):
                return finer
            colours = finer

    def _sides(self, place: Place, colours: Colours) -> tuple[Any, ...]:
        """Return the colours that an operator reads, by side; the two sides of a sum in either order."""
        sides: dict[str, list[int]] = {}
        for side, of in self.reads[place]:
            sides.setdefault(side, []).append(colours[of])
        operator = self.operator(place)
        if isinstance(operator, Dense) and operator.kind == "sum":
            both = sorted(
                (0 in reads, tuple(sorted(sides.pop(side, []))))
                for side, reads in (("left", operator.left), ("right", operator.right))
            )
            return tuple(both), _in_order(sides)
        return (), _in_order(sides)

    def _side(self, side: str, reader: Place) -> str:
        operator = self.operator(reader)
        return "side" if isinstance(operator, Dense) and operator.kind == "sum" and side in ("left", "right") else side

    def _told_apart(self, colours: Colours) -> Iterator[tuple[Place, ...]]:
        alike: dict[int, list[Place]] = {}
        for place, colour in colours.items():
            alike.setdefault(colour, []).append(place)
        tied = next((alike[colour] for colour in sorted(alike) if len(alike[colour]) > 1), None)
        if tied is None:
            yield tuple(sorted(colours, key=colours.__getitem__))
            return
        seen: set[tuple[Any, ...]] = set()
        for place in tied:
            twins = (tuple(sorted(self.reads[place])), tuple(sorted(self.readers[place])))
            if twins not in seen:
                seen.add(twins)
                told = _ranked({each: (colour, each != place) for each, colour in colours.items()})
                yield from self._told_apart(self._refined(told))


def _in_order(sides: Mapping[str, Sequence[int]]) -> tuple[Any, ...]:
    return tuple(sorted((side, tuple(sorted(each))) for side, each in sides.items()))


def _ranked(values: dict[Place, Any]) -> Colours:
    """Return for each operator the rank of its value among all."""
    ranks = {value: rank for rank, value in enumerate(sorted(set(values.values())))}
    return {place: ranks[value] for place, value in values.items()}


def renumbered(genotype: Described, order: Sequence[Place]) -> Described:
    """Return the genotype with the operators of an order alone, numbered in it."""
    numbers: dict[Place, int] = {("dense", 0): 0, ("sparse", 0): 0}
    count = {"dense": 0, "sparse": 0}
    for place in order:
        count[place[0]] += 1
        numbers[place] = count[place[0]]

    def those(what: str, reads: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(numbers[what, each] for each in reads))

    def merged(what: str, one: Merged | None) -> Merged | None:
        return None if one is None else Merged(numbers[what, one.of], one.bits)

    read = Graph(genotype).read
    dense, sparse = [], []
    for what, number in order:
        if what == "sparse":
            one = genotype.sparse[number - 1]
            spread = merged("dense", one.spread) if number in read else None
            sparse.append(replace(one, reads=those("sparse", one.reads), spread=spread))
        else:
            each = genotype.dense[number - 1]
            sides = those("dense", each.left), those("dense", each.right)
            left, right = sorted(sides) if each.kind == "sum" else sides
            vectors, fm = those("sparse", each.vectors), merged("sparse", each.fm)
            dense.append(replace(each, left=left, right=right, vectors=vectors, fm=fm))
    ends = numbers["dense", genotype.ends[0]], numbers["sparse", genotype.ends[1]]
    return replace(genotype, dense=tuple(dense), sparse=tuple(sparse), ends=ends)


__all__ = ["canonical"]
