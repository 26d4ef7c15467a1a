"""A tile: what its controller has its groups do, and when, is what the program says, in the timing model's time; sums are right."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import OptionError
from mho.machine.timing import program_tasks
from mho.program import Activate, Program, Write
from mho.program.instructions import members

pytest.importorskip("amaranth", reason="the package amaranth is not installed")

from mho import rtl
from mho.rtl.commands import END, Block, Stimulus
from mho.rtl.controller import WAIT, WINDOWS, WRITE, Step, TileList
from mho.rtl.layer import Part
from mho.rtl.play import play
from mho.rtl.simulate import Arrays, Feeder, left
from mho.rtl.tile import Tile, tile_of, verilog_of
from tests.test_rtl import _network


def _lasts(number: int, group: int) -> int:
    """Return the cycles of a write here, or of anything elsewhere (group -1): many, and others for each."""
    return 90 + (number * 37 + group * 53) % 97


class _Group:
    """A group of a tile as a test bench sees it: its ports are the tile's."""

    def __init__(self, tile: Tile, number: int) -> None:
        own = tile.groups[number]
        self.plan, self.signature, self.output_shape = tile.plan, own.signature, own.output_shape
        self.combiner = self.rows = None
        for name in own.signature.members:
            if name != "hold":
                setattr(self, name, getattr(tile, f"group_{number}_{name}"))


