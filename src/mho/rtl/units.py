"""What some chips have beside the periphery of a group, and the integer part of the vector unit: parts that are played alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import C, Module, Mux, Signal, signed, unsigned

from mho.chip import Chip
from mho.chip.lookup import Reading
from mho.rtl.accumulate import WIDE, rounded
from mho.rtl.combine import CombiningLane, RowIndex
from mho.rtl.part import Part, width


class Dispatcher(Part):
    """Gathers the look-ups of a bag that fall on one array: with `valid` row `row` is marked in `rows`, of which `count` are. With
    the `last` of a bag, or as many as the ADCs resolve, `fire` is high in the next cycle, and `mode`, the bits that the ADCs switch
    to for so many rows. `activations` and `singles` count what was fired; one look-up a cycle.
    """

    def __init__(self, rows: int, modes: Sequence[int]) -> None:
        self.modes, self.most, full = tuple(modes), len(modes) - 1, max(modes)
        super().__init__(
            "mho_dispatcher",
            {"valid": 1, "row": width(0, rows - 1), "last": 1},
            {
                "fire": 1,
                "rows": rows,
                "count": width(0, self.most),
                "mode": width(0, full),
                "activations": 32,
                "singles": 32,
            },
        )

    def elaborate(self, platform: Any) -> Module:
        """Mark rows, count them, fire."""
        m, count = Module(), Signal(width(0, self.most))
        m.d.comb += count.eq(Mux(self.fire, 0, self.count) + 1)
        mode = C(self.modes[-1], len(self.mode))
        for rows in reversed([n for n in range(1, self.most) if self.modes[n] != self.modes[n + 1]]):
            mode = Mux(self.count <= rows, self.modes[rows], mode)
        m.d.comb += self.mode.eq(mode)
        m.d.sync += self.fire.eq(self.valid & (self.last | (count == self.most)))
        with m.If(self.valid):
            m.d.sync += [
                self.rows.eq(Mux(self.fire, 0, self.rows) | (C(1, len(self.rows)) << self.row)),
                self.count.eq(count),
            ]
        with m.Elif(self.fire):
            m.d.sync += [self.rows.eq(0), self.count.eq(0)]
        with m.If(self.fire):
            m.d.sync += self.activations.eq(self.activations + 1)
            m.d.sync += self.singles.eq(self.singles + (self.count == 1))
        return m


class VectorLane(Part):
    """Integer part of a lane of the vector unit: what makes a code of codes and sums, as `mho.number.requantise` has it. With
    `valid`, an operand is (`code` - `zero`) x `multiplier` x 2^`left`, or with `whole` what a requantiser gave as `fixed`; v begins
    with the `first`, and others are added (`operation` 0), taken off (1), or the greater (2) or the less (3) of both is kept. Three
    cycles after the `last`, with `ready`, `made` is clip(((v + 2^(`shift` - 1)) >> `shift`) + `made_zero`, `low`, `high`): sums,
    differences, maximum pooling, and relu and clip by the ends. An operand a cycle.
    """

    def __init__(self, bits: int, multiplier_bits: int) -> None:
        super().__init__(
            "mho_vector_lane",
            {
                "valid": 1, "first": 1, "last": 1, "operation": 2, "whole": 1, "fixed": signed(WIDE),
                "code": bits, "zero": bits, "multiplier": multiplier_bits,
                "left": 6, "shift": 6, "made_zero": bits, "low": bits, "high": bits,
            },
            {"ready": 1, "made": unsigned(bits)},
        )  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        """Multiply; add or compare; round and clip."""
        m = Module()
        term, v, now = Signal(signed(WIDE)), Signal(signed(WIDE)), Signal(signed(WIDE))
        valid, first, last, complete = (Signal(name=f"held_{name}") for name in ("valid", "first", "last", "complete"))
        operation = Signal(2, name="held_operation")
        scaled = ((self.code - self.zero) * self.multiplier) << self.left
        m.d.sync += [term.eq(Mux(self.whole, self.fixed, scaled)), valid.eq(self.valid)]
        m.d.sync += [first.eq(self.first), last.eq(self.last), operation.eq(self.operation)]
        with m.If(first):
            m.d.comb += now.eq(term)
        with m.Else(), m.Switch(operation):
            for place, value in enumerate((v + term, v - term, Mux(v > term, v, term), Mux(v < term, v, term))):
                with m.Case(place):
                    m.d.comb += now.eq(value)
        with m.If(valid):
            m.d.sync += v.eq(now)
        m.d.sync += [complete.eq(valid & last), self.ready.eq(complete)]
        m.d.sync += self.made.eq(rounded(m, v, self.shift, self.made_zero, self.low, self.high))
        return m


def units_of(chip: Chip, multiplier_bits: int = 24) -> list[Part]:
    """Return the parts that a chip has beside the periphery of its groups, the lane of its vector unit first."""
    units: list[Part] = [VectorLane(chip.input_bits, multiplier_bits)]
    if chip.sparse is not None:
        late = (1 << chip.sparse.shift_bits) - 1
        units.append(RowIndex(chip.array.rows, 1, chip.input_bits, chip.sparse.index_bits, late))
        units.append(CombiningLane(chip.array.adc_bits + chip.input_bits, chip.weight_bits + 1, chip.group_columns))
    if chip.spec.basis is not None:
        sum_bits = int(chip.costs.roles["lane_multiplier"].context(chip)["sum_bits"])
        units.append(CombiningLane(sum_bits, chip.spec.basis.coefficient_bits, chip.group_columns))
    if chip.lookup is not None and chip.lookup.adc_modes != "fixed":
        units.append(Dispatcher(chip.weight_rows, Reading(chip, 1).bits.tolist()))
    return units


__all__ = ["Dispatcher", "VectorLane", "units_of"]
