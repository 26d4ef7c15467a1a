"""The joint search on a real log, what it is held against, and where its factors come from."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mho.explore.autorac.choosing import best_of
from mho.explore.autorac.finals import COSTS
from mho.explore.autorac.outcome import HANDMADE, NAIVE, Autorac
from mho.explore.autorac.run import autorac
from mho.explore.autorac.space import JointSpace
from mho.network.clicks import Clicks
from mho.network.zoo.interaction import Genotype, of
from mho.network.zoo.interaction.space import ModelSpace
from mho.strategy import Strategy
from mho.studies.autorac.costs import BARE, CHIP, NAIVE_SCHEDULE, Costed, chip
from mho.studies.work import Work
from mho.training.clicks import Settings


@dataclass(frozen=True)
class Log:
    """A log of the study: its file in the folder of data, and how much may be spent on it."""

    file: str
    tries: int = 80
    epochs: int = 6
    drop: float = 0.0
    tolerance: float = 5e-4
    seeds: int = 3
    published: tuple[str, ...] = ("kdd-full",)
    hand_made: tuple[str, ...] = ("deepfm", "dlrm", "dcnv2")
    sides: bool = True

    def said(self) -> str:
        """Say how much was spent, and what counts as equal."""
        seeds = f"{self.seeds} seed{'' if self.seeds == 1 else 's'}"
        sides = "" if self.sides else ", no one-sided searches"
        return (
            f"{self.tries} models trained a little, up to {TRAINED} of the front whole, {BUDGET:,} designs judged, {seeds}, "
            f"log losses within {self.tolerance:g} nats equal{sides}"
        )


LOGS = {
    "census_income": Log("ctr/census_income.npz"),
    "movielens1m_binary": Log("ctr/movielens1m_binary.npz", epochs=8, drop=0.1, sides=False),
    "frappe_x1": Log("ctr/frappe_x1.npz", epochs=12, drop=0.1, tolerance=2e-3, seeds=1, sides=False),
}
SPACE = JointSpace(ModelSpace(blocks=3, widths=(16, 32, 64, 128, 256), counts=(8, 16), alone=True))
BUDGET, TRAINED, PATIENCE = 2000, 10, 2


def searched(work: Work, name: str) -> dict[str, Any]:
    """Search a log, in a folder beside the study's results, from which it goes on."""
    log = LOGS[name]
    assert work.settings.data is not None
    clicks = Clicks.load(work.settings.data / log.file)
    settings = Settings(epochs=log.epochs, drop=log.drop, patience=PATIENCE)

    def into(folder: Path) -> dict[str, Any]:
        found = autorac(
            clicks, folder, CHIP, space=SPACE, settings=[settings], budget=BUDGET, tries=log.tries, trained=TRAINED,
            seeds=log.seeds, tolerance=log.tolerance, published=log.published, hand_made=log.hand_made, sides=log.sides,
            progress=lambda what, done, total: work.say(f"{name}: {what} {done}/{total}"),
        )  # fmt: skip
        return kept_of(found)

    if work.folder is not None:
        return into(work.folder / name)
    with tempfile.TemporaryDirectory() as folder:
        return into(Path(folder))


def kept_of(found: Autorac) -> dict[str, Any]:
    """Return what the study's tables and its ladder ask for."""
    content = found.content
    kept = {key: content[key] for key in ("designs", "chosen", "factors", "judged")}
    sides = content["sides"] and {key: content["sides"][key] for key in ("volumes", "ratio")}
    return kept | {
        "sides": sides,
        "fields": content["data"]["fields"],
        "dimension": content["settings"][0]["dimension"],
    }


def ladder(found: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return what the best naive searched design costs, and then step by step the chosen one: its model, bits, chip and copies."""
    naive, chosen = best_of(found["designs"], NAIVE), chosen_design(found)
    if naive is None or chosen is None:
        return {}
    model, sizes = of(chosen["model"]), (found["fields"], found["dimension"])
    assert isinstance(model, Genotype)
    values, bits = chosen["values"], model.layer_bits(*sizes)
    one_copy = {**values, "tiles": "fit", "schedule": "overlap"}
    steps = {
        "naive": (of(naive["model"]), 8, NAIVE_SCHEDULE, BARE),
        "model": (model, 8, NAIVE_SCHEDULE, BARE),
        "bits": (model, bits, NAIVE_SCHEDULE, BARE),
        "chip": (model, bits, Strategy(), one_copy),
        "copies": (model, bits, Strategy.from_dict(chosen["strategy"]), values),
    }
    made = {}
    for step, (built, at, strategy, on) in steps.items():
        figures = Costed(built, *sizes, at).on(chip(), strategy, on)
        made[step] = {cost: figures[cost] for cost in COSTS}
    return made


def chosen_design(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the chosen design."""
    return next((each for each in found["designs"] if each["name"] == found["chosen"]), None)


def best_over(found: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    """Return the factors over the baseline of a kind that loses least on the records to choose by."""
    best = best_of(found["designs"], kind)
    return None if best is None else next((each for each in found["factors"] if each["over"] == best["name"]), None)


KINDS = {NAIVE: "naive", HANDMADE: "hand"}