class _Tile:
    """A tile with real groups, what its cells hold, and everything else that the program asks for, which takes many cycles each.

    `starts` and `ends`: the cycle of each instruction and group here (group -1: what happens elsewhere). `sums`: of layers' parts
    and windows, what groups add up; `served`: how many blocks of rows have.
    """

    def __init__(self, program: Program, steps: TileList, x: Any, number: int = 0) -> None:
        self.program, self.steps, self.first = program, steps, number * len(steps.groups)
        tile = tile_of(program, steps)
        assert isinstance(tile, Tile)
        self.tile, self.plan = tile, tile.plan
        self.groups = [_Group(tile, number) for number in range(len(tile.groups))]
        self.starts: dict[tuple[int, int], int] = {}
        self.ends: dict[tuple[int, int], int] = {}
        self.told: list[int] = []
        self.heard: dict[int, int] = {}
        self.acts = [[step for step in each if step.operation != WAIT] for each in steps.groups]
        self.parts = {number: [-1] * (number in steps.elsewhere) for number in range(len(program.instructions))}
        for group, each in enumerate(self.acts):
            for step in each:
                self.parts[step.instruction].append(group)
        self.placed: dict[tuple[int, int], tuple[Part, int]] = {}
        for mapped in steps.layers(program):
            for part in rtl.layer_of(program, mapped.name, x, windows=1 << 16).parts:
                self.placed |= {(mapped.index, block): (part, at) for at, block in enumerate(part.blocks)}
        self.order = [
            [own for step in each for own in self._windows(step, group)] for group, each in enumerate(self.acts)
        ]
        self.left: list[list[tuple[int, int, int, int]]] = [[] for _ in self.groups]
        self.begins: list[list[int]] = [[] for _ in self.groups]
        self.given: list[dict[str, int]] = []
        self.made: list[dict[str, int]] = []

    def over(self, number: int) -> int | None:
        """Return when an instruction ended, None if it has not."""
        ends = [self.ends.get((number, part)) for part in self.parts[number]]
        return None if None in ends else max((end for end in ends if end is not None), default=0)

    def _block(self, step: Step, group: int) -> tuple[int, int]:
        """Return the layer of a step, and the block of it that a group holds or drives."""
        one = self.program.instructions[step.instruction]
        assert isinstance(one, Write | Activate)
        first, last = self.program.mapping.by_index[one.layer].within(one.blocks)
        held = list(members(one.groups)).index(group + self.first)
        return one.layer, first + held % (last - first)

    def _windows(self, step: Step, group: int) -> Iterator[tuple[Part, int, int]]:
        """Yield the windows of a step: the part of a layer, which of its blocks, and which window."""
        one = self.program.instructions[step.instruction]
        if isinstance(one, Activate) and step.operation == WINDOWS:
            first, last = self.program.mapping.by_index[one.layer].within(one.blocks)
            copy = one.copy + list(members(one.groups)).index(group + self.first) // (last - first)
            part, at = self.placed[self._block(step, group)]
            for window in range(one.windows[0], one.windows[1]):
                if window % one.copies == copy % one.copies:
                    yield part, at, window

    def _held(self, part: Part, at: int) -> Block:
        """Return a block of rows whose sums are handed on alone: what is added to an output comes with the first."""
        block = part.stimulus.blocks[at]
        return block if at == 0 else replace(block, addends=np.zeros_like(block.addends))

    def _words(self, group: int) -> Iterator[int]:
        """Yield what a group is told: parameters of a block after each write, and all its windows until the next."""
        runs: list[list[Step]] = []
        for step in self.acts[group]:
            if step.operation == WRITE:
                runs.append([])
            else:
                runs[-1].append(step)
        for own in (list(chain.from_iterable(self._windows(step, group) for step in run)) for run in runs):
            if own:
                part, at, _ = own[0]
                rows = len(part.blocks)
                windows = tuple((0, part.stimulus.windows[window * rows + at][1], True, True) for _, _, window in own)
                stimulus = Stimulus(self.plan, part.stimulus.settings, (self._held(part, at),), windows)
                yield from (word for word in stimulus.words() if word != END)
        while True:
            yield END

    def run(self, traced: bool = False) -> None:
        """Simulate until all has ended, and all sums have left; `traced`: and note what the tile is given and answers."""
        from amaranth.sim import Simulator

        tile, cells = self.tile, [None for _ in self.groups]
        simulator = Simulator(tile)
        simulator.add_clock(1e-9)
        flows = {name: member.flow.name for name, member in tile.signature.members.items()}

        async def tick(ctx: Any) -> None:
            if traced:
                self.given.append(
                    {name: int(ctx.get(getattr(tile, name))) for name, flow in flows.items() if flow == "In"}
                )
            await ctx.tick()
            if traced:
                self.made.append(
                    {name: int(ctx.get(getattr(tile, name))) for name, flow in flows.items() if flow == "Out"}
                )

        async def bench(ctx: Any) -> None:
            for cycle in self.steps.loading():
                for port in ("needs_write", "write"):
                    ctx.set(getattr(tile, port), 0)
                for port, value in cycle.items():
                    ctx.set(getattr(tile, port), value)
                await tick(ctx)
            for port in ("needs_write", "write"):
                ctx.set(getattr(tile, port), 0)
            ctx.set(tile.go, 1)
            words = [self._words(number) for number in range(len(self.groups))]
            feeders = [
                Feeder(group, Stimulus(self.plan, {}, (), ()), own)  # type: ignore[arg-type]
                for group, own in zip(self.groups, words, strict=True)
            ]
            arrays: list[Arrays | None] = list(cells)
            for cycle in range(20000):
                self._elsewhere(ctx, cycle)
                for group, feeder, held, out, begins in zip(
                    self.groups, feeders, arrays, self.left, self.begins, strict=True
                ):
                    if held is not None and ctx.get(group.convert):  # type: ignore[attr-defined]
                        drive, negative, index = (
                            ctx.get(getattr(group, name)) for name in ("drive", "negative", "index")
                        )
                        ctx.set(group.codes, held.codes(0, drive, negative, index))  # type: ignore[attr-defined]
                    if ctx.get(group.window_begins):  # type: ignore[attr-defined]
                        begins.append(cycle)
                    if ready := ctx.get(group.ready):  # type: ignore[attr-defined]
                        shown = (ctx.get(getattr(group, name)) for name in ("numbers", "fixed", "made"))
                        out += left(group, ready, *shown)  # type: ignore[arg-type]
                    feeder.step(ctx)
                self._act(ctx, cycle, arrays)
                each = self.plan.takers * self.plan.handed
                quiet = (len(out) == len(own) * each for out, own in zip(self.left, self.order, strict=True))
                if all(self.over(number) is not None for number in self.parts) and all(quiet):
                    return
                await tick(ctx)

        simulator.add_testbench(bench)
        simulator.run()

    def _act(self, ctx: Any, cycle: int, arrays: list[Arrays | None]) -> None:
        """Note when groups begin and end; what is written stands in the cells from then on."""
        feed, writes, over = (ctx.get(getattr(self.tile, name)) for name in ("feed", "writes", "done"))
        written = 0
        done = [sum((each.instruction, group) in self.ends for each in acts) for group, acts in enumerate(self.acts)]
        for group, acts in enumerate(self.acts):
            if (feed | writes) >> group & 1 and done[group] < len(acts):
                step = acts[done[group]]
                begun = cycle - self.starts.setdefault((step.instruction, group), cycle)
                if writes >> group & 1 and begun == _lasts(step.instruction, group) - 1:
                    written |= 1 << group
                    part, at = self.placed.get(self._block(step, group), (None, 0))
                    if part is not None:
                        arrays[group] = Arrays(Stimulus(self.plan, {}, (self._held(part, at),), ()))
        ctx.set(self.tile.written, written)
        over |= written
        for group, acts in enumerate(self.acts):
            if over >> group & 1:
                self.ends[acts[done[group]].instruction, group] = cycle

    def _elsewhere(self, ctx: Any, cycle: int) -> None:
        """Begin and end what happens elsewhere; the controller is told of one end a cycle."""
        for number in self.steps.elsewhere:
            after = [self.over(each) for each in self.program.instructions[number].after]
            if None not in after and (number, -1) not in self.starts:
                self.starts[number, -1] = cycle
            if self.starts.get((number, -1), cycle) + _lasts(number, -1) == cycle:
                self.ends[number, -1] = cycle
                self.told += [number] if number in self.steps.events else []
        ctx.set(self.tile.elsewhere, bool(self.told))
        if self.told:
            number = self.told.pop(0)
            self.heard[number] = cycle
            ctx.set(self.tile.ended_event, self.steps.events[number])

    def check(self) -> int:
        """Compare sums of blocks of rows, added up, with the program's, and codes where one block makes them; return how many."""
        totals: dict[tuple[int, int], list[Any]] = {}
        for out, own in zip(self.left, self.order, strict=True):
            seen: dict[tuple[int, int], list[tuple[int, int]]] = {}
            for maker, number, v, code in out:
                seen.setdefault((maker, number), []).append((v, code))
            for place, (part, _, window) in enumerate(own):
                v, codes = (np.array([[seen[maker, number][place][which] for number in range(self.plan.makes)]
                    for maker in range(self.plan.makers)]) for which in (0, 1))  # fmt: skip
                total = totals.setdefault((id(part), window), [part, 0, 0, codes])
                total[1], total[2] = total[1] + v, total[2] + 1
        compared = 0
        for (_, window), (part, v, blocks, codes) in totals.items():
            if blocks == len(part.blocks):
                real = part.outputs >= 0
                assert np.array_equal(v[real], part.wanted[window][real])
                compared += int(real.sum())
                if blocks == 1 and part.codes is not None:
                    assert np.array_equal(codes[real], part.codes[window][real])
        return compared


