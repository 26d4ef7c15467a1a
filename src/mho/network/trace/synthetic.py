"""Traces made up by law: popularity, communities of rows that occur together, lengths of bags. All of it drawn from one seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.errors import TraceError, choices
from mho.network.trace.popularity import Popularity, popularity
from mho.network.trace.trace import Trace

Integers = npt.NDArray[np.int64]
LENGTHS = ("fixed", "poisson", "geometric")
MOST = 1 << 26
"""Look-ups, bags, and rows of a trace that is made up, at most: some 40 bytes each are held."""


@dataclass(frozen=True)
class Communities:
    """Rows keep company: each belongs to one community of `size` rows; a bag has one community, and each of its look-ups is, with
    probability `cohesion`, of that community, else of all rows, both times by popularity.

    Communities are as likely as their rows together, so that popularity stays what it is. TraceError where out of range.
    """

    size: int
    cohesion: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        if isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 1:
            raise TraceError(f"communities: their size is a whole number of at least 1, not {self.size!r}")
        if not 0 <= self.cohesion <= 1:
            raise TraceError(f"communities: cohesion is from 0 to 1, not {self.cohesion!r}")

    def __str__(self) -> str:
        """Say which."""
        return f"communities of {self.size} rows, cohesion {self.cohesion:g}"


def synthesise(
    queries: int,
    rows: int | Sequence[int],
    mean_length: float | Sequence[float],
    *,
    popularity: str | Popularity = "zipf",
    communities: Communities | None = None,
    lengths: str = "geometric",
    distinct: bool = False,
    seed: int = 0,
) -> Trace:
    """Make up a trace of so many queries, each with a bag in each table of `rows`.

    `mean_length`: of the bags, of at least 1, one number or one for each table; `lengths`: all of this whole length (fixed), 1 plus
    Poisson, or geometric from 1 on. `popularity`: a law, or uniform, zipf, zipf:EXPONENT, reuse, reuse:NAME. `distinct`: a row that
    is drawn again in a bag is left out, so that bags come out shorter. Rows are numbered at random: numbers tell nothing. The
    origin begins with "synthetic:". Raises TraceError for what is out of range.
    """
    tables = (int(rows),) if isinstance(rows, int | np.integer) else tuple(rows)
    means = (mean_length,) * len(tables) if isinstance(mean_length, int | float) else tuple(mean_length)
    law = _checked(queries, tables, means, popularity, lengths)
    generator = np.random.default_rng(seed)
    bags = [
        _table(queries, count, mean, law, communities, lengths, distinct, generator)
        for count, mean in zip(tables, means, strict=True)
    ]
    of_bags = np.stack([bag[0] for bag in bags], axis=1)
    offsets = np.concatenate([[0], np.cumsum(of_bags.ravel())])
    if len(bags) == 1:
        indices = bags[0][1]
    else:
        indices = np.empty(offsets[-1], dtype=np.int32)
        for table, (size, numbers) in enumerate(bags):
            starts = offsets[table : -1 : len(bags)]
            indices[np.repeat(starts - (np.cumsum(size) - size), size) + np.arange(len(numbers))] = numbers
    words = [
        f"{queries} queries", f"{law}", str(communities) if communities else "no communities",
        f"lengths {lengths} of mean {', '.join(f'{mean:g}' for mean in means)}", *(["distinct"] if distinct else []),
        f"seed {seed}",
    ]  # fmt: skip
    return Trace(
        tables,
        offsets.astype(np.int64),
        indices,
        np.tile(np.arange(len(tables), dtype=np.int32), queries),
        np.repeat(np.arange(queries), len(tables)),
        f"synthetic: {', '.join(words)}",
        synthetic=True,
    )


def _checked(
    queries: int, tables: tuple[int, ...], means: tuple[float, ...], law: str | Popularity, lengths: str
) -> Popularity:
    for what, value in (("queries", queries), *(("rows", count) for count in tables)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= MOST:
            raise TraceError(f"synthetic trace: {what} are a whole number from 1 to {MOST}, not {value!r}")
    if sum(tables) > MOST:
        raise TraceError(f"synthetic trace: rows of all tables are at most {MOST}, not {sum(tables)}")
    if not tables or len(means) != len(tables):
        raise TraceError(f"synthetic trace: {len(tables)} tables, but {len(means)} mean lengths")
    if lengths not in LENGTHS:
        raise TraceError(f"synthetic trace: lengths {lengths!r} are no law; {choices(lengths, LENGTHS)}")
    for mean in means:
        if not 1 <= mean < math.inf or (lengths == "fixed" and mean != int(mean)):
            whole = " (a whole number where fixed)" if lengths == "fixed" else ""
            raise TraceError(f"synthetic trace: the mean length is at least 1{whole}, not {mean!r}")
    if queries * sum(means) > MOST:
        raise TraceError(
            f"synthetic trace: {queries} queries of a mean length of {sum(means):g} in all tables are {queries * sum(means):.3g} "
            f"look-ups; at most {MOST} are made up (--queries, --mean-length)"
        )
    return popularity(law)


def _table(
    queries: int,
    rows: int,
    mean: float,
    law: Popularity,
    communities: Communities | None,
    lengths: str,
    distinct: bool,
    generator: np.random.Generator,
) -> tuple[Integers, npt.NDArray[np.int32]]:
    """Draw the lengths and the rows of one table's bags."""
    if lengths == "fixed":
        size = np.full(queries, int(mean))
    elif lengths == "poisson":
        size = 1 + generator.poisson(mean - 1, queries)
    else:
        size = generator.geometric(1 / mean, queries)
    # Places are rows in an order of chance, communities are runs of places: so neither numbers nor company tell popularity.
    numbers = generator.permutation(rows).astype(np.int32)
    ends = np.cumsum(law.shares(rows)[generator.permutation(rows)])
    ends /= ends[-1]
    chances = generator.random(int(size.sum()))
    if communities is not None:
        edges = np.append(np.arange(0, rows, min(communities.size, rows)), rows)
        bounds = np.concatenate([[0.0], ends])[edges]
        bounds[-1] = 1.0
        mine = np.clip(np.searchsorted(bounds, generator.random(queries), side="right") - 1, 0, len(edges) - 2)
        stays = generator.random(len(chances)) < communities.cohesion
        of = np.repeat(mine, size)[stays]
        chances[stays] = bounds[of] + chances[stays] * (bounds[of + 1] - bounds[of])
    places = np.minimum(np.searchsorted(ends, chances, side="right"), rows - 1)
    indices = numbers[places]
    if distinct:
        keys = np.repeat(np.arange(queries), size) * rows + indices
        first = np.zeros(len(keys), dtype=np.bool_)
        first[np.unique(keys, return_index=True)[1]] = True
        size = np.diff(np.concatenate([[0], np.cumsum(first)])[np.concatenate([[0], np.cumsum(size)])])
        indices = indices[first]
    return size, indices
