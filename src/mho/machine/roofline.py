"""Look-ups on a processor: measured here, and as what its memory alone allows (a roofline).

A row of D features of `feature_bytes` is fetched from memory for each look-up, with an index of 8 bytes; each bag writes a vector
of 32-bit features. Nothing is faster than these bytes at the memory's bandwidth (Williams et al., CACM 2009; embedding reduction
does less than one operation a byte). Caches that hold hot rows are not in it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from mho.errors import OptionError
from mho.network.trace import Trace

INDEX_BYTES = 8
RESULT_BYTES = 4


@dataclass(frozen=True)
class Memory:
    """A memory: byte/s, J/byte, the bytes that one access moves at least, what a kernel's start takes in s, and its sources."""

    bandwidth: float
    byte_j: float
    access_bytes: int
    start_s: float
    sources: tuple[str, ...]

    def moved_bytes(self, trace: Trace, dimension: int, feature_bytes: int) -> int:
        """Return the bytes that a trace moves: rows in whole accesses, indices, results."""
        row = -(-dimension * feature_bytes // self.access_bytes) * self.access_bytes
        return trace.lookups * (row + INDEX_BYTES) + trace.bags * dimension * RESULT_BYTES

    def seconds(self, trace: Trace, dimension: int, batch: int, feature_bytes: int = 1) -> float:
        """Return the least time of a trace in batches of `batch` queries, one kernel each."""
        queries = len(np.unique(trace.queries))
        return -(-queries // batch) * self.start_s + self.moved_bytes(trace, dimension, feature_bytes) / self.bandwidth

    def joules(self, trace: Trace, dimension: int, feature_bytes: int = 1) -> float:
        """Return the energy of moving a trace's bytes; nothing else that a processor draws is in it."""
        return self.moved_bytes(trace, dimension, feature_bytes) * self.byte_j


MEMORIES: Mapping[str, Memory] = MappingProxyType(
    {
        "gpu": Memory(
            1.555e12,
            3.92e-12 * 8,
            32,
            5e-6,
            (
                "NVIDIA A100 data sheet: 40 GB of HBM2 at 1,555 GB/s",
                "M. O'Connor et al., Fine-Grained DRAM, MICRO 2017: HBM2 takes 3.92 pJ a bit",
                "assumption: an access moves a sector of 32 bytes; starting a kernel takes 5 us",
            ),
        ),
        "dram": Memory(
            25.6e9,
            64e-12,
            64,
            0.0,
            (
                "JEDEC DDR4-3200: one channel of 64 bits moves 25.6 GB/s",
                "assumption: a byte takes the 64 pJ of the technology lpddr4",
                "assumption: an access moves a line of 64 bytes",
            ),
        ),
    }
)
"""Memories by name."""


@dataclass(frozen=True)
class EmbeddingBagTime:
    """The time of `torch.nn.functional.embedding_bag` on this machine: seconds a batch, the median of the batches run."""

    batch_s: float
    batches: int
    threads: int


def measure_cpu(trace: Trace, dimension: int, batch: int, *, most_batches: int = 50) -> EmbeddingBagTime:
    """Time embedding_bag (mode sum, float32 tables of random values) on the first batches of a trace of one table.

    A batch is of `batch` queries, the last may be smaller. Raises OptionError for a trace of several tables: each would be a
    call of its own; and for a trace without bags, and numbers below 1.
    """
    import torch

    if len(trace.rows) > 1:
        raise OptionError(f"measuring takes a trace of one table, not {len(trace.rows)}")
    if not trace.bags or batch < 1 or most_batches < 1:
        raise OptionError(
            f"measuring takes a bag, a query a batch and a batch at least, not {trace.bags}, {batch} and {most_batches}"
        )
    table = torch.from_numpy(np.random.default_rng(0).standard_normal((trace.rows[0], dimension), dtype=np.float32))
    times = []
    begins = np.flatnonzero(np.diff(trace.queries, prepend=trace.queries[0] - 1))
    spans = list(itertools.pairwise([*begins[::batch].tolist(), trace.bags]))[:most_batches]
    # The first one twice: before it nothing is loaded.
    for low, high in [spans[0], *spans]:
        part = trace.select(slice(low, high))
        indices, offsets = torch.from_numpy(part.indices.astype(np.int64)), torch.from_numpy(part.offsets[:-1].copy())
        weights = None if part.weights is None else torch.from_numpy(part.weights.astype(np.float32))
        begun = time.perf_counter()
        with torch.no_grad():
            torch.nn.functional.embedding_bag(indices, table, offsets, mode="sum", per_sample_weights=weights)
        times.append(time.perf_counter() - begun)
    return EmbeddingBagTime(float(np.median(times[1:])), len(times) - 1, torch.get_num_threads())
