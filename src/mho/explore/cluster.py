"""A cluster of machines that computes items, by Ray (Moritz et al., OSDI 2018); needs `pip install mho[cluster]`.

A task is stateless, and Ray does one again whose process or machine dies. The function is sent once and kept by each process;
a task carries its items alone, and only as many are submitted as are under way.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from queue import Empty, SimpleQueue
from typing import Any

from mho.errors import MhoError, OptionError, one_line
from mho.explore.processes import TRIES, answer, given_up
from mho.files.sources import code_digest

QUIET = {"RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_USAGE_STATS_ENABLED": "0"}
"""What Ray reads in the environment: nothing of its own on the terminal, and no report of its use to others."""
ANSWER_S = 10.0
"""So long the head of a cluster may take to answer; so often it is asked."""
MISSED = 2
"""So often it may fail to, one after the other."""
TASK_S, MOST = 0.05, 16
"""A task is to take so long, and has no more items."""
SHARE = 0.1
"""Of the latest task in what an item is thought to take."""


@dataclass(frozen=True)
class Ray:
    """The processors of a Ray cluster.

        finished(function, items, Ray("10.0.0.1:6379"))   # a cluster that runs, by the address of its head
        finished(function, items, Ray("auto"))            # the cluster that this machine is part of
        finished(function, items, Ray("local"))           # one of this machine alone, for as long as the work takes

    A program that has connected to a cluster itself (`ray.init`) stays connected to it, whatever the address.
    """

    address: str

    def __post_init__(self) -> None:
        if not self.address.strip():
            raise OptionError("a Ray cluster has an address: HOST:PORT of its head, auto or local")

    def open(self, function: Callable[[Any], Any]) -> Tasks:
        """Connect. Raises OptionError where Ray is not installed, MhoError where no cluster answers."""
        try:
            import ray
        except ImportError:
            raise OptionError(
                "work on a Ray cluster needs Ray: pip install 'mho[cluster]', the same on every machine"
            ) from None
        own = not ray.is_initialized()
        if own:
            for name, value in QUIET.items():
                os.environ.setdefault(name, value)
            local: dict[str, Any] = {"include_dashboard": False} if self.address == "local" else {}
            try:
                # It takes Ray itself five minutes to say that nobody answers.
                _knock(self.address)
                with _errors_unseen():
                    ray.init(self.address, log_to_driver=False, logging_level="CRITICAL", **local)
            except Exception as error:
                raise self._error(error) from None
            _keep_quiet(ray)
        try:
            return Tasks(ray, function, own)
        except BaseException:
            if own:
                ray.shutdown()
            raise

    def _error(self, error: Exception) -> MhoError:
        return MhoError(f"no Ray cluster at {self.address}: {one_line(str(error) or type(error).__name__)}")


def _knock(address: str) -> None:
    """Raise OSError where nothing answers at HOST:PORT; do nothing for addresses that are none."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and int(port) < 1 << 16 and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S / 2).close()


