"""Random small networks and chips."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from mho.chip import Chip
from mho.network.graph import Network
from mho.network.layers import (
    Activation,
    Array,
    Concatenate,
    Convolution,
    Elementwise,
    Input,
    Layer,
    Linear,
    MatrixProduct,
    Pool,
    Reduce,
    Reshape,
    Softmax,
    Transpose,
)


class Sketch:
    """A network drawn layer by layer."""

    def __init__(self, seed: int, shape: tuple[int, ...]) -> None:
        self.generator = np.random.default_rng(seed)
        self.layers: list[Layer] = [Input(name="input", inputs=(), shape=shape)]

    def add(self, layer: Layer) -> Layer:
        self.layers.append(layer)
        return layer

    def name(self, kind: str) -> str:
        return f"{kind}{len(self.layers)}"

    def weight(self, *shape: int) -> Array:
        spread = 1.5 / np.sqrt(np.prod(shape[1:]))
        return Array.of((self.generator.standard_normal(shape) * spread).astype(np.float32))

    def convolution(
        self, source: Layer, channels: int, kernel: int, stride: int, padding: int, dilation: int, groups: int
    ) -> Layer:
        batch, given, height, width = source.shape
        high, wide = ((n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1 for n in (height, width))
        return self.add(
            Convolution(
                name=self.name("convolution"), inputs=(source.name,), shape=(batch, channels, high, wide),
                weight=self.weight(channels, given // groups, kernel, kernel), bias=self.weight(channels),
                stride=(stride, stride), padding=(padding,) * 4, dilation=(dilation, dilation), convolution_groups=groups,
            )
        )  # fmt: skip

    def linear(self, source: Layer, features: int) -> Layer:
        return self.add(
            Linear(
                name=self.name("linear"), inputs=(source.name,), shape=(*source.shape[:-1], features),
                weight=self.weight(features, source.shape[-1]), bias=self.weight(features),
            )
        )  # fmt: skip

    def network(self) -> Network:
        return Network("drawn", tuple(self.layers), (self.layers[-1].name,), "drawn (synthetic)")


@st.composite
def convolutional(draw: st.DrawFn) -> Network:
    """A few convolutions of every kind, with pooling, skips and concatenations, and a linear layer at the end."""
    channels = draw(st.sampled_from([1, 2, 3, 4]))
    size = draw(st.integers(4, 8))
    sketch = Sketch(draw(st.integers(0, 2**16)), (1, channels, size, size))
    here: Layer = sketch.layers[0]
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["convolution", "depthwise", "grouped", "skip", "concatenate", "pool"]))
        channels, size = here.shape[1], here.shape[2]
        if kind == "pool" and size >= 2:
            here = sketch.add(
                Pool(
                    name=sketch.name("pool"), inputs=(here.name,), shape=(1, channels, size // 2, size // 2),
                    function=draw(st.sampled_from(["maximum", "average"])), kernel=(2, 2), stride=(2, 2),
                )
            )  # fmt: skip
        elif kind in ("skip", "concatenate"):
            made = sketch.convolution(here, channels, 3, 1, 1, 1, 1)
            names, count = (here.name, made.name), 2 * channels
            here = sketch.add(
                Elementwise(name=sketch.name("add"), inputs=names, shape=here.shape, function="add")
                if kind == "skip"
                else Concatenate(name=sketch.name("join"), inputs=names, shape=(1, count, size, size), axis=1)
            )
        else:
            kernel = draw(st.sampled_from([1, 3] if size >= 3 else [1]))
            dilation = draw(st.sampled_from([1, 2] if size > 2 * (kernel - 1) else [1]))
            groups = channels if kind == "depthwise" else 2 if kind == "grouped" and channels % 2 == 0 else 1
            made = draw(st.integers(1, 4)) * groups
            here = sketch.convolution(
                here, made, kernel, draw(st.integers(1, 2)), draw(st.integers(0, 1)), dilation, groups
            )
        if draw(st.booleans()):
            here = sketch.add(
                Activation(name=sketch.name("relu"), inputs=(here.name,), shape=here.shape, function="relu")
            )
    here = sketch.add(
        Reduce(name="mean", inputs=(here.name,), shape=here.shape[:2], function="mean", axes=(2, 3), keep=False)
    )
    sketch.linear(here, draw(st.integers(1, 9)))
    return sketch.network()


@st.composite
def attention(draw: st.DrawFn) -> Network:
    """One attention head and a linear layer behind it."""
    tokens, width = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    sketch = Sketch(draw(st.integers(0, 2**16)), (1, tokens, width))
    source = sketch.layers[0]
    query, key, value = (sketch.linear(source, width) for _ in range(3))
    turned = sketch.add(Transpose(name="turned", inputs=(key.name,), shape=(1, width, tokens), permutation=(0, 2, 1)))
    scores = sketch.add(
        MatrixProduct(name="scores", inputs=(query.name, turned.name), shape=(1, tokens, tokens), inner=width)
    )
    weights = sketch.add(Softmax(name="softmax", inputs=(scores.name,), shape=scores.shape, axis=2))
    mixed = sketch.add(
        MatrixProduct(name="mixed", inputs=(weights.name, value.name), shape=(1, tokens, width), inner=tokens)
    )
    flat = sketch.add(Reshape(name="flat", inputs=(mixed.name,), shape=(1, tokens * width)))
    sketch.linear(flat, draw(st.integers(1, 9)))
    return sketch.network()


networks = st.one_of(convolutional(), attention())


@st.composite
def chips(draw: st.DrawFn) -> Chip:
    """Chips whose arrays divide nothing, of 1 to 4 bit cells, often too small for one layer."""
    bits = draw(st.integers(1, 4))
    columns = draw(st.integers(-(-8 // bits), 24))
    return Chip.load("aras").override(
        {
            "array.rows": draw(st.integers(1, 20)),
            "array.columns": columns,
            "array.adcs": 1,
            "array.cell_bits": bits,
            "group.arrays": draw(st.integers(1, 3)),
            "tile.groups": draw(st.integers(1, 3)),
            "tiles": draw(st.integers(1, 6)),
            "layer_order": draw(st.sampled_from(["sequential", "dataflow"])),
        },
        source="drawn",
    )
