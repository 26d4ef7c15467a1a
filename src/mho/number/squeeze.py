"""Squeezing planes out: rows whose weights reach into the top planes are stored shifted right (SME, squeeze-out).

A weight in sign-magnitude form is q = sign x magnitude, magnitude below 2^(bits - 1). Where a row of a tile has a magnitude in
one of the top x planes, the magnitudes of that row in that tile are stored shifted right by x; what falls out on the right is
dropped, and the inputs of the row are shifted back to the left. No row then needs its top x planes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError
from mho.number.sharing import by_owner, tied, tied_squeezes

if TYPE_CHECKING:
    from mho.number.coded import QuantisedNetwork

Shifts = npt.NDArray[np.uint8]
MOST = 7
"""The most planes that can be squeezed out of 8-bit sign-magnitude weights."""


@dataclass(frozen=True, eq=False)
class Squeeze:
    """How the rows of one layer's matrices are shifted.

    `top`: the planes squeezed out, x. `tile`: outputs that share the shifts of their rows, `tile` by `tile` from the first
    output on. `shifts` uint8 (matrices, K, tiles): by how much, 0 to x, the magnitudes of each row of each tile are stored shifted
    right; weights are whole multiples of 2^shift. `dropped`: weights that lost a bit that was set.
    """

    top: int
    tile: int
    shifts: Shifts
    dropped: int

    def __post_init__(self) -> None:
        """Raise NumberError for what is no such record."""
        if not 0 <= self.top <= MOST or self.tile < 1 or self.dropped < 0:
            raise NumberError(
                f"no squeeze of {self.top} planes in tiles of {self.tile} outputs, {self.dropped} dropped"
            )
        if self.shifts.dtype != np.uint8 or self.shifts.ndim != 3 or np.any(self.shifts > self.top):
            raise NumberError(f"row shifts are uint8 (matrices, K, tiles), 0 to {self.top}")

    def by_output(self, columns: int) -> Shifts:
        """Return the shift of each weight, broadcast over its tile: uint8 (matrices, K, columns)."""
        return np.repeat(self.shifts, self.tile, axis=2)[:, :, :columns]


def squeeze(
    quantised: QuantisedNetwork, top: int | Mapping[str, int], *, tile: int = 128, bits: int = 8
) -> QuantisedNetwork:
    """Squeeze `top` planes out of every matrix layer, or as many as a mapping gives the layers that it names (SME).

    Integer weights are codes less their zero, below 2^(bits - 1) in magnitude; where the codes of a layer have fewer bits, these
    count. A row of a tile of `tile` outputs that has a
    magnitude in the top x planes is shifted by x and loses its low x bits, W' = sign(W) ((|W| >> x) << x); other rows stay
    as they are. Nothing is rounded again and scales stay: `recode` with `squeeze` loses less. Weights change, so outputs
    do: measure the accuracy. `squeezes` records the shifts and how many weights lost a bit. Raises NumberError for planes
    outside 0..bits - 2, weights beyond the bits, names that are no matrix layer, and layers that are squeezed or aligned
    already.
    """
    planes_of = by_owner(quantised.network, top)
    bits_of = {name: min(bits, quantised.matrices[name].bits) for name in planes_of}
    for name, planes in planes_of.items():
        check_planes(planes, tile, bits_of[name])
    if quantised.alignment is not None:
        raise NumberError(f"the weights of {quantised.network.name} are aligned already: squeeze before aligning")
    matrices, squeezes = dict(quantised.matrices), dict(quantised.squeezes)
    for name, planes in planes_of.items():
        if name in squeezes:
            raise NumberError(f"layer {name!r} is squeezed already, by {squeezes[name].top} planes")
        weights, bits = matrices[name].centred.astype(np.int64), bits_of[name]
        magnitude = np.abs(weights)
        if magnitude.size and magnitude.max() >= 2 ** (bits - 1):
            raise NumberError(
                f"layer {name!r} has weights up to {magnitude.max()}, beyond {bits} bits and sign: recode it"
            )
        shifts = np.where(largest_of_tiles(magnitude, tile) >> (bits - 1 - planes) > 0, planes, 0).astype(np.uint8)
        column_shifts = np.repeat(shifts, tile, axis=2)[:, :, : weights.shape[2]]
        kept = np.sign(weights) * ((magnitude >> column_shifts) << column_shifts)
        matrices[name] = matrices[name].with_integers(kept)
        squeezes[name] = Squeeze(planes, tile, shifts, int(np.count_nonzero(kept != weights)))
    lost = sum(squeezes[name].dropped for name in planes_of)
    note = f"{said(top)} squeezed out by dropping bits of rows that need them ({lost} weights changed)"
    return replace(
        quantised,
        matrices=tied(quantised.network, matrices),
        squeezes=tied_squeezes(quantised.network, squeezes),
        notes=(*quantised.notes, note),
    )


def largest_of_tiles(magnitude: npt.NDArray[Any], tile: int) -> npt.NDArray[Any]:
    """Return the largest magnitude of each row of each tile: (..., K, N) gives (..., K, tiles)."""
    return np.asarray(np.maximum.reduceat(magnitude, np.arange(0, magnitude.shape[-1], tile), axis=-1))


def check_planes(planes: int, tile: int, bits: int) -> None:
    """Raise NumberError for planes that cannot be squeezed out of weights of `bits` bits, and for tiles of no output."""
    if isinstance(planes, bool) or not isinstance(planes, int) or not 0 <= planes <= bits - 2:
        raise NumberError(f"0 to {bits - 2} planes can be squeezed out of weights of {bits} bits, not {planes!r}")
    if isinstance(tile, bool) or not isinstance(tile, int) or tile < 1:
        raise NumberError(f"a tile has at least one output, not {tile!r}")


def said(top: int | Mapping[str, int]) -> str:
    """Say in words how many planes."""
    counts = sorted({*top.values()} if isinstance(top, Mapping) else {top})
    where = f" in {len(top)} layers" if isinstance(top, Mapping) else ""
    return f"{' or '.join(map(str, counts)) or 'no'} top planes{where}"


__all__ = ["Squeeze", "squeeze"]
