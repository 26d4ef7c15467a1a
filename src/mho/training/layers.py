"""Modules that stand where nn.Linear and nn.Conv2d stood, and compute as crossbars do."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mho.errors import NumberError
from mho.machine.analog.converter import converter
from mho.number.affine import fit
from mho.training.cells import TRAINING, Chain, Tiling, program
from mho.training.crossbar import Crossbar, Observe, ProductSetting
from mho.training.modules import Matrix, attributes, built, through


def _encode(real: Tensor, scale: float, zero: int) -> Tensor:
    """Code real numbers as `mho.number.affine.encode` does, in their type; the gradient passes where the code did not clip."""
    with torch.no_grad():
        # In float64, as the machine does it: a tie in float32 may be none in float64, and 127 and 128 share no bit.
        wanted = (real.double() / scale).round_().add_(zero)
        codes = wanted.clamp(0, 255)
    return through(real / scale, codes.to(real.dtype), codes == wanted)


class CrossbarLayer(nn.Module):
    """The weights of an nn.Linear or nn.Conv2d, its own parameters, in crossbars.

    `low`, `high`: the range of the inputs' code; in training mode it follows them by a moving average of weight `momentum`.
    `limits`: the calibrated range of the ADC, one a slice. `passes` counts forward passes in training mode: it and the seed
    decide what is drawn.
    """

    low: Tensor
    high: Tensor
    passes: Tensor
    limits: Tensor

    def __init__(self, matrix: Matrix, chain: Chain, index: int, name: str, momentum: float) -> None:
        """Take over a matrix layer's parameters."""
        super().__init__()
        self.weight, self.bias = matrix.weight, matrix.bias
        self.chain, self.index, self.name, self.momentum = chain, index, name, momentum
        self.shape = attributes(matrix)
        self.convolution = isinstance(matrix, nn.Conv2d)
        self.groups = matrix.groups if isinstance(matrix, nn.Conv2d) else 1
        columns = matrix.weight.shape[0] // self.groups
        self.layout = Tiling.of(chain, self.groups, matrix.weight[0].numel(), columns)
        device = matrix.weight.device
        for buffer, dtype in (("low", torch.float64), ("high", torch.float64), ("passes", torch.int64)):
            self.register_buffer(buffer, torch.zeros((), dtype=dtype, device=device))
        self.register_buffer(
            "limits", torch.full((chain.sensing.slices,), torch.nan, dtype=torch.float64, device=device)
        )
        self.observe: Observe | None = None
        self.training = matrix.training

    def extra_repr(self) -> str:
        """Say what stands here."""
        return f"{', '.join(f'{key}={value}' for key, value in self.shape.items())}, chip={self.chain.chip.name}"

    def plain(self) -> Matrix:
        """Return the layer without crossbars, with the same parameters."""
        kind = nn.Conv2d if self.convolution else nn.Linear
        matrix: Matrix = built(kind, self.shape, self.weight, self.bias, self.training)
        return matrix

    def range(self) -> tuple[float, float]:
        """Return the range of the inputs' code, rounded to float32 as in `mho.number.calibration`."""
        return float(np.float32(self.low.item())), float(np.float32(self.high.item()))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer through crossbars, with freshly programmed cells in training mode, ideal ones in eval mode."""
        if torch.isnan(x).any() or not torch.isfinite(self.weight).all():
            raise NumberError(f"inputs or weights of layer {self.name!r} are not finite: training diverged")
        if self.training and self.momentum:
            self._follow(x)
        x_code = fit(*self.range())
        weight = self.weight.reshape(self.groups, -1, self.layout.rows).transpose(1, 2)
        symmetric = bool(self.chain.chip.coding.least_code)  # codes that such cells can hold
        w_code = fit(float(weight.detach().min()), float(weight.detach().max()), symmetric=symmetric)
        x_scale, x_zero = float(x_code.scale), int(x_code.zero)
        w_scale, w_zero = float(w_code.scale), int(w_code.zero)
        w = _encode(weight, w_scale, w_zero).to(x.dtype)
        windows = self._windows(_encode(x, x_scale, x_zero), x_zero)
        number = int(self.passes) if self.training else None
        if self.training:
            self.passes += 1
        cells = program(self.chain, self.layout, w, self.index, number, x.dtype)
        limits = self.limits.tolist() if self.chain.calibrates and self.observe is None else None
        unknown = self.chain.calibrates and limits is None
        column, sensing = self.layout.fullest(self.chain.chip.coding), self.chain.sensing
        read = self.chain.chip.readout
        adc = converter(sensing, self.name, column, read, [1.0] * sensing.slices if unknown else limits)
        setting = ProductSetting(self.chain, self.layout, adc, x_zero, w_zero, self._generator(number, x), self.observe)
        sums: Tensor = Crossbar.apply(windows, w, cells, setting)  # type: ignore[no-untyped-call]
        return self._assembled(sums * (x_scale * w_scale), x)

    def _follow(self, x: Tensor) -> None:
        """Move the range of the inputs' code towards those of a batch."""
        with torch.no_grad():
            for bound, seen in ((self.low, x.min()), (self.high, x.max())):
                bound.lerp_(seen.double(), self.momentum)

    def _generator(self, number: int | None, x: Tensor) -> torch.Generator | None:
        """Return a source of noise of conversions for a pass, None in eval mode."""
        if number is None:
            return None
        source = np.random.SeedSequence(self.chain.seed, spawn_key=(TRAINING, self.index, number, 1))
        return torch.Generator(device=x.device).manual_seed(int(source.generate_state(1, np.uint64)[0] >> np.uint64(1)))

    def _windows(self, codes: Tensor, fill: int) -> Tensor:
        """Arrange codes as windows (matrices, W, K), K ordered (channel, kernel row, kernel column) as in `network.windows`."""
        if not self.convolution:
            return codes.reshape(1, -1, self.layout.rows)
        top, left = self.shape["padding"]
        padded = functional.pad(codes, (left, left, top, top), value=fill)
        unfolded = functional.unfold(padded, self.shape["kernel_size"], self.shape["dilation"], 0, self.shape["stride"])
        parts = unfolded.reshape(len(codes), self.groups, self.layout.rows, -1)
        return parts.permute(1, 0, 3, 2).reshape(self.groups, -1, self.layout.rows)

    def _assembled(self, y: Tensor, x: Tensor) -> Tensor:
        """Arrange products (matrices, W, N) as the layer's output, and add the bias."""
        if not self.convolution:
            y = y.reshape(*x.shape[:-1], -1)
            return y if self.bias is None else y + self.bias
        kernel, stride, padding, dilation = (self.shape[k] for k in ("kernel_size", "stride", "padding", "dilation"))
        height, width = (
            (x.shape[i + 2] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in (0, 1)
        )
        y = y.reshape(self.groups, len(x), height, width, -1).permute(1, 0, 4, 2, 3).reshape(len(x), -1, height, width)
        return y if self.bias is None else y + self.bias[:, None, None]
