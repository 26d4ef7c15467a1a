"""What of the tensors between parts of a network stays on the chip, where not all of them find room for a whole round.

With x_c the part of tensor c, by rows, that stays, while the rest is stored by the part that makes it, and loaded by each that
reads it:

    least  sum over the parts p of t_p,    t_p >= B T_p,    t_p >= (bytes that p moves anyway, loads and stores) / bandwidth
    where  sum over the c that p holds of x_c (B bytes_c - ring_c,p) <= room_p   for each part p

T_p the interval that copies, vector unit and port allow part p, ring_c,p what rows of c take there if they are stored and loaded,
room_p what is left where all are. Times that are equal are told apart by the bytes moved. A tensor of one row
stays or does not. Solved by branch and bound (scipy's milp), limited by nodes, not by time, so that the result is the same
everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.network.layers import Constant, Input
from mho.program.work import buffer_bytes, flow, sources
from mho.schedule.body import Part
from mho.schedule.builder import Task

Floats = npt.NDArray[np.float64]
NODES = 2_000
"""Nodes of a search at the most."""
EQUAL = 1e-3
"""Weight of a second of all moves beside one of a round's time."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """A tensor that parts behind the one that makes it read: `size` bytes an inference in `rows`; `made`, and the last part that
    reads it.

    `moved`: of each part the times that it moves it where it does not stay.
    """

    maker: int
    size: int
    rows: int
    made: int
    last: int
    moved: tuple[int, ...]


def crossings(task: Task, parts: Sequence[Part]) -> list[Crossing]:
    """Return the stored tensors that cross from one part to another, in order."""
    network, stored, source = task.network, buffer_bytes(task.network, task.coded), sources(task.network)
    readers: dict[int, set[int]] = {}
    part_of = [number for number, part in enumerate(parts) for _ in range(part.first, part.last)]
    for index, layer in enumerate(network.layers):
        for name in layer.inputs:
            readers.setdefault(source[name], set()).add(part_of[index])
    for number, part in enumerate(parts):
        for name in (name for index in part.ahead for name in network.layers[index].inputs):
            readers[source[name]].add(number)
    found = []
    for maker, reading in sorted(readers.items()):
        layer, made = network.layers[maker], part_of[maker]
        if layer.name not in stored or isinstance(layer, Constant) or max(reading) == made:
            continue
        moved = [int(number in reading and number > made) for number in range(len(parts))]
        moved[made] += not isinstance(layer, Input)
        rows = flow(network).rows(layer.name)
        found.append(Crossing(maker, stored[layer.name], rows, made, max(reading), tuple(moved)))
    return found


def staying(
    found: Sequence[Crossing], batch: int, room: Floats, rings: Floats, least_s: Floats, moved: Floats, bandwidth: float
) -> list[float]:
    """Return which part of each tensor stays, from 0 to 1.

    Of each part, shape (parts,): `room` in bytes where none does, `least_s` of an inference, and bytes `moved` of one anyway;
    `rings` of each tensor in each part where it does not stay, in bytes, shape (tensors, parts).
    """
    if not found:
        return []
    # Compiling whole networks that need none of it should not wait for this import.
    from scipy.optimize import Bounds, LinearConstraint, milp

    tensors, parts = len(found), len(room)
    sizes = np.array([batch * each.size for each in found], dtype=np.float64)
    held = np.array([[each.made <= part <= each.last for part in range(parts)] for each in found])
    moves = np.array([each.moved for each in found]) * sizes[:, None] / bandwidth
    needs = np.where(held, np.maximum(sizes[:, None] - rings, 0.0), 0.0)
    # Unknowns: of each tensor whether it stays, of each part its time, scaled so that numbers are of order 1.
    second, byte = (
        1 / max(float((batch * least_s).max()), float(moves.sum(axis=0).max())),
        1 / max(1.0, float(sizes.max())),
    )
    rows = [
        LinearConstraint(np.hstack([needs.T * byte, np.zeros((parts, parts))]), -np.inf, np.maximum(room, 0.0) * byte),
        LinearConstraint(
            np.hstack([moves.T * second, np.eye(parts)]),
            (moves.sum(axis=0) + batch * moved / bandwidth) * second,
            np.inf,
        ),
    ]
    solution = milp(
        np.concatenate([-EQUAL * moves.sum(axis=1) * second, np.ones(parts)]),
        integrality=np.array([each.rows == 1 for each in found] + [False] * parts, dtype=np.int64),
        bounds=Bounds(
            np.concatenate([np.zeros(tensors), batch * least_s * second]),
            np.concatenate([np.ones(tensors), np.full(parts, np.inf)]),
        ),
        constraints=rows,
        # Coming back from its presolved form the solver at times prints a line, which nothing can silence.
        options={"presolve": False, "node_limit": NODES},
    )
    return [0.0] * tensors if solution.x is None else np.clip(solution.x[:tensors], 0.0, 1.0).tolist()
