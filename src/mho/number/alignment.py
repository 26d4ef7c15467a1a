"""Making the weights of layers that overwrite one another alike (ARAS section V-C, adaptive partial weight reuse).

A cell that already holds the level which it is to take needs no pulse. `align` shifts the codes of every matrix layer but
the first to a common mean, so that the most significant cells of most weights agree; the zero point takes up the shift, so
the products stay the same wherever no code leaves 0..255. `narrow` (ours) gives up levels of the least significant
cell, which are all but uniform and agree in a quarter of all overwrites only (ARAS, same section).

The first weight in network order keeps its codes, since errors there cost the most accuracy (ARAS, same section). A weight that
layers share is shifted once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError, OptionError
from mho.number.bits import BYTES
from mho.number.sharing import tied

if TYPE_CHECKING:
    from mho.number.coded import QuantisedMatrix, QuantisedNetwork

FloatArray = npt.NDArray[np.float64]
CENTRES = (88, 104, 96, 160, 152, 168)
"""The six centres that ARAS section V-C keeps: the middles of sections of the most significant cell (96, 160) and of the
cell after it (88, 104, 152, 168), those near the ends of the range left out.
"""
HIGHEST = 255
"""The highest 8-bit code; centres are told in such codes."""
HALF_OF_THEM, ONE_LEVEL = 0.003, 0.001
"""How large the squared changes of an output's weights may be, as a share of their squares, where the least significant cell
keeps half of its levels, or one. Chosen on the real networks of docs/reuse.md: where half are kept at
0.01, MobileNet-v2 loses a tenth of its images; where one is kept in every output, the ResNets for CIFAR-10 lose 6 to 14 points.
"""


@dataclass(frozen=True)
class Alignment:
    """What aligning did to the codes of a network.

    `centre`: the common mean, None where codes were not shifted to one. `deltas`: by layer, what was added to its codes
    and zero points. `clipped`: by layer, how many weights would have left the codes of its bits. `moved`: by layer, how many
    weights `narrow` changed; None where it was not used. `weights`: all weights of the network's matrix layers.
    """

    centre: int | None
    weights: int
    deltas: Mapping[str, int] = field(default_factory=dict)
    clipped: Mapping[str, int] = field(default_factory=dict)
    moved: Mapping[str, int] | None = None

    @property
    def clipped_weights(self) -> int:
        """Weights that were clipped, in all layers."""
        return sum(self.clipped.values())

    @property
    def clipped_share(self) -> float:
        """The share of all weights that were clipped."""
        return self.clipped_weights / self.weights if self.weights else 0.0

    def __str__(self) -> str:
        """Say it in a line."""
        parts = []
        if self.centre is not None:
            parts.append(f"weights shifted to mean {self.centre} in all matrix layers but the first (ARAS V-C)")
        if self.moved is not None:
            moved = sum(self.moved.values())
            parts.append(f"least significant cells kept to their lowest levels ({moved} weights moved)")
        return (
            f"{', '.join(parts)}: {self.clipped_weights} of {self.weights} weights ({self.clipped_share:.3%}) clipped"
        )


def align(quantised: QuantisedNetwork, centre: int) -> QuantisedNetwork:
    """Shift the codes of every matrix layer after the first so that their mean is `centre`.

    delta = round(centre - mean(codes)), codes' = clip(codes + delta, 0, 255), zero' = zero + delta (ARAS equations 4, 5
    and 7; with one zero point an output, the same delta on all); codes of b bits go to centre 2^b / 2^8 and stay below 2^b. Zero
    points may leave 0..255: they are no levels of cells. Outputs stay the same, bit for bit, where no code is clipped; what was
    clipped is counted in `alignment`. Raises OptionError for a centre outside 0..255, NumberError for a network that is aligned
    already.
    """
    if isinstance(centre, bool) or not isinstance(centre, int) or not 0 <= centre <= HIGHEST:
        raise OptionError(f"a centre is a whole number from 0 to {HIGHEST}, not {centre!r}")
    if quantised.alignment is not None:
        raise NumberError(f"the weights of {quantised.network.name} are aligned already: {quantised.alignment}")
    deltas = {}
    for layer in quantised.network.weighted[1:]:
        matrix = quantised.matrices[layer.name]
        mean = int(matrix.codes.sum(dtype=np.int64)) / matrix.codes.size
        deltas[layer.name] = round(centre * 2**matrix.bits // 2**BYTES.weights - mean)
    matrices, clipped = _shifted(quantised, deltas)
    matrices = tied(quantised.network, matrices)
    record = Alignment(centre, quantised.network.weights, deltas, clipped)
    return replace(quantised, matrices=matrices, alignment=record)


def narrow(quantised: QuantisedNetwork, cell_bits: int) -> QuantisedNetwork:
    """Keep the least significant cell of weights after the first layer to few of its levels, the lowest (ours).

    With b-bit cells, B = 2**b, the codes of an output (a column) go to the nearest ones whose lowest digit, code mod B, is
    0, or, where that would change too much, below B / 2, or stay. Too much: squared changes that sum to more than `ONE_LEVEL`
    or `HALF_OF_THEM` of the squared weights of the column. Two independent uniform 2-bit digits differ by 1.25 levels on
    average, by 0.5 where each has two levels, not at all where each has one. The lowest levels are taken because cells off the
    diagonal of a packed block hold level 0.

    The weights change, so outputs do: measure the accuracy. A layer with one zero point is first shifted by the fewest codes
    that bring the zero point's own digit to 0, so that real 0 stays exact. Raises OptionError for cells of fewer than 2 bits,
    which have no level to give up, or more than 8; NumberError for a network that is narrowed already.
    """
    if not 2 <= cell_bits <= 8:
        raise OptionError(f"cells of 2 to 8 bits can give up levels, not of {cell_bits}")
    before = quantised.alignment or Alignment(None, quantised.network.weights)
    if before.moved is not None:
        raise NumberError(f"the weights of {quantised.network.name} are narrowed already: {before}")
    names = [layer.name for layer in quantised.network.weighted[1:]]
    shifts = {name: _to_digit_zero(quantised.matrices[name], cell_bits) for name in names}
    matrices, clipped = _shifted(quantised, shifts)
    moved = {}
    for name in names:
        matrices[name], moved[name] = _narrowed(matrices[name], cell_bits)
    matrices = tied(quantised.network, matrices)
    record = Alignment(before.centre, before.weights, _sum(before.deltas, shifts), _sum(before.clipped, clipped), moved)
    return replace(quantised, matrices=matrices, alignment=record)


def _narrowed(matrix: QuantisedMatrix, cell_bits: int) -> tuple[QuantisedMatrix, int]:
    """Narrow one layer, each output as far as it can bear; count the weights that moved."""
    levels = 2**cell_bits
    codes = matrix.codes.astype(np.int32)
    power = (matrix.centred.astype(np.int64) ** 2).sum(axis=1, keepdims=True)
    result = codes
    for kept, share in ((levels // 2, HALF_OF_THEM), (1, ONE_LEVEL)):
        near = _nearest(codes, levels, kept, 2**matrix.bits - 1)
        error = ((near - codes) ** 2).sum(axis=1, keepdims=True)
        result = np.where(error <= share * power, near, result)
    return replace(matrix, codes=result.astype(matrix.codes.dtype)), int(np.count_nonzero(result != codes))


def _nearest(codes: npt.NDArray[np.int32], levels: int, kept: int, highest: int) -> npt.NDArray[np.int32]:
    """Return the nearest codes, up to the highest, whose lowest digit in base `levels` is below `kept`; halfway, to the even
    next digit.
    """
    digit = codes % levels
    below = codes - np.maximum(digit - (kept - 1), 0)
    above = codes - digit + levels
    down, up = codes - below, above - codes
    odd = codes // levels % 2 == 1
    upwards = ((up < down) | ((up == down) & odd)) & (above <= highest)
    return np.where(upwards, above, below)


def _shifted(
    quantised: QuantisedNetwork, deltas: Mapping[str, int]
) -> tuple[dict[str, QuantisedMatrix], dict[str, int]]:
    """Add deltas to codes and zero points, clip the codes, and count by layer how many were clipped."""
    matrices, clipped = dict(quantised.matrices), {}
    for name, delta in deltas.items():
        matrix = matrices[name]
        wide = matrix.codes.astype(np.int32) + np.int32(delta)
        codes = np.clip(wide, 0, 2**matrix.bits - 1)
        clipped[name] = int(np.count_nonzero(codes != wide))
        matrices[name] = replace(matrix, codes=codes.astype(matrix.codes.dtype), zero=np.asarray(matrix.zero + delta))
    return matrices, clipped


def _to_digit_zero(matrix: QuantisedMatrix, cell_bits: int) -> int:
    """Return the smallest shift that brings the lowest digit of a layer's one zero point to 0; none where there are several."""
    if matrix.zero.ndim:
        return 0
    levels = 1 << cell_bits
    digit = int(matrix.zero) % levels
    return -digit if digit <= levels - digit else levels - digit


