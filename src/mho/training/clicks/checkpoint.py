"""Checkpoints of a training on clicks: a .safetensors file from which it goes on, and which `open_recommender` reads.

The recommender in it is that of the best epoch so far, in integers and in real numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mho.errors import WeightError
from mho.files.tensors import Arrays, write_tensors
from mho.machine.recommender.files import CLICK_TRAINING, opened, record_of
from mho.network.clicks import Clicks
from mho.network.zoo.interaction import DensePart, of
from mho.training.clicks.train import TABLES, Settings, Training

STATE = "state."


def write_checkpoint(training: Training, path: str | Path) -> None:
    """Write whole or not at all. Raises OutputError where the file cannot be written."""
    real = training.real()
    arrays, record = record_of(training.recommender())
    arrays |= {f"real.tables.{name}": np.asarray(table) for name, table in real.tables.items()}
    arrays |= {f"real.dense.{name}": np.asarray(values) for name, values in real.weights.items()}
    tensors, losses = training.state()
    arrays |= {f"{STATE}{name}": tensor.numpy() for name, tensor in tensors.items()}
    about = {
        "model": training.part.model.record(),
        "settings": training.settings.record(),
        "losses": losses,
        "data": training.clicks.origin,
        "digest": digest(training.clicks),
    }
    metadata = {"format": CLICK_TRAINING, "recommender": json.dumps(record), "training": json.dumps(about)}
    write_tensors(path, arrays, metadata)


def read_checkpoint(clicks: Clicks, path: str | Path, epochs: int | None = None) -> Training:
    """Read a checkpoint of the same clicks, to go on; `epochs` replaces the number to train in all.

    Raises WeightError for a file that is none, or is of other clicks.
    """

    def build(arrays: Arrays, about: dict[str, Any]) -> Training:
        if about["digest"] != digest(clicks):
            raise WeightError(f"trained on other clicks ({about['data']}), not on {clicks.origin}")
        settings = Settings.of(about["settings"])
        part = DensePart(of(about["model"]), clicks.fields, settings.dimension)
        losses = [float(loss) for loss in about["losses"]]
        state = {
            name.removeprefix(STATE): torch.from_numpy(array)
            for name, array in arrays.items()
            if name.startswith(STATE)
        }
        # Before anything of the sizes that it tells is built.
        _check(state, {TABLES: (sum(clicks.rows), part.width), **part.weights()}, len(losses))
        training = Training(clicks, part.model, settings if epochs is None else replace(settings, epochs=epochs))
        _check_ranges(state, training)
        training.restore(state, losses)
        return training

    return opened(path, (CLICK_TRAINING,), build, key="training")


def _check(state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], epochs: int) -> None:
    """Refuse parameters, and moments of Adam, of other shapes, and another number of losses than of epochs."""
    for name, shape in shapes.items():
        for kind in ("model", "best", "adam.exp_avg", "adam.exp_avg_sq"):
            if (given := tuple(state[f"{kind}.{name}"].shape)) != shape:
                raise WeightError(f"tensor '{STATE}{kind}.{name}' has shape {given}, not {shape}")
    if tuple(state["valid"].shape) != (epochs,) or not epochs:
        raise WeightError(f"{epochs} epochs, but losses of shape {tuple(state['valid'].shape)}")


def _check_ranges(state: Mapping[str, Tensor], training: Training) -> None:
    """Refuse what the graph knows of activations where it is of another shape."""
    for name, buffer in training.ranges().items():
        for kind in ("graph", "best"):
            if (given := state[f"{kind}.{name}"].shape) != buffer.shape:
                raise WeightError(f"tensor '{STATE}{kind}.{name}' has shape {tuple(given)}, not {tuple(buffer.shape)}")


def digest(clicks: Clicks) -> str:
    """Return the SHA-256 of ids, labels, folds and rows of tables."""
    state = hashlib.sha256(repr((clicks.rows, clicks.names)).encode())
    for array in (clicks.x, clicks.y, clicks.fold):
        state.update(np.ascontiguousarray(array).data)
    return state.hexdigest()


__all__ = ["digest", "read_checkpoint", "write_checkpoint"]
