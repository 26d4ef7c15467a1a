"""Training on a basis that all layers share (`mho.number.basis`): basis, coefficients, scales of outputs, normalisation.

model = mho.training.combine(module, fitted)    # a copy that computes with coefficients x basis; train it as any module
quantised = mho.training.keep_basis(model)      # what it has become, exactly: integers, `basis`, codes of inputs as trained

The layers hold real coefficients and a real basis that an optimiser moves. The forward pass takes, of each segment of an
output, the k largest coefficients, rounds them and the elements of the basis to their integers, and multiplies. Backward,
rounding counts as the identity within the range of the integers (straight-through: Bengio et al., "Estimating or propagating
gradients through stochastic neurons", 2013, section 4). Coefficients that are not among the k largest take part in the backward
pass too, so that the support may move. `settle` draws them back to 0, as Zhou et al. (ICLR 2021, SR-STE) do with pruned weights.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mho.errors import NetworkError, NumberError, OptionError
from mho.network import Network
from mho.network.layers import Affine, MatrixLayer
from mho.number.basis import BasisCoding, integers_of, segments
from mho.number.coded import QuantisedMatrix, QuantisedNetwork
from mho.number.coefficients import Coefficients
from mho.number.fitting import composed
from mho.training.modules import MATRICES, Matrix, attributes, built, check_module, fold, require, swapped, through

CLOSE = 1e-3
"""How far the weights of a module may be from those of the network that was fitted, as a share of the largest of a layer."""


class _Coded(torch.autograd.Function):
    """Inputs as a code shows them; the gradient passes where it does not clip."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, code: Affine) -> Tensor:
        """Return what is shown: few operations in place, as activations are what costs most."""
        scale, zero = float(code.scale), int(code.zero)
        ctx.save_for_backward(x)
        ctx.limits = (code.low - zero) * scale, (code.high - zero) * scale
        return x.clamp(*ctx.limits).mul_(1 / scale).round_().mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Pass straight through."""
        (x,) = ctx.saved_tensors
        passed: Tensor = torch.ops.aten.hardtanh_backward(gradient, x, *ctx.limits)
        return passed, None


class SharedBasis(nn.Module):
    """The basis of a model: `elements` float32 (vectors, height), real numbers around the integers that stand for them.

    `moves`: whether the support of coefficients may move.
    """

    def __init__(self, coding: BasisCoding, moves: bool) -> None:
        """Start from the integers of a coding."""
        super().__init__()
        self.coding, self.moves = coding, moves
        allowed = integers_of(coding.bits, coding.powers)
        self.least, self.most = int(allowed[0]), int(allowed[-1])
        self.allowed = torch.tensor(allowed, dtype=torch.float32)
        # Unit vectors are places, not cells.
        self.elements = nn.Parameter(torch.tensor(coding.elements, dtype=torch.float32), not coding.units)

    def extra_repr(self) -> str:
        """Say what is held."""
        coding = self.coding
        return f"{len(coding.cells)} vectors of {coding.height}, {coding.levels} levels, {coding.nonzeros} of {coding.bits} bits"

    def integers(self) -> Tensor:
        """Return the nearest integers levels - 1, levels - 3 ... 1 - levels; unit vectors as they are."""
        if self.coding.units:
            return self.elements
        most = self.coding.levels - 1
        with torch.no_grad():
            shown = (2 * torch.round((self.elements + most) / 2) - most).clamp_(-most, most)
            inside = self.elements.abs() <= most + 1
        return through(self.elements, shown, inside)

    def kept(self, coefficients: Tensor) -> Tensor:
        """Return which coefficients (..., vectors) are among the largest of their segment: bool."""
        most = min(self.coding.nonzeros, coefficients.shape[-1])
        places = coefficients.detach().abs().topk(most, dim=-1, sorted=False).indices
        return torch.zeros_like(coefficients, dtype=torch.bool).scatter_(-1, places, True)

    def rounded(self, coefficients: Tensor, kept: Tensor) -> Tensor:
        """Return coefficients rounded to their integers, those that are not kept to 0."""
        with torch.no_grad():
            shown = self._nearest(coefficients) * kept
            inside = (coefficients > self.least - 1) & (coefficients < self.most + 1)
            inside = inside if self.moves else inside & kept
        return through(coefficients, shown, inside)

    def _nearest(self, coefficients: Tensor) -> Tensor:
        """Return the nearest integers that a coefficient can be."""
        if not self.coding.powers:
            return torch.round(coefficients).clamp_(self.least, self.most)
        return self.allowed[torch.bucketize(coefficients, (self.allowed[1:] + self.allowed[:-1]) / 2)]


class BasisLayer(nn.Module):
    """A layer that stands where nn.Linear or nn.Conv2d stood, and computes with coefficients x basis.

    `coefficients` float32 (groups, segments, outputs, vectors). Scales are exp(`gain`) x those of the fit, biases those of the fit
    + `shift`: float32 (groups, outputs). Inputs are coded as in the fit; the gradient passes where codes do not clip.
    """

    support: Tensor

    def __init__(
        self, matrix: Matrix, layer: MatrixLayer, basis: SharedBasis, fitted: QuantisedMatrix, code: Affine
    ) -> None:
        """Start from what was fitted."""
        super().__init__()
        self.layer, self.basis, self.code = layer, basis, code
        self.kind, self.shape, self.size = type(matrix), attributes(matrix), tuple(matrix.weight.shape)
        start = torch.from_numpy(basis.coding.dense(layer)).float().transpose(2, 3).contiguous()
        outputs = (layer.groups, layer.columns)
        self.coefficients = nn.Parameter(start)
        self.gain = nn.Parameter(torch.zeros(outputs))
        self.scale = np.broadcast_to(fitted.scale, outputs)
        self.bias = fitted.bias
        self.shift = None if self.bias is None else nn.Parameter(torch.zeros(outputs))
        self.register_buffer("support", basis.kept(start))

    def kept(self) -> Tensor:
        """Return which coefficients count: the largest, or those of the start where the support does not move."""
        return self.basis.kept(self.coefficients) if self.basis.moves else self.support

    def integers(self) -> Tensor:
        """Return the coefficients as integers (groups, segments, outputs, vectors), with gradients."""
        if not torch.isfinite(self.coefficients).all():
            raise NumberError(f"coefficients of layer {self.layer.name!r} are not finite: training diverged")
        return self.basis.rounded(self.coefficients, self.kept())

    def scales(self) -> Tensor:
        """Return the scales of outputs, float64 (groups, outputs)."""
        return torch.from_numpy(self.scale.copy()) * self.gain.double().exp()

    def biases(self) -> Tensor | None:
        """Return the biases of outputs, float64 (groups, outputs)."""
        return None if self.bias is None or self.shift is None else torch.from_numpy(self.bias) + self.shift.double()

    def weights(self) -> tuple[Tensor, Tensor | None]:
        """Return weight and bias as the layer's kind has them, float32."""
        sums = self.integers() @ self.basis.integers()
        parts = enumerate(segments(self.layer.rows, self.basis.coding.height))
        laid = torch.cat([sums[:, j, :, : part.stop - part.start] for j, part in parts], dim=-1)
        whole = laid * self.scales().float()[..., None]
        bias = self.biases()
        return whole.reshape(self.size), None if bias is None else bias.float().flatten()

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer."""
        with torch.autocast(x.device.type, enabled=False):
            weight, bias = self.weights()
            x = _Coded.apply(x, self.code)  # type: ignore[no-untyped-call]
        if self.kind is nn.Linear:
            return functional.linear(x, weight, bias)
        stride, padding, dilation, groups = (self.shape[key] for key in ("stride", "padding", "dilation", "groups"))
        return functional.conv2d(x, weight, bias, stride, padding, dilation, groups)

    def plain(self) -> Matrix:
        """Return the layer as a plain one."""
        with torch.no_grad():
            weight, bias = self.weights()
        values = (nn.Parameter(weight), None if bias is None else nn.Parameter(bias))
        matrix: Matrix = built(self.kind, self.shape, *values, self.training)
        return matrix


def combine(module: nn.Module, fitted: QuantisedNetwork, *, support: str = "moves") -> nn.Module:
    """Return a copy of `module` whose matrix layers compute with the coefficients and the basis of `fitted`.

    `fitted` is what `mho.number.fit_basis` returns for the network imported from this module. `support`: "moves" or "stays", the
    coefficients of a segment that are not 0. A basis that is to stay as it is, such as a universal one, does not train after
    `model.get_submodule("basis").requires_grad_(False)`, as of any module. Batch normalisation is folded into the layer before it,
    as on the chip; where there is none its gains and shifts train. Layers that the fit left out compute with the weights that
    their codes stand for, which do not train.

    Raises NetworkError for a module that is not the one fitted, NumberError for a network that is on no basis.
    """
    check_module(module)
    if support not in ("moves", "stays"):
        raise OptionError(f"support moves or stays, not {support!r}")
    if fitted.basis is None:
        raise NumberError(f"{fitted.network.name} is on no basis; mho.number.fit_basis finds one")
    model = fold(copy.deepcopy(module)).float()
    layers = {layer.name: layer for layer in fitted.network.matrix_layers}
    # A module that is one layer has no name; the network calls it something.
    found = {name or min(layers): layer for name, layer in model.named_modules() if type(layer) in MATRICES}
    _same(found, layers, fitted.network)
    basis = SharedBasis(fitted.basis, support == "moves")
    replacements: dict[int, nn.Module] = {}
    for name, matrix in found.items():
        layer = layers[name]
        if name not in fitted.basis.coefficients:
            replacements[id(matrix)] = _left_out(matrix, fitted.matrices[name])
            continue
        code = fitted.codes[layer.inputs[0]]
        replacements[id(matrix)] = BasisLayer(matrix, layer, basis, fitted.matrices[name], code)
    return OnBasis(swapped(model, replacements), basis, fitted)


class OnBasis(nn.Module):
    """A model on a basis: `model` computes, `basis` is what its layers share, `fitted` what it started from."""

    def __init__(self, model: nn.Module, basis: SharedBasis, fitted: QuantisedNetwork) -> None:
        """Hold a model."""
        super().__init__()
        self.basis, self.model, self.fitted = basis, model, fitted

    def forward(self, *inputs: Tensor) -> Tensor:
        """Compute the model."""
        y: Tensor = self.model(*inputs)
        return y


def keep_basis(model: nn.Module) -> QuantisedNetwork:
    """Return what a combined model has become: exact integers, with `basis`; inputs in the codes that training met.

    Raises NetworkError for a module that is not combined.
    """
    (held,) = require(model, OnBasis, "on a basis", "combine").values()
    fitted, start = held.fitted, held.basis.coding
    layers = {part.layer.name: part for part in held.model.modules() if isinstance(part, BasisLayer)}
    with torch.no_grad():
        elements = held.basis.integers().numpy().astype(np.int64)
        whole = {
            name: Coefficients.of(part.integers().transpose(2, 3).numpy().astype(np.int8))
            for name, part in layers.items()
        }
        cells = start.cells if start.units else ((elements + start.levels - 1) // 2).astype(np.uint8)
        coding = replace(start, cells=cells, coefficients=whole)
        matrices = dict(fitted.matrices)
        for name, part in layers.items():
            bias = part.biases()
            matrices[name] = composed(coding, part.layer, part.scales().numpy(), None if bias is None else bias.numpy())
    network = _imported(held)
    return replace(
        fitted, network=network, matrices=matrices, basis=coding, notes=(*fitted.notes, "trained on the basis")
    )


def settle(model: nn.Module, share: float = 0.0) -> None:
    """Keep the real numbers of a combined model in the range of their integers, in place; to be called after each step.

    Coefficients outside the support lose a `share` of themselves, so that they come in only where they are asked for again and
    again.
    """
    (held,) = require(model, OnBasis, "on a basis", "combine").values()
    basis = held.basis
    with torch.no_grad():
        basis.elements.clamp_(1 - basis.coding.levels, basis.coding.levels - 1)
        for layer in held.model.modules():
            if isinstance(layer, BasisLayer):
                layer.coefficients.clamp_(basis.least, basis.most)
                if share:
                    layer.coefficients.mul_(1 - share * ~layer.kept())


def contention(model: nn.Module) -> Tensor:
    """Return how unevenly the outputs of each segment use the columns of the basis, 0 and more; to be added to a loss.

    Where columns are merged before they are converted, a column serves one output at a time, so a segment takes at least as many
    passes as outputs use its busiest column. With load, the outputs that use each of N columns, the term is the mean over segments
    of N sum(load^2) / sum(load)^2 - max(1, N / sum(load)): 0 where outputs are spread evenly, on disjoint columns if these suffice,
    and more for each two outputs that need the same one. Its gradient goes to the magnitudes of the coefficients, straight through
    the indicator of those that are not 0.
    """
    (held,) = require(model, OnBasis, "on a basis", "combine").values()
    total, count = torch.zeros(()), 0
    for layer in held.model.modules():
        if isinstance(layer, BasisLayer):
            latent = layer.coefficients
            magnitude, used = latent.abs(), (layer.kept() & (latent.abs() >= 0.5)).float()
            load = through(magnitude, used, torch.ones_like(used)).sum(dim=2)
            all_ = load.sum(dim=-1).clamp(min=1)
            vectors = load.shape[-1]
            term = vectors * load.square().sum(dim=-1) / all_**2 - (vectors / all_.detach()).clamp(min=1)
            total, count = total + term.sum(), count + term.numel()
    return total / count


def _same(found: dict[str, Matrix], layers: dict[str, MatrixLayer], network: Network) -> None:
    """Raise NetworkError where the layers of a module are not those of a network."""
    for name, owner in network.owners.items():
        if owner != name:
            raise NetworkError(
                f"layer {name!r} uses the weights of {owner!r}: training on a basis takes layers used once"
            )
    if set(found) != set(layers):
        name = min(set(found) ^ set(layers))
        where = "the network that was fitted" if name in found else "the module"
        raise NetworkError(
            f"layer {name!r} is not to be found in {where}: fit mho.Network.from_torch of this very module"
        )
    for name, matrix in found.items():
        layer = layers[name]
        wanted = layer.matrix(layer.weight.real())
        own = (
            matrix.weight.detach().double().numpy().reshape(layer.groups, layer.columns, layer.rows).transpose(0, 2, 1)
        )
        if np.abs(own - wanted).max() > CLOSE * np.abs(wanted).max():
            raise NetworkError(f"layer {name!r} has other weights in the module than in the network that was fitted")


def _left_out(matrix: Matrix, fitted: QuantisedMatrix) -> Matrix:
    """Return a layer with the weights that its codes stand for, which do not train."""
    weight = torch.from_numpy(fitted.real().transpose(0, 2, 1).copy()).float().reshape(matrix.weight.shape)
    bias = None if fitted.bias is None else nn.Parameter(torch.from_numpy(fitted.bias).float().flatten(), False)
    layer: Matrix = built(type(matrix), attributes(matrix), nn.Parameter(weight, False), bias, matrix.training)
    return layer


def _imported(held: OnBasis) -> Network:
    """Import a model with its weights as they are now."""
    plain = copy.deepcopy(held.model)
    plain = swapped(plain, {id(part): part.plain() for part in plain.modules() if isinstance(part, BasisLayer)})
    old = held.fitted.network
    example = tuple(torch.zeros(layer.shape) for layer in old.inputs)
    network = Network.from_torch(plain.eval(), example)
    return replace(network, name=old.name, origin=old.origin)


__all__ = ["BasisLayer", "OnBasis", "SharedBasis", "combine", "contention", "keep_basis", "settle"]