@contextlib.contextmanager
def _errors_unseen() -> Iterator[None]:
    """Send to nowhere what is written to the standard error meanwhile, by code in C++ too: what matters of it is raised."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _keep_quiet(ray: Any) -> None:
    """Keep pages of logs off the terminal, which Ray prints where a machine dies; no setting of Ray keeps them off."""
    if hasattr(ray._private.worker, "print_to_stdstream"):
        ray._private.worker.print_to_stdstream = lambda data, **others: None


class Tasks:
    """Tasks of a connected cluster. Short items go several to a task, as many as take `TASK_S`: a task costs the driver 1 ms."""

    def __init__(self, ray: Any, function: Callable[[Any], Any], own: bool) -> None:
        self._ray, self._own = ray, own
        self._task = ray.remote(max_retries=TRIES - 1)(_compute)
        self._function = ray.put(function)
        self._code = code_digest(_module(function))
        self._head = ray.get_runtime_context().gcs_address
        self._waiting: list[tuple[int, Any]] = []
        self._tasks: dict[Future[Any], tuple[list[int], Any]] = {}
        self._done: SimpleQueue[Future[Any]] = SimpleQueue()
        self._ready: deque[tuple[int, bytes]] = deque()
        self._under_way, self._item_s = 0, TASK_S
        self._slots, self._missed, self._counted = 0, 0, 0.0
        if not self._processors():
            raise MhoError("the Ray cluster has no processors: start workers with `ray start --address HOST:PORT`")

    @property
    def usual(self) -> int:
        """Two tasks a processor keep the cluster busy."""
        return 2 * self._processors() * self._several()

    def submit(self, place: int, item: Any) -> None:
        """Take an item to compute."""
        self._waiting.append((place, item))
        self._under_way += 1
        # All processors have two tasks before any has longer ones.
        if len(self._waiting) >= min(self._several(), self._under_way // (2 * self._processors())):
            self._send()

    def result(self) -> tuple[int, Any]:
        """Wait for a result and return it after its place; raise what computing it raised, MhoError where processes die of it."""
        while not self._ready:
            if self._waiting:
                self._send()
            future = self._next()
            places, _ = self._tasks.pop(future)
            took_s, answers = self._of(future, places)
            self._item_s += SHARE * (took_s / len(places) - self._item_s)
            self._ready.extend(zip(places, answers, strict=True))
        self._under_way -= 1
        place, told = self._ready.popleft()
        error, result = pickle.loads(told)
        if error is not None:
            raise error
        return place, result

    def close(self) -> None:
        """Give up what is under way, and leave the cluster."""
        if self._own:
            self._ray.shutdown()
        else:
            for _, reference in self._tasks.values():
                self._ray.cancel(reference, force=True)
        self._tasks.clear()

    def _processors(self) -> int:
        """Count the processors of the cluster, which may grow meanwhile."""
        if not self._slots or time.monotonic() > self._counted + ANSWER_S:
            self._ask_head()
        return self._slots

    def _ask_head(self) -> None:
        """Count the processors. Raises MhoError where the head is gone, of which Ray says nothing and ends this process."""
        try:
            # First, since Ray waits for an answer as long.
            _knock(self._head)
            self._slots, self._missed = int(self._ray.cluster_resources().get("CPU", 0)), 0
        except OSError as error:
            self._missed += 1
            if self._missed == MISSED:
                self._own = False
                self._tasks.clear()
                raise MhoError(f"the head of the Ray cluster at {self._head} is gone: {error}") from None
        self._counted = time.monotonic()

    def _several(self) -> int:
        return max(1, min(int(TASK_S / self._item_s), MOST))

    def _send(self) -> None:
        # The function in a list: Ray would otherwise give each task a new copy of it.
        reference = self._task.remote(self._code, [self._function], [item for _, item in self._waiting])
        future = reference.future()
        self._tasks[future] = [place for place, _ in self._waiting], reference
        self._waiting.clear()
        future.add_done_callback(self._done.put)

    def _next(self) -> Future[Any]:
        """Wait for a task."""
        while True:
            with contextlib.suppress(Empty):
                return self._done.get(timeout=ANSWER_S)
            self._ask_head()

    def _of(self, future: Future[Any], places: list[int]) -> tuple[float, list[bytes]]:
        """Return what a task has found: how long it took, and the answers to its items."""
        error = future.exception()
        if error is None:
            taken: tuple[float, list[bytes]] = future.result()
            return taken
        if isinstance(error, self._ray.exceptions.RayTaskError):
            cause = getattr(error, "cause", error)
            cause.add_note(str(error))
            raise cause
        if isinstance(error, self._ray.exceptions.RayError):
            items = f"one of items {places[0]} to {places[-1]}" if len(places) > 1 else f"item {places[0]}"
            raise given_up(items, f"the last with {type(error).__name__}") from error
        raise error


def _module(function: Callable[[Any], Any]) -> str:
    return str(getattr(function, "func", function).__module__)


@lru_cache(maxsize=2)
def _kept(reference: Any) -> Callable[[Any], Any]:
    """Return the function that a process of the cluster computes, with all that it keeps from item to item."""
    import ray

    function: Callable[[Any], Any] = ray.get(reference)
    return function


def _compute(code: str, function: list[Any], items: list[Any]) -> tuple[float, list[bytes]]:
    """Compute items in a process of the cluster; return how long it took, in s, and the answers."""
    compute = _kept(function[0])
    if code_digest(_module(compute)) != code:
        raise MhoError(
            f"{socket.gethostname()} has other code of mho than the machine that asks: install the same on all"
        )
    begun = time.monotonic()
    answers = [answer(compute, item) for item in items]
    return time.monotonic() - begun, answers
