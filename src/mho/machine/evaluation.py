"""How accurate a program is on chips that are not ideal: the same labelled samples on several chips, each drawn from a seed.

Two things are uncertain, and told apart: how far the mean over the chips drawn is from that over all chips of the kind
(Student's t over the seeds), and how far the accuracy on these samples is from that on all samples of the kind (Wilson's
binomial interval). More seeds narrow the first alone, more samples the second alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mho.errors import OptionError, ProgramError
from mho.files.store import Store, key_of
from mho.machine.analog.signals import LayerSignal
from mho.machine.analog.spec import Analog
from mho.machine.intervals import Mean, student, wilson
from mho.machine.judge import SEED_FIELDS, Progress, Run, samples_digest
from mho.machine.remedy import Remedy
from mho.machine.resolution import Resolution, resolution
from mho.number.accuracy import checked_labels
from mho.program import Program
from mho.shown import Columns, Shown, columns
from mho.version import __version__

if TYPE_CHECKING:
    from mho.network.samples import Samples

SCHEMA = "mho.accuracy/1"
SEEDS = 5
"""Chips that are drawn where nothing else is asked for."""
LEAST_FOR_ESTIMATE = 3
"""Fewer seeds than these say little about the spread: their interval is told, with a warning."""

CALIBRATED_ON = 32
"""Samples that set the ranges of ADCs, at the most: each gives sums by the million."""


@dataclass(frozen=True, repr=False)
class Evaluation(Shown):
    """The accuracy of a program on the chips that the seeds draw.

    right, agreeing: for each seed, how many samples are classified rightly, and how many as by the integers. `draws` says
    whether chips differ at all. `layers` adds up what the seeds saw, in the order of execution. right_in_float is None where
    the float weights are not known. `remedies`: what may bring back accuracy that converters lose, None where it was not tried
    (`machine.advice`).
    """

    program: Program
    analog: Analog
    data: str
    samples: int
    draws: bool
    seeds: tuple[int, ...]
    right: tuple[int, ...]
    agreeing: tuple[int, ...]
    right_in_integers: int
    right_in_float: int | None
    layers: tuple[LayerSignal, ...]
    notes: tuple[str, ...]
    remedies: tuple[Remedy, ...] | None = None

    @cached_property
    def resolution(self) -> Resolution:
        """Which sums the converters resolve."""
        return resolution(self.program, self.analog)

    def headline(self) -> str:
        """Say what was evaluated where."""
        return f"Evaluation: {self.program.network.name} on {self.program.chip.name}, {self.samples} samples"

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return the accuracies in per cent, with half of the 95 % interval over chips."""
        half = self.over_seeds.half
        around = "" if half is None else f" ± {100 * half:.2f}"
        float_ = () if self.in_float is None else (("float", f"{100 * self.in_float:.2f} %"),)
        return (
            *float_,
            ("8-bit integers", f"{100 * self.in_integers:.2f} %"),
            ("on the chip", f"{100 * self.accuracy:.2f}{around} %, {len(self.seeds)} drawn"),
            ("converters", str(self.resolution)),
            ("weights", self.program.network.origin),
        )

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `layers` with signal-to-noise ratios and conversions clipped, `chips` with accuracies by seed."""
        return {
            "layers": lambda: columns(self.to_dict()["layers"]),
            "chips": lambda: {
                "seed": list(self.seeds),
                "accuracy": list(self.accuracies),
                "agreement": [count / self.samples for count in self.agreeing],
            },
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
        found = self.over_seeds
        return None if found.half is None else (max(found.mean - found.half, 0.0), min(found.mean + found.half, 1.0))

    @property
    def sample_interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy on all samples of this kind, for these chips."""
        return wilson(self.accuracy, self.samples)

    @property
    def agreement(self) -> float:
        """The share of samples, over all seeds, that are classified as by the integers."""
        return sum(self.agreeing) / (self.samples * len(self.seeds))

    @property
    def in_integers(self) -> float:
        """The accuracy of the 8-bit integers: of the same program on an ideal chip."""
        return self.right_in_integers / self.samples

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
        found = self.over_seeds
        return {
            "schema": SCHEMA,
            "version": __version__,
            "model": self.program.network.name,
            "weights_origin": self.program.network.origin,
            "chip": {"name": self.program.chip.name, "digest": self.program.chip.digest},
            "schedule": self.program.schedule,
            "strategy": self.program.strategy.to_dict(),
            "data": self.data,
            "samples": self.samples,
            "analog": self.analog.to_dict(),
            "draws": self.draws,
            "seeds": list(self.seeds),
            "accuracy": {
                "float": self.in_float,
                "integers": self.in_integers,
                "chip": {
                    "mean": found.mean,
                    "deviation": found.deviation,
                    "least": min(self.accuracies),
                    "most": max(self.accuracies),
                    "by_seed": list(self.accuracies),
                    "interval_over_seeds": None if self.seed_interval is None else list(self.seed_interval),
                    "interval_over_samples": list(self.sample_interval),
                },
            },
            "agreement": {"mean": self.agreement, "by_seed": [count / self.samples for count in self.agreeing]},
            "clip_rate": self.clip_rate,
            "converters": self.resolution.to_dict(),
            "remedies": None if self.remedies is None else [remedy.to_dict() for remedy in self.remedies],
            "layers": [
                {
                    "name": layer.name,
                    "conversions": layer.conversions,
                    "clipped": layer.clipped,
                    "clip_rate": layer.clip_rate,
                    "signal": layer.signal,
                    "noise": layer.noise,
                    "snr_db": decibels(layer),
                }
                for layer in self.layers
            ],
            "notes": list(self.notes),
        }


