"""Laws of every mapping that is registered, a toy of one file and one line among them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.machine import wear
from mho.machine.analog import Analog
from mho.machine.energy import account
from mho.machine.timing import time_program
from mho.mapping import Blocks, map_network
from mho.network.graph import Network
from mho.network.samples import synthetic
from mho.number import QuantisedNetwork
from mho.program import Activate, Program, Write
from mho.program.instructions import size
from mho.strategy import choice, registered, unregister
from tests.strategies import LANES, networks
from tests.test_squeezed_execution import GENERIC, small_chip
from tests.toy_mapping import Mirrored

few = settings(max_examples=12)
names = st.deferred(lambda: st.sampled_from(sorted(registered("mapping"))))
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True, scope="module")
def toy() -> Iterator[None]:
    """Register the toy, in one line, for the tests of this file."""
    kind = choice("mapping", "mirrored")(Mirrored)
    yield
    unregister(kind)


def coded(network: Network, mapping: str) -> QuantisedNetwork:
    inputs = synthetic(network, 1, seed=1).inputs
    if mapping == "basis":
        return mho.number.fit_basis(network, inputs, 9, 3, height=small_chip().weight_rows)
    return mho.number.quantise(network, inputs)


def chip_of(mapping: str) -> Chip:
    """Return a small chip with the parts that a mapping needs."""
    return (
        small_chip(**{key.replace(".", "__"): value for key, value in LANES.items()})
        if mapping == "basis"
        else small_chip()
    )


def compiled(quantised: QuantisedNetwork, mapping: str, **choices: object) -> Program:
    schedule = "basis" if mapping == "basis" else "overlap"
    return mho.compile(quantised, chip_of(mapping), mho.Strategy().with_(mapping=mapping, schedule=schedule, **choices))


def test_the_toy_is_known_to_strategies_by_its_one_line() -> None:
    assert {"dense", "squeezed", "mirrored"} <= set(registered("mapping"))
    assert mho.Strategy.from_dict(mho.Strategy().with_(mapping="mirrored").to_dict()).mapping == Mirrored()


@few
@given(networks, names, seeds)
def test_blocks_driven_and_spliced_give_the_integer_product(network: Network, mapping: str, seed: int) -> None:
    """What the places hold, times what drives their rows, turn by turn, is the product of inputs and codes, exactly."""
    quantised = coded(network, mapping)
    for weight in map_network(quantised, chip_of(mapping), mapping=mapping).weights:
        blocks, matrix = weight.blocks, quantised.held(weight.name)
        x = np.random.default_rng(seed).integers(0, 256, (blocks.matrices, 2, 3, blocks.rows)).astype(np.uint8)
        out = np.zeros((blocks.matrices, 2, 3, blocks.columns))
        base = blocks.shape.coding.base
        for index in range(blocks.count):
            codes = blocks.laid(index, matrix).astype(np.int64) - base
            assert codes.shape == (blocks.heights[index], blocks.widths[index])
            for drive in blocks.drives(index, x):
                driven = sum(part.astype(np.int64) << (8 * byte) for byte, part in enumerate(drive.inputs))
                sums = driven @ (codes if drive.turn.columns is None else codes[:, drive.turn.columns])
                assert sums.shape[1] == drive.width
                blocks.splice(index, drive.number, sums.astype(np.float64), x, out)
        out += blocks.beside(matrix)[:, None, None, :] * x.sum(axis=3, dtype=np.int64)[..., None]
        assert (out == np.einsum("mrwk,mkn->mrwn", x.astype(np.int64), matrix.codes.astype(np.int64))).all()
        read = ((i, blocks.laid(i, matrix).astype(np.float64) - base) for i in range(blocks.count))
        assembled = blocks.assembled(read, matrix)
        assert assembled is not None and (assembled == matrix.codes).all()


def added(blocks: Blocks, index: int) -> np.ndarray:
    """The totals of one block that add up over a run."""
    totals = blocks.totals((index, index + 1))
    return np.array([totals.rows, totals.columns, totals.places, totals.arrays, totals.drives, totals.sums])


@few
@given(networks, names)
def test_totals_of_a_run_are_the_sums_of_its_blocks(network: Network, mapping: str) -> None:
    for weight in map_network(coded(network, mapping), chip_of(mapping), mapping=mapping).weights:
        blocks = weight.blocks
        whole, every = blocks.totals((0, blocks.count)), range(blocks.count)
        sums = sum(added(blocks, index) for index in every)
        assert sums.tolist() == [whole.rows, whole.columns, whole.places, whole.arrays, whole.drives, whole.sums]
        assert whole.places == int(blocks.places.sum()) >= blocks.occupied > 0
        assert whole.inputs <= sum(blocks.totals((index, index + 1)).inputs for index in every)
        bits = [blocks.index_bits((index, index + 1), 7, 3) for index in every]
        assert blocks.index_bits((0, blocks.count), 7, 3) == sum(bits)
        for index in every:
            rows, columns = blocks.entries(index)
            assert bits[index] == rows * (7 + 3) + columns * (7 + 4)
            assert (blocks.reads(index)[:2] == (added(blocks, index)[3], added(blocks, index)[4])).all()
            assert blocks.reads(index, range(int(blocks.widths[index]))).tolist() == blocks.reads(index).tolist()


@few
@given(networks, names, st.sampled_from(["auto", "never"]))
def test_programs_are_exact_legal_and_come_back_from_their_files(
    tmp_path_factory: pytest.TempPathFactory, network: Network, mapping: str, residency: str
) -> None:
    program = compiled(coded(network, mapping), mapping, residency=residency)
    inputs = synthetic(network, 1, seed=2).inputs
    result = mho.verify(program, inputs)
    assert result.ok, str(result)
    path: Path = tmp_path_factory.mktemp("program") / "p.mho"
    program.save(path)
    again = mho.Program.load(path)
    assert again.instructions == program.instructions and again.mapping.kind == mapping
    assert time_program(again).ends.tolist() == time_program(program).ends.tolist()
    timing, worn = time_program(program), wear(program)
    booked = account(program, timing, worn)
    assert sum(booked.by("component").values()) == pytest.approx(booked.total(), rel=1e-12)
    writes = {i: each for i, each in enumerate(program.instructions) if isinstance(each, Write)}
    assert set(worn.counts) == set(writes)
    for number, write in writes.items():
        blocks, run = program.mapping.located(write.blocks)
        assert size(write.groups) == run[1] - run[0]
        assert worn.counts[number].addressed == blocks.totals(run).places * blocks.shape.cells
    runs = {
        each.layer: program.mapping.by_index[each.layer].run
        for each in program.instructions
        if isinstance(each, Activate)
    }
    assert all(run in program.mapping.users for run in runs.values())


NOISY = GENERIC.override({"adc.bits": 6, "adc.range": "full", "device.programming.sigma": 0.1})


@few
@given(networks, names)
def test_backends_agree_on_noisy_cells(network: Network, mapping: str) -> None:
    program = compiled(coded(network, mapping), mapping)
    inputs = synthetic(network, 1, seed=3).inputs

    def outputs(analog: Analog | None, backend: str) -> dict[str, np.ndarray]:
        return mho.execute(program, inputs, analog=analog, backend=backend)

    for analog in (None, NOISY):
        one, other = outputs(analog, "compiled"), outputs(analog, "plain")
        assert all((one[name] == other[name]).all() for name in one)
