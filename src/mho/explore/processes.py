"""Processes of this machine that compute items. One that dies, killed or out of memory, takes nothing with it.

Each has a pipe of its own and one item at a time, so that the parent knows which item a dead process had: that one is done again
by a new process, and all others go on. (A pool of concurrent.futures is broken as a whole by one death.)
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import Any

from mho.errors import MhoError

TRIES = 3
"""So many processes may die of one item before it is given up."""


THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""The variables by which numpy and torch are told how many threads to compute by; they are read when these are imported."""


@dataclass
class _Child:
    """A process, the parent's end of its pipe, and the item that it computes: place and content."""

    process: BaseProcess
    pipe: connection.Connection
    work: tuple[int, Any] | None = None


class Processes:
    """Up to `slots` processes that apply a function to items; they are started as items come."""

    def __init__(self, function: Callable[[Any], Any], slots: int) -> None:
        self.usual = 2 * slots
        self._function, self._slots = function, slots
        self._waiting: deque[tuple[int, Any]] = deque()
        self._done: deque[tuple[int, Any]] = deque()
        self._deaths: dict[int, int] = {}
        self._children: list[_Child] = []

    def submit(self, place: int, item: Any) -> None:
        """Take an item to compute."""
        self._waiting.append((place, item))
        self._hand_out()

    def result(self) -> tuple[int, Any]:
        """Wait for a result and return it after its place; raise what computing it raised, MhoError where processes die of it."""
        while not self._done:
            pipes = {child.pipe: child for child in self._children if child.work is not None}
            for pipe in connection.wait(list(pipes)):
                self._receive(pipes[pipe])  # type: ignore[index]
            self._hand_out()
        place, (error, result) = self._done.popleft()
        if error is not None:
            raise error
        return place, result

    def close(self) -> None:
        """End all processes, whatever they do."""
        for child in self._children:
            child.process.terminate()
            child.pipe.close()
        for child in self._children:
            child.process.join()
        self._children.clear()

    def _hand_out(self) -> None:
        """Give waiting items to processes that have none."""
        while self._waiting:
            child = next((child for child in self._children if child.work is None), None)
            if child is None:
                if len(self._children) == self._slots:
                    return
                child = self._start()
            child.work = self._waiting.popleft()
            try:
                child.pipe.send(child.work[1])
            except OSError:
                self._bury(child)

    def _start(self) -> _Child:
        # Not fork: threads of torch and numba do not outlive it.
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._function), daemon=True)
        with _one_thread():
            process.start()
        # The end of the pipe is then known by the process alone, and its death ends it.
        theirs.close()
        child = _Child(process, ours)
        self._children.append(child)
        return child

    def _receive(self, child: _Child) -> None:
        """Take the result that a process has sent, or its death."""
        assert child.work is not None
        try:
            told = child.pipe.recv_bytes()
        except (EOFError, OSError):
            self._bury(child)
            return
        self._done.append((child.work[0], pickle.loads(told)))
        child.work = None

    def _bury(self, child: _Child) -> None:
        """Put back the item of a dead process; raise MhoError where too many have died of it."""
        assert child.work is not None
        self._children.remove(child)
        child.pipe.close()
        child.process.join()
        place = child.work[0]
        self._deaths[place] = self._deaths.get(place, 0) + 1
        if self._deaths[place] == TRIES:
            raise given_up(f"item {place}", f"the last with exit code {child.process.exitcode}")
        self._waiting.appendleft(child.work)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let a process that is begun meanwhile compute by one thread, where the environment says nothing: processes are many."""
    added = [name for name in THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def given_up(item: str, how: str) -> MhoError:
    """Return the error for an item of which processes die."""
    return MhoError(
        f"{item} of the work cannot be computed: {TRIES} processes that tried have ended, {how}; where memory is short, "
        "take fewer workers, or one to see what happens"
    )


def _serve(pipe: connection.Connection, function: Callable[[Any], Any]) -> None:
    """Compute what comes out of a pipe until its other end is closed: the life of a process."""
    # The terminal's interruption goes to all processes; the parent then ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            pipe.send_bytes(answer(function, pipe.recv()))


def answer(function: Callable[[Any], Any], item: Any) -> bytes:
    """Return error and result of an item, pickled; one of them is None."""
    try:
        return pickle.dumps((None, function(item)))
    except Exception as error:
        note = traceback.format_exc()
        try:
            assert type(pickle.loads(pickle.dumps(error))) is type(error)
            told: Exception = error
        except Exception:
            told = RuntimeError(f"{type(error).__name__}: {error}")
        # Where in the process it happened: a traceback does not travel.
        told.add_note(note)
        return pickle.dumps((told, None))


def _end_with_parent() -> None:
    """A killed parent cannot end its processes, and what they compute is then for nobody."""
    if (parent := parent_process()) is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
