"""Designs of the joint space told a second, by closed formulas and by programs, and how near they are (docs/autorac-speed.md).

One thread, CPU time, the quickest of some repetitions, of designs drawn evenly from the default space of seven blocks. The
reference, in the same process, is one design of resnet18 by shapes on a varied chip (`overlap`, banks greedy, time, energy, area).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from random import Random
from time import process_time
from typing import Any

# One thread, before numpy is imported.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

from benchmarks.files import ROOT, read_json, write_json, write_measured
from benchmarks.tables import table

RESULTS = ROOT / "benchmarks" / "autorac.json"
PAGE = ROOT / "docs" / "autorac-speed.md"
SCHEMA = "mho.autorac-speed/1"
FIELDS, DIMENSION = 10, 16
GOALS = {"closed": 1000.0, "program": 100.0}
DRAWN, COMPILED, REPEATS = 40, 24, 6
REFERENCE = 211.0
"""Designs of resnet18 a second where docs/design-speed.md was measured, with the machine left alone."""


def least(once: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the CPU time of the quickest of some repetitions, in s."""
    times = []
    for _ in range(repeats):
        before = process_time()
        once()
        times.append(process_time() - before)
    return min(times)


def measured() -> dict[str, Any]:
    """Measure speeds and agreement."""
    from scipy.stats import kendalltau

    import mho
    from mho.chip.fit import copies_asked, unsized
    from mho.explore.autorac import closed, sketch
    from mho.explore.autorac.space import BASE, CHIP, JointSpace
    from mho.explore.objectives import figures
    from mho.schedule.sizing import sized

    space = JointSpace(axes={**CHIP, "schedule": ("overlap",)})
    usual, base = (
        mho.Strategy().with_(banks="greedy"),
        mho.Chip.load("isaac").override(dict(BASE), "a chip that is searched"),
    )
    judge, random = closed.ClosedJudge(space, FIELDS, DIMENSION, base, usual), Random(0)
    drawn = [space.drawn(random) for _ in range(DRAWN)]
    models, values = [space.model(each) for each in drawn], [space.chip_values(each) for each in drawn]

    def told() -> None:
        closed.unchecked.cache_clear()
        sketch.buffers.cache_clear()
        for model, each in zip(models, values, strict=True):
            judge(model, each)

    def program(place: int) -> Any:
        model, changes = models[place], space.changes(values[place])
        bits = ",".join(f"{name}={each}" for name, each in model.layer_bits(FIELDS, DIMENSION).items())
        strategy = usual.with_(changes["strategy"] | {"coding.bits": bits})
        network = model.build(FIELDS, DIMENSION)
        chip = sized(
            network, base.override(unsized(changes["chip"]), "drawn"), strategy, copies=copies_asked(changes["chip"])
        )
        report = mho.simulate(mho.compile(network, chip, strategy))
        figures(report, ("time", "energy", "area"))
        return report

    network, aras = mho.zoo.load("resnet18"), mho.Chip.load("aras")
    shares = iter(range(1, 100))

    def reference() -> None:
        chip = aras.override({"memory.bandwidth": aras.memory.bandwidth * (1 + next(shares) / 1000)}, "varied")
        strategy = mho.Strategy().with_(schedule="overlap", banks="greedy")
        figures(mho.simulate(mho.compile(network, chip, strategy)), ("time", "energy", "area"))

    told(), program(0), reference()
    seconds = {
        "closed": least(told) / DRAWN,
        "program": sum(least(lambda place=place: program(place), 3) for place in range(COMPILED)) / COMPILED,
        "build": least(lambda: [model.build(FIELDS, DIMENSION) for model in models]) / DRAWN,
        "canonical": least(lambda: [space.models.genotype(space.parts(each)[0]) for each in drawn]) / DRAWN,
        "change": least(lambda: [space.mutated(each, Random(1)) for each in drawn]) / DRAWN,
        "reference": least(reference, 20),
    }
    pairs = [(judge(models[place], values[place]), program(place)) for place in range(COMPILED)]
    off: dict[str, float] = dict.fromkeys(("arrays", "adc", "energy", "area"), 0.0)
    latencies: list[tuple[float, float]] = []
    for found, report in pairs:
        record = report.to_dict()
        true = {
            "arrays": (found.arrays, record["in_use"]["arrays"]),
            "adc": (found.adc_j, record["energy_j"]["by_component"]["adc"]),
            "energy": (found.energy_j, report.energy_j),
            "area": (found.area_m2, record["area_m2"]["total"]),
        }
        for name, (one, other) in true.items():
            off[name] = max(off[name], abs(one / other - 1))
        latencies.append((found.latency_s, report.latency_s))
    counts = {
        name: {"formula": count.formula, "exponent": count.exponent} for name, count in JointSpace().counts().items()
    }
    return {
        "schema": SCHEMA,
        "seconds": seconds,
        "off": off,
        "tau": float(kendalltau(*zip(*latencies, strict=True))[0]),
        "counts": counts,
        "designs": COMPILED,
    }


def rendered(results: dict[str, Any]) -> str:
    """Return the tables."""
    seconds, slower = results["seconds"], results["seconds"]["reference"] * REFERENCE
    names = {
        "closed": "closed formulas, a model on a new chip",
        "program": "program: built, sized, compiled, simulated",
        "build": "a network built of a genotype",
        "canonical": "a canonical genotype of genes",
        "change": "a change that is another design",
        "reference": "the reference, a design of resnet18",
    }
    speeds = [
        (
            what, f"{1e3 * seconds[name]:.2f}", f"{1 / seconds[name]:,.0f}", f"{GOALS[name]:,.0f}" if name in GOALS else "–",
            ("yes" if 1 / seconds[name] >= GOALS[name] else "no") if name in GOALS else "–", f"{slower / seconds[name]:,.0f}",
        )
        for name, what in names.items()
    ]  # fmt: skip
    off = results["off"]
    near = [(name, f"{100 * value:.3g} %") for name, value in off.items()]
    sizes = [
        (name, f"10^{count['exponent']:.2f}", count["formula"].replace("|", "/"))
        for name, count in results["counts"].items()
    ]
    head = ("what", "CPU ms", "a second", "goal", "met", "a second, by the reference")
    return "\n\n".join(
        (
            table(head, speeds),
            f"Closed formulas against programs of {results['designs']} designs, the largest difference; latency: Kendall's tau "
            f"{results['tau']:.3f}.",
            table(("figure", "off by at most"), near),
            table(("designs of the default space", "number", "formula"), sizes),
        )
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.autorac",
        description="Designs of the joint space of recommenders and chips told a second, and how near closed formulas are; writes "
        "docs/autorac-speed.md and benchmarks/autorac.json. About a minute. Leave the machine alone meanwhile.",
    )
    parser.add_argument("--render", action="store_true", help="write the tables again from benchmarks/autorac.json")
    if not parser.parse_args(arguments).render:
        write_json(RESULTS, measured())
    write_measured(PAGE, rendered(read_json(RESULTS)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
