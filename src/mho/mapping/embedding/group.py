"""Grouping rows by a history of look-ups, so that the bags to come touch few groups: the methods by name.

What counts is bags that were not seen. So whatever has to be chosen is chosen by bags of the history that are held out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import MappingError, OptionError, choices
from mho.mapping.embedding import hypergraph as partitioner
from mho.mapping.embedding.anneal import anneal, fits
from mho.mapping.embedding.bags import Bags
from mho.mapping.embedding.greedy import LONGEST, greedy
from mho.mapping.embedding.layout import Layout
from mho.mapping.embedding.refine import refine
from mho.network.trace.trace import Trace

Group = npt.NDArray[np.int32]

CHANCES = (0.1, 0.2, 0.3, 0.5, 0.7)
"""The chances of a row that are refined for, one after another: the look far ahead comes first."""
HELD_OUT = 0.2
"""Share of the history's bags by which method "best" chooses."""
HINTS = (0.0, 0.5, 1.0)
HINT_WIDTH = 16
MOVES = 12_000_000
"""Moves that annealing draws."""
PARTITIONED = 2_000_000
"""Up to so many look-ups method "best" asks the hypergraph partitioner too."""

OPTIONS: dict[str, dict[str, Any]] = {
    "id": {},
    "frequency": {},
    "greedy": {"longest": LONGEST},
    "fast": {"chance": 0.5, "passes": 1},
    "refine": {"hint": 0.0, "passes": 60},
    "hypergraph": {"passes": 60},
    "anneal": {"hint": 0.0, "chance": 0.6, "moves": MOVES},
    "best": {"moves": MOVES},
}
"""The options of each method, and their values where they are not given; see `group`."""
METHODS = ("fast", "refine", "best")
"""The methods to choose from; the others are what these begin with or choose among, and what studies set beside them."""

LIMITS: dict[str, tuple[float, float]] = {
    "longest": (2, 2**31),
    "chance": (0.01, 1.0),
    "passes": (0, 10_000),
    "hint": (0.0, 1e6),
    "moves": (0, 10**12),
}


