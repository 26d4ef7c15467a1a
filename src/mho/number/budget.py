"""Bits of each layer under a budget of error (ours): the fewest for which the network's output changes by no more.

The weights of each layer and each stored tensor that layers read are the parts of a network; each takes the bits that cost least
while the errors of all parts, each measured alone, sum to at most the budget (`frontier`). Which samples judge the result is the
user's to choose: others than these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from mho.errors import NumberError, OptionError, choices
from mho.network.graph import Network
from mho.number.bits import ALL, BYTES, LayerBits, asked
from mho.number.coded import QuantisedNetwork
from mho.number.frontier import changed, first_output, measured
from mho.number.precision import Precision
from mho.number.recode import METHODS, OWN, SAID, recode
from mho.number.sharing import tied
from mho.number.walk import Inputs

SEEN = 32
"""Samples on which errors are measured, at most: they are measured for every part and every number of bits."""
MACS = 4e9
"""Multiplications of one such measurement, at most, as long as they are of two samples."""


def operations(bits: LayerBits) -> int:
    """Return what a weight costs for an input: products of one bit by one bit."""
    return bits.weights * bits.inputs


@dataclass(frozen=True)
class Budget:
    """Bits of each layer, of several that are given, of least cost within an error.

    quantise(network, samples, bits=Budget(0.01))                       of 2, 3, 4, 5, 6 and 8, for weights and for inputs
    quantise(network, samples, bits=Budget(0.01, ("4/8", "6/8")))       for weights alone: of 4, 6 and 8
    quantise(network, samples, bits=Budget(0.01, rounding="sequence"))  weights rounded as `recode` rounds them onto "uniform"

    `error`: the squared change of the network's first output over its variance, against 8 bits in all layers, that the errors of
    all parts may sum to. `bits` as `asked` takes them, without names. `cost`: of a weight, by the bits of its layer; a layer
    costs as many times that as it has weights. `progress` is told how far the work is.
    """

    error: float
    bits: tuple[int | str | LayerBits, ...] = (2, 3, 4, 5, 6)
    rounding: str = METHODS[0]
    cost: Callable[[LayerBits], int] = operations
    progress: Callable[[str], None] = field(default=lambda text: None, compare=False)

    def __post_init__(self) -> None:
        """Refuse errors below 0, bits that are none or have names, and unknown ways of rounding."""
        if not 0 <= self.error < np.inf:
            raise OptionError(f"a budget of error is 0 or more, not {self.error!r}")
        if self.rounding not in METHODS:
            raise OptionError(f"no method {self.rounding!r} of rounding: {choices(self.rounding, METHODS)}")
        for each in self.bits:
            if set(asked(each)) != {ALL}:
                raise NumberError(f"a budget chooses bits of each layer by itself; {each!r} names layers")

    @property
    def of_weights(self) -> tuple[int, ...]:
        """The bits that weights may have, 8 first."""
        return self._of("weights")

    @property
    def of_inputs(self) -> tuple[int, ...]:
        """The bits that inputs may have, 8 first."""
        return self._of("inputs")

    def _of(self, what: str) -> tuple[int, ...]:
        given = {int(getattr(asked(each)[ALL], what)) for each in self.bits}
        return (BYTES.weights, *sorted(given - {BYTES.weights}, reverse=True))


Quantise = Callable[[Inputs, Mapping[str, LayerBits] | int | str], QuantisedNetwork]
"""Quantises a network on samples, with bits."""


class _Parts:
    """The parts of a network, and what each costs with so many bits.

    Weights are named by the layers that own them. Tensors that share a code are one part, named by the first of them. What has
    codes that came with the network is no part.
    """

    def __init__(self, budget: Budget, base: QuantisedNetwork, few: Inputs, quantise: Quantise) -> None:
        self.base, network = base, base.network
        self.weights = [layer for layer in network.weighted if layer.weight.code is None]
        self.readers: dict[str, list[str]] = {}
        leaders = Precision.of(network, BYTES.weights).leaders
        for layer in network.matrix_layers:
            if layer.inputs[0] in leaders:
                self.readers.setdefault(leaders[layer.inputs[0]], []).append(layer.name)
        self.sharing = {leader: [name for name, of in leaders.items() if of == leader] for leader in self.readers}
        self.bits = [budget.of_weights] * len(self.weights) + [budget.of_inputs] * len(self.readers)
        self.coded = {
            each: quantise(few, str(LayerBits(*each)))
            for each in (
                *((bits, BYTES.inputs) for bits in budget.of_weights[1:]),
                *((BYTES.weights, bits) for bits in budget.of_inputs[1:]),
            )
        }
        size = {layer.name: layer.weight.size for layer in network.matrix_layers}
        of_weights = [budget.cost(LayerBits(bits, BYTES.inputs)) for bits in budget.of_weights]
        of_inputs = [budget.cost(LayerBits(BYTES.weights, bits)) for bits in budget.of_inputs]
        rows = [[size[layer.name] * cost for cost in of_weights] for layer in self.weights]
        rows += [[sum(size[name] for name in names) * cost for cost in of_inputs] for names in self.readers.values()]
        # A part that has fewer to choose from has its first again, which saves nothing.
        most = max(map(len, rows), default=1)
        self.costs = np.array([[*row, *[row[0]] * (most - len(row))] for row in rows], dtype=np.int64).reshape(-1, most)
        self.names = [f"weights of {layer.name}" for layer in self.weights] + [
            f"inputs {name}" for name in self.readers
        ]

    def coding(self, part: int, place: int) -> QuantisedNetwork:
        """Return the network with one part in other bits."""
        bits = self.bits[part][place]
        if part < len(self.weights):
            name, other = self.weights[part].name, self.coded[bits, BYTES.inputs]
            matrices = {**self.base.matrices, name: other.matrices[name]}
            return replace(self.base, matrices=tied(self.base.network, matrices))
        leader = list(self.readers)[part - len(self.weights)]
        other = self.coded[BYTES.weights, bits]
        codes = {name: (other if name in self.sharing[leader] else self.base).codes[name] for name in self.base.codes}
        return replace(self.base, codes=codes)

    def chosen(self, picks: tuple[int, ...]) -> dict[str, LayerBits]:
        """Return the bits of each layer."""
        bits = [self.bits[part][place] for part, place in enumerate(picks)]
        weights = {layer.name: each for layer, each in zip(self.weights, bits, strict=False)}
        inputs = {
            name: each
            for names, each in zip(self.readers.values(), bits[len(self.weights) :], strict=True)
            for name in names
        }
        return {
            name: LayerBits(weights.get(owner, BYTES.weights), inputs.get(name, BYTES.inputs))
            for name, owner in self.base.network.owners.items()
        }


def within(budget: Budget, network: Network, samples: Inputs, quantise: Quantise) -> QuantisedNetwork:
    """Return a network in the bits that a budget of error leaves; see `Budget`. `quantise` codes it on samples in some bits."""

    def coded(on: Inputs, bits: Mapping[str, LayerBits] | int | str, rounding: str) -> QuantisedNetwork:
        codes = quantise(on, bits)
        # What has 8 bits stays as it is, and what has 1 lies on no grid.
        few = (each.name for each in network.weighted if each.weight.code is None)
        grids = {name: OWN for name in few if 1 < codes.matrices[name].bits < BYTES.weights}
        if rounding == METHODS[0] or not grids:
            return codes
        return recode(codes, grids, method=rounding, samples=on, per_channel=codes.per_channel)

    # Rounding in sequence goes by the layers before, which a part alone does not have.
    alone = METHODS[1] if budget.rounding == METHODS[2] else budget.rounding
    few = few_samples(network, samples)
    parts = _Parts(budget, quantise(few, BYTES.weights), few, lambda on, bits: coded(on, bits, alone))
    table = measured(parts.base, parts.names, parts.costs, parts.coding, few, budget.progress)
    picks = table.within(budget.error)
    chosen = coded(samples, parts.chosen(picks), budget.rounding)
    error = changed(first_output(parts.base, few), first_output(chosen, few))
    said, summed = ", ".join(map(str, (BYTES.weights, *budget.bits))), table.total(picks)[1]
    note = (
        f"bits of weights and inputs chosen one by one, of {said}, rounded {SAID[budget.rounding]}; errors of parts alone sum "
        f"to {summed:.3g} of the output's variance (budget {budget.error:g}), that of all together is {error:.3g}"
    )
    return replace(chosen, notes=(*chosen.notes, note))


def seen_samples(network: Network) -> int:
    """Return on how many samples errors are measured: at least two, and no more than takes long; whole batches."""
    count = max(2, min(SEEN, int(MACS // max(network.macs / network.batch, 1))))
    return -(-count // network.batch) * network.batch


def few_samples(network: Network, samples: Inputs) -> Inputs:
    """Return the samples on which errors are measured, evenly spread over all."""
    arrays = (samples,) if isinstance(samples, np.ndarray) else tuple(map(np.asarray, samples))
    given = max((len(array) for array, layer in zip(arrays, network.inputs, strict=False) if layer.shape), default=1)
    count = min(seen_samples(network), given)
    picked = np.unique(np.linspace(0, given - 1, count).astype(int)) if network.batch == 1 else np.arange(count)
    return tuple(array[picked] if layer.shape else array for array, layer in zip(arrays, network.inputs, strict=False))


def mean_weight_bits(quantised: QuantisedNetwork) -> float:
    """Return the bits of a weight, on average over all weights, those that layers share once."""
    owned = quantised.network.weighted
    bits = sum(layer.weight.size * quantised.matrices[layer.name].bits for layer in owned)
    return bits / max(sum(layer.weight.size for layer in owned), 1)


__all__ = ["Budget", "few_samples", "mean_weight_bits", "operations", "seen_samples", "within"]
