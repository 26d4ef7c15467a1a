"""Networks on a systolic array: time, traffic and energy by their laws, and a run worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.machine.systolic import DATAFLOWS, Run, run
from mho.machine.systolic.folds import Dataflow, Product, SystolicGrid, foldings
from mho.network.graph import Network
from mho.network.layers import Activation, Convolution, Input, Layer, MatrixProduct
from mho.network.layers import Array as Weights
from mho.network.zoo.decoder import DecoderConfiguration, decoder
from tests.command_line import DECODER
from tests.hand_sized import entry, linear, network, pointwise
from tests.simulated_array import small_array

flows = st.sampled_from(DATAFLOWS)


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
