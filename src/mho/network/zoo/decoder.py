"""Decoder-only transformers in the style of Llama 3, built directly as layers, so that 70 billion weights cost nothing.

Embedding; per block root-mean-square normalisation, grouped-query attention with rotary embedding and a causal mask,
root-mean-square normalisation and SwiGLU; final normalisation and output head (Grattafiori et al. 2024, The Llama 3
herd of models, section 3.2; Su et al. 2021 for the rotary embedding; Ainslie et al. 2023 for grouped queries; Shazeer
2020 for SwiGLU). One run processes `sequence` tokens at once (a prefill). Names are those of the published checkpoints.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError, WeightError
from mho.network.builder import LOWEST, Builder
from mho.network.graph import Network
from mho.network.layers import Array
from mho.network.zoo.seeds import generator, origin_of

FloatArray = npt.NDArray[np.float32]


MOST: Mapping[str, int] = {
    "layers": 512, "hidden": 2**16, "heads": 2**12, "key_value_heads": 2**12, "intermediate": 2**18, "vocabulary": 2**20,
    "sequence": 2**20,
}  # fmt: skip
"""Sizes from 1 on; several times those of any decoder that was published."""
REALS: Mapping[str, tuple[float, float]] = {"rope_theta": (1.0, 1e12), "epsilon": (1e-12, 1.0)}


@dataclass(frozen=True, kw_only=True)
class DecoderConfiguration:
    """Sizes of a decoder.

    `hidden` features are split into `heads` query heads; `key_value_heads` of keys and values are shared by
    `heads / key_value_heads` query heads each. `tied` uses the embedding table as the output head.
    """

    name: str = "decoder"
    layers: int
    hidden: int
    heads: int
    key_value_heads: int
    intermediate: int
    vocabulary: int
    sequence: int = 128
    rope_theta: float = 500000.0
    epsilon: float = 1e-5
    tied: bool = False

    def __post_init__(self) -> None:
        """Refuse sizes out of their range and heads that do not divide."""
        for name, most in MOST.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
                raise OptionError(f"decoder: {name} must be a whole number from 1 to {most}, not {value!r}")
        for name, (least, highest) in REALS.items():
            if not least <= getattr(self, name) <= highest:
                raise OptionError(f"decoder: {name} must be from {least:g} to {highest:g}, not {getattr(self, name)!r}")
        if self.hidden % self.heads or (self.hidden // self.heads) % 2:
            raise OptionError(f"decoder: hidden {self.hidden} must split into {self.heads} heads of even size")
        if self.heads % self.key_value_heads:
            raise OptionError(f"decoder: {self.heads} heads cannot share {self.key_value_heads} key_value_heads")

    @property
    def depth(self) -> int:
        """Return the number of features of one head."""
        return self.hidden // self.heads

    @property
    def parameters(self) -> int:
        """Return the number of parameters: weights, embedding and normalisations."""
        return sum(math.prod(shape) for shape in tensors(self).values())


PRESETS: Mapping[str, DecoderConfiguration] = {
    configuration.name: configuration
    for configuration in (
        # Grattafiori et al. 2024, table 3.
        DecoderConfiguration(
            name="llama3-8b", layers=32, hidden=4096, heads=32, key_value_heads=8, intermediate=14336, vocabulary=128256
        ),
        DecoderConfiguration(
            name="llama3-70b",
            layers=80,
            hidden=8192,
            heads=64,
            key_value_heads=8,
            intermediate=28672,
            vocabulary=128256,
        ),
    )
}


def load_decoder(name: str, *, weights: str, seed: int, batch: int, sequence: int) -> Network:
    """Build a preset for `sequence` tokens."""
    return decoder(replace(PRESETS[name], sequence=sequence), weights=weights, seed=seed, batch=batch)


def decoder(
    configuration: DecoderConfiguration, *, weights: str | Path = "none", seed: int = 0, batch: int = 1
) -> Network:
    """Build a decoder: tokens (batch, sequence) to logits (batch, sequence, vocabulary).

    `weights` is "none" (shapes alone), "seeded" (synthetic) or the path of a .safetensors file with the names
    of `tensors`. Raises WeightError where a file does not fit.
    """
    if batch < 1:
        raise OptionError(f"batch must be at least 1, not {batch}")
    model = _Decoder(configuration, _weights(configuration, weights, seed), known=str(weights) != "none")
    output, origin = model.logits(batch), origin_of(weights, seed)
    return Network(
        name=configuration.name, layers=tuple(model.builder.layers.values()), outputs=(output,), origin=origin
    )


def tensors(configuration: DecoderConfiguration) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of a decoder's parameters."""
    hidden, wide = configuration.hidden, configuration.intermediate
    shared = configuration.key_value_heads * configuration.depth
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (configuration.vocabulary, hidden)}
    for index in range(configuration.layers):
        block = f"model.layers.{index}"
        shapes |= {
            f"{block}.input_layernorm.weight": (hidden,),
            f"{block}.self_attn.q_proj.weight": (hidden, hidden),
            f"{block}.self_attn.k_proj.weight": (shared, hidden),
            f"{block}.self_attn.v_proj.weight": (shared, hidden),
            f"{block}.self_attn.o_proj.weight": (hidden, hidden),
            f"{block}.post_attention_layernorm.weight": (hidden,),
            f"{block}.mlp.gate_proj.weight": (wide, hidden),
            f"{block}.mlp.up_proj.weight": (wide, hidden),
            f"{block}.mlp.down_proj.weight": (hidden, wide),
        }
    shapes["model.norm.weight"] = (hidden,)
    if not configuration.tied:
        shapes["lm_head.weight"] = (configuration.vocabulary, hidden)
    return shapes


