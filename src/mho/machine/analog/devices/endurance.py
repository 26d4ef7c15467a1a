"""Endurance: cells that fail after so many writes."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from mho.errors import DeviceError
from mho.machine.analog.devices.curve import FloatArray
from mho.machine.analog.devices.fields import UNLIMITED, Plain
from mho.machine.analog.devices.law import STUCK_OFF, STUCK_ON, WORKS, Draws, Faults, Law, Writes
from mho.quantity import Words


class Endurance(Law):
    """Writes to failure, with a median and the standard deviation `spread` of their natural logarithm.

    lognormal: ln N is normal. weibull: shape k = pi / (sqrt(6) spread) and scale median / (ln 2)^(1/k), for ln N then has standard
    deviation pi / (sqrt(6) k) (Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1, chapter 21).
    A failed cell is what `mode` says.
    """

    number: ClassVar[int] = 0xDE03
    wears: ClassVar[bool] = True

    kind: Annotated[Literal["lognormal", "weibull"], Words(("lognormal", "weibull"))]
    median: Annotated[float, Plain(1, 1e30, UNLIMITED), Field(description="writes that half of the cells survive")]
    spread: Annotated[float, Plain(0, 100), Field(description="standard deviation of ln(writes)")]
    mode: Annotated[Literal["stuck_on", "stuck_off"], Words(("stuck_on", "stuck_off"))]

    @property
    def exact(self) -> bool:
        """True if cells never fail."""
        return math.isinf(self.median)

    def differs(self, age_s: float, writes: Writes) -> bool:
        """Return True if cells have been written and may fail."""
        return bool(writes) and not self.exact

    def failed_share(self, writes: FloatArray) -> FloatArray:
        """Return the probability that a cell has failed after so many writes, for writes of any shape."""
        writes = np.asarray(writes, dtype=np.float64)
        if math.isinf(self.median):
            return np.zeros(writes.shape)
        if self.spread == 0:
            return np.where(writes >= self.median, 1.0, 0.0)
        with np.errstate(divide="ignore", over="ignore"):
            ratio = np.log(writes / self.median)
            if self.kind == "lognormal":
                from scipy.special import ndtr

                return np.asarray(ndtr(ratio / self.spread))
            shape = math.pi / (math.sqrt(6.0) * self.spread)
            return np.asarray(-np.expm1(-math.log(2.0) * np.exp(shape * ratio)))

    def breaks(self, faults: Faults, draws: Draws, writes: Writes) -> Faults:
        """Mark the cells that have failed; those that were stuck from the beginning stay what they are."""
        share = np.zeros(()) if writes is None else self.failed_share(np.asarray(writes, dtype=np.float64))
        if not np.any(share):
            return faults
        try:
            share = np.broadcast_to(share, faults.shape)
        except ValueError:
            raise DeviceError(
                f"writes: of shape {share.shape} does not broadcast to the cells, {faults.shape}"
            ) from None
        failed = draws.uniform(self.number) < share
        faults[failed & (faults == WORKS)] = STUCK_ON if self.mode == "stuck_on" else STUCK_OFF
        return faults
