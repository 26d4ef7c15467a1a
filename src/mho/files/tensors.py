"""Tensors and metadata in .safetensors files, read and written whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import WeightError
from mho.files.text import check_regular
from mho.files.writing import write_whole

Arrays = dict[str, npt.NDArray[Any]]


def read_tensors(path: str | Path) -> tuple[Arrays, dict[str, str]]:
    """Read the tensors and the metadata of a .safetensors file. Raises WeightError where it cannot be read."""
    from safetensors import safe_open

    check_regular(Path(path), WeightError)
    try:
        with safe_open(str(path), framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightError(f"{path}: not a readable .safetensors file ({reason})") from None


def write_tensors(path: str | Path, arrays: Arrays, metadata: Mapping[str, str]) -> None:
    """Write a .safetensors file whole or not at all. Raises OutputError where it cannot be written."""
    from safetensors.numpy import save

    content = save({name: np.asarray(array, order="C") for name, array in arrays.items()}, dict(metadata))
    write_whole(Path(path), lambda stream: stream.write(content))


__all__ = ["Arrays", "read_tensors", "write_tensors"]
