"""Fitting weights to a basis that all layers share (`number/basis.py`). The paper's body is not public: how it is done is ours.

Fitting needs no labels. The basis is learned (`dictionary.py`), drawn or given. Coefficients are fitted layer after layer for the
inputs that the layers before give (see `sequence`) and for the outputs of the float network, in the metric of the covariance of
these inputs, segment after segment so that later ones make up for earlier ones; then all segments of an output are gone through
again, with the others as they are (`pursuit.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError, OptionError, choices
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.number.basis import BasisCoding, BasisNumbers, integers_of, segments
from mho.number.batching import fixed
from mho.number.bits import MOST_WEIGHTS
from mho.number.coded import QuantisedMatrix, QuantisedNetwork, by_output, code_type
from mho.number.coefficients import Coefficients
from mho.number.dictionary import LEARNED_NONZEROS, given, learned
from mho.number.fewest import Asked, Fewest, by_layer, most_of, within
from mho.number.moments import WINDOWS, Moments
from mho.number.quantised import quantise
from mho.number.recode import gain_of, real_weights
from mho.number.reproducible import product
from mho.number.sequence import changed_in_order
from mho.number.sharing import tied
from mho.number.walk import Inputs, require_values

FloatArray = npt.NDArray[np.float64]

LEARNED, UNIVERSAL, UNITS = "learned", "universal", "units"
INTEGERS, POWERS = "integers", "powers"


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


def read_from(quantised: QuantisedNetwork, cells: FloatArray) -> QuantisedNetwork:
    """Return a network on a basis as a chip computes it that holds these `cells`, levels as they are read (vectors, height).

    Its weights are coefficients x what the cells stand for, in codes of 16 bits: the reference computes what such a chip does but
    for conversions, where inputs are driven as plain codes. Raises NumberError where the network is on no basis, or cells are not
    finite levels of it.
    """
    coding = quantised.basis
    if coding is None:
        raise NumberError(f"{quantised.network.name} is on no basis: fit_basis finds one")
    elements, matrices = _elements(coding, cells), dict(quantised.matrices)
    for layer in quantised.network.matrix_layers:
        if layer.name in coding.coefficients:
            matrix, weights = matrices[layer.name], coding.integers(layer, elements)
            missed = _missed(quantised, layer, weights, coding.integers(layer)) * matrix.scale
            bias = missed if matrix.bias is None else matrix.bias + missed
            matrices[layer.name] = nearly(weights, matrix.scale, bias)
    return replace(quantised, matrices=matrices, basis=None)


def _missed(
    quantised: QuantisedNetwork, layer: MatrixLayer, weights: FloatArray, meant: npt.NDArray[Any]
) -> FloatArray:
    """Return what the outputs (groups, N) of weights as they are have too much, of scale 1, since the zero point of the inputs is
    corrected by the weights (groups, K, N) that were meant.
    """
    code = quantised.codes[layer.inputs[0]]
    return np.asarray(float(code.scale) * int(code.zero) * (weights - meant).sum(axis=1))


def nearly(weights: FloatArray, scale: FloatArray, bias: FloatArray | None) -> QuantisedMatrix:
    """Return weights (groups, K, N), real and times scale (groups, N), as codes of the most bits."""
    middle = 1 << (MOST_WEIGHTS - 1)
    largest = np.abs(weights).max(axis=1)
    step = np.where(largest > 0, largest / (middle - 1), 1.0)
    codes = (np.rint(weights / by_output(step)) + middle).astype(code_type(MOST_WEIGHTS))
    return QuantisedMatrix(codes, scale * step, np.full(scale.shape, middle, dtype=np.int64), bias, MOST_WEIGHTS)


def _elements(coding: BasisCoding, cells: FloatArray | None) -> FloatArray:
    """Return what the elements of a basis are, (vectors, height): as they should be, or as `cells` were read."""
    from mho.number.pursuit import PARTS

    if cells is None:
        return coding.elements.astype(np.float64)
    if cells.shape != coding.cells.shape or not np.isfinite(cells).all():
        raise NumberError(f"cells are read as finite levels {coding.cells.shape}, not {cells.dtype} {cells.shape}")
    return np.asarray(np.rint(coding.elements_of(cells) * 2.0**PARTS) / 2.0**PARTS)


def fit_basis(
    network: Network | QuantisedNetwork,
    samples: Inputs,
    vectors: int = 512,
    nonzeros: Asked = 32,
    bits: int = 4,
    levels: int | None = None,
    basis: str | npt.NDArray[Any] | BasisCoding = LEARNED,
    *,
    coefficients: str = INTEGERS,
    cells: FloatArray | None = None,
    height: int = 128,
    windows: int = WINDOWS,
    seed: int = 0,
    left_out: Collection[str] = (),
) -> QuantisedNetwork:
    """Fit the weights of all matrix layers but those `left_out` to one basis, on samples without labels.

    `basis` of the network that is returned says which vectors and coefficients these are.

    fit_basis(network, samples)                                        512 vectors of four levels, learned from the network
    fit_basis(network, samples, vectors=256, bits=5)                   fewer vectors, finer coefficients
    fit_basis(network, samples, nonzeros={"fc": 32, "*": 24})          so many in a segment, by names or patterns of layers
    fit_basis(network, samples, nonzeros=Fewest(0.01))                 as few as an error leaves, layer by layer
    fit_basis(network, samples, coefficients="powers")                 coefficients 0, +-1, +-2, +-4 ... +-64: shifts alone
    fit_basis(network, samples, basis="universal")                     random +-1: the same for every network
    fit_basis(network, samples, basis="units")                         `height` unit vectors: weights pruned, no arrays
    fit_basis(network, samples, basis=coding)                          the vectors of another coding (or integers, N x height)
    fit_basis(network, samples, basis=coding, cells=levels)            for the chip whose cells are read as these levels

    `levels` of an element: 4 (2 where universal) if it is not said; of a given basis, those that its integers take, and its
    shape stands for `vectors` and `height`. Inputs are coded in 8 bits as `quantise` does, or as they are in a network that is
    coded already; weights become codes of as many bits as the integers need, a scale an output. Biases are corrected for the mean
    of the outputs, scales for their spread. Of each layer about `windows` input vectors are looked at. Layers left out keep
    symmetric codes of 8 bits, or those that they have.

    With `cells`, real levels (vectors, height), coefficients, scales and biases are those with which what these cells hold comes
    nearest to the real weights; the integers of the coding, and the reference, keep the levels that were meant: `read_from` says
    what that chip computes.

    Raises NumberError for a network without weights, samples that do not fit, numbers out of range, layers that there are not,
    cells that do not fit and a given basis that is none; OptionError for an unknown `basis` or kind of coefficients.
    """
    net = network.network if isinstance(network, QuantisedNetwork) else network
    require_values(net)
    usual = 2 if isinstance(basis, str) and basis == UNIVERSAL else 4
    some = usual if levels is None else levels, bits, most_of(nonzeros), _are_powers(coefficients)
    numbers, names = BasisNumbers(vectors, height, *some), fitted_layers(net, left_out)
    start = quantise(net, samples, per_channel=True, symmetric=True) if network is net else network
    assert isinstance(start, QuantisedNetwork)
    empty = _on(basis, numbers, levels, start, names, seed)

    def fit(asked: int | Mapping[str, int]) -> QuantisedNetwork:
        fitting = _Fitting(start, empty, by_layer(names, asked), cells)
        fitting.run(samples, windows, seed)
        return fitting.result(basis if isinstance(basis, str) else "given")

    if isinstance(nonzeros, Fewest):
        return within(nonzeros, net, samples, fit, lambda each: each if cells is None else read_from(each, cells))
    return fit(nonzeros)


def _are_powers(coefficients: str) -> bool:
    """Return whether coefficients are powers of two. OptionError for a kind that there is not."""
    if coefficients not in (INTEGERS, POWERS):
        raise OptionError(f"no coefficients {coefficients!r}: {choices(coefficients, (INTEGERS, POWERS))}")
    return coefficients == POWERS


def _on(
    basis: str | npt.NDArray[Any] | BasisCoding,
    numbers: BasisNumbers,
    levels: int | None,
    start: QuantisedNetwork,
    names: Collection[str],
    seed: int,
) -> BasisCoding:
    """Return a coding without coefficients on the vectors that `basis` asks for; `levels`: those asked of a given one."""
    generator, shape = np.random.default_rng(seed), (numbers.vectors, numbers.height)
    found = numbers.levels
    units = isinstance(basis, BasisCoding) and basis.units
    if isinstance(basis, BasisCoding):
        cells, found = basis.cells, basis.levels
    elif isinstance(basis, np.ndarray):
        cells, found = given(basis, levels)
    elif basis == UNIVERSAL:
        cells = generator.integers(0, numbers.levels, shape).astype(np.uint8)
    elif basis == UNITS:
        cells, found, units = np.eye(numbers.height, dtype=np.uint8), 2, True
    elif basis == LEARNED:
        cells = learned(start, names, shape, numbers.levels, min(numbers.nonzeros, LEARNED_NONZEROS), generator)
    else:
        known = (LEARNED, UNIVERSAL, UNITS)
        raise OptionError(
            f"no basis {basis!r}: {choices(basis, known)}, a coding or an array of integers (vectors, height)"
        )
    return BasisCoding(cells, found, numbers.bits, numbers.nonzeros, {}, numbers.powers, units)


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


class _Fitting:
    """All matrices of a network, fitted to a basis one by one."""

    def __init__(
        self, quantised: QuantisedNetwork, empty: BasisCoding, most: Mapping[str, int], cells: FloatArray | None
    ) -> None:
        """Start from a basis without coefficients. `most`: of a segment, by layer. `running`: the matrices as the cells have them,
        where these are known.
        """
        self.quantised, self.most, self.real = quantised, most, cells is not None
        self.empty = replace(empty, nonzeros=max(most.values(), default=1))
        self.elements = _elements(empty, cells)
        self.allowed = integers_of(empty.bits, empty.powers)
        self.matrices, self.running = dict(quantised.matrices), dict(quantised.matrices)
        self.coefficients: dict[str, Coefficients] = {}

    def run(self, samples: Inputs, windows: int, seed: int) -> None:
        """Fit layer after layer."""
        network = self.quantised.network
        constant = fixed(network)
        for layer in network.weighted:
            if layer.name in constant and layer.name in self.most:
                self.change(layer, None)
        ready = replace(self.quantised, matrices=tied(network, self.running))
        changed_in_order(ready, samples, self.most, self.change, windows=windows, seed=seed, beside=True)

    def change(self, layer: MatrixLayer, seen: Moments | None, wanted: Moments | None = None) -> QuantisedMatrix:
        """Fit a layer for inputs as they are `seen`, for the outputs of those that are `wanted` (None: the same)."""
        from mho.number.pursuit import Metric, Pursuit, asked_of

        matrix = self.matrices[layer.name]
        real, bias = real_weights(layer, matrix), matrix.bias
        if seen is None:
            asked = [(weights, Metric.of(np.eye(layer.rows))) for weights in real]
        else:
            asked = asked_of(real, seen, wanted or seen)
        parts = segments(layer.rows, self.empty.height)
        found = [Pursuit(*each, parts, self.elements, self.allowed, self.most[layer.name]).run() for each in asked]
        coefficients = Coefficients.of(np.stack([each for each, _ in found]))
        scale = np.stack([each for _, each in found])
        coding = replace(self.empty, coefficients={layer.name: coefficients})
        weights = coding.integers(layer, self.elements)
        if seen is not None and wanted is not None:
            scale = scale * gain_of(wanted.spread(real), seen.spread(weights * by_output(scale)))
            mean = product(wanted.first[:, None, :], real)
            mean = mean - product(seen.first[:, None, :], weights * by_output(scale))
            bias = mean[:, 0] if bias is None else bias + mean[:, 0]
        self.coefficients[layer.name] = coefficients
        kept = self.running[layer.name] = composed(coding, layer, scale, bias)
        if self.real:
            self.running[layer.name] = nearly(weights, scale, bias)
            missed = _missed(self.quantised, layer, weights, coding.integers(layer)) * scale
            kept = replace(kept, bias=-missed if bias is None else bias - missed)
        self.matrices[layer.name] = kept
        return self.running[layer.name]

    def result(self, name: str) -> QuantisedNetwork:
        """Return the network with what was fitted."""
        network, empty = self.quantised.network, self.empty
        by_layer = {
            layer: self.coefficients[owner] for layer, owner in network.owners.items() if owner in self.coefficients
        }
        vectors = f"{name} basis vectors of {empty.levels} levels and {empty.height} elements"
        note = (
            f"weights are combinations of {len(empty.cells)} {'unit vectors' if empty.units else vectors}, at most "
            f"{empty.nonzeros} a segment, coefficients of {empty.bits} bits{', powers of two' if empty.powers else ''}"
            f"{', fitted to cells as they were read' if self.real else ''}"
        )
        return replace(
            self.quantised,
            matrices=tied(network, self.matrices),
            per_channel=True,
            notes=(*self.quantised.notes, note),
            basis=replace(empty, coefficients=by_layer),
        )


__all__ = ["INTEGERS", "LEARNED", "POWERS", "UNITS", "UNIVERSAL", "composed", "fit_basis", "fitted_layers", "read_from"]
