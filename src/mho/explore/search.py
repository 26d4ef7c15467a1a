"""How the designs of an exploration are chosen: a search is asked for designs and told what they cost.

    search = begin("front", sizes=(4, 3), allows=lambda indices: True, budget=8, seed=0, ordered=(True, False))
    while (indices := search.ask()) is not None:
        search.tell(Trial(indices, costs=..., excess=0.0))

A design is the number of the value that it takes on each axis. A search never asks for a design twice, nor for one that `allows`
refuses; it says None when there is none left. What it asks for follows from its seed and the calls of `ask` and `tell` so far, and
from nothing else. Told later than asked, as with many workers, it chooses from what it knows.

SEARCHES are those that there are, by name. A plugin adds a class of its own: SEARCHES.add("mine", MySearch).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mho.errors import OptionError, choices
from mho.explore.search_base import Indices, Search, Trial
from mho.explore.search_front import FrontSearch
from mho.explore.search_optuna import OptunaSearch
from mho.plugins import Registry


class RandomSearch(Search):
    """Every design in an order drawn from the seed, so that any number of them are drawn evenly, none twice."""

    by = "random"
    learns = False

    def ask(self) -> Indices | None:
        """Return the next one."""
        return next(self.rest, None)


class GridSearch(RandomSearch):
    """Every design in the order of the axes' values, the last axis changing fastest."""

    by = "grid"

    def order(self, place: int) -> int:
        """Return the place."""
        return place


SEARCHES: Registry[type[Search]] = Registry(
    "search", {kind.by: kind for kind in (FrontSearch, GridSearch, OptunaSearch, RandomSearch)}
)
"""The searches by name."""


def begin(
    by: str,
    sizes: Sequence[int],
    allows: Callable[[Indices], bool],
    budget: int,
    seed: int = 0,
    ordered: Sequence[bool] = (),
) -> Search:
    """Return a new search of a name, or of a name and a variant: optuna:nsga. OptionError for an unknown one, the nearest named."""
    name, _, variant = by.partition(":")
    if name not in SEARCHES:
        raise OptionError(f"unknown search {name!r}; {choices(name, SEARCHES)}")
    return SEARCHES[name](sizes, allows, budget, seed, ordered, variant)


__all__ = [
    "SEARCHES",
    "FrontSearch",
    "GridSearch",
    "Indices",
    "OptunaSearch",
    "RandomSearch",
    "Search",
    "Trial",
    "begin",
]
