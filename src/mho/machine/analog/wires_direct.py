"""Effective conductances of an array with resistive wires, exact, by eliminating column after column (ours).

With the bit lines eliminated, the word-line voltages a_j (R) of neighbouring columns are joined by nothing but one segment
a row (the equations are in `wires`). Column j takes the currents S_j a_j,

    S_j = D - r_col D (L + r_col D)^-1 D,    D = diag(G_1j ... G_Rj),

and what is sensed of it is s_j . a_j with s_j = S_j 1. So the matrix of the word lines is block tridiagonal with blocks
L_jj I + r_row S_j on the diagonal and -I beside it. From the far end to the driven one, all columns beyond j are replaced by
a matrix:

    M_j = (L_jj I + r_row S_j - M_j+1)^-1,    a_j = M_j a_j-1,    hence G_eff[:, j] = M_0 M_1 ... M_j s_j.

Every matrix that is inverted is at least I (voltages fall away from the driver, so M <= I), so nothing is lost to rounding
however large or small the resistances: the error stays near 1e-13 of the largest conductance. (L + r D)^-1 is written down
from the pivots of its tridiagonal matrix, in products and sums of positive numbers. It takes about 2 C R^3 operations, in
dense kernels, and R^2 numbers of memory. Where fewer are needed the transposed array is solved, which gives the same answer.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mho.errors import AnalogError
from mho.machine.analog.wires import Floats, Wiring


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _column(
    cells: Floats,
    across: float,
    down: float,
    top: float,
    bottom: float,
    diagonal: float,
    beyond: Floats,
    sensed: Floats,
) -> Floats:
    """Return diagonal I + across S - beyond (R, R) of a column of cells, its upper triangle alone; `sensed` (R) receives s."""
    n = len(cells)
    answer = np.empty((n, n))
    load = np.empty(n)
    pivot = np.empty(n)
    for i in range(n):
        load[i] = 2.0 + down * cells[i]
    load[0] -= 1.0 - top
    load[n - 1] -= 1.0 - bottom
    for i in range(n):
        pivot[i] = load[i] - (1.0 / pivot[i - 1] if i else 0.0)
    # The inverse, its upper triangle from the last row up: each row is the one below, times a ratio.
    answer[n - 1, n - 1] = 1.0 / pivot[n - 1]
    for i in range(n - 2, -1, -1):
        ratio = 1.0 / pivot[i]
        for j in range(i + 1, n):
            answer[i, j] = ratio * answer[i + 1, j]
        answer[i, i] = ratio + ratio * answer[i, i + 1]
    for i in range(n):
        sensed[i] = cells[i] * (top * answer[0, i] + bottom * answer[i, n - 1])
    for i in range(n):
        factor = -across * down * cells[i]
        for j in range(i, n):
            answer[i, j] = factor * cells[j] * answer[i, j] - beyond[i, j]
        answer[i, i] += diagonal + across * cells[i]
    return answer


def from_left(conductances: Floats, wiring: Wiring) -> Floats:
    """Return the effective conductances (R, C) as seen by drivers on the left; those on the right, if any, hold 0 V."""
    # It takes a while to import, and few runs know wires.
    from scipy.linalg.blas import dsymm
    from scipy.linalg.lapack import dpotrf, dpotri

    rows, columns = conductances.shape
    by_column = np.ascontiguousarray(conductances.T)
    answer = np.zeros((rows, columns), order="F")
    beyond = np.zeros((rows, rows))
    far = wiring.driven[1]
    for j in range(columns - 1, -1, -1):
        diagonal = 2.0 if j < columns - 1 else 1.0 + far
        block = _column(by_column[j], wiring.row, wiring.column, *wiring.sensed, diagonal, beyond, answer[:, j])
        # LAPACK counts by columns: the upper triangle of `block` is the lower one of its transpose.
        factor, failed = dpotrf(block.T, lower=1, clean=0, overwrite_a=1)
        if failed:
            raise AnalogError("wires: resistance times conductance is too large to be solved in floating point")
        inverse, _ = dpotri(factor, lower=1, overwrite_c=1)
        answer[:, j:] = dsymm(1.0, inverse, answer[:, j:], lower=1)
        beyond = inverse.T
    return answer


def operations(rows: int, columns: int, wiring: Wiring) -> int:
    """Return how many operations column after column takes, roughly."""
    return 2 * columns * rows**3 * (2 if wiring.drive == "both" else 1)


def least_operations(rows: int, columns: int, wiring: Wiring) -> int:
    """Return how many operations `direct` takes, roughly: of the array or of the transposed one, whichever are fewer."""
    return min(operations(rows, columns, wiring), operations(columns, rows, wiring.transposed()))


def direct(conductances: Floats, wiring: Wiring) -> Floats:
    """Return the effective conductances (R, C) of checked conductances (R, C); raise AnalogError where they overflow."""
    rows, columns = conductances.shape
    if least_operations(rows, columns, wiring) < operations(rows, columns, wiring):
        turned = one_way(np.ascontiguousarray(conductances.T), wiring.transposed())
        return np.ascontiguousarray(turned.T)
    return np.ascontiguousarray(one_way(conductances, wiring))


def one_way(conductances: Floats, wiring: Wiring) -> Floats:
    """Return the effective conductances (R, C), by eliminating columns; drivers at both ends are two superposed problems."""
    answer = np.zeros(conductances.shape)
    if wiring.drive != "right":
        answer += from_left(conductances, wiring)
    if wiring.drive != "left":
        mirrored = Wiring(wiring.row, wiring.column, "left" if wiring.drive == "right" else "both", wiring.sense)
        answer += from_left(np.ascontiguousarray(conductances[:, ::-1]), mirrored)[:, ::-1]
    if not np.isfinite(answer).all():
        raise AnalogError("wires: resistance times conductance is too large to be solved in floating point")
    return answer
