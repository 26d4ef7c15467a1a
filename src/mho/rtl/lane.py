"""Behind the ADCs: codes are shifted, added up over digits and steps, and handed on one after another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Module, Mux, Signal

from mho.rtl.part import Part, balanced, width
from mho.rtl.plan import Plan
from mho.rtl.slots import UNIT, Lane


class ShiftAdd(Part):
    """Shift-and-add lane of one ADC, or of several that read digits of the same weights: a running sum for each weight. With
    `convert`, the codes of index `index` are taken, each times the significance of its digit, or less where `invert` says that the
    column is stored inverted. Two cycles later they are in the sum of their weight, which is doubled as often as a step has bits
    before the first addition of a step, and begins anew with the first step.
    """

    def __init__(self, plan: Plan, lane: Lane, name: str) -> None:
        self.plan, self.lane = plan, lane
        low, high = plan.code_range
        given: dict[str, Any] = {f"code_{adc}": width(low, high) for adc in range(lane.count)}
        given |= {
            "convert": 1,
            "index": width(0, plan.per_adc - 1),
            "fresh": 1,
            "again": 1,
            "shift": 1,
            "invert": lane.count,
        }
        super().__init__(name, given, {f"sum_{n}": width(slot.low, slot.high) for n, slot in enumerate(lane.slots)})

    def elaborate(self, platform: Any) -> Module:
        """Make the addend, then add it."""
        plan, lane, m = self.plan, self.lane, Module()
        low, high = plan.code_range
        reach = max(abs(low), high) * max(sum(abs(s) for s in turn.significance) for turn in lane.turns)
        signed = low < 0 or plan.coding.inverts or any(s < 0 for turn in lane.turns for s in turn.significance)
        addend = Signal(width(-reach if signed else 0, reach))
        slot = Signal(width(0, len(lane.slots) - 1))
        starts, valid, fresh, again, shift = (
            Signal(name=name) for name in ("starts", "valid", "fresh_code", "again_code", "shift_code")
        )
        # What is said of a step is kept with the code: with the last of a pass the next begins.
        m.d.sync += [valid.eq(self.convert), fresh.eq(self.fresh), again.eq(self.again), shift.eq(self.shift)]
        with m.If(self.convert), m.Switch(self.index):
            for index, turn in enumerate(lane.turns):
                with m.Case(index):
                    terms = []
                    for adc, significance in enumerate(turn.significance):
                        code = getattr(self, f"code_{adc}")
                        term = code * significance
                        terms.append(Mux(self.invert[adc], -term, term) if plan.coding.inverts else term)
                    m.d.sync += [addend.eq(balanced(terms)), slot.eq(turn.slot), starts.eq(turn.starts)]
        self._add(m, addend, slot, starts, valid, fresh, again, shift)
        return m

    def _add(
        self, m: Module, addend: Any, slot: Any, starts: Any, valid: Any, fresh: Any, again: Any, shift: Any
    ) -> None:
        """Add to the sum of a slot, with one adder for all of them."""
        lane = self.lane
        sizes = sorted({size for _, size in self.plan.steps})
        widest = width(min(s.low for s in lane.slots), max(s.high for s in lane.slots))
        now, begun, added = (Signal(widest, name=name) for name in ("now", "begun", "added"))
        sums = [getattr(self, f"sum_{number}") for number in range(len(lane.slots))]
        with m.Switch(slot):
            for number, total in enumerate(sums):
                with m.Case(number):
                    m.d.comb += now.eq(total)
        doubled = now << sizes[0] if len(sizes) == 1 else Mux(shift, now << sizes[1], now << sizes[0])
        with m.If(~starts | again):
            m.d.comb += begun.eq(now)
        with m.Elif(~fresh):
            m.d.comb += begun.eq(doubled)
        m.d.comb += added.eq(begun + addend)
        with m.If(valid), m.Switch(slot):
            for number, total in enumerate(sums):
                with m.Case(number):
                    m.d.sync += total.eq(added)


class Columns(Part):
    """The lanes of one array, and the chains that hand on their sums. Two cycles after `finish` all sums are in the chains, and
    from then on one leaves each chain in a cycle, with the `number` of its output in the chain: the first of an output is marked
    by `first`, the last by `last`. Meanwhile the lanes go on with the next pass. `total` is the sum of the inputs of the pass,
    from the serialiser, or from the unit column where columns may be stored inverted: `invert` names these, a bit a conversion.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.total_shape = width(-plan.input_sum if plan.both_signs else 0, plan.input_sum)
        self.sum_shape = width(min(slot.low for slot in plan.slots), max(slot.high for slot in plan.slots))
        self.number_shape, chains = width(0, plan.handed - 1), len(plan.chains)
        super().__init__(
            "mho_columns",
            {
                "codes": plan.adcs * plan.code_bits, "convert": 1, "index": width(0, plan.per_adc - 1), "fresh": 1, "again": 1,
                "shift": 1, "finish": 1, "input_sum": self.total_shape, "invert_write": 1, "invert_adc": width(0, plan.adcs - 1),
                "invert_bits": plan.per_adc if plan.coding.inverts else 1,
            },
            {
                "valid": chains, "sum": chains * self.sum_shape.width, "number": chains * self.number_shape.width, "first": chains,
                "last": chains, "total": self.total_shape,
            },
        )  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        """Place the lanes, and read them out."""
        plan, m = self.plan, Module()
        low, _ = plan.code_range
        inverted = self._inverted(m)
        kinds: dict[Any, str] = {}
        sums, unit = dict[Any, Any](), None
        for number, lane in enumerate(plan.lanes):
            name = kinds.setdefault(
                (lane.count, lane.turns, tuple((s.low, s.high) for s in lane.slots)), f"mho_lane_{len(kinds)}"
            )
            part = ShiftAdd(plan, lane, name)
            self.place(m, f"lane_{number}", part)
            for adc in range(lane.count):
                code = self.codes.word_select(lane.first + adc, plan.code_bits)
                m.d.comb += getattr(part, f"code_{adc}").eq(code.as_signed() if low < 0 else code)
                if inverted:
                    m.d.comb += part.invert[adc].eq(inverted[lane.first + adc][0])
            for port in ("convert", "index", "fresh", "again", "shift"):
                m.d.comb += getattr(part, port).eq(getattr(self, port))
            for place, slot in enumerate(lane.slots):
                if slot.output == UNIT:
                    unit = getattr(part, f"sum_{place}")
                else:
                    sums[id(slot)] = getattr(part, f"sum_{place}")
        self._chains(m, sums, unit)
        return m

    def _inverted(self, m: Module) -> list[Signal]:
        """Keep which columns are stored inverted, in registers that turn with the conversions."""
        plan = self.plan
        if not plan.coding.inverts:
            return []
        registers = [Signal(plan.per_adc, name=f"inverted_{adc}") for adc in range(plan.adcs)]
        for adc, register in enumerate(registers):
            with m.If(self.invert_write & (self.invert_adc == adc)):
                m.d.sync += register.eq(self.invert_bits)
            with m.Elif(self.convert):
                m.d.sync += register.eq(register.rotate_right(1))
        return registers

    def _chains(self, m: Module, sums: Mapping[Any, Any], unit: Any) -> None:
        """Take all sums at once, and shift them out."""
        plan, most = self.plan, self.plan.drained
        once, ready = (Signal(name=f"finished_{ago}_ago") for ago in (1, 2))
        m.d.sync += [once.eq(self.finish), ready.eq(once)]
        left = Signal(width(0, most))
        with m.If(self.finish):
            if unit is None:
                m.d.sync += self.total.eq(self.input_sum)
        with m.If(ready):
            m.d.sync += left.eq(most)
            if unit is not None:
                m.d.sync += self.total.eq(unit)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        for number, slots in enumerate(plan.chains):
            chain = [Signal(self.sum_shape, name=f"held_{number}_{place}") for place in range(len(slots))]
            for register, slot, following in zip(chain, slots, [*chain[1:], 0], strict=True):
                m.d.sync += register.eq(Mux(ready, sums[id(slot)], following))
            m.d.comb += self.sum.word_select(number, self.sum_shape.width).eq(chain[0])
            outputs = [slot.output for slot in slots]
            with m.Switch(left):
                for place, output in enumerate(outputs):
                    with m.Case(most - place):
                        m.d.comb += [
                            self.valid[number].eq(1),
                            self.number.word_select(number, self.number_shape.width).eq(output - outputs[0]),
                            self.first[number].eq(place == 0 or outputs[place - 1] != output),
                            self.last[number].eq(place + 1 == len(slots) or outputs[place + 1] != output),
                        ]


__all__ = ["Columns", "ShiftAdd"]
