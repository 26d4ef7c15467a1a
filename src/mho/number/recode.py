"""Recoding a quantised network: its weights onto few magnitudes or few bit planes, for the least error of weights or outputs.

Method "nearest" takes the nearest weight. Method "output" rounds weight by weight along K (see `compensation`), weighs errors by
the mean square of their input while searching scales, and corrects the bias for the mean error of the outputs on samples. Layers
whose inputs depend on no sample are rounded to the nearest. Method "sequence" does so layer after layer: inputs are those that the
integers of the layers before give, these recoded already; the scales of a layer are multiplied by one gain and its bias is
corrected so that its outputs have the spread and the mean of the float network's. Both or neither: rounding loses spread, and
where the mean alone is kept, rectifiers pass ever less of it, layer after layer. It keeps the tensors of all samples in memory,
needs activation codes and fits scales. It gains where weights are coarse: of 2000 images of all classes ResNet-20 had right, by
"output" and by "sequence" on 256 samples, 1301 and 1698 on Grid.uniform(2), 1609 and 1689 in 1.5 planes, 1788 and 1791 in 2 (8
bits: 1830); of 200, MobileNet-v2 on 32 samples 147 and 151 in 3.5 planes, 6 where depthwise (8 bits: 153). It takes two to three
times as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError, OptionError, choices
from mho.network.layers import MatrixLayer
from mho.number.batching import fixed
from mho.number.bits import BYTES
from mho.number.coded import QuantisedMatrix, QuantisedNetwork, by_output
from mho.number.compensation import DAMPING, Rounding, rounded
from mho.number.grid import FEWEST, KINDS, Grid, halves
from mho.number.moments import WINDOWS, Moments, moments
from mho.number.planes import Planes, levelled
from mho.number.scales import fitted, kept
from mho.number.sequence import changed_in_order
from mho.number.sharing import by_owner, tied, tied_squeezes
from mho.number.squeeze import Squeeze, check_planes, said
from mho.number.walk import Inputs

FloatArray = npt.NDArray[np.float64]

Form = Grid | Planes
OWN = "uniform"
"""The name of the grid of all magnitudes that the bits of a layer's codes hold."""
PLANES = "planes"
"""What the names of planes start with."""
METHODS = ("nearest", "output", "sequence")
SCALES = ("fit", "keep")
SAID = {
    "nearest": "the nearest",
    "output": "the least error of outputs on calibration samples",
    "sequence": "layer after layer the least error of outputs on calibration samples",
}
"""Methods in words."""
GAIN = 2.0
"""The most that a layer's outputs are spread or narrowed by: where more is missing, what is left is error for the most part."""


def form(text: str) -> Form | str:
    """Return the grid ("window:8:3") or the planes ("planes:2.5") of that name, or `OWN` itself.

    OptionError for a name that means none of them.
    """
    if text == OWN:
        return OWN
    kind = text.partition(":")[0]
    if kind == PLANES:
        return Planes.parse(text)
    if kind not in KINDS:
        raise OptionError(
            f"no grid and no planes {text!r}: {choices(kind, (*KINDS, PLANES))}, as in 'window:8:3' or 'planes:2.5'"
        )
    return Grid.parse(text)


