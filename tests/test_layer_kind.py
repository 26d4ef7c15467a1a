"""A new kind of layer is one class and one line, and an operator one function and one line (docs/extending.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

import mho
from mho.network import onnx_reader
from mho.network import torch as torch_reader
from mho.network.layers import LAYER_KINDS, Layer
from mho.number import quantise


@dataclass(frozen=True, kw_only=True, eq=False)
class Rotate(Layer):
    """Channels (axis 1) rotated by `by` and squared: two operations an element."""

    by: int

    kind: ClassVar[str] = "rotate"
    passes: ClassVar[bool] = True

    def made_shape(self, operands: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        return operands[0]

    def compute(self, operands: Sequence[np.ndarray], factor: int) -> np.ndarray:
        return np.roll(operands[0], self.by, axis=1) ** 2

    def operations(self, operands: Sequence[tuple[int, ...]]) -> int:
        return 2 * self.size

    def extends(self, operands: Sequence[tuple[tuple[int, ...], bool]]) -> bool:
        return True


def of_onnx(builder: Any, node: Any) -> str:
    """An operator of a file: its handler appends the layer."""
    (x,) = node.inputs
    return builder.add(Rotate(name=builder.name(), inputs=(x,), shape=builder.shape(x), by=node.attributes["by"]))


def of_torch(builder: Any, call: Any) -> str:
    """An operator of torch."""
    x, by = call["x"], call["by"]
    return builder.add(Rotate(name=builder.name(), inputs=(x,), shape=builder.shape(x), by=by))


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    LAYER_KINDS.add("rotate", Rotate)
    onnx_reader.HANDLERS.add("toys::Rotate", of_onnx)
    torch_reader.HANDLERS.add("rotate", of_torch)
    yield
    LAYER_KINDS.remove("rotate")
    onnx_reader.HANDLERS.remove("toys::Rotate")
    torch_reader.HANDLERS.remove("rotate")


WEIGHT = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)


def file(folder: Path) -> Path:
    """A linear layer, the toy, and another linear layer."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Rotate", ["a"], ["b"], domain="toys", by=1),
        helper.make_node("MatMul", ["b", "w2"], ["y"]),
    ]
    tensors = [
        helper.make_tensor("w", TensorProto.FLOAT, (4, 6), WEIGHT.T.ravel()),
        helper.make_tensor("w2", TensorProto.FLOAT, (6, 4), WEIGHT.ravel()),
    ]
    shapes = [helper.make_tensor_value_info(n, TensorProto.FLOAT, (2, 4)) for n in ("x", "y")]
    graph = helper.make_graph(nodes, "toy", shapes[:1], shapes[1:], tensors)
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("toys", 1)]
    onnx.save(helper.make_model(graph, opset_imports=sets), folder / "toy.onnx")
    return folder / "toy.onnx"


def test_it_is_read_quantised_compiled_timed_executed_and_kept(tmp_path: Path) -> None:
    network = mho.Network.from_onnx(file(tmp_path))
    assert [layer.kind for layer in network.layers] == ["input", "linear", "rotate", "linear"]
    x = np.random.default_rng(2).normal(size=(8, 4))
    quantised = quantise(network, x)
    program = mho.compile(quantised, "aras")
    assert mho.verify(program, x[:2]).exact
    wanted = (np.roll(x @ WEIGHT.T.astype(float), 1, axis=1) ** 2) @ WEIGHT.astype(float)
    given = mho.execute(program, x)["y"]
    assert np.abs(given - wanted).max() < 0.05 * np.abs(wanted).max()
    assert mho.simulate(program).latency_s > 0
    program.save(tmp_path / "toy.mho")
    again = mho.Program.load(tmp_path / "toy.mho")
    assert np.array_equal(mho.execute(again, x)["y"], given)


def test_its_operations_are_timed(tmp_path: Path) -> None:
    network = mho.Network.from_onnx(file(tmp_path))
    rotate = network.layers[2]
    from mho.program.work import vector_operations

    assert vector_operations(rotate, network) == 2 * 2 * 6


def test_an_operator_of_torch_is_one_function_and_one_line() -> None:
    @torch.library.custom_op("toys::rotate", mutates_args=())
    def rotate(x: torch.Tensor, by: int) -> torch.Tensor:
        return torch.roll(x, by, 1) ** 2

    @rotate.register_fake
    def _(x: torch.Tensor, by: int) -> torch.Tensor:
        return torch.empty_like(x)

    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.toys.rotate(x, 1)

    network = mho.Network.from_torch(Model(), torch.zeros(2, 4))
    assert [layer.kind for layer in network.layers] == ["input", "rotate"]
