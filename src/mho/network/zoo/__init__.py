"""Known models: convolutional networks, transformers, decoders and recommenders, by shape alone, seeded, or from a file.

mho.zoo.load("resnet50")                                  shapes alone, on torch's meta device: no memory
mho.zoo.load("resnet50", weights="seeded", seed=0)        synthetic weights, the same on every machine
mho.zoo.load("resnet20", weights="resnet20.safetensors")  trained weights
mho.zoo.load("bert-base", sequence=64)                    tokens per sample (default 128)
mho.zoo.load("mobilenet_v2", input_size=32, batch=4)      image of 32x32 pixels (default 224)
mho.zoo.load("dlrm", batch=64)                            dense part of a recommender: 64 queries' looked-up vectors
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from mho.errors import OptionError, choices
from mho.network.zoo.models import DECODERS, IMAGE_SIZES, RECOMMENDERS, SEQUENCE, TEXT_MODELS

if TYPE_CHECKING:
    from pathlib import Path

    from mho.network.graph import Network


def names() -> tuple[str, ...]:
    """Return the names that `load` knows, sorted."""
    return tuple(sorted((*IMAGE_SIZES, *TEXT_MODELS, *DECODERS, *RECOMMENDERS)))


def load(
    name: str,
    *,
    weights: str | Path = "none",
    seed: int = 0,
    batch: int = 1,
    input_size: int | None = None,
    sequence: int | None = None,
) -> Network:
    """Load a model of the zoo.

    `weights` is "none" (shapes alone), "seeded" (synthetic, from `seed`) or the path of a .safetensors file.
    `input_size` belongs to models that read images, `sequence` to those that read tokens. Raises OptionError for an
    unknown name or an option that the model does not have, WeightError where a file does not fit the model.
    """
    if name not in names():
        raise OptionError(f"unknown model {name!r}; {choices(name, names())}")
    for option, value in (("batch", batch), ("input_size", input_size), ("sequence", sequence)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise OptionError(f"{option} of {name} must be a whole number of at least 1, not {value!r}")
    if name in RECOMMENDERS:
        if input_size is not None or sequence is not None:
            raise OptionError(f"{name} reads vectors of fixed sizes and takes neither input_size nor sequence")
        from mho.network.zoo.recommenders import load_dense

        return load_dense(name, weights=weights, seed=seed, batch=batch)
    if name in IMAGE_SIZES and sequence is not None:
        raise OptionError(f"{name} reads images and takes input_size, not sequence")
    if name not in IMAGE_SIZES and input_size is not None:
        raise OptionError(f"{name} reads tokens and takes sequence, not input_size")
    if name in DECODERS:
        from mho.network.zoo.decoder import load_decoder

        return load_decoder(name, weights=str(weights), seed=seed, batch=batch, sequence=sequence or SEQUENCE)
    size = input_size or IMAGE_SIZES[name] if name in IMAGE_SIZES else sequence or SEQUENCE
    if weights == "none":
        return _shapes(name, batch, size)
    from mho.network.zoo.modules import load_module

    return load_module(name, weights=weights, seed=seed, batch=batch, size=size)


@cache
def _shapes(name: str, batch: int, size: int) -> Network:
    """Return a model by shape alone, made once a process: from its file or, at other sizes than the usual, by torch."""
    from mho.network.zoo.shapes import kept

    network = kept(name, batch, size)
    if network is not None:
        return network
    from mho.network.zoo.modules import load_module

    return load_module(name, weights="none", seed=0, batch=batch, size=size)


__all__ = ["DECODERS", "IMAGE_SIZES", "RECOMMENDERS", "SEQUENCE", "TEXT_MODELS", "load", "names"]
