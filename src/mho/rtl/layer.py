"""One layer of a program as its group of arrays sees it: the cells that the program wrote, its inputs, and what must come out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError, choices
from mho.machine.analog.planned import Job
from mho.machine.functional import Executor
from mho.mapping import LayerMapping
from mho.network.layers import Activation, Affine, Convolution, MatrixLayer
from mho.number.affine import encode
from mho.number.coded import QuantisedNetwork
from mho.number.requantise import Made
from mho.program import Program
from mho.rtl.commands import Block, Stimulus
from mho.rtl.plan import Plan

Integers = npt.NDArray[np.int64]
USUAL_BITS = 24
"""Bits of multipliers where the program makes codes in float64."""


@dataclass(frozen=True, eq=False)
class Part:
    """The outputs of a layer that one column of blocks makes: `outputs` (arrays, outputs) says which, -1 for none.

    `wanted` and `codes` (windows, arrays, outputs): v and code of each, `codes` None where the layer's own sums become none.
    """

    matrix: int
    stimulus: Stimulus
    outputs: Integers
    wanted: Integers
    codes: Integers | None


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer, ready for a test bench: `parts` one after another; `windows` are those that are run; `bits` of the multipliers."""

    name: str
    plan: Plan
    parts: tuple[Part, ...]
    windows: tuple[int, ...]
    bits: int


def layer_of(program: Program, name: str, inputs: Any, windows: int = 8) -> Layer:
    """Return a layer of a program for `windows` of its windows, spread evenly, of one inference on `inputs`.

    A program that makes codes in float64 is executed with multipliers of 24 bits instead, on the same cells. Raises OptionError
    for a layer that the program does not have, or whose blocks this periphery does not serve.
    """
    known = {layer.name: layer for layer in program.mapping.layers}
    if name not in known:
        raise OptionError(f"{program.network.name} has no layer {name!r} with weights: {choices(name, known)}")
    mapped, layer = known[name], program.network.by_name[name]
    assert isinstance(layer, MatrixLayer)
    columns = _columns(mapped)
    if columns is None or mapped.combination is not None:
        raise OptionError(
            f"layer {name!r}, mapping {program.strategy.mapping.name}: the periphery serves blocks of whole weights of one matrix "
            "each (mapping dense, nothing packed along a diagonal)"
        )
    quantised = program.quantised
    if quantised is not None and quantised.requantise is None:
        program = replace(program, quantised=replace(quantised, requantise=USUAL_BITS))
    jobs, x, kept = _executed(program, mapped, inputs)
    assert program.quantised is not None and program.quantised.requantise is not None
    bits = program.quantised.requantise
    code = program.quantised.codes[layer.inputs[0]]
    ending = _Ending.of(program.quantised, layer)
    made = (
        mapped.bits.inputs if ending.target is None else int(program.quantised.codes[ending.target].high).bit_length()
    )
    plan = Plan.of(
        program.chip,
        mapped.bits.weights,
        mapped.bits.inputs,
        mapped.readout.signed,
        multiplier_bits=bits,
        output_bits=made,
    )
    chosen = tuple(sorted({int(w) for w in np.linspace(0, mapped.windows - 1, min(windows, mapped.windows))}))
    driven = x[:, :1, list(chosen)]
    parts = tuple(_parts(plan, mapped, columns, jobs, driven, code, ending, kept, chosen, program.quantised))
    return Layer(name, plan, parts, chosen, bits)


def _columns(mapped: LayerMapping) -> dict[tuple[int, int], list[int]] | None:
    """Return the blocks that make the same outputs, by matrix and first output; None where blocks are other than whole weights.

    Where the sums of a block's columns go is seen by what they add to.
    """
    blocks, columns = mapped.blocks, dict[tuple[int, int], list[int]]()
    if blocks.shape.coding.weight_bits != mapped.bits.weights:
        return None
    x = np.zeros((blocks.matrices, 1, 1, blocks.rows), dtype=np.uint8)
    for index in range(blocks.count):
        width, out = int(blocks.widths[index]), np.zeros((blocks.matrices, 1, 1, blocks.columns))
        if len(blocks.turns(index)) != 1:
            return None
        blocks.splice(index, None, np.arange(1.0, width + 1)[None], x, out)
        matrix, _, _, outputs = np.nonzero(out)
        whole = np.array_equal(out[matrix, 0, 0, outputs], np.arange(1, width + 1))
        if len(set(matrix.tolist())) != 1 or not whole or outputs[-1] - outputs[0] != width - 1:
            return None
        columns.setdefault((int(matrix[0]), int(outputs[0])), []).append(index)
    return columns


