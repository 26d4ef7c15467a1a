"""mho sweep: accuracy over one or two parameters of the analog side or of the chip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mho.cli import analog as side
from mho.cli import options as use
from mho.cli.inputs import ModelOptions
from mho.cli.judging import JudgeOptions
from mho.cli.outputs import check_outputs, emit
from mho.cli.ranges import read_over
from mho.cli.strategy import StrategyOptions
from mho.errors import OptionError

EPILOG = (
    "mho sweep resnet20.onnx --data test.npz --over adc.bits=4:9:1 --samples 500 --out out/bits\n\n"
    "mho sweep resnet20.onnx --data test.npz --analog my-device.yaml --over adc.bits=4,5,6,7,8 "
    "--over device.programming.sigma=0,0.05,0.1 --out out/sweep\n\n"
    "mho sweep resnet20.onnx --data test.npz --over chip.array.rows=32,64,128 --over adc.bits=5,6,7 --out out/rows"
)


Over = Annotated[
    list[str],
    typer.Option(
        "--over",
        metavar="KEY=VALUES",
        rich_help_panel=side.ANALOG,
        help="A parameter and its values, as a list (adc.bits=4,5,6) or FIRST:LAST:STEP (device.programming.sigma=0:0.2:0.05). "
        "Keys as for --set; for one of the chip (chip.array.cell_bits=1,2) the model is compiled anew. Once or twice: the "
        "first goes down the table, the second across.",
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        metavar="FOLDER",
        rich_help_panel=use.OUTPUT,
        help="Write sweep.html, sweep.json and sweep.svg (the heat map) there, and results.jsonl, what each point gave: "
        "interrupted, or with more values, the next call with the same folder goes on from there.",
    ),
]


def sweep(
    context: typer.Context,
    model: use.ModelOrProgram,
    *,
    judge: JudgeOptions,
    over: Over,
    out: Out,
    reading: ModelOptions,
    strategy: StrategyOptions,
    csv_to: use.Csv = None,
    json_to: use.Json = None,
) -> None:
    """Tell the accuracy over one or two parameters: a table, a heat map and JSON.

    Each point is what mho accuracy tells: the mean over --seeds chips, and half
    of its 95 % interval.

    Exit code: 0 done, 2 a mistake in what was asked, 130 interrupted.
    """
    values = read_over(over)
    asked, changes = judge.asked(context, model, reading, strategy)
    for key in values:
        if key in {*changes, *(f"{side.CHIP}{name}" for name in asked.chip_changes)}:
            raise OptionError(f"{key} is swept by --over and set by --set; one of them")
    asked.check(values)
    side.check_backend(judge.backend)
    check_outputs(json_to=json_to, csv_to=csv_to, out=out)
    kept = side.finished(out)
    given = side.load_analog(judge.analog, changes)

    import mho
    from mho.report.views import save, show

    with side.following(quiet="-" in (json_to, csv_to), keeping=out / side.KEPT) as follow:
        prepared = asked.prepare(follow.say)
        side.check_variants(prepared, given, values, model, compiled=asked.kept)
        how = judge.how(prepared, follow, kept)
        found = mho.explore.sweep(prepared.build, prepared.given, given, over=values, **how)
        save(found, out)
    if not emit(found.to_dict(), json_to, csv_to, found.frame("points")):
        from mho.report.console import terminal

        console = terminal(highlight=False)
        show(found, console)
        written = f"written to {out / 'sweep.html'}, sweep.json, sweep.svg and {side.KEPT}"
        console.print(f"\n{written}", markup=False, soft_wrap=True)
