"""How the sums of a basis become those of a layer: few coefficients a segment, multiplied and added up after conversion.

A layer of M windows whose K inputs are cut into S segments of array height drives the one basis M x S times: window w of part p (a
segment of one matrix, matrix after matrix) is input vector p x M + w. Each gives the N sums of the basis, which wait in the
product buffer of the groups that made them; lanes of multipliers and adders make of them what the segment adds to every output.
Coefficients come with their places: of c bits each and the number of a vector, and for each output how many there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.errors import MappingError, NumberError
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.number.basis import BasisNumbers
from mho.number.coded import QuantisedNetwork

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Combination:
    """What combining one layer asks for; `numbers` are those of its basis.

    `windows` M and `outputs` of a matrix, `rows` K; `counts` int64 (parts,): the coefficients of each part that are not 0, of all
    outputs. `lanes` combine what one instance of the basis gives, a coefficient of one window each in `cycle_s`. `sum_bits`: those
    of a sum of the basis, its sign included.
    """

    numbers: BasisNumbers
    windows: int
    rows: int
    outputs: int
    counts: IntArray
    lanes: int
    cycle_s: float
    sum_bits: int

    @property
    def parts(self) -> int:
        """Segments of all matrices: how often a window is driven."""
        return len(self.counts)

    @property
    def vectors(self) -> int:
        """Input vectors of the basis in all."""
        return self.parts * self.windows

    @cached_property
    def mean_count(self) -> float:
        """Coefficients of a part, on average: what an input vector of the basis takes of lanes."""
        return float(self.counts.mean())

    @property
    def window_s(self) -> float:
        """Time in s that lanes work on an input vector of the basis, on average over the parts."""
        return self.mean_count / self.lanes * self.cycle_s

    @property
    def driven_share(self) -> float:
        """The part of the rows of the basis that is driven, on average: the last segment may be shorter than the others."""
        segments = -(-self.rows // self.numbers.height)
        return self.rows / (segments * self.numbers.height)

    @cached_property
    def until(self) -> IntArray:
        """Bytes of the coefficients of all parts before each, and of all, shape (parts + 1,)."""
        numbers = self.numbers
        tells = min(numbers.nonzeros, numbers.vectors).bit_length()
        bits = self.counts * (numbers.bits + numbers.place_bits) + self.outputs * tells
        return np.concatenate([[0], np.cumsum(-(-bits // 8))])

    @property
    def size(self) -> int:
        """Bytes of all its coefficients with their places."""
        return int(self.until[-1])

    def fetched(self, windows: tuple[int, int]) -> int:
        """Return the bytes of the coefficients of the parts that a range of input vectors of the basis belongs to."""
        first, last = windows[0] // self.windows, (windows[1] - 1) // self.windows + 1
        return int(self.until[last] - self.until[first])

    def batches(self, first: IntArray, last: IntArray, batch: int) -> IntArray:
        """Count the batches of at most `batch` windows of one part in ranges of input vectors [first, last)."""
        begin, end = first // self.windows, (last - 1) // self.windows
        whole = -(-self.windows // batch)
        within = -(-(last - first) // batch)
        ends = -(-((begin + 1) * self.windows - first) // batch) - (-(last - end * self.windows) // batch)
        return np.where(begin == end, within, ends + (end - begin - 1) * whole)


def combination_of(
    layer: MatrixLayer, network: Network | QuantisedNetwork, numbers: BasisNumbers, chip: Chip, groups: int, inputs: int
) -> Combination:
    """Return what combining a layer asks for where an instance of the basis fills so many groups, with inputs of so many bits.

    MappingError where the chip cannot hold those of a single part. Of shapes alone every output has as many coefficients in a
    segment as it may, no more than the segment has inputs.
    """
    assert chip.spec.basis is not None
    segments = -(-layer.rows // numbers.height)
    if isinstance(network, QuantisedNetwork):
        if network.basis is None:
            raise NumberError(f"{network.network.name} is coded without a basis")
        counts = network.basis.nonzeros_of(layer).ravel()
    else:
        lengths = np.full(segments, numbers.height, dtype=np.int64)
        lengths[-1] = layer.rows - (segments - 1) * numbers.height
        most = np.minimum(lengths, min(numbers.nonzeros, numbers.vectors))
        counts = np.tile(most * layer.columns, layer.groups)
    lanes, cycle_s = chip.spec.basis.lanes * groups, 1.0 / chip.spec.frequency_hz
    found = Combination(
        numbers, layer.windows, layer.rows, layer.columns, counts, lanes, cycle_s, sum_bits(numbers, inputs)
    )
    longest = int(np.diff(found.until).max())
    if longest > chip.spec.basis.buffer_bytes:
        raise MappingError(
            f"layer {layer.name!r} has {longest} bytes of coefficients for one segment of its inputs, and the coefficient buffer "
            f"of chip {chip.name} holds {chip.spec.basis.buffer_bytes} (basis.buffer_bytes); fewer coefficients help, or a larger "
            "buffer"
        )
    return found


def sum_bits(numbers: BasisNumbers, inputs: int) -> int:
    """Return the bits, sign included, of any sum of inputs of so many bits times elements -(L - 1) to L - 1."""
    most: int = numbers.height * (numbers.levels - 1) * ((1 << inputs) - 1)
    return most.bit_length() + 1


__all__ = ["Combination", "combination_of", "sum_bits"]
