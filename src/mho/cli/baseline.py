"""mho baseline: what a model costs on a systolic array of the same technology, memory and clock."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mho.cli import options as use
from mho.cli.inputs import ModelOptions, load_network, varied
from mho.cli.outputs import check_outputs, emit, progress

EPILOG = "mho baseline resnet50\n\nmho baseline bert-base --dataflow weight --set products=array --json -"


Systolic = Annotated[
    str,
    typer.Option(
        "--systolic",
        metavar="ARRAY",
        rich_help_panel="Systolic array",
        help="A preset (tpu-like: ARAS, Table I), or a systolic array's .yaml file.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        rich_help_panel="Systolic array",
        help="Change a value of the systolic array, in SI units: --set rows=128 --set products=array. May be repeated; "
        "docs/baseline.md lists the keys.",
    ),
]
Dataflow = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        rich_help_panel="Systolic array",
        help="What stays in the array: weight, input, output; or best, of the three the fastest for the whole network.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", rich_help_panel=use.OUTPUT, help="Write baseline.html and baseline.json there."),
]


def baseline(
    model: use.Model,
    systolic: Systolic = "tpu-like",
    overrides: Overrides = None,
    dataflow: Dataflow = "best",
    batch: use.Batch = None,
    input_size: use.InputSize = None,
    sequence: use.Sequence = None,
    shape: use.Shape = None,
    out: Out = None,
    csv_to: use.Csv = None,
    json_to: use.Json = None,
) -> None:
    """Tell what a model costs on a systolic array (TPU-like), in the same component costs as the chips of crossbars."""
    check_outputs(json_to=json_to, csv_to=csv_to, out=out)
    from mho.machine.systolic import Systolic, check_dataflow, run

    check_dataflow(dataflow)
    loaded = varied(Systolic.load(systolic), overrides, "rows=128")
    with progress(quiet="-" in (json_to, csv_to)) as say:
        say(f"importing {model}")
        # Neither time nor energy depends on the values of weights.
        network = load_network(model, ModelOptions(None, None, batch, input_size, sequence, shape), values=False)
        say("counting")
        result = run(network, loaded, dataflow)
        if out is not None:
            from mho.report.views import save

            save(result, out)
    if not emit(result.to_dict(), json_to, csv_to, result.frame("layers")):
        from mho.report.console import terminal
        from mho.report.views import show

        console = terminal(highlight=False)
        show(result, console)
        if out is not None:
            console.print(f"written to {out / 'baseline.html'} and baseline.json", markup=False, soft_wrap=True)
