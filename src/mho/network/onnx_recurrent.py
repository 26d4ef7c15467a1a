"""ONNX operators of recurrent layers: LSTM, GRU and RNN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mho.errors import NetworkError, choices
from mho.network.builder import Builder
from mho.network.layers import Array
from mho.network.onnx_builder import Handler, Node, OnnxBuilder, Value, text
from mho.network.recurrent import Function, Gru, Lstm, PlainCell, RecurrentCell, joined, rows, unroll

DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
"""For each direction of a node whether it goes back in time."""
ORDERS = {"LSTM": "iofg", "GRU": "zrn", "RNN": "h"}
"""The order of gates in weights; the standard's gate c is g here, and its gate h of a GRU is n."""
PEEPHOLES = "iof"
"""The order of peepholes."""
DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
"""Functions of gates, where a node does not say."""
FUNCTIONS: dict[str, tuple[str, Mapping[str, tuple[str, float | None]]]] = {
    **{name.capitalize(): (name, {}) for name in ("relu", "tanh", "sigmoid", "softsign", "softplus")},
    "LeakyRelu": ("leaky_relu", {"alpha": ("slope", 0.01)}),
    "ThresholdedRelu": ("threshold", {"alpha": ("threshold", 1.0)}),
    "Elu": ("elu", {"alpha": ("alpha", 1.0)}),
    "HardSigmoid": ("hard_sigmoid", {"alpha": ("alpha", 0.2), "beta": ("beta", 0.5)}),
    "Affine": ("scale_shift", {"alpha": ("scale", None), "beta": ("shift", None)}),
    "ScaledTanh": ("tanh", {"alpha": ("scale", None), "beta": ("inner", None)}),
}
"""The standard's functions: the activation, what alpha and beta are called there, and their values where a node does not say."""


def _function(name: str, parameters: Mapping[str, float]) -> Function:
    """Make a function of a gate; `parameters` are alpha and beta, as the activation calls them."""
    activation = FUNCTIONS[name][0]

    def function(builder: Builder, x: str, part: str) -> str:
        if name != "ScaledTanh":
            return builder.activation(x, activation, parameters, part)
        inner = builder.scale_shift(x, parameters["inner"], 0.0, f"{part}.inner")
        return builder.scale_shift(
            builder.activation(inner, activation, part=f"{part}.tanh"), parameters["scale"], 0.0, part
        )

    return function


def _functions(node: Node, directions: int) -> list[tuple[Function, ...]]:
    """Return the functions of each direction; alpha and beta are taken in turn by those that have them."""
    defaults = DEFAULTS[node.operator]
    names = [text(name) for name in node.attributes.get("activations", defaults * directions)]
    if len(names) != len(defaults) * directions:
        raise NetworkError(f"{len(defaults) * directions} activations are needed, not {len(names)}")
    values = {key: iter(node.attributes.get(f"activation_{key}", ())) for key in ("alpha", "beta")}
    functions = [_function(name, dict(_parameters(name, values))) for name in names]
    return [tuple(functions[first : first + len(defaults)]) for first in range(0, len(names), len(defaults))]


def _parameters(name: str, values: Mapping[str, Iterator[Any]]) -> Iterator[tuple[str, float]]:
    """Yield alpha and beta as the activation calls them, as far as a function has them."""
    if name not in FUNCTIONS:
        raise NetworkError(f"unknown activation {name!r}; {choices(name, FUNCTIONS)}")
    for key, (parameter, default) in FUNCTIONS[name][1].items():
        value = next(values[key], default)
        if value is None:
            raise NetworkError(f"activation {name} needs activation_{key}, for which the standard has no other value")
        yield parameter, float(value)


def _of(array: Array, direction: int) -> Array:
    """Take the part of one direction, which is the first axis."""
    code = array.code
    if code is not None and code.axis is not None:
        alone = code.axis == 0
        scale, zero = (code.scale[direction], code.zero[direction]) if alone else (code.scale, code.zero)
        code = replace(code, scale=scale, zero=zero, axis=None if alone else code.axis - 1)
    return Array(array.shape[1:], None if array.values is None else array.values[direction], code)


def _split_rows(array: Array, count: int) -> list[Array]:
    """Split an array into equal runs of rows."""
    size = array.shape[0] // count
    return [rows(array, place * size, (place + 1) * size) for place in range(count)]