@dataclass(frozen=True)
class _Decoder:
    """A decoder under construction: its sizes and weights, and the builder; `known`: whether its tables have values."""

    configuration: DecoderConfiguration
    arrays: Mapping[str, Array]
    known: bool
    builder: Builder = field(default_factory=Builder)

    def logits(self, batch: int) -> str:
        """Append everything, from tokens (batch, sequence) to logits (batch, sequence, vocabulary)."""
        builder, configuration = self.builder, self.configuration
        builder.scope = "input_ids"
        tokens = builder.input((batch, configuration.sequence), type="int64")
        tables, mask = self.rotary(), self.mask()
        builder.scope = "model.embed_tokens"
        x = builder.embedding(tokens, self.arrays["model.embed_tokens.weight"])
        for index in range(configuration.layers):
            x = self.block(f"model.layers.{index}", x, tables, mask)
        x = self.norm("model.norm", x)
        builder.scope = "lm_head"
        return builder.linear(x, self.arrays["model.embed_tokens.weight" if configuration.tied else "lm_head.weight"])

    def block(self, block: str, x: str, tables: tuple[str, str], mask: str) -> str:
        """Append a block: attention and SwiGLU, each behind a normalisation and added to what it reads."""
        builder = self.builder
        normal = self.norm(f"{block}.input_layernorm", x)
        attended = self.attention(f"{block}.self_attn", normal, tables, mask)
        builder.scope = f"{block}.self_attn"
        x = builder.elementwise("add", x, attended, "residual")
        normal = self.norm(f"{block}.post_attention_layernorm", x)
        gate, up = (self.project(f"{block}.mlp.{name}_proj", normal) for name in ("gate", "up"))
        builder.scope = f"{block}.mlp"
        gated = builder.elementwise("multiply", builder.activation(gate, "silu", part="silu"), up, "gated")
        down = self.project(f"{block}.mlp.down_proj", gated)
        builder.scope = f"{block}.mlp"
        return builder.elementwise("add", x, down, "residual")

    def attention(self, scope: str, x: str, tables: tuple[str, str], mask: str) -> str:
        """Append attention on tensors (B, key-value heads, query heads that share them, tokens, features)."""
        builder = self.builder
        batch, sequence, _ = builder.shape(x)
        groups, depth = self.configuration.key_value_heads, self.configuration.depth
        parts = {}
        for letter, heads in (("q", self.configuration.heads // groups), ("k", 1), ("v", 1)):
            flat = self.project(f"{scope}.{letter}_proj", x)
            builder.scope = f"{scope}.{letter}"
            split = builder.reshape(flat, (batch, sequence, groups, heads, depth), "reshape")
            parts[letter] = builder.transpose(split, (0, 2, 3, 1, 4), "transpose")
        query, key = (self.rotate(f"{scope}.{letter}", parts[letter], tables) for letter in "qk")
        builder.scope = scope
        scores = builder.product(query, builder.swap(key, -1, -2, "transpose"), "scores")
        scores = builder.scale_shift(scores, 1.0 / math.sqrt(depth), 0.0, "scale")
        chances = builder.softmax(builder.elementwise("add", scores, mask, "mask"), -1, "softmax")
        mixed = builder.transpose(builder.product(chances, parts["v"], "product"), (0, 3, 1, 2, 4), "transpose")
        joined = builder.reshape(mixed, (batch, sequence, self.configuration.hidden), "reshape")
        return self.project(f"{scope}.o_proj", joined)

    def rotate(self, scope: str, x: str, tables: tuple[str, str]) -> str:
        """Rotate feature pairs (i, i + depth / 2): x cos + (second half, first half) (-sin, sin)."""
        builder, half = self.builder, self.configuration.depth // 2
        builder.scope = scope
        first = builder.slice(x, -1, 0, half, part="first")
        second = builder.slice(x, -1, half, 2 * half, part="second")
        turned = builder.concatenate((second, first), -1, "turned")
        along = builder.elementwise("multiply", x, tables[0], "cosine")
        across = builder.elementwise("multiply", turned, tables[1], "sine")
        return builder.elementwise("add", along, across, "rotated")

    def rotary(self) -> tuple[str, str]:
        """Append tables cos(p f_i) and (-sin(p f_i), sin(p f_i)) for position p and frequency f_i = theta^(-2i / depth)."""
        configuration, half = self.configuration, self.configuration.depth // 2
        self.builder.scope = "model.rotary"
        shape = (1, 1, 1, configuration.sequence, configuration.depth)
        if not self.known:
            return self.constant(shape, None, "cosine"), self.constant(shape, None, "sine")
        angle = np.arange(configuration.sequence)[:, None] * configuration.rope_theta ** (-np.arange(half) / half)
        sines = np.concatenate((-np.sin(angle), np.sin(angle)), axis=1)
        return self.constant(shape, np.tile(np.cos(angle), 2), "cosine"), self.constant(shape, sines, "sine")

    def mask(self) -> str:
        """Append what is added to scores: a token sees itself and those before it."""
        self.builder.scope = "model.mask"
        shape = (1, 1, 1, self.configuration.sequence, self.configuration.sequence)
        return self.constant(shape, np.triu(np.full(shape, LOWEST, dtype=np.float32), 1) if self.known else None)

    def constant(self, shape: tuple[int, ...], values: npt.NDArray[Any] | None, part: str | None = None) -> str:
        """Append a constant, or the shape of one whose values are not known."""
        array = Array(shape) if values is None else Array.of(values.astype(np.float32).reshape(shape))
        return self.builder.constant(array, part)

    def norm(self, scope: str, x: str) -> str:
        """Append a normalisation by the root of the mean square."""
        self.builder.scope = scope
        return self.builder.normalise(x, "rms", self.configuration.epsilon, self.arrays[f"{scope}.weight"])

    def project(self, scope: str, x: str) -> str:
        """Append a linear layer."""
        self.builder.scope = scope
        return self.builder.linear(x, self.arrays[f"{scope}.weight"])


def _weights(configuration: DecoderConfiguration, weights: str | Path, seed: int) -> dict[str, Array]:
    shapes = tensors(configuration)
    if weights == "none":
        return {name: Array(shape) for name, shape in shapes.items()}
    if weights == "seeded":
        _check_memory(configuration)
        return {name: Array.of(_seeded(name, shape, seed)) for name, shape in shapes.items()}
    from mho.network.zoo.weights import read_tensors

    path = Path(weights)
    return {name: _from_file(name, values, path) for name, values in read_tensors(path, shapes).items()}


def _check_memory(configuration: DecoderConfiguration) -> None:
    """Refuse to draw weights that this machine cannot hold, rather than be killed half-way."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return
    memory, needed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), 4 * configuration.parameters
    if needed > memory:
        raise OptionError(
            f"seeded weights of {configuration.name} take {needed / 1e9:.1f} GB, this machine has {memory / 1e9:.1f} GB; "
            "by shapes alone (weights 'none') it can be timed, not executed"
        )


def _from_file(name: str, values: FloatArray, path: Path) -> Array:
    try:
        return Array.of(values)
    except WeightError as error:
        raise WeightError(f"{path}: tensor {name!r}: {error}") from error


def _seeded(name: str, shape: tuple[int, ...], seed: int) -> FloatArray:
    """Synthetic weights: normal with variance 1 / inputs; embeddings of variance 1; normalisations near 1."""
    random = generator(seed, name)
    if len(shape) == 1:
        return (0.8 + 0.4 * random.random(shape, dtype=np.float32)).astype(np.float32)
    deviation = 1.0 if "embed" in name else 1.0 / math.sqrt(shape[1])
    return (random.standard_normal(shape, dtype=np.float32) * np.float32(deviation)).astype(np.float32)
