"""Layers that multiply matrices: those whose weights sit in crossbars, and the product of two activations."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mho.errors import NetworkError
from mho.network.arrays import Array
from mho.network.geometry import Shape, broadcast, need, reach, windows_of
from mho.network.layer import AnyArray, Layer, aligned, need_shape

IntArray = npt.NDArray[np.int64]
from mho.network.rows import Streamed, Streams, side_by_side, stream_axis


@dataclass(frozen=True, kw_only=True, eq=False)
class MatrixLayer(Layer, ABC):
    """A layer whose weights form `groups` matrices of `rows` x `columns` (K x N), each multiplied by `windows` vectors.

    These are the layers that sit in crossbars. One operation of the vector unit an output combines, scales and codes its sums.
    """

    weight: Array
    bias: Array | None = None

    @property
    def groups(self) -> int:
        """Number of independent matrices (1, or the groups of a grouped convolution)."""
        return 1

    @property
    @abstractmethod
    def rows(self) -> int:
        """K: inputs of one matrix."""

    @property
    @abstractmethod
    def columns(self) -> int:
        """N: outputs of one matrix."""

    @property
    @abstractmethod
    def windows(self) -> int:
        """M: input vectors of one matrix, batch included."""

    def inputs_kept(
        self, first: IntArray, last: IntArray, top: IntArray | int = 0, bottom: IntArray | int | None = None
    ) -> IntArray:
        """Count the inputs of one matrix that windows [first, last) ask for, where those that several of them share are kept.

        Of its rows [top, bottom) alone, or of all. Padding counts as inputs do. Windows share none unless a kind of layer says so.
        """
        asked: IntArray = (last - first) * ((self.rows if bottom is None else bottom) - top)
        return asked

    @property
    def distinct_inputs(self) -> int:
        """Inputs of one matrix that all windows together read, padding included: no fewer ever come."""
        return self.windows * self.rows

    def matrix(self, weight: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Arrange an array in the layer's weight layout, outputs first, as matrices: shape (groups, K, N)."""
        return weight.reshape(self.groups, self.columns, self.rows).transpose(0, 2, 1)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the layer, batch included."""
        return self.groups * self.rows * self.columns * self.windows


@dataclass(frozen=True, kw_only=True, eq=False)
class Convolution(MatrixLayer):
    """Two-dimensional convolution. Input (B, C, H, W), weight (N, C / groups, kh, kw), bias (N,).

    `padding` is (top, left, bottom, right), with real zeros. Rows of a matrix are ordered (channel, kh, kw).
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    convolution_groups: int = 1

    kind: ClassVar[str] = "convolution"

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width of the kernel."""
        return self.weight.shape[2], self.weight.shape[3]

    @property
    def groups(self) -> int:
        """Groups of the convolution: independent matrices."""
        return self.convolution_groups

    @property
    def rows(self) -> int:
        """K = input channels of a group x kernel height x kernel width."""
        return math.prod(self.weight.shape[1:])

    @property
    def columns(self) -> int:
        """N = output channels of a group."""
        return self.weight.shape[0] // self.convolution_groups

    @property
    def windows(self) -> int:
        """M = batch x output height x output width."""
        return self.shape[0] * self.shape[2] * self.shape[3]

    def inputs_kept(
        self, first: IntArray, last: IntArray, top: IntArray | int = 0, bottom: IntArray | int | None = None
    ) -> IntArray:
        """Count whole rows of the image, all that the windows reach over, or inputs window by window if these are fewer.

        A channel of which the rows of the matrix have a part counts as a whole.
        """
        height, width = self.shape[2:]
        down, across = self._reach
        bottom = self.rows if bottom is None else bottom
        taps = math.prod(self.kernel)
        channels = (bottom - 1) // taps - top // taps + 1

        def kept(begin: IntArray, end: IntArray) -> IntArray:
            rows = np.where(end > begin, (end - 1) // width - begin // width + 1, 0)
            fewer: IntArray = np.minimum(down[rows] * across[-1] * channels, (end - begin) * (bottom - top))
            return fewer

        # Samples share nothing: what lies in the first and in the last, and whole ones between.
        size = height * width
        opening = np.minimum((first // size + 1) * size, last)
        closing = np.maximum((last - 1) // size * size, opening)
        whole = kept(np.array(0), np.array(size)) * ((closing - opening) // size)
        begun: IntArray = kept(first % size, first % size + opening - first)
        ended: IntArray = kept(closing - closing, last - closing)
        total: IntArray = begun + whole + ended
        return total

    @property
    def distinct_inputs(self) -> int:
        """Places that windows reach, down times across, of each channel and sample."""
        down, across = self._reach
        return int(self.shape[0] * down[-1] * across[-1]) * (self.rows // math.prod(self.kernel))

    @property
    def _reach(self) -> tuple[IntArray, IntArray]:
        down, across = map(reach, self.shape[2:], self.kernel, self.stride, self.dilation)
        return down, across

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return samples, output channels and windows along height and width."""
        (image,) = operands
        groups, outputs = self.convolution_groups, self.weight.shape[0]
        fits = len(self.weight.shape) == 4 and groups >= 1 and outputs % groups == 0
        need(
            fits and image[1] == self.weight.shape[1] * groups,
            f"a convolution of {image[1]} channels in {groups} groups cannot have weights {self.weight.shape}",
        )
        need_shape(self.bias, (outputs,))
        return (image[0], outputs, *windows_of(image, self.kernel, self.stride, self.padding, self.dilation))

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Rows of images need those under their windows, samples themselves; the first of these axes along which windows lie,
        all rows of an operand that has its rows along another. Windows are ordered (sample, y, x), so that each row is a run.
        """
        (x,) = operands
        axis = next((axis for axis in (0, 2, 3) if self.shape[axis] > 1), 2)
        if self.shape[axis] == 1 and x.axis in (0, 3):
            axis = x.axis
        if x.axis != axis:
            return axis, (x.all,)
        if axis == 0:
            return axis, (x.same,)
        side = axis - 2
        return axis, (x.windows(self.kernel[side], self.stride[side], self.padding[side], self.dilation[side]),)

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True for images (B, C, H, W)."""
        return len(operands[0][0]) == 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear(MatrixLayer):
    """A matrix product with weights over the last axis. Input (..., K), weight (N, K), bias (N,)."""

    kind: ClassVar[str] = "linear"

    @property
    def rows(self) -> int:
        """K = input features of one matrix."""
        return self.weight.shape[1]

    @property
    def columns(self) -> int:
        """N = output features of one matrix."""
        return self.weight.shape[0] // self.groups

    @property
    def windows(self) -> int:
        """M = product of all axes but the last."""
        return math.prod(self.shape[:-1])

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the operand's shape with the outputs as its last axis."""
        (shape,) = operands
        outputs = self.weight.shape[0]
        fits = len(self.weight.shape) == 2 and self.groups >= 1 and outputs % self.groups == 0
        need(
            fits and shape[-1:] == (self.groups * self.rows,),
            f"weights of shape {self.weight.shape} cannot multiply a tensor of shape {shape}",
        )
        need_shape(self.bias, (outputs,))
        return (*shape[:-1], outputs)

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True if the axis that is multiplied is not axis 0."""
        return len(operands[0][0]) > 1

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Row by row along the first axis that is longer than 1 (windows are in row-major order, so that each row is a run);
        all rows of an operand that has its rows along another.
        """
        (x,) = operands
        first = next((axis for axis, n in enumerate(self.shape[:-1]) if n > 1), None)
        axis = x.axis if first is None and x.axis != len(self.shape) - 1 else first
        return axis, (x.same if x.axis == axis else x.all,)


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupedLinear(Linear):
    """Several matrix products side by side over the last axis: batched products with known weights, experts.

    Input (..., groups K), weight (groups N, K), bias (groups N,), output (..., groups N): the g-th K inputs are
    multiplied by the g-th N rows of the weight.
    """

    linear_groups: int

    kind: ClassVar[str] = "grouped linear"

    def __post_init__(self) -> None:
        """Refuse groups that do not divide the weights."""
        super().__post_init__()
        if self.linear_groups < 1 or self.weight.shape[0] % self.linear_groups:
            raise NetworkError(
                f"layer {self.name!r}: {self.linear_groups} groups do not divide weights {self.weight.shape}"
            )

    @property
    def groups(self) -> int:
        """Independent matrices."""
        return self.linear_groups


