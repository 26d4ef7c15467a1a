"""Which banks of the global buffer hold which tensor: adaptive bank selection (ARAS section V-A), by dynamic programming.

ARAS chooses banks layer by layer, by an integer program. With x[b] = 1 where bank b is on during layer l, it minimises

    P(l) = sum over b of x[b] P_static[b]                                                  (equation 1)

subject to room for the layer's activations, the inputs and the outputs each in banks of their own,

    sum over b of x[b] C[b] >= Mem(l)                                                       (equation 2)

`layer_banks` is this form. `select_banks` generalises it to all tensors of a network: x[t, b] = 1 where bank b holds tensor
t, for as long as t lives, so that the output banks of one layer are the input banks of the next, and skip connections and
dense blocks keep what they need. What is minimised is `BankProblem.cost`: traffic for want of room comes first, then the
energy of leakage and accesses.

Tensors are given bundles (sets) of banks one after another, in the order in which they are made. What the later ones can have
depends on the past through the bundles of the tensors alive alone; so of all pasts that agree in these the cheapest is kept.
Few tensors live at once, so that there are few states, and the work grows with the tensors, not with their combinations
(a network of so many branches that more than SETS sets of tensors live at once keeps the choice it has):

- a bundle that costs a tensor no less than the same without one of its banks is never looked at;
- a state is given up where its cost and the least that the tensors to come can cost, each by itself, exceed the best known;
- of what is left the WIDTHS[0] cheapest states go on; where others were given up for it, all is done again with the bound
  that this has led to and the next width. Where none was given up, the choice is proven to be the best.

The choice that it is to improve (the greedy one) is kept where the result is no better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import prod
from operator import or_

import numpy as np
import numpy.typing as npt

from mho.schedule.bank_orders import living_at_once, named, set_bits
from mho.schedule.banks import BankProblem, Choice, Tensor, greedy_banks

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

WIDTHS = (100, 1000)
"""States that go on from one tensor to the next, at the most; the wider only where the narrower gave states up."""
BUNDLES = 2**13
"""Bundles of banks that are looked at, at the most; with more, banks are tied together."""
CELLS = 2**20
"""States times bundles of a step, at the most: the memory of it."""
NEVER = 2**62
"""A cost above all others."""
DIGITS = 44
"""Binary digits of energies, at the most: fewer than those in which sums of real numbers differ between processors."""
BATCH = 64
"""Tensors whose bundles are priced at once."""


def select_banks(problem: BankProblem, start: Choice | None = None, widths: Sequence[int] = WIDTHS) -> Choice:
    """Choose banks that cause the least traffic and, of such choices, cost the least energy.

    `start`, if not given the greedy choice, is returned where nothing better is found.
    """
    start = greedy_banks(problem) if start is None else start
    moved, joules = problem.cost(start)
    if moved == 0 and joules <= _least_j(problem):
        return start
    beside = living_at_once(problem)
    if beside is None:
        return start
    search = _Search(problem, beside, moved, joules)
    bound = search.start
    for width in widths:
        counts, value, proven = search.run(width, bound)
        if counts is not None:
            start, bound = min(start, named(problem, counts.tolist()), key=problem.cost), value
        if proven:
            break
    return start


def layer_banks(
    memory: tuple[int, int], banks: Sequence[int], watts: Sequence[float], inputs: tuple[int, ...] | None = None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Choose the banks of one layer's inputs and outputs, of `memory` bytes: equations 1 and 2 as ARAS section V-A has them.

    By static power alone, as there.

    `inputs` are the banks that hold the inputs already, the output banks of the layer before; None where they are to be
    chosen too. A layer larger than the buffer keeps as much as there is room for.
    """
    sizes = tuple(banks)
    if inputs is None:
        free = (0.0,) * len(sizes)
        problem = BankProblem((Tensor(memory[0], 1.0), Tensor(memory[1], 1.0)), (0, 0), sizes, tuple(watts), free, free)
        first, second = select_banks(problem)
        return first, second
    left = tuple(number for number in range(len(sizes)) if number not in inputs)
    problem = BankProblem(
        (Tensor(memory[1], 1.0),),
        (0,),
        tuple(sizes[number] for number in left),
        tuple(watts[number] for number in left),
        (0.0,) * len(left),
        (0.0,) * len(left),
    )
    (chosen,) = select_banks(problem)
    return inputs, tuple(left[number] for number in chosen)


