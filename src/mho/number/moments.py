"""What calibration samples say of a layer's inputs: their mean, and the mean products of any two of them.

The squared error of an output whose weights change by d is d' H d for H = the mean of x x' over input vectors x: all that
rounding weights for a layer's outputs needs to know.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError
from mho.network.graph import Network
from mho.network.layers import Convolution, MatrixLayer
from mho.network.windows import padded, window_view
from mho.number.reproducible import DIGITS, gridded, product
from mho.number.walk import Inputs, checked, run_float

WINDOWS = 1 << 14
"""Input vectors of a layer from which the products of its inputs are taken."""
FloatArray = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Moments:
    """Means over `windows` input vectors x of a layer, in real numbers: `first` (groups, K), `second` (groups, K, K) of x x'.

    `beside` (groups, K, K): of x y', where y are vectors that were seen together with them; None where there were none.
    """

    first: FloatArray
    second: FloatArray
    windows: int
    beside: FloatArray | None = None

    def __post_init__(self) -> None:
        """Raise NumberError for shapes that do not fit one another, and for means of nothing."""
        if self.second.shape != (*self.first.shape, self.first.shape[-1]) or self.first.ndim != 2:
            raise NumberError(f"moments of shapes {self.first.shape} and {self.second.shape} do not fit one another")
        if self.windows < 1:
            raise NumberError("moments are taken over at least one input vector")

    def spread(self, weights: FloatArray) -> FloatArray:
        """Return the variances (groups, N) of the outputs of weights (groups, K, N) over the input vectors."""
        second = (weights * product(self.second, weights)).sum(axis=1)
        mean = product(self.first[:, None, :], weights)[:, 0]
        return np.asarray(np.maximum(second - mean**2, 0.0))


def moments(
    network: Network,
    samples: Inputs,
    names: Collection[str],
    *,
    windows: int = WINDOWS,
    seed: int = 0,
    chunk: int | None = None,
) -> dict[str, Moments]:
    """Run the float network on `samples` and return the moments of the inputs of the matrix layers `names`.

    Of each layer about `windows` input vectors are taken, as many from each sample, drawn without repetition from a seed that
    depends on the layer and the sample alone: how samples are chunked does not matter. Layers that share the weight of one named
    add their vectors to its. Layers whose inputs depend on no
    sample are left out. Memory: K x K for each matrix, and a chunk's vectors of one layer.
    """
    if windows < 1:
        raise NumberError(f"moments are taken over at least one input vector a layer, not {windows}")
    _, runs = checked(network, samples)
    readers: dict[str, list[tuple[int, MatrixLayer]]] = defaultdict(list)
    for place, layer in enumerate(network.matrix_layers):
        if network.owners[layer.name] in names:
            readers[layer.inputs[0]].append((place, layer))
    seen: dict[str, int] = defaultdict(int)
    sums: dict[str, MomentSums] = defaultdict(MomentSums)

    def observe(name: str, value: AnyArray) -> None:
        for place, layer in readers.get(name, ()):
            parts = runs * network.by_name[name].shape[0]
            each = -(-windows // parts)
            sums[network.owners[layer.name]].add(drawn(layer, value, each, (seed, place, seen[layer.name])))
            seen[layer.name] += len(value)

    run_float(network, samples, single=True, observe=observe, chunk=chunk)
    return {name: each.moments() for name, each in sums.items()}


class MomentSums:
    """Input vectors summed up part by part."""

    def __init__(self) -> None:
        self.first: FloatArray | float = 0.0
        self.second: FloatArray | float = 0.0
        self.beside: FloatArray | None = None
        self.windows = 0
        self._product: FloatArray | None = None

    def add(self, x: FloatArray, y: FloatArray | None = None) -> None:
        """Add vectors (groups, vectors, K), and those seen together with them where these count.

        Rounded so that sums are exact in any order: see `reproducible`.
        """
        bits = (DIGITS - (x.shape[1] - 1).bit_length()) // 2
        x = gridded(x, bits, axis=1)
        if y is not None:
            self.beside = self._added(self.beside, x, gridded(y, bits, axis=1))
        self.first = self.first + x.sum(axis=1)
        self.second = self._added(self.second if self.windows else None, x, x)
        self.windows += x.shape[1]

    def _added(self, total: Any, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return a total with the products of two added, in its place: of wide layers these are 100 MB."""
        self._product = np.matmul(x.transpose(0, 2, 1), y, out=self._product)
        if total is None:
            total, self._product = self._product, None
        else:
            total += self._product
        return np.asarray(total)

    def moments(self) -> Moments:
        """Divide by the vectors that were added. Raises NumberError where there are none."""
        first, second = (np.asarray(total / max(self.windows, 1)) for total in (self.first, self.second))
        beside = None if self.beside is None else np.asarray(self.beside / self.windows)
        return Moments(first, second, self.windows, beside)


def drawn(layer: MatrixLayer, value: AnyArray, each: int, seed: tuple[int, int, int]) -> FloatArray:
    """Draw at most `each` input vectors from each entry of axis 0: (groups, vectors, K).

    The last number of `seed` counts the entries that came before.
    """
    if isinstance(layer, Convolution):
        places = layer.shape[2] * layer.shape[3]
    else:
        value = value if value.ndim > 1 else value[None]
        places = value[0].size // (layer.groups * layer.rows)
    count = min(each, places)
    chosen = np.stack(
        [
            np.random.default_rng((*seed[:2], seed[2] + entry)).choice(places, count, replace=False)
            if count < places
            else np.arange(places)
            for entry in range(len(value))
        ]
    )
    entries = np.repeat(np.arange(len(value)), count)
    if not isinstance(layer, Convolution):
        vectors = value.reshape(-1, layer.groups, layer.rows)[entries * places + chosen.ravel()]
        return np.asarray(vectors.transpose(1, 0, 2), dtype=np.float64)
    view = window_view(layer, padded(layer, value, 0.0))  # (B, groups, C, kh, kw, oh, ow)
    y, x = np.divmod(chosen.ravel(), layer.shape[3])
    vectors = view[entries, :, :, :, :, y, x]
    return np.asarray(vectors.reshape(len(entries), layer.groups, layer.rows).transpose(1, 0, 2), dtype=np.float64)


__all__ = ["MomentSums", "Moments", "drawn", "moments"]
