"""Import of ONNX files: what is imported computes what onnxruntime computes; codes sit on the tensors they
belong to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from mho.errors import NetworkError, WeightError
from mho.network import Network
from mho.network.arithmetic import apply
from mho.network.layers import Activation, Convolution, Embedding, Linear, MatrixLayer
from mho.network.products import multiply
from mho.number import run_float
from mho.number.affine import decode, encode

RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def node(operator: str, inputs: str, output: str = "y", **attributes: object) -> Any:
    return helper.make_node(operator, inputs.split(" "), output.split(" "), name=f"the {operator}", **attributes)


def save(
    path: Path,
    nodes: Sequence[Any],
    stored: Mapping[str, np.ndarray],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Sequence[str] = ("y",),
    opset: int = 17,
    kind: int = TensorProto.FLOAT,
) -> Path:
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model)
    for value in model.graph.output:
        value.type.tensor_type.elem_type = TensorProto.FLOAT
        value.type.tensor_type.shape.SetInParent()
    onnx.save(model, path)
    return path


def session_of(path: Path | bytes, *, of_codes: bool = False) -> onnxruntime.InferenceSession:
    """A session without rewriting, which would compute quantised graphs with other roundings.

    `of_codes`: of operators on codes, whose sums of bytes are exact on every processor only where they are rewritten.
    """
    options, levels = onnxruntime.SessionOptions(), onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_EXTENDED if of_codes else levels.ORT_DISABLE_ALL
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(path, options)


def agree(path: Path, *x: np.ndarray, tolerance: float = 2e-5) -> Network:
    """Import the file; its outputs must be onnxruntime's."""
    session = session_of(path)
    wanted = session.run(None, {item.name: array for item, array in zip(session.get_inputs(), x, strict=True)})
    network = Network.from_onnx(path)
    found = run_float(network, x)
    for name, array in zip(network.outputs, wanted, strict=True):
        assert network.by_name[network.returned[name]].shape == array.shape
        np.testing.assert_allclose(found[name], array, atol=tolerance, rtol=1e-4)
    return network


