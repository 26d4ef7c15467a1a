"""Nets that were searched for few products are slow on crossbars: shown from programs, beside hand-made ones with more products."""

from __future__ import annotations

from mho.network.zoo.interaction import MODELS, Model
from mho.network.zoo.interaction.nasrec import PUBLISHED, nasrec
from mho.studies.autorac.costs import BARE, NAIVE_SCHEDULE, Costed, chip
from mho.studies.autorac.paper import PAPER
from mho.studies.chapter import Chapter

FIELDS, DIMENSION = 26, 16
"""Criteo's categories, and the dimension that NASRec's networks were searched with."""
QUICK = ("kdd-full", "dlrm 128-64")
HAND_MADE: dict[str, tuple[int, ...]] = {
    "dlrm 128-64": (128, 64),
    "dlrm 512-256": (512, 256),
    "dlrm 3 x 1024": (1024, 1024, 1024),
}


def models(quick: bool) -> dict[str, Model]:
    """Return the models by what the tables call them."""
    found: dict[str, Model] = {name: nasrec(name) for name in PUBLISHED}
    found |= {name: MODELS["dlrm"](hidden=hidden) for name, hidden in HAND_MADE.items()}  # type: ignore[call-arg]
    return {name: model for name, model in found.items() if not quick or name in QUICK}


def windows(quick: bool) -> dict[str, dict[str, float]]:
    """Return what each costs at 8 bits, one copy, one operator after another."""
    return {
        name: Costed(model, FIELDS, DIMENSION, 8).on(chip(), NAIVE_SCHEDULE, BARE)
        for name, model in models(quick).items()
    }


def windows_chapter(measured: dict[str, dict[str, float]]) -> Chapter:
    """Set them side by side."""
    chapter, labels = PAPER.chapter("windows"), PAPER.labels("windows")
    units = {"products": "", "windows": "", "latency_s": "s", "energy_j": "J", "area_m2": "m²", "per_product": "ps"}
    for name, figures in measured.items():
        figures = {**figures, "per_product": 1e12 * figures["latency_s"] / figures["products"]}
        for key, label in labels.items():
            chapter.add(key, name, f"{label}, {name}", units[key], figures[key])
    chapter.table("NASRec's networks and DLRM, 8 bits", "network", list(measured), labels)
    chapter.plot("time", "Time of a query over its products", "ps a product", list(measured), {"per_product": "time"})
    return chapter
