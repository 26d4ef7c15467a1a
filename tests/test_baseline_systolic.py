"""The systolic baseline: cycles against a simulated array and against SCALE-Sim, traffic and energy by their laws."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.machine.systolic import DATAFLOWS, Run, Systolic, run
from mho.machine.systolic.folds import Dataflow, Product, SystolicGrid, cycles, foldings
from mho.network.graph import Network
from mho.network.layers import Activation, Convolution, Input, Layer, MatrixProduct
from mho.network.layers import Array as Weights
from mho.network.zoo.decoder import DecoderConfiguration, decoder
from tests.command_line import DECODER
from tests.hand_sized import entry, linear, network, pointwise
from tests.simulated_array import parts, simulate

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


# --- a network --------------------------------------------------------------------------------------------------------


def small_array(rows: int = 2, columns: int = 2, **changes: Any) -> Systolic:
    """Preset tpu-like with a small array; keys are written with a double underscore for the dot."""
    values = {"rows": rows, "columns": columns} | {key.replace("__", "."): value for key, value in changes.items()}
    return Systolic.load("tpu-like").override(values, source="worked out by hand")


def attention(heads: int = 2, tokens: int = 5, width: int = 3) -> Network:
    """A linear layer between two products of activations."""
    return network(
        entry(heads, tokens, width),
        Input(name="keys", inputs=(), shape=(heads, width, tokens)),
        MatrixProduct(name="scores", inputs=("x", "keys"), shape=(heads, tokens, tokens), inner=width),
        linear("y", "scores", heads * tokens, tokens, 4),
    )


def depthwise(channels: int) -> Convolution:
    return Convolution(
        name="y", inputs=("x",), shape=(1, channels, 4, 4), weight=Weights((channels, 1, 3, 3)),
        padding=(1, 1, 1, 1), convolution_groups=channels,
    )  # fmt: skip


NETWORKS = {
    "resnet20": lambda: mho.zoo.load("resnet20"),
    "mobilenet_v2": lambda: mho.zoo.load("mobilenet_v2", input_size=96),
    "decoder": lambda: decoder(DecoderConfiguration(**DECODER)),
    "attention": attention,
}


@pytest.fixture(scope="module", params=NETWORKS)
def ran(request: pytest.FixtureRequest) -> dict[str, Run]:
    """Runs of one network under every dataflow, and the best; buffers so small that tensors and sums do not fit them."""
    network = NETWORKS[request.param]()
    array = small_array(16, 8, buffer__bank_bytes=4096)
    return {dataflow: run(network, array, dataflow) for dataflow in (*DATAFLOWS, "best")}


def test_every_joule_is_booked_once(ran: dict[str, Run]) -> None:
    for result in ran.values():
        total = result.energy_j
        assert total > 0
        assert sum(result.energy_by_component().values()) == pytest.approx(total, rel=1e-9)
        assert sum(result.energy_by_kind().values()) == pytest.approx(total, rel=1e-9)
        assert sum(record.energy_j for record in result.records) == pytest.approx(total, rel=1e-9)
        prices = result.systolic.energy_per_event
        dynamic = sum(n * prices[event] for each in result.records for (event, _), n in each.events.items())
        static = sum(result.systolic.leakage_w.values()) * result.latency_s
        assert dynamic + static == pytest.approx(total, rel=1e-9)


def test_a_layer_takes_the_longer_of_its_work_and_its_traffic(ran: dict[str, Run]) -> None:
    for result in ran.values():
        spec = result.systolic.spec
        assert result.latency_s == pytest.approx(sum(record.seconds for record in result.records), rel=1e-12)
        serial = sum(record.work_s + record.memory_s for record in result.records)
        assert result.latency_s <= result.latency_without_overlap_s == serial
        for record in result.records:
            assert record.seconds == max(record.work_s, record.memory_s)
            assert record.memory_s == record.memory_bytes / spec.memory.bandwidth
            assert record.work_s == record.cycles / spec.frequency_hz
            assert record.macs <= result.systolic.units * record.cycles
            bytes_moved = sum(n for (event, _), n in record.events.items() if event == "memory_byte")
            assert bytes_moved == record.memory_bytes


def test_no_time_is_below_what_macs_and_memory_need(ran: dict[str, Run]) -> None:
    for result in ran.values():
        net, systolic = result.network, result.systolic
        assert result.memory_bytes >= net.weights
        assert result.latency_s >= net.weights / systolic.spec.memory.bandwidth
        on_array = sum(layer.macs for layer in net.matrix_layers)
        assert result.latency_s >= on_array / systolic.units / systolic.spec.frequency_hz
        all_macs = sum(record.events["mac", "compute"] for record in result.records)
        assert all_macs == net.macs


def test_the_best_dataflow_is_the_fastest(ran: dict[str, Run]) -> None:
    best = ran["best"]
    assert best.latency_s == min(ran[dataflow].latency_s for dataflow in DATAFLOWS)
    assert best.to_dict()["layers"] == ran[best.dataflow].to_dict()["layers"]
    assert set(best.totals) == set(DATAFLOWS)
    assert set(ran["weight"].totals) == {"weight"}


@settings(max_examples=60)
@given(m=st.integers(1, 300), k=st.integers(1, 60), n=st.integers(1, 60), dataflow=flows)
def test_a_layer_is_carried_out_in_the_way_that_is_done_first(m: int, k: int, n: int, dataflow: Dataflow) -> None:
    array = small_array(4, 8, buffer__bank_bytes=256)
    record = run(network(entry(m, k), linear("y", "x", m, k, n)), array, dataflow).records[-1]
    spilled, free = max(0, m * k - array.activation_bytes), max(0, array.activation_bytes - m * k)
    product = Product(1, m, k, n, float(spilled), float(k * n), free / 2, array.weight_bytes / 2)
    grid = SystolicGrid(4, 8, array.spec.sum_bytes, array.grid.sum_buffer_bytes)
    bandwidth, out = array.spec.memory.bandwidth, 4 * m * n
    assert record.seconds == min(
        max(way.cycles / 1e9, (way.load_bytes + way.sum_store_bytes + out) / bandwidth)
        for way in foldings(product, grid, dataflow)
    )


def test_products_of_activations_are_told_both_ways() -> None:
    for net, differs in ((attention(), True), (network(entry(3, 4), linear("y", "x", 3, 4, 5)), False)):
        ideal, real = small_array(), small_array(products="array")
        for dataflow in DATAFLOWS:
            runs = {"ideal": run(net, ideal, dataflow), "array": run(net, real, dataflow)}
            assert runs["ideal"].totals == runs["array"].totals
            for choice, result in runs.items():
                assert result.latency_s == result.totals[result.dataflow][choice].latency_s
            assert (runs["array"].latency_s > runs["ideal"].latency_s) == differs
            assert (runs["array"].energy_j > runs["ideal"].energy_j) == differs


def test_a_product_of_activations_is_a_product_a_head() -> None:
    array = small_array(products="array")
    found = {record.name: record for record in run(attention(2, 5, 3), array, "weight").records}
    # 2 heads x 2 folds of the 3 inputs x 3 folds of the 5 outputs x (5 windows + 2 x 2 + 2 - 2).
    assert found["scores"].cycles == 2 * 2 * 3 * (5 + 4)
    assert found["scores"].events["weight_buffer_read_byte", "compute"] == 0


def test_groups_of_a_convolution_run_one_after_another() -> None:
    one = run(network(entry(1, 1, 4, 4), depthwise(1)), small_array(), "weight").records[-1]
    many = run(network(entry(1, 6, 4, 4), depthwise(6)), small_array(), "weight").records[-1]
    # 9 inputs in 5 folds of 2 rows; 16 windows.
    assert one.cycles == 5 * (16 + 4)
    assert many.cycles == 6 * one.cycles
    assert many.memory_bytes - 6 * 9 == 6 * (one.memory_bytes - 9)


def test_a_run_worked_out_by_hand() -> None:
    # 3 windows of 4 inputs, 2 outputs, on 2 x 2 cells that keep weights: 2 folds of 3 + 2 x 2 + 2 - 2 = 7 cycles.
    array = small_array()
    result = run(network(entry(3, 4), linear("y", "x", 3, 4, 2)), array, "weight")
    loaded, computed = result.records
    assert (loaded.name, loaded.cycles, loaded.memory_bytes) == ("x", 0, 12)
    assert computed.cycles == 14
    # 8 weights in; 6 outputs out as real numbers of 4 bytes: nothing reads their codes.
    assert computed.memory_bytes == 8 + 6 * 4
    assert result.latency_s == pytest.approx(12 / 19.2e9 + 14e-9)
    counted = {event: n for (event, kind), n in computed.events.items() if kind == "compute" and n}
    assert counted == {
        "mac": 24,
        "activation_buffer_read_byte": 12,
        "weight_buffer_read_byte": 8,
        "sum_buffer_write_byte": 6 * 4,
        "sum_buffer_read_byte": 6 * 4,
        "register_byte": 24 * 5 + 2 * 2 * (1 + 2),
        "vector_element": 6,
    }
    assert {event: n for (event, kind), n in computed.events.items() if kind == "memory" and n} == {
        "weight_buffer_write_byte": 8,
        "memory_byte": 32,
    }


def test_what_the_activation_buffer_cannot_keep_goes_through_memory() -> None:
    def chain(side: int) -> Network:
        first = pointwise("a", "x", 4, 4, side=side)
        relu: Layer = Activation(name="b", inputs=("a",), shape=first.shape, function="relu")
        return network(entry(1, 4, side, side), first, relu, pointwise("c", "b", 4, 4, side=side))

    net = chain(16)
    size, out = 4 * 16 * 16, 4 * 4 * 16 * 16
    needed = size + 16 + 16 + out
    assert run(net, small_array(4, 4), "weight").memory_bytes == needed
    # One bank of 512 bytes: half the input stays, nothing of b; each is loaded by its one reader, b stored before.
    tight = small_array(4, 4, buffer__activation_banks=1, buffer__bank_bytes=512)
    assert run(net, tight, "weight").memory_bytes == needed + size + (size - 512) - (size - 512)


def test_a_vector_unit_with_a_rate_takes_time() -> None:
    net = mho.zoo.load("resnet20")
    slow = small_array(64, 64, vector__elements_per_s=64e9)
    assert run(net, slow, "output").latency_s > run(net, small_array(64, 64), "output").latency_s


# --- what holds the array up ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("model", ["resnet20", "attention"])
def test_what_is_not_hidden_is_added_and_what_is_fetched_again_only_adds(model: str, dataflow: Dataflow) -> None:
    net = attention(2, 40, 30) if model == "attention" else mho.zoo.load(model)
    of = {
        stalls: run(net, small_array(8, 8, stalls=stalls, memory__bandwidth=1e9), dataflow)
        for stalls in ("hidden", "exposed", "refetched")
    }
    for stalls, ours in of.items():
        for record in ours.records:
            both = record.work_s, record.memory_s
            assert record.seconds == (max(both) if stalls == "hidden" else sum(both))
    hidden, exposed, refetched = (of[stalls].latency_s for stalls in of)
    # Foldings are chosen for what they then take, so that none chosen otherwise takes less.
    assert hidden < exposed <= of["hidden"].latency_without_overlap_s * (1 + 1e-12)
    assert exposed < refetched and of["exposed"].memory_bytes < of["refetched"].memory_bytes
    assert {ours.energy_j > 0 for ours in of.values()} == {True}


def test_copies_that_are_fetched_are_counted_by_hand() -> None:
    # 4 windows of 2 inputs, 3 outputs, 2 x 2 cells: 2 folds of 4 + 2 + 1 + 1 cycles; loads: 8 inputs, kept for the second fold, 6
    # weights; 12 outputs are stored. 5 bytes a cycle of 1 ns.
    net = network(entry(4, 2), linear("y", "x", 4, 2, 3))
    array = small_array(stalls="refetched", memory__bandwidth=5e9)
    (*_, record) = run(net, array, "weight").records
    assert record.folding is not None
    assert (record.cycles, record.folding.load_bytes) == (16, 14)
    moved = record.memory_bytes
    assert record.seconds == pytest.approx(16e-9 + moved / 5e9, rel=1e-12)
    before = run(net, small_array(stalls="exposed", memory__bandwidth=5e9), "weight").records[-1]
    assert moved - before.memory_bytes == 8
