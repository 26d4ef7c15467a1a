"""Independent work: whoever does it, and whoever is killed meanwhile, every item has its result once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import ChipError, MhoError, OptionError
from mho.explore.processes import THREADS, TRIES
from mho.explore.workers import each, finished
from mho.files.store import Store
from tests.worked import dies, explore, refused, sent_back, square, variables

SQUARES = [(number, number * number) for number in range(40)]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_has_its_result_once(workers: int) -> None:
    assert sorted(finished(square, range(40), workers)) == SQUARES
    assert list(each(square, range(40), workers)) == [square for _, square in SQUARES]
    assert list(each(square, [], workers)) == [] and list(finished(square, [], workers)) == []


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 5))
@settings(max_examples=40)
def test_items_are_taken_as_they_are_needed(waits: list[bool], ahead: int) -> None:
    """Never more than `ahead` under way, none past a None before a result has come, and the places count the items alone."""
    taken: list[int] = []
    came: list[int] = []

    def items() -> Iterator[int | None]:
        for number, wait in enumerate(waits):
            if wait and len(taken) > len(came):
                seen = len(came)
                yield None
                assert len(came) > seen
            assert len(taken) - len(came) < ahead
            taken.append(number)
            yield number

    for place, result in finished(square, items(), 1, ahead):
        came.append(place)
        assert result == place * place
    assert sorted(came) == taken == list(range(len(waits)))


def test_items_that_wait_for_nothing_are_told() -> None:
    with pytest.raises(RuntimeError, match="nothing is under way"):
        list(finished(square, [1, None, None, 2]))
    for workers, ahead in ((0, None), (1, 0)):
        with pytest.raises(OptionError, match="at least one"):
            list(finished(square, [1], workers, ahead))


@pytest.mark.parametrize("workers", [1, 2])
def test_what_an_item_raises_is_raised(workers: int) -> None:
    with pytest.raises(ChipError, match="item 3 is refused") as caught:
        list(finished(refused, range(40), workers))
    assert workers == 1 or "in refused" in caught.value.__notes__[0]


@pytest.mark.parametrize("number", [0, 1])
def test_what_cannot_be_sent_back_is_told(number: int) -> None:
    with pytest.raises((RuntimeError, AttributeError), match="Local"):
        list(finished(sent_back, [number], 2))


def test_a_process_computes_by_one_thread_where_nothing_else_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(THREADS[0], "3")
    assert list(each(variables, [THREADS, THREADS], 2)) == [["3", *["1"] * (len(THREADS) - 1)]] * 2
    assert variables(THREADS) == ["3", *[None] * (len(THREADS) - 1)]


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    """Four items kill the process that computes them: each is done again, and the others are done once."""
    assert sorted(finished(partial(dies, tmp_path, 1), range(20), 2)) == SQUARES[:20]
    assert len(list(tmp_path.iterdir())) == 4


def test_an_item_of_which_processes_die_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(MhoError, match=rf"item 2 .* {TRIES} processes .* exit code -9; .* fewer workers"):
        list(finished(partial(dies, tmp_path, TRIES), range(7), 2))  # Of these, item 2 alone kills.


DRIVER = """
import sys, time
from tests.worked import explore
if __name__ == "__main__":
    explore(sys.argv[1])
"""


def waited_for(path: Path, lines: int) -> None:
    """Wait until a file has so many lines."""
    until = time.monotonic() + 120
    while not path.exists() or path.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < until, "nothing is written"
        time.sleep(0.005)


def test_a_killed_driver_loses_what_was_under_way_and_leaves_no_process(tmp_path: Path) -> None:
    """By SIGKILL amid the run; the next run does the rest, and the file, arranged, has the bytes of a run that nobody killed."""
    path = tmp_path / "results.jsonl"
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(path)], process_group=0)
    waited_for(path, 10)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    kept = len(Store(path))
    assert 10 <= kept < 60
    until = time.monotonic() + 60
    while os.path.exists(f"/proc/{driver.pid}") or _alive(driver.pid):
        assert time.monotonic() < until, "its processes go on"
        time.sleep(0.05)
    assert len(Store(path)) == kept
    explore(str(path))
    whole = Store(tmp_path / "whole.jsonl")
    for number in range(60):
        whole.put(str(number), {"square": number * number})
    assert path.read_bytes().count(b"\n") <= 61, "none but a torn one is done twice"
    Store(path).arrange(str(number) for number in range(60))
    assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def _alive(group: int) -> bool:
    """Return True if a process of a group is there."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
