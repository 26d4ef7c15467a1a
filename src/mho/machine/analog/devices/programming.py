"""Programming variation: what a cell conducts after a write, and what verifying it leaves of the error.

A write draws each cell around its target. With write-verify every cell that is read outside the tolerance is written, and so
drawn, again, at most `iterations` times. For a draw that is inside the tolerance with probability p, the residual error after n
iterations is the error cut to the tolerance, with weight 1 - (1 - p)^(n + 1), and else the error cut to what lies outside.
Conductances cannot be negative: what is drawn below 0 is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from mho.errors import DeviceError
from mho.machine.analog.devices.curve import NO_SHARE, Curve, FloatArray
from mho.machine.analog.devices.fields import CONDUCTANCES, Curved, DeviceDocument, Plain
from mho.machine.analog.devices.law import Cells, Law, Writes
from mho.machine.analog.devices.validity import Validity
from mho.quantity import Words

KINDS = ("none", "gaussian", "lognormal")
_SIGMA, _SHIFT = Curved((*CONDUCTANCES, "log"), share=True), Curved((*CONDUCTANCES, "log"), signed=True)


class Programming(Law):
    """Error of one write.

    gaussian: g = target + shift + sigma z, sigma and shift as shares of the range (or any unit of conductance).
    lognormal: ln g = ln target + shift + sigma z, so that the target is the median where shift is 0, and a target of 0 is met.
    """

    number: ClassVar[int] = 0xDE01

    kind: Annotated[Literal["none", "gaussian", "lognormal"], Words(KINDS)]
    sigma: Annotated[Curve, _SIGMA, Field(description="standard deviation; in log where kind is lognormal")]
    shift: Annotated[Curve, _SHIFT, Field(description="mean error; in log where kind is lognormal")] = NO_SHARE

    @classmethod
    def read(cls, document: DeviceDocument, key: str, raw: Any) -> Programming | None:
        """Read kind, sigma and shift; None where kind is none."""
        mapping = document.mapping(key, raw)
        document.check_keys(key, mapping, ("kind",), ("sigma", "shift"))
        kind, _ = document.word(f"{key}.kind", mapping["kind"], KINDS)
        if kind == "none":
            document.check_keys(key, mapping, ("kind",))
            return None
        document.check_keys(key, mapping, ("kind", "sigma"), ("shift",))
        units = ("log",) if kind == "lognormal" else CONDUCTANCES
        shift = Curve("constant", (0.0,), units[0])  # type: ignore[arg-type]
        if "shift" in mapping:
            shift = replace(_SHIFT, units=units).value(document, f"{key}.shift", mapping["shift"])
        sigma = replace(_SIGMA, units=units).value(document, f"{key}.sigma", mapping["sigma"])
        return cls(kind=kind, sigma=sigma, shift=shift)  # type: ignore[arg-type]

    @classmethod
    def mend(cls, before: Mapping[str, Any], after: dict[str, Any], given: Mapping[str, Any]) -> None:
        """Let sigma and shift follow the kind: gone with none; bare numbers and zeros take its unit, others must be given anew."""
        kind = _kind(after)
        unit = "log" if kind == "lognormal" else "range"
        for key in ("sigma", "shift"):
            if key in given:
                if not isinstance(given[key], Mapping):
                    after[key]["unit"] = unit
            elif key in after and kind != _kind(before):
                if kind == "none":
                    del after[key]
                elif after[key].get("value") != 0:
                    raise DeviceError(
                        f"override: programming.kind: give programming.{key} too, for it means another thing in {kind}"
                    )
                else:
                    after[key] = {**after[key], "unit": unit}

    @property
    def exact(self) -> bool:
        """True if every write meets its target."""
        return self.sigma.zero and self.shift.zero

    def differs(self, age_s: float, writes: Writes) -> bool:
        """Return True if writes spread."""
        return not self.sigma.zero

    def conducts(self, conductance: FloatArray, cells: Cells) -> FloatArray:
        """Write the cells, again where they are verified and found outside the tolerance."""
        if self.exact:
            return conductance
        verify = cells.laws.get("verify")
        assert verify is None or isinstance(verify, Verify)
        return _write(self, verify, cells)


def _kind(part: Mapping[str, Any]) -> str:
    return str(part.get("kind", {}).get("value", "none"))


class Verify(Law):
    """Write-verify: how often a cell is written again at most, and how far from its target it may stay."""

    iterations: Annotated[int, Plain(0, 1000, whole=True), Field(description="repetitions at most")]
    tolerance: Annotated[Curve, Curved(share=True), Field(description="error that may stay")]

    def check(self, document: DeviceDocument, laws: Mapping[str, Law], validity: Validity) -> None:
        """Refuse to verify what does not vary."""
        if self.iterations and "programming" not in laws:
            raise document.fail("verify", "there is no programming variation that could be verified")


def _write(programming: Programming, verify: Verify | None, cells: Cells) -> FloatArray:
    """Return what cells conduct after a write, in level units."""
    levels, targets, steps = cells.levels, cells.targets, cells.steps
    states, window = cells.states, cells.window
    sigma, shift = programming.sigma(states, window), programming.shift(states, window)
    if programming.kind == "gaussian":
        sigma, middle = sigma * steps, targets + shift * steps
    else:
        middle = targets * np.exp(shift)
    written = _draw(programming.kind, levels, middle, sigma, cells.draws.normal(programming.number))
    if verify is None or verify.iterations == 0:
        return written
    tolerance = verify.tolerance(states, window) * steps
    # Flat indices of the cells that were outside when last read; all numbers of a repetition are drawn, so that a cell's
    # numbers do not depend on which other cells are written again.
    flat, values = levels.reshape(-1), written.reshape(-1)
    wrong = np.flatnonzero(np.abs(values - targets[flat]) > tolerance[flat])
    for turn in range(1, verify.iterations + 1):
        if not wrong.size:
            break
        again = flat[wrong]
        drawn = _draw(
            programming.kind, again, middle, sigma, cells.draws.normal(programming.number, turn).reshape(-1)[wrong]
        )
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
