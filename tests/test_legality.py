"""The legality checker: every rule is broken on purpose and found, and nothing is found where nothing is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import mho
from mho.chip import Chip
from mho.network.layers import Constant, Input, Reshape
from mho.network.samples import synthetic
from mho.program import Activate, Combine, Instruction, Program, Transfer, Vector, Write, violations
from tests.strategies import GREEDY, Sketch

Change = Callable[[Program], Program]

TINY = {
    "array.rows": 4, "array.columns": 16, "array.adcs": 1, "group.arrays": 1, "tile.groups": 1, "tiles": 4,
}  # fmt: skip
SMALL_BANKS = {"buffer.banks": [64]}
"""Less than any tensor of `skip`, which are of 72 bytes: 8 of them, or all, live in main memory."""


def skip() -> Sketch:
    """Layers: 0 input, 1 linear1, 2 linear2, 3 add3 of both, 4 linear4. Tensor 1 has two readers."""
    sketch = Sketch(3, (1, 6, 12))
    first = sketch.linear(sketch.layers[0], 12)
    sketch.linear(sketch.elementwise(first, sketch.linear(first, 12)), 4)
    return sketch


@cache
def program(name: str) -> Program:
    """Compile one of the programs that the tests break."""
    chip: dict[str, Any] = dict(TINY)
    sketch, schedule, residency = skip(), "overlap", "never"
    if name == "spilled":
        chip |= SMALL_BANKS
    elif name == "spilled dataflow":
        chip |= {**SMALL_BANKS, "layer_order": "dataflow"}
    elif name == "naive":
        schedule = "naive"
    elif name == "resident":
        chip["tiles"], residency = 40, "auto"
    elif name == "one block":
        sketch = Sketch(0, (1, 6, 4))
        sketch.linear(sketch.layers[0], 4)
    elif name == "embedding":
        sketch = Sketch(0, (1, 6), integers=True)
        sketch.linear(sketch.embedding(sketch.layers[0], 5, 12), 4)
    elif name == "outside":
        sketch = Sketch(0, (1, 6, 12))
        beside = sketch.add(Input(name="beside", inputs=(), shape=(1, 6, 12)))
        sketch.linear(sketch.elementwise(sketch.layers[0], beside), 4)
        chip |= SMALL_BANKS
    elif name == "two inputs":
        sketch = Sketch(0, (1, 6, 12))
        beside = sketch.add(Input(name="beside", inputs=(), shape=(1, 6, 12)))
        sketch.linear(sketch.elementwise(sketch.layers[0], beside), 4)
    elif name == "views":
        sketch = Sketch(0, (1, 6, 12))
        flat = sketch.add(Reshape(name="flat", inputs=("input",), shape=(1, 72)))
        sketch.linear(flat, 4)
        sketch.linear(flat, 4)
        chip |= SMALL_BANKS
    elif name == "constant":
        sketch = Sketch(0, (1, 4, 4))
        fixed = sketch.add(Constant(name="fixed", inputs=(), shape=(1, 4, 4), value=sketch.weight(1, 4, 4)))
        sketch.linear(sketch.product(sketch.layers[0], fixed), 4)
        chip["vector.macs_per_s"] = 1e6
    elif name == "returned":
        sketch = Sketch(0, (1, 6, 12))
        first = last = sketch.linear(sketch.layers[0], 12)
        for _ in range(3):
            last = sketch.linear(last, 12)
        return mho.compile(
            mho.number.quantise(sketch.network(first.name)), Chip.load("aras").override(chip, source="law"), GREEDY
        )
    elif name == "branches":
        sketch = Sketch(0, (1, 6, 4))
        sums = [sketch.elementwise(sketch.layers[0], sketch.layers[0]) for _ in range(2)]
        sketch.linear(sketch.elementwise(*sums), 4)
        chip |= {"vector.elements_per_s": 1e6, "layer_order": "dataflow"}
    else:
        assert name == "plain"
    made = mho.number.quantise(sketch.network())
    return mho.compile(
        made,
        Chip.load("aras").override(chip, source="law"),
        GREEDY.with_(schedule=schedule, residency=residency),
    )


NAMES = (
    "plain", "naive", "spilled", "spilled dataflow", "resident", "one block", "embedding", "outside", "two inputs", "views",
    "constant", "returned", "branches",
)  # fmt: skip


def find(
    given: Program, kind: type[Instruction], layer: int | None = None, nth: int = 0, way: str | None = None
) -> int:
    """Return the place of the nth instruction of a kind, a layer and a direction."""
    return [
        i
        for i, each in enumerate(given.instructions)
        if isinstance(each, kind)
        and (layer is None or each.layer == layer)
        and (way is None or (isinstance(each, Transfer) and each.direction == way))
    ][nth]


def swapped(given: Program, place: int, *new: Instruction) -> Program:
    """Put other instructions in the place of one; what waited for it waits for them all, or for what it waited for."""
    old = given.instructions[place]
    shift = len(new) - 1
    instead = tuple(range(place, place + len(new))) or old.after

    def moved(after: tuple[int, ...]) -> tuple[int, ...]:
        places = {p for j in after for p in (instead if j == place else (j + shift if j > place else j,))}
        return tuple(sorted(places))

    rest = [replace(each, after=moved(each.after)) for each in given.instructions[place + 1 :]]
    setup = given.setup + (shift if place < given.setup else 0)
    return replace(given, instructions=(*given.instructions[:place], *new, *rest), setup=setup)


def changed(given: Program, place: int, **operands: Any) -> Program:
    """Give one instruction other operands."""
    return swapped(given, place, replace(given.instructions[place], **operands))


def change(kind: type[Instruction], layer: int, nth: int = 0, way: str | None = None, **operands: Any) -> Change:
    return lambda given: changed(given, find(given, kind, layer, nth, way), **operands)


def drop(kind: type[Instruction], layer: int, nth: int = 0, way: str | None = None) -> Change:
    return lambda given: swapped(given, find(given, kind, layer, nth, way))


def repeat(kind: type[Instruction], layer: int, nth: int = 0, way: str | None = None, **operands: Any) -> Change:
    """Do an instruction twice, the second time after the first unless told otherwise, with other operands."""

    def act(given: Program) -> Program:
        place = find(given, kind, layer, nth, way)
        old = given.instructions[place]
        return swapped(given, place, old, replace(old, **{"after": tuple(sorted({*old.after, place})), **operands}))

    return act


def instead(kind: type[Instruction], layer: int, made: type[Combine | Vector], way: str | None = None) -> Change:
    """Finish a layer by an instruction of the wrong kind."""

    def act(given: Program) -> Program:
        place = find(given, kind, layer, way=way)
        return swapped(given, place, made(layer, given.instructions[place].after))

    return act


def place(layer: int, **fields: Any) -> Change:
    """Change the place of a layer's tensor in the buffer."""
    return lambda given: replace(
        given, buffers=tuple(replace(use, **fields) if use.layer == layer else use for use in given.buffers)
    )


