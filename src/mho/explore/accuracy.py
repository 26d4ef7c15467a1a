"""How accurate a program is on chips that are not ideal, as data (schema mho.accuracy/1, documented in docs/accuracy-analog.md).

Two things are uncertain, and told apart: how far the mean over the chips drawn is from that over all chips of the kind
(Student's t over the seeds), and how far the accuracy on these samples is from that on all samples of the kind (Wilson's
binomial interval). More seeds narrow the first alone, more samples the second alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from mho.explore.intervals import Mean, student, wilson
from mho.explore.remedy import Remedy
from mho.files.outcome import Outcome
from mho.machine.analog.signals import LayerSignal
from mho.machine.analog.spec import Analog
from mho.program import Program
from mho.shown import Columns, columns
from mho.version import __version__

if TYPE_CHECKING:
    from mho.network.samples import Samples

SCHEMA = "mho.accuracy/1"


@dataclass(frozen=True)
class Subject:
    """A program, by what it was compiled from, and the labelled samples that it is judged on."""

    model: str
    weights_origin: str
    schedule: str
    strategy: Mapping[str, Any]
    data: str
    samples: int

    @classmethod
    def of(cls, program: Program, samples: Samples) -> Subject:
        """Return what a program and samples are."""
        network = program.network
        return cls(
            network.name, network.origin, program.schedule, program.strategy.to_dict(), samples.origin, len(samples)
        )

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Subject:
        """Take the subject out of an outcome's data."""
        return cls(**{field.name: content[field.name] for field in fields(cls)})

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {**{field.name: getattr(self, field.name) for field in fields(self)}, "strategy": dict(self.strategy)}


def chip_record(program: Program) -> dict[str, str]:
    """Return the name and the digest of a program's chip."""
    return {"name": program.chip.name, "digest": program.chip.digest}


def counted(shares: list[float], samples: int) -> tuple[int, ...]:
    """Return how many of the samples shares are."""
    return tuple(round(share * samples) for share in shares)


