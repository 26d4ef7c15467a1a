"""A whole recommender: embedding tables and a dense part, in real numbers and in the integers of a chip.

real = RealRecommender(...)                    tables and weights in float, as trained
recommender = real.quantise(trace)             int8 tables, the dense part by mho.number.quantise, calibrated on a trace's queries
trace = recommender.bags({"user": users, "history": (offsets, items), ...})
reduced = recommender.reduce(trace)            int64 (queries, tables, dimension): what a look-up machine must give, exactly
scores = recommender.predict(reduced)          (queries,): the integer reference of the dense part
program = mho.compile(recommender.dense, chip) ; mho.execute(program, recommender.vectors(reduced))["score"]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError, OptionError
from mho.machine.recommender.bags import Field, add_up, make_trace
from mho.machine.recommender.tables import LARGEST, Table, check_pooling, coded_alike, pooled
from mho.network.graph import Network
from mho.network.layers import Affine
from mho.network.trace import Trace
from mho.network.zoo.interaction import DensePart
from mho.network.zoo.interaction.handmade import DLRM
from mho.network.zoo.recommenders import INPUT, OUTPUT, seeded, weights_of
from mho.network.zoo.seeds import generator
from mho.number.coded import QuantisedNetwork
from mho.number.quantised import quantise
from mho.number.reference import run_reference
from mho.number.walk import run_float
from mho.shown import Shown

FloatArray = npt.NDArray[np.float64]
Quantise = Callable[..., QuantisedNetwork]
"""What quantises a network by samples of its input, as `mho.number.quantise` does."""
CHUNK = 16384
"""Queries whose vectors are held at once."""
HIDDEN = (64, 32)
SPREAD = 32
"""Standard deviation of the codes of seeded tables."""
CALIBRATED_ON = 256
"""Queries of the trace that activations are calibrated on, the first ones."""


@dataclass(frozen=True, eq=False, repr=False)
class Recommender(Shown):
    """Tables of int8 codes, in the order of the dense part's vectors, and the quantised dense part.

    Each query has a bag in each table; the integer sums of their rows, (queries, tables, dimension), are all that passes from
    the tables to the dense part. `part` describes the dense part, `origin` says where weights are from, `synthetic`
    whether they were drawn. Raises NumberError where tables and dense part do not fit each other.
    """

    name: str
    tables: tuple[Table, ...]
    dense: QuantisedNetwork
    part: DensePart
    origin: str
    synthetic: bool = False

    def __post_init__(self) -> None:
        """Check that the tables give what the dense part takes."""
        wanted = [self.part.width] * self.part.fields
        given = [table.dimension for table in self.tables]
        if given != wanted:
            raise NumberError(
                f"{self.name}: tables of dimensions {given} do not give {wanted}, as the dense part takes"
            )
        if len(self.dense.network.inputs) != 1 or self.dense.network.inputs[0].shape[1:] != (len(given), given[0]):
            raise NumberError(
                f"{self.name}: the dense part does not take one input of vectors {(len(given), given[0])}"
            )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the tables."""
        return tuple(table.name for table in self.tables)

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of the tables."""
        return tuple(table.rows for table in self.tables)

    def bags(self, queries: Mapping[str, Field], origin: str = "queries") -> Trace:
        """Lay out queries as a trace. By table: its rows, one a query (-1: none), or (offsets, rows). TraceError if wrong."""
        return make_trace(self.names, self.rows, queries, origin, synthetic=self.synthetic)

    def reduce(self, trace: Trace) -> npt.NDArray[np.int64]:
        """Add up the codes of every bag, exactly: (queries, tables, dimension). The reference of a look-up machine."""
        return add_up(trace, [table.codes for table in self.tables], np.int64)

    def vectors(self, reduced: npt.NDArray[np.integer[Any]]) -> FloatArray:
        """Turn reduced integers (queries, tables, dimension) into the input of the dense part, which codes and clips them."""
        shape = (len(self.tables), self.part.width)
        if reduced.ndim != 3 or reduced.shape[1:] != shape or reduced.dtype.kind not in "iu":
            raise NumberError(
                f"{self.name} takes reduced integers (queries, {shape[0]}, {shape[1]}), not {reduced.dtype} {reduced.shape}"
            )
        return np.stack([table.vectors(reduced[:, place]) for place, table in enumerate(self.tables)], axis=1)

    def predict(self, reduced: npt.NDArray[np.integer[Any]]) -> FloatArray:
        """Score queries by the integer reference: (queries,), before the sigmoid (see `scores.chance`)."""
        if self.dense.network.batch != 1:
            return replace(self, dense=self.for_batch(1)).predict(reduced)
        parts = [
            run_reference(self.dense, self.vectors(reduced[start : start + CHUNK]))[OUTPUT][:, 0]
            for start in range(0, len(reduced), CHUNK)
        ]
        return np.concatenate(parts)

    def for_batch(self, batch: int) -> QuantisedNetwork:
        """Return the dense part for `batch` queries a run, of the same integers."""
        network = self.dense.network
        built = self.part.build(weights_of(network), name=network.name, origin=network.origin, batch=batch)
        return replace(self.dense, network=built)


@dataclass(frozen=True, eq=False)
class RealRecommender:
    """A recommender in real numbers, as trained: the yardstick of the integer one.

    `tables`: float (rows, dimension) by name, in the order of the dense part's vectors; `poolings` by table where they are not
    "sum" (see `Table`); `weights` float32 by the names of `part.weights()`. Raises NumberError for tables that do not fit.
    """

    name: str
    tables: Mapping[str, npt.NDArray[Any]]
    weights: Mapping[str, npt.NDArray[np.float32]]
    part: DensePart
    origin: str
    poolings: Mapping[str, str] = field(default_factory=dict)
    synthetic: bool = False

    def __post_init__(self) -> None:
        """Check names and shapes."""
        if len(self.tables) != self.part.fields:
            raise NumberError(f"{self.name}: {len(self.tables)} tables for {self.part.fields} vectors")
        for name, table in self.tables.items():
            if table.ndim != 2 or table.shape[1] != self.part.width:
                raise NumberError(f"{self.name}: table {name!r} is {table.shape}, not (rows, {self.part.width})")
        for name, pooling in self.poolings.items():
            if name not in self.tables:
                raise NumberError(f"{self.name}: a pooling is given for {name!r}, which is no table")
            check_pooling(name, pooling)

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of the tables."""
        return tuple(len(table) for table in self.tables.values())

    @cached_property
    def network(self) -> Network:
        """The dense part."""
        return self.part.build(self.weights, name=self.name, origin=self.origin)

    def bags(self, queries: Mapping[str, Field], origin: str = "queries") -> Trace:
        """Lay out queries as a trace, as `Recommender.bags`."""
        return make_trace(tuple(self.tables), self.rows, queries, origin, synthetic=self.synthetic)

    def vectors(self, trace: Trace) -> FloatArray:
        """Look up, add and pool: (queries, tables, dimension)."""
        sums = add_up(trace, list(self.tables.values()), np.float64)
        poolings = [self.poolings.get(name, "sum") for name in self.tables]
        return np.stack([pooled(sums[:, place], pooling) for place, pooling in enumerate(poolings)], axis=1)

    def predict(self, trace: Trace) -> FloatArray:
        """Score a trace's queries in real numbers: (queries,), before the sigmoid."""
        scores: FloatArray = run_float(self.network, self.vectors(trace))[OUTPUT][:, 0]
        return scores

    def quantise(
        self, calibration: Trace, *, alike: bool = False, by: Quantise = quantise, **options: Any
    ) -> Recommender:
        """Return the integer form, calibrated on a trace's queries.

        `options` are those of `mho.number.quantise`, per_channel by default; `by` quantises the dense part in its place.

        The queries show the ranges of activations, and how the vectors go into the dense part. Where its weights can take over
        what a step is worth (`Model.in_steps`) each table has a scale of its own and the largest sum is 127 steps. Else, and where
        `alike` asks for it, all tables have one scale, and vectors go in as real numbers, which are coded without an error where
        the sums of codes stay within -127 to 127.
        """
        coding = Coding(
            self.name, self.part, self.weights, self.origin, self.synthetic, by, {"per_channel": True, **options}
        )
        if alike or self.part.in_steps(self.weights, np.ones(self.part.fields, dtype=np.float32)) is None:
            return coding.alike(coded_alike(self.tables, self.poolings), calibration)
        tables = [Table.of(name, table, self.poolings.get(name, "sum")) for name, table in self.tables.items()]
        return coding.in_steps(tables, calibration)


