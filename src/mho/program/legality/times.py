"""Rules on measured times: nothing is faster than the chip, and nothing shared does two things at once."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, log2

import numpy as np
import numpy.typing as npt

from mho.network.layers import MatrixProduct
from mho.program.instructions import Activate, Transfer, Vector, Write
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
    for i, instruction in enumerate(program.instructions):
        if isinstance(instruction, Vector):
            vector[i] = _vector_seconds(program, instruction)
        elif isinstance(instruction, Activate):
            least[i] = (instruction.windows[1] - instruction.windows[0]) * program.chip.window_time_s
        elif isinstance(instruction, Write):
            least[i] = written[i]
            held = program.mapping.by_index[instruction.layer].tiling.places[slice(*instruction.blocks)]
            moved[i] = int(held.sum()) * program.chip.cells_per_weight * program.chip.write_bits_per_cell / 8
            rooms = (program.chip.array.rows, program.chip.group_columns, program.chip.cells_per_weight)
            for key, room in zip(("rows", "columns", "cells"), rooms, strict=True):
                moved[i] += sum(len(order) for order in getattr(instruction, key)) * ceil(log2(room)) / 8
        elif isinstance(instruction, Transfer):
            moved[i] = instruction.size
    slack = 1e-9 * max(float(np.max(ends, initial=0.0)), 1e-30)
    late = np.array([max((ends[j] for j in each.after), default=-np.inf) for each in program.instructions])
    for place in np.flatnonzero(ends - starts < least + vector - slack).tolist():
        text = f"lasts {ends[place] - starts[place]:.3g} s, less than the chip's {least[place] + vector[place]:.3g} s"
        yield Violation(place, text)
    for place in np.flatnonzero(starts < late - slack).tolist():
        yield Violation(place, "starts before what it waits for has ended")
    inference = np.arange(count) >= program.setup
    bandwidth = program.chip.memory.bandwidth
    for name, demand in (("memory", moved / bandwidth), ("the vector unit", vector)):
        used = inference & (demand > 0)
        found = _overload(starts[used], ends[used], demand[used], slack)
        if found is not None:
            yield Violation(-1, f"{name} does more than it can between {found[0]:.6g} s and {found[1]:.6g} s")


def _vector_seconds(program: Program, instruction: Vector) -> float:
    """Work out how long the vector unit needs for a layer."""
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
    for origin in np.unique(begun):
        inside = begun >= origin - slack
        within = np.cumsum(np.where(inside, work, 0.0))
        over = inside & (within > (ended - origin) * (1 + 1e-6) + 2 * slack)
        if over.any():
            return float(origin), float(ended[over][0])
    return None
