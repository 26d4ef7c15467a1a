"""Inputs and outputs are the file's: as many, by its names, in its types and of its rank, everywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import mho
from mho.number.reference import run_float, run_reference
from mho.program import load, save
from tests.strategies import GREEDY

RNG = np.random.default_rng(5)


def written(path: Path, *, scalar: bool = False) -> Path:
    """A file whose outputs are a layer's tensor twice, its input, a constant, an integer and a number without axes."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="again"),
        helper.make_node("Mul" if scalar else "Identity", ["h", "s"] if scalar else ["h"], ["g"]),
        helper.make_node("Relu", ["g"], ["y"], name="product"),
        helper.make_node("Identity", ["y"], ["again"]),
        helper.make_node("Identity", ["x"], ["given"]),
        helper.make_node("Identity", ["k"], ["constant"]),
        helper.make_node("ArgMax", ["y"], ["best"], axis=1, keepdims=0),
        helper.make_node("ReduceSum", ["y"], ["total"], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 6])]
    if scalar:
        inputs.append(helper.make_tensor_value_info("s", TensorProto.FLOAT, []))
    kinds = {"best": (TensorProto.INT64, [2]), "total": (TensorProto.FLOAT, []), "given": (TensorProto.FLOAT, [2, 6])}
    kinds["constant"] = (TensorProto.FLOAT, [3])
    outputs = [
        helper.make_tensor_value_info(name, *kinds.get(name, (TensorProto.FLOAT, [2, 4])))
        for name in ("y", "again", "given", "constant", "best", "total")
    ]
    held = {"w": RNG.normal(size=(6, 4)).astype(np.float32), "k": np.array([1, 2, 3], dtype=np.float32)}
    tensors = [numpy_helper.from_array(array, name) for name, array in held.items()]
    graph = helper.make_graph(nodes, "outputs", inputs, outputs, tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


@pytest.mark.parametrize("scalar", [False, True])
def test_outputs_keep_their_names_and_number_everywhere(scalar: bool, tmp_path: Path) -> None:
    path = written(tmp_path / "outputs.onnx", scalar=scalar)
    network = mho.Network.from_onnx(path)
    x = RNG.normal(size=(2, 6)).astype(np.float32)
    given = (x, np.array(1.5, dtype=np.float32)) if scalar else (x,)
    session = onnxruntime.InferenceSession(str(path))
    names = [item.name for item in session.get_outputs()]
    wanted = session.run(None, dict(zip(["x", "s"], given, strict=False)))
    found = run_float(network, given)
    assert list(found) == names == list(network.outputs)
    for name, right in zip(names, wanted, strict=True):
        assert found[name].shape == right.shape and (found[name].dtype.kind == right.dtype.kind)
        np.testing.assert_allclose(found[name], right, rtol=1e-6)
    quantised = mho.number.quantise(network, given)
    coded = run_reference(quantised, given)
    assert list(coded) == names
    assert np.array_equal(coded["y"], coded["again"])
    program = mho.compile(quantised, "isaac", GREEDY)
    assert mho.verify(program, given).ok
    save(program, tmp_path / "outputs.mho")
    again = load(tmp_path / "outputs.mho")
    for name, array in mho.execute(again, given).items():
        assert np.array_equal(array, coded[name])
    assert mho.simulate(program).latency_s > 0


def test_a_file_without_inputs_is_its_constants(tmp_path: Path) -> None:
    path = written(tmp_path / "held.onnx")
    network = mho.Network.from_onnx(path, values={"x": np.ones((2, 6), dtype=np.float32)})
    assert not network.inputs and network.batch == 1
    found = run_float(network, [])
    assert found["given"].tolist() == [[1.0] * 6] * 2 and found["best"].dtype == np.int64
    with pytest.raises(mho.errors.NetworkError, match="no input 'z'"):
        mho.Network.from_onnx(path, values={"z": 1})
    with pytest.raises(mho.errors.NetworkError, match="does not fit"):
        mho.Network.from_onnx(path, values={"x": np.ones((2, 5))})