def _least_j(problem: BankProblem) -> float:
    """Return an energy in J that no choice without traffic can beat: each byte at the price of the thriftiest bank."""
    price = min((watts / size for size, watts in zip(problem.banks, problem.watts, strict=True)), default=0.0)
    read_j, write_j = (min(prices, default=0.0) for prices in (problem.read_j, problem.write_j))
    return sum(
        price * tensor.size * tensor.held_s + tensor.read * read_j + tensor.written * write_j
        for tensor in problem.tensors
    )


def _units(counts: Sequence[int], sizes: Sequence[int]) -> tuple[list[int], Integers]:
    """Return how many there are of each unit of which bundles are made, and how many banks of each kind it has.

    A unit is one bank, as long as that makes at most BUNDLES bundles. Else units of the kind with the most are tied in twos,
    or, where there is but one of each, the two smallest.
    """
    many, parts = list(counts), np.eye(len(counts), dtype=np.int64)
    while prod(count + 1 for count in many) > BUNDLES:
        largest = max(range(len(many)), key=many.__getitem__)
        if many[largest] > 1:
            many[largest] //= 2
            parts[largest] *= 2
        else:
            first, second = sorted(range(len(many)), key=(parts @ np.array(sizes)).__getitem__)[:2]
            parts[first] += parts[second]
            parts = np.delete(parts, second, axis=0)
            del many[second]
    return many, parts


class _Bundles:
    """All bundles of banks: how many of each kind, what they hold, and what they cost a tensor."""

    def __init__(self, problem: BankProblem) -> None:
        first = [kind[0] for kind in problem.kinds]
        sizes = [problem.banks[number] for number in first]
        many, parts = _units([len(kind) for kind in problem.kinds], sizes)
        self.shape = tuple(count + 1 for count in many)
        units = np.array(list(product(*(range(count + 1) for count in many))), dtype=np.int64).reshape(-1, len(many))
        # A bundle as a number: of each unit how many, each in bits of its own, with one more to borrow from.
        widths = [count.bit_length() + 1 for count in many]
        places = [sum(widths[:place]) for place in range(len(many))]
        self.guard = sum(1 << place + width - 1 for place, width in zip(places, widths, strict=True))
        self.all = sum(count << place for count, place in zip(many, places, strict=True))
        self.codes: Integers = (units << np.array(places, dtype=np.int64)).sum(axis=1)
        self.counts: Integers = units @ parts
        self.watts: Floats = self.counts @ np.array([problem.watts[number] for number in first])
        # Banks in which a byte is cheap are filled first, as the machine has it (machine/accesses.py).
        prices = np.array([[problem.read_j[n], problem.write_j[n]] for n in first]).reshape(-1, 2)
        cheap = sorted(range(len(first)), key=lambda place: (prices[place].sum(), first[place]))
        held = (self.counts * np.array(sizes, dtype=np.int64))[:, cheap]
        self.filled: Integers = np.concatenate([np.zeros((len(held), 1), np.int64), held.cumsum(axis=1)], axis=1)
        self.room: Integers = self.filled[:, -1]
        self.prices: Floats = prices[cheap]
        self.without: Floats = prices[int(np.argmax(sizes))] if sizes else np.zeros(2)
        self._per_byte: dict[int, Floats] = {}

    def joules(self, tensor: Tensor) -> Floats:
        """Return what each bundle costs a tensor, in J."""
        per_byte = self._per_byte.get(tensor.size)
        if per_byte is None:
            here = np.diff(np.minimum(self.filled, tensor.size), axis=1) @ self.prices
            per_byte = here / np.maximum(np.minimum(self.room, tensor.size), 1)[:, None]
            per_byte[0] = self.without
            self._per_byte[tensor.size] = per_byte
        joules: Floats = tensor.held_s * self.watts + per_byte @ np.array([tensor.read, tensor.written])
        return joules

    def moved(self, tensor: Tensor) -> Integers:
        """Return the bytes that each bundle makes cross the memory."""
        return tensor.moves * np.maximum(tensor.size - self.room, 0)


