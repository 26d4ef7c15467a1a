"""Affine codes in training: values rounded to the codes that `number.quantise` would choose, with a straight-through gradient.

Forward, a value is what its code stands for. Backward, rounding counts as the identity (Bengio et al., "Estimating or propagating
gradients through stochastic neurons", 2013, section 4): for weights everywhere, for activations where they were not clipped.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mho.number.affine import SMALLEST, fit, fit_many
from mho.number.calibration import FEW as FEW_INPUTS
from mho.number.calibration import MINMAX, way_of
from mho.number.scales import FACTORS, FEW, FEW_FACTORS, thresholds

TRIED = 8
"""Thresholds of weights that are tried in haste; `number.scales` tries five to twelve times as many, in the same range."""
SAMPLED, CANDIDATES = 2048, 16
"""Values of an activation that its range is chosen by, and thresholds that are tried on them."""


@cache
def _shares(few: bool, hasty: bool) -> Tensor:
    every = FEW_FACTORS if few else FACTORS
    return torch.tensor(every[:: -(-len(every) // TRIED) if hasty else 1], dtype=torch.float32)


def coded_weight(weight: Tensor, bits: int, per_channel: bool, symmetric: bool) -> Tensor:
    """Return weights (outputs, ...) as codes of `bits` bits show them, those of `number.quantise`; the gradient is the weights'."""
    with torch.no_grad():
        rows = weight.detach().reshape(weight.shape[0], -1)
        shown = _shown(rows, *_exact(rows, bits, per_channel, symmetric), bits, symmetric)
    return weight + (shown.reshape(weight.shape) - weight.detach())


def coded_by_share(weight: Tensor, bits: int, share: Tensor | None, per_channel: bool, symmetric: bool) -> Tensor:
    """Return weights as codes show them whose threshold is a `share` of the largest weight, as `chosen_share` found it."""
    with torch.no_grad():
        rows = weight.detach().reshape(weight.shape[0], -1)
        rows = rows if per_channel else rows.reshape(1, -1)
        scale, zero = _fit(*_within(rows, share), bits, symmetric)
        shown = _shown(rows, scale, zero, bits, symmetric)
    return weight + (shown.reshape(weight.shape) - weight.detach())


def chosen_share(weight: Tensor, bits: int, per_channel: bool, symmetric: bool, hasty: bool = False) -> Tensor | None:
    """Return where the threshold of the least squared error lies, as a share of the largest weight, by output or in all.

    None where codes take the whole range. In `haste` few thresholds are tried.
    """
    if way_of(None, bits) == MINMAX:
        return None
    with torch.no_grad():
        rows = weight.detach().reshape(weight.shape[0], -1)
        rows = rows if per_channel else rows.reshape(1, -1)
        every = _shares(bits <= FEW, hasty).to(rows)
        least, best = torch.full((rows.shape[0], 1), torch.inf).to(rows), torch.ones(rows.shape[0], 1).to(rows)
        for shares in torch.split(every, TRIED):
            scale, zero = _fit(*_within(rows, shares[:, None, None]), bits, symmetric)
            errors = (_shown(rows, scale, zero, bits, symmetric) - rows).square_().sum(dim=2, keepdim=True)
            error, place = errors.min(dim=0)
            best = torch.where(error < least, shares[place], best)
            least = torch.minimum(least, error)
    return best


def _within(rows: Tensor, share: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the range of rows, which holds 0, cut off at a share of the largest magnitude."""
    low, high = rows.aminmax(dim=1, keepdim=True)
    low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    if share is None:
        return low, high
    bound = share * torch.maximum(-low, high)
    return torch.maximum(low, -bound), torch.minimum(high, bound)


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


def _fit(low: Tensor, high: Tensor, bits: int, symmetric: bool) -> tuple[Tensor, Tensor]:
    """Choose scale and zero as `number.affine.fit_many`, for ranges that hold 0."""
    if bits == 1:  # one sign alone
        above = high >= -low
        low, high = torch.where(above, torch.zeros_like(low), low), torch.where(above, high, torch.zeros_like(high))
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
    coded: Tensor = _Coded.apply(x, *_code(low, high, bits))  # type: ignore[no-untyped-call]
    return coded


@lru_cache(maxsize=1024)
def _code(low: float, high: float, bits: int) -> tuple[float, int, int]:
    code = fit(low, high, bits)
    return float(code.scale), int(code.zero), code.high


class _Coded(torch.autograd.Function):
    """What `torch.fake_quantize_per_tensor_affine` computes, bit for bit, in vectors: in less than half of its time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, zero: int, high: int) -> Tensor:
        codes = x.mul(float(np.float32(1.0) / np.float32(scale))).round_().add_(zero)
        shown = codes.clamp(0, high)
        ctx.save_for_backward(shown == codes)
        return shown.sub_(zero).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return gradients[0] * ctx.saved_tensors[0], None, None, None


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
    scale, zero = _fit(lows, highs, bits, symmetric=False)
    best = int((_shown(flat, scale, zero, bits, symmetric=False) - flat).square_().sum(dim=1).argmin())
    return float(lows[best]), float(highs[best])


__all__ = ["chosen_range", "chosen_share", "coded_by_share", "coded_input", "coded_weight"]
