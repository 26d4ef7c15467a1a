"""What a layer needs of its operands is enough, never less, and for windows no more; windows and rows convert exactly."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.errors import NetworkError
from mho.network import Network
from mho.network.arithmetic import apply
from mho.network.builder import Builder
from mho.network.flow import flow_of
from mho.network.graph import arrays
from mho.network.layer import tensor_types
from mho.network.layers import (
    LAYER_KINDS,
    Array,
    Concatenate,
    Constant,
    Convolution,
    Embedding,
    EmbeddingBag,
    Gather,
    Input,
    Interleave,
    Layer,
    MatrixLayer,
    Pool,
    Reshape,
    Slice,
    Transpose,
)
from mho.network.products import real_products
from mho.network.rows import Streamed
from mho.network.windows import assemble
from mho.network.zoo.decoder import DecoderConfiguration, decoder
from tests.strategies import networks
from tests.test_genotype import EVERY
from tests.test_network_masks import CASES, Plain
from tests.test_network_operators import BOTH
from tests.test_network_recurrent import MODULES as RECURRENT
from tests.test_network_torch import MODULES
from tests.test_network_torch_sums import CASES as SUMS
from tests.test_network_windowed import VOLUMES

AnyArray = np.ndarray[Any, Any]
SMALL: dict[str, dict[str, int]] = {
    **{name: {"input_size": 32} for name in ("resnet18", "resnet50", "densenet121", "mobilenet_v2", "vit-b16")},
    **{name: {"input_size": 32} for name in ("resnet20", "densenet40")},
    **{name: {"sequence": 5} for name in ("bert-base", "gpt2")},
    **{name: {} for name in ("dlrm", "ncf")},
}
"""Networks of the zoo, small where they can be; the others have the patterns of these, and flattening is among the operators."""
TINY = DecoderConfiguration(
    layers=1, hidden=32, heads=4, key_value_heads=2, intermediate=24, vocabulary=9, sequence=5
)  # fmt: skip


# One layer -------------------------------------------------------------------------------------------------------------


def valued(layer: Layer, generator: np.random.Generator) -> Layer:
    """Return a layer with values where its weights are known by shape alone; three rows do for a table that is looked up."""
    drawn = {
        key: Array.of(generator.standard_normal((3, array.shape[1]) if key == "table" else array.shape, np.float32))
        for key, array in vars(layer).items()
        if isinstance(array, Array) and array.values is None
    }
    return replace(layer, **drawn) if drawn else layer


def random(layer: Layer, place: int, shape: Sequence[int], kind: str, generator: np.random.Generator) -> AnyArray:
    """Return values that a layer can read as its operand."""
    if kind == "bool":
        return generator.random(shape) < 0.5
    if kind == "real":
        return generator.standard_normal(shape)
    below = layer.table.shape[0] if isinstance(layer, Embedding | EmbeddingBag) else 3
    return generator.integers(0, below, shape).astype(kind)


def computed(layer: Layer, operands: Sequence[AnyArray]) -> AnyArray:
    return real_products(layer, operands[0]) if isinstance(layer, MatrixLayer) else apply(layer, operands, 1)


def along(axis: int | None, first: int, last: int) -> tuple[slice, ...]:
    """Return the index of the rows (first, last) along an axis; all where there is none."""
    return () if axis is None else (*(slice(None),) * axis, slice(first, last))


def poisoned(x: AnyArray, axis: int | None, kept: tuple[int, int], other: AnyArray) -> AnyArray:
    """Return x with NaN, or other values, in all rows but those that are kept."""
    values = np.full_like(x, np.nan) if x.dtype.kind == "f" else ~x if x.dtype == bool else other
    if axis is None and kept == (0, 0):
        return values
    where = along(axis, *kept)
    values = values.copy()
    values[where] = x[where]
    return values


def ranges(rows: int, generator: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Yield the first row, the last, all, and one range from somewhere to somewhere."""
    first, last = sorted(int(each) for each in generator.integers(0, rows + 1, 2))
    yield from sorted({(0, 1), (rows - 1, rows), (0, rows), (first, max(last, first + 1) if first < rows else rows)})


