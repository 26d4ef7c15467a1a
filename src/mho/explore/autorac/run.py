"""A recommender's model, its bits and its chip searched together, on a log of clicks; in a folder, from which it goes on.

    found = autorac(clicks, "out/census", chip="isaac", budget=400)

A supernet is trained on the clicks; an evolution asks for designs, each scored by it and costed by closed formulas; designs of the
front are trained alone at their bits, judged by their integers, compiled and measured; so are baselines, with the same training:
NASRec's published networks at 8 bits, mapped naively, and hand-made ones. Choices are made on the records to choose by; the test
judges what was chosen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from mho.chip import Chip
from mho.chip.fit import unsized
from mho.errors import OptionError, choices
from mho.explore.autorac.choosing import TOLERANCE, chosen_of, picked
from mho.explore.autorac.closed import ClosedJudge
from mho.explore.autorac.evolution import Evolution
from mho.explore.autorac.execute import Machine, chip_file, noisy, proven
from mho.explore.autorac.judge import AIMS, JointJudge
from mho.explore.autorac.outcome import COSTS, HANDMADE, NAIVE, SEARCHED, Autorac, factors
from mho.explore.autorac.space import BASE, MODEL, JointSpace
from mho.explore.front import Front
from mho.explore.judge import Progress
from mho.explore.pace import Pace
from mho.explore.records import Records
from mho.explore.search import Trial
from mho.explore.space import Value
from mho.explore.walk import BEHIND, Found, Walk
from mho.explore.workers import Executor
from mho.files.store import Store, key_of
from mho.files.text import json_text
from mho.files.writing import check_folder, save_files
from mho.machine.recommender.files import load, save
from mho.machine.recommender.recommender import Recommender
from mho.network.clicks import Clicks
from mho.network.zoo.interaction import MODELS, Genotype, Model, of
from mho.network.zoo.interaction.nasrec import nasrec
from mho.strategy import Strategy
from mho.training.clicks import Settings, Training
from mho.training.clicks.judge import judge
from mho.training.searched import DEFAULT, SCORES, UNTRAINED, Budget, Scorer, Supernet

STEPS = 2000
"""Steps of the supernet, where a score uses it."""
KEPT, CLICKS, DESIGNS = "results.jsonl", "clicks.npz", "designs"
SAVED = 250
"""Steps of the supernet after which it is kept."""
SOURCE = "assumption: what a chip that is searched has whatever else is chosen"
TRAINED = 6
HAND_MADE = ("fm", "deepfm", "dlrm", "dcnv2")
PUBLISHED = ("criteo-full", "avazu-full", "kdd-full")
FIELDS = ("valid", "test", *COSTS, "interval_s", "unresolved", "verified", "noisy", "noiseless")


@dataclass(frozen=True)
class Task:
    """A joint search: what is searched, on which clicks, from which chip on, and how it is trained."""

    clicks: Clicks
    folder: Path
    chip: Chip
    base: str
    space: JointSpace
    settings: Settings
    budget: int
    score: str
    steps: int
    trained: int
    published: tuple[str, ...]
    hand_made: tuple[str, ...]
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

    def supernet(self) -> Scorer:
        """Train the supernet, or go on with it, and return what scores models by it."""
        path, log = self.folder / f"supernet-{self.steps}.safetensors", self.folder / CLICKS
        if not log.is_file() or not _same(Clicks.load(log), self.clicks):
            self.clicks.save(log)
            path.unlink(missing_ok=True)
        supernet = Supernet.load(path, self.clicks) if path.is_file() else None
        if supernet is None or supernet.space != self.space.models or supernet.seed != self.seed:
            supernet = Supernet(self.space.models, self.clicks, Budget(self.settings.dimension), self.seed)
        training = supernet

        def told(done: int, most: int, loss: float) -> None:
            self.progress(f"training the supernet, log loss {loss:.4f}", done, most)
            if done % SAVED == 0 or done == most:
                training.save(path)

        if supernet.done < self.steps:
            supernet.train(self.steps, told)
        elif not path.is_file():
            supernet.save(path)
        return Scorer(str(path), str(log), self.score)

    def searched(self, scorer: Scorer) -> tuple[list[Found], int, int]:
        """Walk the space: the designs of the front, how many were judged, and how many were refused."""
        costs = ClosedJudge(self.space, self.clicks.fields, self.settings.dimension, self.chip, self.strategy)
        rests = [self.told, self.steps, self.seed, asdict(self.space.models), scorer.score]
        judges = JointJudge(costs, scorer, json.dumps(rests, sort_keys=True))
        records, pace = Records(self.kept, judges), Pace(self.budget, self.progress)
        search = Evolution.of(self.space, self.budget, self.seed)
        walk = Walk(self.space, search, judges, records, _trial, self.budget, self.workers, self.behind)
        front, refused, judged = Front(len(AIMS)), 0, 0
        for found in walk:
            judged += 1
            if found.record["refused"] is None:
                front.add(found.number, [found.record[aim] for aim in AIMS])
            else:
                refused += 1
            pace.tell(judged, walk.judged, len(front))
        self.kept.arrange(walk.keys())
        return [walk.found(number) for number in sorted(front.numbers.tolist())], judged, refused

    def design(
        self, name: str, kind: str, model: Model, strategy: Strategy, values: Mapping[str, Value]
    ) -> dict[str, Any]:
        """Train a model at its bits, judge its integers, and measure it on its chip; what is kept is not done again."""
        bits = _bits(model, self.clicks.fields, self.settings.dimension)
        settings = replace(self.settings, bits=bits)
        machine = Machine(self.chip, strategy, values)
        rests = [
            model.record(),
            asdict(settings),
            self.told,
            self.chip.digest,
            strategy.digest,
            dict(values),
            self.device,
            self.seed,
        ]
        key = key_of(__name__, json.loads(json.dumps(rests)))
        known = self.kept.get(key, FIELDS)
        folder = self.folder / DESIGNS / name
        if known is None or not (folder / "recommender.safetensors").is_file():
            recommender = self._trained(folder, model, settings, name)
            figures, report = machine.measured(recommender)
            noisy_worth, same = noisy(report.program, recommender, self.clicks, self.device, self.seed)
            worths = {fold: asdict(judge(recommender, self.clicks, fold)) for fold in ("valid", "test")}
            known = self.kept.put(
                key,
                {
                    **worths,
                    **{each: figures[each] for each in (*COSTS, "interval_s", "unresolved")},
                    "verified": proven(report.program, recommender, self.clicks),
                    "noisy": noisy_worth.log_loss,
                    "noiseless": same.log_loss,
                },
            )
            self._written(folder, model, report.program.chip, values, name)
        sets = " ".join(f"--set {key}={value}" for key, value in unsized(self.chip_values(values)).items())
        return {
            "name": name,
            "kind": kind,
            "model": model.record(),
            "bits": bits,
            "values": dict(values),
            "strategy": strategy.to_dict(),
            **known,
            "command": f"mho train {CLICKS} --model {DESIGNS}/{name}/model.json --bits '{bits}' --seed {settings.seed} "
            f"--epochs {settings.epochs} --dimension {settings.dimension}",
            "sets": sets,
        }

    def chip_values(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return the values of the chip alone."""
        return {key: value for key, value in values.items() if key not in ("schedule", "conversion", MODEL)}

    def _trained(self, folder: Path, model: Model, settings: Settings, name: str) -> Recommender:
        path = folder / "recommender.safetensors"
        work = Training(self.clicks, model, settings)
        work.run(lambda done, loss: self.progress(f"training {name}, log loss {loss:.4f}", done, settings.epochs))
        recommender = work.recommender()
        folder.mkdir(parents=True, exist_ok=True)
        save(recommender, path)
        return load(path)

    def _written(self, folder: Path, model: Model, chip: Chip, values: Mapping[str, Value], name: str) -> None:
        own = {**unsized(self.chip_values(values)), "tiles": chip.tiles}
        content = chip_file(self.chip, self.base, {**BASE, **own}, f"{self.base}-{name}")
        files = {
            "model.json": json_text(model.record(), indent=2) + "\n",
            "chip.yaml": yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120),
        }
        save_files(files, folder)