def split(kind: type[Activate], layer: int) -> Change:
    """Cut an activation into one for each window, all waiting for the same."""

    def act(given: Program) -> Program:
        at = find(given, kind, layer)
        old = given.instructions[at]
        assert isinstance(old, Activate)
        return swapped(given, at, *(replace(old, windows=(w, w + 1), release=False) for w in range(*old.windows)))

    return act


def in_copies(first: tuple[int, int], second: tuple[int, int]) -> Change:
    """Write the only block twice, and serve windows `first` by one copy and `second` by the other."""

    def act(given: Program) -> Program:
        at = find(given, Write)
        write = given.instructions[at]
        assert isinstance(write, Write)
        both = swapped(given, at, replace(write, groups=((0, 1),)), replace(write, copy=1, groups=((1, 2),)))
        at = find(both, Activate)
        run = both.instructions[at]
        assert isinstance(run, Activate)
        return swapped(
            both, at,
            replace(run, groups=((0, 1),), windows=first), replace(run, copy=1, groups=((1, 2),), windows=second),
        )  # fmt: skip

    return act


def setup_twice(given: Program) -> Program:
    """Write a block of the setup again in the inference."""
    write = given.instructions[0]
    return replace(
        given, instructions=(*given.instructions, replace(write, after=tuple(range(len(given.instructions)))))
    )


