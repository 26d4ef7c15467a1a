"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from mho.errors import OptionError

MOST = 10**9
"""The largest whole number that an option takes which has no range of its own."""
SEEDS = 2**63 - 1


def whole(least: int, most: int = MOST) -> Callable[[Any], int]:
    """Return a reader of whole numbers from `least` to `most`."""

    def read(text: Any) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise typer.BadParameter(f"must be a whole number from {least} to {most}, not {text!r}")
        return number

    return read


def wholes(least: int, most: int = MOST) -> Callable[[Any], tuple[int, ...]]:
    """Return a reader of whole numbers from `least` to `most`, separated by commas."""
    read = whole(least, most)

    def read_all(text: Any) -> tuple[int, ...]:
        return tuple(read(part) for part in str(text).split(","))

    return read_all


def number(least: float, most: float, what: str = "a number") -> Callable[[Any], float]:
    """Return a reader of numbers from `least` to `most`."""

    def read(text: Any) -> float:
        try:
            value = float(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise typer.BadParameter(f"must be {what} from {least:g} to {most:g}, not {text!r}")
        return value

    return read


positive = number(1e-12, 1e18, "a positive number")
"""Reads a positive number."""
effort = number(0, 10_000)
"""Reads how hard a search tries."""


def pace(text: Any) -> float | str:
    """Read a rate: a positive number, or the word max."""
    if text == "max":
        return "max"
    try:
        return positive(text)
    except typer.BadParameter:
        raise typer.BadParameter(f"must be a positive number from 1e-12 to 1e+18, or max, not {text!r}") from None


CHIP, MODEL, SAMPLES, OUTPUT = "Chip", "Model", "Samples", "Output"

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A known model (see mho models), an .onnx file, or a decoder's configuration (.yaml or .json).",
    ),
]
ModelOrProgram = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A known model (see mho models), an .onnx file, a decoder's configuration (.yaml or .json), or a program "
        "(.mho) kept by mho run --verify --save.",
    ),
]
ChipName = Annotated[
    str,
    typer.Option(
        "--chip", metavar="CHIP", rich_help_panel=CHIP, help="A preset (see mho chips), or a chip's .yaml file."
    ),
]
ChipOrOwn = Annotated[
    str | None,
    typer.Option(
        "--chip",
        metavar="CHIP",
        rich_help_panel=CHIP,
        help="A preset (see mho chips), or a chip's .yaml file; else aras (with --trace: recross).",
    ),
]
Override = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        rich_help_panel=CHIP,
        help="Change a value of the chip, in SI units: --set tiles=48 --set array.adc_period_s=2e-9. May be repeated; "
        "mho show CHIP lists the keys.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="WEIGHTS",
        rich_help_panel=MODEL,
        help="For a known model or a decoder: none (shapes alone), seeded (synthetic), or a .safetensors file. "
        "Where it is not given: none to time a model, seeded to execute it.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        parser=whole(0, SEEDS),
        metavar="N",
        rich_help_panel=MODEL,
        help="The seed of synthetic weights and samples and of schedule adaptive's search; else 0. Refused where nothing is "
        "drawn.",
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(parser=whole(1, 65_536), metavar="N", rich_help_panel=MODEL, help="Samples per inference; else 1."),
]
InputSize = Annotated[
    int | None,
    typer.Option(
        parser=whole(1, 16_384),
        metavar="PIXELS",
        rich_help_panel=MODEL,
        help="Height and width of a known image model's input; where not given, what it was published for.",
    ),
]
Sequence = Annotated[
    int | None,
    typer.Option(
        parser=whole(1, 2**20),
        metavar="TOKENS",
        rich_help_panel=MODEL,
        help="Tokens per sample of a language model; else 128.",
    ),
]
Shape = Annotated[
    list[str] | None,
    typer.Option(
        "--shape",
        metavar="INPUT=N,N,...",
        rich_help_panel=MODEL,
        help="The shape of an .onnx file's input, where the file leaves it free. May be repeated.",
    ),
]
Endurance = Annotated[
    float | None,
    typer.Option(
        parser=positive,
        metavar="WRITES",
        rich_help_panel=OUTPUT,
        help="Report how many years the cells live if each survives so many writes (1e12), with and without wear levelling.",
    ),
]
Rate = Annotated[
    Any,
    typer.Option(
        parser=pace,
        metavar="N",
        rich_help_panel=OUTPUT,
        help="Inferences per second over the cells' lives, or max: as fast as the program runs, as where it is not given. "
        "Only with --endurance.",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=SAMPLES,
        help="Samples (.npz) to execute, with labels as array y or labels; synthetic ones where it is not given.",
    ),
]
Calibration = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=SAMPLES,
        help="Samples (.npz) that set the range of each activation, and that --rounding output and --budget go by; where it is "
        "not given, those of --data.",
    ),
]
Key = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[INPUT=]ARRAY",
        rich_help_panel=SAMPLES,
        help="The array of the .npz files to take for an input, where several would fit. May be repeated.",
    ),
]
Csv = Annotated[
    str | None,
    typer.Option(
        "--csv",
        metavar="FILE",
        rich_help_panel=OUTPUT,
        help="Write the table as CSV to a file; '-': to standard output, and nothing else there.",
    ),
]
Json = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="FILE",
        rich_help_panel=OUTPUT,
        help="Write the result as JSON to a file; '-', or nothing after it: to standard output, and nothing else there.",
    ),
]


@dataclass(frozen=True)
class SampleFiles:
    """The files of samples that are executed and that calibrate."""

    data: Data = None
    calibration: Calibration = None
    key: Key = None

    def given(self) -> dict[str, bool]:
        """Say of each option whether it is given."""
        return {"--data": self.data is not None, "--calibration": self.calibration is not None, "--key": bool(self.key)}


@dataclass(frozen=True)
class Lifetime:
    """What the lives of cells are told by."""

    endurance: Endurance = None
    rate: Rate = None

    def given(self) -> dict[str, bool]:
        """Say of each option whether it is given."""
        return {"--endurance": self.endurance is not None, "--rate": self.rate is not None}

    def check(self) -> None:
        """Refuse a rate that changes nothing."""
        if self.rate is not None and self.endurance is None:
            raise OptionError("--rate is for --endurance; without it nothing depends on the rate")
