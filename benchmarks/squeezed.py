"""Time and memory of squeezed mapping, by networks of ever more weights (docs/squeezed.md).

One thread, a process a network. The reference in the same process is the quantisation of the same weights to 8 bits, which looks
at each of them once. Memory is what mapping adds to the process, at its peak.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from time import perf_counter
from typing import Any

# One thread, before numpy is imported.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

from benchmarks.files import ROOT, apart, read_json, write_json, write_measured

RESULTS = ROOT / "benchmarks" / "squeezed.json"
PAGE = ROOT / "docs" / "squeezed.md"
SCHEMA = "mho.squeezed/1"
NETWORKS = ("resnet20", "mobilenet_v2", "resnet18", "resnet50", "vgg16")
GOAL_S = {"resnet50": 5.0}
REPEATS = 3


def measure(name: str) -> dict[str, Any]:
    """Map one network with seeded weights; times are the least of several."""
    from dataclasses import replace

    import mho
    from benchmarks.cases import peak_bytes
    from mho.mapping import map_network

    network = mho.zoo.load(name, weights="seeded")
    chip = mho.Chip.load("sme")
    map_network(mho.number.quantise(mho.zoo.load("resnet20", weights="seeded")), chip, mapping="squeezed")
    start = perf_counter()
    quantised = mho.number.quantise(network, per_channel=True, symmetric=True)
    reference = perf_counter() - start
    before, times, arrays = peak_bytes(), [], 0
    for _ in range(REPEATS):
        # Signed weights are made from the codes anew.
        fresh = {key: replace(matrix) for key, matrix in quantised.matrices.items()}
        start = perf_counter()
        mapped = map_network(replace(quantised, matrices=fresh), chip, mapping="squeezed")
        times.append(perf_counter() - start)
        arrays = mapped.arrays
    return {
        "network": name,
        "weights": network.weights,
        "arrays": arrays,
        "quantise_s": reference,
        "map_s": min(times),
        "added_bytes": peak_bytes() - before,
    }


def table(results: dict[str, Any]) -> str:
    """Render the results."""
    lines = [
        "8-bit seeded weights on preset `sme`, one thread. *Ratio* is to quantising the same weights in the same process.",
        "",
        "| network | million weights | arrays | map, s | ns a weight | ratio | bytes added a weight | goal, s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in results["rows"]:
        weights, goal = row["weights"], GOAL_S.get(row["network"])
        lines.append(
            f"| {row['network']} | {weights / 1e6:.2f} | {row['arrays']:,} | {row['map_s']:.3g} | "
            f"{1e9 * row['map_s'] / weights:.0f} | {row['map_s'] / row['quantise_s']:.2g} | "
            f"{row['added_bytes'] / weights:.1f} | {'' if goal is None else f'{goal:g}'} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure all networks, each in a process of its own, and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.squeezed", description="Time squeezed mapping; write docs/squeezed.md's table."
    )
    parser.add_argument("--render", action="store_true", help="write the table again from benchmarks/squeezed.json")
    parser.add_argument("--only", choices=NETWORKS, help="measure one network, and print it as JSON")
    asked = parser.parse_args(arguments)
    if asked.only:
        sys.stdout.write(json.dumps(measure(asked.only)) + "\n")
        return 0
    if not asked.render:
        rows = []
        for name in NETWORKS:
            rows.append(apart("benchmarks.squeezed", name))
            sys.stderr.write(f"{name}\n")
        write_json(RESULTS, {"schema": SCHEMA, "rows": rows})
    results = read_json(RESULTS)
    write_measured(PAGE, table(results))
    sys.stdout.write(table(results) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
