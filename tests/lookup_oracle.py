"""Small chips, tables, layouts and traces, and the machine of look-ups once more: in plain Python, from its description alone.

Nothing here calls the modules that it judges, but for what a chip file says. `acts_of` unpacks activations, `Rules` say what they
take, `recount` counts events, `embedding_bags` adds up; queues are in `tests.lookup_bench`.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from mho.chip import Chip
from mho.chip.lookup import Reading
from mho.machine.lookup.dispatch import dispatch
from mho.mapping.embedding import Layout
from mho.mapping.embedding.seats import Seats
from mho.network.trace import Trace
from mho.program.lookups import Lookups

SMALL: dict[str, Any] = {
    "array.rows": 16,
    "array.columns": 32,
    "array.adc_period_s": 2.0**-30,
    "array.step_overhead_s": 2.0**-28,
    "tile.groups": 6,
    "tile.noc_port_bits": 64,
    "tiles": 40,
    "array.pulses_full_range": 255,
}


@cache
def _built(items: tuple[tuple[str, Any], ...]) -> Chip:
    return Chip.load("recross").override(dict(items), source="test")


def chip_of(**values: Any) -> Chip:
    """A small chip like `recross`; keys with two underscores for a dot. What no component is known for costs nothing."""
    changed = {**SMALL, **{key.replace("__", "."): value for key, value in values.items()}}
    if changed.get("array.dac_bits", 1) > 1:
        changed.setdefault("components.dac", "none")
    if not 4 <= changed.get("array.adc_bits", 9) <= 10:
        changed.setdefault("components.adc", "none")
    return _built(tuple(sorted(changed.items())))


def trace_of(
    bags: Sequence[Sequence[int]],
    rows: Sequence[int] = (12,),
    tables: Sequence[int] | None = None,
    queries: Sequence[int] | None = None,
    weights: Sequence[int] | None = None,
) -> Trace:
    """A trace from lists; a query for each bag unless given."""
    return Trace(
        tuple(rows),
        np.cumsum([0, *map(len, bags)]).astype(np.int64),
        np.array([row for bag in bags for row in bag], dtype=np.int32),
        np.array([0] * len(bags) if tables is None else tables, dtype=np.int32),
        np.arange(len(bags)) if queries is None else np.array(queries, dtype=np.int64),
        "made by hand",
        weights=None if weights is None else np.array(weights, dtype=np.uint8),
    )


def layout_of(groups: Sequence[Sequence[int]], copies: Sequence[int] | None = None, height: int = 16) -> Layout:
    """A layout from lists of rows."""
    return Layout(
        1 + max(row for group in groups for row in group),
        height,
        np.cumsum([0, *map(len, groups)]).astype(np.int64),
        np.array([row for group in groups for row in group], dtype=np.int32),
        np.array([1] * len(groups) if copies is None else copies, dtype=np.int32),
        "by hand",
    )


@st.composite
def traces(draw: st.DrawFn, most_bags: int = 14, weighted: bool | None = None) -> Trace:
    """Bags of 0 to 8 look-ups with repeats in 1 to 3 tables, some of a single row; queries of some bags; numbers with gaps."""
    rows = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3))
    tables = draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=most_bags))
    bags = [draw(st.lists(st.integers(0, rows[table] - 1), max_size=8)) for table in tables]
    queries = np.cumsum(draw(st.lists(st.sampled_from((0, 0, 1, 5)), min_size=len(bags), max_size=len(bags)))) + 3
    lookups = sum(map(len, bags))
    if weighted is None:
        weighted = draw(st.booleans())
    weights = draw(st.lists(st.integers(1, 255), min_size=lookups, max_size=lookups)) if weighted else None
    return trace_of(bags, rows, tables, queries.tolist(), weights)


@st.composite
def layouts(draw: st.DrawFn, rows: int, height: int = 16) -> Layout:
    """Rows shuffled into groups of 1 to `height`, 1 to 3 copies of each."""
    high = draw(st.integers(1, height))
    order = draw(st.permutations(range(rows)))
    groups: list[list[int]] = []
    while order:
        size = draw(st.integers(1, high))
        groups.append(list(order[:size]))
        order = order[size:]
    copies = draw(st.lists(st.integers(1, 3), min_size=len(groups), max_size=len(groups)))
    return layout_of(groups, copies, high)


CHIPS = st.builds(
    chip_of,
    lookup__adc_modes=st.sampled_from(("fixed", "switch", "every")),
    lookup__most_rows=st.sampled_from((1, 2, 5, 16)),
    lookup__groups_per_adc=st.sampled_from((1, 2, 4)),
    array__adcs=st.sampled_from((1, 3)),
    array__dac_bits=st.sampled_from((1, 3)),
    array__adc_bits=st.sampled_from((6, 9)),
    array__step_overhead_s=st.sampled_from((0.0, 2.0**-28, 1.7e-9)),
)


@st.composite
def programs(draw: st.DrawFn, chips: st.SearchStrategy[Chip] = CHIPS, **options: Any) -> Lookups:
    """A dispatched trace."""
    trace, chip = draw(traces(**options)), draw(chips)
    layout = draw(layouts(trace.total_rows))
    # A group of the chip has 2 arrays of 8 features; groups that share ADCs are not put together.
    shared = chip.lookup is not None and chip.lookup.groups_per_adc > 1
    dimension = draw(st.sampled_from((1, 5, 8, 13, 16) if shared else (1, 5, 8, 13, 16, 17, 40)))
    shuffled = draw(st.sampled_from((None, 1, 2, 3)))
    return program_of(trace, layout, chip, dimension, draw(st.integers(1, 6)), shuffled)


def program_of(
    trace: Trace, layout: Layout, chip: Chip, dimension: int = 8, batch: int = 4, shuffled: int | None = None
) -> Lookups:
    """Dispatch a trace with weights of as many bits as the largest; instances sit round the tiles, or `shuffled` by a seed."""
    bits = 1 if trace.weights is None else int(trace.weights.max(initial=1)).bit_length()
    seats = Seats(layout, chip, dimension)
    if shuffled is not None:
        room = np.repeat(np.arange(seats.tiles), seats.per_tile)
        drawn = np.random.default_rng(shuffled).permutation(room)[: layout.instances]
        seats = Seats(layout, chip, dimension, drawn.astype(np.int32))
    return dispatch(trace, seats, Reading(chip, dimension, bits), batch)


@dataclass(frozen=True)
class Act:
    """An activation as plain numbers."""

    number: int
    bag: int
    group: int
    instance: int
    lookups: tuple[int, ...]
    wordlines: tuple[int, ...]


def acts_of(program: Lookups) -> list[Act]:
    """The activations of a program, one by one."""
    owner = [group for group, copies in enumerate(program.layout.copies.tolist()) for _ in range(copies)]
    found = []
    for number in range(program.activations):
        part = slice(int(program.starts[number]), int(program.starts[number + 1]))
        instance = int(program.instances[number])
        found.append(
            Act(
                number,
                int(program.bags[number]),
                owner[instance],
                instance,
                tuple(program.lookups[part].tolist()),
                tuple(program.wordlines[part].tolist()),
            )
        )
    return found


def batches_of(program: Lookups, batch: int) -> list[tuple[range, list[Act]]]:
    """For each batch of so many queries its bags and its activations, from the queries of the trace alone."""
    queries: list[int] = []
    of_bag: list[int] = []
    for query in program.trace.queries.tolist():
        if not queries or queries[-1] != query:
            queries.append(query)
        of_bag.append((len(queries) - 1) // batch)
    acts = acts_of(program)
    found = []
    for b in range(max(of_bag) + 1):
        bags = [bag for bag, its in enumerate(of_bag) if its == b]
        found.append((range(bags[0], bags[-1] + 1), [act for act in acts if act.bag in bags]))
    return found


@dataclass(frozen=True)
class Rules:
    """What the chip says about look-ups, from its description."""

    chip: Chip
    dimension: int
    weight_bits: int

    @property
    def per_array(self) -> int:
        """Features in a row of an array."""
        return self.chip.array.columns // len(self.chip.coding.significance)

    @property
    def steps(self) -> int:
        """Input steps of an activation."""
        return math.ceil(self.weight_bits / self.chip.array.dac_bits)

    def bits(self, rows: int) -> int:
        """Bits that an ADC resolves for so many rows."""
        lookup = self.chip.lookup
        drive = 2 ** min(self.weight_bits, self.chip.array.dac_bits) - 1
        sum_of = rows * drive * (2**self.chip.array.cell_bits - 1)
        if self.chip.array.coding == "flipped":
            sum_of = min(sum_of, self.chip.array.rows * drive * (2**self.chip.array.cell_bits - 1) // 2)
        needed = math.ceil(math.log2(sum_of + 1)) + (self.chip.array.coding == "differential")
        if lookup is None or lookup.adc_modes == "fixed" or (lookup.adc_modes == "switch" and rows > 1):
            return self.chip.array.adc_bits
        return needed

    def convert_s(self, rows: int) -> float:
        """Time of the conversions of all steps."""
        columns = min(self.dimension, self.per_array) * len(self.chip.coding.significance)
        coding = self.chip.array.coding
        conversions = columns // 2 if coding == "differential" else columns + (coding == "flipped")
        turns = math.ceil(conversions / self.chip.array.adcs)
        period = Fraction(repr(self.chip.array.adc_period_s))
        return self.steps * float(turns * period * Fraction(self.bits(rows), self.chip.array.adc_bits))

    @property
    def settle_s(self) -> float:
        """Time for which an array settles in all steps."""
        return self.steps * self.chip.array.step_overhead_s

    @property
    def part_bytes(self) -> int:
        """Bytes of a feature of a partial sum."""
        largest = self.chip.array.rows * 255 * (2**self.weight_bits - 1)
        return next(count for count in range(1, 9) if 256**count > largest)

    def cycles_s(self, amount: int, each: int) -> float:
        """Time of so many bits or sums, so many of them each clock cycle."""
        return float(Fraction(math.ceil(amount / each)) / Fraction(repr(self.chip.frequency_hz)))

    @property
    def adders(self) -> int:
        """Adders of a tile: they keep up with all groups, each delivering its features once a step."""
        part = next(part for part in self.chip.roll_up().parts if part.component == "accumulator")
        return part.count

    @property
    def port_s(self) -> float:
        """Time of a partial sum at the port."""
        return self.cycles_s(8 * self.dimension * self.part_bytes, self.chip.tile.noc_port_bits)

    @property
    def adder_s(self) -> float:
        """Time of a partial sum at the adders."""
        return self.cycles_s(self.dimension, self.adders)

    @property
    def write_s(self) -> float:
        """Time of a vector's way into the tile buffer."""
        return self.cycles_s(32 * self.dimension, self.chip.tile.buffer_port_bits)


