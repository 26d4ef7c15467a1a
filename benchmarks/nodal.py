"""The exact nodal solve of arrays with resistive wires: what every faster way is held against.

Kirchhoff's current law at all 2RC nodes, one sparse matrix, factorised once; the equations are in `mho.machine.analog.wires`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.sparse.linalg

from mho.errors import AnalogError
from mho.machine.analog.wires import Floats, Wiring, checked, checked_inputs

AT_ONCE = 64
"""Inputs solved together: more need more memory and are no faster."""


def line(nodes: int, first: float, last: float) -> scipy.sparse.csr_array:
    """Return the Laplacian of a line of so many nodes; `first` and `last` are 1 where that end has a segment to the outside."""
    diagonal = np.full(nodes, 2.0)
    diagonal[0] -= 1 - first
    diagonal[-1] -= 1 - last
    beside = np.full(nodes - 1, -1.0)
    return scipy.sparse.diags_array([beside, diagonal, beside], offsets=[-1, 0, 1]).tocsr()


class NodalSolver:
    """The nodal matrix of an array, factorised once (scipy.sparse.linalg.splu), to be solved for any number of inputs."""

    def __init__(self, conductances: npt.ArrayLike, wiring: Wiring) -> None:
        """Factorise; `conductances` (R, C). AnalogError for bad values, or a matrix that is singular in floating point."""
        self.conductances = checked(conductances)
        self.wiring = wiring
        rows, columns = self.conductances.shape
        cells = scipy.sparse.diags_array(self.conductances.ravel())
        along_rows = scipy.sparse.kron(scipy.sparse.eye_array(rows), line(columns, *wiring.driven))
        along_columns = scipy.sparse.kron(line(rows, *wiring.sensed), scipy.sparse.eye_array(columns))
        across, down = wiring.row * cells, wiring.column * cells
        matrix = scipy.sparse.block_array([[along_rows + across, -across], [-down, along_columns + down]], format="csc")
        try:
            # The matrix is diagonally dominant by rows, so that no pivoting is needed and the symmetric order may stand.
            self.factors = scipy.sparse.linalg.splu(
                matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
            )
        except RuntimeError as error:
            raise AnalogError(f"wires: the nodal equations cannot be solved: {error}") from None

    def voltages(self, inputs: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return the voltages of all nodes of word lines and of bit lines, each (batch, R, C), for `inputs` (batch, R)."""
        rows, columns = self.conductances.shape
        found = checked_inputs(inputs, rows).reshape(-1, rows)
        sources = np.zeros((len(found), 2, rows, columns))
        left, right = self.wiring.driven
        sources[:, 0, :, 0] += left * found
        sources[:, 0, :, -1] += right * found
        solved = self.factors.solve(sources.reshape(len(found), -1).T).T.reshape(sources.shape)
        return solved[:, 0], solved[:, 1]

    def currents(self, inputs: npt.ArrayLike) -> Floats:
        """Return the sensed currents (..., C) for `inputs` (..., R)."""
        rows, columns = self.conductances.shape
        found = checked_inputs(inputs, rows)
        flat = found.reshape(-1, rows)
        answer = np.empty((len(flat), columns))
        for start in range(0, len(flat), AT_ONCE):
            across, down = self.voltages(flat[start : start + AT_ONCE])
            answer[start : start + AT_ONCE] = np.einsum("ij,bij->bj", self.conductances, across - down)
        return answer.reshape(*found.shape[:-1], columns)


def currents(conductances: npt.ArrayLike, inputs: npt.ArrayLike, wiring: Wiring) -> Floats:
    """Return the exact currents (..., C) of an array (R, C) for `inputs` (..., R); AnalogError for bad values or shapes."""
    if wiring.ideal:
        found = checked(conductances)
        return checked_inputs(inputs, len(found)) @ found
    return NodalSolver(conductances, wiring).currents(inputs)


def effective(conductances: npt.ArrayLike, wiring: Wiring) -> Floats:
    """Return the exact effective conductances (R, C) of an array (R, C), by one solve a row; AnalogError for bad values."""
    found = checked(conductances)
    return found.copy() if wiring.ideal else NodalSolver(found, wiring).currents(np.eye(len(found)))
