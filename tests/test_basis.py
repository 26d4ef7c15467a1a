"""Programs on a basis that is written once: exact, legal, counted as the formulas say, and refused where they cannot be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import MappingError
from mho.machine.analog.products import Products
from mho.machine.energy import count_events
from mho.network.graph import Network
from mho.network.samples import synthetic
from mho.number import QuantisedNetwork
from mho.number.basis import BasisCoding
from mho.number.fitting import composed
from mho.program import Program, Write, violations
from mho.program.columns import FETCH, columns
from tests.strategies import networks

few = settings(max_examples=25)


def small(**changes: Any) -> Chip:
    """Return a chip of few, small arrays with lanes."""
    keys = {
        "array.rows": 8, "array.columns": 8, "array.adcs": 4, "group.arrays": 2, "tile.groups": 3, "tiles": 4,
        "basis.coefficient_bits": 8, "basis.product_bytes": 2**20, **changes,
    }  # fmt: skip
    return Chip.load("basisn").override(keys, source="assumption: a test's own")


@st.composite
def coded_networks(draw: st.DrawFn) -> QuantisedNetwork:
    """Draw a network whose weights are combinations of a drawn basis."""
    network = draw(networks)
    levels, bits = draw(st.integers(2, 6)), draw(st.integers(2, 4))
    vectors, height, nonzeros = draw(st.integers(1, 20)), draw(st.integers(1, 8)), draw(st.integers(1, 6))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    coefficients = {}
    for layer in network.matrix_layers:
        owner = network.owners[layer.name]
        if owner != layer.name:
            coefficients[layer.name] = coefficients[owner]
            continue
        shape = (layer.groups, -(-layer.rows // height), vectors, layer.columns)
        values = generator.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape)
        rank = generator.random(shape).argsort(axis=2).argsort(axis=2)
        coefficients[layer.name] = np.where(rank < nonzeros, values, 0).astype(np.int8)
    cells = generator.integers(0, levels, (vectors, height)).astype(np.uint8)
    coding = BasisCoding(cells, levels, bits, nonzeros, coefficients)
    before = mho.number.quantise(network, synthetic(network, 2, seed=1).inputs)
    matrices = {}
    for layer in network.matrix_layers:
        scale = np.linspace(0.001, 0.002, layer.groups * layer.columns).reshape(layer.groups, layer.columns)
        matrices[layer.name] = composed(coding, layer, scale, before.matrices[layer.name].bias)
    for name, owner in network.owners.items():
        matrices[name] = matrices[owner]
    return replace(before, matrices=matrices, per_channel=True, basis=coding)


def compiled(quantised: QuantisedNetwork | Network, chip: Chip) -> Program:
    return mho.compile(quantised, chip, mho.Strategy.load("basisn").with_(coding="bytes"))


CODINGS = [("offset", 1), ("offset", 2), ("offset", 4), ("differential", 2), ("differential", 4), ("twos_complement", 1),
           ("twos_complement", 2), ("flipped", 1), ("flipped", 2)]  # fmt: skip


@few
@given(coded_networks(), st.sampled_from(CODINGS))
def test_a_program_on_a_basis_computes_the_reference_bit_for_bit(
    quantised: QuantisedNetwork, coding: tuple[str, int]
) -> None:
    name, bits = coding
    program = compiled(quantised, small(tiles=40, **{"array.coding": name, "array.cell_bits": bits}))
    inputs = synthetic(quantised.network, quantised.network.batch, seed=3).inputs
    verified = mho.verify(program, inputs)
    assert verified.ok, str(verified)
    # The same where every sum of the basis is converted and combined, not the layer's whole matrix multiplied at once.
    whole = mho.execute(program, inputs)
    with patch.object(Products, "whole", return_value=None):
        for name, tensor in mho.execute(program, inputs).items():
            assert np.array_equal(tensor, whole[name])


@few
@given(coded_networks(), st.integers(1, 12), st.integers(64, 400))
def test_nothing_is_written_after_the_setup_and_conversions_are_windows_times_segments_times_columns(
    quantised: QuantisedNetwork, tiles: int, buffer: int
) -> None:
    coding = quantised.basis
    assert coding is not None
    chip = small(tiles=40 + tiles, **{"basis.buffer_bytes": buffer})
    try:
        program = compiled(quantised, chip)
    except MappingError as error:
        assert "bytes of coefficients for one segment" in str(error)
        return
    report = mho.simulate(program)
    table = columns(program)
    assert not [each for each in program.instructions[program.setup :] if isinstance(each, Write)]
    assert sum(isinstance(each, Write) for each in program.instructions) == program.setup
    cells, steps = program.mapping.weights[0].blocks.shape.cells, 8
    asked = sum(
        layer.windows * layer.groups * -(-layer.rows // coding.height) for layer in quantised.network.matrix_layers
    )
    counted = count_events(program, report.worn, program.setup, len(program.instructions))
    conversions = sum(count for (_, event, _), count in counted.items() if event == "adc_conversion")
    assert conversions == asked * len(coding.cells) * cells * steps
    fetched = dict.fromkeys(coding.coefficients, 0)
    for place in table.of(FETCH).tolist():
        fetched[quantised.network.layers[table.layer[place]].name] += int(table.size[place])
    for layer in program.mapping.combining:
        assert layer.combination is not None and fetched[layer.name] == layer.combination.size
    assert report.timing.latency_s >= report.bound.seconds * (1 - 1e-9)
    assert not violations(program, (report.timing.starts, report.timing.ends))
