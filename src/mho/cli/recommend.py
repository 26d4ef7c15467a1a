"""mho recommend: what a recommender's own look-ups gain by grouping and copying its rows, and where each row sits then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mho.cli.arriving import ArrivalOptions
from mho.cli.inputs import load_chip
from mho.cli.outputs import Target, print_papers, progress
from mho.cli.strategy import StrategyOptions
from mho.cli.trace_options import ReadingOptions
from mho.errors import OptionError

if TYPE_CHECKING:
    from mho.cli.outputs import Say
    from mho.explore.recommendation import Recommendation
    from mho.network.trace import Trace

EPILOG = (
    "mho recommend ml1m.npz --bag user --row item --compact --out out/movies\n\n"
    "mho recommend clicks.parquet --query session --row item --compact --minimum-frequency 10 --budget 1.5 --json -\n\n"
    "mho recommend january.npz --test february.npz --design recross --design mho\n\n"
    "mho recommend clicks.npz --arrivals poisson --loads 0.5,0.8,0.9 --batch-wait 2e-7\n\n"
    "mho recommend clicks.npz --uncertainty\n\n"
    "mho recommend clicks.npz --strategy mine.yaml --grouping refine --cite"
)
SHARE, ORDERS = 0.8, ("time", "seed")


@dataclass(frozen=True)
class SplitOptions:
    """The options that say which queries are history, and which are the test."""

    test: Path | None = None
    history: float | None = None
    split_by: str = "time"

    def check(self) -> None:
        """Refuse what does not go together."""
        if self.split_by not in ORDERS:
            raise OptionError(f"--split-by is {' or '.join(ORDERS)}, not {self.split_by!r}")
        if self.test is not None and (self.history is not None or self.split_by != ORDERS[0]):
            given = "--history" if self.history is not None else "--split-by"
            raise OptionError(f"{given} splits TRACE; with --test the whole of it is history")


@dataclass(frozen=True)
class DesignOptions:
    """The options that say which designs serve the test, and how."""

    dimension: int = 64
    batch: int = 256
    area: float | None = None
    areas: str = "equal"
    design: list[str] | None = None
    uncertainty: bool = False
    seed: int | None = None

    def names(self, split_by: str, strategy: StrategyOptions, *, drawn: bool) -> tuple[str, ...]:
        """Return the designs; refuse options that none of them takes. `drawn`: whether the seed draws arrivals too."""
        from mho.explore.designs import OWN, copying
        from mho.explore.recommendation import AREAS, COMPARED, check_designs

        names = check_designs(self.design or COMPARED, self.areas)
        for option in strategy.options() if OWN not in names else ():
            raise OptionError(f"{option} is for the design {OWN}, which is not asked for")
        if self.seed is not None and OWN not in names and split_by != "seed" and not drawn:
            raise OptionError(
                f"--seed is for the design {OWN}, which is not asked for, for --split-by seed and for --arrivals"
            )
        if self.area is not None and self.areas != AREAS[0] and not set(names) & set(copying()):
            raise OptionError(
                f"--budget is for designs with copies ({', '.join(copying())}), none of which is asked for"
            )
        return names


def recommend(
    trace: Path,
    *,
    rows: Any = None,
    reading: ReadingOptions,
    minimum_frequency: int | None = None,
    split: SplitOptions,
    chip: str = "recross",
    overrides: list[str] | None = None,
    serving: DesignOptions,
    arriving: ArrivalOptions,
    strategy: StrategyOptions,
    cite: bool = False,
    out: Path | None = None,
    target: Target,
) -> None:
    """Read a trace of look-ups, group and copy its rows by its history, and serve the rest with each design.

    Tells time, energy, area and load of each, side by side, in equal areas, and what each idea of the design mho brings. Designs
    see the history alone. The design mho is laid out by --strategy, a preset or file for embedding tables, else mho's own.

    Exit code: 0 done, 2 a mistake in what was asked, 130 interrupted.
    """
    from mho.explore.designs import OWN
    from mho.explore.recommendation import BUDGET
    from mho.explore.recommendation import recommend as recommended

    target.check(out=out)
    split.check()
    names, chosen = serving.names(split.split_by, strategy, drawn=arriving.draws), strategy.strategy(OWN)
    on = load_chip(chip, overrides)
    with progress(target.quiet) as say:
        say(f"reading {trace}")
        known, test = _read(trace, split.test, rows, reading, minimum_frequency)
        recommendation = recommended(
            known,
            test,
            history=SHARE if split.history is None else split.history,
            split_seed=(serving.seed or 0) if split.split_by == "seed" else None,
            chip=on,
            dimension=serving.dimension,
            batch=serving.batch,
            budget=BUDGET if serving.area is None else serving.area,
            strategy=chosen,
            designs=names,
            areas=serving.areas,
            arrivals=arriving.chosen(),
            uncertainty=serving.uncertainty,
            seed=serving.seed or 0,
            say=say,
        )
        written = () if out is None else _saved(recommendation, out, say)
    text = f"\nwritten to {', '.join(map(str, written))}" if written else ""
    target.deliver(recommendation, "designs", text)
    if cite:
        print_papers(recommendation.papers, target)


def _saved(recommendation: Recommendation, out: Path, say: Say) -> tuple[Path, ...]:
    """Write page, data and layout; return their paths."""
    from mho.report.views import save

    say(f"writing {out}")
    return save(recommendation, out)


def _read(
    path: Path, test: Path | None, rows: Any, reading: ReadingOptions, least: int | None
) -> tuple[Trace, Trace | None]:
    """Read the trace, and the test where it has a file of its own."""
    from mho.network.trace import align, join, minimum_frequency, read

    known = read(path, rows=rows, **reading.given())
    if test is None:
        return (known if least is None else minimum_frequency(known, least)), None
    # Each file knows of its tables only the rows that it looks up, or those up to the highest.
    known, tested = align(known, read(test, rows=rows, **reading.given()))
    if least is None:
        return known, tested
    last = int(known.queries[-1]) if known.bags else 0
    behind = tested.queries - int(tested.queries[0]) + last + 1 if tested.bags else tested.queries
    kept = minimum_frequency(join((known, replace(tested, queries=behind))), least)
    cut = int((kept.queries <= last).sum())
    return (
        replace(kept.select(slice(0, cut)), origin=f"{known.origin}, rows seen {least} times or more"),
        replace(kept.select(slice(cut, kept.bags)), origin=f"{tested.origin}, rows seen {least} times or more"),
    )
