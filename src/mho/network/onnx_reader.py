"""Reading the nodes of an ONNX graph: each is computed, turned into layers by its handler, or read by its definition.

An operator without a handler that the standard defines by other operators (losses, Attention ...), or the file itself by a
function, is read as that definition; so is the branch of an If whose condition is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from mho.errors import NetworkError, NumberError, WeightError
from mho.network.layers import Array
from mho.network.onnx_builder import Codes, Handler, Node, OnnxBuilder, Value
from mho.network.onnx_elementwise import ELEMENTWISE
from mho.network.onnx_file import STANDARD
from mho.network.onnx_image import IMAGE
from mho.network.onnx_known import STRUCTURE, folded, stored
from mho.network.onnx_matrix import MATRIX
from mho.network.onnx_movement import MOVEMENT, ON_CODES
from mho.network.onnx_qoperator import QOPERATORS
from mho.network.onnx_quantised import REFUSED, Coder, bipolar, clip_codes, dequantize, move_codes, quant, quantize
from mho.network.onnx_recurrent import RECURRENT
from mho.network.onnx_window import WINDOW
from mho.network.types import REAL
from mho.plugins import Registry

CODING: Mapping[str, Coder] = {"QuantizeLinear": quantize, "Quant": quant, "IntQuant": quant, "BipolarQuant": bipolar}
"""Operators that give codes to what they read, or to a copy of it where that has other readers."""
QUANTISED: Mapping[str, Handler] = {"DequantizeLinear": dequantize, **QOPERATORS, **REFUSED}
DOMAINS = {
    "com.microsoft": {"QuantizeLinear", *QUANTISED},
    **dict.fromkeys(
        ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas"), {*CODING, *REFUSED} - {"QuantizeLinear"}
    ),
}
"""Domains other than ONNX's own, and the operators of theirs that are known."""
HANDLERS: Registry[Handler] = Registry(
    "ONNX operator", {**MATRIX, **WINDOW, **RECURRENT, **ELEMENTWISE, **MOVEMENT, **IMAGE}
)
"""All operators that make layers, those of a plugin's own domain as "DOMAIN::Operator"; CODING and QUANTISED make codes, and
STRUCTURE is known values alone."""
DEEPEST = 16
"""How deep functions may lie within functions."""
UNREAD = {
    **dict.fromkeys(
        ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
        "random numbers have no layer",
    ),
}
"""Operators that are refused although they could be read by their definition, and why."""


