"""mho verify: whether a program computes what the integer reference computes, and is legal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from mho.cli.compiling import Compiling, is_program, kept_program, opened, refuse_what_a_program_brings
from mho.cli.inputs import ModelOptions, SampleOptions, checked_seed, execution_count
from mho.cli.options import SampleFiles
from mho.cli.outputs import Say, Target, progress
from mho.cli.strategy import StrategyOptions
from mho.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mho.network.samples import Samples

EPILOG = (
    "mho verify resnet20\n\n"
    "mho verify model.onnx --data test.npz --calibration train.npz --samples 4 --accuracy\n\n"
    "mho verify kept.mho --data test.npz"
)


def verify(
    context: typer.Context,
    model_or_program: str,
    *,
    chip: str = "aras",
    overrides: list[str] | None = None,
    reading: ModelOptions,
    strategy: StrategyOptions,
    files: SampleFiles,
    count: int | None = None,
    accuracy: bool = False,
    target: Target,
) -> None:
    """Execute a program cell by cell, compare with the integer reference bit for bit, and check that it is legal.

    Converters are taken to resolve every sum; beside the verdict stands of how
    many layers this chip's do, and with --data how many conversions they would
    clip or round.

    Exit code: 0 exact and legal, 1 wrong, 2 a mistake in what was asked.
    """
    model, kept = model_or_program, is_program(model_or_program)
    if kept:
        refuse_what_a_program_brings(context, model, also=("calibration",), but=("seed",))
    samples = SampleOptions(files.data, files.calibration, files.key)
    if kept:
        samples = replace(samples, seed=checked_seed(reading.seed, drawn=files.data is None))
    work = None if kept else Compiling.of(model, reading, [strategy.strategy()], samples, executes=True)
    target.check()
    if accuracy and files.data is None:
        raise OptionError("--accuracy needs samples with labels (an array y or labels); give them with --data")
    if kept and accuracy:
        raise OptionError(f"--accuracy compares with float, but {model} holds codes alone; give the model itself")

    import mho
    from mho.number.accuracy import top1

    with progress(target.quiet) as say:
        given: Samples | None
        if work is None:
            program = kept_program(model, say)
            given = samples.executed(program.network, count)
        else:
            loaded, subject, given = opened(work, chip, overrides, count, say)
            if accuracy and given is not None and given.labels is None:
                raise OptionError(f"--accuracy needs labels; {given.origin} holds no array y or labels")
            say("compiling")
            program = mho.compile(subject, loaded, work.strategies[0])
        assert given is not None and program.quantised is not None
        say(f"executing {len(program.instructions)} instructions, and the integer reference")
        judged = given.first(execution_count(program.network, count))
        verdict = mho.verify(program, judged.inputs, losses=files.data is not None)
        verdict = replace(verdict, data=given.origin)
        if accuracy:
            counted = top1(program.quantised, given, progress=_telling(say, len(given)))
            verdict = replace(verdict, accuracy=counted)
    target.deliver(verdict, "layers")
    if not verdict.ok:
        raise typer.Exit(1)


def _telling(say: Say, total: int) -> Callable[[int], None]:
    """Return what tells how many of the samples are classified."""
    return lambda done: say(f"accuracy, sample {done} of {total}")
