"""Training with weights on a grid of integers: rounded in the forward pass, the gradient straight through.

model = mho.training.constrain(module, mho.number.Grid.window(8, 3))   # a copy; train it as any module
plain = mho.training.release(model)                             # plain layers whose weights are scale x integers of the grid
quantised = mho.training.keep_codes(model, quantised)           # a quantised `plain` with exactly these integers

The layers hold real weights w that an optimiser moves. The forward pass takes scale x nearest(w / scale); backward, nearest()
counts as the identity within the range of the grid and as constant beyond it (straight-through: Bengio et al., "Estimating or
propagating gradients through stochastic neurons", 2013, section 4). Scales are chosen once, for the weights that came in.

Squeezed rows (`mho.number.squeeze`): where the nearest integers of a row of a tile reach into the top planes, the row takes the
least shift that clears them, and its weights are rounded to integers of the grid that this shift does not hurt. The loss so sees
what the mapping will do, and the mapping then drops nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from mho.errors import NetworkError, NumberError, OptionError, choices
from mho.number.coded import QuantisedMatrix, QuantisedNetwork, by_output
from mho.number.grid import Grid
from mho.number.squeeze import Squeeze, check_planes
from mho.training.modules import DIGITAL, Matrix, attributes, built, check_module, fold, require, swapped, through

CANDIDATES = 64
"""Scales tried, from one that holds the largest weight down to 1 / CANDIDATES of it in equal steps."""
SCALE_BITS = 16
"""Bits of a scale: products with integers of 8 bits are then exact in float32."""


class OnGrid(nn.Module):
    """Rounds the weight of an nn.Linear or nn.Conv2d: scale x the nearest integers of a grid.

    `scale` float64 (outputs,) or (): what a step of the grid is worth. `groups`: matrices that the weight is, each in tiles of
    `tile` outputs whose rows are shifted together, by up to `squeeze` planes.
    """

    scale: Tensor

    def __init__(self, layer: Matrix, grid: Grid, squeeze: int, tile: int, per_channel: bool) -> None:
        """Choose the scales for the weights of a layer."""
        super().__init__()
        self.grid, self.squeeze, self.tile = grid, squeeze, tile
        self.groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
        left = [grid] + ([grid.shifted(squeeze, shift) for shift in range(squeeze + 1)] if squeeze else [])
        self.levels = tuple(torch.tensor(shifted.magnitudes, dtype=torch.float64) for shifted in left)
        self.register_buffer("scale", self._search(layer.weight.detach().double(), per_channel))

    def extra_repr(self) -> str:
        """Say what the weights are rounded to."""
        return f"{self.grid}, squeeze={self.squeeze}, tile={self.tile}"

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weights that the layer computes with."""
        if weight.dtype not in (torch.float32, torch.float64):
            raise NumberError(f"weights on a grid are float32 or float64, not {weight.dtype}")
        if not torch.isfinite(weight).all():
            raise NumberError("weights are not finite: training diverged")
        with torch.no_grad():
            units = self.units(weight)
            integers, _ = self.rounded(units)
            real = (integers * self._spread(weight)).to(weight.dtype)
            inside = units.abs() <= self.grid.largest
        return through(weight, real, inside)

    def units(self, weight: Tensor) -> Tensor:
        """Return weights in steps of the grid, float64."""
        return weight.detach().double() / self._spread(weight)

    def rounded(self, units: Tensor) -> tuple[Tensor, Tensor]:
        """Round weights in steps of the grid: the integers, float64, and the shifts of rows, int64 (groups, tiles, K)."""
        if self.levels[0].device != units.device:
            self.levels = tuple(levels.to(units.device) for levels in self.levels)
        integers = _nearest(units, self.levels[0])
        columns = len(units) // self.groups
        tiles = -(-columns // self.tile)
        magnitudes = integers.abs().reshape(self.groups, columns, -1)
        full = functional.pad(magnitudes, (0, 0, 0, tiles * self.tile - columns))
        highest = full.reshape(self.groups, tiles, self.tile, -1).amax(dim=2)
        # The least shift that brings the highest magnitude of the row of a tile below the top planes.
        limits = 2.0 ** torch.arange(self.grid.bits - 1 - self.squeeze, self.grid.bits - 1, device=units.device)
        shifts = torch.bucketize(highest, limits, right=True)
        if self.squeeze:
            own = shifts.repeat_interleave(self.tile, dim=1)[:, :columns].reshape(units.shape)
            for shift, levels in enumerate(self.levels[1:]):
                integers = torch.where(own == shift, _nearest(units, levels), integers)
        return integers, shifts

    def _spread(self, weight: Tensor) -> Tensor:
        """Return the scales, to be broadcast over a weight."""
        scale = self.scale.double()
        return scale if scale.ndim == 0 else scale.reshape(-1, *[1] * (weight.ndim - 1))

    def _search(self, weight: Tensor, per_channel: bool) -> Tensor:
        """Return the scales of least squared error."""
        flat = weight.flatten(1) if per_channel else weight.reshape(1, -1)
        widest = flat.abs().amax(dim=1, keepdim=True) / self.grid.largest
        widest = torch.where(widest > 0, widest, torch.ones_like(widest))
        levels = self.levels[0].to(weight.device)
        best = torch.full_like(widest, torch.inf)
        chosen = _few_bits(widest)
        for step in range(CANDIDATES, 0, -1):
            scale = _few_bits(widest * (step / CANDIDATES))
            error = (_nearest(flat / scale, levels) * scale - flat).square().sum(dim=1, keepdim=True)
            better = error < best
            chosen, best = torch.where(better, scale, chosen), torch.where(better, error, best)
        return chosen[:, 0] if per_channel else chosen[0, 0]


class GridLinear(nn.Linear):
    """An nn.Linear that computes with its weights rounded; `weight` is the real one."""

    rounding: OnGrid

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer."""
        return functional.linear(x, self.rounding(self.weight), self.bias)


class GridConv2d(nn.Conv2d):
    """An nn.Conv2d that computes with its weights rounded; `weight` is the real one."""

    rounding: OnGrid

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer."""
        y: Tensor = self._conv_forward(x, self.rounding(self.weight), self.bias)
        return y


GridLayer = GridLinear | GridConv2d


def constrain(
    module: nn.Module,
    grid: Grid,
    *,
    squeeze: int = 0,
    tile: int = 128,
    per_channel: bool = True,
    layers: Iterable[str] | None = None,
) -> nn.Module:
    """Return a copy of `module` in which every nn.Linear and nn.Conv2d computes with weights on a grid.

    The scale of each output (or of a layer, with `per_channel=False`) is that of least squared error for the weights given, and
    stays. `squeeze`: rows of tiles of `tile` outputs are kept out of so many of the grid's top planes by shifting them. `layers`:
    the layers that are to be constrained, by name; a second call may put others on another grid. Batch normalisation is folded
    into the layer before it, as on the chip.

    Raises NetworkError for a module without matrix layers, layers not known, weights that are not finite or that would stay off
    the grid unseen; NumberError for planes that the grid does not have; OptionError for what is no grid.
    """
    check_module(module)
    if not isinstance(grid, Grid):
        raise OptionError(f"grid must be an mho.number.Grid, not {type(grid).__name__}")
    if grid.largest == 0:
        raise NumberError(f"grid {grid} holds nothing but 0")
    check_planes(squeeze, tile, grid.bits)
    model = fold(copy.deepcopy(module))
    replacements: dict[int, nn.Module] = {}
    for name, layer in _chosen(model, layers).items():
        if layer.weight.is_meta or not torch.isfinite(layer.weight).all():
            raise NetworkError(f"the weights of layer {name!r} are not there or not finite")
        if layer.weight.dtype not in (torch.float32, torch.float64):
            raise NetworkError(f"the weights of layer {name!r} are {layer.weight.dtype}, not float32 or float64")
        rounding = OnGrid(layer, grid, squeeze, tile, per_channel)
        kind = GridConv2d if isinstance(layer, nn.Conv2d) else GridLinear
        replacements[id(layer)] = built(kind, attributes(layer), layer.weight, layer.bias, layer.training)
        replacements[id(layer)].rounding = rounding
    return swapped(model, replacements)


def release(model: nn.Module) -> nn.Module:
    """Return a copy of a constrained module as a plain one, whose weights are exactly scale x integer of the grid.

    Raises NetworkError for a module that is not constrained.
    """
    _constrained(model)
    plain = copy.deepcopy(model)
    replacements: dict[int, nn.Module] = {}
    for layer in _constrained(plain).values():
        weight = nn.Parameter(layer.rounding(layer.weight).detach(), layer.weight.requires_grad)
        kind = nn.Conv2d if isinstance(layer, nn.Conv2d) else nn.Linear
        replacements[id(layer)] = built(kind, attributes(layer), weight, layer.bias, layer.training)
    return swapped(plain, replacements)


def keep_codes(model: nn.Module, quantised: QuantisedNetwork) -> QuantisedNetwork:
    """Return `quantised`, made of `release(model)`, with the integers, scales and shifts of rows of the constrained layers.

    `quantise` reads real weights and chooses scales of its own, by the largest weight of an output, on which the integers are
    others. Codes are 128 + integer with zero 128, as all grids of at most 8 bits allow. Raises NetworkError where a layer is
    not to be found in the network, NumberError where its weights are not those of the model.
    """
    matrices: dict[str, QuantisedMatrix] = dict(quantised.matrices)
    squeezes: dict[str, Squeeze] = dict(quantised.squeezes)
    for name, layer in _constrained(model).items():
        known = name or (next(iter(matrices)) if len(matrices) == 1 else "")
        if known not in matrices:
            raise NetworkError(f"layer {name!r} is not to be told in the network; {choices(name, matrices)}")
        rounding = layer.rounding
        integers, scale, shifts = _matrices(layer)
        old = matrices[known]
        if old.codes.shape != integers.shape:
            raise NumberError(f"layer {known!r} has weights {old.codes.shape}, in the model {integers.shape}")
        matrix = replace(old, scale=scale, zero=np.zeros(scale.shape, dtype=np.int64)).with_integers(integers)
        # A code of the old matrix is off by half a step of its own, and by as much again where its zero was rounded.
        if np.any(np.abs(matrix.real() - old.real()) > 1.001 * by_output(old.scale)):
            raise NumberError(f"layer {known!r} was not quantised from these weights; use mho.training.release(model)")
        matrices[known] = matrix
        if rounding.squeeze:
            squeezes[known] = Squeeze(rounding.squeeze, rounding.tile, shifts, 0)
    return replace(
        quantised,
        matrices=matrices,
        squeezes=squeezes,
        per_channel=any(one.scale.ndim > 0 for one in matrices.values()),
        notes=(*quantised.notes, "weights as trained on a grid"),
    )


def _constrained(model: nn.Module) -> dict[str, GridLayer]:
    """Return the layers of a constrained module by name."""
    return require(model, (GridLinear, GridConv2d), "constrained", "constrain")


def _matrices(layer: GridLayer) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """Return integers (matrices, K, N), scales () or (matrices, N), and shifts (matrices, K, tiles) of a layer."""
    rounding = layer.rounding
    integers, shifts = rounding.rounded(rounding.units(layer.weight))
    matrix = integers.reshape(rounding.groups, len(integers) // rounding.groups, -1).transpose(1, 2)
    scale = rounding.scale.double().cpu().numpy().copy()
    return (
        matrix.cpu().numpy().astype(np.int64),
        scale.reshape(rounding.groups, -1) if scale.ndim else scale,
        shifts.transpose(1, 2).cpu().numpy().astype(np.uint8),
    )


def _nearest(units: Tensor, levels: Tensor) -> Tensor:
    """Round to the nearest of the magnitudes with the sign; ties to the smaller magnitude, as Grid.nearest."""
    nearest = torch.bucketize(units.abs(), (levels[1:] + levels[:-1]) / 2)
    return levels[nearest] * units.sign() + 0.0  # no -0.0


def _few_bits(scale: Tensor) -> Tensor:
    """Round positive scales up to SCALE_BITS bits, so that no weight leaves the range by it."""
    mantissa, exponent = torch.frexp(scale.clamp(min=2.0**-100))
    return torch.ldexp(torch.ceil(mantissa * 2**SCALE_BITS), exponent - SCALE_BITS)


def _chosen(model: nn.Module, layers: Iterable[str] | None) -> Mapping[str, Matrix]:
    """Return the layers to constrain by name; refuse names not known, and weights that would stay off the grid unseen."""
    modules = dict(model.named_modules())
    if not any(isinstance(layer, nn.Linear | nn.Conv2d) for layer in modules.values()):
        raise NetworkError(
            f"{type(model).__name__} has no nn.Linear and no nn.Conv2d: there are no weights to constrain"
        )
    if layers is not None:
        names = [layers] if isinstance(layers, str) else list(layers)
        known = [name for name, layer in modules.items() if isinstance(layer, nn.Linear | nn.Conv2d)]
        for name in names:
            if name not in known:
                raise NetworkError(f"no nn.Linear or nn.Conv2d is called {name!r}; {choices(name, known)}")
        modules = {name: modules[name] for name in names}
    chosen: dict[str, Matrix] = {}
    for name, layer in modules.items():
        where = f"module {name or 'the top level'!r} ({type(layer).__name__})"
        if isinstance(layer, GridLinear | GridConv2d):
            raise NetworkError(f"{where} is constrained already; mho.training.release gives plain layers back")
        if type(layer) is nn.Linear or type(layer) is nn.Conv2d:
            chosen[name] = layer
        elif isinstance(layer, nn.Linear | nn.Conv2d):
            raise NetworkError(
                f"{where}: only nn.Linear and nn.Conv2d themselves are followed, no classes made of them"
            )
        elif type(layer).__module__.startswith("torch.nn.") and layer._parameters and not isinstance(layer, DIGITAL):
            raise NetworkError(
                f"{where}: only weights of nn.Linear and nn.Conv2d come onto a grid; name the layers that do"
            )
    return chosen


__all__ = ["GridConv2d", "GridLinear", "OnGrid", "constrain", "keep_codes", "release"]
