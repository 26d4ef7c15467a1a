"""Weights on a basis that all layers share: sums are those of the basis first, fits keep what they promise, descent descends."""

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
from mho.errors import MhoError, NumberError, OptionError
from mho.network.graph import Network
from mho.network.layers import Input, MatrixLayer
from mho.network.samples import load_samples, synthetic
from mho.network.windows import assemble, windows
from mho.number import BasisCoding, Fewest, QuantisedNetwork, fit_basis, read_from, run_float, run_reference
from mho.number.accuracy import top1
from mho.number.basis import integers_of, segments
from mho.number.coefficients import Coefficients
from mho.number.fitting import composed
from mho.number.pursuit import descend, nearest, pursue
from mho.number.reference import Values, complete, vector_step
from tests.strategies import Sketch, networks

few = settings(max_examples=25)
seeds = st.integers(0, 2**32 - 1)


def quantised(network: Network) -> QuantisedNetwork:
    return mho.number.quantise(network, synthetic(network, 2, seed=1).inputs)


def basis_of(quantised: QuantisedNetwork) -> BasisCoding:
    assert quantised.basis is not None
    return quantised.basis


def drawn_coding(draw: st.DrawFn, network: Network) -> BasisCoding:
    """Draw a basis of any size and any coefficients of it for all layers."""
    vectors, height, levels = draw(st.integers(1, 20)), draw(st.integers(1, 40)), draw(st.integers(2, 16))
    bits = draw(st.integers(2, 5))
    nonzeros = draw(st.integers(1, 8))
    generator = np.random.default_rng(draw(seeds))
    coefficients = {}
    for layer in network.matrix_layers:
        shape = (layer.groups, -(-layer.rows // height), vectors, layer.columns)
        values = generator.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape).astype(np.int8)
        rank = generator.random(shape).argsort(axis=2).argsort(axis=2)
        coefficients[layer.name] = Coefficients.of(np.where(rank < nonzeros, values, 0).astype(np.int8))
    cells = generator.integers(0, levels, (vectors, height)).astype(np.uint8)
    return BasisCoding(cells, levels, bits, nonzeros, coefficients)


def coded(before: QuantisedNetwork, coding: BasisCoding) -> QuantisedNetwork:
    """Put the integers of a coding in the place of the weights of all layers, with scales an output."""
    matrices = {}
    for layer in before.network.matrix_layers:
        outputs = (layer.groups, layer.columns)
        scale = np.linspace(0.001, 0.002, layer.groups * layer.columns).reshape(outputs)
        matrices[layer.name] = composed(coding, layer, scale, before.matrices[layer.name].bias)
    return replace(before, matrices=matrices, per_channel=True)


def run_on_basis(network: QuantisedNetwork, coding: BasisCoding, inputs: Any) -> dict[str, npt.NDArray[Any]]:
    """Run a network of one input whose matrix layers sum coefficients x (basis x inputs): all its tensors."""
    values = Values(network)
    values.enter(inputs)
    for layer in network.network.layers:
        if isinstance(layer, Input) or layer.name in values.arrays:
            continue
        if isinstance(layer, MatrixLayer):
            (name,) = layer.inputs
            code = network.codes[name]
            x = values.codes(name).astype(np.int64) - int(code.zero)
            sums = coding.sums(layer, windows(layer, x, 0))
            values.put(layer.name, complete(network, layer, assemble(layer, sums, len(x))))
        else:
            vector_step(network, layer, values, network.network.batch)
    return {layer.name: values.real(layer.name) for layer in network.network.layers}


# Integers.


@few
@given(networks, st.data())
def test_the_reference_computes_coefficients_times_basis_times_inputs_bit_for_bit(
    network: Network, data: st.DataObject
) -> None:
    coding = data.draw(st.composite(lambda draw: drawn_coding(draw, network))())
    after = coded(quantised(network), coding)
    inputs = synthetic(network, network.batch, seed=3).inputs
    names = [layer.name for layer in network.layers if layer.name not in after.network.outputs]
    expected = run_on_basis(after, coding, inputs)
    for name, tensor in run_reference(after, inputs, keep=names).items():
        assert np.array_equal(tensor, expected[name])


@few
@given(networks, st.data())
def test_integer_weights_are_coefficients_times_odd_or_even_elements(network: Network, data: st.DataObject) -> None:
    coding = data.draw(st.composite(lambda draw: drawn_coding(draw, network))())
    height = coding.cells.shape[1]
    layer = data.draw(st.sampled_from(network.matrix_layers))
    group, row = data.draw(st.integers(0, layer.groups - 1)), data.draw(st.integers(0, layer.rows - 1))
    output = data.draw(st.integers(0, layer.columns - 1))
    expected = sum(
        int(coding.dense(layer)[group, row // height, vector, output])
        * (2 * int(coding.cells[vector, row % height]) - (coding.levels - 1))
        for vector in range(len(coding.cells))
    )
    assert coding.integers(layer)[group, row, output] == expected
    assert coding.nonzeros_of(layer)[group, row // height] == np.count_nonzero(
        coding.dense(layer)[group, row // height]
    )
    assert set(np.unique(coding.elements)) <= set(range(1 - coding.levels, coding.levels, 2))


@few
@given(seeds, st.integers(1, 3), st.integers(1, 3), st.integers(1, 20), st.integers(1, 4), st.floats(0, 1))
def test_coefficients_keep_what_is_not_0(
    seed: int, groups: int, segments: int, vectors: int, outputs: int, share: float
) -> None:
    generator = np.random.default_rng(seed)
    dense = generator.integers(-128, 128, (groups, segments, vectors, outputs)).astype(np.int8)
    dense[generator.random(dense.shape) > share] = 0
    kept = Coefficients.of(dense)
    assert np.array_equal(kept.dense(), dense)
    assert kept.shape == dense.shape
    assert np.array_equal(kept.counts, (dense != 0).sum(axis=2))
    assert kept.values.shape[2] == kept.counts.max()


def test_coefficients_are_checked_when_built() -> None:
    kept = Coefficients.of(np.array([3, 0, 5], dtype=np.int8).reshape(1, 1, 3, 1))
    for changes, word in (
        ({"vectors": 0}, "1 to 65535"),
        ({"values": kept.values.astype(int)}, "int8"),
        ({"places": kept.places[:, :, :1]}, "places uint16"),
        ({"places": kept.places[:, :, ::-1]}, "rise"),
        ({"places": kept.places + np.uint16(1)}, "else 3"),
        ({"values": 0 * kept.values}, "else 3"),
    ):
        with pytest.raises(NumberError, match=word):
            replace(kept, **changes)
    with pytest.raises(NumberError, match="int8"):
        Coefficients.of(np.zeros((1, 1, 3, 1)))


# Fits.


@settings(max_examples=12)
@given(
    networks, st.integers(1, 24), st.integers(1, 6), st.integers(2, 4), st.integers(2, 5),
    st.sampled_from(["learned", "universal", "units"]), st.sampled_from(["integers", "powers"]), st.integers(1, 40),
    st.integers(0, 9),
)  # fmt: skip
def test_a_fit_keeps_its_numbers_and_is_what_the_network_holds(
    network: Network,
    vectors: int,
    nonzeros: int,
    bits: int,
    levels: int,
    basis: str,
    coefficients: str,
    height: int,
    seed: int,
) -> None:
    samples = synthetic(network, 4, seed=2).inputs
    asked: dict[str, Any] = {"height": height, "seed": seed, "coefficients": coefficients}
    after = fit_basis(network, samples, vectors, nonzeros, bits, levels, basis, **asked)
    coding = basis_of(after)
    if basis == "units":
        vectors, levels = height, 2
        assert np.array_equal(coding.elements, np.eye(height))
    assert (coding.powers, coding.units) == (coefficients == "powers", basis == "units")
    assert coding.cells.shape == (vectors, height)
    assert (coding.levels, coding.bits, coding.nonzeros) == (levels, bits, nonzeros)
    assert set(coding.coefficients) == {layer.name for layer in network.matrix_layers}
    for layer in network.matrix_layers:
        matrix = after.matrices[layer.name]
        assert np.array_equal(matrix.centred, coding.integers(layer))
        assert matrix.scale.shape == (layer.groups, layer.columns)
    assert f"{vectors} {'unit vectors' if basis == 'units' else f'{basis} basis vectors'}" in after.notes[-1]
    again = fit_basis(network, samples, basis=coding, nonzeros=nonzeros, bits=bits, **asked)
    same = basis_of(again)
    assert np.array_equal(same.cells, coding.cells)
    for layer in network.matrix_layers:
        assert np.array_equal(same.dense(layer), coding.dense(layer))


def wide(seed: int = 0, rows: int = 300, outputs: int = 40) -> Network:
    """Build one linear layer."""
    sketch = Sketch(seed, (1, rows))
    sketch.linear(sketch.layers[0], outputs)
    return sketch.network()


def test_a_universal_basis_is_the_same_for_every_network() -> None:
    cells = [
        basis_of(fit_basis(network, synthetic(network, 4, seed=2).inputs, 32, 2, basis="universal", seed=7)).cells
        for network in (wide(0), wide(1, 150, 3))
    ]
    assert np.array_equal(*cells)
    assert set(np.unique(cells[0])) == {0, 1}


def share_lost(network: Network, **options: Any) -> float:
    """Return the squared error of the outputs of a network that is fitted, as a share of their variance, on other samples."""
    generator = np.random.default_rng(5)
    mixing = generator.standard_normal((30, network.inputs[0].size))

    def draw(count: int) -> npt.NDArray[np.float64]:
        common = generator.standard_normal((count, 30)) @ mixing
        return np.asarray(common + 2 * generator.standard_normal(common.shape))

    after = fit_basis(network, draw(400), **options)
    inputs = draw(200)
    (real,), (integer,) = run_float(network, inputs).values(), run_reference(after, inputs).values()
    return float(np.mean((real - integer) ** 2) / np.var(real))


def test_given_vectors_are_integers_or_those_of_a_coding() -> None:
    network = wide(rows=50, outputs=4)
    samples = synthetic(network, 20, seed=1).inputs
    coding = basis_of(fit_basis(network, samples, 24, 3, 3, height=20))
    first, second = (
        basis_of(fit_basis(network, samples, nonzeros=3, bits=3, basis=basis)) for basis in (coding, coding.elements)
    )
    assert np.array_equal(first.cells, second.cells)
    for layer in network.matrix_layers:
        assert np.array_equal(first.dense(layer), second.dense(layer))


@few
@given(networks, seeds)
def test_a_network_read_from_the_cells_that_were_meant_computes_what_it_should(network: Network, seed: int) -> None:
    samples = synthetic(network, 4, seed=2).inputs
    fitted = fit_basis(network, samples, 9, 3, height=7)
    cells, inputs = basis_of(fitted).cells.astype(float), synthetic(network, network.batch, seed=seed).inputs
    read = read_from(fitted, cells)
    for layer in network.matrix_layers:
        error = np.abs(read.matrices[layer.name].real() - fitted.matrices[layer.name].real()).max(axis=1)
        assert (error <= fitted.matrices[layer.name].scale * 2**-7).all()
    again = fit_basis(network, samples, 9, 3, height=7, cells=cells, basis=basis_of(fitted))
    for layer in network.matrix_layers:
        assert basis_of(again).dense(layer).shape == basis_of(fitted).dense(layer).shape
    assert set(run_reference(read, inputs)) == set(run_reference(fitted, inputs))


def test_coefficients_fitted_to_cells_as_they_are_make_up_for_them() -> None:
    network, generator = wide(), np.random.default_rng(5)
    mixing = generator.standard_normal((30, 300))
    samples, inputs = (
        generator.standard_normal((count, 30)) @ mixing + 2 * generator.standard_normal((count, 300))
        for count in (400, 200)
    )
    meant = fit_basis(network, samples, 192, 32, levels=4, basis="universal")
    cells = basis_of(meant).cells + 0.3 * generator.standard_normal((192, 128))
    fitted = fit_basis(network, samples, basis=basis_of(meant), cells=cells)
    assert np.array_equal(basis_of(fitted).cells, basis_of(meant).cells)
    assert "as they were read" in fitted.notes[-1]
    (real,) = run_float(network, inputs).values()

    def lost(quantised: QuantisedNetwork) -> float:
        (found,) = run_reference(quantised, inputs).values()
        return float(np.mean((found - real) ** 2) / real.var())

    ideal = lost(meant)
    assert lost(read_from(meant, cells)) > 2 * ideal
    assert lost(read_from(fitted, cells)) < 1.2 * ideal


def test_more_vectors_coefficients_and_bits_lose_less() -> None:
    network = wide()
    middle = share_lost(network, vectors=96, nonzeros=12)
    assert middle < 0.15
    assert share_lost(network, vectors=24, nonzeros=12) > 1.3 * middle
    assert share_lost(network, vectors=96, nonzeros=6) > 1.3 * middle
    assert share_lost(network, vectors=96, nonzeros=12, bits=2) > 1.3 * middle


def test_weights_that_lie_on_the_basis_are_met() -> None:
    network, generator = wide(rows=200, outputs=6), np.random.default_rng(1)
    basis = generator.choice([-1, 1], (20, 128))
    (layer,) = network.matrix_layers
    integers = np.concatenate([7 * basis[:6, :100], -5 * basis[6:12, :100]], axis=1)
    network = replace(
        network,
        layers=(network.layers[0], replace(layer, weight=type(layer.weight).of((0.01 * integers).astype(np.float32)))),
    )
    assert share_lost(network, nonzeros=1, basis=basis) < 2e-4  # what 8-bit inputs leave


def deep() -> tuple[Network, npt.NDArray[np.float64]]:
    """Build three linear layers, and samples."""
    sketch = Sketch(4, (1, 40))
    here = sketch.layers[0]
    for features in (30, 50, 10):
        here = sketch.linear(here, features)
    return sketch.network(), np.random.default_rng(2).standard_normal((60, 40))


def test_layers_have_as_many_coefficients_as_their_names_and_patterns_say() -> None:
    network, samples = deep()
    first, second, third = network.matrix_layers
    after = basis_of(fit_basis(network, samples, 32, {first.name: 2, f"{second.name}*": 7, "*": 4}, height=16))
    assert after.nonzeros == 7
    for layer, most in ((first, 2), (second, 7), (third, 4)):
        counts = after.coefficients[layer.name].counts
        assert counts.max() == most
    for asked, word in (
        ({first.name: 3}, f"has layer '{second.name}'"),
        ({"*": 3, first.name: 4}, f"'{first.name}' counts for no layer"),
        ({"*": 0}, "at least 1"),
        ({"*": 3, "conv": 4}, "'conv' counts for no layer"),
    ):
        with pytest.raises(NumberError, match=word):
            fit_basis(network, samples, 32, asked, height=16)


def test_a_budget_leaves_ever_fewer_coefficients_and_none_that_it_does_not_pay() -> None:
    network, samples = deep()

    def counted(error: float) -> int:
        after = fit_basis(network, samples, 32, Fewest(error, (3, 6, 12)), height=16)
        assert f"budget {error:g}" in after.notes[-1]
        return sum(int(basis_of(after).nonzeros_of(layer).sum()) for layer in network.matrix_layers)

    counts = [counted(error) for error in (0.0, 0.05, 1e6)]
    assert counts[0] > counts[1] > counts[2]
    alone = basis_of(fit_basis(network, samples, 32, 12, height=16))
    assert counts[0] == sum(int(alone.nonzeros_of(layer).sum()) for layer in network.matrix_layers)
    for bad, word in (((-1.0,), "0 or more"), ((0.1, ()), "at least 1"), ((0.1, (0, 3)), "at least 1")):
        with pytest.raises(MhoError, match=word):
            Fewest(*bad)


# Pursuit and descent.


@few
@given(seeds, st.integers(1, 12), st.integers(1, 16), st.integers(1, 16), st.integers(2, 4), st.booleans())
def test_descent_takes_off_what_it_says_and_never_gains_error(
    seed: int, height: int, vectors: int, most: int, bits: int, powers: bool
) -> None:
    generator = np.random.default_rng(seed)
    basis, target = generator.choice([-3.0, -1.0, 1.0, 3.0], (vectors, height)), generator.standard_normal((height, 3))
    scale = np.array([0.05, 0.2, 1.0])
    integers = np.zeros((3, vectors), dtype=np.int64)
    allowed = integers_of(bits, powers)
    integers[:, : min(most, vectors)] = generator.choice(allowed, (3, min(most, vectors)))

    def error() -> npt.NDArray[np.float64]:
        return np.asarray(((target - basis.T @ (scale * integers.T)) ** 2).sum(axis=0))

    before = error()
    taken = descend(basis @ basis.T, (basis @ target).T.copy(), scale, integers, most, nearest(allowed), 20)
    assert (error() <= before * (1 + 1e-9)).all()
    assert np.allclose((target**2).sum(axis=0) - taken, error(), rtol=1e-6, atol=1e-9)
    assert np.count_nonzero(integers, axis=1).max() <= most
    assert np.isin(integers, allowed).all()


@pytest.mark.parametrize(("bits", "powers"), [(2, False), (4, False), (8, False), (2, True), (3, True), (4, True)])
def test_the_nearest_of_the_integers_that_a_coefficient_can_be(bits: int, powers: bool) -> None:
    allowed, x = integers_of(bits, powers), np.linspace(-140.3, 140.3, 4001)
    table = nearest(allowed)
    found = table[np.clip(np.floor(2 * x) + len(table) // 2, 0, len(table) - 1).astype(int)]
    assert np.allclose(np.abs(x - found), np.abs(x[:, None] - allowed).min(axis=1))
    assert len(allowed) == (1 << bits) - powers
    assert not powers or set(allowed[allowed > 0]) == {1 << each for each in range(len(allowed) // 2)}


@few
@given(seeds, st.integers(1, 12), st.integers(1, 12))
def test_pursuit_takes_the_largest_of_orthogonal_vectors_and_all_that_are_independent(
    seed: int, vectors: int, most: int
) -> None:
    generator = np.random.default_rng(seed)
    wanted = generator.standard_normal((2, vectors))
    kept = np.abs(wanted).argsort(axis=1).argsort(axis=1) >= vectors - most
    assert np.allclose(pursue(np.eye(vectors), wanted, most), np.where(kept, wanted, 0.0))
    basis = generator.standard_normal((vectors, vectors + 3))
    gram = basis @ basis.T
    assert np.allclose(pursue(gram, wanted, vectors) @ gram, wanted, atol=1e-6)


# Refusals.


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"basis": "lerned"}, OptionError, "no basis 'lerned'"),
        ({"levels": 17}, NumberError, "2 to 16 levels"),
        ({"levels": 0}, NumberError, "2 to 16 levels"),
        ({"bits": 1}, NumberError, "2 to 8 bits"),
        ({"nonzeros": 0}, NumberError, "at least 1 coefficient"),
        ({"vectors": 0}, NumberError, "at least one vector"),
        ({"coefficients": "halves"}, OptionError, "no coefficients 'halves'"),
        ({"coefficients": "powers", "bits": 5}, NumberError, "2 to 4 bits"),
        ({"cells": np.zeros((3, 3))}, NumberError, "finite levels"),
        ({"basis": np.array([[0.5, 1.0]])}, NumberError, "integers"),
        ({"basis": np.array([[0, 1, 2]])}, NumberError, "evenly spaced"),
        ({"basis": np.array([[1, 3]]), "levels": 2}, NumberError, "evenly spaced"),
    ],
)
def test_what_is_no_basis_is_refused(options: dict[str, Any], error: type[MhoError], word: str) -> None:
    network = wide(rows=9, outputs=2)
    with pytest.raises(error, match=word):
        fit_basis(network, synthetic(network, 2, seed=1).inputs, **options)


@given(st.integers(1, 2000), st.integers(1, 300))
def test_segments_are_as_few_as_hold_the_rows_and_equally_long_but_for_one(rows: int, height: int) -> None:
    parts = segments(rows, height)
    lengths = [part.stop - part.start for part in parts]
    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])] and parts[-1].stop == rows
    assert len(parts) == -(-rows // height) and max(lengths) <= height and max(lengths) - min(lengths) <= 1


def test_codings_are_checked_when_built() -> None:
    (layer,) = wide(rows=9, outputs=2).matrix_layers
    cells = np.ones((3, 5), dtype=np.uint8)

    def each(number: int, segments: int = 2, vectors: int = 3) -> dict[str, Coefficients]:
        return {layer.name: Coefficients.of(np.full((1, segments, vectors, 2), number, dtype=np.int8))}

    coding = BasisCoding(cells, 2, 2, 3, each(1))
    assert coding.integers(layer).tolist() == [[[3, 3]] * 9]
    for changes, word in (
        ({"cells": 2 * cells}, "cannot hold level 2"),
        ({"cells": cells.astype(int)}, "uint8"),
        ({"nonzeros": 2}, "3 coefficients in a segment"),
        ({"coefficients": each(2)}, "2 bits say -2 to 1"),
        ({"powers": True, "bits": 3, "coefficients": each(3)}, "powers of two up to 4"),
        ({"units": True}, "unit vectors are as many"),
        ({"coefficients": each(1, vectors=2)}, "of 2 vectors, not of 3"),
    ):
        with pytest.raises(NumberError, match=word):
            replace(coding, **changes)
    with pytest.raises(NumberError, match="were given"):
        replace(coding, coefficients=each(1, segments=1)).integers(layer)
    with pytest.raises(NumberError, match="none were given"):
        replace(coding, coefficients={}).integers(layer)
    # Unit vectors beyond the 4 inputs of the first segment would be fetched for nothing.
    units = replace(coding, cells=np.eye(5, dtype=np.uint8), coefficients=each(1, vectors=5), nonzeros=5, units=True)
    with pytest.raises(NumberError, match="beyond the 4 inputs of segment 0"):
        units.integers(layer)
    large = BasisCoding(np.full((40, 9), 15, np.uint8), 16, 8, 40, each(127, 1, 40))
    with pytest.raises(NumberError, match="16 at most"):
        composed(large, layer, np.ones((1, 2)), None)


# Real data.


@pytest.mark.nightly
@pytest.mark.parametrize(("basis", "least"), [("learned", 0.910), ("universal", 0.906)])
def test_resnet20_on_512_vectors_keeps_its_accuracy(data: Path, basis: str, least: float) -> None:
    network = mho.Network.from_onnx(data / "cifar10/resnet20.onnx")
    calibration = load_samples(data / "cifar10/train_calib.npz", network).inputs[0][:500]
    accuracy = top1(fit_basis(network, calibration, basis=basis), load_samples(data / "cifar10/test_a.npz", network))
    assert accuracy.samples == 5000
    assert accuracy.right_in_integers >= least * 5000
