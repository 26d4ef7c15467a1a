"""Do the layers of a network fit one another?

The importers build layers that fit; a network that is described from outside (a program's file) is checked here before
anything is computed.
"""

from __future__ import annotations

from mho.errors import NetworkError
from mho.network.graph import Network


def check_shapes(network: Network) -> None:
    """Raise NetworkError where a layer's shape, or that of its weights, is not what its kind makes of its operands."""
    for layer in network.layers:
        operands = [network.by_name[name].shape for name in layer.inputs]
        try:
            shape = layer.made_shape(operands)
        except (ValueError, IndexError):
            given = " and ".join(map(str, operands)) or "nothing"
            raise NetworkError(f"layer {layer.name!r} ({layer.kind}) cannot read {given}") from None
        if shape != layer.shape:
            raise NetworkError(f"layer {layer.name!r} ({layer.kind}) makes {shape}, not {layer.shape}")