@dataclass(frozen=True, eq=False)
class Coding:
    """How a recommender of some weights is made of coded tables; see `RealRecommender.quantise`."""

    name: str
    part: DensePart
    weights: Mapping[str, npt.NDArray[np.float32]]
    origin: str
    synthetic: bool
    by: Quantise
    options: Mapping[str, Any]

    def in_steps(self, coded: Sequence[Table], calibration: Trace) -> Recommender:
        """Choose the steps of coded tables by the sums of a trace's queries, and quantise the dense part for them."""
        reduced = add_up(calibration, [table.codes for table in coded], np.int64)
        tables = tuple(table.fitted(reduced[:, place]) for place, table in enumerate(coded))
        weights = self.part.in_steps(self.weights, np.asarray([table.worth for table in tables]))
        assert weights is not None, "asked for models that take steps"
        # One step each, so that sums within -128 to 127 steps are exact.
        return self._made(tables, weights, reduced, Affine(np.asarray(1.0), np.asarray(128), 0, 255))

    def alike(self, tables: tuple[Table, ...], calibration: Trace) -> Recommender:
        """Quantise the dense part for tables of one scale whose vectors are real numbers."""
        reduced = add_up(calibration, [table.codes for table in tables], np.int64)
        plain = all(table.pooling == "sum" for table in tables) and np.abs(reduced).max(initial=0) <= LARGEST
        code = Affine(np.asarray(tables[0].scale), np.asarray(128), 0, 255) if plain else None
        return self._made(tables, self.weights, reduced, code)

    def _made(
        self,
        tables: tuple[Table, ...],
        weights: Mapping[str, npt.NDArray[np.float32]],
        reduced: npt.NDArray[np.int64],
        code: Affine | None,
    ) -> Recommender:
        """Quantise the dense part. Where the input only moves, it keeps its `code`, if that is of as many bits as are asked for."""
        network = self.part.build(weights, name=self.name, origin=self.origin)
        vectors = np.stack([table.vectors(reduced[:, place]) for place, table in enumerate(tables)], axis=1)
        quantised = self.by(network, vectors, **self.options)
        if code is not None and quantised.codes[INPUT].high == code.high:
            carried = {INPUT}
            for layer in network.layers:
                if layer.moves_only and layer.inputs[0] in carried:
                    carried.add(layer.name)
            codes = {key: code if key in carried else own for key, own in quantised.codes.items()}
            quantised = replace(quantised, codes=codes)
        return Recommender(self.name, tables, quantised, self.part, self.origin, self.synthetic)


