"""Programs' files altered in one place: refused in one line, or a program still; never a traceback, never other numbers."""

from __future__ import annotations

import copy
import io
import json
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mho
from mho.errors import MhoError, NetworkError, ProgramError
from mho.network.graph import Network, check_shapes
from mho.network.layer import fitted
from mho.network.layers import (
    LAYER_KINDS,
    Activation,
    Affine,
    Array,
    ChannelAffine,
    Concatenate,
    Constant,
    Convolution,
    Elementwise,
    Embedding,
    Expand,
    GroupedLinear,
    Input,
    Interleave,
    Layer,
    Linear,
    MatrixProduct,
    Normalise,
    Pad,
    Pool,
    Reduce,
    Resample,
    Reshape,
    Slice,
    Softmax,
    Take,
    Transpose,
)
from mho.network.samples import synthetic
from tests.conftest import examples
from tests.hand_sized import hand_chip

RANDOM = np.random.default_rng(13)
VALUES = (
    None, True, "", "x", [], [1], [[2, 3]], {}, {"a": 1}, -1, 0, 1, 3, 7, 2.5, -0.0, 10**9, 2**70, 10**400, 1e308, float("nan"),
    float("inf"), [1, [2]],
)  # fmt: skip
"""What stands in a file where something else belongs."""


def weight(*shape: int) -> Array:
    return Array.of(RANDOM.standard_normal(shape).astype(np.float32))


def pictures() -> Network:
    """A network of images with a layer of most kinds."""
    layers = (
        Input(name="image", inputs=(), shape=(1, 2, 5, 5)),
        Convolution(
            name="conv", inputs=("image",), shape=(1, 4, 5, 5), weight=weight(4, 2, 3, 3), bias=weight(4),
            padding=(1, 1, 1, 1),
        ),
        Activation(name="relu", inputs=("conv",), shape=(1, 4, 5, 5), function="clip", parameters={"low": 0.0, "high": 6.0}),
        Pad(name="pad", inputs=("relu",), shape=(1, 4, 6, 6), before=(0, 0, 0, 0), after=(0, 0, 1, 1)),
        Pool(name="pool", inputs=("pad",), shape=(1, 4, 3, 3), function="maximum", kernel=(2, 2), stride=(2, 2)),
        Convolution(
            name="grouped", inputs=("pool",), shape=(1, 4, 3, 3), weight=weight(4, 1, 1, 1), convolution_groups=4
        ),
        Elementwise(name="sum", inputs=("pool", "grouped"), shape=(1, 4, 3, 3), function="add"),
        Reduce(name="mean", inputs=("sum",), shape=(1, 4), function="mean", axes=(2, 3), keep=False),
        Linear(name="out", inputs=("mean",), shape=(1, 3), weight=weight(3, 4), bias=weight(3)),
    )  # fmt: skip
    return Network("pictures", layers, ("out",), "seeded")


def words() -> Network:
    """A network of tokens with the other kinds."""
    layers = (
        Input(name="tokens", inputs=(), shape=(1, 3), type="int64"),
        Embedding(name="table", inputs=("tokens",), shape=(1, 3, 4), table=weight(6, 4)),
        Constant(name="place", inputs=(), shape=(1, 3, 4), value=weight(1, 3, 4)),
        Elementwise(name="placed", inputs=("table", "place"), shape=(1, 3, 4), function="add"),
        Normalise(
            name="norm", inputs=("placed",), shape=(1, 3, 4), function="layer", epsilon=1e-5, scale=weight(4), offset=weight(4)
        ),
        Linear(name="query", inputs=("norm",), shape=(1, 3, 4), weight=weight(4, 4)),
        Transpose(name="turned", inputs=("norm",), shape=(1, 4, 3), permutation=(0, 2, 1)),
        MatrixProduct(name="scores", inputs=("query", "turned"), shape=(1, 3, 3), inner=4),
        Softmax(name="soft", inputs=("scores",), shape=(1, 3, 3), axis=2),
        Slice(name="first", inputs=("soft",), shape=(1, 2, 3), axis=1, start=0, stop=2),
        Concatenate(name="joined", inputs=("first", "soft"), shape=(1, 5, 3), axis=1),
        Reshape(name="flat", inputs=("joined",), shape=(1, 15)),
        Expand(name="wide", inputs=("flat",), shape=(1, 15)),
        Linear(name="out", inputs=("wide",), shape=(1, 2), weight=weight(2, 15), bias=weight(2)),
    )  # fmt: skip
    return Network("words", layers, ("out",), "seeded")


