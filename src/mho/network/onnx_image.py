"""ONNX operators on images: resizing, padding, local response normalisation, pixel shuffles."""

from __future__ import annotations

import math

import numpy as np

from mho.errors import NetworkError
from mho.network.composites import local_response, pad, rearranged
from mho.network.geometry import axis_of
from mho.network.onnx_builder import Handler, Node, OnnxBuilder, text
from mho.network.resize import ResizedAxis, Resizing, resize


def _resize(builder: OnnxBuilder, node: Node) -> str:
    """Append Resize of all operator sets, or Upsample: scales or sizes, of all axes or of some."""
    x, attributes = node.tensor(), node.attributes
    shape, old = builder.shape(x), node.opset < 11 or node.operator == "Upsample"
    if attributes.get("antialias", 0):
        raise NetworkError("resizing with antialias is not known; resize without it, or before the network")
    numbers = [axis_of(int(n), len(shape)) for n in attributes.get("axes", range(len(shape)))]
    scales, sizes = _factors(node, old)
    if not scales and not sizes:
        raise NetworkError("neither scales nor sizes are given")
    have = [shape[n] for n in numbers]
    if sizes:
        scales = [wanted / size for wanted, size in zip(sizes, have, strict=True)]
        policy = text(attributes.get("keep_aspect_ratio_policy", "stretch"))
        if policy != "stretch":
            common = (min if policy == "not_larger" else max)(scales)
            scales = [common] * len(have)
            sizes = [math.floor(common * size + 0.5) for size in have]
    else:
        # In float32, as the runtime multiplies.
        sizes = [math.floor(np.float32(scale) * np.float32(size)) for scale, size in zip(scales, have, strict=True)]
        _check_scales(text(attributes.get("coordinate_transformation_mode", "")), scales, have, sizes)
    region = None if old else node.known(1)
    count = len(numbers)
    regions = [(0.0, 1.0)] * count
    mode = text(attributes.get("coordinate_transformation_mode", "asymmetric" if old else "half_pixel"))
    if mode == "tf_crop_and_resize" and region is not None:
        regions = [(float(region[i]), float(region[i + count])) for i in range(count)]
    rounding = text(attributes.get("nearest_mode", "round_prefer_floor"))
    if mode == "tf_half_pixel_for_nn":  # operator sets 11 and 12
        mode = "half_pixel_floor"
    how = Resizing(
        mode=text(attributes.get("mode", "nearest")),
        coordinates=mode,
        nearest="simple" if old else rounding,
        cubic=float(attributes.get("cubic_coeff_a", -0.75)),
        exclude_outside=bool(attributes.get("exclude_outside", 0)),
        extrapolation=float(attributes.get("extrapolation_value", 0.0)),
    )
    axes = [ResizedAxis(*axis) for axis in zip(numbers, have, sizes, scales, regions, strict=True)]
    return resize(builder, x, axes, how)


def _check_scales(mode: str, scales: list[float], have: list[int], sizes: list[int]) -> None:
    """Refuse scales of which onnxruntime and the standard make different images."""
    reached = [float(np.float32(scale) * np.float32(size)) for scale, size in zip(scales, have, strict=True)]
    if mode == "align_corners" and reached != sizes:
        what = f"align_corners with scales {scales}, which make no whole lengths of {have}"
    elif mode != "tf_crop_and_resize" and sizes == have and set(scales) != {1.0}:
        what = f"resizing by {scales}, which keeps every length of {have}"
    else:
        return
    raise NetworkError(f"{what}: onnxruntime and the standard's own definition differ; give the sizes {sizes}")


def _factors(node: Node, old: bool) -> tuple[list[float], list[int]]:
    """Return the scales and sizes of a node, one of which is empty."""
    if "scales" in node.attributes:  # Upsample 7
        return [float(n) for n in node.attributes["scales"]], []
    scales, sizes = node.known(1 if old else 2), None if old else node.known(3)
    return (
        [] if scales is None else [float(n) for n in scales.reshape(-1)],
        [] if sizes is None else [int(n) for n in sizes.reshape(-1)],
    )


def _pad(builder: OnnxBuilder, node: Node) -> str:
    x = node.tensor()
    pads, rank = node.listed(1, "pads", "the padding"), len(builder.shape(x))
    axes = [axis_of(a, rank) for a in (node.integers(3, "") or range(len(pads) // 2))]
    before, after = [0] * rank, [0] * rank
    for i, axis in enumerate(axes):
        before[axis], after[axis] = pads[i], pads[i + len(axes)]
    mode = text(node.attributes.get("mode", "constant"))
    return pad(builder, x, before, after, mode, node.number(2, "value", 0.0))


def _centre(builder: OnnxBuilder, node: Node) -> str:
    """Append CenterCropPad: each axis cut or padded with zeros on both sides to the given length."""
    x, sizes = node.tensor(), node.listed(1, "", "the shape")
    shape = builder.shape(x)
    before, after = [0] * len(shape), [0] * len(shape)
    axes = [axis_of(int(n), len(shape)) for n in node.attributes.get("axes", range(len(shape)))]
    for axis, size in zip(axes, sizes, strict=True):
        more = abs(size - shape[axis])
        sign = 1 if size > shape[axis] else -1
        before[axis], after[axis] = sign * (more // 2), sign * (more - more // 2)
    return pad(builder, x, before, after)


def _local_response(builder: OnnxBuilder, node: Node) -> str:
    attributes = node.attributes
    alpha, beta, bias = (
        float(attributes.get(key, default)) for key, default in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))
    )
    return local_response(builder, node.tensor(), int(attributes["size"]), alpha, beta, bias, more_before=False)


def _depth_to_space(builder: OnnxBuilder, node: Node) -> str:
    batch, channels, height, width = builder.shape(node.tensor())
    r = int(node.attributes["blocksize"])
    if text(node.attributes.get("mode", "DCR")) == "CRD":
        apart, order = (batch, channels // r**2, r, r, height, width), (0, 1, 4, 2, 5, 3)
    else:
        apart, order = (batch, r, r, channels // r**2, height, width), (0, 3, 4, 1, 5, 2)
    return rearranged(builder, node.tensor(), apart, order, (batch, channels // r**2, height * r, width * r))


def _space_to_depth(builder: OnnxBuilder, node: Node) -> str:
    batch, channels, height, width = builder.shape(node.tensor())
    r = int(node.attributes["blocksize"])
    apart = (batch, channels, height // r, r, width // r, r)
    order = (0, 1, 3, 5, 2, 4) if text(node.attributes.get("mode", "DCR")) == "CRD" else (0, 3, 5, 1, 2, 4)
    return rearranged(builder, node.tensor(), apart, order, (batch, channels * r**2, height // r, width // r))


IMAGE: dict[str, Handler] = {
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    "Pad": _pad,
    "CenterCropPad": _centre,
    "LRN": _local_response,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
