"""How far a parameter may go before accuracy is lost: the last value at which no more than so many points are, by bisection.

At each value that is looked at, the same samples are classified by the 8-bit integers and on the chip; the share that is lost has a
95 % interval over samples and chips (`intervals.paired_loss`). Samples are added, twice as many each time, until the interval
lies on one side of what may be lost, and no longer; the 95 % are shared out over these looks (Bonferroni). Where all
samples do not decide, the value is open, and counts as one at which too much may be lost. A chip that must give the
integers' outputs loses nothing, which needs no sample.

That accuracy only falls, or only rises, along the parameter is assumed, not tested.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from mho.errors import AnalogError, MappingError, OptionError, ProgramError
from mho.files.store import Store, key_of
from mho.machine.analog.spec import Analog
from mho.machine.evaluation import SEEDS, draws, few, without_seed
from mho.machine.functional import Executor
from mho.machine.intervals import CONFIDENCE, paired_loss
from mho.machine.judge import Progress, Run
from mho.machine.ordered import CHIP, Number, Ordered
from mho.machine.resolution import proven_exact, resolution
from mho.machine.sweep import Build, only
from mho.number.accuracy import checked_labels, right
from mho.number.reference import run_reference
from mho.program import Program
from mho.program.storage import digest
from mho.version import __version__

if TYPE_CHECKING:
    from mho.network.samples import Samples

SCHEMA = "mho.finding/1"
FIRST = 64
"""Samples of the first look at a value."""
ORDER = 0
"""Seeds the order in which samples are taken: any few of them are to be like all, which may be sorted by class."""
RIGHT_FIELDS = ("right",)

Side = Literal["within", "beyond", "open"]
Flags = npt.NDArray[np.bool_]


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
    """What was found at one value of the parameter."""

    value: Number
    loss: Loss
    side: Side


@dataclass(frozen=True)
class Boundary:
    """Where a bisection ended: the probes in the order in which they were made, and the last value within and the first not."""

    probes: tuple[Probe, ...]
    within: Probe | None
    beyond: Probe | None

    @property
    def upward(self) -> bool | None:
        """Whether what is found is the least value, beyond which all are within; None where there is no boundary."""
        return None if self.within is None or self.beyond is None else self.within.value > self.beyond.value

    @property
    def decided(self) -> bool:
        """Whether the samples decided at every value that the answer rests on."""
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


@dataclass(frozen=True)
class Finding:
    """The last value of a parameter at which no more than `allowed` (a share) of the samples is lost against the integers."""

    parameter: Ordered
    allowed: float
    boundary: Boundary
    analog: Analog
    program: Program
    data: str
    samples: int
    notes: tuple[str, ...]

    @property
    def value(self) -> Number | None:
        """The value found; None where there is no boundary in the range."""
        within = self.boundary.within
        return None if within is None or self.boundary.upward is None else within.value

    @cached_property
    def sentence(self) -> str:
        """Say what was found."""
        key, values, may = self.parameter.key, self.parameter.values, _points(self.allowed)
        ends = f"from {values[0]:g} to {values[-1]:g}"
        within, beyond, upward = self.boundary.within, self.boundary.beyond, self.boundary.upward
        if upward is None and within is not None:
            return f"{key}: no more than {may} lost at either end of its range, {ends}"
        if upward is None:
            told = " or ".join(f"{probe.value:g}" for probe in self.boundary.probes if probe.side == "open")
            if told:
                return f"{key}: at {told}, {self.samples} samples cannot decide whether no more than {may} lost"
            return f"{key}: more than {may} lost at both ends of its range, {ends}"
        assert within is not None and beyond is not None
        side = "at least" if upward else "at most"
        found = f"{key} {side} {within.value:g}: no more than {may} lost ({_told(within.loss)})"
        if beyond.side == "beyond":
            return f"{found}; at {beyond.value:g} more ({_told(beyond.loss)})"
        known = [probe.value for probe in self.boundary.probes if probe.side == "beyond"]
        nearest = "" if not known else f"; at {(max if upward else min)(known):g} more"
        return f"{found}; at {beyond.value:g} {self.samples} samples cannot decide ({_told(beyond.loss)}){nearest}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything, safe for JSON; losses are shares."""
        within, beyond = self.boundary.within, self.boundary.beyond
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
            "parameter": {
                "key": self.parameter.key,
                "low": self.parameter.values[0],
                "high": self.parameter.values[-1],
                "values": len(self.parameter.values),
                "resolution": self.parameter.resolution,
            },
            "allowed": self.allowed,
            "value": self.value,
            "side": None if self.boundary.upward is None else "least" if self.boundary.upward else "largest",
            "next": None if within is None or beyond is None else beyond.value,
            "decided": self.boundary.decided,
            "text": self.sentence,
            "probes": [
                {
                    "value": probe.value,
                    "loss": probe.loss.share,
                    "interval": [probe.loss.low, probe.loss.high],
                    "side": probe.side,
                    "samples": probe.loss.samples,
                    "chips": probe.loss.chips,
                    "proven": probe.loss.proven,
                }
                for probe in self.boundary.probes
            ],
            "notes": list(self.notes),
        }


