"""When what happens: the counters that drive rows, choose columns and say which sums are complete."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal

from mho.rtl.part import Part, width
from mho.rtl.plan import Plan


class Sequencer(Part):
    """Steps through the passes, steps, turns and conversions of a window. `available` says that a window is loaded; `take` is high
    in the cycle before a pass begins, and `take_window` in the cycle before the first. Then, for each step and turn, the overhead
    passes, and `convert` is high in the last cycle of each conversion, of the columns that `index` names. `fresh` marks the
    conversions of a pass's first step, `again` those of turns after the first; `finish` comes with the last conversion of a pass.
    Windows that are available follow one another without a gap.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        most = max(steps for steps, _ in plan.steps)
        super().__init__(
            "mho_sequencer",
            {"available": 1},
            {
                "take": 1, "take_window": 1, "number": width(0, len(plan.passes) - 1), "next_number": width(0,
                len(plan.passes) - 1),
                "advance": 1, "turn": width(0, plan.turns - 1), "convert": 1, "index": width(0, plan.per_adc - 1), "fresh": 1,
                "again": 1, "finish": 1, "step": width(0, most - 1), "running": 1,
            },
        )  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        """Count down cycles, conversions, turns, steps and passes."""
        plan, m = self.plan, Module()
        waits = [plan.overhead_cycles + plan.pauses(number) for number in range(len(plan.passes))]
        settle, wait = (Signal(width(0, max(waits)), name=name) for name in ("settle", "wait"))
        sub = Signal(width(0, plan.conversion_cycles - 1))
        ready = Signal()
        m.d.comb += wait.eq(plan.overhead_cycles)
        with m.If((self.step == 0) & (self.turn == 0)), m.Switch(self.number):
            for number, cycles in enumerate(waits):
                with m.Case(number):
                    m.d.comb += wait.eq(cycles)
        m.d.comb += ready.eq(self.running & (settle == wait))
        m.d.comb += self.convert.eq(ready & (sub == plan.conversion_cycles - 1))
        last_index, last_turn = self.index == plan.per_adc - 1, self.turn == plan.turns - 1
        last_step = Signal()
        with m.Switch(self.number):
            for number, (steps, _) in enumerate(plan.steps):
                with m.Case(number):
                    m.d.comb += last_step.eq(self.step == steps - 1)
        end_of_turn = Signal()
        m.d.comb += end_of_turn.eq(self.convert & last_index)
        m.d.comb += self.advance.eq(end_of_turn & last_turn)
        m.d.comb += self.finish.eq(self.advance & last_step)
        m.d.comb += [self.fresh.eq(self.step == 0), self.again.eq(self.turn != 0)]
        with m.If(self.running & ~ready):
            m.d.sync += settle.eq(settle + 1)
        with m.If(ready):
            m.d.sync += sub.eq(Mux(self.convert, 0, sub + 1))
        with m.If(self.convert):
            m.d.sync += self.index.eq(Mux(last_index, 0, self.index + 1))
        with m.If(end_of_turn):
            m.d.sync += [settle.eq(0), self.turn.eq(Mux(last_turn, 0, self.turn + 1))]
        with m.If(self.advance):
            m.d.sync += self.step.eq(Mux(last_step, 0, self.step + 1))
        idle = ~self.running | self.finish
        more = self.running & (self.number != len(plan.passes) - 1)
        begins = idle & (more | self.available)
        m.d.comb += self.next_number.eq(Mux(more, self.number + 1, 0))
        m.d.comb += self.take.eq(begins)
        m.d.comb += self.take_window.eq(begins & ~more)
        with m.If(idle):
            m.d.sync += [self.running.eq(begins), self.number.eq(self.next_number)]
        return m
