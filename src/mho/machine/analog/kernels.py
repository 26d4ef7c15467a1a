"""Blocks of columns, converted: one interface, three ways that give the same integers.

`plain` is numpy, conversion by conversion, and says what is right; `compiled` is the fast one on a processor; `torch` runs on a
GPU where torch sees one. Where nothing is lost all of them multiply (`LinearKernel`), and where noise is new at every conversion
all of them take the way of `NoisyKernel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError, choices
from mho.machine.analog import noise
from mho.machine.analog.columns import Columns, fixed_point
from mho.machine.analog.converter import Converter, codes
from mho.machine.analog.counting_kernel import CountingKernel, countable
from mho.machine.analog.kernel import LIMIT, Bytes, FloatArray, Kernel, Numbers, lossless
from mho.machine.analog.reference import Common

if TYPE_CHECKING:
    import torch

SHARED = 1 << 31
"""What sets the key of noise that columns share apart from those of further turns."""


class PlainKernel(Kernel):
    """Numpy, conversion by conversion, as the hardware does it: what every faster way must equal.

    For each input step the driven digits times the columns give integers (levels, or fixed-point conductances), which float64
    adds exactly in any order; the ADC turns each into a code; codes are shifted by the step's significance and added.
    """

    def _prepare(self, columns: Columns, flat: npt.NDArray[np.int16]) -> None:
        self.operands = (np.ascontiguousarray(flat),)

    def _convert(self, x: Bytes, numbers: Numbers | None, out: FloatArray) -> int:
        low, high = self.converter.low, self.converter.high
        assert high is not None
        weights, clipped = self.operands[0].astype(np.float64), 0
        total = np.zeros((len(x), len(self.gain)), dtype=np.int64)
        for step in range(self.steps):
            step_codes, over = codes(self._digits(x, step) @ weights, self.gain, self.offset, low, high)
            total += step_codes << (step * self.dac_bits)
            clipped += over
        self._collect(total, x, out)
        return clipped


class LinearKernel(Kernel):
    """One product of whole inputs, where no conversion loses anything; float64 adds fixed-point weights exactly."""

    def _prepare(self, columns: Columns, flat: npt.NDArray[np.int16]) -> None:
        self.operands = (columns.linear(),)

    def _convert(self, x: Bytes, numbers: Numbers | None, out: FloatArray) -> int:
        out += x.astype(np.float64) @ self.operands[0]
        return 0


class NoisyKernel(Kernel):
    """Noise that is new at every conversion: compiled for inputs of one bit a step, else numpy, plane by plane."""

    def __init__(
        self, columns: Columns, converter: Converter, dac_bits: int, input_bits: int, *, compile: bool = True
    ) -> None:
        compile = compile and columns.common is None
        self.compiled = compile and dac_bits == 1 and converter.high is not None and converter.high < LIMIT
        super().__init__(columns, converter, dac_bits, input_bits)

    def _prepare(self, columns: Columns, flat: npt.NDArray[np.int16]) -> None:
        self.unit = 2.0**-columns.shift
        # On a grid as that of the weights, so that sums of variances are exact too.
        variance, shift = flat[:0], 0
        if columns.read_variance is not None:
            fixed, shift = fixed_point(columns.read_variance, None)
            variance = fixed.transpose(1, 0, 2).reshape(flat.shape)
        self.variance_unit = 2.0**-shift
        self.common = columns.common
        # What the ADC leaves out is noise of its input.
        self.floor = (self.converter.noise * np.repeat(np.array(self.converter.steps), self.width)) ** 2
        if self.compiled:
            self.operands = (*_two(flat), *_two(variance))
        else:
            self.operands = (flat.astype(np.float64), variance.astype(np.float64))

    def _convert(self, x: Bytes, numbers: Numbers | None, out: FloatArray) -> int:
        assert numbers is not None
        if self.compiled:
            return self._convert_compiled(x, numbers, out)
        weights, variances = self.operands
        table, clipped, columns = noise.quantiles(), 0, weights.shape[1]
        total = np.zeros((len(x), columns))
        for step in range(self.steps):
            digits = self._digits(x, step)
            sums = digits @ weights
            variance = np.broadcast_to(self.floor, sums.shape)
            if len(variances):
                variance = variance + np.square(digits) @ variances * self.variance_unit
            first = (numbers.windows * np.uint64(self.steps) + np.uint64(step)) * np.uint64(columns)
            noise.add_normal(sums, np.sqrt(variance) / self.unit, first, numbers.key, table)
            if self.common is not None:
                sums += self._shared(digits, numbers, step, self.common)
            if self.converter.high is None:
                total += np.ldexp(sums * self.unit, step * self.dac_bits)
                continue
            step_codes, over = codes(sums, self.gain, self.offset, self.converter.low, self.converter.high)
            total += step_codes << (step * self.dac_bits)
            clipped += over
        self._collect(total, x, out)
        return clipped

    def _shared(self, digits: FloatArray, numbers: Numbers, step: int, common: Common) -> FloatArray:
        """Return the noise that the columns of an array have in common in a step, (windows, slices x width)."""
        spread = np.sqrt(np.square(digits) @ common.variance.T) / self.unit
        drawn, key = np.zeros_like(spread), noise.following(numbers.key, SHARED)
        first = (numbers.windows * np.uint64(self.steps) + np.uint64(step)) * np.uint64(spread.shape[1])
        noise.add_normal(drawn, spread, first, key, noise.quantiles())
        return np.asarray(np.tile(drawn[:, common.arrays], self.slices))

    def _convert_compiled(self, x: Bytes, numbers: Numbers, out: FloatArray) -> int:
        from mho.machine.analog.compiled import runs
        from mho.machine.analog.compiled_noise import noisy

        assert self.converter.high is not None
        columns, vectors = len(self.gain), len(self.operands[0])
        filled = (_filled(values, vectors) for values in (self.gain, self.offset, self.floor))
        sums = np.zeros((len(x), vectors * 16), dtype=np.int32)
        clipped: int = noisy(
            x, *self.operands, runs(vectors), *filled, self.unit, self.variance_unit, self.input_bits,
            np.float32(self.converter.low), np.float32(self.converter.high), columns,
            numbers.windows * np.uint64(self.input_bits * columns), numbers.key, noise.quantiles(), sums,
        )  # fmt: skip
        self._collect_compiled(sums, x, out)
        return clipped


class CompiledKernel(Kernel):
    """Integer products with the ADC fused behind them; see `compiled`."""

    def _prepare(self, columns: Columns, flat: npt.NDArray[np.int16]) -> None:
        from mho.machine.analog.compiled import runs

        one = bool(flat.min(initial=0) >= -128 and flat.max(initial=0) <= 127)
        whole = not columns.shift and columns.accurate and all(step == 1 for step in self.converter.steps)
        self.operands = _two(flat)
        vectors = len(self.operands[0])
        self.runs = runs(vectors)
        self.gains, self.offsets = _filled(self.gain, vectors), _filled(self.offset, vectors)
        self.clips = one and whole
        if self.clips:
            self.safe = _safe(flat, self.runs, self.converter, self.dac_bits)

    def _convert(self, x: Bytes, numbers: Numbers | None, out: FloatArray) -> int:
        from mho.machine.analog import compiled

        lower, upper = self.operands
        low, high = self.converter.low, self.converter.high
        assert high is not None
        sums = np.zeros((len(x), len(lower) * 16), dtype=np.int32)
        clipped: int
        if self.clips:
            clipped = compiled.clip(x, lower, self.runs, self.safe, self.dac_bits, self.steps, low, high, sums)
        else:
            clipped = compiled.convert(
                x, upper, lower, self.runs, self.gains, self.offsets, self.dac_bits, self.steps,
                np.float32(low), np.float32(high), sums,
            )  # fmt: skip
        self._collect_compiled(sums, x, out)
        return clipped


class TorchKernel(Kernel):
    """Torch in float64, in which the sums are exact: on a GPU where torch sees one."""

    def _prepare(self, columns: Columns, flat: npt.NDArray[np.int16]) -> None:
        import torch

        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.operands = (self._there(flat.astype(np.float64)),)
        self.gains, self.offsets = self._there(self.gain), self._there(self.offset)

    def _there(self, array: npt.NDArray[Any]) -> torch.Tensor:
        import torch

        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _convert(self, x: Bytes, numbers: Numbers | None, out: FloatArray) -> int:
        import torch

        assert self.converter.high is not None
        low, high = float(self.converter.low), float(self.converter.high)
        (weights,) = self.operands
        windows, clipped = self._there(x), 0
        total = torch.zeros((len(x), weights.shape[1]), dtype=torch.float64, device=self.device)
        for step in range(self.steps):
            digits = torch.bitwise_and(torch.bitwise_right_shift(windows, step * self.dac_bits), 2**self.dac_bits - 1)
            sums = (digits.to(torch.float64) @ weights).to(torch.float32)
            wanted = torch.round(sums * self.gains + self.offsets)
            step_codes = wanted.clamp(low, high)
            clipped += int((wanted != step_codes).sum())
            total += step_codes.to(torch.float64) * 2.0 ** (step * self.dac_bits)
        self._collect(total.cpu().numpy(), x, out)
        return clipped


BACKENDS: dict[str, type[Kernel]] = {"compiled": CompiledKernel, "plain": PlainKernel, "torch": TorchKernel}


def make_kernel(columns: Columns, converter: Converter, dac_bits: int, input_bits: int, backend: str) -> Kernel:
    """Return the kernel of a block; raise OptionError for an unknown backend."""
    if backend not in BACKENDS:
        raise OptionError(f"unknown backend {backend!r}; {choices(backend, BACKENDS)}")
    # Sums of a plane times its significance, and codes times theirs, are held in 32 bits.
    largest = int(np.abs(columns.weights.astype(np.int64)).sum(axis=1).max(initial=0)) * (2**input_bits - 1)
    fits = converter.high is not None and converter.high < LIMIT and largest < 2**31
    if backend == "compiled" and dac_bits == 1 and fits and not converter.noise and countable(columns):
        return CountingKernel(columns, converter, dac_bits, input_bits)
    if lossless(columns, converter, 2 ** min(dac_bits, input_bits) - 1):
        return LinearKernel(columns, converter, dac_bits, input_bits)
    if columns.read_variance is not None or converter.noise or converter.high is None:
        fast = backend == "compiled" and largest < 2**31
        return NoisyKernel(columns, converter, dac_bits, input_bits, compile=fast)
    if backend == "compiled" and not fits:
        return PlainKernel(columns, converter, dac_bits, input_bits)
    return BACKENDS[backend](columns, converter, dac_bits, input_bits)


def _filled(values: npt.NDArray[Any], vectors: int) -> npt.NDArray[Any]:
    """Fill up numbers of columns with zeros to so many vectors."""
    return np.concatenate([values, np.zeros(vectors * 16 - len(values), dtype=values.dtype)])


def _two(weights: npt.NDArray[np.integer[Any]]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Pack weights (height, columns) as signed bytes, lower and upper; no upper ones where one byte holds them, none of nothing."""
    from mho.machine.analog.compiled import pack

    none = np.zeros((0, 0, 16, 4), dtype=np.int8)
    if not len(weights):
        return none, none
    # The lower byte is signed: the upper one makes up for it.
    upper = (weights.astype(np.int32) + 128) >> 8
    return pack(weights - (upper << 8)), pack(upper) if upper.any() else none


def _safe(
    flat: npt.NDArray[np.integer[Any]], runs: npt.NDArray[np.int64], converter: Converter, dac_bits: int
) -> npt.NDArray[np.int32]:
    """Return for each run of vectors the largest sum of driven digits at which none of its columns can clip.

    With digits of at most d that sum to T, a column gives at most d times the sum of its ceil(T / d) highest weights.
    """
    assert converter.high is not None
    digit = 2**dac_bits - 1
    up = np.cumsum(-np.sort(-np.maximum(flat, 0), axis=0), axis=0, dtype=np.int64) * digit
    down = np.cumsum(np.sort(np.minimum(flat, 0), axis=0), axis=0, dtype=np.int64) * digit
    fine = (up <= converter.high) & (down >= converter.low)
    rows = np.minimum.accumulate(fine, axis=0).sum(axis=0)
    everything = np.where(rows == len(flat), 2**30, rows * digit)
    return np.array([everything[16 * a : 16 * (a + n)].min() for a, n in runs], dtype=np.int32)
