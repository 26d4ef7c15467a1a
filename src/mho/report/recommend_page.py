"""What a recommendation shows to a person: the table of its designs, and what its drawings are of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.engineering import count, percent, quantity, ratio
from mho.explore.recommendation import OWN, Recommendation
from mho.machine.lookup.service import Service, spread
from mho.mapping.embedding.layout import Layout
from mho.network.trace import Trace

POINTS = 240
"""Points of a curve, at most: more than a drawing can tell apart."""
NOTHING = 1.02
"""A gain of less is not worth a word."""
QUANTILES = (0, 25, 50, 75, 99, 100)

Numbers = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Curve:
    """Values that fall over their ranks, 1 to `total`; zeros are left out, and those between points of a long curve too."""

    name: str
    ranks: Ints
    values: Numbers
    total: int
    idle: int


@dataclass(frozen=True, eq=False)
class Histogram:
    """Shares of a whole in each bin, for each of some designs; a design's shares sum to 1."""

    bins: tuple[str, ...]
    shares: tuple[tuple[str, tuple[float, ...]], ...]


@dataclass(frozen=True, eq=False)
class Stack:
    """For each design an amount of each part, in the order of `parts`, and what is told at the end of its bar."""

    parts: tuple[str, ...]
    amounts: tuple[tuple[str, tuple[float, ...]], ...]
    ends: tuple[str, ...]


def pair(found: Recommendation) -> tuple[str, ...]:
    """Return what is shown as before and after: the design that others are told against, and the one that is chosen."""
    return tuple(dict.fromkeys((found.against, found.chosen)))


def falling(name: str, values: npt.ArrayLike) -> Curve:
    """Sort values and keep as many as a drawing can show, evenly spread over the logarithm of their ranks."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))[::-1]
    used = int(np.count_nonzero(ordered > 0))
    ranks = np.unique(np.round(np.geomspace(1, used, POINTS)).astype(np.int64)) if used else np.zeros(0, dtype=np.int64)
    return Curve(name, ranks, ordered[ranks - 1], len(ordered), len(ordered) - used)


def loads(found: Recommendation) -> tuple[Curve, ...]:
    """Return the activations of each instance while the test was served, before and after."""
    return tuple(falling(name, found.services[name].loads) for name in pair(found))


def asked(layout: Layout, trace: Trace) -> Ints:
    """Return how many bags of a trace touch each group: int64 (groups,)."""
    return np.bincount(layout.touched(trace) % layout.groups, minlength=layout.groups)


def expected(found: Recommendation) -> tuple[Curve, ...]:
    """Return how often 1000 bags like those of the history touch each group of the chosen layout, and each of its copies."""
    layout, history = found.designs[found.chosen].layout, found.request.history
    touched = 1000 * asked(layout, history) / max(history.bags, 1)
    each = np.repeat(touched / layout.copies, layout.copies)
    return (falling("each group", touched), falling("each copy", each))


def _bins(most: int) -> list[tuple[int, int]]:
    """Return bins that double, from 1 on, up to one that holds `most`."""
    found = [(1, 1)]
    while found[-1][1] < most:
        low = found[-1][1] + 1
        found.append((low, 2 * low - 2 if low > 2 else 2))
    return found


def _histogram(counts: Sequence[tuple[str, Ints]]) -> Histogram:
    """Return the shares of numbers from 1 on in bins that double, from how often each number occurs."""
    most = max((int(np.flatnonzero(each).max(initial=1)) for _, each in counts), default=1)
    bins = _bins(most)
    names = tuple(str(low) if low == high else f"{low}–{high}" for low, high in bins)
    shares = []
    for name, each in counts:
        whole = each[1:].sum()
        parts = [each[low : high + 1].sum() / whole if whole else 0.0 for low, high in bins]
        shares.append((name, tuple(map(float, parts))))
    return Histogram(names, tuple(shares))


def groups_touched(found: Recommendation) -> Histogram:
    """Return the shares of the test's bags, but for empty ones, by how many groups they touch, before and after."""
    test = found.test
    return _histogram(
        [(name, np.bincount(found.designs[name].layout.groups_per_bag(test), minlength=2)) for name in pair(found)]
    )


