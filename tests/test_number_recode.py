"""Recoding onto a grid and squeezing: what must stay, what must fit, and what rounding for outputs must gain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.errors import NumberError, OptionError
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.network.samples import load_samples, synthetic
from mho.network.windows import windows
from mho.number import Grid, QuantisedNetwork, run_float, run_reference
from mho.number.accuracy import classified
from mho.number.moments import moments
from mho.number.squeeze import largest_of_tiles
from tests.strategies import Sketch, networks

few = settings(max_examples=25)
GRIDS = [Grid.window(8, 3), Grid.window(8, 1), Grid.uniform(3), Grid.additive_power_of_two(6), Grid.window(5, 2)]
grids = st.sampled_from(GRIDS)
methods = st.sampled_from(["nearest", "output"])


def quantised(network: Network, **options: Any) -> QuantisedNetwork:
    return mho.number.quantise(network, synthetic(network, 2, seed=1).inputs, **options)


def recoded(before: QuantisedNetwork, grid: Grid, method: str, **options: Any) -> QuantisedNetwork:
    samples = synthetic(before.network, 4, seed=2).inputs if method == "output" else None
    return mho.number.recode(before, grid, method=method, samples=samples, **options)


def wide(seed: int, inputs: int = 24, outputs: int = 20) -> Network:
    """Build one linear layer."""
    sketch = Sketch(seed, (1, inputs))
    sketch.linear(sketch.layers[0], outputs)
    return sketch.network()


def correlated(network: Network, count: int, seed: int = 5) -> npt.NDArray[np.float64]:
    """Draw inputs (count, K) that go up and down together, in part, as those of real layers do."""
    generator = np.random.default_rng(seed)
    shape = network.inputs[0].shape[1:]
    common = generator.standard_normal((count, 3)) @ generator.standard_normal((3, int(np.prod(shape))))
    return (common + 0.5 * generator.standard_normal(common.shape)).reshape(count, *shape)


# What lies where.


@few
@given(networks, grids, methods, st.sampled_from(["fit", "keep"]), st.booleans(), st.integers(0, 2), st.integers(1, 5))
def test_integers_lie_on_the_grid_and_squeezed_rows_reach_no_top_plane(
    network: Network, grid: Grid, method: str, scale: str, per_channel: bool, squeeze: int, tile: int
) -> None:
    squeeze = min(squeeze, grid.bits - 2)
    before = quantised(network, symmetric=True)
    after = recoded(before, grid, method, scale=scale, per_channel=per_channel, squeeze=squeeze, tile=tile)
    assert len(after.notes) == len(before.notes) + 1
    assert str(grid) in after.notes[-1]
    assert set(after.squeezes) == ({layer.name for layer in network.matrix_layers} if squeeze else set())
    for name, matrix in after.matrices.items():
        integers = matrix.centred.astype(int)
        assert grid.holds(integers)
        assert np.array_equal(matrix.codes, 128 + integers)
        assert matrix.scale.ndim == (2 if scale == "fit" and per_channel else 0)
        if squeeze:
            record = after.squeezes[name]
            shifts = record.by_output(matrix.codes.shape[2]).astype(int)
            magnitude = np.abs(integers)
            assert (magnitude % 2**shifts == 0).all()
            assert (magnitude >> shifts < 2 ** (grid.bits - 1 - squeeze)).all()
            assert ((largest_of_tiles(magnitude, tile) >= 2 ** (grid.bits - 1 - squeeze)) == (record.shifts > 0)).all()
            assert (record.shifts <= squeeze).all()
    for tensor, real in run_reference(after, synthetic(network, 1, seed=3).inputs).items():
        assert np.isfinite(real).all(), tensor


@few
@given(networks, grids, methods, st.booleans())
def test_a_network_on_the_grid_keeps_its_codes_scales_and_biases(
    network: Network, grid: Grid, method: str, per_channel: bool
) -> None:
    once = recoded(quantised(network), grid, "nearest", per_channel=per_channel)
    twice = recoded(once, grid, method, scale="keep")
    assert twice.per_channel == once.per_channel == per_channel
    for name, matrix in once.matrices.items():
        again = twice.matrices[name]
        assert np.array_equal(again.codes, matrix.codes)
        assert np.array_equal(again.scale, matrix.scale)
        assert np.array_equal(again.zero, matrix.zero)
        assert again.bias is matrix.bias


def test_integers_of_a_uniform_network_go_to_the_nearest_of_the_grid_on_their_own_scale() -> None:
    before = quantised(wide(1), symmetric=True)
    after = mho.number.recode(before, Grid.window(8, 3), scale="keep")
    for name, matrix in before.matrices.items():
        assert np.array_equal(after.matrices[name].centred, Grid.window(8, 3).nearest(matrix.centred))
        assert np.array_equal(after.matrices[name].scale, matrix.scale)


@pytest.mark.parametrize(
    ("largest", "bits", "doublings"), [(127, 8, 0), (-128, 8, 0), (129, 8, 1), (255, 8, 1), (127, 4, 4)]
)
def test_a_kept_scale_is_doubled_as_often_as_the_bits_ask(largest: int, bits: int, doublings: int) -> None:
    before = quantised(wide(2))
    name, matrix = next(iter(before.matrices.items()))
    zero = 0 if largest > 127 else 128
    codes = np.full_like(matrix.codes, zero)
    codes[0, 0, 0] = largest + zero
    matrix = replace(matrix, codes=codes, zero=np.asarray(zero))
    after = mho.number.recode(replace(before, matrices={name: matrix}), Grid.uniform(bits), scale="keep").matrices[name]
    assert after.scale == matrix.scale * 2**doublings
    assert after.centred[0, 0, 0] == Grid.uniform(bits).nearest(largest / 2**doublings)


def test_layers_that_are_not_named_stay_as_they_are() -> None:
    sketch = Sketch(4, (1, 9))
    sketch.linear(sketch.linear(sketch.layers[0], 8), 7)
    before = quantised(sketch.network())
    first, second = before.matrices
    after = mho.number.recode(before, {second: Grid.uniform(4)}, squeeze={second: 1})
    assert after.matrices[first] is before.matrices[first]
    assert set(after.squeezes) == {second}


def test_a_fitted_scale_loses_no_more_than_the_largest_weight_on_the_largest_magnitude() -> None:
    network = wide(6, 300, 9)
    real = network.matrix_layers[0].matrix(network.matrix_layers[0].weight.real())
    for grid in GRIDS:
        for per_channel in (True, False):
            after = next(iter(mho.number.recode(quantised(network), grid, per_channel=per_channel).matrices.values()))
            step = np.abs(real).max(axis=1 if per_channel else None, keepdims=True) / grid.largest
            plain = (grid.nearest(real / step) * step - real) ** 2
            found = (after.real() - real) ** 2
            axes = 1 if per_channel else None
            assert (found.sum(axis=axes) <= plain.sum(axis=axes) * (1 + 1e-9)).all()


def test_weights_that_are_all_zero_stay_so() -> None:
    network = wide(7)
    layer = network.matrix_layers[0]
    empty = replace(layer, weight=replace(layer.weight, values=np.zeros(layer.weight.shape, dtype=np.float32)))
    network = replace(network, layers=(network.layers[0], empty))
    for method in ("nearest", "output"):
        for per_channel in (True, False):
            after = recoded(quantised(network), Grid.window(8, 3), method, per_channel=per_channel).matrices[layer.name]
            assert not after.centred.any()
            assert (after.scale == 1.0).all()


# Rounding for outputs.


def output_error(network: Network, after: QuantisedNetwork, inputs: npt.NDArray[Any]) -> float:
    """The squared error of the first matrix layer's outputs for exact inputs, by the definition."""
    layer = network.matrix_layers[0]
    matrix = after.matrices[layer.name]
    x = windows(layer, run_float(network, inputs, keep=[layer.inputs[0]])[layer.inputs[0]], 0)
    change = np.matmul(x, matrix.real() - layer.matrix(layer.weight.real()))
    given = np.zeros(change.shape[::2]) if layer.bias is None else layer.bias.real().reshape(change.shape[::2])
    bias = np.zeros_like(given) if matrix.bias is None else matrix.bias
    return float(((change + (bias - given)[:, None, :]) ** 2).sum())


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("squeeze", [0, 1])
def test_outputs_err_less_than_with_the_nearest_weights_on_the_same_scale(grid: Grid, squeeze: int) -> None:
    """On average over layers the error is at most 0.9 of the nearest's: with correlated inputs there is much to make good."""
    total = {"nearest": 0.0, "output": 0.0}
    for seed in range(6):
        network = wide(seed, 80, 16)
        inputs = correlated(network, 200, seed)
        before = mho.number.recode(mho.number.quantise(network, inputs), grid)  # the scale, and integers to start from
        fine = replace(before, matrices=mho.number.quantise(network, inputs, per_channel=True, symmetric=True).matrices)
        for method in total:
            samples = inputs if method == "output" else None
            after = mho.number.recode(fine, grid, method=method, samples=samples, scale="keep", squeeze=squeeze, tile=5)
            total[method] += output_error(network, after, inputs)
    assert total["output"] <= 0.9 * total["nearest"]


