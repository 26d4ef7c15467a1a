"""Figures 15 to 17 under published constants: each claim as an interval, by coherent sets, and which claims exclude each other."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import mho
from mho.machine.robustness import Robust
from mho.studies.aras.measure import papers
from mho.studies.aras.measure_constants import READINGS, STEPS, Priced
from mho.studies.aras.paper import PAPER, given
from mho.studies.chapter import Chapter
from mho.studies.work import Work

Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Joules = Mapping[tuple[str, str], Any]
Runs = Mapping[str, Priced]
"""By configuration, and by reading of the array."""
Events = Mapping[str, Mapping[str, Runs]]
"""By network and set of constants."""
DRAWS, QUICK_DRAWS = 20_000, 200
PULSES_SAVED = 17
"""Per cent of write pulses that reuse saves by Section VII-A."""
SAVINGS = {"banks": ("baseline", "banks"), "replication": ("banks", "replication"), "reuse": ("replication", "reuse")}
SAVINGS |= {"all": ("baseline", "reuse")}
CLAIMS = {
    "banks": ("saving-banks", "mean", 1.5),
    "replication": ("saving-replication", "mean", 1.5),
    "reuse": ("saving-reuse", "mean", 1.5),
    "all": ("saving-all", "mean", 1.5),
    "all-largest": ("saving-largest", "largest", 3.0),
    "array": ("systolic-saving", "mean", 5.0),
    "array-largest": ("systolic-saving", "largest", 5.0),
}
"""Claims on energy, in points: the paper's figure, and how near is taken to be the same; tolerances are ours."""
SRAM = ("hp_300k", "lop_300k", "lstp_300k")
OTHERS: Mapping[str, tuple[tuple[str, ...], str]] = {
    **{cells: (("tile_buffer", "global_buffer"), f"sram-cells-32nm/{cells}") for cells in SRAM},
    "isaac-adc": (("adc",), "isaac-32nm/adc"),
    "lpddr4": (("memory",), "lpddr4/memory"),
    "taox": (("cell_pulse",), "neurosim-32nm/cell_pulse_taox"),
}
"""What else the coherent set may have, re-priced: the components that change, and what they then are."""
BUFFERS = ("activation_buffer", "sum_buffer", "weight_buffer")
WHY = "study: another coherent set"


def constants(work: Work, events: Events) -> Chapter:
    """Set each claim beside what constants make of it."""
    chapter, labels = PAPER.chapter("constants", draws=f"{_draws(work):,}"), PAPER.labels("claims")
    told = {label: _told(work, events, *of) for label, of in _columns().items()}
    for label, values in told.items():
        for claim, ours in values.items():
            best = label == "named"
            paper = given(work, *CLAIMS[claim][:2]) if best else None
            note = PAPER.says("decided-by-set") if paper is not None and abs(ours - paper) > 0.1 * paper else ""
            chapter.add(f"set/{label}", claim, labels[claim], "%", ours, paper=paper, note=note)
    chapter.table("By set of constants, %", "claim", tuple(CLAIMS), _headed("set", PAPER.labels("sets")), labels)
    _intervals(work, chapter, events, labels)
    _others(work, chapter, events, labels)
    _speeds(work, chapter, events)
    return chapter


def _draws(work: Work) -> int:
    return QUICK_DRAWS if work.settings.quick else DRAWS


def _columns() -> dict[str, tuple[str, bool, bool, str]]:
    """Return the columns of the first table: set of constants, the paper's pulses, its kinds alone, reading of the array."""
    return {
        "aras": ("aras", False, False, "hidden"),
        "aras-pulses": ("aras", True, False, "hidden"),
        "coherent": ("coherent", False, False, "hidden"),
        "pulses": ("coherent", True, False, "exposed"),
        "named": ("coherent", True, True, "exposed"),
    }


def _headed(series: str, labels: Mapping[str, str]) -> dict[str, str]:
    return {f"{series}/{key}": label for key, label in labels.items()}


def _read(runs: Runs, pulses: bool, named: bool) -> dict[str, Priced]:
    """Return runs as they are read: with the pulses that the paper says, and of the kinds of energy that it names."""
    read = dict(runs)
    if pulses:
        read["reuse"] = read["reuse"].with_pulses(read["replication"].pulses * (1 - PULSES_SAVED / 100))
    return {name: each.without("memory") for name, each in read.items()} if named else read


