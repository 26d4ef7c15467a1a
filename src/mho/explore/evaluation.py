"""Judging how accurate a program is: the same labelled samples on several chips that are not ideal, each drawn from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mho.errors import OptionError
from mho.explore.accuracy import Accuracy, Subject, chip_record
from mho.explore.judge import SEED_FIELDS, Judge, Progress, samples_digest
from mho.files.store import Store, key_of
from mho.machine.analog.signals import LayerSignal
from mho.machine.analog.spec import Analog
from mho.machine.resolution import resolution
from mho.program import Program

if TYPE_CHECKING:
    from mho.network.samples import Samples

SEEDS = 5
"""Chips that are drawn where nothing else is asked for."""
LEAST_FOR_ESTIMATE = 3
"""Fewer seeds than these say little about the spread: their interval is told, with a warning."""

CALIBRATED_ON = 32
"""Samples that set the ranges of ADCs, at the most: each gives sums by the million."""


def draws(analog: Analog, adc_bits: int | None = None) -> bool:
    """Return whether chips differ: else one seed tells all. `adc_bits`: those of the chip's ADCs, where known."""
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
) -> Accuracy:
    """Classify all samples on the chips of the seeds analog.seed to analog.seed + seeds - 1; one alone where nothing is drawn.

        samples = mho.network.samples.load_samples("test.npz", network)
        found = mho.explore.evaluate(program, samples, mho.machine.Analog.load("six-bits.yaml"))
        found.accuracy, found.seed_interval, found.sample_interval, found.to_dict()

    The largest element of the first output is the class. `calibration`: samples that set the range of ADCs whose range is
    calibrated; `samples` where none are given. `done` keeps what is finished (Store("results.jsonl")), so that the next
    call goes on from there. `backend`: as for `execute`; none changes a result. Raises OptionError where labels are missing or
    name no class, ProgramError where the program holds
    no weights or no calibrated activations, AnalogError where `analog` does not fit the chip.
    """
    if seeds < 1:
        raise OptionError(f"seeds must be at least 1, not {seeds}")
    analog = Analog() if analog is None else analog
    done = Store() if done is None else done
    run = Judge(program, samples, done, progress, backend)
    drawn = draws(analog, program.chip.array.adc_bits)
    count = seeds if drawn else 1
    measured = few(calibration or samples, program.network.batch)
    keys = _keys(run, analog, measured, count)
    run.total = len(samples) * sum(done.get(key, SEED_FIELDS) is None for key in keys.values())
    predictions, in_integers, in_float = run.references()
    records = _records(run, keys, analog, measured, predictions, drawn)
    return Accuracy(
        subject=Subject.of(program, samples),
        chip=chip_record(program),
        analog=analog,
        draws=drawn,
        seeds=tuple(keys),
        right=tuple(record["right"] for record in records),
        agreeing=tuple(record["agreeing"] for record in records),
        right_in_integers=in_integers,
        right_in_float=in_float,
        layers=_pooled(records),
        converters=resolution(program, analog).to_dict(),
        notes=_notes(program, analog, drawn, seeds, measured),
    )


def _keys(run: Judge, analog: Analog, measured: Samples, count: int) -> dict[int, str]:
    """Return under what the record of each seed is kept: all that it follows from."""
    kind = without_seed(analog)
    if analog.adc.range == "calibrated" and analog.limits is None:
        # The ranges are those of the first chip.
        kind["ranges of"] = analog.seed
    return {
        seed: key_of(__name__, "seed", run.program_digest, run.samples_digest, samples_digest(measured), kind, seed)
        for seed in range(analog.seed, analog.seed + count)
    }


def _records(
    run: Judge, keys: dict[int, str], analog: Analog, measured: Samples, predictions: Any, drawn: bool
) -> list[dict[str, Any]]:
    """Return what each seed gave, executing those that are not kept."""
    ready: Analog | None = None
    records = []
    for number, (seed, key) in enumerate(keys.items(), start=1):
        record = run.done.get(key, SEED_FIELDS)
        if record is None:
            if ready is None:
                ready = run.calibrated(analog, measured)
            what = f"chip {number} of {len(keys)}" if drawn else "the chip"
            record = run.done.put(key, run.seed(ready.override({"seed": seed}), predictions, what))
        records.append(record)
    return records


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
            so_far = sums.setdefault(name, [0, 0, 0.0, 0.0])
            sums[name] = [before + more for before, more in zip(so_far, counts, strict=True)]
    return tuple(LayerSignal(name, *counts) for name, counts in sums.items())


def synthetic(program: Program) -> list[str]:
    """Return the note that weights are of no trained network, where they are not."""
    said = f"weights are synthetic ({program.network.origin}): these accuracies are those of no trained network"
    return [said] if "synthetic" in program.network.origin else []


def _notes(program: Program, analog: Analog, drawn: bool, seeds: int, measured: Samples) -> tuple[str, ...]:
    """Say what the accuracy rests on."""
    notes = synthetic(program)
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
        f"device {device.name}, source: {' '.join(str(text).split())}" for text in device.content["sources"].values()
    ]
    # What the chip file assumes of time and energy has no say in accuracy.
    of_program = [note for note in program.notes if note not in program.chip.notes]
    return tuple(dict.fromkeys((*notes, *of_program)))
