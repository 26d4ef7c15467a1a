"""Quantised ONNX files of all kinds: what is read computes onnxruntime's integers, or is refused by name.

Sums are exact. onnxruntime scales them in float32, mho in float64, so that a result that lies half-way between two integers
may be rounded the other way: single operators agree exactly but for such ties, where they differ by one step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import mho
from mho.errors import NetworkError, NumberError, WeightError
from mho.network import Network
from mho.number import LayerBits, run_float, run_reference
from mho.number.quantised import quantise
from tests.strategies import GREEDY
from tests.test_network_onnx import session_of

MICROSOFT = "com.microsoft"
Arrays = Mapping[str, np.ndarray]


def node(operator: str, inputs: str, output: str = "y", domain: str = "", **attributes: Any) -> Any:
    made = helper.make_node(operator, inputs.split(), output.split(), f"the {operator} {output}", domain=domain)
    made.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    return made


def save(
    path: Path,
    nodes: Sequence[Any],
    stored: Arrays,
    x: tuple[int, ...],
    *,
    kind: int = TensorProto.FLOAT,
    out: int = TensorProto.FLOAT,
    opset: int = 17,
    ir: int = 10,
    domains: Sequence[str] = (MICROSOFT,),
) -> Path:
    graph = helper.make_graph(
        list(nodes), "graph", [helper.make_tensor_value_info("x", kind, x)], [helper.make_tensor_value_info("y", out, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )  # fmt: skip
    sets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=ir), path)
    return path


def integers(path: Path, x: np.ndarray, *, of_codes: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """What mho's integers and onnxruntime give."""
    network = Network.from_onnx(path)
    session = session_of(path, of_codes=of_codes)
    (wanted,) = session.run(None, {session.get_inputs()[0].name: x})
    samples = None if all(name in network.codes for name in needed(network)) else x
    return run_reference(quantise(network, samples), x)["y"], wanted


def needed(network: Network) -> set[str]:
    return {name for layer in network.layers if layer in network.matrix_layers for name in layer.inputs}


RANDOM = np.random.default_rng(11)


def bytes_of(*shape: int, kind: str = "int8") -> np.ndarray:
    limits = np.iinfo(kind)
    return RANDOM.integers(limits.min, limits.max + 1, shape).astype(kind)


def f(*values: float) -> np.ndarray:
    return np.array(values if len(values) > 1 else values[0], dtype=np.float32)


def u8(*values: int) -> np.ndarray:
    return np.array(values if len(values) > 1 else values[0], dtype=np.uint8)


def s8(*values: int) -> np.ndarray:
    return np.array(values if len(values) > 1 else values[0], dtype=np.int8)


