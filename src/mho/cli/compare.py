"""mho compare: several schedules of one model on one chip, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mho.cli import options as use
from mho.cli.choice import Choice
from mho.cli.coding import WeightOptions, needs_weights
from mho.cli.inputs import ModelOptions, SampleOptions, checked_seed, draws_weights, load_chip, load_network
from mho.cli.outputs import check_outputs, emit, progress
from mho.cli.registries import NAMES
from mho.cli.strategy import StrategyOptions
from mho.errors import OptionError

if TYPE_CHECKING:
    from mho.network.graph import Network
    from mho.number import QuantisedNetwork

EPILOG = "mho compare resnet50 --schedule naive,overlap\n\nmho compare bert-base --sequence 64 --set tiles=48 --json -"


def compare(
    model: use.Model,
    *,
    chip: use.ChipName = "aras",
    overrides: use.Override = None,
    reading: ModelOptions,
    coding: WeightOptions,
    schedule: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            rich_help_panel=use.STRATEGY,
            help=f"Schedules, separated by commas, of: {NAMES}. The others are compared with the first.",
        ),
    ] = "naive,overlap,aras,adaptive",
    strategy: StrategyOptions,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=use.SAMPLES,
            help="Samples (.npz) that weights are rounded by, and their codings chosen. Only with --rounding output or --budget; "
            "no program is executed.",
        ),
    ] = None,
    key: use.Key = None,
    endurance: use.Endurance = None,
    rate: use.Rate = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", rich_help_panel=use.OUTPUT, help="Write compare.html and compare.json there."),
    ] = None,
    csv_to: use.Csv = None,
    json_to: use.Json = None,
) -> None:
    """Compare schedules of one model on one chip: time, speed-up, energy, cell writes."""
    names = [name.strip() for name in schedule.split(",")]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise OptionError(f"--schedule names {twice} twice")
    strategy.check(names)
    if calibration is not None and not coding.by_samples:
        raise OptionError("--calibration is for --rounding output and --budget; without them nothing goes by samples")
    coding.check(mapping=strategy.mapping, samples="--calibration" if calibration is None else None)
    use.check_rate(endurance, rate)
    values = needs_weights(reading.weights, strategy.of_weights(), coding.of_weights())
    drawn = draws_weights(model, reading.weights, values=values)
    seed = checked_seed(reading.seed, drawn=drawn or strategy.searches(names))
    asked = SampleOptions(None, calibration, key, seed)
    check_outputs(json_to=json_to, csv_to=csv_to, out=out)

    import mho
    from mho.report.comparison import Comparison
    from mho.report.views import save, show

    with progress(quiet="-" in (json_to, csv_to)) as say:
        say("loading the chip")
        loaded = load_chip(chip, overrides)
        strategy.check_chip(loaded)
        say(f"importing {model}")
        network = load_network(model, reading, values=values)
        subject: Network | QuantisedNetwork = network
        if network.has_values:
            say("quantising")
            measured = asked.measured(network) if coding.by_samples else None
            subject = coding.coded(network, measured, choice=Choice(loaded, strategy, say))
        reports = []
        for name in names:
            say(f"compiling and simulating: {name}")
            program = strategy.compile(subject, loaded, schedule=name, seed=seed)
            reports.append(mho.simulate(program, endurance=endurance, rate=rate))
        compared = Comparison(tuple(reports))
        if out is not None:
            save(compared, out)
    if not emit(compared.to_dict(), json_to, csv_to, compared.frame()):
        from mho.report.console import terminal

        console = terminal()
        show(compared, console)
        if out is not None:
            written = f"written to {out / 'compare.html'} and compare.json"
            console.print(written, highlight=False, markup=False, soft_wrap=True)
