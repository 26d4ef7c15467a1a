"""Import of torch modules: torch.export's graph of undecomposed ATen operators, walked node by node.

What does not depend on an input (masks, position tables, rotary tables) is evaluated while walking, by torch itself; on
the meta device only its shape is known. The operators are in torch_matrix, torch_elementwise and torch_movement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx
from torch.export.graph_signature import InputKind, OutputKind

from mho.errors import NetworkError, WeightError
from mho.network.graph import Network
from mho.network.patterns import refuse_infinite, simplify
from mho.network.torch_builder import Call, Handler, TorchBuilder, Value, type_name
from mho.network.torch_elementwise import ELEMENTWISE
from mho.network.torch_image import IMAGE, REFUSED
from mho.network.torch_indexing import INDEXING
from mho.network.torch_matrix import MATRIX, WEIGHTED
from mho.network.torch_movement import MOVEMENT
from mho.network.torch_recurrent import RECURRENT
from mho.network.torch_sums import SUMS
from mho.network.torch_window import WINDOW
from mho.plugins import Registry

HANDLERS: Registry[Handler] = Registry(
    "torch operator",
    {**MATRIX, **WINDOW, **RECURRENT, **ELEMENTWISE, **MOVEMENT, **IMAGE, **INDEXING, **SUMS},
)
"""All operators that make layers."""
_SKIPPED = {
    "_assert_tensor_metadata", "_assert_scalar", "sym_size", "_assert_async", "sym_constrain_range_for_size",
}  # fmt: skip


def from_torch(module: Any, example: Any, *, name: str | None = None, origin: str | None = None) -> Network:
    """Import a torch module, traced on `example` (a tensor or a tuple of tensors), in inference mode.

    Values are float32 views of the module's parameters; a module on the meta device gives a network of shapes
    alone. Raises NetworkError naming node, operator and module for anything that has no layer here.
    """
    arguments = example if isinstance(example, tuple) else (example,)
    name = name or type(module).__name__
    if not all(isinstance(argument, torch.Tensor) for argument in arguments):
        raise NetworkError(f"{name}: the example must be a tensor or a tuple of tensors")
    program = _export(module, arguments, name)
    builder = TorchBuilder()
    environment: dict[fx.Node, Value] = {}
    _bind_inputs(builder, program, environment)
    outputs: list[str] = []
    for node in program.graph.nodes:
        if node.op == "call_function":
            environment[node] = _call(builder, node, environment, name)
        elif node.op == "output":
            outputs = _outputs(builder, program, environment, name)
        elif node.op == "get_attr":
            raise NetworkError(f"{name}: node {node.name} holds a sub-graph (control flow), which is not known")
    if origin is None:
        meta = any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))
        origin = "none (shapes only)" if meta else "torch module"
    refuse_infinite(builder.layers.values(), {tensor: tensor for tensor in outputs}, builder.lowered)
    layers, renamed, _ = simplify(tuple(builder.layers.values()), outputs)
    # Each output bears its tensor's name; one that is returned once more has a number behind it.
    names = [tensor if tensor not in renamed[:i] else f"{tensor}.{i}" for i, tensor in enumerate(renamed)]
    returned = dict(zip(names, renamed, strict=True))
    return Network(name=name, layers=layers, outputs=tuple(names), origin=origin, returned=returned)


def _export(module: Any, arguments: tuple[Any, ...], name: str) -> Any:
    """Run torch.export with the fused attention path off, which would hide whole encoder layers in one operator."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            return torch.export.export(module, arguments, strict=False)
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise NetworkError(f"{name}: torch.export cannot trace the module: {lines[0]}") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _bind_inputs(builder: TorchBuilder, program: Any, environment: dict[fx.Node, Value]) -> None:
    """Bind the graph's placeholders to inputs, parameters, buffers and constants."""
    stored = {**program.state_dict, **program.constants}
    specifications = program.graph_signature.input_specs
    placeholders = [node for node in program.graph.nodes if node.op == "placeholder"]
    for node, specification in zip(placeholders, specifications, strict=True):
        if specification.kind != InputKind.USER_INPUT:
            environment[node] = stored.get(specification.target)
            continue
        value = node.meta.get("val")
        if isinstance(value, torch.Tensor):
            builder.scope = node.name
            environment[node] = builder.input(tuple(value.shape), type=type_name(value.dtype))
        else:
            environment[node] = value


def _outputs(builder: TorchBuilder, program: Any, environment: dict[fx.Node, Value], name: str) -> list[str]:
    nodes = {node.name: node for node in environment}
    tensors: list[str] = []
    for specification in program.graph_signature.output_specs:
        if specification.kind == OutputKind.BUFFER_MUTATION:
            raise NetworkError(f"{name} changes its buffer {specification.target}; call module.eval() first")
        node = nodes.get(getattr(specification.arg, "name", ""))
        if node is not None and isinstance(node.meta.get("val"), torch.Tensor):
            builder.scope = "output"
            tensors.append(builder.tensor(environment[node]))
    if not tensors:
        raise NetworkError(f"{name} returns no tensor")
    return tensors


