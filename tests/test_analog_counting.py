"""Bit counting: every way of counting gives what the plain kernel gives, and the fastest that the processor has is taken."""

from __future__ import annotations

import platform
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core import config

from mho.chip.coding import CODINGS, coding_of
from mho.machine.analog import processor
from mho.machine.analog.columns import Columns
from mho.machine.analog.converter import Converter
from mho.machine.analog.counting import CLIP, CONVERT, SCALE, WAYS, Way, fastest, laid_out
from mho.machine.analog.counting_kernel import CountingKernel, convert_alike, countable, planes_of
from mho.machine.analog.kernel import lossless
from mho.machine.analog.kernels import CompiledKernel, NoisyKernel, PlainKernel, make_kernel
from tests.test_analog_kernels import converted

some = settings(max_examples=80)
HERE = [way for way in WAYS if way.needs is None or way.needs in processor.instructions()]
"""Ways that this processor has: an older one's are tried on a newer one, not the other way round."""
INPUT_BITS = 8


@st.composite
def columns(draw: st.DrawFn, cell_bits: tuple[int, ...] = (1, 2)) -> Columns:
    """Columns of whole levels, as a coding lays weights out, driven either way, with or without errors of the ADCs."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    coding = coding_of(draw(st.sampled_from(CODINGS)), draw(st.integers(2, 8)), draw(st.sampled_from(cell_bits)))
    height, width = draw(st.integers(1, 300)), draw(st.integers(1, 40))
    codes = generator.integers(coding.least_code, 1 << coding.weight_bits, (height, width))
    levels = coding.levels(codes).astype(np.int16)
    significance = np.array(coding.significance, dtype=np.float64)
    inverted = np.zeros((width, coding.cells), dtype=bool)
    if coding.pairs:
        levels, significance = levels[..., 0::2] - levels[..., 1::2], significance[0::2]
        inverted = inverted[:, 0::2]
    elif coding.inverts:
        inverted = generator.random(inverted.shape) < 0.5
    weights = np.ascontiguousarray(levels.transpose(2, 0, 1))
    mirrored = draw(st.booleans())
    if mirrored:
        weights = np.concatenate([weights, -weights], axis=1)
    shape = (len(weights), width)
    gain, offset = np.ones(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    errors = draw(st.sampled_from(["none", "gain", "offset", "both"]))
    if errors in ("gain", "both"):
        gain = (1 + 0.1 * generator.standard_normal(shape)).astype(np.float32)
    if errors in ("offset", "both"):
        offset = (2 * generator.standard_normal(shape)).astype(np.float32)
    return Columns(
        weights, 0, significance, np.ascontiguousarray(inverted.T), coding.highest, 0.0, gain, offset, None, mirrored
    )


@st.composite
def converters(draw: st.DrawFn, found: Columns) -> Converter:
    """An ADC that clips whole sums, one whose highest code is the largest sum, or any other."""
    slices, height, _ = found.weights.shape
    signed = bool(found.weights.min() < 0)
    bits = draw(st.integers(2, 9))
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    kind = draw(st.sampled_from(["clips", "full", "steps"]))
    steps: tuple[float, ...] = (1.0,) * slices
    if kind == "full":
        steps = (max(1.0, height * found.highest / high),) * slices
    elif kind == "steps":
        steps = tuple(draw(st.lists(st.floats(0.3, 40), min_size=slices, max_size=slices)))
    return Converter(-high if signed else 0, high, steps)


def inputs(draw: st.DrawFn, height: int) -> np.ndarray:
    """Dense and sparse windows."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = generator.integers(0, 256, (draw(st.integers(1, 150)), height)).astype(np.uint8)
    x[generator.random(x.shape) < draw(st.sampled_from([0.0, 0.5, 0.95, 1.0]))] = 0
    return x


@some
@given(st.data(), st.sampled_from(HERE), st.sampled_from([8, 8, 5, 1]))
def test_every_way_of_counting_equals_the_plain_kernel(data: st.DataObject, way: Way, bits: int) -> None:
    found = data.draw(columns())
    converter = data.draw(converters(found))
    x = inputs(data.draw, found.weights.shape[1]) >> np.uint8(8 - bits)
    wanted, clipped = converted(PlainKernel(found, converter, 1, bits), x)
    kernel = CountingKernel(found, converter, 1, bits, way)
    got, over = converted(kernel, x)
    assert over == clipped
    assert np.array_equal(got, wanted)
    if kernel.kind == SCALE:
        assert not clipped
    if kernel.kind == CLIP:
        assert (found.gain == 1).all() and not found.offset.any() and set(converter.steps) == {1.0}