def rows_driven(found: Recommendation) -> Histogram:
    """Return the shares of activations by how many look-ups they serve, before and after."""
    return _histogram([(name, found.services[name].counted.by_rows) for name in pair(found)])


def modes(found: Recommendation) -> Stack:
    """Return the shares of activations by the bits that their ADCs resolve, the fewest first."""
    bits = sorted({bits for service in found.services.values() for bits in service.modes()})
    return Stack(
        tuple(f"{each} bits" for each in bits),
        tuple(
            (name, tuple(service.modes().get(each, 0) / max(service.activations, 1) for each in bits))
            for name, service in found.services.items()
        ),
        tuple(f"mean {mean_bits(service):.1f}" for service in found.services.values()),
    )


def mean_bits(service: Service) -> float:
    """Return the bits that an activation's ADCs resolve on average; 0 without activations."""
    return sum(bits * number for bits, number in service.modes().items()) / max(service.activations, 1)


def energies(found: Recommendation) -> Stack:
    """Return the joules of a query by component, the component that takes most over all designs first."""
    sums: dict[str, dict[str, float]] = {}
    for name, service in found.services.items():
        for (component, _), joules in service.energy.items():
            of_designs = sums.setdefault(component, {})
            of_designs[name] = of_designs.get(name, 0.0) + joules / max(service.queries, 1)
    parts = sorted((each for each in sums if any(sums[each].values())), key=lambda each: -sum(sums[each].values()))
    amounts = tuple((name, tuple(sums[part].get(name, 0.0) for part in parts)) for name in found.services)
    return Stack(tuple(parts), amounts, tuple(quantity(sum(each), "J") for _, each in amounts))


def batch_times(found: Recommendation) -> tuple[tuple[str, tuple[float, ...]], ...]:
    """Return the `QUANTILES` of the times of batches, by design."""
    return tuple(
        (name, tuple(np.percentile(service.batch_s, QUANTILES).tolist())) for name, service in found.services.items()
    )


def measures(found: Recommendation) -> list[tuple[str, list[str]]]:
    """Return the table of designs, a line for each measure: what, and how much for each design."""
    services = list(found.services.values())

    def line(what: str, tell: Callable[[Service], str]) -> tuple[str, list[str]]:
        return what, [tell(service) for service in services]

    gains = [found.gain(name) for name in found.designs]
    against = found.against
    return [
        line("activations a bag", lambda each: count(each.activations / max(each.bags, 1))),
        line("look-ups an activation", lambda each: count(each.lookups / max(each.activations, 1))),
        line("time of a batch, mean", lambda each: quantity(spread(each.batch_s)["mean"], "s")),
        line("median", lambda each: quantity(spread(each.batch_s)["p50"], "s")),
        line("99th percentile", lambda each: quantity(spread(each.batch_s)["p99"], "s")),
        line("energy of a query", lambda each: quantity(each.energy_j / max(each.queries, 1), "J")),
        line("area", lambda each: quantity(sum(each.area_m2.values()), "m²")),
        line("area, of the least", lambda each: ratio(each.layout.area_ratio)),
        line("busiest array", busiest),
        (f"time of {against} / this", [ratio(each["time"]) for each in gains]),
        (f"energy of {against} / this", [ratio(each["energy"]) for each in gains]),
    ]


def split_lines(found: Recommendation) -> list[tuple[str, str, str, str]]:
    """Return what each idea brings to the design mho: which, by how many times less time and energy, and what it is.

    Last comes the whole gain, and what copies alone bring to the naive mapping. Nothing where that design was not asked for.
    """
    if not found.taken:
        return []
    told = [(each, f"+ {each.name}") for each in found.split] + [(found.whole, "together")]
    if found.copied is not None:
        told.append((found.copied, f"{found.against}, copied"))
    return [(name, ratio(each.time), ratio(each.energy), each.says) for each, name in told]


