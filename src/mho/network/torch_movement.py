"""ATen operators that only move values, and those that do nothing in inference."""

from __future__ import annotations

from typing import Any

import torch

from mho.errors import NetworkError
from mho.network.composites import repeated, tiled
from mho.network.geometry import axis_of, replaced
from mho.network.torch_builder import Call, Handler, TorchBuilder


def _same(builder: TorchBuilder, call: Call) -> str:
    x: str = next(iter(call.arguments.values()))
    return x


def _dropout(builder: TorchBuilder, call: Call) -> str:
    if call["train"] and call["p"] > 0:
        raise NetworkError("dropout in training mode is not known; call module.eval() first")
    return _same(builder, call)


def _reshape(builder: TorchBuilder, call: Call) -> str:
    """Append view, reshape, flatten, unflatten, squeeze or unsqueeze: torch says what the shape becomes."""
    return builder.reshape(call["self"], call.shape)


def _transpose(builder: TorchBuilder, call: Call) -> str:
    first, second = call.get("dim0", call.get("axis0")), call.get("dim1", call.get("axis1"))
    return builder.swap(call["self"], first, second)


def _movedim(builder: TorchBuilder, call: Call) -> str:
    # An empty tensor whose axes are as long as their numbers says where each goes.
    numbers = torch.empty(tuple(range(len(builder.shape(call["self"])))), device="meta")
    return builder.transpose(call["self"], numbers.movedim(call["source"], call["destination"]).shape)


def _expand(builder: TorchBuilder, call: Call) -> str:
    return builder.expand(call["self"], call.shape)


def _repeat(builder: TorchBuilder, call: Call) -> str:
    """Repeat whole axes."""
    x: str = call["self"]
    repeats = [int(n) for n in call.get("repeats", call.get("dims"))]
    shape = list(builder.shape(x))
    shape = [1] * (len(repeats) - len(shape)) + shape
    repeats = [1] * (len(shape) - len(repeats)) + repeats
    if all(n == 1 or r == 1 for n, r in zip(shape, repeats, strict=True)):
        return builder.expand(x, call.shape)
    return tiled(builder, x, shape, repeats)


def _repeat_interleave(builder: TorchBuilder, call: Call) -> str:
    """Repeat each element along an axis."""
    x, repeats, axis = call["self"], call["repeats"], call["dim"]
    if not isinstance(repeats, int) or axis is None:
        raise NetworkError("only a fixed number of repeats along one axis is known")
    shape = builder.shape(x)
    axis = axis_of(axis, len(shape))
    apart, wide = (replaced(shape, axis, shape[axis], count) for count in (1, repeats))
    return repeated(builder, x, apart, wide, call.shape)


def _slice(builder: TorchBuilder, call: Call) -> str:
    x, axis = call["self"], call["dim"]
    size = builder.shape(x)[axis]
    start = 0 if call["start"] is None else int(call["start"])
    stop = size if call["end"] is None else int(call["end"])
    return builder.slice(x, axis, start, stop, int(call["step"]))


def _index(builder: TorchBuilder, x: str, axis: int, index: int) -> str:
    index %= builder.shape(x)[axis]
    return builder.slice(x, axis, index, index + 1, drop=True)


def _narrow(builder: TorchBuilder, call: Call) -> str:
    start = int(call["start"]) % builder.shape(call["self"])[call["dim"]]
    return builder.slice(call["self"], call["dim"], start, start + int(call["length"]))


def _split(builder: TorchBuilder, call: Call) -> tuple[str, ...]:
    """Append the pieces of split, split_with_sizes or chunk: torch says how long they are."""
    axis, start, pieces = call["dim"], 0, []
    for piece in call.meta:
        size = int(piece.shape[axis])
        pieces.append(builder.slice(call["self"], axis, start, start + size))
        start += size
    return tuple(pieces)


def _concatenate(builder: TorchBuilder, call: Call) -> str:
    tensors: Any = call["tensors"]
    filled = [t for t in tensors if isinstance(t, str) or t.numel() > 0]
    return builder.concatenate([builder.tensor(t) for t in filled], call.get("dim", 0))


def _stack(builder: TorchBuilder, call: Call) -> str:
    axis = axis_of(call["dim"], len(call.shape))
    shape = replaced(call.shape, axis, 1)
    parts = [builder.reshape(builder.tensor(t), shape, "reshape") for t in call["tensors"]]
    return builder.concatenate(parts, axis)


MOVEMENT: dict[str, Handler] = {
    **dict.fromkeys(
        ("contiguous", "clone", "alias", "detach", "lift_fresh", "lift_fresh_copy", "identity", "positive"),
        _same,
    ),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"), _dropout),
    **dict.fromkeys(("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze"), _reshape),
    **dict.fromkeys(("_unsafe_view", "view_as", "reshape_as"), _reshape),
    "permute": lambda builder, call: builder.transpose(call["self"], call["dims"]),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), _transpose),
    **dict.fromkeys(("t", "adjoint", "mT"), lambda builder, call: builder.swap(call["self"], -1, -2)),
    "numpy_T": lambda builder, call: builder.transpose(call["self"], range(len(call.shape))[::-1]),
    **dict.fromkeys(("movedim", "moveaxis"), _movedim),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), _expand),
    **dict.fromkeys(("repeat", "tile"), _repeat),
    "repeat_interleave": _repeat_interleave,
    "slice": _slice,
    "select": lambda builder, call: _index(builder, call["self"], call["dim"], int(call["index"])),
    "narrow": _narrow,
    **dict.fromkeys(("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk"), _split),
    "unbind": lambda builder, call: tuple(_index(builder, call["self"], call["dim"], i) for i in range(len(call.meta))),
    **dict.fromkeys(("cat", "concat", "concatenate"), _concatenate),
    "stack": _stack,
}
