"""The analog side and the chip as options change them, and how commands that execute there tell how far they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mho.cli.command import InterruptedWorkError
from mho.cli.inputs import overridden, read_changes
from mho.errors import AnalogError, DeviceError, OptionError, choices

if TYPE_CHECKING:
    from mho.chip import Chip
    from mho.machine.analog.spec import Analog

CHIP = "chip."
KEPT = "results.jsonl"
"""The file of what is finished, in the folder of the results."""
BESIDE = 36
"""Columns that the bar takes, how much is done and the time left."""


def read_settings(settings: list[str] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what --set asks for: changes of the chip, and of the analog side."""
    given = read_changes(settings, "adc.bits=6 or chip.tiles=48")
    chip = {key.removeprefix(CHIP): value for key, value in given.items() if key.startswith(CHIP)}
    return chip, {key: value for key, value in given.items() if not key.startswith(CHIP)}


def load_analog(path: Path | None, changes: Mapping[str, Any]) -> Analog:
    """Read the analog side and change what --set asks for."""
    from mho.machine.analog.spec import Analog

    if path is not None and not path.is_file():
        raise OptionError(f"--analog {path}: {'is a folder' if path.is_dir() else 'no such file'}")
    return vary_analog(Analog() if path is None else Analog.load(path), changes, "--set")


def vary_analog(analog: Analog, changes: Mapping[str, Any], option: str) -> Analog:
    """Change values of the analog side that `option` names. OptionError, AnalogError or DeviceError naming the option."""
    for key in changes:
        known = sorted({*analog.keys(), "device", "device.KEY"})
        if key.partition(".")[0] not in {name.partition(".")[0] for name in known}:
            others = f"keys of the chip follow {CHIP}" + (
                ", those of a strategy strategy." if option == "--over" else ""
            )
            raise OptionError(f"{option} {key}: unknown key; {choices(key, known)}; {others}")
    if not changes:
        return analog
    try:
        return analog.override(changes)
    except (AnalogError, DeviceError) as error:
        raise type(error)(f"{option}: {str(error).removeprefix('override: ')}") from None


def vary_chip(chip: Chip, changes: Mapping[str, Any], option: str) -> Chip:
    """Change values of the chip that `option` names, without their prefix, but for a size to a network. ChipError naming it."""
    from mho.chip.fit import unsized

    return overridden(chip, unsized(changes), f"{option}, chip")


class Follow:
    """Shows how far the work is, on standard error where that is a terminal."""

    def __init__(self, bar: Any, task: Any) -> None:
        self._bar, self._task = bar, task

    def say(self, text: str) -> None:
        """Tell what is being done, of which the length is not known."""
        self._bar.update(self._task, description=self._cut(text), total=None)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Tell what is being done, and how much of all is done."""
        self._bar.update(self._task, description=self._cut(what), completed=done, total=total or None)

    def _cut(self, text: str) -> str:
        from rich.markup import escape

        room = max(self._bar.console.width - BESIDE, 20)
        return escape(text if len(text) <= room else f"{text[: room - 1]}…")


@contextmanager
def following(*, quiet: bool, keeping: Path | None) -> Iterator[Follow]:
    """Show progress, with the time left; say on an interruption what is kept, and end with its exit code."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from mho.report.console import terminal

    console = terminal(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(16), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
    # Steps are long: what was fast in the last minute alone would mislead.
    bar.speed_estimate_period = 600.0
    try:
        with bar:
            yield Follow(bar, bar.add_task("", total=None))
    except KeyboardInterrupt:
        raise InterruptedWorkError(_kept(keeping)) from None


def _kept(keeping: Path | None) -> str:
    if keeping is None:
        return "nothing is kept; with --out FOLDER the same command goes on from where it was interrupted"
    if not keeping.is_file():
        return "nothing was finished yet"
    return f"what is finished is kept in {keeping}; the same command goes on from there"
