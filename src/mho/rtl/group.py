"""The digital side of one group of arrays."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, signed

from mho.rtl.accumulate import WIDE, Accumulators, Requantiser
from mho.rtl.lane import Columns
from mho.rtl.part import Part, width
from mho.rtl.plan import Plan
from mho.rtl.sequencer import Sequencer
from mho.rtl.serialiser import Serialiser

FLAGS = ("first_block", "last_block")
SETTINGS = ("shift", "left", "zero", "low", "high", "input_zero")


class Group(Part):
    """Periphery of a group whose arrays share one input vector: a serialiser and a sequencer for all, and for each array lanes,
    accumulators and a requantiser. Arrays and ADCs are not in it: they get `drive` (a field of bits a row; `negative` says
    which rows are driven the other way), and when `convert` is high they answer in the same cycle with `codes`, those of the
    columns that `index` names, a field an ADC, array after array. `step_begins` is high in the cycle before `drive` changes. Of
    a window loaded with `first_block` and `last_block` the outputs leave with `ready`, a bit an array, each with its number,
    its v (`fixed`) and its code.
    """

    def __init__(self, plan: Plan, name: str = "mho_group") -> None:
        self.plan = plan
        self.output_shape = width(0, plan.outputs - 1)
        arrays, bits = plan.arrays, plan.input_bits
        super().__init__(
            name,
            {
                "load": 1, "load_codes": plan.words * bits, "first_block": 1, "last_block": 1,
                "codes": arrays * plan.adcs * plan.code_bits,
                "write": arrays, "address": self.output_shape, "coefficient": signed(plan.weight_bits + 2),
                "multiplier": plan.multiplier_bits, "addend": signed(WIDE), "invert_write": arrays, "invert_adc": width(0,
                plan.adcs - 1),
                "invert_bits": plan.per_adc if plan.coding.inverts else 1, "left": 6, "shift": 6,
                "zero": plan.output_bits, "low": plan.output_bits, "high": plan.output_bits,
                "input_zero": bits,
            },
            {
                "loaded": 1, "drive": plan.rows * plan.drive_bits, "negative": plan.rows if plan.both_signs else 1,
                "step_begins": 1,
                "convert": 1, "index": width(0, plan.per_adc - 1), "window_begins": 1, "running": 1, "ready": arrays,
                "numbers": arrays * self.output_shape.width, "fixed": arrays * WIDE, "made": arrays * plan.output_bits,
            },
        )  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        """Connect the parts."""
        plan, m = self.plan, Module()
        serialiser, sequencer = Serialiser(plan), Sequencer(plan)
        self.place(m, "serialiser", serialiser)
        self.place(m, "sequencer", sequencer)
        m.d.comb += [
            serialiser.load.eq(self.load),
            serialiser.codes.eq(self.load_codes),
            serialiser.zero.eq(self.input_zero),
        ]
        for port in ("take", "take_window", "next_number", "advance", "turn"):
            m.d.comb += getattr(serialiser, port).eq(getattr(sequencer, port))
        m.d.comb += [
            sequencer.available.eq(serialiser.loaded), self.loaded.eq(serialiser.loaded), self.drive.eq(serialiser.drive),
            self.negative.eq(serialiser.negative), self.convert.eq(sequencer.convert), self.index.eq(sequencer.index),
            self.window_begins.eq(sequencer.take_window), self.running.eq(sequencer.running),
            self.step_begins.eq(sequencer.take | sequencer.advance),
        ]  # fmt: skip
        flags = self._flags(m, sequencer)
        for number in range(plan.arrays):
            self._array(m, number, serialiser, sequencer, flags)
        return m

    def _flags(self, m: Module, sequencer: Sequencer) -> dict[str, Signal]:
        """Keep what is said of a window: as it is loaded, as it is driven, and as its sums are handed on."""
        flags = {}
        for flag in FLAGS:
            loaded, driven, drained = (Signal(name=f"{flag}_{when}") for when in ("loaded", "driven", "drained"))
            with m.If(self.load):
                m.d.sync += loaded.eq(getattr(self, flag))
            with m.If(sequencer.take_window):
                m.d.sync += driven.eq(loaded)
            with m.If(sequencer.finish):
                m.d.sync += drained.eq(driven)
            flags[flag] = drained
        number = Signal(width(0, len(self.plan.passes) - 1), name="pass_drained")
        with m.If(sequencer.finish):
            m.d.sync += number.eq(sequencer.number)
        # Sums leave the chain a cycle before they are accumulated; what is said of them stays until the next pass is over.
        return {**flags, "pass_number": number}

    def _array(
        self, m: Module, number: int, serialiser: Serialiser, sequencer: Sequencer, flags: dict[str, Signal]
    ) -> None:
        """Place what one array has of its own."""
        plan = self.plan
        columns = Columns(plan)
        sums = Accumulators(plan, columns.sum_shape, columns.total_shape, self.output_shape)
        requantiser = Requantiser(plan, self.output_shape)
        for label, part in (("columns", columns), ("accumulators", sums), ("requantiser", requantiser)):
            self.place(m, f"{label}_{number}", part)
        for port in ("convert", "index", "fresh", "again", "finish"):
            m.d.comb += getattr(columns, port).eq(getattr(sequencer, port))
        for port in ("valid", "sum", "total", "number", "first", "last"):
            m.d.comb += getattr(sums, port).eq(getattr(columns, port))
        for port in ("done", "made", "made_number"):
            m.d.comb += getattr(requantiser, port).eq(getattr(sums, port))
        for port in ("multiplier", "addend", "left", "shift", "zero", "low", "high", "address"):
            m.d.comb += getattr(requantiser, port).eq(getattr(self, port))
        m.d.comb += [getattr(sums, flag).eq(signal) for flag, signal in flags.items()]
        m.d.comb += [
            columns.codes.eq(self.codes.word_select(number, plan.adcs * plan.code_bits)), columns.input_sum.eq(serialiser.total),
            columns.shift.eq((sequencer.number == 0) == (plan.steps[0][1] > plan.steps[-1][1])),
            columns.invert_write.eq(self.invert_write[number]), columns.invert_adc.eq(self.invert_adc),
            columns.invert_bits.eq(self.invert_bits), sums.write.eq(self.write[number]), sums.address.eq(self.address),
            sums.coefficient.eq(self.coefficient), requantiser.write.eq(self.write[number]),
            self.ready[number].eq(requantiser.ready),
            self.numbers.word_select(number, self.output_shape.width).eq(requantiser.ready_number),
            self.fixed.word_select(number, WIDE).eq(requantiser.fixed),
            self.made.word_select(number, plan.output_bits).eq(requantiser.code),
        ]  # fmt: skip


__all__ = ["FLAGS", "SETTINGS", "Group"]
