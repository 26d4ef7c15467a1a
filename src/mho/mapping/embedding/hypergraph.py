"""Grouping by a hypergraph partitioner: Mt-KaHyPar (Gottesbueren et al., ALENEX 2021), for the sum of groups touched (its
objective KM1).

Its preset "deterministic" gives the same partition for the same seed on any number of threads. Should a part have more rows
than a group holds, the rows that are asked for least often go to parts with room.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import MappingError
from mho.mapping.embedding.bags import Bags


@cache
def _library(threads: int) -> tuple[Any, Any]:
    """Import the partitioner, and start it: that is possible once a process."""
    try:
        import mtkahypar
    except ImportError as error:
        raise MappingError(
            f"method 'hypergraph' needs the package mtkahypar, which cannot be imported: {error}"
        ) from error
    return mtkahypar, mtkahypar.initialize(threads, False)


def partition(bags: Bags, groups: int, height: int, seed: int) -> npt.NDArray[np.int32]:
    """Return the group of each row that is in a bag: int32 (rows,), -1 for others; at most `height` in each group.

    Bags count alike, whatever their weights.
    """
    group = np.full(bags.rows, -1, dtype=np.int32)
    rows = np.flatnonzero(bags.frequency)
    if groups < 2 or len(rows) <= height:
        group[rows] = 0
        return group
    number = np.zeros(bags.rows, dtype=np.int64)
    number[rows] = np.arange(len(rows))
    edges = [edge.tolist() for edge in np.split(number[bags.members], bags.starts[1:-1])]
    library, started = _library(1)
    library.set_seed(seed)
    context = started.context_from_preset(library.PresetType.DETERMINISTIC)
    context.set_partitioning_parameters(groups, 0.03, library.Objective.KM1)
    context.set_individual_target_block_weights([height] * groups)
    context.logging = False
    graph = started.create_hypergraph(context, len(rows), len(edges), edges, [1] * len(rows), [1] * len(edges))
    parts = graph.partition(context)
    group[rows] = [parts.block_id(node) for node in range(len(rows))]
    return _repaired(group, rows, bags.frequency, groups, height)


def _repaired(
    group: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int64],
    frequency: npt.NDArray[np.int64],
    groups: int,
    height: int,
) -> npt.NDArray[np.int32]:
    """Move the least frequent rows of groups that are too high to groups with room."""
    order = rows[np.lexsort((rows, -frequency[rows], group[rows]))]
    size = np.bincount(group[rows], minlength=groups)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(size) - size, size)
    over = order[rank >= height]
    room = np.repeat(np.arange(groups, dtype=np.int32), np.maximum(height - size, 0))
    group = group.copy()
    group[over] = room[: len(over)]
    return group
