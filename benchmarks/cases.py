"""What is timed. Each case runs in a process of its own, `python -m benchmarks.cases NAME`, and prints one JSON object.

Imports are not counted: a small network goes through the same steps first. What is timed starts each time from a network
and a chip loaded anew, so that nothing computed in an earlier repetition helps; the loading is timed by itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

# One thread, before numpy is imported.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

if TYPE_CHECKING:
    from mho.network import Network

CHIP = "aras"
SHAPES = (
    "resnet50",
    "bert-large",
    "vgg16",
    "densenet161",
    "bert-base",
    "mobilenet_v2",
    "llama3-8b",
    "llama3-70b",
)
SCHEDULES = ("overlap", "naive")
GROWTH = (10, 20, 40, 80, 160)
"""Layers of the decoders whose times show how time grows; each layer has the sizes of one of llama3-8b."""

REPEAT_S = 3.0
REPEATS = (3, 7)
"""A case is repeated until REPEAT_S seconds are spent, but at least and at most so often; the median counts."""

GIGABYTE = 1e9


@dataclass(frozen=True)
class Goal:
    """What a case should reach at most; None where nothing is asked."""

    seconds: float | None = None
    bytes: float | None = None


@dataclass(frozen=True)
class Case:
    """One measurement: `table` is where it is shown, `what` says it in words."""

    name: str
    table: str
    model: str
    what: str
    run: Callable[[], dict[str, Any]]
    goal: Goal = Goal()


def peak_bytes() -> int:
    """Return the largest resident memory of this process so far.

    VmHWM where the system has it: unlike ru_maxrss it does not count the process that started this one.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def _warm() -> int:
    """Import everything that is imported late, on a small network; returns the memory taken by then."""
    import mho
    from mho.network.samples import synthetic

    for weights in ("none", "seeded"):
        small = mho.zoo.load("resnet20", weights=weights)
        if small.has_values:
            samples = synthetic(small, 1).inputs
            quantised = mho.number.quantise(small, samples)
            program = mho.compile(quantised, mho.Chip.load(CHIP), "overlap")
            mho.execute(program, samples)
            mho.number.run_reference(quantised, samples)
        else:
            program = mho.compile(small, mho.Chip.load(CHIP), "overlap")
        mho.simulate(program)
    return peak_bytes()


def _repeated(once: Callable[[], dict[str, float]]) -> dict[str, Any]:
    """Repeat, and take the median of each time."""
    runs: list[dict[str, float]] = []
    began = perf_counter()
    least, most = REPEATS
    while len(runs) < least or (len(runs) < most and perf_counter() - began < REPEAT_S):
        runs.append(once())
    return {"repeats": len(runs), "times": {name: median(run[name] for run in runs) for name in runs[0]}}


def _compiled(load: Callable[[], Network], schedule: str) -> dict[str, Any]:
    """Time compile + simulate of a network known by its shapes."""
    import mho

    base = _warm()
    facts: dict[str, Any] = {}

    def once() -> dict[str, float]:
        chip = mho.Chip.load(CHIP)
        start = perf_counter()
        network = load()
        loaded = perf_counter()
        program = mho.compile(network, chip, mho.Strategy().with_(schedule=schedule))
        compiled = perf_counter()
        report = mho.simulate(program)
        end = perf_counter()
        facts.update(layers=len(network.layers), instructions=len(program.instructions), latency_s=report.latency_s)
        return {
            "load": loaded - start,
            "compile": compiled - loaded,
            "simulate": end - compiled,
            "compile and simulate": end - loaded,
        }

    return {**_repeated(once), "facts": facts, "base_bytes": base, "peak_bytes": peak_bytes()}


def _model(name: str, schedule: str) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        import mho

        return _compiled(lambda: mho.zoo.load(name), schedule)

    return run


def _grown(layers: int) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        from mho.network.zoo.decoder import PRESETS, decoder

        configuration = replace(PRESETS["llama3-8b"], name=f"decoder of {layers}", layers=layers)
        return _compiled(lambda: decoder(configuration), "overlap")

    return run


