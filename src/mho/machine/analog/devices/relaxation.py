"""Relaxation: after a write cells spread around their conductance, the wider the later."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from mho.machine.analog.devices.curve import NO_SHARE, Curve, FloatArray, Window
from mho.machine.analog.devices.fields import Amount, Curved, DeviceDocument
from mho.machine.analog.devices.law import Cells, Law, Writes
from mho.machine.analog.devices.validity import Validity
from mho.quantity import Part

SPREAD, SHIFT = Curved(share=True), Curved(signed=True)


class Point(Part):
    """A measurement at one time."""

    time_s: Annotated[float, Amount("time", above=True)]
    sigma: Annotated[Curve, SPREAD]
    shift: Annotated[Curve, SHIFT] = NO_SHARE


class Relaxation(Law):
    """A shift and a normal error that depend on the logarithm of time.

    sigma(t) = sigma + sigma_per_log ln(t / t0), the shift alike; or, where `points` are given, at each time its sigma and shift,
    and between two times straight lines in ln t. An age below the first time counts as the first time, for nothing was measured
    before. A cell keeps its one normal number, so that its error grows as the spread does.
    """

    number: ClassVar[int] = 0xDE05
    ages: ClassVar[bool] = True

    t0_s: Annotated[float, Amount("time", above=True), Field(description="the first time")]
    sigma: Annotated[Curve, SPREAD, Field(description="spread at the first time")]
    sigma_per_log: Annotated[Curve, Curved(), Field(description="what it grows by, times ln(t / t0)")] = NO_SHARE
    shift: Annotated[Curve, SHIFT, Field(description="mean error at the first time")] = NO_SHARE
    shift_per_log: Annotated[Curve, SHIFT, Field(description="what it grows by, times ln(t / t0)")] = NO_SHARE
    _points: tuple[Point, ...] = ()

    @classmethod
    def read(cls, document: DeviceDocument, key: str, raw: Any) -> Relaxation:
        """Read one time with slopes, or `points` of time."""
        mapping = document.mapping(key, raw)
        if "points" not in mapping:
            return document.law(cls, key, raw)
        document.check_keys(key, mapping, ("points",))
        entries = mapping["points"]
        if not isinstance(entries, list) or not entries:
            raise document.fail(f"{key}.points", "must be a list of mappings with time_s and sigma")
        points = tuple(document.law(Point, f"{key}.points[{i}]", entry) for i, entry in enumerate(entries))
        if any(b.time_s <= a.time_s for a, b in pairwise(points)):
            raise document.fail(f"{key}.points", "times must increase")
        relaxation = cls(t0_s=points[0].time_s, sigma=points[0].sigma, shift=points[0].shift)
        relaxation._points = points
        return relaxation

    def check(self, document: DeviceDocument, laws: Mapping[str, Law], validity: Validity) -> None:
        """Refuse ages after the last time that was measured."""
        if self._points and validity.age_s > self._points[-1].time_s:
            last = f"goes beyond the last of relaxation.points, {self._points[-1].time_s:g} s"
            raise document.fail("validity.age_s", last)

    @property
    def _spreads(self) -> tuple[Curve, ...]:
        return (self.sigma, self.sigma_per_log, *(point.sigma for point in self._points))

    @property
    def exact(self) -> bool:
        """True if nothing relaxes, at any age."""
        shifts = (self.shift, self.shift_per_log, *(point.shift for point in self._points))
        return all(curve.zero for curve in (*self._spreads, *shifts))

    def differs(self, age_s: float, writes: Writes) -> bool:
        """Return True if cells spread."""
        return not all(curve.zero for curve in self._spreads)

    def at(self, age_s: float, states: FloatArray, window: Window) -> tuple[FloatArray, FloatArray]:
        """Return shift and sigma at an age, as shares of the range, each of the shape of the states."""
        elapsed = max(age_s, self.t0_s)
        if not self._points:
            logarithm = math.log(elapsed / self.t0_s)
            return (
                self.shift(states, window) + self.shift_per_log(states, window) * logarithm,
                self.sigma(states, window) + self.sigma_per_log(states, window) * logarithm,
            )
        k = max(i for i, point in enumerate(self._points) if point.time_s <= elapsed)
        first = self._points[k]
        shift, sigma = first.shift(states, window), first.sigma(states, window)
        if k + 1 == len(self._points):
            return shift, sigma
        last = self._points[k + 1]
        share = math.log(elapsed / first.time_s) / math.log(last.time_s / first.time_s)
        return (
            shift + share * (last.shift(states, window) - shift),
            sigma + share * (last.sigma(states, window) - sigma),
        )

    def conducts(self, conductance: FloatArray, cells: Cells) -> FloatArray:
        """Add shift and error; at least 0 is left."""
        if self.exact:
            return conductance
        shift, sigma = self.at(cells.age_s, cells.states, cells.window)
        error = cells.draws.normal(self.number)
        error *= (sigma * cells.steps)[cells.levels]
        error += (shift * cells.steps)[cells.levels]
        error += conductance
        return np.maximum(error, 0.0, out=error)