@dataclass(frozen=True, repr=False)
class Accuracy(Outcome):
    """The accuracy of a program on the chips that the seeds draw.

        found = mho.explore.evaluate(program, samples, mho.machine.Analog.load("six-bits.yaml"))
        found.accuracy, found.seed_interval, found.sample_interval
        mho.explore.Accuracy.from_dict(found.to_dict()) == found

    right, agreeing: for each seed, how many samples are classified rightly, and how many as by the integers. `draws` says
    whether chips differ at all. `layers` adds up what the seeds saw, in the order of execution. right_in_float is None where
    the float weights are not known. `converters`: which sums they resolve (`Resolution.to_dict`). `remedies`: what may bring back
    accuracy that converters lose, None where it was not tried (`mho.explore.advice`).
    """

    subject: Subject
    chip: Mapping[str, str]
    analog: Analog
    draws: bool
    seeds: tuple[int, ...]
    right: tuple[int, ...]
    agreeing: tuple[int, ...]
    right_in_integers: int
    right_in_float: int | None
    layers: tuple[LayerSignal, ...]
    converters: Mapping[str, Any]
    notes: tuple[str, ...]
    remedies: tuple[Remedy, ...] | None = None
    version: str = __version__
    schema: ClassVar[str] = SCHEMA

    @property
    def samples(self) -> int:
        """The number of samples that were classified."""
        return self.subject.samples

    @property
    def resolved(self) -> bool:
        """True where the converters resolve every sum."""
        return not self.converters["short"]

    def headline(self) -> str:
        """Say what was evaluated where."""
        return f"Accuracy: {self.subject.model} on {self.chip['name']}, {self.samples} samples"

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return the accuracies in per cent, with half of the 95 % interval over chips."""
        half = self.over_seeds.half
        around = "" if half is None else f" ± {100 * half:.2f}"
        float_ = () if self.in_float is None else (("float", f"{100 * self.in_float:.2f} %"),)
        return (
            *float_,
            ("8-bit integers", f"{100 * self.in_integers:.2f} %"),
            ("on the chip", f"{100 * self.accuracy:.2f}{around} %, {len(self.seeds)} drawn"),
            ("converters", self.converters["text"]),
            ("weights", self.subject.weights_origin),
        )

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `layers` with signal-to-noise ratios and conversions clipped, `chips` with accuracies by seed."""
        agreement = [count / self.samples for count in self.agreeing]
        return {
            "layers": lambda: columns(map(layer_record, self.layers)),
            "chips": lambda: {"seed": list(self.seeds), "accuracy": list(self.accuracies), "agreement": agreement},
        }

    @property
    def accuracies(self) -> tuple[float, ...]:
        """The accuracy for each seed, from 0 to 1."""
        return tuple(count / self.samples for count in self.right)

    @property
    def over_seeds(self) -> Mean:
        """Mean accuracy, its standard deviation over chips and half its 95 % interval; None where one chip is all."""
        return student(self.accuracies)

    @property
    def accuracy(self) -> float:
        """The mean accuracy over the seeds, from 0 to 1."""
        return self.over_seeds.mean

    @property
    def seed_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean over all chips of this kind, on these samples; None where one chip is all."""
        spread = self.over_seeds
        if spread.half is None:
            return None
        return max(spread.mean - spread.half, 0.0), min(spread.mean + spread.half, 1.0)

    @property
    def sample_interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy on all samples of this kind, for these chips."""
        return wilson(self.accuracy, self.samples)

    @property
    def in_integers(self) -> float:
        """The accuracy of the 8-bit integers: of the same program on an ideal chip."""
        return self.right_in_integers / self.samples

    def on_chips(self) -> dict[str, Any]:
        """Return the accuracies of the chips as JSON-ready data, shares from 0 to 1."""
        spread = self.over_seeds
        return {
            "mean": spread.mean,
            "deviation": spread.deviation,
            "least": min(self.accuracies),
            "most": max(self.accuracies),
            "by_seed": list(self.accuracies),
            "interval_over_seeds": None if self.seed_interval is None else list(self.seed_interval),
            "interval_over_samples": list(self.sample_interval),
        }

    @property
    def agreement(self) -> float:
        """The share of samples, over all seeds, that are classified as by the integers."""
        return sum(self.agreeing) / (self.samples * len(self.seeds))

    @property
    def in_float(self) -> float | None:
        """The accuracy of the float network."""
        return None if self.right_in_float is None else self.right_in_float / self.samples

    @property
    def clip_rate(self) -> float:
        """The share of all conversions that clipped."""
        return sum(layer.clipped for layer in self.layers) / max(sum(layer.conversions for layer in self.layers), 1)

    def to_dict(self) -> dict[str, Any]:
        """Return everything, safe for JSON; shares are from 0 to 1, and an exact layer's SNR is null."""
        return {
            "schema": SCHEMA,
            "version": self.version,
            **self.subject.to_dict(),
            "chip": dict(self.chip),
            "analog": self.analog.to_dict(),
            "draws": self.draws,
            "seeds": list(self.seeds),
            "accuracy": {"float": self.in_float, "integers": self.in_integers, "chip": self.on_chips()},
            "agreement": {"mean": self.agreement, "by_seed": [count / self.samples for count in self.agreeing]},
            "clip_rate": self.clip_rate,
            "converters": dict(self.converters),
            "remedies": None if self.remedies is None else [remedy.to_dict() for remedy in self.remedies],
            "layers": [layer_record(layer) for layer in self.layers],
            "notes": list(self.notes),
        }

    @classmethod
    def _read(cls, content: Mapping[str, Any]) -> Accuracy:
        subject, accuracy = Subject.from_dict(content), content["accuracy"]
        remedies = content["remedies"]
        return cls(
            subject=subject,
            chip=content["chip"],
            analog=Analog.from_dict(content["analog"]),
            draws=content["draws"],
            seeds=tuple(content["seeds"]),
            right=counted(accuracy["chip"]["by_seed"], subject.samples),
            agreeing=counted(content["agreement"]["by_seed"], subject.samples),
            right_in_integers=round(accuracy["integers"] * subject.samples),
            right_in_float=None if accuracy["float"] is None else round(accuracy["float"] * subject.samples),
            layers=tuple(
                LayerSignal(*(layer[key] for key in ("name", "conversions", "clipped", "signal", "noise")))
                for layer in content["layers"]
            ),
            converters=content["converters"],
            notes=tuple(content["notes"]),
            remedies=None if remedies is None else tuple(map(Remedy.from_dict, remedies)),
            version=content["version"],
        )


def layer_record(layer: LayerSignal) -> dict[str, Any]:
    """Return what a layer's ADCs saw as JSON-ready data."""
    return {
        "name": layer.name,
        "conversions": layer.conversions,
        "clipped": layer.clipped,
        "clip_rate": layer.clip_rate,
        "signal": layer.signal,
        "noise": layer.noise,
        "snr_db": decibels(layer),
    }


def decibels(layer: LayerSignal) -> float | None:
    """Return a layer's signal-to-noise ratio; None where its sums are exact, or where it got no signal."""
    return layer.snr_db if math.isfinite(layer.snr_db) else None