@dataclass(frozen=True)
class Reader:
    """Reads nodes into a builder; `functions` are those of the file, by domain and name."""

    builder: OnnxBuilder
    opset: int
    functions: Mapping[tuple[str, str], Any]
    where: str
    scope: str = ""
    depth: int = 0

    def run(self, nodes: Sequence[Any], environment: dict[str, Value], outputs: Iterable[str]) -> None:
        """Read nodes in order; their outputs join the environment. Errors say which node."""
        readers = Counter(name for node in nodes for name in node.input)
        readers.update(outputs)
        coded = Counter(name for node in nodes if node.op_type in CODING for name in node.input[:1])
        for proto in nodes:
            name = self.scope + (proto.name or next((output for output in proto.output if output), proto.op_type))
            where = f"{self.where}: node {name!r} ({proto.op_type})"
            try:
                first = proto.input[0] if proto.input else ""
                shared = readers[first] > (coded[first] if proto.op_type in CODING else 1)
                results = self._node(proto, name, environment, shared=shared)
            except (NetworkError, WeightError, NumberError) as error:
                kind = WeightError if isinstance(error, WeightError) else NetworkError
                raise kind(str(error) if self.depth else f"{where}: {error}") from error
            except KeyError as error:
                raise NetworkError(f"{where}: reads or needs {error}, which is not there") from error
            except (ValueError, TypeError, IndexError, AttributeError, ArithmeticError) as error:
                raise NetworkError(f"{where}: its inputs or attributes do not fit ({error})") from error
            environment.update(zip(proto.output, results, strict=False))
            environment[""] = None

    def _node(self, proto: Any, name: str, environment: dict[str, Value], *, shared: bool) -> tuple[Value, ...]:
        """Compute a node whose inputs are known, let its handler append layers, or read its definition."""
        operator, builder = proto.op_type, self.builder
        values = tuple(environment[source] for source in proto.input)
        own = (proto.domain, operator)
        if own in self.functions:
            return self._defined(self.functions[own], proto, name, values)
        named = operator if proto.domain in STANDARD else f"{proto.domain}::{operator}"
        if operator not in DOMAINS.get(proto.domain, {operator} if named in {operator, *HANDLERS} else ()):
            raise NetworkError(f"operators of domain {proto.domain!r} are not known{_of_domain(proto.domain)}")
        attributes = {item.name: helper.get_attribute_value(item) for item in proto.attribute}
        node = Node(operator, values, attributes, tuple(proto.output), self.opset, builder)
        builder.scope = name
        if operator in CODING:
            return (CODING[operator](builder, node, shared=shared),)
        if operator in QUANTISED:
            return _several(QUANTISED[operator](builder, node))
        if operator == "If":
            return self._branch(node, name, environment)
        known = not any(isinstance(value, str | Codes) for value in values)
        if known and operator in STRUCTURE:
            return (STRUCTURE[operator](node),)
        handler = HANDLERS.get(named)
        if handler is not None:
            results = folded(handler, node) if known else _handled(builder, handler, node, shared=shared)
            if not any(proto.output[len(results) :]):
                return results
        if operator in UNREAD:
            raise NetworkError(UNREAD[operator])
        definition = self._definition(proto, values)
        if definition is not None:
            return self._defined(definition, proto, name, values)
        raise NetworkError(
            "its inputs must be known when the file is read; give their values (`values`)"
            if operator in STRUCTURE
            else f"its output {proto.output[1]!r} is not known"
            if handler is not None
            else "no layer is known for this operator"
        )

    def _definition(self, proto: Any, values: tuple[Value, ...]) -> Any:
        """Return the function by which the standard defines an operator; None where it does not."""
        if not onnx.defs.has(proto.op_type) or proto.op_type in STRUCTURE:
            return None
        schema = onnx.defs.get_schema(proto.op_type, self.opset)
        if schema.has_context_dependent_function:
            types = [self._type(value) for value in values]
            versions = [each for each in schema.context_dependent_function_opset_versions if each <= self.opset]
            if not versions:
                return None
            text = schema.get_context_dependent_function_with_opset_version(
                max(versions), proto.SerializeToString(), [kind.SerializeToString() for kind in types]
            )
            return onnx.FunctionProto.FromString(text) if text else None
        return schema.function_body if schema.has_function else None

    def _type(self, value: Value) -> Any:
        """Return an input's type and shape as the definitions of operators want them."""
        if value is None:
            return onnx.TypeProto()
        if isinstance(value, np.ndarray):
            return helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        if isinstance(value, Array):
            return helper.make_tensor_type_proto(TensorProto.FLOAT, value.shape)
        name = value.tensor if isinstance(value, Codes) else value
        kind = self.builder.types[name]
        number = TensorProto.FLOAT if kind == REAL else helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        return helper.make_tensor_type_proto(number, self.builder.shape(name))

    def _defined(self, function: Any, proto: Any, name: str, values: tuple[Value, ...]) -> tuple[Value, ...]:
        """Read a function's nodes, its inputs and attributes bound to those of the node that calls it."""
        if self.depth == DEEPEST:
            raise NetworkError(f"functions lie more than {DEEPEST} deep within functions")
        attributes = {item.name: item for item in (*function.attribute_proto, *proto.attribute)}
        nodes = []
        for inner in function.node:
            bound = onnx.NodeProto()
            bound.CopyFrom(inner)
            del bound.attribute[:]
            for item in inner.attribute:
                if not item.ref_attr_name:
                    bound.attribute.append(item)
                elif item.ref_attr_name in attributes:
                    bound.attribute.append(attributes[item.ref_attr_name])
                    bound.attribute[-1].name = item.name
            nodes.append(bound)
        opset = next((item.version for item in function.opset_import if item.domain in ("", "ai.onnx")), self.opset)
        environment: dict[str, Value] = dict.fromkeys(("", *function.input))
        environment.update(zip(function.input, values, strict=False))
        inside = replace(self, opset=opset, scope=f"{name}.", depth=self.depth + 1)
        inside.run(nodes, environment, function.output)
        return tuple(environment.get(output) for output in function.output)

    def _branch(self, node: Node, name: str, environment: Mapping[str, Value]) -> tuple[Value, ...]:
        """Read the branch of an If whose condition is known."""
        condition = node.known(0)
        assert condition is not None
        graph = node.attributes["then_branch" if condition.reshape(()) else "else_branch"]
        inside = dict(environment)
        for tensor in graph.initializer:
            inside[tensor.name] = stored(tensor, f"{self.where}: tensor {tensor.name!r}")
        outputs = [value.name for value in graph.output]
        replace(self, scope=f"{name}.").run(graph.node, inside, outputs)
        return tuple(inside[output] for output in outputs)


def _handled(builder: OnnxBuilder, handler: Handler, node: Node, *, shared: bool) -> tuple[Value, ...]:
    """Let a handler append layers; operators that only move values also move codes."""
    first = node.get(0)
    if isinstance(first, Codes):
        if node.operator == "Clip":
            return (clip_codes(builder, first, node, shared=shared),)
        if node.operator in ON_CODES and (moved := move_codes(builder, handler, node)):
            return moved
    return _several(handler(builder, node))


def _several(result: Value | tuple[Value, ...]) -> tuple[Value, ...]:
    return result if isinstance(result, tuple) else (result,)


def _of_domain(domain: str) -> str:
    return f", but for {', '.join(sorted(DOMAINS[domain]))}" if domain in DOMAINS else ""
