"""ATen operators of recurrent layers: whole layers (lstm, gru, rnn_tanh, rnn_relu) and single steps (cells)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mho.errors import NetworkError
from mho.network.builder import Builder
from mho.network.recurrent import Gru, Lstm, PlainCell, RecurrentCell, joined, tanh, unroll
from mho.network.torch_builder import Call, Handler, TorchBuilder, Value


def _relu(builder: Builder, x: str, part: str) -> str:
    return builder.activation(x, "relu", part=part)


def _cell(builder: TorchBuilder, operator: str, weights: Sequence[Value]) -> RecurrentCell:
    """Make the cell of an operator: weights of inputs and hidden values, biases where there are any, a projection."""
    inputs, hidden = (builder.weight(weight) for weight in weights[:2])
    biases = [builder.array(bias) for bias in weights[2:4]] if len(weights) > 3 else [None, None]
    arguments: dict[str, Any] = {"builder": builder, "inputs": inputs, "hidden": hidden}
    arguments |= {"input_bias": biases[0], "hidden_bias": biases[1]}
    if operator.startswith("lstm"):
        projection = builder.weight(weights[-1]) if len(weights) in (3, 5) else None
        return Lstm(**arguments, projection=projection)
    if operator.startswith("gru"):
        return Gru(**arguments)
    return PlainCell(**arguments, functions=(_relu if "relu" in operator else tanh,))


def _zero(value: Value) -> bool:
    """Return whether a state is known to be zero, as one is taken to be that is made on the meta device."""
    if not isinstance(value, torch.Tensor):
        return False
    return not isinstance(value, torch.nn.Parameter) if value.is_meta else not bool(value.any())


def _states(builder: TorchBuilder, value: Value) -> tuple[Value, ...]:
    """Return the states as given, one tensor or several; None for those that are zero."""
    states = value if isinstance(value, list | tuple) else [value]
    return tuple(None if _zero(state) else builder.tensor(state) for state in states)


def _layers(builder: TorchBuilder, call: Call) -> tuple[Value, ...]:
    """Append several layers in one or both directions; return the hidden values of all steps, then the last states."""
    if call.get("batch_sizes") is not None:
        raise NetworkError("packed sequences are not known; give sequences of one length")
    if call["train"] and call["dropout"]:
        raise NetworkError("dropout between recurrent layers is not known; call module.eval() first")
    layers, both = int(call["num_layers"]), bool(call["bidirectional"])
    axis = 1 if call["batch_first"] else 0
    weights, directions = list(call["params"]), 2 if both else 1
    arrays = len(weights) // (layers * directions)
    states = _states(builder, call["hx"])
    x, last = builder.tensor(call["input"]), []
    for layer in range(layers):
        outputs = []
        for side in range(directions):
            place = layer * directions + side
            part = f"l{layer}.{'reverse.' if side else ''}"
            cell = _cell(builder, call.operator, weights[place * arrays : (place + 1) * arrays])
            hidden, after = unroll(cell, x, axis, states, place, reverse=side == 1, part=part)
            outputs.append(hidden)
            last.append(after)
        x = outputs[0] if len(outputs) == 1 else builder.concatenate(outputs, 2, f"l{layer}.hidden")
    ends = zip(("hidden", "cell"), zip(*last, strict=True), strict=False)
    return x, *(joined(builder, [str(name) for name in names], 0, f"last.{kind}") for kind, names in ends)


def _single(builder: TorchBuilder, call: Call) -> Value:
    """Append one step of one layer."""
    weights = [call["w_ih"], call["w_hh"]]
    if call["b_ih"] is not None:
        weights += [call["b_ih"], call["b_hh"]]
    cell = _cell(builder, call.operator, weights)
    states = cell.step(cell.project(builder.tensor(call["input"]), ""), tuple(_states(builder, call["hx"])), "")
    return states if len(states) > 1 else states[0]


RECURRENT: dict[str, Handler] = {
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), _layers),
    **dict.fromkeys(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), _single),
}