CODES: Arrays = {"s": f(0.02), "z": u8(110), "t": f(0.03), "u": u8(7), "o": f(0.05), "p": u8(120)}
CONV: Arrays = {
    **CODES, "w": bytes_of(4, 3, 3, 3), "ws": f(0.01), "wz": s8(0), "b": np.array([50, -3000, 0, 900], dtype=np.int32),
    "m": f(0.01, 0.02, 0.004, 0.03), "mz": s8(0, 0, 0, 0), "r": f(0.4),
}  # fmt: skip
IMAGE = (2, 3, 6, 5)
MATRIX: Arrays = {
    **CODES, "w": bytes_of(6, 4), "ws": f(0.01), "wz": s8(3), "b": np.array([50, -3000, 0, 900], dtype=np.int32),
    "m": f(0.01, 0.02, 0.004, 0.03), "mz": s8(1, 0, -4, 0), "r": f(0.1), "wt": bytes_of(4, 6),
}  # fmt: skip
ROWS = (5, 6)
KNOWN: Arrays = {**CODES, "k": bytes_of(3, 1, 1, kind="uint8"), "l": bytes_of(2, 1, 6, 5, kind="uint8")}
SMALL = {**CODES, "i": f(1 / 256), "zero": u8(0)}
MOVED = {**CODES, "o": f(0.02), "p": u8(110), "k": u8(33), "pads": np.array([0, 0, 1, 2, 0, 0, 0, 1])}
CHOSEN = {**KNOWN, "c": np.array([[True], [False], [True], [True], [False], [True]])}
WINDOWS = {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 0]}
OPERATORS: dict[str, tuple[Any, Arrays, tuple[int, ...]]] = {
    "conv": (node("QLinearConv", "q s z w ws wz r p b", "c", pads=[1, 0, 1, 2], strides=[2, 1]), CONV, IMAGE),
    "conv per channel": (node("QLinearConv", "q s z w m mz r p b", "c"), CONV, IMAGE),
    "conv without bias": (node("QLinearConv", "q s z w ws wz r p", "c", dilations=[2, 1]), CONV, IMAGE),
    "matmul": (node("QLinearMatMul", "q s z w ws wz r p", "c"), MATRIX, ROWS),
    "matmul per column": (node("QLinearMatMul", "q s z w m mz r p", "c"), MATRIX, ROWS),
    "gemm": (node("QGemm", "q s z w ws wz b r p", "c", MICROSOFT), MATRIX, ROWS),
    "gemm transposed": (node("QGemm", "q s z wt m mz b r p", "c", MICROSOFT, transB=1), MATRIX, ROWS),
    "add": (node("QLinearAdd", "q s z q s z o p", "c", MICROSOFT), CODES, IMAGE),
    "add known": (node("QLinearAdd", "q s z k t u o p", "c", MICROSOFT), KNOWN, IMAGE),
    "mul": (node("QLinearMul", "q s z k t u o p", "c", MICROSOFT), KNOWN, IMAGE),
    "leaky": (node("QLinearLeakyRelu", "q s z o p", "c", MICROSOFT, alpha=0.3), CODES, IMAGE),
    "sigmoid": (node("QLinearSigmoid", "q s z i zero", "c", MICROSOFT), SMALL, IMAGE),
    "softmax": (node("QLinearSoftmax", "q s z i zero", "c", MICROSOFT, axis=-1, opset=13), SMALL, IMAGE),
    "average": (node("QLinearAveragePool", "q s z o p", "c", MICROSOFT, **WINDOWS), CODES, IMAGE),
    "global average": (node("QLinearGlobalAveragePool", "q s z o p", "c", MICROSOFT), CODES, IMAGE),
    "concat": (node("QLinearConcat", "o p q s z l t u", "c", MICROSOFT, axis=1), KNOWN, IMAGE),
    "where": (node("QLinearWhere", "c q s z k t u o p", "d", MICROSOFT), CHOSEN, IMAGE),
    "max pool": (node("MaxPool", "q", "c", kernel_shape=[2, 3], pads=[1, 1, 0, 0]), MOVED, IMAGE),
    "pad": (node("Pad", "q pads k", "c"), MOVED, IMAGE),
    "pad by code 0": (node("Pad", "q pads", "c"), MOVED, IMAGE),
}


@pytest.mark.parametrize("returned", ["integers", "reals"])
@pytest.mark.parametrize("case", OPERATORS)
def test_operators_on_codes_give_onnxruntimes_integers(case: str, returned: str, tmp_path: Path) -> None:
    operator, stored, shape = OPERATORS[case]
    scale = {"conv": "r", "matm": "r", "gemm": "r", "sigm": "i", "soft": "i"}.get(case[:4], "o")
    by, zero = operator.output[0], "zero" if scale == "i" else "p"
    last = node("Identity", by) if returned == "integers" else node("DequantizeLinear", f"{by} {scale} {zero}")
    nodes = [node("QuantizeLinear", "x s z", "q"), operator, last]
    out = TensorProto.UINT8 if returned == "integers" else TensorProto.FLOAT
    path = save(tmp_path / "q.onnx", nodes, stored, shape, out=out, opset=13)
    x = RANDOM.normal(0.3, 1.0, shape).astype(np.float32)
    made, wanted = integers(path, x, of_codes=True)
    step = 1.0 if returned == "integers" else float(stored[scale])
    assert made.shape == wanted.shape
    off = np.abs(made - wanted) / step
    assert off.max() < 1.01
    if returned == "integers":
        assert np.array_equal(made, np.rint(made))
        return
    # Where the two differ, the result before rounding lies half-way between two steps.
    steps = np.clip(np.rint(x / float(stored["s"])) + int(stored["z"]), 0, 255) - int(stored["z"])
    exact = run_float(Network.from_onnx(path), steps * float(stored["s"]))["y"] / step
    halfway = np.abs(exact - np.floor(exact) - 0.5) < 1e-3
    assert case == "softmax" or not ((off > 0.01) & ~halfway).any()