def without_a_wait(
    kind: type[Instruction], layer: int, on: type[Instruction], nth: int = 0, way: str | None = None
) -> Change:
    """Let an instruction no longer wait for those of a kind."""

    def act(given: Program) -> Program:
        at = find(given, kind, layer, nth, way)
        after = tuple(j for j in given.instructions[at].after if not isinstance(given.instructions[j], on))
        assert after != given.instructions[at].after
        return changed(given, at, after=after)

    return act


def out_of_order(kind: type[Instruction], layer: int, on: int) -> Change:
    """Let all instructions of a layer wait for layer `on` only (and for their writes)."""

    def act(given: Program) -> Program:
        ends = find(given, Transfer if on == 0 else Combine, on)
        for at, each in enumerate(given.instructions):
            if isinstance(each, kind) and each.layer == layer:
                writes = {j for j in each.after if isinstance(given.instructions[j], Write)}
                given = changed(given, at, after=tuple(sorted({ends, *writes})))
        return given

    return act


def turned(given: Program) -> Program:
    """Activate blocks in the groups of others: the groups of one activation in reverse order."""
    at = find(given, Activate, 1)
    held = given.instructions[at]
    assert isinstance(held, Activate)
    groups = [group for first, last in held.groups for group in range(first, last)]
    assert len(groups) > 1
    return changed(given, at, groups=tuple((group, group + 1) for group in reversed(groups)))


def sharing(first: int, second: int) -> Change:
    """Put the tensor of layer `second` where that of `first` is."""

    def act(given: Program) -> Program:
        banks = next(use.banks for use in given.buffers if use.layer == first)
        return place(second, banks=banks)(given)

    return act


