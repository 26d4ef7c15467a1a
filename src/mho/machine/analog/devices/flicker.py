"""Flicker: the slow fluctuation of a cell's conductance, whose power goes as 1 / f, as a read at some age meets it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from mho.machine.analog.devices.curve import Curve, FloatArray, Window
from mho.machine.analog.devices.fields import Amount, Curved, DeviceDocument
from mho.machine.analog.devices.law import Cells, Law, Writes
from mho.machine.analog.devices.validity import Validity


class Flicker(Law):
    """g (1 + Q sqrt(ln((t + read) / (2 read))) z): noise of power Q^2 / f since the write, seen through a read of finite length.

    Nandakumar et al., Phase-change memory models for deep learning training and inference, ICECS 2019. Nearly all of that power
    lies at frequencies far below those of an inference, so each cell draws once, and all reads at that age meet the same error.
    An age below the first time counts as the first time.
    """

    number: ClassVar[int] = 0xDE06
    ages: ClassVar[bool] = True

    amplitude: Annotated[Curve, Curved(("number",)), Field(description="Q, the root of the relative power times f")]
    read_s: Annotated[float, Amount("time", above=True), Field(description="length of a read")]
    t0_s: Annotated[float, Amount("time", above=True), Field(description="the first time")]

    def check(self, document: DeviceDocument, laws: Mapping[str, Law], validity: Validity) -> None:
        """Refuse a first time within the first read."""
        if self.t0_s < self.read_s:
            raise document.fail("flicker.t0_s", f"must be at least flicker.read_s, {self.read_s:g} s")

    @property
    def exact(self) -> bool:
        """True if nothing fluctuates."""
        return self.amplitude.zero

    def differs(self, age_s: float, writes: Writes) -> bool:
        """Return True if cells fluctuate, each its own way."""
        return not self.exact

    def sigma(self, age_s: float, states: FloatArray, window: Window) -> FloatArray:
        """Return the standard deviation at an age as a share of a cell's own conductance, of the shape of the states."""
        elapsed = max(age_s, self.t0_s)
        return self.amplitude(states, window) * math.sqrt(math.log((elapsed + self.read_s) / (2 * self.read_s)))

    def conducts(self, conductance: FloatArray, cells: Cells) -> FloatArray:
        """Multiply by 1 and the error; at least 0 is left."""
        if self.exact:
            return conductance
        error = cells.draws.normal(self.number)
        error *= self.sigma(cells.age_s, cells.states, cells.window)[cells.levels]
        error += 1.0
        error *= conductance
        return np.maximum(error, 0.0, out=error)