def quantised_file() -> Network:
    """A network whose weights and input come as codes."""
    code = Affine(np.array([0.5, 0.25]), np.array([3, 0]), -128, 127, 0)
    layers = (
        Input(name="x", inputs=(), shape=(1, 4), type="int8"),
        Linear(
            name="out", inputs=("x",), shape=(1, 2),
            weight=Array.of(RANDOM.integers(-128, 128, (2, 4)).astype(np.int8), code),
        ),
    )  # fmt: skip
    return Network("codes", layers, ("out",), "seeded", {"x": Affine(np.array(0.1), np.array(-5), -128, 127)})


def rearranged() -> Network:
    """A network of the kinds that weave and scale."""
    layers = (
        Input(name="image", inputs=(), shape=(1, 2, 3, 3)),
        Take(name="mirrored", inputs=("image",), shape=(1, 2, 3, 4), axis=3, places=(2, 1, 0, 1)),
        Resample(
            name="smooth", inputs=("mirrored",), shape=(1, 2, 3, 4), axis=3,
            places=((0, 1), (1, 2), (2, 3), (3, 3)), weights=((0.5, 0.5),) * 4,
        ),
        Slice(name="left", inputs=("smooth",), shape=(1, 2, 3, 2), axis=3, start=0, stop=2),
        Slice(name="right", inputs=("mirrored",), shape=(1, 2, 3, 2), axis=3, start=2, stop=4),
        Interleave(name="woven", inputs=("left", "right"), shape=(1, 2, 3, 4), rows=1, columns=2),
        ChannelAffine(name="scaled", inputs=("woven",), shape=(1, 2, 3, 4), scale=weight(2), offset=weight(2)),
        GroupedLinear(name="out", inputs=("scaled",), shape=(1, 2, 3, 6), weight=weight(6, 2), linear_groups=2),
    )  # fmt: skip
    return Network("rearranged", layers, ("out",), "seeded")


NETWORKS = {each.name: each for each in (pictures(), words(), quantised_file())}


@pytest.fixture(scope="module", params=list(NETWORKS))
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program's file."""
    network = NETWORKS[request.param]
    folder = tmp_path_factory.mktemp("program")
    program = mho.compile(mho.number.quantise(network, synthetic(network, 4).inputs), hand_chip(), "overlap")
    program.save(folder / "kept.mho")
    return folder / "kept.mho"


