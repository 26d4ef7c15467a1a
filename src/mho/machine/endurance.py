"""How long the cells live: writes per cell, years for a given endurance and rate, and groups that take turns.

Writes of a cell are counted in two ways, and both are told: `changed`, those that really change its level (a cell that
already holds what it is to hold takes no pulse), and `addressed`, all that target it, changed or not, which is what ARAS
counts (section VII-D, Table IV: the weights written over the weights that the chip holds). A lifetime is

    endurance / (writes of a cell in an inference x inferences per second)

by the average cell, and by the worst, which dies first. The setup, which happens once, is left out; what a stream writes once a
round of B inferences counts as a B-th for each.

Wear levelling: `rotate` shifts all groups of a program by as many places, those at the end going on at the beginning.
Let W(g, p) be the writes that the cell at place p of group g takes in an inference in steady state, and G the chip's
groups. The machine runs the program N times, then the program rotated by one place N times, and so on. In G N inferences
the cell at place p of any group has been in the place of every other one, and has taken

    N sum over g of W(g, p)    +- G                (a setup, where there is one, happens once a rotation)

writes, hence the mean of W(g, p) over the groups, +- 1 / N, per inference. For what a cell takes in an inference depends
on the inferences before only through the level that its first write finds, and that is another one than in steady state
only in the first inference after a rotation: one change more or less a cell and rotation. Addressed writes do not depend on
levels: for them the law is exact. So a chip of endurance E lives for E / (levelled maximum + 1 / N) inferences, less at most the
G N of a cycle that is not completed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isfinite
from operator import index

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError, ProgramError
from mho.machine.changes import Wear
from mho.program import Activate, Program, Write
from mho.program.columns import WRITE, columns, round_of
from mho.program.deltas import rectangle
from mho.program.instructions import Groups, indices

SECONDS_PER_YEAR = 365.25 * 86400
"""A Julian year."""

MAXIMUM = "max"
"""The rate of a program that is run again and again without a pause."""


@dataclass(frozen=True, slots=True)
class CellWrites:
    """Writes per inference of one cell, counted in one way: of the average cell, the worst, and the worst after levelling."""

    mean: float
    most: float
    levelled: float

    @property
    def gain(self) -> float | None:
        """Return how many times longer the worst cell lives where the groups take turns; None where nothing is written."""
        return self.most / self.levelled if self.levelled else None


def changed_writes(worn: Wear) -> CellWrites:
    """Return the level changes per cell; where they are expected values, the worst ones are upper bounds."""
    return CellWrites(worn.per_cell_mean, worn.per_cell_max, worn.per_cell_levelled)


def addressed_writes(program: Program) -> CellWrites:
    """Count the writes that address a cell, changed or not (ARAS Table IV)."""
    chip, table = program.chip, columns(program)
    writes = table.of(WRITE)
    writes = writes[writes >= program.setup]
    groups, writers = table.groups(writes)
    if any(rows or across for number, (rows, across, _) in table.orders.items() if number >= program.setup):
        taken = _taken(program, groups, writers)
    else:
        # Blocks in place all cover the first row and column of their groups: no cell is addressed more often.
        taken = np.bincount(groups, minlength=chip.groups)[:, None]
    turns, batch = taken.sum(axis=0).max() / chip.groups, round_of(program)
    addressed = int((table.runs["places"][writes] * table.cells[writes]).sum())
    return CellWrites(addressed / chip.cells / batch, float(taken.max()) / batch, float(turns) / batch)


def _taken(program: Program, groups: npt.NDArray[np.int64], writers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Count how often each cell is addressed, wherever the rows and columns of blocks sit: shape (groups, cells).

    `writers` are the writes, in order, beside the `groups` that they write.
    """
    grid = program.mapping.grid
    taken = np.zeros((program.chip.groups, grid.rows, grid.columns), dtype=np.int64)
    blocks = np.arange(len(writers)) - np.searchsorted(writers, writers)
    for group, writer, block in zip(groups.tolist(), writers.tolist(), blocks.tolist(), strict=True):
        place = rectangle(program, writer, block)
        taken[group][np.ix_(place.rows, place.lines)] += 1
    return taken.reshape(program.chip.groups, -1)


