"""Rules on the global buffer: every stored tensor has a place, alone, for as long as somebody reads it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from mho.program.instructions import Activate, Gather, Transfer, Vector
from mho.program.legality.facts import Facts, Violation
from mho.program.program import BufferUse
from mho.program.work import buffer_bytes


def buffer_rules(facts: Facts) -> Iterator[Violation]:
    """Check places, spills and the sharing of banks."""
    yield from _places(facts, facts.views)
    yield from _spills(facts, facts.views)
    yield from _sharing(facts, facts.views)


def tensor_readers(facts: Facts, views: dict[int, int]) -> dict[int, list[int]]:
    """Return for each stored tensor the layers that read it, itself or through views (which are among them)."""
    readers: dict[int, list[int]] = {}
    for i, layer in enumerate(facts.layers):
        for name in layer.inputs:
            readers.setdefault(views[facts.place[name]], []).append(i)
    return readers


def _places(facts: Facts, views: dict[int, int]) -> Iterator[Violation]:
    """Check that each tensor that is stored as codes has one place that is large enough."""
    banks = facts.program.chip.buffer.banks
    sizes = buffer_bytes(facts.program.network, facts.program.coded)
    needed = {i for i, layer in enumerate(facts.layers) if layer.name in sizes}
    places: dict[int, list[BufferUse]] = {}
    for use in facts.program.buffers:
        places.setdefault(use.layer, []).append(use)
    for index in sorted(needed | set(places)):
        if index not in needed or len(places.get(index, [])) != 1:
            name = facts.layers[index].name if 0 <= index < len(facts.layers) else index
            yield Violation(-1, f"tensor {name} has {len(places.get(index, []))} places, not {int(index in needed)}")
            continue
        (use,) = places[index]
        name, size = facts.layers[index].name, sizes[facts.layers[index].name]
        if len(set(use.banks)) != len(use.banks) or any(not 0 <= bank < len(banks) for bank in use.banks):
            yield Violation(-1, f"{name} lives in banks {use.banks}, but there are {len(banks)} different ones")
        elif use.size != size or not 0 <= use.spilled <= size or sum(banks[b] for b in use.banks) + use.spilled < size:
            yield Violation(-1, f"{name} needs {size} bytes; its banks and main memory hold less")
    readers = tensor_readers(facts, views)
    for use in facts.program.buffers:
        if use.layer in needed and use.last < max(readers.get(use.layer, [use.layer])):
            yield Violation(-1, f"{facts.layers[use.layer].name} is given up before its last reader")


def _spills(facts: Facts, views: dict[int, int]) -> Iterator[Violation]:
    """Check that each layer that reads a spilled tensor waits for a load of its own, after the store."""
    if not any(use.spilled for use in facts.program.buffers):
        return
    moved: dict[tuple[str, int, int], list[int]] = {}
    # For each stored tensor the layers that read it, as they start, each with the instructions that do.
    reading: dict[int, dict[int, list[int]]] = {}
    for i, instruction in enumerate(facts.instructions):
        layer = facts.layers[instruction.layer]
        if isinstance(instruction, Transfer):
            moved.setdefault((instruction.direction, instruction.layer, instruction.size), []).append(i)
        elif isinstance(instruction, Activate | Vector) and not layer.moves_only:
            for tensor in {views[facts.place[name]] for name in layer.inputs}:
                reading.setdefault(tensor, {}).setdefault(instruction.layer, []).append(i)
    for use in facts.program.buffers:
        if not use.spilled:
            continue
        ready = moved.get(("store", use.layer, use.spilled)) or facts.finishes.get(use.layer, [])
        loads = [
            i
            for i in moved.get(("load", use.layer, use.spilled), [])
            if i not in ready and any(facts.order.before(j, i) for j in ready)
        ]
        for places in reading.get(use.layer, {}).values():
            own = next((load for load in reversed(loads) if all(facts.order.before(load, i) for i in places)), None)
            if own is None:
                name = facts.layers[use.layer].name
                yield Violation(places[0], f"reads {name!r}, part of which is in main memory and not loaded for it")
            else:
                loads.remove(own)


def _sharing(facts: Facts, views: dict[int, int]) -> Iterator[Violation]:
    """Check that a bank takes a tensor only when all that used the one before it has ended."""
    readers = tensor_readers(facts, views)
    makers: dict[int, list[int]] = {}
    stores: dict[int, list[int]] = {}
    for i, instruction in enumerate(facts.instructions):
        loads = isinstance(instruction, Transfer) and i in facts.finishes.get(instruction.layer, [])
        if isinstance(instruction, Gather):
            tables = facts.program.mapping.tables
            for index in () if tables is None else tables.layers:
                makers.setdefault(index, []).append(i)
        elif loads or isinstance(instruction, Activate | Vector):
            makers.setdefault(instruction.layer, []).append(i)
        elif isinstance(instruction, Transfer) and instruction.direction == "store":
            stores.setdefault(views[instruction.layer], []).append(i)
    holders: dict[int, list[int]] = {}
    for use in facts.program.buffers:
        for bank in use.banks:
            holders.setdefault(bank, []).append(use.layer)

    @cache
    def together(old: int, new: int) -> bool:
        """Return True if the tensor of layer `new` may be made while that of `old` is still used."""
        used = [done for layer in (old, *readers.get(old, [])) for done in facts.finishes.get(layer, [])]
        used += stores.get(old, [])
        return any(not facts.order.before(done, maker) for maker in makers.get(new, []) for done in used)

    for bank, tensors in holders.items():
        for old, new in pairwise(sorted(tensors)):
            if together(old, new):
                names = f"{facts.layers[old].name} and {facts.layers[new].name}"
                yield Violation(-1, f"bank {bank} holds the tensors of {names} at once")
