"""ATen operators with weights, products, normalisations, pooling and reductions."""

from __future__ import annotations

import math
from typing import Any

import torch

from mho.errors import NetworkError
from mho.network import contraction
from mho.network.builder import LOWEST
from mho.network.layers import Array
from mho.network.torch_builder import Call, Handler, TorchBuilder, type_name
from mho.network.transposed import transposed_convolution
from mho.network.types import BOOL


def pair(value: Any) -> tuple[int, int]:
    """A size given for both axes at once, or for each."""
    sizes = [value] if isinstance(value, int) else list(value)
    sizes = [int(n) for n in sizes]
    return (sizes[0], sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])


def _same(kernel: int, dilation: int) -> tuple[int, int]:
    """Zeros before and behind an axis for padding="same": the odd one goes behind."""
    total = dilation * (kernel - 1)
    return total // 2, total - total // 2


def _convolution(builder: TorchBuilder, call: Call) -> str:
    x, weight, bias = call["input"], call["weight"], call["bias"]
    if not isinstance(x, str):
        raise NetworkError("a convolution whose weights are computed from an input is not known")
    if call.get("transposed", False):
        return _transposed(builder, call)
    flat = len(builder.shape(x)) == 3
    if len(builder.shape(x)) not in (3, 4) or len(weight.shape) != (3 if flat else 4):
        raise NetworkError(f"a convolution of {builder.shape(x)} by {tuple(weight.shape)} is not known")
    stride, dilation = _sizes(call["stride"], flat, 1), _sizes(call["dilation"], flat, 1)
    if flat:
        weight = weight.unsqueeze(2)
    padding = call["padding"]
    if padding == "valid":
        padding = 0
    if padding == "same":
        above, left = (_same(int(weight.shape[i + 2]), dilation[i]) for i in range(2))
        sides = (above[0], left[0], above[1], left[1])
    else:
        high, wide = _sizes(padding, flat, 0)
        sides = (high, wide, high, wide)
    x = _lift(builder, x) if flat else x
    made = builder.convolution(
        x,
        builder.weight(weight),
        builder.array(bias),
        stride=stride,
        padding=sides,
        dilation=dilation,
        groups=int(call["groups"]),
    )
    return builder.reshape(made, call.shape, "reshape") if flat else made


def _transposed(builder: TorchBuilder, call: Call) -> str:
    """conv_transpose1d and 2d: torch says how large the output is."""
    x, weight = call["input"], call["weight"]
    if not isinstance(x, str) or not isinstance(weight, torch.Tensor):
        raise NetworkError("a transposed convolution whose weights are computed from an input is not known")
    flat = len(call.shape) == 3
    if len(call.shape) not in (3, 4):
        raise NetworkError("transposed convolutions of one and two axes are known, of three not")
    made = transposed_convolution(
        builder,
        _lift(builder, x) if flat else x,
        builder.weight(weight.unsqueeze(2) if flat else weight),
        builder.array(call["bias"]),
        size=(1, call.shape[2]) if flat else (call.shape[2], call.shape[3]),
        stride=_sizes(call["stride"], flat, 1),
        padding=_sizes(call["padding"], flat, 0),
        dilation=_sizes(call["dilation"], flat, 1),
        groups=int(call["groups"]),
    )
    return builder.reshape(made, call.shape, "reshape") if flat else made


def _sizes(value: Any, flat: bool, neutral: int) -> tuple[int, int]:
    """Sizes of a layer; a one-dimensional one has height 1."""
    return (neutral, pair(value)[0]) if flat else pair(value)


def _lift(builder: TorchBuilder, x: str) -> str:
    batch, channels, length = builder.shape(x)
    return builder.reshape(x, (batch, channels, 1, length), "reshape")


def _linear(builder: TorchBuilder, call: Call) -> str:
    """Input @ weight.T + bias."""
    weight = call["weight"]
    right = builder.swap(weight, -1, -2, "transpose") if isinstance(weight, str) else weight.t()
    return _product(builder, call["input"], right, call["bias"])


