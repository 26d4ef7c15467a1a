"""Layers that share one weight: the same blocks serve them all, and every law holds as it does without."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.machine import systolic
from mho.mapping import map_network
from mho.network.graph import Network
from mho.network.layers import (
    Activation,
    Array,
    Concatenate,
    Convolution,
    Elementwise,
    Input,
    Layer,
    Linear,
    Reshape,
    Slice,
)
from mho.number import QuantisedNetwork
from mho.number.grid import Grid
from mho.program import Activate, Program, Write, violations
from mho.schedule.holding import held_blocks
from tests.hand_sized import hand_chip
from tests.strategies import ALONE, GREEDY, Sketch, chips
from tests.test_squeezed_execution import small_chip

few = settings(max_examples=10)
names = st.sampled_from(ALONE)
residencies = st.sampled_from(["auto", "never"])


def unrolled(steps: int, inputs: int, hidden: int, batch: int = 1, seed: int = 0, between: int = 0) -> Network:
    """A plain recurrent network: one product of all inputs, then `steps` products that share one weight, and a head.

    `between` layers of their own stand in every step.
    """
    sketch = Sketch(seed, (batch, steps, inputs))
    every = sketch.linear(sketch.layers[0], hidden)
    weight = sketch.weight(hidden, hidden)
    state: Layer | None = None
    for step in range(steps):
        part = sketch.add(
            Slice(
                name=f"x{step}", inputs=(every.name,), shape=(batch, hidden), axis=1, start=step, stop=step + 1, drop=True
            )
        )  # fmt: skip
        if state is not None:
            names = (
                part.name,
                sketch.add(Linear(name=f"r{step}", inputs=(state.name,), shape=part.shape, weight=weight)).name,
            )
            part = sketch.add(Elementwise(name=f"a{step}", inputs=names, shape=part.shape, function="add"))
        for _ in range(between):
            part = sketch.linear(part, hidden)
        state = sketch.add(Activation(name=f"h{step}", inputs=(part.name,), shape=part.shape, function="tanh"))
    assert state is not None
    sketch.linear(state, 3)
    return sketch.network()


@st.composite
def recurrent(draw: st.DrawFn) -> Network:
    """An unrolled recurrent network, sometimes of a batch, sometimes with other layers between its steps."""
    sizes = draw(st.integers(1, 4)), draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(1, 3))
    return unrolled(*sizes, draw(st.integers(0, 99)), draw(st.sampled_from([0, 0, 1])))


@st.composite
def siamese(draw: st.DrawFn) -> Network:
    """Two or three branches through the same convolutions, of images of different sizes, joined at the end."""
    sketch = Sketch(draw(st.integers(0, 99)), (1, 2, 5, 5))
    images = [sketch.layers[0]]
    for place in range(draw(st.integers(1, 2))):
        side = draw(st.integers(3, 6))
        images.append(sketch.add(Input(name=f"input{place}", inputs=(), shape=(1, 2, side, side))))
    channels = draw(st.integers(1, 4))
    shared = [sketch.weight(channels, 2, 3, 3), sketch.weight(3, channels, 1, 1)]
    own = draw(st.booleans())
    ends = []
    for number, image in enumerate(images):
        here: Layer = image
        for place, weight in enumerate(shared):
            kernel, side = weight.shape[2], here.shape[2] - weight.shape[2] + 1
            here = sketch.add(
                Convolution(
                    name=f"b{number}.{place}", inputs=(here.name,), shape=(1, weight.shape[0], side, side), weight=weight,
                    bias=sketch.weight(weight.shape[0]),
                )
            )  # fmt: skip
            assert kernel in (1, 3)
        if own:
            here = sketch.convolution(here, 3, 1, 1, 0, 1, 1)
        size = here.shape[1] * here.shape[2] ** 2
        flat = sketch.add(Reshape(name=f"f{number}", inputs=(here.name,), shape=(1, size)))
        ends.append(flat)
    total = sum(each.shape[1] for each in ends)
    sketch.add(Concatenate(name="join", inputs=tuple(each.name for each in ends), shape=(1, total), axis=1))
    sketch.linear(sketch.layers[-1], 3)
    return sketch.network()


sharing = st.one_of(recurrent(), siamese())


def samples(network: Network, count: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(seed)
    return tuple(
        generator.standard_normal((count * layer.shape[0], *layer.shape[1:])).astype(np.float32)
        for layer in network.inputs
    )


def quantised(network: Network) -> QuantisedNetwork:
    return mho.number.quantise(network, samples(network, 4))


def check(program: Program) -> None:
    """Compare every matrix layer of an execution with the integer reference."""
    verification = mho.verify(program, samples(program.network, 2, 1))
    assert verification.ok, str(verification)


def written(program: Program) -> int:
    """Count the blocks that the program writes."""
    return sum(each.blocks[1] - each.blocks[0] for each in program.instructions if isinstance(each, Write))


@few
@given(sharing, chips(), names, residencies)
def test_programs_are_legal_bounded_and_exact(network: Network, chip: Chip, schedule: str, residency: str) -> None:
    program = mho.compile(quantised(network), chip, GREEDY.with_(schedule=schedule, residency=residency))
    report = mho.simulate(program)
    assert violations(program, (report.timing.starts, report.timing.ends)) == ()
    assert report.latency_s >= report.bound.seconds * (1 - 1e-9)
    assert sum(report.account.by("component").values()) == pytest.approx(report.energy_j, rel=1e-12)
    check(program)


@few
@given(sharing, names, st.booleans(), st.integers(1, 12))
def test_digits_of_shared_weights_serve_all_their_layers(
    network: Network, schedule: str, turns: bool, tiles: int
) -> None:
    chip = small_chip(tiles=tiles)
    squeezed = mho.number.squeeze(mho.number.recode(quantised(network), Grid.parse("window:8:3")), 1)
    program = mho.compile(squeezed, chip, GREEDY.with_(schedule=schedule, mapping="squeezed", turns=2 if turns else 1))
    assert len(program.mapping.weights) == len(network.weighted)
    report = mho.simulate(program)
    assert violations(program, (report.timing.starts, report.timing.ends)) == ()
    assert report.latency_s >= report.bound.seconds * (1 - 1e-9)
    check(program)


@few
@given(st.integers(3, 6), st.integers(1, 12), st.integers(1, 12), st.sampled_from(["naive", "overlap", "aras"]))
def test_blocks_arrays_and_writes_do_not_depend_on_the_number_of_steps(
    steps: int, inputs: int, hidden: int, schedule: str
) -> None:
    shorter, longer = (unrolled(count, inputs, hidden) for count in (3, steps))
    assert shorter.weights == longer.weights
    for chip in (hand_chip(tiles=64), hand_chip(tiles=3)):
        one, other = (map_network(network, chip) for network in (shorter, longer))
        assert (one.count, one.arrays) == (other.count, other.arrays)
        for network in (shorter, longer):
            program = mho.compile(network, chip, GREEDY.with_(schedule=schedule))
            assert written(program) == one.count or schedule == "aras"


def test_a_block_that_stays_is_written_once_and_released_by_its_last_layer() -> None:
    # 12 x 12 weights are 2 x 3 blocks on the hand-sized chip; of 10 groups, the head and the inputs take the rest by turns.
    network = unrolled(4, 40, 12)
    chip = hand_chip(tiles=5)
    mapping = map_network(network, chip)
    owner = mapping.by_index[next(i for i, each in enumerate(network.layers) if each.name == "r1")]
    assert not mapping.count <= chip.groups
    assert held_blocks(mapping, chip.groups) == {owner.run}
    for schedule in ALONE:
        program = mho.compile(network, chip, GREEDY.with_(schedule=schedule))
        uses = [
            (i, each)
            for i, each in enumerate(program.instructions)
            if isinstance(each, Activate) and mapping.by_index[each.layer].run == owner.run
        ]
        assert written(program) == mapping.count
        last = max(each.layer for _, each in uses)
        assert all(each.release == (each.layer == last) for _, each in uses)


def test_weights_that_leave_no_room_for_the_others_are_written_for_each_layer() -> None:
    network = unrolled(3, 12, 12, between=1)
    mapping = map_network(network, hand_chip(tiles=3))
    assert held_blocks(mapping, 6) == frozenset()
    program = mho.compile(quantised(network), hand_chip(tiles=3), GREEDY.with_(schedule="overlap"))
    assert written(program) == sum(layer.count for layer in mapping.layers)
    check(program)


def test_a_layer_larger_than_the_chip_is_written_in_parts_for_each_that_uses_it() -> None:
    network = unrolled(3, 4, 20)
    for schedule in ALONE:
        program = mho.compile(quantised(network), hand_chip(), GREEDY.with_(schedule=schedule))
        assert violations(program) == ()
        check(program)


def test_copies_of_shared_blocks_serve_all_their_layers() -> None:
    sketch = Sketch(0, (1, 2, 9, 9))
    weight = sketch.weight(2, 2, 3, 3)
    here: Layer = sketch.layers[0]
    for place, side in enumerate((7, 5, 3, 1)):
        here = sketch.add(
            Convolution(name=f"c{place}", inputs=(here.name,), shape=(1, 2, side, side), weight=weight)
        )  # fmt: skip
    network = sketch.network()
    program = mho.compile(quantised(network), hand_chip(tiles=20), GREEDY.with_(schedule="aras"))
    copies = {each.copy for each in program.instructions if isinstance(each, Write)}
    assert len(copies) == 13
    served = {
        name: {each.copy for each in program.instructions if isinstance(each, Activate) and each.layer == place}
        for place, name in enumerate((layer.name for layer in network.layers), 0)
    }
    assert (len(served["c0"]), len(served["c2"]), len(served["c3"])) == (13, 9, 1)
    check(program)
    records = {each["name"]: each for each in mho.simulate(program).layers()}
    assert records["c0"]["groups"] == 13 * 3
    assert (records["c3"]["groups"], records["c3"]["weights_of"]) == (0, "c0")


@few
@given(sharing, chips(), names)
def test_a_program_that_is_saved_and_loaded_shares_as_before(
    tmp_path_factory: pytest.TempPathFactory, network: Network, chip: Chip, schedule: str
) -> None:
    path = tmp_path_factory.mktemp("saved") / "x.mho"
    program = mho.compile(quantised(network), chip, GREEDY.with_(schedule=schedule))
    program.save(path)
    again = mho.Program.load(path)
    assert again.network.owners == network.owners
    assert again.mapping == program.mapping
    assert again.instructions == program.instructions
    assert again.network.weights == network.weights
    again.save(path.with_name("y.mho"))
    assert path.read_bytes() == path.with_name("y.mho").read_bytes()


def test_a_file_in_which_a_weight_is_of_no_layer_is_refused(tmp_path: Path) -> None:
    program = mho.compile(unrolled(3, 4, 4), hand_chip(), GREEDY)
    program.save(tmp_path / "x.mho")
    with zipfile.ZipFile(tmp_path / "x.mho") as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    held["program.json"] = held["program.json"].replace(b'"weight":"r1"', b'"weight":"r9"')
    with zipfile.ZipFile(tmp_path / "x.mho", "w") as archive:
        for name, content in held.items():
            archive.writestr(name, content)
    with pytest.raises(mho.errors.ProgramError, match="weight, is of 'r9', no layer before it"):
        mho.Program.load(tmp_path / "x.mho")


@few
@given(sharing, st.sampled_from([88, 104]))
def test_codes_that_are_shifted_narrowed_or_recoded_stay_shared(network: Network, centre: int) -> None:
    codes = quantised(network)
    grid = Grid.parse("window:8:3")
    given_ = samples(network, 2)
    for changed in (
        mho.number.align(codes, centre),
        mho.number.narrow(mho.number.align(codes, centre), 2),
        mho.number.recode(codes, grid),
        mho.number.recode(codes, grid, samples=given_, method="output"),
        mho.number.recode(codes, grid, samples=given_, method="sequence"),
        mho.number.squeeze(mho.number.recode(codes, grid), 1),
    ):
        assert changed.owners == network.owners


def test_a_weight_is_recoded_by_the_name_of_the_layer_that_owns_it() -> None:
    codes = quantised(unrolled(3, 4, 4))
    with pytest.raises(mho.errors.NumberError, match="layer 'r2' uses the weights of layer 'r1': name that one"):
        mho.number.recode(codes, {"r2": Grid.parse("window:8:3")})


def test_layers_coded_apart_have_blocks_of_their_own() -> None:
    codes = quantised(unrolled(3, 4, 4))
    other = codes.matrices["r2"].codes.copy()
    other[0, 0, 0] ^= 1
    matrices = {**codes.matrices, "r2": replace(codes.matrices["r2"], codes=other)}
    apart = replace(codes, matrices=matrices)
    assert apart.owners["r2"] == "r2"
    program = mho.compile(apart, hand_chip(tiles=8), GREEDY)
    assert len(program.mapping.weights) == 4
    check(program)


def test_equal_values_alone_are_not_shared() -> None:
    """Copies of one layer, as untrained encoders are made of, are weights of their own."""
    sketch = Sketch(0, (1, 4))
    weight = sketch.weight(4, 4)
    for name in ("a", "b"):
        sketch.add(Linear(name=name, inputs=(sketch.layers[-1].name,), shape=(1, 4), weight=Array.of(weight.real())))
    assert sketch.network().weights == 32


def test_a_torch_module_that_is_called_twice_has_one_weight() -> None:
    torch = pytest.importorskip("torch")

    class Twins(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.front = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3, bias=False), torch.nn.BatchNorm2d(3))
            self.end = torch.nn.Linear(27, 27)
            self.last = torch.nn.Linear(27, 27)
            self.last.weight = self.end.weight

        def forward(self, x: Any, y: Any) -> Any:
            x, y = (torch.relu(self.front(each)).flatten(1) for each in (x, y))
            return self.last(self.end(x) - self.end(y))

    torch.manual_seed(0)
    module = Twins().eval()
    with torch.no_grad():
        module.front[1].running_var.uniform_(0.5, 2.0)
    pair = torch.randn(1, 2, 5, 5), torch.randn(1, 2, 5, 5)
    network = mho.Network.from_torch(module, pair)
    assert network.owners == {"front.0": "front.0", "front.0_1": "front.0", "end": "end", "end_1": "end", "last": "end"}
    assert network.weights == 3 * 2 * 9 + 27 * 27
    got = mho.number.run_float(network, tuple(each.numpy() for each in pair))[network.outputs[0]]
    np.testing.assert_allclose(got, module(*pair).detach().numpy(), rtol=1e-5, atol=1e-6)
    with torch.device("meta"):
        shapes = mho.Network.from_torch(Twins().eval(), tuple(each.to("meta") for each in pair))
    # What two normalisations fold into one weight is not known to be the same where values are not.
    assert shapes.weights == 2 * 3 * 2 * 9 + 27 * 27


def test_notes_say_what_is_shared_and_what_is_written_anew() -> None:
    network = unrolled(3, 12, 12, between=1)
    held, anew = (mho.compile(network, hand_chip(tiles=tiles), GREEDY.with_(schedule="overlap")) for tiles in (40, 3))
    assert any(note.startswith("shared weights: 1 of 7 layers use those of an earlier one") for note in held.notes)
    assert not any("written anew" in note for note in held.notes)
    assert any(note.startswith("shared weights: written anew for 1 of these layers") for note in anew.notes)
    assert not any("shared weights" in note for note in mho.compile(unrolled(1, 4, 4), hand_chip(), GREEDY).notes)


def test_shared_cells_deviate_alike_for_all_their_layers() -> None:
    """The same input through the same cells gives the same output, noise of devices included: it was written once."""
    sketch = Sketch(0, (1, 6))
    weight = sketch.weight(6, 6)
    for name in ("a", "b"):
        sketch.add(Linear(name=name, inputs=("input",), shape=(1, 6), weight=weight))
    sketch.add(Elementwise(name="sum", inputs=("a", "b"), shape=(1, 6), function="subtract"))
    network = sketch.network("a", "b")
    program = mho.compile(quantised(network), hand_chip(tiles=8), GREEDY.with_(schedule="overlap"))
    analog = mho.machine.Analog().override({"adc.bits": "ideal", "device.programming.sigma": 0.1})
    got = mho.execute(program, samples(network, 3), analog=analog)
    exact = mho.execute(program, samples(network, 3))
    np.testing.assert_array_equal(got["a"], got["b"])
    assert not np.array_equal(got["a"], exact["a"])


def test_a_systolic_array_finds_the_weights_of_the_layer_before_in_its_buffer() -> None:
    records = {each.name: each for each in systolic.run(unrolled(4, 4, 6)).records}
    first, second, third = (records[f"r{step}"].memory_bytes for step in (1, 2, 3))
    assert first - second == 36
    assert second == third


def test_blocks_of_other_weights_and_two_layers_at_once_are_illegal() -> None:
    """A layer may use the blocks of those that have its weights, of no others, and one of them at a time."""
    sketch = Sketch(0, (1, 4))
    weight = sketch.weight(4, 4)
    for name, used in (("a", weight), ("b", weight), ("c", sketch.weight(4, 4))):
        sketch.add(Linear(name=name, inputs=("input",), shape=(1, 4), weight=used))
    names = ("a", "b", "c")
    chip = hand_chip(layer_order="dataflow")
    program = mho.compile(sketch.network("a", "b"), chip, GREEDY.with_(schedule="overlap"))
    assert violations(program) == ()
    place = {
        program.network.layers[each.layer].name: i
        for i, each in enumerate(program.instructions)
        if isinstance(each, Activate)
    }
    first, second, other = (program.instructions[place[name]] for name in names)
    assert first.groups == second.groups != other.groups

    def changed(name: str, **values: Any) -> Program:
        instructions = list(program.instructions)
        instructions[place[name]] = replace(instructions[place[name]], **values)
        return replace(program, instructions=tuple(instructions))

    assert any("does not hold block" in each.text for each in violations(changed("c", groups=first.groups)))
    late, early = sorted((place["a"], place["b"]), reverse=True)
    late_name = program.network.layers[program.instructions[late].layer].name
    after = tuple(each for each in program.instructions[late].after if each != early)
    found = violations(changed(late_name, after=(*after, 0)))
    assert any("may still serve" in each.text for each in found)
