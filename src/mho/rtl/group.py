"""The digital side of one group of arrays."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Shape, Signal, signed

from mho.rtl.accumulate import WIDE, Accumulators, Requantiser
from mho.rtl.combine import Combiner, RowIndex
from mho.rtl.lane import Columns
from mho.rtl.part import Part, width, wire
from mho.rtl.plan import ACCUMULATOR_BITS, Plan
from mho.rtl.sequencer import Sequencer
from mho.rtl.serialiser import Serialiser

FLAGS = ("first_block", "last_block")
"""What is said of a window as it is loaded."""
SETTINGS = ("shift", "left", "zero", "low", "high", "input_zero")


class Group(Part):
    """Periphery of a group whose arrays share one input vector: a serialiser and a sequencer for all, for each array lanes, and for
    each chain of its sums accumulators and a requantiser. Arrays and ADCs are not in it: they get `drive` (a field of bits a row;
    `negative` says which rows are driven the other way), and when `convert` is high they answer in the same cycle with `codes`,
    those of the columns that `index` names, a field an ADC, array after array. `step_begins` is high in the cycle before `drive`
    changes. With `hold` no window begins. Of a window loaded with `first_block` and `last_block` the outputs leave with `ready`,
    a bit a requantiser, each with its number, its v (`fixed`) and its code. Where lanes combine the sums of all arrays,
    requantisers are behind them, whose parameters are written with the bits of `write` after those of chains; where an index says
    which input a row takes, `input_index` tells those that the next `load` is to bring.
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
            self.combiner = Combiner(plan, width(0, plan.handed - 1))
            more |= {f"entry_{port}": getattr(self.combiner, port).shape() for port in ("write", "address")}
            more |= {"entry": self.combiner.entry.shape(), "list_start": self.combiner.start.shape()}
        super().__init__(
            name,
            {
                "hold": 1, "load": 1, "load_codes": plan.words * plan.load_bits, "first_block": 1, "last_block": 1,
                "codes": arrays * plan.adcs * plan.code_bits,
                "write": plan.takers + (0 if plan.combining is None else makers),
                "address": width(0, max(plan.handed, plan.makes) - 1),
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
            sequencer.available.eq(serialiser.loaded & ~self.hold), self.window_begins.eq(sequencer.take_window),
            self.step_begins.eq(sequencer.take | sequencer.advance),
        ]  # fmt: skip
        flags = self._flags(m, sequencer)
        made = [self._array(m, number, serialiser, sequencer, flags) for number in range(plan.arrays)]
        if self.combiner is not None:
            self._combined(m, self.combiner, made, sequencer, serialiser, flags)
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
        for flag in (*FLAGS, *(("list_start",) if self.combiner else ())):
            said = getattr(self, flag)
            loaded, driven, drained = (
                Signal(said.shape(), name=f"{flag}_{when}") for when in ("loaded", "driven", "drained")
            )
            with m.If(self.load):
                m.d.sync += loaded.eq(said)
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
    ) -> tuple[Columns, list[Accumulators]]:
        """Place what one array has of its own."""
        plan, made = self.plan, list[Accumulators]()
        columns = Columns(plan)
        self.place(m, f"columns_{number}", columns)
        wire(m, sequencer, columns, "convert", "index", "fresh", "again", "finish")
        wire(m, self, columns, "invert_adc", "invert_bits")
        m.d.comb += [
            columns.codes.eq(self.codes.word_select(number, plan.adcs * plan.code_bits)), columns.input_sum.eq(serialiser.total),
            columns.shift.eq((sequencer.number == 0) == (plan.steps[0][1] > plan.steps[-1][1])),
            columns.invert_write.eq(self.invert_write[number]),
        ]  # fmt: skip
        for chain in range(len(plan.chains)):
            taker = number * len(plan.chains) + chain
            sums = Accumulators(plan, columns.sum_shape, columns.total_shape, columns.number_shape)
            self.place(m, f"accumulators_{taker}", sums)
            wire(m, self, sums, "address", "coefficient")
            for port, shape in (
                ("valid", 1),
                ("sum", columns.sum_shape),
                ("number", columns.number_shape),
                ("first", 1),
                ("last", 1),
            ):
                m.d.comb += getattr(sums, port).eq(getattr(columns, port).word_select(chain, Shape.cast(shape).width))
            m.d.comb += [getattr(sums, flag).eq(flags[flag] if self.combiner is None else 1) for flag in FLAGS]
            m.d.comb += [
                sums.total.eq(columns.total), sums.pass_number.eq(flags["pass_number"]), sums.write.eq(self.write[taker]),
            ]  # fmt: skip
            if self.combiner is None:
                self._requantiser(m, taker, (sums.done, sums.made, sums.made_number), self.write[taker])
            made.append(sums)
        return columns, made

    def _requantiser(self, m: Module, number: int, given: tuple[Any, Any, Any], write: Any) -> None:
        """Place what makes codes of sums: `given` are done, the sum, and its number."""
        plan = self.plan
        requantiser = Requantiser(plan, self.output_shape)
        self.place(m, f"requantiser_{number}", requantiser)
        wire(m, self, requantiser, "multiplier", "addend", "left", "shift", "zero", "low", "high", "address")
        m.d.comb += [
            getattr(requantiser, port).eq(value)
            for port, value in zip(("done", "made", "made_number"), given, strict=True)
        ]
        m.d.comb += [
            requantiser.write.eq(write), self.ready[number].eq(requantiser.ready),
            self.numbers.word_select(number, self.output_shape.width).eq(requantiser.ready_number),
            self.fixed.word_select(number, WIDE).eq(requantiser.fixed),
            self.made.word_select(number, plan.output_bits).eq(requantiser.code),
        ]  # fmt: skip

    def _combined(
        self, m: Module, combiner: Combiner, made: list[tuple[Columns, list[Accumulators]]], sequencer: Sequencer,
        serialiser: Serialiser, flags: dict[str, Signal],
    ) -> None:  # fmt: skip
        """Place the lanes that combine the sums of all arrays, and requantisers behind them."""
        plan, sums = self.plan, [each for _, own in made for each in own]
        self.place(m, "combiner", combiner)
        m.d.comb += [
            combiner.arrived.eq(Cat(*(each.done for each in sums))), combiner.number.eq(Cat(*(each.made_number for each in sums))),
            combiner.sums.eq(Cat(*(each.made for each in sums))), combiner.total.eq(made[0][0].total),
            combiner.hand.eq(flags["last_block"]), combiner.start.eq(flags["list_start"]), combiner.write.eq(self.entry_write),
            combiner.address.eq(self.entry_address), combiner.entry.eq(self.entry), combiner.take.eq(sequencer.take_window),
            sequencer.available.eq(serialiser.loaded & ~self.hold & combiner.room),
        ]  # fmt: skip
        for maker in range(plan.makers):
            sum_of = combiner.made.word_select(maker, ACCUMULATOR_BITS)
            self._requantiser(
                m, maker, (combiner.done[maker], sum_of, combiner.made_number), self.write[plan.takers + maker]
            )


__all__ = ["FLAGS", "SETTINGS", "Group"]
