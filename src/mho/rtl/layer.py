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
from mho.network.layers import Activation, Convolution, MatrixLayer
from mho.number.affine import encode
from mho.number.coded import QuantisedNetwork
from mho.number.requantise import Made
from mho.program import Program
from mho.rtl.combined import Combined, combined, windows_of
from mho.rtl.commands import Block, Stimulus
from mho.rtl.plan import Combining, Plan

Integers = npt.NDArray[np.int64]
USUAL_BITS = 24
"""Bits of multipliers where the program makes codes in float64."""


@dataclass(frozen=True, eq=False)
class Part:
    """The outputs of a layer that one column of blocks makes, or that lanes combine: `outputs` (requantisers, outputs) says which,
    -1 for none. `wanted` and `codes` (windows, requantisers, outputs): v and code of each, `codes` None where the layer's own
    sums become none. `blocks`: of the layer's, those of the stimulus.
    """

    stimulus: Stimulus
    outputs: Integers
    wanted: Integers
    codes: Integers | None
    blocks: tuple[int, ...]


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
    lanes = combined(program, mapped, name)
    columns = {} if lanes is not None else _columns(mapped)
    if columns is None:
        raise OptionError(
            f"layer {name!r}, mapping {program.strategy.mapping.name}: of whole weights the periphery serves blocks of one matrix "
            "each (mapping dense, nothing packed along a diagonal)"
        )
    program = requantised(program)
    jobs, x, kept = _executed(program, mapped, inputs)
    assert program.quantised is not None
    ending = _Ending.of(program.quantised, layer)
    plan = plan_of(program, mapped, None if lanes is None else lanes.combining)
    x = windows_of(mapped, layer, x)
    chosen = tuple(sorted({int(w) for w in np.linspace(0, x.shape[2] - 1, min(windows, x.shape[2]))}))
    goal = _goal(plan, layer, x[:, :1, list(chosen)], ending, kept, chosen, program.quantised)
    stored = {job.block: job.stored for job in jobs}
    if lanes is not None:
        step = _combined(plan, lanes, stored, goal, program)
        return Layer(name, plan, (step,), chosen, plan.multiplier_bits)
    return Layer(name, plan, tuple(_parts(plan, mapped, columns, stored, goal)), chosen, plan.multiplier_bits)


def requantised(program: Program) -> Program:
    """Return a program that makes codes in integers: itself, or with multipliers of 24 bits."""
    if program.quantised is None or program.quantised.requantise is not None:
        return program
    return replace(program, quantised=replace(program.quantised, requantise=USUAL_BITS))


def plan_of(program: Program, mapped: LayerMapping, combining: Combining | None = None) -> Plan:
    """Return the periphery of the groups of a layer."""
    quantised = requantised(program).quantised
    assert quantised is not None and quantised.requantise is not None
    target = _Ending.of(quantised, program.network.by_name[mapped.name]).target
    made = mapped.bits.inputs if target is None else int(quantised.codes[target].high).bit_length()
    return Plan.of(
        program.chip, mapped.blocks.shape.coding.weight_bits, mapped.bits.inputs + (combining.late if combining else 0),
        mapped.readout.signed, multiplier_bits=quantised.requantise, output_bits=made, combining=combining,
    )  # fmt: skip


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


@dataclass(frozen=True, eq=False)
class _Goal:
    """What a layer must make of `x` (matrices, 1, windows, K): `v` and `codes` (matrices, windows, N), and what that takes:
    `multipliers` and `addends` (matrices, N), `zeros` of the weights, and settings of the requantiser.
    """

    x: Any
    v: Integers
    codes: Integers | None
    multipliers: Integers
    addends: Integers
    zeros: Integers
    settings: Mapping[str, int]


def _goal(
    plan: Plan, layer: MatrixLayer, x: Any, ending: _Ending, kept: Mapping[str, Any], chosen: tuple[int, ...],
    quantised: QuantisedNetwork,
) -> _Goal:  # fmt: skip
    """Return what a layer must make; AssertionError where that is not what the program computed."""
    matrix, zero = quantised.matrices[layer.name], int(quantised.codes[layer.inputs[0]].zero)
    zeros = np.broadcast_to(matrix.zero, (layer.groups, layer.columns))
    constant = zero * (layer.rows * zeros - matrix.codes.sum(axis=1, dtype=np.int64)) * (not plan.signed)
    own = None if ending.made is None else ending.made.parts[layer.name]
    scale = np.ones((), dtype=np.int64) if own is None else own.multiplier
    multipliers = np.broadcast_to(scale, zeros.shape)
    bias = np.broadcast_to(0 if own is None or own.addend is None else own.addend, zeros.shape)
    codes = None
    if ending.target is not None:
        target = quantised.codes[ending.target]
        codes = _by_window(layer, encode(kept[ending.target], target).astype(np.int64))[:, list(chosen)]
    v = _exact(quantised, layer, x, zero) * multipliers[:, None] + bias[:, None]
    if layer.name not in quantised.codes:
        reached = _by_window(layer, kept[layer.name])[:, list(chosen)]
        if not np.array_equal(_real(quantised, layer, ending, v), reached):
            raise AssertionError(f"layer {layer.name!r}: the sums of its codes are not those that the program computed")
    settings = ending.settings(quantised, plan.output_bits, zero)
    return _Goal(x, v, codes, multipliers >> settings["left"], multipliers * constant + bias, zeros, settings)


