"""LSTM, GRU and RNN of ONNX files against onnxruntime, and against onnx's own node tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import gru, lstm, rnn

import mho
from mho.errors import NetworkError
from mho.network.graph import Network
from mho.number import run_float
from tests.command_line import Shell
from tests.hand_sized import hand_chip
from tests.strategies import GREEDY

SPARE = ("Relu", "LeakyRelu", "ThresholdedRelu", "HardSigmoid", "Elu", "Softsign", "Softplus")
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FUNCTIONS = {"LSTM": 3, "GRU": 2, "RNN": 1}


def made(
    folder: Path,
    operator: str,
    *,
    steps: int = 3,
    batch: int = 1,
    inputs: int = 2,
    size: int = 3,
    direction: str = "forward",
    parts: Sequence[str] = ("B",),
    outputs: Sequence[str] = ("Y", "Y_h"),
    lengths: Sequence[int] | None = None,
    seed: int = 0,
    **attributes: Any,
) -> Path:
    """Write a file of one node; `parts` are the optional inputs that it has: B, initial_h, initial_c, P."""
    generator = np.random.default_rng(seed)
    sides, rows = 2 if direction == "bidirectional" else 1, GATES[operator] * size
    shapes = {
        "W": (sides, rows, inputs), "R": (sides, rows, size), "B": (sides, 2 * rows), "initial_h": (sides, batch, size),
        "initial_c": (sides, batch, size), "P": (sides, 3 * size),
    }  # fmt: skip
    order = ["X", "W", "R", "B", "sequence_lens", "initial_h", *(("initial_c", "P") if operator == "LSTM" else ())]
    have = {"X", "W", "R", *parts}
    weights = [
        numpy_helper.from_array(generator.normal(size=shapes[name]).astype(np.float32), name)
        for name in order
        if name in have and name != "X"
    ]
    if lengths is not None:
        have.add("sequence_lens")
        weights.append(numpy_helper.from_array(np.array(lengths, dtype=np.int32), "sequence_lens"))
    names = [name if name in have else "" for name in order]
    while not names[-1]:
        names.pop()
    ways = ["Y", "Y_h", *(["Y_c"] if operator == "LSTM" else [])]
    node = helper.make_node(
        operator, names, [name if name in outputs else "" for name in ways], "layer", hidden_size=size,
        direction=direction, **attributes,
    )  # fmt: skip
    graph = helper.make_graph(
        [node], "graph", [helper.make_tensor_value_info("X", TensorProto.FLOAT, (steps, batch, inputs))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * (4 if name == "Y" else 3)) for name in outputs], weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = 8
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


@st.composite
def nodes(draw: st.DrawFn) -> dict[str, Any]:
    """Nodes of every operator with whatever the standard lets them have, as far as onnxruntime runs it."""
    operator = draw(st.sampled_from(sorted(GATES)))
    direction = draw(st.sampled_from(["forward", "reverse", "bidirectional"]))
    sides = 2 if direction == "bidirectional" else 1
    parts = draw(st.lists(st.sampled_from(["B", "initial_h"]), unique=True))
    outputs = draw(st.lists(st.sampled_from(["Y", "Y_h"]), unique=True, min_size=1))
    more: dict[str, Any] = {}
    if operator == "LSTM":
        parts += draw(st.sampled_from([[], ["initial_c"], ["P"], ["initial_c", "P"]]))
        outputs += draw(st.sampled_from([[], ["Y_c"]]))
        more |= draw(st.sampled_from([{}, {"input_forget": 1}]))
    if operator == "GRU":
        more |= draw(st.sampled_from([{}, {"linear_before_reset": 1}]))
    if draw(st.booleans()):
        more["clip"] = draw(st.sampled_from([0.3, 2.0]))
    if draw(st.booleans()):
        more["activations"] = [
            draw(st.sampled_from(["Sigmoid", "Tanh", *SPARE])) for _ in range(FUNCTIONS[operator] * sides)
        ]
        takers = {"LeakyRelu", "ThresholdedRelu", "HardSigmoid", "Elu"}
        count = sum(name in takers for name in more["activations"])
        if count:
            more["activation_alpha"] = [0.1 + 0.05 * place for place in range(count)]
        if "HardSigmoid" in more["activations"]:
            more["activation_beta"] = [0.4] * more["activations"].count("HardSigmoid")
    sizes = {name: draw(st.integers(1, 4)) for name in ("steps", "batch", "inputs", "size")}
    return {
        "operator": operator, "direction": direction, "parts": parts, "outputs": sorted(outputs), "seed": draw(st.integers(0, 99)),
        **sizes, **more,
    }  # fmt: skip


@settings(max_examples=60)
@given(nodes())
def test_a_node_computes_what_onnxruntime_computes(
    tmp_path_factory: pytest.TempPathFactory, node: dict[str, Any]
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    path = made(tmp_path_factory.mktemp("node"), **node)
    network = Network.from_onnx(path)
    x = np.random.default_rng(1).standard_normal(network.inputs[0].shape).astype(np.float32)
    wanted = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"X": x})
    got = run_float(network, x)
    assert network.outputs == tuple(node["outputs"])
    for name, want in zip(network.outputs, wanted, strict=True):
        assert got[name].shape == want.shape
        np.testing.assert_allclose(got[name], want, rtol=0, atol=2e-6 * max(1.0, np.abs(want).max()))


def cases() -> dict[str, tuple[Any, list[np.ndarray], list[np.ndarray]]]:
    """Return onnx's own node tests of the three operators: node, inputs, outputs."""
    kept: dict[str, tuple[Any, list[np.ndarray], list[np.ndarray]]] = {}

    def expect(node: Any, inputs: list[np.ndarray], outputs: list[np.ndarray], name: str, **rest: Any) -> None:
        kept[name] = node, inputs, outputs

    for module, kind in ((lstm, lstm.LSTM), (gru, gru.GRU), (rnn, rnn.RNN)):
        before, module.expect = module.expect, expect  # type: ignore[attr-defined]
        for name in dir(kind):
            if name.startswith("export"):
                getattr(kind, name)()
        module.expect = before  # type: ignore[attr-defined]
    return kept


