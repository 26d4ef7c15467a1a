"""Timelines worked out by hand, and the laws of a shared memory checked on the timelines of random programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.chip.chip import Override
from mho.machine import Timing, time_program, wear
from mho.machine.clock import fill
from mho.machine.energy import count_events
from mho.network.graph import Network
from mho.network.layers import Activation
from mho.program import Activate, Combine, Program, Transfer, Vector, Write
from mho.program.instructions import size
from mho.program.work import vector_seconds
from tests.hand_sized import entry, hand_chip, hand_program, linear, network
from tests.ported import without_ports
from tests.strategies import ALONE, GREEDY, chips, networks

some = settings(max_examples=30)
schedules = st.sampled_from(ALONE)
residencies = st.sampled_from(["auto", "never"])

T = 8 * 2 * 60 * 50e-9
"""Write time of an array of the hand-sized chip: 8 rows x 2 phases x 60 pulses of 50 ns."""

WINDOW = 8 * (9 + 4) * 1e-9
"""8 input bits, each 9 columns converted one after the other and 4 ns of overhead."""


def chip_of(bytes_per_write_time: float, **values: Override) -> Chip:
    """The hand-sized chip with a memory that moves so many bytes in one array write time."""
    return hand_chip(memory__bandwidth=bytes_per_write_time / T, **values)


# small: 4 x 1 weights, 6 bytes of changes; large: 8 x 2 weights, 24 bytes. A weight's changes are 12 bits.
SMALL, LARGE = 1, 2
NET = network(entry(5, 8), linear("small", "x", 5, 4, 1), linear("large", "x", 5, 8, 2))


def write(layer: int, group: int, *after: int) -> Write:
    return Write(layer, (0, 1), 0, ((group, group + 1),), after)


def activate(layer: int, group: int, windows: int, *after: int) -> Activate:
    return Activate(layer, (0, 1), 0, (0, windows), ((group, group + 1),), True, after)


def in_writes(program: Program) -> tuple[list[float], list[float], Timing]:
    """Starts and ends in array write times."""
    timing = time_program(program)
    return (timing.starts / T).tolist(), (timing.ends / T).tolist(), timing


def near(*values: float) -> object:
    return pytest.approx(list(values), rel=1e-12, abs=1e-15)


def test_a_write_alone_takes_the_array_write_time_and_an_activation_its_windows() -> None:
    program = hand_program(chip_of(1000), NET, write(SMALL, 0), activate(SMALL, 0, 5, 0), Combine(SMALL, (1,)))
    timing = time_program(program)
    end = T + 5 * WINDOW
    assert timing.starts.tolist() == near(0, T, end)
    assert timing.ends.tolist() == near(T, end, end)
    assert timing.latency_s == pytest.approx(end, rel=1e-12)
    assert timing.setup_s == 0
    assert timing.memory_busy_s == pytest.approx(6 * T / 1000, rel=1e-12)


def test_a_write_is_slowed_by_a_memory_too_slow_for_it() -> None:
    _, ends, _ = in_writes(hand_program(chip_of(10), NET, write(LARGE, 0)))
    assert ends == near(2.4)


def test_two_writes_one_after_the_other_take_the_sum() -> None:
    starts, ends, _ = in_writes(hand_program(chip_of(12), NET, write(SMALL, 0), write(LARGE, 1, 0)))
    assert starts == near(0, 1)
    assert ends == near(1, 3)


def test_two_writes_share_a_memory_that_feeds_the_small_one_fully() -> None:
    # 18 bytes a write time: 9 each would be fair, the small one takes only 6, the large one 12 of its 24. Then the large
    # one has 12 left and takes all 18: 2/3 of a write time more.
    _, ends, timing = in_writes(hand_program(chip_of(18), NET, write(SMALL, 0), write(LARGE, 1)))
    assert ends == near(1, 1 + 2 / 3)
    assert timing.memory_busy_s == pytest.approx(30 / 18 * T, rel=1e-12)


def test_two_writes_share_equally_a_memory_that_feeds_neither() -> None:
    # 10 bytes: 5 each until the small one is done at 1.2; 18 left at 10.
    _, ends, _ = in_writes(hand_program(chip_of(10), NET, write(SMALL, 0), write(LARGE, 1)))
    assert ends == near(1.2, 3)


def test_a_write_that_has_caught_up_takes_no_more_than_it_wishes() -> None:
    # 27 bytes: 6 and 21; at 1 the large one has 3 left, and its wish is 24, not the 27 that are free.
    _, ends, _ = in_writes(hand_program(chip_of(27), NET, write(SMALL, 0), write(LARGE, 1)))
    assert ends == near(1, 1 + 3 / 24)


def test_a_transfer_beside_a_write_takes_what_the_write_leaves() -> None:
    # 18 bytes: the write 6, the transfer 12 of its 30; then 18 left at 18.
    _, ends, _ = in_writes(hand_program(chip_of(18), NET, write(SMALL, 0), Transfer("load", 0, 30, ())))
    assert ends == near(1, 2)


def test_a_transfer_and_a_write_that_are_both_starved_share_equally() -> None:
    # 8 bytes: 4 each; the write is done at 1.5, the transfer has 24 left.
    _, ends, _ = in_writes(hand_program(chip_of(8), NET, write(SMALL, 0), Transfer("load", 0, 30, ())))
    assert ends == near(1.5, 1.5 + 24 / 8)


def test_a_later_write_takes_its_share_from_one_under_way() -> None:
    # 10 bytes. The transfer takes all 10 until 0.5; then the large write and the second transfer take 5 each until the
    # transfer's 5 are done at 1.5; the write has 19 left.
    program = hand_program(
        chip_of(10), NET, Transfer("load", 0, 5, ()), Transfer("load", 0, 5, (0,)), write(LARGE, 0, 0)
    )
    starts, ends, _ = in_writes(program)
    assert starts == near(0, 0.5, 0.5)
    assert ends == near(0.5, 1.5, 1.5 + 19 / 10)


def test_the_setup_ends_where_the_inference_begins() -> None:
    # Large and small at 18 bytes: 5/3 of a write time, before 0.
    program = hand_program(
        chip_of(18), NET, write(SMALL, 0), write(LARGE, 1), activate(LARGE, 1, 5, 1), Transfer("store", 2, 9, (2,)),
        setup=2,
    )  # fmt: skip
    starts, ends, timing = in_writes(program)
    assert starts[:3] == near(-5 / 3, -5 / 3, 0)
    assert ends[:2] == near(-2 / 3, 0)
    assert timing.setup_s == pytest.approx(5 / 3 * T, rel=1e-12)
    assert timing.latency_s == pytest.approx(5 * WINDOW + T / 2, rel=1e-12)
    # What the setup moved does not keep the inference's memory busy.
    assert timing.memory_busy_s == pytest.approx(T / 2, rel=1e-12)


def test_a_vector_unit_of_finite_rate_serves_one_layer_after_another() -> None:
    # 40 elements each at 1e9 a second; both inputs are there at 0, and the program's order decides. Layers that take no
    # time, or sit in crossbars, do not wait for it.
    relu = Activation(name="first", inputs=("x",), shape=(5, 8), function="relu")
    net = network(
        entry(5, 8), relu, replace(relu, name="second"), linear("m", "x", 5, 8, 2), outputs=("first", "second", "m")
    )
    program = hand_program(
        chip_of(1000, vector__elements_per_s=1e9, layer_order="dataflow"), net,
        Vector(1, ()), Vector(2, ()), write(3, 0), activate(3, 0, 1, 2),
    )  # fmt: skip
    timing = time_program(program)
    assert timing.starts.tolist() == near(0, 40e-9, 0, T)
    assert timing.ends.tolist() == near(40e-9, 80e-9, T, T + WINDOW)
    ideal = replace(program, chip=chip_of(1000, layer_order="dataflow"))
    assert time_program(ideal).ends[:2].tolist() == [0, 0]


def test_the_vector_unit_serves_who_comes_first() -> None:
    # The later instruction is ready at 0, the earlier one only after a transfer of 10 ns.
    relu = Activation(name="late", inputs=("x",), shape=(5, 8), function="relu")
    net = network(entry(5, 8), relu, replace(relu, name="early"), outputs=("late", "early"))
    chip = hand_chip(vector__elements_per_s=1e9, memory__bandwidth=1e9, layer_order="dataflow")
    timing = time_program(hand_program(chip, net, Transfer("load", 0, 10, ()), Vector(1, (0,)), Vector(2, ())))
    assert timing.starts.tolist() == near(0, 40e-9, 0)
    assert timing.ends.tolist() == near(10e-9, 80e-9, 40e-9)


def test_writes_of_several_groups_take_the_time_of_one_while_the_memory_lasts() -> None:
    # K = 16 makes two blocks of 8 x 2: 48 bytes in one write time where the memory delivers them.
    net = network(entry(1, 16), linear("l", "x", 1, 16, 2))
    whole = Write(1, (0, 2), 0, ((0, 2),), ())
    assert in_writes(hand_program(chip_of(48), net, whole))[1] == near(1)
    assert in_writes(hand_program(chip_of(24), net, whole))[1] == near(2)


positive = st.floats(1e-6, 1e12, allow_nan=False)


@given(st.lists(st.one_of(positive, st.just(float("inf"))), min_size=1, max_size=12), positive)
def test_the_memory_is_shared_max_min_fairly(wishes: list[float], bandwidth: float) -> None:
    count = len(wishes)
    flows, ones, rated = np.arange(count), np.ones(count), np.full(count + 1, 7.0)
    uses = np.arange(count + 1), np.zeros(count, np.int64), ones
    fill(flows, np.zeros(1, np.int64), np.array(wishes), ones, uses, np.array([bandwidth]), rated)
    *rates, beyond = rated.tolist()
    assert beyond == 7.0
    assert sum(rates) == pytest.approx(min(bandwidth, sum(wishes)), rel=1e-9)
    assert all(0 < rate <= wish for rate, wish in zip(rates, wishes, strict=True))
    equal = bandwidth / len(rates)
    for rate, wish in zip(rates, wishes, strict=True):
        assert rate >= min(wish, equal) * (1 - 1e-9)
        # Whoever gets less than it wishes gets as much as anybody.
        if rate < wish * (1 - 1e-9):
            assert rate >= max(rates) * (1 - 1e-9)
    assert rates == pytest.approx(shares(wishes, bandwidth), rel=1e-6)


def shares(wishes: Sequence[float], bandwidth: float) -> list[float]:
    """Max-min fair rates by water filling: the level at which all cut-off wishes sum to the bandwidth, by bisection."""
    if sum(wishes) <= bandwidth:
        return list(wishes)
    low, high = 0.0, bandwidth
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(min(wish, middle) for wish in wishes) < bandwidth else (low, middle)
    return [min(wish, high) for wish in wishes]


def bytes_of(program: Program, instruction: Write | Transfer) -> float:
    """Bytes that an instruction moves, block by block."""
    if isinstance(instruction, Transfer):
        return instruction.size
    layer, chip = program.mapping.by_index[instruction.layer], program.chip
    blocks = [layer.blocks.block(i) for i in range(*layer.within(instruction.blocks))]
    bits = sum(each.height * each.width for each in blocks) * chip.cells_per_weight * (chip.array.cell_bits + 1)
    return bits / 8


@some
@given(networks, chips(), schedules, residencies)
def test_every_byte_is_moved_at_its_fair_rate_between_start_and_end(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    """From the timeline alone: whoever is under way gets its max-min fair rate, and these rates sum up to its bytes."""
    program = mho.compile(network, chip, GREEDY.with_(schedule=schedule, residency=residency))
    timing = without_ports(program)
    write_s = chip.array.rows * chip.array.write_phases * chip.array.pulses_full_range * chip.array.pulse_s
    wanted = {
        i: bytes_of(program, each) for i, each in enumerate(program.instructions) if isinstance(each, Write | Transfer)
    }
    flows = list(wanted)
    wish = {i: wanted[i] / write_s if isinstance(program.instructions[i], Write) else float("inf") for i in flows}
    moved = dict.fromkeys(flows, 0.0)
    for part in (range(program.setup), range(program.setup, len(program.instructions))):
        mine = [i for i in flows if i in part]
        moments = np.unique([time for i in mine for time in (timing.starts[i], timing.ends[i])])
        for begin, end in pairwise(moments.tolist()):
            under_way = [i for i in mine if timing.starts[i] <= begin and timing.ends[i] >= end]
            rates = shares([wish[i] for i in under_way], chip.memory.bandwidth)
            for i, rate in zip(under_way, rates, strict=True):
                moved[i] += rate * (end - begin)
    # Moments of a long inference are rounded; that is worth a few bytes where the memory is fast.
    crumb = 64 * np.finfo(float).eps * (timing.latency_s + timing.setup_s) * chip.memory.bandwidth * max(len(flows), 1)
    for i in flows:
        assert moved[i] == pytest.approx(wanted[i], rel=1e-6, abs=crumb)
    total = sum(wanted[i] for i in flows if i >= program.setup)
    assert timing.memory_busy_s == pytest.approx(total / chip.memory.bandwidth, rel=1e-9)
    assert timing.memory_busy_s <= timing.latency_s * (1 + 1e-9)


@some
@given(networks, chips(), schedules, residencies)
def test_instructions_start_when_all_they_wait_for_have_ended_and_last_as_long_as_they_must(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    program = mho.compile(network, chip, GREEDY.with_(schedule=schedule, residency=residency))
    timing = without_ports(program)
    busy: list[tuple[float, float]] = []
    for i, instruction in enumerate(program.instructions):
        begin = 0.0 if i >= program.setup else -timing.setup_s
        ready = max([begin, *(float(timing.ends[j]) for j in instruction.after)])
        start, lasts = float(timing.starts[i]), float(timing.ends[i] - timing.starts[i])
        layer = program.network.layers[instruction.layer]
        seconds = vector_seconds(layer, program.network, chip) if isinstance(instruction, Vector | Combine) else 0.0
        if seconds:
            busy.append((start, float(timing.ends[i])))
            assert start >= ready
            # It waits for nobody but the vector unit.
            assert start == ready or any(timing.ends[j] == start for j in range(len(program.instructions)))
        else:
            assert start == ready
        if isinstance(instruction, Activate):
            windows = instruction.windows[1] - instruction.windows[0]
            steps = -(-8 // chip.array.dac_bits)
            columns = chip.array.columns
            # A pair of columns is converted at once; a unit column comes to those that may be inverted.
            once = {"differential": (columns + 1) // 2, "flipped": columns + 1}.get(chip.array.coding, columns)
            conversions = -(-once // chip.array.adcs)
            step_s = conversions * chip.array.adc_period_s + chip.array.step_overhead_s
            seconds = windows * steps * step_s
        if isinstance(instruction, Activate | Vector | Combine):
            assert lasts == pytest.approx(seconds, rel=1e-9, abs=1e-12 * timing.latency_s)
        elif isinstance(instruction, Write):
            write_s = chip.array.rows * chip.array.write_phases * chip.array.pulses_full_range * chip.array.pulse_s
            least = max(write_s, bytes_of(program, instruction) / chip.memory.bandwidth)
            assert lasts >= least * (1 - 1e-9) - 1e-12 * timing.latency_s
            assert size(instruction.groups) == instruction.blocks[1] - instruction.blocks[0]
    for (_, end), (start, _) in pairwise(sorted(busy)):
        assert end <= start
    assert timing.latency_s == max(timing.ends[program.setup :])
    assert (timing.starts[program.setup :] >= 0).all()
    assert (timing.ends[: program.setup] <= 0).all()


def test_combining_takes_an_operation_an_output_of_the_vector_unit() -> None:
    """4 windows of 3 outputs at 100 outputs a second: 0.12 s after the last activation, and 12 operations charged."""
    chip = hand_chip(vector__elements_per_s=100.0)
    program = mho.compile(network(entry(4, 5), linear("a", "x", 4, 5, 3)), chip, GREEDY.with_(schedule="naive"))
    (place,) = (i for i, each in enumerate(program.instructions) if isinstance(each, Combine))
    timing = time_program(program)
    assert timing.ends[place] - timing.starts[place] == pytest.approx(12 / 100)
    assert timing.starts[place] == max(timing.ends[i] for i in program.instructions[place].after)
    events = count_events(program, wear(program), place, place + 1)
    assert sum(count for (_, event, _), count in events.items() if event == "vector_element") == 12
