"""Interactions of users with items, and the queries made of them: who may like what, and what of it is known.

A query is a user and an item. It looks up a row of the user, of each attribute of the user, of the item and of its attribute,
and the user's *history*: every item of the user's training interactions except the item in question, so that no query shows
its own answer. A positive is an interaction; negatives are drawn, seeded, from the items that the user has none with.

`unseen` is a share of the users none of whose interactions are trained on, except as the history of their own test queries:
for them there is no row, and their bag in the table of users is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError, TraceError
from mho.files.archive import Npz
from mho.machine.recommender.bags import Field

Integers = npt.NDArray[np.int64]
ATTRIBUTES = ("gender", "age", "occupation")
TABLES = ("user", *ATTRIBUTES, "item", "genre", "history")
"""Tables in the order of the dense part's vectors. MovieLens-1M's attributes by the number of values that each has."""
ARRAYS = ("user", "item", "n_train", "user_attr", "item_attr")
POOLINGS = {"history": "unit"}
NEGATIVES = 4
"""Negatives drawn for each positive, in training and in tests (He et al. 2017, section 4.1)."""


@dataclass(frozen=True, eq=False)
class Queries:
    """Queries: users and items (queries,), int64, and whether they were liked, 0 or 1."""

    users: Integers
    items: Integers
    labels: npt.NDArray[np.int8]

    @classmethod
    def lists(cls, users: Integers, liked: Integers, drawn: Integers) -> Queries:
        """Make of each user a query for the item that was liked, then those for the items drawn, (users, negatives)."""
        items = np.concatenate([liked[:, None], drawn], axis=1)
        labels = np.zeros(items.shape, dtype=np.int8)
        labels[:, 0] = 1
        return cls(np.repeat(users, items.shape[1]), items.reshape(-1), labels.reshape(-1))

    def __len__(self) -> int:
        """Count the queries."""
        return len(self.users)

    def pick(self, chosen: npt.NDArray[Any]) -> Queries:
        """Return some of the queries."""
        return Queries(self.users[chosen], self.items[chosen], self.labels[chosen])


@dataclass(frozen=True, eq=False)
class Interactions:
    """Interactions, each pair once: `users`, `items` int64 (interactions,), and one held out of each user, `held` (users,).

    `user_attributes` (users, 3) and `item_attribute` (items,) are values from 0. `unseen` bool (users,): users that are not
    trained on. `seed` draws test queries. Raises TraceError for what does not fit together.
    """

    users: Integers
    items: Integers
    held: Integers
    user_attributes: Integers
    item_attribute: Integers
    unseen: npt.NDArray[np.bool_]
    seed: int
    origin: str

    def __post_init__(self) -> None:
        """Check ranges, and that no pair stands twice."""
        shapes = (self.users.shape, self.held.shape, self.unseen.shape, self.user_attributes.shape)
        count = len(self.held)
        if shapes != (self.items.shape, (count,), (count,), (count, len(ATTRIBUTES))) or not count:
            raise TraceError(f"{self.origin}: users, items and attributes do not fit each other")
        for name, values, limit in (("users", self.users, count), ("items", self.items, self.item_count)):
            if len(values) and not (values.min() >= 0 and values.max() < limit):
                raise TraceError(
                    f"{self.origin}: {name} lie in {values.min()} to {values.max()}, not in 0 to {limit - 1}"
                )
        if self.held.min() < 0 or self.held.max() >= self.item_count:
            raise TraceError(f"{self.origin}: held-out items must be 0 to {self.item_count - 1}")
        if self.user_attributes.min() < 0 or self.item_attribute.min(initial=0) < 0:
            raise TraceError(f"{self.origin}: attributes are values from 0")
        pairs = self.users * self.item_count + self.items
        if (
            len(np.unique(np.concatenate([pairs, np.arange(count) * self.item_count + self.held])))
            != len(pairs) + count
        ):
            raise TraceError(f"{self.origin}: an interaction stands twice")
        if self.seen.sum(axis=1).max(initial=0) + NEGATIVES + 1 > self.item_count:
            raise TraceError(f"{self.origin}: a user has too few items left to draw {NEGATIVES} negatives from")

    @classmethod
    def load(cls, path: str | Path, *, seed: int = 0, unseen: float = 0.1) -> Interactions:
        """Read a .npz file: `user` and `item` (interactions,), counted from 1, the last of them one held out of each user;
        `n_train`, how many are not held out; `user_attr` (users + 1, 3) and `item_attr` (items + 1,), any integers.

        `unseen` is the share of users that are not trained on. Raises TraceError naming what is wrong in the file, OptionError
        for a share outside 0 to 0.9.
        """
        if not 0 <= unseen <= 0.9:
            raise OptionError(f"the share of unseen users lies in 0 to 0.9, not {unseen}")
        every = Npz(Path(path), TraceError)
        absent = [name for name in ARRAYS if name not in every]
        if absent:
            raise TraceError(f"{path}: array {absent[0]!r} is missing; interactions have {', '.join(ARRAYS)}")
        arrays = {name: every[name] for name in ARRAYS}
        user, item = (arrays[name].astype(np.int64) - 1 for name in ("user", "item"))
        people, count = len(arrays["user_attr"]) - 1, int(arrays["n_train"])
        last = user[count:]
        if (
            arrays["user_attr"].ndim != 2
            or user.shape != item.shape
            or not np.array_equal(np.sort(last), np.arange(people))
        ):
            raise TraceError(f"{path}: behind n_train {count} there must be one interaction of each of {people} users")
        values = [np.unique(column, return_inverse=True)[1] for column in arrays["user_attr"][1:].T]
        attribute = np.unique(arrays["item_attr"][1:], return_inverse=True)[1]
        hidden = np.random.default_rng([seed, 1]).permutation(people) < round(unseen * people)
        return cls(
            user[:count], item[:count], item[count:][np.argsort(last)], np.stack(values, axis=1).astype(np.int64),
            attribute.astype(np.int64), hidden, seed, Path(path).name,
        )  # fmt: skip

    @property
    def item_count(self) -> int:
        """Number of items."""
        return len(self.item_attribute)

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of TABLES."""
        attributes = self.user_attributes.max(axis=0) + 1
        genres = int(self.item_attribute.max(initial=0)) + 1
        return (len(self.held), *(int(n) for n in attributes), self.item_count, genres, self.item_count)

    @cached_property
    def seen(self) -> npt.NDArray[np.bool_]:
        """Return which items are in each user's history: bool (users, items)."""
        seen = np.zeros((len(self.held), self.item_count), dtype=np.bool_)
        seen[self.users, self.items] = True
        return seen

    @cached_property
    def trained(self) -> Integers:
        """Numbers of the interactions that are trained on: those of users that are not unseen."""
        return np.flatnonzero(~self.unseen[self.users])

    @cached_property
    def popularity(self) -> Integers:
        """Count the interactions of each item that are trained on."""
        return np.bincount(self.items[self.trained], minlength=self.item_count)

    def negatives(self, users: Integers, random: np.random.Generator, *, test: bool = False) -> Integers:
        """Draw an item for each of `users`, uniform over items that the user has no interaction with.

        In training the held-out interaction is not known, and may be drawn; with `test` it may not.
        """
        drawn = random.integers(0, self.item_count, len(users))
        open_ = np.arange(len(users))
        while len(open_):
            open_users = users[open_]
            wrong = self.seen[open_users, drawn[open_]]
            if test:
                wrong |= self.held[open_users] == drawn[open_]
            open_ = open_[wrong]
            drawn[open_] = random.integers(0, self.item_count, len(open_))
        return drawn

    def test(self, *, unseen: bool) -> Queries:
        """Return each user's held-out interaction and NEGATIVES drawn items: (users x (1 + NEGATIVES)) queries, user by user."""
        users = np.flatnonzero(self.unseen == unseen)
        repeated = np.repeat(users, NEGATIVES)
        drawn = self.negatives(repeated, np.random.default_rng([self.seed, 2, int(unseen)]), test=True)
        return Queries.lists(users, self.held[users], drawn.reshape(-1, NEGATIVES))

    def sample(self, count: int, seed: int = 0) -> Queries:
        """Draw queries as training sees them: interactions that are trained on, and negatives, in random order."""
        random = np.random.default_rng([self.seed, 3, seed])
        positives = max(1, count // (1 + NEGATIVES))
        chosen = random.choice(self.trained, min(positives, len(self.trained)), replace=False)
        return self.around(chosen, NEGATIVES, random)

    def around(self, chosen: Integers, negatives: int, random: np.random.Generator) -> Queries:
        """Return some interactions, each followed by drawn items: the queries of a batch."""
        users, items = self.users[chosen], self.items[chosen]
        drawn = self.negatives(np.repeat(users, negatives), random)
        return Queries.lists(users, items, drawn.reshape(-1, negatives))

    def one_row(self, queries: Queries) -> dict[str, Integers]:
        """Return the row that each query looks up in each table but the history's: (queries,); -1 for an unseen user."""
        users = np.where(self.unseen[queries.users], -1, queries.users)
        attributes = self.user_attributes[queries.users]
        rows = {name: attributes[:, place] for place, name in enumerate(ATTRIBUTES)}
        return {"user": users, **rows, "item": queries.items, "genre": self.item_attribute[queries.items]}

    def bags(self, queries: Queries) -> dict[str, Field]:
        """Return what each query looks up in each table, as `Recommender.bags` takes it."""
        known = self.seen[queries.users]
        known[np.arange(len(queries)), queries.items] = False
        counts = known.sum(axis=1)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        history = np.nonzero(known)[1]
        return {**self.one_row(queries), "history": (offsets, history)}