def _executed(program: Program, mapped: LayerMapping, inputs: Any) -> tuple[list[Job], Any, Mapping[str, Any]]:
    """Execute one inference: the blocks of a layer as they are stored, its windows, and the tensors behind it."""
    seen: dict[str, Any] = {}

    def watch(layer: LayerMapping, jobs: list[Job], x: Any) -> None:
        if layer.name == mapped.name:
            seen["jobs"], seen["x"] = jobs, x

    assert program.quantised is not None
    ending = _Ending.of(program.quantised, program.network.by_name[mapped.name])
    names = (mapped.name, *(() if ending.target is None else (ending.target,)))
    one = [each[: program.network.batch] for each in (inputs if isinstance(inputs, Sequence) else (inputs,))]
    kept = Executor(program, watch=watch).run(tuple(one), keep=names)
    return seen["jobs"], seen["x"], kept


@dataclass(frozen=True, eq=False)
class _Ending:
    """What becomes of a layer's sums: how v is made, and the tensor whose codes are made of these sums alone, if any."""

    made: Made | None
    target: str | None
    low: float
    high: float

    @classmethod
    def of(cls, quantised: QuantisedNetwork, layer: Any) -> _Ending:
        made, network = quantised.integer_steps.get(layer.name), quantised.network
        name, low, high = layer.name, -np.inf, np.inf
        while name not in quantised.codes:
            readers = network.consumers[name]
            after = network.by_name[readers[0]] if len(readers) == 1 else None
            if made is None or not isinstance(after, Activation) or after.name not in quantised.integer_steps:
                return cls(made, None, low, high)
            ends = (0.0, np.inf) if after.function == "relu" else (after.parameters["low"], after.parameters["high"])
            low, high, name = max(low, ends[0]), min(high, ends[1]), after.name
        return cls(made, name, low, high)

    def settings(self, quantised: QuantisedNetwork, bits: int, input_zero: int) -> dict[str, int]:
        """Return what the requantiser is set to; without a target only v is looked at."""
        made = self.made
        left = 0 if made is None else next(iter(made.parts.values())).left
        if self.target is None or made is None:
            return {"shift": 1, "left": left, "zero": 0, "low": 0, "high": (1 << bits) - 1, "input_zero": input_zero}
        code = quantised.codes[self.target]
        ends = [int(encode(np.array(float(end)), code)) for end in (self.low, self.high)]
        return {
            "shift": made.shift,
            "left": left,
            "zero": int(code.zero),
            "low": ends[0],
            "high": ends[1],
            "input_zero": input_zero,
        }


def _parts(
    plan: Plan, mapped: LayerMapping, columns: Mapping[tuple[int, int], list[int]], jobs: list[Job], x: Any, code: Affine,
    ending: _Ending, kept: Mapping[str, Any], chosen: tuple[int, ...], quantised: QuantisedNetwork,
) -> Iterator[Part]:  # fmt: skip
    """Yield the columns of blocks of a layer, each with the blocks of rows whose sums are added."""
    blocks, matrix, layer = mapped.blocks, quantised.matrices[mapped.name], quantised.network.by_name[mapped.name]
    assert isinstance(layer, MatrixLayer)
    stored = {job.block: job.stored for job in jobs}
    zero = int(code.zero)
    zeros = np.broadcast_to(matrix.zero, (layer.groups, layer.columns))
    constant = zero * (layer.rows * zeros - matrix.codes.sum(axis=1, dtype=np.int64)) * (not plan.signed)
    made = ending.made
    own = None if made is None else made.parts[layer.name]
    scale = np.ones((), dtype=np.int64) if own is None else own.multiplier
    multipliers = np.broadcast_to(scale, zeros.shape)
    addends = multipliers * constant + (0 if own is None or own.addend is None else own.addend)
    settings = ending.settings(quantised, plan.output_bits, zero)
    exact = _exact(quantised, layer, x, zero)
    codes = None
    if ending.target is not None:
        target = quantised.codes[ending.target]
        codes = _by_window(layer, encode(kept[ending.target], target).astype(np.int64))[:, list(chosen)]
    v = exact * multipliers[:, None] + (addends - multipliers * constant)[:, None]
    if layer.name not in quantised.codes:
        reached = _by_window(layer, kept[layer.name])[:, list(chosen)]
        if not np.array_equal(_real(quantised, layer, ending, v), reached):
            raise AssertionError(f"layer {layer.name!r}: the sums of its codes are not those that the program computed")
    for (first, left), rows in columns.items():
        width = int(blocks.widths[rows[0]])
        outputs = np.full(plan.arrays * plan.outputs, -1, dtype=np.int64)
        outputs[:width] = np.arange(left, left + width)
        here = slice(left, left + width)
        given = [np.zeros((2, plan.arrays * plan.outputs), dtype=np.int64) for _ in rows]
        made_blocks = []
        for index, values in zip(rows, given, strict=True):
            values[0, :width], values[1, :width] = multipliers[first, here] >> settings["left"], addends[first, here]
            made_blocks.append(_block(plan, stored[index], zeros[first, here], values))
        order = []
        for w in range(len(chosen)):
            for at, index in enumerate(rows):
                (drive,) = blocks.drives(index, x[:, :, w : w + 1])
                codes_in = drive.inputs[0][0].astype(np.int64)
                order.append((at, codes_in, at == 0, at == len(rows) - 1))
        stimulus = Stimulus(plan, settings, tuple(made_blocks), tuple(order))
        yield Part(
            first, stimulus, outputs.reshape(plan.arrays, plan.outputs), _spread(plan, v[first][:, here]),
            None if codes is None else _spread(plan, codes[first][:, here]),
        )  # fmt: skip


