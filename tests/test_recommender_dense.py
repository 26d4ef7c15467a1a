"""Dense parts of recommenders: the network is the torch module, steps are a change of units, programs are bit-exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

import mho
from mho.errors import OptionError, WeightError
from mho.network.layers import MatrixProduct
from mho.network.zoo.recommenders import SIZES, DenseSizes, dense, in_steps, seeded, tensors, weights_of
from mho.training.recommender import Dense
from tests.strategies import GREEDY

SIZE = st.builds(
    DenseSizes,
    vectors=st.integers(1, 6),
    dimension=st.integers(1, 9),
    hidden=st.lists(st.integers(1, 12), min_size=1, max_size=3).map(tuple),
    pairs=st.booleans(),
)


def vectors(sizes: DenseSizes, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, sizes.vectors, sizes.dimension))


def scores(network: mho.Network, x: np.ndarray) -> np.ndarray:
    return mho.number.run_float(network, x)["score"]


def by_hand(sizes: DenseSizes, weights: dict[str, np.ndarray], query: np.ndarray) -> float:
    """One query, by sums alone."""
    first = list(query.reshape(-1))
    x = weights["from_vectors.weight"].astype(float) @ first + weights["from_vectors.bias"]
    if sizes.products:
        pairs = [sum(query[i] * query[j]) for i in range(sizes.vectors) for j in range(i)]
        x = x + weights["from_pairs.weight"].astype(float) @ pairs
    for place in range(len(sizes.hidden)):
        x = weights[f"top.{place}.weight"].astype(float) @ np.maximum(x, 0) + weights[f"top.{place}.bias"]
    return float(x[0])


@settings(max_examples=40)
@given(SIZE, st.integers(0, 99))
def test_the_network_computes_what_the_formula_says(sizes: DenseSizes, seed: int) -> None:
    weights = seeded(sizes, seed)
    x = vectors(sizes, 3, seed)
    got = scores(dense(sizes, weights, name="part", origin="test"), x)
    assert got.shape == (3, 1)
    assert got[:, 0] == pytest.approx([by_hand(sizes, weights, query) for query in x], rel=1e-9, abs=1e-9)


@settings(max_examples=30)
@given(SIZE, st.integers(0, 99))
def test_the_network_is_the_torch_module(sizes: DenseSizes, seed: int) -> None:
    module = Dense(sizes)
    weights = {name: parameter.detach().numpy() for name, parameter in module.named_parameters()}
    assert {name: each.shape for name, each in weights.items()} == tensors(sizes)
    x = vectors(sizes, 5, seed)
    with torch.no_grad():
        wanted = module.double()(torch.from_numpy(x)).numpy()
    assert np.abs(scores(dense(sizes, weights, name="part", origin="test"), x) - wanted).max() < 1e-9


def test_torch_export_of_the_module_gives_the_same_scores() -> None:
    """Another way in: the importer, which knows nothing of `dense`."""
    sizes = DenseSizes(2, 4, (5, 3), pairs=False)
    module = Dense(sizes).eval()
    network = mho.Network.from_torch(module, torch.zeros(1, 2, 4))
    x = vectors(sizes, 6)
    ours = scores(dense(sizes, {n: p.detach().numpy() for n, p in module.named_parameters()}, name="a", origin="b"), x)
    assert np.abs(next(iter(mho.number.run_float(network, x).values())) - ours).max() < 1e-5


@settings(max_examples=30)
@given(SIZE, st.integers(0, 99))
def test_steps_are_a_change_of_units(sizes: DenseSizes, seed: int) -> None:
    steps = np.exp(np.random.default_rng(seed).uniform(-3, 3, sizes.vectors))
    weights, x = seeded(sizes, seed), vectors(sizes, 4, seed)
    plain = scores(dense(sizes, weights, name="part", origin="test"), x)
    stepped = dense(sizes, in_steps(sizes, weights, steps), name="part", origin="test")
    # Weights are rounded to float32: relative errors of 2^-24, times sums of magnitudes that are larger than the scores.
    assert np.abs(scores(stepped, x / steps[:, None]) - plain).max() < 1e-4 * (1 + np.abs(plain).max())


@pytest.mark.parametrize("name", ["dlrm", "ncf"])
def test_the_zoo_knows_them(name: str, tmp_path: Path) -> None:
    sizes = SIZES[name]
    shapes = mho.zoo.load(name)
    assert not shapes.has_values and weights_of(shapes) is None and shapes.origin == "none (shapes only)"
    network = mho.zoo.load(name, weights="seeded", seed=3, batch=4)
    assert network.batch == 4 and "synthetic" in network.origin
    assert (
        network.weights == shapes.weights == sum(np.prod(s) for k, s in tensors(sizes).items() if k.endswith("weight"))
    )
    products = [layer for layer in network.layers if isinstance(layer, MatrixProduct)]
    assert len(products) == (1 if sizes.pairs else 0)
    held = weights_of(network)
    assert held is not None
    save_file(held, tmp_path / "w.safetensors")
    again = mho.zoo.load(name, weights=tmp_path / "w.safetensors")
    x = vectors(sizes, 4)
    assert np.array_equal(scores(again, x), scores(network, x))
    del held["top.0.bias"]
    save_file(held, tmp_path / "w.safetensors")
    with pytest.raises(WeightError, match=r"top\.0\.bias"):
        mho.zoo.load(name, weights=tmp_path / "w.safetensors")


def test_published_sizes_of_the_ncf() -> None:
    """64-32-16-8-1 (He et al. 2017): weights of the four layers."""
    assert mho.zoo.load("ncf").weights == 64 * 32 + 32 * 16 + 16 * 8 + 8


@pytest.mark.parametrize("schedule", ["naive", "overlap", "adaptive"])
@pytest.mark.parametrize("name", ["dlrm", "ncf"])
def test_programs_are_bit_exact_and_legal(name: str, schedule: str) -> None:
    network = mho.zoo.load(name, weights="seeded", batch=8)
    x = vectors(SIZES[name], 24)
    program = mho.compile(mho.number.quantise(network, x), "aras", GREEDY.with_(schedule=schedule))
    result = mho.verify(program, x[:16])
    assert result.ok and result.compared > len(network.matrix_layers), str(result)


def test_products_with_itself_do_not_widen_the_code() -> None:
    """The code of products spans the products of different vectors, which are what is read."""
    sizes = DenseSizes(3, 8, (4,))
    x = vectors(sizes, 64)
    x[:, 1:] *= 0.01
    quantised = mho.number.quantise(dense(sizes, seeded(sizes, 0), name="part", origin="test"), x)
    later, earlier = np.tril_indices(3, -1)
    products = (x @ x.transpose(0, 2, 1))[:, later, earlier]
    scale = float(quantised.codes["interaction.pairs"].scale)
    assert scale * 255 == pytest.approx(products.max() - products.min(), rel=1e-6)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda w: w.pop("from_pairs.weight"), "missing"),
        (lambda w: w.update(extra=np.zeros(1, np.float32)), "not part of it"),
        (lambda w: w.update({"top.0.bias": np.zeros(9, np.float32)}), "shape"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change: object, text: str) -> None:
    weights = seeded(SIZES["dlrm"], 0)
    change(weights)  # type: ignore[operator]
    with pytest.raises(OptionError, match=text):
        dense(SIZES["dlrm"], weights, name="part", origin="test")


@pytest.mark.parametrize(
    "sizes", [(0, 4, (3,)), (2, 0, (3,)), (2, 4, ()), (2, 4, (0,)), (True, 4, (3,)), (2, 1.5, (3,))]
)
def test_sizes_below_one_are_refused(sizes: tuple[int, int, tuple[int, ...]]) -> None:
    with pytest.raises(OptionError):
        DenseSizes(*sizes)


def test_options_of_other_models_are_refused() -> None:
    for option in ({"sequence": 4}, {"input_size": 4}):
        with pytest.raises(OptionError, match="neither"):
            mho.zoo.load("dlrm", **option)
