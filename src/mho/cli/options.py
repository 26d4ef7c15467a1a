"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from mho.cli.registries import NAMES


def whole(least: int) -> Callable[[Any], int]:
    """Return a reader of whole numbers from `least` on."""

    def read(text: Any) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise typer.BadParameter(f"must be a whole number of at least {least}, not {text!r}")
        return number

    return read


CHIP, MODEL, STRATEGY, SAMPLES, OUTPUT = "Chip", "Model", "Mapping and schedule", "Samples and numbers", "Output"

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
        parser=whole(0),
        metavar="N",
        rich_help_panel=MODEL,
        help="The seed of synthetic weights and samples; else 0. Refused where nothing is drawn.",
    ),
]
Batch = Annotated[int, typer.Option(parser=whole(1), metavar="N", rich_help_panel=MODEL, help="Samples per inference.")]
InputSize = Annotated[
    int | None,
    typer.Option(
        parser=whole(1),
        metavar="PIXELS",
        rich_help_panel=MODEL,
        help="Height and width of a known image model's input; where not given, what it was published for.",
    ),
]
Sequence = Annotated[
    int | None,
    typer.Option(
        parser=whole(1),
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
ScheduleName = Annotated[
    str,
    typer.Option(
        metavar="NAME", rich_help_panel=STRATEGY, help=f"When weights are written and layers computed; one of: {NAMES}."
    ),
]
MappingName = Annotated[
    str,
    typer.Option(metavar="NAME", rich_help_panel=STRATEGY, help=f"How weights sit in cells; one of: {NAMES}."),
]
Packing = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        rich_help_panel=STRATEGY,
        help="Whether the small matrices of a grouped convolution share groups (on the diagonal) or have groups of "
        f"their own; one of: {NAMES}.",
    ),
]
Residency = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        rich_help_panel=STRATEGY,
        help=f"Whether the weights stay where the whole network fits the chip, or are written anew in every inference; "
        f"one of: {NAMES}.",
    ),
]
PerChannel = Annotated[
    bool,
    typer.Option(
        "--per-channel",
        rich_help_panel=SAMPLES,
        help="One weight scale for each output channel instead of one a tensor.",
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
        help="Samples (.npz) that set the range of each activation; where it is not given, those of --data.",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        metavar="ARRAY", rich_help_panel=SAMPLES, help="The array of the .npz files to take, where several would fit."
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
