"""The quantised network that a prepared module was trained as: trained weights, and the input codes that training used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from mho import number
from mho.errors import NetworkError
from mho.network import Network
from mho.number import QuantisedNetwork
from mho.number.affine import fit
from mho.number.storage import shared
from mho.training.layers import CrossbarLayer
from mho.training.prepare import finish, prepared


def quantise(model: nn.Module, samples: Any) -> QuantisedNetwork:
    """Import and quantise a trained module with the input ranges of its crossbar layers, ready for mho.compile.

    `mho.number.quantise` would choose ranges by what the float network shows; after training for a lossy chip that may be far
    from what the chip shows. Here the inputs of matrix layers keep the ranges that training used; `samples` (a tensor, or a
    tuple of them) calibrate what else is stored. Tensors that share a code take the range that covers all of theirs. Raises
    NetworkError where a layer cannot be told in the imported network, and what Network.from_torch and mho.number.quantise raise.
    """
    layers = prepared(model)
    arguments = samples if isinstance(samples, tuple) else (samples,)
    if not all(isinstance(argument, torch.Tensor) and argument.ndim for argument in arguments):
        raise NetworkError("samples must be a tensor or a tuple of tensors, axis 0 the samples")
    plain = finish(model).float().cpu().eval()
    arguments = tuple(argument.detach().cpu() for argument in arguments)
    if any(argument.is_floating_point() for argument in arguments):
        arguments = tuple(argument.float() if argument.is_floating_point() else argument for argument in arguments)
    network = Network.from_torch(plain, tuple(argument[:1] for argument in arguments))
    quantised = number.quantise(network, tuple(argument.numpy() for argument in arguments))
    return replace(
        quantised, codes=_codes(quantised, layers), calibration=f"{quantised.calibration}; matrix inputs as trained"
    )


def _codes(quantised: QuantisedNetwork, layers: list[CrossbarLayer]) -> dict[str, Any]:
    """Put the ranges of training in the place of the codes of the tensors that matrix layers read."""
    network = quantised.network
    sources = {layer.name: layer.inputs[0] for layer in network.matrix_layers}
    groups = shared(network, frozenset(quantised.codes))
    ranges: dict[str, tuple[float, float]] = {}
    for layer in layers:
        name = layer.name or (next(iter(sources)) if len(sources) == 1 else "")
        if name not in sources:
            raise NetworkError(
                f"layer {layer.name!r} is not to be told in the imported network, whose matrix layers are {', '.join(sources)}"
            )
        leader = groups[sources[name]]
        low, high = ranges.get(leader, (0.0, 0.0))
        own = layer.range()
        ranges[leader] = (min(low, own[0]), max(high, own[1]))
    return {
        tensor: fit(*ranges[groups[tensor]]) if groups[tensor] in ranges else code
        for tensor, code in quantised.codes.items()
    }
