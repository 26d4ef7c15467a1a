"""Blocks of columns, converted: one interface, three ways that give the same integers.

`plain` is numpy and says what is right; `compiled` is the fast one on a processor (`compiled.py`); `torch` runs on a GPU where
torch sees one. Where nothing is lost all of them multiply (`LinearKernel`), and where noise is new at every conversion all of them
take the way of `NoisyKernel`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError, choices
from mho.machine.analog import noise, plain
from mho.machine.analog.columns import Columns, fixed_point
from mho.machine.analog.converter import Converter, codes

if TYPE_CHECKING:
    import torch

Bytes = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float64]
TILE = 1024
"""Windows whose sums are held at once."""
LIMIT = 2**22
"""Codes below this, times the significance of a plane, add up in 32 bits."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """The numbers of a block's conversions: its key, and of each window (rows of x) which it is, over all samples."""

    key: np.uint64
    windows: npt.NDArray[np.uint64]


def lossless(columns: Columns, converter: Converter, dac_bits: int) -> bool:
    """Whether no conversion can lose anything: nothing is rounded, and no column can clip, whatever its inputs.

    With steps of 1, exact levels, no errors and no noise, a column that adds at most `high` (and at least `low`) when all its
    rows are driven highest gives its sum. An ideal ADC loses nothing of whatever is static.
    """
    if columns.read_variance is not None or converter.noise:
        return False
    if converter.high is None:
        return True
    if columns.shift or not columns.accurate or any(step != 1 for step in converter.steps):
        return False
    driven = 2**dac_bits - 1
    most = np.maximum(columns.weights, 0).sum(axis=1, dtype=np.int64).max(initial=0) * driven
    least = np.minimum(columns.weights, 0).sum(axis=1, dtype=np.int64).min(initial=0) * driven
    return bool(most <= converter.high and least >= converter.low)