def decibels(layer: LayerSignal) -> float | None:
    """Return a layer's signal-to-noise ratio; None where its sums are exact, or where it got no signal."""
    return layer.snr_db if math.isfinite(layer.snr_db) else None


def draws(analog: Analog, adc_bits: int | None = None) -> bool:
    """Whether chips differ: else all are alike, and one seed tells all. `adc_bits`: those of the chip's ADCs, where known."""
    adc, device = analog.adc, analog.device
    bits = adc_bits if adc.bits == "chip" else adc.bits
    noisy = adc.effective_bits is not None and adc.effective_bits != bits
    varies = device.differs(analog.age_s, analog.writes)
    return bool(varies or noisy or adc.gain_error or adc.offset_error)


def evaluate(
    program: Program,
    samples: Samples,
    analog: Analog | None = None,
    *,
    seeds: int = SEEDS,
    calibration: Samples | None = None,
    progress: Progress | None = None,
    done: Store | None = None,
    backend: str = "compiled",
) -> Evaluation:
    """Classify all samples on the chips of the seeds analog.seed to analog.seed + seeds - 1; one alone where nothing is drawn.

        samples = mho.network.samples.load_samples("test.npz", network)
        found = mho.machine.evaluate(program, samples, mho.machine.Analog.load("six-bits.yaml"))
        found.accuracy, found.seed_interval, found.sample_interval, found.to_dict()

    The largest element of the first output is the class. `calibration`: samples that set the range of ADCs whose range is
    calibrated; `samples` where none are given. `done` keeps what is finished (Store("results.jsonl")), so that the next
    call goes on from there. `backend`: as for `execute`; none changes a result. Raises OptionError where labels are missing or
    name no class, ProgramError where the program holds
    no weights or no calibrated activations, AnalogError where `analog` does not fit the chip.
    """
    if seeds < 1:
        raise OptionError(f"seeds must be at least 1, not {seeds}")
    quantised = program.quantised
    if quantised is None or not quantised.executable:
        raise ProgramError(f"{program.network.name} has no weights, or no calibrated activations, to execute")
    checked_labels(program.network, samples)
    analog = Analog() if analog is None else analog
    done = Store() if done is None else done
    drawn = draws(analog, program.chip.array.adc_bits)
    count = seeds if drawn else 1
    run = Run(program, samples, done, progress, backend)
    measured = few(calibration or samples, program.network.batch)
    kind = without_seed(analog)
    if analog.adc.range == "calibrated" and analog.limits is None:
        # The ranges are those of the first chip.
        kind["ranges of"] = analog.seed
    keys = {
        seed: key_of(__name__, "seed", run.program_digest, run.samples_digest, samples_digest(measured), kind, seed)
        for seed in range(analog.seed, analog.seed + count)
    }
    run.total = len(samples) * sum(done.get(key, SEED_FIELDS) is None for key in keys.values())
    predictions, in_integers, in_float = run.references()
    ready: Analog | None = None
    records = []
    for number, (seed, key) in enumerate(keys.items(), start=1):
        record = done.get(key, SEED_FIELDS)
        if record is None:
            if ready is None:
                ready = run.calibrated(analog, measured)
            what = f"chip {number} of {count}" if drawn else "the chip"
            record = done.put(key, run.seed(ready.override({"seed": seed}), predictions, what))
        records.append(record)
    return Evaluation(
        program=program,
        analog=analog,
        data=samples.origin,
        samples=len(samples),
        draws=drawn,
        seeds=tuple(keys),
        right=tuple(record["right"] for record in records),
        agreeing=tuple(record["agreeing"] for record in records),
        right_in_integers=in_integers,
        right_in_float=in_float,
        layers=_pooled(records),
        notes=_notes(program, analog, drawn, seeds, measured),
    )


