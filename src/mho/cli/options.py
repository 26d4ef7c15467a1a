"""What the commands' arguments and options are: declared once, in options.yaml, and how the words given for them are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, partial
from pathlib import Path
from typing import Any

import typer

from mho.errors import OptionError, choices
from mho.files.text import read_yaml

MOST = 10**9
"""The largest whole number that an option takes which has no range of its own."""
ARGUMENTS, MODEL = "Arguments", "Model"
"""Headings of options.yaml: that of arguments, and the one behind which the options of a strategy stand."""


def whole(text: Any, least: int, most: int = MOST) -> int:
    """Read a whole number from `least` to `most`."""
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise typer.BadParameter(f"must be a whole number from {least} to {most}, not {text!r}")
    return number


def wholes(text: Any, least: int, most: int = MOST) -> tuple[int, ...]:
    """Read whole numbers from `least` to `most`, separated by commas."""
    return tuple(whole(part, least, most) for part in str(text).split(","))


def number(text: Any, least: float, most: float, what: str = "a number") -> float:
    """Read a number from `least` to `most`."""
    try:
        value = float(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise typer.BadParameter(f"must be {what} from {least:g} to {most:g}, not {text!r}")
    return value


def numbers(text: Any, least: float, most: float) -> tuple[float, ...]:
    """Read numbers from `least` to `most`, separated by commas."""
    return tuple(number(part, least, most) for part in str(text).split(","))


def positive(text: Any) -> float:
    """Read a positive number."""
    return number(text, 1e-12, 1e18, "a positive number")


def pace(text: Any) -> float | str:
    """Read a rate: a positive number, or the word max."""
    if text == "max":
        return "max"
    try:
        return positive(text)
    except typer.BadParameter:
        raise typer.BadParameter(f"must be a positive number from 1e-12 to 1e+18, or max, not {text!r}") from None


def share(text: Any, *, between: bool = False) -> float:
    """Read a share: from 0 to 1, or `between` them."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (0 < value < 1 if between else 0 <= value <= 1):
        raise typer.BadParameter(f"must be a number {'between 0 and' if between else 'from 0 to'} 1, not {text!r}")
    return value


def study(text: str) -> str:
    """Read the name of a study, before anything else of the command is asked for. OptionError names those that there are."""
    from mho.studies import STUDIES

    if text not in STUDIES:
        raise OptionError(f"unknown study {text!r}; {choices(text, STUDIES)}")
    return text


READERS: Mapping[str, Callable[..., Any]] = {
    "whole": whole, "wholes": wholes, "number": number, "numbers": numbers, "positive": positive, "pace": pace,
    "share": share, "between": partial(share, between=True), "study": study,
}  # fmt: skip
"""What reads a value, as options.yaml names it; what stands behind the name is its range."""


@cache
def table() -> Mapping[str, Mapping[str, Any]]:
    """Return what is declared of each argument and option, the heading it stands under as `panel`."""
    content = read_yaml(Path(__file__).with_name("options.yaml"), OptionError)
    return {name: {"panel": panel, **entry} for panel, entries in content.items() for name, entry in entries.items()}


def declared(name: str, owners: Sequence[str], *, argument: bool) -> Any:
    """Return what typer is told of a parameter, as its first owner that has one declares it, or all share it; None: nothing.

    `owners`: its command and its group of options.
    """
    known = table()
    entry = next((known[key] for key in (*(f"{owner}.{name}" for owner in owners), name) if key in known), None)
    if entry is None:
        return None
    reads, written = entry.get("reads"), entry.get("written", f"--{name.replace('_', '-')}")
    about = {
        "metavar": entry.get("metavar"),
        # Else [rtl] of mho[rtl] would be taken for a style of rich's.
        "help": re.sub(r"\[(?=[a-z])", r"\\[", entry["help"]),
        "min": entry.get("least"),
        "show_default": entry.get("show_default", True),
        "rich_help_panel": None if entry["panel"] in (ARGUMENTS, "Options") else entry["panel"],
        "parser": None if reads is None else _reader(*reads),
    }
    if argument:
        return typer.Argument(**{**about, "rich_help_panel": None})
    return typer.Option(*([written] if isinstance(written, str) else written), **about)


def _reader(name: str, *bounds: float) -> Callable[[Any], Any]:
    """Return what reads a value within bounds."""

    def read(text: Any) -> Any:
        return READERS[name](text, *bounds)

    return read


def given(group: Any, *names: str) -> dict[str, bool]:
    """Say of each option of a group, or of some of them, as it is written, whether it is given."""
    usual = {option.name: option.default for option in fields(group)}
    return {
        table()[name].get("written", f"--{name.replace('_', '-')}").partition("/")[0]: value not in (usual[name], [])
        for name, value in ((name, getattr(group, name)) for name in names or usual)
    }


@dataclass(frozen=True)
class SampleFiles:
    """The files of samples that are executed and that calibrate."""

    data: Path | None = None
    calibration: Path | None = None
    key: list[str] | None = None


@dataclass(frozen=True)
class Lifetime:
    """The options from which the lifetimes of cells are computed."""

    endurance: float | None = None
    rate: Any = None

    def check(self, *, flows: bool = False) -> None:
        """Refuse a rate that changes nothing; `flows`: requests arrive at a stream, at that rate."""
        if self.rate is None or self.endurance is not None:
            return
        if not flows:
            raise OptionError("--rate is for --endurance and for streams; without them nothing depends on the rate")
        if self.rate == "max":
            raise OptionError(
                "--rate max is for --endurance; requests to a stream arrive at a rate below what it takes"
            )