@pytest.mark.parametrize("way", HERE, ids=[way.name for way in HERE])
def test_the_fullest_columns_of_the_deepest_cells_do_not_overflow(way: Way) -> None:
    # 700 rows at level 255, all driven: counts of bytes are added up before they overflow.
    weights = np.full((1, 700, 3), 255, dtype=np.int16)
    exact = np.ones((1, 3), dtype=np.float32)
    found = Columns(weights, 0, np.ones(1), np.zeros((1, 3), bool), 255, 0.0, exact, 0 * exact, None)
    x = np.full((2, 700), 255, dtype=np.uint8)
    got, clipped = converted(CountingKernel(found, Converter(0, 2**18 - 1, (1.0,)), 1, INPUT_BITS, way), x)
    assert clipped == 0
    assert (got == 700 * 255 * 255).all()


@some
@given(st.data(), st.integers(1, 3), st.integers(1, 2))
def test_blocks_in_one_call_give_what_they_give_one_after_another(data: st.DataObject, across: int, deep: int) -> None:
    found = replace(data.draw(columns()), mirrored=False)
    converter = data.draw(converters(found))
    height, width = found.weights.shape[1:]
    kernels = [CountingKernel(found, converter, 1, INPUT_BITS) for _ in range(deep * across)]
    x = np.stack([inputs(data.draw, height * deep)] * 2)
    windows = np.flatnonzero(np.arange(x.shape[1]) % 3)
    out, wanted, clipped = np.zeros((*x.shape[:2], width * across)), np.zeros((*x.shape[:2], width * across)), 0
    places = [(k % 2, k // across * height, k % across * width) for k in range(len(kernels))]
    described = np.array([kernel.described(*place) for kernel, place in zip(kernels, places, strict=True)])
    over = convert_alike(kernels, described, x, windows, out)
    for kernel, (matrix, row, column) in zip(kernels, places, strict=True):
        sums, clips = converted(kernel, np.ascontiguousarray(x[matrix, windows, row : row + height]))
        wanted[matrix, windows, column : column + width] += sums
        clipped += clips
    assert over == clipped
    assert np.array_equal(out, wanted)


@some
@given(st.data(), st.sampled_from(WAYS))
def test_a_layout_holds_every_bit_of_the_levels_once(data: st.DataObject, way: Way) -> None:
    planes = data.draw(st.integers(1, 8))
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    levels = generator.integers(0, 1 << planes, (data.draw(st.integers(1, 70)), data.draw(st.integers(1, 70))))
    layout = laid_out(levels, planes, way)
    ones = np.unpackbits(np.ascontiguousarray(layout).view(np.uint8)).sum()
    assert ones == sum(int((levels >> plane & 1).sum()) for plane in range(planes))
    rows, vectors = way.tile(planes)
    assert rows >= 1 and layout.shape[0] * vectors * way.lanes == way.padded(levels.shape[1], planes)


def test_what_is_counted_is_what_can_be() -> None:
    found = Columns(
        np.full((4, 128, 8), 3, dtype=np.int16), 0, 4.0 ** np.arange(3, -1, -1), np.zeros((4, 8), bool), 3, 0.0,
        np.ones((4, 8), np.float32), np.zeros((4, 8), np.float32), None,
    )  # fmt: skip
    eight, nine = Converter(0, 255, (384 / 255,) * 4), Converter(0, 511, (1.0,) * 4)
    assert planes_of(found) == (2, 0)
    assert isinstance(make_kernel(found, eight, 1, 8, "compiled"), CountingKernel)
    assert lossless(found, nine, 1) and isinstance(make_kernel(found, nine, 1, 8, "compiled"), CountingKernel)
    assert CountingKernel(found, eight, 1, 8).kind == SCALE
    wrong = replace(found, offset=found.offset + 1)
    assert CountingKernel(wrong, eight, 1, 8).kind == CONVERT
    # Steps of two bits, cells in fixed point and noise keep products of bytes.
    assert isinstance(make_kernel(found, eight, 2, 8, "compiled"), CompiledKernel)
    assert isinstance(make_kernel(replace(found, shift=3), eight, 1, 8, "compiled"), CompiledKernel)
    assert isinstance(make_kernel(found, replace(eight, noise=0.5), 1, 8, "compiled"), NoisyKernel)
    deep = replace(found, highest=255)
    assert countable(deep) is not processor.multiplies_bytes()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86 processors")
@pytest.mark.parametrize(
    "name, way",
    [
        ("icelake-server", "words"), ("znver4", "words"), ("skylake-avx512", "tables of 64"), ("haswell", "tables of 32"),
        ("x86-64-v2", "tables of 16"), ("x86-64", "bytes"),
    ],
)  # fmt: skip
def test_the_fastest_way_of_a_processor_is_taken(name: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Which instructions these processors have: Intel 64 and AMD64 manuals; x86-64 levels of the System V ABI.
    caches = (processor.instructions, processor.multiplies_bytes, fastest)
    try:
        for cached in caches:
            cached.cache_clear()
        monkeypatch.setattr(config, "CPU_NAME", name)
        monkeypatch.setattr(config, "CPU_FEATURES", "")
        assert fastest().name == way
        assert not processor.multiplies_bytes()
    finally:
        for cached in caches:
            cached.cache_clear()
