"""Grouping rows by a history of look-ups, so that the bags to come touch few groups: the choices of stage grouping.

What counts is bags that were not seen. So whatever has to be chosen is chosen by bags of the history that are held out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mho.errors import MappingError, OptionError
from mho.mapping.embedding import hypergraph as partitioner
from mho.mapping.embedding.anneal import anneal
from mho.mapping.embedding.bags import Bags
from mho.mapping.embedding.greedy import LONGEST, greedy
from mho.mapping.embedding.layout import Layout
from mho.mapping.embedding.refine import refine
from mho.network.trace.trace import Trace
from mho.strategy.choice import Choice, built, choice, setting

Group = npt.NDArray[np.int32]

CHANCES = (0.1, 0.2, 0.3, 0.5, 0.7)
"""The chances of a row that are refined for, one after another: the look far ahead comes first."""
HELD_OUT = 0.2
"""Share of the history's bags by which the hint is chosen."""
HINTS = (0.0, 0.5, 1.0)
HINT_WIDTH = 16
HINT_GAINS = 0.01
"""Share of the groups a bag by which a hint must be better than none on held-out bags, to be taken."""
PASSES = 60
"""Passes of moves and swaps, at most."""

_CHANCE = "How likely it is that a row of a bag of the history is asked for again."
_PASSES = "Passes of moves and swaps over all rows, at most."
_SWEEPS = "How often annealing visits each row; time goes with it."
_HINT = (
    "The weight of the rows' numbers as a hint that neighbours are asked for together: 0 for none, 1 as much as a bag for "
    "each window of 16 rows."
)


class Grouping(Choice):
    """A way to group the rows of tables, which every choice of stage grouping is."""

    stage = "grouping"

    def settled(self, history: Trace, height: int, groups: int, seed: int) -> tuple[Grouping, dict[str, Any]]:
        """Return the way that is gone, and what is to be told of how it was chosen."""
        return self, {}

    def group(self, history: Trace, height: int, groups: int, seed: int) -> Group:
        """Return the group of each row, int32 (rows,): at most `height` rows in each of at most `groups`."""
        raise NotImplementedError


@choice("grouping", "id")
class ById(Grouping):
    """Rows in the order of their numbers."""

    def group(self, history: Trace, height: int, groups: int, seed: int) -> Group:
        """Fill groups row by row."""
        return _in_order(np.arange(history.total_rows), height)


@choice("grouping", "frequency")
class ByFrequency(Grouping):
    """Rows in the order of how many bags have them; of equal ones the lower number first."""

    def group(self, history: Trace, height: int, groups: int, seed: int) -> Group:
        """Fill groups with the row that most bags have first."""
        return _in_order(np.argsort(-Bags.of(history).frequency, kind="stable"), height)


@choice("grouping", "greedy", papers=("recross",))
class Greedy(Grouping):
    """The row that was looked up most often with those of a group joins it, until it is full (ReCross)."""

    longest: int = setting(
        default=LONGEST,
        least=2,
        most=2**31,
        help="Of longer bags so many rows, the most frequent, are neighbours.",
        metavar="N",
    )

    def group(self, history: Trace, height: int, groups: int, seed: int) -> Group:
        """Fill groups one after another."""
        return greedy(Bags.of(history), height, self.longest)


@choice("grouping", "fast")
class Fast(Grouping):
    """Greedy, then one pass of moves and swaps of rows for one chance that a row is asked for."""

    chance: float = setting(default=0.5, least=0.01, most=1.0, help=_CHANCE, metavar="X")

    def settled(self, history: Trace, height: int, groups: int, seed: int) -> tuple[Grouping, dict[str, Any]]:
        """Tell how many passes it takes, as refine does."""
        return self, {"passes": 1}

    def group(self, history: Trace, height: int, groups: int, seed: int) -> Group:
        """Refine the paper's groups, rows of one group after those of another."""
        bags = Bags.of(history, least=2)
        assignment = greedy(bags, height)
        assignment, _ = refine(bags, assignment, groups, height, chance=self.chance, passes=1, seed=seed, near=True)
        return _filled(assignment, bags.frequency, groups, height)


@choice("grouping", "refine")
class Refine(Grouping):
    """Greedy, then passes of moves and swaps of rows for rising chances; takes seconds."""

    hint: float = setting(default=0.0, least=0.0, most=1e6, help=_HINT, metavar="X")
    passes: int = setting(default=PASSES, least=0, most=10_000, help=_PASSES, metavar="N")

    def group(self, history: Trace, height: int, groups: int, seed: int) -> Group:
        """Begin with the paper's groups, or with the rows' numbers where those are trusted."""
        bags = _hinted(history, self.hint)
        assignment = _begun(history, bags, height, groups, self.hint, self.passes, seed)
        return _filled(assignment, bags.frequency, groups, height)


@dataclass(frozen=True)
class Hypergraph(Grouping):
    """A hypergraph partitioner in place of greedy, then passes as in refine: a rival, not chosen by name."""

    name: ClassVar[str] = "hypergraph"
    passes: int = setting(default=PASSES, least=0, most=10_000, help=_PASSES, metavar="N")

    def group(self, history: Trace, height: int, groups: int, seed: int) -> Group:
        """Refine the parts."""
        bags = Bags.of(history, least=2)
        start = np.maximum(partitioner.partition(bags, groups, height, seed), 0)
        assignment = _refined(bags, start, groups, height, CHANCES[2:], self.passes, seed)
        return _filled(assignment, bags.frequency, groups, height)


