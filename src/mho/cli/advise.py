"""mho advise: what each parameter of a design, one step up and down, brings in time, energy and area."""

from __future__ import annotations

from pathlib import Path

from mho.cli.compiling import Compiling
from mho.cli.inputs import ModelOptions, SampleOptions, overridden, read_changes
from mho.cli.outputs import Target, progress
from mho.cli.strategy import StrategyOptions, check_sampled

EPILOG = (
    "mho advise resnet18 --chip aras --schedule overlap\n\n"
    "mho advise resnet50 --chip isaac --set tiles=fit --minimise energy --workers 2 --out advice\n\n"
    "mho advise bert-base --chip aras --set tiles=200 --minimise edp --csv -"
)


def advise(
    model: str,
    *,
    chip: str = "aras",
    overrides: list[str] | None = None,
    reading: ModelOptions,
    strategy: StrategyOptions,
    minimise: str = "time",
    calibration: Path | None = None,
    key: list[str] | None = None,
    uncertainty: bool = False,
    workers: int = 1,
    out: Path | None = None,
    target: Target,
) -> None:
    """Tell what to change of a design: every parameter one step up and down, every stage decided otherwise, what each brings.

    Each change is compiled and measured alone, and told in time, energy and area, those first that bring most of what is
    minimised; with it where the time of the design goes, layer by layer.
    """
    chosen = strategy.strategy()
    check_sampled({"--calibration": calibration is not None}, chosen, executed="")
    work = Compiling.of(model, reading, [chosen], SampleOptions(None, calibration, key), executes=False)
    target.check(out=out)

    import mho
    from mho.chip import Chip
    from mho.chip.fit import copies_asked, unsized
    from mho.report.views import save

    with progress(target.quiet) as say:
        say("loading the chip")
        changes = read_changes(overrides, "tiles=48")
        loaded = overridden(Chip.load(chip), unsized(changes), "--set")
        subject = work.sampled(work.network(say), None)
        advice = mho.explore.advise(
            subject,
            loaded,
            work.strategies[0],
            minimise=minimise,
            copies=copies_asked(changes),
            uncertainty=uncertainty,
            workers=workers,
            say=say,
        )
        if out is not None:
            save(advice, out)
    target.deliver(
        advice, "changes", f"\nwritten to {out / 'advise.html'} and advise.json" if out else "", highlight=True
    )
