"""A model trained whole, judged by its integers and measured on chips: what workers do with the designs that a search ends with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

from mho.chip import Chip
from mho.explore.autorac.execute import Machine, noisy, proven
from mho.explore.space import Value
from mho.machine.recommender.recommender import Recommender
from mho.network.clicks import Clicks
from mho.network.zoo.interaction import Genotype, Model
from mho.strategy import Strategy
from mho.training.clicks import Settings, Training
from mho.training.clicks.judge import Worth, judge

COSTS = ("latency_s", "energy_j", "area_m2")
LOST = 5e-3
"""By how much the log loss of the first records to choose by may rise, in nats, with cells of a device and converters."""
EPOCHS = 2
"""Of a training in the search, at most."""


@dataclass(frozen=True)
class Little:
    """Trains a model a little, on clicks of a file: the least log loss of the records to choose by, epoch by epoch."""

    clicks: str
    settings: Settings

    def __call__(self, model: Genotype) -> float:
        """Return it. Activations of 8 bits stay real but for the last epoch."""
        clicks = _loaded(self.clicks)
        settings = little(self.settings)
        work = Training(clicks, model, replace(settings, bits=bits_of(model, clicks.fields, settings.dimension)))
        work.graph.light = settings.epochs > 1

        def told(done: int, loss: float) -> None:
            work.graph.light = done < settings.epochs - 1

        work.run(told)
        return min(work.valid)


def little(settings: Settings) -> Settings:
    """Return how models are trained in a search: for a third of the epochs, and no more than EPOCHS."""
    return replace(settings, epochs=max(1, min(EPOCHS, settings.epochs // 3)), patience=settings.epochs)


@dataclass(frozen=True)
class Job:
    """A model to train with a seed, and the chips that it may have; none: what it is worth is asked for alone."""

    name: str
    kind: str
    model: Model
    strategy: Strategy
    chips: tuple[Mapping[str, Value], ...]
    settings: tuple[Settings, ...]
    """Of those, the training counts that loses least on the records to choose by."""

    def rests(self) -> list[Any]:
        """Return what decides its record, as JSON has it."""
        chips = [dict(each) for each in self.chips]
        return [self.model.record(), [asdict(each) for each in self.settings], self.strategy.digest, chips]


@dataclass(frozen=True)
class Finished:
    """What came of a job: its record, and for a folder the recommender and its chip."""

    record: dict[str, Any]
    recommender: Recommender
    chip: Chip | None


@dataclass(frozen=True)
class Finals:
    """Does jobs, on clicks of a file and variants of a chip.

    Of its chips a design has the one of least time x energy x area of those on which it loses no more than LOST with cells of
    `device`, and whose converters resolve every sum; else the one on which it loses least.
    """

    clicks: str
    chip: Chip
    device: str
    seed: int

    def __call__(self, job: Job) -> Finished:
        """Train, judge and measure."""
        clicks = _loaded(self.clicks)
        trained = [self._trained(job.model, settings, clicks) for settings in job.settings]
        valid, recommender, place = min(trained, key=lambda each: (each[0].log_loss, each[2].drop))
        record: dict[str, Any] = {"valid": asdict(valid), "test": asdict(judge(recommender, clicks, "test"))}
        record["settings"] = place.record()
        if not job.chips:
            return Finished(record, recommender, None)
        report, own = self._best(job, recommender, clicks)
        by_device, same = noisy(report.program, recommender, clicks.test, self.device, self.seed)
        record |= own | {
            "verified": proven(report.program, recommender, clicks),
            "noisy": by_device.log_loss,
            "noiseless": same.log_loss,
        }
        return Finished(record, recommender, report.program.chip)

    def _trained(self, model: Model, settings: Settings, clicks: Clicks) -> tuple[Worth, Recommender, Settings]:
        """Train a model; return what it is worth on the records to choose by, it, and the settings."""
        work = Training(clicks, model, settings)
        work.run()
        recommender = work.recommender()
        return judge(recommender, clicks, "valid"), recommender, settings

    def _best(self, job: Job, recommender: Recommender, clicks: Clicks) -> tuple[Any, dict[str, Any]]:
        """Measure a recommender on its chips, and execute it with devices on one after the other until one is sound."""
        measured = [Machine(self.chip, job.strategy, chip).measured(recommender) for chip in job.chips]
        costs = [{each: figures[each] for each in (*COSTS, "interval_s", "unresolved")} for figures, _ in measured]
        tried = list[tuple[Any, dict[str, Any]]]()
        for place in sorted(
            range(len(costs)), key=lambda each: (bool(costs[each]["unresolved"]), product(costs[each]))
        ):
            _, report = measured[place]
            by_device, same = noisy(report.program, recommender, clicks.valid, self.device, self.seed)
            own = costs[place] | {"place": place, "lost": by_device.log_loss - same.log_loss}
            tried.append((report, own))
            if sound(own):
                break
        return min(tried, key=lambda each: _order(each[1]))


def _order(own: Mapping[str, Any]) -> tuple[Any, ...]:
    return not sound(own), product(own) if sound(own) else own["lost"], own["place"]


def sound(own: Mapping[str, Any]) -> bool:
    """Return whether devices raise the log loss by no more than LOST, and converters resolve every sum."""
    return own["lost"] <= LOST and not own["unresolved"]


def product(own: Mapping[str, Any]) -> float:
    """Return time x energy x area."""
    return float(own["latency_s"] * own["energy_j"] * own["area_m2"])


def bits_of(model: Model, fields: int, dimension: int) -> str:
    """Return the bits of layers as a training takes them: a searched model's own, 8 and 8 of any other."""
    if not isinstance(model, Genotype):
        return "8"
    return ",".join(f"{name}={each}" for name, each in model.layer_bits(fields, dimension).items())


@lru_cache(maxsize=1)
def _loaded(path: str) -> Clicks:
    return Clicks.load(path)


__all__ = ["COSTS", "LOST", "Finals", "Finished", "Job", "Little", "bits_of", "little", "product", "sound"]
