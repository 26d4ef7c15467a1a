"""Convolutional networks of the zoo, as small torch modules with the customary parameter names.

VGG-16 (Simonyan and Zisserman 2015, configuration D), ResNet-18, -34 and -50 (He et al. 2016; the stride of a
bottleneck is in its 3x3 convolution), ResNet-20 to -56 for CIFAR-10 (He et al. 2016, section 4.2, shortcuts
of option A), DenseNet-121 and -161 (Huang et al. 2017, table 1, growth 32 and 48), DenseNet-40 for CIFAR-10 (Huang et
al. 2017, section 4.2, growth 12; the plain variant, without bottlenecks and compression), MobileNet-v2 (Sandler et al.
2018).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Vgg16(nn.Module):
    """Thirteen 3x3 convolutions and three linear layers."""

    PLAN = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)

    def __init__(self, classes: int = 1000) -> None:
        """`PLAN` lists output channels, 0 for a 2x2 maximum pooling."""
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in self.PLAN:
            if width == 0:
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W) to logits."""
        x = torch.flatten(self.avgpool(self.features(x)), 1)
        logits: Tensor = self.classifier(x)
        return logits


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        """`downsample` fits the shortcut where shape or channels change."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    @property
    def last_normalisation(self) -> nn.Module:
        """The normalisation before the sum."""
        return self.bn2

    def forward(self, x: Tensor) -> Tensor:
        """Add the block's residue to its input."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        shortcut = x if self.downsample is None else self.downsample(x)
        out: Tensor = self.relu(y + shortcut)
        return out


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        """`width` is that of the 3x3 convolution; the output is four times as wide."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * 4)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    @property
    def last_normalisation(self) -> nn.Module:
        """The normalisation before the sum."""
        return self.bn3

    def forward(self, x: Tensor) -> Tensor:
        """Add the block's residue to its input."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        shortcut = x if self.downsample is None else self.downsample(x)
        out: Tensor = self.relu(y + shortcut)
        return out


class ResNet(nn.Module):
    """Residual network for 224x224 images: four stages of blocks."""

    def __init__(self, block: type[BasicBlock | Bottleneck], depths: Sequence[int], classes: int = 1000) -> None:
        """`depths` gives the blocks of each stage."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = 64
        for stage, depth in enumerate(depths):
            width = 64 << stage
            blocks: list[nn.Module] = []
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                out = width * block.expansion
                downsample = None
                if stride != 1 or channels != out:
                    downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
                blocks.append(block(channels, width, stride, downsample))
                channels = out
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W) to logits."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        logits: Tensor = self.fc(torch.flatten(self.avgpool(x), 1))
        return logits


class Subsample(nn.Module):
    """Shortcut of option A: every second pixel, and zeros for the new channels, half of them on either side."""

    def __init__(self, added: int) -> None:
        """`added` channels are new."""
        super().__init__()
        self.added = added

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C + added, H / 2, W / 2)."""
        half = self.added // 2
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, self.added - half))


class CifarResNet(nn.Module):
    """Residual network for 32x32 images: three stages of `depth` basic blocks with 16, 32 and 64 channels."""

    def __init__(self, depth: int, first_epsilon: float = 1e-5, classes: int = 10) -> None:
        """A network of 6 `depth` + 2 layers; `first_epsilon` belongs to the first batch normalisation."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16, eps=first_epsilon)
        self.relu = nn.ReLU(inplace=True)
        channels = 16
        for stage, width in enumerate((16, 32, 64)):
            blocks: list[nn.Module] = []
            for index in range(depth):
                changes = stage > 0 and index == 0
                shortcut = Subsample(width - channels) if changes else None
                blocks.append(BasicBlock(channels, width, 2 if changes else 1, shortcut))
                channels = width
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, 32, 32) to logits."""
        x = self.relu(self.bn1(self.conv1(x)))
        for stage in range(1, 4):
            x = self.get_submodule(f"layer{stage}")(x)
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


class DenseLayer(nn.Module):
    """Normalise, 1x1 convolution, normalise, 3x3 convolution to `growth` new channels."""

    def __init__(self, channels: int, growth: int) -> None:
        """The 1x1 convolution makes four times `growth` channels."""
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """All channels so far to the new ones."""
        x = self.conv1(self.relu(self.norm1(x)))
        new: Tensor = self.conv2(self.relu(self.norm2(x)))
        return new


