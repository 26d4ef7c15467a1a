"""Where sums of columns are not yet sums of outputs: rows take inputs of anywhere, and lanes combine what columns give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned

from mho.rtl.part import Part, memory, width
from mho.rtl.plan import ACCUMULATOR_BITS, Plan


class RowIndex(Part):
    """Index memory of an array whose rows are inputs of anywhere in a layer, each shifted to the left by a number of its own. An
    entry, from the lowest bit up an input, a shift, and whether the row is driven, is written with `write` at `address`. `index`
    says which inputs the next `load` is to bring as `codes`; `shifted` is what the rows take then, in the same cycle.
    """

    def __init__(self, rows: int, words: int, code_bits: int, index_bits: int, late: int) -> None:
        self.loads, self.words, self.index_bits, self.code_bits = -(-rows // words), words, index_bits, code_bits
        self.entry_bits = index_bits + late.bit_length() + 1
        self.shifted_bits = code_bits + late
        super().__init__(
            "mho_row_index",
            {
                "write": 1,
                "address": width(0, self.loads - 1),
                "entries": words * self.entry_bits,
                "load": 1,
                "codes": words * code_bits,
            },
            {"index": words * index_bits, "shifted": words * self.shifted_bits},
        )

    def entry_of(self, source: int, shift: int, driven: int) -> int:
        """Return the entry of a row."""
        return source | shift << self.index_bits | driven << (self.entry_bits - 1)

    def elaborate(self, platform: Any) -> Module:
        """Count loads, look rows up, shift what comes."""
        m, at = Module(), Signal(width(0, self.loads - 1))
        held = memory(m, "rows", self.entries.shape(), self.loads, self.write, self.address, self.entries)
        with m.If(self.load):
            m.d.sync += at.eq(Mux(at == self.loads - 1, 0, at + 1))
        entries = [held.data.word_select(word, self.entry_bits) for word in range(self.words)]
        codes = [self.codes.word_select(word, self.code_bits) for word in range(self.words)]
        rows = []
        for entry, code in zip(entries, codes, strict=True):
            shifted = code << entry[self.index_bits : -1] if self.shifted_bits > self.code_bits else code
            rows.append(Mux(entry[-1], shifted, 0)[: self.shifted_bits])
        m.d.comb += [held.addr.eq(at), self.index.eq(Cat(*(entry[: self.index_bits] for entry in entries)))]
        m.d.comb += self.shifted.eq(Cat(*rows))
        return m


class CombiningLane(Part):
    """Lane that makes sums of outputs of sums of columns: `sum` times `factor`, a coefficient or a signed power of two, is added to
    what stands at `target`, 32 bits each. With `hand` in place of `valid` what stands there is handed on, and is 0 from then on:
    `made`, with `done`, two cycles later. One a cycle.
    """

    def __init__(self, sum_bits: int, factor_bits: int, outputs: int) -> None:
        self.outputs = outputs
        super().__init__(
            "mho_combining_lane",
            {
                "valid": 1, "hand": 1, "sum": signed(sum_bits), "factor": signed(factor_bits), "target": width(0, outputs - 1),
            },
            {"done": 1, "made": signed(ACCUMULATOR_BITS)},
        )  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        """Multiply, then add."""
        m = Module()
        product = Signal(signed(len(self.sum) + len(self.factor)))
        output = Signal(self.target.shape(), name="held_target")
        valid, hand = Signal(name="held_valid"), Signal(name="held_hand")
        m.d.sync += [product.eq(self.sum * self.factor), output.eq(self.target)]
        m.d.sync += [valid.eq(self.valid | self.hand), hand.eq(self.hand)]
        added = Signal(signed(ACCUMULATOR_BITS))
        held = memory(m, "sums", signed(ACCUMULATOR_BITS), self.outputs, valid, output, added)
        m.d.comb += [held.addr.eq(output), added.eq(Mux(hand, 0, held.data + product))]
        m.d.sync += [self.done.eq(hand), self.made.eq(held.data)]
        return m


class Combiner(Part):
    """Product buffer of a group, and the lanes behind it. Sums of all chains come in with `arrived`, a bit each; after the last of
    a window each lane goes through a list, an entry a cycle from address `start` on, while the sums of the next come in: from the
    lowest bit up a source (a number in its chain, then the chain, or one more for `total`, the sum of the inputs), a factor, a
    target, and whether the lists end. Target t is the t / lanes-th of lane t mod lanes. After a window of which `hand` says so the
    sums of all targets are handed on, by each requantiser one a cycle, target t by the t mod requantisers-th. From `rst` on it
    takes as long to clear them. `take` says that a window begins; there is `room` for one unless two are not combined.
    """

    def __init__(self, plan: Plan, numbers: Any) -> None:
        assert plan.combining is not None
        self.plan, self.combining = plan, plan.combining
        lanes = plan.combining.lanes
        self.numbers = numbers.width
        self.sources = width(0, (plan.takers + 1 << self.numbers) - 1)
        self.each = width(0, -(-plan.combining.targets // lanes) - 1)
        addresses = width(0, plan.combining.lists * plan.combining.entries - 1)
        self.entry_bits: int = self.sources.width + plan.combining.factor_bits + self.each.width + 1
        super().__init__(
            "mho_combiner",
            {
                "arrived": plan.takers, "number": plan.takers * self.numbers, "sums": plan.takers * ACCUMULATOR_BITS,
                "total": width(0, plan.input_sum), "hand": 1, "start": addresses, "take": 1, "write": lanes, "address": addresses,
                "entry": self.entry_bits,
            },
            {
                "room": 1, "done": plan.makers, "made": plan.makers * ACCUMULATOR_BITS, "made_number": width(0, plan.makes - 1),
            },
        )  # fmt: skip

    def entry_of(self, entry: Sequence[int], final: bool) -> int:
        """Return the entry of a source, of outputs array after array and then `total`, a factor, and a target of its lane."""
        source, factor, target = entry
        array, output = divmod(source, self.plan.outputs)
        chain, number = divmod(output, self.plan.handed)
        source = (array * len(self.plan.chains) + chain) << self.numbers | number
        target |= int(final) << self.each.width
        factor &= (1 << self.combining.factor_bits) - 1
        word: int = source | factor << self.sources.width | target << (self.entry_bits - self.each.width - 1)
        return word

    def elaborate(self, platform: Any) -> Module:
        """Count entries, then targets; place the lanes."""
        plan, combining, m = self.plan, self.combining, Module()
        at, combines, final, ending = Signal(self.address.shape()), Signal(), Signal(), Signal()
        target, share = Signal(self.made_number.shape()), combining.lanes // plan.makers
        lane = Signal(width(0, share - 1))
        row, clears, hands = Signal(self.each), Signal(init=1), Signal()
        # Of two halves of the product buffer one is written while the other is combined.
        writes, reads, filled, pending = Signal(), Signal(), Signal(2), Signal(2)
        last, begin = (
            [Signal(len(port), name=f"{name}_{half}") for half in range(2)]
            for name, port in (("hand", self.hand), ("start", self.start))
        )
        longest = max(range(len(plan.chains)), key=lambda chain: len(plan.chains[chain]))
        final_number = plan.chains[longest][-1].output - plan.chains[longest][0].output
        arrives = self.arrived[longest] & (self.number.word_select(longest, self.numbers) == final_number)
        starts = (filled != 0) & ~combines & ~clears
        m.d.comb += ending.eq(combines & final)
        m.d.sync += [combines.eq(starts | combines & ~final), at.eq(Mux(combines, at + 1, Mux(reads, *begin[::-1])))]
        m.d.sync += [reads.eq(reads ^ ending), filled.eq(filled + arrives - ending)]
        # Where lists are short enough each window is combined before the next but one arrives.
        m.d.comb += self.room.eq(~pending[1] if plan.waits else 1)
        m.d.sync += pending.eq(pending + self.take - ending)
        with m.If(arrives):
            m.d.sync += writes.eq(~writes)
            for half in range(2):
                with m.If(writes == half):
                    m.d.sync += [last[half].eq(self.hand), begin[half].eq(self.start)]
        ended, wraps = target == plan.makes - 1, lane == share - 1
        with m.If(ending):
            handed = Mux(reads, last[1], last[0])
            m.d.sync += [clears.eq(handed), hands.eq(handed)]
        with m.Elif(clears):
            m.d.sync += [clears.eq(~ended), target.eq(Mux(ended, 0, target + 1))]
            m.d.sync += [lane.eq(Mux(ended | wraps, 0, lane + 1)), row.eq(Mux(ended, 0, row + wraps))]
        held = [Signal(self.made_number.shape(), name=f"target_{ago}_ago") for ago in (1, 2)]
        kept = [Signal(name=f"hands_{ago}_ago") for ago in (1, 2)]
        m.d.sync += [held[0].eq(target), held[1].eq(held[0]), kept[0].eq(clears & hands), kept[1].eq(kept[0])]
        m.d.comb += self.made_number.eq(held[1])
        made, finals = [], []
        products = self._products(m, writes, reads)
        for number in range(combining.lanes):
            one = CombiningLane(ACCUMULATOR_BITS, combining.factor_bits, 1 << self.each.width)
            self.place(m, f"lane_{number}", one)
            entry = memory(
                m, f"entries_{number}", unsigned(self.entry_bits), combining.lists * combining.entries, self.write[number],
                self.address, self.entry,
            )  # fmt: skip
            source, factor, of_lane, end = self._fields(entry.data)
            m.d.comb += [entry.addr.eq(at), one.valid.eq(combines), one.sum.eq(products(number, source))]
            m.d.comb += [one.factor.eq(factor), one.hand.eq(clears & (lane == number // plan.makers))]
            m.d.comb += one.target.eq(Mux(clears, row, of_lane))
            made.append(Mux(one.done, one.made, 0))
            finals.append(end)
        m.d.comb += [final.eq(finals[0]), self.done.eq(kept[1].replicate(plan.makers))]
        m.d.comb += self.made.eq(Cat(*(_either(made[maker :: plan.makers]) for maker in range(plan.makers))))
        return m

    def _fields(self, entry: Any) -> list[Any]:
        """Cut an entry into source, factor, target of its lane, and end."""
        sizes = (self.sources.width, self.combining.factor_bits, self.each.width, 1)
        parts = [entry[sum(sizes[:place]) : sum(sizes[: place + 1])] for place in range(4)]
        return [parts[0], parts[1].as_signed(), parts[2], parts[3]]

    def _products(self, m: Module, writes: Any, reads: Any) -> Any:
        """Keep the sums of two windows; return what gives a lane the sum that a source is."""
        plan, totals = self.plan, [Signal(self.total.shape(), name=f"total_{half}") for half in range(2)]
        held = [
            memory(
                m, f"products_{taker}", signed(ACCUMULATOR_BITS), 2 << self.numbers, self.arrived[taker],
                Cat(self.number.word_select(taker, self.numbers), writes), self.sums.word_select(taker, ACCUMULATOR_BITS),
                self.combining.lanes,
            )
            for taker in range(plan.takers)
        ]  # fmt: skip
        with m.If(self.arrived[0]):
            m.d.sync += [each.eq(Mux(writes == half, self.total, each)) for half, each in enumerate(totals)]

        def product(lane: int, source: Any) -> Any:
            value = Mux(reads, totals[1], totals[0])
            for taker, each in enumerate(held):
                port = each[lane] if isinstance(each, list) else each
                m.d.comb += port.addr.eq(Cat(source[: self.numbers], reads))
                value = Mux(source[self.numbers :] == taker, port.data, value)
            return value

        return product


def _either(values: list[Any]) -> Any:
    """Return the only value of several that is not 0."""
    found = values[0]
    for value in values[1:]:
        found = found | value
    return found


__all__ = ["Combiner", "CombiningLane", "RowIndex"]
