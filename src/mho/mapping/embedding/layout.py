"""Where the rows of embedding tables sit: the groups of rows that share arrays, and the copies of each group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import MappingError
from mho.network.trace.trace import Trace
from mho.shown import Shown


@dataclass(frozen=True, eq=False, repr=False)
class Layout(Shown):
    """The rows that each group holds, and the number of copies of each group.

    A group is what one activation can add up: at most `height` rows, each on a wordline of its own. `starts` int64
    (groups + 1,) and `members` int32: group g holds rows members[starts[g]:starts[g + 1]] on its wordlines 0, 1 ... Rows are
    counted through all tables (`Trace.flat`). Every row is in one group. `copies` int32 (groups,): at least 1. The *instances* of a
    group are its copies, numbered group by group.

    Raises MappingError where a group is too high, a row is in no group or has two places, or a group has no copy.
    """

    rows: int
    height: int
    starts: npt.NDArray[np.int64]
    members: npt.NDArray[np.int32]
    copies: npt.NDArray[np.int32]
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def headline(self) -> str:
        """Say what it is in a line."""
        groups = f"{self.groups} groups of at most {self.height}"
        return f"Layout({self.method}: {self.rows} rows in {groups}, {self.instances} with copies)"

    def __post_init__(self) -> None:
        """Check that every row has a place."""
        sizes = np.diff(self.starts)
        if self.starts[0] != 0 or self.starts[-1] != len(self.members) or (sizes < 0).any():
            raise MappingError("a layout's starts must rise from 0 to the number of its members")
        if len(self.copies) != self.groups or (self.copies < 1).any():
            raise MappingError("every group needs at least one copy")
        if sizes.max(initial=0) > self.height:
            raise MappingError(f"group {int(sizes.argmax())} has {sizes.max()} rows, arrays have {self.height}")
        if self.members.min(initial=0) < 0 or self.members.max(initial=0) >= self.rows:
            raise MappingError(f"a layout's members must be rows 0 to {self.rows - 1}")
        places = np.bincount(self.members, minlength=self.rows)
        if (places != 1).any():
            row = int((places != 1).argmax())
            raise MappingError(
                f"row {row} is in no group" if not places[row] else f"row {row} has {places[row]} places"
            )

    @classmethod
    def of(
        cls, group: npt.NDArray[np.integer[Any]], height: int, method: str, options: Mapping[str, Any] | None = None
    ) -> Layout:
        """Build from the group of each row, one copy each; within a group rows rise. Groups without rows are left out."""
        used, group = np.unique(group, return_inverse=True)
        order = np.argsort(group, kind="stable").astype(np.int32)
        starts = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=len(used)))]).astype(np.int64)
        copies = np.ones(len(used), dtype=np.int32)
        return cls(len(group), height, starts, order, copies, method, dict(options or {}))

    def with_copies(self, copies: npt.NDArray[np.integer[Any]], **options: Any) -> Layout:
        """Return the same groups with other copies."""
        return replace(self, copies=np.asarray(copies, dtype=np.int32), options={**self.options, **options})

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.starts) - 1

    @cached_property
    def first(self) -> npt.NDArray[np.int64]:
        """The first instance of each group, and the number of all."""
        return np.concatenate([[0], np.cumsum(self.copies)]).astype(np.int64)

    @property
    def instances(self) -> int:
        """Copies of all groups."""
        return int(self.first[-1])

    @property
    def least_groups(self) -> int:
        """The fewest groups that hold every row once."""
        return -(-self.rows // self.height)

    @property
    def area_ratio(self) -> float:
        """Instances over the fewest groups that hold every row: what the layout takes in area."""
        return self.instances / self.least_groups

    @cached_property
    def group(self) -> npt.NDArray[np.int32]:
        """The group of each row: int32 (rows,)."""
        group = np.empty(self.rows, dtype=np.int32)
        group[self.members] = np.repeat(np.arange(self.groups, dtype=np.int32), np.diff(self.starts))
        return group

    @cached_property
    def wordline(self) -> npt.NDArray[np.int32]:
        """The wordline of each row in its group: int32 (rows,)."""
        wordline = np.empty(self.rows, dtype=np.int32)
        wordline[self.members] = np.arange(self.rows) - np.repeat(self.starts[:-1], np.diff(self.starts))
        return wordline

    def touched(self, trace: Trace) -> npt.NDArray[np.int64]:
        """Return bag x groups + group for each group that a bag touches, each once, rising: int64."""
        bag = np.repeat(np.arange(trace.bags, dtype=np.int64), trace.lengths)
        return np.unique(bag * self.groups + self.group[trace.flat])

    def groups_per_bag(self, trace: Trace) -> npt.NDArray[np.int64]:
        """Return how many groups each bag of a trace touches: int64 (bags,)."""
        return np.bincount(self.touched(trace) // self.groups, minlength=trace.bags)
