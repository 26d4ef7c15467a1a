"""Effective conductances of an array with resistive wires, approximately, in about a millisecond (ours).

Three parts (the equations are in `wires`, alpha and beta as in `wires_lines`):

1. G alpha beta, cell by cell: what the drop along the cell's own word line and along its own bit line leaves. It is exact
   where rows or columns have no resistance.
2. What is missing is that currents of one bit line raise the voltages that word lines see, and so on. Exactly, it is

       (G beta)_j . W (G alpha)_i,    W the block of the inverse of the nodal matrix from bit-line to word-line nodes,

   with (G alpha)_i standing on the bit-line nodes of row i, and (G beta)_j on the word-line nodes of column j.
3. W is replaced by its Galerkin approximation, (basis) (basis' A basis)^-1 (basis)', in a few smooth functions. Voltages that
   cells in the middle of an array cause vary slowly along a line, but by as much as each line's cells conduct; so the
   functions are the answers of the ladders to slowly varying voltages on the other side of their cells,

       word lines:  phi_p(i) (K_r^-1 r_row G psi_q)_ij,      bit lines:  psi_q(j) (K_c^-1 r_col G phi_p)_ij,

   where phi and psi are the slowest eigenvectors of the Laplacians of a bit line and of a word line.

It is symmetric: transposing the array and swapping ends gives the same answer. What it does not see is how the
cells of two lines happen to match; that is the error that is left, and it is larger where few cells conduct. Measured:
docs/wires.md.
"""

from __future__ import annotations

import numpy as np

from mho.machine.analog.wires import Floats, Wiring
from mho.machine.analog.wires_lines import ladders

MODES = 6
"""Slowest eigenvectors taken of a line's Laplacian. Four double the error at the highest loads, eight gain next to nothing."""
LEAST = 1e-11
"""Share of the largest eigenvalue below which a combination of functions counts as none: where few cells conduct some coincide."""
PAIRS = ["einsum_path", (0, 1), (0, 1)]
"""Products of two functions first, then their sum with the currents."""


def modes(nodes: int, first: float, last: float) -> Floats:
    """Return the slowest eigenvectors (nodes, at most MODES), of length 1, of the Laplacian of a line with these ends."""
    order = np.arange(1, min(MODES, nodes) + 1)
    both = bool(first and last)
    wave = np.pi * (order - (0.0 if both else 0.5)) / (nodes + (1.0 if both else 0.5))
    place = np.arange(1, nodes + 1) if first else np.arange(nodes, 0, -1)
    vectors = np.sin(place[:, None] * wave)
    return np.ascontiguousarray(vectors / np.linalg.norm(vectors, axis=0))


def whitened(matrix: Floats) -> Floats:
    """Return W (n, m), m <= n, with W' matrix W = I, of a matrix (n, n) that is symmetric with no negative eigenvalue."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > max(LEAST * float(values[-1]), np.finfo(np.float64).tiny)
    return np.asarray(vectors[:, kept] / np.sqrt(values[kept]))


def approximate(conductances: Floats, wiring: Wiring) -> tuple[Floats, float]:
    """Return approximate effective conductances (R, C) of checked ones (R, C), and the load of the array.

    The load is the larger of 1 - min alpha and 1 - min beta: the largest share of a voltage that is lost along any one line
    while the lines that it crosses hold 0 V. It is between 0 (no resistance) and 1, and says how far the answer can be trusted.
    """
    rows, columns = conductances.shape
    phi, psi = modes(rows, *wiring.sensed), modes(columns, *wiring.driven)
    word = ladders(conductances, wiring.row, *wiring.driven, psi).transpose(2, 0, 1)
    bit = ladders(np.ascontiguousarray(conductances.T), wiring.column, *wiring.sensed, phi).transpose(2, 1, 0)
    alpha, beta = np.ascontiguousarray(word[0]), np.ascontiguousarray(bit[0])
    load = float(max(1.0 - alpha.min(), 1.0 - beta.min(), 0.0))
    answer = conductances * alpha * beta
    if wiring.row == 0 or wiring.column == 0:
        return answer, load
    k, m = phi.shape[1], psi.shape[1]
    # The functions of the bit lines (k, R, C), and the currents of the cells under those of either (m or k, R, C).
    bit = np.ascontiguousarray(bit[1:])
    across = np.multiply(word[1:], conductances, order="C")
    down = bit * conductances
    # The matrix of the nodal equations in these functions; K_r applied to a word line's function is r_row G psi.
    words = np.einsum("ip,iP,qis->pqPs", phi, phi, np.matmul(across, psi), optimize=PAIRS).reshape(k * m, k * m)
    bits = np.einsum("jq,js,Ppj->pqPs", psi, psi, np.matmul(phi.T, down), optimize=PAIRS).reshape(k * m, k * m)
    between = np.empty((k, m, k, m))
    field = np.empty_like(bit)
    for q in range(m):
        np.multiply(across[q], bit, out=field)
        between[:, q] = np.matmul(np.matmul(phi.T, field), psi).transpose(1, 0, 2)
    # In bases in which these are I, the whole matrix is [[I, -X], [-X', I]], and the block of its inverse X (I - X' X)^-1.
    first, second = whitened(words), whitened(bits)
    x = first.T @ between.reshape(k * m, k * m) @ second
    block = first @ x @ np.linalg.inv(np.eye(second.shape[1]) - x.T @ x) @ second.T
    row_factors = np.matmul(alpha * down, psi).transpose(1, 0, 2).reshape(rows, k * m)
    column_factors = np.matmul(phi.T, beta * across).transpose(2, 1, 0).reshape(columns, k * m)
    answer += row_factors @ (column_factors @ block).T
    return answer, load
