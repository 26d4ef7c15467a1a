"""mho accuracy: how accurate a model is on a chip with finite ADCs, noisy cells, faults and resistive wires."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mho.cli import analog as side
from mho.cli import options as use
from mho.cli.inputs import ModelOptions
from mho.cli.judging import JudgeOptions
from mho.cli.outputs import check_outputs, emit, told
from mho.cli.strategy import StrategyOptions
from mho.errors import OptionError

if TYPE_CHECKING:
    from mho.explore.accuracy import Accuracy
    from mho.explore.finding import Finding
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


Find = Annotated[
    str | None,
    typer.Option(
        "--find",
        metavar="KEY[=LOW:HIGH[:STEP]]",
        rich_help_panel=side.ANALOG,
        help="Find the least or largest value of a parameter that has an order at which no more than --loss points are lost "
        "against the 8-bit integers, by bisection over the range of its type or the one given: adc.bits, "
        "device.programming.sigma, device.stuck.off_share, age_s=1:1e8, chip.array.rows=16:256:16. Looks at no more samples "
        "than decide.",
    ),
]
Loss = Annotated[
    float | None,
    typer.Option(
        "--loss",
        metavar="POINTS",
        rich_help_panel=side.ANALOG,
        help="Points of accuracy that may be lost, for --find; 1 where it is not given.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        rich_help_panel=use.OUTPUT,
        help="Write accuracy.html, accuracy.json and layers.svg there (with --find: finding.html and finding.json), and "
        "results.jsonl, what each seed gave: interrupted, the next call with the same folder goes on from there.",
    ),
]


def accuracy(
    context: typer.Context,
    model: use.ModelOrProgram,
    *,
    judge: JudgeOptions,
    find: Find = None,
    loss: Loss = None,
    reading: ModelOptions,
    strategy: StrategyOptions,
    out: Out = None,
    csv_to: use.Csv = None,
    json_to: use.Json = None,
) -> None:
    """Execute a model on the analog side of a chip and tell its accuracy.

    It stands beside that of float and of 8-bit integers, with two intervals of
    95 %: over chips (other chips of the same kind; more --seeds narrow it) and
    over samples (other samples of the same kind; more samples narrow it). Each
    layer has its signal-to-noise ratio and how often its ADCs clipped. Where
    the chip's converters fall short that is said at once, and where they lose
    accuracy, ranges, bits and codings are tried on a few samples.

    Exit code: 0 done, 2 a mistake in what was asked, 130 interrupted.
    """
    asked, changes = judge.asked(context, model, reading, strategy)
    asked.check()
    side.check_backend(judge.backend)
    check_outputs(json_to=json_to, csv_to=csv_to, out=out)
    kept = side.finished(out)
    given = side.load_analog(judge.analog, changes)
    over = _parameter(find, {*changes, *(f"{side.CHIP}{name}" for name in asked.chip_changes)}, loss, csv_to)

    quiet = "-" in (json_to, csv_to)
    found: Accuracy | Finding
    with side.following(quiet=quiet, keeping=None if out is None else out / side.KEPT) as follow:
        prepared = asked.prepare(follow.say)
        how = judge.how(prepared, follow, kept)
        if over is None:
            follow.say("compiling")
            found = _evaluated(asked, prepared, given, how, quiet=quiet)
        else:
            found = _sought(asked, prepared, given, over, 1.0 if loss is None else loss, how)
        if out is not None:
            from mho.report.views import save

            save(found, out)
    if not emit(found.to_dict(), json_to, csv_to, found.frame("layers") if over is None else None):
        from mho.report.views import show

        page, others = (
            ("accuracy.html", "accuracy.json, layers.svg") if over is None else ("finding.html", "finding.json")
        )
        written = "" if out is None else f"written to {out / page}, {others} and {side.KEPT}"
        told(lambda console: show(found, console), written)


def _evaluated(
    asked: side.Asked, prepared: side.Prepared, given: Analog, how: dict[str, Any], *, quiet: bool
) -> Accuracy:
    """Evaluate, and try what would help where converters lose accuracy."""
    import mho
    from mho.explore.advice import advise, lossy
    from mho.explore.sweeps import only

    program = prepared.build({})
    if not quiet:
        _tell_converters(program, given)
    found = mho.explore.evaluate(program, prepared.given, given, **how)
    if not lossy(found):
        return found
    build = only(program) if asked.kept else prepared.build
    without_seeds = {name: value for name, value in how.items() if name != "seeds"}
    return replace(found, remedies=advise(program, build, prepared.given, found, **without_seeds))


def _sought(
    asked: side.Asked, prepared: side.Prepared, given: Analog, over: Ordered, loss: float, how: dict[str, Any]
) -> Finding:
    """Find the least or largest value of a parameter."""
    import mho

    ends = {over.key: (over.values[0], over.values[-1])}
    side.check_variants(prepared, given, ends, asked.model, compiled=asked.kept, option="--find")
    return mho.explore.find(prepared.build, prepared.given, given, over=over, loss=loss, **how)


def _parameter(text: str | None, taken: set[str], loss: float | None, csv_to: str | None) -> Ordered | None:
    """Read what --find asks for. OptionError for what cannot be read, is set too, or would change nothing."""
    from mho.explore.parameters import ordered

    if text is None:
        if loss is not None:
            raise OptionError("--loss is for --find; without it nothing is sought")
        return None
    if loss is not None and not 0 < loss < 100:
        raise OptionError(f"--loss is in points of accuracy, above 0 and below 100, not {loss:g}")
    if csv_to is not None:
        raise OptionError("--csv is for the layers of an accuracy; --find gives JSON (--json) and a page (--out)")
    key, equals, given = (part.strip() for part in text.partition("="))
    if not key or (equals and not given):
        raise OptionError(f"{FIND}, not {text!r}")
    if key in taken:
        raise OptionError(f"{key} is sought by --find and set by --set; one of them")
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
