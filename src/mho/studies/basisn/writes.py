"""Where "below 1 %" holds, by the time that writing an array takes."""

from __future__ import annotations

from mho.studies.basisn.costs import OURS, SMALLEST
from mho.studies.basisn.measure import KEPT, Costs
from mho.studies.basisn.measure_writes import DRAWN, TIMES_S, Writes, needed_s
from mho.studies.basisn.paper import PAPER
from mho.studies.chapter import Chapter

DESIGNS = (SMALLEST, OURS, KEPT)
PART = 0.01


def writes_chapter(costs: Costs, writes: Writes) -> Chapter:
    """Show time in % of naive reprogramming over the time to write an array, and from when it is below 1 %."""
    chapter, labels = PAPER.chapter("writes"), PAPER.labels("designs")
    members = {f"{1e3 * time_s:.3g} ms": place for place, time_s in enumerate(TIMES_S)}
    drawn = [arrays for arrays in next(iter(writes.values())) if arrays in DRAWN]
    for name, by_arrays in writes.items():
        for arrays, measured in by_arrays.items():
            naive = measured["naive_s"]
            for design in (each for each in DESIGNS if each in costs[name][arrays]):
                latency_s = costs[name][arrays][design]["latency_s"]
                from_s = needed_s(naive, latency_s, PART)
                what = f"time to write an array from which {labels[design]} on {arrays} arrays is below 1 %"
                chapter.add(f"from/{design}/{arrays}", name, what, "s", from_s, network=name)
                if design != OURS or arrays not in drawn:
                    continue
                for member, place in members.items():
                    what = f"time of naive's on {arrays} arrays, writing an array in {member}"
                    part = 100 * latency_s / naive[place]
                    chapter.add(f"{name}/{arrays}", member, what, "%", part, network=name)
    axis = "% of naive reprogramming's time"
    series = {f"{name}/{drawn[-1]}": name for name in writes}
    title = f"512 vectors, 32 a segment, on {drawn[-1]} arrays, by the time to write an array"
    chapter.plot("writes", title, axis, list(members), series, 1.0)
    for design in DESIGNS:
        columns = {f"from/{design}/{arrays}": str(arrays) for arrays in next(iter(writes.values()))}
        title = f"{labels[design]}: time to write an array from which time is below 1 %, by arrays (ARAS: 768 µs)"
        chapter.table(title, "network", list(writes), columns)
    for arrays in drawn:
        columns = {f"{name}/{arrays}": name for name in writes}
        title = f"{labels[OURS]} on {arrays} arrays: % of naive's time, by the time to write an array"
        chapter.table(title, "writing an array", list(members), columns)
    return chapter
