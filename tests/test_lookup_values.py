"""Reduced vectors: an integer embedding bag, bit for bit, on any chip whose ADCs can read a cell."""

from __future__ import annotations

import itertools
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.chip.lookup import Reading
from mho.errors import AnalogError, MhoError, NumberError, OptionError
from mho.machine.analog import Analog
from mho.machine.lookup import reduce, reference, values
from mho.machine.lookup.dispatch import dispatch
from mho.mapping.embedding.seats import Seats
from tests.lookup_oracle import chip_of, embedding_bags, layout_of, layouts, program_of, table_of, trace_of, traces

CODINGS = ("offset", "flipped", "differential", "twos_complement")

CHIPS = st.builds(
    chip_of,
    array__coding=st.sampled_from(CODINGS),
    array__cell_bits=st.sampled_from((1, 2, 3, 4)),
    array__dac_bits=st.sampled_from((1, 2, 3, 8)),
    array__adc_bits=st.sampled_from((3, 5, 9, 16)),
    lookup__adc_modes=st.sampled_from(("fixed", "switch", "every")),
    lookup__most_rows=st.sampled_from((1, 3, 16)),
)


@settings(max_examples=200)
@given(st.data())
def test_vectors_are_sums_of_rows_bit_for_bit(data: st.DataObject) -> None:
    trace, chip = data.draw(traces()), data.draw(CHIPS)
    layout = data.draw(layouts(trace.total_rows))
    dimension = data.draw(st.sampled_from((1, 3, 8, 9, 21)))
    table = table_of(trace.total_rows, dimension, data.draw(st.integers(0, 99)))
    try:
        program = program_of(trace, layout, chip, dimension)
    except OptionError as error:
        # ADCs too coarse for a single cell.
        bits = 1 if trace.weights is None else int(trace.weights.max(initial=1)).bit_length()
        drive = 2 ** min(bits, chip.array.dac_bits) - 1
        highest = drive * (2**chip.array.cell_bits - 1)
        assert highest + 1 > 2 ** (chip.array.adc_bits - (chip.array.coding == "differential"))
        assert "cannot read a cell" in str(error)
        return
    program.check()
    found = reduce(program, table)
    assert found.vectors.dtype == np.int64
    assert found.vectors.tolist() == reference(trace, table).tolist() == embedding_bags(trace, table)
    assert found.clipped == 0
    slices = len(chip.coding.significance) // (2 if chip.coding.pairs else 1)
    assert found.conversions == program.activations * dimension * slices * program.reading.steps


@pytest.mark.parametrize("coding", CODINGS)
def test_whole_arrays_of_one_value_are_exact_too(coding: str) -> None:
    # The largest sums that there are: every row, every cell at its highest or lowest, all features alike.
    chip = chip_of(array__coding=coding, array__adc_bits=7)
    for value, bags in itertools.product((-128, -1, 0, 127), ([[*range(16)]], [[*range(9)]], [[3]])):
        trace = trace_of(bags, rows=(16,))
        table = np.full((16, 8), value, dtype=np.int8)
        program = program_of(trace, layout_of([range(16)]), chip)
        found = reduce(program, table)
        assert found.vectors.tolist() == [[value * len(bags[0])] * 8]
        assert found.clipped == 0


@settings(max_examples=60)
@given(st.data())
def test_vectors_are_those_of_an_embedding_bag_of_torch(data: st.DataObject) -> None:
    trace = data.draw(traces())
    table = table_of(trace.total_rows, 5, data.draw(st.integers(0, 99)))
    weights = None if trace.weights is None else torch.tensor(trace.weights.astype(np.float64))
    expected = torch.nn.functional.embedding_bag(
        torch.tensor(trace.flat.astype(np.int64)),
        torch.tensor(table.astype(np.float64)),
        torch.tensor(trace.offsets[:-1]),
        mode="sum",
        per_sample_weights=weights,
    )
    program = program_of(trace, data.draw(layouts(trace.total_rows)), chip_of(), 5)
    # Doubles hold these integers.
    assert reduce(program, table).vectors.tolist() == expected.to(torch.int64).tolist()


