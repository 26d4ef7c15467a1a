"""An oracle of the choice of banks: integer programs, solved by HiGHS, as mho chose before `schedule/bank_states.py`.

With x[t, b] = 1 where bank b holds tensor t and y[t, b] bytes of its size S[t] in bank b,

    y[t, b] <= x[t, b] C[b],      sum over b of y[t, b] = S[t],

    energy = sum over t, b of x[t, b] P_static[b] T[t] + y[t, b] / S[t] (read[t] E_read[b] + written[t] E_write[b])

Banks of one size are alike, so that the program counts them: x[t, size] <= how many there are. Tensors that may live at once, taken
together, may not hold more than all banks of a size; that this suffices is Dilworth's theorem, since "t is given up before u
starts" is a partial order; who gets which bank of a size is then a bipartite matching.

A network of up to HORIZON tensors is one program; a longer one is a rolling horizon: of the next HORIZON tensors those in
the first half are settled, then it moves on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import numpy.typing as npt

from mho.schedule.banks import BankProblem, Choice, greedily, greedy_banks

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
KIBIBYTE = 1024

HORIZON = 48
"""Tensors that are chosen for together."""
NODES = 200
"""Nodes of the search tree of one integer program, at the most."""
SETS = 500
"""Sets of tensors that may live at once, at the most, in one integer program; only networks of many branches have more."""


def programmed_banks(problem: BankProblem, horizon: int = HORIZON) -> Choice:
    """Choose banks that cause the least traffic and, of such choices, cost the least energy.

    Where room is short, the programs (not the cost) leave out accesses to what has none. The greedy choice is returned where
    nothing better is found.
    """
    start = greedy_banks(problem)
    solver = _Solver(problem)
    holder: dict[int, int] = {}
    settled: list[tuple[int, ...]] = []
    while len(settled) < len(problem.tensors):
        first = len(settled)
        ahead = range(first, min(first + horizon, len(problem.tensors)))
        banks = solver.choose(ahead, holder)
        while banks is None and len(ahead) > 1:
            ahead = ahead[: len(ahead) // 2]
            banks = solver.choose(ahead, holder)
        if banks is None:
            settled.append(greedily(problem, first, holder))
            continue
        settle = len(ahead) if ahead.stop == len(problem.tensors) else max(1, len(ahead) // 2)
        for tensor in ahead[:settle]:
            settled.append(banks[tensor - first])
            holder.update(dict.fromkeys(settled[-1], tensor))
    choice = tuple(settled)
    return min(start, choice, key=problem.cost)


def _cliques(conflicts: Sequence[int]) -> Iterator[int]:
    """Yield the maximal sets of nodes that all conflict with each other, as bits (Bron and Kerbosch 1973, with a pivot)."""
    stack = [(0, (1 << len(conflicts)) - 1, 0)]
    while stack:
        clique, left, done = stack.pop()
        if not left:
            if not done:
                yield clique
            continue
        pivot = max(_bits(left | done), key=lambda node: (left & conflicts[node]).bit_count())
        for node in _bits(left & ~conflicts[pivot]):
            stack.append((clique | 1 << node, left & conflicts[node], done & conflicts[node]))
            left &= ~(1 << node)
            done |= 1 << node


def _bits(bits: int) -> list[int]:
    """Return the places of the bits that are set."""
    return [place for place in range(bits.bit_length()) if bits >> place & 1]


@dataclass(eq=False)
class _Solver:
    """Integer programs over a few tensors in a row, and the answers to those solved before."""

    problem: BankProblem
    answers: dict[tuple[bytes, ...], IntArray | None] = field(default_factory=dict)

    def choose(self, ahead: range, holder: dict[int, int]) -> list[tuple[int, ...]] | None:
        """Choose banks for the tensors `ahead`, given who had each bank last; None where a limit leaves nothing."""
        sizes = np.array([self.problem.tensors[tensor].size for tensor in ahead]) / KIBIBYTE
        rows, room = self._sharing(ahead, holder)
        if len(rows) > SETS:
            return None
        moves = np.array([float(self.problem.tensors[tensor].moves) for tensor in ahead])
        prices = self._prices(ahead)
        key = tuple(array.tobytes() for array in (sizes, moves, *prices, rows, room))
        if key not in self.answers:
            self.answers[key] = self._counts(sizes, moves, prices, rows, room)
        counts = self.answers[key]
        return None if counts is None else self._named(ahead, holder, counts)

    def _prices(self, ahead: range) -> tuple[FloatArray, FloatArray]:
        """Return what a bank of each kind costs each tensor, and what a KiB of it there, each of shape (tensors, kinds).

        In units of the dearest bank's J, rounded, so that repeated blocks give equal programs. A bank costs a little even
        where it leaks nothing or its tensor is held for no time, so that none is taken in vain.
        """
        tensors = [self.problem.tensors[tensor] for tensor in ahead]
        first = [kind[0] for kind in self.problem.kinds]
        capacity = np.array([self.problem.banks[number] for number in first])
        seconds = np.array([tensor.held_s for tensor in tensors])
        static = np.multiply.outer(seconds, [self.problem.watts[number] for number in first])
        sizes = np.array([max(tensor.size, 1) for tensor in tensors])
        rates = np.array([[tensor.read, tensor.written] for tensor in tensors]) / sizes[:, None]
        byte = rates @ np.array(
            [[prices[number] for number in first] for prices in (self.problem.read_j, self.problem.write_j)]
        )
        filled = np.minimum.outer(sizes, capacity)
        dearest = float((static + byte * filled).max(initial=0.0)) or 1.0
        return np.round(np.maximum(static / dearest, 1e-8), 9), np.round(byte * KIBIBYTE / dearest, 12)

    def _sharing(self, ahead: range, holder: dict[int, int]) -> tuple[FloatArray, FloatArray]:
        """Return who may live at once (1.0 in a row for each such set, shape (sets, tensors)) and what banks are left for them.

        The second has shape (sets, kinds). Holders of settled tensors count as long as they are not given up.
        """
        kinds = self.problem.kinds
        kind_of = {number: place for place, kind in enumerate(kinds) for number in kind}
        taken: dict[int, IntArray] = {}
        for number, old in holder.items():
            if not all(self.problem.may_follow(tensor, old) for tensor in ahead):
                taken.setdefault(old, np.zeros(len(kinds), dtype=np.int64))[kind_of[number]] += 1
        olds = sorted(taken)
        count, whole = len(ahead), (1 << len(ahead) + len(olds)) - 1
        conflicts = [0] * (count + len(olds))
        for place, new in enumerate(ahead):
            earlier = [*((other - ahead.start, other) for other in ahead[:place])]
            for other_place, old in [*earlier, *((count + n, old) for n, old in enumerate(olds))]:
                if not self.problem.may_follow(new, old):
                    conflicts[place] |= 1 << other_place
                    conflicts[other_place] |= 1 << place
        for place in range(count, len(conflicts)):
            conflicts[place] |= whole >> count << count & ~(1 << place)
        most = np.array([len(kind) for kind in kinds], dtype=np.int64)
        rows, room = [], []
        for clique in sorted(islice(_cliques(conflicts), SETS + 1)):
            members = _bits(clique)
            rows.append([float(place in members) for place in range(count)])
            room.append(most - sum((taken[olds[place - count]] for place in members if place >= count), 0 * most))
        return np.array(rows), np.array(room, dtype=np.float64)

    def _counts(
        self,
        sizes: FloatArray,
        moves: FloatArray,
        prices: tuple[FloatArray, FloatArray],
        rows: FloatArray,
        room: FloatArray,
    ) -> IntArray | None:
        """Return how many banks of each kind each tensor gets, shape (tensors, kinds)."""
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array, diags_array, eye_array, hstack, kron

        count, kinds = prices[0].shape
        cells = count * kinds
        capacity = np.array([self.problem.banks[kind[0]] for kind in self.problem.kinds]) / KIBIBYTE
        most = np.array([len(kind) for kind in self.problem.kinds], dtype=np.float64)
        # Variables: banks of each kind of tensor 0, of tensor 1, ..., the KiB in them, likewise, and each tensor's without room.
        filled = np.minimum.outer(sizes, capacity)
        nothing = csr_array((count, cells))
        each = kron(eye_array(count), np.ones((1, kinds)))
        lies = LinearConstraint(hstack([nothing, each, eye_array(count)]), lb=sizes, ub=sizes)
        fits = LinearConstraint(
            hstack([diags_array(filled.ravel()), -eye_array(cells), csr_array((cells, count))]), lb=0.0
        )
        shared = [kron(csr_array(rows), eye_array(kinds)), csr_array((len(rows) * kinds, cells + count))]
        shares = LinearConstraint(hstack(shared), ub=room.ravel())
        whole = np.repeat([1, 0], [cells, cells + count])
        # What finds no room at all is charged what the largest bank costs.
        without = prices[1][:, int(np.argmax(capacity))]
        energy = np.concatenate([prices[0].ravel(), prices[1].ravel(), without]) * 1e3
        traffic = np.concatenate([np.zeros(2 * cells), moves])

        def solve(cost: FloatArray, spill: FloatArray, *more: LinearConstraint) -> IntArray | None:
            bounds = Bounds(0.0, np.concatenate([np.tile(most, count), np.repeat(sizes, kinds), spill]))
            # Coming back from its presolved form the solver at times prints a line, which nothing can silence.
            options = {"presolve": False, "mip_rel_gap": 0.0, "node_limit": NODES}
            solution = milp(
                cost, integrality=whole, bounds=bounds, constraints=[lies, fits, shares, *more], options=options
            )
            if solution.x is None:
                return None
            counts: IntArray = np.rint(solution.x[:cells]).astype(np.int64).reshape(count, kinds)
            return counts

        unspilled = solve(energy, np.zeros(count))
        if unspilled is not None:
            return unspilled
        # Not everything has room: the least traffic first, then the least energy at that traffic.
        least = solve(traffic, sizes)
        if least is None:
            return None
        spill = np.maximum(sizes - least @ capacity, 0.0)
        limit = LinearConstraint(traffic, ub=float(moves @ spill))
        return _or(solve(energy, sizes, limit), least)

    def _named(self, ahead: range, holder: dict[int, int], counts: IntArray) -> list[tuple[int, ...]] | None:
        """Say which banks of each kind a tensor takes over, and from whom: a matching of bank to taker."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import maximum_bipartite_matching

        chosen: list[list[int]] = [[] for _ in ahead]
        for place, kind in enumerate(self.problem.kinds):
            takers = np.repeat(np.arange(len(ahead)), counts[:, place])
            if not len(takers):
                continue
            idle = [
                [number not in holder or self.problem.may_follow(tensor, holder[number]) for number in kind]
                for tensor in ahead
            ]
            given = [[self.problem.may_follow(tensor, other) for other in ahead] for tensor in ahead]
            allowed = np.hstack([np.array(idle)[takers], np.array(given)[np.ix_(takers, takers)]])
            matched = maximum_bipartite_matching(csr_array(allowed), perm_type="column")
            if (matched < 0).any():
                return None
            names: list[int] = []
            for tensor, source in zip(takers.tolist(), matched.tolist(), strict=True):
                names.append(kind[source] if source < len(kind) else names[source - len(kind)])
                chosen[tensor].append(names[-1])
        return [tuple(sorted(numbers)) for numbers in chosen]


def _or(first: IntArray | None, second: IntArray) -> IntArray:
    return second if first is None else first
