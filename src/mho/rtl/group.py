"""The digital side of one group of arrays."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed

from mho.rtl.accumulate import WIDE, Accumulators, Requantiser
from mho.rtl.combine import Combiner, RowIndex
from mho.rtl.lane import Columns
from mho.rtl.part import Part, width, wire
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
    its v (`fixed`) and its code. Where lanes combine the sums of all arrays, one requantiser is behind them, whose parameters
    are written with the bit of `write` after those of arrays; where an index says which input a row takes, `input_index` tells
    those that the next `load` is to bring.
    """

    def __init__(self, plan: Plan, name: str = "mho_group") -> None:
        self.plan = plan
        self.output_shape = width(0, plan.makes - 1)
        arrays, bits, makers = plan.arrays, plan.input_bits, plan.makers
        self.rows = self.combiner = None
        more, indexed = dict[str, Any](), dict[str, Any]()
        if plan.combining is not None:
            if plan.indexed:
                self.rows = RowIndex(
                    plan.rows, plan.words, plan.load_bits, plan.combining.index_bits, plan.combining.late
                )
                more |= {f"row_{port}": getattr(self.rows, port).shape() for port in ("write", "address", "entries")}
                indexed["input_index"] = self.rows.index.shape()
            self.combiner = Combiner(plan, width(0, plan.outputs - 1))
            more |= {f"entry_{port}": getattr(self.combiner, port).shape() for port in ("write", "address")}
            more["entry"] = self.combiner.entry.shape()
        super().__init__(
            name,
            {
                "load": 1, "load_codes": plan.words * plan.load_bits, "first_block": 1, "last_block": 1,
                "codes": arrays * plan.adcs * plan.code_bits,
                "write": arrays + (plan.combining is not None), "address": width(0, max(plan.outputs, plan.makes) - 1),
                "coefficient": signed(plan.weight_bits + 2),
                "multiplier": plan.multiplier_bits, "addend": signed(WIDE), "invert_write": arrays, "invert_adc": width(0,
                plan.adcs - 1),
                "invert_bits": plan.per_adc if plan.coding.inverts else 1, "left": 6, "shift": 6,
                "zero": plan.output_bits, "low": plan.output_bits, "high": plan.output_bits,
                "input_zero": bits, **more,
            },
            {
                "loaded": 1, "drive": plan.rows * plan.drive_bits, "negative": plan.rows if plan.both_signs else 1,
                "step_begins": 1,
                "convert": 1, "index": width(0, plan.per_adc - 1), "window_begins": 1, "running": 1, "ready": makers,
                "numbers": makers * self.output_shape.width, "fixed": makers * WIDE, "made": makers * plan.output_bits,
                **indexed,
            },
        )  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        """Connect the parts."""
        plan, m = self.plan, Module()
        serialiser, sequencer = Serialiser(plan), Sequencer(plan)
        self.place(m, "serialiser", serialiser)
        self.place(m, "sequencer", sequencer)
        m.d.comb += [serialiser.load.eq(self.load), serialiser.zero.eq(self.input_zero)]
        m.d.comb += serialiser.codes.eq(self.load_codes if self.rows is None else self._rows(m, self.rows))
        wire(m, sequencer, serialiser, "take", "take_window", "next_number", "advance", "turn")
        wire(m, serialiser, self, "loaded", "drive", "negative")
        wire(m, sequencer, self, "convert", "index", "running")
        m.d.comb += [
            sequencer.available.eq(serialiser.loaded), self.window_begins.eq(sequencer.take_window),
            self.step_begins.eq(sequencer.take | sequencer.advance),
        ]  # fmt: skip
        flags = self._flags(m, sequencer)
        made = [self._array(m, number, serialiser, sequencer, flags) for number in range(plan.arrays)]
        if self.combiner is not None:
            self._combined(m, self.combiner, made, sequencer, serialiser, flags["last_block"])
        return m

    def _rows(self, m: Module, rows: RowIndex) -> Any:
        """Let an index say which inputs rows take, and return what these are then."""
        self.place(m, "rows", rows)
        for port in ("write", "address", "entries"):
            m.d.comb += getattr(rows, port).eq(getattr(self, f"row_{port}"))
        m.d.comb += [rows.load.eq(self.load), rows.codes.eq(self.load_codes), self.input_index.eq(rows.index)]
        return rows.shifted

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
    ) -> tuple[Columns, Accumulators]:
        """Place what one array has of its own."""
        plan = self.plan
        columns = Columns(plan)
        sums = Accumulators(plan, columns.sum_shape, columns.total_shape, columns.number.shape())
        self.place(m, f"columns_{number}", columns)
        self.place(m, f"accumulators_{number}", sums)
        wire(m, sequencer, columns, "convert", "index", "fresh", "again", "finish")
        wire(m, columns, sums, "valid", "sum", "total", "number", "first", "last")
        wire(m, self, columns, "invert_adc", "invert_bits")
        wire(m, self, sums, "address", "coefficient")
        m.d.comb += [
            getattr(sums, flag).eq(signal if self.combiner is None else 1)
            for flag, signal in flags.items()
            if flag in FLAGS
        ]
        m.d.comb += [
            sums.pass_number.eq(flags["pass_number"]), sums.write.eq(self.write[number]),
            columns.codes.eq(self.codes.word_select(number, plan.adcs * plan.code_bits)), columns.input_sum.eq(serialiser.total),
            columns.shift.eq((sequencer.number == 0) == (plan.steps[0][1] > plan.steps[-1][1])),
            columns.invert_write.eq(self.invert_write[number]),
        ]  # fmt: skip
        if self.combiner is None:
            self._requantiser(m, number, sums, self.write[number])
        return columns, sums

    def _requantiser(self, m: Module, number: int, sums: Any, write: Any) -> None:
        """Place what makes codes of sums."""
        plan = self.plan
        requantiser = Requantiser(plan, self.output_shape)
        self.place(m, f"requantiser_{number}", requantiser)
        wire(m, sums, requantiser, "done", "made", "made_number")
        wire(m, self, requantiser, "multiplier", "addend", "left", "shift", "zero", "low", "high", "address")
        m.d.comb += [
            requantiser.write.eq(write), self.ready[number].eq(requantiser.ready),
            self.numbers.word_select(number, self.output_shape.width).eq(requantiser.ready_number),
            self.fixed.word_select(number, WIDE).eq(requantiser.fixed),
            self.made.word_select(number, plan.output_bits).eq(requantiser.code),
        ]  # fmt: skip

    def _combined(
        self, m: Module, combiner: Combiner, made: list[tuple[Columns, Accumulators]], sequencer: Sequencer,
        serialiser: Serialiser, hand: Signal,
    ) -> None:  # fmt: skip
        """Place the lanes that combine the sums of all arrays, and one requantiser."""
        plan, (columns, sums) = self.plan, made[0]
        self.place(m, "combiner", combiner)
        m.d.comb += [
            combiner.arrived.eq(sums.done), combiner.number.eq(sums.made_number), combiner.total.eq(columns.total),
            combiner.sums.eq(Cat(*(each.made for _, each in made))), combiner.hand.eq(hand), combiner.write.eq(self.entry_write),
            combiner.address.eq(self.entry_address), combiner.entry.eq(self.entry), combiner.take.eq(sequencer.take_window),
            sequencer.available.eq(serialiser.loaded & combiner.room),
        ]  # fmt: skip
        self._requantiser(m, 0, combiner, self.write[plan.arrays])


__all__ = ["FLAGS", "SETTINGS", "Group"]
