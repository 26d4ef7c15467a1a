"""mho accuracy: how accurate a model is on a chip with finite ADCs, noisy cells, faults and resistive wires."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mho.cli.analog import KEPT, following
from mho.cli.inputs import ModelOptions
from mho.cli.judging import JudgeOptions, JudgeTask, Prepared
from mho.cli.outputs import Target
from mho.cli.strategy import StrategyOptions
from mho.errors import OptionError

if TYPE_CHECKING:
    from mho.explore.accuracy import Accuracy
    from mho.explore.parameters import Ordered
    from mho.machine.analog.spec import Analog
    from mho.program import Program

EPILOG = (
    "mho accuracy resnet20.onnx --data test.npz --calibration train.npz --set adc.bits=8 --set adc.range=calibrated\n\n"
    "mho accuracy resnet20.onnx --data test.npz --analog my-device.yaml --seeds 10 --out out/accuracy\n\n"
    "mho accuracy kept.mho --data test.npz --analog my-device.yaml --json -\n\n"
    "mho accuracy resnet20.onnx --data test.npz --find adc.bits --loss 1\n\n"
    "mho accuracy resnet20.onnx --data test.npz --set adc.bits=9 --find age_s=1:3e8 --loss 2 --out out/age"
)
FIND = "--find takes KEY or KEY=LOW:HIGH or KEY=LOW:HIGH:STEP, such as adc.bits or age_s=1:1e8"


def accuracy(
    context: typer.Context,
    model_or_program: str,
    *,
    judge: JudgeOptions,
    find: str | None = None,
    loss: float | None = None,
    reading: ModelOptions,
    strategy: StrategyOptions,
    out: Path | None = None,
    target: Target,
) -> None:
    """Execute a model on the analog side of a chip and tell its accuracy.

    It stands beside that of float and of the integers, with two intervals of
    95 %: over chips (other chips of the same kind; more --seeds narrow it) and
    over samples (other samples of the same kind; more samples narrow it). Each
    layer has its signal-to-noise ratio and how often its ADCs clipped. Where
    the chip's converters fall short that is said at once, and where they lose
    accuracy, ranges, bits and codings are tried on a few samples.

    Exit code: 0 done, 2 a mistake in what was asked, 130 interrupted.
    """
    task = judge.task(context, model_or_program, reading, strategy)
    kept, given = task.opened(target, out)
    over = _parameter(find, task, loss, target.csv_to)

    import mho
    from mho.report.views import save

    with following(quiet=target.quiet, keeping=None if out is None else out / KEPT) as follow:
        prepared = task.prepare(follow.say)
        how = prepared.how(judge, follow, kept)
        result: Any
        if over is None:
            follow.say("compiling")
            result = _evaluated(task, prepared, given, how, quiet=target.quiet)
        else:
            prepared.check(task, given, {over.key: (over.values[0], over.values[-1])}, "--find")
            points = 1.0 if loss is None else loss
            alone = {name: value for name, value in how.items() if name != "workers"}
            result = mho.explore.find(prepared.build, prepared.given, given, over=over, loss=points, **alone)
        if out is not None:
            save(result, out)
    names = "accuracy.html, accuracy.json, layers.svg" if over is None else "finding.html, finding.json"
    written = "" if out is None else f"written to {out / names} and {KEPT}"
    target.deliver(result, "layers" if over is None else None, written)


def _evaluated(task: JudgeTask, prepared: Prepared, given: Analog, how: dict[str, Any], *, quiet: bool) -> Accuracy:
    """Evaluate, and try what would help where converters lose accuracy."""
    import mho
    from mho.explore.advice import advise, lossy
    from mho.explore.sweeps import only

    program = prepared.build({})
    if not quiet:
        _tell_converters(program, given)
    evaluation = mho.explore.evaluate(program, prepared.given, given, **how)
    if not lossy(evaluation):
        return evaluation
    build = only(program) if task.kept else prepared.build
    # Remedies are tried on one chip and few samples each, and on what the last one gave.
    alone = {name: value for name, value in how.items() if name not in ("seeds", "workers")}
    return replace(evaluation, remedies=advise(program, build, prepared.given, evaluation, **alone))


def _parameter(text: str | None, task: JudgeTask, loss: float | None, csv_to: str | None) -> Ordered | None:
    """Read what --find asks for. OptionError for what cannot be read, is set too, or would change nothing."""
    from mho.explore.parameters import ordered

    if text is None:
        if loss is not None:
            raise OptionError("--loss is for --find; without it nothing is sought")
        return None
    if loss is not None and not 0 < loss < 100:
        raise OptionError(f"--loss is in points of accuracy, above 0 and below 100, not {loss:g}")
    if task.judge.workers > 1:
        raise OptionError(
            "--workers shares chips and points; --find looks at one value after the other, by one process"
        )
    if csv_to is not None:
        raise OptionError("--csv is for the layers of an accuracy; --find gives JSON (--json) and a page (--out)")
    key, equals, given = (part.strip() for part in text.partition("="))
    if not key or (equals and not given):
        raise OptionError(f"{FIND}, not {text!r}")
    task.refuse_set(key, "sought by --find")
    parts = given.split(":") if given else []
    if len(parts) not in (0, 2, 3):
        raise OptionError(f"{FIND}, not {text!r}")
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        raise OptionError(f"{FIND}, not {text!r}") from None
    try:
        return ordered(key, *numbers)
    except OptionError as error:
        raise OptionError(f"--find {error}") from None


def _number(text: str) -> int | float:
    """Read a finite number. ValueError for anything else."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _tell_converters(program: Program, given: Analog) -> None:
    from mho.machine.resolution import resolution
    from mho.report.accuracy import converters
    from mho.report.console import terminal
    from mho.report.terminal import say

    say(terminal(highlight=False), converters(resolution(program, given), given))
