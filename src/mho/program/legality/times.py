"""Rules on measured times: nothing is faster than the chip, and nothing shared does two things at once."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, log2

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.chip.spec import SparseSpec
from mho.mapping import Blocks
from mho.mapping.blocks import Run
from mho.network.layers import MatrixProduct
from mho.program.instructions import Activate, Combine, Transfer, Vector, Write
from mho.program.legality.facts import Violation
from mho.program.legality.writing import least_write_s
from mho.program.program import Program
from mho.program.work import vector_operations

Times = npt.NDArray[np.float64]


def time_rules(program: Program, starts: Times, ends: Times) -> Iterator[Violation]:
    """Check measured starts and ends, in s, shape (instructions,)."""
    count = len(program.instructions)
    least, moved, vector = np.zeros(count), np.zeros(count), np.zeros(count)
    written = least_write_s(program)
    different = {id(layer.blocks): layer.blocks for layer in program.mapping.layers}
    steps = {key: _steps(program.chip, blocks) for key, blocks in different.items()}
    window_s = {layer.index: steps[id(layer.blocks)] * program.chip.step_time_s for layer in program.mapping.layers}
    for i, instruction in enumerate(program.instructions):
        if isinstance(instruction, Vector | Combine):
            vector[i] = _vector_seconds(program, instruction)
        elif isinstance(instruction, Activate):
            least[i] = (instruction.windows[1] - instruction.windows[0]) * window_s[instruction.layer]
        elif isinstance(instruction, Write):
            least[i] = written[i]
            (blocks, run), shape = program.mapping.located(instruction.blocks), program.mapping.shape
            places_set = int(blocks.places[slice(*run)].sum())
            moved[i] = places_set * shape.cells * program.chip.write_bits_per_cell / 8
            if program.chip.sparse is not None:
                moved[i] += _index_bits(blocks, run, program.chip.sparse) / 8
            sides = (shape.rows, shape.columns, shape.cells)
            for key, places in zip(("rows", "columns", "cells"), sides, strict=True):
                moved[i] += sum(len(order) for order in getattr(instruction, key)) * ceil(log2(places)) / 8
        elif isinstance(instruction, Transfer):
            moved[i] = instruction.size
    slack = 1e-9 * max(float(np.max(ends, initial=0.0)), 1e-30)
    ended = ends.tolist()
    late = np.array([max((ended[j] for j in each.after), default=-np.inf) for each in program.instructions])
    for place in np.flatnonzero(ends - starts < least + vector - slack).tolist():
        text = f"lasts {ends[place] - starts[place]:.3g} s, less than the chip's {least[place] + vector[place]:.3g} s"
        yield Violation(place, text)
    for place in np.flatnonzero(starts < late - slack).tolist():
        yield Violation(place, "starts before what it waits for has ended")
    inference = np.arange(count) >= program.setup
    bandwidth = program.chip.memory.bandwidth
    for name, demand in (("memory", moved / bandwidth), ("the vector unit", vector)):
        used = inference & (demand > 0)
        overload = _overload(starts[used], ends[used], demand[used], slack)
        if overload is not None:
            yield Violation(-1, f"{name} does more than it can between {overload[0]:.6g} s and {overload[1]:.6g} s")


def _steps(chip: Chip, blocks: Blocks) -> int:
    """Work out the input steps of a window from what reaches the rows, turn by turn, when all inputs are the highest: shifted ones
    have more bits.
    """
    highest = np.full((blocks.matrices, 1, 1, blocks.rows), 2**chip.input_bits - 1, dtype=np.uint8)
    most = 0
    for block in range(blocks.count):
        steps = 0
        for drive in blocks.drives(block, highest):
            bits = [int(driven.max(initial=0)).bit_length() for driven in drive.inputs]
            steps += sum(ceil(count / chip.array.dac_bits) for count in (chip.input_bits, *bits[1:]))
        most = max(most, steps)
    return most


def _index_bits(blocks: Blocks, run: Run, sparse: SparseSpec) -> int:
    """Count the bits that say where the inputs of a write's blocks come from and where their columns go."""
    rows, columns = np.sum([blocks.entries(index) for index in range(*run)], axis=0).tolist()
    # A column's output, and which of 8 bits of it its digit begins at, and its sign.
    return int(rows * (sparse.index_bits + sparse.shift_bits) + columns * (sparse.index_bits + 4))


def _vector_seconds(program: Program, instruction: Vector | Combine) -> float:
    """Work out how long the vector unit needs for a layer, or to combine a matrix layer's sums."""
    layer, unit = program.network.layers[instruction.layer], program.chip.vector
    seconds = 0.0
    if unit.elements_per_s is not None:
        seconds += vector_operations(layer, program.network) / unit.elements_per_s
    if isinstance(layer, MatrixProduct) and unit.macs_per_s is not None:
        seconds += layer.macs / unit.macs_per_s
    return seconds


def _overload(starts: Times, ends: Times, demand: Times, slack: float) -> tuple[float, float] | None:
    """Find a stretch of time in which more seconds of work are both begun and ended than it has."""
    order = np.argsort(ends, kind="stable")
    begun, ended, work = starts[order], ends[order], demand[order]
    origins = np.unique(begun)
    if not _crowded(begun, ended, work, origins, slack):
        return None
    for origin in origins:
        inside = begun >= origin - slack
        within = np.cumsum(np.where(inside, work, 0.0))
        over = inside & (within > (ended - origin) * (1 + 1e-6) + 2 * slack)
        if over.any():
            return float(origin), float(ended[over][0])
    return None


def _crowded(begun: Times, ended: Times, work: Times, origins: Times, slack: float) -> bool:
    """Return True if a stretch from one of the ascending `origins` has, or nearly has, more work than it takes.

    Work comes in the order in which it ends, and counts for every origin that it begins at or after. For each origin the work so
    far is kept with what is allowed at time 0 taken off, in pieces of a square root of them, each with what was added to all of
    it and its maximum: a step touches one piece and the list of pieces.
    """
    size = max(int(len(origins) ** 0.5), 1)
    pieces = -(-len(origins) // size)
    sums = np.full((pieces, size), -np.inf)
    sums.ravel()[: len(origins)] = origins * (1 + 1e-6)
    most, added = sums.max(axis=1, initial=-np.inf), np.zeros(pieces)
    reached = np.searchsorted(origins, begun + slack, side="right")
    for count, end, more in zip(reached.tolist(), ended.tolist(), work.tolist(), strict=True):
        piece, rest = divmod(count, size)
        added[:piece] += more
        fullest = (added[:piece] + most[:piece]).max(initial=-np.inf)
        if rest:
            sums[piece, :rest] += more
            most[piece] = sums[piece].max()
            fullest = max(fullest, sums[piece, :rest].max() + added[piece])
        if fullest > end * (1 + 1e-6) + slack:
            return True
    return False