# Which program, how it is broken, and what must be said of it.
BROKEN: dict[str, tuple[str, Change, str]] = {
    # Shape.
    "setup longer than its writes": ("resident", lambda p: replace(p, setup=4), "coefficients may happen in the setup"),
    "load of nothing": ("plain", change(Transfer, 0, size=0), "cannot load 0 bytes"),
    "store of nothing": ("plain", change(Transfer, 4, size=0), "cannot store 0 bytes"),
    "load of nothing of what is made on the chip": ("spilled", change(Transfer, 1, way="load", size=0), "cannot load 0 bytes"),
    "load of less than nothing": ("outside", change(Transfer, 1, size=-1), "cannot load -1 bytes"),
    "direction unknown": ("plain", change(Transfer, 0, direction="keep"), "cannot keep"),
    "matrix layer by the vector unit": ("plain", instead(Combine, 1, Vector), "linear1 (linear) is not made by this"),
    "vector layer combined": ("plain", instead(Vector, 3, Combine), "add3 (elementwise) is not made by this"),
    "input by the vector unit": ("plain", instead(Transfer, 0, Vector), "input (input) is not made by this"),
    "weights of a vector layer": ("plain", lambda p: changed(p, find(p, Write), layer=3), "add3 (elementwise) has no weights"),
    "activation of a vector layer": ("plain", lambda p: changed(p, find(p, Activate), layer=3), "add3 (elementwise) has no"),
    "block too many": ("plain", change(Write, 1, blocks=(6, 10)), "blocks (6, 10), but the layer's are (0, 9)"),
    "no block": ("plain", change(Write, 1, blocks=(2, 2)), "blocks (2, 2), but the layer's are (0, 9)"),
    "block before the first": ("plain", change(Write, 1, blocks=(-1, 3)), "blocks (-1, 3), but the layer's are (0, 9)"),
    "copy too many": ("plain", change(Write, 1, copy=6), "copy 6 of a layer of 6 windows"),
    "copy before the first": ("plain", change(Activate, 1, copy=-1), "copy -1 of a layer of 6 windows"),
    "groups too many": ("plain", change(Write, 1, groups=((0, 5),)), "on a chip of 4"),
    "groups off the chip": ("plain", change(Write, 1, groups=((1, 5),)), "on a chip of 4"),
    "groups before the first": ("plain", change(Activate, 1, groups=((-1, 3),)), "on a chip of 4"),
    "groups beyond counting": ("plain", change(Write, 1, groups=((0, 10**15), (10**15, 4))), "on a chip of 4"),
    "groups repeated": ("plain", change(Write, 1, groups=((0, 3), (0, 1))), "4 blocks need as many different groups"),
    "groups too few": ("plain", change(Write, 1, groups=((0, 3),)), "4 blocks need as many different groups, not 3"),
    "window too many": ("plain", change(Activate, 1, windows=(0, 7)), "windows (0, 7) of 6"),
    "no window": ("plain", change(Activate, 1, windows=(3, 3)), "windows (3, 3) of 6"),
    "two rows of a block on one": ("plain", change(Write, 1, rows=((0, 1, 2, 2),) * 4), "4 rows need places of their own"),
    "a column off the group": ("plain", change(Write, 1, columns=((1, 2, 3, 4),) * 4), "4 columns need places of their own"),
    "a digit without a cell": ("plain", change(Write, 1, cells=((0, 1, 2),) * 4), "4 cells need places of their own"),
    "orders for other blocks": ("plain", change(Write, 1, rows=((0, 1, 2, 3),)), "1 orders of rows for 4 blocks"),
    # Groups.
    "write while in use": ("plain", change(Write, 1, nth=1, after=()), "is written while instruction"),
    "write while being written": ("plain", repeat(Write, 1, after=()), "is written while instruction"),
    "setup overwritten": ("resident", setup_twice, "written in the setup, is overwritten"),
    "read, never written": ("plain", drop(Write, 1), "does not hold block 0 of copy 0"),
    "read before written": ("one block", change(Write, 1, groups=((1, 2),)), "group 0 does not hold"),
    "wrong blocks held": ("plain", turned, "does not hold block 0 of copy 0"),
    "wrong copy held": ("plain", change(Activate, 1, copy=1), "does not hold block 0 of copy 1"),
    "released, then read": ("plain", repeat(Activate, 1), "was released before"),
    "read before the write has ended": ("plain", without_a_wait(Activate, 1, Write), "may be read before its write"),
    "activations at once on one group": ("plain", split(Activate, 1), "may still serve instruction"),
    "combined too early": ("plain", lambda p: changed(p, find(p, Combine, 1), after=()), "before this activation has ended"),
    "combined before one": (
        "plain", lambda p: changed(p, (c := find(p, Combine, 1)), after=p.instructions[c].after[:-1]),
        "before this activation has ended",
    ),
    "window left out": ("plain", change(Activate, 1, windows=(0, 5)), "not each of 6 once"),
    "first window left out": ("plain", change(Activate, 1, windows=(1, 6)), "not each of 6 once"),
    "block left out": ("plain", drop(Activate, 1), "linear1: block 0 serves windows [], not each of 6 once"),
    "windows served twice": ("plain", repeat(Activate, 1), "not each of 6 once"),
    "windows of copies overlap": ("one block", in_copies((0, 4), (3, 6)), "[(0, 4), (3, 6)], not each of 6 once"),
    "window between copies": ("one block", in_copies((0, 2), (3, 6)), "[(0, 2), (3, 6)], not each of 6 once"),
    # Flow.
    "input never loaded": ("plain", drop(Transfer, 0), "layer input is finished 0 times"),
    "matrix layer never finished": ("plain", drop(Combine, 2), "layer linear2 is finished 0 times"),
    "vector layer never finished": ("plain", drop(Vector, 3), "layer add3 is finished 0 times"),
    "output stored, never finished": ("plain", drop(Combine, 4), "layer linear4 is finished 0 times"),
    "look-up never finished": ("embedding", drop(Vector, 1), "layer embedding1 is finished 0 times"),
    "matrix layer finished twice": ("plain", repeat(Combine, 1), "layer linear1 is finished 2 times"),
    "vector layer finished twice": ("plain", repeat(Vector, 3), "layer add3 is finished 2 times"),
    "activation reads what is not there": ("plain", without_a_wait(Activate, 1, Transfer), "reads 'input', which may not"),
    "vector layer reads what is not there": ("plain", change(Vector, 3, after=()), "reads 'linear2', which may not"),
    "activations out of order": ("plain", out_of_order(Activate, 2, 0), "runs while the layer before it may still run"),
    "vector layer out of order": ("plain", out_of_order(Vector, 3, 1), "runs while the layer before it may still run"),
    "stored before made": ("plain", change(Transfer, 4, after=()), "a tensor is stored before it is made"),
    "spill stored before made": ("spilled", change(Transfer, 1, after=()), "a tensor is stored before it is made"),
    "looked up before fetched": ("embedding", without_a_wait(Vector, 1, Transfer), "looked up before its rows"),
    "input load of the wrong size": ("plain", change(Transfer, 0, size=71), "input is loaded as [71] bytes, not [72]"),
    "input loaded twice": ("plain", repeat(Transfer, 0), "input is loaded as [72, 72] bytes"),
    "rows never fetched": ("embedding", drop(Transfer, 1), "embedding1 is loaded as [] bytes, not [72]"),
    "indices as bytes": ("embedding", change(Transfer, 0, size=6), "input is loaded as [6] bytes, not [24]"),
    "tensor loaded for nobody": (
        "plain", lambda p: replace(p, instructions=(*p.instructions, Transfer("load", 2, 9, (find(p, Combine, 2),)))),
        "linear2 is loaded as [9] bytes, not []",
    ),
    "output stored short": ("plain", change(Transfer, 4, size=95), "linear4 is stored as [95] bytes, not [96]"),
    "output never stored": ("plain", drop(Transfer, 4), "linear4 is stored as [] bytes, not [96]"),
    "output loaded": ("plain", change(Transfer, 4, direction="load"), "linear4 is stored as [] bytes, not [96]"),
    "second output never stored": ("returned", drop(Transfer, 1), "linear1 is stored as [] bytes, not [72]"),
    # Buffer.
    "no places": ("plain", lambda p: replace(p, buffers=()), "tensor input has 0 places, not 1"),
    "no places where much is spilled": ("spilled", lambda p: replace(p, buffers=()), "tensor linear1 has 0 places, not 1"),
    "place twice": ("plain", lambda p: replace(p, buffers=(*p.buffers, p.buffers[0])), "tensor input has 2 places, not 1"),
    "place of what is not stored": (
        "plain", lambda p: replace(p, buffers=(*p.buffers, replace(p.buffers[0], layer=4, last=4))), "has 1 places, not 0",
    ),
    "bank beyond the last": ("plain", place(0, banks=(10,)), "lives in banks (10,), but there are 10"),
    "bank before the first": ("plain", place(0, banks=(-1,)), "lives in banks (-1,), but there are 10"),
    "bank twice": ("plain", place(0, banks=(0, 0)), "lives in banks (0, 0), but there are 10"),
    "no room": ("plain", place(0, banks=()), "input needs 72 bytes; its banks and main memory hold less"),
    "size of another tensor": ("plain", place(0, size=71), "input needs 72 bytes"),
    "spilled less than nothing": ("plain", place(0, spilled=-1), "input needs 72 bytes"),
    "spilled more than there is": ("spilled", place(1, spilled=73), "linear1 needs 72 bytes"),
    "spilled too little": ("spilled", place(1, spilled=63), "linear1 needs 72 bytes"),
    "given up before its last reader": ("plain", place(1, last=2), "linear1 is given up before its last reader"),
    "spill never stored": ("spilled", drop(Transfer, 1, way="store"), "linear1 is stored as [] bytes, not [72]"),
    "spill loaded before it is stored": (
        "spilled", without_a_wait(Transfer, 1, Transfer, way="load"), "reads 'linear1', part of which is in main memory",
    ),
    "no load for the first reader": ("spilled", drop(Transfer, 1, way="load"), "reads 'linear1', part of which is in"),
    "no load for the second reader": ("spilled", drop(Transfer, 1, 1, way="load"), "reads 'linear1', part of which is in"),
    "no load for a reader, dataflow": (
        "spilled dataflow", drop(Transfer, 1, 1, way="load"), "reads 'linear1', part of which is in",
    ),
    "reader does not wait for its load": ("spilled", without_a_wait(Vector, 3, Transfer), "part of which is in main memory"),
    "rest of an input never loaded": ("spilled", drop(Transfer, 0, 1, way="load"), "reads 'input', part of which is in"),
    "rest of an input loaded short": ("spilled", change(Transfer, 0, 1, way="load", size=7), "input is loaded as [64, 7]"),
    "input outside, never loaded": ("outside", drop(Transfer, 1, 1, way="load"), "reads 'beside', part of which is in"),
    "tensors in one bank": ("plain", sharing(0, 1), "holds the tensors of input and linear1 at once"),
    "vector layer into its operand's bank": ("plain", sharing(1, 3), "holds the tensors of linear1 and add3 at once"),
    "input loaded into the bank of another": (
        "two inputs", sharing(0, 1), "holds the tensors of input and beside at once",
    ),
    "no load for a reader through a view": (
        "views", drop(Transfer, 0, 2, way="load"), "reads 'input', part of which is in main memory",
    ),
    "given up before its last reader through a view": ("views", place(0, last=2), "input is given up before its last"),
    "bank reused before its output is stored": (
        "returned", sharing(1, 3), "holds the tensors of linear1 and linear3 at once",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_unbroken_programs_are_legal_as_written_and_as_timed(name: str) -> None:
    timing = mho.simulate(program(name)).timing
    assert violations(program(name), (timing.starts, timing.ends)) == ()


def test_programs_meet_what_the_rules_are_about() -> None:
    """Some tensors are spilled in part and some wholly, blocks are written over others, and a setup exists."""
    uses = program("spilled").buffers
    assert {use.spilled for use in uses} >= {8, 72}
    assert sum(isinstance(each, Write) for each in program("plain").instructions) > 4
    assert program("resident").setup == 3
    assert any(use.spilled == use.size and use.layer == 1 for use in program("outside").buffers)


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_is_found(case: str) -> None:
    name, act, text = BROKEN[case]
    found = violations(act(program(name)))
    assert any(text in each.text for each in found), [each.text for each in found]


@pytest.mark.parametrize("case", BROKEN)
def test_verifying_a_broken_program_says_so_and_never_raises(case: str) -> None:
    name, act, _ = BROKEN[case]
    broken = act(program(name))
    result = mho.verify(broken, synthetic(broken.network, 1).inputs)
    assert result.illegal == violations(broken)
    assert not result.ok
    assert str(result).startswith("NOT verified: ")


def test_copies_that_share_the_windows_are_legal() -> None:
    assert violations(in_copies((0, 2), (2, 6))(program("one block"))) == ()


def test_activations_one_after_another_on_one_group_are_legal() -> None:
    given = program("one block")
    at = find(given, Activate)
    old = given.instructions[at]
    assert isinstance(old, Activate)
    first = replace(old, windows=(0, 2), release=False)
    second = replace(old, windows=(2, 6), after=(*old.after, at))
    assert violations(swapped(given, at, first, second)) == ()


def test_layers_may_run_in_any_order_on_a_dataflow_chip() -> None:
    """What is out of order on a sequential chip is legal here: only the order of layers is free."""
    given = program("branches")
    sums = [find(given, Vector, layer) for layer in (1, 2)]
    assert sums[0] not in given.instructions[sums[1]].after
    sequential = given.chip.override({"layer_order": "sequential"}, source="law")
    found = violations(replace(given, chip=sequential))
    assert {each.text for each in found} == {"runs while the layer before it may still run"}


def test_a_violation_names_its_instruction() -> None:
    given = program("plain")
    late = find(given, Write, 1, 1)
    assert {each.instruction for each in violations(changed(given, late, after=()))} == {late}


def measured(name: str) -> tuple[Program, np.ndarray, np.ndarray]:
    given = program(name)
    timing = mho.simulate(given).timing
    return given, timing.starts.copy(), timing.ends.copy()


@pytest.mark.parametrize(
    ("name", "kind"), [("plain", Activate), ("plain", Write), ("branches", Vector), ("resident", Write)]
)
def test_an_instruction_faster_than_the_chip(name: str, kind: type[Instruction]) -> None:
    given, starts, ends = measured(name)
    at = find(given, kind, nth=-1)
    ends[at] = starts[at] + 0.99 * (ends[at] - starts[at])
    found = violations(given, (starts, ends))
    assert any(each.instruction == at and "less than the chip's" in each.text for each in found)


@pytest.mark.parametrize("kind", [Activate, Write, Combine, Vector, Transfer])
def test_an_instruction_that_starts_before_what_it_waits_for_has_ended(kind: type[Instruction]) -> None:
    given, starts, ends = measured("plain")
    at = find(given, kind, nth=-1)
    early = max(ends[j] for j in given.instructions[at].after) - 1e-7
    ends[at] += early - starts[at]
    starts[at] = early
    found = violations(given, (starts, ends))
    assert any(each.instruction == at and "starts before what it waits for" in each.text for each in found)


@pytest.mark.parametrize("kind", [Write, Transfer])
def test_more_bytes_than_the_memory_delivers(kind: type[Instruction]) -> None:
    """Times are measured with a fast memory and checked against a slow one: slow enough for one kind of bytes alone."""
    given, starts, ends = measured("plain")
    bandwidth = {Write: 1e5, Transfer: 1e7}[kind]
    slow = replace(given, chip=given.chip.override({"memory.bandwidth": bandwidth}, source="law"))
    if kind is Transfer:
        # The transfers at once, and all else much later.
        moves = np.array([isinstance(each, Transfer) for each in given.instructions])
        starts, ends = np.where(moves, 0.0, 1.0 + 1e3 * starts), np.where(moves, 1e-5, 1.0 + 1e3 * ends)
    assert any("memory does more than it can" in each.text for each in violations(slow, (starts, ends)))


def test_two_layers_in_the_vector_unit_at_once() -> None:
    given, starts, ends = measured("branches")
    first, second = (find(given, Vector, layer) for layer in (1, 2))
    assert starts[second] >= ends[first]
    starts[second], ends[second] = starts[first], ends[first]
    found = violations(given, (starts, ends))
    assert [each.text.split(" between")[0] for each in found] == ["the vector unit does more than it can"]


def test_the_matrix_unit_takes_its_time() -> None:
    given, starts, ends = measured("constant")
    at = find(given, Vector)
    assert ends[at] - starts[at] == pytest.approx(64e-6)
    ends[at] -= 1e-6
    found = violations(given, (starts, ends))
    assert [(each.instruction, "less than the chip's" in each.text) for each in found[:1]] == [(at, True)]
