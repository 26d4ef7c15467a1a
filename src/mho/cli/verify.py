"""mho verify: whether a program computes what the integer reference computes, and is legal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mho.cli import options as use
from mho.cli.compiling import Compiling, opened
from mho.cli.inputs import ModelOptions, SampleOptions, checked_seed, execution_count
from mho.cli.outputs import PROGRAM_SUFFIX, Say, check_outputs, emit, progress
from mho.cli.strategy import StrategyOptions
from mho.errors import OptionError

if TYPE_CHECKING:
    from mho.machine import Verification
    from mho.network.samples import Samples
    from mho.number.accuracy import Accuracy
    from mho.program import Program

EPILOG = (
    "mho verify resnet20\n\n"
    "mho verify model.onnx --data test.npz --calibration train.npz --samples 4 --accuracy\n\n"
    "mho verify kept.mho --data test.npz"
)

# A program brings its own chip, model, strategies and codes.
_OF_A_PROGRAM = ("json_to", "model", "data", "key", "count", "seed", "accuracy")


Count = Annotated[
    int | None,
    typer.Option(
        "--samples",
        parser=use.whole(1),
        metavar="N",
        rich_help_panel=use.SAMPLES,
        help="How many samples to execute; where not given, those of one inference.",
    ),
]
Top1 = Annotated[
    bool,
    typer.Option(
        "--accuracy",
        rich_help_panel=use.SAMPLES,
        help="Also the top-1 accuracy of float and of 8-bit integers, on all samples of --data, which needs labels.",
    ),
]


def verify(
    context: typer.Context,
    model: use.ModelOrProgram,
    *,
    chip: use.ChipName = "aras",
    overrides: use.Override = None,
    reading: ModelOptions,
    strategy: StrategyOptions,
    files: use.SampleFiles,
    count: Count = None,
    accuracy: Top1 = False,
    json_to: use.Json = None,
) -> None:
    """Execute a program cell by cell, compare with the integer reference bit for bit, and check that it is legal.

    Converters are taken to resolve every sum; beside the verdict stands of how
    many layers this chip's do, and with --data how many conversions they would
    clip or round.

    Exit code: 0 exact and legal, 1 wrong, 2 a mistake in what was asked.
    """
    kept = model.lower().endswith(PROGRAM_SUFFIX)
    if kept:
        _refuse_what_a_program_brings(context, model)
    samples = SampleOptions(files.data, files.calibration, files.key)
    if kept:
        samples = replace(samples, seed=checked_seed(reading.seed, drawn=files.data is None))
    work = None if kept else Compiling.of(model, reading, [strategy.strategy()], samples, executes=True)
    check_outputs(json_to=json_to)
    if accuracy and files.data is None:
        raise OptionError("--accuracy needs samples with labels (an array y or labels); give them with --data")
    if kept and accuracy:
        raise OptionError(f"--accuracy compares with float, but {model} holds codes alone; give the model itself")

    import mho

    with progress(quiet=json_to == "-") as say:
        if work is None:
            program = _read(model, say)
            given: Samples | None = samples.executed(program.network, count)
        else:
            loaded, subject, given = opened(work, chip, overrides, count, say)
            _check_labels(accuracy, given)
            say("compiling")
            program = mho.compile(subject, loaded, work.strategies[0])
        assert given is not None
        say(f"executing {len(program.instructions)} instructions, and the integer reference")
        judged = given.first(execution_count(program.network, count))
        verdict = mho.verify(program, judged.inputs, losses=files.data is not None)
        found = _accuracy(program, given, say) if accuracy else None
    if not emit(_result(program, given, verdict, found), json_to):
        _print(program, given, verdict, found)
    if not verdict.ok:
        raise typer.Exit(1)


def _read(path: str, say: Say) -> Program:
    """Read a program that can be executed."""
    import mho

    say(f"reading {path}")
    program = mho.Program.load(path)
    _check_executable(program, path)
    return program


def _refuse_what_a_program_brings(context: typer.Context, path: str) -> None:
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name not in _OF_A_PROGRAM and source is not None and source.name == "COMMANDLINE":
            raise OptionError(f"{parameter.opts[0]}: {path} is compiled already and brings its own")


def _check_executable(program: Program, path: str) -> None:
    if program.quantised is None or not program.quantised.executable:
        raise OptionError(
            f"{path} was compiled without weights or without calibrated activations and cannot be executed; "
            "keep one by mho run --verify --save"
        )


def _check_labels(wanted: bool, given: Samples | None) -> None:
    if wanted and given is not None and given.labels is None:
        raise OptionError(f"--accuracy needs labels; {given.origin} holds no array y or labels")


def _accuracy(program: Program, given: Samples, say: Say) -> Accuracy:
    from mho.number.accuracy import top1

    assert program.quantised is not None
    return top1(program.quantised, given, progress=lambda done: say(f"accuracy, sample {done} of {len(given)}"))


def _result(program: Program, given: Samples, verdict: Verification, found: Accuracy | None) -> dict[str, Any]:
    import mho

    return {
        "schema": "mho.verification/1",
        "version": mho.__version__,
        "model": program.network.name,
        "weights_origin": program.network.origin,
        "chip": {"name": program.chip.name, "digest": program.chip.digest},
        "schedule": program.schedule,
        "strategy": program.strategy.to_dict(),
        "samples": verdict.samples,
        "data": given.origin,
        "bit_exact": verdict.exact,
        "legal": not verdict.illegal,
        "text": str(verdict),
        "converters": {
            **verdict.resolution.to_dict(),
            "measured": None if verdict.losses is None else verdict.losses.to_dict(),
        },
        "accuracy": None if found is None else found.to_dict(),
        "notes": list(program.notes),
    }


def _print(program: Program, given: Samples, verdict: Verification, found: Accuracy | None) -> None:
    from rich.markup import escape

    from mho.report.console import terminal

    console = terminal(highlight=False)
    mark = "[green]ok[/]" if verdict.ok else "[red]WRONG[/]"
    what = f"{program.network.name} on {program.chip.name}, schedule {program.schedule}"
    console.print(f"{mark}  {escape(f'{what}: {verdict}')}")
    style = "green" if verdict.resolution.complete else "yellow"
    for remark in verdict.remarks:
        console.print(f"    [{style}]{escape(remark)}[/]")
    console.print(f"    samples: {given.origin}", markup=False)
    console.print(f"    weights: {program.network.origin}", markup=False)
    if found is not None:
        console.print(f"    top-1: {found}", markup=False)
