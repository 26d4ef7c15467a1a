"""One design of a joint space judged in a search: the log loss of its model by a score, what it costs by closed formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mho.errors import MhoError, OutputError, PluginError
from mho.explore.autorac.closed import ClosedJudge
from mho.explore.autorac.space import MODEL
from mho.explore.records import Record
from mho.explore.screening import reason
from mho.explore.space import Value
from mho.files.store import key_of
from mho.network.zoo.interaction.genotype import Genotype
from mho.network.zoo.interaction.model import of

Score = Callable[[Genotype], float]
AIMS = ("log_loss", "latency_s", "energy_j", "area_m2")
"""What is minimised: nats a record, and time, energy and area of a query's dense part."""
FIGURES = (*AIMS, "unresolved")
"""The figures of a record: beside those, of how many matrices the converters do not resolve the sums."""


@dataclass(frozen=True)
class JointJudge:
    """Judges designs: `score` tells the log loss of a model, `costs` what it costs on a chip. `rests`: on what the score rests.

    A score is asked for once a model in each process, as designs of one model on several chips follow each other.
    """

    costs: ClosedJudge
    score: Score
    rests: str

    @property
    def fields(self) -> tuple[str, ...]:
        """The figures of a record."""
        return FIGURES

    def digest(self) -> str:
        """Return the digest of all that a record rests on beside its design, and of the code."""
        costs = self.costs
        base = [costs.fields, costs.dimension, costs.chip.digest, costs.strategy.digest, self.rests]
        return key_of(__name__, *base)

    def identity(self, values: Mapping[str, Value]) -> Any:
        """Return what decides the record of a design."""
        return dict(values)

    def __call__(self, values: Mapping[str, Value]) -> Record:
        """Return the record of a design, or why it cannot be."""
        model = of(dict(values[MODEL]))
        assert isinstance(model, Genotype)
        try:
            told = self.costs(model, values)
        except (OutputError, PluginError):
            raise
        except MhoError as error:
            return {**dict.fromkeys(FIGURES), "refused": str(error), "reason": reason(error)}
        figures = (_scored(self.score, model), told.latency_s, told.energy_j, told.area_m2, told.unresolved)
        return {**dict(zip(FIGURES, figures, strict=True)), "refused": None, "reason": None}


@lru_cache(maxsize=1 << 16)
def _scored(score: Score, model: Genotype) -> float:
    return float(score(model))


__all__ = ["AIMS", "FIGURES", "JointJudge", "Score"]