CASES = cases()


@pytest.mark.parametrize("case", CASES)
def test_the_standards_own_tests_come_out_right(tmp_path: Path, case: str) -> None:
    node, inputs, outputs = CASES[case]
    names, results = [name for name in node.input if name], [name for name in node.output if name]
    ends = [
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in zip(*pair, strict=True)
        ]
        for pair in ((names, inputs), (results, outputs))
    ]
    graph = helper.make_graph([node], case, *ends)
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    network = Network.from_onnx(tmp_path / "model.onnx", values=dict(zip(names[1:], inputs[1:], strict=True)))
    got = run_float(network, inputs[0])
    for name, want in zip(results, outputs, strict=True):
        np.testing.assert_allclose(got[name], want, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lengths": [2]}, r"sequence_lens \[2\] are not all 3"),
        ({"activations": ["Swish"]}, "unknown activation 'Swish'"),
        ({"activations": ["Tanh", "Tanh"]}, "1 activations are needed, not 2"),
        ({"activations": ["Affine"]}, "activation Affine needs activation_alpha"),
        ({"clip": 0.0}, "clip is a positive number"),
        ({"hidden_size": 5}, "W has shape"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    size = changes.pop("hidden_size", None)
    path = made(tmp_path, "RNN", **changes)
    if size is not None:
        model = onnx.load(path)
        next(each for each in model.graph.node[0].attribute if each.name == "hidden_size").i = size
        onnx.save(model, path)
    with pytest.raises(NetworkError, match=rf"model.onnx: node 'layer' \(RNN\): {words}"):
        Network.from_onnx(path)


def test_full_sequence_lengths_and_given_functions_are_accepted(tmp_path: Path) -> None:
    path = made(tmp_path, "RNN", lengths=[3], activations=["ScaledTanh"], activation_alpha=[1.5], activation_beta=[0.5])
    network = Network.from_onnx(path)
    assert network.weights == 3 * 2 + 3 * 3


@pytest.mark.parametrize("operator", GATES)
def test_a_files_layer_is_exact_through_its_program_and_its_weights_are_written_once(
    tmp_path: Path, operator: str
) -> None:
    counts = []
    for steps in (3, 6):
        network = Network.from_onnx(made(tmp_path, operator, steps=steps, size=6, inputs=4, direction="bidirectional"))
        x = np.random.default_rng(1).standard_normal((4 * steps, 1, 4)).astype(np.float32)
        program = mho.compile(mho.number.quantise(network, x), hand_chip(tiles=60), GREEDY.with_(schedule="overlap"))
        verification = mho.verify(program, x)
        assert verification.ok, str(verification)
        counts.append((network.weights, program.mapping.count, program.mapping.arrays, program.setup))
    assert counts[0] == counts[1]


def test_the_command_line_runs_and_verifies_a_recurrent_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made(tmp_path, "LSTM", steps=5, inputs=4, size=6, outputs=("Y_h",))
    report = Shell(monkeypatch, capsys)("run", str(path), "--chip", "aras", "--verify", "--json").json()
    assert report["model"]["weights"] == 24 * 4 + 24 * 6
    assert report["verified"].startswith("bit-exact")
    layers = [each for each in report["layers"] if each["k"] is not None]
    assert [each["weights_of"] for each in layers] == [None, None, *["layer.1.hidden"] * 3]
    assert sum(each["arrays"] for each in layers if each["copies"] == 1) <= report["arrays"]["used"]


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_one_initialiser_of_two_nodes_is_one_weight(tmp_path: Path, coded: bool, kind: type) -> None:
    weight = np.random.default_rng(0).normal(size=(4, 4)).astype(kind)
    nodes, name = [], "w"
    stored = [numpy_helper.from_array(weight, "w")]
    if coded:
        stored = [
            numpy_helper.from_array(np.arange(-8, 8, dtype=np.int8).reshape(4, 4), "w"),
            numpy_helper.from_array(np.array(0.1, dtype=np.float32), "s"),
            numpy_helper.from_array(np.array(0, dtype=np.int8), "z"),
        ]
        nodes = [helper.make_node("DequantizeLinear", ["w", "s", "z"], [f"w{place}"]) for place in range(3)]
    names = ["w0", "w1", "w2"] if coded else [name] * 3
    nodes += [
        helper.make_node("MatMul", ["x", names[0]], ["a"]),
        helper.make_node("MatMul", ["a", names[1]], ["b"]),
        helper.make_node("Gemm", ["b", names[2]], ["y"], transB=1),
    ]
    real = TensorProto.FLOAT if coded or kind == np.float32 else TensorProto.DOUBLE
    ends = [[helper.make_tensor_value_info(each, real, [1, 4])] for each in "xy"]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", *ends, stored)), tmp_path / "model.onnx")
    network = Network.from_onnx(tmp_path / "model.onnx")
    assert len(network.matrix_layers) == 3
    # The last one multiplies by the same numbers turned round: another arrangement in cells.
    assert network.weights == 2 * 16
