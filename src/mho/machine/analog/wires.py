"""Currents of an array whose wires have resistance: the exact nodal solve, against which everything faster is checked.

An array has R word lines (rows, driven with voltages v_i) and C bit lines (columns, held at virtual ground and sensed). The
cell of row i and column j, of conductance G_ij, joins node (i, j) of the word line, at a_ij, to node (i, j) of the bit line,
at b_ij. A segment of wire lies between neighbouring nodes of a line, and between its end node and the driver or sense
amplifier there; both ends of a line may have one, else the line is open at the other. Kirchhoff's current law at each node,
in units in which the segments have conductance 1 (so that no resistance is too small, zero included):

    row i:      (L a_i)_j + r_row G_ij (a_ij - b_ij) = v_i at the nodes next to a driver, else 0
    column j:   (L b_j)_i + r_col G_ij (b_ij - a_ij) = 0

with L the Laplacian of a line: -1 to each neighbour; on the diagonal the number of segments that meet at the node. What
is sensed of column j, the currents of its two ends added, is by the same law the current of its cells, sum_i G_ij (a_ij -
b_ij). All of this is linear: the currents are v @ G_eff, with the *effective conductances* G_eff (R, C).

Only the products of resistance and conductance matter: with G in S resistances are in ohm; with G in levels of u siemens
each, resistances are in units of 1/u, which is ohm x u, and G_eff is in levels too.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.sparse.linalg

from mho.errors import AnalogError, choices

Floats = npt.NDArray[np.float64]

DRIVES = ("left", "right", "both")
SENSES = ("top", "bottom", "both")
AT_ONCE = 64
"""Inputs solved together: more need more memory and are no faster."""


@dataclass(frozen=True)
class Wiring:
    """Resistance of one segment of a row and of a column, and the ends of the lines that are driven and sensed.

    `row`, `column`: finite, at least 0, in the inverse of the unit of the conductances (module docstring). `drive`: left,
    right or both ends of the word lines; `sense`: top (row 0), bottom or both ends of the bit lines. AnalogError for anything
    else.
    """

    row: float
    column: float
    drive: str = "left"
    sense: str = "bottom"

    def __post_init__(self) -> None:
        for name, value in (("row", self.row), ("column", self.column)):
            if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer):
                raise AnalogError(f"wires: resistance of a {name} segment: {value!r} is not a number")
            if not (isfinite(value) and value >= 0):
                raise AnalogError(f"wires: resistance of a {name} segment: must be finite and at least 0, not {value}")
        for name, end, known in (("drive", self.drive, DRIVES), ("sense", self.sense, SENSES)):
            if end not in known:
                raise AnalogError(f"wires: {name}: {end!r} is not an end; {choices(str(end), known)}")

    @property
    def ideal(self) -> bool:
        """Whether no segment has resistance, so that the effective conductances are those of the cells."""
        return self.row == 0 and self.column == 0

    @property
    def driven(self) -> tuple[float, float]:
        """Return 1.0 for each end of a word line, left and right, that has a driver, else 0.0."""
        return float(self.drive != "right"), float(self.drive != "left")

    @property
    def sensed(self) -> tuple[float, float]:
        """Return 1.0 for each end of a bit line, top and bottom, that has a sense amplifier, else 0.0."""
        return float(self.sense != "bottom"), float(self.sense != "top")

    def transposed(self) -> Wiring:
        """Return the wiring of the transposed array that is driven where this one is sensed, and sensed where it is driven.

        A network of resistors is reciprocal, so `effective(G, wiring)` is `effective(G.T, wiring.transposed()).T`.
        """
        drive = {"top": "left", "bottom": "right"}.get(self.sense, "both")
        sense = {"left": "top", "right": "bottom"}.get(self.drive, "both")
        return Wiring(self.column, self.row, drive, sense)


def _numbers(given: npt.ArrayLike, what: str) -> Floats:
    """Return numbers as float64; AnalogError for what is none."""
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise AnalogError(f"wires: {what}: not an array of numbers") from None


def checked(conductances: npt.ArrayLike) -> Floats:
    """Return conductances as float64 (R, C); AnalogError unless they are a matrix of finite numbers of at least 0."""
    found = _numbers(conductances, "conductances")
    if found.ndim != 2 or 0 in found.shape:
        raise AnalogError(f"wires: conductances: must be a matrix of rows x columns, not of shape {found.shape}")
    if not np.isfinite(found).all() or found.min() < 0:
        raise AnalogError("wires: conductances: must be finite and at least 0")
    return np.ascontiguousarray(found)


def checked_inputs(voltages: npt.ArrayLike, rows: int) -> Floats:
    """Return inputs as float64 (..., R); AnalogError unless they are finite and one for each row."""
    found = _numbers(voltages, "inputs")
    if found.ndim == 0 or found.shape[-1] != rows:
        raise AnalogError(f"wires: inputs: must be of shape (..., {rows}), one for each row, not {found.shape}")
    if not np.isfinite(found).all():
        raise AnalogError("wires: inputs: must be finite")
    return found


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
