"""Maximum and average over windows of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mho.errors import NetworkError
from mho.network.geometry import Shape, need, windows_of
from mho.network.layer import AnyArray, Layer
from mho.network.rows import Streamed, Streams
from mho.network.types import REAL


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool(Layer):
    """Two-dimensional maximum or average over windows. `padding` is (top, left, bottom, right).

    `function` is "maximum" or "average"; padding never wins a maximum, and counts in an average if `count_padding`.
    """

    function: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    count_padding: bool = True

    kind: ClassVar[str] = "pool"
    passes: ClassVar[bool] = True

    def result_type(self, operands: Sequence[str]) -> str:
        """A maximum keeps its type."""
        return operands[0] if self.function == "maximum" else REAL

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return samples, channels and windows along height and width."""
        (image,) = operands
        need(self.function in ("maximum", "average"))
        return (*image[:2], *windows_of(image, self.kernel, self.stride, self.padding, self.dilation))

    def operations(self, operands: Sequence[Shape]) -> int:
        """Count the elements of each window."""
        return self.size * math.prod(self.kernel)

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True for images (B, C, H, W)."""
        return len(operands[0][0]) == 4

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Rows under the windows along height or width; samples and channels themselves."""
        (x,) = operands
        if x.axis not in (2, 3):
            return x.axis, (x.same,)
        side = x.axis - 2
        return x.axis, (x.windows(self.kernel[side], self.stride[side], self.padding[side], self.dilation[side]),)

    def carried(self) -> tuple[str, ...]:
        """Return the operand of a maximum, which is one of its values."""
        return self.inputs if self.function == "maximum" else ()

    def changes_nothing(self) -> bool:
        """Return True for windows of one element each."""
        return self.kernel == (1, 1) and self.stride == (1, 1)

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Pool place by place of the kernel in row-major order.

        The average divides by the kernel's size, or by the elements that are not padding where `count_padding` is
        false. Windows that reach past the padding (an output size that was rounded up) see nothing there: such
        places count in neither case.
        """
        x = operands[0]
        if self.function == "maximum":
            lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
            first, *others = self._places(self._bordered(x, lowest))
            result = first.copy()
            for place in others:
                np.maximum(result, place, out=result)
            return result
        if self.function != "average":
            raise NetworkError(f"layer {self.name!r}: unknown pooling {self.function!r}")
        first, *others = self._places(self._bordered(x.astype(np.float64, copy=False), 0.0))
        result = first.copy()
        for place in others:
            result += place
        counted = self._bordered(np.ones((1, 1, *x.shape[2:])), 0.0)
        if self.count_padding:
            top, left, bottom, right = self.padding
            counted[:, :, : x.shape[2] + top + bottom, : x.shape[3] + left + right] = 1.0
        result /= np.add.reduce(self._places(counted))
        return result

    def _bordered(self, x: npt.NDArray[Any], fill: float) -> npt.NDArray[Any]:
        """Return images with their padding, and as far beyond it as the last windows reach."""
        top, left, bottom, right = self.padding
        past = [
            max(0, (n - 1) * stride + (kernel - 1) * dilation + 1 - size - padding)
            for n, stride, kernel, dilation, size, padding in zip(
                self.shape[2:], self.stride, self.kernel, self.dilation, x.shape[2:], (top + bottom, left + right),
                strict=True,
            )
        ]  # fmt: skip
        widths = ((0, 0), (0, 0), (top, bottom + past[0]), (left, right + past[1]))
        return np.pad(x, widths, constant_values=fill) if any(map(any, widths)) else x

    def _places(self, x: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Return, for each place of the kernel, the elements that all windows have there."""
        height, width = self.shape[2:]
        places = []
        for row in range(0, self.kernel[0] * self.dilation[0], self.dilation[0]):
            for column in range(0, self.kernel[1] * self.dilation[1], self.dilation[1]):
                rows = slice(row, row + (height - 1) * self.stride[0] + 1, self.stride[0])
                columns = slice(column, column + (width - 1) * self.stride[1] + 1, self.stride[1])
                places.append(x[:, :, rows, columns])
        return places
