"""A matrix product as crossbars compute it, with a straight-through gradient.

Forward, for each block of rows, input step and column of cells: the sum of the digits times what the cells show, clip and round of
the ADC, significance of step and slice, addition: the chain of `mho.execute`.

Backward, clip and round have no useful gradient of their own. The product is taken as that of the codes, with the weights that
the cells showed in this pass, noise included (straight-through: Bengio et al., "Estimating or propagating gradients through
stochastic neurons", 2013, section 4; with the noise in the forward pass alone: Joshi et al., Nature Communications 11, 2473, 2020).

- "plain": nothing else.
- "unclipped": what a block converts counts by the share that came from conversions which did not clip, sum over steps and slices
  of significance x sum. A clipped conversion does not answer to small changes, while what the digital side takes away for the
  zero points still does: driving more rows then lowers every output, which "plain" does not know.

docs/training.md says what each gains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mho.machine.analog.converter import Converter
from mho.training.cells import Cells, Chain, Tiling

Observe = Callable[[Tensor], None]
EXACT_FLOAT32 = 2**24
"""Sums of whole numbers below it are exact in float32."""


@dataclass(frozen=True)
class ProductSetting:
    """The settings of a product beside its codes: zeros of the inputs' and the weights' code, and how to compute it."""

    chain: Chain
    layout: Tiling
    converter: Converter
    x_zero: int
    w_zero: int
    generator: torch.Generator | None
    observe: Observe | None = None


class Crossbar(torch.autograd.Function):
    """sum over k of (x - x zero) (w - w zero) of codes x (matrices, W, K) and w (matrices, K, N), through crossbars."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, cells: Cells, setting: ProductSetting) -> Tensor:
        """Return (matrices, W, N)."""
        layout, base = setting.layout, setting.chain.chip.coding.base
        laid = layout.inputs(x)
        raw, lost = convert(laid, cells, setting)
        shift = base - setting.w_zero
        total = layout.outputs(raw) + shift * x.sum(dim=2, keepdim=True)
        total = total - setting.x_zero * (w - setting.w_zero).sum(dim=1, keepdim=True)
        ctx.setting, ctx.lost = setting, lost
        ctx.converted = None if lost is None else converted(cells, setting)
        ctx.save_for_backward(laid, linear(cells, setting))
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """Pass the gradient as the module says."""
        setting: ProductSetting = ctx.setting
        layout = setting.layout
        laid, weights = ctx.saved_tensors
        flow = layout.outputs_back(gradient)[:, None]
        to_x = to_w = None
        if ctx.needs_input_grad[0]:
            to_x = torch.matmul(flow, weights.transpose(-1, -2))
        if ctx.needs_input_grad[1]:
            to_w = torch.matmul((laid - setting.x_zero).transpose(-1, -2), flow)
        if ctx.lost is not None:
            deaf = flow * ctx.lost
            if to_x is not None:
                to_x = to_x - torch.matmul(deaf, ctx.converted.transpose(-1, -2))
            if to_w is not None:
                to_w = to_w - torch.matmul(laid.transpose(-1, -2), deaf)
        to_x = None if to_x is None else layout.inputs_back(to_x)
        to_w = None if to_w is None else layout.weights_back(to_w)
        return to_x, to_w, None, None


def linear(cells: Cells, setting: ProductSetting) -> Tensor:
    """Return the weights less their zero that the cells show, shape (units, blocks, height, columns), 0 off the diagonal."""
    chain, layout = setting.chain, setting.layout
    coding = chain.chip.coding
    weights = converted(cells, setting) - chain.sensing.pedestal * sum(chain.sensing.significance)
    if cells.inverted is not None:
        significance = weights.new_tensor(chain.sensing.significance)
        whole = (cells.inverted * significance[:, None]).sum(dim=2) * (coding.highest + 2 * chain.sensing.pedestal)
        weights = weights + whole[:, :, None]
    one = weights.new_ones((layout.matrices, layout.rows, layout.columns))
    return weights + (coding.base - setting.w_zero) * layout.weights(one, 0)


def converted(cells: Cells, setting: ProductSetting) -> Tensor:
    """Return what of the weights goes through the ADC, (units, blocks, height, columns), inverted columns negative."""
    significance = cells.seen.new_tensor(setting.chain.sensing.significance)[:, None]
    if cells.inverted is None:
        return (cells.seen * significance).sum(dim=3)
    return (cells.seen * torch.where(cells.inverted, -significance, significance)[:, :, None]).sum(dim=3)