def _sum(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {name: first.get(name, 0) + count for name, count in second.items()}


def skip_probability(
    first: npt.NDArray[Any], second: npt.NDArray[Any], *, cell_bits: int = 2, weight_bits: int = 8
) -> FloatArray:
    """Return the probability that a cell keeps its level when independent weights `second` overwrite weights `first`.

    P_i = sum over levels v of P_first,i(v) * P_second,i(v) for each cell i of a weight (ARAS equation 3), where P(v) is the
    share of the codes whose i-th digit is v. `first` and `second` are codes of any shape, 0 to 2**weight_bits - 1. Returns
    float64 (ceil(weight_bits / cell_bits),), the most significant cell first. Raises NumberError where there are no codes.
    """
    if not first.size or not second.size:
        raise NumberError("a skip probability needs weights on both sides")
    shifts = np.arange(0, weight_bits, cell_bits)[::-1]
    levels = np.arange(2**weight_bits) >> shifts[:, None] & (2**cell_bits - 1)

    def shares(codes: npt.NDArray[Any]) -> FloatArray:
        counts = np.bincount(np.asarray(codes, dtype=np.int64).ravel(), minlength=2**weight_bits) / codes.size
        return np.stack([np.bincount(cell, counts, 2**cell_bits) for cell in levels])

    return np.asarray((shares(first) * shares(second)).sum(axis=1))


__all__ = ["CENTRES", "Alignment", "align", "narrow", "skip_probability"]
