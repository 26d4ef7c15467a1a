"""How many designs a second can be judged, and what a whole report and the proof of a long program cost (docs/design-speed.md).

One thread, CPU time, by the public API alone: `mho.explore` over as many chips, varied in one value, the network known by its
shapes, banks greedy, every design asked for time, energy and area. The reference, in the same process, is one float32 forward pass
of resnet50 (torch).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from time import process_time
from typing import Any

# One thread, before numpy is imported.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

from benchmarks.files import ROOT, apart, read_json, write_json, write_measured
from benchmarks.tables import table

RESULTS = ROOT / "benchmarks" / "designs.json"
PAGE = ROOT / "docs" / "design-speed.md"
SCHEMA = "mho.design-speed/1"
DESIGNS = 60
GOALS = {"resnet18": 100.0, "resnet50": 60.0, "bert-base": 60.0, "report": 0.15, "verified": 2.0}
"""Designs a second of the networks, and CPU seconds of a whole report of resnet50 and of a proof."""
SCHEDULES = ("overlap", "aras")
LAYERS = 200
"""Layers of the decoder, each as one of llama3-8b, whose program is proved: some 60,000 instructions."""
REPEATS = 12


def least(once: Callable[[], object]) -> float:
    """Return the CPU time of the quickest of some repetitions, in s: the one that other processes disturbed least."""
    times = []
    for _ in range(REPEATS):
        before = process_time()
        once()
        times.append(process_time() - before)
    return min(times)


def _rate(name: str, schedule: str) -> dict[str, Any]:
    """Judge chips of as many bandwidths; each is new, as in a search."""
    import mho

    network, chip = mho.zoo.load(name), mho.Chip.load("aras")
    strategy = mho.Strategy().with_(schedule=schedule, banks="greedy")
    bandwidths = iter(chip.memory.bandwidth * (1 + share / 1000) for share in range(DESIGNS * (REPEATS + 1)))

    def designs() -> None:
        axis = {"memory.bandwidth": [next(bandwidths) for _ in range(DESIGNS)]}
        found = mho.explore(network, chip, axis, strategy=strategy, measure=0)
        assert len(found.feasible) == DESIGNS

    designs()
    return {"case": name, "schedule": schedule, "per_s": DESIGNS / least(designs), "goal": GOALS[name]}


def _report() -> dict[str, Any]:
    """Ask a program that nothing is known of for everything that a report says."""
    import mho

    network = mho.zoo.load("resnet50")
    program = mho.compile(network, "aras", mho.Strategy().with_(schedule="overlap", banks="greedy"))
    mho.simulate(program).to_dict()
    return {
        "case": "report",
        "instructions": len(program.instructions),
        "seconds": least(lambda: mho.simulate(replace(program)).to_dict()),
        "goal": GOALS["report"],
    }


def _verified() -> dict[str, Any]:
    """Prove a long program legal, with the times that the machine measured."""
    import mho
    from mho.network.zoo.decoder import PRESETS, decoder
    from mho.program import violations

    network = decoder(replace(PRESETS["llama3-8b"], name=f"decoder of {LAYERS}", layers=LAYERS))
    program = mho.compile(network, "aras", mho.Strategy().with_(schedule="overlap", banks="greedy"))
    timing = mho.simulate(program).timing

    def proof() -> None:
        assert not violations(replace(program), (timing.starts, timing.ends))

    return {
        "case": "verified",
        "instructions": len(program.instructions),
        "seconds": least(proof),
        "goal": GOALS["verified"],
    }


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    **{
        f"{name}-{schedule}": (lambda name=name, schedule=schedule: _rate(name, schedule))
        for name in ("resnet18", "resnet50", "bert-base")
        for schedule in SCHEDULES
    },
    "report": _report,
    "verified": _verified,
}


def measure(case: str) -> dict[str, Any]:
    """Measure one case beside the reference."""
    from benchmarks.cases import forward

    return {**CASES[case](), "unit_s": forward()["seconds"]}


def rendered(results: dict[str, Any]) -> str:
    """Return the tables."""
    rates = [each for each in results["cases"] if "per_s" in each]
    whole = [each for each in results["cases"] if "seconds" in each]
    what = {"report": "a whole report of resnet50", "verified": f"a decoder of {LAYERS} layers proved legal"}

    def met(yes: bool) -> str:
        return "yes" if yes else "no"

    return "\n\n".join(
        (
            table(
                ("network", "schedule", "designs a second", "goal", "met", "forward passes a design"),
                [
                    (
                        each["case"], each["schedule"], f"{each['per_s']:.0f}", f"{each['goal']:.0f}",
                        met(each["per_s"] >= each["goal"]), f"{1 / each['per_s'] / each['unit_s']:.3f}",
                    )
                    for each in rates
                ],
                right=2,
            ),
            table(
                ("what", "instructions", "CPU s", "goal", "met", "forward passes"),
                [
                    (
                        what[each["case"]], f"{each['instructions']:,}", f"{each['seconds']:.3f}", f"{each['goal']:g}",
                        met(each["seconds"] <= each["goal"]), f"{each['seconds'] / each['unit_s']:.2f}",
                    )
                    for each in whole
                ],
            ),
        )
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.designs",
        description="Designs judged a second, a whole report and the proof of a long program, each in a process of its own; writes "
        "docs/design-speed.md and benchmarks/designs.json. About two minutes. Leave the machine alone meanwhile.",
    )
    parser.add_argument("--only", metavar="CASE", choices=list(CASES), help=f"measure this alone: {', '.join(CASES)}")
    parser.add_argument("--render", action="store_true", help="write the tables again from benchmarks/designs.json")
    chosen = parser.parse_args(arguments)
    if chosen.only:
        sys.stdout.write(json.dumps(measure(chosen.only)) + "\n")
        return 0
    if not chosen.render:
        cases = [apart("benchmarks.designs", case) for case in CASES]
        write_json(RESULTS, {"schema": SCHEMA, "cores": os.cpu_count(), "cases": cases})
    write_measured(PAGE, rendered(read_json(RESULTS)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