def check(layer: Layer, tensors: Sequence[Streamed], types: Sequence[str], seed: int = 0) -> None:
    """Check the laws of one layer whose operands have their rows along these axes."""
    generator = np.random.default_rng(seed)
    layer = valued(layer, generator)
    axis, needed = layer.streams(tensors)
    assert len(needed) == len(tensors)
    out = Streamed(layer.shape, axis)
    assert out.size >= 1
    assert [each.size for each in needed] == [x.size for x in tensors]
    for each in needed:
        assert_monotone([each.rows(row, row + 1) for row in range(out.size)])
    x, other = (
        [random(layer, i, t.shape, kind, generator) for i, (t, kind) in enumerate(zip(tensors, types, strict=True))]
        for _ in range(2)
    )
    if isinstance(layer, Gather):
        x[1], other[1] = (places_of(layer, tensors, generator) for _ in range(2))
    whole = computed(layer, x)
    assert whole.shape == layer.shape
    for first, last in ranges(out.size, generator):
        if first == last:
            continue
        given_rows = [each.rows(first, last) for each in needed]
        assert all(0 <= low <= high <= t.size for (low, high), t in zip(given_rows, tensors, strict=True))
        changed = [
            poisoned(one, t.axis, kept, two) for one, t, kept, two in zip(x, tensors, given_rows, other, strict=True)
        ]
        where = along(axis, first, last)
        np.testing.assert_array_equal(computed(layer, changed)[where], whole[where], f"{layer} {tensors} {first, last}")
    if isinstance(layer, MatrixLayer):
        assert_windows(layer, out)


def places_of(layer: Gather, tensors: Sequence[Streamed], generator: np.random.Generator) -> AnyArray:
    """Return places that exist."""
    values, places = (t.shape for t in tensors)
    if layer.function != "points":
        return generator.integers(0, values[layer.axis], places)
    reach = np.array(values[layer.axis : layer.axis + places[-1]])
    return generator.integers(0, np.broadcast_to(reach, places))


def assert_monotone(rows: Sequence[tuple[int, int]]) -> None:
    """Assert that the rows needed never move back, so that a range within another needs none that the other does not."""
    for (low, high), (next_low, next_high) in itertools.pairwise(rows):
        assert (low <= next_low and high <= next_high) or low == high or next_low == next_high