def _claims(networks: Sequence[str], joules: Joules, array: str) -> dict[str, Any]:
    """Return each claim in %, of energies by network and run: numbers, or arrays of draws."""
    found: dict[str, Any] = {}
    for step, (before, after) in SAVINGS.items():
        saved = [100 * (joules[n, before] - joules[n, after]) / joules[n, "baseline"] for n in networks]
        found[step] = sum(saved) / len(saved)
        if step == "all":
            found["all-largest"] = np.max(saved, axis=0)
    against = [100 * (1 - joules[n, "reuse"] / joules[n, array]) for n in networks]
    return {**found, "array": sum(against) / len(against), "array-largest": np.max(against, axis=0)}


def _told(work: Work, events: Events, label: str, pulses: bool, named: bool, array: str) -> dict[str, float]:
    """Return the claims on a set of constants."""
    joules = {
        (name, run): (each.bill @ each.chip).total()
        for name in papers(work)
        for run, each in _read(events[name][label], pulses, named).items()
    }
    claims = _claims(papers(work), joules, array)
    return {claim: float(claims[claim]) for claim in CLAIMS}


def _drawn(work: Work, events: Events, pulses: bool, named: bool) -> Robust:
    """Return all runs of preset aras by draws of its constants."""
    read = {name: _read(events[name]["aras"], pulses, named) for name in papers(work)}
    runs = {f"{name}/{run}": each for name, of in read.items() for run, each in of.items()}
    return mho.robust(runs, draws=_draws(work))


def _sampled(found: Robust) -> Joules:
    """Return the energies of all draws by network and run."""
    return {_named(run): found.sampled(run) for run in found.energies}


def _named(run: str) -> tuple[str, str]:
    network, _, name = run.partition("/")
    return network, name


def _intervals(work: Work, chapter: Chapter, events: Events, labels: Mapping[str, str]) -> None:
    """Add where the draws of each claim lie, which constants decide it, and which claims no draw holds together."""
    held: list[dict[str, Flags]] = []
    for pulses, named in itertools.product((False, True), (False, True)):
        found = _drawn(work, events, pulses, named)
        joules = _sampled(found)
        for array in ("hidden", "exposed"):
            drawn = _claims(papers(work), joules, array)
            if not work.settings.quick:
                held.append({claim: _holds(work, claim, drawn[claim]) for claim in CLAIMS})
            if (pulses, named, array) == (False, False, "hidden"):
                _ranges(work, chapter, found, drawn, labels)
    for claim in CLAIMS if held else ():
        share = 100 * float(np.mean([each[claim].mean() for each in held]))
        chapter.add("share", claim, f"{labels[claim]}: draws of all readings near the paper's", "%", share)
    columns = {"low": "5 %", "high": "95 %", "share": "near the paper's, % of all readings"}
    chapter.table("Preset aras under its published constants, %", "claim", tuple(CLAIMS), columns, labels)
    for one, other in itertools.combinations(CLAIMS, 2) if held else ():
        both = max(float((each[one] & each[other]).mean()) for each in held)
        never = not both and all(any(each[claim].any() for each in held) for claim in (one, other))
        note = PAPER.says("contradict", one=labels[one], other=labels[other]) if never else ""
        chapter.add(f"both/{one}", other, f"{labels[one]} and {labels[other]}, both", "%", 100 * both, note=note)
    columns = {f"both/{claim}": labels[claim] for claim in CLAIMS}
    title = "Claims near the paper's in one and the same draw, % of the draws of the best reading"
    chapter.table(title, "claim", tuple(CLAIMS), columns, labels)


def _ranges(
    work: Work, chapter: Chapter, found: Robust, drawn: Mapping[str, Values], labels: Mapping[str, str]
) -> None:
    """Add where most draws of each claim lie, with the constants that decide it."""
    ends = _ends(papers(work), found)
    for claim in CLAIMS:
        low, high = np.quantile(drawn[claim], (0.05, 0.95)).tolist()
        moved = {key: [float(each[claim]) for each in sides] for key, sides in ends.items()}
        widths = {key: max(values) - min(values) for key, values in moved.items()}
        widest = sorted(widths, key=widths.__getitem__, reverse=True)[:3]
        # Of a constant, at its low and high end; of alternatives the least and the most.
        between = {key: (values if len(values) == 2 else (min(values), max(values))) for key, values in moved.items()}
        listed = ", ".join(f"{key} {between[key][0]:.1f} to {between[key][1]:.1f}" for key in widest)
        note = PAPER.says("decides", constants=listed)
        chapter.add("low", claim, f"{labels[claim]}: 5 % of draws lie below", "%", low, note=note)
        chapter.add("high", claim, f"{labels[claim]}: 5 % of draws lie above", "%", high)


