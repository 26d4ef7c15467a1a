"""Recurrent layers, unrolled in time: LSTM, GRU and the plain one.

All inputs of a direction are multiplied by its input weights at once: one linear layer of a window a step. The hidden values are
multiplied step by step, by linear layers that share one weight. Gates are vector operations as any others, states are tensors as
any others. A state that is absent is zero: what it would be multiplied by is left out.

With gates' functions f, g, h, x_g the input part of gate g, and R_g the hidden weights (Hochreiter and Schmidhuber 1997; Gers et
al. 2002 for the peepholes p; Cho et al. 2014):

    LSTM   i = f(x_i + R_i h + p_i c), f = f(x_f + R_f h + p_f c), c' = f c + i g(x_g + R_g h), o = f(x_o + R_o h + p_o c'),
           h' = o h(c')
    GRU    z = f(x_z + R_z h), r = f(x_r + R_r h), n = g(x_n + r (R_n h)) or g(x_n + R_n (r h)), h' = n + z (h - n)
    plain  h' = f(x + R h)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from mho.errors import NetworkError
from mho.network.arrays import Array, computed
from mho.network.builder import Builder

Function = Callable[[Builder, str, str], str]
"""Appends a function of a tensor: builder, tensor, and the part of the scope that it is called by."""
States = tuple[str | None, ...]
"""The hidden values (batch, H), and those of the cell; None where they are zero."""


def sigmoid(builder: Builder, x: str, part: str) -> str:
    """Append a sigmoid."""
    return builder.activation(x, "sigmoid", part=part)


def tanh(builder: Builder, x: str, part: str) -> str:
    """Append a hyperbolic tangent."""
    return builder.activation(x, "tanh", part=part)


@dataclass(frozen=True, kw_only=True)
class RecurrentCell(ABC):
    """A recurrent cell of one direction, which appends one step at a time.

    `inputs` (gates H, I) and `hidden` (gates H, P) are the weights of inputs and of hidden values, `input_bias` and `hidden_bias`
    (gates H,); gates follow one another as `order` says, a letter each. `functions` as in the module's text. `clip`: what the
    functions of gates are applied to is clipped to so much either way.
    """

    builder: Builder
    inputs: Array
    hidden: Array
    input_bias: Array | None = None
    hidden_bias: Array | None = None
    order: str = "h"
    functions: tuple[Function, ...] = (tanh,)
    clip: float | None = None

    states: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Refuse weights and biases whose shapes do not fit one another."""
        gates, biases = len(self.order), (self.input_bias, self.hidden_bias)
        rows = self.inputs.shape[0]
        if len(self.inputs.shape) != 2 or len(self.hidden.shape) != 2 or rows != self.hidden.shape[0] or rows % gates:
            raise NetworkError(
                f"weights of shapes {self.inputs.shape} and {self.hidden.shape} are not of {gates} gates"
            )
        for bias in biases:
            if bias is not None and bias.shape != (rows,):
                raise NetworkError(f"a bias of shape {bias.shape} does not fit {gates} gates of {rows // gates} values")

    @property
    def size(self) -> int:
        """Return H, the number of values of a gate."""
        return self.inputs.shape[0] // len(self.order)

    @cached_property
    def bias(self) -> Array | None:
        """Return what is added to the inputs' part: both biases."""
        return _sum(self.input_bias, self.hidden_bias)

    def project(self, x: str, part: str) -> str:
        """Append the inputs' part of all gates: (..., I) to (..., gates H)."""
        if self.builder.shape(x)[-1] != self.inputs.shape[1]:
            raise NetworkError(
                f"inputs of {self.builder.shape(x)[-1]} values do not fit weights of shape {self.inputs.shape}"
            )
        return self.builder.linear(x, self.inputs, self.bias, f"{part}input")

    @abstractmethod
    def step(self, projected: str, states: States, part: str) -> States:
        """Append a step: the inputs' part (batch, gates H) and the states before to those after."""

    def gate(self, x: str, letter: str, part: str) -> str:
        """Append one gate's values of those of all gates."""
        if len(self.order) == 1:
            return x
        place = self.order.index(letter)
        return self.builder.slice(x, 1, place * self.size, (place + 1) * self.size, part=f"{part}{letter}.part")

    def apply(self, which: int, x: str, part: str) -> str:
        """Append one of the functions, of values that are clipped where they are to be."""
        if self.clip is not None:
            x = self.builder.activation(x, "clip", {"low": -self.clip, "high": self.clip}, f"{part}.clip")
        return self.functions[which](self.builder, x, part)

    def total(self, projected: str, hidden: str | None, part: str) -> str:
        """Append the sum of the inputs' part and the product with the hidden values."""
        if hidden is None:
            return projected
        product = self.builder.linear(hidden, self.hidden, None, f"{part}hidden")
        return self.builder.elementwise("add", projected, product, f"{part}sum")