@dataclass(frozen=True, eq=False)
class _Step:
    """What one tensor was given: the states before, and of those after which state before and which bundle.

    `taken` (sets of tensors alive at once, states) are the banks that these hold, `cost` what the states cost. States that
    differ only in what ends with this tensor are taken together: sorted by `order`, a lot of them begins at each of `begins`.
    Of the states after, `lot` and `bundle` say where they come from; the latter is None where nobody minds which it was.
    """

    taken: Integers
    cost: Integers
    order: Integers
    begins: Integers
    lot: Integers
    bundle: Integers | None


class _Search:
    """The least cost of a problem's tensors, and the bundles that it is reached with.

    Costs are whole numbers, so that sums are the same everywhere: bytes moved times a power of two that is above
    all energies, and energy in units of which the dearest choice of all has nearly that many.
    """

    def __init__(self, problem: BankProblem, beside: list[list[int]], moved: int, joules: float) -> None:
        self.problem, self.beside, self.bundles = problem, beside, _Bundles(problem)
        distinct = list(dict.fromkeys(problem.tensors))
        many = dict.fromkeys(distinct, 0)
        for tensor in problem.tensors:
            many[tensor] += 1
        dearest = sum(many[tensor] * float(self.bundles.joules(tensor).max()) for tensor in distinct)
        self.above = 61 - (2 * moved + 1).bit_length()
        self.unit_j = (dearest or 1.0) / 2.0 ** min(self.above - 1, DIGITS)
        self.start = (moved << self.above) + int(joules / self.unit_j) + len(problem.tensors) + 1
        options = dict(zip(distinct, self._options(distinct, moved), strict=True))
        self.options = [options[tensor] for tensor in problem.tensors]
        count = len(problem.tensors)
        # Of each tensor the last that lives beside it.
        self.last = [0] * count
        for new, sets in enumerate(self.beside):
            for old in set_bits(reduce(or_, sets)):
                self.last[old] = new
        least = [int(costs[0]) if len(costs) else NEVER // count for _, costs in self.options]
        self.rest = [0] * (count + 1)
        for place in range(count - 1, -1, -1):
            self.rest[place] = self.rest[place + 1] + least[place]

    def _options(self, tensors: Sequence[Tensor], moved: int) -> list[tuple[Integers, Integers]]:
        """Return for each tensor the bundles that may be worth their cost, cheapest first, and what they cost."""
        bundles, options = self.bundles, []
        for first in range(0, len(tensors), BATCH):
            batch = tensors[first : first + BATCH]
            costs = np.rint(np.array([bundles.joules(tensor) for tensor in batch]) / self.unit_j).astype(np.int64)
            bytes_moved = np.array([bundles.moved(tensor) for tensor in batch])
            costs = np.where(bytes_moved > moved, NEVER, (np.minimum(bytes_moved, moved) << self.above) + costs)
            grid = costs.reshape(len(batch), *bundles.shape)
            worth = grid < NEVER
            for axis in range(1, grid.ndim):
                more, fewer = ((slice(None),) * axis + (part,) for part in (slice(1, None), slice(None, -1)))
                worth[more] &= grid[more] < grid[fewer]
            for row, kept in zip(costs, worth.reshape(costs.shape), strict=True):
                places = np.flatnonzero(kept)
                places = places[np.argsort(row[places], kind="stable")]
                options.append((places, row[places]))
        return options

    def run(self, width: int, bound: int) -> tuple[Integers | None, int, bool]:
        """Return how many banks of each kind each tensor gets (None if nothing below the bound), the cost, and if it is proven.

        The first has shape (tensors, kinds).
        """
        alive: list[int] = []
        held, cost = np.zeros((1, 0), dtype=np.int64), np.zeros(1, dtype=np.int64)
        steps: list[_Step] = []
        given_up = NEVER
        for new in range(len(self.problem.tensors)):
            step, held, cost, alive, least = self._step(new, alive, held, cost, width, bound)
            given_up = min(given_up, least)
            if not len(cost):
                return None, bound, given_up >= bound
            steps.append(step)
        value = int(cost.min())
        return self._traced(steps, int(cost.argmin())), value, given_up >= value

    def _step(
        self, new: int, alive: list[int], held: Integers, cost: Integers, width: int, bound: int
    ) -> tuple[_Step, Integers, Integers, list[int], int]:
        """Give a tensor bundles: return the step, the states after it, who is alive then, the least cost of those given up."""
        places, prices = self.options[new]
        # Prices ascend: those that not even the cheapest state can pay are at the end.
        payable = int(np.searchsorted(prices, bound - self.rest[new + 1] - int(cost.min())))
        places, prices = places[:payable], prices[:payable]
        taken = np.array([held[:, [bool(bits >> old & 1) for old in alive]].sum(axis=1) for bits in self.beside[new]])
        staying = [place for place, old in enumerate(alive) if self.last[old] > new]
        order = begins = np.arange(len(cost))
        kept = held[:, staying]
        if len(staying) < len(alive):
            order = np.lexsort(kept.T) if staying else order
            kept = kept[order]
            differs = (kept[1:] != kept[:-1]).any(axis=1)
            begins = np.flatnonzero(np.concatenate([[True], differs]))
            kept = kept[begins]
        total = self._totals(taken[:, order], cost[order], begins, places, prices)
        minded = self.last[new] > new
        if not minded:
            total = total.min(axis=1, initial=NEVER)[:, None]
        flat = total.ravel()
        good = np.flatnonzero(flat < bound - self.rest[new + 1])
        width, given_up = max(1, min(width, CELLS // max(len(self._next(new)), 1))), NEVER
        if len(good) > width:
            # Of equal states the first, whatever partition does with them on this processor.
            dear = np.partition(flat[good], width)[width]
            below, equal = good[flat[good] < dear], good[flat[good] == dear]
            given_up = int(dear) + self.rest[new + 1]
            good = np.sort(np.concatenate([below, equal[: width - len(below)]]))
        lot, bundle = np.divmod(good, total.shape[1] or 1)
        step = _Step(taken, cost, order, begins, lot, bundle if minded else None)
        after = kept[lot]
        if minded:
            after = np.concatenate([after, self.bundles.codes[places[bundle]][:, None]], axis=1)
        return step, after, flat[good], [alive[place] for place in staying] + [new] * minded, given_up

    def _next(self, new: int) -> Integers:
        """Return the bundles of the tensor after this."""
        return self.options[min(new + 1, len(self.options) - 1)][0]

    def _totals(
        self, taken: Integers, cost: Integers, begins: Integers, places: Integers, prices: Integers
    ) -> Integers:
        """Return the least that states cost with each of a tensor's bundles, of those from each of `begins` on up to the next.

        Shape (begins, bundles); NEVER where the banks are taken.
        """
        # Compiled code takes a while to import.
        from mho.schedule.bank_totals import totals

        bundles = self.bundles
        table: Integers = totals(
            bundles.all - taken | bundles.guard, cost, begins, bundles.codes[places], prices, bundles.guard, NEVER
        )
        return table

    def _traced(self, steps: Sequence[_Step], state: int) -> Integers:
        """Return the banks of each kind that each tensor got on the way to a state, shape (tensors, kinds)."""
        chosen = np.zeros(len(steps), dtype=np.int64)
        for new in range(len(steps) - 1, -1, -1):
            step, (places, prices) = steps[new], self.options[new]
            lot = int(step.lot[state])
            end = int(step.begins[lot + 1]) if lot + 1 < len(step.begins) else len(step.order)
            before = step.order[int(step.begins[lot]) : end]
            if step.bundle is not None:
                places, prices = (side[step.bundle[state] :][:1] for side in (places, prices))
            total = self._totals(step.taken[:, before], step.cost[before], np.arange(len(before)), places, prices)
            best = divmod(int(total.argmin()), len(places))
            state, chosen[new] = int(before[best[0]]), places[best[1]]
        return self.bundles.counts[chosen]
