"""Time and memory of serving look-ups on a simulated chip, by traces of ever more bags (docs/lookup-speed.md).

One thread, a process a trace. The reference in the same process is `torch.nn.functional.embedding_bag` of the same bags: what
serving them for real takes on this processor. Memory is what the simulation adds to the process, at its peak.
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

RESULTS = ROOT / "benchmarks" / "lookups.json"
PAGE = ROOT / "docs" / "lookup-speed.md"
SCHEMA = "mho.lookup-speed/1"
QUERIES = (1_000, 10_000, 100_000, 1_000_000)
LENGTH, ROWS, BATCH, DIMENSION = 10.0, 100_000, 256, 64
GOAL_PER_MINUTE = 1e6


def measure(queries: int) -> dict[str, Any]:
    """Serve a synthetic trace of so many bags by rows sorted by frequency, two copies of each group."""
    import numpy as np
    import torch

    import mho
    from benchmarks.cases import peak_bytes
    from mho.machine.lookup.service import serve
    from mho.mapping.embedding import group
    from mho.network.trace import Communities, synthesise

    torch.set_num_threads(1)
    chip = mho.Chip.load("recross").override({"lookup.adc_modes": "every"}, source="the benchmark")
    trace = synthesise(queries, ROWS, LENGTH, popularity="reuse", communities=Communities(64, 0.5))
    layout = group(trace, 128, "frequency")
    layout = layout.with_copies(np.full(layout.groups, 2))
    serve(trace.select(slice(0, 500)), layout, chip, dimension=DIMENSION, batch=BATCH)
    table = torch.randn(ROWS, DIMENSION)
    indices, offsets = torch.from_numpy(trace.indices), torch.from_numpy(trace.offsets[:-1].astype(np.int32))
    start = perf_counter()
    for low in range(0, queries, BATCH):
        high = min(low + BATCH, queries)
        first = int(trace.offsets[low])
        part = indices[first : int(trace.offsets[high])]
        torch.nn.functional.embedding_bag(part, table, offsets[low:high] - first, mode="sum")
    reference = perf_counter() - start
    before = peak_bytes()
    start = perf_counter()
    service = serve(trace, layout, chip, dimension=DIMENSION, batch=BATCH)
    return {
        "bags": trace.bags,
        "lookups": trace.lookups,
        "activations": service.activations,
        "serve_s": perf_counter() - start,
        "reference_s": reference,
        "trace_bytes": trace.indices.nbytes + trace.offsets.nbytes + trace.tables.nbytes + trace.queries.nbytes,
        "added_bytes": peak_bytes() - before,
    }


def table(results: dict[str, Any]) -> str:
    """Render the results."""
    lines = [
        f"Synthetic bags of {LENGTH:g} look-ups in {ROWS:,} rows, batches of {BATCH}, preset `recross` with ADCs of every mode, "
        "one thread. *Ratio* is to `embedding_bag` of the same bags in the same process. "
        f"The goal is {GOAL_PER_MINUTE:,.0f} bags a minute.",
        "",
        "| bags | look-ups | activations | simulate, s | bags a minute | µs a bag | ratio | bytes of the trace | bytes added |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    lines += [
        f"| {row['bags']:,} | {row['lookups']:,} | {row['activations']:,} | {row['serve_s']:.3g} | "
        f"{60 * row['bags'] / row['serve_s']:.3g} | {1e6 * row['serve_s'] / row['bags']:.2f} | "
        f"{row['serve_s'] / row['reference_s']:.2g} | {row['trace_bytes']:,} | {row['added_bytes']:,} |"
        for row in results["rows"]
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure all traces, each in a process of its own, and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lookups", description="Time serving look-ups; write docs/lookup-speed.md's table."
    )
    parser.add_argument("--render", action="store_true", help="write the table again from benchmarks/lookups.json")
    parser.add_argument("--only", type=int, choices=QUERIES, help="measure one trace, and print it as JSON")
    asked = parser.parse_args(arguments)
    if asked.only:
        sys.stdout.write(json.dumps(measure(asked.only)) + "\n")
        return 0
    if not asked.render:
        rows = []
        for queries in QUERIES:
            rows.append(apart("benchmarks.lookups", str(queries)))
            sys.stderr.write(f"{queries}\n")
        write_json(RESULTS, {"schema": SCHEMA, "rows": rows})
    results = read_json(RESULTS)
    write_measured(PAGE, table(results))
    sys.stdout.write(table(results) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
