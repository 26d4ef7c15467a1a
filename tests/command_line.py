"""Run the command line in this process, and small models to run it on."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mho.cli import main

DECODER = {
    "layers": 1,
    "hidden": 16,
    "heads": 4,
    "key_value_heads": 2,
    "intermediate": 24,
    "vocabulary": 40,
    "sequence": 4,
}
"""A decoder small enough to execute in a moment."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Read standard output as JSON, of which it must consist; NaN is not JSON."""

        def refuse(name: str) -> None:
            raise AssertionError(f"{name} is not JSON")

        return json.loads(self.out, parse_constant=refuse)


class Shell:
    """mho in this process: shell("run", "resnet20") returns how it ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *words: str) -> Ended:
        """Run a command."""
        self.monkeypatch.setattr(sys, "argv", ["mho", *words])
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = self.capsys.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, captured.out, captured.err)


def write_onnx(path: Path, *, operator: str = "Relu", free: bool = False, value: float | None = None) -> None:
    """Write a convolution (2 of 3 channels of 6 x 6 pixels) and an operator; `value` replaces a weight."""
    weight = np.random.default_rng(0).standard_normal((2, 3, 3, 3)).astype(np.float32)
    if value is not None:
        weight[0, 0, 0, 0] = value
    side: int | str = "side" if free else 6
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, side, side])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, 2, "height", "width"])
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["middle"], name="filter"),
        helper.make_node(operator, ["middle"], ["result"], name="last"),
    ]
    graph = helper.make_graph(nodes, "tiny", [image], [result], [numpy_helper.from_array(weight, "weight")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def write_samples(path: Path, count: int = 3, **more: Any) -> None:
    """Write samples that fit the network of `write_onnx`; an array given as None is left out."""
    images = np.random.default_rng(1).standard_normal((count, 3, 6, 6)).astype(np.float32)
    arrays = {"x": images, "y": np.arange(count) % 4, **more}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return every path below a folder with what it holds and when it was written."""
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in folder.rglob("*")
    }
