"""ONNX files as they lie around: what onnxruntime loads and runs is read, and gives onnxruntime's answers."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mho.errors import MhoError, NetworkError
from mho.network import Network
from mho.number import run_float
from mho.number.batching import rebatched
from tests.test_network_onnx import session_of

RANDOM = np.random.default_rng(5)
WEIGHT = RANDOM.standard_normal((4, 3)).astype(np.float32)
FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data"


def model(
    nodes: list[Any], x: tuple[int | str, ...] | None = (2, 4), *, stored: dict[str, np.ndarray] | None = None, ir: int = 8,
    opset: int = 17, outputs: tuple[str, ...] = ("y",), **extra: Any,
) -> Any:  # fmt: skip
    graph = helper.make_graph(
        nodes, "graph", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (stored or {"w": WEIGHT}).items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir, **extra)


def n(operator: str, inputs: str, output: str = "y", **attributes: Any) -> Any:
    return helper.make_node(operator, inputs.split(), output.split(), **attributes)


def constant(**attribute: Any) -> Any:
    return n("Constant", "", "k", **attribute)


def functions() -> Any:
    """A model with a function of its own."""
    body = [n("MatMul", "a b", "c"), n("Relu", "c", "d")]
    function = helper.make_function("own", "dense", ["a", "b"], ["d"], body, [helper.make_opsetid("", 17)])
    made = model([helper.make_node("dense", ["x", "w"], ["y"], domain="own")])
    made.functions.append(function)
    made.opset_import.append(helper.make_opsetid("own", 1))
    return made


def listed_as_inputs() -> Any:
    """Initializers among the inputs, as all files had them before IR version 4."""
    made = model([n("MatMul", "x w")], ir=3)
    made.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, WEIGHT.shape))
    return made


def unnamed() -> Any:
    made = model([n("MatMul", "x w")])
    made.graph.name = ""
    return made


def sparse() -> Any:
    tensor = helper.make_sparse_tensor(
        numpy_helper.from_array(np.array([2.0, 3.0], dtype=np.float32)), numpy_helper.from_array(np.array([1, 2])), [3]
    )
    return model([n("MatMul", "x w", "h"), constant(sparse_value=tensor), n("Add", "h k")])


def sparse_weights() -> Any:
    made = model([n("MatMul", "x v")], stored={"unused": WEIGHT})
    values = numpy_helper.from_array(np.array([2.0, -3.0], dtype=np.float32), "v")
    places = numpy_helper.from_array(np.array([[0, 1], [3, 2]]), "places")
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4, 3]))
    return made


def typed_constant(kind: int) -> Any:
    value = helper.make_tensor("v", kind, [3], [1, 0, 2])
    return model(
        [n("MatMul", "x w", "h"), constant(value=value), n("Cast", "k", "f", to=TensorProto.FLOAT), n("Mul", "h f")],
        opset=21,
    )


FILES: dict[str, Callable[[], Any]] = {
    "functions of its own": functions,
    "initializers among the inputs": listed_as_inputs,
    "initializers that are no inputs, in an old version": lambda: model([n("MatMul", "x w")], ir=3, opset=8),
    "no name": unnamed,
    "nodes in any order": lambda: model([n("Relu", "h"), n("MatMul", "i w", "h"), n("Identity", "x", "i")]),
    "weights through identities": lambda: model([n("Identity", "w", "a"), n("Identity", "a", "b"), n("MatMul", "x b")]),
    "weights through a constant": lambda: model(
        [constant(value=numpy_helper.from_array(WEIGHT)), n("MatMul", "x k")], stored={"unused": np.zeros(3, dtype=np.float32)}
    ),
    "constant float": lambda: model([n("MatMul", "x w", "h"), constant(value_float=0.5), n("Mul", "h k")]),
    "constant floats": lambda: model([n("MatMul", "x w", "h"), constant(value_floats=[0.5, 1.0, 2.0]), n("Mul", "h k")]),
    "constant int": lambda: model([n("MatMul", "x w", "h"), constant(value_int=1), n("Unsqueeze", "h k")]),
    "constant ints": lambda: model([n("MatMul", "x w", "h"), constant(value_ints=[3, 2]), n("Reshape", "h k")]),
    "constant sparse": sparse,
    "constant of 16 bits": lambda: typed_constant(TensorProto.FLOAT16),
    "constant of bfloat16": lambda: typed_constant(TensorProto.BFLOAT16),
    "constant of 64 bits": lambda: typed_constant(TensorProto.DOUBLE),
    "constant of truths": lambda: typed_constant(TensorProto.BOOL),
    "outputs not used": lambda: model([n("MatMul", "x w", "h"), n("Split", "h", "y a b", axis=1, num_outputs=3)], opset=18),
    "optional inputs left out": lambda: model(
        [n("MatMul", "x w", "h"), helper.make_node("Clip", ["h", "", "k"], ["y"])],
        stored={"w": WEIGHT, "k": np.array(0.1, dtype=np.float32)},
    ),
    "weights that are sparse": lambda: sparse_weights(),
    "an input returned": lambda: model([n("MatMul", "x w")], outputs=("y", "x")),
    "a weight returned": lambda: model([n("MatMul", "x w")], outputs=("y", "w")),
    "one tensor under two names": lambda: model([n("MatMul", "x w"), n("Identity", "y", "z")], outputs=("z", "y")),
    "free first axis": lambda: model([n("MatMul", "x w")], ("N", 4)),
    "no shape": lambda: model([n("MatMul", "x w")], None),
    "dead nodes": lambda: model([n("MatMul", "x w"), n("Relu", "x", "dead"), n("Abs", "w", "gone")]),
    "operator set 6": lambda: model([n("MatMul", "x w", "h"), n("Add", "h b", broadcast=1)], ir=3, opset=6,
                                    stored={"w": WEIGHT, "b": np.ones(3, dtype=np.float32)}),
    "operator set 7": lambda: model([n("MatMul", "x w", "h"), n("Dropout", "h")], opset=7),
    "operator set 8": lambda: model([n("MatMul", "x w", "h"), n("Sum", "h h")], opset=8),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_file_as_it_lies_around_gives_onnxruntimes_answers(case: str, tmp_path: Path) -> None:
    made = FILES[case]()
    if case == "operator set 6":
        for name, shape in (("w", [4, 3]), ("b", [3])):
            made.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    onnx.save(made, tmp_path / "x.onnx")
    x = RANDOM.standard_normal((2, 4)).astype(np.float32)
    if case == "no shape":
        with pytest.raises(NetworkError, match="'x' has no shape in the file"):
            Network.from_onnx(tmp_path / "x.onnx")
    network = Network.from_onnx(
        tmp_path / "x.onnx", shapes={"x": (2, 4)} if case in ("no shape", "free first axis") else None
    )
    computed = run_float(network, x)
    if case == "operator set 6":  # which onnxruntime has only in part
        np.testing.assert_allclose(computed["y"], x @ WEIGHT + 1, rtol=1e-5)
        return
    session = session_of(tmp_path / "x.onnx")
    wanted = session.run(None, {"x": x})
    assert list(network.outputs) == [item.name for item in session.get_outputs()]
    for name, array in zip(network.outputs, wanted, strict=True):
        np.testing.assert_allclose(computed[name], array, rtol=1e-5, atol=1e-6)


def test_external_data_beside_a_file_is_read(tmp_path: Path) -> None:
    onnx.save(
        model([n("Relu", "h"), n("MatMul", "x w", "h")]),
        tmp_path / "x.onnx",
        save_as_external_data=True,
        location="x.data",
        size_threshold=0,
    )
    assert np.array_equal(Network.from_onnx(tmp_path / "x.onnx").matrix_layers[0].weight.real(), WEIGHT.T)
    (tmp_path / "x.data").unlink()
    with pytest.raises(NetworkError, match=r"x\.onnx"):
        Network.from_onnx(tmp_path / "x.onnx")


@pytest.mark.parametrize("batch", [1, 3, 789, 1578])
def test_a_batch_fixed_by_the_file_becomes_another_one(batch: int, tmp_path: Path) -> None:
    """F6: an exporter fixed a batch of hundreds of thousands; nothing depends on it."""
    nodes = [
        n("MatMul", "x w", "h"),
        n("Reshape", "h s", "r"),
        n("Transpose", "r", "t", perm=[0, 2, 1]),
        n("Softmax", "t", axis=-1),
    ]
    onnx.save(model(nodes, (789, 4), stored={"w": WEIGHT, "s": np.array([789, 3, 1])}), tmp_path / "x.onnx")
    network = rebatched(Network.from_onnx(tmp_path / "x.onnx"), batch)
    assert network.batch == batch and network.macs == 12 * batch
    x = RANDOM.standard_normal((789 * 2, 4)).astype(np.float32)
    session = session_of(tmp_path / "x.onnx")
    wanted = np.concatenate([session.run(None, {"x": part})[0] for part in (x[:789], x[789:])])
    many = 789 * 2 // batch * batch
    np.testing.assert_allclose(run_float(network, x[:many])["y"], wanted[:many], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("nodes", "layer"),
    [
        ([n("Softmax", "x", axis=0)], "Softmax"),
        ([n("ReduceMean", "x", axes=[0])], "ReduceMean"),
        ([n("Transpose", "x", perm=[1, 0])], "Transpose"),
        ([n("Reshape", "x s")], "Reshape"),
        ([n("Add", "x v")], "Add"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_batch_on_which_something_depends_stays(nodes: list[Any], layer: str, tmp_path: Path) -> None:
    nodes[0].name = layer
    stored = {"s": np.array([4, 6]), "v": np.ones((6, 1), dtype=np.float32)}
    onnx.save(model(nodes, (6, 4), stored=stored), tmp_path / "x.onnx")
    network = Network.from_onnx(tmp_path / "x.onnx")
    assert rebatched(network, 6) is network
    with pytest.raises(NetworkError, match=rf"batch of 6 cannot become one of 2.*{layer}"):
        rebatched(network, 2)


def outcome(folder: Path) -> str:
    """What becomes of one of onnx's own tests: right, refused, wrong, or raw (an error that is not mho's)."""
    path = folder / "model.onnx"
    described = onnx.load(path)
    data = folder / "test_data_set_0"

    def tensors(what: str) -> list[np.ndarray]:
        count = len(list(data.glob(f"{what}_*.pb")))
        return [numpy_helper.to_array(onnx.load_tensor(str(data / f"{what}_{i}.pb"))) for i in range(count)]

    try:
        given, wanted = tensors("input"), tensors("output")
    except Exception:  # sequences and maps are no tensors
        given, wanted = [], []
    names = [value.name for value in described.graph.input]
    held = dict(zip(names, given, strict=False))
    shapes = {value.name for value in described.graph.input if value.type.tensor_type.elem_type == TensorProto.INT64}
    values = {name: array for name, array in held.items() if name in shapes and folder.name.startswith("test_expand")}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            network = Network.from_onnx(path, values=values)
            computed = run_float(network, [held[layer.name] for layer in network.inputs])
    except MhoError:
        return "refused"
    except Exception as error:  # what the test looks for
        return f"raw {type(error).__name__}"
    right = list(network.outputs) == [value.name for value in described.graph.output] and len(wanted) == len(computed)
    for name, array in zip(network.outputs, wanted, strict=False):
        made = computed[name]
        right = right and made.shape == array.shape and np.allclose(made, array, rtol=1e-3, atol=1e-4, equal_nan=True)
    return "right" if right else "wrong"


@pytest.mark.parametrize(("kind", "right"), [("pytorch-converted", 82), ("pytorch-operator", 35), ("simple", 7)])
def test_onnxs_own_models_are_right_or_refused(kind: str, right: int) -> None:
    outcomes = {folder.name: outcome(folder) for folder in sorted((FOLDER / kind).iterdir())}
    counts = Counter(outcomes.values())
    assert set(counts) <= {"right", "refused"}, {name: each for name, each in outcomes.items() if each not in counts}
    assert counts["right"] >= right, counts
