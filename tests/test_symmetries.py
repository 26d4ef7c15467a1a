"""What must stay as it is, add up, or vanish: costs under other names and side by side, errors of ever better devices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.machine import wear
from mho.machine.analog import Analog
from mho.machine.lookup import reduce, reference
from mho.machine.lookup.service import serve
from mho.mapping.embedding import Layout
from mho.network.graph import Network
from mho.network.layers import Array, Layer, Linear
from mho.network.trace import Trace
from tests.lookup_oracle import CHIPS, chip_of, layout_of, layouts, program_of, table_of, trace_of, traces
from tests.strategies import ALONE, GREEDY, Sketch, chips, choices, networks
from tests.test_squeezed_execution import small_chip, small_network

few = settings(max_examples=20)
AMPLE = {"buffer.banks": [2**18] * 8}
"""A buffer that holds every tensor of a drawn network: what has no room crosses the memory, which is not in proportion."""


def by_component(report: mho.Report, *kinds: str) -> dict[tuple[str, str], float]:
    """Return joules by component and kind, of these kinds."""
    joules: dict[tuple[str, str], float] = {}
    for entry in report.account.entries:
        if entry.kind in kinds:
            key = entry.component, entry.kind
            joules[key] = joules.get(key, 0.0) + entry.joules
    return joules


def stack(batch: int, widths: list[int], seed: int) -> Network:
    """Linear layers one after another, on so many samples at once."""
    sketch = Sketch(seed, (batch, widths[0]))
    for width in widths[1:]:
        sketch.linear(sketch.layers[-1], width)
    return sketch.network()


@few
@given(st.lists(st.integers(1, 12), min_size=2, max_size=4), chips(), st.sampled_from(ALONE), choices("residency"))
def test_two_samples_at_once_cost_at_most_twice_one(
    widths: list[int], chip: Chip, schedule: str, residency: str
) -> None:
    chip = chip.override(AMPLE, source="law")
    strategy = GREEDY.with_(schedule=schedule, residency=residency)
    one, two = (mho.simulate(mho.compile(mho.number.quantise(stack(n, widths, 1)), chip, strategy)) for n in (1, 2))
    # A search may find for one sample what it does not find for two, but never less than twice the plan without a search.
    rival = one if schedule != "adaptive" else mho.simulate(
        mho.compile(mho.number.quantise(stack(1, widths, 1)), chip, strategy.with_(schedule="overlap"))
    )  # fmt: skip
    assert one.latency_s * (1 - 1e-9) <= two.latency_s <= 2 * max(one.latency_s, rival.latency_s) * (1 + 1e-9)
    if schedule != "adaptive":
        assert two.energy_j <= 2 * one.energy_j * (1 + 1e-9)


def beside(first: Network, second: Network) -> Network:
    """Two networks that share nothing as one, the second one's layers under other names."""
    named = {layer.name: f"{layer.name}'" for layer in second.layers}
    others = tuple(
        replace(layer, name=named[layer.name], inputs=tuple(named[name] for name in layer.inputs))
        for layer in second.layers
    )
    outputs = (*first.outputs, *(named[name] for name in second.outputs))
    return Network("both", (*first.layers, *others), outputs, first.origin)


@few
@given(networks, networks, chips())
def test_networks_side_by_side_cost_their_sum(first: Network, second: Network, chip: Chip) -> None:
    """One after the other and all written anew, so that nothing is shared: not cells that stay, nor time that overlaps."""
    chip = chip.override({**AMPLE, "layer_order": "sequential"}, source="law")
    strategy = GREEDY.with_(schedule="naive", residency="never")
    apart = [mho.simulate(mho.compile(network, chip, strategy)) for network in (shapes(first), shapes(second))]
    both = mho.simulate(mho.compile(shapes(beside(first, second)), chip, strategy))
    kinds = ("compute", "write", "memory")
    total: dict[tuple[str, str], float] = {}
    for report in apart:
        for key, joules in by_component(report, *kinds).items():
            total[key] = total.get(key, 0.0) + joules
    found = by_component(both, *kinds)
    for key, joules in total.items():
        # A byte's price hangs on its bank, chosen for both at once; pulses on what the cells held before.
        if key[0] not in ("global_buffer", "cell_pulse"):
            assert found[key] == pytest.approx(joules, rel=1e-9), key
    assert both.latency_s <= sum(report.latency_s for report in apart) * (1 + 1e-9)
    assert both.latency_s >= max(report.latency_s for report in apart) * (1 - 1e-9)


