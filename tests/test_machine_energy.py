"""Events counted on paper, energy as events times their price, and reports that sum to their totals."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.machine import Timing, account, time_program, wear
from mho.machine.accesses import READ, WRITE, byte_prices, count_accesses
from mho.machine.bill import KINDS, Account, Bill, Price, joules_of
from mho.machine.energy import bill, count_events
from mho.network.graph import Network
from mho.network.layers import (
    Activation,
    Array,
    Convolution,
    Elementwise,
    Embedding,
    MatrixProduct,
    Reshape,
    Softmax,
)
from mho.program import Program, Transfer, Write
from tests.command_line import Shell
from tests.hand_sized import entry, hand_chip, linear, network, with_codes
from tests.strategies import ALONE, chips, networks

some = settings(max_examples=25)
schedules = st.sampled_from(ALONE)
residencies = st.sampled_from(["auto", "never"])

Counted = dict[tuple[str, str], float]


def counted(program: Program, layer: str, *, setup: bool = False) -> Counted:
    """Events of a layer, by event and kind, in the inference or in the setup."""
    bounds = (0, program.setup) if setup else (program.setup, len(program.instructions))
    index = [each.name for each in program.network.layers].index(layer)
    events = count_events(program, wear(program), *bounds)
    return {(event, kind): count for (of, event, kind), count in events.items() if of == index and count}


def activation(counts: dict[str, float]) -> Counted:
    return {(event, "compute"): count for event, count in counts.items()}


def measured(network: Network, chip: Chip, schedule: str, residency: str) -> tuple[Program, Timing, Account]:
    program = mho.compile(
        mho.number.quantise(network), chip, mho.Strategy().with_(schedule=schedule, residency=residency)
    )
    timing = time_program(program)
    return program, timing, account(program, timing, wear(program))


ONE_BLOCK = [[27, 0, 255], [1, 2, 3], [64, 128, 192], [0, 0, 0], [85, 170, 228]]
"""In base 4: 0123 0000 3333 | 0001 0002 0003 | 1000 2000 3000 | 0 | 1111 2222 3210: levels of 18, 6, 6, 0 and 18."""

LINEAR_5_TO_3_TWO_WINDOWS = activation(
    {
        # 5 rows in both arrays of the group (two weights fit in each row of an array, so 3 outputs take two arrays),
        # 2 windows of 8 steps.
        "dac_drive": 5 * 2 * 16,
        "array_read": 2 * 16,
        # 3 outputs x 4 cells are converted in each step.
        "sample_hold": 12 * 16,
        "adc_conversion": 12 * 16,
        "shift_add": 12 * 16,
        # 5 inputs are read once, sent once, kept once (written and read), and registered in each array.
        "global_buffer_read_byte": 5 * 2,
        "tile_buffer_byte": 2 * 5 * 2,
        "input_register_byte": 5 * 2 * 2,
        # 3 sums of 3 bytes in each step; sent and added once a window.
        "output_register_byte": 3 * 3 * 16,
        "noc_byte": (5 + 3 * 3) * 2,
        "accumulate": 3 * 2,
        # Each of 2 x 3 outputs is corrected and scaled.
        "vector_element": 6,
    }
)

FIFTEEN_WEIGHTS_WRITTEN: Counted = {
    # 15 weights of 4 cells, 3 bits a change.
    ("memory_byte", "memory"): 22.5,
    ("noc_byte", "write"): 22.5,
    ("write_register_byte", "write"): 22.5,
    ("tile_buffer_byte", "write"): 45.0,
}

SIX_REALS_STORED: Counted = {("memory_byte", "memory"): 24.0, ("noc_byte", "memory"): 24.0}


def test_one_block_costs_what_paper_says() -> None:
    net = network(entry(2, 5), linear("l", "x", 2, 5, 3))
    program = mho.compile(with_codes(net, {"l": ONE_BLOCK}), hand_chip(), "overlap")
    assert counted(program, "x") == {
        ("memory_byte", "memory"): 10, ("noc_byte", "memory"): 10, ("global_buffer_write_byte", "memory"): 10,
    }  # fmt: skip
    assert counted(program, "l") == LINEAR_5_TO_3_TWO_WINDOWS | SIX_REALS_STORED
    # Written once from level 0: 48 level steps of 60 / 3 pulses.
    assert counted(program, "l", setup=True) == FIFTEEN_WEIGHTS_WRITTEN | {("cell_pulse", "write"): 48 * 20}


def test_a_block_that_finds_itself_in_the_cells_pays_for_its_way_and_no_pulse() -> None:
    net = network(entry(2, 5), linear("l", "x", 2, 5, 3))
    program = mho.compile(
        with_codes(net, {"l": ONE_BLOCK}), hand_chip(), mho.Strategy().with_(schedule="overlap", residency="never")
    )
    got = counted(program, "l")
    assert got == LINEAR_5_TO_3_TWO_WINDOWS | FIFTEEN_WEIGHTS_WRITTEN | {
        ("memory_byte", "memory"): 22.5 + 24, ("noc_byte", "memory"): 24,
    }  # fmt: skip


def test_two_blocks_along_k_read_their_own_rows_and_add_two_partial_sums() -> None:
    # K = 11 on 8 rows: blocks of 8 and of 3 rows; N = 2 fits one array of each group. One window, so 8 steps.
    net = network(entry(1, 11), linear("l", "x", 1, 11, 2))
    program = mho.compile(net, hand_chip())
    assert counted(program, "l") == activation(
        {
            "dac_drive": 11 * 8,
            "array_read": 2 * 8,
            "sample_hold": 2 * 2 * 4 * 8,
            "adc_conversion": 128,
            "shift_add": 128,
            "global_buffer_read_byte": 11,
            "tile_buffer_byte": 22,
            "input_register_byte": 11,
            "output_register_byte": 2 * 2 * 3 * 8,
            "noc_byte": 11 + 2 * 2 * 3,
            "accumulate": 4,
            "vector_element": 2,
        }
    ) | {("memory_byte", "memory"): 8, ("noc_byte", "memory"): 8}


def test_two_blocks_along_n_read_each_input_once_and_send_it_twice() -> None:
    # N = 6 on 4 columns: blocks of 4 columns (two arrays) and of 2 (one array), each of 3 rows.
    net = network(entry(1, 3), linear("l", "x", 1, 3, 6))
    got = counted(mho.compile(net, hand_chip()), "l")
    assert got["global_buffer_read_byte", "compute"] == 3
    assert got["tile_buffer_byte", "compute"] == 2 * (3 + 3)
    assert got["noc_byte", "compute"] == 3 + 3 + 6 * 3
    assert got["input_register_byte", "compute"] == 3 * 2 + 3 * 1
    assert got["dac_drive", "compute"] == 9 * 8
    assert got["array_read", "compute"] == 3 * 8
    assert got["adc_conversion", "compute"] == 6 * 4 * 8


@pytest.mark.parametrize(
    ("packing", "blocks", "arrays", "places"),
    [("diagonal", 1, 2, 4 * 4), ("separate", 2, 2, 8)],
)
def test_a_grouped_convolution_costs_what_its_packing_places(
    packing: str, blocks: int, arrays: int, places: int
) -> None:
    # 2 groups, each a matrix of K = 2 channels and N = 2; 3 pixels. On the diagonal: 4 rows driven in two arrays, of
    # 4 x 4 places written; apart: two groups of arrays with 2 rows in one array each.
    layer = Convolution(
        name="c", inputs=("x",), shape=(1, 4, 1, 3), weight=Array((4, 2, 1, 1)), convolution_groups=2
    )  # fmt: skip
    program = mho.compile(
        network(entry(1, 4, 1, 3), layer), hand_chip(), mho.Strategy().with_(schedule="overlap", packing=packing)
    )
    assert program.mapping.count == blocks
    drives = 4 * 2 if packing == "diagonal" else 2 + 2
    steps = 3 * 8
    assert counted(program, "c") == activation(
        {
            "dac_drive": drives * steps,
            "array_read": arrays * steps,
            "sample_hold": 4 * 4 * steps,
            "adc_conversion": 4 * 4 * steps,
            "shift_add": 4 * 4 * steps,
            "global_buffer_read_byte": 4 * 3,
            "tile_buffer_byte": 2 * 4 * 3,
            "input_register_byte": drives * 3,
            "output_register_byte": 4 * 3 * steps,
            "noc_byte": (4 + 4 * 3) * 3,
            "accumulate": 4 * 3,
            "vector_element": 12,
        }
    ) | {("memory_byte", "memory"): 48, ("noc_byte", "memory"): 48}
    assert counted(program, "c", setup=True)["memory_byte", "memory"] == places * 4 * 3 / 8


def test_a_product_of_activations_counts_its_multiply_accumulates_and_its_operands() -> None:
    # (2 x 3) by (3 x 4): 24 multiply-accumulates; both operands come from the buffer, the scores pass on to a softmax
    # of 5 operations an element, which leaves as real numbers.
    left, right = entry(1, 2, 3), replace(entry(1, 3, 4), name="y")
    product = MatrixProduct(name="scores", inputs=("x", "y"), shape=(1, 2, 4), inner=3)
    last = Softmax(name="softmax", inputs=("scores",), shape=(1, 2, 4), axis=2)
    program = mho.compile(network(left, right, product, last), hand_chip())
    assert counted(program, "scores") == activation({"matrix_mac": 24, "global_buffer_read_byte": 6 + 12})
    assert counted(program, "softmax") == activation({"vector_element": 40}) | {
        ("memory_byte", "memory"): 32, ("noc_byte", "memory"): 32,
    }  # fmt: skip


def test_embedding_rows_enter_the_buffer_once_and_token_indices_never() -> None:
    tokens = entry(1, 2, integers=True)
    rows = Embedding(name="e", inputs=("x",), shape=(1, 2, 5), table=Array((7, 5)))
    flat = Reshape(name="flat", inputs=("e",), shape=(2, 5))
    program = mho.compile(network(tokens, rows, flat, linear("l", "flat", 2, 5, 3)), hand_chip())
    assert counted(program, "x") == {("memory_byte", "memory"): 8, ("noc_byte", "memory"): 8}
    assert counted(program, "e") == {
        ("memory_byte", "memory"): 10,
        ("noc_byte", "memory"): 10,
        ("global_buffer_write_byte", "memory"): 10,
        ("vector_element", "compute"): 10,
    }
    assert counted(program, "flat") == {}
    assert counted(program, "l") == LINEAR_5_TO_3_TWO_WINDOWS | SIX_REALS_STORED


def test_a_spilled_tensor_is_stored_once_and_loaded_by_each_layer_that_reads_it() -> None:
    # Two banks of 64 bytes. x (8 x 8 codes) fills one; a (8 x 12), made while x is still read, takes the other, and 32
    # of its 96 bytes live in main memory. b and c each load those.
    net = network(
        entry(8, 8),
        linear("a", "x", 8, 8, 12),
        linear("b", "a", 8, 12, 3),
        linear("c", "a", 8, 12, 3),
        outputs=("b", "c"),
    )
    program = mho.compile(net, hand_chip(buffer__banks=[64, 64], tiles=4), mho.Strategy().with_(banks="greedy"))
    assert {use.layer: (len(use.banks), use.spilled) for use in program.buffers} == {0: (1, 0), 1: (1, 32)}
    assert [(each.direction, each.size) for each in program.instructions if isinstance(each, Transfer)] == [
        ("load", 64), ("store", 32), ("load", 32), ("store", 96), ("load", 32), ("store", 96),
    ]  # fmt: skip
    got = counted(program, "a")
    # All 96 codes pass the buffer as they are made; 32 leave it, and come back twice.
    assert got["global_buffer_write_byte", "compute"] == 96
    assert got["global_buffer_read_byte", "memory"] == 32
    assert got["global_buffer_write_byte", "memory"] == 64
    assert got["memory_byte", "memory"] == 96
    assert got["noc_byte", "memory"] == 96
    for reader in ("b", "c"):
        assert counted(program, reader)["global_buffer_read_byte", "compute"] == 96


def test_an_activation_behind_a_matrix_reads_nothing_and_writes_its_codes() -> None:
    relu = Activation(name="r", inputs=("a",), shape=(2, 6), function="relu")
    net = network(entry(2, 5), linear("a", "x", 2, 5, 6), relu, linear("b", "r", 2, 6, 3))
    program = mho.compile(net, hand_chip())
    assert counted(program, "r") == activation({"vector_element": 12, "global_buffer_write_byte": 12})
    assert ("global_buffer_write_byte", "compute") not in counted(program, "a")


def test_a_sum_of_two_stored_tensors_reads_both() -> None:
    added = Elementwise(name="sum", inputs=("a", "x"), shape=(2, 5), function="add")
    net = network(entry(2, 5), linear("a", "x", 2, 5, 5), added, linear("b", "sum", 2, 5, 3))
    program = mho.compile(net, hand_chip())
    stored = {use.layer for use in program.buffers}
    reads = sum(10 for index in (0, 1) if index in stored)
    got = counted(program, "sum")
    assert 0 in stored
    assert got.get(("global_buffer_read_byte", "compute"), 0) == reads
    assert got["vector_element", "compute"] == 10
    assert got["global_buffer_write_byte", "compute"] == 10


@some
@given(networks, chips(), schedules, residencies)
def test_nothing_is_read_from_the_buffer_that_was_not_written(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    program = mho.compile(
        mho.number.quantise(network), chip, mho.Strategy().with_(schedule=schedule, residency=residency)
    )
    events = count_events(program, wear(program), program.setup, len(program.instructions))
    written = sum(count for (_, event, _), count in events.items() if event == "global_buffer_write_byte")
    read = sum(count for (_, event, _), count in events.items() if event == "global_buffer_read_byte")
    assert written > 0 or read == 0
    lived = {use.layer for use in program.buffers}
    shown = {i: origin(network, layer.name) for i, layer in enumerate(network.layers)}
    for number, instruction in enumerate(program.instructions):
        if isinstance(instruction, Transfer) and shown[instruction.layer] not in lived:
            alone = count_events(program, wear(program), number, number + 1)
            assert not [event for _, event, _ in alone if event.startswith("global_buffer")]


@some
@given(
    st.lists(st.tuples(st.integers(1, 50), st.floats(0.1, 9), st.floats(0.1, 9)), min_size=1, max_size=6),
    st.integers(1, 300),
    st.data(),
)
def test_a_byte_costs_the_mean_of_the_banks_that_its_tensor_fills(
    kinds: list[tuple[int, float, float]], size: int, data: st.DataObject
) -> None:
    sizes, read_j, write_j = zip(*kinds, strict=True)
    chosen = data.draw(st.sets(st.sampled_from(range(len(sizes)))))
    read, write = byte_prices(size, sorted(chosen), sizes, read_j, write_j)
    if not chosen:
        largest = sizes.index(max(sizes))
        assert (read, write) == (read_j[largest], write_j[largest])
        return
    least, most = (of(read_j[bank] for bank in chosen) for of in (min, max))
    assert least * (1 - 1e-9) <= read <= most * (1 + 1e-9)
    # Filled to the brim, no order of filling shows; with room to spare, no other order is cheaper.
    room = sum(sizes[bank] for bank in chosen)
    full = sum(sizes[bank] * (read_j[bank] + write_j[bank]) for bank in chosen) / room
    assert read + write <= full * (1 + 1e-9)
    if size >= room:
        assert read + write == pytest.approx(full)
    dear = max(chosen, key=lambda bank: read_j[bank] + write_j[bank])
    if size <= room - sizes[dear] and len(chosen) > 1:
        without = byte_prices(size, sorted(chosen - {dear}), sizes, read_j, write_j)
        assert (read, write) == pytest.approx(without)


def test_a_byte_of_a_small_bank_costs_less_than_one_of_a_large_bank() -> None:
    # x (5 x 2 codes) finds room in 64 bytes. Where these are all there is, it costs what they cost; where there is a bank of
    # 2 MiB beside them, it lies in the small one still, and costs no more.
    net = network(entry(2, 5), linear("l", "x", 2, 5, 3))
    costs = []
    for banks in ([64], [64, 2**21], [2**21]):
        program = mho.compile(net, hand_chip(buffer__banks=banks), "overlap")
        booked = account(program, time_program(program), wear(program)).entries
        chip = program.chip
        bank = program.buffers[0].banks[0]
        through = [each for each in booked if each.component == "global_buffer" and each.kind != "static"]
        costs.append(sum(each.joules for each in through))
        assert costs[-1] == pytest.approx(10 * chip.costs.bank_write_j[bank] + 10 * chip.costs.bank_read_j[bank])
    assert costs[0] == costs[1] < costs[2]


@some
@given(networks, chips(), schedules, residencies)
def test_energy_is_events_times_their_price_and_leakage_times_its_time(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    program, timing, booked = measured(network, chip, schedule, residency)
    worn = wear(program)
    priced: dict[tuple[str, str], float] = defaultdict(float)
    events = count_events(program, worn, program.setup, len(program.instructions))
    through: dict[tuple[str, str], float] = defaultdict(float)
    for (_, event, kind), count in events.items():
        if event in (READ, WRITE):
            through[event, kind] += count
        else:
            priced[chip.costs.event_component[event], kind] += count * chip.energy_per_event[event]
    for (_, event, kind, tensor), count in count_accesses(program, program.setup, len(program.instructions)).items():
        through[event, kind] -= count
        priced["global_buffer", kind] += count * byte_j(program, tensor, event)
    assert not any(through.values())
    for component, watts in chip.leakage_w.items():
        priced[component, "static"] += watts * timing.latency_s
    priced["global_buffer", "static"] += banks_j(program, timing)
    got: dict[tuple[str, str], float] = defaultdict(float)
    for each in booked.entries:
        assert each.joules >= 0
        got[each.component, each.kind] += each.joules
    keys = {key for key, joules in (priced | got).items() if joules}
    assert {key: got[key] for key in keys} == pytest.approx({key: priced[key] for key in keys}, rel=1e-9)
    setup = count_events(program, worn, 0, program.setup)
    assert booked.setup_j == pytest.approx(
        sum(count * chip.energy_per_event[event] for (_, event, _), count in setup.items())
        + sum(chip.leakage_w.values()) * timing.setup_s,
        rel=1e-9,
    )


def byte_j(program: Program, tensor: int, event: str) -> float:
    """What a byte of a tensor costs: the mean over its bytes, laid one by one into its banks, the smallest first."""
    chip = program.chip
    prices = {READ: chip.costs.bank_read_j, WRITE: chip.costs.bank_write_j}[event]
    sizes = chip.buffer.banks
    for use in program.buffers:
        if use.layer == tensor and use.banks:
            ascending = sorted(use.banks, key=lambda bank: (sizes[bank], bank))
            places = [bank for bank in ascending for _ in range(sizes[bank])]
            counts = Counter(places[: use.size - use.spilled])
            return sum(prices[bank] * count for bank, count in counts.items()) / (use.size - use.spilled)
    return prices[sizes.index(max(sizes))]


def origin(network: Network, name: str) -> int:
    """The place of the layer whose values a tensor shows."""
    place = {layer.name: i for i, layer in enumerate(network.layers)}
    while network.by_name[name].moves_only:
        name = network.by_name[name].inputs[0]
    return place[name]


def banks_j(program: Program, timing: Timing) -> float:
    """Leakage of banks: each from when its tensor's layer starts until the last reader of the tensor, or a view of it, is done."""
    layers = program.network.layers

    def ends_of(layer: int) -> list[float]:
        return [
            float(timing.ends[i])
            for i, each in enumerate(program.instructions)
            if i >= program.setup and each.layer == layer and not isinstance(each, Write | Transfer)
        ]

    total = 0.0
    for use in program.buffers:
        made = [
            float(timing.starts[i])
            for i, each in enumerate(program.instructions)
            if i >= program.setup and each.layer == use.layer and not isinstance(each, Write)
        ]
        readers = [
            i
            for i, layer in enumerate(layers)
            if any(origin(program.network, name) == use.layer for name in layer.inputs)
        ]
        ends = [moment for i in readers for moment in ends_of(i)]
        if any(origin(program.network, name) == use.layer for name in program.network.outputs):
            ends.append(timing.latency_s)
        own = ends_of(use.layer)
        until = max(ends or own or made)
        total += sum(program.chip.costs.bank_leakage_w[bank] for bank in use.banks) * (until - min(made))
    return total