@dataclass(frozen=True, kw_only=True, eq=False)
class MatrixProduct(Layer):
    """Product of two activations, (..., M, K) by (..., K, N), leading axes broadcast: attention's QK and PV."""

    inner: int

    kind: ClassVar[str] = "matrix product"
    arity: ClassVar[tuple[int, int]] = (2, 2)
    work: ClassVar[int] = 0
    """Its multiply-accumulates are counted apart (`macs`)."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates, batch included."""
        return self.size * self.inner

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the broadcast leading axes, M and N."""
        left, right = operands
        fit = len(left) > 1 and len(right) > 1 and left[-1] == right[-2] == self.inner
        need(fit, f"tensors of shape {left} and {right} cannot be multiplied as matrices")
        return (*broadcast(left[:-2], right[:-2]), left[-2], right[-1])

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Multiply matrix by matrix."""
        return np.asarray(np.matmul(np.ascontiguousarray(operands[0]), np.ascontiguousarray(operands[1])))

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Row by row of the first along M and leading axes, of the second along N and leading axes; of the other all rows, and
        of both where they have theirs along K.
        """
        summed = [x.axis == len(x.shape) - place for x, place in zip(operands, (1, 2), strict=True)]
        axes = (stream_axis([x], self.shape) for x, inner in zip(operands, summed, strict=True) if not inner)
        axis = next((axis for axis in axes if axis is not None), len(self.shape) - 2)
        needed = zip(operands, side_by_side(operands, self.shape, axis), summed, strict=True)
        return axis, tuple(x.all if inner else each for x, each, inner in needed)

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True if axis 0 is a leading axis of the operands that vary, or rows by a fixed matrix."""
        (left, left_fixed), (right, right_fixed) = operands
        if len(left) < 3 and not left_fixed:
            return right_fixed and len(left) == 2 and len(right) == 2
        return (len(right) >= 3 or right_fixed) and aligned(operands, self.shape)
