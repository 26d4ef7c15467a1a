"""Choosing the codes of activations from the values that calibration samples give them.

`range` names how: "minmax" takes every value seen; "percentile" leaves out the outermost 0.005% at either end
of what was seen; "mse" takes the threshold with the least mean squared error of the coded values. Ranges are
rounded to float32, so that the last bits of a float64 sum, which differ between processors, do not reach the
codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError, OptionError, choices
from mho.network.graph import Network
from mho.network.layers import Affine
from mho.number.bits import BYTES
from mho.number.walk import Inputs, run_float

MINMAX, LEAST_SQUARES = "minmax", "mse"
RANGES = (MINMAX, "percentile", LEAST_SQUARES)
"""Of activations."""
WEIGHT_RANGES = (MINMAX, LEAST_SQUARES)
"""Of weights."""
BINS = 4096
TAIL = 0.00005
"""Share of the values left out at either end by "percentile"."""
CANDIDATES = 100
"""Thresholds tried by "mse"."""
FEW = 2
"""Bits up to which the best threshold may lie far below the largest value."""


def way_of(asked: str | None, bits: int, known: tuple[str, ...] = RANGES) -> str:
    """Return how a range is chosen: as asked, else by all values at 8 bits and by the least squared error at fewer.

    With few bits the outermost values would cost most of the levels. OptionError for a way that is not known.
    """
    if asked is None:
        return MINMAX if bits >= BYTES.inputs else LEAST_SQUARES
    if asked not in known:
        raise OptionError(f"unknown calibration range {asked!r}: {choices(asked, known)}")
    return asked


Fit = Callable[[float, float, int], Affine]
"""Makes a code of so many bits for a range of reals."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Samples, and how codes are chosen by what tensors hold on them: the range as `way_of` takes it, then `fit`.

    `chunk`: inferences that are run at once; None for as many as fit.
    """

    samples: Inputs
    range: str | None
    chunk: int | None
    fit: Fit


@dataclass
class _Seen:
    """What was seen of the tensors that share one code."""

    low: float = np.inf
    high: float = -np.inf
    counts: npt.NDArray[np.int64] | None = None


def calibrate(
    network: Network, calibration: Calibration, groups: Mapping[str, str], whole: Iterable[str], bits: Mapping[str, int]
) -> dict[str, Affine]:
    """Run the float network on samples and return a code for each representative in `groups` (tensor: representative).

    `bits` by tensor; representatives in `whole` always take every value seen. Raise OptionError for an unknown range, NumberError
    for samples that do not fit.
    """
    samples, chunk = calibration.samples, calibration.chunk
    seen = {name: _Seen() for name in groups.values()}
    ways = {name: way_of(calibration.range, bits[name]) for name in seen}
    exact = {*whole, *(name for name, way in ways.items() if way == MINMAX)}

    def extremes(name: str, values: npt.NDArray[Any]) -> None:
        if name in groups:
            extent = seen[groups[name]]
            extent.low = min(extent.low, float(values.min()))
            extent.high = max(extent.high, float(values.max()))

    run_float(network, samples, chunk=chunk, observe=extremes)
    for name, extent in seen.items():
        if not (np.isfinite(extent.low) and np.isfinite(extent.high)):
            raise NumberError(f"tensor {name!r} of {network.name} is not finite on the calibration samples")
    if seen.keys() - exact:

        def count(name: str, values: npt.NDArray[Any]) -> None:
            if name in groups and groups[name] not in exact:
                extent = seen[groups[name]]
                if extent.low < extent.high:
                    counts, _ = np.histogram(values, bins=BINS, range=(extent.low, extent.high))
                    extent.counts = counts if extent.counts is None else extent.counts + counts

        run_float(network, samples, chunk=chunk, observe=count)
    return {name: _code(extent, bits[name], ways[name], calibration.fit) for name, extent in seen.items()}


def _code(extent: _Seen, bits: int, way: str, choose: Fit) -> Affine:
    """Choose the code of one tensor from what was seen of it."""
    low, high = extent.low, extent.high
    if extent.counts is not None:
        chosen = _percentile if way == "percentile" else _least_squares
        low, high = chosen(extent.counts, low, high, bits, choose)
    return choose(float(np.float32(low)), float(np.float32(high)), bits)


def _percentile(counts: npt.NDArray[np.int64], low: float, high: float, bits: int, choose: Fit) -> tuple[float, float]:
    """Leave out TAIL of the values at either end."""
    edges = np.linspace(low, high, BINS + 1)
    below = np.cumsum(counts) / counts.sum()
    first = int(np.searchsorted(below, TAIL, side="right"))
    last = int(np.searchsorted(below, 1.0 - TAIL, side="left"))
    return float(edges[first]), float(edges[min(last, BINS - 1) + 1])


def _least_squares(
    counts: npt.NDArray[np.int64], low: float, high: float, bits: int, choose: Fit
) -> tuple[float, float]:
    """Try thresholds t, the range being [max(low, -t), min(high, t)], and take the one with the least
    squared error.
    """
    edges = np.linspace(low, high, BINS + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    # A code holds 0, whatever was seen.
    low, high = min(low, 0.0), max(high, 0.0)
    largest = max(-low, high)
    best, chosen = np.inf, (low, high)
    for share in np.linspace(1.0, 0.2 if bits > FEW else 0.05, CANDIDATES):
        lower, upper = max(low, -share * largest), min(high, share * largest)
        code = choose(lower, upper, bits)
        steps = np.clip(np.rint(centres / code.scale) + code.zero, code.low, code.high)
        error = float(np.dot(counts, (code.scale * (steps - code.zero) - centres) ** 2))
        if error < best:
            best, chosen = error, (lower, upper)
    return chosen
