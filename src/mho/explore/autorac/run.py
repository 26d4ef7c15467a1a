"""A recommender's model, its bits and its chip searched together, on a log of clicks; in a folder, from which it goes on.

    found = autorac(clicks, "out/census", chip="isaac", budget=2000)

An evolution asks for designs, whose models are trained a little or foreseen (`learning`), or scored, and whose costs are told by
closed formulas. Models of the front are trained whole at their bits, judged by their integers, compiled and measured on the best of
their chips; so are baselines, with the same training: NASRec's published networks at 8 bits, mapped naively, and hand-made ones.
Choices are made on the records to choose by; the test judges what was chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mho.chip import Chip
from mho.engineering import percent
from mho.errors import OptionError, choices
from mho.explore.autorac.choosing import TOLERANCE, best_of, chips_of, chosen_of, close_of, picked
from mho.explore.autorac.finals import LOST, Job
from mho.explore.autorac.judge import AIMS
from mho.explore.autorac.learning import Judged
from mho.explore.autorac.outcome import HANDMADE, NAIVE, SEARCHED, Autorac, factors
from mho.explore.autorac.sides import Sides
from mho.explore.autorac.space import BASE, MODEL, JointSpace
from mho.explore.autorac.task import LEARNT, STEPS, TRIES, Task
from mho.explore.judge import Progress
from mho.explore.walk import BEHIND
from mho.explore.workers import Executor
from mho.files.writing import check_folder
from mho.machine.robustness import SHARE
from mho.network.clicks import Clicks
from mho.network.zoo.interaction import MODELS, Genotype
from mho.network.zoo.interaction.nasrec import nasrec
from mho.strategy import Strategy
from mho.training.clicks import Settings
from mho.training.searched import SCORES, UNTRAINED

SOURCE = "assumption: what a chip that is searched has whatever else is chosen"
TRAINED = 6
HAND_MADE = ("fm", "deepfm", "dlrm", "dcnv2")
PUBLISHED = ("criteo-full", "avazu-full", "kdd-full")
POLISHED = 0.25
"""Share of the budget that goes to chips of the models that are trained whole."""


def autorac(
    clicks: Clicks,
    folder: str | Path,
    chip: str | Path = "isaac",
    *,
    space: JointSpace | None = None,
    settings: Settings | Sequence[Settings] | None = None,
    budget: int = 2000,
    score: str = LEARNT,
    tries: int | None = None,
    steps: int | None = None,
    trained: int = TRAINED,
    seeds: int = 1,
    tolerance: float = TOLERANCE,
    published: Sequence[str] = PUBLISHED,
    hand_made: Sequence[str] = HAND_MADE,
    sides: bool = False,
    device: str = "taox",
    seed: int = 0,
    behind: int = BEHIND,
    workers: int | Executor = 1,
    progress: Progress = lambda what, done, total: None,
) -> Autorac:
    """Search models, bits and chips together for clicks, and train and measure what was found beside baselines.

    The folder holds everything: clicks, results.jsonl (each design once it is judged, trained or measured), and for each trained
    design its model, chip and weights. Called again it goes on, and ends with the same front, whatever the workers.
    `score`: "learnt", by `tries` models that are trained a little, or a score of each (`mho.training.searched`), by a supernet of
    so many `steps` where it uses one. `settings`: how designs and baselines are trained, all alike; of several each by what serves
    it best on the records to choose by, and the search by the first. Designs that one seed does not tell from the best baseline,
    and the best baseline of each kind, are trained with so many `seeds`, and the design is chosen by their mean. `sides`: whether
    searches of one side after the other are held against the joint one.
    Raises OptionError for numbers out of range, and as what it calls.
    """
    numbers = {"budget": budget, "trained": trained, "seeds": seeds, "behind": behind}
    numbers |= {name: each for name, each in (("steps", steps), ("tries", tries)) if each is not None}
    _check(numbers, hand_made, score)
    trainings = _settings(settings, seed)
    check_folder(folder)
    Path(folder).mkdir(parents=True, exist_ok=True)
    loaded = Chip.load(chip).override(dict(BASE), source=SOURCE, name=f"{Path(chip).stem}-searched")
    task = Task(
        clicks, Path(folder), loaded, str(chip), space or JointSpace(), trainings, budget, score,
        tries or TRIES, 0 if score in (*UNTRAINED, LEARNT) else steps or STEPS, device, seed, behind, workers, progress,
    )  # fmt: skip
    return _told(task, trained, seeds, tolerance, tuple(published), tuple(hand_made), sides)


def _settings(settings: Settings | Sequence[Settings] | None, seed: int) -> tuple[Settings, ...]:
    """Return the settings to try. OptionError for none, and for those that make networks of different sizes."""
    found = (
        (settings or Settings(seed=seed),) if settings is None or isinstance(settings, Settings) else tuple(settings)
    )
    if not found or len({each.dimension for each in found}) > 1:
        raise OptionError("designs are trained by one or more settings of one dimension")
    return found


def _check(numbers: Mapping[str, int], hand_made: Sequence[str], score: str) -> None:
    """Refuse what is no search. OptionError."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise OptionError(f"{name} is a whole number of at least 1, not {number!r}")
    if score not in (LEARNT, *SCORES):
        raise OptionError(f"unknown score {score!r}; {choices(score, (LEARNT, *SCORES))}")
    if score in (LEARNT, *UNTRAINED) and "steps" in numbers:
        raise OptionError(f"score {score} trains models by themselves: steps of a supernet would change nothing")
    if score != LEARNT and "tries" in numbers:
        raise OptionError(f"score {score} is asked for of each model: models to try would change nothing")
    if numbers.get("tries", TRIES) < LEAST:
        raise OptionError(f"tries are at least {LEAST} models: what is foreseen of others rests on them")
    known = sorted(set(MODELS) - {Genotype.kind})
    for name in hand_made:
        if name not in known:
            raise OptionError(f"unknown hand-made model {name!r}; known: {', '.join(known)}")


