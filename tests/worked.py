"""Functions that workers of tests compute, in a module of little more, since every process imports it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from mho.errors import ChipError
from mho.explore.workers import finished
from mho.files.store import Store


def square(number: int) -> int:
    return number * number


def refused(number: int) -> int:
    if number == 3:
        raise ChipError("item 3 is refused")
    return number


def variables(names: tuple[str, ...]) -> list[str | None]:
    return [os.environ.get(name) for name in names]


def sent_back(number: int) -> Any:
    """Return what no pipe takes, or raise it."""

    class Local(Exception):  # noqa: N818
        pass

    if number:
        raise Local("of this place")
    return Local


def dies(folder: Path, times: int, number: int) -> int:
    """Kill the process that computes, so many times for every fifth item; a file says how often."""
    died = [path for path in folder.iterdir() if path.name.startswith(f"{number}-")]
    if number % 5 == 2 and len(died) < times:
        (folder / f"{number}-{len(died)}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def slowly(number: int) -> int:
    time.sleep(0.02)
    return number * number


def explore(path: str, items: int = 60) -> None:
    """Do what is not yet in a store, as any run does: the parent alone writes."""
    store = Store(path)
    left = [number for number in range(items) if str(number) not in store]
    for place, result in finished(slowly, left, 2):
        store.put(str(left[place]), {"square": result})
