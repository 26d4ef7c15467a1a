"""Kernels: every way of converting a block gives what the plain one gives, number for number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import OptionError
from mho.machine.analog import noise
from mho.machine.analog.columns import Columns, fixed_point
from mho.machine.analog.converter import Converter
from mho.machine.analog.kernels import (
    CompiledKernel,
    Kernel,
    LinearKernel,
    NoisyKernel,
    Numbers,
    PlainKernel,
    TorchKernel,
    lossless,
    make_kernel,
)

some = settings(max_examples=80)
INPUT_BITS = 8


def columns(weights: np.ndarray, *, shift: int = 0, highest: int = 3) -> Columns:
    """Columns of exact ADCs over weights (slices, height, width)."""
    slices, _, width = weights.shape
    significance = 4.0 ** np.arange(slices - 1, -1, -1)
    ones, zeros = np.ones((slices, width), dtype=np.float32), np.zeros((slices, width), dtype=np.float32)
    never = np.zeros((slices, width), dtype=bool)
    return Columns(weights.astype(np.int16), shift, significance, never, highest, 0.0, ones, zeros, None)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[np.ndarray, Columns, Converter, int]:
    """Windows, columns and a converter of any kind, sparse and dense, of one byte a weight or two, signed or not."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, width = draw(st.integers(1, 140)), draw(st.integers(1, 40))
    slices, windows = draw(st.integers(1, 5)), draw(st.integers(1, 150))
    dac_bits = draw(st.sampled_from([1, 2, 3, 4, 8]))
    signed = draw(st.booleans())
    bits = draw(st.integers(2, 12))
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    low = -high if signed else 0
    kind = draw(st.sampled_from(["clip", "step", "real", "errors"]))
    top = draw(st.sampled_from([1, 3, 15, 127] if kind == "clip" else [1, 3, 255, 20000]))
    if height * 255 * top >= 2**31:
        top = 3
    weights = generator.integers(-top if signed else 0, top + 1, (slices, height, width))
    # Some columns that can never clip, so that both ways through the compiled kernel are taken.
    weights[:, :, generator.random(width) < 0.3] //= max(1, top)
    found = columns(weights, shift=draw(st.integers(1, 8)) if kind == "real" else 0, highest=top)
    steps = (1.0,) * slices
    if kind in ("step", "errors"):
        steps = tuple(generator.uniform(0.5, 40.0, slices))
    if kind == "errors":
        gain = (1 + 0.1 * generator.standard_normal((slices, width))).astype(np.float32)
        offset = (2 * generator.standard_normal((slices, width))).astype(np.float32)
        found = replace(found, gain=gain, offset=offset)
    if draw(st.booleans()):
        found = replace(
            found, inverted=generator.random((slices, width)) < 0.5, pedestal=draw(st.sampled_from([0, 0.25]))
        )
    x = generator.integers(0, 256, (windows, height)).astype(np.uint8)
    x[generator.random(x.shape) < draw(st.sampled_from([0.0, 0.5, 0.9, 1.0]))] = 0
    return x, found, Converter(low, high, steps), dac_bits


def converted(kernel: Kernel, x: np.ndarray, numbers: Numbers | None = None) -> tuple[np.ndarray, int]:
    out = np.zeros((len(x), kernel.width))
    return out, kernel.convert(x, numbers, out)


@some
@given(blocks())
def test_compiled_and_torch_kernels_equal_the_plain_one(block: tuple[np.ndarray, Columns, Converter, int]) -> None:
    x, found, converter, dac_bits = block
    wanted, clipped = converted(PlainKernel(found, converter, dac_bits, INPUT_BITS), x)
    for kind in (CompiledKernel, TorchKernel):
        got, over = converted(kind(found, converter, dac_bits, INPUT_BITS), x)
        assert over == clipped, kind
        assert np.array_equal(got, wanted), kind


@some
@given(blocks())
def test_rows_that_are_slices_of_wider_ones_change_nothing(block: tuple[np.ndarray, Columns, Converter, int]) -> None:
    x, found, converter, dac_bits = block
    wide = np.concatenate(
        [np.full((len(x), 3), 255, dtype=np.uint8), x, np.full((len(x), 5), 255, dtype=np.uint8)], axis=1
    )
    kernel = CompiledKernel(found, converter, dac_bits, INPUT_BITS)
    for one, two in zip(converted(kernel, x), converted(kernel, wide[:, 3:-5]), strict=True):
        assert np.array_equal(one, two)


@some
@given(blocks())
def test_where_nothing_can_be_lost_nothing_is(block: tuple[np.ndarray, Columns, Converter, int]) -> None:
    x, found, converter, dac_bits = block
    if not lossless(found, converter, dac_bits):
        # An ADC of many more bits, with steps of 1, loses nothing of whole levels.
        found = replace(found, shift=0, gain=np.ones_like(found.gain), offset=np.zeros_like(found.offset))
        high = 2**22 - 1
        converter = Converter(-high if converter.low else 0, high, (1.0,) * len(converter.steps))
        most = max(np.maximum(sign * found.weights, 0).sum(axis=1, dtype=np.int64).max() for sign in (1, -1))
        assert lossless(found, converter, dac_bits) == (most * (2**dac_bits - 1) <= high)
        if not lossless(found, converter, dac_bits):
            return
    wanted, clipped = converted(PlainKernel(found, converter, dac_bits, INPUT_BITS), x)
    got, _ = converted(LinearKernel(found, converter, dac_bits, INPUT_BITS), x)
    assert clipped == 0
    assert np.array_equal(got, wanted)