LEAST = 6
"""Models that are tried at least."""


def _told(
    task: Task,
    trained: int,
    seeds: int,
    tolerance: float,
    published: Sequence[str],
    hand_made: Sequence[str],
    sides: bool,
) -> Autorac:
    """Search, train and measure, and say what was found."""
    learner = task.learner()
    polished = int(task.budget * POLISHED)
    task.search(learner, task.budget - polished)
    finalists = picked(learner.front(), trained)
    if finalists:
        learner.polish(finalists, task.space.axes, max(polished, 1))
    front = learner.front()
    jobs = [*_searched(task, front, finalists), *_baselines(task, published, hand_made)]
    designs = task.finished(jobs)
    kinds = [each for kind in (NAIVE, HANDMADE) if (each := best_of(designs, kind)) is not None]
    designs = _seeded(task, jobs, designs, [each["name"] for each in (*close_of(designs, tolerance), *kinds)], seeds)
    chosen = chosen_of(
        [each for each in designs if each["kind"] != SEARCHED or len(each["seeds"]["valid"]) == seeds], tolerance
    )
    if chosen is not None:
        chosen["executed"] = task.executed(next(job for job in jobs if job.name == chosen["name"]), chosen["values"])
    compared = None if not sides else Sides(task, learner).told()
    task.kept.arrange(learner.keys)
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
                "budget": task.budget, "seed": task.seed, "behind": task.behind, "score": task.score, "steps": task.steps,
                "tries": len(learner.models) if task.score == LEARNT else 0,
            },
            "judged": len(learner.designs) + learner.refused,
            "refused": learner.refused,
            "front": [_judged(each) for each in front],
            "designs": designs,
            "chosen": None if chosen is None else chosen["name"],
            "factors": [] if chosen is None else _gains(task, jobs, designs, chosen),
            "sides": compared,
            "settings": [asdict(each) for each in task.settings],
            "device": task.device,
            "tolerance": tolerance,
            "notes": list(_notes(task, tolerance)),
        }
    )  # fmt: skip


def _gains(
    task: Task, jobs: Sequence[Job], designs: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return what the chosen design gains over each baseline, and how sure that is."""
    told = {each["name"]: each for each in designs}
    kept = [job for job in jobs if job.kind != SEARCHED or job.name == chosen["name"]]
    sure = task.energies(kept, [told[job.name] for job in kept], chosen["name"])
    return [factors(chosen, told[name]) | {"energy_sure": each} for name, each in sure.items()]


def _judged(each: Judged) -> dict[str, Any]:
    """Return a design of the front as JSON has it."""
    aims = {aim: getattr(each, aim) for aim in AIMS}
    return {"number": each.number, "values": {MODEL: each.model.record(), **each.values}, **aims}


def _searched(task: Task, front: Sequence[Judged], finalists: Sequence[Genotype]) -> Iterator[Job]:
    """Yield models of the front to train, each with its chips; none that better chips of others drove from the front."""
    for place, model in enumerate(finalists, 1):
        if chips := chips_of(front, model):
            yield Job(f"s{place}", SEARCHED, model, task.strategy, chips, task.trained_at(model))


def _baselines(task: Task, published: Sequence[str], hand_made: Sequence[str]) -> Iterator[Job]:
    """Yield NASRec's networks mapped naively, and hand-made models, each by its better schedule of one copy."""
    naive, best, chips = Strategy().with_(schedule="naive"), Strategy().with_(schedule="overlap"), ({"tiles": "fit"},)
    for name in published:
        yield Job(f"nasrec-{name}", NAIVE, nasrec(name), naive, chips, task.trained_at(nasrec(name)))
    for name in hand_made:
        yield Job(name, HANDMADE, MODELS[name](), best, chips, task.trained_at(MODELS[name]()))


def _seeded(
    task: Task, jobs: Sequence[Job], designs: Sequence[dict[str, Any]], names: Sequence[str], seeds: int
) -> list[dict[str, Any]]:
    """Train designs of these names with more seeds, and add what they are worth to what is told of them."""
    more = [
        replace(job, chips=(), settings=tuple(replace(each, seed=each.seed + number) for each in job.settings))
        for job in jobs
        if job.name in names
        for number in range(1, seeds)
    ]
    found = task.worths(more)
    told = []
    for design in designs:
        own = [worth for job, worth in zip(more, found, strict=True) if job.name == design["name"]]
        folds = {fold: [each[fold]["log_loss"] for each in (design, *own)] for fold in ("valid", "test")}
        told.append({**design, "seeds": folds})
    return told


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


def _notes(task: Task, tolerance: float) -> Iterator[str]:
    if task.clicks.synthetic:
        yield f"synthetic: {task.clicks.origin}"
    yield "time, energy and area are of the dense part; tables are alike on all sides and left out"
    yield "log losses of the search are of trainings cut short, or scores; those of designs are of integers, all trained alike"
    yield f"designs are chosen on the records to choose by, the test judges; within {tolerance} counts as equal there"
    yield f"with devices: the first records of a fold, executed with cells of device {task.device} and the chip's own converters"
    yield f"how sure: factors of energy between which {percent(SHARE, 1.0)} of draws of published constants lie; times stay"
    yield f"a design that so loses more than {LOST} on the records to choose by is not chosen"
    yield "baselines have 8 bits and one copy: NASRec's networks, one operator after another; hand-made models, by overlap"


__all__ = ["HAND_MADE", "PUBLISHED", "TRAINED", "autorac"]