IMAGE = (1, 4, 9, 8)
CASES: dict[str, tuple[list[Any], dict[str, np.ndarray], tuple[int, ...], int]] = {
    "conv": (
        [node("Conv", "x w b", pads=[1, 0, 2, 1], strides=[2, 1], dilations=[1, 2])],
        {"w": normal(6, 4, 3, 2), "b": normal(6)},
        IMAGE,
        17,
    ),
    "conv same upper": (
        [node("Conv", "x w", auto_pad="SAME_UPPER", strides=[2, 2])],
        {"w": normal(6, 4, 3, 4)},
        IMAGE,
        9,
    ),
    "conv same lower": ([node("Conv", "x w", auto_pad="SAME_LOWER")], {"w": normal(6, 4, 4, 4)}, IMAGE, 11),
    "conv grouped": ([node("Conv", "x w", auto_pad="VALID", group=2)], {"w": normal(6, 2, 3, 3)}, IMAGE, 21),
    "conv 1d": ([node("Conv", "x w", pads=[1, 2])], {"w": normal(6, 4, 3)}, (1, 4, 9), 17),
    "gemm": ([node("Gemm", "x w b", transB=1, alpha=0.5, beta=2.0)], {"w": normal(3, 5), "b": normal(3)}, (1, 5), 13),
    "gemm row": ([node("Gemm", "x w b")], {"w": normal(5, 3), "b": normal(1, 3)}, (1, 5), 9),
    "matmul add": (
        [node("MatMul", "x w", "h"), node("Add", "b h")],
        {"w": normal(5, 3), "b": normal(3)},
        (1, 4, 5),
        17,
    ),
    "matmul left": ([node("MatMul", "w x")], {"w": normal(3, 4)}, (1, 4, 5), 17),
    "batch norm": (
        [node("BatchNormalization", "x s b m v", epsilon=1e-3)],
        {"s": normal(4), "b": normal(4), "m": normal(4), "v": normal(4) ** 2},
        IMAGE,
        15,
    ),
    "layer norm": (
        [node("LayerNormalization", "x s b", epsilon=1e-6)],
        {"s": normal(8), "b": normal(8)},
        (1, 3, 8),
        17,
    ),
    "instance norm": ([node("InstanceNormalization", "x s b")], {"s": normal(4), "b": normal(4)}, IMAGE, 17),
    "group norm 21": ([node("GroupNormalization", "x s b", num_groups=2)], {"s": normal(4), "b": normal(4)}, IMAGE, 21),
    "max pool": ([node("MaxPool", "x", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0])], {}, IMAGE, 12),
    "max pool ceil": ([node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)], {}, IMAGE, 12),
    "average pool": ([node("AveragePool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])], {}, IMAGE, 11),
    "average pool counted": (
        [node("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)],
        {},
        IMAGE,
        11,
    ),
    "pool 1d": ([node("MaxPool", "x", kernel_shape=[2], strides=[2])], {}, (1, 4, 9), 12),
    "global average": ([node("GlobalAveragePool", "x", "h"), node("Flatten", "h")], {}, IMAGE, 17),
    "global max": ([node("GlobalMaxPool", "x")], {}, IMAGE, 17),
    "reduce 13": ([node("ReduceMean", "x", axes=[-1, 2], keepdims=0)], {}, IMAGE, 13),
    "reduce 18": ([node("ReduceMax", "x a", keepdims=1)], {"a": np.array([1])}, IMAGE, 18),
    "softmax 11": ([node("Softmax", "x")], {}, (1, 3, 4), 11),
    "softmax 13": ([node("Softmax", "x", axis=1)], {}, (1, 3, 4), 13),
    "log softmax": ([node("LogSoftmax", "x")], {}, (1, 3, 4), 13),
    "clip 6": ([node("Clip", "x", min=-0.5, max=1.0)], {}, (1, 3), 9),
    "clip 11": ([node("Clip", "x  h")], {"h": np.float32(0.5)}, (1, 3), 11),
    "gelu 20": ([node("Gelu", "x", approximate="tanh")], {}, (1, 30), 20),
    "prelu": ([node("PRelu", "x s")], {"s": normal(4, 1, 1)}, IMAGE, 16),
    "selu": ([node("Selu", "x")], {}, (1, 30), 17),
    "pow": ([node("Pow", "x e")], {"e": np.float32(2)}, (1, 30), 15),
    "many": ([node("Sum", "x a x")], {"a": normal(1, 4, 1, 8)}, IMAGE, 13),
    "extremes": (
        [node("Max", "x a", "h"), node("Min", "h b")],
        {"a": normal(1, 4, 1, 8), "b": np.float32(0.3)},
        IMAGE,
        13,
    ),
    "where": ([node("Where", "c x a")], {"c": np.eye(4, 8, dtype=bool)[None, :, None], "a": np.float32(-3)}, IMAGE, 16),
    "concat": ([node("Concat", "x a x", axis=1)], {"a": normal(1, 2, 9, 8)}, IMAGE, 13),
    "split 11": ([node("Split", "x", "h k", axis=1, split=[1, 3]), node("Mul", "h k")], {}, IMAGE, 11),
    "split 18": (
        [node("Split", "x", "h k", axis=2, num_outputs=2), node("ReduceSum", "h a", "s"), node("Mul", "k s")],
        {"a": np.array([2])},
        IMAGE,
        18,
    ),
    "slice 9": ([node("Slice", "x", starts=[1, -3], ends=[4, 99], axes=[1, 3])], {}, IMAGE, 9),
    "slice 13": (
        [node("Slice", "x s e a t")],
        {"s": np.array([0, 1]), "e": np.array([9, 8]), "a": np.array([2, -1]), "t": np.array([2, 3])},
        IMAGE,
        13,
    ),
    "reshape": ([node("Reshape", "x s")], {"s": np.array([0, -1, 8])}, IMAGE, 13),
    "flatten": ([node("Flatten", "x", axis=2)], {}, IMAGE, 13),
    "transpose": ([node("Transpose", "x", perm=[0, 2, 3, 1])], {}, IMAGE, 13),
    "squeeze 11": ([node("Unsqueeze", "x", "h", axes=[1, -1]), node("Squeeze", "h", axes=[1])], {}, (1, 3), 11),
    "squeeze 13": (
        [node("Unsqueeze", "x a", "h"), node("Relu", "h", "r"), node("Squeeze", "r a")],
        {"a": np.array([1])},
        (1, 3),
        13,
    ),
    "pad 9": ([node("Pad", "x", pads=[0, 1, 0, 2, 0, 0, 3, 0], value=1.5)], {}, IMAGE, 9),
    "pad 18": ([node("Pad", "x p v a")], {"p": np.array([1, 2]), "v": np.float32(2), "a": np.array([2])}, IMAGE, 18),
    "gather": ([node("Gather", "x i", axis=2)], {"i": np.array(-2)}, IMAGE, 13),
    "gather many": ([node("Gather", "x i", axis=1)], {"i": np.array([3, 0, 1])}, IMAGE, 13),
    "expand": ([node("Expand", "x s")], {"s": np.array([3, 1, 5])}, (1, 1, 5), 13),
    "tile": ([node("Tile", "x r")], {"r": np.array([1, 2, 3])}, (1, 3, 5), 13),
    "depth to space": ([node("DepthToSpace", "x", blocksize=2)], {}, IMAGE, 13),
    "shape arithmetic": (
        [
            node("Shape", "x", "s"),
            node("Gather", "s i", "n"),
            node("Unsqueeze", "n a", "u"),
            node("Concat", "u m", "t", axis=0),
            node("Reshape", "x t"),
        ],
        {"i": np.array(0), "a": np.array([0]), "m": np.array([-1])},
        IMAGE,
        13,
    ),
}
for _name in (
    "LeakyRelu",
    "Elu",
    "Sigmoid",
    "Tanh",
    "HardSigmoid",
    "HardSwish",
    "Softplus",
    "Erf",
    "Exp",
    "Neg",
    "Abs",
):
    CASES[_name] = ([node(_name, "x")], {}, (1, 30), 17)


@pytest.mark.parametrize("case", CASES)
def test_a_file_computes_what_onnxruntime_computes(case: str, tmp_path: Path) -> None:
    nodes, stored, shape, opset = CASES[case]
    agree(save(tmp_path / "model.onnx", nodes, stored, {"x": shape}, opset=opset), normal(*shape))


def test_every_float_file_of_real_weights_computes_what_onnxruntime_computes(data: Path) -> None:
    files = [path for path in sorted(data.rglob("*.onnx")) if "qdq" not in path.name]
    assert files
    for path in files:
        shape = Network.from_onnx(path).inputs[0].shape
        x = RANDOM.uniform(0, 255, shape) if len(shape) == 4 else RANDOM.standard_normal(shape)
        agree(path, x.astype(np.float32), tolerance=2e-4)


def coded_tensors(path: Path, network: Network, x: np.ndarray) -> dict[str, np.ndarray]:
    """What onnxruntime has in each tensor with a code, as reals."""
    model = onnx.load(path)
    maker = {name: item for item in model.graph.node for name in item.output}
    reals = {item.input[0]: item.output[0] for item in model.graph.node if item.op_type == "DequantizeLinear"}
    names = {
        maker[item.input[0]].name: reals[item.output[0]]
        for item in model.graph.node
        if item.op_type == "QuantizeLinear" and item.input[0] in maker
    }
    names = {layer: tensor for layer, tensor in names.items() if layer in network.codes}
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names.values())
    session = session_of(model.SerializeToString())
    return dict(zip(names, session.run(None, {"input": x}), strict=True))


def wrong_codes(path: Path, network: Network, x: np.ndarray) -> tuple[int, int, float]:
    """Compute each coded tensor from onnxruntime's inputs to it: codes that differ, codes in all, largest
    difference.
    """
    given = coded_tensors(path, network, x)
    assert len(given) >= len(network.codes) - 2
    values: dict[str, Any] = {network.inputs[0].name: decode(x, network.codes[network.inputs[0].name])}
    wrong, total, largest = 0, 0, 0.0
    for layer in network.layers[1:]:
        operands = [values[name] for name in layer.inputs]
        if isinstance(layer, MatrixLayer):
            y = multiply(layer, operands[0], np.ascontiguousarray(layer.matrix(layer.weight.real())))
            if layer.bias is not None:
                bias = layer.bias.real()
                y = y + (bias[:, None, None] if isinstance(layer, Convolution) else bias)
        else:
            y = apply(layer, operands, len(x), network.batch)
        code = network.codes.get(layer.name)
        if code is not None:
            mine = encode(np.asarray(y), code)
            y = decode(mine, code)
            if layer.name in given:
                theirs = encode(given[layer.name].astype(np.float64), code)
                apart = np.abs(mine.astype(np.int64) - theirs)
                wrong, total, largest = (
                    wrong + np.count_nonzero(apart),
                    total + apart.size,
                    max(largest, apart.max()),
                )
                y = decode(theirs, code)
        values[layer.name] = y
    return wrong, total, largest


@pytest.mark.parametrize(
    ("file", "low"),
    [
        ("cifar10/resnet8_int8_qdq.onnx", -128),
        ("kws/dscnn_int8_qdq.onnx", -128),
        ("imagenet/mobilenet_v2_int8_qdq.onnx", 0),
    ],
)
def test_quantised_files_keep_integers_and_codes(data: Path, file: str, low: int) -> None:
    path = data / file
    network = Network.from_onnx(path)
    assert network.inputs[0].integers and network.codes[network.inputs[0].name].low == low
    for layer in network.matrix_layers:
        assert layer.weight.code is not None and layer.weight.values is not None
        assert layer.weight.values.dtype.kind in "iu"
        assert layer.bias is not None and layer.bias.code is not None
        assert layer.bias.values is not None and layer.bias.values.dtype == np.int32
    # Between two codes lies at most one matrix layer: the code sits behind the activation that follows it.
    for layer in network.matrix_layers:
        readers = network.consumers[layer.name]
        behind = [network.by_name[name] for name in readers]
        follows = len(behind) == 1 and isinstance(behind[0], Activation) and behind[0].name in network.codes
        assert layer.name in network.codes or follows or layer.name in network.outputs
    kind = np.int8 if low else np.uint8
    x = RANDOM.integers(low, low + 256, network.inputs[0].shape).astype(kind)
    # onnxruntime sums in float32, so that a value beside a tie may be rounded the other way.
    wrong, total, largest = wrong_codes(path, network, x)
    assert largest <= 1 and wrong <= 1e-4 * total + 1


def quantised(path: Path, nodes: Sequence[Any], outputs: Sequence[str] = ("y",)) -> Path:
    stored = {
        "s": np.float32(0.1),
        "z": np.int8(3),
        "t": np.float32(0.2),
        "w": RANDOM.integers(-9, 9, (3, 4)).astype(np.int8),
        "ws": np.array([0.1, 0.2, 0.3, 0.4], dtype=np.float32),
        "wz": np.zeros(4, dtype=np.int8),
        "f": normal(3, 4),
    }
    return save(path, nodes, stored, {"x": (1, 3)}, outputs)


def test_a_code_belongs_to_the_tensor_that_is_quantised(tmp_path: Path) -> None:
    nodes = [
        node("DequantizeLinear", "w ws wz", "wd", axis=1),
        node("MatMul", "x wd", "h"),
        node("Relu", "h", "r"),
        node("QuantizeLinear", "r s z", "q"),
        node("DequantizeLinear", "q s z", "y"),
    ]
    network = Network.from_onnx(quantised(tmp_path / "q.onnx", nodes))
    assert list(network.codes) == ["the Relu"] == list(network.returned.values())
    code = network.codes["the Relu"]
    assert (float(code.scale), int(code.zero), code.low, code.high) == (pytest.approx(0.1), 3, -128, 127)
    linear = network.matrix_layers[0]
    assert isinstance(linear, Linear) and linear.weight.code is not None
    # Stored as (K, N), kept as (N, K): the axis of the channels moves with them.
    assert linear.weight.code.axis == 0 and linear.weight.shape == (4, 3)


def test_a_tensor_read_with_two_codes_or_without_one_gets_explicit_copies(tmp_path: Path) -> None:
    nodes = [
        node("Relu", "x", "r"),
        node("QuantizeLinear", "r s z", "q"),
        node("DequantizeLinear", "q s z", "a"),
        node("QuantizeLinear", "r t z", "p"),
        node("DequantizeLinear", "p t z", "b"),
        node("Add", "a b", "c"),
        node("Mul", "c r", "y"),
    ]
    network = Network.from_onnx(quantised(tmp_path / "q.onnx", nodes))
    assert "the Relu" not in network.codes and len(network.codes) == 2
    for name in network.codes:
        copy = network.by_name[name]
        assert isinstance(copy, Activation) and copy.function == "scale_shift" and copy.inputs == ("the Relu",)


def test_weights_quantised_in_the_graph_become_integers(tmp_path: Path) -> None:
    nodes = [
        node("QuantizeLinear", "f s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("MatMul", "x d", "y"),
    ]
    path = quantised(tmp_path / "q.onnx", nodes)
    network = agree(path, normal(1, 3))
    weight = network.matrix_layers[0].weight
    assert weight.code is not None and weight.values is not None and weight.values.dtype == np.int8


def test_codes_may_be_moved_and_computed_with(tmp_path: Path) -> None:
    moved = [
        node("QuantizeLinear", "x s z", "q"),
        node("Transpose", "q", "p", perm=[1, 0]),
        node("DequantizeLinear", "p s z", "y"),
    ]
    network = Network.from_onnx(quantised(tmp_path / "q.onnx", moved))
    assert set(network.codes) == {"x", "the Transpose"}
    x = np.array([[-0.62, 0.31, 0.93]], dtype=np.float32)
    for nodes in (
        [moved[0], node("Abs", "q", "p"), node("Cast", "p", "y", to=TensorProto.FLOAT)],
        [moved[0], node("DequantizeLinear", "q t z", "y")],
    ):
        path = quantised(tmp_path / "q.onnx", nodes)
        (wanted,) = session_of(path).run(None, {"x": x})
        np.testing.assert_allclose(run_float(Network.from_onnx(path), x)["y"], wanted, rtol=1e-6)


def test_integer_inputs_are_indices_and_tables_embeddings(tmp_path: Path) -> None:
    path = save(
        tmp_path / "e.onnx",
        [node("Gather", "t x", "y")],
        {"t": normal(7, 4)},
        {"x": ("batch", 3)},
        kind=TensorProto.INT64,
    )
    network = agree(path, np.array([[0, 6, 2]]))
    assert network.inputs[0].integers and isinstance(network.layers[1], Embedding)


def test_external_data_is_read(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [node("MatMul", "x w")], {"w": normal(64, 64)}, {"x": (1, 64)})
    model = onnx.load(path)
    onnx.save(model, tmp_path / "e.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    agree(tmp_path / "e.onnx", normal(1, 64))
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(NetworkError, match=r"e\.onnx"):
        Network.from_onnx(tmp_path / "e.onnx")


def test_free_axes_are_one_for_the_batch_and_given_otherwise(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [node("Relu", "x")], {}, {"x": ("n", 3, "length")})
    with pytest.raises(NetworkError, match="shapes"):
        Network.from_onnx(path)
    assert Network.from_onnx(path, shapes={"x": (2, 3, 5)}).layers[-1].shape == (2, 3, 5)
    for wrong in ({"x": (2, 4, 5)}, {"x": (2, 3)}, {"z": (2, 3, 5)}):
        with pytest.raises(NetworkError, match=r"m\.onnx"):
            Network.from_onnx(path, shapes=wrong)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([node("NonZero", "x", "h"), node("Relu", "x")], "the NonZero.*NonZero"),
        ([node("Resize", "x  s", antialias=1, mode="linear")], "the Resize.*antialias"),
        ([node("ConvTranspose", "x x")], "the ConvTranspose"),
        ([node("Conv", "x x")], "the Conv"),
        ([node("Pad", "x x")], "the Pad"),
    ],
)
def test_what_has_no_layer_is_refused_with_node_and_operator(nodes: list[Any], words: str, tmp_path: Path) -> None:
    stored = {"s": np.ones(4, dtype=np.float32), "k": normal(4, 2, 2, 2), "p": np.zeros(8, dtype=np.int64)}
    path = save(tmp_path / "bad.onnx", nodes, stored, {"x": IMAGE}, opset=18)
    with pytest.raises(NetworkError, match=words) as caught:
        Network.from_onnx(path)
    assert "bad.onnx" in str(caught.value)


def test_broken_files_are_refused_with_their_path(tmp_path: Path) -> None:
    path = save(tmp_path / "whole.onnx", [node("MatMul", "x w")], {"w": normal(64, 64)}, {"x": (1, 64)})
    content = path.read_bytes()
    for name, broken in (("cut", content[: len(content) // 2]), ("text", b"not a model"), ("empty", b"")):
        target = tmp_path / f"{name}.onnx"
        target.write_bytes(broken)
        with pytest.raises(NetworkError, match=rf"{name}\.onnx"):
            Network.from_onnx(target)
    with pytest.raises(NetworkError, match="no such file"):
        Network.from_onnx(tmp_path / "absent.onnx")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    weight = normal(3, 3)
    weight[1, 1] = np.nan
    path = save(tmp_path / "nan.onnx", [node("MatMul", "x w")], {"w": weight}, {"x": (1, 3)})
    with pytest.raises(WeightError, match=r"nan\.onnx.*'w'"):
        Network.from_onnx(path)


def test_spelt_out_norms_and_activations_are_recognised(tmp_path: Path) -> None:
    stored = {
        "two": np.float32(2),
        "eps": np.float32(1e-5),
        "g": normal(8),
        "b": normal(8),
        "w": normal(8, 8),
        "root": np.float32(2**0.5),
        "one": np.float32(1),
        "half": np.float32(0.5),
    }
    nodes = [
        node("ReduceMean", "x", "mean", axes=[-1]),
        node("Sub", "x mean", "d"),
        node("Pow", "d two", "sq"),
        node("ReduceMean", "sq", "var", axes=[-1]),
        node("Add", "var eps", "ve"),
        node("Sqrt", "ve", "sd"),
        node("Div", "d sd", "n"),
        node("Mul", "n g", "ng"),
        node("Add", "ng b", "norm"),
        node("MatMul", "norm w", "h"),
        node("Div", "h root", "hr"),
        node("Erf", "hr", "e"),
        node("Add", "e one", "e1"),
        node("Mul", "h e1", "he"),
        node("Mul", "he half", "y"),
    ]
    for item in nodes:
        item.name = item.output[0]
    network = agree(save(tmp_path / "m.onnx", nodes, stored, {"x": (1, 5, 8)}, opset=13), normal(1, 5, 8))
    assert [layer.kind for layer in network.layers] == ["input", "normalise", "linear", "activation"]
    assert isinstance(network.layers[-1], Activation) and network.layers[-1].function == "gelu"


def test_batch_normalisation_folds_but_not_into_integers(tmp_path: Path) -> None:
    stored = {
        "w": normal(6, 4, 3, 3),
        "s": normal(6),
        "b": normal(6),
        "m": normal(6),
        "v": normal(6) ** 2 + 0.5,
        "q": RANDOM.integers(-9, 9, (6, 4, 3, 3)).astype(np.int8),
        "qs": np.float32(0.1),
        "qz": np.int8(0),
    }
    plain = [node("Conv", "x w", "h"), node("BatchNormalization", "h s b m v")]
    network = agree(save(tmp_path / "m.onnx", plain, stored, {"x": IMAGE}), normal(*IMAGE))
    assert [layer.kind for layer in network.layers] == ["input", "convolution"]
    coded = [node("DequantizeLinear", "q qs qz", "d"), node("Conv", "x d", "h"), plain[1]]
    network = agree(save(tmp_path / "m.onnx", coded, stored, {"x": IMAGE}), normal(*IMAGE))
    assert [layer.kind for layer in network.layers] == ["input", "convolution", "channel affine"]
    assert network.matrix_layers[0].weight.code is not None
