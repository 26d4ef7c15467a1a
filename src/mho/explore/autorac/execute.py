"""A trained recommender on a chip, measured from its program: time, energy, area, exactness, and what it is worth as executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mho.chip import Chip
from mho.explore.screening import Judge, Subject
from mho.explore.space import Space, Value
from mho.machine.analog import Analog, Device
from mho.machine.functional import execute
from mho.machine.recommender.recommender import Recommender
from mho.machine.report import Report
from mho.machine.verify import verify
from mho.network.clicks import Clicks, Part
from mho.network.zoo.recommenders import OUTPUT
from mho.number import QuantisedNetwork, Sampled
from mho.program import Program
from mho.strategy import Strategy
from mho.training.clicks.judge import Worth, scores, worth

VERIFIED = 16
"""Records whose scores are executed from cells and compared with the integer reference."""
NOISY = 512
"""Records of a fold, the first ones, that are executed with devices and converters as they are."""
CHUNK = 1024
"""Records that are executed at once."""
OBJECTIVES = ("time", "interval", "energy", "area", "unresolved")


@dataclass(frozen=True)
class Machine:
    """A chip and a strategy, with values of a design's keys."""

    chip: Chip
    strategy: Strategy
    values: Mapping[str, Value]

    def measured(self, recommender: Recommender) -> tuple[dict[str, Any], Report]:
        """Compile the dense part and measure it: figures in SI units, and the report. Raises as `mho.compile` does."""
        return self.of(recommender.name, recommender.for_batch(1))

    def of(self, name: str, dense: QuantisedNetwork) -> tuple[dict[str, Any], Report]:
        """Compile and measure a dense part of one query."""
        space = Space({key: [value] for key, value in self.values.items()}) if self.values else _NOTHING
        subject = Subject(name, {(): Sampled.of(dense)})
        judge = Judge((subject,), space, self.chip, self.strategy, Analog(), OBJECTIVES, whole=True)
        (design,) = judge.designs(dict(self.values))
        figures, report = judge.told(design)
        return dict(figures), report


_NOTHING = Space({"tiles": ["fit"]})


def vectors(recommender: Recommender, part: Part, count: int) -> np.ndarray[Any, Any]:
    """Return the inputs of the dense part for the first records of a fold."""
    some = part.x[:count]
    codes = [table.codes[some[:, at]] for at, table in enumerate(recommender.tables)]
    return recommender.vectors(np.stack(codes, axis=1).astype(np.int64))


def proven(program: Program, recommender: Recommender, clicks: Clicks) -> str:
    """Execute some records of the fold to choose by, and say whether the scores are the integers', and the program legal."""
    some = clicks.valid.x[:VERIFIED]
    inputs = vectors(recommender, clicks.valid, VERIFIED)
    wrong = int((execute(program, inputs)[OUTPUT][:, 0] != scores(recommender, some)).sum())
    if wrong:
        return f"not exact: {wrong} of {len(some)} scores differ"
    return f"{verify(program, inputs[: program.network.batch])}; scores of {len(some)} records"


def executed(program: Program, recommender: Recommender, part: Part) -> float:
    """Return the log loss of a fold whose every score is executed from the cells of a chip."""
    found = [
        execute(program, vectors(recommender, Part(part.x[start : start + CHUNK], part.y), CHUNK))[OUTPUT][:, 0]
        for start in range(0, len(part.y), CHUNK)
    ]
    return worth(np.concatenate(found), part).log_loss


def noisy(program: Program, recommender: Recommender, part: Part, device: str, seed: int) -> tuple[Worth, Worth]:
    """Return what a recommender is worth on the first records of a fold: as its chip computes with cells of a device and its own
    converters, and in integers, on the same records.
    """
    some = Part(part.x[:NOISY], part.y[:NOISY])
    analog = Analog(device=Device.load(device), seed=seed)
    found = execute(program, vectors(recommender, some, NOISY), analog=analog)[OUTPUT][:, 0]
    return worth(found, some), worth(scores(recommender, some.x), some)


def chip_file(chip: Chip, base: str, values: Mapping[str, Value], name: str) -> dict[str, Any]:
    """Return a chip's file, as YAML has it: what it extends, and the values that differ, with their source."""
    from mho.chip.store import vary

    source = "assumption: found by a search"
    raw = vary(chip, values, source)[0]
    content: dict[str, Any] = {"schema": raw["schema"], "name": name, "extends": base, "sources": {}}
    for key in values:
        place, found = content, raw
        *path, last = key.split(".")
        for part in path:
            place, found = place.setdefault(part, {}), found[part]
        place[last] = found[last]
        content["sources"][found[last]["source"]] = source
    return content


__all__ = ["NOISY", "VERIFIED", "Machine", "chip_file", "executed", "noisy", "proven", "vectors"]