def _seeded() -> dict[str, Any]:
    """Time resnet50 with weights: cell changes are counted cell by cell."""
    import mho

    base = _warm()

    def once() -> dict[str, float]:
        chip = mho.Chip.load(CHIP)
        start = perf_counter()
        network = mho.zoo.load("resnet50", weights="seeded")
        loaded = perf_counter()
        quantised = mho.number.quantise(network)
        coded = perf_counter()
        program = mho.compile(quantised, chip, "overlap")
        compiled = perf_counter()
        report = mho.simulate(program)
        end = perf_counter()
        assert report.worn.exact
        return {
            "load": loaded - start,
            "quantise the weights": coded - loaded,
            "compile": compiled - coded,
            "simulate, cell by cell": end - compiled,
        }

    return {**_repeated(once), "base_bytes": base, "peak_bytes": peak_bytes()}


def _executed() -> dict[str, Any]:
    """Time the execution of resnet50 from its program, the integer reference and the float network, one sample each."""
    import numpy as np

    import mho
    from mho.network.samples import synthetic

    base = _warm()
    network = mho.zoo.load("resnet50", weights="seeded")
    quantised = mho.number.quantise(network, synthetic(network, 1, seed=1).inputs)
    program = mho.compile(quantised, mho.Chip.load(CHIP), "overlap")
    inputs = synthetic(network, 1, seed=2).inputs

    def once() -> dict[str, float]:
        start = perf_counter()
        found = mho.execute(program, inputs)
        executed = perf_counter()
        wanted = mho.number.run_reference(quantised, inputs)
        referred = perf_counter()
        mho.number.run_float(network, inputs, single=True)
        end = perf_counter()
        assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
        return {
            "execute the program": executed - start,
            "integer reference": referred - executed,
            "float network (mho.number.run_float)": end - referred,
        }

    return {**_repeated(once), "base_bytes": base, "peak_bytes": peak_bytes()}


def forward() -> dict[str, Any]:
    """Time the unit: one float32 forward pass of resnet50 by torch, one thread, one image of 224 x 224."""
    import torch

    from mho.network.zoo.convolutional import Bottleneck, ResNet
    from mho.network.zoo.weights import fill_seeded

    torch.set_num_threads(1)
    with torch.device("meta"):
        module = ResNet(Bottleneck, (3, 4, 6, 3)).eval()
    module = module.to_empty(device="cpu")
    fill_seeded(module, 0)
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    times: list[float] = []
    with torch.inference_mode():
        for _ in range(3):
            module(image)
        while len(times) < 15:
            start = perf_counter()
            module(image)
            times.append(perf_counter() - start)
    return {"seconds": median(times), "fastest": min(times), "slowest": max(times), "passes": len(times)}


def _goal(name: str) -> Goal:
    if name in ("resnet50", "bert-large"):
        return Goal(1.0, GIGABYTE)
    return Goal(10.0) if name == "llama3-70b" else Goal()


CASES = (
    *(
        Case(f"{name}-{schedule}", "shapes", name, schedule, _model(name, schedule), _goal(name))
        for name in SHAPES
        for schedule in SCHEDULES
    ),
    Case("resnet50-adaptive", "shapes", "resnet50", "adaptive", _model("resnet50", "adaptive"), Goal(10.0)),
    *(Case(f"decoder-{layers}", "growth", f"decoder of {layers}", "overlap", _grown(layers)) for layers in GROWTH),
    Case("resnet50-seeded", "weights", "resnet50", "seeded weights, cell by cell", _seeded),
    Case("resnet50-executed", "weights", "resnet50", "executed, one sample", _executed),
)

BY_NAME = {case.name: case for case in CASES}

if __name__ == "__main__":
    measured = forward() if sys.argv[1] == "forward" else BY_NAME[sys.argv[1]].run()
    sys.stdout.write(json.dumps(measured) + "\n")
