"""Rules on the flow of data: what each layer waits for, the order of layers, and what crosses the memory."""

from __future__ import annotations

from collections.abc import Iterator

from mho.network.layers import Constant, Embedding, Input
from mho.program.instructions import Activate, Gather, Transfer, Vector
from mho.program.legality.facts import Facts, Violation
from mho.program.work import transfer_bytes


def flow_rules(facts: Facts) -> Iterator[Violation]:
    """Check dependencies between layers, their order, and transfers."""
    yield from _dependencies(facts)
    yield from _layer_order(facts)
    yield from _transfers(facts)


def _dependencies(facts: Facts) -> Iterator[Violation]:
    """Check that layers start after those whose tensors they read, and finish once."""
    for index in facts.steps:
        count = len(facts.finishes.get(index, []))
        if count != 1:
            yield Violation(-1, f"layer {facts.layers[index].name} is finished {count} times, not once")
    for i, instruction in enumerate(facts.instructions):
        if not isinstance(instruction, Activate | Vector | Gather):
            continue
        tables = facts.program.mapping.tables
        readers = tables.layers if isinstance(instruction, Gather) and tables is not None else (instruction.layer,)
        for name in dict.fromkeys(name for reader in readers for name in facts.layers[reader].inputs):
            done = facts.finishes.get(facts.place[name], [])
            if done and not facts.order.before(done[0], i):
                yield Violation(i, f"reads {name!r}, which may not be finished")


def _layer_order(facts: Facts) -> Iterator[Violation]:
    """Check that on a sequential chip a layer runs only when the one before it, in the network's order, has finished."""
    if facts.program.chip.spec.layer_order != "sequential":
        return
    running = [index for index in facts.steps if not isinstance(facts.layers[index], Input)]
    previous = dict(zip(running[1:], running, strict=False))
    for i, instruction in enumerate(facts.instructions):
        if isinstance(instruction, Activate | Vector | Gather) and instruction.layer in previous:
            done = facts.finishes.get(previous[instruction.layer], [])
            if done and not facts.order.before(done[0], i):
                yield Violation(i, "runs while the layer before it may still run")


def _transfers(facts: Facts) -> Iterator[Violation]:
    """Check that inputs and looked-up rows are loaded whole, outputs stored whole, and only spills cross the memory beside them."""
    coded = facts.program.coded
    spilled = {use.layer: use.spilled for use in facts.program.buffers}
    moved: dict[tuple[str, int], list[int]] = {}
    for i, instruction in enumerate(facts.instructions):
        if isinstance(instruction, Transfer):
            moved.setdefault((instruction.direction, instruction.layer), []).append(i)
            done = facts.finishes.get(instruction.layer, [])
            if instruction.direction == "store" and done and not facts.order.before(done[0], i):
                yield Violation(i, "a tensor is stored before it is made")
    for index, layer in enumerate(facts.layers):
        loads, stores = ([_size(facts, i) for i in moved.get((way, index), [])] for way in ("load", "store"))
        spill = spilled.get(index, 0)
        whole = transfer_bytes(layer, facts.program.network, coded)
        loaded: list[int] = []
        stored: list[int] = []
        if isinstance(layer, Input):
            loaded = [whole - spill]
        elif isinstance(layer, Embedding):
            loaded = [layer.size]
            done = facts.finishes.get(index, [])
            fetched = moved.get(("load", index), [])[:1]
            if done and not all(facts.order.before(i, done[0]) for i in fetched):
                yield Violation(done[0], f"{layer.name} is looked up before its rows have arrived")
        if spill and not isinstance(layer, Input):
            stored.append(spill)
        if layer.name in facts.program.network.results and not isinstance(layer, Constant):
            rest = whole - (spill if not isinstance(layer, Input) else 0)
            stored += [rest] if rest else []
        if loads[: len(loaded)] != loaded or any(size != spill for size in loads[len(loaded) :]):
            yield Violation(
                -1, f"{layer.name} is loaded as {loads} bytes, not {loaded} and then {spill} for each reader"
            )
        if sorted(stores) != sorted(stored):
            yield Violation(-1, f"{layer.name} is stored as {stores} bytes, not {stored}")


def _size(facts: Facts, place: int) -> int:
    instruction = facts.instructions[place]
    assert isinstance(instruction, Transfer)
    return instruction.size
