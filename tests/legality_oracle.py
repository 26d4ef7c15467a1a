"""The rules of order as they read: a set of bits an instruction, groups one by one, every pair, every origin. Quadratic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mho.program import Activate, Transfer, Vector, Violation, Write
from mho.program.instructions import members
from mho.program.legality.facts import Facts


class Pairs:
    """All pairs of instructions of which one certainly ends before the other starts."""

    def __init__(self, after: Sequence[Sequence[int]]) -> None:
        self.bits: list[int] = []
        for before in after:
            bits = 0
            for other in before:
                bits |= self.bits[other] | (1 << other)
            self.bits.append(bits)

    def before(self, first: int, second: int) -> bool:
        return bool(self.bits[second] >> first & 1)


def holding(facts: Facts) -> Iterator[Violation]:
    """What groups hold, group by group."""
    order = Pairs([each.after for each in facts.instructions])
    writes: dict[int, tuple[int, tuple[int, int]]] = {}
    users: dict[int, int] = {}
    released: set[int] = set()
    for i, instruction in enumerate(facts.instructions):
        if not isinstance(instruction, Write | Activate):
            continue
        texts: dict[str, None] = {}
        for block, group in zip(range(*instruction.blocks), members(instruction.groups), strict=True):
            held = (instruction.copy, block)
            busy = group in users and not order.before(users[group], i)
            if isinstance(instruction, Write):
                if busy:
                    texts[f"group {group} is written while instruction {users[group]} may still use it"] = None
                if group in writes and writes[group][0] < facts.program.setup:
                    texts[f"group {group}, written in the setup, is overwritten"] = None
                writes[group] = i, held
                released.discard(group)
            elif group not in writes or writes[group][1] != held:
                texts[f"group {group} does not hold block {block} of copy {instruction.copy}"] = None
            elif group in released:
                texts[f"group {group} was released before"] = None
            elif busy and users[group] == writes[group][0]:
                texts[f"group {group} may be read before its write has ended"] = None
            elif busy:
                texts[f"group {group} may still serve instruction {users[group]}"] = None
            if isinstance(instruction, Activate) and instruction.release:
                released.add(group)
            users[group] = i
        yield from (Violation(i, text) for text in texts)


def spills(facts: Facts, views: dict[int, int]) -> Iterator[Violation]:
    """Spilled tensors, each asked for in every instruction."""
    order = Pairs([each.after for each in facts.instructions])
    for use in facts.program.buffers:
        if not use.spilled:
            continue
        moves = [
            (i, each.direction)
            for i, each in enumerate(facts.instructions)
            if isinstance(each, Transfer) and each.layer == use.layer and each.size == use.spilled
        ]
        ready = [i for i, way in moves if way == "store"] or facts.finishes.get(use.layer, [])
        loads = [i for i, way in moves if way == "load" and i not in ready and any(order.before(j, i) for j in ready)]
        readers: dict[int, list[int]] = {}
        for i, instruction in enumerate(facts.instructions):
            layer = facts.layers[instruction.layer]
            reads = any(views[facts.place[name]] == use.layer for name in layer.inputs)
            if isinstance(instruction, Activate | Vector) and reads and not layer.moves_only:
                readers.setdefault(instruction.layer, []).append(i)
        for places in readers.values():
            own = next((each for each in reversed(loads) if all(order.before(each, i) for i in places)), None)
            if own is None:
                name = facts.layers[use.layer].name
                yield Violation(places[0], f"reads {name!r}, part of which is in main memory and not loaded for it")
            else:
                loads.remove(own)


def overload(starts: np.ndarray, ends: np.ndarray, demand: np.ndarray, slack: float) -> tuple[float, float] | None:
    """Find a stretch of time, from every start, in which more work is both begun and ended than it has."""
    order = np.argsort(ends, kind="stable")
    begun, ended, work = starts[order], ends[order], demand[order]
    for origin in np.unique(begun):
        inside = begun >= origin - slack
        within = np.cumsum(np.where(inside, work, 0.0))
        over = inside & (within > (ended - origin) * (1 + 1e-6) + 2 * slack)
        if over.any():
            return float(origin), float(ended[over][0])
    return None