def told(program: mho.Program) -> Bill:
    """Count what a program is charged for."""
    return bill(program, time_program(program), wear(program))


def at(found: Bill, chip: Chip) -> dict[Price, float]:
    """Return the prices of a chip."""
    return dict(zip(found.prices, joules_of(found.prices, chip).tolist(), strict=True))


@pytest.mark.parametrize("event", sorted(Chip.load("aras").energy_per_event))
def test_doubling_the_price_of_an_event_changes_its_component_alone_by_its_share(event: str) -> None:
    left = entry(1, 2, 5)
    a, b = (replace(linear(name, "x", 1, 5, 4), shape=(1, 2, 4)) for name in "ab")
    turned = replace(b, name="c", shape=(1, 2, 5), weight=Array((5, 5)))
    scores = MatrixProduct(name="scores", inputs=("a", "b"), shape=(1, 2, 4), inner=4)
    # The operands' shapes do not matter to cost; the layer counts 2 x 4 outputs of 4 products each.
    net = network(left, a, b, turned, scores, outputs=("scores", "c"))
    chip = hand_chip(tiles=1, tile__groups=1)
    program = mho.compile(net, chip, mho.Strategy().with_(schedule="overlap", residency="never"))
    found = told(program)
    prices = at(found, chip)
    before = found @ prices
    events = count_events(program, wear(program), 0, len(program.instructions))
    count = sum(number for (_, name, _), number in events.items() if name == event)
    assert count > 0
    extra = sum(found.counts[n] * prices[p] for n, p in enumerate(found.prices) if p.event == event)
    assert sum(
        found.counts[n] + found.setup[n] for n, p in enumerate(found.prices) if p.event == event
    ) == pytest.approx(count)
    after = found @ {price: joules * (2 if price.event == event else 1) for price, joules in prices.items()}
    owner, old, new = chip.costs.event_component[event], before.by("component"), after.by("component")
    assert {name for name in new if new[name] != old[name]} == ({owner} if extra else set())
    assert new[owner] - old[owner] == pytest.approx(extra, rel=1e-6)


