"""Searched recommenders: what is built is what is described, in integers as in floats; one network has one description."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from random import Random

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.errors import OptionError
from mho.network.zoo.interaction import Genotype, of
from mho.network.zoo.interaction.counting import different, options, raw
from mho.network.zoo.interaction.description import Dense, Merged, Sparse
from mho.network.zoo.interaction.nasrec import PUBLISHED, nasrec
from mho.network.zoo.interaction.space import ModelSpace
from mho.network.zoo.interaction.store import Store
from mho.number.bits import BYTES
from mho.number.precision import bits_of

FIELDS, DIMENSION = 5, 4
EVERY = Genotype(
    dense=(
        Dense("fc", 9, (0,), (4, 4)),
        Dense("dot", 12, (0, 1), (8, 8), vectors=(0, 1)),
        Dense("gate", 7, (1, 2), (2, 4), right=(0,), fm=Merged(2, (4, 8))),
        Dense("sum", 8, (1,), (4, 8), right=(2, 3)),
    ),
    sparse=(
        Sparse("mix", 6, (0,), (4, 8), spread=Merged(1, (8, 4))),
        Sparse("attention", 3, (0, 1), (4, 4)),
        Sparse("mix", 2, (1, 2), (2, 4)),
    ),
    ends=(4, 3),
    bits=(8, 4),
    wide=True,
)
"""Each operator, most of them with bits of their own."""


def test_every_operator_is_bit_exact_and_legal() -> None:
    network = EVERY.build(FIELDS, DIMENSION, EVERY.fresh(FIELDS, DIMENSION, 0))
    x = np.random.default_rng(0).normal(size=(8, FIELDS, DIMENSION + 1)).astype(np.float32)
    bits = EVERY.layer_bits(FIELDS, DIMENSION)
    given = bits_of(network, bits)
    assert {name: str(given.get(name, BYTES)) for name in bits} == bits
    program = mho.compile(mho.number.quantise(network, x, bits=bits), "isaac", "naive")
    assert mho.verify(program, x[:2]).exact


def test_a_record_is_the_description() -> None:
    record = json.loads(json.dumps(EVERY.record()))
    assert of(record) == EVERY
    with pytest.raises(OptionError, match="widht"):
        of({**record, "dense": [{**record["dense"][0], "widht": 3}]})


def test_one_network_has_one_description() -> None:
    dead = Dense("fc", 5, (0,), (8, 8))
    moved = Genotype(
        dense=(dead, *(EVERY.dense[0],), Dense("dot", 12, (2, 0), (8, 8), vectors=(1, 0)),
               Dense("gate", 7, (3, 2), (2, 4), right=(0,), fm=Merged(2, (4, 8))),
               Dense("sum", 8, (3, 4), (4, 8), right=(2,))),
        sparse=(Sparse("mix", 6, (0,), (4, 8), spread=Merged(2, (8, 4))), *EVERY.sparse[1:]),
        ends=(5, 3), bits=(8, 4), wide=True,
    )  # fmt: skip
    assert moved != EVERY and moved.key() == EVERY.key() and moved.canonical().canonical() == moved.canonical()


def test_a_network_does_not_rest_on_itself() -> None:
    with pytest.raises(OptionError, match="rests on itself"):
        Genotype(
            dense=(Dense("dot", 4, (0,), (8, 8), vectors=(1,)),),
            sparse=(Sparse("mix", 2, (0,), (8, 8), spread=Merged(1, (8, 8))),),
            ends=(1, 1),
        )


SMALL = ModelSpace(blocks=3, widths=(4, 9), counts=(2, 3))


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32), chip=st.sampled_from(["isaac", "aras"]))
def test_drawn_models_are_bit_exact_and_legal(seed: int, chip: str) -> None:
    random = Random(seed)
    model = SMALL.genotype(SMALL.drawn(random))
    network = model.build(FIELDS, DIMENSION, model.fresh(FIELDS, DIMENSION, seed))
    x = np.random.default_rng(seed).normal(size=(4, FIELDS, model.width(DIMENSION))).astype(np.float32)
    bits = model.layer_bits(FIELDS, DIMENSION)
    given = bits_of(network, bits)
    assert {name: str(given.get(name, BYTES)) for name in bits} == bits
    assert mho.verify(mho.compile(mho.number.quantise(network, x, bits=bits), chip, "naive"), x[:2]).exact


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32))
def test_shared_weights_are_cut_to_the_shapes_of_each_model(seed: int) -> None:
    store = Store(SMALL, FIELDS, DIMENSION)
    shared = {name: np.arange(np.prod(shape)).reshape(shape) for name, shape in store.shapes.items()}
    model = SMALL.genotype(SMALL.drawn(Random(seed)))
    own = store.cut(model, shared)
    assert {name: each.shape for name, each in own.items()} == model.weights(FIELDS, DIMENSION)
    for matrix in model.matrices(FIELDS, DIMENSION):
        columns = store.columns(matrix)
        assert len(set(columns)) == matrix.rows, "no column of a weight counts twice"


def test_a_store_keeps_what_models_read_apart() -> None:
    """The column of an output is the same, whatever else a model reads beside it."""
    store = Store(SMALL, FIELDS, DIMENSION)
    both, one = (
        Genotype(
            dense=(Dense("fc", 4, (0,), (8, 8)), Dense("fc", 9, (1,), (8, 8)), Dense("fc", 4, reads, (8, 8))),
            sparse=(), ends=(3, 0),
        ).matrices(FIELDS, DIMENSION)[2]
        for reads in ((1, 2), (2,))
    )  # fmt: skip
    assert store.columns(both)[4:].tolist() == store.columns(one).tolist() == [*range(20 + 9, 20 + 18)]


TINY = [
    ModelSpace(1, widths=(2, 4), counts=(2,), weight_bits=(4,), input_bits=(4, 8), wide=(False,)),
    ModelSpace(2, sparse=("mix",), widths=(2,), counts=(2,), weight_bits=(8,), input_bits=(8,), merges=False, wide=(False,)),
    ModelSpace(2, dense=("fc", "sum"), sparse=("mix",), widths=(2, 4), counts=(2,), weight_bits=(8,), input_bits=(8,),
               merges=False, wide=(False,)),
    ModelSpace(2, dense=("fc",), sparse=("mix",), widths=(2,), counts=(2,), weight_bits=(8,), input_bits=(8,), wide=(False,)),
    ModelSpace(2, dense=("fc",), sparse=("mix",), widths=(2,), counts=(2,), weight_bits=(8,), input_bits=(8,), wide=(False,),
               alone=True),
]  # fmt: skip


@pytest.mark.parametrize("space", TINY, ids=str)
def test_counts_are_those_of_all_designs_made(space: ModelSpace) -> None:
    designs = [*itertools.product(*map(range, space.sizes))]
    assert len(designs) == raw(space).number
    plain = {repr(space.plain(design)): space.plain(design) for design in designs}
    networks = {model.key() for model in plain.values()}
    chained = {
        model.key()
        for model in plain.values()
        if all(model.ends)
        and all(place - 1 in (*each.left, *each.right) for place, each in enumerate(model.dense, 1))
        and all(place - 1 in each.reads for place, each in enumerate(model.sparse, 1))
    }
    # Of the options the two orders of a sum are one.
    sums = {repr(replaced(model)) for model in plain.values()}
    assert len(sums) == options(space).number
    assert len(chained) == different(space).number
    assert different(space).number <= len(networks) <= options(space).number
    if space.blocks == 1:
        assert different(space).number == len(networks) == options(space).number


def replaced(model: Genotype) -> Genotype:
    """Put the sides of sums in order."""
    dense = tuple(
        replace(each, left=min(each.left, each.right), right=max(each.left, each.right)) if each.kind == "sum" else each
        for each in model.dense
    )
    return replace(model, dense=dense)


@pytest.mark.parametrize("dense", [("fc",), ("fc", "sum")])
def test_two_models_have_one_key_exactly_where_their_graphs_are_isomorphic(dense: tuple[str, ...]) -> None:
    """Judged by networkx, on all pairs of designs that were drawn."""
    space = ModelSpace(3, dense=dense, sparse=("mix",), widths=(2,), counts=(2,), weight_bits=(8,),
                       input_bits=(8,), merges=False, wide=(False,))  # fmt: skip
    random = Random(0)
    models = [space.plain(space.drawn(random)) for _ in range(60)]
    drawings = [(model.key(), drawing(model)) for model in models]
    match = networkx.algorithms.isomorphism.categorical_node_match("is", None)
    edges = networkx.algorithms.isomorphism.categorical_edge_match("side", None)
    same = 0
    for (a, one), (b, other) in itertools.combinations(drawings, 2):
        alike = networkx.is_isomorphic(one, other, node_match=match, edge_match=edges)
        same += alike
        assert alike == (a == b)
    assert same > 0


def drawing(model: Genotype) -> networkx.DiGraph:
    """Draw a model as a graph: sides of operators are nodes, so that those of a sum may be exchanged."""
    graph = networkx.DiGraph()
    for what, number in [("dense", 0), ("sparse", 0), *model.order]:
        place = (what, number)
        if number == 0:
            graph.add_node(place, **{"is": f"raw {what}"})
            continue
        operator = model.dense[number - 1] if what == "dense" else model.sparse[number - 1]
        graph.add_node(
            place, **{"is": (what, operator.kind, place in zip(("dense", "sparse"), model.ends, strict=True))}
        )
        sides = {"left": operator.left, "right": operator.right} if what == "dense" else {"reads": operator.reads}
        for side, reads in sides.items():
            name = "side" if operator.kind == "sum" else side
            graph.add_node((place, side), **{"is": name})
            graph.add_edge((place, side), place, side=name)
            for each in reads:
                graph.add_edge((what, each), (place, side), side=name)
    return graph


# Multiply-accumulates that NASRec's README publishes (as FLOPs), in millions, and the fields of its data sets.
NASREC = {
    "criteo-full": (26, 1.45), "criteo-small": (26, 2.20), "avazu-full": (23, 1.87),
    "avazu-small": (23, 3.08), "kdd-full": (10, 1.09), "kdd-small": (10, 3.48),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_are_about_as_large_as_published(name: str) -> None:
    """Not equal: dense operators begin with all vectors laid flat here, with few numbers there; see `operators`."""
    fields, published = NASREC[name]
    model = nasrec(name)
    macs = sum(matrix.rows * matrix.outputs * matrix.windows for matrix in model.matrices(fields, 16)) / 1e6
    assert 0.85 * published < macs < 1.3 * published
    assert set(model.layer_bits(fields, 16).values()) == {"8/8"}
    space = ModelSpace(input_bits=(4, 8))
    assert space.genotype(space.indices(model)) == model
