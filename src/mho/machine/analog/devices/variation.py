"""Programming variation: what a cell conducts after a write, and what verifying it leaves of the error.

A write draws each cell around its target. With write-verify every cell that is read outside the tolerance is written, and so
drawn, again, at most `iterations` times. For a draw that is inside the tolerance with probability p, the residual error after n
iterations is the error cut to the tolerance, with weight 1 - (1 - p)^(n + 1), and else the error cut to what lies outside.
Conductances cannot be negative: what is drawn below 0 is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mho.machine.analog.devices.curve import Curve, FloatArray, Window

Normals = Callable[[int], FloatArray]
"""Standard normal numbers, one a cell, for the first write (0) and each repetition (1, 2, ...)."""


@dataclass(frozen=True)
class Programming:
    """Error of one write.

    gaussian: g = target + shift + sigma z, sigma and shift as shares of the range (or any unit of conductance).
    lognormal: ln g = ln target + shift + sigma z, so that the target is the median where shift is 0, and a target of 0 is met.
    """

    kind: Literal["gaussian", "lognormal"]
    sigma: Curve
    shift: Curve

    @property
    def exact(self) -> bool:
        """Whether every write meets its target."""
        return self.sigma.zero and self.shift.zero


@dataclass(frozen=True)
class Verify:
    """Write-verify: how often a cell is written again at most, and how far from its target it may stay."""

    iterations: int
    tolerance: Curve


def write(
    programming: Programming,
    verify: Verify | None,
    levels: np.ndarray,
    targets: FloatArray,
    window: Window,
    normals: Normals,
) -> FloatArray:
    """Return what cells conduct after a write, in level units.

    levels: integers of any shape. targets: (L,) what level 0, 1, ... is to conduct, in level units.
    """
    steps = len(targets) - 1
    states = np.arange(steps + 1) / steps
    sigma, shift = programming.sigma(states, window), programming.shift(states, window)
    if programming.kind == "gaussian":
        sigma, middle = sigma * steps, targets + shift * steps
    else:
        middle = targets * np.exp(shift)
    found = _draw(programming.kind, levels, middle, sigma, normals(0))
    if verify is None or verify.iterations == 0 or programming.exact:
        return found
    tolerance = verify.tolerance(states, window) * steps
    # Flat indices of the cells that were outside when last read; all numbers of a repetition are drawn, so that a cell's
    # numbers do not depend on which other cells are written again.
    flat, values = levels.reshape(-1), found.reshape(-1)
    wrong = np.flatnonzero(np.abs(values - targets[flat]) > tolerance[flat])
    for turn in range(1, verify.iterations + 1):
        if not wrong.size:
            break
        again = flat[wrong]
        drawn = _draw(programming.kind, again, middle, sigma, normals(turn).reshape(-1)[wrong])
        values[wrong] = drawn
        wrong = wrong[np.abs(drawn - targets[again]) > tolerance[again]]
    return values.reshape(levels.shape)


def _draw(kind: str, levels: np.ndarray, middle: FloatArray, sigma: FloatArray, normal: FloatArray) -> FloatArray:
    """Turn standard normal numbers into conductances, in place."""
    normal *= sigma[0] if np.all(sigma == sigma[0]) else sigma[levels]
    if kind == "lognormal":
        np.exp(normal, out=normal)
        normal *= middle[levels]
        return normal
    normal += middle[levels]
    return np.maximum(normal, 0.0, out=normal)
