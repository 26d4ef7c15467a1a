"""Recommenders in .safetensors files: their integers, a training's checkpoint, and the published NCF.

`open_recommender` takes any of the three, and returns what can be mapped, executed and judged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mho.errors import MhoError, WeightError
from mho.files.tensors import Arrays, read_tensors, write_tensors
from mho.files.text import parse_json
from mho.machine.recommender.ncf import NCF_TENSORS, quantise_ncf, real_ncf
from mho.machine.recommender.recommender import RealRecommender, Recommender
from mho.machine.recommender.tables import Table
from mho.network.layers import Affine
from mho.network.zoo.interaction import DensePart, of
from mho.network.zoo.interaction.handmade import DLRM
from mho.network.zoo.recommenders import weights_of
from mho.number.bits import BYTES
from mho.number.coded import QuantisedMatrix, QuantisedNetwork

FORMAT = "mho.recommender/1"
CHECKPOINT = "mho.dlrm-checkpoint/1"
CLICK_TRAINING = "mho.click-training/1"
"""A training of mho train."""
Built = TypeVar("Built")


def record_of(recommender: Recommender) -> tuple[Arrays, dict[str, Any]]:
    """Describe a recommender's integers: arrays, and a record for JSON. WeightError for weights squeezed, aligned or unknown."""
    quantised, weights = recommender.dense, weights_of(recommender.dense.network)
    if quantised.squeezes or quantised.alignment is not None or weights is None:
        raise WeightError(
            f"{recommender.name}: only plain quantised weights can be saved; save before aligning or squeezing"
        )
    arrays: Arrays = {f"tables.{table.name}": table.codes for table in recommender.tables}
    arrays |= {f"dense.{name}": values for name, values in weights.items()}
    for name, matrix in quantised.matrices.items():
        arrays |= {f"codes.{name}": matrix.codes, f"scale.{name}": matrix.scale, f"zero.{name}": matrix.zero}
    tables = [{"name": t.name, "scale": t.scale, "pooling": t.pooling, "step": t.step} for t in recommender.tables]
    return arrays, {
        "name": recommender.name,
        "origin": recommender.origin,
        "synthetic": recommender.synthetic,
        "part": recommender.part.record(),
        "tables": tables,
        # JSON keeps the scales to the last bit.
        "codes": {
            name: {"scale": float(code.scale), "zero": int(code.zero), "low": code.low, "high": code.high}
            for name, code in quantised.codes.items()
        },
        "bits": {name: matrix.bits for name, matrix in quantised.matrices.items()},
        "input_bits": dict(quantised.input_bits),
        "per_channel": quantised.per_channel,
        "calibration": quantised.calibration,
        "notes": list(quantised.notes),
    }


def save(recommender: Recommender, path: str | Path) -> None:
    """Write a recommender's integers: int8 tables, 8-bit weights, the codes of activations.

    Raises OutputError where the file cannot be written, WeightError for weights that are squeezed, aligned or unknown.
    """
    arrays, record = record_of(recommender)
    write_tensors(path, arrays, {"format": FORMAT, "recommender": json.dumps(record)})


def load(path: str | Path) -> Recommender:
    """Read what `save` wrote. Raises WeightError naming the file and what is wrong."""
    return opened(path, (FORMAT,), _integers)


def open_recommender(path: str | Path) -> Recommender:
    """Read a recommender: a file of `save`, a checkpoint of mho train or examples/train_dlrm.py, or the published NCF
    (He et al. 2017).

    The activations of the NCF are calibrated on seeded pairs of users and items. Raises WeightError naming the file and what
    is wrong.
    """
    return opened(path, (FORMAT, CHECKPOINT, CLICK_TRAINING), _integers, quantise_ncf)


def open_real(path: str | Path) -> RealRecommender:
    """Read the float form: of a checkpoint of mho train or of the DLRM, or of the published NCF. Raises WeightError, likewise."""
    return opened(path, (CHECKPOINT, CLICK_TRAINING), _real, lambda real: real)


