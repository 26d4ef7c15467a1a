"""Tables as layers: sums of rows are exact integers, and a whole recommender is one network that computes what its parts do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.errors import NumberError, TraceError
from mho.machine.recommender import Recommender, seeded_recommender
from mho.machine.recommender.joined import joined
from mho.network import Network
from mho.network.builder import Builder
from mho.network.layers import Affine, Array
from mho.network.trace.padded import longest_bags, padded, unpadded
from mho.network.trace.trace import Trace
from mho.number.batching import batchable, rebatched
from tests.lookup_oracle import table_of, trace_of, traces


def bag_network(codes: np.ndarray, scale: float, shape: tuple[int, int], *, weighted: bool = False) -> Network:
    builder = Builder()
    builder.scope = "table"
    rows = builder.input(shape, "rows", type="int32")
    counts = builder.input(shape, "counts", type="int32") if weighted else None
    code = Affine(np.array(scale), np.array(0), -128, 127)
    out = builder.embedding_bag(rows, Array.of(codes, code), counts)
    return Network(name="bag", layers=tuple(builder.layers.values()), outputs=(out,), origin="drawn")


def single(trace: Trace) -> Trace:
    """The same bags; queries with several bags of one table become queries of one bag each."""
    pairs = {*zip(trace.queries.tolist(), trace.tables.tolist(), strict=True)}
    return trace if len(pairs) == trace.bags else replace(trace, queries=np.arange(trace.bags, dtype=np.int64))


SINGLE = traces().map(single)


@settings(max_examples=60)
@given(SINGLE, st.integers(0, 99))
def test_tensors_of_bags_are_the_bags(trace: Trace, seed: int) -> None:
    arrays = padded(trace)
    several = len(arrays) // len(trace.rows)
    bags = [
        (np.maximum(arrays[several * t], 0), arrays[several * t + 1] if several == 2 else arrays[several * t] >= 0)
        for t in range(len(trace.rows))
    ]
    back = unpadded(trace.rows, bags, weighted=several == 2, names=trace.names, origin=trace.origin)
    assert back.lookups == trace.lookups and padded(back, longest_bags(trace))[0].tolist() == arrays[0].tolist()
    for first, second in zip(padded(back, longest_bags(trace)), arrays, strict=True):
        assert np.array_equal(first, second)


@settings(max_examples=40)
@given(st.integers(1, 30), st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.booleans(), st.integers(0, 99))
def test_sums_of_coded_rows_are_exact_integers_in_any_order(
    rows: int, features: int, longest: int, batch: int, weighted: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    codes = random.integers(-127, 128, (rows, features)).astype(np.int8)
    looked = random.integers(-1, rows, (3 * batch, longest))
    counts = random.integers(0, 256, looked.shape)
    inputs = (looked, counts) if weighted else (looked,)
    network = bag_network(codes, 0.25, (batch, longest), weighted=weighted)
    quantised = mho.number.quantise(network)
    got = mho.number.run_reference(quantised, inputs)["table"]
    each = (looked >= 0) * (counts if weighted else 1)
    wanted = (codes.astype(np.int64)[looked] * each[..., None]).sum(axis=1)
    assert np.array_equal(got / 0.25, wanted)
    assert np.array_equal(mho.number.run_float(network, inputs)["table"], got)
    order = random.permutation(longest)
    turned = tuple(array[:, order] for array in inputs)
    assert np.array_equal(mho.number.run_reference(quantised, turned)["table"], got)
    assert batchable(network)
    alone = mho.number.quantise(rebatched(network, 1))
    assert np.array_equal(mho.number.run_reference(alone, inputs)["table"], got)


def test_a_real_table_is_coded_so_that_0_is_0_and_its_largest_is_127_steps() -> None:
    real = np.array([[0.5, -2.54], [0.0, 1.0]])
    builder = Builder()
    builder.scope = "table"
    builder.embedding_bag(builder.input((1, 2), "rows", type="int32"), Array.of(real))
    network = Network(name="bag", layers=tuple(builder.layers.values()), outputs=("table",), origin="drawn")
    table = mho.number.quantise(network, bits=4).tables["table"]
    assert table.integers.tolist() == [[25, -127], [0, 50]] and float(table.code.scale) == pytest.approx(0.02)


def test_tables_that_are_added_up_need_their_zero_in_the_middle() -> None:
    network = bag_network(np.zeros((2, 1), np.int8), 1.0, (1, 1))
    layer = network.by_name["table"]
    odd = Array(layer.table.shape, layer.table.values, Affine(np.array(1.0), np.array(3), -128, 127))  # type: ignore[attr-defined]
    layers = (*network.layers[:-1], replace(layer, table=odd))
    with pytest.raises(NumberError, match="zero is 128"):
        mho.number.quantise(replace(network, layers=layers))


def drawn(trace: Trace, dimension: int, seed: int) -> Recommender:
    """A seeded recommender for a trace, some of whose tables are pooled to unit vectors, others added up."""
    return seeded_recommender(trace, dimension, seed, hidden=(5, 3))


@settings(max_examples=25)
@given(SINGLE, st.integers(1, 8), st.integers(1, 3), st.integers(0, 99))
def test_a_whole_recommender_computes_what_tables_and_dense_part_do(
    trace: Trace, dimension: int, batch: int, seed: int
) -> None:
    if not trace.bags:
        return
    recommender = drawn(trace, dimension, seed)
    wanted = recommender.predict(recommender.reduce(trace))
    batch = batch if len(wanted) % batch == 0 else 1
    whole = joined(recommender, batch, longest_bags(trace), weighted=trace.weights is not None)
    assert np.array_equal(mho.number.run_reference(whole, padded(trace))["score"][:, 0], wanted)


def test_bags_that_do_not_fit_are_refused() -> None:
    trace = trace_of([[1, 2, 0]], (3,))
    with pytest.raises(TraceError, match="bag of 3 look-ups"):
        padded(trace, (2,))
    assert padded(trace_of([[1], [2, 0]], (3,), queries=[0, 0]))[0].tolist() == [[1, 2, 0]]
    recommender = drawn(trace, 2, 0)
    with pytest.raises(NumberError, match="1 tables, not 2"):
        joined(recommender, 1, (3, 3))


def test_no_systolic_array_adds_up_rows() -> None:
    from mho.machine.systolic.account import run

    with pytest.raises(mho.errors.OptionError, match="adds up no rows"):
        run(bag_network(table_of(4, 2, 0), 1.0, (1, 1)))
