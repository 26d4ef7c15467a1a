"""Networks larger than the chip: parts of them written in turn, each for a round of inferences, which compute as ever."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import MappingError
from mho.machine.streaming import time_stream
from mho.machine.timing import time_program
from mho.mapping import map_network
from mho.network.graph import Network
from mho.network.samples import synthetic
from mho.number import run_reference
from mho.program import Activate, Program, Transfer, Write, violations
from tests.ported import take_rounds, widen
from tests.strategies import GREEDY, Sketch, chips, networks
from tests.test_stream import late

some = settings(max_examples=30)


def in_rounds(network: Network, chip: Chip, batch: int, room: int, more: int = 0) -> Program:
    """Return a stream in rounds of `batch` on a chip of `room` bytes of rows that holds the largest layer and `more` groups.

    With -1 more it holds half of that layer.
    """
    mapping = map_network(network, chip)
    largest = max(layer.count for layer in mapping.layers)
    groups = largest + more if more >= 0 else -(-largest // 2)
    assume(groups < mapping.count)
    small = chip.override(
        {"tile.groups": 1, "tiles": groups, "layer_order": "dataflow", "buffer.banks": [room]}, source="small"
    )
    quantised = mho.quantise(network, synthetic(network, 2, seed=1).inputs)
    settings = {"schedule": "stream", "schedule.batch": batch, "schedule.pieces": 4}
    with pytest.MonkeyPatch.context() as patch:
        take_rounds(patch)
        return mho.compile(quantised, small, GREEDY.with_(settings))


@some
@given(networks, chips(), st.integers(1, 4), st.integers(-1, 3), st.integers(0, 2**16))
def test_inferences_of_a_round_compute_what_each_does_alone(
    network: Network, chip: Chip, batch: int, more: int, seed: int
) -> None:
    """Rounds that are whole and one that is cut short; however late instructions are."""
    program = in_rounds(network, chip, batch, 2**22, more)
    assert program.stream is not None and program.quantised is not None
    assert any(isinstance(each, Write) for each in program.instructions[program.setup :])
    samples = synthetic(network, 2 * batch + 1, seed=2).inputs
    keep = tuple(layer.name for layer in network.matrix_layers)
    wanted = run_reference(program.quantised, samples, keep=keep)
    for got in (mho.execute(program, samples, keep=keep), late(program, samples, keep, seed)):
        for name, values in wanted.items():
            assert np.array_equal(got[name], values), name


@settings(max_examples=15)
@given(networks, chips(), st.integers(1, 3), st.integers(-1, 3))
def test_rounds_are_taken_where_nothing_is_faster_that_runs_one_inference_after_another(
    network: Network, chip: Chip, batch: int, more: int
) -> None:
    rounds = in_rounds(network, chip, batch, 2**22, more)
    taken = mho.compile(rounds.quantised or network, rounds.chip, rounds.strategy)
    alone = mho.compile(rounds.quantised or network, rounds.chip, GREEDY.with_(schedule="adaptive"))
    assert violations(taken) == ()
    least = min(time_stream(rounds).interval_s, time_program(alone).latency_s)
    assert mho.simulate(taken).throughput_per_s * least == pytest.approx(1, rel=1e-9)


@some
@given(networks, chips(), st.integers(2, 4), st.integers(6, 12), st.integers(-1, 0))
def test_what_has_no_room_between_parts_is_stored_and_loaded_again(
    network: Network, chip: Chip, batch: int, power: int, more: int
) -> None:
    try:
        program = in_rounds(network, chip, batch, 2**power, more)
    except MappingError:
        assume(False)
    spilled = {
        each.layer
        for each in program.instructions
        if isinstance(each, Transfer) and each.direction == "load" and network.layers[each.layer].inputs
    }
    assume(spilled)
    assert program.quantised is not None
    samples = synthetic(network, batch + 1, seed=2).inputs
    wanted = run_reference(program.quantised, samples)
    got = mho.execute(program, samples)
    for name, values in wanted.items():
        assert np.array_equal(got[name], values), name


@some
@given(networks, chips(), st.integers(1, 3))
def test_twice_the_inferences_a_round_are_as_fast_at_least(network: Network, chip: Chip, batch: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        widen(patch)
        few, many = (in_rounds(network, chip, count, 2**22) for count in (batch, 2 * batch))
        assert time_stream(many).interval_s <= time_stream(few).interval_s * (1 + 1e-6)


@pytest.mark.parametrize(
    "goals",
    [
        (("resnet50", 16, 3_700), ("densenet161", 16, 2_000), ("bert-base", 16, 1_570), ("vgg16", 16, 950)),
        pytest.param(
            (("resnet50", 64, 7_700), ("densenet161", 64, 3_550), ("bert-base", 64, 3_430), ("vgg16", 64, 2_350)),
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_rounds_on_aras_are_as_fast_as_was_set(goals: tuple[tuple[str, int, int], ...]) -> None:
    """The goals set for rounds, in inferences a second, with a port of the buffer that holds nobody up."""
    chip = Chip.load("aras").override({"layer_order": "dataflow"}, source="goal")
    with pytest.MonkeyPatch.context() as patch:
        widen(patch)
        for name, batch, rate in goals:
            network = mho.zoo.load(name)
            program = mho.compile(network, chip, GREEDY.with_({"schedule": "stream", "schedule.batch": batch}))
            assert len(program.instructions) <= 10_000
            assert 1 / time_stream(program).interval_s >= rate


def test_segments_are_taken_where_the_chip_holds_the_network_but_too_few_copies() -> None:
    """DenseNet-161 on ISAAC: no bound on weights that stay is told of a stream that writes them again."""
    network = mho.zoo.load("densenet161")
    chosen, staying = (
        mho.compile(network, "isaac", GREEDY.with_({"schedule": "stream", "schedule.batch": batch}))
        for batch in (16, 1)
    )
    assert chosen.stream is not None and staying.stream is not None
    assert len(chosen.stream.segments) > 1 and not staying.stream.segments
    assert time_stream(chosen).interval_s < time_stream(staying).interval_s / 2
    for program in (chosen, staying):
        told = mho.simulate(program).field("stream")
        assert max(told["bound_arguments_s"].values()) <= told["interval_s"] * (1 + 1e-9)
        assert ("whole copies" in told["bound_arguments_s"]) == (program is staying)


def test_rounds_that_are_slower_than_one_inference_after_another_are_not_taken() -> None:
    """BERT-Base one inference a round: adaptive writes one part while another computes."""
    chip = Chip.load("aras").override({"layer_order": "dataflow"}, source="test")
    network = mho.zoo.load("bert-base")
    alone = mho.compile(network, chip, GREEDY.with_(schedule="adaptive"))
    for batch, rounds in ((1, False), (2, True)):
        program = mho.compile(network, chip, GREEDY.with_({"schedule": "stream", "schedule.batch": batch}))
        assert (program.stream is not None) == rounds
        assert violations(program) == ()
        report = mho.simulate(program)
        assert report.throughput_per_s >= (1 - 1e-9) / time_program(alone).latency_s
        assert any("faster than in rounds of 1" in note for note in program.notes) != rounds


@pytest.mark.parametrize("tiles", [2, 4, 7])
def test_a_layer_larger_than_the_chip_comes_in_parts(tiles: int) -> None:
    """Of the same network on smaller and smaller chips: each part holds blocks of it, until the last completes it."""
    sketch = Sketch(2, (1, 3, 6, 6))
    first = sketch.convolution(sketch.layers[0], 12, 3, 1, 1, 1, 1)
    second = sketch.convolution(first, 12, 3, 1, 1, 1, 1)
    sketch.elementwise(first, second)
    sketch.convolution(sketch.layers[-1], 5, 3, 1, 1, 1, 1)
    changes = {
        "array.rows": 18,
        "array.columns": 16,
        "tile.groups": 1,
        "layer_order": "dataflow",
        "buffer.banks": [2**14],
    }
    chip = Chip.load("aras").override({**changes, "tiles": tiles}, source="law")
    quantised = mho.quantise(sketch.network(), synthetic(sketch.network(), 2, seed=1).inputs)
    with pytest.MonkeyPatch.context() as patch:
        take_rounds(patch)
        program = mho.compile(quantised, chip, GREEDY.with_({"schedule": "stream", "schedule.batch": 3}))
    assert program.stream is not None and violations(program) == ()
    most = max(program.mapping.layers, key=lambda layer: layer.count)
    parts = {each.blocks for each in program.instructions if isinstance(each, Activate) and each.layer == most.index}
    assert most.count > chip.groups or tiles == 7
    assert (len(parts) > 1) == (most.count > chip.groups)
    assert sorted(block for run in parts for block in range(*run)) == list(range(*most.run))
    samples = synthetic(program.network, 7, seed=2).inputs
    wanted, got = run_reference(quantised, samples), mho.execute(program, samples)
    for name, values in wanted.items():
        assert np.array_equal(got[name], values), name


def test_what_only_padding_is_read_of_is_not_stored() -> None:
    """A convolution of a single element, whose windows all lie beside it, though all that can be loaded anew is."""
    sketch = Sketch(2, (1, 1, 5, 5))
    inner = sketch.convolution(sketch.convolution(sketch.layers[0], 1, 3, 1, 0, 1, 1), 1, 3, 1, 0, 1, 1)
    sketch.convolution(inner, 1, 1, 2, 1, 1, 1)
    chip = Chip.load("aras").override(
        {"array.rows": 3, "tile.groups": 1, "tiles": 1, "layer_order": "dataflow"}, source="law"
    )
    quantised = mho.quantise(sketch.network(), synthetic(sketch.network(), 2, seed=1).inputs)
    with pytest.MonkeyPatch.context() as patch:
        take_rounds(patch)
        patch.setattr("mho.schedule.turning.staying", lambda found, *_: [0.0] * len(found))
        program = mho.compile(quantised, chip, GREEDY.with_({"schedule": "stream", "schedule.batch": 2}))
    moved = {program.network.layers[each.layer].name for each in program.instructions if isinstance(each, Transfer)}
    assert inner.inputs[0] in moved and inner.name not in moved
    assert violations(program) == ()
    samples = synthetic(program.network, 5, seed=2).inputs
    wanted, got = run_reference(quantised, samples), mho.execute(program, samples)
    for name, values in wanted.items():
        assert np.array_equal(got[name], values), name


def test_a_round_is_kept_in_a_file(tmp_path: object) -> None:
    from pathlib import Path

    chip = Chip.load("aras").override({"layer_order": "dataflow", "tiles": 3}, source="test")
    program = mho.compile(mho.zoo.load("resnet20"), chip, GREEDY.with_({"schedule": "stream", "schedule.batch": 3}))
    path = Path(str(tmp_path)) / "rounds.mho"
    program.save(path)
    assert Program.load(path).stream == program.stream
    assert program.stream is not None and program.stream.batch == 3 and len(program.stream.segments) > 1
    with pytest.raises(mho.errors.ProgramError, match="rounds of 2 inferences"):
        replace(program, stream=replace(program.stream, batch=2, segments=()))