@pytest.mark.parametrize("component", ["memory", "vector_unit", "noc", "tile_buffer"])
def test_doubling_a_leakage_changes_static_energy_of_that_component_alone(component: str) -> None:
    chip = hand_chip()
    program = mho.compile(
        network(entry(2, 5), linear("l", "x", 2, 5, 3)), chip, mho.Strategy().with_(residency="never")
    )
    found, prices = told(program), at(told(program), chip)
    before, extra = found @ chip, chip.leakage_w[component] * time_program(program).latency_s
    assert extra > 0
    after = found @ {**prices, Price(component, "leakage"): 2 * prices[Price(component, "leakage")]}
    for key, changed in (("component", component), ("kind", "static")):
        old, new = before.by(key), after.by(key)
        assert {name for name in new if new[name] != old[name]} == {changed}
        assert new[changed] - old[changed] == pytest.approx(extra, rel=1e-6)


def test_leakage_on_a_hand_timed_inference() -> None:
    # Two codes in a bank, one write, one window: everything powered all along, the
    # input's bank from its load until the layer that reads it is done.
    chip = hand_chip(buffer__banks=[64])
    program = mho.compile(
        network(entry(1, 2), linear("l", "x", 1, 2, 1)), chip, mho.Strategy().with_(schedule="naive", residency="never")
    )
    timing = time_program(program)
    load_s, store_s = 2 / 19.2e9, 4 / 19.2e9
    write_s = 8 * 2 * 60 * 50e-9
    window_s = 8 * (9 * 1e-9 + 4e-9)
    latency = load_s + write_s + window_s + store_s
    assert timing.latency_s == pytest.approx(latency, rel=1e-12)
    static = account(program, timing, wear(program)).by("kind")["static"]
    held = chip.costs.bank_leakage_w[0] * (load_s + write_s + window_s)
    assert static == pytest.approx(sum(chip.leakage_w.values()) * latency + held, rel=1e-9)


