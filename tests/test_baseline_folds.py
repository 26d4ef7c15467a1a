"""Folds of a systolic array: cycles against a simulated array and against SCALE-Sim, traffic by its laws."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.machine.systolic import DATAFLOWS, run
from mho.machine.systolic.folds import Dataflow, Product, SystolicGrid, cycles, foldings
from tests.hand_sized import entry, linear, network
from tests.simulated_array import parts, simulate, small_array

FIGURES = json.loads((Path(__file__).parent / "scalesim_figures.json").read_text())


# --- cycles -----------------------------------------------------------------------------------------------------------

small = st.integers(1, 7)
side = st.integers(1, 4)
flows = st.sampled_from(DATAFLOWS)


@settings(max_examples=60)
@given(m=small, k=small, n=small, rows=side, columns=side, dataflow=flows, seed=st.integers(0, 9))
def test_a_simulated_array_computes_the_product_in_as_many_cycles_as_the_closed_form_says(
    m: int, k: int, n: int, rows: int, columns: int, dataflow: Dataflow, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    inputs, weights = draw.integers(-9, 10, (m, k)), draw.integers(-9, 10, (k, n))
    told = simulate(inputs, weights, rows, columns, dataflow)
    assert np.array_equal(told.result, inputs @ weights)
    assert told.cycles == cycles(Product(1, m, k, n), SystolicGrid(rows, columns, 4, 4096), dataflow)
    assert told.macs == m * k * n

    array = small_array(rows, columns)
    events = run(network(entry(m, k), linear("y", "x", m, k, n)), array, dataflow).records[-1].events
    streamed = "weight_buffer_read_byte" if dataflow == "input" else "activation_buffer_read_byte"
    assert told.streamed_reads == events[streamed, "compute"]
    if dataflow != "output":
        assert events["register_byte", "compute"] == told.stationary_hops + told.macs * 5


FIGURE_GRID = SystolicGrid(64, 64, 4, 1 << 20)


def figure_product(layer: str) -> Product:
    """Return the product of a layer of the figures, its operands in main memory, in the buffers that the figures assume."""
    table = {row[0]: [int(cell) for cell in row[1:8]] for row in list(csv.reader(FIGURES["topology.csv"]))[1:]}
    height, width, kernel_height, kernel_width, channels, outputs, stride = table[layer]
    windows = ((height - kernel_height) // stride + 1) * ((width - kernel_width) // stride + 1)
    inner = kernel_height * kernel_width * channels
    return Product(1, windows, inner, outputs, height * width * channels, inner * outputs, 2 << 20, 256 << 10)


@pytest.mark.parametrize("layer", FIGURES["last_cycle"])
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_cycles_are_those_of_scalesim(layer: str, dataflow: Dataflow) -> None:
    # Exactly: scalesim tells the number of the last cycle, counted from 0, so it is one less than the count.
    assert cycles(figure_product(layer), FIGURE_GRID, dataflow) - 1 == FIGURES["last_cycle"][layer][dataflow]


@pytest.mark.parametrize("layer", FIGURES["last_cycle_at_19_words_a_cycle"]["layers"])
@pytest.mark.parametrize("dataflow", ["weight", "output"])
def test_double_buffers_wait_no_longer_than_scalesim_does(layer: str, dataflow: Dataflow) -> None:
    # Not equal: scalesim stops the array at each miss of its buffers, where ours only waits if the memory is too slow on the
    # whole. Ours must lie between scalesim without stalls and scalesim with them.
    product, theirs = figure_product(layer), FIGURES["last_cycle_at_19_words_a_cycle"]["layers"][layer][dataflow]
    ours = min(max(way.cycles, way.load_bytes / 19) for way in foldings(product, FIGURE_GRID, dataflow))
    assert cycles(product, FIGURE_GRID, dataflow) <= ours <= theirs


WHOLE = FIGURES["whole_at_19_words_a_cycle"]


@pytest.mark.parametrize("place", range(len(WHOLE["cycles"])))
def test_what_scalesim_fetches_and_how_long_it_then_takes_is_the_closed_form_of_refetched_inputs(place: int) -> None:
    # scalesim has an interface of 19 words a cycle for each of inputs, weights and sums, fetches all operands before it begins, and
    # sends every sum of every fold out after it ends; inputs of a fold that is not full are filled up. Ours has one memory, to
    # which sums go once, and fills nothing up.
    matrices = [tuple(each) for each in WHOLE["topology"]]
    matrices += [((side - k + 1) ** 2, k * k * channels, n) for side, k, channels, n in WHOLE["convolutions"]]
    m, k, n = matrices[place]
    product = Product(1, m, k, n, float(m * k), float(k * n), math.inf, math.inf)
    ours = next(way for way in foldings(product, FIGURE_GRID, "weight") if way.pieces == 1)
    folds = -(-k // FIGURE_GRID.rows)
    loads = {"input_reads": ours.input_load_bytes * folds * FIGURE_GRID.rows / k}
    loads |= {"filter_reads": ours.operand_load_bytes, "sum_writes": m * n * folds}
    for name, theirs in ((name, WHOLE[name][place]) for name in loads):
        assert loads[name] <= theirs <= loads[name] + 19
    waits = [math.ceil(loads[name] / 19) for name in loads]
    assert ours.cycles - 1 + max(waits[:2]) + waits[2] == pytest.approx(WHOLE["cycles"][place], abs=3)


# --- traffic ----------------------------------------------------------------------------------------------------------


def products(room: st.SearchStrategy[float]) -> st.SearchStrategy[Product]:
    """Products whose operands all come from main memory."""
    length = st.integers(1, 40)
    shape = st.tuples(st.integers(1, 3), length, length, length)
    return st.builds(
        lambda s, one, other: Product(*s, float(s[0] * s[1] * s[2]), float(s[0] * s[2] * s[3]), one, other),
        shape,
        room,
        room,
    )


grids = st.builds(SystolicGrid, st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 4]), st.integers(1, 2000))


@given(product=products(st.just(math.inf)), grid=grids, dataflow=flows)
def test_what_there_is_room_for_is_loaded_once(product: Product, grid: SystolicGrid, dataflow: Dataflow) -> None:
    for folding in foldings(product, grid, dataflow):
        assert folding.input_load_bytes == product.input_bytes
        assert folding.operand_load_bytes == product.operand_bytes


@given(product=products(st.just(-1.0)), grid=grids, dataflow=flows)
def test_without_room_every_fold_loads_what_it_works_on(
    product: Product, grid: SystolicGrid, dataflow: Dataflow
) -> None:
    sizes = {"windows": product.windows, "inner": product.inner, "outputs": product.outputs}
    row, column, streamed = {
        "weight": ("inner", "outputs", "windows"),
        "input": ("inner", "windows", "outputs"),
        "output": ("windows", "outputs", "inner"),
    }[dataflow]
    for folding in foldings(product, grid, dataflow):
        inputs = operands = 0
        for rows in parts(sizes[row], grid.rows):
            for columns in parts(sizes[column], grid.columns):
                for _ in range(folding.pieces):
                    here = {
                        row: min(rows.stop, sizes[row]) - rows.start,
                        column: min(columns.stop, sizes[column]) - columns.start,
                        streamed: sizes[streamed] / folding.pieces,
                    }
                    inputs += product.groups * here["windows"] * here["inner"]
                    operands += product.groups * here["inner"] * here["outputs"]
        assert folding.input_load_bytes == pytest.approx(inputs)
        assert folding.operand_load_bytes == pytest.approx(operands)


@given(product=products(st.floats(0, 2000)), grid=grids, dataflow=flows, more=st.floats(0, 500))
def test_more_room_never_loads_more(product: Product, grid: SystolicGrid, dataflow: Dataflow, more: float) -> None:
    larger = dataclasses.replace(
        product, input_room=product.input_room + more, operand_room=product.operand_room + more
    )
    for before, after in zip(foldings(product, grid, dataflow), foldings(larger, grid, dataflow), strict=True):
        assert product.input_bytes + product.operand_bytes <= after.load_bytes <= before.load_bytes


@given(product=products(st.just(0.0)), grid=grids, dataflow=flows)
def test_sums_leave_the_chip_only_where_they_do_not_fit(
    product: Product, grid: SystolicGrid, dataflow: Dataflow
) -> None:
    inner_folds = 1 if dataflow == "output" else -(-product.inner // grid.rows)
    for folding in foldings(product, grid, dataflow):
        assert folding.sum_store_bytes == folding.sum_load_bytes
        assert folding.cycles == cycles(product, grid, dataflow, folding.pieces)
        length, other = (
            (product.windows, product.outputs) if dataflow == "weight" else (product.outputs, product.windows)
        )
        waiting = other if folding.outer == "inner" else min(other, grid.columns)
        fits = -(-length // folding.pieces) * waiting * grid.sum_bytes <= grid.sum_buffer_bytes
        if inner_folds == 1 or fits:
            assert folding.sum_store_bytes == 0
        else:
            elements = product.groups * product.windows * product.outputs
            assert folding.sum_store_bytes == (inner_folds - 1) * elements * grid.sum_bytes


def test_weights_are_fetched_again_for_each_strip_of_windows_unless_they_fit() -> None:
    # Output-stationary, 6 windows in 3 folds of 2, 4 outputs in 2 folds of 2: the strips of a column of folds share weights.
    product = Product(1, 6, 5, 4, 30.0, 20.0, 30.0, 10.0)
    grid = SystolicGrid(2, 2, 4, 64)
    by_outer = {folding.outer: folding for folding in foldings(product, grid, "output")}
    assert by_outer["outputs"].operand_load_bytes == 20  # the 10 bytes of one column of folds are kept
    assert by_outer["windows"].operand_load_bytes == 60  # all 20 would have to be
    assert by_outer["outputs"].input_load_bytes == 30
