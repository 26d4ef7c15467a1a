"""How sure energies and areas are: priced by every set of constants that published sources allow, with what decides.

found = mho.robust({"overlap": report, "aras": other, "array": baseline})
found.interval("aras")                     90 % of the draws lie here, in J
found.verdict("aras", "array")             decided, or undecided with where each constant flips it
found.tornado("aras", "overlap")           what each constant alone does to the saving
found.wanted("aras", "overlap", 0.28)      what one would have to believe
found.areas.interval("aras")               the same of areas, in m2

Energy is linear in the figures of components: what a program is charged for does not depend on them (`mho.machine.bill`). So a draw
costs a few multiplications, the same draw prices all programs, and the ends of a difference are at ends of the constants, exactly.
What prices decided (banks, a plan made for energy) stays as it was, and times do not change: constants that change these (pulse
length, ADC period) are other chips, compiled again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from mho.engineering import percent, quantity
from mho.errors import OptionError, choices
from mho.files.outcome import MeasuredOutcome, plain
from mho.machine.bill import Bill, Priced, areas
from mho.machine.pricing import Alternatives, Constant, Linear, linear
from mho.machine.verdict import AREA, ENERGY, Flip, Verdict
from mho.shown import Columns, columns
from mho.version import __version__

Floats = npt.NDArray[np.float64]
SCHEMA = "mho.robust/1"
DRAWS, MOST_DRAWS = 2000, 10_000_000
SHARE = 0.9
"""Share of the draws that an interval holds, as many below it as above."""
NOTES = (
    "constants are drawn independently of one another over the ranges that their files name; of components with alternatives "
    "one is drawn, whole: shares of draws say as much about these ranges as about the designs, verdicts do not",
    "times are as they are, and so is what prices decided (banks, plans made for energy): only energies are priced again",
)


class Measured(Protocol):
    """What has a bill: a report of a program, a service of look-ups, or a run of a baseline."""

    @property
    def bill(self) -> Bill:
        """All that energy is paid for."""


@dataclass(frozen=True, eq=False, repr=False)
class Robust(MeasuredOutcome):
    """Programs priced by draws of constants; see `robust`. Its data (schema mho.robust/1) compare each with the first."""

    schema: ClassVar[str] = SCHEMA
    needs: ClassVar[tuple[str, ...]] = (
        "version",
        "draws",
        "seed",
        "energies",
        "constants",
        "alternatives",
        "verdicts",
        "notes",
    )
    what: ClassVar[str] = ENERGY

    energies: Mapping[str, Linear]
    constants: Mapping[str, Constant]
    alternatives: Mapping[str, Alternatives]
    draws: int
    seed: int
    asked: float | None = None
    """The saving over the first for which `wanted` is told."""
    taken: Mapping[str, Linear] = field(default_factory=dict)
    """Area in m2 as a linear function of constants, by name, of those that take some."""

    @property
    def areas(self) -> Robust:
        """The same of areas: its intervals and verdicts are in m2, under the same draws."""
        return Areas(self.taken, self.constants, self.alternatives, self.draws, self.seed)

    def headline(self) -> str:
        """Say what was priced."""
        content = self.content
        doubts = len(content["constants"]) + len(content["alternatives"])
        names = ", ".join(each["name"] for each in content["energies"])
        return f"Robust: {names} under {doubts} constants of published ranges, {content['draws']:,} draws"

    def facts(self) -> Sequence[tuple[str, str]]:
        """Return each energy with its interval, and each against the first."""
        lines = [
            (
                each["name"],
                f"{quantity(each['energy_j'], 'J')}, {percent(SHARE, 1)} of draws from {quantity(each['low_j'], 'J')} to "
                f"{quantity(each['high_j'], 'J')}",
            )
            for each in self.content["energies"]
        ]
        return [*lines, *(("verdict", each["said"]) for each in self.content["verdicts"])]

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `energies` in J, `constants`, and `tornado`: savings over the first at the ends of each constant."""
        return {
            "energies": lambda: columns(self.content["energies"]),
            "constants": lambda: columns(
                {key: value for key, value in each.items() if key != "sources"} for each in self.content["constants"]
            ),
            "tornado": lambda: columns(
                {"name": each["name"], "over": each["over"], **line}
                for each in self.content["verdicts"]
                for line in each["tornado"]
            ),
        }

    def _content(self) -> dict[str, Any]:
        names = list(self.energies)
        content = {
            "schema": SCHEMA,
            "version": __version__,
            "draws": self.draws,
            "seed": self.seed,
            "share": SHARE,
            "energies": [
                {"name": name, "energy_j": self.energy(name), "low_j": low, "high_j": high}
                for name in names
                for low, high in [self.interval(name)]
            ],
            "constants": [vars(each) for each in self.constants.values()],
            "alternatives": [vars(each) for each in self.alternatives.values()],
            "verdicts": [self._compared(name, names[0]) for name in names[1:]],
            "areas": [self._area(name, names[0]) for name in names],
            "notes": list(NOTES),
        }
        return plain(content)

    def _area(self, name: str, over: str) -> dict[str, Any]:
        areas, (low, high) = self.areas, self.areas.interval(name)
        verdict = None if name == over else areas.verdict(name, over)
        return {
            "name": name,
            "area_m2": areas.energy(name),
            "low_m2": low,
            "high_m2": high,
            "decided": None if verdict is None else verdict.decided,
            "said": None if verdict is None else str(verdict),
        }

    def _compared(self, name: str, over: str) -> dict[str, Any]:
        verdict, (saving, low, high) = self.verdict(name, over), self.saving(name, over)
        told: dict[str, Any] = {
            "name": name,
            "over": over,
            "saving": saving,
            "low": low,
            "high": high,
            "least_j": verdict.least,
            "most_j": verdict.most,
            "decided": verdict.decided,
            "said": str(verdict),
            "flips": [vars(flip) for flip in verdict.flips],
            "share": verdict.share,
            "tornado": [{"constant": key, "low": one, "high": two} for key, one, two in self.tornado(name, over)],
        }
        if self.asked is not None:
            told["wanted"] = {"saving": self.asked, "constants": self.wanted(name, over, self.asked)}
        return told

    def energy(self, name: str, **values: float) -> float:
        """Return the energy in J at the chip's own constants, but for these, by name."""
        linear = self._linear(name)
        rates = sum(rate * values.get(key, self.constants[key].value) for key, rate in linear.rates.items())
        return linear.fixed + rates + sum(joules[0] for joules in linear.chosen.values())

    def sampled(self, name: str) -> Floats:
        """Return the energies in J of all draws, shape (draws,): draw i of every program is of the same constants."""
        linear = self._linear(name)
        joules = np.full(self.draws, linear.fixed)
        for key, rate in linear.rates.items():
            joules += rate * self._drawn[key]
        for key, each in linear.chosen.items():
            joules += np.array(each)[self._picked[key]]
        return joules

    def interval(self, name: str, share: float = SHARE) -> tuple[float, float]:
        """Return between which energies in J a share of the draws lies."""
        return _within(self.sampled(name), share)

    def saving(self, name: str, other: str, share: float = SHARE) -> tuple[float, float, float]:
        """Return what share of another's energy a program saves: at the chip's constants, and where a share of the draws lies."""
        sampled = 1.0 - self.sampled(name) / self.sampled(other)
        return 1.0 - self.energy(name) / self.energy(other), *_within(sampled, share)

    def factor(self, name: str, other: str, share: float = SHARE) -> dict[str, Any]:
        """Return how many times what a program takes another does: here, and between which factors a share of the draws lies; and
        what is said of it. Of two that take nothing the factor is 1.
        """
        verdict = self.verdict(name, other)
        if self.energy(name) == self.energy(other) == 0.0:
            factor = low = high = 1.0
        else:
            factor = self.energy(other) / self.energy(name)
            low, high = _within(self.sampled(other) / self.sampled(name), share)
        return {"factor": factor, "low": low, "high": high, "decided": verdict.decided, "said": str(verdict)}

    def verdict(self, name: str, other: str) -> Verdict:
        """Say whether a program takes less energy than another, and what decides it."""
        nothing = 1e-12 * abs(self.energy(other))
        least, most = (0.0 if abs(end) <= nothing else end for end in self._ends(name, other))
        flips = tuple(self.break_even(name, other)) if least <= 0 <= most and least != most else ()
        share = float((self.sampled(name) < self.sampled(other)).mean())
        return Verdict(name, other, self.saving(name, other)[0], least, most, flips, share, self.what)

    def break_even(self, name: str, other: str) -> Iterator[Flip]:
        """Yield where each constant alone, within its range, makes both equal, or turns the difference round."""
        _, rates, chosen = self._difference(name, other)
        here = self.energy(other) - self.energy(name)
        for key, rate in rates.items():
            constant = self.constants[key]
            at = constant.value - here / rate if rate else math.inf
            if constant.low <= at <= constant.high:
                ends = f"{constant.said(constant.low)} to {constant.said(constant.high)}"
                yield Flip(key, constant.said(at), constant.said(constant.value), ends)
        for key, joules in chosen.items():
            named = self.alternatives[key].components
            for place, each in enumerate(joules[1:], 1):
                if (here - joules[0] + each) * here < 0:
                    yield Flip(key, named[place], named[0], "")

    def tornado(self, name: str, other: str) -> list[tuple[str, float, float]]:
        """Return for each constant what is saved at the low and the high end of it alone, the widest first."""
        linears = self._linear(name), self._linear(other)
        lines = []
        for key in sorted(set(linears[0].rates) | set(linears[1].rates)):
            ends = self.constants[key].low, self.constants[key].high
            low, high = (1 - self.energy(name, **{key: end}) / self.energy(other, **{key: end}) for end in ends)
            lines.append((key, low, high))
        for key in sorted(set(linears[0].chosen) | set(linears[1].chosen)):
            several = [linear.chosen.get(key, (0.0,)) for linear in linears]
            found = []
            for place in range(len(self.alternatives[key].components)):
                now = (
                    self.energy(each) - parts[0] + parts[min(place, len(parts) - 1)]
                    for each, parts in zip((name, other), several, strict=True)
                )
                found.append(1 - next(now) / next(now))
            lines.append((key, min(found), max(found)))
        return sorted(lines, key=lambda line: -abs(line[2] - line[1]))

    def decided_by(self, name: str) -> list[tuple[str, float, float]]:
        """Return for each constant what it alone makes of the energy in J, at its low and high end (of alternatives the least and
        the most), the widest first.
        """
        linear, here = self._linear(name), self.energy(name)
        lines = [
            (key, here + rate * (constant.low - constant.value), here + rate * (constant.high - constant.value))
            for key, rate in linear.rates.items()
            for constant in [self.constants[key]]
        ]
        lines += [(key, here - each[0] + min(each), here - each[0] + max(each)) for key, each in linear.chosen.items()]
        return sorted(lines, key=lambda line: line[1] - line[2])

    def wanted(self, name: str, other: str, saving: float) -> dict[str, float] | None:
        """Return what one would have to believe for a saving: the constants that lie least far from their values, as shares of
        their ranges, at the chip's own alternatives; None where no constants within their ranges give it.
        """
        from scipy.optimize import minimize

        one, two = self._linear(name), self._linear(other)
        keys = sorted(set(one.rates) | set(two.rates))
        rates = np.array([one.rates.get(key, 0.0) - (1 - saving) * two.rates.get(key, 0.0) for key in keys])
        always = [linear.fixed + sum(joules[0] for joules in linear.chosen.values()) for linear in (one, two)]
        fixed, constants = always[0] - (1 - saving) * always[1], [self.constants[key] for key in keys]
        scale = self.energy(other)
        usual = np.array([each.share(each.value) for each in constants])

        def missed(shares: Floats) -> float:
            return (
                float(fixed + rates @ np.array([each.at(s) for each, s in zip(constants, shares, strict=True)])) / scale
            )

        found = minimize(
            lambda shares: float(((shares - usual) ** 2).sum()), usual, bounds=[(0.0, 1.0)] * len(keys), method="SLSQP",
            constraints={"type": "eq", "fun": missed}, options={"maxiter": 500, "ftol": 1e-12},
        )  # fmt: skip
        if abs(missed(found.x)) > 1e-4:
            return None
        return {each.name: float(each.at(s)) for each, s in zip(constants, found.x, strict=True)}

    def _linear(self, name: str) -> Linear:
        if name not in self.energies:
            raise OptionError(f"nothing is called {name!r}; {choices(name, self.energies)}")
        return self.energies[name]

    def _difference(self, name: str, other: str) -> tuple[float, dict[str, float], dict[str, tuple[float, ...]]]:
        """Return what a program saves of another's energy as a linear function."""
        one, two = self._linear(name), self._linear(other)
        rates = {key: two.rates.get(key, 0.0) - one.rates.get(key, 0.0) for key in {**one.rates, **two.rates}}
        chosen = {}
        for key in {**one.chosen, **two.chosen}:
            nothing = (0.0,) * len(self.alternatives[key].components)
            pairs = zip(one.chosen.get(key, nothing), two.chosen.get(key, nothing), strict=True)
            chosen[key] = tuple(second - first for first, second in pairs)
        return two.fixed - one.fixed, rates, chosen

    def _ends(self, name: str, other: str) -> tuple[float, float]:
        """Return the least and the most that a program saves, in J, over all constants: at corners, since it is linear."""
        fixed, rates, chosen = self._difference(name, other)
        ends = [(rate * self.constants[key].low, rate * self.constants[key].high) for key, rate in rates.items()]
        ends += [(min(each), max(each)) for each in chosen.values()]
        return fixed + sum(min(pair) for pair in ends), fixed + sum(max(pair) for pair in ends)

    @cached_property
    def _drawn(self) -> dict[str, Floats]:
        """Draws of each constant; of each by itself, so that one more changes no other."""
        return {
            key: np.asarray(each.at(np.random.default_rng([self.seed, *key.encode()]).random(self.draws)))
            for key, each in self.constants.items()
        }

    @cached_property
    def _picked(self) -> dict[str, npt.NDArray[np.int64]]:
        return {
            key: np.random.default_rng([self.seed, *key.encode()]).integers(0, len(each.components), self.draws)
            for key, each in self.alternatives.items()
        }


