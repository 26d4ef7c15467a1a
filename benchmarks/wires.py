"""Time of arrays with resistive wires, and the error of the approximation (docs/wires.md).

Everything is one thread, in one process; times are CPU seconds, the least of several, beside those of the nodal solve (the
reference: scipy.sparse.linalg.splu, factorised once and solved for the batch). Errors are those against the exact solves.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from benchmarks.files import ROOT, read_json, write_json, write_measured

if TYPE_CHECKING:
    from mho.machine.analog.wires import Floats

RESULTS = ROOT / "benchmarks" / "wires.json"
PAGE = ROOT / "docs" / "wires.md"
SCHEMA = "mho.wires/1"
PARTS = ("speed", "error")
GOAL_S, GOAL_ERROR, BATCH = 0.041, 1e-6, 64
"""A tenth of what CrossSim takes for this array and batch, as measured on this kind of machine."""
OHMS = (0.5, 1.0, 2.0, 5.0, 10.0)
SHAPES = ((64, 64), (128, 128), (256, 64), (48, 200))
ENDS = (("left", "bottom"), ("left", "top"), ("both", "both"))
LOADS = (0.1, 0.25, 0.5, 0.9, 1.0)
ON, OFF = 1e-4, 1e-6
REPEATS = 5


def arrays(rows: int, columns: int) -> Iterator[tuple[str, Floats]]:
    """Yield arrays of cells between 1e-6 and 1e-4 S, made up (synthetic), by name."""
    import numpy as np

    generator = np.random.default_rng(5)
    shape = (rows, columns)
    levels = OFF + generator.integers(0, 4, shape) * (ON - OFF) / 3
    yield "four levels", levels
    weights = np.clip(np.rint(generator.normal(128, 25, (rows, columns // 4))), 0, 255).astype(int)
    slices = np.stack([(weights >> (2 * k)) & 3 for k in range(4)], axis=2).reshape(rows, -1)
    yield "bell-shaped weights, sliced", OFF + slices * (ON - OFF) / 3
    yield "log-uniform", np.exp(generator.uniform(np.log(OFF), np.log(ON), shape))
    yield "10% of cells", generator.uniform(OFF, ON, shape) * (generator.random(shape) < 0.1)
    yield "2% of cells", generator.uniform(OFF, ON, shape) * (generator.random(shape) < 0.02)
    quarter = np.zeros(shape)
    quarter[: rows // 2, : columns // 2] = levels[: rows // 2, : columns // 2]
    yield "a quarter in use", quarter
    yield "all on", np.full(shape, ON)
    yield "one cell a line", np.eye(rows, columns) * ON
    yield "chequered", np.where(np.add.outer(np.arange(rows), np.arange(columns)) % 2, OFF, ON)


def least_s(work: Callable[[], Any]) -> float:
    """Return the CPU seconds of `work`, the least of several calls after one that does not count."""
    work()
    taken = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def speed() -> list[dict[str, Any]]:
    """Time a batch on 128 x 128 cells, in each of the ways."""
    import numpy as np

    from benchmarks.nodal import NodalSolver
    from mho.machine.analog import wires, wires_fast
    from mho.machine.analog.wires_lines import LineRelaxation
    from mho.machine.analog.wires_modes import approximate

    inputs = np.random.default_rng(6).random((BATCH, 128))
    found = []
    for name, cells in arrays(128, 128):
        for ohm in (1.0, 5.0):
            if name in ("2% of cells", "one cell a line", "chequered"):
                continue
            wiring = wires.Wiring(ohm, ohm)
            solver = NodalSolver(cells, wiring)
            exact = solver.currents(inputs)
            quick = wires_fast.currents(cells, inputs, wiring, GOAL_ERROR)
            found.append(
                {
                    "array": name,
                    "ohm": ohm,
                    "load": approximate(cells, wiring)[1],
                    "steps": LineRelaxation(cells, wiring).steps(GOAL_ERROR),
                    "factor_s": least_s(lambda c=cells, w=wiring: NodalSolver(c, w)),  # type: ignore[misc]
                    "solve_s": least_s(lambda s=solver: s.currents(inputs)),  # type: ignore[misc]
                    "relaxed_s": least_s(
                        lambda c=cells, w=wiring: LineRelaxation(c, w).currents(inputs, GOAL_ERROR, 100)  # type: ignore[misc]
                    ),
                    "direct_s": least_s(lambda c=cells, w=wiring: inputs @ wires_fast.effective(c, w)),  # type: ignore[misc]
                    "currents_s": least_s(
                        lambda c=cells, w=wiring: wires_fast.currents(c, inputs, w, GOAL_ERROR)  # type: ignore[misc]
                    ),
                    "fast_s": least_s(lambda c=cells, w=wiring: approximate(c, w)),  # type: ignore[misc]
                    "error": float(np.abs(quick - exact).max() / np.abs(exact).max()),
                }
            )
            sys.stderr.write(f"{found[-1]}\n")
    return found


def error() -> list[dict[str, Any]]:
    """Compare the approximation with the exact solve over the grid."""
    import numpy as np

    from mho.machine.analog.wires import Wiring
    from mho.machine.analog.wires_direct import direct
    from mho.machine.analog.wires_modes import approximate

    generator = np.random.default_rng(7)
    found = []
    for rows, columns in SHAPES:
        inputs = np.concatenate([generator.integers(0, 2, (32, rows)), np.ones((1, rows))]).astype(np.float64)
        for name, cells in arrays(rows, columns):
            ideal = float((inputs @ cells).max())
            for ohm in OHMS:
                for drive, sense in ENDS if ohm == 2.0 else ENDS[:1]:
                    wiring = Wiring(ohm, ohm, drive, sense)
                    exact = direct(cells, wiring)
                    near, load = approximate(cells, wiring)
                    found.append(
                        {
                            "array": name, "rows": rows, "columns": columns, "ohm": ohm, "drive": drive, "sense": sense,
                            "load": load,
                            "wires": float(np.abs(inputs @ (exact - cells)).max()) / ideal,
                            "current": float(np.abs(inputs @ (near - exact)).max()) / ideal,
                            "cell": float(np.abs(near - exact).max() / cells.max()),
                        }
                    )  # fmt: skip
        sys.stderr.write(f"{rows} x {columns}\n")
    return found


def rendered(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Render a table."""
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def percent(share: float) -> str:
    """Write a share in percent, with two digits that count."""
    return f"{100 * share:.2g}"