@choice("grouping", "anneal")
class Anneal(Grouping):
    """Greedy, then annealing row by row, row numbers as a hint where held-out bags gain by it; a minute per million look-ups."""

    hint: float | None = setting(
        default=None, least=0.0, most=1e6, help=f"{_HINT} None: by bags held out.", metavar="X"
    )
    chance: float = setting(default=0.6, least=0.01, most=1.0, help=_CHANCE, metavar="X")
    sweeps: int = setting(default=100, least=0, most=1_000_000, help=_SWEEPS, metavar="N")

    def settled(self, history: Trace, height: int, groups: int, seed: int) -> tuple[Grouping, dict[str, Any]]:
        """Try each hint with a quarter of the sweeps on held-out bags, where none was given."""
        if self.hint is not None:
            return self, {}
        known, unknown = held_out(history, seed)
        if not unknown.bags:
            # Fewer than five bags: nothing can be held out.
            return replace(self, hint=HINTS[0]), {"hint": HINTS[0]}
        scores = {}
        for hint in HINTS:
            way = replace(self, hint=hint, sweeps=-(-self.sweeps // 4))
            layout = Layout.of(way.group(known, height, groups, seed), height, way.name)
            scores[hint] = float(layout.groups_per_bag(unknown).mean())
        # No hint, but where one gains more than what short annealing scatters by.
        hint = min(HINTS, key=lambda hint: scores[hint] * (1 if hint else 1 - HINT_GAINS))
        told = {f"{hint:g}": round(score, 4) for hint, score in scores.items()}
        return replace(self, hint=hint), {"hint": hint, "held_out": told}

    def group(self, history: Trace, height: int, groups: int, seed: int) -> Group:
        """Anneal the paper's groups, or rows in the order of their numbers where those are trusted; then moves that gain."""
        hint = self.hint or 0.0
        bags = _hinted(history, hint)
        start = _in_order(np.arange(history.total_rows), height) if hint >= 1 else greedy(Bags.of(history), height)
        found = anneal(bags, start, groups, height, chance=self.chance, sweeps=self.sweeps, seed=seed)
        assignment = _refined(bags, found.group, groups, height, (self.chance,), PASSES, seed)
        return _filled(assignment, bags.frequency, groups, height)


def group(
    history: Trace,
    height: int,
    method: str | Grouping = "anneal",
    *,
    seed: int = 0,
    groups: int | None = None,
    **settings: Any,
) -> Layout:
    """Return groups of at most `height` rows, made for bags like those of the history.

    group(history, 128)                                a minute per million look-ups
    group(history, 128, "anneal", sweeps=400)          four; settings of the choice, as a strategy has them
    group(history, 128, strategy.grouping, seed=7)     the choice of a strategy

    `groups`: as many groups may be used; the fewest that hold all rows where it is not given. Same seed, same layout. Raises
    MappingError where the height or the number of groups does not do, StrategyError for unknown methods and settings out of range.
    """
    if not isinstance(history, Trace):
        raise OptionError(f"group takes a Trace, not {type(history).__name__}; Trace.load reads one")
    if isinstance(height, bool) or not isinstance(height, int | np.integer) or height < 1:
        raise MappingError(f"the height of a group is a whole number from 1, not {height!r}")
    least = -(-history.total_rows // int(height))
    if groups is not None and (isinstance(groups, bool) or not isinstance(groups, int | np.integer) or groups < least):
        raise MappingError(
            f"{history.total_rows} rows in groups of {height} take at least {least} groups, not {groups!r}"
        )
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise OptionError(f"a seed is a whole number from 0, not {seed!r}")
    grouping = built("grouping", method, settings)
    assert isinstance(grouping, Grouping)
    sizes = int(height), least if groups is None else int(groups), int(seed)
    way, chosen = grouping.settled(history, *sizes)
    # What is made from a synthetic history says so wherever it serves.
    label = {"synthetic": True} if history.synthetic else {}
    options = {key: getattr(grouping, key) for key in grouping.settings()} | chosen | {"seed": int(seed)} | label
    return Layout.of(way.group(history, *sizes), int(height), grouping.name, options)


def _in_order(order: npt.NDArray[np.int64], height: int) -> Group:
    assignment = np.empty(len(order), dtype=np.int32)
    assignment[order] = np.arange(len(order)) // height
    return assignment


def _filled(assignment: Group, frequency: npt.NDArray[np.int64], groups: int, height: int) -> Group:
    """Put rows that no bag has where there is room, in the order of their numbers."""
    new = np.flatnonzero(frequency == 0)
    size = np.bincount(assignment[frequency > 0], minlength=groups)
    room = np.repeat(np.arange(groups, dtype=np.int32), height - size)
    assignment = assignment.copy()
    assignment[new] = room[: len(new)]
    return assignment


def _refined(
    bags: Bags, start: Group, groups: int, height: int, chances: tuple[float, ...], passes: int, seed: int
) -> Group:
    for chance in chances:
        start, _ = refine(bags, start, groups, height, chance=chance, passes=passes, seed=seed)
    return start


def _hinted(history: Trace, hint: float) -> Bags:
    bags = Bags.of(history, least=2)
    return bags.joined(Bags.neighbours(history.rows, HINT_WIDTH, hint)) if hint else bags


def _begun(history: Trace, bags: Bags, height: int, groups: int, hint: float, passes: int, seed: int) -> Group:
    """Refine the paper's groups, or rows in the order of their numbers where those are trusted."""
    start = _in_order(np.arange(history.total_rows), height) if hint >= 1 else greedy(Bags.of(history), height)
    return _refined(bags, start, groups, height, CHANCES, passes, seed)


def held_out(history: Trace, seed: int) -> tuple[Trace, Trace]:
    """Split a history by chance: bags to make groups by, and bags to choose by."""
    order = np.random.default_rng(seed).permutation(history.bags)
    cut = history.bags - int(HELD_OUT * history.bags)
    return history.select(np.sort(order[:cut])), history.select(np.sort(order[cut:]))
