"""Weights in few bit planes: levels that fit the planes, planes that go where they gain most, and layers in sequence."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.errors import NumberError, OptionError
from mho.network.graph import Network
from mho.network.layers import Activation
from mho.network.samples import load_samples, synthetic
from mho.number import Grid, Planes, QuantisedNetwork, run_float, run_reference
from mho.number.accuracy import classified
from mho.number.moments import MomentSums
from mho.number.planes import allocated, levelled
from tests.strategies import Sketch, networks

few = settings(max_examples=25)
means = st.sampled_from([0, 0.5, 1, 1.7, 2, 3, 4.25, 7])


def used_planes(integers: npt.NDArray[np.int64], rows: int) -> npt.NDArray[np.int64]:
    """Planes in which some weight of a block and output has a bit once the least is taken away: (groups, blocks, N)."""
    found = []
    for first in range(0, integers.shape[1], rows):
        block = integers[:, first : first + rows]
        bits = np.bitwise_or.reduce(block - block.min(axis=1, keepdims=True), axis=1)
        found.append(sum(bits >> plane & 1 for plane in range(9)))
    return np.stack(found, axis=1)


def weights(seed: int, groups: int, K: int, N: int) -> npt.NDArray[np.float64]:
    """Draw weights whose spread differs between outputs and rows."""
    generator = np.random.default_rng(seed)
    spread = np.exp(generator.standard_normal((groups, 1, N))) * np.exp(generator.standard_normal((groups, K, 1)) / 2)
    return np.asarray(generator.standard_normal((groups, K, N)) * spread)


@few
@given(networks, means, st.integers(1, 40), st.sampled_from(["nearest", "output", "sequence"]))
def test_a_layer_takes_no_more_planes_than_it_is_given(network: Network, mean: float, rows: int, method: str) -> None:
    inputs = synthetic(network, 3, seed=1).inputs
    form = Planes(mean, rows)
    after = mho.number.recode(
        mho.number.quantise(network, inputs), form, method=method, samples=None if method == "nearest" else inputs
    )
    for matrix in after.matrices.values():
        planes = used_planes(matrix.centred.astype(np.int64), rows)
        assert planes.sum() <= mean * planes.size
        assert matrix.scale.shape == (planes.shape[0], planes.shape[2])
    for tensor, real in run_reference(after, inputs).items():
        assert np.isfinite(real).all(), tensor


@few
@given(st.integers(0, 2**16), means, st.integers(1, 3), st.integers(1, 30), st.integers(1, 6), st.integers(1, 12))
def test_weights_go_to_the_nearest_of_levels_that_fit_their_planes(
    seed: int, mean: float, groups: int, K: int, N: int, rows: int
) -> None:
    real = weights(seed, groups, K, N)
    levels = levelled(real, Planes(mean, rows), np.ones((groups, K)))
    for k in range(K):
        found = levels(np.full(groups, k), 0, real[:, k] / levels.scale)
        for group, output in product(range(groups), range(N)):
            here = group, k // rows, output
            low, step, count = int(levels.low[here]), 2 ** int(levels.shift[here]), 2 ** int(levels.planes[here])
            allowed = [low + step * each for each in range(count)]
            x = real[group, k, output] / levels.scale[group, output]
            assert found[group, output] in allowed
            assert abs(found[group, output] - x) <= min(abs(each - x) for each in allowed) + 1e-9
            assert -127 <= allowed[0] <= allowed[-1] <= 127


@few
@given(st.integers(0, 2**16), st.integers(1, 4), st.integers(1, 3), st.integers(0, 9))
def test_planes_are_handed_out_as_the_best_of_all_ways(seed: int, cells: int, most: int, total: int) -> None:
    """Where each further plane gains less than the one before, the order of gains is the optimum over all ways, by trial."""
    generator = np.random.default_rng(seed)
    gains = -np.sort(-generator.random((most, cells)), axis=0)
    errors = np.concatenate([gains.sum(axis=0)[None], gains.sum(axis=0) - np.cumsum(gains, axis=0)])
    found = allocated(errors, total)
    assert found.sum() == min(total, most * cells)
    tried = [
        sum(errors[count, cell] for cell, count in enumerate(counts))
        for counts in product(range(most + 1), repeat=cells)
        if sum(counts) <= total
    ]
    assert np.isclose(sum(errors[count, cell] for cell, count in enumerate(found)), min(tried))


def test_a_plane_that_gains_only_with_the_next_is_reached() -> None:
    """Cell 0 gains 0 and then 10 (5 on average), cell 1 gains 4 and 3: two planes go to cell 0, the third to cell 1."""
    errors = np.array([[10.0, 7.0], [10.0, 3.0], [0.0, 0.0]])
    assert allocated(errors, 2).tolist() == [2, 0]
    assert allocated(errors, 3).tolist() == [2, 1]


def test_planes_that_gain_nothing_stay_unused() -> None:
    assert allocated(np.zeros((4, 3)), 9).tolist() == [0, 0, 0]


def test_errors_fall_by_about_four_with_each_plane_of_uniform_weights() -> None:
    """A step half as large has a quarter of the squared error (step^2 / 12 for uniform weights), measured 3 to 5 times."""
    real = np.random.default_rng(1).random((1, 4000, 3)) - 0.3
    found = []
    for planes in range(1, 6):
        levels = levelled(real, Planes(planes, 4000), np.ones((1, 4000)))
        rounded = np.stack(
            [levels(np.zeros(1, dtype=int), 0, row / levels.scale) for row in real.transpose(1, 0, 2)], 1
        )
        found.append(((rounded * levels.scale[:, None] - real) ** 2).mean())
    ratios = np.array(found[:-1]) / np.array(found[1:])
    assert ((ratios > 3) & (ratios < 5)).all()
    assert np.isclose(found[0], (1 / 2) ** 2 / 12, rtol=0.1)


def test_planes_where_they_gain_most_err_less_than_as_many_everywhere() -> None:
    real = weights(3, 1, 256, 32)
    mixed = levelled(real, Planes(2.0), np.ones((1, 256)))
    assert len(np.unique(mixed.planes)) > 1

    def error(found: npt.NDArray[np.float64]) -> float:
        return float(((found - real) ** 2).sum())

    ours = (
        np.stack([mixed(np.array([k]), 0, real[:, k] / mixed.scale) for k in range(256)], axis=1) * mixed.scale[:, None]
    )
    each = [levelled(real[:, :, n : n + 1], Planes(2.0, 256), np.ones((1, 256))) for n in range(32)]
    same = np.concatenate(
        [
            np.stack([one(np.array([k]), 0, real[:, k, n : n + 1] / one.scale) for k in range(256)], axis=1) * one.scale
            for n, one in enumerate(each)
        ],
        axis=2,
    )
    assert error(ours) < error(same)


def test_weights_that_are_all_alike_take_no_plane() -> None:
    levels = levelled(np.full((2, 10, 3), 0.7), Planes(4), np.ones((2, 10)))
    assert not levels.planes.any()
    assert np.allclose(levels.low[:, 0] * levels.scale, 0.7, rtol=0.5 / 127 * 2)


# Layer after layer.


def rectified(layers: int) -> Network:
    """Linear layers of 40 outputs with rectifiers between them, the last of 20."""
    sketch = Sketch(5, (1, 30))
    last = sketch.layers[0]
    for place in range(layers - 1):
        middle = sketch.linear(last, 40)
        last = sketch.add(Activation(name=f"relu{place}", inputs=(middle.name,), shape=middle.shape, function="relu"))
    sketch.linear(last, 20)
    return sketch.network()


def test_in_sequence_the_mean_of_outputs_is_that_of_the_float_network() -> None:
    """Exact but for the float32 products of the float network beside the integers; without it, a rectifier moves the mean."""
    network = rectified(2)
    inputs = np.random.default_rng(1).standard_normal((64, 30)) + 0.5
    before = mho.number.quantise(network, inputs)
    wanted = run_float(network, inputs)[network.outputs[0]].mean(axis=0)

    def away(after: QuantisedNetwork) -> float:
        return float(np.abs(run_reference(after, inputs)[network.outputs[0]].mean(axis=0) - wanted).max())

    assert away(mho.number.recode(before, Planes(2.0), method="sequence", samples=inputs)) < 1e-5 * np.abs(wanted).max()
    assert away(mho.number.recode(before, Planes(2.0), method="output", samples=inputs)) > 1e-3 * np.abs(wanted).max()


@pytest.mark.parametrize("form", [Planes(1.5), Planes(3), Grid.uniform(3)], ids=str)
def test_in_sequence_outputs_spread_as_in_the_float_network(form: Grid | Planes) -> None:
    """Summed over outputs, the variance is exact but for float32, however deep; alone, layers lose more with the depth.

    Rounding loses spread (levels are means of what is rounded to them), and a rectifier of the right mean and less spread
    passes less of it: with the means right alone, MobileNet-v2 had 5 % of its variance left after 53 layers.
    """
    network = rectified(8)
    inputs = np.random.default_rng(1).standard_normal((64, 30)) + 0.5
    before = mho.number.quantise(network, inputs)
    wanted = run_float(network, inputs)[network.outputs[0]].var(axis=0).sum()
    per_channel = isinstance(form, Planes)
    after = mho.number.recode(before, form, method="sequence", samples=inputs, per_channel=per_channel)
    assert all(each.scale.ndim == (2 if per_channel else 0) for each in after.matrices.values())
    assert np.isclose(run_reference(after, inputs)[network.outputs[0]].var(axis=0).sum(), wanted, rtol=1e-4)
    alone = mho.number.recode(before, form, method="output", samples=inputs, per_channel=per_channel)
    assert not np.isclose(run_reference(alone, inputs)[network.outputs[0]].var(axis=0).sum(), wanted, rtol=1e-2)


def test_spread_is_the_variance_of_outputs() -> None:
    generator = np.random.default_rng(2)
    x, matrix = generator.standard_normal((2, 50, 7)) + 3.0, generator.standard_normal((2, 7, 4))
    sums = MomentSums()
    sums.add(x[:, :20])
    sums.add(x[:, 20:])
    assert np.allclose(sums.moments().spread(matrix), np.matmul(x, matrix).var(axis=1))


@few
@given(networks, st.sampled_from([Grid.window(8, 3), Planes(3)]))
def test_the_first_layer_in_sequence_has_the_codes_that_it_has_alone_for_the_inputs_as_stored(
    network: Network, form: Grid | Planes
) -> None:
    """Recoding only one layer that reads the input changes it as in the whole sequence."""
    inputs = synthetic(network, 3, seed=1).inputs
    before = mho.number.quantise(network, inputs)
    first = network.matrix_layers[0].name
    whole = mho.number.recode(before, form, method="sequence", samples=inputs).matrices[first]
    alone = mho.number.recode(before, {first: form}, method="sequence", samples=inputs)
    assert np.array_equal(alone.matrices[first].codes, whole.codes)
    assert all(alone.matrices[name] is each for name, each in before.matrices.items() if name != first)


# Names and refusals.


@given(st.floats(0, 7), st.integers(1, 300))
def test_a_name_makes_the_same_planes(mean: float, rows: int) -> None:
    form = Planes(round(mean, 3), rows)
    assert Planes.parse(str(form)) == form


@pytest.mark.parametrize(
    "text", ["planes", "planes:", "planes:8", "planes:nan", "plane:2", "planes:2:0", "planes:2:1:1", "planes:2:1.5"]
)
def test_names_that_mean_no_planes_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="no planes"):
        Planes.parse(text)


def test_what_planes_cannot_do_is_refused() -> None:
    sketch = Sketch(1, (1, 9))
    sketch.linear(sketch.layers[0], 4)
    network = sketch.network()
    inputs = synthetic(network, 2).inputs
    before = mho.number.quantise(network, inputs)
    with pytest.raises(NumberError, match="0 to 7"):
        Planes(-1)
    with pytest.raises(NumberError, match="row"):
        Planes(2, 0)
    with pytest.raises(OptionError, match="scales of their own"):
        mho.number.recode(before, Planes(2), scale="keep")
    with pytest.raises(OptionError, match="scales of their own"):
        mho.number.recode(before, Planes(2), per_channel=False)
    with pytest.raises(OptionError, match="squeezed as well"):
        mho.number.recode(before, Planes(2), squeeze=1)
    with pytest.raises(NumberError, match="no code"):
        mho.number.recode(mho.number.quantise(network), Planes(2), method="sequence", samples=inputs)
    with pytest.raises(OptionError, match="cannot keep the scales"):
        mho.number.recode(before, Grid.uniform(8), method="sequence", samples=inputs, scale="keep")


# Real weights.


def test_a_real_network_keeps_its_accuracy_in_two_planes_a_weight(data: Path) -> None:
    """ResNet-20, 300 images of all classes: 269 are right in 8 bits, 263 (98 %) were in two planes."""
    network = mho.Network.from_onnx(data / "cifar10" / "resnet20.onnx")
    calibration = load_samples(data / "cifar10" / "train_calib.npz", network).first(128).inputs
    samples = load_samples(data / "cifar10" / "test_a.npz", network).spread(300)
    before = mho.number.quantise(network, calibration)
    after = mho.number.recode(before, Planes(2), method="sequence", samples=calibration)
    assert classified(after, samples).sum() >= 0.95 * classified(before, samples).sum()
