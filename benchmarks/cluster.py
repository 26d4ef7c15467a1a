"""A Ray cluster of this machine of which workers, nodes and the driver are killed: what is lost, and how long the gaps are."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import store
from benchmarks.files import ROOT, read_json, write_json, write_measured
from benchmarks.tables import table

RESULTS = ROOT / "benchmarks" / "cluster.json"
PAGE = ROOT / "docs" / "cluster.md"
KILLS = ("worker", "node", "driver", "worker", "worker", "node", "driver", "worker", "node", "driver")
NODES, ITEMS, ITEM_S = 2, 600, 0.1
UNDER_WAY = 2 * NODES
"""Nodes have one processor each, and two items a processor are under way."""
ENOUGH_S = 240.0
"""What takes longer is taken for stuck."""


def square(ran: str, number: int) -> int:
    """Compute an item, slowly, and note in a file that this has begun."""
    handle = os.open(ran, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{number}\n".encode())
    os.close(handle)
    time.sleep(ITEM_S)
    return number * number


def drive(folder: str, address: str, items: str) -> None:
    """Do what is not yet in a store, as every run of mho does: the driver, in a process of its own."""
    from mho.explore.cluster import Ray
    from mho.explore.workers import finished
    from mho.files.store import Store

    kept = Store(Path(folder) / "results.jsonl")
    left = [number for number in range(int(items)) if str(number) not in kept]
    for place, result in finished(partial(square, str(Path(folder) / "ran")), left, Ray(address)):
        kept.put(str(left[place]), {"square": result})


def serve() -> None:
    """Run a cluster, a head without processors and nodes of one; kill or add a node for each line that comes."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(NODES)]
    sys.stdout.write(f"address {cluster.address}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        if line.strip() == "kill":
            os.kill(nodes.pop(0).all_processes["raylet"][0].process.pid, signal.SIGKILL)
        else:
            nodes.append(cluster.add_node(num_cpus=1))
        sys.stdout.write("done\n")
        sys.stdout.flush()
    cluster.shutdown()


def environment() -> dict[str, str]:
    """Return the environment of all processes: no token on this machine alone, and modules of the benchmarks found."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": path}


class Nodes:
    """A cluster that runs in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.address = self._answer("address ")

    def _answer(self, begins: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(begins):
                return line.removeprefix(begins).strip()
        raise SystemExit("benchmarks: the Ray cluster has ended")

    def tell(self, what: str) -> None:
        """Kill or add a node."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        self._answer("done")


@contextlib.contextmanager
def running() -> Iterator[Nodes]:
    """Run a cluster meanwhile."""
    code = "from benchmarks.cluster import serve; serve()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=environment(), cwd=ROOT,
    ) as process:  # fmt: skip
        yield Nodes(process)


def start(folder: Path, address: str, items: int) -> subprocess.Popen[bytes]:
    """Start a driver; what it says goes to the file `said`."""
    code = "import sys; from benchmarks.cluster import drive; drive(*sys.argv[1:])"
    with (folder / "said").open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-c", code, str(folder), address, str(items)],
            stdout=said,
            stderr=said,
            env=environment(),
            cwd=ROOT,
        )


def lines(path: Path) -> int:
    """Count the lines of a file that may not be there yet."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait(folder: Path, driver: subprocess.Popen[bytes], count: int) -> float:
    """Wait until so many results are kept; return the longest time without a new one."""
    kept, last, longest = lines(folder / "results.jsonl"), time.monotonic(), 0.0
    while kept < count:
        if driver.poll() is not None and lines(folder / "results.jsonl") < count:
            raise SystemExit(f"benchmarks: the driver has ended: {(folder / 'said').read_text()[-2000:]}")
        now = time.monotonic()
        longest = max(longest, now - last)
        if longest > ENOUGH_S:
            raise SystemExit("benchmarks: no result any more")
        if (found := lines(folder / "results.jsonl")) > kept:
            kept, last = found, now
        time.sleep(0.01)
    return longest


def a_worker() -> int:
    """Return the number of a process of the cluster that computes an item now."""
    while True:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if path.read_bytes().startswith(b"ray::_compute"):
                    return int(path.parent.name)
        time.sleep(0.005)


def killed(kills: tuple[str, ...] = KILLS, items: int = ITEMS) -> dict[str, Any]:
    """Kill one after the other amid the work of a store, until all is done; count what was lost and done again."""
    folder = Path(tempfile.mkdtemp(prefix="mho-cluster-"))
    rows = []
    with running() as nodes:
        driver = start(folder, nodes.address, items)
        share = items // (len(kills) + 1)
        for number, what in enumerate(kills):
            wait(folder, driver, max(lines(folder / "results.jsonl") + 5, number * share))
            if what == "driver":
                driver.kill()
                driver.wait()
                driver = start(folder, nodes.address, items)
            elif what == "worker":
                os.kill(a_worker(), signal.SIGKILL)
            else:
                nodes.tell("kill")
            before = lines(folder / "results.jsonl")
            # Past what other processors have under way: what the dead one had is done again by then, or soon.
            rows.append({"killed": what, "gap_s": wait(folder, driver, min(before + UNDER_WAY + 1, items))})
            if what == "node":
                nodes.tell("add")
        gap_s = wait(folder, driver, items)
        code = driver.wait()
    from mho.files.store import Store

    kept = Store(folder / "results.jsonl")
    right = sum(kept.get(str(number), ("square",)) == {"square": number * number} for number in range(items))
    found = {
        "schema": "mho.benchmarks.cluster/1",
        "items": items,
        "kills": rows,
        "rest_gap_s": gap_s,
        "exit": code,
        "right": right,
        "lines": lines(folder / "results.jsonl"),
        "begun": lines(folder / "ran"),
        "said": (folder / "said").read_text(),
    }
    shutil.rmtree(folder)
    return found


def rendered(results: dict[str, Any], sizes: dict[str, Any]) -> str:
    """Return the tables of the page."""
    rows = []
    for what in dict.fromkeys(row["killed"] for row in results["kills"]):
        gaps = [row["gap_s"] for row in results["kills"] if row["killed"] == what]
        rows.append((what, f"{len(gaps)}", f"{max(gaps):.1f}"))
    said = "nothing" if not results["said"] else f"{len(results['said'])} characters"
    return "\n\n".join(
        [
            "**Killed by SIGKILL** amid the work, on a cluster of two nodes of one processor.",
            table(("what", "kills", "longest gap, s"), rows),
            f"Of {results['items']} items {results['right']} have their result, in {results['lines']} lines of the store; "
            f"{results['begun'] - results['items']} were begun again ({len(results['kills'])} kills, at most {UNDER_WAY} under way "
            f"at each). The driver wrote {said} to the terminal.",
            "**Growth of the store** with the number of designs.",
            store.rendered(sizes),
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks cluster",
        description="Start a Ray cluster of two nodes on this machine and kill workers, nodes and the driver, ten in all, amid the "
        "work; writes docs/cluster.md and benchmarks/cluster.json. Needs ray. About five minutes.",
    )
    parser.add_argument("--render", action="store_true", help="write the tables again from the results that are there")
    if not parser.parse_args(arguments).render:
        write_json(RESULTS, killed())
    write_measured(PAGE, rendered(read_json(RESULTS), read_json(store.RESULTS)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