def opened(
    path: str | Path,
    formats: Sequence[str],
    build: Callable[[Arrays, dict[str, Any]], Built],
    from_ncf: Callable[[RealRecommender], Built] | None = None,
    *,
    key: str = "recommender",
) -> Built:
    """Build from the arrays and the record `key` of a file in one of these formats, or from the published NCF.

    Raises WeightError naming the file and what is wrong in it, whatever that is.
    """
    arrays, metadata = read_tensors(path)
    if from_ncf is not None and "format" not in metadata and arrays.keys() == NCF_TENSORS.keys():
        return from_ncf(real_ncf(arrays, Path(path)))
    if metadata.get("format") not in formats:
        given = metadata.get("format", "none")
        raise WeightError(
            f"{path}: not a recommender that can be read here: format {given}, known: {', '.join(formats)}"
        )
    try:
        return build(arrays, parse_json(metadata[key]))
    except MhoError as error:
        raise WeightError(f"{path}: {error}") from None
    except KeyError as error:
        raise WeightError(f"{path}: {error} is missing") from None
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise WeightError(f"{path}: not as mho writes it ({str(error).splitlines()[0]})") from None


def _real(arrays: Arrays, record: Mapping[str, Any]) -> RealRecommender:
    tables = {table["name"]: arrays[f"real.tables.{table['name']}"] for table in record["tables"]}
    poolings = {table["name"]: table["pooling"] for table in record["tables"]}
    weights = _named(arrays, "real.dense.")
    return RealRecommender(
        record["name"], tables, weights, _part(record), record["origin"], poolings, bool(record["synthetic"])
    )


def _named(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}


def _integers(arrays: Arrays, record: Mapping[str, Any]) -> Recommender:
    tables = tuple(
        Table(entry["name"], arrays[f"tables.{entry['name']}"], entry["scale"], entry["pooling"], entry["step"])
        for entry in record["tables"]
    )
    part = _part(record)
    network = part.build(_named(arrays, "dense."), name=record["name"], origin=record["origin"])
    bits = record.get("bits", {})
    matrices = {}
    for layer in network.matrix_layers:
        bias = None if layer.bias is None else layer.bias.real().reshape(layer.groups, layer.columns)
        name, shape = layer.name, (layer.groups, layer.rows, layer.columns)
        if arrays[f"codes.{name}"].shape != shape:
            raise WeightError(f"tensor 'codes.{name}' has shape {arrays[f'codes.{name}'].shape}, not {shape}")
        matrices[name] = QuantisedMatrix(
            arrays[f"codes.{name}"],
            arrays[f"scale.{name}"],
            arrays[f"zero.{name}"],
            bias,
            bits.get(name, BYTES.weights),
        )
    codes = {
        name: Affine(
            np.asarray(entry["scale"], np.float64), np.asarray(entry["zero"], np.int64), entry["low"], entry["high"]
        )
        for name, entry in record["codes"].items()
    }
    quantised = QuantisedNetwork(
        network, matrices, {}, codes, bool(record["per_channel"]), record["calibration"],
        notes=tuple(record["notes"]), input_bits=dict(record.get("input_bits", {})),
    )  # fmt: skip
    if quantised.uncoded:
        raise WeightError(f"tensor {quantised.uncoded[0]!r} has no code")
    return Recommender(record["name"], tables, quantised, part, record["origin"], bool(record["synthetic"]))


def _part(record: Mapping[str, Any]) -> DensePart:
    """Return the dense part; a file from before there were other models has the sizes of a DLRM or NCF."""
    if "sizes" in record:
        sizes = record["sizes"]
        return DensePart(DLRM(tuple(sizes["hidden"]), sizes["pairs"]), sizes["vectors"], sizes["dimension"])
    return DensePart(of(record["part"]["model"]), record["part"]["fields"], record["part"]["dimension"])
