"""mho sweep: accuracy over one or two parameters of the analog side, the chip or the strategy."""

from __future__ import annotations

from pathlib import Path

import typer

from mho.cli.analog import KEPT, following
from mho.cli.inputs import ModelOptions
from mho.cli.judging import JudgeOptions
from mho.cli.outputs import Target
from mho.cli.strategy import StrategyOptions

EPILOG = (
    "mho sweep resnet20.onnx --data test.npz --over adc.bits=4:9:1 --samples 500 --out out/bits\n\n"
    "mho sweep resnet20.onnx --data test.npz --analog my-device.yaml --over adc.bits=4,5,6,7,8 "
    "--over device.programming.sigma=0,0.05,0.1 --out out/sweep\n\n"
    "mho sweep resnet20.onnx --data test.npz --over chip.array.rows=32,64,128 --over adc.bits=5,6,7 --out out/rows\n\n"
    "mho sweep resnet20.onnx --data test.npz --over strategy.mapping=dense,squeezed --chip sme --out out/mappings"
)


def sweep(
    context: typer.Context,
    model_or_program: str,
    *,
    judge: JudgeOptions,
    over: list[str],
    out: Path,
    reading: ModelOptions,
    strategy: StrategyOptions,
    target: Target,
) -> None:
    """Tell the accuracy over one or two parameters: a table, a heat map and JSON.

    Each point is what mho accuracy tells: the mean over --seeds chips, and half
    of its 95 % interval.

    Exit code: 0 done, 2 a mistake in what was asked, 130 interrupted.
    """
    from mho.explore.ranges import read_over

    values = read_over(over)
    task = judge.task(context, model_or_program, reading, strategy)
    for key in values:
        task.refuse_set(key, "swept by --over")
    kept, given = task.opened(target, out, values)

    import mho
    from mho.report.views import save

    with following(quiet=target.quiet, keeping=out / KEPT) as follow:
        prepared = task.prepare(follow.say, values)
        prepared.check(task, given, values)
        how = prepared.how(judge, follow, kept)
        swept = mho.explore.sweep(prepared.build, prepared.given, given, over=values, **how)
        save(swept, out)
    target.deliver(swept, "points", f"\nwritten to {out / 'sweep.html'}, sweep.json, sweep.svg and {KEPT}")
