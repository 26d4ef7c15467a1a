"""Functions that a file spells out in primitive layers, recognised as one layer: GELU, SiLU, Mish, layer and RMS norms.

Recognised by value, not by spelling: a group of layers between one tensor x and one tensor y, of which
nothing else reads, is evaluated in float64 on a fixed set of numbers and compared with each known function.
Files write the same function in many ways, and their constants are rounded to float32, hence the tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.errors import NetworkError
from mho.network.activations import FUNCTIONS
from mho.network.fold import fold
from mho.network.layers import Activation, Affine, Concatenate, Elementwise, Layer, Normalise, Reduce, Select

Values = npt.NDArray[np.float64]
Simplified = tuple[tuple[Layer, ...], tuple[str, ...], dict[str, Affine]]

TOLERANCE = 2e-6
"""Largest difference that rounding constants to float32 explains; the two kinds of GELU differ by 5e-4."""
LONGEST = 16
"""Layers that a spelling may have."""

_UNARY = (
    "scale_shift", "power", "clip", "relu", "sigmoid", "softplus", "reciprocal", "reciprocal_sqrt", "negate", "absolute", "erf",
    "tanh", "exp", "log", "sqrt",
)  # fmt: skip
_BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum")
"""Functions of which spellings are made."""
_KNOWN = ("gelu", "gelu_tanh", "silu", "mish", "hard_swish")
"""Functions that are spelt."""
_POINTS = np.linspace(-9.0, 9.0, 721)
_ROWS = (1e-4, 1e-2, 1.0, 3.0)
"""Sizes of the sample rows of a norm; on the small ones epsilon decides."""


def simplify(layers: Sequence[Layer], outputs: Sequence[str], codes: Mapping[str, Affine] | None = None) -> Simplified:
    """Fold, recognise spelt-out functions, and fold what follows them."""
    folded, renamed, kept = fold(layers, outputs, codes)
    return fold(recognise(folded, renamed, kept), renamed, kept)


def refuse_infinite(layers: Iterable[Layer], outputs: Mapping[str, str], lowered: Collection[str]) -> None:
    """Refuse outputs that would show the constants `lowered`: the lowest float32 where the network has minus infinity.

    A softmax, an exponential or a comparison gives the same for both; what only combines or moves values does not.
    """
    shown = set(lowered)
    for layer in layers:
        if shown.intersection(layer.inputs):
            passes = isinstance(layer, Elementwise) and layer.function not in Elementwise.COMPARISONS
            if passes or layer.moves_only or isinstance(layer, Select | Concatenate):
                shown.add(layer.name)
    for name, tensor in outputs.items():
        if tensor in shown:
            raise NetworkError(
                f"output {name!r} shows minus infinities, which are the lowest float32 here; return what is made of them"
            )


def recognise(layers: Sequence[Layer], outputs: Sequence[str], codes: Mapping[str, Affine]) -> tuple[Layer, ...]:
    """Return the layers with spelt-out functions replaced; those that nothing reads any more are left in."""
    network = _View({layer.name: layer for layer in layers}, {}, set(outputs) | set(codes), {})
    for index, layer in enumerate(layers):
        network.order[layer.name] = index
        for name in layer.inputs:
            network.readers.setdefault(name, set()).add(layer.name)
    replacements: dict[str, Layer] = {}
    gone: set[str] = set()
    for layer in reversed(layers):
        if layer.name in gone or not isinstance(layer, Activation | Elementwise):
            continue
        replacement, inner = _replacement(network, layer)
        if replacement is not None:
            replacements[layer.name] = replacement
            gone |= inner
    return tuple(replacements.get(layer.name, layer) for layer in layers)


@dataclass(frozen=True)
class _View:
    """The network as the search sees it: layers, readers of each tensor, tensors that must stay, positions."""

    layers: dict[str, Layer]
    readers: dict[str, set[str]]
    fixed: set[str]
    order: dict[str, int]

    def open_to(self, name: str, group: set[str]) -> bool:
        """Return whether a tensor is read inside the group only and made by a layer that can be evaluated."""
        layer = self.layers[name]
        match layer:
            case Activation():
                evaluable = layer.function in _UNARY
            case Elementwise():
                evaluable = layer.function in _BINARY
            case Reduce():
                rank = len(self.layers[layer.inputs[0]].shape)
                trailing = layer.axes == tuple(range(rank - len(layer.axes), rank))
                evaluable = layer.function == "mean" and layer.keep and trailing
            case _:
                evaluable = False
        return evaluable and name not in self.fixed and self.readers[name] <= group


def _replacement(network: _View, last: Layer) -> tuple[Layer | None, set[str]]:
    """Grow a group backwards from its last layer; the largest one that only one tensor enters and that is known."""
    if isinstance(last, Activation) and last.function not in _UNARY:
        return None, set()
    group, entering = {last.name}, set(last.inputs)
    best: Layer | None = None
    inner: set[str] = set()
    while len(group) <= LONGEST:
        if len(entering) == 1 and len(group) > 1:
            (source,) = entering
            replacement = _known(network, sorted(group, key=network.order.__getitem__), source, last)
            if replacement is not None:
                best, inner = replacement, set(group)
        name = max(entering, key=network.order.__getitem__)
        if not network.open_to(name, group):
            break
        group.add(name)
        entering.remove(name)
        entering |= set(network.layers[name].inputs)
    return best, inner


def _known(network: _View, group: list[str], source: str, last: Layer) -> Layer | None:
    """Return the one layer that does the same as a group; None where there is none."""
    members = [network.layers[name] for name in group]
    if network.layers[source].shape != last.shape:
        return None
    reductions = [layer for layer in members if isinstance(layer, Reduce)]
    if not reductions:
        result = _evaluate(members, source, _POINTS)
        for function in _KNOWN:
            if _same(result, FUNCTIONS[function](_POINTS)):
                return Activation(name=last.name, inputs=(source,), shape=last.shape, function=function)
        return None
    axes = len(reductions[0].axes)
    if any(len(layer.axes) != axes for layer in reductions) or axes >= len(last.shape):
        return None
    width = math.prod(last.shape[len(last.shape) - axes :])
    # A fixed sample without structure; which numbers it holds does not matter.
    sample = np.sin(1.7 + 12.9898 * np.arange(width) ** 1.1) + 0.3
    rows = np.stack([sample * size for size in _ROWS])
    result = _evaluate(members, source, rows)
    for epsilon in _shifts(members):
        for function, centre in (("layer", True), ("rms", False)):
            centred = rows - rows.mean(-1, keepdims=True) if centre else rows
            reference_rows = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
            if width > 1 and _same(result, reference_rows):
                return Normalise(
                    name=last.name, inputs=(source,), shape=last.shape, function=function, epsilon=epsilon, axes=axes
                )
    return None


def _shifts(members: Sequence[Layer]) -> list[float]:
    """Return what may be epsilon: the positive numbers added in a group."""
    added = [
        float(layer.parameters["shift"])
        for layer in members
        if isinstance(layer, Activation) and layer.function == "scale_shift"
    ]
    return [shift for shift in added if 0.0 < shift < 0.1]


def _evaluate(members: Sequence[Layer], source: str, x: Values) -> Values:
    """Run a group on numbers; a mean is over the last axis of the sample, which stands for all trailing ones."""
    values = {source: x}
    with np.errstate(all="ignore"):
        for layer in members:
            operands = [values[name] for name in layer.inputs]
            mean = isinstance(layer, Reduce)
            result = operands[0].mean(-1, keepdims=True) if mean else layer.compute(operands, 1)
            values[layer.name] = result
    return values[members[-1].name]


def _same(values: Values, expected: Values) -> bool:
    bound = TOLERANCE * max(1.0, np.abs(expected).max())
    return bool(np.all(np.isfinite(values)) and np.max(np.abs(values - expected)) <= bound)
