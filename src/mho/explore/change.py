"""What should be changed of a design: every neighbour of it compiled and measured, and what each brings (schema mho.advice/1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mho.chip import Chip
from mho.chip.fit import FIT, TILES
from mho.engineering import percent_change, quantity
from mho.errors import OptionError, choices
from mho.explore.exploration import Exploration
from mho.explore.neighbours import Change, neighbours
from mho.explore.objectives import ALWAYS, OBJECTIVES, Objective, objective
from mho.explore.screening import Judge, Subject
from mho.explore.space import Space
from mho.explore.workers import Executor, each
from mho.machine.analog import Analog
from mho.machine.report import Report
from mho.machine.robustness import robust
from mho.network.graph import Network
from mho.number import QuantisedNetwork, Sampled
from mho.schedule.stages import Schedule
from mho.shown import Columns, columns
from mho.strategy import Strategy

AIMS = tuple(name for name, each in OBJECTIVES.items() if each.of is not None and name != "lifetime")
"""What changes may be sorted by: objectives that a report alone tells."""
TOLD = (*ALWAYS, "edp")
"""What every change is told in; of a stream in the interval too."""
SAME = 1e-12
"""Figures that differ by no more than this share are the same: rounding."""
NOTES = (
    "each change stands alone: what several bring together is not the sum of what each brings",
    "components cost what the chip's technologies say of them: what these do not tie to a parameter (that a faster converter takes "
    "more) costs nothing here",
    "accuracy is not looked at; of fewer bits and more rows the layers tell whose sums converters do not resolve (mho accuracy "
    "measures it)",
)
"""What figures of changes rest on."""
SURE = 20
"""Of so many changes, the first, it is told how sure their energies are."""
STREAM = "a stream: time is that of one inference alone, interval from one inference to the next"


class Advice(Exploration):
    """What each neighbour of a design brings, those that bring most first, then what was refused.

    advice.base                  the figures of the design as it is, and under `time` where its time goes
    advice.records               a mapping a change: part, key, before, after, step; figures in SI units, and their `ratios` to
                                 those of the design as it is, by aim; `refused` says why it cannot be compiled
    advice.frame("changes")      the same as a table
    """

    schema = "mho.advice/1"
    within = "changes"
    needs = (
        "version",
        "network",
        "chip",
        "strategy",
        "minimise",
        "aims",
        "copies",
        "base",
        "changes",
        "unchanged",
        "notes",
    )

    @property
    def base(self) -> Mapping[str, Any]:
        """The figures of the design as it is."""
        base: Mapping[str, Any] = self.content["base"]
        return base

    @property
    def better(self) -> tuple[Mapping[str, Any], ...]:
        """The changes that bring any of what is asked for, the best first."""
        aim = objective(self.content["minimise"])
        return tuple(record for record in self.feasible if gain(record, aim) < 1 - SAME)

    def headline(self) -> str:
        """Say of what it is."""
        return f"Advice: {self.content['network']} on {self.content['chip']}, {len(self.records)} changes"

    def facts(self) -> Sequence[tuple[str, str]]:
        """Return the design's figures, the change that brings most of what is asked for, and how many there are."""
        aim, better = self.content["minimise"], self.better
        most = f"{' '.join(changed(better[0]))}: {percent_change(better[0]['ratios'][aim])}" if better else "none"
        return (
            *((name, quantity(self.base[OBJECTIVES[name].field], OBJECTIVES[name].unit)) for name in ALWAYS),
            (f"most {aim}", most),
            ("better", f"{len(better)} of {len(self.feasible)} changes"),
            ("refused", f"{len(self.records) - len(self.feasible)}"),
            ("change nothing", f"{len(self.content['unchanged'])}"),
        )

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `changes`, one a row, with ratios to the design as it is."""
        return {"changes": lambda: columns(self._row(record) for record in self.records)}

    def _row(self, record: Mapping[str, Any]) -> dict[str, Any]:
        aims = self.content["aims"]
        return {
            "part": record["part"],
            "key": record["key"],
            "before": _plainly(record["before"]),
            "after": _plainly(record["after"]),
            **{aim["field"]: record[aim["field"]] for aim in aims},
            **{f"{aim['name']}_ratio": record["ratios"].get(aim["name"]) for aim in aims},
            **{key: record[key] for key in ("unresolved", "option", "refused")},
        }


def advise(
    network: Network | QuantisedNetwork | Sampled,
    chip: Chip | str | Path,
    strategy: Strategy | str | Path | None = None,
    *,
    minimise: str = "time",
    copies: int = 0,
    uncertainty: bool = False,
    workers: int | Executor = 1,
    say: Callable[[str], None] = lambda text: None,
) -> Advice:
    """Measure what one step of each parameter of a chip and of each stage of a strategy brings, all else staying as it is.

        advice = mho.explore.advise(network, "aras", "overlap")
        print(advice.frame("changes"))

    Steps are those of `neighbours`, each compiled and measured anew; what cannot be compiled is told with the reason, what changes
    nothing is named alone. `minimise`: one of AIMS; those of which more is better are maximised. `copies`: the chip, and each of
    its variants, is sized to so many copies of the network; 0: tiles stay as they are. `uncertainty`: of the first changes it is
    told whether it is decided, under all published constants, that they take less energy. `workers`: processes that measure; their
    number changes no result. `say` is told how far the work is. Raises OptionError for an unknown aim, and what `compile` raises
    for the design as it is.
    """
    if minimise not in AIMS:
        raise OptionError(f"advice cannot minimise {minimise!r}; {choices(minimise, AIMS)}")
    subject, plan = Sampled.of(network), Strategy.of(strategy)
    # Rebuilt as workers rebuild it: no refusal names files of this machine.
    given = Chip.from_dict((chip if isinstance(chip, Chip) else Chip.load(chip)).to_dict())
    flows = plan.get(Schedule).flows
    aims = tuple(dict.fromkeys((*TOLD, *(("interval",) if flows else ()), minimise)))
    all_have = {f"chip.{TILES}": f"{FIT}:{copies}"} if copies else {}
    steps = [step for step in neighbours(given, plan) if not (copies and step.key == TILES)]
    one = (Subject(subject.net.name, {(): subject}),)
    judge = Judge(one, _space(steps, all_have), given, plan, Analog(), (*aims, "unresolved"), whole=True)
    say("the design as it is")
    base, report = judge.told(judge.designs(all_have)[0])
    records, unchanged = [], []
    for number, (step, record) in enumerate(zip(steps, each(_Work(judge, all_have), steps, workers), strict=True), 1):
        say(f"change {number} of {len(steps)}: {step.key}")
        if record["refused"] is None:
            record["ratios"] = _ratios(record, base, aims)
            if all(abs(ratio - 1) <= SAME for ratio in record["ratios"].values()):
                unchanged.append({key: record[key] for key in ("part", "key", "before", "after", "unit")})
                continue
        records.append(record)
    records.sort(key=lambda record: _order(record, objective(minimise)))
    _price(records[: SURE if uncertainty else 0], report, judge, all_have, say)
    content = {
        "network": subject.net.name,
        "chip": given.name,
        "strategy": plan.to_dict(),
        "minimise": minimise,
        "aims": [OBJECTIVES[aim].to_dict() for aim in aims],
        "copies": copies,
        "base": {**base, "time": report.field("time")},
        "changes": records,
        "unchanged": unchanged,
        "notes": [*NOTES, *([STREAM] if flows else [])],
    }
    return Advice(content, report)


def _price(
    records: Sequence[dict[str, Any]],
    report: Report,
    judge: Judge,
    all_have: Mapping[str, Any],
    say: Callable[[str], None],
) -> None:
    """Note in the first records what of the design's energy a change saves under published constants, compiled once more."""
    feasible = [record for record in records if record["refused"] is None]
    for number, record in enumerate(feasible, 1):
        say(f"pricing change {number} of {len(feasible)}: {record['key']}")
        other = judge.measured({**all_have, **record["values"]})[1][0]
        found = robust({"as it is": report, "changed": other})
        saving, low, high = found.saving("changed", "as it is")
        verdict = found.verdict("changed", "as it is")
        record["sure"] = {"saving": saving, "low": low, "high": high, "decided": verdict.decided, "said": str(verdict)}


