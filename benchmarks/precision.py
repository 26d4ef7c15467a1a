"""What bits of layers and readings of arrays are worth: energy, time, area, cells to write (docs/precision.md).

Networks of the zoo by their shapes, chip `isaac` sized to each, its links off where nothing crosses them; `aras` as it is, which
rewrites its cells. Ratios are to 8 bits, to conversions of all bits, and to all columns converted. Real networks, where MHO_DATA
has them, add to those whose layers are narrow. What is asked of the figures stands beside them, met or missed.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.files import ROOT, read_json, write_json, write_measured
from benchmarks.intervals import compared, ends, factors, interval, part, priced, verdict
from benchmarks.tables import table

if TYPE_CHECKING:
    from mho.chip import Chip
    from mho.network import Network

RESULTS = ROOT / "benchmarks" / "precision.json"
PAGE = ROOT / "docs" / "precision.md"
SCHEMA = "mho.precision/1"
WORK = ("array", "dac", "adc")
"""Components whose energy is that of the matrix products: arrays, drivers and converters."""
BITS = ("8", "6", "4/8", "8/4", "4", "2")
GOALS = {"energy": 3.4, "time": 2.0, "area": 1.65}
"""Of 4 bits against 8, divided by: energy of arrays, drivers and converters; time of the matrices; area of the arrays in use."""
SHRUNK = ("resnet50", "mobilenet_v2")
NARROW = ("resnet20", "resnet56", "mobilenet_v2", "resnet18", "resnet50", "bert-base")
FILES = {
    "squeezenet1.1": "imagenet/squeezenet1.1.onnx",
    "kwt1": "kws/kwt1_core.onnx",
    "dscnn": "kws/dscnn_int8_qdq.onnx",
}
"""Networks of narrow layers that come with the real data."""
ADC_GOAL = 0.15
EXACT = "exact"
"""Said of times and counts; of areas of arrays too, which are counts of one and the same array."""
SCHEDULES = ("naive", "overlap", "aras", "adaptive")
REWRITTEN = ("8", "8/4", "4/8", "4")


def _isaac(**keys: str) -> Chip:
    """Return chip isaac with links off, and with other keys of its arrays."""
    import mho

    changes = {"external_io": "when_used", **{f"array.{key}": value for key, value in keys.items()}}
    return mho.Chip.load("isaac").override(changes, source="benchmark: links off where nothing leaves the chip")


def _design(network: Network, chip: Chip, bits: str, conversion: str = "chip") -> tuple[dict[str, Any], Any]:
    """Size the chip to the network in so many bits, and measure; the report is returned as well, to be priced."""
    import mho

    coding = {"choice": "bytes", "bits": bits}
    strategy = mho.Strategy().with_(coding=coding, conversion=conversion, schedule="overlap", banks="greedy")
    program = mho.compile(network, mho.schedule.sized(network, chip, strategy), strategy)
    report = mho.simulate(program)
    joules, used = report.account.by("component"), report.field("in_use")
    layers = program.mapping.layers
    told = {
        "energy": {component: joules.get(component, 0.0) for component in WORK},
        "whole_j": report.energy_j,
        "matrices_s": math.fsum(layer.windows * layer.window_s for layer in layers),
        "latency_s": report.latency_s,
        "arrays": used["arrays"],
        "arrays_m2": used["area_m2"]["arrays"],
        "in_use_m2": used["area_m2"]["total"],
        "adc_bits": sorted({layer.readout.adc_bits for layer in layers}),
    }
    return told, report


def _sure(designs: dict[str, tuple[dict[str, Any], Any]], base: str, components: tuple[str, ...]) -> dict[str, Any]:
    """Return designs with how sure it is, of the energy of some components, how many times it `base` takes."""
    parts = {
        name: part(report, lambda price, kind: price.component in components) for name, (_, report) in designs.items()
    }
    found = priced(parts)
    return {
        name: told if name == base else {**told, "sure": compared(found, name, base)}
        for name, (told, _) in designs.items()
    }


def _shrunk(name: str) -> dict[str, Any]:
    """Measure a network in every number of bits, and with only the columns in use converted."""
    import mho

    network = mho.zoo.load(name)
    return {
        convert: _sure({bits: _design(network, _isaac(convert=convert), bits) for bits in BITS}, "8", WORK)
        for convert in ("all", "used")
    }


def _narrow(data: Path | None) -> dict[str, Any]:
    """Measure conversions of all bits and of those that each layer's sums ask for, and of columns in use, at 8 bits."""
    import mho

    networks = {name: mho.zoo.load(name) for name in NARROW}
    networks |= {
        name: mho.Network.from_onnx(data / file)
        for name, file in FILES.items()
        if data is not None and (data / file).is_file()
    }
    return {
        name: _sure(
            {
                "chip": _design(network, _isaac(adc_modes="every"), "8"),
                "exact": _design(network, _isaac(adc_modes="every"), "8", "exact"),
                "used": _design(network, _isaac(convert="used"), "8"),
            },
            "chip",
            ("adc",),
        )
        for name, network in networks.items()
    }


