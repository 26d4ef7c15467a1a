"""Behind the lanes: zero points are taken out, blocks of rows added up, and sums made codes."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed, unsigned

from mho.rtl.part import Part, memory, width
from mho.rtl.plan import ACCUMULATOR_BITS, Plan

WIDE = 63
"""Bits of a sum times its multiplier, a sign included: `mho.number.requantise` lets none exceed them."""


class Accumulators(Part):
    """Zero-point correction and accumulators of one chain, an accumulator of 32 bits for each output. A sum that comes in with
    `valid` gets, the first of its output, coefficient[number] x `total` added, and counts as pass `number_of_pass` says. Two cycles
    later it is in the accumulator of its output, which begins anew with the first pass of a block of rows that is `first_block`.
    With the last sum of the last pass of `last_block` the accumulator is handed on: `done`, three cycles after `valid`.
    """

    def __init__(self, plan: Plan, sums: Any, totals: Any, numbers: Any) -> None:
        self.plan = plan
        super().__init__(
            "mho_accumulators",
            {
                "valid": 1, "sum": sums, "total": totals, "number": numbers, "first": 1, "last": 1, "pass_number": range_of(plan),
                "first_block": 1, "last_block": 1, "write": 1, "address": numbers, "coefficient": signed(plan.weight_bits + 2),
            },
            {"done": 1, "made": signed(ACCUMULATOR_BITS), "made_number": numbers},
        )  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        """Multiply, correct, accumulate."""
        plan, m = self.plan, Module()
        coefficients = memory(
            m, "coefficients", signed(plan.weight_bits + 2), plan.handed, self.write, self.address, self.coefficient
        )
        m.d.comb += coefficients.addr.eq(self.number)
        product = coefficients.data * self.total
        held = Signal(self.sum.shape())
        corrected = Signal(product.shape())
        number = Signal(self.number.shape(), name="held_number")
        valid, first, last = (Signal(name=f"held_{name}") for name in ("valid", "first", "last"))
        m.d.sync += [
            valid.eq(self.valid),
            held.eq(self.sum),
            corrected.eq(Mux(self.first, product, 0)),
            number.eq(self.number),
        ]
        m.d.sync += [first.eq(self.first), last.eq(self.last)]
        step = plan.combining.step if plan.combining else 1
        factors = [factor for _, _, factor in plan.passes]
        counted = Signal(signed(ACCUMULATOR_BITS))
        with m.Switch(self.pass_number):
            for place, factor in enumerate(factors):
                with m.Case(place):
                    m.d.comb += counted.eq(((held * step if step > 1 else held) + corrected) * factor)
        starts = first & self.first_block & (self.pass_number == 0)
        added = Signal(signed(ACCUMULATOR_BITS))
        read = memory(m, "sums", signed(ACCUMULATOR_BITS), plan.handed, valid, number, added)
        m.d.comb += [read.addr.eq(number), added.eq(Mux(starts, 0, read.data) + counted)]
        m.d.sync += self.done.eq(valid & last & self.last_block & (self.pass_number == len(factors) - 1))
        m.d.sync += [self.made.eq(added), self.made_number.eq(number)]
        return m


class Requantiser(Part):
    """Makes codes of sums: v = sum x multiplier[number] x 2^`left` + addend[number]; code = clip(((v + 2^(`shift` - 1)) >>
    `shift`) + `zero`, `low`, `high`). A relu is a `low` equal to `zero`. `fixed` is v itself, for sums that are added to others
    before they become codes. One sum a cycle; `ready` comes three cycles after `done`.
    """

    def __init__(self, plan: Plan, numbers: Any) -> None:
        self.plan = plan
        bits = plan.output_bits
        super().__init__(
            "mho_requantiser",
            {
                "done": 1, "made": signed(ACCUMULATOR_BITS), "made_number": numbers, "write": 1, "address": numbers,
                "multiplier": plan.multiplier_bits, "addend": signed(WIDE), "left": 6, "shift": 6, "zero": bits,
                "low": bits, "high": bits,
            },
            {"ready": 1, "ready_number": numbers, "fixed": signed(WIDE), "code": unsigned(bits)},
        )  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        """Multiply, shift and add, round and clip."""
        plan, m = self.plan, Module()
        multipliers = memory(
            m, "multipliers", unsigned(plan.multiplier_bits), plan.makes, self.write, self.address, self.multiplier
        )
        addends = memory(m, "addends", signed(WIDE), plan.makes, self.write, self.address, self.addend)
        product = Signal(signed(ACCUMULATOR_BITS + plan.multiplier_bits))
        number = Signal(self.made_number.shape())
        v = Signal(signed(WIDE))
        stages = [Signal(name=f"stage_{stage}") for stage in range(2)]
        last = Signal(self.made_number.shape(), name="last_number")
        m.d.comb += [multipliers.addr.eq(self.made_number), addends.addr.eq(number)]
        m.d.sync += [stages[0].eq(self.done), product.eq(self.made * multipliers.data), number.eq(self.made_number)]
        m.d.sync += [stages[1].eq(stages[0]), v.eq((product << self.left) + addends.data), last.eq(number)]
        code = rounded(m, v, self.shift, self.zero, self.low, self.high)
        m.d.sync += [self.ready.eq(stages[1]), self.fixed.eq(v), self.code.eq(code), self.ready_number.eq(last)]
        return m


def range_of(plan: Plan) -> Any:
    """Return the shape of the number of a pass."""
    return width(0, len(plan.passes) - 1)


def rounded(m: Module, v: Any, shift: Any, zero: Any, low: Any, high: Any) -> Any:
    """Return clip(((v + 2^(shift - 1)) >> shift) + zero, low, high)."""
    # What is cut off below the half, shifted by one less, is rounded by adding one.
    halves, whole = Signal(signed(WIDE + 1)), Signal(signed(WIDE + 1))
    m.d.comb += halves.eq(Mux(shift == 0, v << 1, v >> (shift - 1)[:6]))
    m.d.comb += whole.eq(((halves + 1) >> 1) + zero)
    return Mux(whole < low, low, Mux(whole > high, high, whole[: len(low)]))


__all__ = ["WIDE", "Accumulators", "Requantiser", "rounded"]