class Kernel(ABC):
    """A block's columns behind a converter. `convert` gives the block's part of the layer's sums."""

    def __init__(self, columns: Columns, converter: Converter, dac_bits: int, input_bits: int) -> None:
        self.converter = converter
        self.dac_bits, self.input_bits = dac_bits, input_bits
        self.slices, _, self.width = columns.weights.shape
        flip = 1.0 if columns.inverted is None else np.where(columns.inverted, -1.0, 1.0)
        steps = np.array(converter.steps)
        self.factor: FloatArray = np.ascontiguousarray(
            np.broadcast_to((columns.significance * steps)[:, None] * flip, (self.slices, self.width))
        )
        self.per_input = columns.per_input()
        scale = columns.gain.astype(np.float64) / steps[:, None] * 2.0**-columns.shift
        self.gain: npt.NDArray[np.float32] = scale.astype(np.float32).ravel()
        self.offset: npt.NDArray[np.float32] = columns.offset.ravel()

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes that it takes."""

    @abstractmethod
    def convert(self, x: Bytes, numbers: Numbers | None, out: FloatArray) -> int:
        """Add to out (windows, width) what windows x (windows, height) give; return how many conversions clipped."""

    def _collect(self, found: npt.NDArray[Any], x: Bytes, out: FloatArray) -> None:
        """Shift and add the codes found (windows, slices x width) of the slices, and what the inputs themselves add."""
        if self.per_input.any():
            out += x.sum(axis=1, dtype=np.int64)[:, None] * self.per_input
        parts = found.reshape(len(found), self.slices, self.width)
        for k in range(self.slices):
            out += parts[:, k] * self.factor[k]


class PlainKernel(Kernel):
    """Numpy, conversion by conversion."""

    def __init__(self, columns: Columns, converter: Converter, dac_bits: int, input_bits: int) -> None:
        super().__init__(columns, converter, dac_bits, input_bits)
        self.weights = np.ascontiguousarray(columns.weights.transpose(1, 0, 2).reshape(-1, self.slices * self.width))

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self.weights.nbytes

    def convert(self, x: Bytes, numbers: Numbers | None, out: FloatArray) -> int:
        """Convert; see `plain.convert`."""
        assert self.converter.high is not None
        low, high = self.converter.low, self.converter.high
        found, clipped = plain.convert(
            x, self.weights.astype(np.int64), self.gain, self.offset, self.dac_bits, self.input_bits, low, high
        )
        self._collect(found, x, out)
        return clipped


class LinearKernel(Kernel):
    """One product of whole inputs, where no conversion loses anything; float64 adds fixed-point weights exactly."""

    def __init__(self, columns: Columns, converter: Converter, dac_bits: int, input_bits: int) -> None:
        super().__init__(columns, converter, dac_bits, input_bits)
        self.weights = columns.linear()

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self.weights.nbytes

    def convert(self, x: Bytes, numbers: Numbers | None, out: FloatArray) -> int:
        """Multiply."""
        for first in range(0, len(x), TILE):
            out[first : first + TILE] += x[first : first + TILE].astype(np.float64) @ self.weights
        return 0


class NoisyKernel(Kernel):
    """Noise that is new at every conversion: compiled for inputs of one bit a step, else numpy, plane by plane."""

    def __init__(
        self, columns: Columns, converter: Converter, dac_bits: int, input_bits: int, *, compile: bool = True
    ) -> None:
        super().__init__(columns, converter, dac_bits, input_bits)
        flat = columns.weights.transpose(1, 0, 2).reshape(-1, self.slices * self.width)
        self.weights = flat.astype(np.float64)
        self.unit = 2.0**-columns.shift
        # On a grid as that of the weights, so that sums of variances are exact too.
        self.variance: FloatArray | None = None
        self.variance_unit = 1.0
        if columns.read_variance is not None:
            found, shift = fixed_point(columns.read_variance, None)
            self.variance = found.transpose(1, 0, 2).reshape(flat.shape).astype(np.float64)
            self.variance_unit = 2.0**-shift
        steps = np.repeat(np.array(converter.steps), self.width)
        # What the ADC leaves out is noise of its input.
        self.floor = (converter.noise * steps) ** 2
        self._packed: tuple[npt.NDArray[np.int8], ...] | None = None
        if compile and dac_bits == 1 and converter.high is not None and converter.high < LIMIT:
            nothing = np.zeros_like(flat[:0])
            self._packed = (*_two(flat), *_two(nothing if self.variance is None else self.variance.astype(np.int64)))
            self.weights, self.variance = self.weights[:0], None

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        packed = sum(each.nbytes for each in self._packed or ())
        return packed + self.weights.nbytes + (0 if self.variance is None else self.variance.nbytes)

    def convert(self, x: Bytes, numbers: Numbers | None, out: FloatArray) -> int:
        """Convert, each sum with its own noise."""
        assert numbers is not None
        if self._packed is not None:
            return self._compiled(x, numbers, out)
        table, clipped = noise.quantiles(), 0
        steps, columns = plain.planes(self.dac_bits, self.input_bits), self.weights.shape[1]
        total = np.zeros((len(x), columns))
        for step in range(steps):
            digits = ((x >> np.uint8(step * self.dac_bits)) & np.uint8(2**self.dac_bits - 1)).astype(np.float64)
            sums = digits @ self.weights
            variance = np.broadcast_to(self.floor, sums.shape)
            if self.variance is not None:
                variance = variance + np.square(digits) @ self.variance * self.variance_unit
            first = (numbers.windows * np.uint64(steps) + np.uint64(step)) * np.uint64(columns)
            noise.add_normal(sums, np.sqrt(variance) / self.unit, first, numbers.key, table)
            if self.converter.high is None:
                total += np.ldexp(sums * self.unit, step * self.dac_bits)
                continue
            found, over = codes(sums, self.gain, self.offset, self.converter.low, self.converter.high)
            total += found << (step * self.dac_bits)
            clipped += over
        self._collect(total, x, out)
        return clipped

    def _compiled(self, x: Bytes, numbers: Numbers, out: FloatArray) -> int:
        from mho.machine.analog import compiled
        from mho.machine.analog.compiled_noise import noisy

        assert self._packed is not None and self.converter.high is not None
        columns, room = len(self.gain), self._packed[0].shape[0] * 16
        gain, offset, floor = (np.zeros(room, dtype=each.dtype) for each in (self.gain, self.offset, self.floor))
        gain[:columns], offset[:columns], floor[:columns] = self.gain, self.offset, self.floor
        runs = compiled.runs(len(self._packed[0]))
        first = numbers.windows * np.uint64(self.input_bits * columns)
        clipped = 0
        for begin in range(0, len(x), TILE):
            part = x[begin : begin + TILE]
            sums = np.zeros((len(part), room), dtype=np.int32)
            clipped += noisy(
                part, *self._packed, runs, gain, offset, floor, self.unit, self.variance_unit, self.input_bits,
                np.float32(self.converter.low), np.float32(self.converter.high), columns, first[begin : begin + TILE],
                numbers.key, noise.quantiles(), sums,
            )  # fmt: skip
            compiled.collect(
                sums, self.factor, self.per_input, bool(self.per_input.any()), part, out[begin : begin + TILE]
            )
        return clipped


class CompiledKernel(Kernel):
    """Integer products with the ADC fused behind them; see `compiled`."""

    def __init__(self, columns: Columns, converter: Converter, dac_bits: int, input_bits: int) -> None:
        super().__init__(columns, converter, dac_bits, input_bits)
        from mho.machine.analog.compiled import runs

        assert converter.high is not None
        self.planes = plain.planes(dac_bits, input_bits)
        flat = columns.weights.transpose(1, 0, 2).reshape(-1, self.slices * self.width).astype(np.int32)
        one = bool(flat.min(initial=0) >= -128 and flat.max(initial=0) <= 127)
        self.clips = one and not columns.shift and columns.accurate and all(step == 1 for step in converter.steps)
        self.lower, self.upper = _two(flat)
        vectors = len(self.lower)
        self.runs = runs(vectors)
        room = vectors * 16 - len(self.gain)
        self.gains = np.concatenate([self.gain, np.zeros(room, dtype=np.float32)])
        self.offsets = np.concatenate([self.offset, np.zeros(room, dtype=np.float32)])
        if self.clips:
            self.safe = _safe(flat, self.runs, converter, dac_bits)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self.lower.nbytes + self.upper.nbytes

    def convert(self, x: Bytes, numbers: Numbers | None, out: FloatArray) -> int:
        """Convert tile by tile of windows."""
        from mho.machine.analog import compiled

        low, high = self.converter.low, self.converter.high
        assert high is not None
        sums = np.zeros((min(TILE, len(x)), self.lower.shape[0] * 16), dtype=np.int32)
        inputs, clipped = bool(self.per_input.any()), 0
        for first in range(0, len(x), TILE):
            part = x[first : first + TILE]
            held = sums[: len(part)]
            held[...] = 0
            if self.clips:
                clipped += compiled.clip(
                    part, self.lower, self.runs, self.safe, self.dac_bits, self.planes, low, high, held
                )
            else:
                clipped += compiled.convert(
                    part, self.upper, self.lower, self.runs, self.gains, self.offsets, self.dac_bits, self.planes,
                    np.float32(low), np.float32(high), held,
                )  # fmt: skip
            compiled.collect(held, self.factor, self.per_input, inputs, part, out[first : first + TILE])
        return clipped


class TorchKernel(Kernel):
    """Torch in float64, in which the sums are exact: on a GPU where torch sees one."""

    def __init__(self, columns: Columns, converter: Converter, dac_bits: int, input_bits: int) -> None:
        super().__init__(columns, converter, dac_bits, input_bits)
        import torch

        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        flat = columns.weights.transpose(1, 0, 2).reshape(-1, self.slices * self.width).astype(np.float64)
        self.weights = self._there(flat)
        self.gains, self.offsets = self._there(self.gain), self._there(self.offset)

    def _there(self, array: npt.NDArray[Any]) -> torch.Tensor:
        import torch

        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self.weights.numel() * 8

    def convert(self, x: Bytes, numbers: Numbers | None, out: FloatArray) -> int:
        """Convert; see `plain.convert`."""
        import torch

        assert self.converter.high is not None
        low, high = float(self.converter.low), float(self.converter.high)
        clipped = 0
        for first in range(0, len(x), TILE):
            part = np.ascontiguousarray(x[first : first + TILE])
            windows = self._there(part)
            total = torch.zeros((len(part), self.weights.shape[1]), dtype=torch.float64, device=self.device)
            for step in range(plain.planes(self.dac_bits, self.input_bits)):
                digits = torch.bitwise_and(
                    torch.bitwise_right_shift(windows, step * self.dac_bits), 2**self.dac_bits - 1
                )
                sums = (digits.to(torch.float64) @ self.weights).to(torch.float32)
                wanted = torch.round(sums * self.gains + self.offsets)
                kept = wanted.clamp(low, high)
                clipped += int((wanted != kept).sum())
                total += kept.to(torch.float64) * 2.0 ** (step * self.dac_bits)
            self._collect(total.cpu().numpy(), part, out[first : first + TILE])
        return clipped


BACKENDS: dict[str, type[Kernel]] = {"compiled": CompiledKernel, "plain": PlainKernel, "torch": TorchKernel}


def make_kernel(columns: Columns, converter: Converter, dac_bits: int, input_bits: int, backend: str) -> Kernel:
    """Return the kernel of a block; OptionError for an unknown backend."""
    if backend not in BACKENDS:
        raise OptionError(f"unknown backend {backend!r}; {choices(backend, BACKENDS)}")
    # Sums of a plane times its significance, and codes times theirs, are held in 32 bits.
    largest = int(np.abs(columns.weights.astype(np.int64)).sum(axis=1).max(initial=0)) * (2**input_bits - 1)
    if lossless(columns, converter, dac_bits):
        return LinearKernel(columns, converter, dac_bits, input_bits)
    if columns.read_variance is not None or converter.noise or converter.high is None:
        fast = backend == "compiled" and largest < 2**31
        return NoisyKernel(columns, converter, dac_bits, input_bits, compile=fast)
    if backend == "compiled" and (converter.high >= LIMIT or largest >= 2**31):
        return PlainKernel(columns, converter, dac_bits, input_bits)
    return BACKENDS[backend](columns, converter, dac_bits, input_bits)


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
    flat: npt.NDArray[np.int32], runs: npt.NDArray[np.int64], converter: Converter, dac_bits: int
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
