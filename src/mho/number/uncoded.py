"""A network whose file brought codes of weights, with these weights as real numbers, so that they can be coded anew."""

from __future__ import annotations

from dataclasses import replace

from mho.network.graph import Network
from mho.network.layers import Array, Layer, MatrixLayer


def uncoded(network: Network) -> Network:
    """Return the network with the real numbers that the codes of its matrix layers' weights stand for.

    quantise(uncoded(network), samples, bits="4/8")     weights of a quantised file in fewer bits

    Tensors keep the codes that the file prescribes for them: their ranges may stand for what it clips. A weight that layers share
    stays one. The network itself where no weight has a code.
    """
    reals: dict[tuple[object, ...], Array] = {}

    def real(layer: Layer) -> Layer:
        if not isinstance(layer, MatrixLayer) or layer.weight.code is None or layer.weight.values is None:
            return layer
        key = layer.weight.key
        if key not in reals:
            reals[key] = Array.of(layer.weight.real())
        return replace(layer, weight=reals[key])

    layers = tuple(map(real, network.layers))
    return replace(network, layers=layers) if reals else network


__all__ = ["uncoded"]
