"""How many tile buffers the activations of a searched model need, told without its network: layers are sketched, none is made.

A sketch collects what `operators.Assembly` appends as kinds, operands and shapes alone. Which tensors are stored, who reads them,
and which buffer each takes over is then what `number.storage` and `schedule.buffer` find of the network, in a tenth of their time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from mho.chip import Chip
from mho.network import layers as kinds
from mho.network.arrays import Array
from mho.network.builder import Builder
from mho.network.geometry import Shape
from mho.network.layers import Layer
from mho.network.zoo.interaction.genotype import Genotype
from mho.network.zoo.interaction.operators import Assembly
from mho.program.work import coded_tensors
from mho.schedule.buffer import fewest_banks

MATRICES = (kinds.MatrixLayer, kinds.MatrixProduct)


class Sketch(Builder):
    """A builder that makes no layers, of the kinds that `Assembly` appends; a tensor is called by its place in the order."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.kinds: list[type[Layer]] = []
        self.reads: list[tuple[int, ...]] = []
        self.shapes: list[Shape] = []

    def shape(self, tensor: str) -> Shape:
        """Return the shape of a tensor."""
        return self.shapes[int(tensor)]

    def append(self, kind: type[Layer], *inputs: str, part: str | None = None, shape: Shape = (), **fields: Any) -> str:
        """Note a layer."""
        reads = tuple(map(int, inputs))
        self.kinds.append(kind)
        self.reads.append(reads)
        self.shapes.append(shape or _shape(kind, [self.shapes[each] for each in reads], fields))
        return str(len(self.kinds) - 1)

    def take(self, x: str, axis: int, places: Sequence[int], part: str | None = None) -> str:
        """Note elements of an axis at known places."""
        return self.append(kinds.Take, x, shape=_with(self.shape(x), self.axis(x, axis), len(places)))


def _with(shape: Shape, axis: int, size: int) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])


def _shape(kind: type[Layer], shapes: list[Shape], fields: dict[str, Any]) -> Shape:
    """Return the shape of what a layer makes."""
    if kind is kinds.Constant:
        return tuple(fields["value"].shape)
    first = shapes[0]
    if kind is kinds.Linear:
        return _with(first, len(first) - 1, fields["weight"].shape[0])
    if kind is kinds.Transpose:
        return tuple(first[axis] for axis in fields["permutation"])
    if kind is kinds.Slice:
        axis, size = fields["axis"], len(range(fields["start"], fields["stop"], fields["step"]))
        return first[:axis] + first[axis + 1 :] if fields["drop"] else _with(first, axis, size)
    if kind is kinds.Reduce:
        kept = (1,) if fields["keep"] else ()
        return tuple(n for axis, size in enumerate(first) for n in (kept if axis in fields["axes"] else (size,)))
    if kind in (kinds.Join, kinds.Concatenate):
        return _with(first, fields["axis"], sum(shape[fields["axis"]] for shape in shapes))
    if kind is kinds.MatrixProduct:
        return (*first[:-1], shapes[1][-1])
    if kind is kinds.Pad:
        return tuple(a + n + b for a, n, b in zip(fields["before"], first, fields["after"], strict=True))
    return max(shapes, key=math.prod)


def _stored(sketch: Sketch) -> list[bool]:
    """Say which tensors are stored as codes, by the rule of `number.storage`."""
    number = len(sketch.kinds)
    readers: list[list[int]] = [[] for _ in range(number)]
    coded = [False] * number
    for place, reads in enumerate(sketch.reads):
        for each in set(reads):
            readers[each].append(place)
        if issubclass(sketch.kinds[place], MATRICES):
            for each in reads:
                coded[each] = True
    flow = [place for place, kind in enumerate(sketch.kinds) if kind is not kinds.Constant]
    for place, after in reversed(list(pairwise([*flow, -1]))):
        kind, next_kind = sketch.kinds[place], sketch.kinds[after]
        passes = after >= 0 and (next_kind.passes or (next_kind is kinds.Reshape and not coded[after]))
        if kind is kinds.Input or (readers[place] and not (readers[place] == [after] and passes)):
            coded[place] = True
    return coded


def _tensors(sketch: Sketch, sequential: bool) -> list[tuple[int, int]]:
    """Return of each stored tensor, in the order of making, its users as bits, and the layers that have not ended as it begins."""
    coded, number = _stored(sketch), len(sketch.kinds)
    source, before, users = list(range(number)), [0] * number, [1 << place for place in range(number)]
    for place, (kind, reads) in enumerate(zip(sketch.kinds, sketch.reads, strict=True)):
        if kind.moves_only:
            source[place] = source[reads[0]]
        for each in reads:
            before[place] |= before[each] | 1 << each
            users[source[each]] |= 1 << place
    users[source[-1]] |= 1 << number
    return [
        (users[place], ~((1 << place) - 1 if sequential else before[place]))
        for place, kind in enumerate(sketch.kinds)
        if coded[place] and not kind.moves_only and kind is not kinds.Constant
    ]


@lru_cache(maxsize=4096)
def buffers(model: Genotype, fields: int, dimension: int, sequential: bool) -> tuple[int, int]:
    """Return the buffers that a model's tensors take, each the first that is free, and the elements of the largest."""
    weights = {f"{each.name}.weight": Array((each.outputs, each.rows)) for each in model.matrices(fields, dimension)}
    assembly = Assembly(model, fields, dimension, weights, 1, Sketch())
    assembly.begin()
    for what, number in model.order:
        if what == "dense":
            assembly.add_dense(number, model.dense[number - 1])
        else:
            assembly.add_sparse(number, model.sparse[number - 1])
    assembly.end()
    sketch = assembly.builder
    assert isinstance(sketch, Sketch)
    holders: list[int] = []
    for own, running in _tensors(sketch, sequential):
        free = next((place for place, held in enumerate(holders) if not held & running), None)
        if free is None:
            holders.append(own)
        else:
            holders[free] = own
    return len(holders), max(map(math.prod, sketch.shapes))


def most_buffers(model: Genotype) -> int:
    """Return buffers that are enough for any model of so many operators: where more tiles are there, nothing need be counted."""
    return 3 * len(model.order) + 8


def activation_tiles(model: Genotype, fields: int, dimension: int, chip: Chip) -> int:
    """Return the tiles whose buffers hold a model's activations on a chip that keeps these there, as `schedule.sized` finds."""
    count, largest = buffers(model, fields, dimension, chip.spec.layer_order == "sequential")
    if largest < chip.tile.buffer_bytes:
        return count
    # A tensor that fills several buffers: seldom, and what it takes then is for the program's own rules to say.
    network = model.build(fields, dimension)
    return fewest_banks(network, coded_tensors(network, None), chip, 1)


__all__ = ["Sketch", "activation_tiles", "buffers", "most_buffers"]