@some
@given(blocks())
def test_noise_of_no_spread_is_no_noise(block: tuple[np.ndarray, Columns, Converter, int]) -> None:
    x, found, converter, dac_bits = block
    numbers = Numbers(np.uint64(7), np.arange(len(x), dtype=np.uint64))
    wanted, clipped = converted(PlainKernel(found, converter, dac_bits, INPUT_BITS), x)
    got, over = converted(NoisyKernel(found, converter, dac_bits, INPUT_BITS), x, numbers)
    assert over == clipped
    assert np.array_equal(got, wanted)


@some
@given(blocks(), st.floats(0, 0.5), st.floats(0, 2), st.booleans())
def test_compiled_noise_equals_that_of_numpy(
    block: tuple[np.ndarray, Columns, Converter, int], sigma: float, leftover: float, alike: bool
) -> None:
    x, found, converter, _ = block
    spreads = np.random.default_rng(1).random(found.weights.shape) * sigma
    found = replace(found, read_variance=np.full_like(spreads, sigma**2) if alike else spreads**2)
    converter = replace(converter, noise=leftover)
    numbers = Numbers(np.uint64(7), np.arange(5, 5 + len(x), dtype=np.uint64))
    wanted, clipped = converted(NoisyKernel(found, converter, 1, INPUT_BITS, compile=False), x, numbers)
    got, over = converted(NoisyKernel(found, converter, 1, INPUT_BITS), x, numbers)
    assert over == clipped
    assert np.array_equal(got, wanted)


def test_a_conversion_by_hand() -> None:
    # Inputs 5 = 101b and 2 = 010b through weights 3 and 1: steps give 3, 1, 3. With codes up to 2: 2, 1, 2 -> 2 + 2 + 8.
    found = columns(np.array([[[3], [1]]]))
    x = np.array([[5, 2]], dtype=np.uint8)
    for kind in (PlainKernel, CompiledKernel, TorchKernel):
        got, clipped = converted(kind(found, Converter(0, 2, (1.0,)), 1, 3), x)
        assert got.tolist() == [[12.0]]
        assert clipped == 2


def test_noise_belongs_to_conversions_not_to_batches() -> None:
    generator = np.random.default_rng(3)
    x = generator.integers(0, 256, (40, 20)).astype(np.uint8)
    found = columns(generator.integers(0, 4, (2, 20, 6)))
    found = replace(found, read_variance=np.full((2, 20, 6), 0.01))
    kernel = NoisyKernel(found, Converter(0, 63, (1.0, 1.0), noise=0.3), 1, INPUT_BITS)
    key = noise.key(1, 2, 3, 4)
    whole, _ = converted(kernel, x, Numbers(key, np.arange(40, dtype=np.uint64)))
    order = generator.permutation(40)
    shuffled, _ = converted(kernel, x[order], Numbers(key, order.astype(np.uint64)))
    assert np.array_equal(shuffled, whole[order])
    other, _ = converted(kernel, x, Numbers(noise.key(2, 2, 3, 4), np.arange(40, dtype=np.uint64)))
    assert not np.array_equal(other, whole)


def test_noise_is_normal() -> None:
    drawn = np.zeros((400, 500))
    numbers = np.arange(400, dtype=np.uint64) * np.uint64(500)
    noise.add_normal(drawn, np.ones_like(drawn), numbers, np.uint64(12345), noise.quantiles())
    n = drawn.size
    # Standard errors of mean, variance, skewness and excess kurtosis of n normal draws; five of each.
    assert abs(drawn.mean()) < 5 / np.sqrt(n)
    assert abs(drawn.var() - 1) < 5 * np.sqrt(2 / n)
    assert abs(np.mean(drawn**3)) < 5 * np.sqrt(15 / n)
    assert abs(np.mean(drawn**4) - 3) < 5 * np.sqrt(96 / n)
    # Kolmogorov-Smirnov at a level of 1e-6: sqrt(-ln(0.5e-6) / 2) = 2.69 standard errors.
    from scipy.special import ndtr

    ordered = np.sort(drawn.ravel())
    distance = np.abs(ndtr(ordered) - (np.arange(n) + 0.5) / n).max()
    assert distance < 2.69 / np.sqrt(n)
    # Neighbours are independent: five standard errors of a correlation.
    for first, second in ((drawn[:, 1:], drawn[:, :-1]), (drawn[1:], drawn[:-1])):
        assert abs(np.mean(first * second)) < 5 / np.sqrt(first.size)


@some
@given(st.integers(1, 400), st.floats(1e-3, 1e3), st.integers(0, 2**32 - 1))
def test_fixed_point_fits_two_bytes_and_32_bit_sums(height: int, scale: float, seed: int) -> None:
    values = scale * np.random.default_rng(seed).standard_normal((height, 3, 2))
    found, shift = fixed_point(values, None)
    assert shift <= 15
    assert np.abs(found).max(initial=0) <= 127 * 256 + 127
    assert np.abs(found.astype(np.int64)).max(initial=0) * 255 * height < 2**31
    assert np.all(np.abs(np.ldexp(found.astype(np.float64), -shift) - values) <= 2.0 ** -(shift + 1))


def test_an_unknown_backend_is_refused() -> None:
    found = columns(np.full((1, 64, 2), 3))
    with pytest.raises(OptionError, match="unknown backend 'gpu'; known: compiled, plain, torch"):
        make_kernel(found, Converter(0, 63, (1.0,)), 1, INPUT_BITS, "gpu")
