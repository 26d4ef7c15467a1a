"""Values for the zoo's modules: from a .safetensors file, or seeded.

Seeded weights are synthetic. Every tensor has a generator of its own, made of the seed and the tensor's name, so the
values depend neither on the order of building nor on torch's global random state. Weights are normal with variance gain
/ inputs (He et al. 2015: gain 2 before a ReLU; 1 in transformers), so that activations keep their size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mho.errors import WeightError
from mho.files.text import check_regular, parse_json
from mho.network.zoo.seeds import generator

FloatArray = npt.NDArray[np.float32]

RESIDUE = 0.2
"""Scale of the last normalisation of a residual block: without trained statistics the sum would grow with depth."""


@dataclass(frozen=True)
class Metadata:
    """The metadata of a .safetensors file besides its tensors; images are normalised as (pixel / 255 - mean) / deviation."""

    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None
    first_epsilon: float = 1e-5


def read_metadata(path: Path) -> Metadata:
    """Read `mean`, `std` and `bn1_eps` of a file; raise WeightError where it cannot be read."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="np") as file:
            text = file.metadata() or {}
    except Exception as error:
        raise WeightError(f"{path}: not a readable .safetensors file ({_first_line(error)})") from error
    try:
        mean, deviation = (tuple(float(v) for v in parse_json(text[k])) if k in text else None for k in ("mean", "std"))
        epsilon = float(text.get("bn1_eps", 1e-5))
    except (ValueError, TypeError) as error:
        raise WeightError(f"{path}: metadata mean, std and bn1_eps must be numbers ({error})") from error
    if (mean is None) != (deviation is None) or (mean and deviation and len(mean) != len(deviation)):
        raise WeightError(f"{path}: metadata must give mean and std together, one number per channel")
    if deviation is not None and not all(value > 0 for value in deviation):
        raise WeightError(f"{path}: metadata std must be positive, not {deviation}")
    return Metadata(mean, deviation, epsilon)


def fill_from_file(module: nn.Module, path: Path) -> None:
    """Fill a module; keys and shapes must agree exactly (`num_batches_tracked` may be absent)."""
    shapes = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    module.load_state_dict(_read(path, shapes), strict=False, assign=True)
    for parameter in module.parameters():
        parameter.requires_grad_(False)


def read_tensors(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, FloatArray]:
    """Read float32 arrays with exactly these names and shapes."""
    return {key: tensor.numpy() for key, tensor in _read(path, shapes).items()}


def _read(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    from safetensors import safe_open

    check_regular(path, WeightError)
    try:
        with safe_open(path, framework="pt") as file:
            _check_shapes(path, {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}, shapes)  # noqa: SIM118
            tensors: dict[str, torch.Tensor] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except WeightError:
        raise
    except Exception as error:
        raise WeightError(f"{path}: not a readable .safetensors file ({_first_line(error)})") from error
    for key, tensor in tensors.items():
        if key.endswith("num_batches_tracked"):
            continue
        if not tensor.is_floating_point():
            kind = str(tensor.dtype).removeprefix("torch.")
            raise WeightError(f"{path}: tensor {key!r} holds {kind}; weights must be floating-point numbers")
        # Half precisions and double become single, in which a double may overflow.
        tensors[key] = tensor.float()
        if not bool(torch.isfinite(tensors[key]).all()):
            raise WeightError(f"{path}: tensor {key!r} holds values that are not finite (NaN or infinity)")
    return tensors


def _check_shapes(path: Path, shapes: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse tensors of other names or shapes, by the file's header alone."""
    missing = [key for key in expected if key not in shapes and not key.endswith("num_batches_tracked")]
    if missing:
        raise WeightError(f"{path}: tensor {missing[0]!r} is missing ({len(missing)} in all)")
    unexpected = [key for key in shapes if key not in expected]
    if unexpected:
        raise WeightError(f"{path}: tensor {unexpected[0]!r} is not part of the model ({len(unexpected)} in all)")
    for key, shape in shapes.items():
        if shape != expected[key]:
            raise WeightError(f"{path}: tensor {key!r} has shape {shape}, not {expected[key]}")


def fill_seeded(module: nn.Module, seed: int) -> None:
    """Fill every parameter and running statistic of a module with seeded values."""
    gain = 2.0 if any(isinstance(child, nn.ReLU | nn.ReLU6) for child in module.modules()) else 1.0
    damped = {id(child.last_normalisation) for child in module.modules() if hasattr(child, "last_normalisation")}
    filled: set[int] = set()
    with torch.no_grad():
        for path, child in module.named_modules():
            for key, tensor in (*child.named_parameters(recurse=False), *child.named_buffers(recurse=False)):
                if id(tensor) in filled or not tensor.is_floating_point():
                    continue
                filled.add(id(tensor))
                name = f"{path}.{key}" if path else key
                values = _values(child, key, tuple(tensor.shape), gain, generator(seed, name))
                if key == "weight" and id(child) in damped:
                    values *= np.float32(RESIDUE)
                tensor.copy_(torch.from_numpy(values))


def _values(child: nn.Module, key: str, shape: tuple[int, ...], gain: float, random: np.random.Generator) -> FloatArray:
    def normal(deviation: float) -> FloatArray:
        numbers: FloatArray = random.standard_normal(shape, dtype=np.float32) * np.float32(deviation)
        return numbers

    if key == "running_var" or (key == "weight" and len(shape) == 1):
        return (0.8 + 0.4 * random.random(shape, dtype=np.float32)).astype(np.float32)
    if key in ("running_mean", "bias"):
        return normal(0.1)
    if key == "weight" and isinstance(child, nn.Conv2d | nn.Linear):
        return normal(math.sqrt(gain / math.prod(shape[1:])))
    if key == "weight" and type(child).__name__ == "Conv1D":
        return normal(math.sqrt(gain / shape[0]))
    if key == "weight" and isinstance(child, nn.Embedding):
        return normal(1.0)
    return normal(0.02)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