def few(samples: Samples, batch: int) -> Samples:
    """Return the samples that set the ranges of ADCs."""
    count = min(CALIBRATED_ON, len(samples)) // batch * batch
    return samples.spread(max(count, batch))


def without_seed(analog: Analog) -> dict[str, Any]:
    """Return what a chip follows from, besides its seed."""
    return {key: value for key, value in analog.to_dict().items() if key not in ("name", "seed")}


def _pooled(records: list[dict[str, Any]]) -> tuple[LayerSignal, ...]:
    """Add up, layer by layer, what the seeds saw."""
    sums: dict[str, list[Any]] = {}
    for record in records:
        for name, *counts in record["layers"]:
            held = sums.setdefault(name, [0, 0, 0.0, 0.0])
            sums[name] = [before + more for before, more in zip(held, counts, strict=True)]
    return tuple(LayerSignal(name, *counts) for name, counts in sums.items())


def _notes(program: Program, analog: Analog, drawn: bool, seeds: int, measured: Samples) -> tuple[str, ...]:
    """Say what the accuracy rests on."""
    notes = []
    if "synthetic" in program.network.origin:
        notes.append(
            f"weights are synthetic ({program.network.origin}): these accuracies are those of no trained network"
        )
    if not drawn:
        notes.append(
            "nothing is drawn from the seed (no variation, no faults, no noise): all chips are alike, one was executed"
        )
    elif seeds == 1:
        notes.append("one chip was drawn: nothing is known of the spread over chips (more: --seeds)")
    elif seeds < LEAST_FOR_ESTIMATE:
        notes.append(f"{seeds} chips say little about the spread over chips: the interval is as wide as that makes it")
    if analog.adc.range == "calibrated" and analog.limits is None:
        notes.append(f"ADC ranges are those of the first chip on {measured.origin}")
    device = analog.device
    laws = [law for law in device.laws.values() if not law.exact]
    if analog.age_s and not any(law.ages for law in laws):
        notes.append(f"age_s {analog.age_s:g} changes nothing: device {device.name} neither drifts nor relaxes")
    if analog.writes and not any(law.wears for law in laws):
        notes.append(f"writes {analog.writes:g} change nothing: cells of device {device.name} never fail")
    notes.append(f"device {device.name}: {' '.join(device.description.split())}".rstrip(": "))
    notes += [
        f"device {device.name}, source: {' '.join(str(each).split())}" for each in device.content["sources"].values()
    ]
    # What the chip file assumes of time and energy has no say in accuracy.
    of_program = [note for note in program.notes if note not in program.chip.notes]
    return tuple(dict.fromkeys((*notes, *of_program)))