@dataclass(frozen=True, slots=True)
class Endurance:
    """The lifetime of a chip that runs one program at a rate until its cells have taken as many writes as they survive.

    cycles: writes that a cell survives; rate_per_s: inferences per second (an inference is one run of the program, of as
    many samples as its batch); reached_per_s: those that the program reaches, one after another; changed, addressed: writes
    per cell and inference, in either way of counting; exact: whether changes were followed cell by cell.
    """

    cycles: float
    rate_per_s: float
    reached_per_s: float
    changed: CellWrites
    addressed: CellWrites
    exact: bool

    @property
    def attainable(self) -> bool:
        """Say whether the program is fast enough for the rate."""
        return self.rate_per_s <= self.reached_per_s * (1 + 1e-9)

    def years(self, writes: float) -> float:
        """Return the years of 365.25 days that a cell of so many writes per inference lives; infinite where it has none."""
        return self.cycles / writes / self.rate_per_s / SECONDS_PER_YEAR if writes else inf

    def notes(self) -> tuple[str, ...]:
        """Say what the lifetimes rest on."""
        notes = [
            "lifetimes: every cell survives as many writes as were given; levelled means that the groups take turns, one "
            "place on every N inferences, which adds at most 1 / N writes to a cell and inference"
        ]
        if not self.attainable:
            notes.append(
                f"lifetimes are for {self.rate_per_s:.4g} inferences a second, but this program reaches "
                f"{self.reached_per_s:.4g}: on this chip no such rate is possible"
            )
        if not self.exact:
            notes.append(
                "lifetimes by level changes of the worst cell, levelled or not, are lower bounds: every other block that "
                "comes to a group is taken to change the cell"
            )
        return tuple(notes)


def checked_positive(name: str, value: object) -> float:
    """Return a positive finite number. OptionError names what is not one."""
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = inf
        if number > 0 and isfinite(number):
            return number
    raise OptionError(f"{name} must be a positive number, not {value!r}")


def endurance(program: Program, worn: Wear, period_s: float, cycles: float, rate: float | str = MAXIMUM) -> Endurance:
    """Work out how long the cells live that survive `cycles` writes.

    `rate` is in inferences per second, or "max": as fast as the program runs, 1 / period_s, the time from one inference to the
    next. A rate above that is worked out
    too (ARAS Table IV does so for BERT-Large), but is not `attainable`. Raises OptionError for other rates, and for numbers
    that are not positive and finite or that make a lifetime overflow.
    """
    if isinstance(rate, str) and rate != MAXIMUM:
        raise OptionError(f"the rate must be a positive number of inferences per second or {MAXIMUM!r}, not {rate!r}")
    reached = 1 / period_s
    lifetime = Endurance(
        checked_positive("the endurance", cycles),
        reached if isinstance(rate, str) else checked_positive("the rate", rate),
        reached,
        changed_writes(worn),
        addressed_writes(program),
        worn.exact,
    )
    least = min((mean for mean in (lifetime.changed.mean, lifetime.addressed.mean) if mean), default=1.0)
    if not isfinite(lifetime.years(least)):
        raise OptionError(
            f"an endurance of {cycles:g} writes at {lifetime.rate_per_s:g}/s is too long a lifetime to be told"
        )
    return lifetime


def _shifted(groups: Groups, by: int, count: int) -> Groups:
    """Shift ranges of groups by 0 <= by < count places; one that passes the last group goes on at group 0."""
    for first, last in groups:
        if not 0 <= first < last <= count:
            raise ProgramError(f"groups ({first}, {last}) do not exist on a chip of {count}")
    turned = (indices(groups) + by) % count
    begins = np.flatnonzero(np.diff(turned, prepend=-2) != 1)
    firsts, sizes = turned[begins], np.diff(begins, append=len(turned))
    return tuple(zip(firsts.tolist(), (firsts + sizes).tolist(), strict=True))


def rotate(program: Program, by: int) -> Program:
    """Return the program with all its groups shifted by `by` places, modulo the chip's groups.

    It computes the same in the same time, with the same energy, and is as legal; only other cells are worn (see above).
    rotate(rotate(p, a), b) equals rotate(p, a + b). OptionError where `by` is no whole number; ProgramError where the
    program names groups that the chip does not have.
    """
    try:
        by = index(by)
    except TypeError:
        raise OptionError(f"groups are rotated by a whole number of places, not {by!r}") from None
    count = program.chip.groups
    turned = tuple(
        replace(each, groups=_shifted(each.groups, by % count, count)) if isinstance(each, Write | Activate) else each
        for each in program.instructions
    )
    return replace(program, instructions=turned)
