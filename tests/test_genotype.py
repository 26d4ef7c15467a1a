"""Searched recommenders: what is built is what is described, in integers as in floats; one network has one description."""

from __future__ import annotations

import json

import numpy as np
import pytest

import mho
from mho.errors import OptionError
from mho.network.zoo.interaction import Genotype, of
from mho.network.zoo.interaction.description import Dense, Merged, Sparse
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
