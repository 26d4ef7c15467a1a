"""Looking for how far a parameter may go: more and more samples at one value after another, until they decide.

That accuracy only falls, or only rises, along the parameter is assumed, not tested.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mho.errors import AnalogError, MappingError, OptionError
from mho.explore.accuracy import Subject, chip_record
from mho.explore.evaluation import SEEDS, draws, few, synthetic, without_seed
from mho.explore.finding import Boundary, Finding, Loss, bisect, sentence
from mho.explore.intervals import CONFIDENCE, paired_loss
from mho.explore.judge import Judge, Progress, ranged
from mho.explore.parameters import CHIP, Number, Ordered
from mho.explore.sweeps import Build, only
from mho.files.store import Store, key_of
from mho.machine.analog.spec import Analog
from mho.machine.functional import Executor
from mho.machine.resolution import proven_exact, resolution
from mho.mapping.told import integers_said
from mho.number.accuracy import right
from mho.number.reference import run_reference
from mho.program import Program
from mho.program.storage import digest

if TYPE_CHECKING:
    from mho.network.samples import Samples


FIRST = 64
"""Samples of the first look at a value."""
ORDER = 0
"""Seeds the order in which samples are taken: any few of them are to be like all, which may be sorted by class."""
RIGHT_FIELDS = ("right",)
Flags = npt.NDArray[np.bool_]


def looks(samples: int, batch: int) -> tuple[int, ...]:
    """Return after how many samples it is asked whether they decide: FIRST, twice as many, and so on to all."""
    sizes, size = [], -(-FIRST // batch) * batch
    while size < samples:
        sizes.append(size)
        size *= 2
    return (*sizes, samples)


class _Bench:
    """Measures what is lost at one value after another, on samples in one order."""

    def __init__(
        self, build: Build, key: str, run: Callable[[Program], Judge], kept: Store, measured: Samples, seeds: int
    ) -> None:
        self.build, self.key, self.run, self.kept, self.measured, self.seeds = build, key, run, kept, measured, seeds
        self.programs: dict[Number | None, Program] = {}

    def program(self, value: Number) -> Program:
        """Return the program for a value: another one for each, where it is the chip's."""
        place = value if self.key.startswith(CHIP) else None
        if place not in self.programs:
            # One program at a time is enough.
            self.programs = {place: self.build({} if place is None else {self.key.removeprefix(CHIP): value})}
        return self.programs[place]

    def analog(self, base: Analog, value: Number) -> Analog:
        """Return the analog side for a value."""
        return base if self.key.startswith(CHIP) else base.override({self.key: value})

    def measure(self, base: Analog, value: Number, allowed: float) -> Loss:
        """Look at more and more samples until they decide, or all are looked at."""
        program, analog = self.program(value), self.analog(base, value)
        if proven_exact(program, analog, resolution(program, analog)):
            return Loss(0.0, 0.0, 0.0, 0, 0, proven=True)
        run = self.run(program)
        ranges = run.ranges(analog, few(self.measured, program.network.batch))
        if ranges is None:
            ready = analog
        else:
            kept = self.kept.get(ranges.key, ranges.fields)
            ready = ranged(analog, self.kept.put(ranges.key, run.done(ranges)) if kept is None else kept)
        chips = self.seeds if draws(analog, program.chip.array.adc_bits) else 1
        sizes = looks(len(run.samples), program.network.batch)
        before: list[Flags] = []
        after: list[list[Flags]] = [[] for _ in range(chips)]
        executors: dict[int, Executor] = {}
        done = 0
        for size in sizes:
            where = f"{self.key}={value:g}, {size} samples"
            before.append(self._by_integers(run, done, size, where))
            for number in range(chips):
                seeded = ready.override({"seed": analog.seed + number})
                after[number].append(self._on_chip(run, seeded, executors, (done, size), where))
            done = size
            flags = np.stack([np.concatenate(each) for each in after])
            confidence = 1 - (1 - CONFIDENCE) / len(sizes)
            loss = Loss(*paired_loss(np.concatenate(before), flags, confidence), done, chips)
            if loss.side(allowed) != "open":
                break
        return loss

    def _by_integers(self, run: Judge, first: int, last: int, where: str) -> Flags:
        key = key_of(__name__, "right in integers", digest(run.program, values_only=True), run.digests[1], first, last)
        return self._flags(run, key, lambda x, at: run_reference(run.quantised, x), (first, last), where)

    def _on_chip(
        self, run: Judge, analog: Analog, executors: dict[int, Executor], part: tuple[int, int], where: str
    ) -> Flags:
        kind = [*run.digests, without_seed(analog), analog.seed]
        key = key_of(__name__, "right on the chip", *kind, *part)

        def scores(x: tuple[Any, ...], at: int) -> dict[str, npt.NDArray[Any]]:
            if analog.seed not in executors:
                executors[analog.seed] = Executor(run.program, analog, backend=run.backend)
            return dict(executors[analog.seed].run(x, first_sample=at))

        return self._flags(run, key, scores, part, f"{where}, seed {analog.seed}")

    def _flags(
        self, run: Judge, key: str, scores: Callable[[tuple[Any, ...], int], Any], part: tuple[int, int], where: str
    ) -> Flags:
        """Return which samples are right, from what is finished or by computing scores."""
        record = self.kept.get(key, RIGHT_FIELDS)
        if record is None:
            flags = []
            for first, last, inputs in run.parts(*part):
                run.say(where, 0)
                outputs = scores(inputs, first)[run.network.outputs[0]]
                flags.append(right(outputs, run.labels[first:last], run.samples.origin))
            record = self.kept.put(key, {"right": "".join("01"[int(flag)] for flag in np.concatenate(flags))})
        return np.array([digit == "1" for digit in record["right"]])


