"""The way in: input codes become what the rows are driven with, step by step, and their sum."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value

from mho.rtl.part import Part, balanced, width
from mho.rtl.plan import Plan


class Serialiser(Part):
    """Input register of a group, twice: `load` takes `words` codes a cycle into one while the other drives the rows. With the last
    of a window `loaded` is high, until `take_window`. `take` moves what pass `next_number` drives into the driving register, whose
    topmost bits drive the rows, the most significant first; `advance` moves on to the next step. `total` is the sum of what the
    pass drives. Rows of other turns are not driven. Loading takes rows / words cycles, behind the window before.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        most = plan.input_sum
        super().__init__(
            "mho_serialiser",
            {
                "load": 1, "codes": plan.words * plan.input_bits, "take": 1, "take_window": 1, "next_number": width(0,
                len(plan.passes) - 1),
                "advance": 1, "turn": width(0, plan.turns - 1), "zero": plan.input_bits,
            },
            {
                "loaded": 1, "drive": plan.rows * plan.drive_bits, "negative": plan.rows if plan.both_signs else 1,
                "total": width(-most if plan.both_signs else 0, most),
            },
        )  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        """Shift words in, and bits out."""
        plan, m = self.plan, Module()
        bits, words, loads = plan.input_bits, plan.words, plan.loads
        kept = bits + (plan.passes[0][0] != "code")
        codes = [self.codes.word_select(word, bits) for word in range(words)]
        coming = [Value.cast(code - self.zero)[:kept] if kept > bits else code for code in codes]
        waiting = Signal(words * loads * kept)
        address = Signal(width(0, loads - 1))
        with m.If(self.load):
            m.d.sync += waiting.eq(Cat(waiting, *coming)[words * kept :])
            m.d.sync += address.eq(Mux(address == loads - 1, 0, address + 1))
            m.d.sync += self.loaded.eq(self.loaded & ~self.take_window | (address == loads - 1))
        with m.Elif(self.take_window):
            m.d.sync += self.loaded.eq(0)
        self._sums(m, coming, address)
        held: Any = waiting
        if len(plan.passes) > 1:
            # Passes after the first drive what the window began with, while others are loaded.
            again = Signal(len(waiting))
            with m.If(self.take_window):
                m.d.sync += again.eq(waiting)
            held = Signal(len(waiting))
            m.d.comb += held.eq(Mux(self.take_window, waiting, again))
        self._drive(m, [held.word_select(row, kept) for row in range(plan.rows)])
        return m

    def _driven(self, what: str, code: Value) -> Value:
        """Return what a pass drives for a code, less its zero point where inputs have a sign."""
        bits = self.plan.input_bits
        if what == "code":
            return code
        value = code.as_signed()
        ways = {"low": value[:bits], "sign": value[bits], "positive": Mux(value < 0, 0, value)[:bits]}
        return ways[what] if what in ways else Mux(value < 0, -value, 0 if what == "negative" else value)[:bits]

    def _sums(self, m: Module, coming: list[Value], address: Signal) -> None:
        """Add up what each pass will drive as its inputs are loaded."""
        plan, totals = self.plan, []
        for number, (what, _, _) in enumerate(plan.passes):
            parts = [code.as_signed() if what == "both" else self._driven(what, code) for code in coming]
            running = Signal(self.total.shape(), name=f"running_{number}")
            total = Signal(self.total.shape(), name=f"total_{number}")
            with m.If(self.load):
                m.d.sync += running.eq(Mux(address == 0, 0, running) + balanced(parts))
            with m.If(self.take_window):
                m.d.sync += total.eq(running)
            totals.append(total)
        now = Signal(self.next_number.shape())
        with m.If(self.take):
            m.d.sync += now.eq(self.next_number)
        with m.Switch(now):
            for number, total in enumerate(totals):
                with m.Case(number):
                    m.d.comb += self.total.eq(total)

    def _drive(self, m: Module, codes: list[Value]) -> None:
        """Keep what a pass drives, a register for each bit of all rows, and shift it out."""
        plan, size = self.plan, self.plan.drive_bits
        planes = [Signal(plan.rows, name=f"driving_{bit}") for bit in range(plan.register_bits)]
        with m.If(self.take), m.Switch(self.next_number):
            for number, (what, _, _) in enumerate(plan.passes):
                with m.Case(number):
                    driven = [self._driven(what, code) for code in codes]
                    if what != "code":
                        worked_out = Signal(sum(map(len, driven)), name=f"{what}_inputs")
                        m.d.comb += worked_out.eq(Cat(*driven))
                        driven = [worked_out.word_select(row, len(code)) for row, code in enumerate(driven)]
                    # The first step in the topmost bits of the register, of which a step of fewer bits takes the lowest.
                    empty = plan.register_bits - (plan.steps[number][0] - 1) * plan.steps[number][1] - size
                    for bit, plane in enumerate(planes):
                        here = [code[bit - empty] if 0 <= bit - empty < len(code) else C(0, 1) for code in driven]
                        m.d.sync += plane.eq(Cat(*here))
        with m.Elif(self.advance):
            m.d.sync += [plane.eq(planes[bit - size] if bit >= size else 0) for bit, plane in enumerate(planes)]
        rows = [Cat(*(plane[row] for plane in planes[plan.register_bits - size :])) for row in range(plan.rows)]
        if plan.turns > 1:
            on = [Signal(name=f"turn_{turn}") for turn in range(plan.turns)]
            m.d.comb += [signal.eq(self.turn == turn) for turn, signal in enumerate(on)]
            rows = [row & on[place // plan.rows_at_once].replicate(size) for place, row in enumerate(rows)]
        m.d.comb += self.drive.eq(Cat(*rows))
        if plan.both_signs:
            with m.If(self.take):
                m.d.sync += self.negative.eq(Cat(*(code[-1] for code in codes)))


__all__ = ["Serialiser"]
