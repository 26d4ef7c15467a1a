"""mho robust: how sure the energies of schedules are, over all constants that published sources allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mho.cli.compiling import Compiling, opened
from mho.cli.inputs import ModelOptions, SampleOptions
from mho.cli.outputs import Target, progress
from mho.cli.strategy import StrategyOptions, check_sampled
from mho.errors import OptionError

EPILOG = (
    "mho robust resnet50 --schedule overlap,aras --against tpu-like\n\n"
    "mho robust bert-base --schedule overlap,aras --wanted 28 --out out/sure\n\n"
    "mho robust vgg16 --chip isaac --schedule overlap --json -"
)
USUAL = "overlap,aras"
"""Schedules that are priced where none are named."""


def robust(
    model: str,
    *,
    chip: str = "aras",
    overrides: list[str] | None = None,
    reading: ModelOptions,
    schedule: str | None = None,
    strategy: StrategyOptions,
    against: str | None = None,
    wanted: float | None = None,
    draws: int = 2000,
    calibration: Path | None = None,
    key: list[str] | None = None,
    out: Path | None = None,
    target: Target,
) -> None:
    """Tell how sure energies are: intervals over published constants, which schedule takes less whatever they are, what decides.

    Each schedule is compiled once; its events are then priced by draws of all constants whose files name a spread, the same
    draw for all. A comparison is decided if its sign holds over all ranges, else undecided, with the constants that flip it.
    """
    strategies = strategy.strategies("schedule", schedule, USUAL)
    check_sampled({"--calibration": calibration is not None}, *strategies, executed="")
    work = Compiling.of(model, reading, strategies, SampleOptions(None, calibration, key), executes=False, drawn=True)
    names = [each.schedule.name for each in work.strategies]
    if wanted is not None and len(names) + (against is not None) < 2:
        raise OptionError("--wanted is a saving over the first of several: name more schedules, or --against")
    target.check(out=out)

    import mho
    from mho.machine.systolic import run
    from mho.report.views import save

    with progress(target.quiet) as say:
        network = work.network(say)
        loaded, subject = opened(work, chip, overrides, None, say, network)[:2]
        measured: dict[str, Any] = {}
        for name, chosen in zip(names, work.strategies, strict=True):
            say(f"compiling and simulating: {name}")
            measured[name] = mho.simulate(mho.compile(subject, loaded, chosen))
        if against is not None:
            say(f"counting: {against}")
            measured[against] = run(measured[names[0]].program.network, against)
        say("pricing")
        share = None if wanted is None else wanted / 100
        found = mho.robust(measured, draws=draws, seed=reading.seed or 0, wanted=share)
        if out is not None:
            save(found, out)
    target.deliver(
        found, "energies", f"written to {out / 'robust.html'} and robust.json" if out else "", highlight=True
    )