def _sixteen() -> dict[str, float]:
    """Return the time of a window of a layer of 128 inputs and 16 outputs, whose weights take 64 of 128 columns."""
    import torch

    import mho

    network = mho.Network.from_torch(torch.nn.Linear(128, 16), torch.zeros(1, 128))
    found = {}
    for coding in ("flipped", "offset"):
        for convert in ("all", "used"):
            mapping = mho.mapping.map_network(network, _isaac(convert=convert, coding=coding))
            found[f"{coding}, {convert}"] = mapping.layers[0].window_s
    return found


def _rewritten() -> dict[str, Any]:
    """Measure ResNet-50 on aras under every schedule: by its shape, and with seeded weights where cells are to be alike."""
    import mho

    known = {"schedules": mho.zoo.load("resnet50"), "seeded": mho.zoo.load("resnet50", weights="seeded")}
    kinds = [(name, mho.Strategy().with_(schedule=name), "schedules") for name in SCHEDULES]
    kinds += [(name, mho.Strategy.load(name), "seeded") for name in ("aras", "aras-reuse")]
    found: dict[str, Any] = {"schedules": {}, "seeded": {}}
    for name, strategy, weights in kinds:
        reports = {}
        for bits in REWRITTEN:
            asked = strategy.with_({"coding": {"choice": "bytes", "bits": bits}, "banks": "greedy"})
            report = mho.simulate(mho.compile(known[weights], "aras", asked))
            writes, joules, reports[bits] = report.field("writes"), report.account.by("kind"), report
            found[weights].setdefault(name, {})[bits] = {
                "per_s": report.throughput_per_s,
                "energy_j": report.energy_j,
                "write_j": joules.get("write", 0.0),
                "cells": writes["addressed"],
                "pulses": writes["pulses"],
                "bound_ratio": report.latency_s / report.bound.seconds,
            }
        both = priced(reports)
        for bits, each in found[weights][name].items():
            each |= {"sure_j": interval(both, bits), "sure": compared(both, bits, "8")}
    return found


def measure(data: Path | None) -> dict[str, Any]:
    """Measure everything."""
    return {
        "schema": SCHEMA,
        "shrunk": {name: _shrunk(name) for name in SHRUNK},
        "narrow": _narrow(data),
        "sixteen": _sixteen(),
        "rewritten": _rewritten(),
    }


def _work(design: dict[str, Any]) -> float:
    return math.fsum(design["energy"].values())


def gains(designs: dict[str, Any], bits: str) -> dict[str, float]:
    """Return what so many bits divide by, against 8: energy, time and area."""
    few, all_bits = designs[bits], designs["8"]
    return {
        "energy": _work(all_bits) / _work(few),
        "time": all_bits["matrices_s"] / few["matrices_s"],
        "area": all_bits["arrays_m2"] / few["arrays_m2"],
    }


def _percent(share: float) -> str:
    return f"{100 * share:+.1f} %".replace("-", "−")


def _shrunk_table(results: dict[str, Any]) -> str:
    rows = []
    for name, kinds in results["shrunk"].items():
        for bits, each in kinds["all"].items():
            factors = gains(kinds["all"], bits)
            parts = (f"{1e6 * each['energy'][component]:.1f}" for component in WORK)
            rows.append(
                (
                    name, bits, *parts, f"{factors['energy']:.2f}", f"{1e3 * each['matrices_s']:.2f}", f"{factors['time']:.2f}",
                    f"{each['arrays']:,}", f"{1e6 * each['arrays_m2']:.2f}", f"{factors['area']:.2f}",
                    f"{1e3 * kinds['used'][bits]['matrices_s']:.2f}",
                )
            )  # fmt: skip
    heads = (
        "network", "bits", "arrays, µJ", "drivers, µJ", "ADCs, µJ", "÷", "matrices, ms", "÷", "arrays", "their area, mm²", "÷",
        "matrices, ms, columns in use",
    )  # fmt: skip
    return table(heads, rows, right=2)


