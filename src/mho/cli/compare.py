"""mho compare: several schedules of one model on one chip, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mho.cli import options as use
from mho.cli.inputs import ModelOptions, checked_seed, draws_weights, load_chip, load_network, searching
from mho.cli.outputs import check_outputs, emit, progress
from mho.cli.registries import NAMES, check_strategies
from mho.errors import OptionError

if TYPE_CHECKING:
    from mho.network.graph import Network
    from mho.number import QuantisedNetwork

EPILOG = "mho compare resnet50 --schedule naive,overlap\n\nmho compare bert-base --sequence 64 --set tiles=48 --json -"


def compare(
    model: use.Model,
    chip: use.ChipName = "aras",
    overrides: use.Override = None,
    weights: use.Weights = None,
    seed: use.Seed = None,
    batch: use.Batch = 1,
    input_size: use.InputSize = None,
    sequence: use.Sequence = None,
    shape: use.Shape = None,
    schedule: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            rich_help_panel=use.STRATEGY,
            help=f"Schedules, separated by commas, of: {NAMES}. The others are compared with the first.",
        ),
    ] = "naive,overlap,aras,adaptive",
    mapping: use.MappingName = "dense",
    packing: use.Packing = "diagonal",
    residency: use.Residency = "auto",
    banks: use.Banks = "ilp",
    alignment: use.Alignment = "none",
    low_cell: use.LowCell = "all",
    placement: use.Placement = "none",
    objective: use.Objective = None,
    effort: use.Effort = None,
    time_limit: use.TimeLimit = None,
    endurance: use.Endurance = None,
    rate: use.Rate = None,
    json_to: use.Json = None,
) -> None:
    """Compare schedules of one model on one chip: time, speed-up, energy, cell writes."""
    names = [name.strip() for name in schedule.split(",")]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise OptionError(f"--schedule names {twice} twice")
    strategy = {
        "mapping": mapping, "packing": packing, "residency": residency, "banks": banks, "low_cell": low_cell,
        "placement": placement,
    }  # fmt: skip
    for name in names:
        check_strategies(schedule=name, objective=objective, **strategy)
    use.check_rate(endurance, rate)
    check_outputs(json_to=json_to)

    import mho
    from mho.report.terminal import comparison

    values = use.needs_weights(alignment, low_cell, placement, weights)
    searched = "adaptive" in names and effort != 0
    seed = checked_seed(seed, drawn=draws_weights(model, weights, values=values) or searched)
    search = searching(names, seed, objective, effort, time_limit)
    with progress(quiet=json_to == "-") as say:
        say("loading the chip")
        loaded = load_chip(chip, overrides)
        say(f"importing {model}")
        network = load_network(model, ModelOptions(weights, seed, batch, input_size, sequence, shape, values=values))
        subject: Network | QuantisedNetwork = network
        if network.has_values:
            say("quantising")
            subject = mho.quantise(network)
        reports = []
        for name in names:
            say(f"compiling and simulating: {name}")
            program = mho.compile(
                subject,
                loaded,
                schedule=name,
                alignment=alignment,
                samples=None,
                search=search if name == "adaptive" else None,
                **strategy,
            )
            reports.append(mho.simulate(program, endurance=endurance, rate=rate))
    if not emit({"schema": "mho.comparison/1", "reports": [report.to_dict() for report in reports]}, json_to):
        from rich.console import Console

        comparison(reports, Console())