def rules_of(program: Lookups) -> Rules:
    """The rules under which a program was made."""
    return Rules(program.seats.chip, program.seats.dimension, program.reading.weight_bits)


def places_of(program: Lookups) -> tuple[int, dict[int, tuple[int, int]]]:
    """The tiles in use, and of each instance the tile and the set of ADCs: instances go round the tiles unless they are placed."""
    rules, seats = rules_of(program), program.seats
    chip = seats.chip
    span = math.ceil(seats.dimension / (chip.group.arrays * rules.per_array))
    tiles = math.ceil(program.layout.instances / (chip.tile.groups // span))
    shared = chip.lookup.groups_per_adc if chip.lookup else 1
    sets = math.ceil(chip.tile.groups / shared)
    inside: Counter[int] = Counter()
    places = {}
    for i in range(program.layout.instances):
        tile = i % tiles if seats.placed is None else int(seats.placed[i])
        places[i] = tile, tile * sets + inside[tile] * span // shared
        inside[tile] += 1
    return tiles, places


def recount(program: Lookups, batch: int) -> dict[str, float]:
    """Events of a program, activation by activation, array by array and row by row."""
    rules, chip = rules_of(program), program.seats.chip
    _, places = places_of(program)
    cells = len(chip.coding.significance)
    pairs, unit = chip.array.coding == "differential", chip.array.coding == "flipped"
    found: Counter[str] = Counter()
    whole: dict[str, Fraction] = defaultdict(Fraction)
    per_group = chip.group.arrays * rules.per_array
    for _, acts in batches_of(program, batch):
        left: dict[int, int] = Counter()
        last: dict[int, Act] = {}
        for act in acts:
            # A mask, or how many rows there are and which; an array that only ever reads one is told which.
            name = max(math.ceil(math.log2(chip.array.rows)), 1)
            entries = [name + (rules.weight_bits if rules.weight_bits > 1 else 0) for _ in act.wordlines]
            only = chip.lookup is not None and chip.lookup.most_rows == 1
            mask = math.ceil(min(sum(entries) + (0 if only else name), chip.array.rows * rules.weight_bits) / 8)
            for _ in range(math.ceil(rules.dimension / per_group)):
                found["noc_byte"] += mask
                found["tile_buffer_byte"] += mask + mask
            features = rules.dimension
            while features > 0:
                here = min(features, rules.per_array)
                features -= here
                found["input_register_byte"] += mask
                if chip.lookup is not None and chip.lookup.adc_modes != "fixed":
                    found["adc_mode_byte"] += chip.array.adcs
                for _ in range(rules.steps):
                    for _ in act.wordlines:
                        found["dac_drive"] += 1
                        whole["array_read"] += Fraction(1, chip.array.rows)
                    found["sample_hold"] += here * cells + unit
                    converted = here * cells // 2 if pairs else here * cells + unit
                    whole["adc_conversion"] += converted * Fraction(rules.bits(len(act.wordlines)), chip.array.adc_bits)
                    found["shift_add"] += converted
                    found["output_register_byte"] += here * rules.part_bytes
            before = last.get(act.instance)
            if before is None or before.bag != act.bag:
                left[act.bag] += 1
            last[act.instance] = act
        # Of each bag one sum leaves each tile that has any of it, but for the tile that merges it.
        shares = {(act.bag, places[act.instance][0]) for act in acts}
        found["noc_byte"] += (len(shares) - len(left)) * rules.dimension * rules.part_bytes
        for parts in left.values():
            found["accumulate"] += (parts - 1) * rules.dimension
            found["tile_buffer_byte"] += 4 * rules.dimension
    return {**{event: float(count) for event, count in found.items()}, **{k: float(v) for k, v in whole.items()}}


def embedding_bags(trace: Trace, table: np.ndarray) -> list[list[int]]:
    """The sum of each bag, in Python's integers."""
    start = [sum(trace.rows[:t]) for t in range(len(trace.rows))]
    found = []
    for bag in range(trace.bags):
        total = [0] * table.shape[1]
        for place in range(int(trace.offsets[bag]), int(trace.offsets[bag + 1])):
            weight = 1 if trace.weights is None else int(trace.weights[place])
            row = table[start[int(trace.tables[bag])] + int(trace.indices[place])].tolist()
            total = [so_far + weight * value for so_far, value in zip(total, row, strict=True)]
        found.append(total)
    return found


def table_of(rows: int, dimension: int, seed: int) -> np.ndarray:
    """Random tables, the extremes of int8 among them."""
    table = np.random.default_rng(seed).integers(-128, 128, (rows, dimension)).astype(np.int8)
    table[0], table[-1] = -128, 127
    return table
