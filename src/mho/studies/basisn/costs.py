"""Time and energy of each network on each chip, of naive reprogramming's, and who wins where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mho.studies.basisn.measure import KEPT, WRITING, Costs, Runs, share
from mho.studies.basisn.paper import PAPER
from mho.studies.chapter import Chapter

QUANTITIES = {"time": ("latency_s", "s"), "energy": ("energy_j", "J")}
OURS, SMALLEST = "n512k32", "n128k32"
RIVALS = {
    "naive": ("naive",), "any": WRITING, "floor": ("floor",), "resident": ("resident",), "narrow": ("narrow",),
    "merged": ("merged",), KEPT: (KEPT,),
}  # fmt: skip
"""What a basis of 512 vectors is set against; of several the one that is best by the same quantity."""


def costs_chapter(costs: Costs) -> Chapter:
    """List times and energies of every design."""
    chapter, labels = PAPER.chapter("costs"), PAPER.labels("designs")
    for name, by_arrays in costs.items():
        for arrays, runs in by_arrays.items():
            for quantity, (key, unit) in QUANTITIES.items():
                for design, label in labels.items():
                    value = _value(runs, design, key)
                    if value is not None:
                        series = f"{arrays}/{quantity}/{design}"
                        what = f"{quantity} on {arrays} arrays, {label}"
                        chapter.add(series, name, what, unit, value, network=name)
    for arrays in _arrays(costs):
        for quantity in QUANTITIES:
            title = f"{of_arrays(arrays)}: {quantity} of an inference"
            columns = {f"{arrays}/{quantity}/{design}": label for design, label in labels.items()}
            chapter.table(title, "network", list(costs), columns)
    return chapter


def _value(runs: Runs, design: str, key: str) -> float | None:
    if design == "floor":
        return float(runs["naive"]["floor_s"]) if key == "latency_s" else None
    return float(runs[design][key]) if design in runs else None


def _arrays(costs: Costs) -> list[int]:
    return list(next(iter(costs.values())))


def of_arrays(arrays: int) -> str:
    """Name a chip by its arrays."""
    return f"{arrays:,} array{'' if arrays == 1 else 's'}"


def shares_chapter(costs: Costs) -> Chapter:
    """Set every design in % of naive reprogramming: time, and energy x delay."""
    chapter, labels = PAPER.chapter("shares"), PAPER.labels("designs")
    del labels["naive"]
    for name, by_arrays in costs.items():
        for arrays, runs in by_arrays.items():
            for quantity, called in (("time", "time"), ("edp", "energy x delay")):
                for design, label in labels.items():
                    value = share(runs, design, quantity)
                    if value is not None:
                        what = f"{called} on {arrays} arrays, {label}, of naive's"
                        chapter.add(f"{arrays}/{quantity}/{design}", name, what, "%", value, network=name)
    for arrays in _arrays(costs):
        for quantity, called in (("time", "time"), ("edp", "energy x delay")):
            columns = {f"{arrays}/{quantity}/{design}": label for design, label in labels.items()}
            chapter.table(f"{of_arrays(arrays)}: {called}, % of naive's", "network", list(costs), columns)
    return chapter


def area_chapter(costs: Costs) -> Chapter:
    """Say what lanes and buffers add to the area of each chip."""
    chapter, labels = PAPER.chapter("area"), PAPER.labels("designs")
    runs_of = next(iter(costs.values()))
    designs = ("naive", SMALLEST, "n256k32", OURS, "merged", KEPT)
    for arrays, runs in runs_of.items():
        for design in (each for each in designs if each in runs):
            area = float(runs[design]["area_m2"])
            chapter.add(design, of_arrays(arrays), f"area of {arrays} arrays, {labels[design]}", "m²", area)
    columns = {design: "ARAS" if design == "naive" else labels[design] for design in designs}
    chapter.table("Area of the whole chip", "arrays", [of_arrays(arrays) for arrays in runs_of], columns)
    return chapter


def compared(costs: Costs, rival: str, quantity: str) -> Iterator[tuple[str, float]]:
    """Yield, for each network and chip that holds both, how many times ours a rival takes."""
    for name, by_arrays in costs.items():
        for arrays, runs in by_arrays.items():
            ours = share(runs, OURS, quantity)
            others = [share(runs, design, quantity) for design in RIVALS[rival]]
            known = [other for other in others if other is not None]
            if ours is not None and known:
                yield f"{name}, {of_arrays(arrays)}", min(known) / ours


def winners_chapter(costs: Costs) -> Chapter:
    """Count where 512 vectors, 32 of them a segment, win against each rival, and by how much at the least and the most."""
    labels, lines = PAPER.labels("rivals"), []
    found = {
        (rival, quantity): dict(compared(costs, rival, quantity))
        for rival in RIVALS
        for quantity in ("time", "energy", "edp")
    }
    for rival in RIVALS:
        counts = {quantity: _counted(found[rival, quantity]) for quantity in ("time", "energy", "edp")}
        if counts["time"]:
            words = ", ".join(f"{PAPER.labels('quantities')[each]} {text}" for each, text in counts.items() if text)
            lines.append(f"against {labels[rival]}: {words}")
    chapter = PAPER.chapter("winners", line="; ".join(lines))
    for (rival, quantity), ratios in found.items():
        _extremes(chapter, rival, quantity, ratios)
    members = [rival for rival in RIVALS if found[rival, "time"]]
    for quantity, called in PAPER.labels("quantities").items():
        columns = {f"{quantity}/{key}": label for key, label in PAPER.labels("extremes").items()}
        chapter.table(f"How many times our {called} a rival takes", "rival", members, columns, labels)
    return chapter


def _counted(ratios: Mapping[str, float]) -> str:
    return f"less in {sum(ratio > 1 for ratio in ratios.values())} of {len(ratios)}" if ratios else ""


def _extremes(chapter: Chapter, rival: str, quantity: str, ratios: Mapping[str, float]) -> None:
    if not ratios:
        return
    called, label = PAPER.labels("quantities")[quantity], PAPER.labels("rivals")[rival]
    least, most = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
    for key, value, unit, note in (
        ("cells", float(len(ratios)), "cases", ""),
        ("won", float(sum(ratio > 1 for ratio in ratios.values())), "cases", ""),
        ("least", ratios[least], "times", f"{least}."),
        ("most", ratios[most], "times", f"{most}."),
    ):
        what = f"{called} of {label} / ours: {PAPER.labels('extremes')[key]}"
        chapter.add(f"{quantity}/{key}", rival, what, unit, value, note=note)
