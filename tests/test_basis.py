"""Programs on a basis that is written once: exact, legal, counted as the formulas say, and refused where they cannot be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import MappingError, ProgramError, StrategyError
from mho.machine.analog.products import Products
from mho.machine.energy import count_events
from mho.mapping.combination import Combination
from mho.mapping.merging import first_fit
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.network.samples import synthetic
from mho.number import QuantisedNetwork, read_from, run_reference
from mho.number.basis import BasisCoding, BasisNumbers, integers_of, segments
from mho.number.coefficients import Coefficients
from mho.number.fitting import composed
from mho.number.packing import pack
from mho.program import Program, Write, violations
from mho.program.columns import FETCH, columns
from tests.ported import widen, without_ports
from tests.strategies import networks

few = settings(max_examples=25)


def small(**changes: Any) -> Chip:
    """Return a chip of few, small arrays with lanes."""
    keys = {
        "array.rows": 8, "array.columns": 8, "array.adcs": 4, "group.arrays": 2, "tile.groups": 3, "tiles": 4,
        "basis.coefficient_bits": 8, "basis.product_bytes": 2**20, "basis.merging": "switches", **changes,
    }  # fmt: skip
    return Chip.load("basisn").override(keys, source="assumption: a test's own")


@st.composite
def coded_networks(draw: st.DrawFn, mixed: bool = False) -> QuantisedNetwork:
    """Draw a network whose weights are combinations of a drawn basis; `mixed`: but for some layers."""
    network = draw(networks)
    levels, bits = draw(st.integers(2, 6)), draw(st.integers(2, 4))
    powers, units = draw(st.booleans()), draw(st.booleans())
    vectors, height, nonzeros = draw(st.integers(1, 20)), draw(st.integers(1, 8)), draw(st.integers(1, 6))
    if units:
        vectors, levels = height, 2
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    coefficients = {}
    owners = sorted({*network.owners.values()})
    left_out = {name for name in owners[1:] if mixed and draw(st.booleans())}
    for layer in network.matrix_layers:
        owner = network.owners[layer.name]
        if owner in left_out:
            continue
        if owner != layer.name:
            coefficients[layer.name] = coefficients[owner]
            continue
        shape = (layer.groups, -(-layer.rows // height), vectors, layer.columns)
        values = generator.choice(integers_of(bits, powers), shape)
        rank = generator.random(shape).argsort(axis=2).argsort(axis=2)
        values = np.where(rank < nonzeros, values, 0)
        if units:
            for j, part in enumerate(segments(layer.rows, height)):
                values[:, j, part.stop - part.start :] = 0
        coefficients[layer.name] = Coefficients.of(values.astype(np.int8))
    cells = np.eye(height) if units else generator.integers(0, levels, (vectors, height))
    coding = BasisCoding(cells.astype(np.uint8), levels, bits, nonzeros, coefficients, powers, units)
    before = mho.number.quantise(network, synthetic(network, 2, seed=1).inputs)
    matrices = dict(before.matrices)
    for layer in network.matrix_layers:
        if layer.name not in coefficients:
            continue
        scale = np.linspace(0.001, 0.002, layer.groups * layer.columns).reshape(layer.groups, layer.columns)
        matrices[layer.name] = composed(coding, layer, scale, before.matrices[layer.name].bias)
    for name, owner in network.owners.items():
        matrices[name] = matrices[owner]
    return replace(before, matrices=matrices, per_channel=True, basis=coding)


ways = st.sampled_from(["lanes", "merged"])


def compiled(quantised: QuantisedNetwork | Network, chip: Chip, combine: str = "lanes") -> Program:
    return mho.compile(
        quantised, chip, mho.Strategy.load("basisn").with_({"coding": "bytes", "mapping.combine": combine})
    )


CODINGS = [("offset", 1), ("offset", 2), ("offset", 4), ("differential", 2), ("differential", 4), ("twos_complement", 1),
           ("twos_complement", 2), ("flipped", 1), ("flipped", 2)]  # fmt: skip


@few
@given(coded_networks(), st.sampled_from(CODINGS), ways)
def test_a_program_on_a_basis_computes_the_reference_bit_for_bit(
    quantised: QuantisedNetwork, coding: tuple[str, int], combine: str
) -> None:
    name, bits = coding
    assert quantised.basis is not None
    assume(combine == "lanes" or not (name == "flipped" or quantised.basis.units))
    program = compiled(quantised, small(tiles=40, **{"array.coding": name, "array.cell_bits": bits}), combine)
    inputs = synthetic(quantised.network, quantised.network.batch, seed=3).inputs
    verified = mho.verify(program, inputs)
    assert verified.ok, str(verified)
    # The same where every sum of the basis is converted and combined, not the layer's whole matrix multiplied at once.
    whole = mho.execute(program, inputs)
    with patch.object(Products, "whole", return_value=None):
        for name, tensor in mho.execute(program, inputs).items():
            assert np.array_equal(tensor, whole[name])


@few
@given(coded_networks(), st.integers(1, 12), st.integers(64, 400), ways)
def test_nothing_is_written_after_the_setup_and_conversions_are_windows_times_segments_times_columns(
    quantised: QuantisedNetwork, tiles: int, buffer: int, combine: str
) -> None:
    coding = quantised.basis
    assert coding is not None
    assume(combine == "lanes" or not coding.units)
    chip = small(tiles=40 + tiles, **{"basis.buffer_bytes": buffer})
    try:
        program = compiled(quantised, chip, combine)
    except MappingError as error:
        assert "bytes of coefficients for one segment" in str(error)
        return
    report = mho.simulate(program)
    table = columns(program)
    assert not [each for each in program.instructions[program.setup :] if isinstance(each, Write)]
    fetches = table.of(FETCH)
    assert (
        sum(isinstance(each, Write) for each in program.instructions) + (fetches < program.setup).sum() == program.setup
    )
    # Coefficients that all find room are fetched once.
    stay = sum(layer.combination.size for layer in program.mapping.combining if layer.combination) <= buffer
    assert (fetches < program.setup).all() if stay else (fetches >= program.setup).all()
    cells, steps = program.mapping.weights[0].blocks.shape.cells, 8
    asked = 0
    for layer in quantised.network.matrix_layers:
        vectors = layer.windows * layer.groups * -(-layer.rows // coding.height)
        asked += (
            vectors * (len(coding.cells) if combine == "lanes" else layer.columns * coding.bits) * (not coding.units)
        )
    counted = count_events(program, report.worn, program.setup, len(program.instructions))
    conversions = sum(count for (_, event, _), count in counted.items() if event == "adc_conversion")
    assert conversions == pytest.approx(asked * cells * steps, rel=1e-12)
    fetched = dict.fromkeys(coding.coefficients, 0)
    for place in table.of(FETCH).tolist():
        fetched[quantised.network.layers[table.layer[place]].name] += int(table.size[place])
    for layer in program.mapping.combining:
        assert layer.combination is not None and fetched[layer.name] == layer.combination.size
    assert report.timing.latency_s >= report.bound.seconds * (1 - 1e-9)
    assert not violations(program, (report.timing.starts, report.timing.ends))


@few
@given(coded_networks())
def test_bytes_that_are_fetched_are_those_of_the_packed_parts(quantised: QuantisedNetwork) -> None:
    coding, program = quantised.basis, compiled(quantised, small(tiles=40))
    assert coding is not None
    for layer in program.mapping.combining:
        matrix = quantised.network.layers[layer.index]
        assert isinstance(matrix, MatrixLayer) and layer.combination is not None
        # Of unit vectors a segment has no more than inputs, which a decoder knows.
        lengths = [each.stop - each.start for each in segments(matrix.rows, coding.height)]
        parts = [
            part[: length if coding.units else None]
            for group in coding.dense(matrix)
            for part, length in zip(group, lengths, strict=True)
        ]
        sizes = [len(pack(part, coding.bits, powers=coding.powers)) for part in parts]
        assert np.diff(layer.combination.until).tolist() == sizes


@few
@given(st.integers(1, 30), st.integers(1, 20), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_outputs_that_share_a_pass_share_no_vector(outputs: int, vectors: int, share: float, seed: int) -> None:
    supports = np.random.default_rng(seed).random((outputs, vectors)) < share
    passes: list[list[np.ndarray]] = []
    for support in supports[supports.any(axis=1)]:
        free = [each for each in passes if not any((support & other).any() for other in each)]
        if free:
            free[0].append(support)
        else:
            passes.append([support])
    assert first_fit(supports) == tuple(map(len, passes))
    # No fewer than the busiest vector has users.
    assert supports.sum(axis=0).max() <= len(passes)


@few
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(1, 7), st.integers(1, 5), st.data())
def test_sums_over_ranges_of_input_vectors_are_those_of_their_windows_and_batches(
    counts: list[int], windows: int, batch: int, data: st.DataObject
) -> None:
    numbers = BasisNumbers(vectors=9, height=8, nonzeros=9)
    each = np.array(counts)
    combination = Combination(numbers, windows, 8, 1, each, 3, 1e-9, 18)
    first = data.draw(st.integers(0, combination.vectors - 1))
    last = data.draw(st.integers(first + 1, combination.vectors))
    ends = np.array([first]), np.array([last])
    parts = [vector // windows for vector in range(first, last)]
    assert combination.summed(each, *ends) == [sum(counts[part] for part in parts)]
    batches = sum(counts[part] * -(-parts.count(part) // batch) for part in set(parts))
    assert combination.batched(each, *ends, batch) == [batches]
    assert combination.lasting_s(*ends) == pytest.approx([sum(counts[part] for part in parts) / 3 * 1e-9])


def formula_s(program: Program) -> float:
    """Sum the largest of three terms over layers: windows x segments of one instance, their coefficients in lanes, the stream."""
    chip, total = program.chip, 0.0
    for layer in program.mapping.combining:
        combination = layer.combination
        assert combination is not None
        dealt = -(-layer.windows // (chip.groups // layer.count))
        stream = combination.size / chip.memory.bandwidth
        total += max(dealt * layer.readout.window_s, dealt * combination.window_s, stream)
    return total


@pytest.mark.parametrize(
    ("name", "tiles", "vectors"), [("resnet20", 1, 512), ("resnet20", 4, 128), ("resnet56", 1, 256)]
)
def test_time_is_that_of_the_three_terms_where_arrays_or_lanes_bind_every_layer(
    name: str, tiles: int, vectors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Planned for ports that hold nobody up, too.
    widen(monkeypatch)
    keys = {"tiles": tiles, "memory.bandwidth": 1e12, "tile.noc_port_bits": 2**16, "tile.buffer_port_bits": 1024}
    chip = Chip.load("basisn").override(keys, source="assumption: a test's own")
    program = mho.compile(mho.zoo.load(name), chip, mho.Strategy.load("basisn").with_(vectors=vectors))
    report = mho.simulate(program)
    assert report.latency_s == pytest.approx(formula_s(program), rel=0.01)
    assert report.bound.seconds * (1 - 1e-9) <= report.latency_s <= 1.02 * report.bound.seconds


@pytest.mark.parametrize("tiles", [1, 16, 96])
def test_fetching_ahead_is_never_slower_than_the_three_terms(tiles: int) -> None:
    chip = Chip.load("basisn").override({"tiles": tiles}, source="assumption: a test's own")
    program = mho.compile(mho.zoo.load("resnet20"), chip, "basisn")
    assert without_ports(program).latency_s <= 1.01 * formula_s(program)


@few
@given(coded_networks(mixed=True), st.integers(1, 30), st.sampled_from(["auto", "never"]))
def test_layers_that_are_left_out_stay_or_are_written_beside_a_basis_that_stays(
    quantised: QuantisedNetwork, tiles: int, residency: str
) -> None:
    strategy = mho.Strategy.load("basisn").with_(coding="bytes", residency=residency)
    try:
        program = mho.compile(quantised, small(tiles=tiles), strategy)
    except (MappingError, StrategyError) as error:
        assert "groups" in str(error)
        return
    assert mho.verify(program, synthetic(quantised.network, quantised.network.batch, seed=3).inputs).ok
    report = mho.simulate(program)
    assert violations(program, (report.timing.starts, report.timing.ends)) == ()
    assert report.latency_s >= report.bound.seconds * (1 - 1e-9)
    basis = {layer.run for layer in program.mapping.combining}
    again = [each for each in program.instructions[program.setup :] if isinstance(each, Write)]
    assert all(each.blocks not in basis for each in again)
    assert bool(again) == (program.setup < len(program.mapping.weights))


# Cells as they are.


@few
@given(coded_networks(), st.sampled_from(CODINGS), st.integers(2, 9))
def test_cells_of_every_instance_are_read_as_they_were_meant(
    quantised: QuantisedNetwork, coding: tuple[str, int], tiles: int
) -> None:
    chip = small(tiles=20 + tiles, **{"array.coding": coding[0], "array.cell_bits": coding[1]})
    program = compiled(quantised, chip)
    levels = mho.machine.read_basis(program)
    assert quantised.basis is not None and levels.shape[1:] == quantised.basis.cells.shape
    assert (levels == quantised.basis.cells).all()


@settings(max_examples=8)
@given(networks, st.integers(0, 9))
def test_a_program_on_cells_that_were_read_computes_what_was_fitted_to_them(network: Network, seed: int) -> None:
    inputs = synthetic(network, 4 * network.batch, seed=2).inputs
    analog = mho.machine.Analog(seed=seed).override({"adc.bits": "ideal", "device.programming.sigma": 0.1})
    meant = mho.number.fit_basis(network, inputs, 20, 4, height=8)
    first = compiled(meant, small(tiles=40))
    cells = mho.machine.read_basis(first, analog)[0]
    assert meant.basis is not None and not (cells == meant.basis.cells).all()
    fitted = mho.number.fit_basis(network, inputs, nonzeros=4, basis=meant.basis, cells=cells)
    program = compiled(fitted, small(tiles=40))
    again = mho.machine.read_basis(program, analog)
    assert (again[0] == cells).all()
    if len(again) == 1:
        found, wanted = mho.execute(program, inputs, analog=analog), run_reference(read_from(fitted, cells), inputs)
        for name, tensor in found.items():
            assert np.abs(tensor - wanted[name]).mean() <= 0.05 * max(wanted[name].std(), 1e-9)


def test_a_program_without_a_basis_has_none_to_read() -> None:
    with pytest.raises(ProgramError, match="no basis"):
        mho.machine.read_basis(mho.compile(mho.zoo.load("resnet20"), "aras"))
