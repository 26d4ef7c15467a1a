"""Which tensors live at once, and which bank of a kind each gets of those before it.

Tensors that may live at once, taken together, may not hold more than all banks of a kind; that this suffices is Dilworth's
theorem, since "t is given up before u starts" is a partial order. Where tensors live in an order of time, all before a tensor
that it may not follow live at once, and it takes the first banks that are free. Where branches run side by side (a data-flow
chip) there may be several such sets, and who hands a bank to whom is a flow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

import numpy as np

from mho.schedule.banks import BankProblem, Choice

SETS = 500
"""Sets of tensors that live at once beside a new one, at the most; only networks of very many branches have more."""


def living_at_once(problem: BankProblem) -> list[list[int]] | None:
    """Return for each tensor the largest sets of tensors before it that live at once with it and with each other, as bits.

    None where they are more than SETS.
    """
    after = problem.after
    beside = [~bits & (1 << new) - 1 for new, bits in enumerate(after)]
    if not any(old & ~new for old, new in pairwise(after)):
        return [[kept] for kept in beside]
    meets = list(beside)
    for new, kept in enumerate(beside):
        for old in set_bits(kept):
            meets[old] |= 1 << new
    sets = []
    for kept in beside:
        sets.append(sorted(islice(_cliques(kept, meets), SETS + 1)))
        if len(sets[-1]) > SETS:
            return None
    return sets


def set_bits(bits: int) -> Iterator[int]:
    """Yield the places of the bits that are set."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _cliques(nodes: int, meets: Sequence[int]) -> Iterator[int]:
    """Yield the largest sets of these nodes that all meet each other, as bits (Bron and Kerbosch 1973, with a pivot)."""
    stack = [(0, nodes, 0)]
    while stack:
        clique, left, done = stack.pop()
        if not left:
            if not done:
                yield clique
            continue
        pivot = max(set_bits(left | done), key=lambda node: (left & meets[node]).bit_count())
        for node in set_bits(left & ~meets[pivot]):
            stack.append((clique | 1 << node, left & meets[node], done & meets[node]))
            left &= ~(1 << node)
            done |= 1 << node


def named(problem: BankProblem, counts: Sequence[Sequence[int]]) -> Choice:
    """Say which banks each tensor gets, given how many of each kind."""
    chosen: list[list[int]] = [[] for _ in counts]
    for place, kind in enumerate(problem.kinds):
        wanted = [row[place] for row in counts]
        banks = _first_free(problem, kind, wanted) or _handed_on(problem, kind, wanted)
        for mine, more in zip(chosen, banks, strict=True):
            mine += more
    return tuple(tuple(sorted(mine)) for mine in chosen)


def _first_free(problem: BankProblem, kind: Sequence[int], wanted: Sequence[int]) -> list[list[int]]:
    """Return for each tensor the first banks that are free; nothing where some tensor finds too few."""
    holder: dict[int, int] = {}
    banks: list[list[int]] = []
    for tensor, count in enumerate(wanted):
        free = (bank for bank in kind if bank not in holder or problem.may_follow(tensor, holder[bank]))
        banks.append(list(islice(free, count)))
        if len(banks[-1]) < count:
            return []
        holder.update(dict.fromkeys(banks[-1], tensor))
    return banks


def _handed_on(problem: BankProblem, kind: Sequence[int], wanted: Sequence[int]) -> list[list[int]]:
    """Return for each tensor banks that nobody had, or of tensors that it may follow: a flow of banks from those to these."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    takers = [tensor for tensor, count in enumerate(wanted) if count]
    # Nodes: the source, the sink, nobody and each tensor as giver, each tensor as taker.
    source, sink, nobody = 0, 1, 2
    gives = {tensor: 3 + place for place, tensor in enumerate(takers)}
    takes = {tensor: 3 + len(takers) + place for place, tensor in enumerate(takers)}
    edges = [(source, nobody, len(kind))]
    for tensor in takers:
        edges += [(source, gives[tensor], wanted[tensor]), (takes[tensor], sink, wanted[tensor])]
        edges.append((nobody, takes[tensor], wanted[tensor]))
        edges += [
            (gives[old], takes[tensor], wanted[tensor])
            for old in takers
            if old < tensor and problem.may_follow(tensor, old)
        ]
    rows, columns, capacity = np.array(edges).T
    size = 3 + 2 * len(takers)
    graph = csr_array((capacity.astype(np.int32), (rows, columns)), shape=(size, size))
    handed = maximum_flow(graph, source, sink).flow.tocoo()
    givers: dict[int, list[tuple[int, int]]] = {}
    for giver, taker, count in zip(handed.row.tolist(), handed.col.tolist(), handed.data.tolist(), strict=True):
        if count > 0 and taker >= 3 + len(takers):
            givers.setdefault(taker, []).append((giver, count))
    left = {nobody: list(kind)}
    banks: list[list[int]] = [[] for _ in wanted]
    for tensor in takers:
        for giver, count in sorted(givers[takes[tensor]]):
            banks[tensor] += left[giver][:count]
            del left[giver][:count]
        left[gives[tensor]] = list(banks[tensor])
    return banks
