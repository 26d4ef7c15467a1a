"""The NCF that its authors trained on MovieLens-1M (He et al. 2017, the multilayer perceptron of section 3.3).

Their file holds `user_embedding_W`, `item_embedding_W`, `layer1_W` (inputs, outputs), `layer1_b` ... and `prediction_W`, `_b`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import WeightError
from mho.machine.recommender.recommender import RealRecommender, Recommender
from mho.network.zoo.interaction import DensePart
from mho.network.zoo.interaction.handmade import DLRM
from mho.network.zoo.recommenders import SIZES

NCF = SIZES["ncf"]
PART = DensePart(DLRM(NCF.hidden, NCF.pairs), NCF.vectors, NCF.dimension)
LAYERS = ("layer1", "layer2", "layer3", "prediction")
WIDTHS = tuple(pairwise((NCF.vectors * NCF.dimension, *NCF.hidden, 1)))
NCF_TENSORS: Mapping[str, tuple[int, ...]] = {
    **{f"{table}_embedding_W": (-1, NCF.dimension) for table in ("user", "item")},
    **{f"{layer}_W": widths for layer, widths in zip(LAYERS, WIDTHS, strict=True)},
    **{f"{layer}_b": widths[1:] for layer, widths in zip(LAYERS, WIDTHS, strict=True)},
}
"""Tensors of the published file, each with its shape; -1 is any number."""
CALIBRATED_ON = 4096
"""Seeded pairs of a user and an item, uniform over both, that activations are calibrated on: no judged list is looked at."""


def quantise_ncf(real: RealRecommender, **options: Any) -> Recommender:
    """Return the integer form, calibrated on seeded pairs; options as of mho.number.quantise."""
    random = np.random.default_rng(0)
    users, items = (random.integers(0, rows, CALIBRATED_ON) for rows in real.rows)
    return real.quantise(real.bags({"user": users, "item": items}, "seeded pairs"), **options)


def real_ncf(arrays: Mapping[str, npt.NDArray[Any]], path: Path) -> RealRecommender:
    """Build from the tensors of the published file. Raises WeightError for shapes that do not fit."""
    for name, wanted in NCF_TENSORS.items():
        shape = arrays[name].shape
        if len(shape) != len(wanted) or any(n not in (-1, m) for n, m in zip(wanted, shape, strict=True)):
            raise WeightError(f"{path}: tensor {name!r} has shape {shape}, not {wanted} (-1: any)")
        if not np.isfinite(arrays[name]).all():
            raise WeightError(f"{path}: tensor {name!r} holds values that are not finite (NaN or infinity)")
    weights = {}
    for place, layer in enumerate(LAYERS):
        name = "from_vectors" if place == 0 else f"top.{place - 1}"
        weights[f"{name}.weight"] = np.ascontiguousarray(arrays[f"{layer}_W"].T, dtype=np.float32)
        weights[f"{name}.bias"] = np.asarray(arrays[f"{layer}_b"], dtype=np.float32)
    tables = {"user": arrays["user_embedding_W"], "item": arrays["item_embedding_W"]}
    return RealRecommender("ncf", tables, weights, PART, f"file {path.name}")
