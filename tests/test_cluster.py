"""Work on a Ray cluster of two nodes, started on this machine: whoever is killed, every item has its result once.

Needs ray (`pip install mho[cluster]`); what is said where it is missing is tested everywhere.
"""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import cluster
from mho.errors import MhoError, OptionError
from mho.explore.cluster import Ray
from mho.explore.workers import finished
from mho.files.store import Store
from tests.worked import square

with_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed: mho[cluster]")


def test_a_missing_ray_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r"needs Ray: pip install 'mho\[cluster\]'"):
        list(finished(square, [1], Ray("local")))
    with pytest.raises(OptionError, match="has an address"):
        Ray(" ")


@with_ray
def test_where_nothing_answers_is_told() -> None:
    """Without the minutes that Ray itself takes: a port that this machine has just given back."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(MhoError, match=f"no Ray cluster at 127.0.0.1:{port}: .*refused"):
        list(finished(square, [1], Ray(f"127.0.0.1:{port}")))


def held(found: dict[str, object], kills: tuple[str, ...], items: int) -> None:
    """Check that all results are there, each once, and that no kill cost more than what was under way."""
    assert found["right"] == found["lines"] == items and found["exit"] == 0
    assert items <= found["begun"] <= items + cluster.UNDER_WAY * len(kills)  # type: ignore[operator]
    assert found["said"] == "", "nothing of Ray's on the terminal"


@with_ray
def test_killed_workers_nodes_and_drivers_lose_nothing() -> None:
    kills = ("worker", "node", "driver")
    held(cluster.killed(kills, 300), kills, 300)


@with_ray
@pytest.mark.nightly
def test_ten_kills_lose_nothing() -> None:
    held(cluster.killed(), cluster.KILLS, cluster.ITEMS)


@with_ray
@pytest.mark.nightly
def test_a_killed_head_is_told(tmp_path: Path) -> None:
    """In one line, and before Ray ends the driver without any; what was finished is kept."""
    with cluster.running() as nodes:
        driver = cluster.start(tmp_path, nodes.address, 3000)
        cluster.wait(tmp_path, driver, 10)
        nodes.tell("kill head")
        assert driver.wait(cluster.ENOUGH_S) == 1
    assert (tmp_path / "said").read_text().startswith(f"the head of the Ray cluster at {nodes.address} is gone: ")
    kept = Store(tmp_path / "results.jsonl")
    assert len(kept) >= 10 and all("square" in record for record in kept.records())


ASKING = """
import sys
import mho.explore.cluster as cluster
from mho.errors import MhoError
from mho.explore.workers import each, finished
from functools import partial
from pathlib import Path
from tests.worked import dies, refused, square

ray = cluster.Ray(sys.argv[1])
assert sorted(finished(square, range(40), ray)) == [(number, number * number) for number in range(40)]
assert list(each(square, range(40), ray)) == [number * number for number in range(40)]
for function, items in ((refused, range(5)), (partial(dies, Path(sys.argv[2]), 9), [2])):
    try:
        list(finished(function, items, ray))
    except MhoError as error:
        print(type(error).__name__, error, "in refused" in "".join(getattr(error, "__notes__", ())), sep="|")
cluster.code_digest = lambda module: "of another version"
try:
    list(finished(square, [1], ray))
except MhoError as error:
    print(error)
"""


@with_ray
def test_what_goes_wrong_on_a_cluster_is_told(tmp_path: Path) -> None:
    """What an item raises is raised, an item of which processes die is given up, and other code on the cluster is refused."""
    with cluster.running() as nodes:
        done = subprocess.run(
            [sys.executable, "-c", ASKING, nodes.address, str(tmp_path)], capture_output=True, text=True, check=False,
            env=cluster.environment(), cwd=cluster.ROOT,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    refused, died, other = done.stdout.splitlines()
    assert refused == "ChipError|item 3 is refused|True"
    assert (
        died.startswith("MhoError|item 0 of the work cannot be computed: 3 processes that tried have ended")
        and "Crashed" in died
    )
    assert "has other code of mho than the machine that asks" in other
    assert done.stderr == ""
