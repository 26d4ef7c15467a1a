"""What of its chip a program uses: arrays, groups and tiles that it ever writes, banks that ever hold a tensor.

A component counts as often as there are units of its level in use: one of arrays in each array that a block ever fills, one of
groups in each group with such an array, one of tiles in each tile with such a group or, where activations live in the tile
buffers, with a tensor. What the chip has once is in use whole; so are vector units, of which a layer takes all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.once import once
from mho.program import Program
from mho.program.columns import WRITE, Integers, columns, counted
from mho.program.instructions import members
from mho.shown import Shown

SHARED = ("vector_unit", "matrix_unit")
"""Components that work for all tiles, even where each has its own."""


@dataclass(frozen=True, eq=False, repr=False)
class Usage(Shown):
    """Units of a program's chip that it uses at any time, the setup included, and the banks that ever hold a tensor.

    usage(program).of("area")["adc"]        by component, area in m2; of("leakage") in W; main memory is off the chip, in neither
    """

    program: Program
    arrays: int
    groups: int
    tiles: int
    banks: tuple[int, ...]

    def count(self, role: str) -> int:
        """Return the instances of a role that are in use; of the global buffer's banks, all."""
        costs = self.program.chip.costs
        units = {"array": self.arrays, "group": self.groups, "tile": self.tiles}.get(costs.level(role))
        return costs.count(role) if units is None or role in SHARED else costs.per_unit(role) * units

    def of(self, figure: str) -> Mapping[str, float]:
        """Return "area" in m2 or "leakage" in W of all that is in use on the chip, by component."""
        chip = self.program.chip
        sizes, costs = chip.buffer.banks, chip.costs
        return {
            component: math.fsum(costs.figure(component, figure, sizes[bank]) for bank in self.banks)
            if component == "global_buffer"
            else costs.figure(component, figure) * self.count(component)
            for component in chip.roll_up().area_m2.by_component
        }

    @property
    def arrays_m2(self) -> float:
        """The area of the arrays in use, with all components that sit in arrays."""
        costs = self.program.chip.costs
        return math.fsum(area for component, area in self.of("area").items() if costs.level(component) == "array")


def usage(program: Program) -> Usage:
    """Return what a program uses of its chip."""
    chip, used = program.chip, _arrays(program)
    banks = tuple(sorted({bank for use in program.buffers for bank in use.banks}))
    groups = np.flatnonzero(used.any(axis=1))
    tiles = {*(groups // chip.tile.groups).tolist(), *(banks if chip.buffer.in_tiles else ())}
    return Usage(program, int(used.sum()), len(groups), len(tiles), banks)


@once
def _arrays(program: Program) -> npt.NDArray[np.bool_]:
    """Return which arrays are ever written, bool (groups, arrays of a group): the first ones that a block needs.

    Where its columns are in places of their own, those that they are in.
    """
    table, chip = columns(program), program.chip
    writes = table.of(WRITE)
    plain = np.array([place for place in writes.tolist() if not table.ordered(place)[1]], dtype=np.int64)
    groups, _ = table.groups(plain)
    needed = np.concatenate([np.zeros(0, np.int64), *(weight.blocks.arrays for weight in program.mapping.weights)])
    blocks = counted(table.first_block[plain], (table.last_block - table.first_block)[plain])
    most: Integers = np.zeros(chip.groups, dtype=np.int64)
    np.maximum.at(most, groups, needed[blocks])
    used = np.arange(chip.group.arrays) < most[:, None]
    for place in table.orders:
        across = table.ordered(place)[1]
        first = int(table.first_block[place])
        for index, group in enumerate(members(table.ranges_of(place)) if across else ()):
            order = np.array(across[index], dtype=np.int64)
            per_array = program.mapping.weight_of(first + index).blocks.shape.per_array
            used[group, order // per_array if len(order) else slice(needed[first + index])] = True
    return used