def seeded_recommender(
    trace: Trace, dimension: int = 16, seed: int = 0, *, hidden: tuple[int, ...] = HIDDEN
) -> Recommender:
    """Draw a DLRM for a trace's tables: int8 codes of `dimension` numbers a row, and a dense part with `hidden` layers.

    Synthetic, and labelled so. Tables with a bag of several look-ups are pooled to "unit", others by "sum". Activations are
    calibrated on the trace's first queries. Raises OptionError for sizes below 1, and for a trace without queries.
    """
    model = DLRM(hidden)
    part = DensePart(model, len(trace.rows), dimension)
    if not trace.bags:
        raise OptionError(f"{trace.origin}: a trace without queries cannot show the ranges of activations")
    longest = np.zeros(len(trace.rows), dtype=np.int64)
    np.maximum.at(longest, trace.tables, trace.lengths)
    tables = []
    for name, rows, length in zip(trace.names, trace.rows, longest, strict=True):
        drawn = generator(seed, f"table {name}").standard_normal((rows, dimension), dtype=np.float32)
        codes = np.clip(np.rint(drawn * SPREAD), -LARGEST, LARGEST).astype(np.int8)
        tables.append(Table(name, codes, 1.0 / SPREAD, "unit" if length > 1 else "sum"))
    origin = f"seeded {seed} (synthetic)"
    queries = np.unique(trace.queries)[:CALIBRATED_ON]
    some = trace.select(slice(0, int(np.searchsorted(trace.queries, queries[-1], side="right"))))
    weights = seeded(model.sizes(len(trace.rows), dimension), seed)
    return Coding("dlrm", part, weights, origin, True, quantise, {"per_channel": True}).in_steps(tables, some)