def _goal_table(results: dict[str, Any]) -> str:
    said = {
        "energy": "arrays, drivers and ADCs: energy ÷",
        "time": "time of the matrices ÷",
        "area": "area of arrays in use ÷",
    }
    rows = []
    for name, kinds in results["shrunk"].items():
        for what, factor in gains(kinds["all"], "4").items():
            how = _said(kinds["all"]["4"]["sure"]) if what == "energy" else EXACT
            met = _met(factor >= GOALS[what] - 5e-3)
            rows.append((f"{name}, 4 bits: {said[what]}", f"{GOALS[what]:g}", f"{factor:.2f}", how, met))
    for name in ("mobilenet_v2", "squeezenet1.1", "resnet20", "kwt1"):
        if name in results["narrow"]:
            saved, how = _saved(results["narrow"][name]), _said(results["narrow"][name]["exact"]["sure"])
            what = f"{name}, 8 bits: ADC energy, bits by rows"
            rows.append((what, "−15 %", _percent(-saved), how, _met(saved >= ADC_GOAL)))
    times = results["sixteen"]
    for coding, said_of in (("flipped", "with isaac's unit column"), ("offset", "without a unit column")):
        factor = times[f"{coding}, all"] / times[f"{coding}, used"]
        rows.append((f"layer of 16 outputs, {said_of}: time ÷", "2", f"{factor:.2f}", EXACT, _met(factor >= 1.995)))
    return table(("what", "goal", "measured", "÷, 90 % of draws, verdict", "met"), rows)


def _said(sure: dict[str, Any]) -> str:
    """Say between which factors most draws lie, and whether it is decided which takes less."""
    return f"{factors(sure)}, {verdict(sure)}"


def _met(yes: bool) -> str:
    return "yes" if yes else "no"


def _saved(designs: dict[str, Any]) -> float:
    return 1 - designs["exact"]["energy"]["adc"] / designs["chip"]["energy"]["adc"]


def _narrow_table(results: dict[str, Any]) -> str:
    rows = []
    for name, each in results["narrow"].items():
        chip, exact, used = each["chip"], each["exact"], each["used"]
        rows.append(
            (
                name, f"{1e6 * chip['energy']['adc']:.1f}", f"{1e6 * exact['energy']['adc']:.1f}", _percent(-_saved(each)),
                _percent(_work(exact) / _work(chip) - 1), f"{min(exact['adc_bits'])} to {max(exact['adc_bits'])}",
                f"{1e3 * chip['matrices_s']:.2f}", f"{1e3 * exact['matrices_s']:.2f}", f"{1e3 * used['matrices_s']:.2f}",
            )
        )  # fmt: skip
    heads = (
        "network", "ADCs, all bits, µJ", "bits by rows, µJ", "ADCs", "arrays, drivers and ADCs", "bits", "matrices, ms",
        "bits by rows", "columns in use",
    )  # fmt: skip
    return table(heads, rows)


def _rewritten_tables(results: dict[str, Any]) -> str:
    heads = (
        "schedule", "bits", "inferences/s", "times 8 bits'", "mJ", "90 % of draws", "of it writing", "÷ 8 bits",
        "90 % of draws, verdict", "million cells written",
        "million pulses", "time / bound",
    )  # fmt: skip
    parts = []
    for weights, schedules in results["rewritten"].items():
        rows = []
        for name, each in schedules.items():
            whole = each["8"]
            rows += [
                (
                    name, bits, f"{one['per_s']:.1f}", f"{one['per_s'] / whole['per_s']:.2f}", f"{1e3 * one['energy_j']:.1f}",
                    ends(one["sure_j"], "J"), f"{1e3 * one['write_j']:.1f}", f"{whole['energy_j'] / one['energy_j']:.2f}",
                    "–" if one is whole else _said(one["sure"]), f"{one['cells'] / 1e6:.1f}",
                    f"{one['pulses'] / 1e6:.0f}", f"{one['bound_ratio']:.2f}",
                )
                for bits, one in each.items()
            ]  # fmt: skip
        about = {
            "schedules": "By shapes alone; level changes are those of independent uniform digits.",
            "seeded": "With seeded (synthetic) weights: `aras-reuse` aligns them so that cells are alike.",
        }
        parts += [about[weights], table(heads, rows, right=2)]
    return "\n\n".join(parts)


def rendered(results: dict[str, Any]) -> str:
    """Return the tables."""
    return "\n\n".join(
        (
            "**What was asked**", _goal_table(results),
            "**Bits of all layers** on `isaac`, sized to the network, all columns converted; weights/inputs. *÷*: of 8 bits.",
            _shrunk_table(results),
            "**Bits of conversions** on `isaac` at 8 bits, sized, `adc_modes: every`; *columns in use*: `convert: used`.",
            _narrow_table(results),
            "**ResNet-50 on `aras`**, which rewrites its cells in every inference.", _rewritten_tables(results),
        )
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks precision",
        description="Energy, time, area and cells to write by bits of layers and of conversions; writes docs/precision.md and "
        "benchmarks/precision.json. About two minutes.",
        epilog="The real networks are found in the folder MHO_DATA, else in ../shared/data; without it they are left out.",
    )
    parser.add_argument("--render", action="store_true", help="write the tables again from benchmarks/precision.json")
    if not parser.parse_args(arguments).render:
        from benchmarks.accuracy import found_data

        write_json(RESULTS, measure(found_data()))
    write_measured(PAGE, rendered(read_json(RESULTS)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
