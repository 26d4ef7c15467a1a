"""mho run MODEL --trace: a whole recommender, one program of tables and dense part, which serves a trace in batches."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mho.cli.arriving import ArrivalOptions
from mho.cli.inputs import ModelOptions, load_chip
from mho.cli.outputs import Target, progress
from mho.cli.strategy import seeded
from mho.errors import OptionError, TraceError

if TYPE_CHECKING:
    from mho.machine.recommender import Recommender
    from mho.network.trace import Trace
    from mho.strategy import Strategy

MODEL, CHIP = "dlrm", "recross"
BATCH, DIMENSION, BUDGET = 256, 16, 1.25
HISTORY, SEED = 0.8, 0


@dataclass(frozen=True)
class RecommenderOptions(ArrivalOptions):
    """The options that only a whole recommender takes; None: not given."""

    trace: Path | None = None
    dimension: int | None = None
    table_area: float | None = None

    def check(self) -> None:
        """Refuse what changes nothing without a trace, and an area that is none."""
        for option, value in (
            ("--dimension", self.dimension), ("--table-area", self.table_area), ("--arrivals", self.arrivals),
        ):  # fmt: skip
            if self.trace is None and value is not None:
                raise OptionError(f"{option} is for --trace")
        if self.table_area is not None and self.table_area < 1:
            raise OptionError(f"--table-area is a number from 1, not {self.table_area:g}")
        self.chosen()


@dataclass(frozen=True)
class RecommenderTask:
    """A whole recommender to run, with every option of `mho run` that it takes."""

    model: str
    chip: str
    overrides: list[str] | None
    reading: ModelOptions
    strategy: Strategy
    verify: bool
    whole: RecommenderOptions
    uncertainty: bool = False


def refuse(model: str, given: Mapping[str, bool]) -> None:
    """Refuse models that have no tables, and options that are for single networks."""
    from mho.network.zoo.interaction import MODELS

    if model not in MODELS:
        known = f"recommenders ({', '.join(MODELS)})"
        raise OptionError(f"--trace is for {known}, not {model}; trained tables come by --weights FILE.safetensors")
    for option, there in given.items():
        if there:
            raise OptionError(f"{option} is not for --trace")


def run_recommender(task: RecommenderTask, *, out: Path | None, target: Target) -> bool:
    """Run a recommender and show what it takes; return False where --verify finds it wrong, else True."""
    import mho
    from mho.explore import Request
    from mho.machine.recommender.whole import run_whole
    from mho.report.views import save
    from mho.schedule import Seated

    reading, options = task.reading, task.whole
    seed = SEED if reading.seed is None else reading.seed
    strategy = seeded(task.strategy, seed)
    assert options.trace is not None
    target.check(out=out)
    with progress(target.quiet) as say:
        chip = load_chip(task.chip, task.overrides)
        _check_weights(task.model, reading.weights, options.dimension)
        say(f"reading {options.trace}")
        trace, recommender = _opened(options.trace, task.model, reading.weights, options.dimension, seed)
        history, test = trace.split(HISTORY, seed)
        batch = _batch(test, reading.batch)
        say("grouping rows by the history")
        budget = BUDGET if options.table_area is None else options.table_area
        request = Request(history, chip, budget, batch, recommender.part.width, seed, strategy=strategy.of_tables())
        tables, dense = request.design("tables", request.strategy), strategy.of_networks()
        whole = run_whole(
            recommender,
            test,
            tables.layout,
            tables.chip,
            lambda network, seats: mho.compile(Seated(network, seats), seats.chip, dense),
            batch=batch,
            placed=tables.placed,
            verified=batch if task.verify else 0,
            arrivals=options.chosen(),
            seed=seed,
            uncertainty=task.uncertainty,
            say=say,
        )
        if out is not None:
            say(f"writing {out}")
            save(whole, out)
    text = (
        f"written to {out / 'recommender.html'}; the program's report to {out / 'program' / 'report.html'}"
        if out
        else ""
    )
    target.deliver(whole, "parts", text, highlight=True)
    return whole.right


def _check_weights(model: str, weights: str | None, dimension: int | None) -> None:
    """Refuse weights without values, seeded ones of other models than the DLRM, and a dimension where a file has its own."""
    if model != MODEL and weights in (None, "seeded"):
        raise OptionError(
            f"--trace: {model} has no seeded weights; train it (mho train) and give --weights FILE.safetensors"
        )
    if weights == "none":
        raise OptionError("--weights none gives shapes alone; with --trace give seeded or a file")
    if weights not in (None, "seeded") and dimension is not None:
        raise OptionError(f"--dimension is for seeded tables; {weights} has its own")


def _opened(path: Path, model: str, weights: str | None, dimension: int | None, seed: int) -> tuple[Trace, Recommender]:
    """Return the trace and the recommender that it is for."""
    from mho.machine.recommender import open_recommender, seeded_recommender
    from mho.machine.recommender.whole import check_tables
    from mho.network.trace import read

    if weights in (None, "seeded"):
        trace = read(path)
        return trace, seeded_recommender(trace, DIMENSION if dimension is None else dimension, seed)
    recommender = open_recommender(str(weights))
    kind = recommender.part.model.kind
    if kind != model:
        raise OptionError(f"{weights} is a {kind}, not a {model}: mho run {kind} --trace {path} --weights {weights}")
    trace = read(path)
    if trace.rows != recommender.rows:
        # A file that does not tell its tables' rows shows them up to the highest looked up alone; the tables may have more.
        with suppress(TraceError):
            trace = read(path, rows=recommender.rows)
    check_tables(recommender, trace)
    return trace, recommender


def _batch(test: Trace, given: int | None) -> int:
    """Return the queries of a batch; refuse, before rows are grouped, more than are served."""
    queries = len(set(test.queries.tolist()))
    if given is not None and given > queries:
        raise OptionError(f"--batch {given}: the trace leaves {queries} queries to serve, fewer than a batch")
    return min(BATCH, queries) if given is None else given
