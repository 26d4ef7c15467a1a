"""Matrix layers of torch modules: found, rebuilt, put in one another's places, batch normalisation folded into them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from mho.errors import NetworkError

Matrix = nn.Linear | nn.Conv2d
MATRICES = (nn.Linear, nn.Conv2d)
DIGITAL = (
    nn.Embedding, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.PReLU, nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
)  # fmt: skip
"""Modules of torch.nn with parameters that the chip's vector unit computes: they stay as they are."""
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
Kind = TypeVar("Kind", bound=nn.Module)


class _Through(torch.autograd.Function):
    """A value in place of another one, to which the gradient passes where `inside`."""

    @staticmethod
    def forward(ctx: Any, real: Tensor, shown: Tensor, inside: Tensor) -> Tensor:
        """Return what is shown."""
        ctx.save_for_backward(inside)
        return shown.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Pass straight through."""
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None


def through(real: Tensor, shown: Tensor, inside: Tensor) -> Tensor:
    """Return `shown`, whose gradient is that of `real` where `inside` and 0 elsewhere.

    Straight-through: Bengio et al., "Estimating or propagating gradients through stochastic neurons", 2013, section 4.
    """
    result: Tensor = _Through.apply(real, shown, inside)  # type: ignore[no-untyped-call]
    return result


def check_module(module: Any) -> None:
    """Raise NetworkError for what is no torch module."""
    if not isinstance(module, nn.Module):
        raise NetworkError(f"training takes a torch.nn.Module, not {type(module).__name__}")


def require(model: Any, kind: type[Kind] | tuple[type[Kind], ...], state: str, maker: str) -> dict[str, Kind]:
    """Return the layers of a kind by name; raise NetworkError for a module that has none: it is not in that `state`."""
    check_module(model)
    layers = {name: part for name, part in model.named_modules() if isinstance(part, kind)}
    if not layers:
        raise NetworkError(f"{type(model).__name__} is not {state}; mho.training.{maker} does it")
    return layers


def attributes(layer: Matrix) -> dict[str, Any]:
    """Return the arguments that a matrix layer was built with, but for its bias."""
    keys = ["in_features", "out_features"]
    if isinstance(layer, nn.Conv2d):
        keys = ["in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode"]
    return {key: getattr(layer, key) for key in keys}


def built(kind: Any, arguments: Mapping[str, Any], weight: Tensor, bias: Tensor | None, training: bool) -> Any:
    """Return a matrix layer of a class with these very parameters."""
    layer = kind(**arguments, bias=bias is not None, device="meta")
    layer.weight, layer.bias = weight, bias
    return layer.train(training)


def swapped(model: nn.Module, replacements: Mapping[int, nn.Module]) -> nn.Module:
    """Put new modules in the places of old ones, told by their ids, in place; return the model, or what replaces it."""
    for module in list(model.modules()):
        for key, child in module._modules.items():
            module._modules[key] = child if child is None else replacements.get(id(child), child)
    return replacements.get(id(model), model)


def fold(model: nn.Module) -> nn.Module:
    """Fold every batch normalisation that alone reads a matrix layer into it, in place; nn.Identity takes its place.

    So do the importers (`network.fold`): on the chip the cells hold the folded weights, which are what is quantised and trained.
    One that reads anything else stays, with its statistics, in the vector unit. Raises NetworkError where torch.fx cannot trace the
    module, so that it cannot be told which layer a normalisation reads.
    """
    if not any(isinstance(part, NORMS) for part in model.modules()):
        return model
    try:
        graph = fx.Tracer().trace(model)
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise NetworkError(
            f"{type(model).__name__} has batch normalisation, and torch.fx cannot trace it to fold that; "
            f"fold it into the layers before: {lines[0]}"
        ) from error
    parts = dict(model.named_modules())
    calls = [node.target for node in graph.nodes if node.op == "call_module"]
    for node in graph.nodes:
        norm = parts.get(str(node.target)) if node.op == "call_module" else None
        source = node.args[0] if node.args else None
        if not isinstance(norm, NORMS) or not isinstance(source, fx.Node) or source.op != "call_module":
            continue
        matrix = parts[str(source.target)]
        alone = len(source.users) == 1 and calls.count(node.target) == calls.count(source.target) == 1
        if not alone or norm.running_mean is None:
            continue
        folded = _folded(matrix, norm)
        if folded is None or folded.bias is None:  # a fused layer always has a bias
            continue
        matrix.weight = nn.Parameter(folded.weight.detach(), matrix.weight.requires_grad)
        matrix.bias = nn.Parameter(folded.bias.detach(), matrix.weight.requires_grad)
        owner, _, leaf = str(node.target).rpartition(".")
        parts[owner]._modules[leaf] = nn.Identity()
    return model


def _folded(matrix: nn.Module, norm: nn.Module) -> nn.Conv2d | nn.Linear | None:
    """Return the matrix layer with the normalisation in its weights, None where the two do not go together."""
    modes = matrix.training, norm.training
    matrix.eval()
    norm.eval()
    try:
        with torch.no_grad():
            if type(matrix) is nn.Conv2d and isinstance(norm, nn.BatchNorm2d):
                return fuse_conv_bn_eval(matrix, norm)
            if type(matrix) is nn.Linear and isinstance(norm, nn.BatchNorm1d):
                return fuse_linear_bn_eval(matrix, norm)
            return None
    finally:
        matrix.train(modes[0])
        norm.train(modes[1])