def recode(
    quantised: QuantisedNetwork,
    grid: Form | str | Mapping[str, Form | str],
    *,
    method: str = "nearest",
    samples: Inputs | Mapping[str, Moments] | None = None,
    scale: str = "fit",
    per_channel: bool = True,
    squeeze: int | Mapping[str, int] = 0,
    tile: int = 128,
    windows: int = WINDOWS,
    damping: float = DAMPING,
    seed: int = 0,
) -> QuantisedNetwork:
    """Put the weights of a quantised network onto a grid, or into few bit planes.

    recode(quantised, Grid.window(8, 3))                            every weight to the nearest of the grid
    recode(quantised, grid, method="output", samples=samples)       for the least squared error of outputs on samples
    recode(quantised, grid, method="sequence", samples=samples)     for outputs on what recoded layers before give
    recode(quantised, Planes(2.5), method="sequence", samples=...)  in 2.5 bit planes on average (see `planes`)
    recode(quantised, grid, scale="keep")                           on the scale and from the integers that it has
    recode(quantised, {"conv1": Grid.uniform(8), "fc": grid})       layers that are not named keep their codes
    recode(quantised, "uniform", method="sequence", samples=...)    each layer on all magnitudes that its bits hold
    recode(quantised, grid, squeeze=2)                              and two top planes squeezed out, in tiles of 128 outputs

    Codes become 128 + the signed integer, or 2^(b - 1) + it where the layer's codes have b bits, which the grid must fit;
    "uniform" stands for all magnitudes that these hold. `scale` "fit" starts from the real weights, those of the network where
    it holds them, else those of the codes, and takes the scale of the least squared error, one an output or (`per_channel`
    False) one a layer. "keep" starts from the integers; where these exceed the grid's bits, the scale is doubled until they
    do not.

    `method` "nearest", "output" or "sequence": see above; the last two draw about `windows` input vectors a layer from `samples`
    with `seed`, and add `damping` to the mean squares of inputs, as a share of their mean. For "output", `samples` may be the
    `moments` that they gave, which many recodings share.

    `squeeze`, one number or one by layer: a row of a tile whose largest magnitude needs it is rounded to multiples of
    2^shift, as small a shift as keeps its top planes empty, 0 to `squeeze`; with method "output" later rows make good what
    this loses. The function `squeeze` is the published rule.

    Weights change, so outputs do: measure the accuracy. `notes` gains a line. Raises NumberError for names that are no matrix
    layer, samples that are missing or of no use, planes that the grid does not have, and for a network that is aligned;
    OptionError for unknown options, for method "sequence" with a scale that is kept, and for `Planes` with a scale that is
    kept or one for a layer, or with a squeeze.
    """
    _check(quantised, method, samples, scale, damping)
    asked: Mapping[str, Form | str] = by_owner(quantised.network, grid)
    grids = {name: _fitting(name, each, quantised.matrices[name].bits) for name, each in asked.items()}
    tops = _tops(quantised, grids, squeeze, tile)
    if any(isinstance(form, Planes) for form in grids.values()) and (scale == "keep" or not per_channel):
        raise OptionError("weights in planes have scales of their own, fitted, one an output")
    recoding = _Recoding(quantised, grids, tops, tile, scale, per_channel, damping)
    recoding.run(method, samples, windows, seed)
    names = " or ".join(sorted({str(form) for form in grids.values()}))
    note = f"weights of {len(grids)} layers recoded to {names}, {SAID[method]}, scale {'kept' if scale == 'keep' else 'fitted'}"
    if any(tops.values()):
        note += f"; {said(squeeze)} squeezed out in tiles of {tile} outputs"
    return recoding.result(note)


def _check(quantised: QuantisedNetwork, method: str, samples: object, scale: str, damping: float) -> None:
    """Refuse options of `recode` that are unknown or do not go together, and a network that is aligned."""
    if method not in METHODS:
        raise OptionError(f"no method {method!r} of rounding: {choices(method, METHODS)}")
    if scale not in SCALES:
        raise OptionError(f"no scale {scale!r}: {choices(scale, SCALES)}")
    if method == "sequence" and scale == "keep":
        raise OptionError(
            "method 'sequence' multiplies scales to keep the spread of outputs: it cannot keep the scales"
        )
    if not 0 < damping < np.inf:
        raise OptionError(f"damping is a positive share of the mean square of inputs, not {damping}")
    if (method == "nearest") != (samples is None):
        raise NumberError(
            "method 'nearest' uses no samples"
            if samples is not None
            else f"method {method!r} needs calibration samples"
        )
    if quantised.alignment is not None:
        raise NumberError(f"the weights of {quantised.network.name} are aligned already: recode before aligning")


def _fitting(name: str, asked: Form | str, bits: int) -> Form:
    """Return the grid or planes of a layer whose codes have so many bits. NumberError where they do not fit these."""
    asked = form(asked) if isinstance(asked, str) else asked
    if bits < bits_needed(asked):
        raise NumberError(f"layer {name!r} has weights of {bits} bits, and {asked} takes {bits_needed(asked)}")
    return Grid.uniform(bits) if isinstance(asked, str) else asked


