"""The trained stages 1 to 3 of ResNet-50 v2, of which the data hold the weights: a part of a network, without a classifier."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mho.network import Network

FILE = "imagenet/resnet50v2_stage1to3_fp16.safetensors"
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels as 0..1; the network takes normalised images."""
STAGES = ((3, 64, 1), (4, 128, 2), (6, 256, 2))
"""Units, inner channels, and stride of each stage."""


def stages(folder: Path) -> Network:
    """Build stem and stages 1 to 3 (43 convolutions; He et al., pre-activation units), its output the normalised features."""
    import torch
    from safetensors.torch import load_file
    from torch import nn

    import mho

    tensors = {name: tensor.float() for name, tensor in load_file(folder / FILE).items()}

    def normal(name: str) -> nn.Module:
        gamma = tensors[f"{name}_gamma"]
        layer = nn.BatchNorm2d(len(gamma), eps=1e-5)
        parts = {"weight": "gamma", "bias": "beta", "running_mean": "running_mean", "running_var": "running_var"}
        layer.load_state_dict({key: tensors[f"{name}_{part}"] for key, part in parts.items()}, strict=False)
        return layer

    def convolution(name: str, stride: int = 1) -> nn.Module:
        weight = tensors[f"{name}_weight"]
        size = weight.shape[2]
        layer = nn.Conv2d(weight.shape[1], weight.shape[0], size, stride, size // 2, bias=False)
        layer.weight = nn.Parameter(weight)
        return layer

    class Unit(nn.Module):
        """x + conv(relu(bn(conv(relu(bn(conv(relu(bn(x))))))))); the first unit of a stage projects x after its activation."""

        def __init__(self, stage: str, first: bool, conv: int, norm: int, stride: int) -> None:
            super().__init__()
            self.norms = nn.ModuleList(normal(f"{stage}_batchnorm{norm + i}") for i in range(3))
            strides = (1, stride, 1)
            self.convs = nn.ModuleList(convolution(f"{stage}_conv{conv + i}", strides[i]) for i in range(3))
            self.project = convolution(f"{stage}_conv{conv + 3}", stride) if first else None

        def forward(self, x: Any) -> Any:
            y = torch.relu(self.norms[0](x))
            kept = x if self.project is None else self.project(y)
            y = self.convs[0](y)
            y = self.convs[1](torch.relu(self.norms[1](y)))
            return kept + self.convs[2](torch.relu(self.norms[2](y)))

    parts: list[nn.Module] = [
        normal("batchnorm0"), convolution("conv0", 2), normal("batchnorm1"), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
    ]  # fmt: skip
    for number, (units, _, stride) in enumerate(STAGES, start=1):
        conv = norm = 0
        for unit in range(units):
            parts.append(Unit(f"stage{number}", unit == 0, conv, norm, stride if unit == 0 else 1))
            conv, norm = conv + (4 if unit == 0 else 3), norm + 3
    parts += [normal("stage4_batchnorm0"), nn.ReLU()]
    model = nn.Sequential(*parts).eval()
    origin = f"file {Path(FILE).name}"
    return mho.Network.from_torch(model, torch.zeros(1, 3, 224, 224), name="resnet50v2 stages 1-3", origin=origin)


def images(folder: Path, file: str, count: int) -> Any:
    """Read the first images, normalised, float32 (count, 3, 224, 224)."""
    import numpy as np

    with np.load(folder / file) as arrays:
        pixels = arrays["x" if "x" in arrays.files else next(k for k in arrays.files if arrays[k].ndim == 4)][:count]
    scaled = (pixels / 255.0 - np.array(MEAN)) / np.array(SPREAD)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), dtype=np.float32)