def unpacked(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(entries: dict[str, bytes], path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a record, the inner ones too."""
    if path:
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in pairs:
        yield from places(each, (*path, key))


def replaced(record: Any, path: tuple[Any, ...], value: Any) -> Any:
    record = copy.deepcopy(record)
    holder = record
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return record


def outcome(path: Path) -> str:
    """What becomes of a file: refused, executed, or not even legal. Other errors, and warnings, are faults."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            program = mho.Program.load(path)
        except ProgramError as error:
            assert "\n" not in str(error) and len(str(error)) < 400
            return "refused"
        try:
            program.listing()
            verdict = mho.verify(program, synthetic(program.network, 1).inputs)
        except MhoError:
            return "refused"
    return "exact" if verdict.ok else "wrong"


def test_what_is_kept_is_exact(kept: Path) -> None:
    assert outcome(kept) == "exact"


def test_a_value_of_another_kind_is_refused_or_changes_no_meaning(kept: Path, tmp_path: Path) -> None:
    entries = unpacked(kept)
    record = json.loads(entries["program.json"])
    generator = np.random.default_rng(6)
    spots = [path for path in places(record) if path[0] != "chip"]
    seen = dict.fromkeys(("refused", "exact", "wrong"), 0)
    for place in generator.permutation(len(spots))[: examples(200)]:
        value = VALUES[generator.integers(len(VALUES))]
        altered = json.dumps(replaced(record, spots[place], value)).encode()
        seen[outcome(packed({**entries, "program.json": altered}, tmp_path / "x.mho"))] += 1
    assert seen["refused"] > sum(seen.values()) / 2, seen


def arrays_like(array: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """An array of another shape or type, or with values that no layer has."""
    kind = generator.integers(6)
    if kind == 0:
        return array.astype([complex, "U8", "M8[s]", bool, np.float16, np.int8, ">f8"][generator.integers(7)])
    if kind == 1:
        return array.reshape(-1)
    if kind == 2:
        return array[None]
    if kind == 3:
        return np.concatenate([array.reshape(-1), array.reshape(-1)])
    if kind == 4 and array.dtype.kind == "f":
        return np.full(array.shape, [np.nan, np.inf, -1.0, 1e308][generator.integers(4)])
    return np.full(array.shape, [0, 1, -(2**62), 2**62][generator.integers(4)]).astype(array.dtype)


def test_an_array_of_another_shape_or_type_is_refused(kept: Path, tmp_path: Path) -> None:
    entries = unpacked(kept)
    generator = np.random.default_rng(7)
    names = [name for name in entries if name.startswith("arrays/")]
    for _ in range(examples(80)):
        name = names[generator.integers(len(names))]
        array = np.load(io.BytesIO(entries[name]))
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other = arrays_like(array, generator)
        buffer = io.BytesIO()
        np.save(buffer, other)
        found = outcome(packed({**entries, name: buffer.getvalue()}, tmp_path / "x.mho"))
        if other.shape != array.shape or other.dtype.kind not in "fiub":
            assert found == "refused", (name, array.dtype, array.shape, other.dtype, other.shape)


def test_an_array_of_objects_is_not_read(kept: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    path = packed({**unpacked(kept), "arrays/0.npy": buffer.getvalue()}, tmp_path / "x.mho")
    with pytest.raises(ProgramError, match=r"x\.mho"):
        mho.Program.load(path)


def test_every_kind_of_layer_has_a_rule_for_its_shape() -> None:
    assert [kind for kind in LAYER_KINDS.values() if kind.made_shape is Layer.made_shape] == [Input]


def test_shapes_that_do_not_fit_are_refused_for_every_kind() -> None:
    kinds = set()
    for network in (*NETWORKS.values(), rearranged()):
        check_shapes(network)
        for place, layer in enumerate(network.layers):
            if isinstance(layer, Input):
                continue
            kinds.add(type(layer))
            shape = (*layer.shape[:-1], layer.shape[-1] + 1)
            layers = list(network.layers)
            with pytest.raises(MhoError, match=layer.name):
                layers[place] = type(layer)(**{**vars(layer), "shape": shape})
                check_shapes(Network("wrong", tuple(layers), network.outputs, "seeded", network.codes))
    assert len(kinds) >= 20


@given(st.data())
def test_a_kind_makes_a_shape_of_any_operands_or_refuses_them(data: st.DataObject) -> None:
    """What a kind says of its operands is a shape, or a NetworkError with words: never another exception."""
    network = data.draw(st.sampled_from([*NETWORKS.values(), rearranged()]))
    layer = data.draw(st.sampled_from([layer for layer in network.layers if layer.inputs]))
    right = [network.by_name[name].shape for name in layer.inputs]
    length = st.integers(0, 12) | st.sampled_from([n for shape in right for n in shape] or [1])
    drawn = st.lists(length, max_size=6).map(tuple)
    operands = [data.draw(st.just(shape) | drawn) for shape in right]
    try:
        shape = fitted(layer, operands)
    except NetworkError as error:
        assert str(error)
        assert operands != right
    else:
        assert isinstance(shape, tuple)
        assert operands != right or shape == layer.shape
