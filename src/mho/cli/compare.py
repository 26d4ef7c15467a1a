"""mho compare: several schedules of one model, on one chip or several, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mho.cli.compiling import Compiling, opened
from mho.cli.inputs import ModelOptions, SampleOptions
from mho.cli.options import Lifetime
from mho.cli.outputs import Target, progress
from mho.cli.strategy import StrategyOptions, check_sampled
from mho.errors import OptionError

if TYPE_CHECKING:
    from mho.strategy import Choice, Strategy

EPILOG = (
    "mho compare resnet50 --schedule naive,overlap\n\n"
    "mho compare resnet50 --chip aras,isaac,my-chip.yaml --schedule overlap --out out/chips\n\n"
    "mho compare bert-base --sequence 64 --set tiles=48 --json -"
)
USUAL = "naive,overlap,aras,adaptive"
"""Schedules that are compared where none are named."""


def compare(
    model: str,
    *,
    chip: str = "aras",
    overrides: list[str] | None = None,
    reading: ModelOptions,
    schedule: str | None = None,
    strategy: StrategyOptions,
    calibration: Path | None = None,
    key: list[str] | None = None,
    life: Lifetime,
    uncertainty: bool = False,
    out: Path | None = None,
    target: Target,
) -> None:
    """Compare schedules of one model, on one chip or several: time, speed-up, energy, area, cell writes."""
    chips = listed(chip)
    strategies = strategy.strategies("schedule", schedule, USUAL)
    check_sampled({"--calibration": calibration is not None}, *strategies, executed="")
    life.check()
    work = Compiling.of(model, reading, strategies, SampleOptions(None, calibration, key), executes=False)
    works = [replace(work, strategies=alike) for alike in by_codes(work.strategies)]
    target.check(out=out)

    import mho
    from mho.explore import Comparison
    from mho.report.views import save

    with progress(target.quiet) as say:
        # Everything is loaded, and what cannot be is refused, before anything is compiled.
        models = [each.network(say) for each in works]
        opened_works = [
            (each, *opened(each, name, overrides, None, say, model)[:2])
            for name in chips
            for each, model in zip(works, models, strict=True)
        ]
        reports = []
        for each, loaded, subject in opened_works:
            for chosen in each.strategies:
                say(f"compiling and simulating: {loaded.name} {chosen.schedule.name}")
                program = mho.compile(subject, loaded, chosen)
                reports.append(mho.simulate(program, endurance=life.endurance, rate=life.rate))
        compared = Comparison.between(*reports, uncertainty=uncertainty)
        if out is not None:
            save(compared, out)
    target.deliver(compared, None, f"written to {out / 'compare.html'} and compare.json" if out else "", highlight=True)


def listed(chip: str) -> list[str]:
    """Return the chips that are named, separated by commas. OptionError for one named twice."""
    names = [name.strip() for name in chip.split(",")]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise OptionError(f"--chip names {twice} twice")
    return names


def by_codes(strategies: Sequence[Strategy]) -> list[tuple[Strategy, ...]]:
    """Return strategies that code weights alike together, in order: each coding is made once."""
    alike: dict[Choice, list[Strategy]] = {}
    for strategy in strategies:
        alike.setdefault(strategy.coding, []).append(strategy)
    return [tuple(each) for each in alike.values()]