@dataclass(frozen=True, kw_only=True)
class PlainCell(RecurrentCell):
    """The plain recurrent layer."""

    def step(self, projected: str, states: States, part: str) -> States:
        """See the module's text."""
        return (self.apply(0, self.total(projected, states[0], part), f"{part}h"),)


@dataclass(frozen=True, kw_only=True)
class Lstm(RecurrentCell):
    """Long short-term memory; gates i, f, g, o.

    `peepholes` (H,) by gate; `coupled`: the forget gate is 1 - i; `projection` (P, H): weights that make the hidden values of the
    gated ones (Sak et al. 2014).
    """

    order: str = "ifgo"
    functions: tuple[Function, ...] = (sigmoid, tanh, tanh)
    peepholes: Mapping[str, Array] = field(default_factory=dict)
    coupled: bool = False
    projection: Array | None = None

    states: ClassVar[int] = 2

    def step(self, projected: str, states: States, part: str) -> States:
        """See the module's text."""
        builder, (hidden, cell) = self.builder, states
        total = self.total(projected, hidden, part)
        enter = self._gated(total, "i", cell, part)
        candidate = self.apply(1, self.gate(total, "g", part), f"{part}g")
        new = builder.elementwise("multiply", enter, candidate, f"{part}entering")
        if cell is not None:
            forget = (
                builder.scale_shift(enter, -1.0, 1.0, f"{part}f")
                if self.coupled
                else self._gated(total, "f", cell, part)
            )
            remembered = builder.elementwise("multiply", forget, cell, f"{part}kept")
            new = builder.elementwise("add", remembered, new, f"{part}cell")
        leave = self._gated(total, "o", new, part)
        shown = self.functions[2](builder, new, f"{part}shown")
        out = builder.elementwise("multiply", leave, shown, f"{part}output")
        if self.projection is not None:
            out = builder.linear(out, self.projection, None, f"{part}projection")
        return out, new

    def _gated(self, total: str, letter: str, cell: str | None, part: str) -> str:
        """Append a gate that sees the cell through its peephole, if it has one."""
        values = self.gate(total, letter, part)
        weights = self.peepholes.get(letter)
        if cell is not None and weights is not None:
            nothing = Array.filled(weights.shape, known=weights.known)
            peephole = self.builder.channel_affine(cell, weights, nothing, 1, f"{part}{letter}.peephole")
            values = self.builder.elementwise("add", values, peephole, f"{part}{letter}.sum")
        return self.apply(0, values, f"{part}{letter}")