def _parts(
    plan: Plan,
    mapped: LayerMapping,
    columns: Mapping[tuple[int, int], list[int]],
    stored: Mapping[int, Any],
    goal: _Goal,
) -> Iterator[Part]:
    """Yield the columns of blocks of a layer, each with the blocks of rows whose sums are added."""
    blocks, windows = mapped.blocks, goal.x.shape[2]
    for (first, left), rows in columns.items():
        width = int(blocks.widths[rows[0]])
        here = first, slice(left, left + width)
        outputs = plan.dealt(np.arange(left, left + width), -1)
        given = [plan.dealt(table[here]) for table in (goal.multipliers, goal.addends)]
        made = tuple(_block(plan, stored[index], goal.zeros[here], *given) for index in rows)
        order = []
        for w in range(windows):
            for at, index in enumerate(rows):
                (drive,) = blocks.drives(index, goal.x[:, :, w : w + 1])
                order.append((at, drive.inputs[0][0].astype(np.int64), at == 0, at == len(rows) - 1))
        v, codes = (None if each is None else plan.dealt(each[first][:, here[1]]) for each in (goal.v, goal.codes))
        assert v is not None
        yield Part(Stimulus(plan, goal.settings, made, tuple(order)), outputs, v, codes, tuple(rows))


def _combined(plan: Plan, lanes: Combined, stored: Mapping[int, Any], goal: _Goal, program: Program) -> Part:
    """Return a layer whose blocks are driven one after another, and whose outputs lanes make of all sums together."""

    def made_by(values: Integers, nothing: int = 0) -> Integers:
        """Arrange (..., matrices, N) as (..., requantisers, outputs), output after output."""
        flat = values.reshape(*values.shape[:-2], -1)
        filled = np.full((*flat.shape[:-1], plan.makes * plan.makers), nothing, dtype=np.int64)
        filled[..., : flat.shape[-1]] = flat
        return np.swapaxes(filled.reshape(*flat.shape[:-1], plan.makes, plan.makers), -1, -2)

    given = made_by(goal.multipliers), made_by(goal.addends)
    quantised, held, made = program.quantised, dict[int, Block](), list[Block]()
    assert quantised is not None
    # What level 0 of an element of a basis stands for; digits stand for themselves.
    base = 0 if plan.indexed or quantised.basis is None else int(quantised.basis.elements_of(np.array(0)))
    for drive in lanes.drives:
        if drive.block not in held:
            held[drive.block] = _block(plan, stored[drive.block], np.array(-base), *given)
        made.append(replace(held[drive.block], entries=drive.entries, inputs=drive.inputs))
    order = []
    for w in range(goal.x.shape[2]):
        window = goal.x[:, 0, w].astype(np.int64)
        whole = window.ravel()
        for at, drive in enumerate(lanes.drives):
            order.append((at, whole if drive.takes is None else window[drive.takes], at == 0, at == len(made) - 1))
    v, codes = (None if each is None else made_by(each.transpose(1, 0, 2)) for each in (goal.v, goal.codes))
    assert v is not None
    outputs = made_by(np.arange(goal.multipliers.size).reshape(goal.multipliers.shape), -1)
    return Part(
        Stimulus(plan, goal.settings, tuple(made), tuple(order)),
        outputs,
        v,
        codes,
        tuple(d.block for d in lanes.drives),
    )


def _block(plan: Plan, stored: Any, zeros: Integers, multipliers: Integers, addends: Integers) -> Block:
    """Return what a stored block asks of the periphery; `zeros` of its outputs."""
    step = plan.combining.step if plan.combining else 1
    levels = stored.levels.astype(np.int64)
    height, width, _ = levels.shape
    shown = levels[..., 0::2] - levels[..., 1::2] if plan.coding.pairs else levels
    cells = np.zeros((plan.rows, plan.arrays * plan.outputs, plan.digits), dtype=np.int64)
    cells[:height, :width] = shown
    wired = np.zeros((plan.arrays, plan.rows, plan.conversions), dtype=np.int64)
    wired[:, :, : plan.outputs * plan.digits] = cells.reshape(plan.rows, plan.arrays, -1).transpose(1, 0, 2)
    inverted = np.zeros((plan.arrays, plan.adcs * plan.per_adc), dtype=np.bool_)
    coefficients = np.zeros(plan.arrays * plan.outputs, dtype=np.int64)
    coefficients[:width] = plan.coding.base * step - zeros
    if stored.inverted is not None:
        wired[:, :, -1] = 1
        flipped = np.zeros((plan.arrays * plan.outputs, plan.digits), dtype=np.bool_)
        flipped[:width] = stored.inverted
        inverted[:, : plan.outputs * plan.digits] = flipped.reshape(plan.arrays, -1)
        coefficients += plan.coding.highest * step * (flipped * np.array(plan.significances)).sum(axis=1)
    return Block(wired, plan.dealt(coefficients), multipliers, addends, inverted)


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
