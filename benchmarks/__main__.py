"""Time and memory of mho, as ratios to one forward pass of resnet50 on the same machine in the same run."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.cases import BY_NAME, CASES, GROWTH, Case
from benchmarks.files import ROOT, SCRATCH, fingerprint, read_json, tree, write_json, write_measured
from benchmarks.tables import benchmark_tables

RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"
PARTIAL = SCRATCH / "results.json"
SCHEMA = "mho.benchmarks/1"
PACKAGES = ("numpy", "scipy", "torch")
STEADY = 1.15
"""Forward passes before, between and after the cases may differ by this factor before the run is called disturbed."""
LINEAR = 1.1
"""The exponent up to which time is called linear in the number of layers."""


def in_own_process(name: str) -> dict[str, Any]:
    """Run a case, or "forward", in a fresh process, so that its peak memory is its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cases", name], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"benchmarks: case {name} failed with exit code {done.returncode}")
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


def machine() -> dict[str, Any]:
    """Describe the machine and the versions that were measured."""
    from mho import __version__

    processor = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "mho": __version__,
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def record(case: Case, measured: dict[str, Any], unit_s: float) -> dict[str, Any]:
    """Put a measurement beside its goal. `unit_s` is one forward pass in the same run."""
    seconds = measured["times"].get("compile and simulate")
    goal = case.goal
    met = None
    if goal.seconds is not None or goal.bytes is not None:
        met = (goal.seconds is None or seconds <= goal.seconds) and (
            goal.bytes is None or measured["peak_bytes"] <= goal.bytes
        )
    return {
        "name": case.name,
        "table": case.table,
        "model": case.model,
        "what": case.what,
        "goal": {"seconds": goal.seconds, "bytes": goal.bytes, "met": met},
        "unit_s": unit_s,
        "ratios": {name: value / unit_s for name, value in measured["times"].items()},
        **measured,
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the tables."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] in (
        ["store"],
        ["cluster"],
        ["precision"],
        ["precision-accuracy"],
        ["basis-fit"],
        ["claims"],
        ["basis-training"],
        ["segments"],
    ):
        module = importlib.import_module(f"benchmarks.{arguments[0].replace('-', '_')}")
        return int(module.main(arguments[1:]))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time compile and simulate, wear, execution and growth, each in a process of its own, as ratios to one float32 "
        "forward pass of resnet50 (torch, one thread); writes docs/benchmarks.md and benchmarks/results.json. About four minutes. "
        "Interrupt it at will: the next call goes on from there. Leave the machine alone meanwhile.",
    )
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        choices=list(BY_NAME),
        help=f"measure this case alone, show it and write nothing: {', '.join(BY_NAME)}",
    )
    parser.add_argument("--fresh", action="store_true", help="forget what an interrupted run has measured")
    parser.add_argument("--render", action="store_true", help="write the tables again from benchmarks/results.json")
    chosen = parser.parse_args(arguments)
    if chosen.render:
        results = read_json(RESULTS)
        if "tree" not in results:
            write_json(RESULTS, {**results, "tree": tree(RESULTS)})
        write_measured(PAGE, benchmark_tables(read_json(RESULTS)))
        return 0
    if chosen.only:
        unit = in_own_process("forward")["seconds"]
        rows = [record(BY_NAME[name], in_own_process(name), unit) for name in chosen.only]
        sys.stdout.write(json.dumps({"unit_s": unit, "cases": rows}, indent=2) + "\n")
        return 0
    write_json(RESULTS, everything(fresh=chosen.fresh))
    write_measured(PAGE, benchmark_tables(read_json(RESULTS)))
    PARTIAL.unlink(missing_ok=True)
    return 0


def everything(*, fresh: bool) -> dict[str, Any]:
    """Measure all cases that the scratch file does not hold already."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    mark = fingerprint((ROOT / "src", ROOT / "benchmarks"), json.dumps(machine()))
    state = {} if fresh else read_json(PARTIAL)
    if state.get("fingerprint") != mark:
        state = {"fingerprint": mark, "units": [], "cases": {}}
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("one forward pass", total=len(CASES), completed=len(state["cases"]))
        state["units"].append(in_own_process("forward"))
        for place, case in enumerate(CASES):
            if case.name in state["cases"]:
                continue
            if place and place % 8 == 0:
                bar.update(task, description="one forward pass")
                state["units"].append(in_own_process("forward"))
            bar.update(task, description=case.name)
            state["cases"][case.name] = in_own_process(case.name)
            write_json(PARTIAL, state)
            bar.advance(task)
        bar.update(task, description="one forward pass")
        state["units"].append(in_own_process("forward"))
    units = [each["seconds"] for each in state["units"]]
    rows = [record(case, state["cases"][case.name], median(units)) for case in CASES]
    grown = [row for row in rows if row["table"] == "growth"]
    power = exponent(list(GROWTH), [row["times"]["compile and simulate"] for row in grown])
    return {
        "schema": SCHEMA,
        "machine": machine(),
        "tree": tree(),
        "forward_s": units,
        "disturbed": max(units) > STEADY * min(units),
        "growth": {"layers": list(GROWTH), "exponent": power, "goal": LINEAR, "met": power <= LINEAR},
        "cases": rows,
    }


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """Fit seconds = a * sizes^p by least squares of logarithms; returns p."""
    import numpy as np

    slope, _ = np.polyfit(np.log(sizes), np.log(seconds), 1)
    return float(slope)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; the next call goes on from here\n")
        sys.exit(130)