def test_a_number_that_the_file_quantises_is_known(tmp_path: Path) -> None:
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("QuantizeLinear", "v t u", "k"),
        node("QLinearMul", "q s z k t u o p", "c", MICROSOFT),
        node("DequantizeLinear", "c o p"),
    ]
    path = save(tmp_path / "q.onnx", nodes, {**CODES, "v": f(1.5)}, ROWS)
    made, wanted = integers(path, RANDOM.standard_normal(ROWS).astype(np.float32))
    off = np.abs(made - wanted) / float(CODES["o"])
    assert off.max() < 1.01 and (off > 0.01).mean() < 0.1


@pytest.mark.parametrize("axis", [None, 1])
def test_without_an_axis_scales_lie_along_axis_1(axis: int | None, tmp_path: Path) -> None:
    stored = {"w": bytes_of(4, 4), "ws": f(0.1, 0.2, 0.3, 0.4), "wz": s8(1, 2, 3, 4)}
    given = {} if axis is None else {"axis": axis}
    nodes = [node("DequantizeLinear", "w ws wz", "d", **given), node("MatMul", "x d")]
    path = save(tmp_path / "q.onnx", nodes, stored, (3, 4))
    x = RANDOM.standard_normal((3, 4)).astype(np.float32)
    (wanted,) = session_of(path).run(None, {"x": x})
    network = Network.from_onnx(path)
    np.testing.assert_allclose(run_float(network, x)["y"], wanted, rtol=1e-5, atol=1e-5)
    assert network.matrix_layers[0].weight.code is not None
    spelt = [node("QuantizeLinear", "x ws wz", "q", **given), node("DequantizeLinear", "q ws wz", **given)]
    path = save(tmp_path / "a.onnx", spelt, stored, (3, 4))
    (wanted,) = session_of(path).run(None, {"x": 9 * x})
    np.testing.assert_allclose(run_float(Network.from_onnx(path), 9 * x)["y"], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("zero", [0, 5])
def test_negative_scales_are_folded_into_the_weights(zero: int, tmp_path: Path) -> None:
    """As in MCUNet's files: scales of some output channels are negative, or 0 where a channel is dead."""
    stored = {
        "s": f(0.02), "z": s8(-11), "w": bytes_of(4, 3, 3, 3), "ws": f(0.01, -0.02, 0.004, -0.03),
        "wz": s8(zero, zero, 0, 0), "b": np.array([50, -3000, 0, 900], dtype=np.int32), "bs": f(0.0002, -0.0004, 0.00008, -0.0006),
        "bz": np.zeros(4, dtype=np.int32), "o": f(0.1), "p": s8(-4),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("DequantizeLinear", "w ws wz", "v", axis=0),
        node("DequantizeLinear", "b bs bz", "c", axis=0),
        node("Conv", "d v c", "h"),
        node("QuantizeLinear", "h o p", "r"),
        node("DequantizeLinear", "r o p"),
    ]
    path = save(tmp_path / "q.onnx", nodes, stored, IMAGE)
    x = RANDOM.standard_normal(IMAGE).astype(np.float32)
    made, wanted = integers(path, x)
    off = np.abs(made - wanted) / 0.1
    assert off.max() < 1.01 and (off > 0.01).mean() < 0.02
    network = Network.from_onnx(path)
    code = network.matrix_layers[0].weight.code
    assert code is not None and (code.scale > 0).all()
    program = mho.compile(quantise(network), "aras", GREEDY)
    assert mho.verify(program, x).exact
    dead = {**stored, "ws": f(0.01, 0.0, 0.004, 0.03), "bs": f(0.0002, 0.0, 0.00008, 0.0006)}
    made, wanted = integers(save(tmp_path / "d.onnx", nodes, dead, IMAGE), x)
    assert (np.abs(made - wanted) / 0.1).max() < 1.01


def test_a_negative_scale_of_an_activation_keeps_its_reals(tmp_path: Path) -> None:
    stored = {**CODES, "n": f(-0.02), "w": bytes_of(6, 4), "ws": f(0.01), "wz": s8(3)}
    nodes = [
        node("QuantizeLinear", "x n z", "q"),
        node("DequantizeLinear", "q n z", "d"),
        node("DequantizeLinear", "w ws wz", "v"),
        node("MatMul", "d v"),
    ]
    x = RANDOM.standard_normal((5, 6)).astype(np.float32)
    made, wanted = integers(save(tmp_path / "q.onnx", nodes, stored, (5, 6)), x)
    np.testing.assert_allclose(made, wanted, rtol=1e-5, atol=1e-5)
    path = save(tmp_path / "i.onnx", [nodes[0], node("Identity", "q")], stored, (5, 6), out=TensorProto.UINT8)
    (wanted,) = session_of(path).run(None, {"x": x})
    assert np.array_equal(run_float(Network.from_onnx(path), x)["y"], wanted)


@pytest.mark.parametrize("kind", ["INT4", "UINT4"])
def test_codes_of_4_bits_are_kept(kind: str, tmp_path: Path) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(getattr(TensorProto, kind))
    low = -8 if kind == "INT4" else 0
    stored = {
        "s": f(0.3), "z": np.array(low + 5).astype(dtype), "w": RANDOM.integers(low, low + 16, (6, 4)).astype(dtype),
        "ws": f(0.1, 0.2, 0.3, 0.4), "wz": np.array([low + 8] * 4).astype(dtype),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("DequantizeLinear", "w ws wz", "v", axis=1),
        node("MatMul", "d v"),
    ]
    x = RANDOM.standard_normal((5, 6)).astype(np.float32) * 2
    path = save(tmp_path / "q.onnx", nodes, stored, (5, 6), opset=21)
    made, wanted = integers(path, x)
    np.testing.assert_allclose(made, wanted, rtol=1e-5, atol=1e-5)
    network = Network.from_onnx(path)
    assert network.codes["x"].high - network.codes["x"].low == 15
    program = mho.compile(quantise(network), "aras")
    assert [layer.bits for layer in program.mapping.layers] == [LayerBits(4, 4)]
    assert mho.verify(program, x).ok
    blocked = [node("DequantizeLinear", "w bs", "v", axis=0, block_size=3), node("MatMul", "x v")]
    path = save(tmp_path / "b.onnx", blocked, {**stored, "bs": np.ones((2, 4), dtype=np.float32)}, (5, 6), opset=21)
    with pytest.raises(NetworkError, match="block_size"):
        Network.from_onnx(path)


def test_codes_of_16_bits_are_computed_where_no_matrix_reads_them(tmp_path: Path) -> None:
    stored = {
        **CODES,
        "a": f(0.0001),
        "c": np.array(30000, dtype=np.uint16),
        "w": bytes_of(6, 4),
        "ws": f(0.01),
        "wz": s8(3),
    }
    wide = [node("QuantizeLinear", "x a c", "q"), node("DequantizeLinear", "q a c", "d")]
    eight = [node("QuantizeLinear", "d s z", "e"), node("DequantizeLinear", "e s z", "g")]
    weight = node("DequantizeLinear", "w ws wz", "v")
    x = RANDOM.standard_normal((5, 6)).astype(np.float32)
    path = save(tmp_path / "q.onnx", [*wide, *eight, weight, node("MatMul", "g v")], stored, (5, 6), opset=21)
    made, wanted = integers(path, x)
    np.testing.assert_allclose(made, wanted, rtol=1e-5, atol=1e-5)
    path = save(tmp_path / "w.onnx", [*wide, weight, node("MatMul", "d v")], stored, (5, 6), opset=21)
    with pytest.raises(NetworkError, match=r"the MatMul.*uint16.*8-bit activations"):
        Network.from_onnx(path)
    path = save(tmp_path / "v.onnx", [node("DequantizeLinear", "w ws wz", "v"), node("MatMul", "x v")],
                {**stored, "w": bytes_of(6, 4, kind="int16"), "wz": np.array(0, dtype=np.int16)}, (5, 6), opset=21)  # fmt: skip
    with pytest.raises(NumberError, match=r"the MatMul.*8 bits"):
        quantise(Network.from_onnx(path), x)


@pytest.mark.parametrize("operator", ["MatMulInteger", "ConvInteger"])
def test_products_of_integers(operator: str, tmp_path: Path) -> None:
    shape, weight = (ROWS, bytes_of(6, 4)) if operator == "MatMulInteger" else (IMAGE, bytes_of(4, 3, 3, 3))
    stored = {**CODES, "w": weight, "wz": s8(0)}
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node(operator, "q w z wz", "a"),
        node("Cast", "a", "f", to=TensorProto.FLOAT),
        node("Mul", "f t"),
    ]
    path = save(tmp_path / "q.onnx", nodes, stored, shape)
    made, wanted = integers(path, RANDOM.standard_normal(shape).astype(np.float32))
    np.testing.assert_allclose(made, wanted, rtol=1e-6)
    path = save(
        tmp_path / "i.onnx", [node(operator, "x w z wz")], stored, shape, kind=TensorProto.UINT8, out=TensorProto.INT32
    )
    made, wanted = integers(path, bytes_of(*shape, kind="uint8"))
    assert np.array_equal(made, wanted)


