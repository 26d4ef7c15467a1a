"""The chips of the study: SME's, and one in the manner of ISAAC of the very same parts."""

from __future__ import annotations

from functools import cache

import mho


@cache
def squeezing(turns: int = 1) -> mho.Chip:
    """Return preset sme, whose index memories hold lists for so many turns."""
    chip = mho.Chip.load("sme")
    if turns == 1:
        return chip
    source = f"study: blocks that share an array in {turns} turns need as many lists"
    return chip.override({"sparse.turns": turns}, source=source, name=f"sme-{turns}-turns")


@cache
def dense() -> mho.Chip:
    """Return preset sme as it is without index memories and row shifts: ISAAC's parts, cells of one bit, dense weights."""
    array, group, tile = squeezing().array, squeezing().group, squeezing().tile
    changes = {"array.cell_bits": array.cell_bits, "array.pulses_full_range": array.pulses_full_range}
    changes |= {"group.arrays": group.arrays, "tile.groups": tile.groups}
    return mho.Chip.load("isaac").override(changes, source="study: as preset sme", name="isaac-style")