def _bits(model: Model, fields: int, dimension: int) -> str:
    """Return the bits of layers as a training takes them: a searched model's own, 8 and 8 of any other."""
    if not isinstance(model, Genotype):
        return "8"
    return ",".join(f"{name}={each}" for name, each in model.layer_bits(fields, dimension).items())


def _same(one: Clicks, two: Clicks) -> bool:
    return one.names == two.names and all(
        (getattr(one, a).tobytes() == getattr(two, a).tobytes()) for a in ("x", "y", "fold")
    )


def _trial(found: Found) -> Trial:
    """Return what the search is told of a design."""
    costs = None if found.record["refused"] is not None else tuple(float(found.record[aim]) for aim in AIMS)
    return Trial(found.indices, costs)


def autorac(
    clicks: Clicks,
    folder: str | Path,
    chip: str | Path = "isaac",
    *,
    space: JointSpace | None = None,
    settings: Settings | None = None,
    budget: int = 400,
    score: str = DEFAULT,
    steps: int | None = None,
    trained: int = TRAINED,
    published: Sequence[str] = PUBLISHED,
    hand_made: Sequence[str] = HAND_MADE,
    device: str = "taox",
    seed: int = 0,
    behind: int = BEHIND,
    workers: int | Executor = 1,
    progress: Progress = lambda what, done, total: None,
) -> Autorac:
    """Search models, bits and chips together for clicks, and train and measure what was found beside baselines.

    The folder holds everything: clicks, supernet, results.jsonl (each design once it is judged, trained or measured), and for each
    trained design its model, chip and weights. Called again it goes on, and ends with the same front, whatever the workers.
    `score`: how models are scored in the search (`mho.training.searched`), by a supernet of so many `steps` where it uses one.
    `settings`: how designs and baselines are trained, all alike. Raises OptionError for numbers out of range, and as what it calls.
    """
    numbers = {"budget": budget, "trained": trained, "behind": behind, **({} if steps is None else {"steps": steps})}
    _check(numbers, hand_made, score)
    check_folder(folder)
    Path(folder).mkdir(parents=True, exist_ok=True)
    loaded = Chip.load(chip).override(dict(BASE), source=SOURCE, name=f"{Path(chip).stem}-searched")
    task = Task(
        clicks, Path(folder), loaded, str(chip), space or JointSpace(), settings or Settings(seed=seed), budget, score,
        0 if score in UNTRAINED else steps or STEPS, trained,
        tuple(published), tuple(hand_made), device, seed, behind, workers, progress,
    )  # fmt: skip
    return _told(task)