def assert_windows(layer: MatrixLayer, out: Streamed) -> None:
    """Assert that the windows of a row make all of this row and nothing else: NaN in them is seen everywhere in it."""
    assert layer.windows % out.size == 0
    each = layer.windows // out.size
    for row in {0, out.size // 2, out.size - 1}:
        products = np.zeros((layer.groups, layer.windows, layer.columns))
        products[:, row * each : (row + 1) * each] = np.nan
        made = np.isnan(assemble(layer, products, layer.shape[0]))
        where = along(out.axis, row, row + 1)
        assert made[where].all()
        assert made.sum() == made[where].size


def check_network(network: Network, more: int = 3, seed: int = 0) -> None:
    """Check each layer of a network as its flow has it, and with rows of its operands along any axes; layers that differ in
    their channels alone are alike.
    """
    flow, shapes = flow_of(network), {layer.name: layer.shape for layer in network.layers}
    types = tensor_types(network.layers, network.codes)
    generator, known = np.random.default_rng(seed), set()
    for layer in network.layers:
        assert flow.rows(layer.name) >= 1
        tensors = [flow.tensors[name] for name in layer.inputs]
        rest = [v for k, v in vars(layer).items() if k not in ("name", "inputs", "shape") and not isinstance(v, Array)]
        sizes = [(len(x.shape), x.axis, x.size) for x in tensors]
        key = (
            layer.kind,
            str(rest),
            str([array.shape[2:] for array in arrays(layer)]),
            str(sizes),
            flow.rows(layer.name),
        )
        if key in known or isinstance(layer, Input | Constant):
            continue
        known.add(key)
        kinds = [types[name] for name in layer.inputs]
        check(layer, tensors, kinds, seed)
        for _ in range(more):
            check(layer, [anywhere(shapes[name], generator) for name in layer.inputs], kinds, seed)


def anywhere(shape: tuple[int, ...], generator: np.random.Generator) -> Streamed:
    """Return a tensor with its rows along any axis, or none."""
    axis = int(generator.integers(-1, len(shape)))
    return Streamed(shape, None if axis < 0 else axis)


# Laws ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_what_rows_of_the_zoo_do_not_need_does_not_change_them(name: str) -> None:
    check_network(mho.zoo.load(name, **SMALL[name]), more=1)


def test_what_rows_of_a_decoder_do_not_need_does_not_change_them() -> None:
    check_network(decoder(TINY))


@settings(max_examples=60)
@given(networks, st.integers(0, 99))
def test_what_rows_of_drawn_networks_do_not_need_does_not_change_them(network: Network, seed: int) -> None:
    check_network(network, seed=seed)


FUNCTIONS = {
    **{name: (make, shapes) for name, (make, shapes) in MODULES.items()},
    **{f"recurrent {name}": (make, shapes) for name, (make, shapes) in RECURRENT.items()},
    **{f"both {name}": (partial(deepcopy, module), (shape,)) for name, (module, shape) in BOTH.items()},
    **{f"sum {name}": (partial(Plain, function), shapes) for name, (function, shapes) in SUMS.items()},
    **{f"mask {name}": (partial(Plain, function), examples) for name, (function, examples) in CASES.items()},
    **{
        f"volume {name}": (partial(deepcopy, module), ((1, 2, 4, 6, 6),))
        for name, module in VOLUMES.items()
        if name != "batch norm"
    },
}
"""What the importers' own tests read: every operator."""


SEARCHED = EVERY.build(5, 4, EVERY.fresh(5, 4, 0))


@cache
def read(name: str) -> Network:
    """Import one of them, once."""
    make, given_shapes = FUNCTIONS[name]
    examples = tuple(x if isinstance(x, torch.Tensor) else torch.zeros(x) for x in given_shapes)
    return Network.from_torch(make().eval(), examples)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_rows_of_any_operator_do_not_need_does_not_change_them(name: str) -> None:
    check_network(read(name), more=6)


def test_what_rows_of_searched_models_do_not_need_does_not_change_them() -> None:
    check_network(SEARCHED)


def test_every_kind_of_layer_was_looked_at() -> None:
    """A kind that no pattern above has would go unproven."""
    seen = {layer.kind for name in FUNCTIONS for layer in read(name).layers}
    seen |= {layer.kind for name in ("bert-base", "densenet40") for layer in mho.zoo.load(name, **SMALL[name]).layers}
    seen |= {layer.kind for layer in SEARCHED.layers}
    seen |= {layer.kind for layer in bagged(1).layers}
    assert set(LAYER_KINDS) - seen - {"grouped linear"} == set()


def bagged(batch: int) -> Network:
    """Return a network of bags, with counts, and a dense layer behind them."""
    builder = Builder()
    builder.scope = "bags"
    places, counts = (builder.input((batch, 3), part, type="int64") for part in ("places", "counts"))
    bags = builder.embedding_bag(places, Array((5, 2)), counts)
    out = builder.linear(bags, Array((4, 2)), part="out")
    return Network(name="bags", layers=tuple(builder.layers.values()), outputs=(out,), origin="shapes alone")


@pytest.mark.parametrize("batch", [1, 4])
def test_what_bags_do_not_need_does_not_change_them(batch: int) -> None:
    check_network(bagged(batch))


@st.composite
def windowed(draw: st.DrawFn) -> tuple[Layer, tuple[int, ...]]:
    """A convolution or a pooling of any geometry along height, and the shape of its image."""
    high, wide = draw(st.integers(1, 9)), draw(st.integers(2, 9))
    kernel = draw(st.integers(1, 4)), draw(st.integers(1, 2))
    geometry = {
        "stride": (draw(st.integers(1, 4)), draw(st.integers(1, 2))),
        "dilation": (draw(st.integers(1, 3)), 1),
        "padding": (draw(st.integers(0, 4)), 0, draw(st.integers(0, 4)), 0),
    }
    image, base = (1, 2, high, wide), {"name": "y", "inputs": ("x",), "shape": ()}
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    weight = Array.of(generator.uniform(1, 2, (2, 2, *kernel)).astype(np.float32))
    kind = draw(st.sampled_from(["convolution", "maximum", "average"]))
    layer: Layer = (
        Convolution(**base, weight=weight, **geometry)
        if kind == "convolution"
        else Pool(**base, function=kind, kernel=kernel, **geometry)
    )
    shape = layer.made_shape([image])
    return replace(layer, shape=shape), image


@settings(max_examples=200)
@given(windowed(), st.data())
def test_windows_need_the_rows_under_them_and_no_more(case: tuple[Layer, tuple[int, ...]], data: st.DataObject) -> None:
    """The first and the last row needed change the result, wherever they lie under a window and not beside holes of a dilation."""
    layer, image = case
    if min(layer.shape) < 1:
        return
    x = Streamed(image, 2)
    check(layer, [x], ["real"])
    axis, (needed,) = layer.streams([x])
    if axis != 2:
        return
    rows, size = layer.shape[2], image[2]
    first = data.draw(st.integers(0, rows - 1))
    last = data.draw(st.integers(first + 1, rows))
    low, high = needed.rows(first, last)
    (kernel, _), stride, dilation, top = layer.kernel, layer.stride[0], layer.dilation[0], layer.padding[0]
    begin, end = first * stride - top, (last - 1) * stride - top + (kernel - 1) * dilation
    reach = (kernel - 1) * dilation
    ends = []
    if 0 <= begin < size or (dilation == 1 and begin < 0 <= begin + reach):
        ends.append(low)
    if 0 <= end < size or (dilation == 1 and end - reach < size <= end):
        ends.append(high - 1)
    values = np.random.default_rng(0).standard_normal(image)
    for row in ends:
        changed = values.copy()
        changed[:, :, row] = np.nan
        assert np.isnan(computed(layer, [changed])[:, :, first:last]).any()


@settings(max_examples=60)
@given(
    shape=st.tuples(*[st.integers(1, 4)] * 4), order=st.permutations(range(4)), cut=st.integers(0, 3), seed=st.integers(0, 999)
)  # fmt: skip
def test_reshaping_needs_the_rows_whose_elements_a_row_holds(
    shape: tuple[int, ...], order: list[int], cut: int, seed: int
) -> None:
    """Any tensor under any other shape of as many elements: factors in any order, some of them multiplied."""
    factors = [shape[axis] for axis in order]
    into = (*factors[:cut], int(np.prod(factors[cut:])))
    layer = Reshape(name="y", inputs=("x",), shape=into)
    for axis in (None, 0, 1, 2, 3):
        check(layer, [Streamed(shape, axis)], ["real"], seed)


@given(st.integers(1, 6), st.integers(1, 3), st.integers(1, 3), st.data())
def test_weaving_and_joining_need_each_operand_where_it_is_seen(
    high: int, rows: int, columns: int, data: st.DataObject
) -> None:
    rows = min(rows, high)
    phases = [(1, 1, len(range(i, high, rows)), len(range(j, 3, columns))) for i in range(rows) for j in range(columns)]
    names = tuple(f"x{i}" for i in range(len(phases)))
    weave = Interleave(name="y", inputs=names, shape=(1, 1, high, 3), rows=rows, columns=columns)
    axes = data.draw(st.lists(st.sampled_from([None, 0, 1, 2, 3]), min_size=len(phases), max_size=len(phases)))
    for drawn in (axes, [2] * len(phases), [3] * len(phases)):
        check(weave, [Streamed(shape, axis) for shape, axis in zip(phases, drawn, strict=True)], ["real"] * len(phases))
    lengths = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    axis = data.draw(st.integers(0, 2))
    shapes = [tuple(n if i == axis else 2 for i in range(3)) for n in lengths]
    whole = tuple(sum(lengths) if i == axis else 2 for i in range(3))
    join = Concatenate(name="y", inputs=tuple(f"x{i}" for i in range(len(lengths))), shape=whole, axis=axis)
    own = [data.draw(st.sampled_from([None, 0, 1, 2])) for _ in lengths]
    for drawn in (own, [axis] * len(lengths), [None] * len(lengths)):
        check(join, [Streamed(s, a) for s, a in zip(shapes, drawn, strict=True)], ["real"] * len(lengths))


@pytest.mark.parametrize(
    ("function", "axis", "places", "shape"),
    [
        ("rows", 1, (3, 2), (3, 3, 2, 4)), ("rows", 0, (3, 2), (3, 2, 3, 4)), ("rows", 2, (3,), (3, 3, 3)),
        ("elements", 1, (3, 2, 4), (3, 2, 4)), ("elements", 0, (2, 3, 4), (2, 3, 4)), ("points", 1, (3, 2, 1), (3, 2, 4)),
        ("points", 0, (5, 2), (5, 4)),
    ],
)  # fmt: skip
def test_looking_up_needs_what_may_be_looked_at(
    function: str, axis: int, places: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    layer = Gather(name="y", inputs=("x", "i"), shape=shape, function=function, axis=axis)
    for first, second in itertools.product((None, 0, 1, 2), (None, *range(len(places)))):
        for seed in range(3):
            check(layer, [Streamed((3, 3, 4), first), Streamed(places, second)], ["real", "int64"], seed)


# Networks --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", mho.zoo.names())
@pytest.mark.parametrize("batch", [1, 2])
def test_the_windows_of_all_rows_are_all_windows_once(name: str, batch: int) -> None:
    network = mho.zoo.load(name, batch=batch)
    flow = flow_of(network)
    for layer in network.matrix_layers:
        rows = flow.rows(layer.name)
        runs = [flow.windows(layer.name, row, row + 1) for row in range(rows)]
        assert runs[0][0] == 0
        assert runs[-1][1] == layer.windows
        assert all(before[1] == after[0] for before, after in itertools.pairwise(runs))
        assert flow.windows(layer.name, 0, rows) == (0, layer.windows)
        assert (rows % batch, flow.axis(layer.name)) == (0, 0) or batch == 1


def test_rows_of_a_residual_network() -> None:
    """Image rows from the first convolution to the pooling, which waits for all of them."""
    flow = flow_of(mho.zoo.load("resnet18"))
    assert [flow.rows(name) for name in ("conv1", "maxpool", "layer2.0.conv1", "fc")] == [112, 56, 28, 1]
    assert flow.needs("conv1", 0, 0, 1) == (0, 4)  # 0 * 2 - 3 to 0 * 2 - 3 + 6
    assert flow.needs("conv1", 0, 50, 52) == (97, 106)  # 50 * 2 - 3 to 51 * 2 - 3 + 6
    assert flow.needs("layer1.0.conv1", 0, 10, 12) == (9, 13)
    assert flow.windows("layer1.0.conv1", 10, 12) == (560, 672)
    assert flow.needs("fc", 0, 0, 1) == (0, 1)
    assert len(flow.barriers) == 1


def test_rows_of_a_transformer() -> None:
    """Tokens everywhere; a layer waits for all of them where scores meet all keys, and mixtures all values."""
    network = mho.zoo.load("bert-base")
    flow = flow_of(network)
    assert {flow.rows(layer.name) for layer in network.layers if not isinstance(layer, Constant)} == {128}
    assert {(network.by_name[layer].kind, operand) for layer, operand in flow.barriers} == {("matrix product", 1)}
    assert len(flow.barriers) == 2 * 12


def test_an_input_has_its_rows_where_its_readers_can_take_them() -> None:
    """Images with their channels last give rows of their height; sequences with their channels first, of their length."""
    last = (
        Input(name="x", inputs=(), shape=(1, 6, 5, 3)),
        Transpose(name="t", inputs=("x",), shape=(1, 3, 6, 5), permutation=(0, 3, 1, 2)),
        Convolution(name="y", inputs=("t",), shape=(1, 2, 6, 5), weight=Array((2, 3, 1, 1))),
    )
    flow = flow_of(Network("channels last", last, ("y",), "none"))
    assert [flow.axis(name) for name in "xty"] == [1, 2, 2]
    assert flow.needs("y", 0, 2, 3) == (2, 3)
    flow = flow_of(Network.from_torch(torch.nn.Conv1d(4, 3, 3), torch.zeros(1, 4, 9)))
    assert flow.barriers == ()
    assert flow.axis(flow.network.inputs[0].name) == 2


def test_steps_of_a_sequence_are_rows_taken_and_joined() -> None:
    """A slice that drops the tokens' axis needs its token alone, and a stack of such vectors has one for each row."""
    layers = (
        Input(name="x", inputs=(), shape=(1, 3, 4)),
        *(Slice(name=f"s{i}", inputs=("x",), shape=(1, 4), axis=1, start=i, stop=i + 1, drop=True) for i in range(3)),
        *(Reshape(name=f"r{i}", inputs=(f"s{i}",), shape=(1, 1, 4)) for i in range(3)),
        Concatenate(name="y", inputs=("r0", "r1", "r2"), shape=(1, 3, 4), axis=1),
    )
    flow = flow_of(Network("steps", layers, ("y",), "none"))
    assert [flow.needs(f"s{i}", 0, 0, 1) for i in range(3)] == [(0, 1), (1, 2), (2, 3)]
    assert flow.rows("y") == 3
    needs = [[flow.needs("y", i, row, row + 1) for i in range(3)] for row in range(3)]
    assert [[high - low for low, high in row] for row in needs] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_questions_that_have_no_answer_are_refused() -> None:
    flow = flow_of(mho.zoo.load("resnet20"))
    assert flow.needs("conv1", 0, 5, 5) == (0, 0)
    assert flow.windows("conv1", 5, 5) == (160, 160)
    for ask, why in (
        (lambda: flow.rows("conv9"), "no layer 'conv9'"),
        (lambda: flow.needs("conv1", 0, 30, 33), r"rows 0 to 32; no range \(30, 33\)"),
        (lambda: flow.needs("conv1", 1, 0, 1), "no operand 1"),
        (lambda: flow.windows(flow.network.inputs[0].name, 0, 1), "no matrix layer"),
    ):
        with pytest.raises(NetworkError, match=why):
            ask()
