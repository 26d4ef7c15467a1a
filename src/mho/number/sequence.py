"""Changing a network's weights layer after layer, each for the inputs that the layers changed before it give."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from mho.network.arithmetic import apply
from mho.network.layers import Input, MatrixLayer
from mho.number.batching import chunks, fixed
from mho.number.coded import QuantisedMatrix, QuantisedNetwork
from mho.number.moments import Moments, MomentSums, drawn
from mho.number.reference import Values, fixed_values, matrix_step, per_output, vector_step
from mho.number.reproducible import layer_products
from mho.number.sharing import tied
from mho.number.walk import Inputs, as_real, checked, fixed_reals, part, releases

AnyArray = npt.NDArray[Any]
Pair = tuple[Values, dict[str, AnyArray], int]
Change = Callable[[MatrixLayer, Moments, Moments], QuantisedMatrix]


def changed_in_order(
    quantised: QuantisedNetwork,
    samples: Inputs,
    names: Collection[str],
    change: Change,
    *,
    windows: int,
    seed: int = 0,
    beside: bool = False,
) -> dict[str, QuantisedMatrix]:
    """Change the matrix layers `names`, one after the other in network order, and return the matrices by name.

    The integers run beside the real numbers. `change` is told the moments of a layer's inputs as the integers give them, with
    all layers before it changed, and those of the same inputs in the float network (with `beside`, also of the products of the
    two); the integers then run on with what it returns. A weight that layers share is changed for the inputs of the first, which
    owns it. Layers whose inputs depend on no sample are not changed, nor returned. Memory: all tensors of all samples that are
    still to be read, in both. Raises NumberError for a network without activation codes.
    """
    network = quantised.network
    quantised.require_codes("changed layer after layer")
    _, runs = checked(network, samples)
    done: dict[str, QuantisedMatrix] = {}
    matrices = dict(quantised.matrices)
    running = replace(quantised, matrices=matrices)
    constant, free = fixed(network), releases(network, ())
    pairs = _entered(running, samples)
    places = {layer.name: place for place, layer in enumerate(network.matrix_layers)}
    for layer in network.layers:
        if layer.name in constant or isinstance(layer, Input):
            continue
        if isinstance(layer, MatrixLayer):
            (name,) = layer.inputs
            if layer.name in names:
                rows = -(-windows // (runs * network.by_name[name].shape[0]))
                moments, float_moments = _seen(layer, pairs, rows, (seed, places[layer.name]), beside)
                done[layer.name] = matrices[layer.name] = change(layer, moments, float_moments)
                matrices.update(tied(network, matrices))
            weights = layer.matrix(layer.weight.real())
            for values, reals, _ in pairs:
                matrix_step(running, layer, values)
                y = layer_products(layer, reals[name], weights)
                reals[layer.name] = y if layer.bias is None else y + per_output(layer, layer.bias.real())
        else:
            for values, reals, count in pairs:
                vector_step(running, layer, values, count)
                reals[layer.name] = apply(layer, [reals[operand] for operand in layer.inputs], count, network.batch)
        for values, reals, _ in pairs:
            values.drop(free[layer.name])
            for name in free[layer.name]:
                del reals[name]
    return done


def _entered(running: QuantisedNetwork, samples: Inputs) -> list[Pair]:
    """Return the inputs and the fixed tensors of each part of the samples, as integers and as real numbers, and its inferences."""
    network = running.network
    arrays, runs = checked(network, samples)
    base, real_base = fixed_values(running), fixed_reals(network, samples, fixed(network))
    pairs: list[Pair] = []
    for start, stop in chunks(network, runs, None):
        inputs = part(network, arrays, start, stop)
        values = Values(running, base)
        values.enter(inputs)
        given = zip(network.inputs, inputs, strict=True)
        reals = {layer.name: as_real(layer, array, network.codes.get(layer.name)) for layer, array in given}
        pairs.append((values, {**real_base, **reals}, (stop - start) * network.batch))
    return pairs


def _seen(
    layer: MatrixLayer, pairs: list[Pair], rows: int, key: tuple[int, int], beside: bool
) -> tuple[Moments, Moments]:
    """Return the moments of a layer's inputs as the integers give them, and as the float network does, from drawn rows."""
    (name,) = layer.inputs
    integers, floats, seen = MomentSums(), MomentSums(), 0
    for values, reals, _ in pairs:
        real = drawn(layer, reals[name], rows, (*key, seen))
        integers.add(drawn(layer, values.real(name), rows, (*key, seen)), real if beside else None)
        floats.add(real)
        seen += len(reals[name])
    return integers.moments(), floats.moments()


__all__ = ["changed_in_order"]
