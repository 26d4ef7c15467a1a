"""Hand-made models compute what their papers say, in real numbers as written out here, in integers as on a chip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.errors import OptionError
from mho.network.zoo.interaction import MODELS, of
from mho.network.zoo.interaction.handmade import (
    DLRM,
    HAND_MADE,
    AutoInt,
    DCNv2,
    DeepFM,
    FactorisationMachine,
    FinalMLP,
    LogisticRegression,
)  # fmt: skip
from mho.network.zoo.interaction.model import Model
from mho.network.zoo.recommenders import INPUT, OUTPUT

FloatArray = np.ndarray
Weights = Mapping[str, FloatArray]
SMALL: dict[str, Model] = {
    "lr": LogisticRegression(),
    "fm": FactorisationMachine(),
    "deepfm": DeepFM((6, 4)),
    "dlrm": DLRM((6, 4)),
    "dcnv2": DCNv2((6, 4), 3),
    "autoint": AutoInt((6, 4), 2, 2, 3),
    "finalmlp": FinalMLP((6, 4), (5, 6), 2),
}
sizes = st.tuples(st.integers(2, 5), st.integers(2, 4), st.integers(0, 99))


def perceptron(weights: Weights, name: str, x: FloatArray) -> FloatArray:
    """Compute hidden layers."""
    place = 0
    while f"{name}.{place}.weight" in weights:
        x = np.maximum(weights[f"{name}.{place}.weight"] @ x + weights[f"{name}.{place}.bias"], 0.0)
        place += 1
    return x


def machine(weights: Weights, rows: FloatArray) -> float:
    """Compute a factorisation machine pair by pair (Rendle 2010, equation 1), with a factor for each number."""
    pairs = sum(first * second for first, second in combinations(rows[:, :-1], 2))
    return float(rows[:, -1].sum() + (2 * weights["pairs.weight"] @ pairs + weights["pairs.bias"]).item())


def deepfm(weights: Weights, rows: FloatArray) -> float:
    """Compute DeepFM (Guo et al. 2017, equation 1)."""
    deep = perceptron(weights, "deep", rows[:, :-1].ravel())
    return machine(weights, rows) + (weights["top.weight"] @ deep).item()


def dlrm(weights: Weights, rows: FloatArray) -> float:
    """Compute the products of each two vectors and a perceptron."""
    pairs = np.array([rows[later] @ rows[earlier] for later in range(len(rows)) for earlier in range(later)])
    x = (
        weights["from_vectors.weight"] @ rows.ravel()
        + weights["from_vectors.bias"]
        + weights["from_pairs.weight"] @ pairs
    )
    place = 0
    while f"top.{place}.weight" in weights:
        x = weights[f"top.{place}.weight"] @ np.maximum(x, 0.0) + weights[f"top.{place}.bias"]
        place += 1
    return float(x.item())


def dcnv2(weights: Weights, rows: FloatArray) -> float:
    """Compute DCN V2 (Wang et al. 2021, equation 1) beside a perceptron."""
    start = x = rows.ravel()
    for place in range(3):
        x = start * (weights[f"cross.{place}.weight"] @ x + weights[f"cross.{place}.bias"]) + x
    deep = perceptron(weights, "deep", start)
    return float((weights["crossed.weight"] @ x + weights["top.weight"] @ deep + weights["top.bias"]).item())


def autoint(weights: Weights, rows: FloatArray) -> float:
    """Compute AutoInt head by head (Song et al. 2019, equations 5 to 8) beside a perceptron."""
    x, heads, size = rows, 2, 3
    for place in range(2):
        queries, keys, values, kept = np.split(weights[f"attention.{place}.weight"], 4)
        parts = []
        for head in range(heads):
            own = slice(head * size, (head + 1) * size)
            scores = np.exp((x @ queries[own].T) @ (x @ keys[own].T).T)
            parts.append(scores / scores.sum(axis=1, keepdims=True) @ (x @ values[own].T))
        x = np.maximum(np.concatenate(parts, axis=1) + x @ kept.T, 0.0)
    deep = perceptron(weights, "deep", rows.ravel())
    return float((weights["attended.weight"] @ x.ravel() + weights["top.weight"] @ deep + weights["top.bias"]).item())


def finalmlp(weights: Weights, rows: FloatArray) -> float:
    """Compute the bilinear fusion of two perceptrons, head by head (Mao et al. 2023, equation 10)."""
    left, right = (perceptron(weights, name, rows.ravel()) for name in ("deep", "second"))
    score = weights["top.weight"] @ left + weights["top.bias"] + weights["beside.weight"] @ right
    for head in range(2):
        of_left, of_right = slice(2 * head, 2 * head + 2), slice(3 * head, 3 * head + 3)
        matrix = weights["fusion.weight"][of_right] * weights["fused.weight"][0, of_right, None]
        score = score + right[of_right] @ matrix @ left[of_left]
    return float(score.item())


WRITTEN_OUT: dict[str, Callable[[Weights, FloatArray], float]] = {
    "lr": lambda weights, rows: (weights["first.weight"] @ rows[:, 0] + weights["first.bias"]).item(),
    "fm": machine, "deepfm": deepfm, "dlrm": dlrm, "dcnv2": dcnv2, "autoint": autoint, "finalmlp": finalmlp,
}  # fmt: skip


def drawn(model: Model, fields: int, dimension: int, seed: int) -> dict[str, np.ndarray]:
    """Draw weights none of which is 0, biases among them."""
    random = np.random.default_rng(seed)
    return {
        name: random.normal(0, 0.5, shape).astype(np.float32)
        for name, shape in model.weights(fields, dimension).items()
    }


def rows_of(model: Model, fields: int, dimension: int, seed: int, records: int = 5) -> np.ndarray:
    """Draw what the tables give."""
    return np.random.default_rng(seed).normal(0, 0.5, (records, fields, model.width(dimension)))


def test_every_hand_made_model_is_tried():
    assert set(SMALL) == {model.kind for model in HAND_MADE} <= set(MODELS)


@pytest.mark.parametrize("kind", SMALL)
@given(sizes=sizes)
@settings(max_examples=10)
def test_a_model_computes_what_its_paper_says(kind, sizes):
    model, (fields, dimension, seed) = SMALL[kind], sizes
    weights, rows = drawn(model, fields, dimension, seed), rows_of(model, fields, dimension, seed)
    network = model.build(fields, dimension, weights)
    scores = mho.number.reference.run_float(network, rows)[OUTPUT]
    expected = [WRITTEN_OUT[kind]({name: array.astype(float) for name, array in weights.items()}, row) for row in rows]
    np.testing.assert_allclose(scores[:, 0], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", SMALL)
def test_a_model_is_one_network_by_shapes_weights_and_batch(kind):
    model = SMALL[kind]
    shapes, fresh = model.build(4, 3), model.build(4, 3, model.fresh(4, 3, 0), batch=6, name="mine", origin="fresh")
    assert [layer.name for layer in shapes.layers] == [layer.name for layer in fresh.layers]
    assert (fresh.name, fresh.origin, shapes.has_values) == ("mine", "fresh", False)
    assert fresh.batch == 6 and fresh.inputs[0].name == INPUT and fresh.inputs[0].shape == (6, 4, model.width(3))
    assert fresh.returned == {OUTPUT: OUTPUT} and fresh.by_name[OUTPUT].shape == (6, 1)
    arrays = {f"{layer.name}.weight": layer.weight.values for layer in fresh.matrix_layers}
    arrays |= {f"{layer.name}.bias": layer.bias.values for layer in fresh.matrix_layers if layer.bias is not None}
    assert {name: array.shape for name, array in arrays.items() if array is not None} == model.weights(4, 3)


@pytest.mark.parametrize("kind", SMALL)
@given(sizes=sizes, bits=st.sampled_from(["8", "4/8", "2/4"]))
@settings(max_examples=4)
def test_integers_run_on_a_chip_as_in_the_reference(kind, sizes, bits):
    model, (fields, dimension, seed) = SMALL[kind], sizes
    network = model.build(fields, dimension, drawn(model, fields, dimension, seed))
    rows = rows_of(model, fields, dimension, seed, 20)
    program = mho.compile(mho.quantise(network, rows, bits=bits), "isaac")
    verification = mho.verify(program, rows[:3])
    assert verification.ok, str(verification)


@pytest.mark.parametrize("kind", ["lr", "fm"])
@given(sizes=sizes)
@settings(max_examples=5)
def test_the_order_of_fields_changes_nothing_where_fields_are_alike(kind, sizes):
    model, (fields, dimension, seed) = SMALL[kind], sizes
    weights = drawn(model, fields, dimension, seed)
    order = np.random.default_rng(seed).permutation(fields)
    permuted = {**weights, "first.weight": weights["first.weight"][:, order]} if kind == "lr" else weights
    rows = rows_of(model, fields, dimension, seed)
    scores = mho.number.reference.run_float(model.build(fields, dimension, weights), rows)[OUTPUT]
    again = mho.number.reference.run_float(model.build(fields, dimension, permuted), rows[:, order])[OUTPUT]
    np.testing.assert_allclose(again, scores, rtol=1e-12)


@pytest.mark.parametrize("kind", SMALL)
def test_a_model_is_its_record(kind):
    model = SMALL[kind]
    record = model.record()
    assert of(record) == model and record["model"] == kind
    with pytest.raises(OptionError, match="no key 'width_of_heads'"):
        of({**record, "width_of_heads": 3})


@pytest.mark.parametrize(
    ("kind", "sizes", "words"),
    [
        ("deepfm", {"hidden": ()}, "hidden is of whole numbers"),
        ("dlrm", {"hidden": (0,)}, "from 1 to"),
        ("dcnv2", {"crosses": True}, "crosses"),
        ("autoint", {"heads": 1.5}, "heads"),
        ("finalmlp", {"hidden": (10,), "heads": 4}, "do not divide"),
    ],
)
def test_sizes_that_make_no_model_are_refused(kind, sizes, words):
    with pytest.raises(OptionError, match=words):
        MODELS[kind](**sizes)