def quant_in_numpy(x: np.ndarray, scale: np.ndarray, zero: float, bits: int, signed: bool, narrow: bool) -> np.ndarray:
    """QONNX's definition of Quant."""
    low = (-(2 ** (bits - 1)) + narrow) if signed else 0
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
    return (np.rint(np.clip(x.astype(np.float64) / scale + zero, low, high)) - zero) * scale


@pytest.mark.parametrize(
    ("bits", "signed", "narrow"), [(8, 1, 0), (4, 1, 1), (3, 0, 0), (2, 1, 0), (1, 0, 0), (6, 0, 1)]
)
def test_qonnx_files_keep_their_codes(bits: int, signed: int, narrow: int, tmp_path: Path) -> None:
    domain = "qonnx.custom_op.general"
    weight, x = (
        RANDOM.standard_normal((4, 3, 3, 3)).astype(np.float32),
        RANDOM.standard_normal(IMAGE).astype(np.float32),
    )
    scales = f(0.5, 0.25, 0.3, 0.1).reshape(4, 1, 1, 1)
    stored = {"s": f(0.2), "zero": f(0), "bits": f(bits), "w": weight, "ws": scales, "eight": f(8)}
    nodes = [
        node("Quant", "x s zero bits", "q", domain, signed=signed, narrow=narrow, rounding_mode="ROUND"),
        node("Quant", "w ws zero eight", "v", domain, signed=1, narrow=1, rounding_mode="ROUND"),
        node("Conv", "q v"),
    ]
    # As such files come: without a version of the domain.
    path = save(tmp_path / "q.onnx", nodes, stored, IMAGE, domains=())
    network = Network.from_onnx(path)
    code = network.codes["x"]
    assert code.high - code.low == 2**bits - 1 - narrow
    made = run_reference(quantise(network), x)["y"]
    plain = save(
        tmp_path / "p.onnx",
        [node("Conv", "x v")],
        {"v": quant_in_numpy(weight, scales, 0, 8, True, True).astype(np.float32)},
        IMAGE,
    )
    (wanted,) = session_of(plain).run(
        None, {"x": quant_in_numpy(x, f(0.2), 0, bits, bool(signed), bool(narrow)).astype(np.float32)}
    )
    np.testing.assert_allclose(made, wanted, rtol=1e-4, atol=1e-4)


