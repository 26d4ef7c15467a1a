"""ONNX operators that only move values."""

from __future__ import annotations

import math

import numpy as np

from mho.errors import NetworkError
from mho.network.composites import tiled
from mho.network.geometry import along, axis_of
from mho.network.onnx_builder import Handler, Node, OnnxBuilder, Value
from mho.network.types import REAL, type_of


def _reshape(builder: OnnxBuilder, node: Node) -> str:
    """Append Reshape: 0 keeps an axis (unless allowzero), -1 is worked out."""
    x, sizes = node.tensor(), node.listed(1, "shape", "the shape")
    shape = builder.shape(x)
    if not node.attributes.get("allowzero", 0):
        sizes = [shape[i] if n == 0 and i < len(shape) else n for i, n in enumerate(sizes)]
    return builder.reshape(x, sizes)


def _flatten(builder: OnnxBuilder, node: Node) -> str:
    x, shape = node.tensor(), builder.shape(node.tensor())
    axis = int(node.attributes.get("axis", 1))
    axis = axis + len(shape) if axis < 0 else axis
    return builder.reshape(x, (math.prod(shape[:axis]), math.prod(shape[axis:])))


def _transpose(builder: OnnxBuilder, node: Node) -> str:
    x = node.tensor()
    return builder.transpose(x, node.attributes.get("perm", range(len(builder.shape(x)))[::-1]))


def _squeeze(builder: OnnxBuilder, node: Node) -> str:
    x, shape = node.tensor(), builder.shape(node.tensor())
    axes = node.integers(1, "axes")
    chosen = {i for i, n in enumerate(shape) if n == 1} if axes is None else {axis_of(a, len(shape)) for a in axes}
    if any(shape[axis] != 1 for axis in chosen):
        raise NetworkError(f"axes {sorted(chosen)} of {shape} cannot be removed: not all have length 1")
    return builder.reshape(x, [n for i, n in enumerate(shape) if i not in chosen])


def _unsqueeze(builder: OnnxBuilder, node: Node) -> str:
    x, axes = node.tensor(), node.listed(1, "axes", "the list of axes")
    shape = list(builder.shape(x))
    rank = len(shape) + len(axes)
    for axis in sorted(axis_of(a, rank) for a in axes):
        shape.insert(axis, 1)
    return builder.reshape(x, shape)


def _concatenate(builder: OnnxBuilder, node: Node) -> str:
    filled = [v for v in node.inputs if not isinstance(v, np.ndarray) or v.size]
    return builder.concatenate([builder.named(value) for value in filled or node.inputs], int(node.attributes["axis"]))


