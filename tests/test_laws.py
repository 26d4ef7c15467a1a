"""Laws that no single module states: each would fail if the code that it is about were wrong in one plausible way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.chip.coding import Coding
from mho.machine.analog.products import Products
from mho.machine.timing import time_program
from mho.mapping import DenseBlocks, GroupShape
from mho.network.graph import Network
from mho.network.layers import Affine, Array, Input, Linear
from mho.network.products import exact_type, multiply
from mho.network.samples import synthetic
from mho.schedule import adaptive as adaptive_schedule
from mho.schedule.builder import InstructionBuilder, Task
from mho.schedule.naive import naive
from tests.strategies import GREEDY, chips, networks

few = settings(max_examples=15)


@pytest.mark.parametrize("name", Chip.presets())
def test_a_byte_through_a_buffer_costs_its_share_of_an_access(name: str) -> None:
    """Port bits / 8 bytes go through at once, so that many bytes cost one access of the component, whatever the bank."""
    chip = Chip.load(name)
    component = chip.costs.component("global_buffer")
    assert component is not None
    for bank, read_j, write_j in zip(chip.buffer.banks, chip.costs.bank_read_j, chip.costs.bank_write_j, strict=True):
        context = {"bytes": bank, "port_bits": chip.buffer.port_bits}
        width = chip.buffer.port_bits / 8
        assert read_j * width == pytest.approx(component.figure("read_energy", context), rel=1e-12)
        assert write_j * width == pytest.approx(component.figure("write_energy", context), rel=1e-12)


@few
@given(
    matrices=st.integers(1, 12), rows=st.integers(1, 40), columns=st.integers(1, 40),
    room=st.tuples(st.integers(1, 24), st.integers(1, 24)), packed=st.integers(1, 4),
)  # fmt: skip
def test_the_weights_of_blocks_are_those_of_the_layer(
    matrices: int, rows: int, columns: int, room: tuple[int, int], packed: int
) -> None:
    """Zeros beside a diagonal and cells beyond an edge are no weights; they are places where matrices share a block."""
    fits = packed * rows <= room[0] and packed * columns <= room[1]
    shape = GroupShape(Coding("offset", 8, 2), *room, per_array=room[1])
    blocks = DenseBlocks(matrices, rows, columns, shape, packed if fits else 1)
    assert int(blocks.weights.sum()) == matrices * rows * columns
    assert bool((blocks.places >= blocks.weights).all())


def test_an_odd_sum_beyond_what_float32_holds_is_exact() -> None:
    """259 products of 255 x 255 add up to 16,841,475: odd, and above 2^24, where float32 has even numbers alone."""
    layer = Linear(name="y", inputs=("x",), shape=(1, 1), weight=Array.of(np.full((1, 259), 255.0, dtype=np.float32)))
    one = Affine(np.array(1.0), np.array(0), 0, 255)
    network = Network(
        "odd", (Input(name="x", inputs=(), shape=(1, 259)), layer), ("y",), "made (synthetic)", codes={"x": one}
    )
    samples = np.full((1, 259), 255.0)
    coded = mho.number.quantise(network, samples)
    assert int(coded.matrices["y"].codes.astype(np.int64).sum()) * 255 == 16_841_475
    program = mho.compile(coded, "aras", GREEDY)
    for outputs in (mho.execute(program, samples), mho.number.run_reference(coded, samples)):
        assert outputs["y"].item() == 16_841_475 * float(coded.matrices["y"].scale)
    assert exact_type(2.0**24 + 1) is np.float64
    weight = np.full((1, 259, 1), 255, dtype=exact_type(259 * 255.0 * 255.0))
    assert multiply(layer, np.full((1, 259), 255, dtype=np.uint8), weight).item() == 16_841_475


@few
@given(networks, chips(), st.booleans())
def test_blocks_one_by_one_give_what_the_whole_matrix_gives(network: Network, chip: Chip, per_channel: bool) -> None:
    """The shortcut that multiplies a layer's matrix at once is no other answer: zero points are corrected in both ways."""
    inputs = synthetic(network, 2, seed=1).inputs
    quantised = mho.number.quantise(network, inputs, per_channel=per_channel)
    program = mho.compile(quantised, chip, GREEDY.with_(schedule="overlap"))
    reference = mho.number.run_reference(quantised, inputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Products, "whole", lambda *_: None)
        outputs = mho.execute(program, inputs)
    for name, values in reference.items():
        np.testing.assert_array_equal(outputs[name], values)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_a_search_that_was_misled_costs_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the search comes back with a bad plan (its estimate was wrong), the machine's measurement decides."""

    def misled(task: Task, search: object, plain: InstructionBuilder, expired: object) -> InstructionBuilder:
        return naive(task)

    network = mho.zoo.load(name)
    monkeypatch.setattr(adaptive_schedule, "_searched", misled)
    chosen = mho.compile(network, "aras", GREEDY.with_(schedule="adaptive"))
    others = [mho.compile(network, "aras", GREEDY.with_(schedule=each)) for each in ("overlap", "aras")]
    assert time_program(chosen).latency_s <= min(time_program(each).latency_s for each in others) * (1 + 1e-12)
    worst = mho.compile(network, "aras", GREEDY.with_(schedule="naive"))
    assert time_program(chosen).latency_s < time_program(worst).latency_s
