"""Arrays whose wires have resistance: the equations of their currents, and what they are given.

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

from mho.errors import AnalogError, choices

Floats = npt.NDArray[np.float64]

DRIVES = ("left", "right", "both")
SENSES = ("top", "bottom", "both")


@dataclass(frozen=True)
class Wiring:
    """Resistance of one segment of a row and of a column, and the ends of the lines that are driven and sensed.

    `row`, `column`: finite, at least 0, in the inverse of the unit of the conductances (module docstring). `drive`: left, right
    or both ends of the word lines; `sense`: top (row 0), bottom or both ends of the bit lines. Raises AnalogError for anything
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
        """Say that no segment has resistance, so that the effective conductances are those of the cells."""
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
    """Return numbers as float64; raise AnalogError for what is none."""
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise AnalogError(f"wires: {what}: not an array of numbers") from None


def checked(conductances: npt.ArrayLike) -> Floats:
    """Return conductances as float64 (R, C); raise AnalogError unless they are a matrix of finite numbers of at least 0."""
    matrix = _numbers(conductances, "conductances")
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise AnalogError(f"wires: conductances: must be a matrix of rows x columns, not of shape {matrix.shape}")
    if not np.isfinite(matrix).all() or matrix.min() < 0:
        raise AnalogError("wires: conductances: must be finite and at least 0")
    return np.ascontiguousarray(matrix)


def checked_inputs(voltages: npt.ArrayLike, rows: int) -> Floats:
    """Return inputs as float64 (..., R); raise AnalogError unless they are finite and one for each row."""
    inputs = _numbers(voltages, "inputs")
    if inputs.ndim == 0 or inputs.shape[-1] != rows:
        raise AnalogError(f"wires: inputs: must be of shape (..., {rows}), one for each row, not {inputs.shape}")
    if not np.isfinite(inputs).all():
        raise AnalogError("wires: inputs: must be finite")
    return inputs
