"""mho run: what a model costs on a chip, and whether its program is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mho.cli.compiling import Compiling, opened
from mho.cli.inputs import ModelOptions, SampleOptions, execution_count
from mho.cli.options import Lifetime, SampleFiles, given
from mho.cli.outputs import Target, print_papers, progress
from mho.cli.recommender import CHIP, RecommenderOptions, RecommenderTask, refuse, run_recommender
from mho.cli.strategy import StrategyOptions, check_sampled, flows, idle_rounds

if TYPE_CHECKING:
    from mho.strategy import Strategy

EPILOG = (
    "mho run resnet50 --out report\n\n"
    "mho run resnet20 --weights resnet20.safetensors --data test.npz --verify\n\n"
    "mho run decoder.yaml --chip isaac --sequence 512 --set tiles=336 --json -\n\n"
    "mho run resnet20 --chip sme --mapping squeezed --grid window:8:3 --squeeze 2 --verify\n\n"
    "mho run resnet50 --chip isaac --stream --rate 6000\n\n"
    "mho run resnet50 --chip aras --set layer_order=dataflow --stream --batch 16\n\n"
    "mho run resnet50 --strategy aras --banks greedy --cite\n\n"
    "mho run resnet50 --uncertainty\n\n"
    "mho run dlrm --trace clicks.npz --verify\n\n"
    "mho run dlrm --trace clicks.npz --arrivals poisson --uncertainty"
)


def run(
    model: str,
    *,
    chip: str | None = None,
    overrides: list[str] | None = None,
    reading: ModelOptions,
    strategy: StrategyOptions,
    stream: bool = False,
    verify: bool = False,
    samples: SampleFiles,
    life: Lifetime,
    whole: RecommenderOptions,
    uncertainty: bool = False,
    cite: bool = False,
    out: Path | None = None,
    save: Path | None = None,
    target: Target,
) -> None:
    """Compile a model for a chip and report time, energy, area and wear; with --verify, whether it computes the right thing.

    Exit code: 0 done, 1 found wrong by --verify, 2 a mistake in what was asked.
    """
    whole.check()
    strategy = strategy.as_stream() if stream else strategy
    if whole.trace is not None:
        later = {"--stream": stream, "--save": save is not None, "--csv": target.csv_to is not None, "--cite": cite}
        of_networks = given(reading, "input_size", "sequence", "shape")
        refuse(model, {**given(samples), **given(life), **of_networks, **strategy.of_codes(), **later})
        task = RecommenderTask(model, chip or CHIP, overrides, reading, strategy.strategy(), verify, whole, uncertainty)
        raise typer.Exit(int(not run_recommender(task, out=out, target=target)))
    chosen, reading, rounds = _chosen(strategy, reading)
    check_sampled(given(samples), chosen, executed=None if verify else "--verify, ")
    life.check(flows=flows(chosen))
    work = Compiling.of(model, reading, [chosen], SampleOptions(**vars(samples)), executes=verify)
    target.check(out=out, save=save)
    import mho
    from mho.machine.uncertainty import uncertainty as priced
    from mho.report import views

    with progress(target.quiet) as say:
        loaded, subject, executed = opened(work, chip or "aras", overrides, None, say)
        say("compiling")
        program = mho.compile(subject, loaded, work.strategies[0])
        verdict = None
        if executed is not None:
            say("executing the program and the integer reference")
            inputs = executed.first(execution_count(program.network, None)).inputs
            verdict = mho.verify(program, inputs, losses=samples.data is not None)
        say("simulating")
        report = mho.simulate(program, verified=verdict, endurance=life.endurance, rate=life.rate)
        report.uncertainty = priced(report, seed=reading.seed or 0) if uncertainty else None
        if save is not None:
            program.save(str(save))
        if out is not None:
            views.save(report, out)
    target.deliver(report, "layers", *_written(out, save), idle_rounds(program, rounds), highlight=True)
    if cite:
        print_papers(program.papers, target)
    if verdict is not None and not verdict.ok:
        raise typer.Exit(1)


def _written(out: Path | None, save: Path | None) -> tuple[str, str]:
    """Say what was written where."""
    page = f"report written to {out / 'report.html'}, report.json and trace.json (for Perfetto)" if out else ""
    return page, f"program kept in {save}" if save else ""


def _chosen(strategy: StrategyOptions, reading: ModelOptions) -> tuple[Strategy, ModelOptions, int | None]:
    """Return the strategy, how the model is read, and the inferences of a round where --batch says them.

    A stream takes one sample an inference; several together are a round of it.
    """
    chosen, batch = strategy.strategy(), reading.batch
    if batch is None or not flows(chosen):
        return chosen, reading, None
    return strategy.in_rounds(batch).strategy(), replace(reading, batch=None), batch
