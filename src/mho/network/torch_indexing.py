"""ATen operators that look up, order and count: indices that are known, or computed from inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mho.errors import NetworkError
from mho.network.geometry import axis_of
from mho.network.torch_builder import Call, Handler, TorchBuilder, type_name
from mho.network.types import BOOL


def _index(builder: TorchBuilder, call: Call) -> str:
    """Append x[a, b, ...] or index_select: places along one axis or several, broadcast against each other."""
    x: str = builder.tensor(call["self"])
    indices: Any = call.get("index", call.get("indices"))
    if not isinstance(indices, list | tuple):
        indices = [None] * axis_of(call["dim"], len(builder.shape(x))) + [indices]
    indices = [_places(item) for item in indices]
    axes = [axis for axis, item in enumerate(indices) if item is not None]
    if len(axes) == 1:
        return _along(builder, x, axes[0], indices[axes[0]])
    if not axes:
        return x
    apart = axes != list(range(axes[0], axes[-1] + 1))
    order = [*axes, *(axis for axis in range(len(builder.shape(x))) if axis not in axes)]
    front = builder.transpose(x, order, "front")
    points = builder.gather(front, _coordinates(builder, [indices[axis] for axis in axes]), "points")
    rank, lead = len(builder.shape(points)), 0 if apart else axes[0]
    count = rank - (len(builder.shape(x)) - len(axes))
    if not lead:
        return points
    # The places' axes stand where the first of the indexed ones was.
    return builder.transpose(points, [*range(count, count + lead), *range(count), *range(count + lead, rank)], "back")


def _places(item: Any) -> Any:
    """Return a known mask as its places; one that is not known gives a tensor of no fixed size."""
    if isinstance(item, torch.Tensor) and item.dtype in (torch.bool, torch.uint8):
        axes = item.nonzero(as_tuple=True)
        if len(axes) != 1:
            raise NetworkError("only masks of one axis are known as an index")
        return axes[0]
    return item


def _along(builder: TorchBuilder, x: str, axis: int, index: Any) -> str:
    """Append elements of one axis."""
    if isinstance(index, torch.Tensor) and not index.is_meta and index.dim() == 1 and index.numel():
        size = builder.shape(x)[axis]
        return builder.take(x, axis, [int(i) % size for i in index])
    return builder.gather(x, _integers(builder, index), "rows", axis)


def _integers(builder: TorchBuilder, index: Any) -> str:
    name = builder.tensor(index)
    if builder.types[name] == BOOL:
        raise NetworkError("a mask computed from inputs picks elements whose number is not known")
    return name


def _coordinates(builder: TorchBuilder, indices: list[Any]) -> str:
    """Append places along several axes, broadcast, as coordinates in a last axis of their own."""
    if all(isinstance(item, torch.Tensor) for item in indices):
        together = np.broadcast_shapes(*(tuple(item.shape) for item in indices))
        return builder.tensor(torch.stack([item.expand(together) for item in indices], dim=-1).to(torch.int64))
    names = [builder.convert(_integers(builder, item), "int64", "index") for item in indices]
    shape = np.broadcast_shapes(*(builder.shape(name) for name in names))
    columns = []
    for name in names:
        wide = name if builder.shape(name) == tuple(shape) else builder.expand(name, tuple(shape), "expand")
        columns.append(builder.reshape(wide, (*shape, 1), "column"))
    return builder.concatenate(columns, -1, "coordinates")


def _gather(builder: TorchBuilder, call: Call) -> str:
    return builder.gather(builder.tensor(call["self"]), _integers(builder, call["index"]), "elements", call["dim"])


def _cumulative_sum(builder: TorchBuilder, call: Call) -> str:
    # Narrow integers and truths are added in a wider type, which is that of the sum.
    x = builder.convert(call["self"], type_name(call.meta.dtype), "type")
    return builder.cumulative_sum(x, call["dim"])


def _place(builder: TorchBuilder, call: Call) -> str:
    x, axis = call["self"], call["dim"]
    if axis is None:
        x, axis = builder.reshape(x, (-1,), "flat"), 0
    return builder.reduce(x, call.operator, [axis], keep=bool(call["keepdim"]) and call["dim"] is not None)


def _product(builder: TorchBuilder, call: Call) -> str:
    axes = call.axes(len(builder.shape(call["self"])))
    x = builder.convert(call["self"], "int64", "whole") if builder.types[call["self"]] == BOOL else call["self"]
    return builder.reduce(x, "product", axes, keep=call.keep)


def _truth(builder: TorchBuilder, call: Call) -> str:
    """Append all or any: the least or the largest of truths."""
    x = builder.convert(call["self"], BOOL, "truth")
    function = "minimum" if call.operator == "all" else "maximum"
    return builder.reduce(x, function, call.axes(len(builder.shape(x))), keep=call.keep)


def _triangle(builder: TorchBuilder, call: Call) -> str:
    """Append triu or tril: the elements above or below a diagonal, 0 elsewhere."""
    x, diagonal = call["self"], int(call["diagonal"])
    mask = getattr(torch.ones(builder.shape(x)[-2:], dtype=torch.bool), call.operator)(diagonal)
    return builder.select(builder.tensor(mask), x, builder.tensor(torch.zeros((), dtype=call.meta.dtype)))


def _one_hot(builder: TorchBuilder, call: Call) -> str:
    """Append a new last axis with 1 at the place that an index says."""
    count, x = call.shape[-1], call["self"]
    apart = builder.reshape(x, (*builder.shape(x), 1), "apart")
    hot = builder.elementwise("equal", apart, builder.tensor(torch.arange(count)), "equal")
    return builder.convert(hot, "int64")


def _filled(builder: TorchBuilder, call: Call) -> torch.Tensor:
    """Return a tensor of one number, of the shape of one that depends on inputs."""
    value = {"zeros": 0, "ones": 1}.get(
        call.operator.removeprefix("new_").removesuffix("_like"), call.get("fill_value")
    )
    if not isinstance(value, bool | int | float):
        raise NetworkError("a tensor can only be filled with a known number")
    return torch.full(call.shape, value, dtype=call.meta.dtype)


INDEXING: dict[str, Handler] = {
    **dict.fromkeys(("index", "index_select"), _index),
    "gather": _gather,
    "cumsum": _cumulative_sum,
    **dict.fromkeys(("argmax", "argmin"), _place),
    "prod": _product,
    **dict.fromkeys(("all", "any"), _truth),
    **dict.fromkeys(("triu", "tril"), _triangle),
    "one_hot": _one_hot,
    **dict.fromkeys(("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"), _filled),
}
