"""An ONNX file as it lies around: read with its external data, completed where only onnx's checker minds, and checked.

What onnxruntime loads is a valid file. So these are put right before the check: nodes in any order, domains of operators
without a version, outputs without a shape, initializers that are no inputs in old versions, a graph without a name. Functions
that a file defines are put in place of the nodes that call them. The types of each operator's inputs are checked, which onnx's
checker leaves out.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import onnx
from onnx import helper, inliner, version_converter

from mho.errors import NetworkError

STANDARD = ("", "ai.onnx")
OLDEST = 7
"""Files of older operator sets, which broadcast by attributes, are first converted to this one by onnx's own converter."""
LARGEST_MESSAGE = 2**31 - 1
"""Bytes that a message of protocol buffers may have."""


def read(path: Path) -> Any:
    """Return the model of a file; NetworkError, naming the file, where it cannot be read or is not valid."""
    if not path.is_file():
        raise NetworkError(f"{path}: no such file")
    try:
        model = onnx.load(str(path))
        changed = _complete(model)
        if model.functions:
            model, changed = inliner.inline_local_functions(model), True
        if operator_set(model) < OLDEST:
            model, changed = version_converter.convert_version(model, OLDEST), True
        bare = _shapeless(model.graph.input)
        if not (changed or bare):
            onnx.checker.check_model(str(path))
        elif model.ByteSize() <= LARGEST_MESSAGE:
            for value in bare:
                value.type.tensor_type.shape.SetInParent()  # the checker wants a shape
            onnx.checker.check_model(model)
            for value in bare:
                value.type.tensor_type.ClearField("shape")
        onnx.shape_inference.infer_shapes(_without_values(model), check_type=True)
    except Exception as error:  # whatever onnx makes of damaged bytes
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise NetworkError(f"{path}: not a valid ONNX file ({lines[0]})") from error
    return model


def operator_set(model: Any) -> int:
    """Return the version of ONNX's own operators that a model asks for."""
    return next((int(item.version) for item in model.opset_import if item.domain in STANDARD), 1)


def _complete(model: Any) -> bool:
    """Put right what only onnx's checker minds; say whether anything was changed."""
    graph = model.graph
    before = (len(model.opset_import), bool(graph.name), model.ir_version)
    inputs = {value.name for value in graph.input}
    if model.ir_version < 4 and any(tensor.name not in inputs for tensor in graph.initializer):
        model.ir_version = 4  # the first in which initializers need not be inputs
    domains = {item.domain for item in model.opset_import}
    for domain in sorted({node.domain for node in graph.node} - domains - set(STANDARD)):
        model.opset_import.append(helper.make_opsetid(domain, 1))
    graph.name = graph.name or "graph"
    bare = _shapeless(graph.output)
    for value in bare:
        value.type.tensor_type.shape.SetInParent()
    ordered = _in_order(graph)
    return (len(model.opset_import), bool(graph.name), model.ir_version) != before or bool(bare) or ordered


def _shapeless(values: Any) -> list[Any]:
    """Return the tensors among a graph's inputs or outputs whose shape the file leaves out."""
    tensors = [value for value in values if value.type.HasField("tensor_type")]
    return [value for value in tensors if not value.type.tensor_type.HasField("shape")]


def _in_order(graph: Any) -> bool:
    """Sort nodes so that each stands behind those that it reads; say whether they were not."""
    maker = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    before = {i: [maker[name] for name in _reads(node) if name in maker] for i, node in enumerate(graph.node)}
    if all(maker < i for i, makers in before.items() for maker in makers):
        return False
    try:
        order = list(TopologicalSorter(before).static_order())
    except CycleError:
        return False
    copies = [onnx.NodeProto.FromString(graph.node[i].SerializeToString()) for i in order]
    del graph.node[:]
    graph.node.extend(copies)
    return True


def _reads(node: Any) -> set[str]:
    """Return the names that a node reads, those that its inner graphs take from outside among them."""
    names = {name for name in node.input if name}
    for item in node.attribute:
        for graph in (item.g, *item.graphs):
            names |= {name for inner in graph.node for name in _reads(inner)}
    return names


def _without_values(model: Any) -> Any:
    """Return the model with initializers as inputs, known by type and shape alone: enough to check types."""
    graph = onnx.GraphProto(name=model.graph.name)
    for key in ("node", "input", "output", "value_info"):
        getattr(graph, key).extend(getattr(model.graph, key))
    inputs = {value.name for value in graph.input}
    graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        for tensor in model.graph.initializer
        if tensor.name not in inputs
    )
    graph.sparse_initializer.extend(model.graph.sparse_initializer)
    bare = onnx.ModelProto(ir_version=model.ir_version, graph=graph)
    bare.opset_import.extend(model.opset_import)
    return bare
