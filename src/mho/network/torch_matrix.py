"""ATen operators: products, attention, normalisations, embeddings and reductions."""

from __future__ import annotations

import math
from typing import Any

import torch

from mho.errors import NetworkError
from mho.network import contraction
from mho.network.builder import LOWEST
from mho.network.layers import Array
from mho.network.torch_builder import Call, Handler, TorchBuilder, type_name
from mho.network.types import BOOL


def _linear(builder: TorchBuilder, call: Call) -> str:
    """Append input @ weight.T + bias."""
    weight = call["weight"]
    right = builder.swap(weight, -1, -2, "transpose") if isinstance(weight, str) else weight.t()
    return _product(builder, call["input"], right, call["bias"])


def _matmul(builder: TorchBuilder, call: Call) -> str:
    right = call.get("other", call.get("mat2", call.get("vec", call.get("tensor"))))
    return _product(builder, call["self"], right, None)


def _scaled_product(builder: TorchBuilder, call: Call) -> str:
    """Append beta * self + alpha * (left @ right): addmm, addmv, baddbmm."""
    left = call.get("mat1", call.get("batch1", call.get("mat")))
    right = call.get("mat2", call.get("batch2", call.get("vec")))
    alpha, beta, added = call["alpha"], call["beta"], call["self"]
    if alpha == 1 and beta == 1:
        return _product(builder, left, right, added)
    if isinstance(left, torch.Tensor):
        product = _product(builder, left * alpha, right, None)
    elif isinstance(right, torch.Tensor):
        product = _product(builder, left, right * alpha, None)
    else:
        product = builder.scale_shift(_product(builder, left, right, None), alpha, 0.0, "scale")
    if beta == 0:
        return product
    scaled = builder.scale_shift(added, beta, 0.0, "scaled") if isinstance(added, str) else builder.tensor(added * beta)
    return builder.elementwise("add", product, scaled, "sum")


def _product(builder: TorchBuilder, left: Any, right: Any, bias: Any) -> str:
    """Append left @ right + bias, either side and the bias known or not."""
    a, b = builder.operand(left), builder.operand(right)
    if bias is None or (not isinstance(bias, str) and not (isinstance(a, str) and isinstance(b, str))):
        return contraction.matmul(builder, a, b, builder.array(bias))
    return builder.elementwise("add", contraction.matmul(builder, a, b), builder.tensor(bias), "sum")


def _einsum(builder: TorchBuilder, call: Call) -> str:
    return contraction.einsum(builder, call["equation"], [builder.operand(value) for value in call["tensors"]])


def _attention(builder: TorchBuilder, call: Call) -> str:
    """Append softmax(Q K^T * scale + mask) V (torch.nn.functional.scaled_dot_product_attention)."""
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
    """Return scale and offset of a batch normalisation: (x - mean) / sqrt(variance + eps) * weight + bias, in float64."""
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


def _norm(builder: TorchBuilder, call: Call, function: str, *, axes: int = 1, groups: int = 1) -> str:
    """Append a normalisation from the input's own statistics."""
    scale, offset = builder.array(call["weight"]), builder.array(call.get("bias"))
    epsilon = torch.finfo(call.meta.dtype).eps if call["eps"] is None else call["eps"]
    return builder.normalise(call["input"], function, float(epsilon), scale, offset, axes=axes, groups=groups)


def _layer_norm(builder: TorchBuilder, call: Call) -> str:
    return _norm(builder, call, call.operator.removesuffix("_norm"), axes=len(call["normalized_shape"]))


def _instance_norm(builder: TorchBuilder, call: Call) -> str:
    if not call["use_input_stats"]:
        return builder.channel_affine(call["input"], *_statistics(builder, call))
    return _norm(builder, call, "group", groups=builder.shape(call["input"])[1])


def _embedding_bag(builder: TorchBuilder, call: Call) -> tuple[str, None, None, None]:
    """Append bags of one length each: rows looked up and summed, averaged or compared over the bag."""
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


def _reduce(builder: TorchBuilder, call: Call) -> str:
    function = {"mean": "mean", "sum": "sum", "amax": "maximum", "amin": "minimum"}[call.operator]
    x = builder.convert(call["self"], type_name(call.meta.dtype), "type")
    return builder.reduce(x, function, call.axes(len(builder.shape(x))), keep=call.keep)


def _extreme(builder: TorchBuilder, call: Call) -> str | tuple[str, None]:
    """Append max or min: of two tensors, or over one axis with the places (which are not known)."""
    function = {"max": "maximum", "min": "minimum"}[call.operator]
    if "other" in call.arguments:
        return builder.elementwise(function, builder.tensor(call["self"]), builder.tensor(call["other"]))
    axes = call.axes(len(builder.shape(call["self"])))
    return builder.reduce(call["self"], function, axes, keep=call.keep), None


def _softmax(builder: TorchBuilder, call: Call) -> str:
    result = builder.softmax(call["self"], int(call["dim"]), "softmax" if "log" in call.operator else None)
    return builder.activation(result, "log") if "log" in call.operator else result


MATRIX: dict[str, Handler] = {
    "linear": _linear,
    **dict.fromkeys(("addmm", "addmv", "baddbmm"), _scaled_product),
    **dict.fromkeys(("matmul", "bmm", "mm", "mv", "dot"), _matmul),
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(("batch_norm", "_native_batch_norm_legit_no_training"), _batch_norm),
    **dict.fromkeys(("layer_norm", "rms_norm"), _layer_norm),
    "group_norm": lambda builder, call: _norm(builder, call, "group", groups=int(call["num_groups"])),
    "instance_norm": _instance_norm,
    "embedding": lambda builder, call: builder.embedding(call["indices"], builder.weight(call["weight"])),
    "embedding_bag": _embedding_bag,
    **dict.fromkeys(("mean", "sum", "amax", "amin"), _reduce),
    **dict.fromkeys(("max", "min"), _extreme),
    **dict.fromkeys(("softmax", "log_softmax"), _softmax),
}

WEIGHTED = {
    "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "conv3d", "linear", "addmm", "batch_norm", "layer_norm",
    "rms_norm", "group_norm", "embedding", "embedding_bag",
}  # fmt: skip
"""Operators whose tensor bears the name of their module, of whatever kind that is."""
