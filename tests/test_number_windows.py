"""Windows of matrix layers against direct loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import NumberError
from mho.network.layers import Array, Convolution, Linear
from mho.network.products import exact_type, multiply
from mho.network.windows import assemble, windows


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Convolution, np.ndarray]:
    """A convolution with random stride, padding, dilation and groups, and codes to read."""
    small = st.integers(1, 3)
    groups, channels, columns = draw(small), draw(small), draw(small)
    kernel, stride, dilation = (draw(st.tuples(small, small)) for _ in range(3))
    padding = draw(st.tuples(*[st.integers(0, 2)] * 4))
    height = draw(st.integers(1, 7)) + (kernel[0] - 1) * dilation[0]
    width = draw(st.integers(1, 7)) + (kernel[1] - 1) * dilation[1]
    rows = (height + padding[0] + padding[2] - (kernel[0] - 1) * dilation[0] - 1) // stride[0] + 1
    wide = (width + padding[1] + padding[3] - (kernel[1] - 1) * dilation[1] - 1) // stride[1] + 1
    weight = Array((groups * columns, channels, *kernel))
    layer = Convolution(
        name="c",
        inputs=("x",),
        shape=(1, groups * columns, rows, wide),
        weight=weight,
        stride=stride,
        padding=padding,
        dilation=dilation,
        convolution_groups=groups,
    )
    seed = draw(st.integers(0, 2**32 - 1))
    samples = draw(small)
    x = np.random.default_rng(seed).integers(0, 256, (samples, groups * channels, height, width), dtype=np.uint8)
    return layer, x


def direct(layer: Convolution, x: np.ndarray, fill: int) -> np.ndarray:
    """One window after the other, element by element."""
    _, _, height, width = layer.shape
    channels = layer.weight.shape[1]
    result = np.empty((layer.groups, x.shape[0] * height * width, layer.rows), dtype=x.dtype)
    for group in range(layer.groups):
        for window in range(result.shape[1]):
            sample, place = divmod(window, height * width)
            row, column = divmod(place, width)
            for k in range(layer.rows):
                channel, rest = divmod(k, layer.kernel[0] * layer.kernel[1])
                dy, dx = divmod(rest, layer.kernel[1])
                y = row * layer.stride[0] + dy * layer.dilation[0] - layer.padding[0]
                z = column * layer.stride[1] + dx * layer.dilation[1] - layer.padding[1]
                inside = 0 <= y < x.shape[2] and 0 <= z < x.shape[3]
                result[group, window, k] = x[sample, group * channels + channel, y, z] if inside else fill
    return result


@given(convolutions(), st.integers(0, 255))
@settings(max_examples=60)
def test_windows_are_those_of_a_direct_loop(case: tuple[Convolution, np.ndarray], fill: int) -> None:
    layer, x = case
    found = windows(layer, x, fill)
    assert found.dtype == np.uint8
    assert np.array_equal(found, direct(layer, x, fill))


@given(convolutions(), st.integers(0, 255), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_products_by_blas_are_the_windows_times_the_matrices(
    case: tuple[Convolution, np.ndarray], zero: int, seed: int
) -> None:
    layer, x = case
    weight = np.random.default_rng(seed).integers(-255, 256, (layer.groups, layer.rows, layer.columns))
    slow = np.einsum("gwk,gkn->gwn", direct(layer, x, zero).astype(np.int64) - zero, weight)
    centred = x.astype(np.float32) - zero
    fast = multiply(layer, centred, weight.astype(np.float32))
    assert np.array_equal(fast, assemble(layer, slow, x.shape[0]))


def test_assembled_windows_of_an_identity_are_the_input() -> None:
    layer = Convolution(name="c", inputs=("x",), shape=(1, 4, 3, 2), weight=Array((4, 4, 1, 1)))
    x = np.random.default_rng(0).integers(0, 256, (5, 4, 3, 2), dtype=np.uint8)
    assert np.array_equal(assemble(layer, windows(layer, x, 0), 5), x)


def test_a_linear_layer_has_a_window_for_each_vector() -> None:
    layer = Linear(name="l", inputs=("x",), shape=(2, 3, 5), weight=Array((5, 7)))
    x = np.arange(8 * 3 * 7, dtype=np.uint8).reshape(8, 3, 7)
    found = windows(layer, x, 0)
    assert found.shape == (1, 24, 7)
    assert np.shares_memory(found, x)
    assert assemble(layer, np.zeros((1, 24, 5)), 8).shape == (8, 3, 5)


def test_an_input_of_another_shape_is_refused() -> None:
    layer = Convolution(name="c", inputs=("x",), shape=(1, 4, 3, 3), weight=Array((4, 2, 3, 3)))
    with pytest.raises(NumberError, match="'c'"):
        windows(layer, np.zeros((1, 2, 4, 4), dtype=np.uint8), 0)


def test_the_type_of_products_keeps_integers_exact() -> None:
    assert exact_type(2.0**24) is np.float32
    assert exact_type(2.0**24 + 1) is np.float64
    with pytest.raises(NumberError, match="exact"):
        exact_type(2.0**53 + 2)
