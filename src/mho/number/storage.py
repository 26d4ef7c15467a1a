"""Which tensors are stored as codes in the buffer, and which of them share one code.

A tensor is stored unless it only passes through the vector unit on its way: it has one reader, that reader is
the next layer in order, and it is a pointwise, normalising, pooling or reducing layer (or a Reshape whose own
output is not stored). Such a chain is computed in float64 and only its end is stored. Inputs are always
stored, since they arrive from memory; constants and what is computed from token indices alone are real
numbers, unless a matrix product reads them. A network's outputs that nothing else reads stay real.
"""

from __future__ import annotations

from itertools import pairwise

from mho.network.graph import Network
from mho.network.layers import Embedding, EmbeddingBag, Input, MatrixLayer, MatrixProduct, Reshape
from mho.network.types import REAL
from mho.number.batching import fixed
from mho.once import once


@once
def aside(network: Network) -> frozenset[str]:
    """Return the tensors that carry no coded values: fixed ones, integers and truths (indices, masks), and what vector
    layers make of these alone.
    """
    uncoded = set(fixed(network))
    for layer in network.layers:
        if network.types[layer.name] != REAL or (
            not isinstance(layer, Input | MatrixLayer | MatrixProduct | Embedding | EmbeddingBag)
            and all(n in uncoded for n in layer.inputs)
        ):
            uncoded.add(layer.name)
    return frozenset(uncoded)


def read_by_matrices(network: Network) -> dict[str, str]:
    """Return the tensors that matrix layers and matrix products read, which must be codes, each with one
    such reader.
    """
    readers: dict[str, str] = {}
    for layer in network.layers:
        if isinstance(layer, MatrixLayer | MatrixProduct):
            for name in layer.inputs:
                readers.setdefault(name, layer.name)
    return readers


@once
def stored(network: Network) -> frozenset[str]:
    """Return the tensors to be stored as codes.

    Where a file prescribes codes: these tensors and those that matrices read, no others. Else by the rule
    above.
    """
    needed = frozenset(read_by_matrices(network))
    if network.codes:
        return needed | frozenset(network.codes)
    apart = aside(network)
    flow = [layer for layer in network.layers if layer.name not in apart]
    following = {layer.name: after for layer, after in pairwise(flow)}
    coded = set(needed)
    for layer in reversed(flow):
        readers = network.consumers[layer.name]
        after = following.get(layer.name)
        alone = after is not None and readers == (after.name,) and layer.name not in network.results
        passes = after is not None and (after.passes or (isinstance(after, Reshape) and after.name not in coded))
        if isinstance(layer, Input) or (readers and not (alone and passes)):
            coded.add(layer.name)
    return frozenset(coded)


def shared(network: Network, names: frozenset[str]) -> dict[str, str]:
    """Map each of the tensors `names` to the representative of those that share its code (the first one in
    order).

    Tensors that a layer only selects from or joins share one code with its output, so that storing the output
    changes no value: a dense block, say, has one code throughout.
    """
    leader = {layer.name: layer.name for layer in network.layers if layer.name in names}
    rank = {layer.name: place for place, layer in enumerate(network.layers)}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for layer in network.layers:
        if layer.name not in names:
            continue
        for name in layer.carried():
            if name in names:
                first, second = sorted((find(name), find(layer.name)), key=rank.__getitem__)
                leader[second] = first
    return {name: find(name) for name in leader}
