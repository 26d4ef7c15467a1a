"""What a joint search is about, and where it keeps what is finished: clicks, designs judged, and designs trained."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from mho.chip import Chip
from mho.chip.fit import unsized
from mho.explore.autorac.closed import ClosedJudge
from mho.explore.autorac.execute import Machine, chip_file, executed
from mho.explore.autorac.finals import COSTS, Finals, Finished, Job, Little, bits_of, little
from mho.explore.autorac.learning import Learner
from mho.explore.autorac.space import BASE, JointSpace
from mho.explore.judge import Progress
from mho.explore.space import Value
from mho.explore.workers import Executor, finished
from mho.files.store import Store, key_of
from mho.files.text import json_text
from mho.files.writing import save_files
from mho.machine.recommender.files import load, save
from mho.machine.robustness import robust
from mho.network.clicks import Clicks
from mho.network.zoo.interaction import Model
from mho.network.zoo.interaction.space import ModelSpace
from mho.strategy import Strategy
from mho.training.clicks import Settings
from mho.training.clicks.judge import blind
from mho.training.searched import Budget, Scorer, Supernet

LEARNT = "learnt"
"""The score that is what training a little told, or foresees."""
TRIES = 48
"""Models that are trained a little."""
STEPS = 2000
"""Steps of the supernet, where a score uses it."""
KEPT, CLICKS, DESIGNS, FILE = "results.jsonl", "clicks.npz", "designs", "recommender.safetensors"
SAVED = 250
"""Steps of the supernet after which it is kept."""
WORTHS = ("valid", "test", "settings")
FIELDS = (*WORTHS, *COSTS, "interval_s", "unresolved", "place", "lost", "verified", "noisy", "noiseless")


@dataclass(frozen=True)
class Task:
    """A joint search: what is searched, on which clicks, from which chip on, and how it is trained."""

    clicks: Clicks
    folder: Path
    chip: Chip
    base: str
    space: JointSpace
    settings: tuple[Settings, ...]
    budget: int
    score: str
    tries: int
    steps: int
    device: str
    seed: int
    behind: int
    workers: int | Executor
    progress: Progress
    strategy: Strategy = field(default_factory=Strategy)

    @cached_property
    def kept(self) -> Store:
        """What is finished."""
        return Store(self.folder / KEPT)

    @cached_property
    def told(self) -> str:
        """What tells these clicks apart."""
        clicks = self.clicks
        sha256 = hashlib.sha256(repr((clicks.names, clicks.rows)).encode())
        for array in (clicks.x, clicks.y, clicks.fold):
            sha256.update(array.tobytes())
        return sha256.hexdigest()

    @cached_property
    def log(self) -> str:
        """The file of the clicks, which workers read; written where it is not there."""
        path = self.folder / CLICKS
        if not path.is_file() or not _same(Clicks.load(path), self.clicks):
            self.clicks.save(path)
            for old in self.folder.glob("supernet-*.safetensors"):
                old.unlink()
        return str(path)

    def learner(self, space: JointSpace | None = None) -> Learner:
        """Return a search of a space, the task's own where None."""
        own = space or self.space
        costs = ClosedJudge(own, self.clicks.fields, self.usual.dimension, self.chip, self.strategy)
        rests = key_of(__name__, self.told, asdict(little(self.usual)))
        return Learner(
            own, costs, Little(self.log, self.usual), rests, self.kept, blind(self.clicks.valid), self.tries,
            self.budget, self.seed, self.behind, self.workers, self.progress,
        )  # fmt: skip

    def search(self, learner: Learner, budget: int) -> None:
        """Judge so many designs: by what is learnt, or by the task's score."""
        learner.budget = budget
        if self.score == LEARNT:
            learner.learn()
            return
        scorer = self.supernet()
        assert isinstance(self.space.models, ModelSpace)
        learner.walk(scorer, [self.steps, self.seed, asdict(self.space.models), scorer.score, self.usual.dimension])

    def supernet(self) -> Scorer:
        """Train the supernet, or go on with it, and return what scores models by it."""
        path = self.folder / f"supernet-{self.steps}.safetensors"
        log, models = self.log, self.space.models
        assert isinstance(models, ModelSpace)
        supernet = Supernet.load(path, self.clicks) if path.is_file() else None
        if supernet is None or supernet.space != models or supernet.seed != self.seed:
            supernet = Supernet(models, self.clicks, Budget(self.usual.dimension), self.seed)
        training = supernet

        def told(done: int, most: int, loss: float) -> None:
            self.progress(f"training the supernet, log loss {loss:.4f}", done, most)
            if done % SAVED == 0 or done == most:
                training.save(path)

        if supernet.done < self.steps:
            supernet.train(self.steps, told)
        elif not path.is_file():
            supernet.save(path)
        return Scorer(str(path), log, self.score)

    @property
    def usual(self) -> Settings:
        """The settings that models of the search are trained with; dimension and epochs are those of all."""
        return self.settings[0]

    def trained_at(self, model: Model) -> tuple[Settings, ...]:
        """Return how a model is trained whole: as all are, at its bits."""
        bits = bits_of(model, self.clicks.fields, self.usual.dimension)
        return tuple(replace(settings, bits=bits) for settings in self.settings)

    def finished(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        """Do jobs, each unless it is kept with its files, and return what is told of each design."""
        records = self._done(jobs, FIELDS, lambda job: (self.folder / DESIGNS / job.name / FILE).is_file())
        return [self._design(job, record) for job, record in zip(jobs, records, strict=True)]

    def worths(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        """Return what models are worth that are trained and judged alone."""
        return self._done(jobs, WORTHS, lambda job: True)

    def executed(self, job: Job, values: Mapping[str, Value]) -> dict[str, Any]:
        """Return the log loss of the whole test, every score executed from the cells of a design's chip, and how many they are."""
        key = key_of(__name__, "executed", self.told, self.chip.digest, job.rests(), dict(values))
        if (known := self.kept.get(key, ("log_loss", "records"))) is None:
            self.progress("executing the test", 0, 1)
            recommender = load(self.folder / DESIGNS / job.name / FILE)
            _, report = Machine(self.chip, job.strategy, values).measured(recommender)
            loss = executed(report.program, recommender, self.clicks.test)
            known = self.kept.put(key, {"log_loss": loss, "records": len(self.clicks.test.y)})
        return known

    def energies(self, jobs: Sequence[Job], designs: Sequence[Mapping[str, Any]], chosen: str) -> dict[str, Any]:
        """Return how many times the energy of the chosen design each other takes, under draws of published constants."""
        key = key_of(__name__, "energies", self.told, self.chip.digest, chosen, [job.rests() for job in jobs])
        if (known := self.kept.get(key, ("over",))) is None:
            reports = {}
            for job, design in zip(jobs, designs, strict=True):
                recommender = load(self.folder / DESIGNS / job.name / FILE)
                reports[job.name] = Machine(self.chip, job.strategy, design["values"]).measured(recommender)[1]
            found = robust(reports, seed=self.seed)
            known = self.kept.put(
                key, {"over": {name: found.factor(chosen, name) for name in reports if name != chosen}}
            )
        over: dict[str, Any] = known["over"]
        return over

    def _done(self, jobs: Sequence[Job], fields: Sequence[str], there: Any) -> list[dict[str, Any]]:
        keys = [key_of(__name__, self.told, self.chip.digest, self.device, self.seed, job.rests()) for job in jobs]
        known = {key: self.kept.get(key, fields) for key in keys}
        missing = [(key, job) for key, job in zip(keys, jobs, strict=True) if known[key] is None or not there(job)]
        work = Finals(self.log, self.chip, self.device, self.seed)
        workers = min(self.workers, max(len(missing), 1)) if isinstance(self.workers, int) else self.workers
        if missing:
            self.progress("training designs", 0, len(missing))
        for done, (place, result) in enumerate(finished(work, [job for _, job in missing], workers), 1):
            key, job = missing[place]
            if job.chips:
                self._written(job, result)
            known[key] = self.kept.put(key, result.record)
            self.progress(f"training designs, {job.name} is done", done, len(missing))
        return [{name: record[name] for name in fields} for key in keys if (record := known[key]) is not None]

    def _design(self, job: Job, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is told of a design."""
        values, settings = dict(job.chips[record["place"]]), Settings.of(record["settings"])
        sets = " ".join(f"--set {key}={value}" for key, value in unsized(chip_values(values)).items())
        return {
            "name": job.name,
            "kind": job.kind,
            "model": job.model.record(),
            "bits": settings.bits,
            "values": values,
            "strategy": job.strategy.to_dict(),
            **{name: each for name, each in record.items() if name != "place"},
            "executed": None,
            "command": f"mho train {CLICKS} --model {DESIGNS}/{job.name}/model.json --bits '{settings.bits}' --seed "
            f"{settings.seed} --epochs {settings.epochs} --dimension {settings.dimension} --drop {settings.drop}",
            "sets": sets,
        }

    def _written(self, job: Job, result: Finished) -> None:
        """Keep a trained design: its recommender, its model and its chip."""
        folder = self.folder / DESIGNS / job.name
        folder.mkdir(parents=True, exist_ok=True)
        save(result.recommender, folder / FILE)
        assert result.chip is not None
        own = {**unsized(chip_values(job.chips[result.record["place"]])), "tiles": result.chip.tiles}
        content = chip_file(self.chip, self.base, {**BASE, **own}, f"{self.base}-{job.name}")
        files = {
            "model.json": json_text(job.model.record(), indent=2) + "\n",
            "chip.yaml": yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120),
        }
        save_files(files, folder)


def chip_values(values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values of the chip alone."""
    return {key: value for key, value in values.items() if key not in ("schedule", "conversion")}


def _same(one: Clicks, two: Clicks) -> bool:
    return one.names == two.names and all(
        (getattr(one, a).tobytes() == getattr(two, a).tobytes()) for a in ("x", "y", "fold")
    )


__all__ = ["CLICKS", "DESIGNS", "KEPT", "LEARNT", "STEPS", "TRIES", "Task", "chip_values"]
