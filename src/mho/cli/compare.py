"""mho compare: several schedules of one model on one chip, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mho.cli import options as use
from mho.cli.inputs import ModelOptions, checked_seed, draws_weights, load_chip, load_network
from mho.cli.outputs import check_outputs, emit, progress
from mho.cli.registries import NAMES, check_strategies

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
    ] = "naive,overlap",
    mapping: use.MappingName = "dense",
    packing: use.Packing = "diagonal",
    residency: use.Residency = "auto",
    json_to: use.Json = None,
) -> None:
    """Compare schedules of one model on one chip: time, speed-up, energy, cell writes."""
    names = [name.strip() for name in schedule.split(",")]
    for name in names:
        check_strategies(schedule=name, mapping=mapping, packing=packing, residency=residency)
    check_outputs(json_to=json_to)

    import mho
    from mho.report.terminal import comparison

    seed = checked_seed(seed, drawn=draws_weights(model, weights, values=False))
    with progress(quiet=json_to == "-") as say:
        say("loading the chip")
        loaded = load_chip(chip, overrides)
        say(f"importing {model}")
        network = load_network(model, ModelOptions(weights, seed, batch, input_size, sequence, shape, values=False))
        subject: Network | QuantisedNetwork = network
        if network.has_values:
            say("quantising")
            subject = mho.quantise(network)
        reports = []
        for name in names:
            say(f"compiling and simulating: {name}")
            program = mho.compile(subject, loaded, schedule=name, mapping=mapping, packing=packing, residency=residency)
            reports.append(mho.simulate(program))
    if not emit({"schema": "mho.comparison/1", "reports": [report.to_dict() for report in reports]}, json_to):
        from rich.console import Console

        comparison(reports, Console())
