"""Functions of each element alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from mho.errors import NetworkError
from mho.network.activations import FUNCTIONS, PARAMETERS
from mho.network.layer import AnyArray, Pointwise, real
from mho.network.types import BOOL, REAL


@dataclass(frozen=True, kw_only=True, eq=False)
class Activation(Pointwise):
    """A function of each element alone; `parameters` by name (clip: low, high; leaky_relu: slope; power: exponent ...)."""

    function: str
    parameters: Mapping[str, float] = field(default_factory=dict)

    kind: ClassVar[str] = "activation"

    FUNCTIONS: ClassVar[Mapping[str, tuple[str, ...]]] = PARAMETERS
    EXACT: ClassVar[tuple[str, ...]] = (
        "relu", "clip", "negate", "absolute", "sign", "not", "floor", "ceiling", "round",
    )  # fmt: skip
    """Functions that keep integers and truths what they are; the others make reals of them."""

    def __post_init__(self) -> None:
        """Refuse functions that are not known, and parameters that do not fit the function."""
        super().__post_init__()
        if self.function not in PARAMETERS:
            raise NetworkError(f"layer {self.name!r}: unknown activation {self.function!r}")
        if sorted(self.parameters) != sorted(PARAMETERS[self.function]):
            raise NetworkError(
                f"layer {self.name!r}: {self.function} takes {PARAMETERS[self.function]}, not {tuple(self.parameters)}"
            )

    def result_type(self, operands: Sequence[str]) -> str:
        """See `EXACT`; a question is answered by a truth."""
        if self.function.startswith("is_"):
            return BOOL
        return operands[0] if self.function in self.EXACT else REAL

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Apply the function; those that are not `EXACT` see integers and truths as reals."""
        x = operands[0] if self.function in self.EXACT else real(operands[0])
        return np.asarray(FUNCTIONS[self.function](np.asarray(x, order="C"), **self.parameters))

    def changes_nothing(self) -> bool:
        """Return True for x * 1 + 0."""
        return self.function == "scale_shift" and self.parameters == {"scale": 1.0, "shift": 0.0}