def split_verdict(found: Recommendation) -> str:
    """Say in a sentence where the gain of the design mho comes from; nothing where it was not asked for."""
    if not found.taken:
        return ""

    def most(what: str) -> str:
        ordered = sorted(found.split, key=lambda each: -getattr(each, what))
        gained = [
            f"{each.name} ({ratio(getattr(each, what))})" for each in ordered[:2] if getattr(each, what) > NOTHING
        ]
        lost = [f"{each.name} ({ratio(getattr(each, what))})" for each in ordered if getattr(each, what) < 1 / NOTHING]
        said = f"less {what} comes from {' and '.join(gained)}" if gained else f"nothing makes it less {what}"
        return said + (f", against {' and '.join(lost)}" if lost else "")

    whole = found.whole
    return (
        f"{OWN} takes {ratio(whole.time)} less time and {ratio(whole.energy)} less energy than the naive mapping of one copy: "
        f"{most('time')}; {most('energy')}."
    )


def busiest(service: Service) -> str:
    """Return the share of the time for which the busiest instance is busy."""
    return percent(service.utilisation()["arrays_most"], 1.0)


def trace_lines(found: Recommendation) -> list[tuple[str, str, str]]:
    """Return what history and test are like: what, how much, and a remark."""
    known, test = found.statistics, found.test
    lengths = ", ".join(f"{value} for {share} %" for share, value in known.length_percentiles.items())
    lines = [
        ("rows", count(sum(known.rows)), f"in {_tables(len(known.rows))}; {count(known.distinct)} looked up"),
        ("history", f"{count(known.queries)} queries", f"{count(known.bags)} bags, {count(known.lookups)} look-ups"),
        ("test", f"{count(_queries(found))} queries", f"{count(test.bags)} bags, {count(test.lookups)} look-ups"),
        ("unseen", percent(found.unseen.lookups, 1.0), "of the test's look-ups are of rows that the history never has"),
        ("bag length", count(known.length_mean), f"up to {lengths}; at most {known.length_max}"),
    ]
    lines += [
        (f"top {100 * share:g} % of rows", percent(part, 1.0), "of the look-ups") for share, part in known.head.items()
    ]
    if known.power_law is not None:
        lines.append(("power law", f"{known.power_law.alpha:.2f}", "exponent of how often rows are looked up"))
    if known.lift is None:
        lines.append(("lift of pairs", "none", "no pair of one bag has both rows elsewhere"))
    else:
        lines.append(("lift of pairs", count(known.lift), "1: rows occur together by chance; more: grouping can gain"))
    return lines


def _tables(number: int) -> str:
    return "one table" if number == 1 else f"{number} tables"


def _queries(found: Recommendation) -> int:
    return next(iter(found.services.values())).queries


def cards(found: Recommendation) -> list[tuple[str, str, str]]:
    """Return the numbers on top of the page: what, how much, and a remark."""
    name, against = found.chosen, found.against
    service, layout = found.services[name], found.designs[name].layout
    gains, times = found.gain(name), spread(service.batch_s)

    def beside(what: str, more: str) -> str:
        return more if name == against else f"{against} takes {ratio(gains[what])} that; {more}"

    copies = layout.instances - layout.groups
    return [
        (
            "Design",
            name,
            f"least time x energy of {len(found.designs)}" if len(found.designs) > 1 else "no other was asked for",
        ),
        (
            "Time of a batch",
            quantity(times["mean"], "s"),
            beside("time", f"{quantity(times['p99'], 's')} at the 99th percentile"),
        ),
        (
            "Energy of a query",
            quantity(service.energy_j / max(service.queries, 1), "J"),
            beside("energy", "leakage included"),
        ),
        (
            "Activations of a bag",
            count(service.activations / max(service.bags, 1)),
            beside("activations", f"{count(service.lookups / max(service.activations, 1))} look-ups each"),
        ),
        (
            "Area",
            quantity(sum(service.area_m2.values()), "m²"),
            f"{ratio(layout.area_ratio)} the least that holds every row; budget {ratio(found.request.budget)}",
        ),
        ("Groups", count(layout.groups), f"{count(copies)} more copies of groups"),
        ("Busiest array", busiest(service), "of the time busy; waiting for ADCs included"),
        ("Unseen", percent(found.unseen.lookups, 1.0), "of the test's look-ups: the history never has their rows"),
    ]
