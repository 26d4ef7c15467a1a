"""What the kinds of layers compute, in torch: the same formulas as `Layer.compute`, differentiable, in any batch.

A function gets the layer, its operands, its arrays by field ("weight", "bias", "scale" ...) and by what factor the first axis of
what depends on an input is longer than the layer's shape says. A new kind is one line: `FUNCTIONS.add(kind, function)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mho.errors import NetworkError, choices
from mho.network.layer import Layer
from mho.plugins import Registry

Operands = Sequence[Tensor]
Arrays = Mapping[str, Tensor]
Function = Callable[[Any, Operands, Arrays, int], Tensor]

ACTIVATIONS: Registry[Callable[..., Tensor]] = Registry(
    "activation in torch",
    {
        "relu": torch.relu,
        "clip": lambda x, low, high: x.clamp(low, high),
        "leaky_relu": lambda x, slope: functional.leaky_relu(x, slope),
        "elu": lambda x, alpha: functional.elu(x, alpha),
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "gelu": functional.gelu,
        "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
        "silu": functional.silu,
        "hard_sigmoid": lambda x, alpha, beta: (alpha * x + beta).clamp(0.0, 1.0),
        "hard_swish": functional.hardswish,
        "softplus": functional.softplus,
        "mish": functional.mish,
        "erf": torch.erf,
        "exp": torch.exp,
        "log": torch.log,
        "sqrt": torch.sqrt,
        "reciprocal_sqrt": torch.rsqrt,
        "reciprocal": torch.reciprocal,
        "negate": torch.neg,
        "absolute": torch.abs,
        "power": lambda x, exponent: torch.pow(x, exponent),
        "sine": torch.sin,
        "cosine": torch.cos,
        "softsign": functional.softsign,
        "scale_shift": lambda x, scale, shift: x * scale + shift,
    },
)
"""Functions of each element by the names of `network.activations`; parameters by name."""
ELEMENTWISE: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "divide": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "power": torch.pow,
}
REDUCED: Mapping[str, Callable[..., Tensor]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "maximum": torch.amax,
    "minimum": torch.amin,
}


def _named(layer: Any, table: Mapping[str, Any]) -> Any:
    """Return a layer's own function; raise NetworkError where torch is not told how."""
    if layer.function not in table:
        raise NetworkError(
            f"layer {layer.name!r} ({layer.kind}) cannot be trained: {layer.function!r} has no function in torch; "
            f"{choices(layer.function, table)}"
        )
    return table[layer.function]


def _linear(layer: Any, operands: Operands, arrays: Arrays, factor: int) -> Tensor:
    (x,) = operands
    weight, bias = arrays["weight"], arrays.get("bias")
    if layer.groups == 1:
        return functional.linear(x, weight, bias)
    parts = x.reshape(-1, layer.groups, layer.rows).transpose(0, 1)
    products = torch.bmm(parts, weight.reshape(layer.groups, layer.columns, layer.rows).transpose(1, 2))
    y = products.transpose(0, 1).reshape(*x.shape[:-1], layer.groups * layer.columns)
    return y if bias is None else y + bias


def _convolution(layer: Any, operands: Operands, arrays: Arrays, factor: int) -> Tensor:
    top, left, bottom, right = layer.padding
    x = functional.pad(operands[0], (left, right, top, bottom))
    weight, bias = arrays["weight"], arrays.get("bias")
    return functional.conv2d(x, weight, bias, layer.stride, 0, layer.dilation, layer.groups)


def _embedding(layer: Any, operands: Operands, arrays: Arrays, factor: int) -> Tensor:
    return functional.embedding(operands[0].long(), arrays["table"])


def _concatenate(layer: Any, operands: Operands, arrays: Arrays, factor: int) -> Tensor:
    if layer.axis:  # an operand with one sample is repeated for all of them
        longest = max(operand.shape[0] for operand in operands)
        operands = [operand.expand(longest, *operand.shape[1:]) for operand in operands]
    return torch.cat(list(operands), layer.axis)


def _reshape(layer: Any, operands: Operands, arrays: Arrays, factor: int) -> Tensor:
    return operands[0].reshape((layer.shape[0] * factor, *layer.shape[1:]) if layer.shape else ())