def test_bipolar_codes_are_two(tmp_path: Path) -> None:
    domain = "qonnx.custom_op.general"
    weight, x = RANDOM.standard_normal((6, 4)).astype(np.float32), RANDOM.standard_normal(ROWS).astype(np.float32)
    nodes = [node("BipolarQuant", "x s", "q", domain), node("BipolarQuant", "w t", "v", domain), node("MatMul", "q v")]
    network = Network.from_onnx(
        save(tmp_path / "q.onnx", nodes, {"s": f(0.5), "t": f(0.25), "w": weight}, ROWS, domains=())
    )
    made = run_reference(quantise(network), x)["y"]
    np.testing.assert_allclose(made, np.where(x >= 0, 0.5, -0.5) @ np.where(weight >= 0, 0.25, -0.25), atol=1e-12)


@pytest.mark.parametrize("high", [127, 3])
def test_clipped_integers_have_a_narrower_code(high: int, tmp_path: Path) -> None:
    """QCDQ, as Brevitas writes codes of few bits."""
    stored = {"s": f(0.3), "z": s8(0), "low": s8(-high - 1), "high": s8(high), "w": bytes_of(6, 4), "ws": f(0.01)}
    nodes = [
        node("QuantizeLinear", "x s z", "q"), node("Clip", "q low high", "c"), node("DequantizeLinear", "c s z", "d"),
        node("Clip", "w low high", "k"), node("DequantizeLinear", "k ws z", "v"), node("MatMul", "d v"),
    ]  # fmt: skip
    path = save(tmp_path / "q.onnx", nodes, stored, ROWS)
    made, wanted = integers(path, 3 * RANDOM.standard_normal(ROWS).astype(np.float32))
    np.testing.assert_allclose(made, wanted, rtol=1e-5, atol=1e-5)
    assert Network.from_onnx(path).codes["x"].high == high


