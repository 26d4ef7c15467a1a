"""mho models, chips, show and list: what there is, and what is in it."""

from __future__ import annotations

import sys
from pathlib import Path

from mho.cli.inputs import load_chip
from mho.cli.outputs import Target
from mho.errors import printable
from mho.shown import columns


def models(*, target: Target) -> None:
    """List the models that are known by name, what they read, and how much of it where no option says otherwise."""
    from mho.network import zoo
    from mho.report.sections import Table, View

    target.check()
    listing: list[dict[str, object]] = [
        {"name": name, "reads": "images", "option": "input_size", "default": zoo.IMAGE_SIZES[name]}
        if name in zoo.IMAGE_SIZES
        else {"name": name, "reads": "vectors", "option": "batch", "default": 1}
        if name in zoo.RECOMMENDERS
        else {"name": name, "reads": "tokens", "option": "sequence", "default": zoo.SEQUENCE}
        for name in zoo.names()
    ]
    lines = [
        (str(each["name"]), str(each["reads"]), f"--{str(each['option']).replace('_', '-')} {each['default']}")
        for each in listing
    ]
    table = Table(heads=("model", "reads", "unless given otherwise"), lines=lines, prose=True)
    content = {"schema": "mho.models/1", "models": listing}
    target.present(content, lambda: columns(listing), lambda: View("models", [table]))


def chips(*, target: Target) -> None:
    """List the chip presets, with what follows from each: weights it holds, times, area and peak power."""
    from mho.chip import Chip
    from mho.report import chips as views

    target.check()
    presets = [Chip.load(name) for name in Chip.presets()]
    listing = [{"name": chip.name, "description": chip.description, "digest": chip.digest} for chip in presets]
    content = {"schema": "mho.chips/1", "chips": listing}
    target.present(content, lambda: columns(map(views.chip_record, presets)), lambda: views.presets(presets))


def devices(device: str | None = None, *, target: Target) -> None:
    """List the devices (cells) for --set device=NAME; or show one, every value with its source."""
    from mho.machine.analog.devices import Device
    from mho.report import devices as views

    target.check()
    if device is not None:
        target.deliver(Device.load(device), "values")
        return
    presets = [Device.load(name) for name in Device.presets()]
    records = [views.record(preset) for preset in presets]
    content = {"schema": "mho.devices/1", "devices": records}
    target.present(content, lambda: columns(records), lambda: views.presets(presets))


def show(chip: str, *, overrides: list[str] | None = None, target: Target) -> None:
    """Show a chip: every value with its source, and area, power and leakage rolled up from its components."""
    from mho.report.views import view

    target.check()
    loaded = load_chip(chip, overrides)
    target.present(loaded.describe(), lambda: loaded.frame("values"), lambda: view(loaded))


def list_program(program: Path, *, json_to: str | None = None) -> None:
    """List a program's instructions, one a line."""
    from mho.program import Program

    target = Target(json_to=json_to)
    target.check()
    text = Program.load(str(program)).listing()
    lines = text.splitlines()
    content = {"schema": "mho.listing/1", "title": lines[0].removeprefix("; "), "instructions": lines[1:]}
    if not target.emit(content, dict):
        sys.stdout.write(printable(text, lines=True))
