"""Where the crossbar pays against pruned digital weights."""

from __future__ import annotations

from collections.abc import Mapping

from mho.studies.basisn.measure import Runs
from mho.studies.basisn.measure_designs import decides
from mho.studies.basisn.paper import PAPER
from mho.studies.chapter import Chapter

Designs = Mapping[str, Mapping[str, Runs]]
"""By place (network and arrays), then by variation."""


def designs_chapter(measured: Designs) -> Chapter:
    """Set both beside one another in every variation, and say what decides."""
    labels, pays = PAPER.labels("variations"), dict[str, list[str]]()
    found = {place: {key: _ratios(runs) for key, runs in by_key.items()} for place, by_key in measured.items()}
    for quantity, called in PAPER.labels("quantities").items():
        pays[called] = [
            f"{place}: {_which(labels, [key for key, of in by_key.items() if of[quantity] > 1])}"
            for place, by_key in found.items()
        ]
    line = ". ".join(f"{called.capitalize()}: {', '.join(where)}" for called, where in pays.items())
    chapter = PAPER.chapter("designs", line=line)
    for place, by_key in found.items():
        for key, ratios in by_key.items():
            for quantity, ratio in ratios.items():
                what = f"{PAPER.labels('quantities')[quantity]} of pruned weights / the basis's, {place}, {labels[key]}"
                chapter.add(f"{place}/{quantity}", key, what, "times", ratio)
            for design in ("basis", "pruned"):
                run = measured[place][key][design]
                for quantity, unit, field in (("time", "s", "latency_s"), ("energy", "J", "energy_j")):
                    what = f"{quantity}, {design}, {place}, {labels[key]}"
                    chapter.add(f"{place}/{design}/{quantity}", key, what, unit, float(run[field]))
        columns = {
            f"{place}/{design}/{quantity}": f"{design}, {quantity}"
            for quantity in ("time", "energy")
            for design in ("basis", "pruned")
        }
        columns |= {
            f"{place}/{each}": f"pruned / basis, {called}" for each, called in PAPER.labels("quantities").items()
        }
        chapter.table(
            f"{place} arrays: basis beside pruned weights", "other than the preset", list(by_key), columns, labels
        )
    _deciding(chapter, measured)
    return chapter


def _which(labels: Mapping[str, str], keys: list[str]) -> str:
    """Say in which variations something holds: all, none, all but a few, or a few."""
    but = [label for key, label in labels.items() if key not in keys]
    if not keys or not but:
        return "nowhere" if not keys else "everywhere"
    few = [labels[key] for key in keys]
    return f"everywhere but ({'; '.join(but)})" if len(but) < len(few) else f"({'; '.join(few)})"


def _ratios(runs: Runs) -> dict[str, float]:
    """Return how many times what the basis takes pruned weights take."""
    time, energy = (runs["pruned"][key] / runs["basis"][key] for key in ("latency_s", "energy_j"))
    return {"time": time, "energy": energy, "edp": time * energy}


def _deciding(chapter: Chapter, measured: Designs) -> None:
    labels = PAPER.labels("decides")
    for place, by_key in measured.items():
        for key, value in decides(by_key["preset"]).items():
            unit = "%" if key == "crossbar" else "times"
            chapter.add(f"decides/{key}", place, f"{labels[key]}, {place}", unit, value)
    columns = {f"decides/{key}": label for key, label in labels.items()}
    title = "What would have to be cheaper, from the parts of the energies of the preset"
    chapter.table(title, "network, arrays", list(measured), columns)
