"""The problem of choosing banks of the global buffer for tensors, what a choice costs, and the greedy choice.

Every tensor has banks of its own for as long as it lives (ARAS section V-A: a bank never serves a layer's input and its output at
once). What finds no room is streamed through main memory. `bank_states` chooses better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from mho.machine.accesses import byte_prices

Choice = tuple[tuple[int, ...], ...]
"""For each tensor the banks that hold it, ascending."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of `size` bytes, held for `held_s`; a byte of it without room crosses the memory `moves` times (at least 1).

    Of it `read` bytes are read from the buffer and `written` bytes written there in all.
    """

    size: int
    held_s: float
    moves: int = 1
    read: float = 0.0
    written: float = 0.0


@dataclass(frozen=True, eq=False)
class BankProblem:
    """Tensors in the order in which they are made, and banks of so many bytes that leak so many W.

    `read_j` and `write_j` are the energies in J of a byte read from and written to each bank.
    Bit j of `after[i]` says that all that make or read tensor j have certainly ended when tensor i is begun, so that i may
    take over its banks; a partial order, with j < i always.
    """

    tensors: tuple[Tensor, ...]
    after: tuple[int, ...]
    banks: tuple[int, ...]
    watts: tuple[float, ...]
    read_j: tuple[float, ...]
    write_j: tuple[float, ...]

    @cached_property
    def kinds(self) -> tuple[tuple[int, ...], ...]:
        """The banks that are alike in bytes and prices, kind by kind, smallest first."""
        alike: dict[tuple[float, ...], list[int]] = {}
        for number, kind in enumerate(zip(self.banks, self.watts, self.read_j, self.write_j, strict=True)):
            alike.setdefault(kind, []).append(number)
        return tuple(tuple(alike[kind]) for kind in sorted(alike))

    @cached_property
    def one_size(self) -> int:
        """The bytes of every bank where they are alike; 0 where they are not."""
        return self.banks[0] if len(set(self.banks)) == 1 else 0

    def may_follow(self, new: int, old: int) -> bool:
        """Return whether tensor `new` may take over banks of tensor `old`."""
        return bool(self.after[new] >> old & 1)

    def spilled(self, choice: Choice) -> tuple[int, ...]:
        """Return the bytes of each tensor that find no room in its banks."""
        return tuple(
            max(0, tensor.size - sum(self.banks[number] for number in chosen))
            for tensor, chosen in zip(self.tensors, choice, strict=True)
        )

    def cost(self, choice: Choice) -> tuple[int, float]:
        """Return bytes moved for want of room, and leakage and accesses in J: what is minimised, in this order."""
        spills = self.spilled(choice)
        moved = sum(tensor.moves * spill for tensor, spill in zip(self.tensors, spills, strict=True))
        joules = 0.0
        for tensor, chosen in zip(self.tensors, choice, strict=True):
            read_j, write_j = byte_prices(tensor.size, chosen, self.banks, self.read_j, self.write_j)
            joules += tensor.held_s * sum(self.watts[number] for number in chosen)
            joules += tensor.read * read_j + tensor.written * write_j
        return moved, joules


def choose_banks(size: int, free: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Choose free banks (bytes, number) that hold `size` bytes with little to spare; all of them if they do not suffice."""
    rest = size
    chosen: list[tuple[int, int]] = []
    for bank in sorted(free, reverse=True):
        if bank[0] <= rest:
            chosen.append(bank)
            rest -= bank[0]
    if rest > 0:
        fitting = [bank for bank in free if bank not in chosen and bank[0] >= rest]
        if fitting:
            chosen.append(min(fitting))
            rest -= chosen[-1][0]
    # The last bank may make smaller ones unnecessary.
    for bank in sorted(chosen):
        if bank[0] <= -rest:
            chosen.remove(bank)
            rest += bank[0]
    return tuple(sorted(number for _, number in chosen))


def greedy_banks(problem: BankProblem) -> Choice:
    """Choose for one tensor after another, without regard to those that come later."""
    holder: dict[int, int] = {}
    return tuple(greedily(problem, tensor, holder) for tensor in range(len(problem.tensors)))


def greedily(problem: BankProblem, tensor: int, holder: dict[int, int]) -> tuple[int, ...]:
    """Choose for one tensor, given who had each bank last; note it there."""
    size = problem.tensors[tensor].size
    if problem.one_size > size > 0:
        # Of banks that are alike the first that is free holds it, without all that are being looked at.
        after = problem.after[tensor]
        numbers = range(len(problem.banks))
        first = next((each for each in numbers if each not in holder or after >> holder[each] & 1), None)
        if first is None:
            return ()
        holder[first] = tensor
        return (first,)
    free = [
        (room, number)
        for number, room in enumerate(problem.banks)
        if number not in holder or problem.may_follow(tensor, holder[number])
    ]
    chosen = choose_banks(size, free)
    holder.update(dict.fromkeys(chosen, tensor))
    return chosen
