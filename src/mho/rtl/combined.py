"""Layers whose columns are no outputs, but digits, or vectors of a basis: what drives their rows, and what lanes combine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError
from mho.mapping import LayerMapping
from mho.mapping.blocks import Named
from mho.network.layers import MatrixLayer
from mho.number.basis import segments
from mho.program import Program
from mho.rtl.plan import Combining

Integers = npt.NDArray[np.int64]
Entry = tuple[int, int, int]
"""Source, factor, and target of what a lane adds; the source after those of all arrays is the sum of the inputs."""


@dataclass(frozen=True, eq=False)
class Drive:
    """One input vector of a block: which inputs of a window, by matrix and range, or all; those that an index names, `inputs`
    (rows, 3), if one does; `entries` (lanes, entries, 3).
    """

    block: int
    takes: tuple[int, slice] | None
    inputs: Integers | None
    entries: Integers


@dataclass(frozen=True, eq=False)
class Combined:
    """What drives the blocks of a layer in a window, one after another, and the lanes behind them."""

    combining: Combining
    drives: tuple[Drive, ...]


def combined(program: Program, mapped: LayerMapping, name: str) -> Combined | None:
    """Return what combines a layer's sums, None where each column block makes outputs; OptionError for what has no logic."""
    layer, quantised = program.network.by_name[name], program.quantised
    assert isinstance(layer, MatrixLayer) and quantised is not None
    named = [(index, turn) for index in range(mapped.blocks.count) for turn in mapped.blocks.named(index)]
    if not named and mapped.combination is None:
        return None
    refused = "inputs with a sign are not shifted" * bool(named and mapped.readout.signed)
    if any(turn.rectangles > 1 and len(turn.totals) for _, turn in named):
        refused = "rectangles driven together have offsets of their own (mapping.packing separate helps)"
    if mapped.combination is not None:
        assert quantised.basis is not None
        refused = "unit vectors are in no array" * quantised.basis.units
        refused = refused or "columns are merged before the ADCs" * (mapped.combination.merging is not None)
    if refused:
        mapping = program.strategy.mapping.name
        raise OptionError(f"layer {name!r}, mapping {mapping}: {refused}, which the periphery does not serve")
    return _of_digits(program, mapped, layer, named) if named else _of_basis(program, mapped, layer)


def _of_digits(
    program: Program, mapped: LayerMapping, layer: MatrixLayer, named: Sequence[tuple[int, Named]]
) -> Combined:
    """Digits: rows take the inputs that an index names, and a column's sum counts for one output by place and sign."""
    shape, sparse = mapped.blocks.shape, program.chip.sparse
    assert sparse is not None
    drives = []
    for index, turn in named:
        rows = np.zeros((shape.rows, 3), dtype=np.int64)
        place, matrix, inputs, shifts = turn.rows.T
        rows[place] = np.stack([matrix * layer.rows + inputs, shifts, np.ones_like(shifts)], axis=1)
        entries = [(at, factor, own * layer.columns + output) for at, own, output, factor in turn.columns.tolist()]
        # The source behind all columns is the sum of the inputs.
        entries += [
            (shape.columns, factor, own * layer.columns + output) for own, output, factor in turn.totals.tolist()
        ]
        drives.append(Drive(index, None, rows, _listed(entries, 1)))
    index_bits = max(sparse.index_bits, (layer.groups * layer.rows - 1).bit_length())
    longest, late = max(each.entries.shape[1] for each in drives), max(int(turn.rows[:, 3].max()) for _, turn in named)
    # A digit of eight places, of a row that is shifted with all its neighbours, and a sign.
    factors = 8 + (1 << sparse.shift_bits) - 1 + 1
    combining = Combining(layer.groups * layer.columns, 1, longest, factors, len(drives), 1, index_bits, late)
    return Combined(combining, tuple(drives))


def _of_basis(program: Program, mapped: LayerMapping, layer: MatrixLayer) -> Combined:
    """A basis: each segment of a window drives all its blocks, and coefficients say what their sums count for."""
    blocks, spec = mapped.blocks, program.chip.spec.basis
    assert program.quantised is not None and program.quantised.basis is not None
    assert spec is not None
    coding = program.quantised.basis
    targets, dense = layer.groups * layer.columns, coding.dense(layer)
    lanes, drives = min(spec.lanes, targets), []
    for matrix, segment, index in np.ndindex(*dense.shape[:2], blocks.count):
        placed = blocks.rectangle(index)
        assert placed is not None
        sources, outputs = np.nonzero(dense[matrix, segment, placed[2]])
        factors = dense[matrix, segment, placed[2]][sources, outputs]
        entries = zip(sources.tolist(), factors.tolist(), (matrix * layer.columns + outputs).tolist(), strict=True)
        takes = matrix, segments(layer.rows, coding.height)[segment]
        drives.append(Drive(index, takes, None, _listed(list(entries), lanes)))
    level, base = (int(coding.elements_of(np.array(level))) for level in (1, 0))
    most = max(int(np.abs(dense).max()), 1).bit_length() + 1
    longest = max(drive.entries.shape[1] for drive in drives)
    return Combined(
        Combining(targets, lanes, longest, max(most, coding.bits), len(drives), level - base), tuple(drives)
    )


def _listed(entries: Sequence[Entry], lanes: int) -> Integers:
    """Deal entries to lanes by their targets, (lanes, entries, 3); what adds nothing fills lists up."""
    lists: list[list[Entry]] = [[] for _ in range(lanes)]
    for source, factor, target in entries:
        lists[target % lanes].append((source, factor, target // lanes))
    made = np.zeros((lanes, max(1, *(len(each) for each in lists), 0), 3), dtype=np.int64)
    for lane, each in enumerate(lists):
        made[lane, : len(each)] = np.array(each, dtype=np.int64).reshape(-1, 3)
    return made


def windows_of(mapped: LayerMapping, layer: MatrixLayer, x: Any) -> Any:
    """Return a layer's own windows, (matrices, runs, windows, K), from those of its blocks: segments, where these hold a basis."""
    if mapped.combination is None:
        return x
    height = mapped.blocks.rows
    each = x.reshape(x.shape[1], layer.groups, -1, mapped.combination.windows, height).transpose(1, 0, 3, 2, 4)
    parts = [each[:, :, :, at, : part.stop - part.start] for at, part in enumerate(segments(layer.rows, height))]
    return np.concatenate(parts, axis=-1)


__all__ = ["Combined", "combined", "windows_of"]
