"""Import of ONNX files, float or quantised (QuantizeLinear / DequantizeLinear), operator sets 7 and newer.

What is known when the file is read (shapes, tables, masks) is computed then, by the same arithmetic (onnx_known).
The operators are in onnx_matrix, onnx_elementwise, onnx_movement and onnx_quantised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from mho.errors import NetworkError, NumberError, WeightError, choices
from mho.network.graph import Network
from mho.network.layers import MatrixLayer, MatrixProduct
from mho.network.onnx_builder import AnyArray, Codes, Handler, Node, OnnxBuilder, Value, type_name
from mho.network.onnx_elementwise import ELEMENTWISE
from mho.network.onnx_file import STANDARD, operator_set, read
from mho.network.onnx_image import IMAGE
from mho.network.onnx_known import STRUCTURE, dense, folded, numpy_type, stored
from mho.network.onnx_matrix import MATRIX
from mho.network.onnx_movement import MOVEMENT, ON_CODES
from mho.network.onnx_qoperator import QOPERATORS
from mho.network.onnx_quantised import REFUSED, Coding, bipolar, clip_codes, dequantize, move_codes, quant, quantize
from mho.network.onnx_recurrent import RECURRENT
from mho.network.onnx_window import WINDOW
from mho.network.patterns import simplify

CODING: Mapping[str, Coding] = {"QuantizeLinear": quantize, "Quant": quant, "IntQuant": quant, "BipolarQuant": bipolar}
"""Operators that give codes to what they read, or to a copy of it where that has other readers."""
QUANTISED: Mapping[str, Handler] = {"DequantizeLinear": dequantize, **QOPERATORS, **REFUSED}
DOMAINS = {
    "com.microsoft": {"QuantizeLinear", *QUANTISED},
    **dict.fromkeys(
        ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas"), {*CODING, *REFUSED} - {"QuantizeLinear"}
    ),
}
"""Domains other than ONNX's own, and the operators of theirs that are known."""
HANDLERS: Mapping[str, Handler] = {**MATRIX, **WINDOW, **RECURRENT, **ELEMENTWISE, **MOVEMENT, **IMAGE}
"""All operators that make layers; CODING and QUANTISED make codes, and STRUCTURE is known values alone."""


def from_onnx(
    path: str | Path,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    values: Mapping[str, npt.ArrayLike] | None = None,
) -> Network:
    """Import an ONNX file. A free first axis of an input is 1; other free axes must be fixed by `shapes`.

    `values` fixes whole inputs (a shape, axes, a mask that never changes): they are part of the network, and it takes them no
    more. Outputs keep the file's names. Raises NetworkError naming the file for one that cannot be read or is not valid, and
    naming node and operator for anything that has no layer here; WeightError for weights that are not finite.
    """
    path = Path(path)
    model = read(path)
    opset = operator_set(model)
    builder = OnnxBuilder()
    graph = model.graph
    environment: dict[str, Value] = {"": None}
    for tensor in graph.initializer:
        environment[tensor.name] = stored(tensor, f"{path}: tensor {tensor.name!r}")
    for tensor in graph.sparse_initializer:
        environment[tensor.values.name] = dense(tensor, f"{path}: tensor {tensor.values.name!r}")
    _bind_inputs(builder, graph, environment, shapes or {}, values or {}, path)
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(value.name for value in graph.output)
    coded = Counter(node.input[0] for node in graph.node if node.op_type in CODING)
    for proto in graph.node:
        name = proto.name or proto.output[0]
        where = f"{path}: node {name!r} ({proto.op_type})"
        try:
            first = proto.input[0] if proto.input else ""
            shared = readers[first] > (coded[first] if proto.op_type in CODING else 1)
            results = _run(builder, proto, environment, opset, shared=shared)
        except (NetworkError, WeightError, NumberError) as error:
            kind = WeightError if isinstance(error, WeightError) else NetworkError
            raise kind(f"{where}: {error}") from error
        except KeyError as error:
            raise NetworkError(f"{where}: reads or needs {error}, which is not there") from error
        except (ValueError, TypeError, IndexError, AttributeError, ArithmeticError) as error:
            raise NetworkError(f"{where}: its inputs or attributes do not fit ({error})") from error
        environment.update(zip(proto.output, results, strict=False))
        environment[""] = None
    return _network(path, builder, {value.name: environment.get(value.name) for value in graph.output})


def _network(path: Path, builder: OnnxBuilder, outputs: Mapping[str, Value]) -> Network:
    """Simplify what was built; its outputs keep their names."""
    made: list[str] = []
    for name, value in outputs.items():
        builder.scope = name
        try:
            made.append(builder.named(value))
        except (NetworkError, WeightError) as error:
            raise type(error)(f"{path}: output {name!r}: {error}") from error
    _check_widths(path, builder)
    layers, renamed, codes = simplify(tuple(builder.layers.values()), made, builder.codes)
    returned = dict(zip(outputs, renamed, strict=True))
    # A layer inside that bears the name of an output which it is not makes way.
    hidden = {name: f"{name}.inside" for name, tensor in returned.items() if name != tensor and name in builder.layers}

    def now(name: str) -> str:
        return hidden.get(name, name)

    return Network(
        name=path.stem,
        layers=tuple(
            replace(layer, name=now(layer.name), inputs=tuple(map(now, layer.inputs))) if hidden else layer
            for layer in layers
        ),
        outputs=tuple(outputs),
        origin=f"file {path.name}",
        codes={now(name): code for name, code in codes.items()},
        returned={name: now(tensor) for name, tensor in returned.items()},
    )


