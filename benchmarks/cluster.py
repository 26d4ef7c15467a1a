"""A Ray cluster of this machine of which workers, nodes and the driver are killed: what is lost, and how long the gaps are."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import store
from benchmarks.files import ROOT, apart, read_json, write_json, write_measured
from benchmarks.tables import table

if TYPE_CHECKING:
    from mho.explore.space import Space

RESULTS = ROOT / "benchmarks" / "cluster.json"
PAGE = ROOT / "docs" / "cluster.md"
KILLS = ("worker", "node", "driver", "worker", "worker", "node", "driver", "worker", "node", "driver")
NODES, ITEMS, ITEM_S = 2, 600, 0.1
COUNTED = 3000
"""Items by which the cost of one is counted."""
UNDER_WAY = 2 * NODES
"""Nodes have one processor each, and two items a processor are under way."""
ENOUGH_S = 240.0
"""What takes longer is taken for stuck."""


@dataclass(frozen=True)
class Pretended:
    """Judges a design by a formula, so that what is counted is the search itself."""

    space: Space
    fields: tuple[str, ...] = ("latency_s", "energy_j", "area_m2")

    def digest(self) -> str:
        """Return what stands for the code and the network."""
        return "pretended"

    def lean(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is changed to screen a design."""
        return {}

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a record: more tiles are faster and larger; for all of them one number of ADCs is best, and one of columns."""
        adcs, columns = 1 + abs(values["array.adcs"] - 7), 1 + abs(values["array.columns"] - 9)
        tiles = values["tiles"]
        figures = {"latency_s": adcs / tiles, "energy_j": 1e-3 * adcs * columns, "area_m2": 1e-6 * tiles * columns}
        return {**figures, "refused": None, "reason": None}


def walk(designs: int) -> dict[str, Any]:
    """Search so many designs in this process, all of a grid, and arrange the store; return CPU time and memory."""
    from benchmarks.cases import peak_bytes
    from mho.explore.objectives import OBJECTIVES
    from mho.explore.records import Records
    from mho.explore.search import begin
    from mho.explore.space import Space
    from mho.explore.tally import Tally
    from mho.explore.walk import Walk
    from mho.files.store import Store

    sizes = {"tiles": 100, "array.adcs": 100, "array.columns": designs // 10_000} if designs >= 10_000 else {
        "tiles": 10, "array.adcs": 10, "array.columns": designs // 100}  # fmt: skip
    space = Space({key: list(range(1, size + 1)) for key, size in sizes.items()})
    folder = tempfile.mkdtemp(prefix="mho-walk-")
    judge, kept = Pretended(space), Store(Path(folder) / "results.jsonl")
    tally = Tally(space, judge.fields, [OBJECTIVES[name] for name in ("time", "energy", "area")], [])
    search = begin("grid", space.sizes, lambda indices: True, designs, 0, space.ordered)
    base, before = peak_bytes(), time.process_time()
    walked = Walk(space, search, judge, Records(kept, judge), tally.trial, designs)
    for found in walked:
        tally.add(found)
    kept.arrange(walked.keys())
    assert len(tally) == len(kept) == designs
    took_s = time.process_time() - before
    shutil.rmtree(folder)
    return {"designs": designs, "walk_s": took_s, "walk_bytes": peak_bytes() - base, "front": len(tally.front)}


def square(ran: str, number: int) -> int:
    """Compute an item, slowly, and note in a file that this has begun."""
    handle = os.open(ran, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{number}\n".encode())
    os.close(handle)
    time.sleep(ITEM_S)
    return number * number


def drive(folder: str, address: str, items: str) -> None:
    """Do what is not yet in a store, as every run of mho does: the driver, in a process of its own."""
    from mho.errors import MhoError
    from mho.explore.cluster import Ray
    from mho.explore.workers import finished
    from mho.files.store import Store

    kept = Store(Path(folder) / "results.jsonl")
    left = [number for number in range(int(items)) if str(number) not in kept]
    try:
        for place, result in finished(partial(square, str(Path(folder) / "ran")), left, Ray(address)):
            kept.put(str(left[place]), {"square": result})
    except MhoError as error:
        raise SystemExit(str(error)) from None


def cost(address: str) -> None:
    """Print what an item costs the driver that takes no time itself, in s of CPU, by Ray and by processes of this machine."""
    from mho.explore.cluster import Ray
    from mho.explore.workers import finished

    found = {}
    for name, workers in {"ray": Ray(address), "processes": NODES}.items():
        done = finished(int, range(COUNTED + 1), workers)
        next(done)
        before = time.process_time()
        assert sum(1 for _ in done) == COUNTED
        found[name] = (time.process_time() - before) / COUNTED
    sys.stdout.write(json.dumps(found) + "\n")


def a_worker(raylets: set[int]) -> int:
    """Return the number of a process of these nodes that computes an item now."""
    until = time.monotonic() + ENOUGH_S
    while time.monotonic() < until:
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if parent in raylets and (path / "cmdline").read_bytes().startswith(b"ray::_compute"):
                    return int(path.name)
        time.sleep(0.005)
    raise SystemExit("benchmarks: nothing is computed")


def serve() -> None:
    """Run a cluster, a head without processors and nodes of one; for each line kill a worker, a node or the head, or add a node."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(NODES)]
    sys.stdout.write(f"address {cluster.address}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
        if line.strip() == "kill worker":
            os.kill(a_worker(set(raylets)), signal.SIGKILL)
        elif line.strip() == "kill node":
            os.kill(raylets[0], signal.SIGKILL)
            nodes.pop(0)
        elif line.strip() == "kill head":
            os.kill(cluster.head_node.all_processes["gcs_server"][0].process.pid, signal.SIGKILL)
        else:
            nodes.append(cluster.add_node(num_cpus=1))
        sys.stdout.write("done\n")
        sys.stdout.flush()
    # Not shutdown, which waits for a head.
    for node in [*nodes, cluster.head_node]:
        node.kill_all_processes(check_alive=False, allow_graceful=False)


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
        """Kill a worker, a node or the head, or add a node."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        self._answer("done")


@contextlib.contextmanager
def running() -> Iterator[Nodes]:
    """Run a cluster meanwhile."""
    with subprocess.Popen(
        code("serve"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=environment(), cwd=ROOT,
    ) as process:  # fmt: skip
        yield Nodes(process)


def code(function: str, *arguments: object) -> list[str]:
    """Return the command that calls a function of this module with texts."""
    call = f"import sys; from benchmarks.cluster import {function}; {function}(*sys.argv[1:])"
    return [sys.executable, "-c", call, *map(str, arguments)]


def start(folder: Path, address: str, items: int) -> subprocess.Popen[bytes]:
    """Start a driver; what it says goes to the file `said`."""
    with (folder / "said").open("ab") as said:
        return subprocess.Popen(
            code("drive", folder, address, items), stdout=said, stderr=said, env=environment(), cwd=ROOT
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


def killed(kills: tuple[str, ...] = KILLS, items: int = ITEMS, *, costs: bool = False) -> dict[str, Any]:
    """Kill one after the other amid the work of a store, until all is done; count what was lost and done again."""
    folder = Path(tempfile.mkdtemp(prefix="mho-cluster-"))
    rows = []
    with running() as nodes:
        driver = start(folder, nodes.address, items)
        share = items // (len(kills) + 1)
        for number, what in enumerate(kills):
            wait(folder, driver, min(max(lines(folder / "results.jsonl") + 5, number * share), items))
            if what == "driver":
                driver.kill()
                driver.wait()
                driver = start(folder, nodes.address, items)
            else:
                nodes.tell(f"kill {what}")
            before = lines(folder / "results.jsonl")
            assert before < items, "killed when all was done"
            # Past what other processors have under way: what the dead one had is done again by then, or soon.
            rows.append({"killed": what, "gap_s": wait(folder, driver, min(before + UNDER_WAY + 1, items))})
            if what == "node":
                nodes.tell("add")
        gap_s = wait(folder, driver, items)
        left = driver.wait()
        taken = (
            json.loads(subprocess.check_output(code("cost", nodes.address), env=environment(), cwd=ROOT))
            if costs
            else {}
        )
    from mho.files.store import Store

    kept = Store(folder / "results.jsonl")
    right = sum(kept.get(str(number), ("square",)) == {"square": number * number} for number in range(items))
    found = {
        "schema": "mho.benchmarks.cluster/1",
        "items": items,
        "kills": rows,
        "rest_gap_s": gap_s,
        "exit": left,
        "right": right,
        "lines": lines(folder / "results.jsonl"),
        "begun": lines(folder / "ran"),
        "driver_s": taken,
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
            f"An item costs the driver {1e3 * results['driver_s']['ray']:.2f} ms of CPU by Ray, "
            f"{1e3 * results['driver_s']['processes']:.2f} ms by processes of its machine.",
            "**Growth of a search** whose designs take no time: a grid of three axes, chosen, kept, counted and arranged, from end "
            "to end, in one process.",
            table(
                ("designs", "CPU s", "µs a design", "memory, MB", "designs on the front"),
                [
                    (
                        f"{row['designs']:,}",
                        f"{row['walk_s']:.2f}",
                        f"{1e6 * row['walk_s'] / row['designs']:.0f}",
                        f"{row['walk_bytes'] / 1e6:.1f}",
                        f"{row['front']}",
                    )
                    for row in results["walks"]
                ],
                right=0,
            ),
            "**Growth of its store** with the number of records.",
            store.rendered(sizes),
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks cluster",
        description="Start a Ray cluster of two nodes on this machine and kill workers, nodes and the driver, ten in all, amid the "
        "work; count what a search of a million designs costs; writes docs/cluster.md and benchmarks/cluster.json. Needs ray. "
        "About ten minutes.",
    )
    parser.add_argument("--render", action="store_true", help="write the tables again from the results that are there")
    parser.add_argument("--only", metavar="walk:N", help="a search of N designs, measured alone and shown")
    chosen = parser.parse_args(arguments)
    if chosen.only:
        sys.stdout.write(json.dumps(walk(int(chosen.only.removeprefix("walk:")))) + "\n")
        return 0
    if not chosen.render:
        walks = [apart("benchmarks.cluster", f"walk:{designs}") for designs in store.SIZES]
        write_json(RESULTS, {**killed(costs=True), "walks": walks})
    write_measured(PAGE, rendered(read_json(RESULTS), read_json(store.RESULTS)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
