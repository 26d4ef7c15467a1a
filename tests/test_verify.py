"""The law of the house: an executed program equals the integer reference, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import ProgramError
from mho.network.graph import Network
from mho.network.samples import synthetic
from mho.program import Activate, Write
from mho.schedule import SCHEDULES
from tests.strategies import Sketch, chips, networks

few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@few
@given(
    networks, chips(), st.sampled_from(sorted(SCHEDULES)), st.sampled_from(["auto", "never"]),
    st.sampled_from(["diagonal", "separate"]), st.booleans(), st.integers(1, 3),
)  # fmt: skip
def test_any_network_on_any_chip_is_bit_exact_and_legal(
    network: Network, chip: Chip, schedule: str, residency: str, packing: str, per_channel: bool, samples: int
) -> None:
    inputs = synthetic(network, samples, seed=1).inputs
    quantised = mho.quantise(network, inputs, per_channel=per_channel)
    program = mho.compile(quantised, chip, schedule=schedule, residency=residency, packing=packing)
    result = mho.verify(program, inputs)
    assert result.ok, str(result)
    assert result.samples == samples
    assert result.compared >= len(network.matrix_layers)


@pytest.fixture
def small() -> mho.Program:
    sketch = Sketch(1, (1, 12, 30))
    sketch.linear(sketch.linear(sketch.layers[0], 20), 10)
    network = sketch.network()
    chip = Chip.load("aras").override(
        {
            "array.rows": 8,
            "array.columns": 16,
            "array.adcs": 1,
            "group.arrays": 2,
            "tile.groups": 1,
            "tiles": 3,
        },
        source="law",
    )
    return mho.compile(mho.quantise(network, synthetic(network, 2).inputs), chip)


def test_verify_finds_a_write_that_is_missing(small: mho.Program) -> None:
    """Executing really reads the cells: a program whose write puts blocks elsewhere computes something else."""
    place = next(i for i, each in enumerate(small.instructions) if isinstance(each, Write))
    write = small.instructions[place]
    assert isinstance(write, Write)
    count = write.blocks[1] - write.blocks[0]
    assert count > 1
    turned = tuple((g, g + 1) for g in reversed([g for pair in write.groups for g in range(*pair)]))
    instructions = list(small.instructions)
    instructions[place] = replace(write, groups=turned)
    result = mho.verify(replace(small, instructions=tuple(instructions)), synthetic(small.network, 1).inputs)
    assert not result.exact
    assert not result.ok


def test_verify_finds_windows_served_twice(small: mho.Program) -> None:
    place = next(i for i, each in enumerate(small.instructions) if isinstance(each, Activate))
    activation = small.instructions[place]
    assert isinstance(activation, Activate)
    instructions = list(small.instructions)
    instructions[place] = replace(activation, windows=(0, 1))
    result = mho.verify(replace(small, instructions=tuple(instructions)), synthetic(small.network, 1).inputs)
    assert not result.exact
    assert result.illegal


def test_outputs_do_not_depend_on_what_is_run_together(small: mho.Program) -> None:
    inputs = synthetic(small.network, 4, seed=5).inputs[0]
    (name,) = small.network.outputs
    together = mho.execute(small, inputs)[name]
    alone = np.concatenate([mho.execute(small, inputs[i : i + 1])[name] for i in range(4)])
    assert np.array_equal(together, alone)


def test_shapes_alone_cannot_be_executed() -> None:
    program = mho.compile(mho.zoo.load("resnet20"), "aras")
    with pytest.raises(ProgramError, match="shapes alone"):
        mho.execute(program, np.zeros((1, 3, 32, 32)))


def test_weights_without_calibration_cannot_be_executed() -> None:
    program = mho.compile(mho.zoo.load("resnet20", weights="seeded"), "aras")
    with pytest.raises(ProgramError, match="not calibrated"):
        mho.execute(program, np.zeros((1, 3, 32, 32)))


def test_a_saved_program_is_the_same_program(small: mho.Program, tmp_path) -> None:
    first, second = tmp_path / "a.mho", tmp_path / "b.mho"
    small.save(str(first))
    loaded = mho.Program.load(str(first))
    loaded.save(str(second))
    assert first.read_bytes() == second.read_bytes()
    assert loaded.listing() == small.listing()
    inputs = synthetic(small.network, 2, seed=9).inputs
    for name, values in mho.execute(small, inputs).items():
        assert np.array_equal(values, mho.execute(loaded, inputs)[name])
    assert mho.simulate(loaded).to_dict() == mho.simulate(small).to_dict()


@pytest.mark.parametrize("keep", [0, 10, 100, 1000])
def test_a_truncated_program_file_is_refused(small: mho.Program, tmp_path, keep: int) -> None:
    path = tmp_path / "x.mho"
    small.save(str(path))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ProgramError, match="not a program file"):
        mho.Program.load(str(path))