def group(
    history: Trace,
    height: int,
    method: str = "refine",
    *,
    seed: int = 0,
    groups: int | None = None,
    **options: Any,
) -> Layout:
    """Return groups of at most `height` rows, made for bags like those of the history.

    method:
        "fast": greedy, and then at most `passes` passes of moves and swaps for the `chance` that a row is asked for (`refine`).
        "refine": the same for rising chances, at most `passes` passes each; seconds.
        "best": whichever of these and those below does best on a fifth of the history that it is made without; annealing and the
            hypergraph partitioner are left out where the trace is too large for them; minutes.
    and, for studies:
        "id": rows in the order of their numbers. "frequency": in the order of how many bags have them.
        "greedy": as the ReCross paper (`greedy`); of bags with more than `longest` rows the most frequent are neighbours.
        "hypergraph": a hypergraph partitioner first instead of greedy, then refine.
        "anneal": refine, and then simulated annealing with `moves` drawn moves, for one `chance`.

    `hint` is the weight of the rows' numbers as a hint that neighbours are asked for together: 0 for none, 1 as much as a bag
    for each window of 16 rows; "best" chooses it. `groups`: as many groups may be used; the fewest that hold all rows where
    it is not given.

    Same seed, same layout. MappingError where the height or the number of groups does not do, OptionError for unknown methods
    and options.
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
    given = _checked(method, options)
    room = least if groups is None else int(groups)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise OptionError(f"a seed is a whole number from 0, not {seed!r}")
    if method == "best":
        found, given = _best(history, int(height), room, int(seed), given["moves"])
    else:
        found = _WAYS[method](history, int(height), room, int(seed), given)
    # What is made from a synthetic history says so wherever it serves.
    label = {"synthetic": True} if history.synthetic else {}
    return Layout.of(found, int(height), method, {**given, "seed": int(seed), **label})


def _checked(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    if method not in OPTIONS:
        raise OptionError(f"unknown grouping {method!r}; {choices(str(method), METHODS)}")
    known = OPTIONS[method]
    for name, value in options.items():
        if name not in known:
            allowed = choices(name, known) if known else "it has none"
            raise OptionError(f"grouping {method!r} has no option {name!r}; {allowed}")
        low, high = LIMITS[name]
        number: Any = value
        kinds: tuple[type, ...] = (int, np.integer) if isinstance(known[name], int) else (int, float, np.number)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= number <= high:
            what = "a whole number" if isinstance(known[name], int) else "a number"
            raise OptionError(
                f"option {name!r} of grouping {method!r} is {what} from {low:g} to {high:g}, not {value!r}"
            )
    return {**known, **options}


def _in_order(order: npt.NDArray[np.int64], height: int) -> Group:
    found = np.empty(len(order), dtype=np.int32)
    found[order] = np.arange(len(order)) // height
    return found


def by_id(history: Trace, height: int) -> Group:
    """Return the group of each row in the order of their numbers."""
    return _in_order(np.arange(history.total_rows), height)


def by_frequency(history: Trace, height: int) -> Group:
    """Return the group of each row, the row that most bags have first; of equal ones the lower number."""
    return _in_order(np.argsort(-Bags.of(history).frequency, kind="stable"), height)


def _filled(found: Group, frequency: npt.NDArray[np.int64], groups: int, height: int) -> Group:
    """Put rows that no bag has where there is room, in the order of their numbers."""
    new = np.flatnonzero(frequency == 0)
    size = np.bincount(found[frequency > 0], minlength=groups)
    room = np.repeat(np.arange(groups, dtype=np.int32), height - size)
    found = found.copy()
    found[new] = room[: len(new)]
    return found


def _refined(
    bags: Bags, start: Group, groups: int, height: int, chances: tuple[float, ...], passes: int, seed: int
) -> Group:
    for chance in chances:
        start, _ = refine(bags, start, groups, height, chance=chance, passes=passes, seed=seed)
    return start


def _hinted(history: Trace, hint: float) -> Bags:
    bags = Bags.of(history, least=2)
    return bags.joined(Bags.neighbours(history.rows, HINT_WIDTH, hint)) if hint else bags


def _start(history: Trace, height: int, hint: float) -> Group:
    """Begin with the paper's groups, or with the rows' numbers where those are trusted."""
    return by_id(history, height) if hint >= 1 else greedy(Bags.of(history), height)


def _fast(history: Trace, height: int, groups: int, seed: int, options: Mapping[str, Any]) -> Group:
    bags = Bags.of(history, least=2)
    chance, passes = float(options["chance"]), int(options["passes"])
    found = greedy(bags, height)
    found, _ = refine(bags, found, groups, height, chance=chance, passes=passes, seed=seed, near=True)
    return _filled(found, bags.frequency, groups, height)


def _refine(history: Trace, height: int, groups: int, seed: int, options: Mapping[str, Any]) -> Group:
    bags = _hinted(history, float(options["hint"]))
    start = _start(history, height, float(options["hint"]))
    found = _refined(bags, start, groups, height, CHANCES, int(options["passes"]), seed)
    return _filled(found, bags.frequency, groups, height)


def _hypergraph(history: Trace, height: int, groups: int, seed: int, options: Mapping[str, Any]) -> Group:
    bags = Bags.of(history, least=2)
    start = partitioner.partition(bags, groups, height, seed)
    found = _refined(bags, np.maximum(start, 0), groups, height, CHANCES[2:], int(options["passes"]), seed)
    return _filled(found, bags.frequency, groups, height)


def _anneal(history: Trace, height: int, groups: int, seed: int, options: Mapping[str, Any]) -> Group:
    bags = _hinted(history, float(options["hint"]))
    found = _refined(bags, _start(history, height, float(options["hint"])), groups, height, CHANCES, 60, seed)
    found, _ = anneal(
        bags, found, groups, height, chance=float(options["chance"]), moves=int(options["moves"]), seed=seed
    )
    return _filled(found, bags.frequency, groups, height)


_WAYS: dict[str, Callable[[Trace, int, int, int, Mapping[str, Any]], Group]] = {
    "id": lambda history, height, groups, seed, options: by_id(history, height),
    "frequency": lambda history, height, groups, seed, options: by_frequency(history, height),
    "greedy": lambda history, height, groups, seed, options: greedy(Bags.of(history), height, int(options["longest"])),
    "fast": _fast,
    "refine": _refine,
    "hypergraph": _hypergraph,
    "anneal": _anneal,
}


def held_out(history: Trace, seed: int) -> tuple[Trace, Trace]:
    """Split a history by chance: bags to make groups by, and bags to choose by."""
    order = np.random.default_rng(seed).permutation(history.bags)
    cut = history.bags - int(HELD_OUT * history.bags)
    return history.select(np.sort(order[:cut])), history.select(np.sort(order[cut:]))


def _best(history: Trace, height: int, groups: int, seed: int, moves: int) -> tuple[Group, dict[str, Any]]:
    """Return the groups of the method that does best on held-out bags, and which that was."""
    known, unknown = held_out(history, seed)
    if not unknown.bags:
        # Fewer than five bags: nothing can be held out.
        unknown = known

    def score(method: str, options: Mapping[str, Any]) -> float:
        found = _WAYS[method](known, height, groups, seed, {**OPTIONS[method], **options})
        layout = Layout.of(found, height, method)
        return float(layout.groups_per_bag(unknown).mean()) if unknown.bags else 0.0

    tried: list[tuple[float, int, str, dict[str, Any]]] = []

    def attempt(method: str, **options: Any) -> None:
        tried.append((score(method, options), len(tried), method, options))

    for method in ("id", "frequency", "greedy"):
        attempt(method)
    for hint in HINTS:
        attempt("refine", hint=hint)
    if history.lookups <= PARTITIONED:
        attempt("hypergraph")
    _, _, method, options = min(tried)
    hint = min(trial for trial in tried if trial[2] == "refine")[3]["hint"]
    if moves and fits(_hinted(history, hint), groups, height):
        attempt("anneal", hint=hint, moves=moves)
        _, _, method, options = min(tried)
    found = _WAYS[method](history, height, groups, seed, {**OPTIONS[method], **options})
    scores = {f"{name} {kind.get('hint', '')}".strip(): round(value, 4) for value, _, name, kind in tried}
    return found, {"moves": moves, "chosen": method, **options, "held_out": scores}
