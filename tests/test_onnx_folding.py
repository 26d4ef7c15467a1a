"""Known and unknown values alike: what the importer folds, what the network computes and what onnxruntime computes are equal.

For each operator that has a handler, small graphs of one node are drawn: shapes, attributes, types and operator sets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

import mho
from mho.network.onnx_reader import HANDLERS
from mho.number.reference import run_float

OPSETS = (7, 8, 9, 10, 11, 12, 13, 14, 17, 18, 21)


@dataclass
class Specimen:
    """One node: its inputs, attributes, and the places of inputs that say how and are always known."""

    inputs: list[np.ndarray | None]
    attributes: dict[str, Any] = field(default_factory=dict)
    how: tuple[int, ...] = ()
    outputs: int = 1

    def __post_init__(self) -> None:
        self.inputs = [None if array is None else np.asarray(array) for array in self.inputs]


Make = Callable[[st.DataObject, np.random.Generator, int], Specimen]


def shape_of(data: st.DataObject, least: int = 1, most: int = 4) -> tuple[int, ...]:
    return tuple(data.draw(st.lists(st.integers(1, 4), min_size=least, max_size=most), label="shape"))


def reals(rng: np.random.Generator, shape: tuple[int, ...], kind: Any = np.float32) -> np.ndarray:
    return np.asarray(rng.normal(size=shape) * 1.5, dtype=kind)


def numbers(data: st.DataObject, rng: np.random.Generator, shape: tuple[int, ...], kinds: str) -> np.ndarray:
    """Reals, integers or truths, whichever of `kinds` is drawn."""
    kind = data.draw(st.sampled_from(kinds), label="kind")
    if kind == "f":
        return reals(rng, shape)
    whole = rng.integers(-6, 7, shape)
    return whole > 0 if kind == "b" else np.where(whole == 0, 3, whole).astype({"i": np.int64, "j": np.int32}[kind])


def unary(low: float = -np.inf, high: float = np.inf, kinds: str = "f", **attributes: Any) -> Make:
    def make(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
        x = numbers(data, rng, shape_of(data, 0), kinds)
        if x.dtype.kind == "f":
            x = np.clip(x, low, high).astype(np.float32)
        drawn = {key: data.draw(value, label=key) for key, value in attributes.items()}
        return Specimen([x], {key: value for key, value in drawn.items() if value is not None})

    return make


def broadcast(data: st.DataObject, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts with the given one."""
    kept = data.draw(st.integers(0, len(shape)), label="axes")
    return tuple(n if data.draw(st.booleans()) else 1 for n in shape[len(shape) - kept :])


