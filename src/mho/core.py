"""One matrix on crossbars, used as numpy uses a matrix: the door for people who come from the device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.engineering import quantity
from mho.errors import NumberError
from mho.machine import Executor
from mho.machine.analog import Analog, Device
from mho.machine.report import Report, simulate
from mho.network import Network
from mho.network.layers import Array, Input, Linear
from mho.number import QuantisedNetwork, quantise
from mho.number.bits import LayerBits
from mho.schedule import compile
from mho.shown import Shown

FloatArray = npt.NDArray[np.float64]


class Core(Shown):
    """A matrix (outputs, inputs) in the arrays of a chip; `core @ x` is what its columns and converters give.

    core = mho.Core(weights, "aras")                          ideal devices, converters that resolve every sum
    core @ x                                                  x: (inputs,), (inputs, vectors) or (..., inputs, vectors)
    mho.Core(weights, "aras", mho.machine.Analog(seed=7))     this chip's converters, devices, wires and noise
    mho.Core(weights, "aras", inputs=(0.0, 6.0))              another range of inputs
    mho.Core(weights, "aras", bits="4/6")                     weights of 4 bits, inputs of 6

    Weights are coded once, by `mho.number.quantise`, and written once; inputs are coded over the range `inputs`, and refused
    outside it. Ideal, `core @ x` is the exact integer product of these codes, dequantised. A seed says all that is
    drawn: the same core gives the same answer, and noise that is new at each conversion differs from vector to vector of one x.
    There is no `core.T`: arrays are driven along their rows only, so `Core(weights.T, chip)` is another set of arrays.

    Raises NumberError for weights or inputs of a wrong shape or range; MappingError, AnalogError and DeviceError where chip and
    `analog` do not fit.
    """

    __array_ufunc__ = None  # numpy then leaves `array @ core` to `__rmatmul__`

    def __init__(
        self,
        weights: npt.ArrayLike,
        chip: Chip | str | Path,
        analog: Analog | None = None,
        *,
        inputs: tuple[float, float] = (-1.0, 1.0),
        bits: int | str | LayerBits = 8,
        per_channel: bool = False,
        symmetric: bool = False,
    ) -> None:
        matrix = _numbers(weights, "weights")
        if analog is not None and not isinstance(analog, Analog):
            raise NumberError(f"the analog side of a core is a mho.machine.Analog, not {type(analog).__name__}")
        if matrix.ndim != 2 or not matrix.size:
            raise NumberError(f"a core holds a matrix (outputs, inputs), not an array of shape {matrix.shape}")
        limits = _numbers(inputs, "inputs")
        if limits.shape != (2,) or not (np.isfinite(limits).all() and limits[0] < limits[1]):
            raise NumberError(f"the inputs of a core range from a lower to a higher number, not {inputs!r}")
        low, high = limits.tolist()
        rows, columns = matrix.shape
        source = Input(name="x", inputs=(), shape=(1, columns))
        product = Linear(name="product", inputs=("x",), shape=(1, rows), weight=Array.of(matrix))
        network = Network("core", (source, product), ("product",), "a matrix")
        ends = np.repeat([[low], [high]], columns, axis=1)
        chip = chip if isinstance(chip, Chip) else Chip.load(chip)
        self.quantised: QuantisedNetwork = quantise(
            network,
            ends,
            bits=bits,
            per_channel=per_channel,
            symmetric=symmetric,
            signed_inputs=chip.array.drives_signs,
        )
        self.program = compile(self.quantised, chip)
        self.shape, self.ndim, self.inputs, self.analog = matrix.shape, 2, (low, high), analog
        self._executor = Executor(self.program, analog)

    def __matmul__(self, x: npt.ArrayLike) -> FloatArray:
        """Multiply as numpy.matmul does; NumberError for an x of a wrong shape or outside the range of inputs."""
        given = _numbers(x, "x")
        columns = given[:, None] if given.ndim == 1 else given
        if columns.ndim < 2 or columns.shape[-2] != self.shape[1]:
            raise NumberError(
                f"a core of shape {self.shape} multiplies ({self.shape[1]},) or (..., {self.shape[1]}, vectors), not {given.shape}"
            )
        low, high = self.inputs
        if given.size and not (given.min() >= low and given.max() <= high):
            raise NumberError(
                f"inputs from {given.min():.6g} to {given.max():.6g} leave the range {low:g} to {high:g} that this core codes; "
                "give Core a wider one: inputs=(low, high)"
            )
        vectors = np.moveaxis(columns, -2, -1)
        outputs = np.empty((*vectors.shape[:-1], self.shape[0]))
        if given.size:
            flat = np.ascontiguousarray(vectors.reshape(-1, self.shape[1]))
            outputs = self._executor.run(flat)["product"].reshape(outputs.shape)
        products = np.moveaxis(outputs, -1, -2)
        return products[:, 0] if given.ndim == 1 else products

    def __rmatmul__(self, x: Any) -> NoReturn:
        """Refuse x @ core: arrays are driven along their rows only."""
        raise NumberError(
            "arrays are driven along their rows only: instead of x @ core write (Core(weights.T, chip) @ x.T).T"
        )

    @property
    def weights(self) -> FloatArray:
        """The matrix that the cells stand for: its codes, dequantised, (outputs, inputs)."""
        matrix = self.quantised.matrices["product"]
        return np.asarray((matrix.scale * matrix.centred)[0].T, dtype=np.float64)

    @property
    def device(self) -> Device | None:
        """The device law of the cells; None for ideal ones."""
        return None if self.analog is None else self.analog.device

    @cached_property
    def report(self) -> Report:
        """Time, energy, wear and area of one product (one vector)."""
        return simulate(self.program)

    def headline(self) -> str:
        """Say what it is in a line."""
        return f"Core({self.shape[0]} x {self.shape[1]} on {self.program.chip.name})"

    def facts(self) -> Sequence[tuple[str, str]]:
        """Return arrays, and time and energy of one product."""
        return (
            ("arrays", f"{self.program.mapping.arrays}"),
            ("one product", f"{quantity(self.report.latency_s, 's')}, {quantity(self.report.energy_j, 'J')}"),
            ("cells", "ideal" if self.analog is None else "with converters, devices and wires"),
        )


def _numbers(given: npt.ArrayLike, what: str) -> FloatArray:
    """Return an array of real numbers; NumberError for anything else."""
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise NumberError(f"{what} of a core are real numbers, not {type(given).__name__}") from None
