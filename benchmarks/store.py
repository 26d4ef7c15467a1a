"""What a store of finished work costs as it grows: CPU time and bytes written, and reading it all again."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.files import ROOT, read_json, write_json, write_measured
from benchmarks.tables import table
from mho.files.store import Store

RESULTS = ROOT / "benchmarks" / "store.json"
PAGE = ROOT / "docs" / "store.md"
SIZES = (1_000, 10_000, 100_000)
RECORD = {"latency_s": 0.0123456789, "energy_j": 0.00123456789, "area_m2": 3.2e-4, "notes": ["a record of a design"]}


def measure(records: int) -> dict[str, Any]:
    """Put so many records one after the other, then read them all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.jsonl"
        store = Store(path)
        before = time.process_time()
        for number in range(records):
            store.put(f"{number:064x}", RECORD)
        put_s = time.process_time() - before
        size = path.stat().st_size
        before = time.process_time()
        assert len(Store(path)) == records
        return {"records": records, "put_s": put_s, "read_s": time.process_time() - before, "bytes": size}


def rendered(results: dict[str, Any]) -> str:
    """Return the table."""
    rows = [
        (
            f"{each['records']:,}", f"{each['put_s']:.2f}", f"{1e6 * each['put_s'] / each['records']:.0f}",
            f"{each['bytes'] / 1e6:.1f}", f"{each['bytes'] / each['records']:.0f}", f"{each['read_s']:.2f}",
        )
        for each in results["sizes"]
    ]  # fmt: skip
    head = ("records", "put, CPU s", "µs a record", "written, MB", "bytes a record", "read, CPU s")
    return table(head, rows, right=0)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks store",
        description="Fill stores of finished work with up to 100,000 records; writes docs/store.md and benchmarks/store.json. "
        "About a minute.",
    )
    parser.add_argument("--render", action="store_true", help="write the table again from benchmarks/store.json")
    if not parser.parse_args(arguments).render:
        write_json(
            RESULTS, {"schema": "mho.benchmarks.store/1", "cores": os.cpu_count(), "sizes": [*map(measure, SIZES)]}
        )
    write_measured(PAGE, rendered(read_json(RESULTS)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
