"""What should be changed of a design, as a person should see it: what each change brings, where time goes, what was refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mho.engineering import count, percent_change, quantity
from mho.explore.change import SAME, Advice, changed
from mho.explore.objectives import ALWAYS, OBJECTIVES, objective
from mho.report.breakdown import breakdown_tables
from mho.report.sections import Figures, Notes, Section, Sentence, Table, Tone, View

MOST = 20
"""Changes shown in a terminal."""
REMARK = (
    "One step of one parameter, all else as it is; effects do not add. Short layers: those whose sums converters do not resolve, "
    "set off where a change makes more of them."
)


def view(advice: Advice) -> View:
    """Return the view of advice."""
    content, base, aim = advice.content, advice.base, objective(advice.content["minimise"])
    told = [each["name"] for each in content["aims"]]
    aims = list(dict.fromkeys([aim.name, *(name for name in told if name in (*ALWAYS, "interval"))]))
    cards = [(name, quantity(base[OBJECTIVES[name].field] or 0.0, OBJECTIVES[name].unit), "as it is") for name in told]
    feasible, better = advice.feasible, len(advice.better)
    title = f"What each change brings   {count(better)} of {count(len(feasible))} bring {'more' if aim.more else 'less'} {aim.name}"
    sure = any("sure" in record for record in feasible)
    heads = ("change", "from, to", *aims, *(("energy, most draws",) if sure else ()))
    lines = [
        (
            *changed(record),
            *(percent_change(record["ratios"].get(name, 1.0)) for name in aims),
            *((_sure(record),) if sure else ()),
        )
        for record in feasible
    ]
    tones: dict[int, Tone] = {
        place: "warn" for place, record in enumerate(feasible) if record["unresolved"] > base["unresolved"]
    }
    shown = max(min(better, MOST), MOST // 2)
    more = f"; {count(len(lines) - shown)} others: --csv, --json, --out" if len(lines) > shown else ""
    refused = [(*changed(record), record["refused"]) for record in advice.records if record["refused"] is not None]
    same = [" ".join(changed(record)) for record in content["unchanged"]]
    counted = [f"{count(len(refused))} changes cannot be compiled; {count(len(same))} change nothing of all that"]
    sections: list[Section] = [
        Figures(rows=cards, cards=True),
        Table(title=title, heads=(*heads, "unresolved"), tones=tones, where="page", remark=REMARK,
              lines=[(*line, count(record["unresolved"])) for line, record in zip(lines, feasible, strict=True)]),
        Table(title=title + more, heads=heads, lines=lines[:shown], tones=tones, where="terminal", cut=True),
        *breakdown_tables({"time": base["time"], **({"stream": None} if "interval" in told else {})}),
        Table(title="Changes that cannot be compiled", heads=("change", "from, to", "why"), lines=refused, names=2, prose=True,
              where="page"),
        Notes(notes=[*content["notes"], *([f"changes nothing: {', '.join(same)}"] if same else [])],
              brief=[*content["notes"], *counted]),
    ]  # fmt: skip
    return View(
        f"What to change of {content['network']} on {content['chip']}, schedule {content['strategy']['schedule']['choice']}",
        sections,
        sentences=[Sentence(each, "good" if better else "") for each in _best(advice)],
        mark=f"mho {content['version']} · advice",
    )


def _sure(record: Mapping[str, Any]) -> str:
    """Write where most draws of published constants lie of a change's energy, and whether its sign holds under all of them."""
    sure = record.get("sure")
    if sure is None:
        return "–"
    ends = " to ".join(percent_change(1 - sure[key]) for key in ("high", "low"))
    return f"{ends}, {'decided' if sure['decided'] else 'undecided'}"


def _best(advice: Advice) -> Iterator[str]:
    """Yield what the best change brings, and the best one that costs no time, energy and area."""
    aim, better = advice.content["minimise"], advice.better
    free = [each for each in better if all(each["ratios"].get(name, 1.0) <= 1 + SAME for name in ALWAYS)]
    if not better:
        yield f"no single step is better in {aim}"
    for words, records in (("most", better), ("most at no cost", free)):
        if records and (records is better or free[0] is not better[0]):
            yield f"{words}: {' '.join(changed(records[0]))}: {_brings(records[0], aim)}"


def _brings(record: Mapping[str, Any], aim: str) -> str:
    names = dict.fromkeys((aim, *ALWAYS))
    return ", ".join(f"{name} {percent_change(record['ratios'].get(name, 1.0))}" for name in names)
