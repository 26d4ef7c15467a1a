"""A network: layers in an order in which they can be run, checked when built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

from mho.errors import NetworkError
from mho.network.layer import fitted, tensor_types
from mho.network.layers import Affine, Array, Input, Layer, MatrixLayer, MatrixProduct
from mho.shown import Columns, Shown, columns


@dataclass(frozen=True, eq=False, repr=False)
class Network(Shown):
    """The network that is to be run.

    Network.from_torch(module, example)         any torch module, by torch.export
    Network.from_onnx("model.onnx")             an ONNX file, float or quantised (QuantizeLinear / DequantizeLinear)
    mho.zoo.load("resnet50")                    a known model, by shape alone
    mho.zoo.load("resnet50", weights="seeded")  the same with seeded (synthetic) weights

    `layers` are in data-flow order; each name is used once; every input of a layer is an earlier layer. `outputs` are the
    names of what the network returns: each a tensor of that name, or the one that `returned` says (those of a file keep
    its names; two may be one tensor, an input or a constant). `codes` holds the affine codes that a quantised file
    prescribes for tensors.
    `origin` says where the weights come from ("file x.onnx", "seeded 0 (synthetic)", "none (shapes only)").
    """

    name: str
    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]
    origin: str
    codes: Mapping[str, Affine] = field(default_factory=dict)
    returned: Mapping[str, str] = field(default_factory=dict)

    from_torch: ClassVar[Callable[..., Network]]
    from_onnx: ClassVar[Callable[..., Network]]
    """The importers stand above what they build: the package `mho.network` sets them here."""

    def __post_init__(self) -> None:
        """Refuse names used twice, tensors that are read before they are made or empty, and outputs that do not exist."""
        object.__setattr__(self, "returned", {name: self.returned.get(name, name) for name in self.outputs})
        names: set[str] = set()
        for layer in self.layers:
            for name in layer.inputs:
                if name not in names:
                    raise NetworkError(
                        f"layer {layer.name!r} of {self.name} reads {name!r}, which no earlier layer makes"
                    )
            if layer.name in names:
                raise NetworkError(f"two layers of {self.name} are called {layer.name!r}")
            if min(layer.shape, default=1) < 1:
                raise NetworkError(
                    f"layer {layer.name!r} of {self.name} ({layer.kind}) has an empty shape {layer.shape}"
                )
            names.add(layer.name)
        missing = [name for name in (*self.returned.values(), *self.codes) if name not in names]
        if missing:
            raise NetworkError(f"{self.name} has no tensor {missing[0]!r}")
        if not self.outputs:
            raise NetworkError(f"{self.name} has no outputs")
        if len(self.returned) < len(self.outputs):
            raise NetworkError(f"{self.name} has two outputs of one name: {', '.join(self.outputs)}")
        hidden = [name for name, tensor in self.returned.items() if name != tensor and name in names]
        if hidden:
            raise NetworkError(f"output {hidden[0]!r} of {self.name} bears the name of another tensor")

    def headline(self) -> str:
        """Say what it is in a line."""
        return f"Network({self.name!r}, {len(self.layers)} layers, {self.weights} weights, {self.origin})"

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `layers`, in order; sizes of the product where a layer sits in crossbars."""
        return {"layers": lambda: columns(map(_record, self.layers))}

    @cached_property
    def by_name(self) -> Mapping[str, Layer]:
        """Return the layers by name."""
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[str, ...]]:
        """Return for each tensor the layers that read it, in order."""
        readers: dict[str, list[str]] = {layer.name: [] for layer in self.layers}
        for layer in self.layers:
            for name in dict.fromkeys(layer.inputs):
                readers[name].append(layer.name)
        return {name: tuple(names) for name, names in readers.items()}

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """Return the tensors given from outside, in order."""
        return tuple(layer for layer in self.layers if isinstance(layer, Input))

    @cached_property
    def matrix_layers(self) -> tuple[MatrixLayer, ...]:
        """Return the layers that sit in crossbars, in order."""
        return tuple(layer for layer in self.layers if isinstance(layer, MatrixLayer))

    @cached_property
    def types(self) -> Mapping[str, str]:
        """Return the type of each tensor (see `types`); one with a code stands for reals."""
        return tensor_types(self.layers, self.codes)

    @cached_property
    def results(self) -> frozenset[str]:
        """Return the tensors that the network returns, under whatever names."""
        return frozenset(self.returned.values())

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """Return for each matrix layer the first one whose weights it has, arranged as the same matrices (`Array.key`).

        A module that is called twice has one weight, and so has a recurrent layer unrolled in time.
        """
        first: dict[tuple[object, ...], str] = {}
        return {
            layer.name: first.setdefault((layer.weight.key, type(layer), layer.groups), layer.name)
            for layer in self.matrix_layers
        }

    @cached_property
    def weighted(self) -> tuple[MatrixLayer, ...]:
        """Return the matrix layers that own their weights, in order: each weight belongs to one of them."""
        return tuple(layer for layer in self.matrix_layers if self.owners[layer.name] == layer.name)

    @cached_property
    def batch(self) -> int:
        """Return the samples per run: the first axis of the first input that has axes."""
        return next((layer.shape[0] for layer in self.inputs if layer.shape), 1)

    @property
    def weights(self) -> int:
        """Return the number of weights of the matrix layers, those that layers share counted once, biases not counted."""
        return sum(layer.weight.size for layer in self.weighted)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of matrix layers and activation products, batch included."""
        return sum(layer.macs for layer in self.layers if isinstance(layer, MatrixLayer | MatrixProduct))

    @cached_property
    def has_values(self) -> bool:
        """Return whether every weight and constant has values, so that the network can be executed."""
        return all(array.values is not None for layer in self.layers for array in arrays(layer))

    def renamed(self, name: str) -> Network:
        """Return the same network under another name."""
        return replace(self, name=name)


def _record(layer: Layer) -> dict[str, Any]:
    matrix = layer if isinstance(layer, MatrixLayer) else None
    return {
        "name": layer.name,
        "kind": layer.kind,
        "inputs": layer.inputs,
        "shape": layer.shape,
        "k": None if matrix is None else matrix.rows,
        "n": None if matrix is None else matrix.columns,
        "matrices": None if matrix is None else matrix.groups,
        "windows": None if matrix is None else matrix.windows,
        "macs": getattr(layer, "macs", 0),
    }


def arrays(layer: Layer) -> Iterator[Array]:
    """Yield the weights and constants of a layer."""
    for value in vars(layer).values():
        if isinstance(value, Array):
            yield value


def check_shapes(network: Network) -> None:
    """Raise NetworkError where a layer's shape, or that of its weights, is not what its kind makes of its operands.

    The importers build layers that fit; a network that is described from outside (a program's file) is checked here before
    anything is computed.
    """
    for layer in network.layers:
        where = f"layer {layer.name!r} ({layer.kind})"
        try:
            shape = fitted(layer, [network.by_name[name].shape for name in layer.inputs])
        except NetworkError as error:
            raise NetworkError(f"{where}: {error}") from None
        if shape != layer.shape:
            raise NetworkError(f"{where} makes {shape}, not {layer.shape}")