def _ends(names: Sequence[str], found: Robust) -> dict[str, list[dict[str, Any]]]:
    """Return the claims at both ends of each constant alone, and with each alternative of a component."""
    ends = {}
    for key, constant in found.constants.items():
        ends[key] = [
            _claims(names, {_named(run): found.energy(run, **{key: value}) for run in found.energies}, "hidden")
            for value in (constant.low, constant.high)
        ]
    for key, alternatives in found.alternatives.items():
        ends[key] = []
        for place in range(len(alternatives.components)):
            joules = {}
            for run, linear in found.energies.items():
                parts = linear.chosen[key]
                joules[_named(run)] = found.energy(run) - parts[0] + parts[place]
            ends[key].append(_claims(names, joules, "hidden"))
    return ends


def _holds(work: Work, claim: str, values: Values) -> Flags:
    quantity, which, tolerance = CLAIMS[claim]
    paper = given(work, quantity, which)
    assert paper is not None
    return np.asarray(np.abs(values - paper) <= tolerance)


def _others(work: Work, chapter: Chapter, events: Events, labels: Mapping[str, str]) -> None:
    """Add how many claims hold on the coherent set with one component changed, as it is re-priced."""
    names, sets = papers(work), PAPER.labels("others")
    for label, (roles, component) in {"as-it-is": ((), ""), **OTHERS}.items():
        for named in (False, True):
            joules = {
                (name, run): (each.bill @ _changed(each.chip, roles, component)).total()
                for name in names
                for run, each in _read(events[name]["coherent"], True, named).items()
            }
            claims = _claims(names, joules, "exposed")
            key = f"{label}-named" if named else label
            for claim in CLAIMS:
                chapter.add(f"other/{claim}", key, f"{labels[claim]}, {sets[key]}", "%", float(claims[claim]))
            if not work.settings.quick:
                count = sum(bool(_holds(work, claim, claims[claim])) for claim in CLAIMS)
                chapter.add(
                    "other/held", key, f"claims of {len(CLAIMS)} within tolerances, {sets[key]}", "", float(count)
                )
    columns = {f"other/{claim}": labels[claim] for claim in CLAIMS} | {
        "other/held": f"within tolerances, of {len(CLAIMS)}"
    }
    title = "Coherent sets, 17 % fewer pulses, loads of the array exposed, %"
    chapter.table(title, "set", tuple(sets), columns, sets)


def _changed(chip: Any, roles: Sequence[str], component: str) -> Any:
    """Return a chip, or an array, with another component in some roles; buffers of an array are those of a chip."""
    wanted = {role for role in roles if role in chip.uses}
    wanted |= set(BUFFERS) & set(chip.uses) if "global_buffer" in roles else set()
    return chip.override({f"components.{role}": component for role in wanted}, WHY) if wanted else chip


def _speeds(work: Work, chapter: Chapter, events: Events) -> None:
    """Add the array's time over ARAS's under each reading of what holds the array up; no constant is in them."""
    names = papers(work)
    for reading in READINGS:
        factors = {n: events[n]["aras"][reading].latency_s / events[n]["aras"]["reuse"].latency_s for n in names}
        for member, factor in {
            **factors,
            "mean": sum(factors.values()) / len(factors),
            "largest": max(factors.values()),
        }.items():
            paper = given(work, "systolic-speed-up", "largest") if (reading, member) == ("exposed", "largest") else None
            chapter.add(
                f"speed/{reading}", member, f"speed-up over the array, loads {reading}", "", factor, paper=paper
            )
    title = "Speed-up over the systolic array by what holds it up (exact: no constant is in it)"
    chapter.table(title, "network", (*names, "mean", "largest"), _headed("speed", PAPER.labels("readings")))


__all__ = ["STEPS", "constants"]