def _points(share: float) -> str:
    points = f"{100 * share:g}"
    return f"{points} point is" if points == "1" else f"{points} points are"


def _told(loss: Loss) -> str:
    if loss.proven:
        return "none: exact whatever the inputs"
    return f"{round(100 * loss.share, 2) + 0.0:.2f}, 95 % interval {100 * loss.low:.2f} to {100 * loss.high:.2f}"


def looks(samples: int, batch: int) -> tuple[int, ...]:
    """Return after how many samples it is asked whether they decide: FIRST, twice as many, and so on to all."""
    sizes, size = [], -(-FIRST // batch) * batch
    while size < samples:
        sizes.append(size)
        size *= 2
    return (*sizes, samples)


class _Bench:
    """Measures what is lost at one value after another, on samples in one order."""

    def __init__(self, build: Build, key: str, run: Callable[[Program], Run], measured: Samples, seeds: int) -> None:
        self.build, self.key, self.run, self.measured, self.seeds = build, key, run, measured, seeds
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
        ready = run.calibrated(analog, few(self.measured, program.network.batch))
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

    def _by_integers(self, run: Run, first: int, last: int, where: str) -> Flags:
        key = key_of(
            __name__, "right in integers", digest(run.program, values_only=True), run.samples_digest, first, last
        )
        quantised = run.program.quantised
        assert quantised is not None
        return self._flags(run, key, lambda x, at: run_reference(quantised, x), (first, last), where)

    def _on_chip(
        self, run: Run, analog: Analog, executors: dict[int, Executor], part: tuple[int, int], where: str
    ) -> Flags:
        kind = [run.program_digest, run.samples_digest, without_seed(analog), analog.seed]
        key = key_of(__name__, "right on the chip", *kind, *part)

        def scores(x: tuple[Any, ...], at: int) -> dict[str, npt.NDArray[Any]]:
            if analog.seed not in executors:
                executors[analog.seed] = Executor(run.program, analog, backend=run.backend)
            return dict(executors[analog.seed].run(x, first_sample=at))

        return self._flags(run, key, scores, part, f"{where}, seed {analog.seed}")

    def _flags(
        self, run: Run, key: str, scores: Callable[[tuple[Any, ...], int], Any], part: tuple[int, int], where: str
    ) -> Flags:
        """Return which samples are right, from what is finished or by computing scores."""
        record = run.done.get(key, RIGHT_FIELDS)
        if record is None:
            found = []
            for first, last, inputs in run.parts(*part):
                run.say(where)
                made = scores(inputs, first)[run.network.outputs[0]]
                found.append(right(made, run.labels[first:last], run.samples.origin))
            record = run.done.put(key, {"right": "".join("01"[int(each)] for each in np.concatenate(found))})
        return np.array([each == "1" for each in record["right"]])


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

        found = mho.machine.find(program, samples, over=mho.machine.ordered("adc.bits"), loss=1)
        found.value, found.sentence, found.boundary.decided, found.to_dict()

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

    def run(built: Program) -> Run:
        nonlocal mixed
        if built.quantised is None or not built.quantised.executable:
            raise ProgramError(f"{built.network.name} has no weights, or no calibrated activations, to execute")
        if mixed is None:
            checked_labels(built.network, samples)
            mixed = samples.take(order, samples.origin)
        return Run(built, mixed, kept, progress, backend)

    bench = _Bench(build, over.key, run, calibration or samples, seeds)

    def measure(value: Number) -> Loss:
        try:
            return bench.measure(base, value, loss / 100)
        except (AnalogError, MappingError) as error:
            ends = f"{over.key}={over.values[0]:g}:{over.values[-1]:g}"
            raise type(error)(f"{over.key}={value:g}: {error} (a narrower range than {ends} may be given)") from None

    boundary = bisect(over.values, loss / 100, measure)
    last = bench.program(boundary.probes[-1].value)
    return Finding(over, loss / 100, boundary, base, last, samples.origin, len(samples), _notes(last, over, seeds))


def _notes(program: Program, over: Ordered, seeds: int) -> tuple[str, ...]:
    """Say what a finding rests on."""
    told = [
        f"assumed: accuracy only rises or only falls along {over.key}; values lie in {over.resolution}",
        "a loss is against the 8-bit integers on the same samples; its 95 % interval is over samples and, where chips differ, over "
        "chips; samples are added until it lies on one side, with the 95 % shared out over these looks",
    ]
    if "synthetic" in program.network.origin:
        told.append(
            f"weights are synthetic ({program.network.origin}): these accuracies are those of no trained network"
        )
    if seeds < 3:
        told.append(f"{seeds} chips say little about the spread over chips, where they differ (more: --seeds)")
    return (*told, *(note for note in program.notes if note not in program.chip.notes))
