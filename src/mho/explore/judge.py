"""Samples judged on one chip after another: the parts of an evaluation, each computed by itself and kept under its key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mho.errors import ProgramError
from mho.files.store import key_of
from mho.machine.analog.signals import Signals
from mho.machine.analog.spec import Analog
from mho.machine.calibration import calibrate
from mho.machine.functional import Executor
from mho.number.accuracy import checked_labels, predicted, right
from mho.number.reference import run_reference
from mho.number.walk import run_float
from mho.program import Program
from mho.program.storage import digest

if TYPE_CHECKING:
    from mho.network.samples import Samples

TOGETHER = 64
"""Samples that are executed together: few, so that progress is told often, and enough to keep the kernels busy."""

SEED_FIELDS = ("right", "agreeing", "layers")

Record = dict[str, Any]
Progress = Callable[[str, int, int], None]
"""Is told what is being done, how many samples have been executed on chips, and how many will have been."""
Say = Callable[[str, int], None]
"""Is told what is being done, and how many samples of it have been executed on a chip."""


def samples_digest(samples: Samples) -> str:
    """Return the SHA-256 in hexadecimal of inputs and labels."""
    digest = hashlib.sha256()
    for array in (*samples.inputs, *(() if samples.labels is None else (samples.labels,))):
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Task:
    """A part of an evaluation: a method of `Judge` with its arguments, for a program; key and fields of the record it gives.

    what: what is said to be done meanwhile. samples: those that it executes on a chip.
    """

    key: str
    fields: tuple[str, ...]
    what: str
    program: Program
    method: str
    arguments: tuple[Any, ...] = ()
    samples: int = 0


@dataclass(frozen=True)
class Bench:
    """Does tasks on labelled samples, whatever their programs; `say` is told how far it is, where that is in this process."""

    samples: Samples
    backend: str
    say: Say | None = None

    def __call__(self, task: Task) -> tuple[str, Record]:
        """Return key and record."""
        return task.key, Judge(task.program, self.samples, self.backend, self.say).done(task)


class Judge:
    """Executes a program on labelled samples. ProgramError for one that cannot be, OptionError for samples without labels."""

    def __init__(self, program: Program, samples: Samples, backend: str, say: Say | None = None) -> None:
        if program.quantised is None or not program.quantised.executable:
            raise ProgramError(f"{program.network.name} has no weights, or no calibrated activations, to execute")
        self.program, self.samples, self.backend = program, samples, backend
        self.network, self.quantised = program.network, program.quantised
        self.labels = checked_labels(self.network, samples)
        self.say: Say = say or (lambda what, executed: None)

    @cached_property
    def digests(self) -> tuple[str, str]:
        """The digests of the program and of the samples."""
        return digest(self.program), samples_digest(self.samples)

    def done(self, task: Task) -> Record:
        """Return the record of a task."""
        record: Record = getattr(self, task.method)(task.what, *task.arguments)
        return record

    def references(self) -> tuple[Task, ...]:
        """Return what tells the accuracy of the integers, and that of the float network where its weights are known."""
        values, of_samples = digest(self.program, values_only=True), self.digests[1]
        key = key_of(__name__, "integers", values, of_samples)
        integers = Task(key, ("right", "predictions"), "8-bit integers", self.program, "integers")
        if not self.network.has_values:
            return (integers,)
        # The codes say nothing of the rounding that made them.
        weights = hashlib.sha256()
        for layer in self.network.matrix_layers:
            for array in (layer.weight, layer.bias):
                if array is not None and array.values is not None:
                    weights.update(np.ascontiguousarray(array.values).tobytes())
        key = key_of(__name__, "float", values, weights.hexdigest(), of_samples)
        return integers, Task(key, ("right",), "float network", self.program, "in_float")

    def ranges(self, analog: Analog, measured: Samples) -> Task | None:
        """Return what sets the ranges of ADCs that are calibrated, on the first chip: the ranges are those of all chips."""
        if analog.adc.range != "calibrated" or analog.limits is not None:
            return None
        # What an ADC makes of a sum has no part in how large the sum is.
        content = analog.to_dict() | {"adc": {"percentile": analog.adc.share, "per": analog.adc.per}, "name": None}
        key = key_of(__name__, "limits", self.digests[0], samples_digest(measured), content)
        return Task(key, ("limits",), "setting the ranges of the ADCs", self.program, "limits", (analog, measured))

    def chip(self, key: str, what: str, analog: Analog, predictions: list[int]) -> Task:
        """Return what executes all samples on one chip."""
        return Task(key, SEED_FIELDS, what, self.program, "on_chip", (analog, predictions), samples=len(self.samples))

    def integers(self, what: str) -> Record:
        """Return the classes that the integers predict, and how many of these are right."""
        classes: list[int] = []
        count = 0
        for first, inputs in self._parts(what):
            scores = run_reference(self.quantised, inputs)[self.network.outputs[0]]
            count += self._right(scores, first)
            classes += predicted(scores).tolist()
        return {"right": count, "predictions": classes}

    def in_float(self, what: str) -> Record:
        """Return how many samples the float network classifies rightly."""
        parts, output = self._parts(what), self.network.outputs[0]
        return {"right": sum(self._right(run_float(self.network, inputs)[output], first) for first, inputs in parts)}

    def limits(self, what: str, analog: Analog, measured: Samples) -> Record:
        """Return the ranges of ADCs, layer by layer."""
        self.say(what, 0)
        return {"limits": calibrate(self.program, measured.inputs, analog).limits}

    def on_chip(self, what: str, analog: Analog, predictions: list[int]) -> Record:
        """Return how many samples a chip classifies rightly, how many as predicted, and what its ADCs saw."""
        self.say(f"{what}, writing the cells", 0)
        executor, signals = Executor(self.program, analog, backend=self.backend), Signals()
        count = agreeing = 0
        for first, part in self._parts(what, on_chip=True):
            scores = executor.run(part, signals=signals, first_sample=first)[self.network.outputs[0]]
            count += self._right(scores, first)
            classes = predicted(scores)
            agreeing += int((classes == predictions[first : first + len(classes)]).sum())
        layers = [[layer.name, layer.conversions, layer.clipped, layer.signal, layer.noise] for layer in signals.layers]
        return {"right": count, "agreeing": agreeing, "layers": layers}

    def _parts(self, what: str, *, on_chip: bool = False) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield the samples that are executed together, and the number of the first."""
        for first, _, inputs in self.parts(0, len(self.samples)):
            self.say(f"{what}, sample {first} of {len(self.samples)}", first if on_chip else 0)
            yield first, inputs

    def parts(self, begin: int, end: int) -> Iterator[tuple[int, int, tuple[Any, ...]]]:
        """Cut the samples from `begin` to `end` into those that are executed together: first, last, and their inputs."""
        step = max(TOGETHER // self.network.batch, 1) * self.network.batch
        for first in range(begin, end, step):
            last = min(first + step, end)
            yield first, last, tuple(array[first:last] for array in self.samples.inputs)

    def _right(self, scores: Any, first: int) -> int:
        return int(right(scores, self.labels[first : first + len(scores)], self.samples.origin).sum())


def ranged(analog: Analog, record: Record) -> Analog:
    """Return an analog side with the ranges of its ADCs, as a record has them."""
    return analog.model_copy(update={"limits": {name: tuple(limit) for name, limit in record["limits"].items()}})
