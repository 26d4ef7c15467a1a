"""What is to be run: layers, networks, and their import from torch, ONNX and the zoo."""

from __future__ import annotations

from mho.network import zoo
from mho.network.graph import Network
from mho.network.layers import Affine, Array, Layer, MatrixLayer, MatrixProduct

__all__ = ["Affine", "Array", "Layer", "MatrixLayer", "MatrixProduct", "Network", "zoo"]