def _cells(builder: OnnxBuilder, node: Node, directions: int) -> list[RecurrentCell]:
    """Make the cell of each direction."""
    order, functions = ORDERS[node.operator], _functions(node, directions)
    clip = node.attributes.get("clip")
    if clip is not None and not clip > 0:
        raise NetworkError(f"clip is a positive number, not {clip}")
    weight, hidden = builder.array(node.get(1)), builder.array(node.get(2))
    bias, peepholes = builder.optional(node.get(3)), builder.optional(node.get(7))
    size = int(node.attributes.get("hidden_size", hidden.shape[-1]))
    gates = len(order) * size
    shapes = {
        "W": (directions, gates, weight.shape[-1]), "R": (directions, gates, size), "B": (directions, 2 * gates),
        "P": (directions, len(PEEPHOLES) * size),
    }  # fmt: skip
    for name, array in (("W", weight), ("R", hidden), ("B", bias), ("P", peepholes)):
        if array is not None and array.shape != shapes[name]:
            raise NetworkError(f"{name} has shape {array.shape}; {directions} directions of {size} need {shapes[name]}")
    cells: list[RecurrentCell] = []
    for direction in range(directions):
        biases = (None, None) if bias is None else _split_rows(_of(bias, direction), 2)
        arguments: dict[str, Any] = {
            "builder": builder, "inputs": _of(weight, direction), "hidden": _of(hidden, direction), "order": order,
            "input_bias": biases[0], "hidden_bias": biases[1], "functions": functions[direction], "clip": clip,
        }  # fmt: skip
        if node.operator == "LSTM":
            parts = () if peepholes is None else _split_rows(_of(peepholes, direction), len(PEEPHOLES))
            by_gate = dict(zip(PEEPHOLES, parts, strict=False))
            cells.append(Lstm(**arguments, peepholes=by_gate, coupled=bool(node.attributes.get("input_forget", 0))))
        elif node.operator == "GRU":
            cells.append(Gru(**arguments, reset_after=bool(node.attributes.get("linear_before_reset", 0))))
        else:
            cells.append(PlainCell(**arguments))
    return cells


def _state(builder: OnnxBuilder, value: Value) -> str | None:
    """Return the name of the states before the first step; None where there are none, or zeros."""
    constant = builder.constants.get(value) if isinstance(value, str) else value
    if constant is None and not isinstance(value, str):
        return None
    constant = constant.real() if isinstance(constant, Array) else constant
    return None if isinstance(constant, np.ndarray) and not constant.any() else builder.named(value)


def _recurrent(builder: OnnxBuilder, node: Node) -> tuple[Value, ...]:
    """Append one layer in one or both directions; return the hidden values of all steps, the last ones, an LSTM's last cell."""
    direction = text(node.attributes.get("direction", "forward"))
    if direction not in DIRECTIONS:
        raise NetworkError(f"unknown direction {direction!r}; {choices(direction, DIRECTIONS)}")
    sides = DIRECTIONS[direction]
    # Layout 0 is (time, batch, values), with directions before the batch; layout 1 has the batch first everywhere.
    time = 1 if node.attributes.get("layout", 0) else 0
    x = node.tensor()
    if len(builder.shape(x)) != 3:
        raise NetworkError(f"X has shape {builder.shape(x)}; it needs three axes")
    _check_lengths(node, builder.shape(x)[time])
    cells = _cells(builder, node, len(sides))
    before = tuple(_state(builder, node.get(5 + place)) for place in range(cells[0].states))
    every, last = [], []
    for place, (cell, reverse) in enumerate(zip(cells, sides, strict=True)):
        part = "reverse." if reverse else ""
        hidden, after = unroll(cell, x, time, before, place, time, reverse=reverse, part=part)
        every.append(hidden)
        last.append(after)
    # The axis of directions stands behind time in both layouts; time is gone from the last states.
    outputs: list[Value] = [joined(builder, every, time + 1, "Y")]
    for states_of, name in zip(zip(*last, strict=True), ("Y_h", "Y_c"), strict=False):
        outputs.append(joined(builder, [str(state) for state in states_of], time, name))
    return tuple(outputs)


def _check_lengths(node: Node, steps: int) -> None:
    """Refuse sequences of other lengths than that of X."""
    lengths = node.known(4)
    if lengths is not None and (lengths != steps).any():
        raise NetworkError(
            f"sequence_lens {lengths.reshape(-1).tolist()[:8]} are not all {steps}, the steps of X: sequences of their own "
            "lengths are not known; cut X to the length, or run sequences apart"
        )


RECURRENT: dict[str, Handler] = dict.fromkeys(ORDERS, _recurrent)
