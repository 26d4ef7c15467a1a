"""Affine codes in training: values rounded to the codes that `number.quantise` would choose, with a straight-through gradient.

Forward, a value is what its code stands for. Backward, rounding counts as the identity (Bengio et al., "Estimating or propagating
gradients through stochastic neurons", 2013, section 4): for weights everywhere, for activations where they were not clipped.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from mho.number.affine import SMALLEST, fit, fit_many
from mho.number.calibration import FEW as FEW_INPUTS
from mho.number.calibration import MINMAX, way_of
from mho.number.scales import FACTORS, FEW, FEW_FACTORS, thresholds

TRIED = 8
"""Thresholds of weights that a training step tries; `number.scales` tries five to twelve times as many, in the same range."""
SAMPLED, CANDIDATES = 2048, 16
"""Values of an activation that its range is chosen by, and thresholds that are tried on them."""


@cache
def _shares(few: bool) -> Tensor:
    every = FEW_FACTORS if few else FACTORS
    return torch.tensor(every[:: -(-len(every) // TRIED)], dtype=torch.float32)


def coded_weight(weight: Tensor, bits: int, per_channel: bool, symmetric: bool, exact: bool) -> Tensor:
    """Return weights (outputs, ...) as codes of `bits` bits show them; the gradient is that of the weights.

    The codes are those of `number.quantise`: the whole range at 8 bits and more, the threshold of the least squared error at fewer.
    `exact`: of all thresholds that it tries, else of TRIED of them, as is enough while weights move.
    """
    with torch.no_grad():
        rows = weight.detach().reshape(weight.shape[0], -1)
        if exact or bits == 1:
            scale, zero = _exact(rows, bits, per_channel, symmetric)
        else:
            scale, zero = _searched(rows, bits, per_channel, symmetric)
        shown = _shown(rows, scale, zero, bits, symmetric).reshape(weight.shape)
    return weight + (shown - weight.detach())


def _exact(rows: Tensor, bits: int, per_channel: bool, symmetric: bool) -> tuple[Tensor, Tensor]:
    """Choose scale and zero in float64 by the very functions of `number.quantise`: (outputs, 1) or ()."""
    real = rows.double().cpu().numpy().T[None]
    if way_of(None, bits) == MINMAX:
        axes = 1 if per_channel else None
        scale, zero = fit_many(real.min(axis=axes), real.max(axis=axes), bits, symmetric)
    else:
        scale, zero = thresholds(real, bits, symmetric, per_channel)
    pair = (torch.from_numpy(np.asarray(each, dtype=np.float64)).to(rows) for each in (scale, zero))
    scale, zero = ((each.reshape(-1, 1) if per_channel else each) for each in pair)  # type: ignore[assignment]
    return scale, zero  # type: ignore[return-value]


def _searched(rows: Tensor, bits: int, per_channel: bool, symmetric: bool) -> tuple[Tensor, Tensor]:
    """Choose scale and zero of the least squared error among a few thresholds, in the type of the weights."""
    rows = rows if per_channel else rows.reshape(1, -1)
    low, high = rows.aminmax(dim=1, keepdim=True)
    low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    if way_of(None, bits) == MINMAX:
        return _fit(low, high, bits, symmetric)
    bound = _shares(bits <= FEW).to(rows)[:, None, None] * torch.maximum(-low, high)
    scale, zero = _fit(torch.maximum(low, -bound), torch.minimum(high, bound), bits, symmetric)
    errors = (_shown(rows, scale, zero, bits, symmetric) - rows).square_().sum(dim=2, keepdim=True)
    best = errors.argmin(dim=0, keepdim=True)
    return scale.gather(0, best)[0], zero.gather(0, best)[0]


def _fit(low: Tensor, high: Tensor, bits: int, symmetric: bool) -> tuple[Tensor, Tensor]:
    """Choose scale and zero as `number.affine.fit_many`, for ranges that hold 0."""
    if symmetric:
        middle = 2 ** (bits - 1)
        width, steps = torch.maximum(-low, high), middle - 1
    else:
        width, steps = high - low, 2**bits - 1
    scale = torch.where(width > 0, (width / steps).clamp(min=SMALLEST), torch.ones_like(width))
    if symmetric:
        return scale, torch.full_like(scale, middle)
    return scale, (-low / scale).round_().clamp_(0, steps)


def _shown(rows: Tensor, scale: Tensor, zero: Tensor, bits: int, symmetric: bool) -> Tensor:
    codes = (rows / scale).round_().add_(zero).clamp_(int(symmetric), 2**bits - 1)
    return codes.sub_(zero).mul_(scale)


def coded_input(x: Tensor, low: float, high: float, bits: int) -> Tensor:
    """Return activations as a code of `bits` bits for a range shows them; the gradient passes where nothing was clipped."""
    code = fit(low, high, bits)
    coded: Tensor = torch.fake_quantize_per_tensor_affine(x, float(code.scale), int(code.zero), 0, code.high)
    return coded


def chosen_range(values: Tensor, bits: int, whole: bool) -> tuple[float, float]:
    """Choose the range of a code from values: all of it if `whole` or at 8 bits, else that of the least squared error."""
    values = values.detach()
    ends = values.aminmax()
    low, high = min(float(ends.min), 0.0), max(float(ends.max), 0.0)
    if whole or way_of(None, bits) == MINMAX or low == high:
        return low, high
    flat = values.reshape(-1)
    flat = flat[:: max(1, flat.numel() // SAMPLED)]
    bound = torch.linspace(1.0, 0.2 if bits > FEW_INPUTS else 0.05, CANDIDATES).to(flat)[:, None] * max(-low, high)
    lows, highs = (-bound).clamp(min=low), bound.clamp(max=high)
    if bits == 1:
        lows, highs = (torch.zeros_like(lows), highs) if high >= -low else (lows, torch.zeros_like(highs))
    scale, zero = _fit(lows, highs, bits, symmetric=False)
    best = int((_shown(flat, scale, zero, bits, symmetric=False) - flat).square_().sum(dim=1).argmin())
    return float(lows[best]), float(highs[best])


__all__ = ["chosen_range", "coded_input", "coded_weight"]
