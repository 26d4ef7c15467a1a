"""Checkpoints of a training: a .safetensors file from which it goes on, and which `open_recommender` reads as a recommender."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mho.errors import WeightError
from mho.files.tensors import Arrays, write_tensors
from mho.machine.recommender.files import CHECKPOINT, opened, record_of
from mho.training.recommender.data import Interactions
from mho.training.recommender.train import Settings, Training

CALIBRATED_ON = 4096
"""Queries, drawn as training draws them, that the integers of a checkpoint are calibrated on."""


def write_checkpoint(training: Training, path: str | Path) -> None:
    """Write whole or not at all. Raises OutputError where the file cannot be written."""
    real = training.real()
    data = training.data
    arrays, record = record_of(real.quantise(real.bags(data.bags(data.sample(CALIBRATED_ON)), data.origin)))
    arrays |= {f"real.tables.{name}": np.asarray(table) for name, table in real.tables.items()}
    arrays |= {f"real.dense.{name}": values for name, values in real.weights.items()}
    state, losses = training.state()
    arrays |= {f"state.{name}": tensor.numpy() for name, tensor in state.items() if not name.startswith("model.")}
    about = {
        "settings": training.settings.record(),
        "losses": losses,
        "data": data.origin,
        "seed": data.seed,
        "unseen": int(data.unseen.sum()),
        "rows": list(data.rows),
    }
    metadata = {"format": CHECKPOINT, "recommender": json.dumps(record), "training": json.dumps(about)}
    write_tensors(path, arrays, metadata)


def read_checkpoint(data: Interactions, path: str | Path, epochs: int | None = None) -> Training:
    """Read a checkpoint of the same data, to go on; `epochs` replaces the number to train in all.

    Raises WeightError for a file that is none, or is of other data.
    """

    def build(arrays: Arrays, about: dict[str, Any]) -> Training:
        expected = [data.seed, int(data.unseen.sum()), list(data.rows)]
        if [about["seed"], about["unseen"], about["rows"]] != expected:
            raise WeightError(f"trained on other data ({about['data']}, seed {about['seed']}), not on {data.origin}")
        settings = Settings.of(about["settings"])
        training = Training(data, settings if epochs is None else replace(settings, epochs=epochs))
        state = {
            name.removeprefix("state."): torch.from_numpy(a) for name, a in arrays.items() if name.startswith("state.")
        }
        for name, parameter in training.model.named_parameters():
            part, _, rest = name.partition(".")
            key = f"real.tables.{rest.removesuffix('.weight')}" if part == "tables" else f"real.dense.{rest}"
            tensor = state[f"model.{name}"] = torch.from_numpy(arrays[key])
            if tensor.shape != parameter.shape:
                raise WeightError(f"tensor of {name!r} has shape {tuple(tensor.shape)}")
        training.restore(state, [float(loss) for loss in about["losses"]])
        training.model.eval()
        return training

    return opened(path, (CHECKPOINT,), build, key="training")
