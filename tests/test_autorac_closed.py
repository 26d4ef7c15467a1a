"""Closed formulas against the program: arrays, conversions, ADC energy, tiles and area are its own, everything else is near."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.chip.fit import copies_asked, unsized
from mho.errors import OptionError
from mho.explore.autorac.closed import ClosedJudge, closed, unchecked
from mho.explore.autorac.sketch import activation_tiles, most_buffers
from mho.explore.autorac.space import BASE, CHIP, JointSpace
from mho.machine.activations import activation_events
from mho.network.zoo.interaction.space import ModelSpace
from mho.program.columns import ACTIVATE, columns
from mho.program.work import coded_tensors
from mho.schedule.buffer import fewest_banks
from mho.schedule.sizing import sized
from mho.strategy import Strategy

FIELDS, DIMENSION = 7, 16
CHIPS = Chip.load("isaac").override(dict(BASE), "a chip that is searched")
SPACE = JointSpace(ModelSpace(blocks=3), {**CHIP, "schedule": ("overlap",)})
USUAL = Strategy().with_(banks="greedy")
JUDGE = ClosedJudge(SPACE, FIELDS, DIMENSION, CHIPS, USUAL)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_arrays_conversions_and_their_energy_are_the_programs(seed: int) -> None:
    indices = SPACE.drawn(Random(seed))
    model, values = SPACE.model(indices), SPACE.chip_values(indices)
    changes = SPACE.changes(values)
    bits = ",".join(f"{name}={each}" for name, each in model.layer_bits(FIELDS, DIMENSION).items())
    strategy = USUAL.with_(changes["strategy"] | {"coding.bits": bits})
    network = model.build(FIELDS, DIMENSION)
    chip = CHIPS.override(unsized(changes["chip"]), "drawn")
    chip = sized(network, chip, strategy, copies=copies_asked(changes["chip"]))
    program = mho.compile(network, chip, strategy)
    report, found = mho.simulate(program).to_dict(), JUDGE(model, values)
    assert found.arrays == report["in_use"]["arrays"]
    assert found.groups == program.mapping.count
    events = activation_events(program, columns(program).of(ACTIVATE))
    assert found.conversions == events["shift_add"].sum()
    assert found.adc_j == pytest.approx(report["energy_j"]["by_component"]["adc"], rel=1e-12)
    array_j = sum(count.sum() * chip.costs.energy_per_event.get(event, 0.0) for event, count in events.items())
    assert found.array_j == pytest.approx(array_j, rel=1e-12)
    assert found.tiles == chip.tiles and found.area_m2 == pytest.approx(report["area_m2"]["total"], rel=1e-12)
    # What is estimated: the vector unit, the path.
    assert found.energy_j == pytest.approx(report["energy_j"]["total"], rel=0.1)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), blocks=st.integers(1, 3), fields=st.integers(1, 30), data=st.data())
def test_buffers_of_activations_are_those_of_the_network(
    seed: int, blocks: int, fields: int, data: st.DataObject
) -> None:
    models = ModelSpace(blocks=blocks, widths=(4, 64, 768), counts=(2, 48))
    model = models.genotype(models.drawn(Random(seed)))
    # Vectors of 2048 numbers fill several buffers together.
    dimension, order = data.draw(st.sampled_from((16, 2048))), data.draw(st.sampled_from(("dataflow", "sequential")))
    chip = CHIPS.override({"layer_order": order}, "drawn")
    network = model.build(fields, dimension)
    found = activation_tiles(model, fields, dimension, chip)
    assert found == fewest_banks(network, coded_tensors(network, None), chip, 1)
    assert dimension == 2048 or found <= most_buffers(model)


def test_what_is_not_checked_is_the_same_chip() -> None:
    changes = {"array.rows": 64, "array.columns": 32, "group.arrays": 2, "tile.groups": 4, "tiles": 3}
    assert unchecked(CHIPS, tuple(changes.items())) == CHIPS.override(changes, "checked")


def test_longer_paths_take_longer_and_copies_share_windows() -> None:
    indices = SPACE.drawn(Random(1))
    model = SPACE.model(indices)
    stream = Strategy().with_(schedule="stream")
    one, two = (closed(model, FIELDS, DIMENSION, CHIPS, stream, copies) for copies in (1, 8))
    assert two.latency_s < one.latency_s and two.tiles > one.tiles and two.adc_j == one.adc_j
    wider = closed(model, 4 * FIELDS, DIMENSION, CHIPS, stream)
    assert wider.arrays >= one.arrays and np.isfinite(wider.latency_s)


def test_arrays_that_are_read_otherwise_are_refused() -> None:
    turns = CHIPS.override({"array.rows_parallel": 16}, "rows take turns")
    with pytest.raises(OptionError, match="driven together"):
        closed(SPACE.model(SPACE.drawn(Random(0))), FIELDS, DIMENSION, turns, USUAL)