def _split(builder: OnnxBuilder, node: Node) -> tuple[Value, ...]:
    x = node.tensor()
    axis = axis_of(int(node.attributes.get("axis", 0)), len(builder.shape(x)))
    size, count = builder.shape(x)[axis], len(node.outputs)
    sizes = node.integers(1, "split")
    if sizes is None:
        step = -(-size // count)
        sizes = [min(step, size - i * step) for i in range(count)]
    starts = [sum(sizes[:i]) for i in range(count)]
    return tuple(builder.slice(x, axis, a, a + n) for a, n in zip(starts, sizes, strict=True))


def _slice(builder: OnnxBuilder, node: Node) -> str:
    x = node.tensor()
    starts, ends = (node.listed(i, key, f"the list of {key}") for i, key in ((1, "starts"), (2, "ends")))
    axes = node.integers(3, "axes") or list(range(len(starts)))
    steps = node.integers(4, "steps") or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        x = builder.slice(x, axis, start, end, step)
    return x


def _gather(builder: OnnxBuilder, node: Node) -> str:
    """Append rows of a known table by indices; elements of an axis at known places; or at places computed from inputs."""
    axis = int(node.attributes.get("axis", 0))
    data = node.get(0)
    if node.depends(1) and not node.depends(0):
        table = builder.array(data)
        if len(table.shape) == 2 and axis in (0, -2) and type_of(table) == REAL:
            return builder.embedding(node.tensor(1), table)
    x = node.tensor()
    index = None if node.depends(1) else node.known(1)
    if index is None or index.ndim > 1 or not index.size or builder.constants:
        return builder.gather(x, node.tensor(1), "rows", axis)
    size = builder.shape(x)[axis]
    places = index.reshape(-1)
    if places.min() < -size or places.max() >= size:
        raise NetworkError(f"indices {places.min()} to {places.max()} do not exist along an axis of {size} elements")
    if index.ndim == 0:
        place = int(index) % size
        return builder.slice(x, axis, place, place + 1, drop=True)
    return builder.take(x, axis, [int(i) % size for i in places])


def _gather_places(builder: OnnxBuilder, node: Node) -> str:
    """Append GatherElements or GatherND."""
    function, key = ("elements", "axis") if node.operator == "GatherElements" else ("points", "batch_dims")
    return builder.gather(node.tensor(0), node.tensor(1), function, int(node.attributes.get(key, 0)))


def _compress(builder: OnnxBuilder, node: Node) -> str:
    """Append the elements of an axis, or of the flattened tensor, where a known condition is true."""
    x, condition = node.tensor(), node.needed(1, "the condition")
    if "axis" not in node.attributes:
        x = builder.reshape(x, (-1,), "flat")
    places = [int(i) for i in np.flatnonzero(condition)]
    return builder.take(x, int(node.attributes.get("axis", 0)), places)


def _triangle(builder: OnnxBuilder, node: Node) -> str:
    """Append Trilu: the elements above or below a diagonal, 0 elsewhere."""
    x = node.tensor()
    rows, columns = builder.shape(x)[-2:]
    offset = node.known(1)
    k = 0 if offset is None else int(offset.reshape(()))
    upper = bool(node.attributes.get("upper", 1))
    mask = np.triu(np.ones((rows, columns), bool), k) if upper else np.tril(np.ones((rows, columns), bool), k)
    kind = builder.types[x]
    zero = np.zeros((), dtype=np.float32 if kind == REAL else kind)
    return builder.select(builder.named(mask), x, builder.named(zero))


def _cumulative_sum(builder: OnnxBuilder, node: Node) -> str:
    axis = node.needed(1, "the axis")
    exclusive, reverse = (bool(node.attributes.get(key, 0)) for key in ("exclusive", "reverse"))
    return builder.cumulative_sum(node.tensor(), int(axis.reshape(())), exclusive=exclusive, reverse=reverse)


def _one_hot(builder: OnnxBuilder, node: Node) -> str:
    """Append the second of two values where a new axis has the place that an index says, the first elsewhere."""
    count, index = int(node.needed(1, "the depth").reshape(())), node.tensor(0)
    rank = len(builder.shape(index)) + 1
    axis = axis_of(int(node.attributes.get("axis", -1)), rank)
    if builder.types[index] == REAL:
        index = builder.convert(index, "int64", "index")
    kind = builder.types[index]
    shape = list(builder.shape(index))
    index = builder.reshape(index, (*shape[:axis], 1, *shape[axis:]), "apart")
    places = along(np.arange(count, dtype=kind), axis, rank)
    hot = builder.elementwise("equal", index, builder.named(places), "equal")
    if not kind.startswith("u"):  # negative ones count from the end
        behind = builder.elementwise("equal", index, builder.named(places - count), "behind")
        hot = builder.elementwise("or", hot, behind, "hot")
    off, on = (builder.slice(node.tensor(2), 0, i, i + 1, part=part) for i, part in enumerate(("off", "on")))
    return builder.select(hot, on, off)


def _expand(builder: OnnxBuilder, node: Node) -> str:
    x, sizes = node.tensor(), node.integers(1, "shape")
    return builder.expand(x, np.broadcast_shapes(builder.shape(x), tuple(sizes or ())))


def _tile(builder: OnnxBuilder, node: Node) -> str:
    x, repeats = node.tensor(), node.integers(1, "repeats")
    shape = builder.shape(x)
    if repeats is None or len(repeats) != len(shape):
        raise NetworkError(f"one repeat for each axis of {shape} is needed, not {repeats}")
    return tiled(builder, x, shape, repeats)


def _shape(builder: OnnxBuilder, node: Node) -> Value:
    shape = np.array(builder.shape(node.tensor()), dtype=np.int64)
    return shape[node.attributes.get("start", 0) : node.attributes.get("end", None)]


MOVEMENT: dict[str, Handler] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": _concatenate,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    **dict.fromkeys(("GatherElements", "GatherND"), _gather_places),
    "Compress": _compress,
    "Trilu": _triangle,
    "CumSum": _cumulative_sum,
    "OneHot": _one_hot,
    "Expand": _expand,
    "Tile": _tile,
    "Shape": _shape,
    "Size": lambda builder, node: np.array(math.prod(builder.shape(node.tensor())), dtype=np.int64),
}

ON_CODES = (
    "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Expand", "Identity", "Split", "Concat", "Pad", "Gather",
    "Tile", "DepthToSpace", "SpaceToDepth", "MaxPool", "GlobalMaxPool", "Resize", "Upsample",
)  # fmt: skip
"""Operators that move integer codes, or choose among them."""