def _program(seed: int, columns: int, groups: int, tiles: int, schedule: str, bits: Any = 8) -> tuple[Program, Any]:
    network, x = _network(3, columns, seed), np.random.default_rng(seed).normal(size=(4, 2, 4, 4))
    sizes = {"array.rows": 16, "array.columns": 16, "group.arrays": 1, "tile.groups": groups, "tiles": tiles}
    chip = Chip.load("aras").override(sizes, source="drawn")
    quantised = mho.number.quantise(network, x, requantise=24, bits=bits)
    return mho.compile(quantised, chip, mho.Strategy().with_(schedule=schedule)), x


@settings(max_examples=3)
@given(
    st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 3), st.sampled_from(["naive", "adaptive", "overlap"]),
    st.integers(0, 1),
)  # fmt: skip
def test_groups_do_what_the_program_says(seed: int, columns: int, groups: int, schedule: str, tile: int) -> None:
    """Of any program on small chips: nothing begins before all that it waits for has ended, nor more than a few cycles after it;
    each group's instructions come in the program's order; windows take the timing model's time; sums are the program's.
    """
    program, x = _program(seed, columns, groups, 2, schedule)
    steps = TileList.of(program, tile)
    run = _Tile(program, steps, x, tile)
    run.run()
    run.check()
    plan = run.plan
    assert all(run.over(number) is not None for number in run.parts)
    lasts = program_tasks(program).tasks.lasts
    for group, each in enumerate(steps.groups):
        acts = run.acts[group]
        assert [step.instruction for step in acts] == sorted(
            number
            for number, one in enumerate(program.instructions)
            if isinstance(one, Write | Activate) and tile * groups + group in members(one.groups)
            and any(step.instruction == number for step in acts)
        )  # fmt: skip
        before, begins = 0, iter(run.begins[group])
        for step in acts:
            number = step.instruction
            began, ended = run.starts[number, group], run.ends[number, group]
            waits = sum(1 for other in each if (other.operation, other.instruction) == (WAIT, number))
            after = program.instructions[number].after
            ready = max([before, *(run.over(other) or 0 for other in after)])
            told = max([ready, *(run.heard.get(other, 0) for other in after)])
            assert (ready < began or not ready) and began <= told + 2 + waits
            cycles = step.argument * plan.window_cycles if step.operation == WINDOWS else _lasts(number, group)
            assert ended - began == cycles + (step.operation == WINDOWS) - (step.operation == WRITE)
            one = program.instructions[number]
            if step.operation == WINDOWS:
                assert [next(begins) for _ in range(step.argument)] == [
                    began + place * plan.window_cycles for place in range(step.argument)
                ]
            if step.operation == WINDOWS and isinstance(one, Activate) and one.copies == 1:
                assert cycles * float(plan.clock_s) == pytest.approx(lasts[number], rel=1e-9)
            assert step.operation in (WRITE, WINDOWS)
            before = ended
        assert next(begins, None) is None


