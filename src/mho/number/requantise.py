"""Requantisation in integers: what takes the place of float64 between the sums of a matrix layer and the codes of a tensor.

A tensor with a code of scale S and zero point z is made of *parts*: sums acc of matrix layers, whose real value is (input scale x
weight scale) x acc + bias, and codes c of other tensors, whose real value is scale x (c - zero). With multipliers of b bits,

    v  =  sum over parts of  M x acc + B,  or  M x (c - zero)        M = rint(2^(s - k) x scale of the part / S) x 2^k
    code  =  clip(((v + 2^(s - 1)) >> s) + z, low, high)             B = rint(2^s x bias / S), halves go up

k is one for a part, such that the largest of its multipliers has b bits and k zeros behind them; s one for the tensor, the least
for which no k is negative. All numbers are int64. What stands between parts and tensor keeps v an integer: sums and differences,
relu and clip, maximum pooling, and what only moves values. Everything else (averages, exponentials, products of activations), and
outputs without a code, is computed in float64 as ever.

Error: M / 2^k is off by at most 1/2, so that v / 2^s is off by at most (|acc| 2^k + 1) / 2 x 2^-s steps of the code for each
part. A part that adds no more than 2^n steps has |acc| x M < 2^(n + s), and where M is the largest, M >= 2^(b + k - 1): that is
less than 2^(n - b) + 2^-s steps, 2^-16 for codes of 8 bits and multipliers of 24. Codes differ from those of float64 where less
than that lies between the exact value and the nearest half.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError
from mho.network.arithmetic import apply
from mho.network.layers import Activation, Affine, Elementwise, Input, Layer, MatrixLayer, Pool

if TYPE_CHECKING:
    from mho.number.coded import QuantisedNetwork

Integers = npt.NDArray[np.int64]
FEWEST, MOST = 8, 31
"""Bits of a multiplier."""
FLOAT = "float64"
"""What stands for no multipliers at all: codes are made by `affine.encode`, in float64."""
_ROOM = 62
"""Bits, without the sign, that no v may exceed."""


def multiplier_bits(text: str) -> int | None:
    """Read what `requantise` is given as: "float64", or the bits of multipliers; raise NumberError for anything else."""
    if text == FLOAT:
        return None
    if not (text.isascii() and text.isdigit() and FEWEST <= int(text) <= MOST):
        raise NumberError(f"sums become codes by {FLOAT}, or by multipliers of {FEWEST} to {MOST} bits, not {text!r}")
    return int(text)


@dataclass(frozen=True, eq=False)
class Part:
    """What one operand adds to a tensor: `multiplier` () or (groups, N) times it, the lowest `left` bits of which are 0, and
    `addend` (groups, N) or None.
    """

    multiplier: Integers
    left: int = 0
    addend: Integers | None = None


@dataclass(frozen=True, eq=False)
class Made:
    """How one tensor is made in integers: by a layer that is given v of its operands, on the way to tensor `target`.

    `shift`: s of the target. `parts`: of a matrix layer its own part, by its own name; of others those of coded operands.
    """

    target: str
    shift: int
    parts: Mapping[str, Part]


def finished(v: Integers, shift: int, code: Affine) -> Integers:
    """Turn v into codes: clip(((v + 2^(shift - 1)) >> shift) + zero, low, high), halves up."""
    rounded = (v + (np.int64(1) << np.int64(shift - 1))) >> np.int64(shift)
    return np.asarray(np.clip(rounded + int(code.zero), code.low, code.high))


def compute(layer: Layer, made: Made, quantised: QuantisedNetwork, arrays: Mapping[str, Any], runs: int) -> Integers:
    """Return v of a layer that is no matrix layer from its operands as they are stored, for `runs` batches."""
    operands = []
    for name in layer.inputs:
        v = arrays[name].astype(np.int64)
        if name in made.parts:
            v = (v - int(quantised.codes[name].zero)) * made.parts[name].multiplier
        operands.append(v)
    if isinstance(layer, Activation):
        unit = float(quantised.codes[made.target].scale) / 2.0**made.shift
        low, high = (_whole(np.asarray(end / unit)) for end in _range(layer))
        return np.asarray(np.minimum(np.maximum(operands[0], low), high))
    return np.asarray(apply(layer, operands, runs))


def _range(layer: Activation) -> tuple[float, float]:
    """Return between which reals an activation keeps its operand."""
    return (0.0, math.inf) if layer.function == "relu" else (layer.parameters["low"], layer.parameters["high"])


def keeps_integers(layer: Layer) -> bool:
    """Return whether a layer makes integers of integers that have one unit."""
    if isinstance(layer, Activation):
        return layer.function in ("relu", "clip")
    if isinstance(layer, Elementwise):
        return layer.function in ("add", "subtract", "maximum", "minimum")
    return layer.moves_only or (isinstance(layer, Pool) and layer.function == "maximum")


def integer_steps(quantised: QuantisedNetwork) -> Mapping[str, Made]:
    """Return how tensors are made in integers, by layer; empty where `quantised.requantise` says float64.

    Raises NumberError where no multiplier of so many bits gives sums that int64 holds.
    """
    if quantised.requantise is None:
        return {}
    steps: dict[str, Made] = {}
    for name in quantised.codes:
        layers = _chain(quantised, name)
        if layers is not None:
            steps |= _planned(quantised, name, layers)
    return steps


def _chain(quantised: QuantisedNetwork, target: str) -> list[Layer] | None:
    """Return the layers that make a tensor out of sums and coded tensors; None where some of it is not done in integers."""
    network, layers, waiting = quantised.network, [], [target]
    while waiting:
        layer = network.by_name[waiting.pop()]
        layers.append(layer)
        if isinstance(layer, MatrixLayer):
            continue
        if isinstance(layer, Input) or not keeps_integers(layer) or not layer.inputs:
            return None
        for name in layer.inputs:
            if name in quantised.codes:
                continue
            if len(network.consumers[name]) != 1 or name in network.results:
                return None
            waiting.append(name)
    return layers


def _ratios(quantised: QuantisedNetwork, layer: Layer, scale: float) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    """Yield what a unit of each part of a layer counts for in steps of the target."""
    if isinstance(layer, MatrixLayer):
        yield layer.name, quantised.codes[layer.inputs[0]].scale * quantised.matrices[layer.name].scale / scale
        return
    for name in layer.inputs:
        if name in quantised.codes:
            yield name, np.asarray(quantised.codes[name].scale / scale)


def _planned(quantised: QuantisedNetwork, target: str, layers: list[Layer]) -> dict[str, Made]:
    bits = quantised.requantise
    assert bits is not None
    scale = float(quantised.codes[target].scale)
    ratios = {layer.name: dict(_ratios(quantised, layer, scale)) for layer in layers}
    own = {part: _shift(ratio, bits) for parts in ratios.values() for part, ratio in parts.items()}
    shift = min(max(own.values()), _ROOM)
    if shift < 1:
        raise NumberError(
            f"tensor {target!r} of {quantised.network.name} has steps 2^{-shift} times smaller than its parts; multipliers of "
            f"{bits} bits leave nothing to round: take more bits, or requantise {FLOAT}"
        )
    steps, reach = {}, 0
    for layer in layers:
        parts = {}
        for name, ratio in ratios[layer.name].items():
            left = max(shift - own[name], 0)
            parts[name] = Part(_whole(ratio * 2.0 ** (shift - left)) << np.int64(left), left)
            reach += int(parts[name].multiplier.max()) * _largest(quantised, layer, name)
        if isinstance(layer, MatrixLayer) and (bias := quantised.matrices[layer.name].bias) is not None:
            addend = _whole(bias / scale * 2.0**shift)
            parts[layer.name] = replace(parts[layer.name], addend=addend)
            reach += int(np.abs(addend).max())
        steps[layer.name] = Made(target, shift, parts)
    if reach.bit_length() > _ROOM:
        raise NumberError(
            f"sums of tensor {target!r} of {quantised.network.name} times multipliers of {bits} bits need {reach.bit_length()} "
            f"bits and sign, more than {_ROOM}: requantise with fewer bits"
        )
    return steps


def _shift(ratio: npt.NDArray[np.float64], bits: int) -> int:
    """Return s for which the largest multiplier rint(2^s x ratio) has so many bits."""
    largest = float(ratio.max())
    shift = bits - math.frexp(largest)[1]
    # Rounded up to the next power of two it would have a bit more.
    return shift - (round(largest * 2.0**shift) >> bits)


def _largest(quantised: QuantisedNetwork, layer: Layer, part: str) -> int:
    """Return how far from 0 a part may be: the sum of a matrix layer, or a code less its zero."""
    whole = isinstance(layer, MatrixLayer)
    code = quantised.codes[layer.inputs[0] if whole else part]
    most = max(int(code.zero) - code.low, code.high - int(code.zero))
    return quantised.matrices[layer.name].largest_sum * most if whole else most


def _whole(values: npt.NDArray[np.float64]) -> Integers:
    return np.asarray(np.clip(np.rint(values), -(2.0**_ROOM), 2.0**_ROOM).astype(np.int64))


def scaled_sums(made: Made, layer: MatrixLayer, acc: npt.NDArray[Any], arrange: Any) -> Integers:
    """Return v of a matrix layer from its sums, in the layout of its output; `arrange` lays numbers an output out to broadcast.

    Sums that are not whole, as analog devices may make them, are first rounded: the digital side has integers alone.
    """
    part = made.parts[layer.name]
    whole = np.rint(acc).astype(np.int64) if acc.dtype.kind == "f" else acc.astype(np.int64)
    v = whole * (arrange(layer, part.multiplier) if part.multiplier.ndim else part.multiplier)
    return np.asarray(v if part.addend is None else v + arrange(layer, part.addend))


__all__ = [
    "FLOAT", "Made", "Part", "compute", "finished", "integer_steps", "keeps_integers", "multiplier_bits", "scaled_sums",
]  # fmt: skip
