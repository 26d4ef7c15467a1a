"""Import of ONNX files, float or quantised (QuantizeLinear / DequantizeLinear), operator sets 9 to 21 and
newer.

What is known when the file is read (shapes, tables, masks) is evaluated by onnx's reference implementation.
The operators are in onnx_matrix, onnx_elementwise, onnx_movement and onnx_quantised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from mho.errors import NetworkError, WeightError, choices
from mho.network.graph import Network
from mho.network.layers import Array
from mho.network.onnx_builder import FLOAT_TYPES, Codes, Node, OnnxBuilder, Value, type_name
from mho.network.onnx_elementwise import ELEMENTWISE
from mho.network.onnx_matrix import MATRIX
from mho.network.onnx_movement import MOVEMENT, ON_CODES
from mho.network.onnx_quantised import dequantize, quantize
from mho.network.patterns import simplify

OLDEST = 9


def from_onnx(path: str | Path, *, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Network:
    """Import an ONNX file. A free first axis of an input is 1; other free axes must be fixed by `shapes`.

    Raises NetworkError naming the file for one that cannot be read or is not valid, and naming node and
    operator for anything that has no layer here; WeightError for weights that are not finite.
    """
    path = Path(path)
    model = _read(path)
    opset = next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), 1)
    if opset < OLDEST:
        raise NetworkError(f"{path}: operator set {opset} is too old; {OLDEST} or newer is needed")
    builder = OnnxBuilder()
    graph = model.graph
    environment: dict[str, Value] = {"": None}
    for tensor in graph.initializer:
        environment[tensor.name] = _array(tensor, path)
    _bind_inputs(builder, graph, environment, shapes or {}, path)
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(value.name for value in graph.output)
    coded = Counter(node.input[0] for node in graph.node if node.op_type == "QuantizeLinear")
    for proto in graph.node:
        name = proto.name or proto.output[0]
        where = f"{path}: node {name!r} ({proto.op_type})"
        try:
            shared = proto.op_type == "QuantizeLinear" and readers[proto.input[0]] > coded[proto.input[0]]
            results = _run(builder, proto, environment, opset, shared=shared)
        except (NetworkError, WeightError) as error:
            raise type(error)(f"{where}: {error}") from error
        except KeyError as error:
            raise NetworkError(f"{where}: reads or needs {error}, which is not there") from error
        except (ValueError, TypeError, IndexError, AttributeError, ArithmeticError) as error:
            raise NetworkError(f"{where}: its inputs or attributes do not fit ({error})") from error
        environment.update(zip(proto.output, results, strict=False))
        environment[""] = None
    outputs = []
    for value in graph.output:
        found = environment.get(value.name)
        builder.scope = value.name
        outputs.append(found.tensor if isinstance(found, Codes) else builder.named(found))
    layers, renamed, codes = simplify(tuple(builder.layers.values()), outputs, builder.codes)
    return Network(
        name=path.stem,
        layers=layers,
        outputs=tuple(dict.fromkeys(renamed)),
        origin=f"file {path.name}",
        codes=codes,
    )


def _read(path: Path) -> Any:
    """Read and check a file with its external data."""
    if not path.is_file():
        raise NetworkError(f"{path}: no such file")
    try:
        onnx.checker.check_model(str(path))
        return onnx.load(str(path))
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise NetworkError(f"{path}: not a valid ONNX file ({lines[0]})") from error


def _array(tensor: Any, path: Path) -> np.ndarray[Any, Any]:
    """Values of a stored tensor; half precision becomes float32."""
    try:
        values: np.ndarray[Any, Any] = numpy_helper.to_array(tensor)
    except Exception as error:
        raise NetworkError(f"{path}: tensor {tensor.name!r} cannot be read ({error})") from error
    if tensor.data_type in FLOAT_TYPES and values.dtype != np.float32:
        values = values.astype(np.float32)
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise WeightError(f"{path}: tensor {tensor.name!r} holds values that are not finite (NaN)")
    return values


def _bind_inputs(
    builder: OnnxBuilder,
    graph: Any,
    environment: dict[str, Value],
    shapes: Mapping[str, tuple[int, ...]],
    path: Path,
) -> None:
    inputs = [value for value in graph.input if value.name not in environment]
    for name in shapes:
        if name not in {value.name for value in inputs}:
            raise NetworkError(f"{path} has no input {name!r}; {choices(name, [value.name for value in inputs])}")
    for value in inputs:
        kind = value.type.tensor_type
        stated = [axis.dim_value if axis.HasField("dim_value") else None for axis in kind.shape.dim]
        shape = shapes.get(value.name)
        if shape is None:
            if stated and stated[0] in (None, 0):
                stated[0] = 1
            if not all(stated):
                raise NetworkError(
                    f"{path}: input {value.name!r} has free axes {stated}; give its shape (`shapes`, --shape)"
                )
            shape = tuple(int(n or 1) for n in stated)
        elif len(shape) != len(stated) or any(n not in (None, 0, m) for n, m in zip(stated, shape, strict=True)):
            raise NetworkError(f"{path}: input {value.name!r} has the shape {stated}, which {shape} does not fit")
        builder.scope = value.name
        name = builder.input(shape, type=type_name(kind.elem_type))
        environment[value.name] = name


def _run(
    builder: OnnxBuilder, proto: Any, environment: dict[str, Value], opset: int, *, shared: bool
) -> tuple[Value, ...]:
    """Evaluate a node whose inputs are known, or let its handler append layers."""
    operator = proto.op_type
    if proto.domain not in ("", "ai.onnx"):
        raise NetworkError(f"operators of domain {proto.domain!r} are not known")
    values = tuple(environment[name] for name in proto.input)
    attributes = {item.name: onnx.helper.get_attribute_value(item) for item in proto.attribute}
    node = Node(operator, values, attributes, tuple(proto.output), opset)
    builder.scope = proto.name or proto.output[0]
    if operator == "DequantizeLinear":
        return (dequantize(builder, node),)
    if operator == "QuantizeLinear":
        return (quantize(builder, node, shared=shared),)
    if not any(isinstance(value, str | Codes) for value in values):
        return _evaluate(proto, values, opset)
    handler = MATRIX.get(operator) or ELEMENTWISE.get(operator) or MOVEMENT.get(operator)
    if handler is None:
        raise NetworkError("no layer is known for this operator")
    code = next((value.code for value in values if isinstance(value, Codes)), None)
    if code is not None:
        if operator not in ON_CODES or code.axis is not None:
            raise NetworkError(f"integer codes cannot be computed with; known on them: {', '.join(ON_CODES)}")
        plain = tuple(value.tensor if isinstance(value, Codes) else value for value in values)
        node = Node(operator, plain, attributes, node.outputs, opset)
    result = handler(builder, node)
    results = result if isinstance(result, tuple) else (result,)
    if code is None:
        return results
    for item in results:
        if isinstance(item, str):
            builder.codes[item] = code
    return tuple(Codes(item, code) if isinstance(item, str) else item for item in results)


def _evaluate(proto: Any, values: tuple[Value, ...], opset: int) -> tuple[Value, ...]:
    """Compute a node from known values with onnx's reference implementation."""
    if proto.op_type == "Constant" and proto.attribute and proto.attribute[0].name == "value":
        return (_array(proto.attribute[0].t, Path(proto.output[0])),)
    if proto.op_type in (
        "RandomNormal",
        "RandomUniform",
        "RandomNormalLike",
        "RandomUniformLike",
        "Multinomial",
    ):
        raise NetworkError("random numbers have no layer")
    given = {
        name: value.real() if isinstance(value, Array) else value
        for name, value in zip(proto.input, values, strict=True)
        if name
    }
    names = list(dict.fromkeys(name for name in proto.input if name))
    undefined = onnx.TensorProto.UNDEFINED
    try:
        graph = onnx.helper.make_graph(
            [proto],
            "constant",
            [onnx.helper.make_tensor_value_info(name, _type(given[name]), None) for name in names],
            [onnx.helper.make_tensor_value_info(name, undefined, None) for name in proto.output if name],
        )
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
        found = iter(ReferenceEvaluator(model).run(None, given))
    except Exception as error:
        raise NetworkError(f"cannot be evaluated ({error})") from error
    return tuple(np.asarray(next(found)) if name else None for name in proto.output)


def _type(value: Any) -> int:
    kind: int = onnx.helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype)
    return kind