@few
@given(st.integers(0, 2**16), st.sampled_from([1, 3]), st.integers(1, 2))
def test_grouped_convolutions_are_rounded_group_by_group(seed: int, kernel: int, made: int) -> None:
    """A grouped convolution has the codes of the convolutions of its groups alone."""
    sketch = Sketch(seed, (1, 4, 6, 6))
    layer = sketch.convolution(sketch.layers[0], 2 * made, kernel, 1, kernel // 2, 1, 2)
    network = sketch.network()
    assert isinstance(layer, MatrixLayer)
    inputs = synthetic(network, 3, seed=2).inputs[0]
    grid = Grid.window(5, 2)
    whole = mho.number.recode(mho.number.quantise(network, inputs), grid, method="output", samples=inputs).matrices[
        layer.name
    ]
    for group in range(2):
        alone = Sketch(seed, (1, 2, 6, 6))
        part = alone.convolution(alone.layers[0], made, kernel, 1, kernel // 2, 1, 1)
        assert isinstance(part, MatrixLayer) and layer.bias is not None and part.bias is not None
        outputs = slice(group * made, (group + 1) * made)
        alone.layers[-1] = replace(
            part,
            weight=replace(part.weight, values=layer.weight.real()[outputs]),
            bias=replace(part.bias, values=layer.bias.real()[outputs]),
        )
        x = inputs[:, 2 * group : 2 * group + 2]
        before = mho.number.quantise(alone.network(), x)
        found = mho.number.recode(before, grid, method="output", samples=x).matrices[part.name]
        assert np.array_equal(found.codes[0], whole.codes[group])
        assert np.allclose(found.bias, whole.bias[group : group + 1], atol=1e-12)  # type: ignore[arg-type, index]


def test_inputs_that_are_always_zero_have_their_weights_rounded_to_the_nearest() -> None:
    network = wide(8, 40, 6)
    inputs = correlated(network, 100)
    inputs[:, 10:20] = 0.0
    grid = Grid.window(6, 2)
    before = mho.number.quantise(network, inputs, symmetric=True)
    after = mho.number.recode(before, grid, method="output", samples=inputs, scale="keep")
    name = network.matrix_layers[0].name
    steps = before.matrices[name].centred[:, 10:20] / (after.matrices[name].scale / before.matrices[name].scale)
    assert np.array_equal(after.matrices[name].centred[:, 10:20], grid.nearest(steps))


def test_the_mean_error_of_outputs_goes_into_the_bias() -> None:
    network = wide(9, 30, 8)
    inputs = correlated(network, 64) + 1.0
    after = mho.number.recode(mho.number.quantise(network, inputs), Grid.uniform(3), method="output", samples=inputs)
    matrix = next(iter(after.matrices.values()))
    assert matrix.bias is not None
    wanted = run_float(network, inputs)[network.outputs[0]].mean(axis=0)
    found = (inputs @ matrix.real()[0] + matrix.bias).mean(axis=0)
    assert np.allclose(found, wanted, atol=1e-5)  # the float network's inputs to moments pass through float32


@few
@given(networks, st.integers(1, 3), st.integers(1, 40))
def test_moments_do_not_depend_on_chunks_and_equal_their_definition(network: Network, chunk: int, count: int) -> None:
    inputs = synthetic(network, 4, seed=6).inputs
    names = [layer.name for layer in network.matrix_layers]
    one = moments(network, inputs, names, windows=count, seed=3, chunk=chunk)
    other = moments(network, inputs, names, windows=count, seed=3, chunk=4)
    every = moments(network, inputs, names, windows=10**9)
    values = run_float(network, inputs, keep=[layer.inputs[0] for layer in network.matrix_layers])
    assert one.keys() == other.keys() == every.keys()
    for layer in network.matrix_layers:
        if layer.name not in every:
            continue
        assert one[layer.name].windows == other[layer.name].windows <= count + 4 * network.by_name[layer.inputs[0]].size
        reach = np.abs(every[layer.name].second).max() + 1e-30
        assert np.allclose(one[layer.name].second, other[layer.name].second, rtol=1e-4, atol=1e-4 * reach)
        x = windows(layer, values[layer.inputs[0]], 0)
        second = np.matmul(x.transpose(0, 2, 1), x) / x.shape[1]
        assert every[layer.name].windows == x.shape[1]
        assert np.allclose(every[layer.name].second, second, rtol=1e-4, atol=1e-4 * reach)
        assert np.allclose(every[layer.name].first, x.mean(axis=1), rtol=1e-4, atol=1e-4 * np.sqrt(reach))


# Squeezing without rounding.


@few
@given(networks, grids, st.integers(0, 2**16))
def test_recodings_that_share_moments_are_those_from_the_samples(network: Network, grid: Grid, seed: int) -> None:
    inputs = synthetic(network, 3, seed=seed).inputs
    before = mho.number.quantise(network, inputs)
    shared = moments(before.network, inputs, [layer.name for layer in before.network.weighted])
    alone = mho.number.recode(before, grid, method="output", samples=inputs)
    again = mho.number.recode(before, grid, method="output", samples=shared)
    for name, matrix in alone.matrices.items():
        assert np.array_equal(matrix.codes, again.matrices[name].codes)
        assert np.array_equal(matrix.scale, again.matrices[name].scale)
        assert (matrix.bias is None) == (again.matrices[name].bias is None)
        assert matrix.bias is None or np.array_equal(matrix.bias, again.matrices[name].bias)


def test_moments_that_lack_a_layer_or_stand_for_a_sequence_are_refused() -> None:
    network = wide(1)
    inputs = correlated(network, 8)
    before = mho.number.quantise(network, inputs)
    with pytest.raises(NumberError, match="lack layers that are recoded"):
        mho.number.recode(before, Grid.uniform(4), method="output", samples={})
    shared = moments(before.network, inputs, [layer.name for layer in before.network.weighted])
    with pytest.raises(NumberError, match="the calibration samples themselves"):
        mho.number.recode(before, Grid.uniform(4), method="sequence", samples=shared)


@few
@given(networks, st.integers(0, 6), st.integers(1, 5), st.booleans())
def test_squeezing_drops_the_low_bits_of_rows_that_reach_a_top_plane(
    network: Network, top: int, tile: int, narrow: bool
) -> None:
    bits = 5 if narrow else 8
    top = min(top, bits - 2)
    before = mho.number.recode(quantised(network), Grid.uniform(bits))
    after = mho.number.squeeze(before, top, tile=tile, bits=bits)
    for name, matrix in before.matrices.items():
        old, record = matrix.centred.astype(int), after.squeezes[name]
        wanted, lost = np.empty_like(old), 0
        for place in np.ndindex(*old.shape):
            first = place[2] // tile * tile
            row = np.abs(old[place[0], place[1], first : first + tile])
            shift = top if row.max() >= 2 ** (bits - 1 - top) else 0
            weight = int(old[place])
            kept = (abs(weight) >> shift) << shift
            wanted[place] = kept if weight > 0 else -kept
            lost += kept != abs(weight)
            assert record.by_output(old.shape[2])[place] == shift
        assert np.array_equal(after.matrices[name].centred, wanted)
        assert (np.abs(wanted) >> record.by_output(old.shape[2]) < 2 ** (bits - 1 - top)).all()
        assert record.dropped == lost
        assert np.array_equal(after.matrices[name].scale, matrix.scale)


def test_recoding_with_a_squeeze_errs_less_than_dropping_bits_afterwards() -> None:
    network = wide(10, 200, 40)
    inputs = correlated(network, 400)
    before, grid = mho.number.quantise(network, inputs), Grid.window(8, 3)
    dropped = mho.number.squeeze(mho.number.recode(before, grid, method="output", samples=inputs), 2, tile=16)
    together = mho.number.recode(before, grid, method="output", samples=inputs, squeeze=2, tile=16)
    assert output_error(network, together, inputs) < output_error(network, dropped, inputs)


# What is refused.


def test_what_cannot_be_recoded_is_refused() -> None:
    network = wide(11)
    before, inputs, grid = quantised(network), synthetic(network, 2, seed=1).inputs, Grid.uniform(8)
    name = network.matrix_layers[0].name
    with pytest.raises(NumberError, match="no matrix layer 'fc'"):
        mho.number.recode(before, {"fc": grid})
    with pytest.raises(NumberError, match="no matrix layer 'fc'"):
        mho.number.recode(before, grid, squeeze={"fc": 1})
    with pytest.raises(NumberError, match="not recoded"):
        mho.number.recode(before, {}, squeeze={name: 1})
    with pytest.raises(NumberError, match="samples"):
        mho.number.recode(before, grid, method="output")
    with pytest.raises(NumberError, match="samples"):
        mho.number.recode(before, grid, samples=inputs)
    with pytest.raises(OptionError, match="method"):
        mho.number.recode(before, grid, method="best")
    with pytest.raises(OptionError, match="scale"):
        mho.number.recode(before, grid, scale="best")
    with pytest.raises(OptionError, match="damping"):
        mho.number.recode(before, grid, method="output", samples=inputs, damping=0.0)
    with pytest.raises(NumberError, match="0 to 6 planes"):
        mho.number.recode(before, grid, squeeze=7)
    with pytest.raises(NumberError, match="tile"):
        mho.number.recode(before, grid, squeeze=1, tile=0)
    with pytest.raises(NumberError, match="at least one"):
        mho.number.recode(before, grid, method="output", samples=inputs, windows=0)
    aligned = mho.number.align(before, 96)
    with pytest.raises(NumberError, match="aligned already"):
        mho.number.recode(aligned, grid)
    with pytest.raises(NumberError, match="aligned already"):
        mho.number.squeeze(aligned, 1)


def test_what_cannot_be_squeezed_is_refused() -> None:
    before = mho.number.recode(quantised(wide(12)), Grid.uniform(8))
    with pytest.raises(NumberError, match="squeezed already"):
        mho.number.squeeze(mho.number.squeeze(before, 1), 1)
    with pytest.raises(NumberError, match="beyond 5 bits"):
        mho.number.squeeze(before, 1, bits=5)
    with pytest.raises(NumberError, match="0 to 6 planes"):
        mho.number.squeeze(before, 7)
    with pytest.raises(NumberError, match="no matrix layer"):
        mho.number.squeeze(before, {"fc": 1})


def test_recoding_again_forgets_a_squeeze() -> None:
    before = mho.number.squeeze(mho.number.recode(quantised(wide(13)), Grid.uniform(8)), 1)
    assert mho.number.recode(before, Grid.uniform(8)).squeezes == {}


# Real weights.


def test_a_real_network_keeps_its_accuracy_on_three_bits(data: Path) -> None:
    """ResNet-20, 3-bit weights (7 magnitudes and signs), 300 images: few are lost where rounding is for the outputs."""
    network = mho.Network.from_onnx(data / "cifar10" / "resnet20.onnx")
    calibration = load_samples(data / "cifar10" / "train_calib.npz", network).first(64)
    samples = load_samples(data / "cifar10" / "test_a.npz", network).spread(300)
    before = mho.number.quantise(network, calibration.inputs)
    grid = Grid.uniform(3)
    right = {
        method: classified(
            mho.number.recode(before, grid, method=method, samples=calibration.inputs if method == "output" else None),
            samples,
        ).sum()
        for method in ("nearest", "output")
    }
    assert right["output"] > right["nearest"]
