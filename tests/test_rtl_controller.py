"""A tile's controller: what it has its groups do, and when, is what the program says, in the timing model's time."""

from __future__ import annotations

import shutil
import subprocess
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

from amaranth.hdl import Module

from mho import rtl
from mho.rtl.controller import WAIT, WINDOWS, WRITE, TileController, TileList
from mho.rtl.sequencer import Sequencer
from tests.test_rtl import _network


def _lasts(number: int, group: int) -> int:
    """Return the cycles of a write here, or of anything elsewhere (group -1): many, and others for each."""
    return 20 + (number * 37 + group * 53) % 97


class _Tile:
    """A controller, the sequencers of its groups, and everything else that the program asks for, which takes a few cycles each.

    `starts` and `ends`: the cycle of each instruction and group here (group -1: what happens elsewhere).
    """

    def __init__(self, program: Program, steps: TileList, plan: rtl.Plan) -> None:
        self.program, self.steps, self.plan = program, steps, plan
        self.starts: dict[tuple[int, int], int] = {}
        self.ends: dict[tuple[int, int], int] = {}
        self.told: list[int] = []
        self.heard: dict[int, int] = {}
        self.acts = [[step for step in each if step.operation != WAIT] for each in steps.groups]
        self.parts = {number: [-1] * (number in steps.elsewhere) for number in range(len(program.instructions))}
        for group, each in enumerate(self.acts):
            for step in each:
                self.parts[step.instruction].append(group)

    def over(self, number: int) -> int | None:
        """Return when an instruction ended, None if it has not."""
        ends = [self.ends.get((number, part)) for part in self.parts[number]]
        return None if None in ends else max((end for end in ends if end is not None), default=0)

    def run(self) -> None:
        """Simulate until all has ended."""
        from amaranth.sim import Simulator

        controller, m = TileController(self.steps), Module()
        m.submodules.controller = controller
        sequencers = [Sequencer(self.plan) for _ in self.acts]
        for group, each in enumerate(sequencers):
            m.submodules[f"sequencer_{group}"] = each
            m.d.comb += [each.available.eq(controller.feed[group]), controller.began[group].eq(each.take_window)]
            m.d.comb += controller.running[group].eq(each.running)
        simulator = Simulator(m)
        simulator.add_clock(1e-9)

        async def bench(ctx: Any) -> None:
            for cycle in self.steps.loading():
                for port in ("needs_write", "write"):
                    ctx.set(getattr(controller, port), 0)
                for port, value in cycle.items():
                    ctx.set(getattr(controller, port), value)
                await ctx.tick()
            for port in ("needs_write", "write"):
                ctx.set(getattr(controller, port), 0)
            ctx.set(controller.go, 1)
            for cycle in range(20000):
                self._elsewhere(ctx, controller, cycle)
                feed, writes = ctx.get(controller.feed), ctx.get(controller.writes)
                done = [
                    sum((each.instruction, group) in self.ends for each in acts) for group, acts in enumerate(self.acts)
                ]
                written = 0
                for group, acts in enumerate(self.acts):
                    if (feed | writes) >> group & 1 and done[group] < len(acts):
                        self.starts.setdefault((acts[done[group]].instruction, group), cycle)
                        begun = cycle - self.starts[acts[done[group]].instruction, group]
                        written |= (
                            writes >> group & 1 and begun == _lasts(acts[done[group]].instruction, group) - 1
                        ) << group
                ctx.set(controller.written, written)
                for group, acts in enumerate(self.acts):
                    if ctx.get(controller.done) >> group & 1:
                        self.ends[acts[done[group]].instruction, group] = cycle
                if all(self.over(number) is not None for number in self.parts):
                    return
                await ctx.tick()

        simulator.add_testbench(bench)
        simulator.run()

    def _elsewhere(self, ctx: Any, controller: TileController, cycle: int) -> None:
        """Begin and end what happens elsewhere; the controller is told of one end a cycle."""
        for number in self.steps.elsewhere:
            after = [self.over(each) for each in self.program.instructions[number].after]
            if None not in after and (number, -1) not in self.starts:
                self.starts[number, -1] = cycle
            if self.starts.get((number, -1), cycle) + _lasts(number, -1) == cycle:
                self.ends[number, -1] = cycle
                self.told += [number] if number in self.steps.events else []
        ctx.set(controller.elsewhere, bool(self.told))
        if self.told:
            number = self.told.pop(0)
            self.heard[number] = cycle
            ctx.set(controller.ended_event, self.steps.events[number])


@settings(max_examples=6)
@given(
    st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 3), st.sampled_from(["naive", "adaptive", "overlap"]),
    st.integers(0, 1),
)  # fmt: skip
def test_groups_do_what_the_program_says(seed: int, columns: int, groups: int, schedule: str, tile: int) -> None:
    """Of any program on small chips: nothing begins before all that it waits for has ended, nor more than a few cycles after it;
    each group's instructions come in the program's order; windows take the timing model's time.
    """
    network, x = _network(3, columns, seed), np.random.default_rng(seed).normal(size=(4, 2, 4, 4))
    sizes = {"array.rows": 16, "array.columns": 16, "group.arrays": 1, "tile.groups": groups, "tiles": 2}
    chip = Chip.load("aras").override(sizes, source="drawn")
    program = mho.compile(mho.number.quantise(network, x), chip, mho.Strategy().with_(schedule=schedule))
    steps, plan = TileList.of(program, tile), rtl.Plan.of(chip)
    run = _Tile(program, steps, plan)
    run.run()
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
        before = 0
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
            if step.operation == WINDOWS and isinstance(one, Activate) and one.copies == 1:
                assert cycles * float(plan.clock_s) == pytest.approx(lasts[number], rel=1e-9)
            assert step.operation in (WRITE, WINDOWS)
            before = ended


def test_what_has_no_list_is_refused() -> None:
    """A tile that the chip does not have."""
    program = mho.compile(mho.number.quantise(_network(3, 4, 1), np.ones((4, 2, 4, 4))), "aras")
    with pytest.raises(OptionError, match="no tile"):
        TileList.of(program, 10**6)


@pytest.mark.skipif(not shutil.which("verilator"), reason="Verilator is not on this machine")
def test_tools_find_nothing_in_the_controller(tmp_path: Path) -> None:
    """Verilator's lint without warnings."""
    program = mho.compile(mho.number.quantise(_network(3, 4, 1), np.ones((4, 2, 4, 4))), "aras")
    (tmp_path / "tile.v").write_text(TileList.of(program, 0).verilog())
    words = ("verilator", "--lint-only", "--top-module", "mho_tile_controller", "tile.v")
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