def _call(builder: TorchBuilder, node: fx.Node, environment: dict[fx.Node, Value], name: str) -> Value:
    """Evaluate a call whose arguments are known, or let its handler append layers."""
    target: Any = node.target
    operator = operator_name(target)
    arguments = fx.map_arg((node.args, node.kwargs), lambda n: environment[n])
    path, leaf = _module(node)
    where = f"{name}: node {node.name} ({operator}) in module {path or 'the top level'!r}"
    if operator in _SKIPPED:
        return None
    if operator == "getitem":
        return _item(arguments[0], where, used=bool(node.users))
    if not any(_depends(environment[source]) for source in node.all_input_nodes):
        return _evaluate(node, arguments, where)
    handler = HANDLERS.get(operator) or REFUSED.get(operator)
    if handler is None:
        raise NetworkError(f"{where}: no layer is known for this operator")
    names_module = leaf or operator in WEIGHTED or operator in RECURRENT
    short = operator.lstrip("_")
    builder.scope = path if path and names_module else (f"{path}.{short}" if path else short)
    try:
        value = handler(builder, Call(operator, _bind(target, *arguments), node.meta.get("val")))
    except (NetworkError, WeightError) as error:
        raise type(error)(f"{where}: {error}") from error
    value = _typed(builder, value, node.meta.get("val"))
    _check(builder, node, value, where)
    return value


def _typed(builder: TorchBuilder, value: Value, expected: Any) -> Value:
    """Give a result the type that torch has: a sum of truths, say, is an integer."""
    if isinstance(value, tuple) and isinstance(expected, tuple | list):
        return tuple(_typed(builder, *pair) for pair in zip(value, expected, strict=False))
    if isinstance(value, str) and isinstance(expected, torch.Tensor):
        return builder.convert(value, type_name(expected.dtype), "type")
    return value


def operator_name(target: Any) -> str:
    """Name of an operator without namespace and overload; in-place variants lose their underscore."""
    packet = getattr(target, "overloadpacket", None)
    name = str(packet.__name__ if packet is not None else getattr(target, "__name__", target))
    return name[:-1] if name.endswith("_") and not name.startswith("__") else name


def _module(node: fx.Node) -> tuple[str, bool]:
    """Return the path of the module that made a node, and whether it is one of torch.nn."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if not stack:
        return "", False
    path, kind = stack[-1][0], stack[-1][1]
    text = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    return str(path), text.startswith("torch.nn.")


def _bind(target: Any, args: tuple[Value, ...], kwargs: Mapping[str, Value]) -> dict[str, Value]:
    schema = target._schema.arguments
    bound = {argument.name: argument.default_value for argument in schema}
    bound.update({argument.name: value for argument, value in zip(schema, args, strict=False)})
    return {**bound, **kwargs}


def _item(args: tuple[Value, ...], where: str, *, used: bool) -> Value:
    values, index = args
    if not isinstance(values, tuple | list):
        raise NetworkError(f"{where}: the operator before has no several outputs")
    if values[index] is None and used:
        raise NetworkError(f"{where}: output {index} of the operator before is not known")
    return values[index]


def _depends(value: Value) -> bool:
    """Return whether a node stands for a tensor of the network (or several)."""
    return isinstance(value, str) or (isinstance(value, tuple | list) and any(_depends(item) for item in value))


def _evaluate(node: fx.Node, arguments: Value, where: str) -> Value:
    """Compute a node that depends on no input; on the meta device only its shape is known."""
    target: Any = node.target
    args, kwargs = arguments
    training = kwargs.get("train", args[2] if len(args) > 2 else False)
    random = torch.Tag.nondeterministic_seeded in getattr(target, "tags", ())
    if random and not (operator_name(target) == "dropout" and training is False):
        raise NetworkError(f"{where}: random numbers have no layer; call module.eval() first")
    device = kwargs.get("device")
    if _on_meta(arguments) or (device is not None and torch.device(device).type == "meta"):
        return _empty(node.meta.get("val"))
    try:
        with torch.no_grad():
            return target(*args, **kwargs)
    except Exception as error:
        raise NetworkError(f"{where}: cannot be evaluated: {error}") from error


def _on_meta(value: Value) -> bool:
    if isinstance(value, torch.Tensor):
        return value.is_meta
    if isinstance(value, dict):
        value = tuple(value.values())
    return isinstance(value, tuple | list) and any(_on_meta(item) for item in value)


def _empty(value: Value) -> Value:
    if isinstance(value, torch.Tensor):
        return torch.empty(tuple(value.shape), dtype=value.dtype, device="meta")
    return tuple(_empty(item) for item in value) if isinstance(value, tuple | list) else value


def _check(builder: TorchBuilder, node: fx.Node, value: Value, where: str) -> None:
    """Compare the shapes that the layers have with those that torch gave."""
    expected = node.meta.get("val")
    pairs: Any = zip(value, expected or (), strict=False) if isinstance(value, tuple) else ((value, expected),)
    for tensor, example in pairs:
        if not isinstance(tensor, str) or not isinstance(example, torch.Tensor):
            continue
        if not all(isinstance(n, int) for n in example.shape):
            raise NetworkError(f"{where}: its shape depends on values, which a program cannot; index by known integers")
        if builder.shape(tensor) != tuple(example.shape):
            raise NetworkError(f"{where}: made shape {builder.shape(tensor)} where torch has {tuple(example.shape)}")
