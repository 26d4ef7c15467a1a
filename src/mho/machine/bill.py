"""Events and prices apart: what a machine did, counted, so that it can be priced again without being run again.

bill = mho.simulate(program).bill
bill @ chip                      the account of the same events at a chip's own prices; `Account.total` and so on
bill @ {price: joules}           at any others

What was decided by prices (which banks, which schedule) stays as it was decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from mho.chip.parts import Paid
from mho.shown import Shown

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

KINDS = ("write", "compute", "static", "memory")
LEAKAGE, AREA = "leakage", "area"


class Price(NamedTuple):
    """What is paid for: an event of a component, (`LEAKAGE`) that an instance of it is powered for a second, or (`AREA`) that it is
    there.

    `bank`: the bytes of the bank of the global buffer that a byte passes, or that leaks; 0 where it is no bank's.
    """

    component: str
    event: str
    bank: int = 0


class Paying(Protocol):
    """What says what a price is made of, as `mho.chip.costs.Costs` does."""

    def paid(self, role: str, event: str, bank: int = 0) -> tuple[Paid, ...]:
        """Return what a price is made of."""

    def instances(self) -> Iterator[tuple[str, int, int]]:
        """Yield each component with its bank and how many there are."""


class Priced(Protocol):
    """What has prices: a chip, or a systolic array."""

    @property
    def costs(self) -> Paying:
        """What its events and parts cost."""


class Charge(NamedTuple):
    """Counts of a price, of one kind of energy: of each of some layers (their places in the network; -1: the whole chip)."""

    layers: Integers
    price: Price
    kind: str
    counts: Floats


@dataclass(frozen=True, slots=True)
class Entry:
    """Joules of one component for one layer (its place in the network; -1: the chip as a whole) and kind."""

    layer: int
    component: str
    kind: str
    joules: float


@dataclass(frozen=True, eq=False, repr=False)
class Account(Shown):
    """All energy of one inference, of a stream in its steady state, and that of the setup, once, with what leaks while it lasts
    (no bank is on then).

    Entries are columns, shape (entries,): `layer`, `component` and `kind` (places in `components` and KINDS), `joules`.
    """

    layer: Integers
    component: Integers
    kind: Integers
    joules: Floats
    components: tuple[str, ...]
    setup_j: float

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """All entries, one by one."""
        table = (self.layer.tolist(), self.component.tolist(), self.kind.tolist(), self.joules.tolist())
        return tuple(
            Entry(layer, self.components[component], KINDS[kind], joules)
            for layer, component, kind, joules in zip(*table, strict=True)
        )

    def total(self) -> float:
        """Return joules in all."""
        return float(self.joules.sum())

    def by(self, key: str) -> dict[str, float]:
        """Sum joules by "component" or "kind", largest first."""
        names, places = {"component": (self.components, self.component), "kind": (KINDS, self.kind)}[key]
        sums = np.bincount(places, self.joules, len(names)).tolist()
        booked = set(places.tolist())
        named = [(name, total) for place, (name, total) in enumerate(zip(names, sums, strict=True)) if place in booked]
        return dict(sorted(named, key=lambda item: -item[1]))

    def by_layer(self) -> dict[int, float]:
        """Sum joules by layer."""
        layers, places = np.unique(self.layer, return_inverse=True)
        return dict(zip(layers.tolist(), np.bincount(places, self.joules, len(layers)).tolist(), strict=True))


@dataclass(frozen=True, eq=False, repr=False)
class Bill(Shown):
    """What is paid for in one inference (of a stream in its steady state), and in the setup, once.

    Entries are columns, shape (entries,): `layer`, `price` and `kind` (places in `prices` and KINDS), `count`: events, bytes of a
    bank, or seconds x instances that are powered. `setup` (prices,) are the counts of the setup.
    """

    layer: Integers
    price: Integers
    kind: Integers
    count: Floats
    prices: tuple[Price, ...]
    setup: Floats

    @classmethod
    def of(cls, inference: Sequence[Charge], setup: Sequence[Charge]) -> Bill:
        """Write charges below one another."""
        prices = tuple(dict.fromkeys(charge.price for charge in (*inference, *setup)))
        place = {price: number for number, price in enumerate(prices)}
        lengths = [len(charge.layers) for charge in inference]
        once = np.zeros(len(prices))
        for charge in setup:
            once[place[charge.price]] += charge.counts.sum()
        return cls(
            np.concatenate([np.zeros(0, np.int64), *(charge.layers for charge in inference)]),
            np.repeat(np.array([place[charge.price] for charge in inference], dtype=np.int64), lengths),
            np.repeat(np.array([KINDS.index(charge.kind) for charge in inference], dtype=np.int64), lengths),
            np.concatenate([np.zeros(0), *(charge.counts for charge in inference)]),
            prices,
            once,
        )

    @cached_property
    def counts(self) -> Floats:
        """Counts of an inference by price, shape (prices,)."""
        return np.bincount(self.price, self.count, len(self.prices)).astype(np.float64, copy=False)

    def headline(self) -> str:
        """Say how much is counted."""
        return f"Bill: {len(self.count)} entries of {len(self.prices)} prices"

    def __matmul__(self, prices: Priced | Mapping[Price, float]) -> Account:
        """Return the account at the prices of a chip, or at these, in J. KeyError for a price that is not given."""
        joules = joules_of(self.prices, prices)
        components = tuple(dict.fromkeys(self.prices[price].component for price in np.unique(self.price).tolist()))
        place = {component: number for number, component in enumerate(components)}
        component = np.array([place.get(price.component, -1) for price in self.prices], dtype=np.int64)
        return Account(
            self.layer,
            component[self.price],
            self.kind,
            self.count * joules[self.price],
            components,
            float(self.setup @ joules),
        )


def areas(machine: Priced) -> dict[Price, int]:
    """Return how many instances of each part a machine has: times what `joules_of` gives, in m2, they are its area."""
    counts: dict[Price, int] = {}
    for component, bank, count in machine.costs.instances():
        price = Price(component, AREA, bank)
        counts[price] = counts.get(price, 0) + count
    return counts


def joules_of(wanted: Sequence[Price], prices: Priced | Mapping[Price, float]) -> Floats:
    """Return what is paid for each price, in J (m2 for an area), shape (prices,): by a chip, or as it is given."""
    if isinstance(prices, Mapping):
        return np.array([prices[price] for price in wanted], dtype=np.float64)
    return np.array([sum(p.share * p.value for p in prices.costs.paid(*price)) for price in wanted], dtype=np.float64)
