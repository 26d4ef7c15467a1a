"""mho rtl: the digital side of a chip's groups as Verilog, run beside what a program computes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mho.cli.compiling import is_program, kept_program
from mho.cli.inputs import SampleOptions
from mho.cli.outputs import progress
from mho.errors import OptionError

if TYPE_CHECKING:
    from mho.cli.outputs import Say
    from mho.rtl.layer import Layer
    from mho.rtl.part import Part
    from mho.rtl.plan import Plan

EPILOG = (
    "mho rtl aras --out out/rtl\n\n"
    "mho rtl isaac --set array.adcs=4 --out out/rtl --liberty cells.lib --node 45\n\n"
    "mho run model.onnx --requantise 24 --verify --save kept.mho && mho rtl kept.mho --layer conv1 --out out/rtl"
)


def rtl(
    chip_or_program: str,
    *,
    overrides: list[str] | None = None,
    layer: str | None = None,
    tile: int | None = None,
    windows: int | None = None,
    simulator: str | None = None,
    data: Path | None = None,
    liberty: Path | None = None,
    node: float | None = None,
    out: Path,
) -> None:
    """Write the digital side of a group of arrays as Verilog; with a program, run a layer of it through a test bench.

    Exit code: 0 written, and bit-exact where it was run; 1 a difference, 2 a
    mistake in what was asked.
    """
    from mho.files.writing import check_folder, write_text

    if (liberty is None) != (node is None):
        raise OptionError("--liberty FILE needs --node NM, the node that the library is of, and the other way round")
    given = {"--layer": layer, "--tile": tile, "--windows": windows, "--simulator": simulator, "--data": data}
    given |= {} if not is_program(chip_or_program) else {"--liberty": liberty}
    _check(chip_or_program, overrides, given)
    check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    with progress(False) as say:
        from mho import rtl as logic

        if tile is not None:
            _tile(chip_or_program, tile, out, say)
            if layer is None:
                return
        ready, ok = None, True
        if layer is not None:
            ready, ok = _run(chip_or_program, layer, windows or 8, simulator, data, out, say)
        plan = _plan(chip_or_program, overrides) if ready is None else ready.plan
        say("writing Verilog")
        text = logic.verilog(plan)
        write_text(out / "group.v", text)
        typer.echo(
            f"written to {out / 'group.v'}: {len(text.splitlines())} lines; {plan.window_cycles} cycles a window"
        )
        if liberty is not None and node is not None:
            say("synthesising")
            ok = _synthesise(plan, text, liberty, node * 1e-9, ready, out) and ok
    if not ok:
        raise typer.Exit(1)


def _synthesise(plan: Plan, text: str, liberty: Path, node: float, ready: Layer | None, out: Path) -> bool:
    """Map what was written to gates, write what that takes, and return whether all that was run in gates was equal."""
    from mho import rtl as logic
    from mho.files.writing import write_text
    from mho.rtl.beside import Played, behind, in_gates
    from mho.rtl.units import units_of

    made = []
    if plan.combining is None:
        made.append(logic.synthesise(plan, text, liberty, node, ready))
        for name, content in logic.files(made[0]).items():
            write_text(out / name, content)
    if ready is None or plan.combining is not None:
        parts = [Played(unit) for unit in units_of(plan.chip)] if ready is None else behind(ready)
        made.append(in_gates(plan, parts, liberty, node))
    table = "\n".join(each.table() for each in made)
    write_text(out / "synthesis.txt", table)
    typer.echo(table)
    return not any(each.different for each in made)


def _check(name: str, overrides: list[str] | None, given: Mapping[str, object]) -> None:
    """Refuse options of programs for a chip, and the other way round."""
    unused = next((option for option, value in given.items() if value is not None), None)
    if not is_program(name):
        if unused:
            raise OptionError(f"{unused} is for a program (.mho); {name} is a chip, of which Verilog alone is written")
        return
    if overrides:
        raise OptionError(f"--set: {name} is compiled already and brings its chip")
    if given["--layer"] is not None:
        return
    if given["--tile"] is None:
        raise OptionError("a program is run layer by layer; name one with --layer (mho list tells them)")
    unused = next((option for option, value in given.items() if option != "--tile" and value is not None), None)
    if unused:
        raise OptionError(f"{unused} is for a layer that is run, named with --layer; --tile runs none")


def _tile(path: str, tile: int, out: Path, say: Say) -> None:
    """Write a tile, or its controller alone, and the steps that it plays."""
    from mho import rtl as logic
    from mho.files.writing import write_text
    from mho.rtl.controller import TileController
    from mho.rtl.tile import tile_of, verilog_of

    program = kept_program(path, say)
    steps = logic.TileList.of(program, tile)
    part: Part = TileController(steps)
    what = "the controller with its groups"
    try:
        part = tile_of(program, steps)
    except OptionError as error:
        what = f"the controller alone, since {error}"
    write_text(out / "tile.v", verilog_of(part))
    write_text(out / "tile.txt", str(steps))
    typer.echo(
        f"written to {out / 'tile.v'} and tile.txt: {what}; {sum(map(len, steps.groups))} steps of {len(steps.groups)} groups, "
        f"{len(steps.needs) - 1} events"
    )


def _plan(name: str, overrides: list[str] | None) -> Plan:
    from mho.cli.inputs import load_chip
    from mho.rtl import Plan

    chip = load_chip(name, overrides)
    return Plan.of(chip, signed=chip.array.drives_signs, resolving=False)


def _run(
    path: str, layer: str, windows: int, simulator: str | None, data: Path | None, out: Path, say: Say
) -> tuple[Layer, bool]:
    """Co-simulate a layer, write what was found, and return it and whether all was equal."""
    import json

    from mho import rtl as logic
    from mho.files.writing import write_text

    program = kept_program(path, say)
    samples = SampleOptions(data, None, None).executed(program.network, None)
    say(f"executing {program.network.name} for the windows of {layer}")
    ready = logic.layer_of(program, layer, samples.inputs, windows)
    say(f"simulating {len(ready.windows)} windows")
    found = logic.cosimulate(ready, simulator, out)
    write_text(out / "rtl.json", json.dumps(found.to_dict(), indent=1) + "\n")
    typer.echo(str(found))
    return ready, found.ok
