"""Top-1 accuracy of a network in float and in integers, on the same labelled samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError
from mho.network.graph import Network
from mho.network.samples import Samples
from mho.number.coded import QuantisedNetwork
from mho.number.reference import run_reference
from mho.number.walk import run_float

STEP = 200
"""Samples that are run together: enough to keep matrix products busy, few enough for memory."""
WITH_BACKGROUND = 1001
"""Outputs of networks that count a background class before the 1000 of ImageNet."""


@dataclass(frozen=True)
class Accuracy:
    """How many of `samples` are classified rightly by the float network and by its integers.

    `few`: some layers have integers of fewer than 8 bits.
    """

    samples: int
    right_in_float: int
    right_in_integers: int
    few: bool = False

    def to_dict(self) -> dict[str, int | float]:
        """Return the counts as fractions of all samples."""
        return {
            "samples": self.samples,
            "float": self.right_in_float / self.samples,
            "integer": self.right_in_integers / self.samples,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Accuracy:
        """Rebuild what `to_dict` gave."""
        count = content["samples"]
        return cls(count, *(round(content[key] * count) for key in ("float", "integer")))

    def __str__(self) -> str:
        """Say it in one line."""
        whole, real = self.right_in_integers / self.samples, self.right_in_float / self.samples
        return f"{whole:.4f} in {'integers' if self.few else '8-bit integers'}, {real:.4f} in float, on {self.samples} samples"


def top1(quantised: QuantisedNetwork, samples: Samples, *, progress: Callable[[int], None] | None = None) -> Accuracy:
    """Classify all samples in float and in integers; the largest element of the first output is the class.

    The integer reference stands for the program, which computes the same bit for bit. Labels (n,) count classes from 0;
    a network with 1001 outputs has a background class before them. `progress` is told how many samples are done.
    Raises OptionError where there are no labels, where they name no class, or where the network holds no float weights.
    """
    network = quantised.network
    labels = checked_labels(network, samples)
    if not network.has_values:
        raise OptionError(
            f"{network.name} holds codes alone; the accuracy in float needs the model itself, not a program"
        )
    counts = [0, 0]
    for inputs, classes in _parts(network, samples, labels, progress):
        name = network.outputs[0]
        for i, scores in enumerate((run_float(network, inputs)[name], run_reference(quantised, inputs)[name])):
            counts[i] += int(right(scores, classes, samples.origin).sum())
    return Accuracy(len(samples), counts[0], counts[1], few=bool(quantised.bits))


def classified(
    quantised: QuantisedNetwork, samples: Samples, *, progress: Callable[[int], None] | None = None
) -> npt.NDArray[np.bool_]:
    """Return for each sample whether the integers alone classify it rightly, shape (samples,); see `top1`."""
    network = quantised.network
    labels = checked_labels(network, samples)
    return np.concatenate(
        [
            right(run_reference(quantised, inputs)[network.outputs[0]], classes, samples.origin)
            for inputs, classes in _parts(network, samples, labels, progress)
        ]
    )


def checked_labels(network: Network, samples: Samples) -> npt.NDArray[np.int64]:
    """Return the labels (samples,), checked.

    Raises OptionError where there are none, where they are no whole numbers or not one a sample, and where the samples fill
    no whole number of inferences.
    """
    if samples.labels is None:
        raise OptionError(f"accuracy needs labels (an array y or labels); {samples.origin} holds none")
    labels = np.asarray(samples.labels)
    if labels.shape != (len(samples),) or labels.dtype.kind not in "iu":
        raise OptionError(
            f"labels of {samples.origin} must be {len(samples)} whole numbers, not {labels.dtype} {labels.shape}"
        )
    if len(samples) % network.batch:
        raise OptionError(f"{len(samples)} samples are no multiple of the {network.batch} of an inference")
    return labels.astype(np.int64)


def _parts(
    network: Network, samples: Samples, labels: npt.NDArray[np.int64], progress: Callable[[int], None] | None
) -> Iterator[tuple[tuple[npt.NDArray[Any], ...], npt.NDArray[np.int64]]]:
    """Yield inputs and labels of the samples that are run together."""
    step = max(STEP // network.batch, 1) * network.batch
    for first in range(0, len(samples), step):
        if progress is not None:
            progress(first)
        yield tuple(array[first : first + step] for array in samples.inputs), labels[first : first + step]


def right(scores: npt.NDArray[np.generic], labels: npt.NDArray[np.int64], origin: str) -> npt.NDArray[np.bool_]:
    """Return for each sample whether the largest score (n, ...) is that of its label (n,)."""
    flat = scores.reshape(len(labels), -1)
    classes = flat.shape[1] - int(flat.shape[1] == WITH_BACKGROUND)
    if labels.min() < 0 or labels.max() >= classes:
        raise OptionError(f"{origin}: labels from {labels.min()} to {labels.max()} do not fit {classes} classes")
    return np.asarray(predicted(flat) == labels)


def predicted(scores: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Return the class of the largest score, shape (n,), of scores (n, ...); -1 is a background class."""
    flat = scores.reshape(len(scores), -1)
    return np.asarray(flat.argmax(axis=1) - int(flat.shape[1] == WITH_BACKGROUND), dtype=np.int64)