@some
@given(networks, chips(), schedules, residencies)
def test_reports_sum_to_their_totals(network: Network, chip: Chip, schedule: str, residency: str) -> None:
    program = mho.compile(
        mho.number.quantise(network), chip, mho.Strategy().with_(schedule=schedule, residency=residency)
    )
    report = mho.simulate(program).to_dict()
    energy = report["energy_j"]
    assert energy["total"] > 0
    assert set(energy["by_kind"]) == set(KINDS)
    assert sum(energy["by_component"].values()) == pytest.approx(energy["total"], rel=1e-9)
    assert sum(energy["by_kind"].values()) == pytest.approx(energy["total"], rel=1e-9)
    assert sum(layer["energy_j"] for layer in report["layers"]) == pytest.approx(energy["total"], rel=1e-9)
    area = report["area_m2"]
    assert sum(area["by_component"].values()) == pytest.approx(area["total"], rel=1e-9)
    assert all(value >= 0 for value in (*energy["by_component"].values(), *area["by_component"].values()))


def test_totals_of_isaac_are_sums_of_its_components_and_stand_in_no_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = Shell(monkeypatch, capsys)("show", "isaac", "--json").json()
    parts = [part.to_dict() for part in Chip.load("isaac").roll_up().parts]
    assert len(parts) >= 10
    for key, terms in (("area_m2", ["area_m2"]), ("peak_power_w", ["peak_dynamic_w", "leakage_w"])):
        totals = shown[key]
        assert sum(totals["by_component"].values()) == pytest.approx(totals["total"], rel=1e-9)
        by_hand = sum(part[term] * part["total"] for part in parts for term in terms)
        assert by_hand == pytest.approx(totals["total"], rel=1e-9)
    written = (Path(mho.__file__).parent / "chip" / "presets" / "isaac.yaml").read_text()

    def quantities(node: object, key: str = "") -> list[tuple[str, object]]:
        if not isinstance(node, dict):
            return [(key, item) for item in node] if isinstance(node, list) else []
        if "value" in node:
            return [(key, node)]
        return [found for name, value in node.items() for found in quantities(value, f"{key}.{name}".strip("."))]

    content = yaml.safe_load(written)
    found = quantities({name: value for name, value in content.items() if name != "sources"})
    assert len(found) > 20
    for key, quantity in found:
        assert not any(word in key for word in ("area", "power", "total", "energy", "leakage")), key
        unit = quantity.get("unit", "") if isinstance(quantity, dict) else ""
        assert not any(word in unit for word in ("W", "J", "m^2", "m2", "m²")), (key, unit)


@settings(max_examples=15)
@given(st.sampled_from(["overlap", "naive", "aras"]), st.sampled_from(["aras", "isaac", "puma"]), st.floats(0.1, 10.0))
def test_a_bill_at_a_chips_prices_is_its_account_and_is_linear_in_them(schedule: str, name: str, factor: float) -> None:
    chip = Chip.load(name)
    report = mho.simulate(mho.compile(mho.zoo.load("resnet20"), chip, schedule))
    found, account_ = report.bill, report.account
    prices = at(found, chip)
    assert (found @ prices).by_layer() == account_.by_layer()
    dearer = found @ {price: factor * joules for price, joules in prices.items()}
    assert dearer.total() == pytest.approx(factor * account_.total(), rel=1e-12)
    assert dearer.setup_j == pytest.approx(factor * account_.setup_j, rel=1e-12)
    by_price = [found @ {each: joules * (each == price) for each, joules in prices.items()} for price in prices]
    assert math.fsum(each.total() for each in by_price) == pytest.approx(account_.total(), rel=1e-12)
