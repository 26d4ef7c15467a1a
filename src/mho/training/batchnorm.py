"""Batch normalisation folded into the matrix layer before it, as the importers do it (`network.fold`).

On the chip the cells hold the folded weights, so these are what is quantised and trained.
"""

from __future__ import annotations

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from mho.errors import NetworkError

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def fold(model: nn.Module) -> nn.Module:
    """Fold every batch normalisation that alone reads a matrix layer into it, in place; nn.Identity takes its place.

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
