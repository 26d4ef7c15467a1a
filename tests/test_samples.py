"""Samples fit the network they are read for, or are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mho.errors import NetworkError, OptionError
from mho.network.graph import Network
from mho.network.layers import Affine, Array, Embedding, Input, Linear
from mho.network.samples import Samples, load_samples, read_keys, synthetic
from mho.number import quantise
from mho.number.accuracy import top1

PIXELS = Network("image", (Input(name="image", inputs=(), shape=(1, 3, 4, 5)),), ("image",), "none")
CODED = Network(
    "codes",
    (Input(name="image", inputs=(), shape=(1, 3, 4, 5), type="int8"),),
    ("image",),
    "none",
    {"image": Affine(np.array(0.5), np.array(0), -128, 127, None)},
)
WORDS = Network(
    "words",
    (
        Input(name="tokens", inputs=(), shape=(2, 6), type="int64"),
        Embedding(name="table", inputs=("tokens",), shape=(2, 6, 3), table=Array((11, 3))),
    ),
    ("table",),
    "none",
)


def saved(folder: Path, **arrays: np.ndarray) -> Path:
    np.savez(folder / "samples.npz", **arrays)
    return folder / "samples.npz"


@given(count=st.integers(1, 5), seed=st.integers(0, 100))
def test_synthetic_samples_are_the_same_for_the_same_seed_and_within_range(count: int, seed: int) -> None:
    first, second = synthetic(WORDS, count, seed), synthetic(WORDS, count, seed)
    assert np.array_equal(first.inputs[0], second.inputs[0])
    assert first.inputs[0].shape == (2 * count, 6) and len(first) == 2 * count
    assert first.inputs[0].min() >= 0 and first.inputs[0].max() <= 10
    assert first.origin.startswith(f"{2 * count} synthetic samples") and first.labels is None


@pytest.mark.parametrize("layout", ["channels first", "channels last"])
def test_images_are_brought_channels_first(layout: str, tmp_path: Path) -> None:
    images = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    held = images if layout == "channels first" else images.transpose(0, 2, 3, 1)
    found = load_samples(saved(tmp_path, x=held, y=np.array([1, 2])), PIXELS)
    assert np.array_equal(found.inputs[0], images)
    assert found.labels is not None and found.labels.tolist() == [1, 2]
    assert found.first(1).labels is not None and len(found.first(1)) == 1


def test_a_missing_axis_of_one_channel_is_added(tmp_path: Path) -> None:
    network = Network("grey", (Input(name="image", inputs=(), shape=(1, 1, 4, 5)),), ("image",), "none")
    assert load_samples(saved(tmp_path, x=np.ones((3, 4, 5))), network).inputs[0].shape == (3, 1, 4, 5)


def test_unsigned_pixels_become_signed_codes(tmp_path: Path) -> None:
    pixels = np.linspace(0, 255, 60).astype(np.uint8).reshape(1, 3, 4, 5)
    found = load_samples(saved(tmp_path, x=pixels), CODED).inputs[0]
    assert np.array_equal(found.astype(int), pixels.astype(int) - 128)


def test_the_array_named_like_the_input_is_preferred_and_key_decides(tmp_path: Path) -> None:
    path = saved(tmp_path, other=np.zeros((1, 3, 4, 5)), image=np.ones((1, 3, 4, 5)))
    assert load_samples(path, PIXELS).inputs[0].all()
    assert not load_samples(path, PIXELS, key="other").inputs[0].any()


TWO = Network(
    "two", tuple(Input(name=name, inputs=(), shape=(1, 4)) for name in ("left", "right")), ("left", "right"), "none"
)


def test_an_array_serves_one_input_and_several_that_fit_are_asked_for_by_name(tmp_path: Path) -> None:
    a, b = np.zeros((3, 4)), np.ones((3, 4))
    path = saved(tmp_path, a=a, b=b)
    with pytest.raises(NetworkError, match=r"2 arrays fit input 'left': 'a', 'b'.*--key left=a"):
        load_samples(path, TWO)
    for key, lefts, rights in (({"left": "b", "right": "a"}, b, a), ({"left": "a"}, a, b), ({"right": "a"}, b, a)):
        loaded = load_samples(path, TWO, key=key).inputs
        assert np.array_equal(loaded[0], lefts) and np.array_equal(loaded[1], rights)
    with pytest.raises(NetworkError, match="array 'a' cannot serve several inputs"):
        load_samples(path, TWO, key={"left": "a", "right": "a"})
    with pytest.raises(NetworkError, match="no array fits input 'right'"):
        load_samples(saved(tmp_path, left=a), TWO)
    with pytest.raises(NetworkError, match="2 arrays fit"):
        load_samples(saved(tmp_path, one=np.zeros((1, 3, 4, 5)), other=np.ones((1, 3, 4, 5))), PIXELS)
    # The names of the inputs decide, and what fits one input alone is left for it.
    loaded = load_samples(saved(tmp_path, right=a, z=b), TWO).inputs
    assert np.array_equal(loaded[0], b) and np.array_equal(loaded[1], a)
    mixed = Network("mixed", (TWO.layers[0], PIXELS.layers[0]), ("left",), "none")
    loaded = load_samples(saved(tmp_path, p=np.ones((3, 3, 4, 5)), q=a), mixed).inputs
    assert loaded[0].shape == (3, 4) and loaded[1].shape == (3, 3, 4, 5)


def test_keys_name_an_input_and_its_array() -> None:
    assert read_keys(["x"], PIXELS) == {"image": "x"} == read_keys(["image=x"], PIXELS)
    assert read_keys(["left=a", "right=b=c"], TWO) == {"left": "a", "right": "b=c"}
    for asked, told in (
        (["a"], "2 inputs; give INPUT=ARRAY"),
        (["left=a", "left=b"], "two arrays"),
        (["up=a"], "INPUT=ARRAY"),
    ):
        with pytest.raises(NetworkError, match=told):
            read_keys(asked, TWO)


@pytest.mark.parametrize(
    ("network", "array", "told"),
    [
        (PIXELS, np.zeros((2, 3, 4, 6)), "no array fits"),
        (PIXELS, np.zeros((2, 3, 4, 5), dtype=complex), "no array fits"),
        (PIXELS, np.full((2, 3, 4, 5), np.inf), "not finite"),
        (PIXELS, np.zeros((0, 3, 4, 5)), "no samples"),
        (PIXELS, np.float64(1.0), "no array fits"),
        (CODED, np.full((1, 3, 4, 5), 128, dtype=np.int16), "takes -128 to 127"),
        (CODED, np.zeros((1, 3, 4, 5)), "integers"),
        (WORDS, np.full((2, 6), 11), "takes 0 to 10"),
        (WORDS, np.full((2, 6), -1), "takes 0 to 10"),
    ],
)
def test_what_does_not_fit_is_refused(network: Network, array: np.ndarray, told: str, tmp_path: Path) -> None:
    path = saved(tmp_path, x=array)
    with pytest.raises(NetworkError, match=told) as refused:
        load_samples(path, network)
    assert "samples.npz" in str(refused.value)


@given(length=st.integers(0, 400))
def test_a_truncated_file_is_refused(length: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = saved(tmp_path_factory.mktemp("cut"), x=np.zeros((1, 3, 4, 5)))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(NetworkError, match="npz"):
        load_samples(path, PIXELS)


def classifier(classes: int) -> Network:
    """Return a network whose class is its largest input, moved by `classes` - 4."""
    weight = np.zeros((classes, 4), dtype=np.float32)
    weight[classes - 4 :] = np.eye(4)
    layers = (
        Input(name="x", inputs=(), shape=(1, 4)),
        Linear(name="scores", inputs=("x",), shape=(1, classes), weight=Array.of(weight)),
    )
    return Network("classifier", layers, ("scores",), "a test")


@given(seed=st.integers(0, 50), count=st.integers(1, 450))
def test_accuracy_counts_right_answers_over_all_parts(seed: int, count: int) -> None:
    network = classifier(4)
    random = np.random.default_rng(seed)
    truth = random.integers(0, 4, count)
    claimed = random.integers(0, 4, count)
    inputs = np.eye(4)[truth]
    found = top1(quantise(network, (inputs,)), Samples((inputs,), claimed, "a test"))
    assert found.right_in_float == found.right_in_integers == int(np.sum(truth == claimed))
    assert found.to_dict()["float"] == found.right_in_float / count


def test_accuracy_leaves_out_a_background_class() -> None:
    inputs = np.eye(4)
    given_samples = Samples((inputs,), np.array([996, 997, 998, 999]), "a test")
    assert top1(quantise(classifier(1001), (inputs,)), given_samples).right_in_float == 4


@pytest.mark.parametrize(
    "labels", [None, np.array([0, 1, 2, 4]), np.array([-1, 0, 0, 0]), np.zeros(4), np.zeros(3, int)]
)
def test_accuracy_refuses_labels_that_name_no_class(labels: np.ndarray | None) -> None:
    inputs = np.eye(4)
    with pytest.raises(OptionError, match="label"):
        top1(quantise(classifier(4), (inputs,)), Samples((inputs,), labels, "a test"))
