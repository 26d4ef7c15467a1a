"""Samples judged on one chip after another, and what has been finished before taken up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mho.errors import ProgramError
from mho.files.store import Store, key_of
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

REFERENCE_FIELDS = ("right", "predictions")
FLOAT_FIELDS = ("right",)
SEED_FIELDS = ("right", "agreeing", "layers")
LIMIT_FIELDS = ("limits",)

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how many samples have been executed on chips, and how many will have been."""


def samples_digest(samples: Samples) -> str:
    """Return the SHA-256 in hexadecimal of inputs and labels."""
    digest = hashlib.sha256()
    for array in (*samples.inputs, *(() if samples.labels is None else (samples.labels,))):
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class Judge:
    """One evaluation under way. ProgramError for a program that cannot be executed, OptionError for samples without labels."""

    def __init__(
        self, program: Program, samples: Samples, done: Store, progress: Progress | None, backend: str
    ) -> None:
        if program.quantised is None or not program.quantised.executable:
            raise ProgramError(f"{program.network.name} has no weights, or no calibrated activations, to execute")
        self.backend = backend
        self.program, self.samples, self.done, self.progress = program, samples, done, progress
        self.network = program.network
        self.labels = checked_labels(self.network, samples)
        self.program_digest, self.samples_digest = digest(program), samples_digest(samples)
        self.executed = self.total = 0

    def say(self, what: str) -> None:
        if self.progress is not None:
            self.progress(what, self.executed, self.total)

    def references(self) -> tuple[list[int], int, int | None]:
        """Return the classes that the integers predict, how many of these are right, and how many in float."""
        quantised = self.program.quantised
        assert quantised is not None
        values = digest(self.program, values_only=True)
        key = key_of(__name__, "integers", values, self.samples_digest)
        record = self.done.get(key, REFERENCE_FIELDS)
        if record is None:
            classes: list[int] = []
            count = 0
            for first, inputs in self._parts("8-bit integers"):
                scores = run_reference(quantised, inputs)[self.network.outputs[0]]
                count += self._right(scores, first)
                classes += predicted(scores).tolist()
            record = self.done.put(key, {"right": count, "predictions": classes})
        return record["predictions"], record["right"], self._in_float(values)

    def _in_float(self, values: str) -> int | None:
        if not self.network.has_values:
            return None
        # The codes say nothing of the rounding that made them.
        weights = hashlib.sha256()
        for layer in self.network.matrix_layers:
            for array in (layer.weight, layer.bias):
                if array is not None and array.values is not None:
                    weights.update(np.ascontiguousarray(array.values).tobytes())
        key = key_of(__name__, "float", values, weights.hexdigest(), self.samples_digest)
        record = self.done.get(key, FLOAT_FIELDS)
        if record is None:
            parts = self._parts("float network")
            count = sum(self._right(run_float(self.network, x)[self.network.outputs[0]], at) for at, x in parts)
            record = self.done.put(key, {"right": count})
        return int(record["right"])

    def seed(self, analog: Analog, predictions: list[int], what: str) -> dict[str, Any]:
        """Execute all samples on one chip."""
        self.say(f"{what}, writing the cells")
        executor, signals = Executor(self.program, analog, backend=self.backend), Signals()
        count = agreeing = 0
        for first, part in self._parts(what):
            scores = executor.run(part, signals=signals, first_sample=first)[self.network.outputs[0]]
            count += self._right(scores, first)
            classes = predicted(scores)
            agreeing += int((classes == predictions[first : first + len(classes)]).sum())
            self.executed += len(classes)
        layers = [[layer.name, layer.conversions, layer.clipped, layer.signal, layer.noise] for layer in signals.layers]
        return {"right": count, "agreeing": agreeing, "layers": layers}

    def calibrated(self, analog: Analog, measured: Samples) -> Analog:
        """Set the ranges of ADCs that are calibrated, on the first chip: the ranges are those of all chips."""
        if analog.adc.range != "calibrated" or analog.limits is not None:
            return analog
        # What an ADC makes of a sum has no part in how large the sum is.
        content = analog.to_dict() | {"adc": {"percentile": analog.adc.share, "per": analog.adc.per}, "name": None}
        key = key_of(__name__, "limits", self.program_digest, samples_digest(measured), content)
        record = self.done.get(key, LIMIT_FIELDS)
        if record is None:
            self.say("setting the ranges of the ADCs")
            limits = calibrate(self.program, measured.inputs, analog).limits
            record = self.done.put(key, {"limits": limits})
        return analog.model_copy(update={"limits": {name: tuple(limit) for name, limit in record["limits"].items()}})

    def _parts(self, what: str) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield the samples that are executed together, and the number of the first."""
        for first, _, inputs in self.parts(0, len(self.samples)):
            self.say(f"{what}, sample {first} of {len(self.samples)}")
            yield first, inputs

    def parts(self, begin: int, end: int) -> Iterator[tuple[int, int, tuple[Any, ...]]]:
        """Cut the samples from `begin` to `end` into those that are executed together: first, last, and their inputs."""
        step = max(TOGETHER // self.network.batch, 1) * self.network.batch
        for first in range(begin, end, step):
            last = min(first + step, end)
            yield first, last, tuple(array[first:last] for array in self.samples.inputs)

    def _right(self, scores: Any, first: int) -> int:
        return int(right(scores, self.labels[first : first + len(scores)], self.samples.origin).sum())
