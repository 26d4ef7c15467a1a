"""mho init: files to start from. They are made from the specifications that read them, so that they cannot be out of date."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from mho.errors import OptionError, OutputError, choices

EPILOG = (
    "mho init chip\n\nmho init chip fast.yaml --preset isaac\n\nmho init strategy\n\nmho init analog\n\nmho init device\n\n"
    "mho init samples"
)
KINDS = {
    "chip": "my-chip.yaml",
    "strategy": "my-strategy.yaml",
    "analog": "my-analog.yaml",
    "device": "my-device.yaml",
    "samples": "samples",
}
"""What there is, and where it is written where no place is named."""


def init(what: str, place: Path | None = None, *, preset: str | None = None) -> None:
    """Write a commented file to start from, or the sample files. What is there already is never overwritten."""
    if what not in KINDS:
        raise OptionError(f"mho init: unknown {what!r}; {choices(what, KINDS)}")
    if preset is not None and what not in ("chip", "strategy"):
        raise OptionError("--preset is for mho init chip and mho init strategy")
    path = Path(KINDS[what]) if place is None else place
    if os.path.lexists(path):
        raise OutputError(f"{path}: is there already, and mho init overwrites nothing; name another place")
    if what == "samples":
        from mho.samples import write_samples

        written = write_samples(path)
        typer.echo(f"written to {path}: {', '.join(written)}; {path / 'README.md'} says what they are")
        return
    if path.suffix not in (".yaml", ".yml"):
        raise OptionError(f"{path}: the name of a {what}'s file ends in .yaml")
    from mho.files.writing import write_text

    text, use = _made(what, preset, path)
    write_text(path, text)
    typer.echo(f"written to {path}; use it: {use}")


def _made(what: str, preset: str | None, path: Path) -> tuple[str, str]:
    """Return a file's text, and the command that uses the file."""
    if what == "chip":
        from mho.chip import Chip
        from mho.chip.template import chip_template

        Chip.load(preset or "aras")
        return chip_template(preset or "aras", path.stem, str(path)), f"mho run resnet20 --chip {path}"
    if what == "strategy":
        from mho.strategy import Strategy
        from mho.strategy.template import strategy_template

        command = "recommend TRACE" if Strategy.load(preset or "default").table_stages else "run resnet20"
        return strategy_template(preset or "default", path.stem, str(path)), f"mho {command} --strategy {path}"
    if what == "device":
        from mho.machine.analog.devices.template import device_template

        return device_template(path.stem, str(path)), f"mho accuracy MODEL --data FILE.npz --set device={path}"
    from mho.machine.analog.template import analog_template

    return analog_template(path.stem, str(path)), f"mho accuracy MODEL --data FILE.npz --analog {path}"
