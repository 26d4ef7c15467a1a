"""The zoo's torch modules: built without weights, filled as asked, and imported by torch.export."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mho.errors import OptionError
from mho.network.graph import Network
from mho.network.layers import Array, ChannelAffine, Input
from mho.network.torch import from_torch
from mho.network.zoo import convolutional, transformer
from mho.network.zoo.models import TEXT_MODELS
from mho.network.zoo.seeds import origin_of
from mho.network.zoo.weights import Metadata, fill_from_file, fill_seeded, read_metadata

_Maker = Callable[[int, Metadata], nn.Module]

_MAKERS: Mapping[str, _Maker] = {
    "vgg16": lambda size, file: convolutional.Vgg16(),
    "resnet18": lambda size, file: convolutional.ResNet(convolutional.BasicBlock, (2, 2, 2, 2)),
    "resnet34": lambda size, file: convolutional.ResNet(convolutional.BasicBlock, (3, 4, 6, 3)),
    "resnet50": lambda size, file: convolutional.ResNet(convolutional.Bottleneck, (3, 4, 6, 3)),
    "densenet121": lambda size, file: convolutional.DenseNet(32, (6, 12, 24, 16), 64),
    "densenet161": lambda size, file: convolutional.DenseNet(48, (6, 12, 36, 24), 96),
    "mobilenet_v2": lambda size, file: convolutional.MobileNetV2(),
    "resnet20": lambda size, file: convolutional.CifarResNet(3, file.first_epsilon),
    "resnet32": lambda size, file: convolutional.CifarResNet(5, file.first_epsilon),
    "resnet44": lambda size, file: convolutional.CifarResNet(7, file.first_epsilon),
    "resnet56": lambda size, file: convolutional.CifarResNet(9, file.first_epsilon),
    "densenet40": lambda size, file: convolutional.CifarDenseNet(12, 12),
    "vit-b16": lambda size, file: transformer.vit_b16(size),
    "bert-base": lambda size, file: transformer.bert(size, layers=12, hidden=768, heads=12),
    "bert-large": lambda size, file: transformer.bert(size, layers=24, hidden=1024, heads=16),
    "gpt2": lambda size, file: transformer.gpt2(size),
}

_TRANSFORMERS = (*TEXT_MODELS, "vit-b16")


def load_module(name: str, *, weights: str | Path, seed: int, batch: int, size: int) -> Network:
    """Build, fill and import a module; `size` is the image's height and width, or the number of tokens."""
    shapes_only = weights == "none"
    path = None if shapes_only or weights == "seeded" else Path(weights)
    metadata = Metadata() if path is None else read_metadata(path)
    module = _build(name, size, metadata, shapes_only=shapes_only)
    if path is not None:
        fill_from_file(module, path)
    elif not shapes_only:
        fill_seeded(module, seed)
    device = "meta" if shapes_only else "cpu"
    if name in TEXT_MODELS:
        example = torch.zeros(batch, size, dtype=torch.long, device=device)
    else:
        example = torch.zeros(batch, 3, size, size, device=device)
    network = from_torch(module, example, name=name, origin=origin_of(weights, seed))
    return network if metadata.mean is None else _normalised(network, metadata)


def _build(name: str, size: int, metadata: Metadata, *, shapes_only: bool) -> nn.Module:
    """Build a module without spending time, memory or random numbers on values that are replaced anyway."""
    make = _MAKERS[name]
    if name in _TRANSFORMERS and not shapes_only:
        # Built in memory, because buffers such as position indices are part of the model and of no file.
        with transformer.without_values():
            return make(size, metadata).eval()
    with torch.device("meta"):
        module = make(size, metadata).eval()
    return module if shapes_only else module.to_empty(device="cpu")


def _normalised(network: Network, metadata: Metadata) -> Network:
    """Put (pixel / 255 - mean) / std in front, so that the network takes raw pixels 0..255."""
    first = network.layers[0]
    if not isinstance(first, Input) or len(first.shape) != 4 or first.shape[1] != len(metadata.mean or ()):
        raise OptionError(f"{network.name}: the file's mean and std do not fit the input {first.shape}")
    mean, deviation = np.asarray(metadata.mean), np.asarray(metadata.deviation)
    affine = ChannelAffine(
        name="normalise",
        inputs=(first.name,),
        shape=first.shape,
        scale=Array.of((1.0 / (255.0 * deviation)).astype(np.float32)),
        offset=Array.of((-mean / deviation).astype(np.float32)),
    )
    rest = tuple(
        replace(layer, inputs=tuple("normalise" if name == first.name else name for name in layer.inputs))
        for layer in network.layers[1:]
    )
    return replace(network, layers=(first, affine, *rest))