REFUSED: dict[str, tuple[Any, str]] = {
    "dynamic": (node("DynamicQuantizeLinear", "x", "y h i"), "statically"),
    "blocks": (node("MatMulNBits", "x w s", "y", MICROSOFT, K=6, N=4, bits=4, block_size=16), "blocks"),
    "thresholds": (node("MultiThreshold", "x w", "y", "finn.custom_op.general"), "MultiThreshold"),
    "rounding": (node("Quant", "x s s s", "y", "qonnx.custom_op.general", rounding_mode="FLOOR"), "FLOOR"),
    "another": (node("Attention", "x w s", "y", MICROSOFT), "com.microsoft.*QLinearConv"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_kinds_are_refused_by_name(case: str, tmp_path: Path) -> None:
    operator, words = REFUSED[case]
    path = save(
        tmp_path / "q.onnx",
        [operator],
        {"w": f(1, 2), "s": f(1)},
        ROWS,
        domains=() if "custom" in operator.domain else (MICROSOFT,),
    )
    with pytest.raises(NetworkError, match=rf"the {operator.op_type}.*{words}"):
        Network.from_onnx(path)


MALFORMED: dict[str, tuple[Any, Arrays]] = {
    "no inputs": (helper.make_node("Quant", [], ["c"], domain="qonnx.custom_op.general"), {}),
    "weights of reals": (node("QLinearConv", "q s z w ws wz r p", "c"), {"w": np.full((4, 3, 3, 3), 0.5, np.float32)}),
    "no scale": (node("QLinearAdd", "q s z q s z", "c", MICROSOFT), {}),
    "an infinite scale": (node("QLinearAdd", "q s z q s z r p", "c", MICROSOFT), {"r": f(np.inf)}),
    "a result of scale 0": (node("QLinearAdd", "q s z q s z r p", "c", MICROSOFT), {"r": f(0.0)}),
    "scales that do not fit": (node("QLinearConv", "q s z w ws wz r p", "c"), {"ws": np.ones(3, np.float32)}),
    "bits that are no number": (
        node("Quant", "x s bits bits", "c", "qonnx.custom_op.general", signed=1, narrow=0), {"bits": f(np.inf)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_quantised_files_are_refused_in_one_line(case: str, tmp_path: Path) -> None:
    operator, stored = MALFORMED[case]
    nodes = [node("QuantizeLinear", "x s z", "q"), operator, node("Identity", "c")]
    path = save(tmp_path / "q.onnx", nodes, {**CONV, **stored}, IMAGE, out=TensorProto.UINT8)
    with pytest.raises((NetworkError, WeightError), match=r"q\.onnx") as refused:
        Network.from_onnx(path)
    assert "\n" not in str(refused.value)


def test_files_that_break_the_types_of_operators_are_refused(tmp_path: Path) -> None:
    nodes = [node("Gemm", "x w b")]
    stored = {"w": bytes_of(6, 4), "b": np.zeros(4, dtype=np.int8)}
    path = save(tmp_path / "q.onnx", nodes, stored, ROWS, kind=TensorProto.INT8, out=TensorProto.INT8)
    with pytest.raises(NetworkError, match=r"q\.onnx: not a valid ONNX file.*Gemm"):
        Network.from_onnx(path)


def calibration(x: np.ndarray) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter([{"input": x[i : i + 10]} for i in range(0, len(x), 10)])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.left, None)

    return Reader()


SETTINGS = ["operators", "operators per channel", "4-bit weights", "mixed widths"]


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_real_network_quantised_by_onnxruntime_answers_as_onnxruntime_does(
    setting: str, data: Path, tmp_path: Path
) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    source = data / "cifar10" / "resnet8_fp32.onnx"
    held = np.load(data / "cifar10" / "test_a.npz")
    model = onnx.load(source)
    name, dims = model.graph.input[0].name, [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]
    x = held["x"][:200].astype(np.float32)
    x = x if dims[-1] == 3 else x.transpose(0, 3, 1, 2)
    reader = calibration(x[:40])
    reader.left = iter([{name: x[i : i + 10]} for i in range(0, 40, 10)])
    given: dict[str, Any] = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    if setting.startswith("operators"):
        given |= {"quant_format": QuantFormat.QOperator, "per_channel": "per" in setting}
    elif setting.startswith("4"):
        given["weight_type"] = QuantType.QInt4
    path = tmp_path / "q.onnx"
    quantize_static(source, str(path), reader, **{"quant_format": QuantFormat.QDQ, **given})
    (wanted, *_) = session_of(path, of_codes=setting.startswith("operators")).run(None, {name: x})
    quantised = quantise(Network.from_onnx(path), x[:20])
    made = next(iter(run_reference(quantised, x).values()))
    assert (made.argmax(1) == wanted.argmax(1)).mean() >= 0.99