def _spread(plan: Plan, values: Integers) -> Integers:
    """Arrange (windows, width) as (windows, arrays, outputs), 0 where there is none."""
    out = np.zeros((len(values), plan.arrays * plan.outputs), dtype=np.int64)
    out[:, : values.shape[1]] = values
    return out.reshape(-1, plan.arrays, plan.outputs)


def _block(plan: Plan, stored: Any, zeros: Integers, given: Integers) -> Block:
    """Return what a stored block asks of the periphery; `zeros` of its outputs, `given` multipliers and addends."""
    levels = stored.levels.astype(np.int64)
    height, width, _ = levels.shape
    shown = levels[..., 0::2] - levels[..., 1::2] if plan.coding.pairs else levels
    cells = np.zeros((plan.rows, plan.arrays * plan.outputs, plan.digits), dtype=np.int64)
    cells[:height, :width] = shown
    wired = np.zeros((plan.arrays, plan.rows, plan.conversions), dtype=np.int64)
    wired[:, :, : plan.outputs * plan.digits] = cells.reshape(plan.rows, plan.arrays, -1).transpose(1, 0, 2)
    inverted = np.zeros((plan.arrays, plan.adcs * plan.per_adc), dtype=np.bool_)
    coefficients = np.zeros(plan.arrays * plan.outputs, dtype=np.int64)
    coefficients[:width] = plan.coding.base - zeros
    if stored.inverted is not None:
        wired[:, :, -1] = 1
        flipped = np.zeros((plan.arrays * plan.outputs, plan.digits), dtype=np.bool_)
        flipped[:width] = stored.inverted
        inverted[:, : plan.outputs * plan.digits] = flipped.reshape(plan.arrays, -1)
        coefficients += plan.coding.highest * (flipped * np.array(plan.significances)).sum(axis=1)
    shape = (plan.arrays, plan.outputs)
    return Block(wired, coefficients.reshape(shape), given[0].reshape(shape), given[1].reshape(shape), inverted)


def _exact(quantised: QuantisedNetwork, layer: MatrixLayer, x: Any, zero: int) -> Integers:
    """Return the sums of a layer's codes less their zeros, (matrices, windows, N), by numpy."""
    centred = quantised.matrices[layer.name].centred.astype(np.int64)
    return np.asarray(np.matmul(x[:, 0].astype(np.int64) - zero, centred))


def _real(quantised: QuantisedNetwork, layer: MatrixLayer, ending: _Ending, v: Integers) -> npt.NDArray[np.float64]:
    """Return the real numbers that v of a layer, (matrices, windows, N), stand for, as a program computes them."""
    if ending.made is not None:
        return np.asarray(v * (float(quantised.codes[ending.made.target].scale) / 2.0**ending.made.shift))
    matrix, code = quantised.matrices[layer.name], quantised.codes[layer.inputs[0]]
    real = v * np.broadcast_to(code.scale * matrix.scale, (layer.groups, layer.columns))[:, None, :]
    return np.asarray(real if matrix.bias is None else real + matrix.bias[:, None, :])


def _by_window(layer: MatrixLayer, values: Any) -> Any:
    """Arrange a tensor of a layer's shape, of one inference, as (matrices, windows, N)."""
    if isinstance(layer, Convolution):
        flat = values.reshape(len(values), layer.groups, layer.columns, -1)
        return flat.transpose(1, 0, 3, 2).reshape(layer.groups, -1, layer.columns)
    return values.reshape(-1, layer.groups, layer.columns).transpose(1, 0, 2)


__all__ = ["Layer", "Part", "layer_of"]
