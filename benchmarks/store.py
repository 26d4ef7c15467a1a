"""What a store of finished work costs as it grows: CPU time and bytes written, and reading it all again."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.cases import peak_bytes
from benchmarks.files import ROOT, apart, read_json, write_json, write_measured
from benchmarks.tables import table
from mho.files.store import Store

RESULTS = ROOT / "benchmarks" / "store.json"
PAGE = ROOT / "docs" / "store.md"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
RECORD = {
    "values": {"tiles": 96, "array.adcs": 8, "array.rows": 128, "buffer.capacity": "4 MiB", "schedule": "overlap"},
    "latency_s": 0.0123456789, "energy_j": 0.00123456789, "area_m2": 3.2e-4, "power_w": 0.1234567, "edp_js": 1.52415787e-05,
    "refused": None, "notes": ["a record of a design"],
}  # fmt: skip
ASKED = 1000
"""So many records are asked for, all over the file."""


def key(number: int) -> str:
    """Return a key as long as a digest."""
    return f"{number:064x}"


def measure(records: int) -> dict[str, Any]:
    """Put so many records one after the other, then read them all: in two processes, so that the memory of each is its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.jsonl"
        return apart("benchmarks.store", f"fill:{records}:{path}") | apart("benchmarks.store", f"read:{records}:{path}")


def fill(records: int, path: Path) -> dict[str, Any]:
    """Put records into a new store."""
    store, base = Store(path), peak_bytes()
    before = time.process_time()
    for number in range(records):
        store.put(key(number), RECORD)
    put_s = time.process_time() - before
    return {"records": records, "put_s": put_s, "bytes": path.stat().st_size, "put_bytes": peak_bytes() - base}


def read(records: int, path: Path) -> dict[str, Any]:
    """Read a store, ask it for records from end to end, then write it in the opposite order."""
    base, before = peak_bytes(), time.process_time()
    store = Store(path)
    read_s, read_bytes = time.process_time() - before, peak_bytes() - base
    assert len(store) == records
    before = time.process_time()
    for place in range(ASKED):
        assert store.get(key(place * records // ASKED), tuple(RECORD)) == RECORD
    get_s = (time.process_time() - before) / ASKED
    before = time.process_time()
    store.arrange(key(number) for number in reversed(range(records)))
    arrange_s, arrange_bytes = time.process_time() - before, peak_bytes() - base
    return {
        "read_s": read_s, "read_bytes": read_bytes, "get_s": get_s, "arrange_s": arrange_s, "arrange_bytes": arrange_bytes,
    }  # fmt: skip


def rendered(results: dict[str, Any]) -> str:
    """Return the table."""
    rows = [
        (
            f"{each['records']:,}", f"{each['bytes'] / 1e6:.1f}",
            f"{each['put_s']:.2f}", f"{1e6 * each['put_s'] / each['records']:.0f}",
            f"{each['read_s']:.2f}", f"{1e6 * each['read_s'] / each['records']:.0f}", f"{1e6 * each['get_s']:.0f}",
            f"{each['arrange_s']:.2f}", f"{each['read_bytes'] / 1e6:.1f}", f"{each['arrange_bytes'] / 1e6:.1f}",
        )
        for each in results["sizes"]
    ]  # fmt: skip
    head = (
        "records", "file, MB", "put, CPU s", "µs a record", "read, CPU s", "µs a record", "get, µs",
        "arrange, CPU s", "memory of it read, MB", "and arranged, MB",
    )  # fmt: skip
    return table(head, rows, right=0)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks store",
        description="Fill stores of finished work with up to a million records; writes docs/store.md and benchmarks/store.json. "
        "About four minutes.",
    )
    parser.add_argument("--render", action="store_true", help="write the table again from benchmarks/store.json")
    parser.add_argument(
        "--only", metavar="CASE", help="fill:RECORDS:PATH or read:RECORDS:PATH, measured alone and shown"
    )
    chosen = parser.parse_args(arguments)
    if chosen.only:
        case, records, path = chosen.only.split(":", 2)
        sys.stdout.write(json.dumps({"fill": fill, "read": read}[case](int(records), Path(path))) + "\n")
        return 0
    if not chosen.render:
        write_json(
            RESULTS, {"schema": "mho.benchmarks.store/2", "cores": os.cpu_count(), "sizes": [*map(measure, SIZES)]}
        )
    write_measured(PAGE, rendered(read_json(RESULTS)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
