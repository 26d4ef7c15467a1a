"""Currents of an array with resistive wires by line relaxation, to a tolerance that is proven at every step (ours).

Given the bit-line voltages b, every word line is a ladder of its own, and given the word-line voltages a, so is every bit line
(the equations are in `wires`); a ladder is solved by one pass there and one back. With K_r = L + r_row G and K_c = L + r_col G

    a = K_r^-1 (v + r_row G b),    b' = K_c^-1 r_col G a = c + P b,    P = K_c^-1 r_col G K_r^-1 r_row G,

all row ladders and then all column ladders are solved in turn. P has no negative entries, and its rows sum to at most

    p = (1 - min alpha) (1 - min beta) < 1,

alpha being the voltages of the word lines for inputs of 1 where the bit lines hold 0 V, beta those of the bit lines for 1 V
at their sensed ends where the word lines hold 0 V: K_r^-1 r_row G 1 = 1 - alpha, for K_r 1 = K_r alpha + r_row G 1. So the
eigenvalues of P, which are real, lie in [0, p], and the steps are accelerated by Chebyshev's semi-iteration for that interval
(Varga, Matrix Iterative Analysis, chapter 5). And b is no further from the solution than |b' - b| / (1 - p), largest entries:
this bounds the error of the currents, sum_i G_ij beta_ij a_ij, and is what ends the iteration, so nothing unconverged is ever
returned.

Inputs are solved LANES at a time, next to each other in memory, for the processor's vector instructions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from mho.machine.analog.wires import Floats, Wiring

LANES = 16
"""Inputs solved side by side: two vector registers of 512 bits, so that one chain of operations need not wait for itself."""
ROUNDING = 2.0**-53

Ladders = tuple[Floats, Floats]
"""Inverse pivots and loads (resistance x conductance) of all lines of one direction, each (R, C)."""


@njit(cache=True)  # type: ignore[untyped-decorator]
def pivots(load: Floats, first: float, last: float) -> Floats:
    """Return the inverse pivots (lines, nodes) of the ladders L + diag(load), `load` (lines, nodes)."""
    lines, nodes = load.shape
    answer = np.empty((lines, nodes))
    for i in range(lines):
        before = 0.0
        for j in range(nodes):
            pivot = 2.0 + load[i, j] - before
            if j == 0:
                pivot -= 1.0 - first
            if j == nodes - 1:
                pivot -= 1.0 - last
            before = 1.0 / pivot
            answer[i, j] = before
    return answer


@njit(cache=True)  # type: ignore[untyped-decorator]
def _risen(under: Floats, b: Floats, older: Floats, rates: tuple[float, float], work: Floats, largest: Floats) -> None:
    """Solve the bit lines from their ends back, and put the accelerated next b into `older`; `largest`: of |b' - b|."""
    rows, columns = under.shape
    omega, gamma = rates
    flat = columns * LANES
    for i in range(rows - 1, -1, -1):
        if i < rows - 1:
            for j in range(columns):
                p = under[i, j]
                for lane in range(LANES):
                    work[i, j, lane] += p * work[i + 1, j, lane]
        solved, now, next_ = work[i].reshape(flat), b[i].reshape(flat), older[i].reshape(flat)
        for x in range(flat):
            size = abs(solved[x] - now[x])
            largest[x] = size if size > largest[x] else largest[x]
        for x in range(flat):
            next_[x] += omega * (gamma * (solved[x] - now[x]) + now[x] - next_[x])


@njit(cache=True)  # type: ignore[untyped-decorator]
def sweep(
    words: Ladders,
    bits: Ladders,
    weight: Floats,
    left: Floats,
    right: Floats,
    b: Floats,
    older: Floats,
    rates: tuple[float, float],
    work: Floats,
    sums: Floats,
    step: Floats,
) -> None:
    """Solve all word lines for a, then all bit lines for b', and put the accelerated next b into `older` (R, C, LANES).

    `left`, `right` (R, LANES): inputs at either end; `rates`: omega and gamma, the next b being
    older + omega (gamma (b' - b) + b - older). `sums` (C, LANES) receives the sums of weight x a, `step` (LANES) the largest
    |b' - b|.
    """
    rows, columns = weight.shape
    along, across = words
    under, down = bits
    flat = columns * LANES
    a = np.empty((columns, LANES))
    largest = np.zeros(flat)
    sums[:] = 0.0
    # A word line is solved in `a` and goes at once into the pass down the bit lines, so that `a` stays in the nearest cache.
    # Inner loops touch few arrays each: that they do not overlap is checked before every one of them.
    for i in range(rows):
        for lane in range(LANES):
            a[0, lane] = (across[i, 0] * b[i, 0, lane] + left[i, lane]) * along[i, 0]
        for j in range(1, columns):
            p = along[i, j]
            g = across[i, j] * p
            for lane in range(LANES):
                a[j, lane] = g * b[i, j, lane] + p * a[j - 1, lane]
        for lane in range(LANES):
            a[columns - 1, lane] += right[i, lane] * along[i, columns - 1]
        for j in range(columns - 2, -1, -1):
            p = along[i, j]
            for lane in range(LANES):
                a[j, lane] += p * a[j + 1, lane]
        for j in range(columns):
            w = weight[i, j]
            for lane in range(LANES):
                sums[j, lane] += w * a[j, lane]
        for j in range(columns):
            p = under[i, j]
            g = down[i, j] * p
            if i:
                for lane in range(LANES):
                    work[i, j, lane] = g * a[j, lane] + p * work[i - 1, j, lane]
            else:
                for lane in range(LANES):
                    work[i, j, lane] = g * a[j, lane]
    _risen(under, b, older, rates, work, largest)
    step[:] = 0.0
    for x in range(flat):
        step[x % LANES] = max(step[x % LANES], largest[x])


