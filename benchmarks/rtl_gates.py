"""The digital side in gates, measured: roles of a chip's periphery, and parts behind and beside it (docs/rtl.md, `benchmarks.rtl`).

A layer of resnet8, and baskets of groceries, are run in the cells of a library that the user brings.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import table

SYNTHESISED, GATES, HEADLINE = ("aras", "isaac", "sme"), "Conv_8", "resnet18"
"""Presets that are run in gates, the layer of resnet8 that is, and the network whose energy is told with what that gives."""
BESIDE, BASKETS = "Conv_1", 200
"""The layer of resnet8 whose combining is run in gates, and the baskets of groceries that are looked up."""


def loaded(folder: Path) -> tuple[Any, Any, Any]:
    """Return resnet8, its images, and those to calibrate with."""
    import mho

    network = mho.Network.from_onnx(folder / "resnet8_fp32.onnx")
    images, calibration = (
        np.load(folder / name)["x"].transpose(0, 3, 1, 2).astype(np.float64)
        for name in ("test_a.npz", "train_calib.npz")
    )
    return network, images, calibration[:64]


def combining_programs(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield resnet8 squeezed on sme, and as combinations of a basis on basisn."""
    import mho

    network, _, calibration = loaded(folder)
    squeezed = mho.number.squeeze(mho.number.quantise(network, calibration, symmetric=True, requantise=24), 2)
    lanes = mho.Strategy.load("basisn").with_({"coding": "bytes", "mapping.combine": "lanes"})
    apart = mho.Strategy().with_({"mapping": "squeezed", "mapping.packing": "separate"})
    yield "sme", mho.compile(squeezed, "sme", apart)
    yield "basisn", mho.compile(mho.number.fit_basis(network, calibration[:16], 512, 32), "basisn", lanes)


def synthesis(folder: Path, liberty: Path, node: float) -> list[dict[str, Any]]:
    """Run a layer of resnet8 in gates on three presets; what roles cost, and what a network costs on the chip that says so."""
    import mho
    from mho import rtl

    network, images, calibration = loaded(folder)
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
    _, images, _ = loaded(folder)
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