def table(results: dict[str, Any]) -> str:
    """Render the results."""
    head = (
        "128×128, batch 64", "Ω", "load", "nodal solve: factorise + solve, ms", "relaxation, ms", "direct, ms", "`currents`, ms",
        f"at most {1e3 * GOAL_S:.0f} ms", "faster than nodal", "error", "`fast`, ms an array",
    )  # fmt: skip
    rows = []
    for each in results.get("speed", []):
        nodal, own = each["factor_s"] + each["solve_s"], each["currents_s"]
        met = own <= GOAL_S and each["error"] <= GOAL_ERROR
        rows.append(
            (
                each["array"], f"{each['ohm']:g}", f"{each['load']:.2f}",
                f"{1e3 * each['factor_s']:.0f} + {1e3 * each['solve_s']:.0f}",
                *(f"{1e3 * each[key]:.0f}" for key in ("relaxed_s", "direct_s", "currents_s")),
                "met" if met else "missed", f"{nodal / own:.0f}×", f"{each['error']:.0e}", f"{1e3 * each['fast_s']:.1f}",
            )
        )  # fmt: skip
    parts = [rendered(head, rows)]
    entries = results.get("error", [])
    names = list(dict.fromkeys(each["array"] for each in entries))
    rows = []
    for name in names:
        at = [max(e["current"] for e in entries if e["array"] == name and e["ohm"] == ohm) for ohm in OHMS]
        own = [each for each in entries if each["array"] == name]
        rows.append(
            (name, *map(percent, at), percent(max(e["cell"] for e in own)), percent(max(e["wires"] for e in own)))
        )
    parts.append(rendered(("array", *(f"{ohm:g} Ω" for ohm in OHMS), "one cell", "wires alone"), rows))
    rows = []
    for low, high in zip((0.0, *LOADS), LOADS, strict=False):
        own = [each for each in entries if (low < each["load"] or low == 0) and each["load"] <= high]
        if own:
            rows.append(
                (
                    f"{low:g} to {high:g}",
                    str(len(own)),
                    *(percent(max(e[key] for e in own)) for key in ("current", "cell", "wires")),
                )
            )
    parts.append(rendered(("load", "arrays", "current", "one cell", "wires alone"), rows))
    return "\n\n".join(parts)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.wires",
        description="Time arrays with resistive wires, and measure the error of the approximation; writes docs/wires.md and "
        "benchmarks/wires.json. About two minutes; leave the machine alone meanwhile.",
    )
    parser.add_argument("--only", metavar="PART", action="append", choices=PARTS, help=f"one of: {', '.join(PARTS)}")
    parser.add_argument("--render", action="store_true", help="write the tables again from benchmarks/wires.json")
    asked = parser.parse_args(arguments)
    results = {"schema": SCHEMA, **{key: value for key, value in read_json(RESULTS).items() if key in PARTS}}
    # One thread; read when numpy is first imported.
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    for part, measure in zip(PARTS, (speed, error), strict=True):
        if not asked.render and (asked.only is None or part in asked.only):
            results[part] = measure()
            write_json(RESULTS, results)
    write_measured(PAGE, table(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
