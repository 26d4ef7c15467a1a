"""The vectors of a basis: learned from the segments of a network's layers, given as integers, or drawn.

A basis is learned by turns of pursuit and least squares (method of optimal directions, Engan, Aase, Husoy, ICASSP 1999), and
rounded vector by vector so that later vectors make up for earlier ones.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError
from mho.number.basis import check_numbers, segments
from mho.number.coded import QuantisedNetwork
from mho.number.compensation import damped
from mho.number.recode import real_weights
from mho.number.reproducible import product
from mho.number.triangular import solved, upper_factor

FloatArray = npt.NDArray[np.float64]

ROUNDS, LEARNED_NONZEROS, DRAWN = 6, 10, 1 << 14
"""Turns in which a basis is learned, the non-zero coefficients of a segment meanwhile, and the segments that are drawn for it."""


def given(basis: npt.NDArray[Any], levels: int | None) -> tuple[npt.NDArray[np.uint8], int]:
    """Return the cells of a basis given as integers 2 level - (levels - 1), and its levels."""
    integers = np.asarray(basis)
    if integers.ndim != 2 or not integers.size or not np.isfinite(integers).all() or np.any(integers % 1):
        raise NumberError(f"a basis is integers (vectors, height), not {integers.dtype} {integers.shape}")
    count = levels or int(np.abs(integers).max()) + 1
    doubled = integers.astype(np.int64) + (count - 1)
    if np.any(doubled % 2) or doubled.min() < 0 or doubled.max() > 2 * (count - 1):
        raise NumberError(
            f"elements of {count} levels are {1 - count}, {3 - count} ... {count - 1}, evenly spaced around zero; "
            f"{integers.min()} to {integers.max()} were given"
        )
    check_numbers(count, 2, 1)
    return (doubled // 2).astype(np.uint8), count


def learned(
    quantised: QuantisedNetwork,
    names: Collection[str],
    shape: tuple[int, int],
    levels: int,
    nonzeros: int,
    generator: np.random.Generator,
) -> npt.NDArray[np.uint8]:
    """Learn a basis (vectors, height) from the segments of all layers `names`, each as much worth as any other."""
    from mho.number.pursuit import pursue

    vectors, height = shape
    targets, lengths = _segments_of(quantised, names, height, generator)
    order = generator.permutation(np.flatnonzero(lengths == lengths.max(initial=0)))[:vectors]
    basis = generator.standard_normal(shape)
    basis[: len(order), : lengths.max(initial=0)] = targets[order, : lengths.max(initial=0)]
    elements = _nearest(basis, levels)
    for _ in range(ROUNDS):
        coefficients = np.zeros((len(targets), vectors))
        for length in np.unique(lengths):
            rows, part = lengths == length, elements[:, :length]
            coefficients[rows] = pursue(part @ part.T, product(targets[rows, :length], part.T), nonzeros)
        basis = _refitted(elements, coefficients, targets, lengths)
        gram = product(coefficients.T, coefficients)
        elements = _rounded(basis, gram, levels)
    return ((elements + (levels - 1)) / 2).astype(np.uint8)


def _refitted(
    elements: FloatArray, coefficients: FloatArray, targets: FloatArray, lengths: npt.NDArray[np.intp]
) -> FloatArray:
    """Fit the basis (vectors, height) to segments by least squares; an element that none of them uses stays as it was."""
    basis, start = elements.copy(), 0
    for stop in np.unique(lengths):
        rows, part = lengths >= stop, slice(start, stop)
        own = coefficients[rows]
        upper = upper_factor(damped(product(own.T, own)))
        basis[:, part] += solved(upper, product(own.T, targets[rows, part] - product(own, basis[:, part])))
        start = stop
    return basis


def _segments_of(
    quantised: QuantisedNetwork, names: Collection[str], height: int, generator: np.random.Generator
) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """Return segments of the kernels of all layers, padded with zeros and of unit mean square, and the length of each."""
    found, lengths = [], []
    for layer in quantised.network.weighted:
        if layer.name not in names:
            continue
        real = real_weights(layer, quantised.matrices[layer.name])
        for part in segments(layer.rows, height):
            piece = real[:, part].transpose(0, 2, 1).reshape(-1, part.stop - part.start)
            size = np.sqrt(np.mean(piece**2, axis=1, keepdims=True))
            piece = (piece / np.maximum(size, 1e-30))[size[:, 0] > 0]
            found.append(np.pad(piece, ((0, 0), (0, height - piece.shape[1]))))
            lengths.append(np.full(len(piece), piece.shape[1]))
    targets, sizes = np.concatenate(found), np.concatenate(lengths)
    drawn = np.sort(generator.permutation(len(targets))[:DRAWN])
    return targets[drawn], sizes[drawn]


def _nearest(values: FloatArray, levels: int) -> FloatArray:
    """Return the nearest elements: integers levels - 1, levels - 3 ... 1 - levels; vectors are brought to the spread of these."""
    step = _step(values, levels)
    return np.asarray(np.clip(2 * np.rint((values / step + levels - 1) / 2) - (levels - 1), 1 - levels, levels - 1))


def _step(values: FloatArray, levels: int) -> FloatArray:
    """Return what the integer 1 stands for in each vector (N, 1): so that normal values fill the levels."""
    # The least squared error of normal values: 2, 3, 4 equal steps of 1.6, 1.22, 1 spreads (Max, IRE Trans. 1960), twice ours.
    spread = np.sqrt(np.mean(values**2, axis=1, keepdims=True))
    return np.asarray(np.maximum(spread, 1e-30) * {2: 0.8, 3: 0.61, 4: 0.5}.get(levels, 0.8 * (2 / levels) ** 0.73))


def _rounded(basis: FloatArray, gram: FloatArray, levels: int) -> FloatArray:
    """Round a basis vector by vector to elements, for the least error of the segments that it combines to."""
    step, order = _step(basis, levels), np.argsort(-np.diagonal(gram), kind="stable")
    upper = upper_factor(damped(gram)[np.ix_(order, order)])
    error, elements = np.zeros(basis.shape), np.zeros(basis.shape)
    for place, m in enumerate(order):
        wanted = basis[m] + (upper[:place, place, None] * error[:place]).sum(axis=0) / upper[place, place]
        steps = 2 * np.rint((wanted / step[m] + levels - 1) / 2) - (levels - 1)
        elements[m] = np.clip(steps, 1 - levels, levels - 1)
        error[place] = basis[m] - elements[m] * step[m]
    return elements


__all__ = ["LEARNED_NONZEROS", "given", "learned"]