class PlainDenseLayer(nn.Module):
    """Normalise, 3x3 convolution to `growth` new channels."""

    def __init__(self, channels: int, growth: int) -> None:
        """The convolution reads all channels so far."""
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(channels, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """All channels so far to the new ones."""
        new: Tensor = self.conv1(self.relu(self.norm1(x)))
        return new


class DenseNetBlock(nn.ModuleDict):
    """Layers that each read the concatenation of all before."""

    def __init__(
        self, channels: int, growth: int, depth: int, layer: type[DenseLayer | PlainDenseLayer] = DenseLayer
    ) -> None:
        """`depth` layers on `channels` channels."""
        super().__init__({f"denselayer{i + 1}": layer(channels + i * growth, growth) for i in range(depth)})

    def forward(self, x: Tensor) -> Tensor:
        """Input channels followed by the new channels of each layer."""
        for layer in self.values():
            x = torch.cat((x, layer(x)), 1)
        return x


class _DenseClassifier(nn.Module):
    """What DenseNets end in: `classifier` reads the means of the rectified `features`."""

    features: nn.Sequential
    classifier: nn.Linear

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W) to logits."""
        x = functional.relu(self.features(x))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


class DenseNet(_DenseClassifier):
    """Dense blocks with halving transitions between them."""

    def __init__(self, growth: int, depths: Sequence[int], channels: int, classes: int = 1000) -> None:
        """`channels` leave the first convolution."""
        super().__init__()
        features: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=nn.Conv2d(3, channels, 7, 2, 3, bias=False),
            norm0=nn.BatchNorm2d(channels),
            relu0=nn.ReLU(inplace=True),
            pool0=nn.MaxPool2d(3, 2, 1),
        )
        for index, depth in enumerate(depths):
            features[f"denseblock{index + 1}"] = DenseNetBlock(channels, growth, depth)
            channels += depth * growth
            if index < len(depths) - 1:
                features[f"transition{index + 1}"] = _transition(channels, channels // 2)
                channels //= 2
        features["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(features)
        self.classifier = nn.Linear(channels, classes)


class CifarDenseNet(_DenseClassifier):
    """Plain DenseNet for 32x32 images: three blocks of `depth` layers, between them transitions that keep the channels."""

    def __init__(self, growth: int, depth: int, channels: int = 16, classes: int = 10) -> None:
        """A network of 3 `depth` + 4 layers; `channels` leave the first convolution."""
        super().__init__()
        features: OrderedDict[str, nn.Module] = OrderedDict(conv0=nn.Conv2d(3, channels, 3, padding=1, bias=False))
        for index in range(1, 4):
            features[f"denseblock{index}"] = DenseNetBlock(channels, growth, depth, PlainDenseLayer)
            channels += depth * growth
            if index < 3:
                features[f"transition{index}"] = _transition(channels, channels)
        features["norm4"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(features)
        self.classifier = nn.Linear(channels, classes)


def _transition(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(channels),
            relu=nn.ReLU(inplace=True),
            conv=nn.Conv2d(channels, out, 1, bias=False),
            pool=nn.AvgPool2d(2, 2),
        )
    )


class InvertedResidual(nn.Module):
    """Expand by a 1x1 convolution, filter depthwise, project linearly."""

    def __init__(self, channels: int, out: int, stride: int, expansion: int) -> None:
        """The shortcut exists where shape and channels stay."""
        super().__init__()
        hidden = channels * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(_convolution(channels, hidden, 1, 1, 1))
        layers += [
            _convolution(hidden, hidden, 3, stride, hidden),
            nn.Conv2d(hidden, out, 1, bias=False),
            nn.BatchNorm2d(out),
        ]
        self.conv = nn.Sequential(*layers)
        self.shortcut = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """Add the block's residue to its input where there is a shortcut."""
        y: Tensor = self.conv(x)
        return x + y if self.shortcut else y


def _convolution(channels: int, out: int, kernel: int, stride: int, groups: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU6(inplace=True),
    )


class MobileNetV2(nn.Module):
    """Inverted residuals at width 1.0."""

    PLAN = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )

    def __init__(self, classes: int = 1000) -> None:
        """`PLAN` lists expansion, channels, repeats and first stride (Sandler et al. 2018, table 2)."""
        super().__init__()
        layers: list[nn.Module] = [_convolution(3, 32, 3, 2, 1)]
        channels = 32
        for expansion, out, repeats, stride in self.PLAN:
            for index in range(repeats):
                layers.append(InvertedResidual(channels, out, stride if index == 0 else 1, expansion))
                channels = out
        layers.append(_convolution(channels, 1280, 1, 1, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W) to logits."""
        logits: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return logits
