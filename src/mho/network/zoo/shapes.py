"""The zoo's torch modules by shape alone, kept as files, so that whoever needs no weights waits for no torch.

`python -m mho.network.zoo.shapes` makes the files anew: `kept/NAME.json.gz`, for one sample of the usual size. A file is JSON: of
each layer its kind and the fields that differ from their defaults, lists for tuples; an array is the number of one of
`arrays`, each a shape or, where values are known, [shape, type, values]. Layers that share an array share its number.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mho.errors import NetworkError
from mho.files.writing import write_whole
from mho.network.graph import Network
from mho.network.layers import LAYER_KINDS, Array, Layer
from mho.network.zoo.models import IMAGE_SIZES, SEQUENCE, TEXT_MODELS

ARRAY = "array"
KEPT = {**IMAGE_SIZES, **dict.fromkeys(TEXT_MODELS, SEQUENCE)}
"""The models that are kept, and the size of their sample: height and width of an image, or tokens."""


def kept(name: str, batch: int, size: int) -> Network | None:
    """Return a model as its file has it; None where there is no file for these sizes."""
    file = files("mho.network.zoo") / "kept" / f"{name}.json.gz"
    if batch != 1 or size != KEPT.get(name) or not file.is_file():
        return None
    return _read(json.loads(gzip.decompress(file.read_bytes())))


def record(network: Network) -> dict[str, Any]:
    """Return a network by shape alone as a file has it. Raises NetworkError where it holds codes."""
    if network.codes or any(network.returned[name] != name for name in network.outputs):
        raise NetworkError(f"{network.name} holds codes, or outputs of other names: no model by shape alone")
    arrays: dict[int, tuple[int, Array]] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, Array):
            return {ARRAY: arrays.setdefault(id(value), (len(arrays), value))[0]}
        return dict(value) if isinstance(value, Mapping) else value

    layers = [
        {
            "kind": layer.kind,
            **{item.name: plain(getattr(layer, item.name)) for item in fields(layer) if _told(layer, item)},
        }
        for layer in network.layers
    ]
    return {
        "name": network.name,
        "origin": network.origin,
        "outputs": network.outputs,
        "arrays": [_array(array) for _, array in arrays.values()],
        "layers": layers,
    }


def _told(layer: Layer, item: Any) -> bool:
    """Return whether a field must be written: it has no default, or another value."""
    value, default = getattr(layer, item.name), item.default
    return default is MISSING or type(value) is not type(default) or value != default


def _array(array: Array) -> list[Any]:
    values = array.values
    return list(array.shape) if values is None else [list(array.shape), values.dtype.str, values.ravel().tolist()]


def _read(content: Mapping[str, Any]) -> Network:
    arrays = []
    for each in content["arrays"]:
        if each and isinstance(each[0], list):
            shape, kind, values = each
            arrays.append(Array.of(np.array(values, dtype=kind).reshape(shape)))
        else:
            arrays.append(Array(tuple(each)))

    def made(value: Any) -> Any:
        if isinstance(value, list):
            return tuple(map(made, value))
        return arrays[value[ARRAY]] if isinstance(value, dict) and set(value) == {ARRAY} else value

    layers = tuple(
        LAYER_KINDS[each["kind"]](**{field: made(value) for field, value in each.items() if field != "kind"})
        for each in content["layers"]
    )
    return Network(content["name"], layers, tuple(content["outputs"]), content["origin"])


def _put(packed: bytes, stream: BinaryIO) -> None:
    stream.write(packed)


def main() -> None:
    """Make the files anew, from the torch modules."""
    from mho.network.zoo.modules import load_module

    for name, size in KEPT.items():
        network = load_module(name, weights="none", seed=0, batch=1, size=size)
        text = json.dumps(record(network), separators=(",", ":"))
        packed = gzip.compress(text.encode(), mtime=0)
        write_whole(Path(__file__).with_name("kept") / f"{name}.json.gz", partial(_put, packed))
        print(f"{name}: {len(network.layers)} layers, {len(packed)} bytes")


if __name__ == "__main__":
    main()
