"""What is to be run: layers, networks, and their import from torch, ONNX and the zoo."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mho.network import zoo
from mho.network.graph import Network
from mho.network.layers import Affine, Array, Layer, MatrixLayer, MatrixProduct


def from_torch(module: Any, example: Any, *, name: str | None = None, origin: str | None = None) -> Network:
    """Import a torch module by torch.export, traced on `example` (a tensor or a tuple of them). See `network.torch`."""
    from mho.network.torch import from_torch

    return from_torch(module, example, name=name, origin=origin)


def from_onnx(
    path: str | Path,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    values: Mapping[str, Any] | None = None,
) -> Network:
    """Import an ONNX file; `shapes` fixes the shapes of inputs that the file leaves free, `values` whole inputs. See
    `network.onnx`.
    """
    from mho.network.onnx import from_onnx

    return from_onnx(path, shapes=shapes, values=values)


Network.from_torch, Network.from_onnx = from_torch, from_onnx

__all__ = [
    "Affine", "Array", "Layer", "MatrixLayer", "MatrixProduct", "Network", "from_onnx", "from_torch", "zoo",
]  # fmt: skip
