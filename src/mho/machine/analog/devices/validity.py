"""Within what a device's numbers hold."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import numpy.typing as npt

from mho.errors import DeviceError
from mho.machine.analog.devices.fields import UNLIMITED, Amount, Between, Plain
from mho.quantity import Part


class Validity(Part):
    """Limits, all inclusive; infinite where a device says `unlimited`.

    conductance_s and temperature_k: lowest and highest. cell_bits, age_s (seconds since programming) and writes (of a cell): the
    highest.
    """

    conductance_s: Annotated[tuple[float, float], Between("conductance")]
    temperature_k: Annotated[tuple[float, float], Between()]
    cell_bits: Annotated[int, Plain(1, 8, whole=True)]
    age_s: Annotated[float, Amount("time", unlimited=True)]
    writes: Annotated[float, Plain(unlimited=UNLIMITED)]

    def check(
        self,
        device: str,
        cell_bits: int,
        age_s: float,
        writes: float | npt.ArrayLike | None,
        temperature_k: float | None,
    ) -> None:
        """Raise DeviceError for what lies outside."""
        if (
            isinstance(cell_bits, bool)
            or not isinstance(cell_bits, int | np.integer)
            or not 1 <= cell_bits <= self.cell_bits
        ):
            raise DeviceError(f"{device}: cell_bits: must be an integer from 1 to {self.cell_bits}, not {cell_bits!r}")
        _within(device, "age_s", age_s, 0.0, self.age_s, "s")
        if writes is not None:
            _within(device, "writes", writes, 0.0, self.writes, "writes of a cell")
        if temperature_k is not None:
            _within(device, "temperature_k", temperature_k, *self.temperature_k, "K")


def _within(device: str, key: str, given: npt.ArrayLike, lowest: float, highest: float, unit: str) -> None:
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise DeviceError(f"{device}: {key}: must be a number, not {given!r}") from None
    wrong = ~((values >= lowest) & (values <= highest)) | ~np.isfinite(values)
    if wrong.any():
        first = values[wrong].reshape(-1)[0]
        limits = f"at least {lowest:g}" if math.isinf(highest) else f"from {lowest:g} to {highest:g}"
        raise DeviceError(
            f"{device}: {key}: {first:g} is out of the range in which the device is valid: {limits} {unit} (validity.{key})"
        )