def _matmul(builder: TorchBuilder, call: Call) -> str:
    right = call.get("other", call.get("mat2", call.get("vec", call.get("tensor"))))
    return _product(builder, call["self"], right, None)


def _scaled_product(builder: TorchBuilder, call: Call) -> str:
    """Beta * self + alpha * (left @ right): addmm, addmv, baddbmm."""
    left = call.get("mat1", call.get("batch1", call.get("mat")))
    right = call.get("mat2", call.get("batch2", call.get("vec")))
    alpha, beta, added = call["alpha"], call["beta"], call["self"]
    if alpha == 1 and beta == 1:
        return _product(builder, left, right, added)
    if isinstance(left, torch.Tensor):
        made = _product(builder, left * alpha, right, None)
    elif isinstance(right, torch.Tensor):
        made = _product(builder, left, right * alpha, None)
    else:
        made = builder.scale_shift(_product(builder, left, right, None), alpha, 0.0, "scale")
    if beta == 0:
        return made
    scaled = builder.scale_shift(added, beta, 0.0, "scaled") if isinstance(added, str) else builder.tensor(added * beta)
    return builder.elementwise("add", made, scaled, "sum")


def _product(builder: TorchBuilder, left: Any, right: Any, bias: Any) -> str:
    """Left @ right + bias, either side and the bias known or not."""
    a, b = (value if isinstance(value, str) else builder.weight(value) for value in (left, right))
    if bias is None or (not isinstance(bias, str) and not (isinstance(a, str) and isinstance(b, str))):
        return contraction.matmul(builder, a, b, builder.array(bias))
    return builder.elementwise("add", contraction.matmul(builder, a, b), builder.tensor(bias), "sum")


def _einsum(builder: TorchBuilder, call: Call) -> str:
    values = [value if isinstance(value, str) else builder.weight(value) for value in call["tensors"]]
    return contraction.einsum(builder, call["equation"], values)


def _attention(builder: TorchBuilder, call: Call) -> str:
    """softmax(Q K^T * scale + mask) V (torch.nn.functional.scaled_dot_product_attention)."""
    if call["dropout_p"]:
        raise NetworkError("attention with dropout is not known; call module.eval() first")
    query, key, value = (builder.tensor(call[name]) for name in ("query", "key", "value"))
    heads = builder.shape(query)[-3] if len(builder.shape(query)) > 2 else 1
    if call.get("enable_gqa", False):
        key, value = (_repeat_heads(builder, name, heads) for name in (key, value))
    rows, columns, depth = builder.shape(query)[-2], builder.shape(key)[-2], builder.shape(query)[-1]
    scale = call.get("scale") if call.get("scale") is not None else 1.0 / math.sqrt(depth)
    scores = builder.product(query, builder.swap(key, -1, -2, "transpose"), "scores")
    scores = builder.scale_shift(scores, scale, 0.0, "scale")
    mask = call["attn_mask"]
    if call["is_causal"]:
        mask = torch.ones(rows, columns, dtype=torch.bool).tril()
    if isinstance(mask, torch.Tensor) and mask.dtype == torch.bool and not mask.is_meta:
        mask = torch.zeros(mask.shape).masked_fill(~mask, LOWEST)
    if isinstance(mask, str) and builder.types[mask] == BOOL:
        scores = builder.select(mask, scores, builder.tensor(torch.tensor(LOWEST)), "mask")
    elif mask is not None:
        scores = builder.elementwise("add", scores, builder.tensor(mask), "mask")
    return builder.product(builder.softmax(scores, -1, "softmax"), value)


