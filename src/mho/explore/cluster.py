"""A cluster of machines that computes items, by Ray (Moritz et al., OSDI 2018); needs `pip install mho[cluster]`.

A task is stateless, and Ray does one again whose process or machine dies. The function is sent once and kept by each process;
a task carries its item alone, and only as many are submitted as are under way.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from queue import SimpleQueue
from typing import Any

from mho.errors import MhoError, OptionError, one_line
from mho.explore.processes import TRIES, given_up
from mho.files.sources import code_digest

QUIET = {"RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_USAGE_STATS_ENABLED": "0"}
"""What Ray reads in the environment: nothing of its own on the terminal, and no report of its use to others."""
ANSWER_S = 10.0
"""So long the head of a cluster may take to answer."""
JOINED_S = 10.0
"""So often machines that have joined the cluster are counted."""


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
            self._knock()
            try:
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

    def _knock(self) -> None:
        """Raise MhoError where nothing answers at HOST:PORT, which takes Ray itself five minutes."""
        host, colon, port = self.address.rpartition(":")
        if colon and port.isdigit() and "/" not in host:
            try:
                socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
            except (OSError, OverflowError) as error:
                raise self._error(error) from None

    def _error(self, error: Exception) -> MhoError:
        return MhoError(f"no Ray cluster at {self.address}: {one_line(str(error) or type(error).__name__)}")


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
    """Tasks of a connected cluster, one an item."""

    def __init__(self, ray: Any, function: Callable[[Any], Any], own: bool) -> None:
        self._ray, self._own = ray, own
        self._places: dict[Future[Any], tuple[int, Any]] = {}
        self._done: SimpleQueue[Future[Any]] = SimpleQueue()
        self._task = ray.remote(max_retries=TRIES - 1)(_compute)
        self._function = ray.put(function)
        self._code = code_digest(_module(function))
        self._usual, self._counted = 0, 0.0
        if not self.usual:
            raise MhoError("the Ray cluster has no processors: start workers with `ray start --address HOST:PORT`")

    @property
    def usual(self) -> int:
        """Two items a processor keep the cluster busy, which may grow meanwhile."""
        if not self._usual or time.monotonic() > self._counted + JOINED_S:
            self._usual, self._counted = 2 * int(self._ray.cluster_resources().get("CPU", 0)), time.monotonic()
        return self._usual

    def submit(self, place: int, item: Any) -> None:
        """Take an item to compute."""
        # In a list: Ray would otherwise give the function itself to every task, unpickled anew each time.
        reference = self._task.remote(self._code, [self._function], item)
        future = reference.future()
        self._places[future] = place, reference
        future.add_done_callback(self._done.put)

    def result(self) -> tuple[int, Any]:
        """Wait for a result and return it after its place; raise what computing it raised, MhoError where processes die of it."""
        future = self._done.get()
        place, _ = self._places.pop(future)
        error = future.exception()
        if error is None:
            return place, future.result()
        if isinstance(error, self._ray.exceptions.RayTaskError):
            cause = getattr(error, "cause", error)
            cause.add_note(str(error))
            raise cause
        if isinstance(error, self._ray.exceptions.RayError):
            raise given_up(place, f"the last with {type(error).__name__}") from error
        raise error

    def close(self) -> None:
        """Give up what is under way, and leave the cluster."""
        for _, reference in self._places.values():
            self._ray.cancel(reference, force=True)
        self._places.clear()
        if self._own:
            self._ray.shutdown()


def _module(function: Callable[[Any], Any]) -> str:
    return str(getattr(function, "func", function).__module__)


@lru_cache(maxsize=2)
def _kept(reference: Any) -> Callable[[Any], Any]:
    """Return the function that a process of the cluster computes, with all that it keeps from item to item."""
    import ray

    function: Callable[[Any], Any] = ray.get(reference)
    return function


def _compute(code: str, function: list[Any], item: Any) -> Any:
    """Compute an item in a process of the cluster."""
    compute = _kept(function[0])
    if code_digest(_module(compute)) != code:
        raise MhoError(
            f"{socket.gethostname()} has other code of mho than the machine that asks: install the same on all"
        )
    return compute(item)
