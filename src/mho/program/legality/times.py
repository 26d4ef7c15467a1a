"""Rules on measured times: nothing is faster than the chip, and nothing shared does two things at once."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, log2

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.mapping import Blocks, LayerMapping
from mho.network.layers import Layer, MatrixProduct
from mho.program.columns import ACTIVATE, COMBINE, VECTOR, WRITE, columns
from mho.program.legality.facts import Violation
from mho.program.legality.overload import overload
from mho.program.legality.ports import port_rules
from mho.program.legality.writing import least_write_s
from mho.program.program import Program
from mho.program.work import vector_operations

Times = npt.NDArray[np.float64]


def time_rules(program: Program, starts: Times, ends: Times) -> Iterator[Violation]:
    """Check measured starts and ends, in s, shape (instructions,)."""
    least, moved, vector = demands(program)
    table = columns(program)
    count = len(table.kind)
    slack = 1e-9 * max(float(np.max(ends, initial=0.0)), 1e-30)
    late, waits = np.full(count, -np.inf), np.flatnonzero(np.diff(table.after_starts))
    if len(waits):
        waiting = np.repeat(np.arange(count), np.diff(table.after_starts))
        until = ends[table.after] - early_s(program, waiting, table.after, np.zeros_like(waiting))
        late[waits] = np.maximum.reduceat(until, table.after_starts[waits])
    for place in np.flatnonzero(ends - starts < least + vector - slack).tolist():
        text = f"lasts {ends[place] - starts[place]:.3g} s, less than the chip's {least[place] + vector[place]:.3g} s"
        yield Violation(place, text)
    for place in np.flatnonzero(starts < late - slack).tolist():
        yield Violation(place, "starts before what it waits for has ended")
    inference = np.arange(count) >= program.setup
    places = np.flatnonzero(inference)
    yield from shared_rules(program, places, starts[inference], ends[inference], moved, vector, slack)


def shared_rules(
    program: Program,
    places: npt.NDArray[np.int64],
    starts: Times,
    ends: Times,
    moved: Times,
    vector: Times,
    slack: float,
) -> Iterator[Violation]:
    """Check that no memory, vector unit or port does more than it can: instructions `places`, of one inference or several, begin
    and end at `starts` and `ends`; `moved` and `vector` as of `demands`.
    """
    for name, demand in (("memory", moved / program.chip.memory.bandwidth), ("the vector unit", vector)):
        used = demand[places] > 0
        if _one_by_one(starts[used], ends[used], slack):
            continue
        over = overload(starts[used], ends[used], demand[places[used]], slack)
        if over is not None:
            yield Violation(-1, f"{name} does more than it can between {over[0]:.6g} s and {over[1]:.6g} s")
    yield from port_rules(program, places, starts, ends, moved, slack)


def demands(program: Program) -> tuple[Times, Times, Times]:
    """Return of each instruction the least time that it lasts in s, beside the vector unit's; the bytes that it moves; and the time
    that it has the vector unit for, in s; shape (instructions,).
    """
    table, layers = columns(program), program.network.layers
    count = len(table.kind)
    least, moved, vector = np.zeros(count), table.size.astype(np.float64), np.zeros(count)
    writes, activations, vectors = table.of(WRITE), table.of(ACTIVATE), table.of(COMBINE, VECTOR)
    written = least_write_s(program)
    least[writes] = [written[number] for number in writes.tolist()]
    moved[writes] = _fetched_bytes(program, writes)
    window_s = window_times(program)[table.layer]
    # The last window ends as long after its turn as a window takes.
    last = 1 - 1 / table.copies[activations]
    least[activations] = (table.turns[activations] + last) * window_s[activations]
    for layer in program.mapping.combining:
        own = activations[table.layer[activations] == layer.index]
        until = np.concatenate([[0.0], np.cumsum(_vectors_s(program.chip, layer))])
        driven = least[own] * (layer.driven_s > 0)
        least[own] = np.maximum(driven, until[table.last_window[own]] - until[table.first_window[own]])
    seconds = {index: _vector_seconds(program, layers[index]) for index in set(table.layer[vectors].tolist())}
    vector[vectors] = np.array([seconds[index] for index in table.layer[vectors].tolist()]) * table.share[vectors]
    return least, moved, vector


def early_s(
    program: Program, waiting: npt.NDArray[np.int64], before: npt.NDArray[np.int64], distance: npt.NDArray[np.int64]
) -> Times:
    """Return how long before the end of what it waits for an instruction may start, in s, shape (waits,): 0, unless both drive the
    same copies.

    What goes on with the next windows of the layer may start where the turns of the last ones end; other windows, when as many
    turns more have passed as make the round whole.
    """
    table = columns(program)
    early = np.zeros(len(waiting))
    several = (table.copies[waiting] > 1) & (table.copies[before] == table.copies[waiting])
    named = np.diff(table.range_starts)
    several &= (named[waiting] == named[before]) & (table.first_block[waiting] == table.first_block[before])
    for wait in np.flatnonzero(several).tolist():
        several[wait] = table.ranges_of(waiting[wait]) == table.ranges_of(before[wait])
    same, other = waiting[several], before[several]
    copies, last = table.copies[other], table.last_window[other]
    follows = (table.layer[same] == table.layer[other]) & (table.first_window[same] == last) & (distance[several] == 0)
    turns = copies - 1 - np.where(follows, 0, -last % copies)
    early[several] = turns / copies * window_times(program)[table.layer[other]]
    return early


def window_times(program: Program) -> Times:
    """Return the time of a window of each layer, in s, 0 where it has no weights, shape (layers,)."""
    seconds, known = np.zeros(len(program.network.layers)), dict[tuple[int, int, bool, int], float]()
    for layer in program.mapping.layers:
        key = id(layer.blocks), layer.readout.bits, layer.readout.signed, layer.readout.adc_bits
        if key not in known:
            known[key] = _least_window_s(program.chip, layer)
        seconds[layer.index] = known[key]
    return seconds


def _vectors_s(chip: Chip, layer: LayerMapping) -> Times:
    """Work out the least time in s that combining each input vector of a layer on a basis takes.

    A lane takes one coefficient in a cycle. Where columns are merged every coefficient takes a column for a pass, of which there
    are as many as vectors, and ADCs convert every output that has any.
    """
    combination, array, read = layer.combination, chip.array, layer.readout
    assert combination is not None and chip.spec.basis is not None
    if combination.merging is None:
        lanes = chip.spec.basis.lanes * (layer.run[1] - layer.run[0])
        each = combination.counts / lanes / chip.spec.frequency_hz
    else:
        numbers = combination.numbers
        steps, pulses = _steps_and_pulses(chip, list(read.passes))
        outputs = np.ceil(combination.counts / numbers.nonzeros)
        converted = array.adc_period_s * float(read.share) * outputs / (array.adcs * int(layer.blocks.arrays.sum()))
        driven = np.ceil(combination.counts / numbers.vectors) * array.step_overhead_s * pulses / steps
        each = numbers.bits * steps * (converted + driven)
    return np.repeat(each, combination.windows)


def _least_window_s(chip: Chip, layer: LayerMapping) -> float:
    """Work out the time of a window from what reaches the rows, turn by turn, when all inputs are the highest: shifted ones have
    more bits. Blocks of the same height that have the very same turns are driven alike.
    """
    blocks, array, read = layer.blocks, chip.array, layer.readout
    highest = np.full((blocks.matrices, 1, 1, blocks.rows), 2**read.bits - 1, dtype=np.uint8)
    different = {(blocks.turns(block), height): block for block, height in enumerate(blocks.heights.tolist())}
    # Pairs of cells in two rows need two rows for an input, and one column for what two columns hold otherwise.
    stacked = array.pairs == "rows"
    together = min(array.rows_parallel or array.rows, array.rows) // (1 + stacked)
    passes = [read.bits]
    if read.signed and array.input_coding in ("two_passes", "twos_complement"):
        passes.append(read.bits if array.input_coding == "two_passes" else 1)
    plain, pulses = _steps_and_pulses(chip, passes)
    most = 0
    for block, height in ((block, int(blocks.heights[block])) for block in different.values()):
        steps = 0
        for drive in blocks.drives(block, highest):
            late = [int(driven.max(initial=0)).bit_length() for driven in drive.inputs[1:]]
            turns = ceil(len(np.arange(height)[drive.turn.rows]) / together)
            steps += turns * (plain + len(passes) * sum(ceil(bits / array.dac_bits) for bits in late))
        most = max(most, steps)
    columns = array.columns
    if array.convert == "used":
        columns = min(columns, blocks.converted() * blocks.shape.cells // (1 + stacked))
    cells = ceil(columns / 2) if chip.coding.pairs and not stacked else columns + int(chip.coding.inverts)
    part = read.adc_bits / array.adc_bits
    if array.adc_kind == "ramp":
        # A ramp of half as many steps for each bit that is not resolved; a sign is told by the first one.
        part = 2.0 ** (read.adc_bits - array.adc_bits)
    return most * (ceil(cells / array.adcs) * array.adc_period_s * part + array.step_overhead_s * pulses / plain)


def _steps_and_pulses(chip: Chip, passes: list[int]) -> tuple[int, int]:
    """Count the conversions of a column in one turn, and the pulses of the drivers, for passes of so many bits."""
    array, steps, pulses = chip.array, 0, 0
    for bits in passes:
        size = array.dac_bits
        if array.integrated_bits is not None:
            size = ceil(bits / ceil(bits / array.integrated_bits))
        parts = [min(size, bits - first) for first in range(0, bits, size)]
        steps += len(parts)
        pulses += sum(2**part - 1 if array.drive == "unary" else ceil(part / array.dac_bits) for part in parts)
    return steps, pulses


def _fetched_bytes(program: Program, writes: npt.NDArray[np.int64]) -> Times:
    """Work out the bytes that writes fetch: level changes, where inputs come from, and the orders of what is not in place."""
    chip, table = program.chip, columns(program)
    bits = np.concatenate([_block_bits(chip, weight.blocks) for weight in program.mapping.weights] or [np.zeros(0)])
    until = np.concatenate([[0], np.cumsum(bits)])
    fetched: Times = until[table.last_block[writes]] - until[table.first_block[writes]]
    for place, number in enumerate(writes.tolist()):
        shape = program.mapping.weight_of(int(table.first_block[number])).blocks.shape
        sides = (shape.rows, shape.columns, shape.cells)
        for orders, places in zip(table.orders.get(number, ()), sides, strict=False):
            fetched[place] += sum(map(len, orders)) * ceil(log2(places))
    return fetched / 8


def _block_bits(chip: Chip, blocks: Blocks) -> Times:
    """Count the bits that come with each block when it is written, those of an index of inputs and columns too, shape (blocks,)."""
    bits: Times = (blocks.places * (blocks.shape.cells * chip.write_bits_per_cell)).astype(np.float64)
    if chip.sparse is not None:
        rows, across = np.array([blocks.entries(index) for index in range(blocks.count)]).T
        # A column's output, and which of 8 bits of it its digit begins at, and its sign.
        bits = bits + rows * (chip.sparse.index_bits + chip.sparse.shift_bits) + across * (chip.sparse.index_bits + 4)
    return bits


def _vector_seconds(program: Program, layer: Layer) -> float:
    """Work out how long the vector unit needs for a layer, or to combine a matrix layer's sums."""
    unit, seconds = program.chip.vector, 0.0
    if unit.elements_per_s is not None:
        seconds += vector_operations(layer, program.network) / unit.elements_per_s
    if isinstance(layer, MatrixProduct) and unit.macs_per_s is not None:
        seconds += layer.macs / unit.macs_per_s
    return seconds


def _one_by_one(starts: Times, ends: Times, slack: float) -> bool:
    """Return True if nothing starts before what started before it has ended: each then has all for itself, as long as it lasts."""
    order = np.lexsort((ends, starts))
    return bool(np.all(starts[order[1:]] >= ends[order[:-1]] - slack))