class Areas(Robust):
    """Areas in m2 under draws of constants: what `Robust` says of energies."""

    what = AREA


def _within(values: Floats, share: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2]).tolist()
    return low, high


def robust(
    measured: Mapping[str, Measured] | Measured, *, draws: int = DRAWS, seed: int = 0, wanted: float | None = None
) -> Robust:
    """Price reports (of `mho.simulate`), services of look-ups, and runs of baselines, by draws of all constants with a spread.

    The same draw prices all of them. Figures of one component of one technology are one constant, whatever uses them; components
    with alternatives (`or:` in the chip's file) are drawn as a whole. `wanted`: a saving over the first, of which is told what one
    would have to believe. Raises OptionError for nothing to price, for draws or a saving out of range, and for a component that has
    alternatives in one place and others, or none, in another.
    """
    if not isinstance(measured, Mapping):
        measured = {"energy": measured}
    if not measured:
        raise OptionError("there is nothing to price: give reports by name")
    if isinstance(draws, bool) or not isinstance(draws, int) or not 1 <= draws <= MOST_DRAWS:
        raise OptionError(f"draws are 1 to {MOST_DRAWS:,}, not {draws!r}")
    if wanted is not None and not (len(measured) > 1 and -10 <= wanted < 1):
        raise OptionError("a saving that is wanted is a share below 1 of the energy of the first of several")
    constants: dict[str, Constant] = {}
    alternatives: dict[str, Alternatives] = {}
    energies, taken = {}, {}
    for name, each in measured.items():
        machine: Priced = _machine(each)
        bill = each.bill
        counted = zip(bill.prices, bill.counts.tolist(), strict=True)
        energies[name] = linear(machine, counted, constants, alternatives)
        taken[name] = linear(machine, areas(machine).items(), constants, alternatives)
    return Robust(energies, constants, alternatives, draws, seed, wanted, taken)


def _machine(measured: Any) -> Any:
    """Return what has the prices of a bill: a systolic array, the chip of look-ups, or that of a program."""
    return next((getattr(measured, name) for name in ("systolic", "chip") if hasattr(measured, name)), None) or (
        measured.program.chip
    )


__all__ = ["Alternatives", "Constant", "Flip", "Robust", "Verdict", "robust"]