@njit(cache=True)  # type: ignore[untyped-decorator]
def ladders(cells: Floats, resistance: float, first: float, last: float, shapes: Floats) -> Floats:
    """Return voltages (lines, nodes, 1 + m) of ladders: for 1 V at the driven ends, and for voltages `shapes` (nodes, m)."""
    lines, nodes = cells.shape
    load = resistance * cells
    pivot = pivots(load, first, last)
    many = shapes.shape[1]
    answer = np.empty((lines, nodes, 1 + many))
    for i in range(lines):
        for j in range(nodes):
            p = pivot[i, j]
            g = load[i, j] * p
            answer[i, j, 0] = (first * p if j == 0 else 0.0) + (last * p if j == nodes - 1 else 0.0)
            for q in range(many):
                answer[i, j, 1 + q] = g * shapes[j, q]
            if j:
                for q in range(1 + many):
                    answer[i, j, q] += p * answer[i, j - 1, q]
        for j in range(nodes - 2, -1, -1):
            p = pivot[i, j]
            for q in range(1 + many):
                answer[i, j, q] += p * answer[i, j + 1, q]
    return answer


class LineRelaxation:
    """The ladders of an array, factorised, to be relaxed for any number of inputs."""

    def __init__(self, conductances: Floats, wiring: Wiring) -> None:
        """Factorise; `conductances` (R, C) as `wires.checked` returns them."""
        self.wiring = wiring
        across, down = wiring.row * conductances, wiring.column * conductances
        below = pivots(np.ascontiguousarray(down.T), *wiring.sensed)
        self.words: Ladders = (pivots(across, *wiring.driven), across)
        self.bits: Ladders = (np.ascontiguousarray(below.T), down)
        nothing = np.empty((conductances.shape[1], 0)), np.empty((conductances.shape[0], 0))
        alpha = ladders(conductances, wiring.row, *wiring.driven, nothing[0])[:, :, 0]
        beta = ladders(np.ascontiguousarray(conductances.T), wiring.column, *wiring.sensed, nothing[1])[:, :, 0].T
        self.fall = min(max(1.0 - float(alpha.min()), 0.0), 1.0)
        """Return how far word-line voltages can fall where the bit lines hold 0 V, as a share."""
        self.contraction = self.fall * min(max(1.0 - float(beta.min()), 0.0), 1.0)
        """The bound p: what one step leaves of an error, at the most."""
        self.weights = np.ascontiguousarray(conductances * beta)
        """Return what a word-line voltage adds to the current of its column."""

    def steps(self, tolerance: float) -> float:
        """Return how many steps the bound says are needed for this tolerance: Chebyshev's rate for [0, p]."""
        sigma = self.contraction / (2.0 - self.contraction)
        rate = sigma / (1.0 + np.sqrt(1.0 - sigma * sigma))
        return float("inf") if rate >= 1 else float(2.0 + np.log(tolerance) / np.log(max(rate, 1e-300)))

    def currents(self, inputs: Floats, tolerance: float, limit: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return the currents (batch, C) for `inputs` (batch, R), and for each input whether it converged within `limit` steps.

        Converged: proven to be within `tolerance` of the exact currents, relative to the largest current of the same input.
        """
        rows, columns = self.weights.shape
        answer = np.empty((len(inputs), columns))
        reached = np.empty(len(inputs), dtype=np.bool_)
        b, older, work = (np.empty((rows, columns, LANES)) for _ in range(3))
        for start in range(0, len(inputs), LANES):
            batch = inputs[start : start + LANES]
            b[:] = 0.0
            older[:] = 0.0
            sums, done = self._relaxed(batch, b, older, work, tolerance, limit)
            answer[start : start + LANES] = sums.T[: len(batch)]
            reached[start : start + LANES] = done[: len(batch)]
        return answer, reached

    def _relaxed(
        self, batch: Floats, b: Floats, older: Floats, work: Floats, tolerance: float, limit: int
    ) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Relax at most LANES inputs from b = 0; returns the currents (C, LANES) and which lanes are within the tolerance."""
        rows, columns = self.weights.shape
        lanes = np.zeros((rows, LANES))
        lanes[:, : len(batch)] = batch.T
        left, right = (end * lanes for end in self.wiring.driven)
        sums, step = np.empty((columns, LANES)), np.empty(LANES)
        sigma = self.contraction / (2.0 - self.contraction)
        gamma = 2.0 / (2.0 - self.contraction)
        # An error e of b is one of at most fall * e of a, and of the sum of a column's weights times that of its current.
        spread = self.fall / (1.0 - self.contraction) if self.contraction < 1 else np.inf
        heaviest = float(self.weights.sum(axis=0).max())
        floor = 8 * (rows + columns) * ROUNDING
        omega = 1.0
        done = np.zeros(LANES, dtype=np.bool_)
        for taken in range(limit):
            rates = omega, gamma
            sweep(self.words, self.bits, self.weights, left, right, b, older, rates, work, sums, step)
            error = heaviest * (spread * step + floor * np.abs(lanes).max(axis=0))
            done = error <= tolerance * np.abs(sums).max(axis=0)
            if done.all():
                break
            b, older = older, b
            omega = 1.0 / (1.0 - sigma * sigma * (omega / 4.0 if taken else 0.5))
        return sums, done
