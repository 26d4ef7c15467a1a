"""What is known of the jobs of a layer that come again at every inference: worked out once, kept in bounded room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mho.machine.analog.counting_kernel import CountingKernel, convert_alike
from mho.machine.analog.kernel import Bytes, FloatArray
from mho.machine.fabric import StoredBlock

Place = tuple[int, slice, slice]
"""The matrix, the inputs and the outputs of a block."""


@dataclass(frozen=True, eq=False)
class Job:
    """Windows [first, last) of each inference through a block, which is stored in a group as `stored`: all, or each `every`-th."""

    block: int
    windows: tuple[int, int]
    stored: StoredBlock
    every: int = 1

    def within(self, first: int, last: int) -> Job | None:
        """Return the job for those of its windows that are from `first` on and before `last`; None where there are none."""
        begin = max(self.windows[0], first + (self.windows[0] - first) % self.every)
        end = min(self.windows[1], last)
        return replace(self, windows=(begin, end)) if begin < end else None


@dataclass(eq=False)
class Counted:
    """Blocks that serve the same windows, and whose kernels are alike: converted in one call."""

    windows: tuple[int, int]
    every: int
    kernels: list[CountingKernel] = field(default_factory=list)
    blocks: list[list[int]] = field(default_factory=list)

    def joins(self, kernel: CountingKernel, windows: tuple[int, int], every: int) -> bool:
        """Say whether a block may be converted with these."""
        return (windows, every) == (self.windows, self.every) and kernel.alike == self.kernels[0].alike

    def add(self, kernel: CountingKernel, place: Place) -> None:
        """Take a block in."""
        matrix, rows, outputs = place
        self.kernels.append(kernel)
        self.blocks.append(kernel.described(matrix, rows.start, outputs.start))

    def convert(self, x: Bytes, out: FloatArray, first_window: int) -> int:
        """Add to out (matrices, runs, windows, N) what x (matrices, runs, windows, K) gives; return how many clipped."""
        first, last = (window - first_window for window in self.windows)
        chosen = _chosen(x.shape[1], x.shape[2], first, last, self.every)
        flat = np.ascontiguousarray(x).reshape(len(x), -1, x.shape[3])
        blocks = np.array(self.blocks, dtype=np.int64)
        return convert_alike(self.kernels, blocks, flat, chosen, out.reshape(len(out), -1, out.shape[3]))


@lru_cache(maxsize=64)
def _chosen(runs: int, windows: int, first: int, last: int, every: int) -> npt.NDArray[np.int64]:
    """Return the places of some windows among those of all inferences."""
    return (np.arange(runs)[:, None] * windows + np.arange(first, last, every)).ravel()


class Plan:
    """The jobs of a layer: `lossy` says whether a conversion may lose something; `steps` are made when they are asked for.

    `nbytes`: what it takes, the kernels of its blocks, at half a byte a cell, among it.
    """

    def __init__(self, lossy: bool, nbytes: int) -> None:
        self.lossy, self.nbytes = lossy, nbytes
        self._steps: list[Job | Counted] | None = None

    def steps(self, make: Callable[[], list[Job | Counted]]) -> list[Job | Counted]:
        """Return jobs in the order in which their sums are added, those that are converted alike together."""
        if self._steps is None:
            self._steps = make()
        return self._steps
