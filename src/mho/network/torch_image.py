"""ATen operators on images: resizing, padding, rolling and flipping, pixel shuffles."""

from __future__ import annotations

from mho.errors import NetworkError
from mho.network.composites import pad, rearranged
from mho.network.geometry import axis_of
from mho.network.resize import ResizedAxis, Resizing, resize
from mho.network.torch_builder import Call, Handler, TorchBuilder, ranks


def _upsample(mode: str, nearest: str = "floor") -> Handler:
    """Return the handler of upsample_nearest, _linear, _bilinear, _trilinear or _bicubic: torch says how large the output is."""

    def handle(builder: TorchBuilder, call: Call) -> str:
        x: str = call.get("input", call.get("self"))
        shape = builder.shape(x)
        scales = call.get("scale_factors") or [call.get(key) for key in ("scales_d", "scales_h", "scales_w", "scales")]
        factors = [float(n) for n in scales if n is not None]
        if call.get("align_corners", False):
            how = Resizing(mode, "align_corners")
        elif mode == "nearest":
            how = Resizing(mode, "half_pixel_floor" if nearest == "exact" else "asymmetric", "floor")
        else:
            how = Resizing(mode, "half_pixel")
        axes = []
        for place, number in enumerate(range(2, len(shape))):
            size, outputs = shape[number], call.shape[number]
            scale = factors[place] if len(factors) == len(shape) - 2 else outputs / size
            # Whatever the factor, torch copies a length that is kept (nearest, linear) and repeats one that is doubled (nearest).
            exact = {"asymmetric": (size, 2 * size), "half_pixel": (size,) if how.mode == "linear" else ()}
            if outputs in exact.get(how.coordinates, ()):
                scale = outputs / size
            axes.append(ResizedAxis(number, size, outputs, scale))
        return resize(builder, x, axes, how)

    return handle


def _antialias(builder: TorchBuilder, call: Call) -> str:
    raise NetworkError("resizing with antialias is not known; resize without it, or before the network")


def _pixel_shuffle(builder: TorchBuilder, call: Call) -> str:
    batch, channels, height, width = builder.shape(call["self"])
    r = int(call["upscale_factor"])
    apart = (batch, channels // r**2, r, r, height, width)
    return rearranged(builder, call["self"], apart, (0, 1, 4, 2, 5, 3), call.shape)


def _pixel_unshuffle(builder: TorchBuilder, call: Call) -> str:
    batch, channels, height, width = builder.shape(call["self"])
    r = int(call["downscale_factor"])
    apart = (batch, channels, height // r, r, width // r, r)
    return rearranged(builder, call["self"], apart, (0, 1, 3, 5, 2, 4), call.shape)


_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""What torch and ONNX call the same padding."""


def _pad(builder: TorchBuilder, call: Call) -> str:
    """Padding is given from the last axis to the first."""
    x: str = call["self"]
    rank, amounts = len(builder.shape(x)), [int(n) for n in call.get("pad", call.get("padding"))]
    mode = call.get("mode", next((mode for mode in _MODES if call.operator.startswith(mode[:7])), "constant"))
    before, after = [0] * rank, [0] * rank
    for i in range(len(amounts) // 2):
        before[rank - 1 - i], after[rank - 1 - i] = amounts[2 * i], amounts[2 * i + 1]
    return pad(builder, x, before, after, _MODES.get(str(mode), str(mode)), float(call.get("value") or 0.0))


def _channel_shuffle(builder: TorchBuilder, call: Call) -> str:
    x: str = call["self"]
    batch, channels, *image = builder.shape(x)
    groups = int(call["groups"])
    order = (0, 2, 1, *range(3, 3 + len(image)))
    return rearranged(builder, x, (batch, groups, channels // groups, *image), order, (batch, channels, *image))


def _unfold(builder: TorchBuilder, call: Call) -> str:
    """Append the windows of one axis, their elements as a last axis."""
    x, axis, size, step = call["self"], call["dimension"], int(call["size"]), int(call["step"])
    shape = builder.shape(x)
    axis = axis_of(axis, len(shape))
    count = (shape[axis] - size) // step + 1
    windows = builder.take(x, axis, [i * step + k for i in range(count) for k in range(size)], "windows")
    apart = builder.reshape(windows, (*shape[:axis], count, size, *shape[axis + 1 :]), "apart")
    rank = len(shape) + 1
    return builder.transpose(apart, [i for i in range(rank) if i != axis + 1] + [axis + 1])


def _windows(builder: TorchBuilder, call: Call) -> str:
    """Append the windows of an image as columns (im2col): (B, C kh kw, windows)."""
    x: str = call["self"]
    batch, channels, *_ = builder.shape(x)
    (kh, kw), (sy, sx), (py, px), (dy, dx) = (
        tuple(int(n) for n in call[key]) * (1 if len(call[key]) == 2 else 2)
        for key in ("kernel_size", "stride", "padding", "dilation")
    )
    x = pad(builder, x, (0, 0, py, px), (0, 0, py, px))
    high, wide = builder.shape(x)[2:]
    counts = (high - dy * (kh - 1) - 1) // sy + 1, (wide - dx * (kw - 1) - 1) // sx + 1
    x = builder.take(x, 2, [k * dy + i * sy for k in range(kh) for i in range(counts[0])], "rows")
    x = builder.take(x, 3, [k * dx + i * sx for k in range(kw) for i in range(counts[1])], "columns")
    apart = (batch, channels, kh, counts[0], kw, counts[1])
    return rearranged(builder, x, apart, (0, 1, 2, 4, 3, 5), call.shape)


def _roll(builder: TorchBuilder, call: Call) -> str:
    x: str = call["self"]
    shape, flat = builder.shape(x), not call["dims"]
    if flat:
        x = builder.reshape(x, (-1,), "flat")
    for shift, axis in zip(call["shifts"], call["dims"] or (0,), strict=True):
        size = builder.shape(x)[axis]
        x = builder.take(x, axis, [(place - int(shift)) % size for place in range(size)], "rolled" if flat else None)
    return builder.reshape(x, shape) if flat else x


def _flip(builder: TorchBuilder, call: Call) -> str:
    x: str = call["self"]
    for axis in call["dims"]:
        x = builder.take(x, axis, range(builder.shape(x)[axis])[::-1])
    return x


IMAGE: dict[str, Handler] = {
    **dict.fromkeys(ranks("upsample_nearest"), _upsample("nearest")),
    **dict.fromkeys(ranks("_upsample_nearest_exact"), _upsample("nearest", "exact")),
    **dict.fromkeys(("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d"), _upsample("linear")),
    "upsample_bicubic2d": _upsample("cubic"),
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    **dict.fromkeys(("pad", "constant_pad_nd", *ranks("reflection_pad"), *ranks("replication_pad")), _pad),
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), _channel_shuffle),
    "unfold": _unfold,
    "im2col": _windows,
    "roll": _roll,
    "flip": _flip,
}
REFUSED: dict[str, Handler] = dict.fromkeys(("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"), _antialias)
"""Operators whose refusal says what helps."""
