"""Judging how accurate a program is: the same labelled samples on several chips that are not ideal, each drawn from a seed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mho.errors import OptionError
from mho.explore.accuracy import Accuracy, Subject, chip_record
from mho.explore.judge import SEED_FIELDS, Bench, Judge, Progress, Record, Task, ranged, samples_digest
from mho.explore.workers import Executor, finished
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
    workers: int | Executor = 1,
) -> Accuracy:
    """Classify all samples on the chips of the seeds analog.seed to analog.seed + seeds - 1; one alone where nothing is drawn.

        samples = mho.network.samples.load_samples("test.npz", network)
        found = mho.explore.evaluate(program, samples, mho.machine.Analog.load("six-bits.yaml"))
        found.accuracy, found.seed_interval, found.sample_interval, found.to_dict()

    The largest element of the first output is the class. `calibration`: samples that set the range of ADCs whose range is
    calibrated; `samples` where none are given. `done` keeps what is finished (Store("results.jsonl")), so that the next
    call goes on from there. `backend`: as for `execute`; `workers`: processes that execute chips, or a cluster; neither changes a
    result. Raises OptionError where labels are missing or name no class, ProgramError where the program holds
    no weights or no calibrated activations, AnalogError where `analog` does not fit the chip.
    """
    judged = Evaluations(samples, seeds, calibration, progress, done, backend, workers)
    (found,) = judged([Case(lambda: program, Analog() if analog is None else analog)])
    return found


@dataclass(frozen=True)
class Case:
    """What gives a program, and the analog side on which it is judged; `says` words what is being done."""

    program: Callable[[], Program]
    analog: Analog
    says: Callable[[str], str] = str


class Evaluations:
    """Cases judged on the same samples: the chips of all are shared out among the workers. Arguments as for `evaluate`."""

    def __init__(
        self,
        samples: Samples,
        seeds: int = SEEDS,
        calibration: Samples | None = None,
        progress: Progress | None = None,
        done: Store | None = None,
        backend: str = "compiled",
        workers: int | Executor = 1,
    ) -> None:
        if seeds < 1:
            raise OptionError(f"seeds must be at least 1, not {seeds}")
        self.samples, self.seeds, self.calibration, self.backend = samples, seeds, calibration, backend
        self._done, self._workers, self._progress = Store() if done is None else done, workers, progress
        self._executed = self._total = 0
        self._found: list[Accuracy] = []
        self._known: dict[str, Record] = {}
        self._under_way: dict[str, Task] = {}
        self._begun: deque[Evaluation] = deque()
        self._keys: dict[str, None] = {}

    def __call__(self, cases: Sequence[Case]) -> list[Accuracy]:
        """Return the accuracy of each case; a program is made when it is needed, and not kept for longer."""
        self._executed, self._total, self._found = 0, sum(map(self._expected, cases)), []
        bench = Bench(self.samples, self.backend, self.tell if self._workers == 1 else None)
        for _, (key, record) in finished(bench, self._tasks(cases), self._workers):
            self._known[key] = self._done.put(key, record)
            task = self._under_way.pop(key)
            self._executed += task.samples
            self.tell(task.what)
            self._end()
        # In the order in which one worker makes them, in the places that they have: others stay where they are.
        ordered = (key for key in self._keys if key in self._done)
        self._done.arrange([next(ordered) if key in self._keys else key for key in self._done])
        return self._found

    def tell(self, what: str, executed: int = 0) -> None:
        """Tell what is being done, and how many samples have been executed, so many of them by what is under way."""
        if self._progress is not None:
            self._progress(what, self._executed + executed, self._total)

    def record(self, key: str, fields: Sequence[str]) -> Record | None:
        """Return a record, None where it is not known yet."""
        if key not in self._known and (kept := self._done.get(key, fields)) is not None:
            self._known[key] = kept
        return self._known.get(key)

    def _expected(self, case: Case) -> int:
        """Return how many samples a case takes, where nothing is kept."""
        return len(self.samples) * (self.seeds if draws(case.analog) else 1)

    def _tasks(self, cases: Sequence[Case]) -> Iterator[Task | None]:
        """Yield what is not kept; None while what comes next rests on what is under way."""
        for case in cases:
            begun = Evaluation(case.program(), case.analog, self)
            self._total += len(self.samples) * begun.missing() - self._expected(case)
            self._keys |= dict.fromkeys(begun.keys)
            self._begun.append(begun)
            for task in begun.tasks():
                if task is None:
                    yield None
                elif task.key not in self._under_way:
                    self._under_way[task.key] = task = replace(task, what=case.says(task.what))
                    self.tell(task.what)
                    yield task
            self._end()

    def _end(self) -> None:
        """Take the accuracies of cases of which all records are known."""
        while self._begun and all(key in self._known for key in self._begun[0].needed):
            self._found.append(self._begun.popleft().accuracy())


class Evaluation:
    """A program judged on one analog side: what is computed for it, and what follows from that."""

    def __init__(self, program: Program, analog: Analog, among: Evaluations) -> None:
        self.program, self.analog, self.among = program, analog, among
        self.judge = Judge(program, among.samples, among.backend)
        self.drawn = draws(analog, program.chip.array.adc_bits)
        self.measured = few(among.calibration or among.samples, program.network.batch)
        self.references, self.ranges = self.judge.references(), self.judge.ranges(analog, self.measured)
        kind = without_seed(analog)
        if self.ranges is not None:
            # The ranges are those of the first chip.
            kind["ranges of"] = analog.seed
        rests_on = [*self.judge.digests, samples_digest(self.measured), kind]
        seeds = range(analog.seed, analog.seed + (among.seeds if self.drawn else 1))
        self.chips = {seed: key_of(Judge.__module__, "seed", *rests_on, seed) for seed in seeds}

    @property
    def needed(self) -> tuple[str, ...]:
        """The keys of the records that the accuracy follows from."""
        return (*(task.key for task in self.references), *self.chips.values())

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all records, in the order in which one worker makes them."""
        first = self.references if self.ranges is None else (*self.references, self.ranges)
        return (*(task.key for task in first), *self.chips.values())

    def missing(self) -> int:
        """Return how many chips are not executed yet."""
        return sum(self.among.record(key, SEED_FIELDS) is None for key in self.chips.values())

    def tasks(self) -> Iterator[Task | None]:
        """Yield what is not known: what the chips are compared with and set by, then these; None while they have to wait."""
        first = [*self.references, *([self.ranges] if self.ranges is not None and self.missing() else [])]
        yield from (task for task in first if self._of(task) is None)
        while not all(map(self._of, first)):
            yield None
        ready = self.analog if self.ranges is None or not self.missing() else ranged(self.analog, self._of(self.ranges))
        predictions = self._of(self.references[0])["predictions"]
        for number, (seed, key) in enumerate(self.chips.items(), start=1):
            if self.among.record(key, SEED_FIELDS) is None:
                what = f"chip {number} of {len(self.chips)}" if self.drawn else "the chip"
                yield self.judge.chip(key, what, ready.override({"seed": seed}), predictions)

    def _of(self, task: Task) -> Any:
        return self.among.record(task.key, task.fields)

    def accuracy(self) -> Accuracy:
        """Return what was found, once all records are known."""
        program, analog = self.program, self.analog
        right = [self._of(task)["right"] for task in self.references]
        records: list[Any] = [self.among.record(key, SEED_FIELDS) for key in self.chips.values()]
        return Accuracy(
            subject=Subject.of(program, self.among.samples),
            chip=chip_record(program),
            analog=analog,
            draws=self.drawn,
            seeds=tuple(self.chips),
            right=tuple(record["right"] for record in records),
            agreeing=tuple(record["agreeing"] for record in records),
            right_in_integers=right[0],
            right_in_float=right[1] if len(right) > 1 else None,
            layers=_pooled(records),
            converters=resolution(program, analog).to_dict(),
            notes=_notes(program, analog, self.drawn, self.among.seeds, self.measured),
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