def bits_needed(form: Form | str) -> int:
    """Return the fewest bits of codes that hold what is on a grid, or in planes."""
    if isinstance(form, str):
        return FEWEST
    return form.bits if isinstance(form, Grid) else BYTES.weights


def _check_moments(quantised: QuantisedNetwork, seen: Mapping[str, Moments], grids: Mapping[str, Form]) -> None:
    """Refuse moments that lack a layer whose inputs depend on samples."""
    lacking = [name for name in grids if name not in seen]
    if lacking and not set(lacking) <= set(fixed(quantised.network)):
        raise NumberError(f"moments of calibration samples lack layers that are recoded: {', '.join(lacking)}")


def _tops(
    quantised: QuantisedNetwork, grids: Mapping[str, Form], squeeze: int | Mapping[str, int], tile: int
) -> dict[str, int]:
    """Return how many planes are squeezed out of each layer that is recoded."""
    tops = {name: top for name, top in by_owner(quantised.network, squeeze).items() if name in grids}
    if isinstance(squeeze, Mapping) and len(tops) < len(squeeze):
        raise NumberError(f"layer {next(name for name in squeeze if name not in grids)!r} is squeezed and not recoded")
    for name, top in tops.items():
        form = grids[name]
        if isinstance(form, Grid):
            check_planes(top, tile, form.bits)
        elif top:
            raise OptionError(f"layer {name!r} in planes takes as many as it is given; it cannot be squeezed as well")
    return tops


