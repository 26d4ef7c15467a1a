"""What training asks of a network once: its arrays by name, which tensors share a code of how many bits, when each is let go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mho.errors import NetworkError
from mho.network.arrays import Array
from mho.network.graph import Network
from mho.network.layers import Constant, Input, Layer, MatrixLayer
from mho.number.batching import fixed
from mho.number.bits import Asked
from mho.number.precision import Precision
from mho.number.storage import stored
from mho.number.walk import releases


class Layout:
    """A network as `training.graph` runs it, at some `bits`, or in real numbers (None).

    `arrays`: what is trained, by name LAYER.FIELD; `constants` by name; `fields`: by layer the fields that are trained, and the
    names of their arrays; `matrices`: the layers that own their weight. `places`: by stored tensor the number of its code, of
    `bits_of` bits each; codes in `whole` take every value that was seen. `weight_bits` by matrix layer.
    """

    def __init__(self, network: Network, bits: Asked | None) -> None:
        self.network = network
        self.fixed = fixed(network)
        self.released: Mapping[str, tuple[str, ...]] = releases(network, ())
        self.constants = {layer.name: layer.value for layer in network.layers if isinstance(layer, Constant)}
        self.matrices = frozenset(layer.name for layer in network.weighted)
        self.arrays: dict[str, Array] = {}
        self.fields: dict[str, tuple[tuple[str, str], ...]] = {}
        for layer in network.layers:
            if not isinstance(layer, Constant):
                self.fields[layer.name] = tuple(self._fields(layer))
        self.places: dict[str, int] = {}
        self.bits_of: list[int] = []
        self.weight_bits: dict[str, int] = {}
        self.whole: frozenset[int] = frozenset()
        if bits is not None:
            self._coded(bits)

    def _fields(self, layer: Layer) -> list[tuple[str, str]]:
        """Return a layer's arrays by field and name; a weight that layers share bears the name of the first of them."""
        pairs = []
        for field, value in vars(layer).items():
            if isinstance(value, Array):
                shares = field == "weight" and isinstance(layer, MatrixLayer)
                name = f"{self.network.owners[layer.name] if shares else layer.name}.{field}"
                self.arrays.setdefault(name, value)
                pairs.append((field, name))
        return pairs

    def _coded(self, bits: Asked) -> None:
        """Look up the bits of weights and stored tensors, and which of these share a code."""
        network = self.network
        if network.codes:
            raise NetworkError(
                f"{network.name} came quantised, with codes of its own: train it in real numbers (bits None)"
            )
        precision = Precision.of(network, bits)
        owners = network.owners
        self.weight_bits = {layer.name: precision.weights[owners[layer.name]] for layer in network.matrix_layers}
        leaders: dict[str, int] = {}
        names = stored(network)
        for layer in network.layers:
            name = layer.name
            if name in names:
                leader = name if name in self.fixed else precision.leaders.get(name, name)
                if leader not in leaders:
                    leaders[leader] = len(self.bits_of)
                    self.bits_of.append(precision.tensors[name])
                self.places[name] = leaders[leader]
        entire = [layer.name for layer in network.layers if isinstance(layer, Input) or layer.name in self.fixed]
        self.whole = frozenset(self.places[name] for name in entire if name in self.places)

    def bears(self, layer: Layer) -> bool:
        """Return True if a stored tensor is made of values that bear its code already."""
        place = self.places[layer.name]
        sources = layer.carried()
        return bool(sources) and all(self.places.get(name) == place for name in sources)

    def filled(self, arrays: Mapping[str, Array]) -> Network:
        """Return the network with other arrays in the places of its own."""
        layers = []
        for layer in self.network.layers:
            given: dict[str, Any] = {field: arrays[name] for field, name in self.fields.get(layer.name, ())}
            layers.append(replace(layer, **given) if given else layer)
        return replace(self.network, layers=tuple(layers))


__all__ = ["Layout"]
