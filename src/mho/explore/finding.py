"""How far a parameter may go before accuracy is lost: the last value at which no more than so many points are, by bisection.

At each value that is looked at, the same samples are classified by the 8-bit integers and on the chip; the share that is lost has a
95 % interval over samples and chips (`intervals.paired_loss`). Samples are added, twice as many each time, until the interval
lies on one side of what may be lost, and no longer; the 95 % are shared out over these looks (Bonferroni). Where all
samples do not decide, the value is open, and counts as one at which too much may be lost. A chip that must give the
integers' outputs loses nothing, which needs no sample.

That accuracy only falls, or only rises, along the parameter is assumed, not tested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mho.explore.exploration import Exploration
from mho.explore.parameters import Number
from mho.shown import Columns, columns

SCHEMA = "mho.finding/1"

Side = Literal["within", "beyond", "open"]


@dataclass(frozen=True)
class Loss:
    """The share of samples that is lost at a value, and its interval; `samples` and `chips` are those looked at.

    `proven`: no sample was needed, since the chip must give the integers' outputs.
    """

    share: float
    low: float
    high: float
    samples: int
    chips: int
    proven: bool = False

    def side(self, allowed: float) -> Side:
        """Tell whether no more than `allowed` is lost, more, or whether that is open."""
        return "within" if self.high <= allowed else "beyond" if self.low > allowed else "open"


@dataclass(frozen=True)
class Probe:
    """One value of the parameter, and what is lost there."""

    value: Number
    loss: Loss
    side: Side

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        loss = self.loss
        return {
            "value": self.value,
            "loss": loss.share,
            "interval": [loss.low, loss.high],
            "side": self.side,
            "samples": loss.samples,
            "chips": loss.chips,
            "proven": loss.proven,
        }


@dataclass(frozen=True)
class Boundary:
    """The end of a bisection: the probes in the order in which they were made, and the last value within and the first not."""

    probes: tuple[Probe, ...]
    within: Probe | None
    beyond: Probe | None

    @property
    def upward(self) -> bool | None:
        """True where the value is the least one, beyond which all are within; None where there is no boundary."""
        return None if self.within is None or self.beyond is None else self.within.value > self.beyond.value

    @property
    def decided(self) -> bool:
        """True where the samples decided at every value that the answer rests on."""
        if self.within is None or self.beyond is None:
            return all(probe.side != "open" for probe in self.probes)
        return self.beyond.side == "beyond"


def bisect(values: tuple[Number, ...], allowed: float, measure: Callable[[Number], Loss]) -> Boundary:
    """Find the boundary between values at which no more than `allowed` is lost and the others, which are neighbours in the end.

    Takes 2 + log2(values) measures. Where both ends are on one side there is no boundary: `within` or `beyond` is None.
    """
    probes: list[Probe] = []

    def probe(index: int) -> Probe:
        loss = measure(values[index])
        probes.append(Probe(values[index], loss, loss.side(allowed)))
        return probes[-1]

    first, last = probe(0), probe(len(values) - 1)
    if (first.side == "within") == (last.side == "within"):
        both = first.side == "within"
        return Boundary(tuple(probes), last if both else None, None if both else last)
    rising = last.side == "within"
    good, bad = (last, first) if rising else (first, last)
    low, high = 0, len(values) - 1
    while high - low > 1:
        middle = (low + high) // 2
        here = probe(middle)
        if here.side == "within":
            good = here
        else:
            bad = here
        if (here.side == "within") == rising:
            high = middle
        else:
            low = middle
    return Boundary(tuple(probes), good, bad)


class Finding(Exploration):
    """The last value of a parameter at which no more than `allowed` (a share) of the samples is lost against the integers.

    A record is a value that was looked at, in the order in which that was; `parameter` says which values there were, and how
    they are spaced.
    """

    schema = SCHEMA
    within = "probes"
    needs = (
        "version", "model", "weights_origin", "schedule", "strategy", "data", "samples", "chip", "analog", "parameter", "allowed",
        "value", "side", "next", "decided", "text", "probes", "notes",
    )  # fmt: skip

    @property
    def value(self) -> Number | None:
        """The value found; None where there is no boundary in the range."""
        value: Number | None = self.content["value"]
        return value

    @property
    def sentence(self) -> str:
        """Say what was found."""
        return str(self.content["text"])

    def headline(self) -> str:
        """Say what was found."""
        return f"Finding: {self.sentence}"

    def facts(self) -> Sequence[tuple[str, str]]:
        """Return between which values, and whether the samples decided."""
        parameter = self.content["parameter"]
        ends = f"{parameter['low']:g} to {parameter['high']:g}, {parameter['resolution']}"
        return (("range", ends), ("decided", "yes" if self.content["decided"] else "no"))

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the table: `probes`, a row for each value that was looked at."""
        names = ("value", "loss", "side", "samples", "chips", "proven")
        return {
            "probes": lambda: columns(
                {**{name: probe[name] for name in names}, **dict(zip(("low", "high"), probe["interval"], strict=True))}
                for probe in self.records
            )
        }


def sentence(key: str, ends: tuple[Number, Number], allowed: float, boundary: Boundary, samples: int) -> str:
    """Say what was found of a parameter between two values, on so many samples."""
    may, whole = _points(allowed), f"from {ends[0]:g} to {ends[1]:g}"
    within, beyond, upward = boundary.within, boundary.beyond, boundary.upward
    if upward is None and within is not None:
        return f"{key}: no more than {may} lost at either end of its range, {whole}"
    if upward is None:
        undecided = " or ".join(f"{probe.value:g}" for probe in boundary.probes if probe.side == "open")
        if undecided:
            return f"{key}: at {undecided}, {samples} samples cannot decide whether no more than {may} lost"
        return f"{key}: more than {may} lost at both ends of its range, {whole}"
    assert within is not None and beyond is not None
    side = "at least" if upward else "at most"
    statement = f"{key} {side} {within.value:g}: no more than {may} lost ({_written(within.loss)})"
    if beyond.side == "beyond":
        return f"{statement}; at {beyond.value:g} more ({_written(beyond.loss)})"
    known = [probe.value for probe in boundary.probes if probe.side == "beyond"]
    nearest = "" if not known else f"; at {(max if upward else min)(known):g} more"
    return f"{statement}; at {beyond.value:g} {samples} samples cannot decide ({_written(beyond.loss)}){nearest}"


def _points(share: float) -> str:
    points = f"{100 * share:g}"
    return f"{points} point is" if points == "1" else f"{points} points are"


def _written(loss: Loss) -> str:
    if loss.proven:
        return "none: exact whatever the inputs"
    return f"{round(100 * loss.share, 2) + 0.0:.2f}, 95 % interval {100 * loss.low:.2f} to {100 * loss.high:.2f}"