def _ratios(record: Mapping[str, Any], base: Mapping[str, Any], aims: Sequence[str]) -> dict[str, float]:
    """Return each aim of a change over that of the design as it is, where both are known."""
    pairs = {aim: (record[OBJECTIVES[aim].field], base[OBJECTIVES[aim].field]) for aim in aims}
    return {aim: now / before for aim, (now, before) in pairs.items() if now is not None and before}


def gain(record: Mapping[str, Any], aim: Objective) -> float:
    """Return by what a change multiplies an aim, turned so that less is better; 1 where that is not known."""
    ratio = record["ratios"].get(aim.name, 1.0)
    return 1 / ratio if aim.more and ratio else float(ratio)


def changed(record: Mapping[str, Any]) -> tuple[str, str]:
    """Write what a record changes, and from what to what: "tiles", "96 → 120"."""
    return record["key"], f"{_said(record['before'], record['unit'])} → {_said(record['after'], record['unit'])}"


def _said(value: Any, unit: str) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"{len(value)} of {quantity(sum(value), 'B')}"
    return quantity(value, unit) if unit else str(value)


@dataclass(frozen=True)
class _Work:
    """What measures a change: the judge of designs, and what all of them have changed."""

    judge: Judge
    all_have: Mapping[str, Any]

    def __call__(self, step: Change) -> dict[str, Any]:
        """Return the record of a change, of the first of its values that can be compiled; without any, why the first cannot."""
        refused: dict[str, Any] = {}
        for value in step.after:
            changes = {f"{step.part}.{step.key}": value}
            found = self.judge({**self.all_have, **changes})
            record = {
                **{key: getattr(step, key) for key in ("part", "key", "before", "step", "unit")},
                "after": value,
                "values": changes,
                "option": _option(step, value),
                "ratios": {},
                **{key: figure for key, figure in found.items() if key != "reason"},
            }
            if record["refused"] is None:
                return record
            refused = refused or record
        return refused


def _space(steps: Iterable[Change], all_have: Mapping[str, Any]) -> Space:
    """Return the space of all that steps lead to."""
    axes: dict[str, list[Any]] = {key: [value] for key, value in all_have.items()}
    for step in steps:
        values = axes.setdefault(f"{step.part}.{step.key}", [])
        values += [value for value in step.after if value not in values]
    return Space(axes)


def _order(record: Mapping[str, Any], aim: Objective) -> tuple[float, ...]:
    """Return what records are sorted by: the aim, then time, energy and area together; what is refused comes last."""
    if record["refused"] is not None:
        return (1,)
    ratios = record["ratios"]
    return 0, gain(record, aim), ratios.get("edp", 1.0) * ratios.get("area", 1.0)


def _option(step: Change, value: Any) -> str:
    """Return the option of the command line that makes the change."""
    if step.part == "strategy":
        return f"--{step.key.replace('_', '-')} {value}"
    return f"--set {step.key}={_plainly(value)}"


def _plainly(value: Any) -> str:
    """Write a value as --set reads it, a list without blanks."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{','.join(str(item) for item in value)}]"
    return str(value)


__all__ = ["AIMS", "TOLD", "Advice", "advise", "changed", "gain"]