def shapes(network: Network) -> Network:
    """The network without its weights: cell changes are those expected, whoever wrote before."""
    layers = tuple(
        replace(layer, **{key: Array(value.shape) for key, value in vars(layer).items() if isinstance(value, Array)})
        if layer.kind != "constant"
        else layer
        for layer in network.layers
    )
    return replace(network, layers=layers, origin="none (shapes only)")


@few
@given(st.integers(1, 20), st.integers(2, 20), chips(), st.sampled_from(ALONE), st.integers(0, 2**16))
def test_outputs_in_another_order_cost_the_same(rows: int, columns: int, chip: Chip, schedule: str, seed: int) -> None:
    """All cells are blank when a layer that stays is written, so that which column holds which output changes nothing."""
    network = stack(1, [rows, columns], seed)
    layer = network.layers[-1]
    assert isinstance(layer, Linear)
    order = np.random.default_rng(seed).permutation(columns)
    assert layer.bias is not None
    weight, bias = (Array.of(np.asarray(array.values)[order]) for array in (layer.weight, layer.bias))
    turned: Layer = replace(layer, weight=weight, bias=bias)
    programs = [
        mho.compile(mho.number.quantise(each), chip, GREEDY.with_(schedule=schedule))
        for each in (network, replace(network, layers=(*network.layers[:-1], turned)))
    ]
    assume(programs[0].setup)
    plain, other = (mho.simulate(program) for program in programs)
    assert other.latency_s == pytest.approx(plain.latency_s, rel=1e-12)
    kinds = ("compute", "write", "memory", "static")
    assert by_component(other, *kinds) == pytest.approx(by_component(plain, *kinds), rel=1e-12)
    counts = [sum(count.steps for count in wear(program).counts.values()) for program in programs]
    assert counts[0] == counts[1]


@few
@given(traces(), CHIPS, st.data(), st.integers(1, 4), st.integers(0, 2**16))
def test_rows_under_other_numbers_cost_the_same(
    trace: Trace, chip: Chip, data: st.DataObject, batch: int, seed: int
) -> None:
    """Rows of one table change their numbers, in the trace and in the layout: time and energy by component stay."""
    layout = data.draw(layouts(trace.total_rows))
    number = np.arange(trace.total_rows, dtype=np.int32)
    begin = 0
    for rows in trace.rows:
        number[begin : begin + rows] = begin + np.random.default_rng(seed).permutation(rows)
        begin += rows
    starts = np.cumsum([0, *trace.rows])[np.repeat(trace.tables, trace.lengths)]
    indices = (number[trace.flat] - starts).astype(trace.indices.dtype)
    turned = replace(trace, indices=indices)
    moved = Layout(layout.rows, layout.height, layout.starts, number[layout.members], layout.copies, layout.method)
    plain, other = (
        serve(bags, held, chip, dimension=5, batch=batch) for bags, held in ((trace, layout), (turned, moved))
    )
    assert other.batch_s.tolist() == plain.batch_s.tolist()
    assert other.energy == plain.energy
    assert other.loads.tolist() == plain.loads.tolist()