def _slice(layer: Any, operands: Operands, arrays: Arrays, factor: int) -> Tensor:
    (x,), axis = operands, layer.axis
    if layer.drop:
        return x.select(axis, layer.start)
    if layer.step == 1:
        return x.narrow(axis, layer.start, layer.stop - layer.start)
    places = torch.tensor(range(layer.start, layer.stop, layer.step), device=x.device)
    return x.index_select(axis, places)


def _take(layer: Any, operands: Operands, arrays: Arrays, factor: int) -> Tensor:
    return operands[0].index_select(layer.axis, torch.tensor(layer.places, device=operands[0].device))


def _expand(layer: Any, operands: Operands, arrays: Arrays, factor: int) -> Tensor:
    return operands[0].expand(layer.shape[0] * factor, *layer.shape[1:])


def _pad(layer: Any, operands: Operands, arrays: Arrays, factor: int) -> Tensor:
    widths = [n for pair in reversed(list(zip(layer.before, layer.after, strict=True))) for n in pair]
    return functional.pad(operands[0], widths, value=layer.value)


def _reduce(layer: Any, operands: Operands, arrays: Arrays, factor: int) -> Tensor:
    reduced: Tensor = _named(layer, REDUCED)(operands[0], dim=layer.axes, keepdim=layer.keep)
    return reduced


def _normalise(layer: Any, operands: Operands, arrays: Arrays, factor: int) -> Tensor:
    (x,) = operands
    group = layer.function == "group"
    rows = x.reshape(x.shape[0], layer.groups, -1) if group else x.flatten(x.ndim - layer.axes)
    if layer.function in ("layer", "group"):
        rows = rows - rows.mean(-1, keepdim=True)
    elif layer.function != "rms":
        raise NetworkError(f"layer {layer.name!r}: unknown normalisation {layer.function!r}")
    result = (rows * torch.rsqrt(rows.square().mean(-1, keepdim=True) + layer.epsilon)).reshape(x.shape)
    shape = (1, -1) + (1,) * (x.ndim - 2) if group else x.shape[x.ndim - layer.axes :]
    if "scale" in arrays:
        result = result * arrays["scale"].reshape(shape)
    return result + arrays["offset"].reshape(shape) if "offset" in arrays else result


def _channel_affine(layer: Any, operands: Operands, arrays: Arrays, factor: int) -> Tensor:
    (x,) = operands
    shape = [-1 if axis == layer.axis else 1 for axis in range(x.ndim)]
    return x * arrays["scale"].reshape(shape) + arrays["offset"].reshape(shape)


FUNCTIONS: Registry[Function] = Registry(
    "layer kind in torch",
    {
        "constant": lambda layer, operands, arrays, factor: arrays["value"],
        "linear": _linear,
        "grouped linear": _linear,
        "convolution": _convolution,
        "matrix product": lambda layer, operands, arrays, factor: torch.matmul(*operands),
        "embedding": _embedding,
        "activation": lambda layer, operands, arrays, factor: _named(layer, ACTIVATIONS)(
            operands[0], **layer.parameters
        ),
        "elementwise": lambda layer, operands, arrays, factor: _named(layer, ELEMENTWISE)(*operands),
        "softmax": lambda layer, operands, arrays, factor: torch.softmax(operands[0], layer.axis),
        "reduce": _reduce,
        "reshape": _reshape,
        "transpose": lambda layer, operands, arrays, factor: operands[0].permute(layer.permutation),
        "slice": _slice,
        "take": _take,
        "expand": _expand,
        "pad": _pad,
        "concatenate": _concatenate,
        "join": _concatenate,
        "normalise": _normalise,
        "channel affine": _channel_affine,
    },
)
"""By the kind of layer."""


def check_trainable(layers: Sequence[Layer]) -> None:
    """Raise NetworkError for a layer that has no function in torch, naming it and its kind."""
    for layer in layers:
        if layer.kind == "input":
            continue
        if layer.kind not in FUNCTIONS:
            raise NetworkError(
                f"layer {layer.name!r} ({layer.kind}) cannot be trained: its kind has no function in torch; "
                f"add one to mho.training.functions.FUNCTIONS; there are {', '.join(FUNCTIONS)}"
            )
        if layer.kind in _TABLES:
            _named(layer, _TABLES[layer.kind])


_TABLES: Mapping[str, Mapping[str, Any]] = {"activation": ACTIVATIONS, "elementwise": ELEMENTWISE, "reduce": REDUCED}

__all__ = ["ACTIVATIONS", "FUNCTIONS", "Function", "check_trainable"]
