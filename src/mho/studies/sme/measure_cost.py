"""What the chips take for a network: arrays, time and energy, dense, with SRE's compression of rows, and squeezed.

All three are of the same parts. Dense and squeezed programs are compiled and simulated. SRE is counted by what its compression
leaves over (`mho.mapping.rivals`): strips of columns of which only rows with a cell that is on are driven; what it does not
touch costs what it costs the dense chip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mho
from mho.mapping import map_network
from mho.studies.sme.chips import dense, squeezing
from mho.studies.sme.load import StudiedNetwork
from mho.studies.sme.measure import STRIP, TURNS, recoded, strips, whole
from mho.studies.work import measured

EXCEEDS = 3.0
"""How many times the dense network exceeds its chip."""
COMPRESSED = ("adc", "sample_hold", "shift_add", "array", "dac")
"""Components that do less where rows are left out."""


@measured("time and energy")
def costs(subject: StudiedNetwork, few: Sequence[int] | None) -> dict[str, Any]:
    """Measure one network: dense, SRE, squeezed without loss, and squeezed in the codings `few` of its layers where there are."""
    eight = subject.quantised
    plain = simulated(eight, dense(), "dense")
    runs = {
        "dense": plain,
        "sre": compressed(eight, plain),
        "lossless": simulated(eight, squeezing(), "squeezed"),
    }
    if few is not None:
        coded = recoded(subject, tuple(few))
        runs["few"] = simulated(coded, squeezing(), "squeezed")
        runs["folded"] = simulated(coded, squeezing(TURNS), "squeezed", turns=TURNS)
    budget = plain["arrays"]
    for run in runs.values():
        run["shared_s"] = shared_out_s(run["layers"], budget)
    return runs


@measured("beyond the chip")
def beyond(subject: StudiedNetwork, few: Sequence[int]) -> dict[str, Any]:
    """Measure one inference on chips of a third of the arrays that the dense network fills."""
    runs, eight = dict[str, Any](), subject.quantised
    groups = max(1, round(map_network(eight, dense()).arrays / EXCEEDS))
    for run, quantised, chip, mapping in (
        ("dense", eight, dense(), "dense"),
        ("few", recoded(subject, tuple(few)), squeezing(), "squeezed"),
    ):
        sized = chip.override({"tiles": 1, "tile.groups": groups}, source="study: a third of the dense network")
        program = mho.compile(quantised, sized, mho.Strategy().with_(schedule="overlap", mapping=mapping))
        report = mho.simulate(program).to_dict()
        runs[run] = {"latency_s": report["latency_s"], "groups": groups}
        runs[run] |= {name: report["writes"][name] for name in ("pulses", "addressed")}
    return runs


def simulated(quantised: mho.number.QuantisedNetwork, chip: mho.Chip, mapping: str, **options: Any) -> dict[str, Any]:
    """Simulate one inference, one copy of each layer, weights resident, on a chip with as many tiles as that takes."""
    arrays = map_network(quantised, chip, mapping=mapping, **options).arrays
    tiles = max(1, -(-arrays // chip.tile.groups))
    sized = chip.override({"tiles": tiles}, source="study: as many tiles as the network fills")
    program = mho.compile(quantised, sized, mho.Strategy().with_(options, schedule="naive", mapping=mapping))
    report = mho.simulate(program)
    entries = [entry for entry in report.account.entries if entry.kind == "compute"]
    energy = dict.fromkeys((entry.component for entry in entries), 0.0)
    for entry in entries:
        energy[entry.component] += entry.joules
    return {
        "arrays": arrays,
        "latency_s": report.latency_s,
        "compute_j": sum(entry.joules for entry in entries),
        "by_component": energy,
        "area_m2": sized.roll_up().area_m2.total,
        "layers": [
            {"windows": layer.windows, "window_s": layer.window_s, "arrays": int(layer.blocks.arrays.sum())}
            for layer in program.mapping.layers
        ],
    }


def compressed(quantised: mho.number.QuantisedNetwork, plain: dict[str, Any]) -> dict[str, Any]:
    """Work out what SRE takes, beside the dense program's measurement."""
    chip = dense()
    array, prices = chip.array, chip.energy_per_event
    steps = chip.readout.all_steps
    energy = {key: joules for key, joules in plain["by_component"].items() if key not in COMPRESSED}
    layers, arrays = [], 0
    for layer in quantised.network.matrix_layers:
        stripped = strips(whole(quantised.matrices[layer.name].centred))
        times = layer.windows * steps
        conversions = stripped.units * STRIP * times
        for component, event, count in (
            ("adc", "adc_conversion", conversions),
            ("sample_hold", "sample_hold", conversions),
            ("shift_add", "shift_add", conversions),
            ("array", "array_read", stripped.units * STRIP / array.columns * times),
            ("dac", "dac_drive", stripped.kept_rows * times),
        ):
            energy[component] = energy.get(component, 0.0) + count * prices[event]
        index = stripped.index_bits / 8 * layer.windows * squeezing().energy_per_event["index_byte"]
        energy["index_memory"] = energy.get("index_memory", 0.0) + index
        window_s = steps * stripped.cycles * STRIP * array.adc_period_s
        layers.append({"windows": layer.windows, "window_s": window_s, "arrays": stripped.crossbars})
        arrays += stripped.crossbars
    latency_s = plain["latency_s"] + sum(
        layer["windows"] * (layer["window_s"] - before["window_s"])
        for layer, before in zip(layers, plain["layers"], strict=True)
    )
    return {
        "arrays": arrays,
        "latency_s": latency_s,
        "compute_j": sum(energy.values()),
        "by_component": energy,
        "area_m2": None,
        "layers": layers,
    }


def shared_out_s(layers: Sequence[dict[str, Any]], budget: int) -> float | None:
    """Return the summed time of all layers where copies fill `budget` arrays: each array goes where it saves most.

    None where one copy of each does not fit.
    """
    import heapq

    left = budget - sum(layer["arrays"] for layer in layers)
    if left < 0:
        return None
    copies = [1] * len(layers)

    def gain(place: int) -> float:
        layer, count = layers[place], copies[place]
        windows = int(layer["windows"])
        saved = -(-windows // count) - -(-windows // (count + 1))
        return -saved * float(layer["window_s"]) / int(layer["arrays"])

    queue = [(gain(place), place) for place in range(len(layers)) if layers[place]["windows"] > 1]
    heapq.heapify(queue)
    while queue:
        _, place = heapq.heappop(queue)
        layer = layers[place]
        # The pool only shrinks: a layer whose copy does not fit now never will.
        if layer["arrays"] <= left and copies[place] < layer["windows"]:
            left -= layer["arrays"]
            copies[place] += 1
            heapq.heappush(queue, (gain(place), place))
    return float(
        sum(-(-layer["windows"] // count) * layer["window_s"] for layer, count in zip(layers, copies, strict=True))
    )
