"""Import of ONNX files, float or quantised (QuantizeLinear / DequantizeLinear), operator sets 7 and newer.

What is known when the file is read (shapes, tables, masks) is computed then, by the same arithmetic (onnx_known).
Nodes are read in onnx_reader; the operators are in the modules that it lists in HANDLERS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from mho.errors import NetworkError, WeightError, choices
from mho.network.graph import Network
from mho.network.layers import MatrixLayer, MatrixProduct
from mho.network.onnx_builder import AnyArray, OnnxBuilder, Value, type_name
from mho.network.onnx_file import operator_set, read
from mho.network.onnx_known import dense, numpy_type, stored
from mho.network.onnx_reader import Reader
from mho.network.patterns import refuse_infinite, simplify


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
    reader = Reader(builder, opset, {(item.domain, item.name): item for item in model.functions}, str(path))
    reader.run(graph.node, environment, [value.name for value in graph.output])
    return _network(path, builder, {value.name: environment.get(value.name) for value in graph.output})


def _network(path: Path, builder: OnnxBuilder, outputs: Mapping[str, Value]) -> Network:
    """Simplify what was built; its outputs keep their names."""
    tensors: list[str] = []
    for name, value in outputs.items():
        builder.scope = name
        try:
            tensors.append(builder.named(value))
        except (NetworkError, WeightError) as error:
            raise type(error)(f"{path}: output {name!r}: {error}") from error
    _check_widths(path, builder)
    try:
        refuse_infinite(builder.layers.values(), dict(zip(outputs, tensors, strict=True)), builder.lowered)
    except NetworkError as error:
        raise NetworkError(f"{path}: {error}") from None
    layers, renamed, codes = simplify(tuple(builder.layers.values()), tensors, builder.codes)
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
            environment[value.name] = _input_values(path, value, values[value.name])
            continue
        stated = _stated(kind)
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


def _stated(kind: Any) -> list[int | None]:
    """Return the lengths of axes that a file states for an input, None where it leaves one free."""
    return [axis.dim_value if axis.HasField("dim_value") else None for axis in kind.shape.dim]


def _input_values(path: Path, value: Any, values: npt.ArrayLike) -> AnyArray:
    """Return an input's value in the file's type; NetworkError where it does not fit."""
    kind = value.type.tensor_type
    array = np.asarray(values)
    stated = _stated(kind)
    fits = not kind.HasField("shape") or (
        array.ndim == len(stated) and all(n in (None, m) for n, m in zip(stated, array.shape, strict=True))
    )
    dtype = np.dtype(np.float32) if kind.elem_type == onnx.TensorProto.BFLOAT16 else numpy_type(kind.elem_type)
    if not fits or not np.can_cast(array.dtype, dtype, "same_kind"):
        raise NetworkError(
            f"{path}: input {value.name!r} is {dtype} of shape {stated}; {array.dtype} of shape {array.shape} does not fit"
        )
    return array.astype(dtype)
