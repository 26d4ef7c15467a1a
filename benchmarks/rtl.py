"""The digital side as logic, measured: random layers on random chips, resnet8 layer by layer, cycles, and what is written.

python -m benchmarks.rtl measures and writes the measured part of docs/rtl.md; it needs mho[rtl], and runs Icarus Verilog or
Verilator where they are. resnet8 needs the real data (MHO_DATA).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# One thread, before numpy is imported.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np

from benchmarks.files import ROOT, read_json, write_json, write_measured
from benchmarks.rtl_gates import (
    SYNTHESISED,
    beside,
    beside_table,
    combining_programs,
    loaded,
    synthesis,
    synthesised,
)
from benchmarks.tables import table

RESULTS = ROOT / "benchmarks" / "rtl.json"
PAGE = ROOT / "docs" / "rtl.md"
SCHEMA = "mho.rtl-benchmark/1"
NUMBERS = 100_000
"""Sums and codes that are compared at least, over all random layers."""
IMAGES, WINDOWS = 200, 4
"""Images of the table of multipliers, and windows of each layer of resnet8."""
SMALL = {"array.rows": 64, "array.columns": 64, "array.adcs": 8, "group.arrays": 2}
CODINGS = ("offset", "flipped", "differential", "sign_magnitude", "twos_complement")
INPUTS = ("offset", "two_passes", "twos_complement", "signed")


def drawn(rng: np.random.Generator) -> tuple[Any, str, Any]:
    """Draw a chip of small arrays, bits, and a convolution of 100 windows behind a relu."""
    import mho
    from mho.network.graph import Network
    from mho.network.layers import Activation, Array, Convolution, Input, Layer, Linear

    sizes: dict[str, Any] = {
        "array.rows": int(rng.choice([12, 20, 32])), "array.columns": int(rng.integers(18, 34)),
        "array.coding": str(rng.choice(CODINGS)), "array.cell_bits": int(rng.integers(1, 4)),
        "array.integrated_bits": int(rng.integers(1, 4)), "array.adcs": int(rng.integers(1, 9)),
        "array.step_overhead_s": float(rng.choice([0.0, 1e-9, 3e-9])), "array.input_coding": str(rng.choice(INPUTS)),
        "group.arrays": int(rng.integers(1, 3)),
    }  # fmt: skip
    chip = mho.Chip.load("aras").override(sizes, source="drawn")
    columns = int(rng.integers(8, 17))
    layers: list[Layer] = [
        Input(name="x", inputs=(), shape=(1, 3, 12, 12)),
        Convolution(
            name="conv", inputs=("x",), shape=(1, columns, 10, 10), weight=Array.of(rng.normal(size=(columns, 3, 3, 3))),
            bias=Array.of(rng.normal(size=columns)),
        ),
        Activation(name="relu", inputs=("conv",), shape=(1, columns, 10, 10), function="relu"),
        Linear(name="y", inputs=("relu",), shape=(1, columns, 10, 3), weight=Array.of(rng.normal(size=(3, 10)))),
    ]  # fmt: skip
    return (
        chip,
        f"{rng.integers(2, 9)}/{rng.integers(2, 9)}",
        Network("drawn", tuple(layers), ("y",), "drawn (synthetic)"),
    )


def random_layers(numbers: int) -> dict[str, Any]:
    """Compare random layers until so many numbers have been compared."""
    import mho
    from mho import rtl

    compared = different = layers = seed = 0
    seen: dict[str, int] = {}
    cycles_equal = cycles_measured = 0
    while compared < numbers:
        rng = np.random.default_rng(seed)
        seed += 1
        chip, bits, network = drawn(rng)
        x = rng.normal(size=(4, 3, 12, 12))
        quantised = mho.number.quantise(
            network, x, bits=bits, per_channel=bool(rng.integers(2)), symmetric=chip.coding.pairs,
            signed_inputs=chip.array.drives_signs, requantise=24,
        )  # fmt: skip
        layer = rtl.layer_of(mho.compile(quantised, chip), "conv", x, windows=100)
        found = rtl.cosimulate(layer)
        layers, compared, different = layers + 1, compared + found.compared, different + found.different
        key = f"{chip.array.coding}, inputs {chip.array.input_coding or 'offset'}"
        seen[key] = seen.get(key, 0) + found.compared
        if found.cycles is not None:
            cycles_measured += 1
            cycles_equal += found.cycles == layer.plan.window_cycles
        print(seed, compared, different, key, bits, flush=True)
    return {
        "layers": layers, "compared": compared, "different": different, "seen": dict(sorted(seen.items())),
        "simulator": found.simulator, "cycles_measured": cycles_measured, "cycles_equal": cycles_equal,
    }  # fmt: skip


def resnet8(folder: Path) -> list[dict[str, Any]]:
    """Run some windows of every matrix layer of resnet8 on a small chip."""
    import mho
    from mho import rtl

    network, images, calibration = loaded(folder)
    chip = mho.Chip.load("aras").override(SMALL, source="small arrays")
    program = mho.compile(mho.number.quantise(network, calibration, per_channel=True, requantise=24), chip)
    rows = []
    for layer in network.matrix_layers:
        found = rtl.cosimulate(rtl.layer_of(program, layer.name, images[:1], WINDOWS))
        rows.append(found.to_dict())
        print(found, flush=True)
    return rows


def combined(folder: Path) -> list[dict[str, Any]]:
    """Run two windows of every matrix layer of resnet8, squeezed on sme, and as combinations of a basis on basisn."""
    from mho import rtl

    _, images, _ = loaded(folder)
    rows = []
    for chip, program in combining_programs(folder):
        for mapped in program.mapping.layers:
            layer = rtl.layer_of(program, mapped.name, images[:1], 2)
            found, combining = rtl.cosimulate(layer), layer.plan.combining
            print(chip, found, flush=True)
            own = (
                {}
                if combining is None
                else {"lanes": combining.lanes, "entries": combining.entries, "late": combining.late}
            )
            model = mapped.readout.window_s / float(layer.plan.clock_s)
            rows.append({"chip": chip, **found.to_dict(), **own, "model": model})
    return rows


def multipliers(folder: Path) -> list[dict[str, Any]]:
    """Count codes of resnet8 that differ from those of float64, by bits of multipliers."""
    from mho.number import quantise, run_reference

    network, images, calibration = loaded(folder)
    plain = quantise(network, calibration, per_channel=True)
    names = [name for name in plain.codes if name != network.inputs[0].name]
    wanted = run_reference(plain, images[:IMAGES], keep=names)
    rows = []
    for bits in (16, 20, 24, 31):
        got = run_reference(
            quantise(network, calibration, per_channel=True, requantise=bits), images[:IMAGES], keep=names
        )
        wrong = sum(int(np.count_nonzero(got[name] != wanted[name])) for name in names)
        top = np.mean(got[network.outputs[0]].argmax(1) == wanted[network.outputs[0]].argmax(1))
        rows.append(
            {
                "bits": bits,
                "codes": sum(wanted[name].size for name in names),
                "different": wrong,
                "same_class": float(top),
            }
        )
    return rows


def presets() -> Iterator[dict[str, Any]]:
    """Yield what a group of each preset is: cycles, lanes, lines and seconds of writing it."""
    from mho import rtl
    from mho.chip import Chip

    for name in Chip.presets():
        plan = rtl.Plan.of(Chip.load(name))
        start = time.process_time(), time.perf_counter()
        text = rtl.verilog(plan)
        yield {
            "chip": name, "cycle_ns": float(plan.clock_s) * 1e9, "cycles": plan.window_cycles, "timed": float(plan.timed_cycles),
            "lanes": plan.arrays * len(plan.lanes), "loads": plan.loads, "drained": plan.drained, "lines": len(text.splitlines()),
            "cpu_s": time.process_time() - start[0], "wall_s": time.perf_counter() - start[1],
        }  # fmt: skip


def examples() -> Iterator[dict[str, str]]:
    """Yield what mho rtl says and writes of three presets: the command, what it prints, and the modules of the group."""
    from mho import rtl
    from mho.chip import Chip

    for name in SYNTHESISED:
        with tempfile.TemporaryDirectory() as folder:
            words = (sys.executable, "-m", "mho", "rtl", name, "--out", folder)
            said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
            text = (Path(folder) / "group.v").read_text()
        chip = Chip.load(name)
        plan = rtl.Plan.of(chip, signed=chip.array.drives_signs, resolving=False)
        yield {
            "command": f"mho rtl {name} --out out/rtl", "printed": said.replace(folder, "out/rtl").strip(),
            "head": text.split("\n\n")[0], "outline": rtl.outline(plan).strip(),
        }  # fmt: skip


def combined_table(rows: list[dict[str, Any]]) -> str:
    """Return the table of layers whose columns are no outputs."""
    lines = [
        (
            r["chip"], r["layer"], str(r["compared"]), str(r["different"]), str(r["late"]), f"{r['lanes']} x {r['entries']}",
            str(r["cycles"] or f"{r['planned']} planned"), f"{r['model']:g}",
        )
        for r in rows
    ]  # fmt: skip
    return "\n\n".join(
        (
            "**Layers whose columns are no outputs**: resnet8 (real weights) squeezed on `sme`, combinations of 512 vectors on "
            f"`basisn`, two windows of each layer in {rows[0]['simulator']}: bits by which inputs are shifted, lanes and the most "
            "entries of a list, cycles of the logic from a window (an input vector of the basis) to the next beside the timing "
            "model's. They are planned where none followed another, or where the next block's index is loaded between:",
            table(
                ("chip", "layer", "compared", "differ", "shifted", "lists", "cycles", "timing model"), lines, right=2
            ),
        )
    )


def rendered(results: dict[str, Any]) -> str:
    """Return the sentences and tables."""
    random = results["random"]
    layers = [
        (r["layer"], str(r["compared"]), str(r["different"]), str(r["cycles"] or r["planned"]), f"{r['timed']:g}")
        for r in results["resnet8"]
    ]
    bits = [
        (
            str(r["bits"]), f"{r['codes']:,}", f"{r['different']:,}", f"{r['different'] / r['codes']:.1e}",
            f"{r['same_class']:.3f}",
        )
        for r in results["multipliers"]
    ]  # fmt: skip
    chips = [
        (
            r["chip"], f"{r['cycle_ns']:.6g}", str(r["cycles"]), f"{r['timed']:.6g}", str(r["lanes"]), str(r["loads"]),
            str(r["drained"]), f"{r['lines']:,}", f"{r['cpu_s']:.1f}",
        )
        for r in results["presets"]
    ]  # fmt: skip
    parts = [
        f"**Random layers**: {random['compared']:,} sums and codes of {random['layers']} layers on as many chips, in "
        f"{random['simulator']}: **{random['different']} differ**. Windows that followed one another took the planned cycles in "
        f"{random['cycles_equal']} of {random['cycles_measured']} layers.",
        table(("coding of weights, of inputs", "compared"), [(key, f"{n:,}") for key, n in random["seen"].items()]),
        f"**resnet8** (real weights, CIFAR-10) on arrays of 64 x 64, {WINDOWS} windows of each layer:",
        table(("layer", "compared", "differ", "cycles a window", "timing model"), layers),
        f"**Multipliers**: codes of resnet8 that differ from those made in float64, {IMAGES} images:",
        table(("bits", "codes", "differ", "share", "same class"), bits),
        "**Presets**: cycles of the logic a window, beside the timing model's; lanes of a group; cycles of loading and of handing "
        "on sums, which go on behind other windows; lines of Verilog, and seconds (CPU of this process) to write them:",
        table(("chip", "cycle, ns", "cycles", "timing model", "lanes", "loading", "handing on", "lines", "s"), chips),
    ]
    if "combined" in results:
        parts.insert(4, combined_table(results["combined"]))
    parts += [
        "**Three chips**: what the command says and writes first, and the modules of a group, from the outermost in:"
    ]
    for e in results["examples"]:
        lines = (f"$ {e['command']}", e["printed"], *e["head"].splitlines(), "", *e["outline"].splitlines())
        parts.append("\n".join(f"    {line}".rstrip() for line in lines))
    if "synthesis" in results:
        parts.append(synthesised(results["synthesis"]))
    if "beside" in results:
        parts.append(beside_table(results["beside"]))
    return "\n\n".join(parts)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rtl", description=__doc__)
    parser.add_argument("--numbers", type=int, default=NUMBERS, metavar="N", help=f"numbers compared; else {NUMBERS}")
    parser.add_argument("--render", action="store_true", help="write the page again from benchmarks/rtl.json")
    parser.add_argument("--liberty", type=Path, metavar="FILE", help="run a layer in gates of this library alone")
    parser.add_argument("--node", type=float, metavar="NM", help="the node in nm that the library is of")
    parser.add_argument(
        "--beside", action="store_true", help="of --liberty, parts behind and beside the periphery alone"
    )
    parser.add_argument("--combined", action="store_true", help="run layers whose columns are no outputs alone")
    parser.add_argument("--presets", action="store_true", help="write presets and examples alone")
    chosen = parser.parse_args(arguments)
    if (chosen.liberty is None) != (chosen.node is None) or (chosen.beside and chosen.liberty is None):
        parser.error("--liberty needs --node, --node and --beside need --liberty")
    if sum(map(bool, (chosen.render, chosen.liberty, chosen.combined, chosen.presets))) > 1:
        parser.error("--render, --liberty, --combined and --presets are one at a time")
    data = Path(os.environ.get("MHO_DATA", "")) / "cifar10"
    if chosen.liberty:
        own = {"beside": beside(data, chosen.liberty, chosen.node * 1e-9)}
        if not chosen.beside:
            own["synthesis"] = synthesis(data, chosen.liberty, chosen.node * 1e-9)
        write_json(RESULTS, {**read_json(RESULTS), **own})
    elif chosen.combined:
        write_json(RESULTS, {**read_json(RESULTS), "combined": combined(data)})
    elif chosen.presets:
        write_json(RESULTS, {**read_json(RESULTS), "presets": list(presets()), "examples": list(examples())})
    elif not chosen.render:
        known = read_json(RESULTS) if RESULTS.exists() else {}
        write_json(
            RESULTS,
            {
                "schema": SCHEMA, "presets": list(presets()), "multipliers": multipliers(data), "resnet8": resnet8(data),
                "random": random_layers(chosen.numbers), "combined": combined(data),
                "examples": list(examples()),
                **{key: value for key, value in known.items() if key in ("synthesis", "beside")},
            },
        )  # fmt: skip
    write_measured(PAGE, rendered(read_json(RESULTS)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
