"""ONNX operators that only move values."""

from __future__ import annotations

import math

import numpy as np

from mho.errors import NetworkError
from mho.network.geometry import axis_of
from mho.network.onnx_builder import Handler, Node, OnnxBuilder, Value


def _reshape(builder: OnnxBuilder, node: Node) -> str:
    """0 keeps an axis (unless allowzero), -1 is worked out."""
    x, sizes = node.tensor(), node.integers(1, "shape")
    shape = builder.shape(x)
    if sizes is None:
        raise NetworkError("the shape is missing")
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
    x, axes = node.tensor(), node.integers(1, "axes")
    if axes is None:
        raise NetworkError("the axes are missing")
    shape = list(builder.shape(x))
    rank = len(shape) + len(axes)
    for axis in sorted(axis_of(a, rank) for a in axes):
        shape.insert(axis, 1)
    return builder.reshape(x, shape)


def _concatenate(builder: OnnxBuilder, node: Node) -> str:
    filled = [v for v in node.inputs if not isinstance(v, np.ndarray) or v.size]
    return builder.concatenate([builder.named(value) for value in filled], int(node.attributes["axis"]))


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
    starts, ends = node.integers(1, "starts"), node.integers(2, "ends")
    if starts is None or ends is None:
        raise NetworkError("starts and ends must be given")
    axes = node.integers(3, "axes") or list(range(len(starts)))
    steps = node.integers(4, "steps") or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        x = builder.slice(x, axis, start, end, step)
    return x


def _pad(builder: OnnxBuilder, node: Node) -> str:
    x = node.tensor()
    mode = node.attributes.get("mode", b"constant")
    if mode not in (b"constant", "constant"):
        raise NetworkError(f"padding mode {mode!r} is not known; known: constant")
    pads, rank = node.integers(1, "pads"), len(builder.shape(x))
    if pads is None:
        raise NetworkError("the padding is missing")
    axes = [axis_of(a, rank) for a in (node.integers(3, "") or range(len(pads) // 2))]
    before, after = [0] * rank, [0] * rank
    for i, axis in enumerate(axes):
        before[axis], after[axis] = pads[i], pads[i + len(axes)]
    for axis in range(rank):
        low, high = max(0, -before[axis]), max(0, -after[axis])
        if low or high:
            x = builder.slice(x, axis, low, builder.shape(x)[axis] - high, part="cut")
    widths = [max(0, n) for n in before], [max(0, n) for n in after]
    return builder.pad(x, *widths, value=node.number(2, "value", 0.0))


def _gather(builder: OnnxBuilder, node: Node) -> str:
    """Rows of a known table by indices from outside; or elements of an axis at known places."""
    data, places = node.get(0), node.get(1)
    axis = int(node.attributes.get("axis", 0))
    if isinstance(places, str):
        if isinstance(data, str):
            raise NetworkError("looking up rows of an activation by another one is not known")
        table = builder.array(data)
        if len(table.shape) != 2 or axis not in (0, -2):
            raise NetworkError("an embedding needs a table of two axes, looked up along the first")
        return builder.embedding(places, table)
    x, index = node.tensor(), node.known(1)
    if index is None or index.ndim > 1:
        raise NetworkError("only one index or a row of indices is known")
    size = builder.shape(x)[axis]
    if index.ndim == 0:
        place = int(index) % size
        return builder.slice(x, axis, place, place + 1, drop=True)
    found = [int(i) % size for i in index]
    step = found[1] - found[0] if len(found) > 1 else 1
    if step > 0 and found == list(range(found[0], found[-1] + 1, step)):
        return builder.slice(x, axis, found[0], found[-1] + 1, step)
    return builder.concatenate([builder.slice(x, axis, i, i + 1, part="part") for i in found], axis)


def _expand(builder: OnnxBuilder, node: Node) -> str:
    x, sizes = node.tensor(), node.integers(1, "shape")
    return builder.expand(x, np.broadcast_shapes(builder.shape(x), tuple(sizes or ())))


def _tile(builder: OnnxBuilder, node: Node) -> str:
    x, repeats = node.tensor(), node.integers(1, "repeats")
    shape = builder.shape(x)
    if repeats is None or len(repeats) != len(shape):
        raise NetworkError(f"one repeat for each axis of {shape} is needed, not {repeats}")
    apart = [size for n in shape for size in (1, n)]
    wide = [size for n, r in zip(shape, repeats, strict=True) for size in (r, n)]
    out = [n * r for n, r in zip(shape, repeats, strict=True)]
    return builder.reshape(builder.expand(builder.reshape(x, apart, "apart"), wide, "expand"), out)


def _depth_to_space(builder: OnnxBuilder, node: Node) -> str:
    batch, channels, height, width = builder.shape(node.tensor())
    r = int(node.attributes["blocksize"])
    if node.attributes.get("mode", b"DCR") in (b"CRD", "CRD"):
        apart, order = (batch, channels // r**2, r, r, height, width), (0, 1, 4, 2, 5, 3)
    else:
        apart, order = (batch, r, r, channels // r**2, height, width), (0, 3, 4, 1, 5, 2)
    x = builder.transpose(builder.reshape(node.tensor(), apart, "apart"), order, "transpose")
    return builder.reshape(x, (batch, channels // r**2, height * r, width * r))


def _shape(builder: OnnxBuilder, node: Node) -> Value:
    shape = np.array(builder.shape(node.tensor()), dtype=np.int64)
    return shape[node.attributes.get("start", 0) : node.attributes.get("end", None)]


def _size(builder: OnnxBuilder, node: Node) -> Value:
    return np.array(math.prod(builder.shape(node.tensor())), dtype=np.int64)


MOVEMENT: dict[str, Handler] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": _concatenate,
    "Split": _split,
    "Slice": _slice,
    "Pad": _pad,
    "Gather": _gather,
    "Expand": _expand,
    "Tile": _tile,
    "DepthToSpace": _depth_to_space,
    "Shape": _shape,
    "Size": _size,
}

ON_CODES = ("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Expand", "Identity")
"""Operators that may also move integer codes."""
