"""Where weights are from; one seed in, the same weights out."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the random numbers of one tensor: they depend on the seed and the tensor's name alone."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def origin_of(weights: str | Path, seed: int) -> str:
    """Say where weights are from: "none", "seeded", or else a file."""
    words = {"none": "none (shapes only)", "seeded": f"seeded {seed} (synthetic)"}
    return words.get(str(weights), f"file {Path(weights).name}")