def _repeat_heads(builder: TorchBuilder, x: str, heads: int) -> str:
    """Repeat each key and value head for the query heads that share it (grouped-query attention)."""
    *lead, have, rows, depth = builder.shape(x)
    if have == heads:
        return x
    x = builder.reshape(x, (*lead, have, 1, rows, depth), "reshape")
    x = builder.expand(x, (*lead, have, heads // have, rows, depth), "expand")
    return builder.reshape(x, (*lead, heads, rows, depth), "reshape")


def _batch_norm(builder: TorchBuilder, call: Call) -> str:
    if call.get("training") or call.get("train") or call["running_mean"] is None:
        raise NetworkError("a batch normalisation in training mode is not known; call module.eval() first")
    return builder.channel_affine(call["input"], *_statistics(builder, call))


def _statistics(builder: TorchBuilder, call: Call) -> tuple[Array, Array]:
    """Scale and offset of a batch normalisation: (x - mean) / sqrt(variance + eps) * weight + bias, in
    float64.
    """
    mean, variance = call["running_mean"].detach(), call["running_var"].detach()
    if mean.is_meta:
        return Array(tuple(mean.shape)), Array(tuple(mean.shape))
    scale = 1.0 / torch.sqrt(variance.double() + call["eps"])
    if call["weight"] is not None:
        scale = scale * call["weight"].detach().double()
    offset = -mean.double() * scale
    if call["bias"] is not None:
        offset = offset + call["bias"].detach().double()
    return builder.weight(scale), builder.weight(offset)


def _layer_norm(builder: TorchBuilder, call: Call) -> str:
    scale, offset = builder.array(call["weight"]), builder.array(call["bias"])
    axes = len(call["normalized_shape"])
    return builder.normalise(call["input"], "layer", float(call["eps"]), scale, offset, axes=axes)


def _rms_norm(builder: TorchBuilder, call: Call) -> str:
    epsilon = torch.finfo(call.meta.dtype).eps if call["eps"] is None else call["eps"]
    axes = len(call["normalized_shape"])
    return builder.normalise(call["input"], "rms", float(epsilon), builder.array(call["weight"]), axes=axes)


def _group_norm(builder: TorchBuilder, call: Call) -> str:
    scale, offset = builder.array(call["weight"]), builder.array(call["bias"])
    return builder.normalise(call["input"], "group", float(call["eps"]), scale, offset, groups=int(call["num_groups"]))


def _instance_norm(builder: TorchBuilder, call: Call) -> str:
    if not call["use_input_stats"]:
        return builder.channel_affine(call["input"], *_statistics(builder, call))
    scale, offset = builder.array(call["weight"]), builder.array(call["bias"])
    groups = builder.shape(call["input"])[1]
    return builder.normalise(call["input"], "group", float(call["eps"]), scale, offset, groups=groups)


def _embedding(builder: TorchBuilder, call: Call) -> str:
    return builder.embedding(call["indices"], builder.weight(call["weight"]))


def _embedding_bag(builder: TorchBuilder, call: Call) -> tuple[str, None, None, None]:
    """Bags of one length each: rows looked up and summed, averaged or compared over the bag."""
    indices, offsets = call["indices"], call["offsets"]
    bags = call.meta[0].shape[0]
    if call["per_sample_weights"] is not None or call.get("padding_idx", -1) not in (None, -1):
        raise NetworkError("weighted bags and padding_idx are not known")
    total = math.prod(builder.shape(indices))
    # On the meta device the offsets are not known; how many rows are looked up is.
    regular = isinstance(offsets, torch.Tensor) and total % bags == 0
    if regular and not offsets.is_meta:
        regular = torch.equal(offsets[:bags].long(), torch.arange(0, total, total // bags))
    if not regular:
        raise NetworkError("only bags of one known length are known")
    rows = builder.reshape(indices, (bags, total // bags), "bags")
    looked = builder.embedding(rows, builder.weight(call["weight"]))
    function = ("sum", "mean", "maximum")[int(call["mode"])]
    return builder.reduce(looked, function, (1,), keep=False, part=function), None, None, None


def _pool(builder: TorchBuilder, call: Call) -> str:
    x = call["self"]
    flat = call.operator.endswith("1d")
    function = "maximum" if "max" in call.operator else "average"
    if call.get("divisor_override") is not None:
        raise NetworkError("divisor_override is not known")
    kernel = _sizes(call["kernel_size"], flat, 1)
    stride = _sizes(call["stride"] or call["kernel_size"], flat, 1)
    high, wide = _sizes(call["padding"], flat, 0)
    made = builder.pool(
        _lift(builder, x) if flat else _image(builder, x),
        function,
        kernel,
        stride,
        (high, wide, high, wide),
        dilation=_sizes(call.get("dilation", 1), flat, 1),
        count_padding=bool(call.get("count_include_pad", True)),
        ceil=bool(call["ceil_mode"]),
    )
    return builder.reshape(made, call.shape, "reshape") if flat else made


def _adaptive_pool(builder: TorchBuilder, call: Call) -> str:
    x = call["self"]
    flat = call.operator.endswith("1d")
    image = _lift(builder, x) if flat else _image(builder, x)
    want = [None if n is None else int(n) for n in call["output_size"]]
    have = builder.shape(image)[2:]
    size = (1, want[0]) if flat else (want[0], want[-1])
    chosen = (size[0] if size[0] is not None else have[0], size[1] if size[1] is not None else have[1])
    made = builder.adaptive_pool(image, "maximum" if "max" in call.operator else "average", chosen)
    return builder.reshape(made, _one(call).shape, "reshape") if flat else made


def _adaptive_maximum(builder: TorchBuilder, call: Call) -> tuple[str, None]:
    return _adaptive_pool(builder, call), None


def _one(call: Call) -> Any:
    return call.meta[0] if isinstance(call.meta, tuple | list) else call.meta


def _image(builder: TorchBuilder, x: str) -> str:
    if len(builder.shape(x)) != 4:
        raise NetworkError(f"pooling needs a batch of images (B, C, H, W), not {builder.shape(x)}")
    return x


def _reduce(builder: TorchBuilder, call: Call) -> str:
    function = {"mean": "mean", "sum": "sum", "amax": "maximum", "amin": "minimum"}[call.operator]
    axes = call.get("dim")
    if axes is None or axes == []:
        axes = list(range(len(builder.shape(call["self"]))))
    axes = [axes] if isinstance(axes, int) else axes
    x = builder.convert(call["self"], type_name(call.meta.dtype), "type")
    return builder.reduce(x, function, axes, keep=bool(call.get("keepdim", False)))


def _extreme(builder: TorchBuilder, call: Call) -> str | tuple[str, None]:
    """Max and min: of two tensors, or over one axis with the places (which are not known)."""
    function = {"max": "maximum", "min": "minimum"}[call.operator]
    if "other" in call.arguments:
        return builder.elementwise(function, builder.tensor(call["self"]), builder.tensor(call["other"]))
    axes = [call["dim"]] if "dim" in call.arguments else list(range(len(builder.shape(call["self"]))))
    return builder.reduce(call["self"], function, axes, keep=bool(call.get("keepdim", False))), None


def _softmax(builder: TorchBuilder, call: Call) -> str:
    made = builder.softmax(call["self"], int(call["dim"]), "softmax" if "log" in call.operator else None)
    return builder.activation(made, "log") if "log" in call.operator else made


MATRIX: dict[str, Handler] = {
    **dict.fromkeys(("conv1d", "conv2d", "convolution", "_convolution"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed),
    "linear": _linear,
    **dict.fromkeys(("addmm", "addmv", "baddbmm"), _scaled_product),
    **dict.fromkeys(("matmul", "bmm", "mm", "mv", "dot"), _matmul),
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(("batch_norm", "_native_batch_norm_legit_no_training"), _batch_norm),
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "embedding": _embedding,
    "embedding_bag": _embedding_bag,
    **dict.fromkeys(("max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d"), _pool),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d"), _adaptive_pool),
    **dict.fromkeys(("adaptive_max_pool1d", "adaptive_max_pool2d"), _adaptive_maximum),
    **dict.fromkeys(("mean", "sum", "amax", "amin"), _reduce),
    **dict.fromkeys(("max", "min"), _extreme),
    **dict.fromkeys(("softmax", "log_softmax"), _softmax),
}

WEIGHTED = {
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "linear",
    "addmm",
    "batch_norm",
    "layer_norm",
    "rms_norm",
    "group_norm",
    "embedding",
    "embedding_bag",
}
"""Operators whose tensor bears the name of their module, of whatever kind that is."""
