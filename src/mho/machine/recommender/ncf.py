"""The NCF that its authors trained on MovieLens-1M (He et al. 2017, the multilayer perceptron of section 3.3).

Their file holds `user_embedding_W`, `item_embedding_W`, `layer1_W` (inputs, outputs), `layer1_b` ... and `prediction_W`, `_b`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import WeightError
from mho.machine.recommender.recommender import RealRecommender, Recommender
from mho.network.zoo.recommenders import SIZES

NCF_TENSORS: Mapping[str, int] = {
    "user_embedding_W": 2, "item_embedding_W": 2, "layer1_W": 2, "layer1_b": 1, "layer2_W": 2, "layer2_b": 1,
    "layer3_W": 2, "layer3_b": 1, "prediction_W": 2, "prediction_b": 1,
}  # fmt: skip
"""Tensors of the published file, and how many axes each has."""
CALIBRATED_ON = 4096
"""Seeded pairs of a user and an item, uniform over both, that activations are calibrated on: no judged list is looked at."""


def quantise_ncf(real: RealRecommender, **options: Any) -> Recommender:
    """Return the integer form, calibrated on seeded pairs; options as of mho.number.quantise."""
    random = np.random.default_rng(0)
    users, items = (random.integers(0, rows, CALIBRATED_ON) for rows in real.rows)
    return real.quantise(real.bags({"user": users, "item": items}, "seeded pairs"), **options)


def real_ncf(arrays: Mapping[str, npt.NDArray[Any]], path: Path) -> RealRecommender:
    """Build from the tensors of the published file. Raises WeightError for shapes that do not fit."""
    sizes = SIZES["ncf"]
    layers = ("layer1", "layer2", "layer3", "prediction")
    widths = (sizes.vectors * sizes.dimension, *sizes.hidden, 1)
    for name, axes in NCF_TENSORS.items():
        wanted: tuple[int, ...] = (-1, sizes.dimension)
        if name.rpartition("_")[0] in layers:
            place = layers.index(name.rpartition("_")[0])
            wanted = (widths[place], widths[place + 1]) if axes == 2 else (widths[place + 1],)
        shape = arrays[name].shape
        if len(shape) != axes or any(n not in (-1, m) for n, m in zip(wanted, shape, strict=True)):
            raise WeightError(f"{path}: tensor {name!r} has shape {shape}, not {wanted} (-1: any)")
        if not np.isfinite(arrays[name]).all():
            raise WeightError(f"{path}: tensor {name!r} holds values that are not finite (NaN or infinity)")
    weights = {}
    for place, layer in enumerate(layers):
        name = "from_vectors" if place == 0 else f"top.{place - 1}"
        weights[f"{name}.weight"] = np.ascontiguousarray(arrays[f"{layer}_W"].T, dtype=np.float32)
        weights[f"{name}.bias"] = np.asarray(arrays[f"{layer}_b"], dtype=np.float32)
    tables = {"user": arrays["user_embedding_W"], "item": arrays["item_embedding_W"]}
    return RealRecommender("ncf", tables, weights, sizes, f"file {path.name}")
