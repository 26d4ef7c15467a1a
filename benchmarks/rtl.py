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
from benchmarks.tables import table

RESULTS = ROOT / "benchmarks" / "rtl.json"
PAGE = ROOT / "docs" / "rtl.md"
SCHEMA = "mho.rtl-benchmark/1"
NUMBERS = 100_000
"""Sums and codes that are compared at least, over all random layers."""
IMAGES, WINDOWS = 200, 4
"""Images of the table of multipliers, and windows of each layer of resnet8."""
SMALL = {"array.rows": 64, "array.columns": 64, "array.adcs": 8, "group.arrays": 2}
SYNTHESISED, GATES, HEADLINE = ("aras", "isaac", "sme"), "Conv_8", "resnet18"
"""Presets that are run in gates, the layer of resnet8 that is, and the network whose energy is told with what that gives."""
BESIDE, BASKETS = "Conv_1", 200
"""The layer of resnet8 whose combining is run in gates, and the baskets of groceries that are looked up."""
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


def _resnet8(folder: Path) -> tuple[Any, Any, Any]:
    import mho

    network = mho.Network.from_onnx(folder / "resnet8_fp32.onnx")
    images, calibration = (
        np.load(folder / name)["x"].transpose(0, 3, 1, 2).astype(np.float64)
        for name in ("test_a.npz", "train_calib.npz")
    )
    return network, images, calibration[:64]


def resnet8(folder: Path) -> list[dict[str, Any]]:
    """Run some windows of every matrix layer of resnet8 on a small chip."""
    import mho
    from mho import rtl

    network, images, calibration = _resnet8(folder)
    chip = mho.Chip.load("aras").override(SMALL, source="small arrays")
    program = mho.compile(mho.number.quantise(network, calibration, per_channel=True, requantise=24), chip)
    rows = []
    for layer in network.matrix_layers:
        found = rtl.cosimulate(rtl.layer_of(program, layer.name, images[:1], WINDOWS))
        rows.append(found.to_dict())
        print(found, flush=True)
    return rows