@dataclass(frozen=True, kw_only=True)
class Gru(RecurrentCell):
    """The gated recurrent unit; gates z and r, in either order, then n.

    `reset_after`: the reset gate is applied to the product with the hidden values, not to the hidden values.
    """

    order: str = "rzn"
    functions: tuple[Function, ...] = (sigmoid, tanh)
    reset_after: bool = True

    @cached_property
    def bias(self) -> Array | None:
        """Return both biases as `RecurrentCell.bias` does, but what gate n adds to the hidden values' product is reset with it."""
        if not self.reset_after or self.hidden_bias is None:
            return _sum(self.input_bias, self.hidden_bias)
        return _sum(self.input_bias, _where(self.hidden_bias, 0, 2 * self.size))

    @cached_property
    def _reset_bias(self) -> Array | None:
        return None if self.hidden_bias is None else _where(self.hidden_bias, 2 * self.size, 3 * self.size)

    @cached_property
    def _parts(self) -> tuple[Array, Array]:
        """Return the hidden weights of gates z and r, and those of n."""
        return rows(self.hidden, 0, 2 * self.size), rows(self.hidden, 2 * self.size, 3 * self.size)

    def step(self, projected: str, states: States, part: str) -> States:
        """See the module's text."""
        builder, (hidden,) = self.builder, states
        new = self.gate(projected, "n", part)
        if hidden is None:
            return (self._from_nothing(projected, new, part),)
        both = builder.slice(projected, 1, 0, 2 * self.size, part=f"{part}part")
        if self.reset_after:
            product = builder.linear(hidden, self.hidden, self._reset_bias, f"{part}hidden")
            more = builder.slice(product, 1, 0, 2 * self.size, part=f"{part}hidden.part")
        else:
            more = builder.linear(hidden, self._parts[0], None, f"{part}hidden")
        total = builder.elementwise("add", both, more, f"{part}sum")
        update, reset = (self.apply(0, self.gate(total, letter, part), f"{part}{letter}") for letter in "zr")
        if self.reset_after:
            product = builder.slice(product, 1, 2 * self.size, 3 * self.size, part=f"{part}n.hidden")
            reset_hidden = builder.elementwise("multiply", reset, product, f"{part}n.reset")
        else:
            reset_hidden = builder.elementwise("multiply", reset, hidden, f"{part}n.reset")
            reset_hidden = builder.linear(reset_hidden, self._parts[1], None, f"{part}n.hidden")
        candidate = self.apply(1, builder.elementwise("add", new, reset_hidden, f"{part}n.sum"), f"{part}n")
        change = builder.elementwise("subtract", hidden, candidate, f"{part}change")
        change = builder.elementwise("multiply", update, change, f"{part}kept")
        return (builder.elementwise("add", candidate, change, f"{part}output"),)

    def _from_nothing(self, projected: str, new: str, part: str) -> str:
        """Append a step whose hidden values before are zero."""
        builder = self.builder
        update = self.apply(0, self.gate(projected, "z", part), f"{part}z")
        if self.reset_after and self.hidden_bias is not None:
            reset = self.apply(0, self.gate(projected, "r", part), f"{part}r")
            bias = rows(self.hidden_bias, 2 * self.size, 3 * self.size)
            nothing = Array.filled(bias.shape, known=bias.known)
            reset_bias = builder.channel_affine(reset, bias, nothing, 1, f"{part}n.reset")
            new = builder.elementwise("add", new, reset_bias, f"{part}n.sum")
        candidate = self.apply(1, new, f"{part}n")
        share = builder.scale_shift(update, -1.0, 1.0, f"{part}share")
        return builder.elementwise("multiply", share, candidate, f"{part}output")


def unroll(
    cell: RecurrentCell, x: str, axis: int, before: States, place: int, along: int = 0, *, reverse: bool, part: str
) -> tuple[str, States]:
    """Append all steps of one direction over axis `axis` of x, (batch, time, I) or (time, batch, I).

    `before` are the states before the first step, of all directions, of which this one is at `place` of axis `along`. `reverse`
    goes from the last to the first; `part` begins the names. Returns the hidden values of all steps, in the order of time along
    that axis, and the states behind the last. Raises NetworkError for shapes that do not fit.
    """
    builder = cell.builder
    shape = builder.shape(x)
    if len(shape) != 3:
        raise NetworkError(f"a recurrent layer reads (batch, time, values) or (time, batch, values), not {shape}")
    states: States = tuple(
        None if state is None else builder.slice(state, along, place, place + 1, drop=True, part=f"{part}before")
        for state in before
    )
    projected = cell.project(x, part)
    hidden: dict[int, str] = {}
    for step in range(shape[axis])[:: -1 if reverse else 1]:
        current = builder.slice(projected, axis, step, step + 1, drop=True, part=f"{part}{step}.given")
        states = cell.step(current, states, f"{part}{step}.")
        assert states[0] is not None
        hidden[step] = states[0]
    return joined(builder, [hidden[step] for step in sorted(hidden)], axis, f"{part}hidden"), states


def joined(builder: Builder, tensors: list[str], axis: int, part: str) -> str:
    """Append tensors stacked along a new axis."""
    shape = builder.shape(tensors[0])
    wide = (*shape[:axis], 1, *shape[axis:])
    return builder.concatenate([builder.reshape(tensor, wide, f"{part}.part") for tensor in tensors], axis, part)


def _sum(one: Array | None, other: Array | None) -> Array | None:
    """Add two biases, in float64."""
    if one is None or other is None:
        return other if one is None else one
    return computed(np.add, one.shape, one, other)


def rows(array: Array, first: int, last: int) -> Array:
    """Take rows of an array, its code with them."""
    code = array.code
    if code is not None and code.axis is not None:
        if code.axis != 0:
            raise NetworkError(
                f"weight codes along axis {code.axis} are not known here; known: one code, or along axis 0"
            )
        code = replace(code, scale=code.scale[first:last], zero=code.zero[first:last])
    values = None if array.values is None else array.values[first:last]
    return Array((last - first, *array.shape[1:]), values, code)


def _where(bias: Array, first: int, last: int) -> Array:
    """Keep values [first, last) of a bias; the others are zero."""
    places = np.arange(bias.shape[0])
    return computed(lambda values: np.where((places >= first) & (places < last), values, 0.0), bias.shape, bias)
