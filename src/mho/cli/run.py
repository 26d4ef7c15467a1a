"""mho run: what a model costs on a chip, and whether its program is right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mho.cli import options as use
from mho.cli.compiling import Compiling, opened
from mho.cli.inputs import ModelOptions, SampleOptions, execution_count
from mho.cli.outputs import check_outputs, emit, print_papers, progress, told
from mho.cli.recommender import CHIP, Asked, RecommenderOptions, refuse, run_recommender
from mho.cli.strategy import StrategyOptions, check_sampled

EPILOG = (
    "mho run resnet50 --out report\n\n"
    "mho run resnet20 --weights resnet20.safetensors --data test.npz --verify\n\n"
    "mho run decoder.yaml --chip isaac --sequence 512 --set tiles=336 --json -\n\n"
    "mho run resnet20 --chip sme --mapping squeezed --grid window:8:3 --squeeze 2 --verify\n\n"
    "mho run resnet50 --strategy aras --banks greedy --cite\n\n"
    "mho run dlrm --trace clicks.npz --verify"
)
Verify = Annotated[
    bool,
    typer.Option(
        "--verify",
        rich_help_panel=use.SAMPLES,
        help="Execute the very program that is timed too, on one batch, and compare with the integer reference.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        rich_help_panel=use.OUTPUT,
        help="Write report.html, report.json and trace.json there; with --trace recommender.html and recommender.json, and the "
        "three of the dense part in the folder dense.",
    ),
]
Save = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.mho",
        rich_help_panel=use.OUTPUT,
        help="Keep the program, for mho list; one that is made with --verify can be executed by mho verify, too.",
    ),
]
Cite = Annotated[
    bool,
    typer.Option(
        "--cite",
        rich_help_panel=use.OUTPUT,
        help="Print the papers that the run rests on, as BibTeX: of the techniques chosen, and of the chip's figures.",
    ),
]


def run(
    model: use.Model,
    *,
    chip: use.ChipOrOwn = None,
    overrides: use.Override = None,
    reading: ModelOptions,
    strategy: StrategyOptions,
    verify: Verify = False,
    samples: use.SampleFiles,
    life: use.Lifetime,
    whole: RecommenderOptions,
    cite: Cite = False,
    out: Out = None,
    save: Save = None,
    csv_to: use.Csv = None,
    json_to: use.Json = None,
) -> None:
    """Compile a model for a chip and report time, energy, area and wear; with --verify, whether it computes the right thing.

    Exit code: 0 done, 1 found wrong by --verify, 2 a mistake in what was asked.
    """
    whole.check()
    if whole.trace is not None:
        later = {"--save": save is not None, "--csv": csv_to is not None, "--cite": cite}
        refuse(model, {**samples.given(), **life.given(), **reading.of_networks(), **strategy.of_codes(), **later})
        asked = Asked(model, chip or CHIP, overrides, reading, strategy.strategy(), verify, whole)
        raise typer.Exit(int(not run_recommender(asked, out=out, json_to=json_to)))
    chosen = strategy.strategy()
    check_sampled(samples.given(), chosen, executed=None if verify else "--verify, ")
    life.check()
    work = Compiling.of(
        model, reading, [chosen], SampleOptions(samples.data, samples.calibration, samples.key), executes=verify
    )
    check_outputs(json_to=json_to, csv_to=csv_to, out=out, save=save)
    import mho
    from mho.report import views

    with progress(quiet="-" in (json_to, csv_to)) as say:
        loaded, subject, given = opened(work, chip or "aras", overrides, None, say)
        say("compiling")
        program = mho.compile(subject, loaded, work.strategies[0])
        verdict = None
        if given is not None:
            say("executing the program and the integer reference")
            batch = given.first(execution_count(program.network, None))
            verdict = mho.verify(program, batch.inputs, losses=samples.data is not None)
        say("simulating")
        report = mho.simulate(program, verified=verdict, endurance=life.endurance, rate=life.rate)
        if save is not None:
            program.save(str(save))
        if out is not None:
            views.save(report, out)
    if not emit(report.to_dict(), json_to, csv_to, report.frame("layers")):
        page = f"report written to {out / 'report.html'}, report.json and trace.json (for Perfetto)" if out else ""
        kept = f"program kept in {save}" if save else ""
        told(lambda console: views.show(report, console), page, kept, highlight=True)
    if cite:
        print_papers(program.papers, json_to, csv_to)
    if verdict is not None and not verdict.ok:
        raise typer.Exit(1)