class _Recoding:
    """All matrices and squeezes of a network, of which those of `grids` are recoded one by one."""

    def __init__(
        self,
        quantised: QuantisedNetwork,
        grids: Mapping[str, Form],
        tops: Mapping[str, int],
        tile: int,
        scale: str,
        per_channel: bool,
        damping: float,
    ) -> None:
        self.quantised, self.grids, self.tops, self.tile = quantised, grids, tops, tile
        self.scale, self.per_channel, self.damping = scale, per_channel, damping
        self.matrices = dict(quantised.matrices)
        self.squeezes = {name: squeeze for name, squeeze in quantised.squeezes.items() if name not in grids}

    def run(self, method: str, samples: Inputs | Mapping[str, Moments] | None, windows: int, seed: int) -> None:
        """Recode each layer for inputs as the float network gives them, or (method "sequence") as the layers before give them."""
        network = self.quantised.network
        recoded = [layer for layer in network.matrix_layers if layer.name in self.grids]
        if samples is None or method == "output":
            if samples is None:
                seen: Mapping[str, Moments] = {}
            elif isinstance(samples, Mapping):
                _check_moments(self.quantised, samples, self.grids)
                seen = samples
            else:
                seen = moments(network, samples, self.grids, windows=windows, seed=seed)
            for layer in recoded:
                self.change(layer, seen.get(layer.name))
            return
        if isinstance(samples, Mapping):
            raise NumberError(f"method {method!r} needs the calibration samples themselves, not their moments")
        constant = fixed(network)
        for layer in recoded:
            if layer.name in constant:
                self.change(layer, None)
        start = replace(self.quantised, matrices=dict(self.matrices))
        changed_in_order(start, samples, self.grids, self.change, windows=windows, seed=seed)

    def result(self, note: str) -> QuantisedNetwork:
        """Return the network with what was changed, and a note on it."""
        return replace(
            self.quantised,
            matrices=tied(self.quantised.network, self.matrices),
            squeezes=tied_squeezes(self.quantised.network, self.squeezes),
            per_channel=any(matrix.scale.ndim > 0 for matrix in self.matrices.values()),
            notes=(*self.quantised.notes, note),
        )

    def change(self, layer: MatrixLayer, seen: Moments | None, wanted: Moments | None = None) -> QuantisedMatrix:
        """Recode a layer for inputs as they are `seen`, for the outputs of those that are `wanted` (None: the same)."""
        matrix = self.matrices[layer.name]
        rounding, step, target = self._rounding(layer, seen)
        integers = rounded(target, rounding, seen, tile=self.tile, damping=self.damping)
        if isinstance(rounding, GridRounding) and rounding.top:
            self.squeezes[layer.name] = Squeeze(rounding.top, self.tile, rounding.shifts, rounding.dropped)
        bias = matrix.bias
        if seen is not None:
            gain, rows = 1.0, by_output(step)
            if wanted is not None:
                gain = gain_of(wanted.spread(target * rows), seen.spread(integers * rows))
            step = step * gain
            mean = np.matmul((wanted or seen).first[:, None, :], target / gain)
            change = (mean - np.matmul(seen.first[:, None, :], integers))[:, 0] * step
            if change.any():
                bias = change if bias is None else bias + change
        zero = np.zeros(step.shape, dtype=np.int64)
        self.matrices[layer.name] = replace(matrix, scale=step, zero=zero, bias=bias).with_integers(integers)
        return self.matrices[layer.name]

    def _rounding(self, layer: MatrixLayer, seen: Moments | None) -> tuple[Rounding, FloatArray, FloatArray]:
        """Return what rounds the weights of a layer, the step of its integers, and its weights in steps."""
        matrix, form = self.matrices[layer.name], self.grids[layer.name]
        importance = None if seen is None else np.diagonal(seen.second, axis1=1, axis2=2)
        if isinstance(form, Planes):
            real = real_weights(layer, matrix)
            levels = levelled(real, form, np.ones(real.shape[:2]) if importance is None else importance)
            return levels, levels.scale, real / by_output(levels.scale)
        if self.scale == "keep":
            step = kept(matrix, form.bits)
            target = matrix.centred / by_output(step / matrix.scale)
        else:
            real = real_weights(layer, matrix)
            step = fitted(real, form, self.per_channel, importance)
            target = real / by_output(step)
        tiles = -(-target.shape[2] // self.tile)
        return GridRounding(form, self.tops.get(layer.name, 0), self.tile, (*target.shape[:2], tiles)), step, target


def real_weights(layer: MatrixLayer, matrix: QuantisedMatrix) -> FloatArray:
    """Return the weights as real numbers (groups, K, N), those of the network where it holds real numbers."""
    if layer.weight.values is None or layer.weight.code is not None:
        return matrix.real()
    return np.asarray(layer.matrix(layer.weight.real()), dtype=np.float64)


class GridRounding:
    """Rounds rows to the nearest of a grid, and shifts rows whose magnitudes reach into planes that are squeezed out.

    Keeps the shifts (groups, K, tiles) of the rows that it rounded, and counts weights that a shift took a bit from.
    """

    def __init__(self, grid: Grid, top: int, tile: int, shape: tuple[int, ...]) -> None:
        self.limit, self.top, self.tile = grid.limit, top, tile
        self.tables = np.stack([grid.table, *(grid.shifted(top, shift).table for shift in range(1, top + 1))])
        # The smallest shift after which a magnitude is below 2^(bits - 1 - top).
        free = 2 ** (grid.bits - 1 - top)
        self.needed = np.array([(value // free).bit_length() for value in range(grid.limit + 1)], dtype=np.uint8)
        self.shifts = np.zeros(shape, dtype=np.uint8)
        self.dropped = 0

    def __call__(self, rows: npt.NDArray[np.intp], first: int, values: FloatArray) -> FloatArray:
        """Round one row of every group: see `compensation.Rounding`."""
        place = halves(values, self.limit)
        magnitude = self.tables[0][place]
        if self.top:
            starts = np.arange(0, values.shape[1], self.tile)
            shifts = self.needed[np.maximum.reduceat(magnitude, starts, axis=1)]
            tiles = first // self.tile
            self.shifts[np.arange(len(rows)), rows, tiles : tiles + len(starts)] = shifts
            each = np.repeat(shifts, self.tile, axis=1)[:, : values.shape[1]]
            self.dropped += int(np.count_nonzero(magnitude & ((1 << each) - 1)))
            magnitude = self.tables[each, place]
        return np.asarray(np.copysign(magnitude, values), dtype=np.float64)


def gain_of(wanted: FloatArray, reached: FloatArray) -> float:
    """Return the factor, one for a layer, after which the variances of outputs add up to those wanted; both (groups, N)."""
    total = float(reached.sum())
    return float(np.clip(np.sqrt(wanted.sum() / total), 1 / GAIN, GAIN)) if total > 0 else 1.0


__all__ = ["METHODS", "OWN", "SAID", "SCALES", "Form", "bits_needed", "form", "gain_of", "real_weights", "recode"]
