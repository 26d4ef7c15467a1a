"""ATen operators that move a window: convolutions, transposed ones, pooling."""

from __future__ import annotations

from typing import Any

import torch

from mho.errors import NetworkError
from mho.network import windowed
from mho.network.torch_builder import Call, Handler, TorchBuilder, ranks
from mho.network.windowed import Geometry


def _sizes(value: Any, rank: int) -> tuple[int, ...]:
    """Return a number for each axis, given for all at once or for each."""
    sizes = [value] if isinstance(value, int) else [int(n) for n in value]
    return tuple(sizes * rank if len(sizes) == 1 else sizes)


def _known(call: Call) -> tuple[str, torch.Tensor]:
    """Return the input, which depends on the network's inputs, and the weights, which do not."""
    x, weight = call["input"], call["weight"]
    if not isinstance(x, str) or not isinstance(weight, torch.Tensor):
        raise NetworkError("a convolution whose weights are computed from an input is not known")
    return x, weight


def _convolution(builder: TorchBuilder, call: Call) -> str:
    if call.get("transposed", False):
        return _transposed(builder, call)
    x, weight = _known(call)
    rank, padding = weight.dim() - 2, call["padding"]
    stride, dilation = _sizes(call["stride"], rank), _sizes(call["dilation"], rank)
    before = after = _sizes(0 if isinstance(padding, str) else padding, rank)
    if padding == "same":  # the odd zero goes behind
        total = [d * (int(k) - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        before, after = tuple(n // 2 for n in total), tuple(n - n // 2 for n in total)
    geometry = Geometry(stride, before, after, dilation)
    bias = builder.array(call["bias"])
    return windowed.convolution(builder, x, builder.weight(weight), bias, geometry, int(call["groups"]))


def _transposed(builder: TorchBuilder, call: Call) -> str:
    """Append a transposed convolution; torch says how large the output is."""
    x, weight = _known(call)
    rank = weight.dim() - 2
    before = _sizes(call["padding"], rank)
    geometry = Geometry(_sizes(call["stride"], rank), before, before, _sizes(call["dilation"], rank))
    bias = builder.array(call["bias"])
    size = call.shape[2:]
    return windowed.transposed(builder, x, builder.weight(weight), bias, geometry, size, int(call["groups"]))


def _pool(builder: TorchBuilder, call: Call) -> str:
    x, rank = call["self"], int(call.operator[-2])
    if call.get("divisor_override") is not None:
        raise NetworkError("divisor_override is not known")
    kernel, padding = _sizes(call["kernel_size"], rank), _sizes(call["padding"], rank)
    stride = _sizes(call["stride"] or call["kernel_size"], rank)
    return windowed.pool(
        builder,
        x,
        "maximum" if "max" in call.operator else "average",
        kernel,
        Geometry(stride, padding, padding, _sizes(call.get("dilation", 1), rank)),
        count_padding=bool(call.get("count_include_pad", True)),
        ceil=bool(call["ceil_mode"]),
    )


def _adaptive_pool(builder: TorchBuilder, call: Call) -> str:
    rank = int(call.operator[-2])
    size = call["output_size"]
    want = [size] * rank if isinstance(size, int) else list(size)
    want = want * rank if len(want) == 1 else want
    return windowed.adaptive_pool(builder, call["self"], "maximum" if "max" in call.operator else "average", want)


def _fold(builder: TorchBuilder, call: Call) -> str:
    """Append the image in which windows lie, added up (torch.nn.functional.fold)."""
    kernel, stride, pad, dilation = (_sizes(call[key], 2) for key in ("kernel_size", "stride", "padding", "dilation"))
    image = [int(n) for n in call["output_size"]]
    return windowed.fold(builder, call["self"], image, kernel, Geometry(stride, pad, pad, dilation))


WINDOW: dict[str, Handler] = {
    **dict.fromkeys((*ranks("conv"), "convolution", "_convolution"), _convolution),
    **dict.fromkeys(ranks("conv_transpose"), _transposed),
    **dict.fromkeys((*ranks("max_pool"), *ranks("avg_pool")), _pool),
    "col2im": _fold,
    **dict.fromkeys(ranks("adaptive_avg_pool"), _adaptive_pool),
    **dict.fromkeys(ranks("adaptive_max_pool"), lambda builder, call: (_adaptive_pool(builder, call), None)),
}
