"""Chips and networks small enough to work out on paper, and networks whose weight codes are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mho import Strategy
from mho.chip import Chip
from mho.chip.chip import Override
from mho.mapping import map_network
from mho.network.graph import Network
from mho.network.layers import Array, Convolution, Input, Layer, Linear
from mho.number import QuantisedNetwork
from mho.number.coded import QuantisedMatrix
from mho.program import Program
from mho.program.instructions import Activate, Instruction, Write


def hand_chip(**values: Override) -> Chip:
    """Four groups of two arrays of 8 x 9 cells of 2 bits: a group holds 8 x 4 weights, one column of an array is spare.

    A window takes 8 input-bit steps, a partial sum 3 bytes, a weight's change 12 bits, a level 20 pulses. Keys are written
    with a double underscore for the dot.
    """
    sizes: dict[str, Override] = {
        "array.rows": 8,
        "array.columns": 9,
        "array.cell_bits": 2,
        "array.adcs": 1,
        "group.arrays": 2,
        "tile.groups": 2,
        "tiles": 2,
    }
    sizes |= {key.replace("__", "."): value for key, value in values.items()}
    return Chip.load("aras").override(sizes, source="worked out by hand")


def linear(name: str, source: str, windows: int, inputs: int, outputs: int) -> Linear:
    """A linear layer known by its shape."""
    return Linear(name=name, inputs=(source,), shape=(windows, outputs), weight=Array((outputs, inputs)))


def pointwise(name: str, source: str, channels: int, outputs: int, groups: int = 1, side: int = 1) -> Convolution:
    """A convolution of 1 x 1 on side x side pixels."""
    return Convolution(
        name=name, inputs=(source,), shape=(1, outputs, side, side),
        weight=Array((outputs, channels // groups, 1, 1)), convolution_groups=groups,
    )  # fmt: skip


def network(*layers: Layer, outputs: tuple[str, ...] | None = None) -> Network:
    """A network of these layers, the last one its output."""
    return Network("hand", layers, outputs or (layers[-1].name,), "none (shapes only)")


def entry(*shape: int, integers: bool = False) -> Input:
    """The input, called x."""
    return Input(name="x", inputs=(), shape=shape, type="int64" if integers else "real")


def with_codes(net: Network, codes: Mapping[str, npt.ArrayLike]) -> QuantisedNetwork:
    """A network whose matrices hold these codes: each (K, N), or (groups, K, N)."""
    matrices = {}
    for layer in net.matrix_layers:
        held = np.asarray(codes[layer.name], dtype=np.uint8).reshape(layer.groups, layer.rows, layer.columns)
        matrices[layer.name] = QuantisedMatrix(held, np.ones(()), np.zeros((), dtype=np.int64))
    return QuantisedNetwork(net, matrices, {}, {}, False, "none")


def bell_codes(net: Network, seed: int) -> QuantisedNetwork:
    """A network whose codes follow the distribution that shapes alone are charged for (docs/machine.md, Wear)."""
    generator = np.random.default_rng(seed)
    drawn: dict[str, npt.ArrayLike] = {
        layer.name: np.clip(
            np.rint(generator.normal(127.5, 255 / 8, (layer.groups, layer.rows, layer.columns))), 0, 255
        )
        for layer in net.matrix_layers
    }
    return with_codes(net, drawn)


def hand_program(chip: Chip, net: Network, *instructions: Instruction, setup: int = 0) -> Program:
    """A program written by hand, blocks in the numbers of each layer, its tensors in no buffer."""
    mapping = map_network(net, chip)
    numbered: list[Instruction] = []
    for each in instructions:
        if isinstance(each, Write | Activate):
            first = mapping.by_index[each.layer].run[0]
            each = replace(each, blocks=(first + each.blocks[0], first + each.blocks[1]))
        numbered.append(each)
    return Program(chip, net, None, mapping, Strategy(), tuple(numbered), setup, ())
