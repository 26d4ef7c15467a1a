"""The sums of rows that a program gathers, made from the levels that its own writes left in the cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mho.machine.analog.spec import Analog
from mho.machine.fabric import Fabric
from mho.machine.gathering import dispatched
from mho.machine.lookup.values import Cells, reduce
from mho.network.layers import EmbeddingBag
from mho.network.trace import Trace
from mho.network.trace.padded import unpadded
from mho.number.coded import SUMMED_ZERO, TABLES
from mho.number.reference import Values
from mho.program import Gather, Program
from mho.program.instructions import members


def bags_of_values(program: Program, values: Values) -> Trace:
    """Return the bags that the inputs of a program's layers of bags hold, sample by sample."""
    tables = program.mapping.tables
    assert tables is not None
    bags, layers = [], [program.network.layers[index] for index in tables.layers]
    for layer in layers:
        assert isinstance(layer, EmbeddingBag)
        bags.append(layer.looked_up([values.arrays[name] for name in layer.inputs]))
    rows = [layer.table.shape[0] for layer in layers if isinstance(layer, EmbeddingBag)]
    weighted = any(len(layer.inputs) > 1 for layer in layers)
    return unpadded(rows, bags, weighted=weighted, names=[layer.name for layer in layers], origin="inputs")


def gathered_sums(program: Program, fabric: Fabric, values: Values, gather: Gather, analog: Analog) -> npt.NDArray[Any]:
    """Return the sums of each sample's bags, (samples, tables, features)."""
    tables, bags = program.mapping.tables, bags_of_values(program, values)
    assert tables is not None
    served = dispatched(program, bags)
    served.check()
    rows = (values.quantised.held(TABLES).codes[0].astype(np.int16) - SUMMED_ZERO).astype(np.int8)
    reduced = reduce(served, rows, analog, _cells(program, fabric, gather)).vectors
    return reduced.reshape(-1, len(tables.layers), tables.blocks.columns)


def _cells(program: Program, fabric: Fabric, gather: Gather) -> Cells:
    """Return what reads the cells of an instance, block after block."""
    tables = program.mapping.tables
    assert tables is not None
    blocks, groups = tables.blocks, list(members(gather.groups))
    first = blocks.layout.first

    def cells(instance: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_] | None]:
        bundle = blocks.of_bundle(int(np.searchsorted(first, instance, side="right")) - 1)
        held = [
            fabric.read(groups[instance * blocks.span + part], int(blocks.heights[index]), int(blocks.widths[index]))
            for part, index in enumerate(bundle)
        ]
        inverted = [each.inverted for each in held if each.inverted is not None]
        return np.concatenate([each.levels for each in held], axis=1), np.concatenate(inverted) if inverted else None

    return cells
