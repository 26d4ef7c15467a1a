"""Arrays with resistive wires, fast: what the executor calls, choosing among the ways of solving them (docs/wires.md).

`effective` gives the effective conductances of one array, exact (`wires_direct`) or approximate (`wires_modes`); `currents`
those of a batch of inputs to a proven tolerance (`wires_lines`, or `wires_direct` where that is quicker). All agree with the
exact nodal solve (docs/wires.md); conductances, resistances and their units are those of `wires`.
"""

from __future__ import annotations

import math

import numpy.typing as npt

from mho.errors import AnalogError, choices
from mho.machine.analog.wires import Floats, Wiring, checked, checked_inputs
from mho.machine.analog.wires_direct import direct, least_operations
from mho.machine.analog.wires_lines import LANES, LineRelaxation
from mho.machine.analog.wires_modes import approximate

METHODS = ("exact", "fast")
LOAD = 0.9
"""The load up to which the approximation is used; beyond, little is left of the currents, and the array is solved exactly."""
SMALL = 32
"""Arrays with no more rows, or columns, are solved exactly at once: it takes no longer."""
STATED = ((0.1, 2e-3), (0.25, 1e-2), (0.5, 1.5e-2), (0.9, 2e-2))
"""Up to each load, what errors of currents stay below over the grid of docs/wires.md, as shares of the largest ideal current."""
SPARE = 6
"""Steps of relaxation beyond those that its rate calls for: the bound on the error is wider than the error."""
DIRECT_S, RELAXED_S = 6e-11, 4e-9
"""Seconds for an operation of the direct way, and for a node, input and step of relaxation in a crowded cache: they choose
between the two.
"""


def effective(conductances: npt.ArrayLike, wiring: Wiring, method: str = "exact") -> Floats:
    """Return the effective conductances (R, C) of an array (R, C) >= 0: its currents are inputs @ effective.

    `exact`: within 1e-12 of the nodal solve, relative to the largest conductance. `fast`: approximate, by currents within
    `STATED` of them on every array measured, at most 2% of the largest ideal current and mostly below 0.1%; an array whose
    load is beyond `LOAD` (`wires_modes.approximate`) is solved exactly instead. Raises AnalogError for an unknown method, and for
    conductances that are no matrix of finite numbers of at least 0.
    """
    if method not in METHODS:
        raise AnalogError(f"wires: method: {method!r}; {choices(str(method), METHODS)}")
    matrix = checked(conductances)
    if wiring.ideal:
        return matrix.copy()
    if method == "fast" and min(matrix.shape) > SMALL:
        answer, load = approximate(matrix, wiring)
        if load <= LOAD:
            return answer
    return direct(matrix, wiring)


def currents(conductances: npt.ArrayLike, inputs: npt.ArrayLike, wiring: Wiring, tolerance: float = 1e-6) -> Floats:
    """Return the currents (..., C) of an array (R, C) for `inputs` (..., R), proven to be within `tolerance` of the exact ones.

    The tolerance, between 1e-12 and 1, is relative to the largest current of the same input. An input that relaxation
    does not bring within it in as many steps as its bound calls for is solved directly, so nothing unconverged is returned.
    To run an array more than a few times, take `effective` once instead. Raises AnalogError for bad values or shapes.
    """
    matrix = checked(conductances)
    rows, columns = matrix.shape
    given = checked_inputs(inputs, rows)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 1e-12 <= tolerance <= 1:
        raise AnalogError(f"wires: tolerance: must be a number between 1e-12 and 1, not {tolerance!r}")
    if wiring.ideal:
        return given @ matrix
    flat = given.reshape(-1, rows)
    relaxation = LineRelaxation(matrix, wiring)
    steps = relaxation.steps(tolerance)
    lanes = LANES * math.ceil(len(flat) / LANES)
    if steps * lanes * rows * columns * RELAXED_S > least_operations(rows, columns, wiring) * DIRECT_S:
        answer = flat @ direct(matrix, wiring)
    else:
        answer, reached = relaxation.currents(flat, tolerance, math.ceil(steps) + SPARE)
        if not reached.all():
            answer[~reached] = flat[~reached] @ direct(matrix, wiring)
    return answer.reshape(*given.shape[:-1], columns)