def combining_programs(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield resnet8 squeezed on sme, and as combinations of a basis on basisn."""
    import mho

    network, _, calibration = _resnet8(folder)
    squeezed = mho.number.squeeze(mho.number.quantise(network, calibration, symmetric=True, requantise=24), 2)
    lanes = mho.Strategy.load("basisn").with_({"coding": "bytes", "mapping.combine": "lanes"})
    apart = mho.Strategy().with_({"mapping": "squeezed", "mapping.packing": "separate"})
    yield "sme", mho.compile(squeezed, "sme", apart)
    yield "basisn", mho.compile(mho.number.fit_basis(network, calibration[:16], 512, 32), "basisn", lanes)


def combined(folder: Path) -> list[dict[str, Any]]:
    """Run two windows of every matrix layer of resnet8, squeezed on sme, and as combinations of a basis on basisn."""
    from mho import rtl

    _, images, _ = _resnet8(folder)
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

    network, images, calibration = _resnet8(folder)
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


def synthesis(folder: Path, liberty: Path, node: float) -> list[dict[str, Any]]:
    """Run a layer of resnet8 in gates on three presets; what roles cost, and what a network costs on the chip that says so."""
    import mho
    from mho import rtl

    network, images, calibration = _resnet8(folder)
    rows = []
    for name in SYNTHESISED:
        chip = mho.Chip.load(name)
        program = mho.compile(mho.number.quantise(network, calibration, per_channel=True, requantise=24), chip)
        layer = rtl.layer_of(program, GATES, images[:1], 2)
        start = time.process_time()
        made = rtl.synthesise(layer.plan, rtl.verilog(layer.plan), liberty, node, layer)
        print(name, made.table(), time.process_time() - start, flush=True)
        base, changed = chip.override({"scaling": "stillmaker"}, source="as the other"), made.chip()
        whole = []
        for each in (chip, base, changed):
            report = mho.simulate(mho.compile(mho.zoo.load(HEADLINE), each))
            whole.append({"energy_j": report.energy_j, "area_m2": each.roll_up().area_m2.total})
        slowest = made.slowest
        rows.append(
            {
                "chip": name, "library": made.library, "yosys": made.yosys, "given_nm": node * 1e9, "run": made.run,
                "compared": made.compared, "different": made.different, "area_um2": made.area,
                "path_ns": None if slowest is None else (slowest.delay_s or 0.0) * 1e9,
                "slowest": None if slowest is None else slowest.name, "whole": whole,
                "roles": {
                    role: {"gates": made.scaled(role), "file": made.published(role)} for role in made.figures
                },
            }
        )  # fmt: skip
    return rows


def beside(folder: Path, liberty: Path, node: float) -> list[dict[str, Any]]:
    """Run what `basisn`, `sme` and `recross` have behind or beside the periphery of a group in gates."""
    import mho
    from mho.rtl.beside import behind, in_gates, played
    from mho.rtl.layer import layer_of
    from mho.rtl.plan import Plan
    from mho.rtl.units import Dispatcher, units_of

    rows = []
    _, images, _ = _resnet8(folder)
    for _, program in combining_programs(folder):
        layer = layer_of(program, BESIDE, images[:1], 2)
        rows.append((layer.plan, behind(layer)))
    chip = mho.Chip.load("recross")
    unit = next(each for each in units_of(chip) if isinstance(each, Dispatcher))
    cycles = list(looked_up(folder.parent / "recsys", chip.weight_rows))
    rows.append((Plan.of(chip), [played(unit, cycles, f"{BASKETS} baskets of groceries")]))
    found = []
    for plan, parts in rows:
        made = in_gates(plan, parts, liberty, node)
        print(made.table(), flush=True)
        found.append(
            {
                "chip": plan.chip.name, "library": made.library, "given_nm": node * 1e9, "run": made.run,
                "compared": made.compared, "different": made.different,
                "parts": {part: {"gates": made.scaled(part), "file": made.published(part)} for part in made.figures},
            }
        )  # fmt: skip
    return found


def looked_up(folder: Path, rows: int) -> Iterator[dict[str, int]]:
    """Yield the look-ups of real baskets that fall on the first array of a table of groceries, which stand in it row by row."""
    kept = np.load(folder / "groceries_baskets.npz")
    for first, last in zip(kept["indptr"][:BASKETS], kept["indptr"][1:], strict=False):
        here = [int(row) for row in kept["indices"][first:last] if row < rows]
        yield from ({"valid": 1, "row": row, "last": int(place == len(here) - 1)} for place, row in enumerate(here))
    yield {}


def synthesised(rows: list[dict[str, Any]]) -> str:
    """Return the table of roles, and of what they do to whole chips."""
    roles = [
        (
            each["chip"], role.replace("_", " "), *(f"{value * 1e12:,.1f}" for value in (own["gates"][0], own["file"][0])),
            f"{own['gates'][0] / own['file'][0]:.2g}", *(f"{value * 1e12:.3g}" for value in (own["gates"][1], own["file"][1])),
            f"{own['gates'][1] / own['file'][1]:.2g}", f"{own['gates'][2] * 1e12:.3g}",
        )
        for each in rows for role, own in each["roles"].items()
    ]  # fmt: skip
    whole = [
        (
            each["chip"], *(f"{one['area_m2'] * 1e6:.1f}" for one in each["whole"]),
            *(f"{one['energy_j'] * 1e3:.3f}" for one in each["whole"]), f"{each['path_ns']:.1f} ({each['slowest']})",
        )
        for each in rows
    ]  # fmt: skip
    first = rows[0]
    return "\n\n".join(
        (
            f"**In gates**: {first['library']} ({first['given_nm']:g} nm, fetched by the user), {first['yosys']}, "
            f"{first['run']} of resnet8, in all {sum(each['compared'] for each in rows):,} cycles of modules in gates, of "
            f"which {sum(each['different'] for each in rows)} differ from the Verilog. "
            "Area and energy of one instance and one event, taken to the chip's node, beside the chip file's own, with a clock "
            "that reaches registers when they change; in the last column with one that is never gated:",
            table(
                ("chip", "role", "um2", "file", "ratio", "pJ", "file", "ratio", "ungated"), roles, right=2,
            ),
            f"Whole chips, area in mm2 and {HEADLINE}'s energy an inference in mJ: as the file is, with digital parts scaled to "
            "its node (`scaling: stillmaker`), and with these roles synthesised; and the longest path of a module, in ns at the "
            "library's node:",
            table(
                ("chip", "mm2", "scaled", "synthesised", "mJ", "scaled", "synthesised", "path"), whole,
            ),
        )
    )  # fmt: skip


def beside_table(rows: list[dict[str, Any]]) -> str:
    """Return the table of parts behind and beside the periphery."""
    lines = [
        (
            each["chip"], part, f"{own['gates'][0] * 1e12:,.0f}", f"{own['file'][0] * 1e12:,.0f}" if own["file"][0] else "-",
            f"{own['gates'][1] * 1e12:.3g}", f"{own['file'][1] * 1e12:.3g}" if own["file"][1] else "-",
            f"{own['gates'][2] * 1e12:.3g}",
        )
        for each in rows for part, own in each["parts"].items()
    ]  # fmt: skip
    return "\n\n".join(
        (
            f"**Behind and beside it, in gates** (the same library): of resnet8's {BESIDE}, squeezed on `sme` and on a basis on "
            f"`basisn`, the windows of the first block; of `recross` {BASKETS} baskets of groceries (real), items as rows of an "
            f"array; in all {sum(each['compared'] for each in rows):,} cycles of modules, of which "
            f"{sum(each['different'] for each in rows)} differ. One lane, and a product that it adds; the index memory of an array "
            "with its row shifts, and a row that is loaded; the dispatcher of an array, and an activation; beside what the chip's "
            "file has for them (`lane_multiplier`, `lane_adder` and `lane_register`; `index_memory`, as far as it tells of rows, "
            "and `row_shift`; `adc_mode`):",
            table(("chip", "module", "um2", "file", "pJ", "file", "ungated"), lines, right=2),
        )
    )


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