def find(
    program: Program | Build,
    samples: Samples,
    analog: Analog | None = None,
    *,
    over: Ordered,
    loss: float,
    seeds: int = SEEDS,
    calibration: Samples | None = None,
    progress: Progress | None = None,
    done: Store | None = None,
    backend: str = "compiled",
) -> Finding:
    """Find the least or the largest value of a parameter at which no more than `loss` points of accuracy are lost.

        found = mho.explore.find(program, samples, over=mho.explore.ordered("adc.bits"), loss=1)
        found.value, found.sentence, found.content["decided"], found.to_dict()

    `loss` is in points, against the 8-bit integers. `over` says which values there are (`ordered`); for one of the chip,
    `program` is a function that takes the chip's changes and compiles, as for `sweep`. Other arguments as for `evaluate`.
    OptionError for what cannot be asked, AnalogError, MappingError and others where a value does not fit, naming it.
    """
    if not 0 < loss < 100:
        raise OptionError(f"loss is in points of accuracy, above 0 and below 100, not {loss:g}")
    if seeds < 1:
        raise OptionError(f"seeds must be at least 1, not {seeds}")
    base, build = Analog() if analog is None else analog, program if callable(program) else only(program)
    kept = Store() if done is None else done
    order = np.random.default_rng(ORDER).permutation(len(samples))
    mixed: Samples | None = None

    def run(built: Program) -> Judge:
        nonlocal mixed
        if mixed is None:
            mixed = samples.take(order, samples.origin)
        return Judge(built, mixed, backend, None if progress is None else lambda what, _: progress(what, 0, 0))

    bench = _Bench(build, over.key, run, kept, calibration or samples, seeds)

    def measure(value: Number) -> Loss:
        try:
            return bench.measure(base, value, loss / 100)
        except (AnalogError, MappingError) as error:
            ends = f"{over.key}={over.values[0]:g}:{over.values[-1]:g}"
            raise type(error)(f"{over.key}={value:g}: {error} (a narrower range than {ends} may be given)") from None

    boundary = bisect(over.values, loss / 100, measure)
    last = bench.program(boundary.probes[-1].value)
    return Finding(_content(Subject.of(last, samples), last, base, over, loss / 100, boundary, seeds))


def _content(
    subject: Subject, program: Program, analog: Analog, over: Ordered, allowed: float, boundary: Boundary, seeds: int
) -> dict[str, Any]:
    """Return what was found as data; losses are shares."""
    low, high = over.values[0], over.values[-1]
    within, beyond, upward = boundary.within, boundary.beyond, boundary.upward
    return {
        **subject.to_dict(),
        "chip": chip_record(program),
        "analog": analog.to_dict(),
        "parameter": {
            "key": over.key,
            "low": low,
            "high": high,
            "values": len(over.values),
            "resolution": over.resolution,
        },
        "allowed": allowed,
        "value": None if within is None or upward is None else within.value,
        "side": None if upward is None else "least" if upward else "largest",
        "next": None if within is None or beyond is None else beyond.value,
        "decided": boundary.decided,
        "text": sentence(over.key, (low, high), allowed, boundary, subject.samples),
        "probes": [probe.to_dict() for probe in boundary.probes],
        "notes": list(_notes(program, over, seeds)),
    }


def _notes(program: Program, over: Ordered, seeds: int) -> tuple[str, ...]:
    """Say what a finding rests on."""
    notes = [
        f"assumed: accuracy only rises or only falls along {over.key}; values lie in {over.resolution}",
        f"a loss is against the {integers_said(program.notes)} on the same samples; its 95 % interval is over samples and, where "
        "chips differ, over chips; samples are added until it lies on one side, with the 95 % shared out over these looks",
    ]
    notes += synthetic(program)
    if seeds < 3:
        notes.append(f"{seeds} chips say little about the spread over chips, where they differ (more: --seeds)")
    return (*notes, *(note for note in program.notes if note not in program.chip.notes))
