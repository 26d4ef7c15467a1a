"""mho accuracy: how accurate a model is on a chip with finite ADCs, noisy cells, faults and resistive wires."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mho.cli import analog as side
from mho.cli import options as use
from mho.cli.coding import WeightOptions
from mho.cli.inputs import ModelOptions, SampleOptions
from mho.cli.outputs import check_outputs, emit
from mho.cli.strategy import StrategyOptions

EPILOG = (
    "mho accuracy resnet20.onnx --data test.npz --calibration train.npz --set adc.bits=6 --samples 500\n\n"
    "mho accuracy resnet20.onnx --data test.npz --analog my-device.yaml --seeds 10 --out out/accuracy\n\n"
    "mho accuracy kept.mho --data test.npz --analog my-device.yaml --json -"
)


def accuracy(
    context: typer.Context,
    model: use.ModelOrProgram,
    *,
    data: side.LabelledData = None,
    analog: side.AnalogFile = None,
    settings: side.Settings = None,
    seeds: side.Seeds = 5,
    backend: side.Backend = "compiled",
    samples: side.SampleCount = None,
    calibration: side.CalibrationToo = None,
    key: use.Key = None,
    chip: use.ChipName = "aras",
    reading: ModelOptions,
    coding: WeightOptions,
    symmetric: use.Symmetric = False,
    schedule: use.ScheduleName = "adaptive",
    strategy: StrategyOptions,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            rich_help_panel=use.OUTPUT,
            help="Write accuracy.html, accuracy.json and layers.svg there, and results.jsonl, what each seed gave: interrupted, "
            "the next call with the same folder goes on from there.",
        ),
    ] = None,
    csv_to: use.Csv = None,
    json_to: use.Json = None,
) -> None:
    """Execute a model on the analog side of a chip and tell its accuracy.

    It stands beside that of float and of 8-bit integers, with two intervals of
    95 %: over chips (other chips of the same kind; more --seeds narrow it) and
    over samples (other samples of the same kind; more samples narrow it). Each
    layer has its signal-to-noise ratio and how often its ADCs clipped.

    Exit code: 0 done, 2 a mistake in what was asked, 130 interrupted.
    """
    chip_changes, changes = side.read_settings(settings)
    asked = side.Asked(
        context, model, chip, chip_changes, reading, coding, symmetric, schedule, strategy,
        SampleOptions(data, calibration, key, 0), samples,
    )  # fmt: skip
    asked.check()
    side.check_backend(backend)
    check_outputs(json_to=json_to, csv_to=csv_to, out=out)
    given = side.load_analog(analog, changes)

    import mho

    keeping = None if out is None else out / side.KEPT
    with side.following(quiet="-" in (json_to, csv_to), keeping=keeping) as follow:
        prepared = asked.prepare(follow.say)
        follow.say("compiling")
        program = prepared.build({})
        found = mho.evaluate(
            program,
            prepared.given,
            given,
            seeds=seeds,
            calibration=prepared.measured,
            progress=follow,
            done=side.finished(out),
            backend=backend,
        )
        if out is not None:
            from mho.report.accuracy_page import save_evaluation

            save_evaluation(found, out)
    if not emit(found.to_dict(), json_to, csv_to, found.frame("layers")):
        from mho.report.accuracy_terminal import show_evaluation
        from mho.report.console import terminal

        console = terminal(highlight=False)
        show_evaluation(found, console)
        if out is not None:
            written = f"written to {out / 'accuracy.html'}, accuracy.json, layers.svg and {side.KEPT}"
            console.print(f"\n{written}", markup=False, soft_wrap=True)
