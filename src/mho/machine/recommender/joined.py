"""A whole recommender as one network: an input of look-ups a table, its rows added up, and the dense part behind the sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mho.errors import NumberError
from mho.machine.recommender.recommender import Recommender
from mho.machine.recommender.tables import EPSILON, Table
from mho.network.builder import Builder
from mho.network.graph import Network
from mho.network.layers import Affine, Array
from mho.number.coded import SUMMED_ZERO, QuantisedNetwork, QuantisedTable


def joined(recommender: Recommender, batch: int, longest: Sequence[int], *, weighted: bool = False) -> QuantisedNetwork:
    """Return tables and dense part as one network, for `batch` queries a run whose bags have up to `longest` look-ups, by table.

    Its inputs are, table by table, "tables.NAME.rows" (batch, longest), -1 for none, and with `weighted` what each look-up counts
    for; `network.trace.padded` makes them of a trace. Sums of rows are layers "tables.NAME"; what a table makes of its sums
    (pooling, step) are layers behind. What it computes is, bit for bit, `recommender.predict(recommender.reduce(trace))`.
    Raises NumberError for other numbers of `longest` than tables, NetworkError where a dense layer bears a table's name.
    """
    if len(longest) != len(recommender.tables):
        raise NumberError(f"{recommender.name} has {len(recommender.tables)} tables, not {len(longest)}")
    dense, builder = recommender.for_batch(batch), Builder()
    (given,) = dense.network.inputs
    rows = [
        _inputs(builder, table, (batch, most), weighted)
        for table, most in zip(recommender.tables, longest, strict=True)
    ]
    bags = [_bags(builder, table, *each) for table, each in zip(recommender.tables, rows, strict=True)]
    vectors = [_vector(builder, table, bag) for table, bag in zip(recommender.tables, bags, strict=True)]
    builder.scope = given.name
    builder.concatenate(vectors, 1)
    for layer in dense.network.layers:
        if layer is not given:
            builder.add(layer)
    network = Network(
        name=dense.network.name,
        layers=tuple(builder.layers.values()),
        outputs=dense.network.outputs,
        origin=dense.network.origin,
        codes=dense.network.codes,
        returned=dense.network.returned,
    )
    tables = {bag: QuantisedTable.summed(t.codes, _scale(t)) for t, bag in zip(recommender.tables, bags, strict=True)}
    return replace(dense, network=network, tables={**dense.tables, **tables})


def _scale(table: Table) -> float:
    """Return what 1 in a sum of codes is worth to what comes next: in steps of the dense part's input, before pooling the scale."""
    return table.scale / table.worth if table.pooling == "sum" else table.scale


def _inputs(builder: Builder, table: Table, shape: tuple[int, int], weighted: bool) -> tuple[str, str | None]:
    builder.scope = f"tables.{table.name}"
    rows = builder.input(shape, "rows", type="int32")
    return rows, builder.input(shape, "counts", type="int32") if weighted else None


def _bags(builder: Builder, table: Table, rows: str, counts: str | None) -> str:
    """Append the sums of a table's rows."""
    builder.scope = f"tables.{table.name}"
    code = Affine(np.array(_scale(table)), np.array(0), -SUMMED_ZERO, SUMMED_ZERO - 1)
    return builder.embedding_bag(rows, Array.of(table.codes, code), counts)


def _vector(builder: Builder, table: Table, bag: str) -> str:
    """Append what a table makes of its sums, `Table.vectors`, as one of several vectors (batch, 1, dimension)."""
    builder.scope = f"tables.{table.name}"
    if table.pooling != "sum":
        bag = builder.normalise(bag, "rms", EPSILON, part="unit")
        bag = builder.elementwise(
            "divide", bag, builder.constant(Array.of(np.array([[table.worth]])), "step"), part="steps"
        )
    batch, dimension = builder.shape(bag)
    return builder.reshape(bag, (batch, 1, dimension), "vector")