def _check(numbers: Mapping[str, int], hand_made: Sequence[str], score: str) -> None:
    """Refuse what is no search. OptionError."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise OptionError(f"{name} is a whole number of at least 1, not {number!r}")
    if score not in SCORES:
        raise OptionError(f"unknown score {score!r}; {choices(score, SCORES)}")
    if score in UNTRAINED and "steps" in numbers:
        raise OptionError(f"score {score} trains each model by itself: steps of a supernet would change nothing")
    known = sorted(set(MODELS) - {Genotype.kind})
    for name in hand_made:
        if name not in known:
            raise OptionError(f"unknown hand-made model {name!r}; known: {', '.join(known)}")


def _told(task: Task) -> Autorac:
    """Search, train and measure, and say what was found."""
    scorer = task.supernet()
    front, judged, refused = task.searched(scorer)
    designs = [*_searched(task, front), *_baselines(task)]
    chosen = chosen_of(designs)
    return Autorac(
        {
            "data": _data(task.clicks),
            "chip": task.chip.name,
            "space": {
                "counts": {
                    name: {"exponent": each.exponent, "formula": each.formula}
                    for name, each in task.space.counts().items()
                },
                "models": asdict(task.space.models),
                "axes": {axis.key: list(axis.values) for axis in task.space.chips.parts},
            },
            "search": {
                "budget": task.budget,
                "seed": task.seed,
                "behind": task.behind,
                "steps": task.steps,
                "score": scorer.score,
            },
            "judged": judged,
            "refused": refused,
            "front": [
                {
                    "number": found.number,
                    "values": task.space.values(found.indices),
                    **{aim: found.record[aim] for aim in AIMS},
                }
                for found in front
            ],
            "designs": designs,
            "chosen": None if chosen is None else chosen["name"],
            "factors": []
            if chosen is None
            else [factors(chosen, each) for each in designs if each["kind"] != SEARCHED],
            "settings": asdict(task.settings),
            "device": task.device,
            "notes": list(_notes(task)),
        }
    )


def _searched(task: Task, front: Sequence[Found]) -> Iterator[dict[str, Any]]:
    for found in picked(front, task.trained):
        values = task.space.values(found.indices)
        model = of(values.pop(MODEL))
        design = task.design(str(found.number), SEARCHED, model, task.strategy, values)
        yield {**design, "scored": found.record["log_loss"], "closed": {cost: found.record[cost] for cost in COSTS}}


def _baselines(task: Task) -> Iterator[dict[str, Any]]:
    """Yield NASRec's networks mapped naively, and hand-made models, each by its better schedule of one copy."""
    naive, best = Strategy().with_(schedule="naive"), Strategy().with_(schedule="overlap")
    for name in task.published:
        yield task.design(f"nasrec-{name}", NAIVE, nasrec(name), naive, {"tiles": "fit"})
    for name in task.hand_made:
        yield task.design(name, HANDMADE, MODELS[name](), best, {"tiles": "fit"})


def _data(clicks: Clicks) -> dict[str, Any]:
    return {
        "origin": clicks.origin,
        "synthetic": clicks.synthetic,
        "fields": clicks.fields,
        "rows": sum(clicks.rows),
        "records": {
            name: len(part.y)
            for name, part in zip(("train", "valid", "test"), (clicks.train, clicks.valid, clicks.test), strict=True)
        },
    }


def _notes(task: Task) -> Iterator[str]:
    if task.clicks.synthetic:
        yield f"synthetic: {task.clicks.origin}"
    yield "time, energy and area are of the dense part; tables are alike on all sides and left out"
    yield "log losses of the search are scores; those of designs are of integers, trained alone, all with the same settings"
    yield f"designs are chosen on the records to choose by, the test judges; within {TOLERANCE} counts as equal there"
    yield f"noisy: the first records of the test, executed with cells of device {task.device} and the chip's own converters"
    yield "baselines have 8 bits and one copy: NASRec's networks, one operator after another; hand-made models, by overlap"


__all__ = ["HAND_MADE", "PUBLISHED", "STEPS", "TRAINED", "Task", "autorac"]