def _check_widths(path: Path, builder: OnnxBuilder) -> None:
    """Refuse a matrix layer that reads a tensor which the file rounds to more steps than 8 bits have."""
    for layer in builder.layers.values():
        if not isinstance(layer, MatrixLayer | MatrixProduct):
            continue
        for name in layer.inputs:
            while name not in builder.wide and name not in builder.codes and builder.layers[name].moves_only:
                name = builder.layers[name].inputs[0]
            if name in builder.wide and name not in builder.codes:
                raise NetworkError(
                    f"{path}: layer {layer.name!r} reads {name!r} in codes of {builder.wide[name]}; crossbars are driven with "
                    "8 bits: quantise the float model again with 8-bit activations, or give the float model"
                )


def _bind_inputs(
    builder: OnnxBuilder,
    graph: Any,
    environment: dict[str, Value],
    shapes: Mapping[str, tuple[int, ...]],
    values: Mapping[str, npt.ArrayLike],
    path: Path,
) -> None:
    inputs = [value for value in graph.input if value.name not in environment]
    for name in (*shapes, *values):
        if name not in {value.name for value in inputs}:
            raise NetworkError(f"{path} has no input {name!r}; {choices(name, [value.name for value in inputs])}")
    for value in inputs:
        kind = value.type.tensor_type
        if value.type.WhichOneof("value") != "tensor_type":
            raise NetworkError(
                f"{path}: input {value.name!r} is no tensor; sequences, maps and optional values are not known"
            )
        if value.name in values:
            environment[value.name] = _held(path, value, values[value.name])
            continue
        stated = [axis.dim_value if axis.HasField("dim_value") else None for axis in kind.shape.dim]
        shape = shapes.get(value.name)
        if not kind.HasField("shape"):
            if shape is None:
                raise NetworkError(
                    f"{path}: input {value.name!r} has no shape in the file; give it (`shapes`, --shape)"
                )
        elif shape is None:
            if stated and stated[0] in (None, 0):
                stated[0] = 1
            if not all(stated):
                raise NetworkError(
                    f"{path}: input {value.name!r} has free axes {stated}; give its shape (`shapes`, --shape)"
                )
            shape = tuple(int(n or 1) for n in stated)
        elif len(shape) != len(stated) or any(n not in (None, 0, m) for n, m in zip(stated, shape, strict=True)):
            batch = " (another batch: --batch)" if shape[1:] == tuple(stated[1:]) else ""
            raise NetworkError(
                f"{path}: input {value.name!r} has the shape {stated}, which {shape} does not fit{batch}"
            )
        builder.scope = value.name
        name = builder.input(shape, type=type_name(kind.elem_type))
        environment[value.name] = name


def _held(path: Path, value: Any, given: npt.ArrayLike) -> AnyArray:
    """Return an input's value in the file's type; NetworkError where it does not fit."""
    kind = value.type.tensor_type
    array = np.asarray(given)
    stated = [axis.dim_value if axis.HasField("dim_value") else None for axis in kind.shape.dim]
    fits = not kind.HasField("shape") or (
        array.ndim == len(stated) and all(n in (None, m) for n, m in zip(stated, array.shape, strict=True))
    )
    wanted = np.dtype(np.float32) if kind.elem_type == onnx.TensorProto.BFLOAT16 else numpy_type(kind.elem_type)
    if not fits or not np.can_cast(array.dtype, wanted, "same_kind"):
        raise NetworkError(
            f"{path}: input {value.name!r} is {wanted} of shape {stated}; {array.dtype} of shape {array.shape} does not fit"
        )
    return array.astype(wanted)


def _run(
    builder: OnnxBuilder, proto: Any, environment: dict[str, Value], opset: int, *, shared: bool
) -> tuple[Value, ...]:
    """Compute a node whose inputs are known, or let its handler append layers."""
    operator = proto.op_type
    if operator not in DOMAINS.get(proto.domain, {operator} if proto.domain in STANDARD else ()):
        raise NetworkError(f"operators of domain {proto.domain!r} are not known{_of_domain(proto.domain)}")
    values = tuple(environment[name] for name in proto.input)
    attributes = {item.name: onnx.helper.get_attribute_value(item) for item in proto.attribute}
    node = Node(operator, values, attributes, tuple(proto.output), opset, builder)
    builder.scope = proto.name or proto.output[0]
    if operator in CODING:
        return (CODING[operator](builder, node, shared=shared),)
    if operator in QUANTISED:
        return _several(QUANTISED[operator](builder, node))
    known = not any(isinstance(value, str | Codes) for value in values)
    if known and operator in STRUCTURE:
        return (STRUCTURE[operator](node),)
    handler = HANDLERS.get(operator)
    if handler is None:
        raise NetworkError(
            "its inputs must be known when the file is read; give their values (`values`)"
            if operator in STRUCTURE
            else "no layer is known for this operator"
        )
    if known:
        return folded(handler, node)
    if isinstance(values[0], Codes):
        if operator == "Clip":
            return (clip_codes(builder, values[0], node, shared=shared),)
        if operator in ON_CODES and (moved := move_codes(builder, handler, node)):
            return moved
    return _several(handler(builder, node))


def _several(result: Value | tuple[Value, ...]) -> tuple[Value, ...]:
    return result if isinstance(result, tuple) else (result,)


def _of_domain(domain: str) -> str:
    return f", but for {', '.join(sorted(DOMAINS[domain]))}" if domain in DOMAINS else ""