def test_what_has_no_list_is_refused() -> None:
    """A tile that the chip does not have, and groups for one whose layers have other bits."""
    program = mho.compile(mho.number.quantise(_network(3, 4, 1), np.ones((4, 2, 4, 4))), "aras")
    with pytest.raises(OptionError, match="no tile"):
        TileList.of(program, 10**6)
    program, _ = _program(3, 5, 2, 1, "overlap", {"conv": 8, "last": "4/5"})
    with pytest.raises(OptionError, match="layers 'conv' and 'last' have other bits"):
        tile_of(program, TileList.of(program, 0))


def test_two_groups_of_a_tile_make_every_sum_of_a_program() -> None:
    """A small network through one tile: every sum and code; the tile's Verilog, in Icarus, answers the same in each cycle."""
    program, x = _program(3, 5, 2, 1, "overlap")
    run = _Tile(program, TileList.of(program, 0), x)
    run.run(traced=shutil.which("iverilog") is not None)
    assert all(run.order) and run.check() == 5 * 4 + 3 * 4
    for answer, made in zip(
        play(Tile(run.steps, run.plan), run.given, "icarus") if run.given else (), run.made, strict=True
    ):
        # Memories hold nothing before they are written, in Icarus; what is worked out of that counts when it is ready.
        idle = {
            f"group_{group}_{name}"
            for group in range(2)
            if not made[f"group_{group}_ready"]
            for name in ("fixed", "made")
        }
        assert {name for name in made if answer[name] != made[name]} <= idle


@pytest.mark.skipif(not shutil.which("verilator"), reason="Verilator is not on this machine")
def test_tools_find_nothing_in_the_tile(tmp_path: Path) -> None:
    """Verilator's lint without warnings."""
    program, _ = _program(3, 5, 2, 1, "overlap")
    (tmp_path / "tile.v").write_text(verilog_of(tile_of(program, TileList.of(program, 0))))
    words = ("verilator", "--lint-only", "--top-module", "mho_tile", "tile.v")
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