def test_copies_batches_and_pieces_do_not_change_vectors() -> None:
    rng = np.random.default_rng(3)
    trace = trace_of([rng.integers(0, 40, 9).tolist() for _ in range(60)], rows=(40,))
    table = table_of(40, 8, 5)
    groups = [list(range(low, low + 10)) for low in range(0, 40, 10)]
    expected = embedding_bags(trace, table)
    for copies, batch in (([1] * 4, 1), ([3, 1, 2, 5], 7), ([2] * 4, 99)):
        program = program_of(trace, layout_of(groups, copies), chip_of(), 8, batch)
        assert reduce(program, table).vectors.tolist() == expected
        with patch.object(values, "CELLS", 100):
            pieces = reduce(program, table)
        assert pieces.vectors.tolist() == expected
        assert pieces.conversions == reduce(program, table).conversions


def test_an_adc_with_a_bit_less_than_said_would_clip() -> None:
    # What `needed` says is needed: one bit below, the largest sum of a full array does not fit.
    chip = chip_of(array__adc_bits=6)
    program = program_of(trace_of([[*range(16)]], rows=(16,)), layout_of([range(16)]), chip)
    assert program.reading.most_rows == 16
    program.reading.bits[:] -= 1
    found = reduce(program, np.full((16, 8), 127, dtype=np.int8))
    assert found.clipped == found.conversions


def test_no_lookups_no_vectors() -> None:
    layout, table = layout_of([[0, 1]]), table_of(2, 8, 0)
    for analog in (None, Analog()):
        assert reduce(program_of(trace_of([], rows=(2,)), layout, chip_of()), table, analog).vectors.shape == (0, 8)
        empty = reduce(program_of(trace_of([[], []], rows=(2,)), layout, chip_of()), table, analog)
        assert empty.vectors.tolist() == [[0] * 8] * 2
        assert (empty.clipped, empty.conversions) == (0, 0)


@pytest.mark.parametrize(
    ("shape", "kind", "words"),
    [((2, 9), "int8", "9 features does not fit a program for 8"), ((3, 8), "int8", "2 rows"), ((2, 8), "int16", "int8"),
     ((2,), "int8", "features")],
)  # fmt: skip
def test_tables_of_another_kind_are_refused(shape: tuple[int, ...], kind: str, words: str) -> None:
    program = program_of(trace_of([[0]], rows=(2,)), layout_of([[0, 1]]), chip_of())
    with pytest.raises(NumberError, match=words):
        reduce(program, np.zeros(shape, dtype=kind))


@pytest.mark.parametrize(
    ("key", "value"),
    [("wires.row_ohm", 1.0), ("pedestal", "digital"), ("adc.bits", 6), ("adc.effective_bits", 5.0),
     ("adc.range", "calibrated")],
)  # fmt: skip
def test_what_is_not_simulated_is_refused_by_name(key: str, value: object) -> None:
    program = program_of(trace_of([[0]], rows=(2,)), layout_of([[0, 1]]), chip_of())
    with pytest.raises(AnalogError, match=key.split(".row")[0]):
        reduce(program, table_of(2, 8, 0), Analog().override({key: value}))


def test_weights_of_more_bits_than_streamed_would_be_lost_and_are_refused() -> None:
    chip, layout = chip_of(), layout_of([[0, 1]])
    trace = trace_of([[0, 1]], rows=(2,), weights=[3, 4])
    with pytest.raises(MhoError, match="streamed as 2"):
        dispatch(trace, Seats(layout, chip, 8), Reading(chip, 8, 2), 1)
    table = table_of(2, 8, 0)
    more = dispatch(trace, Seats(layout, chip, 8), Reading(chip, 8, 8), 1)
    assert reduce(more, table).vectors.tolist() == embedding_bags(trace, table)