@few
@given(traces(weighted=False), CHIPS, st.data(), st.integers(0, 2**16))
def test_queries_of_a_batch_in_another_order_cost_the_same(
    trace: Trace, chip: Chip, data: st.DataObject, seed: int
) -> None:
    """With one copy of each group nothing is chosen by turns: arrays do the same work, whoever comes first."""
    layout = data.draw(layouts(trace.total_rows))
    layout = layout.with_copies(np.ones(layout.groups, dtype=np.int32))
    order = np.random.default_rng(seed).permutation(np.unique(trace.queries))
    bags = [bag for query in order for bag in np.flatnonzero(trace.queries == query)]
    turned = trace_of(
        [trace.indices[trace.offsets[bag] : trace.offsets[bag + 1]].tolist() for bag in bags],
        trace.rows,
        trace.tables[bags].tolist(),
        [order.tolist().index(query) for query in trace.queries[bags]],
    )
    plain, other = (serve(bags, layout, chip, dimension=5, batch=len(order)) for bags in (trace, turned))
    assert other.loads.tolist() == plain.loads.tolist()
    for key, joules in plain.energy.items():
        # What leaks does so for as long as the batch takes, and queues take turns.
        if key[1] == "compute" and key[0] not in ("noc", "accumulator", "tile_buffer", "output_register"):
            assert other.energy[key] == pytest.approx(joules, rel=1e-12), key


KNOBS: dict[str, dict[str, Any]] = {
    "programming": {"device.programming.sigma": 1.0, "device.on_off": 10.0},
    "reading": {"device.read.sigma": 1.0, "device.on_off": 10.0},
    "wires": {"wires.row_ohm": 100.0, "wires.column_ohm": 100.0},
    "on/off": {"device.on_off": 1.0},
}
"""What is changed, and by how much for a share of 1; a pedestal of a third of a level leaves cells room below."""


def worse(knob: str, share: float) -> Analog:
    """An analog side with an ideal converter and one error of a small share."""
    values = {
        key: value if key == "device.on_off" and knob != "on/off" else value * share
        for key, value in KNOBS[knob].items()
    }
    if knob == "on/off":
        values = {"device.on_off": 1 / share}
    return Analog().override({"adc.bits": "ideal", "seed": 3, **values})


def vanishes(knob: str, share: float, error: Any) -> None:
    """Errors shrink about as the share does, and are nothing beside what they were at a millionth of it."""
    large, small, none = (
        float(np.sqrt(np.mean(np.square(error(worse(knob, share * part)))))) for part in (1, 1e-2, 1e-6)
    )
    # What flows at level 0 is known, and taken out.
    assert large > 0 or knob == "on/off"
    assert small <= large / 30
    assert none <= 1e-5 * large


@pytest.mark.parametrize("knob", KNOBS)
@pytest.mark.parametrize("turns", [1, 3])
def test_errors_of_squeezed_arrays_vanish_as_devices_get_better(knob: str, turns: int) -> None:
    quantised, x = small_network(20, 7)
    program = mho.compile(quantised, small_chip(), GREEDY.with_(mapping="squeezed", turns=turns))
    exact = mho.number.run_reference(quantised, x)["linear1"]
    vanishes(knob, 0.1, lambda analog: mho.execute(program, x, analog=analog)["linear1"] - exact)


@pytest.mark.parametrize("knob", [knob for knob in KNOBS if knob != "wires"])
@pytest.mark.parametrize("coding", ["offset", "flipped", "differential", "twos_complement"])
def test_errors_of_look_ups_vanish_as_devices_get_better(knob: str, coding: str) -> None:
    trace = trace_of([[0], [1, 2], [3, 3], [4, 5]], rows=(6,), weights=[1, 1, 1, 1, 1, 3, 2])
    program = program_of(trace, layout_of([range(6)]), chip_of(array__coding=coding, tile__groups=12), 8)
    table = table_of(6, 8, 2)
    exact = reference(trace, table)
    vanishes(knob, 1e-3, lambda analog: reduce(program, table, analog).vectors - exact)
