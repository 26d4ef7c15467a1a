"""mho run: what a model costs on a chip, and whether its program is right."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from mho.cli import options as use
from mho.cli.choice import Choice
from mho.cli.coding import WeightOptions, needs_weights
from mho.cli.inputs import (
    ModelOptions,
    SampleOptions,
    checked_seed,
    draws_weights,
    execution_count,
    judging,
    load_chip,
    load_network,
)
from mho.cli.outputs import check_outputs, emit, progress
from mho.cli.recommender import CHIP, Asked, RecommenderOptions, refuse, run_recommender
from mho.cli.strategy import StrategyOptions
from mho.errors import OptionError

EPILOG = (
    "mho run resnet50 --out report\n\n"
    "mho run resnet20 --weights resnet20.safetensors --data test.npz --verify\n\n"
    "mho run decoder.yaml --chip isaac --sequence 512 --set tiles=336 --json -\n\n"
    "mho run resnet20 --chip sme --mapping squeezed --grid window:8:3 --squeeze 2 --verify\n\n"
    "mho run dlrm --trace clicks.npz --verify"
)


def run(
    model: use.Model,
    *,
    chip: use.ChipOrOwn = None,
    overrides: use.Override = None,
    reading: ModelOptions,
    coding: WeightOptions,
    schedule: use.ScheduleName = "adaptive",
    strategy: StrategyOptions,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            rich_help_panel=use.SAMPLES,
            help="Execute the very program that is timed too, on one batch, and compare with the integer reference.",
        ),
    ] = False,
    data: use.Data = None,
    calibration: use.Calibration = None,
    key: use.Key = None,
    endurance: use.Endurance = None,
    rate: use.Rate = None,
    whole: RecommenderOptions,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            rich_help_panel=use.OUTPUT,
            help="Write report.html, report.json and trace.json there; with --trace recommender.html and recommender.json, and the "
            "three of the dense part in the folder dense.",
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.mho",
            rich_help_panel=use.OUTPUT,
            help="Keep the program, for mho list; one that is made with --verify can be executed by mho verify, too.",
        ),
    ] = None,
    csv_to: use.Csv = None,
    json_to: use.Json = None,
) -> None:
    """Compile a model for a chip and report time, energy, area and wear; with --verify, whether it computes the right thing.

    Exit code: 0 done, 1 found wrong by --verify, 2 a mistake in what was asked.
    """
    strategy.check([schedule])
    whole.check()
    if whole.trace is not None:
        others = {
            "--data": data is not None, "--calibration": calibration is not None, "--key": key is not None,
            "--endurance": endurance is not None, "--rate": rate is not None, "--save": save is not None,
            "--csv": csv_to is not None,
            "--input-size": reading.input_size is not None, "--sequence": reading.sequence is not None,
            "--shape": bool(reading.shape),
            **{f"--{each.name.replace('_', '-')}": getattr(coding, each.name) != each.default for each in fields(coding)},
        }  # fmt: skip
        refuse(model, others)
        check_outputs(json_to=json_to, out=out)
        asked_whole = Asked(model, chip or CHIP, overrides, reading, schedule, strategy, verify, whole)
        if not run_recommender(asked_whole, out=out, json_to=json_to):
            raise typer.Exit(1)
        return
    sampled = verify or coding.by_samples
    for option, given in (("--data", data is not None), ("--calibration", calibration is not None)):
        if given and not sampled:
            raise OptionError(
                f"{option} is for --verify, --rounding output and --budget; without them nothing is executed"
            )
    lacking = "--calibration or --data" if data is None and calibration is None else None
    coding.check(mapping=strategy.mapping, samples=lacking)
    use.check_rate(endurance, rate)
    values = needs_weights(reading.weights, strategy.of_weights(), coding.of_weights()) or verify
    drawn = draws_weights(model, reading.weights, values=values) or (verify and data is None)
    seed = checked_seed(reading.seed, drawn=drawn or strategy.searches([schedule]))
    asked = SampleOptions(data, calibration, key, seed)
    check_outputs(json_to=json_to, csv_to=csv_to, out=out, save=save)

    import mho
    from mho.report import views

    with progress(quiet="-" in (json_to, csv_to)) as say:
        say("loading the chip")
        loaded = load_chip(chip or "aras", overrides)
        strategy.check_chip(loaded)
        say(f"importing {model}")
        network = load_network(model, reading, values=values)
        verdict, samples, coded, judges = None, None, None, None
        if sampled or coding.of_weights():
            _check_values(network.has_values)
            if verify:
                held = asked.executed(network, None)
                samples = held.first(execution_count(network, None))
                judges = judging(held, network, strategy.alignment)
            say("quantising")
            measured = asked.measured(network) if sampled else None
            coded = coding.coded(network, measured, choice=Choice(loaded, strategy, say))
        say("compiling")
        program = strategy.compile(coded or network, loaded, schedule=schedule, seed=seed, samples=judges)
        if samples is not None:
            say("executing the program and the integer reference")
            verdict = mho.verify(program, samples.inputs, losses=data is not None)
        say("simulating")
        report = mho.simulate(program, verified=verdict, endurance=endurance, rate=rate)
        if save is not None:
            say(f"writing {save}")
            program.save(str(save))
        if out is not None:
            say(f"writing {out}")
            views.save(report, out)
    if not emit(report.to_dict(), json_to, csv_to, report.frame("layers")):
        from mho.report.console import terminal

        console = terminal()
        views.show(report, console)
        if out is not None:
            written = f"report written to {out / 'report.html'}, report.json and trace.json (for Perfetto)"
            console.print(written, highlight=False, markup=False, soft_wrap=True)
        if save is not None:
            console.print(f"program kept in {save}", highlight=False, markup=False, soft_wrap=True)
    if verdict is not None and not verdict.ok:
        raise typer.Exit(1)


def _check_values(known: bool) -> None:
    """Refuse to execute or quantise shapes."""
    if not known:
        raise OptionError(
            "--weights none gives shapes alone, which cannot be quantised or executed; give seeded or a file"
        )
