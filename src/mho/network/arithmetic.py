"""The one defined arithmetic of every layer that is not a crossbar's: float64, each operation written down
once, by the layer's kind.

A network is imported for a batch, but may be run on several such batches at once: the first axis of every
tensor that depends on an input is then longer by the factor samples / batch (see `batching`). Results do not
depend on what is run together: every sum has one order (see `layers.reduction`), and a product of two activations
is either exact (integer codes) or evaluated matrix by matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mho.network.layer import AnyArray, Layer
from mho.network.layers import MatrixLayer
from mho.network.products import real_products


def apply(layer: Layer, operands: Sequence[AnyArray], samples: int, batch: int = 1) -> AnyArray:
    """Compute a layer that is neither an input nor a matrix layer.

    `operands` are float64 where they are reals, else of their own type; `samples` is the number of samples run together and
    `batch` the number that the network was imported for. Returns float64, or the type of `Layer.result_type`. Raise
    NumberError for an index outside what it looks up.
    """
    with np.errstate(all="ignore"):  # infinities and NaN as IEEE 754 says
        return layer.compute(operands, samples // batch)


def evaluate(layers: Iterable[Layer], given: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Compute layers in order from the tensors that are given, matrix layers on their real weights."""
    values = dict(given)
    for layer in layers:
        if layer.name in values:
            continue
        operands = [values[name] for name in layer.inputs]
        if isinstance(layer, MatrixLayer):
            values[layer.name] = real_products(layer, operands[0])
        else:
            values[layer.name] = apply(layer, operands, 1)
    return values
