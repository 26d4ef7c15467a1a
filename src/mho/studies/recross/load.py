"""The traces of the study: four real ones, and made-up ones that follow the published reuse of Meta's tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from mho.chip import Chip
from mho.network.trace import Communities, Trace, read, synthesise
from mho.studies.work import Work

SHARE, SEED = 0.8, 0
"""History: this share of the queries, drawn at random with this seed. All else is the test."""
COHESIONS = (0.0, 0.25, 0.5, 0.75, 0.95)
PRODUCTION, SMALLER = "production", "smaller"


@dataclass(frozen=True)
class RealTrace:
    """A file of the folder of real data, and how it is read."""

    file: str
    columns: dict[str, str] = field(default_factory=dict, hash=False)

    def load(self, data: Path) -> Trace:
        """Read it; rows that nobody looks up are left out."""
        return read(data / self.file, compact=True, **self.columns)  # type: ignore[arg-type]


REAL = {
    "gowalla": RealTrace("recsys/gowalla_train.npz"),
    "ml1m": RealTrace("recsys/ml1m.npz", {"bag": "user", "row": "item"}),
    "beauty": RealTrace("recsys/amazon_beauty_seq.npz"),
    "groceries": RealTrace("recsys/groceries_baskets.npz"),
}


def made_up(cohesion: float, queries: int, rows: int) -> Trace:
    """Make up a table that is looked up as Meta's are: reuse as published, bags of about 20 rows, communities of 64 rows."""
    communities = Communities(64, cohesion)
    return synthesise(queries, rows, 20.0, popularity="reuse", communities=communities, distinct=True, seed=SEED)


def names(work: Work) -> tuple[str, ...]:
    """Return the traces that the study measures: the real ones where there is a folder of data, the smallest when quick."""
    real = () if work.settings.data is None else ("groceries",) if work.settings.quick else tuple(REAL)
    return (*real, PRODUCTION)


def load(work: Work, name: str) -> tuple[Trace, Trace]:
    """Return history and test of a trace. PRODUCTION has half of its look-ups in communities; "smaller C", of a fifth of the rows,
    the share C of them.
    """
    return _loaded(work.settings.data, work.settings.quick, name)


def files(work: Work, name: str) -> tuple[Path, ...]:
    """Return the file of a real trace; none for a synthetic one."""
    data = work.settings.data
    return () if data is None or name not in REAL else (data / REAL[name].file,)


@cache
def _loaded(data: Path | None, quick: bool, name: str) -> tuple[Trace, Trace]:
    if name in REAL:
        assert data is not None
        trace = REAL[name].load(data)
    elif name == PRODUCTION:
        trace = made_up(0.5, *((2_000, 10_000) if quick else (20_000, 100_000)))
    else:
        trace = made_up(float(name.removeprefix(f"{SMALLER} ")), 20_000, 20_000)
    return trace.split(SHARE, SEED)


def chip() -> Chip:
    """Return the chip of every design: preset recross."""
    return Chip.load("recross")