def binary(kinds: str = "f", since: int = 7, **attributes: Any) -> Make:
    def make(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
        assume(opset >= since)
        shape = shape_of(data, 0)
        x = numbers(data, rng, shape, kinds)
        y = numbers(data, rng, broadcast(data, shape), {"f": "f", "i": "i", "b": "b"}[np.dtype(x.dtype).kind])
        y = y.astype(x.dtype)
        pair = [x, y] if data.draw(st.booleans(), label="order") else [y, x]
        return Specimen(pair, {key: data.draw(value, label=key) for key, value in attributes.items()})

    return make


def variadic(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    shape = shape_of(data)
    count = data.draw(st.integers(1, 3), label="count")
    return Specimen([reals(rng, shape if opset < 8 else broadcast(data, shape)) for _ in range(count)])


def with_axes(data: st.DataObject, axes: list[int], opset: int, since: int) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Axes as an attribute, or from operator set `since` on as an input."""
    return ([], {"axes": axes}) if opset < since else ([np.array(axes, dtype=np.int64)], {})


def some_axes(data: st.DataObject, rank: int) -> list[int]:
    axes = data.draw(st.lists(st.integers(0, rank - 1), min_size=1, max_size=rank, unique=True), label="axes")
    return [axis - rank if data.draw(st.booleans()) else axis for axis in axes]


def reduction(kinds: str = "f", since: int = 18, positive: bool = False) -> Make:
    def make(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
        x = numbers(data, rng, shape_of(data), kinds)
        x = np.abs(x) if positive else x
        if x.dtype.kind == "i" and np.maximum(np.abs(x.astype(float)), 1).prod() > np.iinfo(x.dtype).max:
            x = np.sign(x)  # What a product beyond its type is, the standard leaves open.
        axes = some_axes(data, x.ndim)
        assume(opset >= 11 or min(axes) >= 0)
        more, attributes = with_axes(data, axes, opset, since)
        return Specimen([x, *more], {"keepdims": data.draw(st.integers(0, 1)), **attributes}, how=(1,))

    return make


def place(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = np.round(reals(rng, shape_of(data)) * 2).astype(np.float32)
    attributes = {"axis": data.draw(st.integers(0, x.ndim - 1)), "keepdims": data.draw(st.integers(0, 1))}
    if opset >= 12:
        attributes["select_last_index"] = data.draw(st.integers(0, 1))
    return Specimen([x], attributes)


def along_axis(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = reals(rng, shape_of(data))
    return Specimen([x], {"axis": data.draw(st.integers(0, x.ndim - 1), label="axis")})


def clip(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x, low, high = reals(rng, shape_of(data)), np.float32(-0.5), np.float32(0.75)
    if opset < 11:
        return Specimen([x], {"min": float(low), "max": float(high)})
    return Specimen([x, np.asarray(low), np.asarray(high) if data.draw(st.booleans()) else None])


def power(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    shape = shape_of(data, 0)
    if opset >= 12 and data.draw(st.booleans(), label="integers"):
        return Specimen([rng.integers(-4, 5, shape), rng.integers(0, 4, broadcast(data, shape))])
    return Specimen([np.abs(reals(rng, shape)) + np.float32(0.1), reals(rng, broadcast(data, shape))])


def modulo(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    shape, whole = shape_of(data), data.draw(st.booleans(), label="integers")
    if not whole:
        return Specimen([reals(rng, shape), reals(rng, broadcast(data, shape))], {"fmod": 1})
    y = rng.integers(1, 5, broadcast(data, shape)) * data.draw(st.sampled_from([1, -1]))
    return Specimen([rng.integers(-9, 10, shape), y], {"fmod": data.draw(st.integers(0, 1))})


def shift(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    shape = shape_of(data)
    pair = [rng.integers(0, 200, shape).astype(np.uint32), rng.integers(0, 5, shape).astype(np.uint32)]
    return Specimen(pair, {"direction": data.draw(st.sampled_from(["LEFT", "RIGHT"]))})


def where(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    shape = shape_of(data)
    kind = data.draw(st.sampled_from([np.float32, np.int64]), label="kind")
    sides = [(4 * reals(rng, broadcast(data, shape))).astype(kind) for _ in range(2)]
    return Specimen([rng.random(shape) > 0.5, *sides])


def cast(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = numbers(data, rng, shape_of(data), "fijb")
    kinds = [onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL]
    return Specimen([x], {"to": data.draw(st.sampled_from(kinds))})


def cast_like(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    return Specimen([numbers(data, rng, shape_of(data), "fijb"), numbers(data, rng, (1,), "fijb")])


def prelu(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    shape = shape_of(data)
    return Specimen([reals(rng, shape), reals(rng, broadcast(data, shape))])


def gather(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = numbers(data, rng, shape_of(data), "fi")
    axis = data.draw(st.integers(0, x.ndim - 1), label="axis")
    low = -x.shape[axis] if opset >= 11 else 0
    return Specimen([x, np.asarray(rng.integers(low, x.shape[axis], shape_of(data, 0, 2)))], {"axis": axis})


def gather_elements(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = numbers(data, rng, shape_of(data), "fi")
    axis = data.draw(st.integers(0, x.ndim - 1), label="axis")
    shape = tuple(data.draw(st.integers(1, n if i != axis else 4)) for i, n in enumerate(x.shape))
    return Specimen([x, rng.integers(-x.shape[axis], x.shape[axis], shape)], {"axis": axis})


def gather_points(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = reals(rng, shape_of(data, 2))
    lead = data.draw(st.integers(0, x.ndim - 1), label="batch_dims") if opset >= 12 else 0
    depth = data.draw(st.integers(1, x.ndim - lead), label="depth")
    where_ = (*x.shape[:lead], *shape_of(data, 1, 2))
    places = np.stack([rng.integers(-n, n, where_) for n in x.shape[lead : lead + depth]], axis=-1)
    return Specimen([x, places], {"batch_dims": lead} if opset >= 12 else {})


def compress(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = reals(rng, shape_of(data))
    axis = data.draw(st.one_of(st.none(), st.integers(0, x.ndim - 1)), label="axis")
    condition = rng.random(x.size if axis is None else x.shape[axis]) > 0.4
    assume(condition.any())
    return Specimen([x, condition], {} if axis is None else {"axis": axis}, how=(1,))


def triangle(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = numbers(data, rng, shape_of(data, 2), "fi")
    k = np.array(data.draw(st.integers(-2, 2), label="k"))
    return Specimen([x, k], {"upper": data.draw(st.integers(0, 1))}, how=(1,))


def running_sum(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = numbers(data, rng, shape_of(data), "fi")
    axis = np.array(data.draw(st.integers(-x.ndim, x.ndim - 1), label="axis"))
    return Specimen([x, axis], {key: data.draw(st.integers(0, 1)) for key in ("exclusive", "reverse")}, how=(1,))


def one_hot(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = rng.integers(-4, 5, shape_of(data, 1, 3))
    axis = data.draw(st.integers(-x.ndim - 1, x.ndim), label="axis")
    return Specimen([x, np.array(4), reals(rng, (2,))], {"axis": axis}, how=(1,))


def reshape(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = numbers(data, rng, shape_of(data), "fib")
    wanted = [x.size] if data.draw(st.booleans()) else [0, -1] if x.ndim > 1 else [1, -1]
    return Specimen([x, np.array(wanted)], how=(1,))


def transpose(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = numbers(data, rng, shape_of(data), "fib")
    order = data.draw(st.one_of(st.none(), st.permutations(range(x.ndim))), label="perm")
    return Specimen([x], {} if order is None else {"perm": list(order)})


def ranked(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    return Specimen([numbers(data, rng, shape_of(data), "fib")])


def squeeze(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = reals(rng, (1, *shape_of(data, 1, 2), 1))
    axes = data.draw(st.sampled_from([[0], [0, x.ndim - 1]]), label="axes")
    more, attributes = with_axes(data, axes, opset, 13)
    return Specimen([x, *more], attributes, how=(1,))


def unsqueeze(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = reals(rng, shape_of(data, 0, 3))
    more, attributes = with_axes(data, data.draw(st.sampled_from([[0], [0, 1]])), opset, 13)
    return Specimen([x, *more], attributes, how=(1,))


def concat(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    shape = shape_of(data)
    axis = data.draw(st.integers(0, len(shape) - 1), label="axis")
    lengths = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3), label="lengths")
    return Specimen([reals(rng, (*shape[:axis], n, *shape[axis + 1 :])) for n in lengths], {"axis": axis})


def split(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    lengths = data.draw(st.lists(st.integers(1, 3), min_size=2, max_size=3), label="lengths")
    x = reals(rng, (2, sum(lengths), 2))
    more, attributes = ([np.array(lengths)], {}) if opset >= 13 else ([], {"split": lengths})
    return Specimen([x, *more], {"axis": 1, **attributes}, how=(1,), outputs=len(lengths))


def slices(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = numbers(data, rng, (4, 5), "fi")
    bounds = [np.array([0, -3]), np.array([3, 2**31 - 1])]
    if opset < 10:
        return Specimen([x], {"starts": [0, -3], "ends": [3, 2**31 - 1], "axes": [0, 1]})
    if data.draw(st.booleans(), label="backwards"):
        return Specimen(
            [x, np.array([3, 4]), np.array([-(2**31), 0]), np.array([0, 1]), np.array([-1, -2])], how=(1, 2, 3, 4)
        )
    return Specimen([x, *bounds, np.array([0, 1]), np.array([2, 1])], how=(1, 2, 3, 4))


def expand(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    shape = shape_of(data)
    return Specimen([numbers(data, rng, broadcast(data, shape), "fib"), np.array(shape)], how=(1,))


def tile(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = numbers(data, rng, shape_of(data), "fi")
    return Specimen([x, rng.integers(1, 3, x.ndim)], how=(1,))


def blocks(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    modes = {} if opset < 11 else {"mode": data.draw(st.sampled_from(["DCR", "CRD"]))}
    return Specimen([reals(rng, (1, 8, 2, 4))], {"blocksize": 2, **modes})


def space(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    return Specimen([reals(rng, (1, 3, 4, 6))], {"blocksize": 2})


def flatten(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = reals(rng, shape_of(data))
    return Specimen([x], {"axis": data.draw(st.integers(0, x.ndim))})


def norm(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    x = reals(rng, shape_of(data, 2))
    return Specimen([x], {"axis": data.draw(st.integers(0, x.ndim - 1)), "p": data.draw(st.integers(1, 2))})


def matmul(data: st.DataObject, rng: np.random.Generator, opset: int) -> Specimen:
    lead = shape_of(data, 0, 2)
    return Specimen([reals(rng, (*lead, 3, 4)), reals(rng, (*lead, 4, 2))])


ALPHA = st.sampled_from([None, 0.25, 1.5])
SPECIMENS: dict[str, Make] = {
    "Relu": unary(), "LeakyRelu": unary(alpha=ALPHA), "Elu": unary(alpha=ALPHA), "Sigmoid": unary(), "Tanh": unary(),
    "HardSigmoid": unary(alpha=ALPHA, beta=ALPHA), "HardSwish": unary(), "Softplus": unary(), "Mish": unary(),
    "Erf": unary(), "Exp": unary(), "Log": unary(0.1), "Sqrt": unary(0.0), "Reciprocal": unary(0.1),
    "Neg": unary(kinds="fi"), "Abs": unary(kinds="fi"), "Sin": unary(), "Cos": unary(), "Tan": unary(-1.0, 1.0),
    "Asin": unary(-1.0, 1.0), "Acos": unary(-1.0, 1.0), "Atan": unary(), "Sinh": unary(), "Cosh": unary(),
    "Asinh": unary(), "Acosh": unary(1.0), "Atanh": unary(-0.9, 0.9), "Floor": unary(), "Ceil": unary(),
    "Round": unary(), "Sign": unary(kinds="fi"), "Not": unary(kinds="b"), "BitwiseNot": unary(kinds="i"),
    "IsNaN": unary(), "Softsign": unary(), "ThresholdedRelu": unary(alpha=ALPHA),
    "IsInf": unary(detect_positive=st.integers(0, 1), detect_negative=st.integers(0, 1)),
    "Shrink": unary(lambd=ALPHA, bias=ALPHA), "Celu": unary(alpha=st.sampled_from([0.5, 2.0])), "Selu": unary(),
    "Gelu": unary(approximate=st.sampled_from(["none", "tanh"])), "Identity": unary(kinds="fib"), "Dropout": unary(),
    "Clip": clip, "Pow": power, "PRelu": prelu, "Mod": modulo, "BitShift": shift, "Where": where, "Cast": cast,
    "CastLike": cast_like, "Sum": variadic, "Mean": variadic, "Max": variadic, "Min": variadic,
    "Add": binary("fi"), "Sub": binary("fi"), "Mul": binary("fi"), "Div": binary("fi"),
    "And": binary("b"), "Or": binary("b"), "Xor": binary("b"), "BitwiseAnd": binary("i"), "BitwiseOr": binary("i"),
    "BitwiseXor": binary("i"), "Equal": binary("fi", 11), "Less": binary("fi", 9), "Greater": binary("fi", 9),
    "LessOrEqual": binary("f"), "GreaterOrEqual": binary("f"),
    "ReduceMean": reduction(), "ReduceSum": reduction("fi", 13), "ReduceMax": reduction("fi"),
    "ReduceMin": reduction("fi"), "ReduceProd": reduction("fi"), "ReduceL1": reduction(), "ReduceL2": reduction(),
    "ReduceSumSquare": reduction(), "ReduceLogSum": reduction(positive=True), "ReduceLogSumExp": reduction(),
    "ArgMax": place, "ArgMin": place, "Hardmax": along_axis, "Softmax": along_axis, "LogSoftmax": along_axis,
    "LpNormalization": norm, "Gather": gather, "GatherElements": gather_elements, "GatherND": gather_points,
    "Compress": compress, "Trilu": triangle, "CumSum": running_sum, "OneHot": one_hot, "Reshape": reshape,
    "Transpose": transpose, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Concat": concat, "Split": split,
    "Slice": slices, "Expand": expand, "Tile": tile, "DepthToSpace": blocks, "SpaceToDepth": space,
    "Flatten": flatten, "MatMul": matmul, "Shape": ranked, "Size": unary(kinds="fib"),
}  # fmt: skip
ELSEWHERE = {
    "Conv", "ConvTranspose", "Gemm", "BatchNormalization", "LayerNormalization", "RMSNormalization", "GroupNormalization",
    "InstanceNormalization", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MeanVarianceNormalization",
    "Einsum", "LSTM", "GRU", "RNN", "Swish", "Pad", "Resize", "Upsample", "LRN", "LpPool", "GlobalLpPool", "ReverseSequence",
    "CenterCropPad", "Col2Im",
}  # fmt: skip
"""Operators that other tests set beside onnxruntime, or onnx's own (test_onnx_nodes)."""


def model(operator: str, specimen: Specimen, opset: int, known: tuple[int, ...]) -> bytes:
    """A file of one node, the inputs in `known` stored in it."""
    names = ["" if array is None else f"i{index}" for index, array in enumerate(specimen.inputs)]
    outputs = [f"o{index}" for index in range(specimen.outputs)]
    node = helper.make_node(operator, names, outputs, **specimen.attributes)
    given, held = [], []
    for index, array in enumerate(specimen.inputs):
        if array is not None and index in known:
            held.append(numpy_helper.from_array(array, names[index]))
        elif array is not None:
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            given.append(helper.make_tensor_value_info(names[index], kind, array.shape))
    made = [helper.make_value_info(name, onnx.TypeProto()) for name in outputs]
    graph = helper.make_graph([node], "one", given, made, held)
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    built = onnx.shape_inference.infer_shapes(built)
    for output in built.graph.output:
        if output.type.WhichOneof("value") is None:  # what does not infer gives reals
            output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return built.SerializeToString()


@pytest.mark.parametrize("operator", sorted(SPECIMENS))
@settings(max_examples=5, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(data=st.data())
def test_what_is_folded_is_what_is_computed(operator: str, data: st.DataObject, tmp_path_factory: Any) -> None:
    opset = data.draw(st.sampled_from(OPSETS), label="opset")
    assume(onnx.defs.has(operator) and _since(operator) <= opset)
    rng = np.random.default_rng(data.draw(st.integers(0, 99), label="seed"))
    specimen = SPECIMENS[operator](data, rng, opset)
    everything = tuple(range(len(specimen.inputs)))
    wanted = _onnxruntime(model(operator, specimen, opset, specimen.how), specimen)
    assume(wanted is not None)
    path = tmp_path_factory.mktemp("one") / "one.onnx"
    for known in (specimen.how, everything):
        path.write_bytes(model(operator, specimen, opset, known))
        network = mho.Network.from_onnx(path)
        given_arrays = [specimen.inputs[int(layer.name[1:])] for layer in network.inputs]
        found = run_float(network, given_arrays)
        assert list(found) == [f"o{index}" for index in range(specimen.outputs)]
        for name, right in zip(found, wanted, strict=True):
            assert found[name].shape == right.shape
            if right.dtype.kind != "f":
                assert found[name].dtype == right.dtype
            np.testing.assert_allclose(
                found[name].astype(np.float64), right.astype(np.float64), rtol=2e-5, atol=2e-6, err_msg=f"{known}"
            )


def _since(operator: str) -> int:
    return min(schema.since_version for schema in onnx.defs.get_all_schemas_with_history() if schema.name == operator)


def _onnxruntime(content: bytes, specimen: Specimen) -> list[np.ndarray] | None:
    """What onnxruntime computes; None for a type or operator set that it has no kernel for."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        return None
    return session.run(None, {item.name: specimen.inputs[int(item.name[1:])] for item in session.get_inputs()})


def test_every_handler_is_set_beside_onnxruntime() -> None:
    assert set(HANDLERS) <= set(SPECIMENS) | ELSEWHERE
    assert set(SPECIMENS) <= set(HANDLERS)
