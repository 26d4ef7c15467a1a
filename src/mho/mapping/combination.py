"""How the sums of a basis become those of a layer: few coefficients a segment, multiplied and added up after conversion.

A layer of M windows whose K inputs are cut into S segments of array height drives the one basis M x S times: window w of part p (a
segment of one matrix, matrix after matrix) is input vector p x M + w. Each gives the N sums of the basis, which wait in the
product buffer of the groups that made them; lanes of multipliers and adders make of them what the segment adds to every output.
Coefficients come packed, with their places (`number/packing.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mho.chip.readout import Readout
from mho.errors import MappingError
from mho.mapping.blocks import Blocks
from mho.mapping.merging import Merging, drawn_passes, first_fit, merging_of
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.number.basis import BasisNumbers, segments
from mho.number.coded import QuantisedNetwork
from mho.number.packing import packed_bits

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Numbers = IntArray | FloatArray
SUM_BYTES = 4
"""Bytes of what a lane adds up."""


@dataclass(frozen=True, eq=False)
class Combination:
    """What combining one layer asks for; `numbers` are those of its basis.

    `windows` M and `outputs` of a matrix, `rows` K; `counts` int64 (parts,): the coefficients of each part that are not 0, of all
    outputs. `lanes` combine what one instance of the basis gives, a coefficient of one window each in `cycle_s`. `sum_bits`: those
    of a sum of the basis, its sign included. `merging`: how outputs take turns where columns are merged before the ADCs; None where
    sums are combined in lanes.
    """

    numbers: BasisNumbers
    windows: int
    rows: int
    outputs: int
    counts: IntArray
    lanes: int
    cycle_s: float
    sum_bits: int
    merging: Merging | None = None

    @property
    def parts(self) -> int:
        """Segments of all matrices: how often a window is driven."""
        return len(self.counts)

    @property
    def vectors(self) -> int:
        """Input vectors of the basis in all."""
        return self.parts * self.windows

    @cached_property
    def part_s(self) -> FloatArray:
        """Time in s that combining an input vector of each part takes, shape (parts,)."""
        return self.merging.part_s if self.merging else self.counts / self.lanes * self.cycle_s

    @cached_property
    def window_s(self) -> float:
        """Time in s that combining an input vector of the basis takes, on average over the parts."""
        return float(self.part_s.mean())

    def summed(self, each: Numbers, first: IntArray, last: IntArray) -> FloatArray:
        """Sum what `each` part has, shape (parts,), over the input vectors of ranges [first, last)."""
        until = np.concatenate([[0.0], np.cumsum(each)]) * self.windows
        padded = np.append(each, 0.0)

        def before(vector: IntArray) -> FloatArray:
            part, window = np.divmod(vector, self.windows)
            return np.asarray(until[part] + window * padded[part])

        return before(last) - before(first)

    def lasting_s(self, first: IntArray, last: IntArray) -> FloatArray:
        """Return the time in s that combining ranges of input vectors [first, last) takes."""
        return self.summed(self.part_s, first, last)

    @property
    def most_merged(self) -> int:
        """The most columns that are converted together."""
        return min(self.numbers.nonzeros, self.numbers.vectors) if self.merging else 1

    @property
    def driven_share(self) -> float:
        """The part of the rows of the basis that is driven, on average: segments differ by one row at most."""
        segments = -(-self.rows // self.numbers.height)
        return self.rows / (segments * self.numbers.height)

    @cached_property
    def until(self) -> IntArray:
        """Bytes of the coefficients of all parts before each, and of all, shape (parts + 1,)."""
        numbers = self.numbers
        vectors = [numbers.reached(each.stop - each.start) for each in segments(self.rows, numbers.height)]
        each_part = np.tile(vectors, self.parts // len(vectors))
        bits, _ = packed_bits(self.counts, self.outputs, each_part, numbers.bits)
        return np.concatenate([[0], np.cumsum(-(-bits // 8))])

    @property
    def size(self) -> int:
        """Bytes of all its coefficients with their places."""
        return int(self.until[-1])

    def fetched(self, windows: tuple[int, int]) -> int:
        """Return the bytes of the coefficients of the parts that a range of input vectors of the basis belongs to."""
        first, last = windows[0] // self.windows, (windows[1] - 1) // self.windows + 1
        return int(self.until[last] - self.until[first])

    def batched(self, each: Numbers, first: IntArray, last: IntArray, batch: int) -> FloatArray:
        """Sum what `each` part has, shape (parts,), over the batches of at most `batch` windows of one part in ranges of input
        vectors [first, last).
        """
        begin, end = first // self.windows, (last - 1) // self.windows
        until = np.concatenate([[0.0], np.cumsum(each)]) * -(-self.windows // batch)
        within = each[begin] * -(-(last - first) // batch)
        begun = each[begin] * -(-((begin + 1) * self.windows - first) // batch)
        ended = each[end] * -(-(last - end * self.windows) // batch)
        return np.where(begin == end, within, begun + ended + until[end] - until[np.minimum(begin + 1, end)])


def combination_of(
    layer: MatrixLayer,
    network: Network | QuantisedNetwork,
    numbers: BasisNumbers,
    blocks: Blocks,
    readout: Readout,
    *,
    merged: bool,
) -> Combination:
    """Return what combining a layer asks for where `blocks` hold one instance of the basis, and are read so.

    MappingError where the chip cannot hold the coefficients of a single part. Of shapes alone every output has as many in a segment
    as it may, no more than the segment has inputs, of vectors drawn from all alike.
    """
    chip = readout.chip
    part = chip.spec.basis
    assert part is not None
    coding = network.basis if isinstance(network, QuantisedNetwork) else None
    if coding is not None:
        counts = coding.nonzeros_of(layer).ravel()
    else:
        lengths = np.array([each.stop - each.start for each in segments(layer.rows, numbers.height)])
        most = np.minimum(lengths, min(numbers.nonzeros, numbers.vectors))
        counts = np.tile(most * layer.columns, layer.groups)
    found = Combination(
        numbers, layer.windows, layer.rows, layer.columns, counts, part.lanes * blocks.count, 1.0 / chip.spec.frequency_hz,
        sum_bits(numbers, readout.bits),
    )  # fmt: skip
    longest = int(np.diff(found.until).max())
    if longest > part.buffer_bytes:
        raise MappingError(
            f"layer {layer.name!r} has {longest} bytes of coefficients for one segment of its inputs, and the coefficient buffer "
            f"of chip {chip.name} holds {part.buffer_bytes} (basis.buffer_bytes); fewer coefficients help, or a larger buffer"
        )
    if not merged:
        return found
    if coding is not None:
        supports = (coding.dense(layer) != 0).transpose(0, 1, 3, 2).reshape(found.parts, layer.columns, -1)
        passes = [first_fit(each) for each in supports]
    else:
        passes = [drawn_passes(layer.columns, numbers.vectors, int(count) // layer.columns) for count in counts]
    coded = blocks.shape.coding
    cells, arrays = -(-coded.cell_columns // coded.columns_at_once), int(blocks.arrays.sum())
    return replace(found, merging=merging_of(passes, cells, numbers.bits, readout, chip, arrays))


def sum_bits(numbers: BasisNumbers, inputs: int) -> int:
    """Return the bits, sign included, of any sum of inputs of so many bits times elements -(L - 1) to L - 1.

    A unit vector takes one input, as it is.
    """
    if numbers.units:
        return inputs
    most: int = numbers.height * (numbers.levels - 1) * ((1 << inputs) - 1)
    return most.bit_length() + 1


__all__ = ["SUM_BYTES", "Combination", "combination_of", "sum_bits"]
