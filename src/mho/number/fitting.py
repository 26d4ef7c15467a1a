"""Fitting weights to a basis that all layers share (`number/basis.py`). The paper's body is not public: how it is done is ours.

Fitting needs no labels. The basis is learned from the segments of all layers by turns of pursuit and least squares (method of
optimal directions, Engan, Aase, Husoy, ICASSP 1999), rounded vector by vector so that later vectors make up for
earlier ones. Coefficients are fitted layer after layer for the inputs that the layers before give (see `sequence`) and for the
outputs of the float network, in the
metric of the covariance of these inputs, segment after segment so that later ones make up for earlier ones; then all
segments of an output are gone through again, with the others as they are.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError, OptionError
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.number.basis import BasisCoding, check_numbers, segments
from mho.number.batching import fixed
from mho.number.bits import MOST_WEIGHTS
from mho.number.coded import QuantisedMatrix, QuantisedNetwork, by_output, code_type
from mho.number.compensation import damped
from mho.number.moments import WINDOWS, Moments
from mho.number.quantised import quantise
from mho.number.recode import gain_of, real_weights
from mho.number.reproducible import product
from mho.number.sequence import changed_in_order
from mho.number.sharing import tied
from mho.number.triangular import solved, upper_factor
from mho.number.walk import Inputs, require_values

FloatArray = npt.NDArray[np.float64]

LEARNED, UNIVERSAL = "learned", "universal"
ROUNDS, LEARNED_NONZEROS, DRAWN = 6, 10, 1 << 14
"""Turns in which a basis is learned, the non-zero coefficients of a segment meanwhile, and the segments that are drawn for it."""


def composed(coding: BasisCoding, layer: MatrixLayer, scale: FloatArray, bias: FloatArray | None) -> QuantisedMatrix:
    """Return a layer's weights as codes of as many bits as its integers need, 0 in the middle; scale and bias (groups, N).

    Raises NumberError where they need more than codes can have.
    """
    integers = coding.integers(layer)
    bits = max(int(max(integers.max(), -1 - integers.min())).bit_length() + 1, 2)
    if bits > MOST_WEIGHTS:
        raise NumberError(
            f"layer {layer.name!r} has integer weights of {bits} bits, and codes have {MOST_WEIGHTS} at most: "
            "fewer non-zero coefficients, bits or levels help"
        )
    codes = (integers + (1 << (bits - 1))).astype(code_type(bits))
    return QuantisedMatrix(codes, scale, np.full(scale.shape, 1 << (bits - 1), dtype=np.int64), bias, bits)


def fit_basis(
    network: Network,
    samples: Inputs,
    vectors: int = 512,
    nonzeros: int = 32,
    bits: int = 4,
    levels: int | None = None,
    basis: str | npt.NDArray[Any] = LEARNED,
    *,
    height: int = 128,
    windows: int = WINDOWS,
    seed: int = 0,
    left_out: Collection[str] = (),
) -> QuantisedNetwork:
    """Fit the weights of all matrix layers but those `left_out` to one basis, on samples without labels.

    `basis` of the network that is returned says which vectors and coefficients these are.

    fit_basis(network, samples)                                        512 vectors of four levels, learned from the network
    fit_basis(network, samples, vectors=256, bits=5)                   fewer vectors, finer coefficients
    fit_basis(network, samples, basis="universal")                     random +-1: the same for every network
    fit_basis(network, samples, basis=coding.elements)                 one that is there already: integers (vectors, height)

    `levels` of an element: 4 (2 where universal) if it is not said; of a given basis, those that its integers take, and its
    shape stands for `vectors` and `height`. Inputs are coded in 8 bits as `quantise` does; weights become codes of as many bits
    as the integers need, a scale an output. Biases are corrected for the mean of the outputs, scales for their spread. Of each
    layer about `windows` input vectors are looked at. Layers left out keep symmetric codes of 8 bits.

    Raises NumberError for a network without weights, samples that do not fit, numbers out of range, layers that there are not and
    a given basis that is none; OptionError for an unknown `basis`.
    """
    require_values(network)
    check_numbers(2 if levels is None else levels, bits, nonzeros)
    if vectors < 1 or height < 1:
        raise NumberError(f"a basis has at least one vector of at least one element, not {vectors} of {height}")
    start = quantise(network, samples, per_channel=True, symmetric=True)
    names = fitted_layers(network, left_out)
    generator = np.random.default_rng(seed)
    if isinstance(basis, np.ndarray):
        cells, levels = _given(basis, levels)
    elif basis == UNIVERSAL:
        levels = levels or 2
        cells = generator.integers(0, levels, (vectors, height)).astype(np.uint8)
    elif basis == LEARNED:
        levels = levels or 4
        cells = _learned(start, names, (vectors, height), levels, min(nonzeros, LEARNED_NONZEROS), generator)
    else:
        raise OptionError(f"no basis {basis!r}: {LEARNED}, {UNIVERSAL} or an array of integers (vectors, height)")
    fitting = _Fitting(start, BasisCoding(cells, levels, bits, nonzeros, {}))
    constant = fixed(network)
    for layer in network.weighted:
        if layer.name in constant and layer.name in names:
            fitting.change(layer, None)
    ready = replace(start, matrices=tied(network, fitting.matrices))
    changed_in_order(ready, samples, names, fitting.change, windows=windows, seed=seed, beside=True)
    return fitting.result(basis if isinstance(basis, str) else "given")


def fitted_layers(network: Network, left_out: Collection[str]) -> frozenset[str]:
    """Return the layers that own a weight which is fitted: all but those left out. NumberError where a name is none, and where
    none is left, or layers that share a weight are not left out together.
    """
    known = {layer.name for layer in network.matrix_layers}
    for name in left_out:
        if name not in known:
            raise NumberError(f"{network.name} has no layer {name!r} with weights, which is to be left out")
    if known and not known - set(left_out):
        raise NumberError(f"no layer of {network.name} is left to fit to a basis")
    for name, owner in network.owners.items():
        if (name in left_out) != (owner in left_out):
            raise NumberError(
                f"layers {name!r} and {owner!r} share a weight: they are left out together, or neither is"
            )
    return frozenset(layer.name for layer in network.weighted if layer.name not in left_out)


def _given(basis: npt.NDArray[Any], levels: int | None) -> tuple[npt.NDArray[np.uint8], int]:
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


def _learned(
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


class _Fitting:
    """All matrices of a network, fitted to a basis one by one."""

    def __init__(self, quantised: QuantisedNetwork, empty: BasisCoding) -> None:
        self.quantised, self.empty = quantised, empty
        self.matrices = dict(quantised.matrices)
        self.coefficients: dict[str, npt.NDArray[np.int8]] = {}

    def change(self, layer: MatrixLayer, seen: Moments | None, wanted: Moments | None = None) -> QuantisedMatrix:
        """Fit a layer for inputs as they are `seen`, for the outputs of those that are `wanted` (None: the same)."""
        from mho.number.pursuit import Metric, Pursuit, asked_of

        matrix = self.matrices[layer.name]
        real, bias = real_weights(layer, matrix), matrix.bias
        if seen is None:
            asked = [(weights, Metric.of(np.eye(layer.rows))) for weights in real]
        else:
            asked = asked_of(real, seen, wanted or seen)
        parts, elements = segments(layer.rows, self.empty.height), self.empty.elements.astype(np.float64)
        found = [Pursuit(*each, parts, elements, self.empty.bits, self.empty.nonzeros).run() for each in asked]
        coefficients = np.stack([each for each, _ in found])
        scale = np.stack([each for _, each in found])
        coding = replace(self.empty, coefficients={layer.name: coefficients})
        if seen is not None and wanted is not None:
            integers = coding.integers(layer)
            scale = scale * gain_of(wanted.spread(real), seen.spread(integers * by_output(scale)))
            mean = product(wanted.first[:, None, :], real)
            mean = mean - product(seen.first[:, None, :], integers * by_output(scale))
            bias = mean[:, 0] if bias is None else bias + mean[:, 0]
        self.coefficients[layer.name] = coefficients
        self.matrices[layer.name] = composed(coding, layer, scale, bias)
        return self.matrices[layer.name]

    def result(self, name: str) -> QuantisedNetwork:
        """Return the network with what was fitted."""
        network, empty = self.quantised.network, self.empty
        by_layer = {
            layer: self.coefficients[owner] for layer, owner in network.owners.items() if owner in self.coefficients
        }
        note = (
            f"weights are combinations of {len(empty.cells)} {name} basis vectors of {empty.levels} levels and {empty.height} "
            f"elements, at most {empty.nonzeros} a segment, coefficients of {empty.bits} bits"
        )
        return replace(
            self.quantised,
            matrices=tied(network, self.matrices),
            per_channel=True,
            notes=(*self.quantised.notes, note),
            basis=replace(empty, coefficients=by_layer),
        )


__all__ = ["LEARNED", "UNIVERSAL", "composed", "fit_basis"]
