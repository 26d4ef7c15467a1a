"""Networks in torch: the very function of the float network, and near the integer reference at any bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mho import number
from mho.errors import NetworkError
from mho.network.builder import Builder
from mho.network.graph import Network
from mho.network.layers import Activation, Array, Constant, Input, Linear, Normalise, Reduce
from mho.network.zoo.recommenders import DenseSizes, dense, seeded
from mho.number.reference import run_reference
from mho.number.walk import run_float
from mho.training.fake import chosen_share, coded_by_share, coded_weight
from mho.training.functions import ACTIVATIONS, ELEMENTWISE, FUNCTIONS, REDUCED
from mho.training.graph import EVERY, Graph
from tests.strategies import Sketch, attention, convolutional

PARAMETERS = {
    "low": -0.5,
    "high": 0.7,
    "slope": 0.1,
    "alpha": 0.4,
    "beta": 0.3,
    "exponent": 2.0,
    "scale": 1.5,
    "shift": -0.2,
}
POSITIVE = ("log", "sqrt", "reciprocal_sqrt", "reciprocal")


def samples_of(network: Network, count: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    drawn = []
    for layer in network.inputs:
        shape = (count * network.batch, *layer.shape[1:])
        drawn.append(random.integers(0, 2, shape) if layer.integers else random.standard_normal(shape))
    return tuple(drawn)


def small(hidden: tuple[int, ...] = (12, 6), seed: int = 0) -> Network:
    sizes = DenseSizes(vectors=4, dimension=3, hidden=hidden)
    return dense(sizes, seeded(sizes, seed), name="small", origin="seeded")


def in_torch(graph: Graph, samples: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
    with torch.no_grad():
        return {name: y.numpy() for name, y in graph(*map(torch.from_numpy, samples)).items()}


@given(st.one_of(convolutional(), attention()), st.integers(1, 3))
@settings(max_examples=60)
def test_without_bits_it_is_the_float_network(network: Network, count: int) -> None:
    unknown = [layer for layer in network.layers if layer.kind not in (*FUNCTIONS, "input")]
    if unknown:
        with pytest.raises(NetworkError, match=repr(unknown[0].name)):
            Graph(network)
        return
    samples = samples_of(network, count)
    real, torchs = run_float(network, samples), in_torch(Graph(network).double(), samples)
    assert real.keys() == torchs.keys()
    for name, value in real.items():
        np.testing.assert_allclose(torchs[name], value, rtol=1e-6, atol=1e-6 * max(1.0, np.abs(value).max()))


@pytest.mark.parametrize("function", ACTIVATIONS)
def test_activations_are_those_of_the_network(function: str) -> None:
    parameters = {name: PARAMETERS[name] for name in Activation.FUNCTIONS[function]}
    sketch = Sketch(0, (1, 40))
    sketch.add(Activation(name="y", inputs=("input",), shape=(1, 40), function=function, parameters=parameters))
    network, x = sketch.network(), np.linspace(-4.0, 4.0, 40)[None]
    x = np.abs(x) if function in POSITIVE else x
    np.testing.assert_allclose(in_torch(Graph(network), (x,))["y"], run_float(network, x)["y"], atol=1e-9)


@pytest.mark.parametrize("function", ELEMENTWISE)
@pytest.mark.parametrize("known", [False, True])
def test_two_tensors_combined(function: str, known: bool) -> None:
    sketch = Sketch(0, (1, 5))
    other: Input | Constant = Input(name="other", inputs=(), shape=(1, 5))
    if known:
        other = Constant(
            name="other", inputs=(), shape=(1, 5), value=Array.of(np.arange(1.0, 6.0, dtype=np.float32)[None])
        )
    sketch.add(other)
    network = Network("two", (*sketch.layers, _elementwise(function)), ("y",), "drawn")
    samples = tuple(np.abs(each) + 0.1 for each in samples_of(network, 4))
    np.testing.assert_allclose(in_torch(Graph(network), samples)["y"], run_float(network, samples)["y"], rtol=1e-9)


def _elementwise(function: str) -> object:
    from mho.network.layers import Elementwise

    return Elementwise(name="y", inputs=("input", "other"), shape=(1, 5), function=function)


def moved() -> Network:
    """A network of all layers that move, join, normalise and reduce."""
    random, builder = np.random.default_rng(0), Builder()
    x = builder.input((1, 3, 4))
    parts = [builder.slice(x, 1, 0, 2), builder.slice(x, 1, 2, 0, -1), builder.take(x, 2 - 1, (2, 0))]
    x = builder.concatenate([parts[0], parts[1]], 1)
    x = builder.swap(x, 1, 2)
    constant = builder.constant(Array.of(random.standard_normal((1, 1, 4)).astype(np.float32)), "constant")
    x = builder.concatenate([x, constant], 1)
    scale, offset = (Array.of(random.standard_normal(4).astype(np.float32)) for _ in range(2))
    for function in ("layer", "rms"):
        x = builder.append(Normalise, x, function=function, epsilon=1e-5, scale=scale, offset=offset)
    x = builder.linear(x, Array.of(random.standard_normal((6, 2)).astype(np.float32)), groups=2)
    sums = [builder.append(Reduce, x, function=each, axes=(1,), keep=True) for each in REDUCED]
    x = builder.softmax(builder.concatenate(sums, 1), 1)
    return Network("moved", tuple(builder.layers.values()), (x,), "drawn")


def test_layers_that_move_and_reduce() -> None:
    network = moved()
    samples = samples_of(network, 3)
    for name, value in run_float(network, samples).items():
        np.testing.assert_allclose(in_torch(Graph(network).double(), samples)[name], value, rtol=1e-6, atol=1e-7)


@given(st.integers(0, 999), st.sampled_from([(8, 8), (6, 8), (4, 8), (4, 4), (2, 8), (2, 4), (1, 8)]), st.booleans())
@settings(max_examples=40)
def test_quantised_it_is_near_the_integer_reference(seed: int, bits: tuple[int, int], per_channel: bool) -> None:
    network, samples = small(seed=seed), samples_of(small(), 300, seed)
    graph = Graph(network, {"from*": f"{bits[0]}/{bits[1]}", "*": 8}, per_channel=per_channel)
    graph.calibrate(*samples)
    graph.eval()
    shown = in_torch(graph, tuple(each.astype(np.float32) for each in samples))["score"]
    same = run_reference(graph.quantise(samples), samples)["score"]
    free = number.quantise(network, samples, bits=graph.bits, per_channel=per_channel)
    spread = same.std()
    assert np.abs(shown - same).max() < 0.15 * spread and np.abs(shown - same).mean() < 0.005 * spread
    assert graph.quantise(samples).bits == free.bits
    for name, matrix in graph.quantise(samples).matrices.items():
        assert np.array_equal(matrix.codes, free.matrices[name].codes)
    if bits == (8, 8):
        assert np.abs(shown - run_reference(free, samples)["score"]).mean() < 0.02 * spread


@given(st.integers(0, 99), st.sampled_from([1, 2, 3, 4, 8]), st.booleans(), st.booleans())
@settings(max_examples=40)
def test_weights_show_what_their_codes_stand_for(seed: int, bits: int, per_channel: bool, symmetric: bool) -> None:
    if symmetric and bits == 1:
        return
    weight = np.random.default_rng(seed).standard_normal((5, 20)).astype(np.float32)
    sketch = Sketch(0, (1, 20))
    sketch.add(Linear(name="y", inputs=("input",), shape=(1, 5), weight=Array.of(weight)))
    coded = number.quantise(sketch.network(), bits=bits, per_channel=per_channel, symmetric=symmetric).matrices["y"]
    real = torch.from_numpy(weight)
    exact = coded_weight(real, bits, per_channel, symmetric)
    np.testing.assert_allclose(exact.numpy(), coded.real()[0].T, rtol=1e-5, atol=1e-6)
    if bits == 1:
        return
    best = float((exact - real).square().sum())
    for hasty, most in ((False, 1.03), (True, 1.5)):
        share = chosen_share(real, bits, per_channel, symmetric, hasty)
        shown = coded_by_share(real, bits, share, per_channel, symmetric)
        assert best * 0.97 - 1e-9 <= float((shown - real).square().sum()) <= most * best + 1e-9


def test_gradients_pass_through_codes() -> None:
    graph = Graph(small(), bits="4/4")
    samples = tuple(torch.from_numpy(each.astype(np.float32)) for each in samples_of(graph.network, 50))
    graph(*samples)["score"].square().mean().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in graph.weights.values())


def test_trained_weights_go_back_into_the_network() -> None:
    graph = Graph(small(seed=1))
    other = Graph(small(seed=2))
    other.load(graph.arrays())
    samples = samples_of(graph.network, 5)
    assert np.array_equal(run_float(other.trained(), samples)["score"], run_float(graph.network, samples)["score"])
    with pytest.raises(NetworkError, match=r"'top\.0\.weight' is missing"):
        other.load({name: array for name, array in graph.arrays().items() if name != "top.0.weight"})


def test_ranges_follow_the_batches_of_training_only() -> None:
    graph = Graph(small(), bits=8, momentum=0.5)
    samples = torch.randn(64, 4, 3, generator=torch.Generator().manual_seed(0))
    graph.calibrate(samples)
    low, high, _ = graph.codes()["vectors"]
    for _ in range(EVERY):
        graph(2 * samples)
    assert graph.codes()["vectors"][1] == pytest.approx(1.5 * high)
    graph.eval()
    for _ in range(EVERY):
        graph(5 * samples)
    assert graph.codes()["vectors"][1] == pytest.approx(1.5 * high)
    assert graph.codes()["vectors"][0] == pytest.approx(1.5 * low)


def test_what_cannot_be_trained_is_refused_by_name() -> None:
    with pytest.raises(NetworkError, match=r"small takes 'vectors' \(samples, 4, 3\), not \(5, 4, 2\)"):
        Graph(small())(torch.zeros(5, 4, 2))
    sizes = DenseSizes(vectors=4, dimension=3, hidden=(4,))
    with pytest.raises(NetworkError, match="has shapes but no weights"):
        Graph(dense(sizes, name="bare", origin="none")).arrays()
    sketch = Sketch(0, (1, 4))
    sketch.add(Activation(name="odd", inputs=("input",), shape=(1, 4), function="arcsine"))
    with pytest.raises(NetworkError, match=r"'odd' \(activation\) cannot be trained: 'arcsine'"):
        Graph(sketch.network())


def test_balanced_weights_give_every_layer_a_variance_of_one() -> None:
    graph = Graph(moved_deep())
    samples = torch.randn(400, 4, 3, generator=torch.Generator().manual_seed(0)) * 0.01
    graph.balance(samples)
    names = [layer.name for layer in graph.network.matrix_layers]
    values = run_float(graph.trained(), samples.numpy(), keep=names)
    for name in names:
        assert values[name].std() == pytest.approx(1.0, rel=0.02)


def moved_deep() -> Network:
    return small(hidden=(12, 6, 5), seed=3)