def convert(x: Tensor, cells: Cells, setting: ProductSetting) -> tuple[Tensor, Tensor | None]:
    """Convert codes x (units, blocks, W, height): sums (units, W, columns), and shares that clipped (units, blocks, W, columns).

    Shares are None where the gradient does not ask for them, or where nothing clipped.
    """
    chain, adc = setting.chain, setting.converter
    units, blocks, windows, height = x.shape
    slices, columns = cells.seen.shape[3:]
    array = chain.chip.array
    largest = array.rows * (chain.chip.levels - 1) * (2**array.dac_bits - 1)
    dtype = x.dtype if largest < EXACT_FLOAT32 else torch.float64
    weights = cells.seen.reshape(units, blocks, height, slices * columns).to(dtype)
    variance = None
    if cells.read_variance is not None:
        variance = cells.read_variance.reshape(units, blocks, height, slices * columns).to(dtype)
    codes = x.to(torch.uint8)
    steps = x.new_tensor(adc.steps, dtype=torch.float64)
    gain = (1.0 / steps).float()[:, None]
    significance = x.new_tensor(chain.sensing.significance, dtype=torch.float64)
    worth = (significance * (steps if adc.high is not None else 1.0)).to(x.dtype)
    total = x.new_zeros((units, windows, columns))
    lost: Tensor | None = None
    for step in range(0, chain.chip.input_bits, array.dac_bits):
        digits = ((codes >> step) & (2**array.dac_bits - 1)).to(dtype)
        driven = digits.sum(dim=3, keepdim=True)
        if not driven.any():
            continue
        sums = torch.matmul(digits, weights).reshape(units, blocks, windows, slices, columns)
        if variance is not None:
            spread = torch.matmul(digits * digits, variance).clamp_(min=0).sqrt_().reshape(sums.shape)
            sums = sums + spread * _normal(sums, setting)
        if setting.observe is not None:
            setting.observe(sums)
        values = sums
        if adc.high is not None:
            # In float32, as `converter.codes` does it, so that ties fall alike.
            wanted = sums.float() * gain
            if adc.noise and setting.generator is not None:
                wanted = wanted + adc.noise * _normal(wanted, setting)
            wanted = wanted.round_().to(x.dtype)
            values = wanted.clamp(adc.low, adc.high)
            if chain.gradient == "unclipped":
                over = values != wanted
                if over.any():
                    clipped = torch.einsum(
                        "ubwsc,s->ubwc", (sums * over).abs().to(x.dtype), significance.abs().to(x.dtype)
                    )
                    lost = clipped * 2**step if lost is None else lost + clipped * 2**step
        if cells.inverted is not None:
            values = _upright(values, driven, cells.inverted, adc, chain)
        total += torch.einsum("ubwsc,s->uwc", values.to(x.dtype), worth) * 2**step
        if chain.sensing.pedestal:
            # What it adds to every column: pedestal x sum of inputs x significances, over all blocks.
            added = chain.sensing.pedestal * sum(chain.sensing.significance) * driven.sum(dim=1)
            total -= added.to(x.dtype) * 2**step
    if lost is None:
        return total, None
    whole = torch.einsum("ubwh,ubhsc,s->ubwc", x, cells.seen.abs(), significance.abs().to(x.dtype))
    return total, (lost / whole.clamp(min=1e-9)).clamp_(0.0, 1.0)


def _upright(values: Tensor, driven: Tensor, inverted: Tensor, adc: Converter, chain: Chain) -> Tensor:
    """Undo inversions: (L - 1) x sum of inputs - value, in the units of `values` (steps of the ADC, where it has any).

    The pedestal that both sides saw is taken away here with the sign that the column has.
    """
    steps = values.new_tensor(adc.steps if adc.high is not None else (1.0,) * len(chain.sensing.significance))[:, None]
    whole = (chain.chip.coding.highest + 2 * chain.sensing.pedestal) * driven[..., None] / steps
    return torch.where(inverted[:, :, None], whole - values, values)


def _normal(like: Tensor, setting: ProductSetting) -> Tensor:
    """Draw standard normal numbers."""
    return torch.randn(like.shape, generator=setting.generator, dtype=like.dtype, device=like.device)
