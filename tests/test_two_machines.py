"""The two machines agree: a linear layer whose inputs are 0 or 1 is a bag of rows, so whatever both count must be the same.

What differs by design, and why:
- inputs: the dense machine is told a code of 8 bits a row, look-ups which rows are driven (a mask, or a list);
- rows: the dense machine drives all rows of a block, 0 or not; look-ups drive those of the bag, and a read costs their share;
- steps: codes of 8 bits take as many as the DACs ask for; look-ups without weights one. A DAC of 8 bits makes both one;
- columns: a step of the dense machine is as long as the conversions of a whole array, look-ups convert columns in use alone;
- sums: the accumulator of the dense machine adds the first partial sum of a window to nothing, which look-ups do not count;
- vectors: a dense output is requantised, a bag's vector has 32 bits; neither is compared here.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.chip.coding import Coding
from mho.machine import time_program, wear
from mho.machine.energy import account, count_events
from mho.machine.lookup import reduce
from mho.machine.lookup.dispatch import dispatch
from mho.machine.lookup.energy import events
from mho.machine.lookup.service import serve
from mho.machine.lookup.timing import RESULT_BYTES
from mho.network.graph import Network
from mho.network.layers import Array, Input, Linear
from mho.number.affine import Affine
from mho.program import Activate, Program
from tests.lookup_oracle import chip_of, layout_of, table_of, trace_of
from tests.strategies import GREEDY

ROWS = 16
"""Rows of an array of the small chip, all of which a group holds: the dense machine fills groups from the top."""
WEIGHTS = 8
"""Weights in a row of an array, with no column to spare: the dense machine would convert that too."""
SAME = ("sample_hold", "adc_conversion", "shift_add")
"""Events that do not hang on how inputs are coded."""
BY_ROWS = ("dac_drive", "array_read")
"""Events in proportion to the rows that a bag drives."""


def dense_program(table: np.ndarray, bags: np.ndarray, chip: Chip) -> Program:
    """The bags, (bags, rows) of 0 and 1, as windows of a linear layer whose weights are the rows of the table."""
    layer = Linear(
        name="y", inputs=("x",), shape=(len(bags), table.shape[1]), weight=Array.of(table.T.astype(np.float32))
    )
    codes = {"x": Affine(np.array(1.0), np.array(0), 0, 255)}
    network = Network(
        "bag", (Input(name="x", inputs=(), shape=bags.shape), layer), ("y",), "made (synthetic)", codes=codes
    )
    coded = mho.number.quantise(network, bags.astype(np.float32))
    matrix = coded.matrices["y"]
    assert float(matrix.scale) == 1 and (matrix.codes[0].astype(int) == table.astype(int) + 128).all()
    return mho.compile(coded, chip, GREEDY.with_(schedule="naive"))


@settings(max_examples=25)
@given(
    groups=st.integers(1, 3), features=st.integers(1, 2 * WEIGHTS), bags=st.integers(1, 4), seed=st.integers(0, 2**16),
    cell_bits=st.sampled_from((2, 4)), coding=st.sampled_from(("offset", "flipped", "differential", "twos_complement")),
    overhead_s=st.sampled_from((0.0, 2.0**-28)), full=st.booleans(),
)  # fmt: skip
def test_a_layer_of_zeros_and_ones_is_a_bag_of_rows(
    groups: int, features: int, bags: int, seed: int, cell_bits: int, coding: str, overhead_s: float, full: bool
) -> None:
    cells = Coding(coding, 8, cell_bits).cells
    chip = chip_of(
        array__coding=coding, array__cell_bits=cell_bits, array__columns=WEIGHTS * cells, array__dac_bits=8,
        array__step_overhead_s=overhead_s, lookup__adc_modes="fixed", lookup__most_rows=ROWS, lookup__groups_per_adc=1,
    )  # fmt: skip
    rows, generator = groups * ROWS, np.random.default_rng(seed)
    table = table_of(rows, features, seed)
    drawn = generator.random((bags, rows)) < (2 if full else 0.4)
    drawn[:, ::ROWS] = True  # Every bag has something in every group, as every window goes through every block.

    dense = dense_program(table, drawn, chip)
    layout = layout_of([list(range(first, first + ROWS)) for first in range(0, rows, ROWS)])
    trace = trace_of([np.flatnonzero(bag).tolist() for bag in drawn], (rows,))
    served = serve(trace, layout, chip, dimension=features, batch=1)
    lookups = dispatch(trace, served.seats, served.reading, 1)

    # Vectors.
    vectors = reduce(lookups, table).vectors
    np.testing.assert_array_equal(mho.execute(dense, drawn.astype(np.float32))["y"], vectors)

    # Events, and what they cost.
    worn = wear(dense)
    counted = count_events(dense, worn, dense.setup, len(dense.instructions))
    place = dense.mapping.layers[0].index
    theirs = events(served.counted, served.seats, served.reading, RESULT_BYTES)
    for event in SAME:
        assert counted.get((place, event, "compute"), 0) == pytest.approx(theirs[event], rel=1e-12), event
    assert counted[place, "accumulate", "compute"] == theirs["accumulate"] + bags * features
    for event in BY_ROWS:
        assert counted[place, event, "compute"] * drawn.mean() == pytest.approx(theirs[event], rel=1e-12), event
    timing = time_program(dense)
    joules = {
        entry.component: entry.joules
        for entry in account(dense, timing, worn).entries
        if (entry.layer, entry.kind) == (place, "compute")
    }
    for event in SAME:
        component = chip.costs.event_component[event]
        assert joules[component] == pytest.approx(served.energy[component, "compute"], rel=1e-12), component

    # Seconds: a window is as long as an activation, and an array is busy as long for its bags as a block for its windows.
    reads = [i for i, each in enumerate(dense.instructions) if isinstance(each, Activate)]
    busy = sum(timing.ends[i] - timing.starts[i] for i in reads)
    assert served.array_busy_s.sum() == pytest.approx(groups * bags * float(served.reading.seconds[1]), rel=1e-9)
    if features >= WEIGHTS:
        assert served.array_busy_s.sum() == pytest.approx(groups * busy, rel=1e-9)
    else:
        assert served.array_busy_s.sum() < groups * busy
