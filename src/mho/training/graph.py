"""Any network as a torch module: the same layers with trainable weights, at the bits that the chip will have.

graph = Graph(network, bits="4/8")                   weights of the network; bits as number.quantise takes them, None: real numbers
graph.calibrate(samples)                             the ranges of activations, before the first step (else by the first batch)
loss(graph(batch)["score"]).backward()               any number of samples, a multiple of the network's batch
graph.trained()                                      the network with the trained weights
graph.quantise(samples)                              its integers, with the ranges of training

While it is quantised, weights and every tensor that the chip stores show what codes of their bits stand for: the codes that
`number.quantise` chooses (`mho.training.fake`). Ranges of activations follow the batches of training by a moving average.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mho import number
from mho.errors import NetworkError
from mho.network.graph import Network
from mho.network.layers import Array
from mho.number import QuantisedNetwork
from mho.number.affine import fit
from mho.number.batching import obstacle
from mho.number.bits import Asked
from mho.number.walk import Inputs, expected
from mho.training.fake import chosen_range, chosen_share, coded_by_share, coded_input, coded_weight
from mho.training.functions import FUNCTIONS, check_trainable
from mho.training.layout import Layout

FloatArray = npt.NDArray[np.float32]

WHOLE = 8
"""Bits of an activation that hardly tells from the real number."""
MOMENTUM, EVERY = 0.1, 4
"""Weight of a batch in the moving average of a range, and of how many batches one is looked at."""
SOUGHT = 16
"""Training passes after which thresholds of weights are looked for again."""

LEAST = 1e-12
"""Outputs of no larger deviation are taken for all alike."""


class Graph(nn.Module):
    """A network with trainable weights.

    `bits`: as `number.quantise` takes them, None for real numbers. `per_channel`, `symmetric`: of weight codes, likewise.
    `momentum`: weight of a batch in the ranges of activations, every EVERY batches that ask for gradients; 0 keeps those of
    `calibrate`. `light`: activations of 8 bits stay real in training mode, which takes a third less time. `coded`, which may be set
    to False: all numbers stay real for the time being. Weights are called
    LAYER.FIELD ("top.0.weight"); a weight that layers share bears the name of the first. Raises NetworkError for a network that
    cannot be run in other batches than its own, and for layers that have no function in torch.
    """

    ranges: Tensor
    known: Tensor
    passes: Tensor

    def __init__(
        self,
        network: Network,
        bits: Asked | None = None,
        *,
        per_channel: bool = True,
        symmetric: bool = False,
        momentum: float = MOMENTUM,
        light: bool = False,
    ) -> None:
        """Take over the weights of the network as float32."""
        super().__init__()
        check_trainable(network.layers)
        culprit = obstacle(network)
        if culprit is not None:
            raise NetworkError(
                f"{network.name} cannot be trained: layer {culprit.name!r} ({culprit.kind}) does not keep samples apart"
            )
        self.network, self.bits = network, bits
        self.per_channel, self.symmetric, self.momentum = per_channel, symmetric, momentum
        self.layout, self.light, self.coded = Layout(network, bits), light, True
        self.register_buffer("ranges", torch.zeros(len(self.layout.bits_of), 2, dtype=torch.float64))
        self.register_buffer("known", torch.zeros((), dtype=torch.bool))
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))
        self.known_weights = all(array.known for array in self.layout.arrays.values())
        arrays = self.layout.arrays.values() if self.known_weights else ()
        self.values = nn.ParameterList([nn.Parameter(_tensor(array)) for array in arrays])
        for place, array in enumerate(self.layout.constants.values()):
            self.register_buffer(f"constant{place}", _tensor(array))
        self._coded: dict[str, tuple[Tensor, int, Tensor]] = {}
        self._shares: dict[str, tuple[int, Tensor | None]] = {}

    @property
    def weights(self) -> dict[str, Tensor]:
        """Return the weights by name. Raises NetworkError where they are known by shapes alone."""
        if not self.known_weights:
            raise NetworkError(f"{self.network.name} has shapes but no weights (origin: {self.network.origin})")
        return dict(zip(self.layout.arrays, self.values, strict=True))

    def arrays(self) -> dict[str, FloatArray]:
        """Return copies of the weights by name."""
        return {name: weight.detach().cpu().numpy().astype(np.float32) for name, weight in self.weights.items()}

    def load(self, arrays: Mapping[str, FloatArray]) -> None:
        """Copy weights into the graph. Raises NetworkError for names and shapes that are not its own."""
        weights = self.weights
        wrong = sorted(weights.keys() ^ arrays.keys())
        if wrong:
            state = "is missing" if wrong[0] in weights else f"is no weight of {self.network.name}"
            raise NetworkError(f"weight {wrong[0]!r} {state}")
        with torch.no_grad():
            for name, weight in weights.items():
                if weight.shape != arrays[name].shape:
                    raise NetworkError(f"weight {name!r} has shape {arrays[name].shape}, not {tuple(weight.shape)}")
                weight.copy_(torch.from_numpy(np.asarray(arrays[name])))

    def trained(self) -> Network:
        """Return the network with the trained weights."""
        return self.layout.filled({name: Array.of(values) for name, values in self.arrays().items()})

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Run the network; returns its outputs by name."""
        return self.run(inputs, self.weights)

    def run(self, inputs: tuple[Tensor, ...], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the network with any weights of the names and shapes of its own; returns its outputs by name."""
        if not self.coded:
            values = self._walk(inputs, weights, coded=False, spans=None)
            return {name: values[tensor] for name, tensor in self.network.returned.items()}
        if self.layout.bits_of and not bool(self.known):
            self._calibrate(inputs, weights)
        spans: list[list[tuple[float, float]]] | None = None
        learns = self.training and torch.is_grad_enabled()
        follows = bool(learns and self.momentum and self.layout.bits_of)
        self.passes += learns
        if follows and int(self.passes) % EVERY == 0:
            spans = [[] for _ in self.layout.bits_of]
        values = self._walk(inputs, weights, coded=True, spans=spans)
        if spans is not None:
            with torch.no_grad():
                self.ranges.lerp_(_covering(spans).to(self.ranges), self.momentum)
        return {name: values[tensor] for name, tensor in self.network.returned.items()}

    def calibrate(self, *samples: Any) -> None:
        """Set the ranges of activations by what the float network shows on samples: one array or tensor for each input."""
        given = (torch.as_tensor(each) for each in samples)
        kind = next((weight.dtype for weight in self.values), torch.float32)
        self._calibrate(tuple(each.to(kind) if each.is_floating_point() else each for each in given), self.weights)

    def balanced(self, weights: Mapping[str, Tensor], *samples: Tensor, but: Collection[str] = ()) -> dict[str, Tensor]:
        """Return weights of which each matrix layer's outputs have a variance of 1 on samples, one layer after the other.

        Networks that multiply activations grow or vanish with depth, and nothing here normalises them; so training begins where
        every layer counts (Mishkin and Matas 2016, "All you need is a good init"). A bias is scaled with its weight; layers in
        `but` stay as they are. The ranges of activations are set for these weights.
        """
        scales = {key: torch.ones(()) for name in but for _, key in self.layout.fields.get(name, ())}
        self._calibrate(samples, weights, scales)
        return {name: weight * scales[name] if name in scales else weight for name, weight in weights.items()}

    def balance(self, *samples: Tensor) -> None:
        """Balance the graph's own weights, in place."""
        with torch.no_grad():
            for name, weight in self.balanced(self.weights, *samples).items():
                self.weights[name].copy_(weight)

    def codes(self) -> dict[str, tuple[float, float, int]]:
        """Return the range and the bits of each tensor that is stored as codes, as training used them: (low, high, bits)."""
        layout = self.layout
        return {
            name: (*self._range(place), layout.bits_of[place]) for name, place in layout.places.items()
        }  # fmt: skip

    def quantise(self, samples: Inputs, **options: Any) -> QuantisedNetwork:
        """Return the trained network's integers: `number.quantise` at the same bits, but with the ranges of training.

        `samples` calibrate what training did not see; `options` are those of `number.quantise` that are not of the graph.
        """
        bits: Asked = 8 if self.bits is None else self.bits
        quantised = number.quantise(
            self.trained(), samples, bits=bits, per_channel=self.per_channel, symmetric=self.symmetric, **options
        )
        if not bool(self.known):
            return quantised
        codes = {
            name: fit(*own[:2], own[2]) if own is not None else code
            for name, code in quantised.codes.items()
            for own in (self.codes().get(name),)
        }
        return replace(quantised, codes=codes, calibration=f"{quantised.calibration}; activations as trained")

    def _range(self, place: int) -> tuple[float, float]:
        """Return a range as codes take it: rounded to float32, as in `number.calibration`."""
        low, high = self.ranges[place].tolist()
        return float(np.float32(low)), float(np.float32(high))

    def _calibrate(
        self, inputs: tuple[Tensor, ...], weights: Mapping[str, Tensor], scales: dict[str, Tensor] | None = None
    ) -> None:
        spans: list[list[tuple[float, float]]] = [[] for _ in self.layout.bits_of]
        with torch.no_grad():
            self._walk(inputs, weights, coded=False, spans=spans, scales=scales)
            if spans:
                self.ranges.copy_(_covering(spans))
            self.known.fill_(True)

    def _walk(
        self,
        inputs: tuple[Tensor, ...],
        weights: Mapping[str, Tensor],
        *,
        coded: bool,
        spans: list[list[tuple[float, float]]] | None,
        scales: dict[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Run layer by layer. `spans` collects the range of each stored tensor, by its place; `scales` what balances weights."""
        layout = self.layout
        _check_inputs(self.network, inputs)
        values = dict(zip((layer.name for layer in self.network.inputs), inputs, strict=True))
        values |= {name: getattr(self, f"constant{place}") for place, name in enumerate(layout.constants)}
        factor = inputs[0].shape[0] // self.network.batch
        for layer in self.network.layers:
            name = layer.name
            if name not in values:
                arrays = {field: weights[key] for field, key in layout.fields[name]}
                if coded and name in layout.weight_bits:
                    arrays["weight"] = self._weight(name, arrays["weight"])
                values[name] = FUNCTIONS[layer.kind](
                    layer, [values[operand] for operand in layer.inputs], arrays, 1 if name in layout.fixed else factor
                )
                if scales is not None and name in layout.matrices and layout.fields[name][0][1] not in scales:
                    own = _scale(values[name])
                    values[name] = values[name] * own
                    scales |= {key: own for _, key in layout.fields[name]}
            place = layout.places.get(name)
            if place is not None:
                if spans is not None:
                    spans[place].append(chosen_range(values[name], layout.bits_of[place], place in layout.whole))
                if (
                    coded
                    and not layout.bears(layer)
                    and (layout.bits_of[place] < WHOLE or not (self.light and self.training))
                ):
                    values[name] = coded_input(values[name], *self._range(place), layout.bits_of[place])
            for finished in layout.released[name]:
                del values[finished]
        return values

    def _weight(self, layer: str, weight: Tensor) -> Tensor:
        """Return a weight as its codes show it.

        In training mode thresholds are looked for every SOUGHT passes, and stay shares of the largest weight between. In eval mode
        codes are those of `number.quantise`, and without gradients they are kept until the weight changes.
        """
        kind = self.layout.weight_bits[layer], self.per_channel, self.symmetric
        if self.training and kind[0] > 1:
            sought, share = self._shares.get(layer, (-SOUGHT, None))
            if int(self.passes) >= sought + SOUGHT:
                share = chosen_share(weight, *kind, hasty=not self.known_weights)
                self._shares[layer] = int(self.passes), share
            return coded_by_share(weight, kind[0], share, *kind[1:])
        if torch.is_grad_enabled():
            return coded_weight(weight, *kind)
        known = self._coded.get(layer)
        if known is None or known[0] is not weight or known[1] != weight._version:
            known = self._coded[layer] = (weight, weight._version, coded_weight(weight, *kind))
        return known[2]

    def train(self, mode: bool = True) -> Self:
        """Go over to training or away from it, as of any module."""
        self._coded.clear()
        self._shares.clear()
        return super().train(mode)


def _tensor(array: Array) -> Tensor:
    """Return an array as float32; integers and truths as they are."""
    values = array.values
    if values is not None and array.code is None and values.dtype.kind in "iub":
        return torch.from_numpy(values.copy())
    return torch.from_numpy(array.real().astype(np.float32))


def _scale(y: Tensor) -> Tensor:
    """Return the number that gives outputs a variance of 1; 1 where they are all alike."""
    deviation = y.std()
    return torch.where(deviation > LEAST, 1.0 / deviation.clamp(min=LEAST), torch.ones_like(deviation))


def _covering(spans: list[list[tuple[float, float]]]) -> Tensor:
    """Return for each code the range that covers those of all its tensors."""
    return torch.tensor(
        [(min(low for low, _ in each), max(high for _, high in each)) for each in spans], dtype=torch.float64
    )


def _check_inputs(network: Network, inputs: tuple[Tensor, ...]) -> None:
    """Raise NetworkError for inputs of another number or shape than the network takes."""
    wanted = network.inputs
    fit = len(inputs) == len(wanted) and all(
        x.ndim == len(layer.shape)
        and x.shape[1:] == layer.shape[1:]
        and x.shape[0]
        and x.shape[0] % layer.shape[0] == 0
        for layer, x in zip(wanted, inputs, strict=True)
    )
    if not fit:
        given = ", ".join(str(tuple(x.shape)) for x in inputs) or "nothing"
        raise NetworkError(f"{network.name} takes {expected(network)}, not {given}")


__all__ = ["MOMENTUM", "Graph"]
