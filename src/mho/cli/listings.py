"""mho models, chips, show and list: what there is, and what is in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mho.cli import options as use
from mho.cli.inputs import load_chip
from mho.cli.outputs import check_outputs, emit
from mho.errors import printable
from mho.shown import columns


def models(csv_to: use.Csv = None, json_to: use.Json = None) -> None:
    """List the models that are known by name, what they read, and how much of it where no option says otherwise."""
    from mho.network import zoo
    from mho.report.console import terminal
    from mho.report.sections import Table, View
    from mho.report.terminal import render

    check_outputs(json_to=json_to, csv_to=csv_to)
    listing: list[dict[str, object]] = [
        {"name": name, "reads": "images", "option": "input_size", "default": zoo.IMAGE_SIZES[name]}
        if name in zoo.IMAGE_SIZES
        else {"name": name, "reads": "vectors", "option": "batch", "default": 1}
        if name in zoo.RECOMMENDERS
        else {"name": name, "reads": "tokens", "option": "sequence", "default": zoo.SEQUENCE}
        for name in zoo.names()
    ]
    if not emit({"schema": "mho.models/1", "models": listing}, json_to, csv_to, columns(listing)):
        lines = [
            (str(each["name"]), str(each["reads"]), f"--{str(each['option']).replace('_', '-')} {each['default']}")
            for each in listing
        ]
        table = Table(heads=("model", "reads", "unless given otherwise"), lines=lines, prose=True)
        render(View("models", [table]), terminal(highlight=False))


def chips(csv_to: use.Csv = None, json_to: use.Json = None) -> None:
    """List the chip presets, with what follows from each: weights it holds, times, area and peak power."""
    from mho.chip import Chip
    from mho.report import chips as views
    from mho.report.console import terminal
    from mho.report.terminal import render

    check_outputs(json_to=json_to, csv_to=csv_to)
    presets = [Chip.load(name) for name in Chip.presets()]
    listing = [{"name": chip.name, "description": chip.description, "digest": chip.digest} for chip in presets]
    if not emit({"schema": "mho.chips/1", "chips": listing}, json_to, csv_to, columns(map(views.chip_record, presets))):
        render(views.presets(presets), terminal(highlight=False))


def devices(
    device: Annotated[
        str | None,
        typer.Argument(metavar="[DEVICE]", help="A preset, or a device's .yaml file; all presets, if not given."),
    ] = None,
    csv_to: use.Csv = None,
    json_to: use.Json = None,
) -> None:
    """List the devices (cells) for --set device=NAME; or show one, every value with its source."""
    from mho.machine.analog.devices import Device
    from mho.report import devices as views
    from mho.report.console import terminal
    from mho.report.terminal import render

    check_outputs(json_to=json_to, csv_to=csv_to)
    if device is not None:
        loaded = Device.load(device)
        if not emit(loaded.to_dict(), json_to, csv_to, loaded.frame("values")):
            render(views.view(loaded), terminal(highlight=False))
        return
    presets = [Device.load(name) for name in Device.presets()]
    records = [views.record(each) for each in presets]
    if not emit({"schema": "mho.devices/1", "devices": records}, json_to, csv_to, columns(records)):
        render(views.presets(presets), terminal(highlight=False))


def show(
    chip: Annotated[str, typer.Argument(metavar="CHIP", help="A preset (see mho chips), or a chip's .yaml file.")],
    overrides: use.Override = None,
    csv_to: use.Csv = None,
    json_to: use.Json = None,
) -> None:
    """Show a chip: every value with its source, and area, power and leakage rolled up from its components."""
    from mho.report.console import terminal
    from mho.report.views import show as shown

    check_outputs(json_to=json_to, csv_to=csv_to)
    loaded = load_chip(chip, overrides)
    if not emit(loaded.describe(), json_to, csv_to, loaded.frame("values")):
        shown(loaded, terminal(highlight=False))


def list_program(
    program: Annotated[Path, typer.Argument(metavar="PROGRAM", help="A program (.mho), as kept by mho run --save.")],
    json_to: use.Json = None,
) -> None:
    """List a program's instructions, one a line."""
    from mho.program import Program

    check_outputs(json_to=json_to)
    loaded = Program.load(str(program))
    text = loaded.listing()
    lines = text.splitlines()
    if not emit({"schema": "mho.listing/1", "title": lines[0].removeprefix("; "), "instructions": lines[1:]}, json_to):
        sys.stdout.write(printable(text, lines=True))
