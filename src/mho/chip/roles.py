"""The roles that components play in a chip: where each sits, how many there are, and what it is told."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from mho.plugins import Registry
from mho.units import exact

if TYPE_CHECKING:
    from mho.chip.chip import Chip
    from mho.chip.spec import BasisSpec, ChipSpec

Level = Literal["array", "group", "tile", "chip", "board"]
LEVELS: tuple[Level, ...] = ("array", "group", "tile", "chip")
"""Levels of the chip, inside out. The level `board` is off the chip: energy, but no area of the chip."""


@dataclass(frozen=True)
class Role:
    """One role: its level, what its energy is per, its number per unit of its level, and its context.

    `events` are the machine's events that it pays for; where it `follows` an event of another role, its own happen whenever that
    does. `rate` is the events per second of one instance while the chip computes at full speed; `write_rate` while it writes
    cells. `part` is the optional part of a chip that has the role; a role without one is in every chip, but for one that is
    `spare`, which is only in a chip that names it.
    """

    level: Level
    per: str
    events: tuple[str, ...]
    count: Callable[[Chip], int]
    context: Callable[[Chip], Mapping[str, float]] = lambda chip: {}
    rate: Callable[[Chip], float] = lambda chip: 0.0
    write_rate: Callable[[Chip], float] = lambda chip: 0.0
    part: str | None = None
    follows: str | None = None
    spare: bool = False


def _one(chip: Chip) -> int:
    return 1


def _steps(chip: Chip) -> float:
    return 1.0 / chip.step_time_s


def _conversions(chip: Chip) -> float:
    """Return the conversions per second of one ADC: of those of a step it makes its share, rounded up."""
    return math.ceil(chip.readout.conversions / chip.array.adcs) / chip.step_time_s


def _group_sums(chip: Chip) -> float:
    """Return the partial sums per second that the groups of a tile deliver when all compute."""
    return chip.tile.groups * chip.group_columns / chip.window_time_s


def _accumulators(chip: Chip) -> int:
    """Return how many adders keep up with all groups of a tile. Where rows of tables are added up, a group delivers its sums
    each step, or as often as its ADCs, where they switch, can read single cells.
    """
    if chip.lookup is None:
        time = exact(chip.window_time_s)
    else:
        resolved = 1 if chip.lookup.adc_modes == "fixed" else Fraction(chip.array.cell_bits, chip.array.adc_bits)
        time = exact(chip.step_time_s) * resolved
    return max(1, math.ceil(chip.tile.groups * chip.group_columns / (exact(chip.frequency_hz) * time)))


def _array_context(chip: Chip) -> Mapping[str, float]:
    return {
        "rows": chip.array.rows,
        "columns": chip.array.columns,
        "cells": chip.array.rows * chip.array.columns,
        "node": chip.node,
    }


def _bits(chip: Chip) -> Mapping[str, float]:
    return {"bits": chip.array.adc_bits, "rate_hz": 1.0 / chip.array.adc_period_s, "node": chip.node}


def _bytes(count: Callable[[Chip], int]) -> Callable[[Chip], Mapping[str, float]]:
    return lambda chip: {"bytes": count(chip), "bits": 8 * count(chip)}


def _write_register_bytes(chip: Chip) -> int:
    """Return the bytes of an array's write register: a signed level change for each cell of a row."""
    return math.ceil(chip.array.columns * chip.write_bits_per_cell / 8)


def _index_memory(chip: Chip) -> Mapping[str, float]:
    """Return the bytes and the port of a group's index memory; an access moves its longest entry, in whole bytes."""
    entry = max(chip.sparse.row_bits, chip.sparse.column_bits) if chip.sparse else 0
    return {"bytes": chip.index_bytes, "bits": 8 * chip.index_bytes, "port_bits": 8 * math.ceil(entry / 8)}


def _row_shift(chip: Chip) -> Mapping[str, float]:
    """Return the width of an input, in bytes and in bits, that the furthest shift makes."""
    bits = chip.input_bits + (chip.sparse.most_shift if chip.sparse else 0)
    return {"bytes": math.ceil(bits / 8), "bits": bits}


def _lane(chip: Chip) -> Mapping[str, float]:
    """Return the bits that a lane multiplies: of a coefficient, and of any sum of inputs times elements of one cell."""
    return {
        "coefficient_bits": chip.spec.basis.coefficient_bits if chip.spec.basis else 0,
        "sum_bits": (chip.weight_rows * (chip.levels - 1) * (2**chip.input_bits - 1)).bit_length() + 1,
    }


def _lanes(chip: Chip) -> int:
    return chip.spec.basis.lanes if chip.spec.basis else 0


def _basis_memory(size: Callable[[BasisSpec], int]) -> Callable[[Chip], Mapping[str, float]]:
    """Return the bytes and the port of a buffer of the part `basis`."""

    def context(chip: Chip) -> Mapping[str, float]:
        part = chip.spec.basis
        return {} if part is None else {"bytes": size(part), "bits": 8 * size(part), "port_bits": part.buffer_port_bits}

    return context


def _tile_buffer(chip: Chip) -> Mapping[str, float]:
    return {"bytes": chip.tile.buffer_bytes, "port_bits": chip.tile.buffer_port_bits}


def _port_rate(bits: Callable[[Chip], int]) -> Callable[[Chip], float]:
    """Return the bytes per second through a port that moves its width every clock cycle."""
    return lambda chip: bits(chip) / 8 * chip.frequency_hz


ROLES: Registry[Role] = Registry(
    "component",
    {
        "array": Role("array", "step", ("array_read",), _one, _array_context, _steps),
        "cell_pulse": Role(
            "array",
            "pulse",
            ("cell_pulse",),
            _one,
            lambda chip: {"pulse_s": chip.array.pulse_s},
            write_rate=lambda chip: chip.array.columns / chip.array.pulse_s,
        ),
        "dac": Role(
            "array",
            "drive",
            ("dac_drive",),
            lambda chip: chip.array.rows,
            lambda chip: {"bits": chip.array.dac_bits},
            _steps,
        ),
        "sample_hold": Role(
            "array", "sample", ("sample_hold",), lambda chip: chip.array.columns + chip.unit_columns, rate=_steps
        ),
        "adc": Role("array", "conversion", ("adc_conversion",), lambda chip: chip.array.adcs, _bits, _conversions),
        "adc_mode": Role(
            "array",
            "byte",
            ("adc_mode_byte",),
            lambda chip: 0 if chip.lookup is None or chip.lookup.adc_modes == "fixed" else chip.array.adcs,
            rate=_steps,
            part="lookup",
        ),
        "shift_add": Role("array", "addition", ("shift_add",), lambda chip: chip.array.adcs, rate=_conversions),
        "input_register": Role(
            "array",
            "byte",
            ("input_register_byte",),
            _one,
            # A DAC's bits for each row of weights: both rows of a pair get the same input.
            _bytes(lambda chip: math.ceil(chip.weight_rows * chip.array.dac_bits / 8)),
            lambda chip: chip.weight_rows * chip.array.dac_bits / 8 / chip.step_time_s,
        ),
        "output_register": Role(
            "array",
            "byte",
            ("output_register_byte",),
            _one,
            # A partial sum for each weight of a row.
            _bytes(lambda chip: chip.array_weights_per_row * chip.sum_bytes()),
            lambda chip: chip.array_weights_per_row * chip.sum_bytes() / chip.step_time_s,
        ),
        "write_register": Role(
            "array",
            "byte",
            ("write_register_byte",),
            _one,
            _bytes(_write_register_bytes),
            write_rate=lambda chip: _write_register_bytes(chip) * chip.array.rows / chip.array_write_time_s,
        ),
        "index_memory": Role(
            "group",
            "access",
            ("index_byte",),
            _one,
            _index_memory,
            lambda chip: chip.index_bytes / chip.window_time_s,
            lambda chip: chip.index_bytes / chip.array_write_time_s,
            part="sparse",
        ),
        "row_shift": Role(
            "group",
            "byte",
            ("row_shift",),
            lambda chip: chip.array.rows if chip.sparse and chip.sparse.shift_bits else 0,
            _row_shift,
            lambda chip: chip.array.dac_bits / 8 / chip.step_time_s,
            part="sparse",
        ),
        "lane_multiplier": Role(
            "group", "mac", ("coefficient_product",), _lanes, _lane, lambda chip: chip.frequency_hz, part="basis"
        ),
        "lane_adder": Role(
            "group", "addition", ("coefficient_sum",), _lanes, rate=lambda chip: chip.frequency_hz, part="basis"
        ),
        "lane_register": Role(
            # What a lane has added up, of 32 bits.
            "group",
            "byte",
            ("lane_register_byte",),
            _lanes,
            _bytes(lambda chip: 4),
            lambda chip: 8 * chip.frequency_hz,
            part="basis",
        ),
        "merging_switch": Role(
            # For each column the output that it is switched to, and whether it is.
            "group",
            "byte",
            ("merging_byte",),
            lambda chip: chip.group.arrays * chip.array.columns if chip.spec.basis and chip.spec.basis.merging else 0,
            lambda chip: {"bytes": 1, "bits": 8},
            part="basis",
        ),
        "product_buffer": Role(
            # One half is combined while the other is filled.
            "group",
            "access",
            ("product_byte",),
            lambda chip: 2,
            _basis_memory(lambda part: part.product_bytes // 2),
            _port_rate(lambda chip: chip.spec.basis.buffer_port_bits if chip.spec.basis else 0),
            part="basis",
        ),
        "coefficient_buffer": Role(
            "chip",
            "access",
            ("coefficient_read_byte", "coefficient_write_byte"),
            _one,
            _basis_memory(lambda part: part.buffer_bytes),
            _port_rate(lambda chip: chip.spec.basis.buffer_port_bits if chip.spec.basis else 0),
            part="basis",
        ),
        "tile_buffer": Role(
            "tile",
            "access",
            ("tile_buffer_byte",),
            _one,
            _tile_buffer,
            _port_rate(lambda chip: chip.tile.buffer_port_bits),
        ),
        "noc": Role(
            "tile",
            "byte",
            ("noc_byte",),
            _one,
            lambda chip: {"port_bits": chip.tile.noc_port_bits},
            _port_rate(lambda chip: chip.tile.noc_port_bits),
        ),
        "accumulator": Role(
            "tile",
            "addition",
            ("accumulate",),
            _accumulators,
            rate=lambda chip: _group_sums(chip) / _accumulators(chip),
        ),
        "vector_unit": Role(
            "chip",
            "element",
            ("vector_element",),
            lambda chip: chip.vector.lanes,
            rate=lambda chip: chip.frequency_hz,
        ),
        "matrix_unit": Role(
            "chip",
            "mac",
            ("matrix_mac",),
            lambda chip: chip.vector.matrix_lanes,
            rate=lambda chip: chip.frequency_hz,
        ),
        "global_buffer": Role(
            "chip",
            "access",
            ("global_buffer_read_byte", "global_buffer_write_byte"),
            lambda chip: len(chip.buffer.banks),
            rate=_port_rate(lambda chip: chip.buffer.port_bits),
        ),
        "external_io": Role("chip", "instance", (), _one),
        # Amplifiers that add the charge of a pulse up: they work whenever an array is read.
        "integrator": Role(
            "array", "step", ("charge_integration",), _one, _array_context, _steps, follows="array_read", spare=True
        ),
        # What a paper lists and nothing else here is: area, and power that is always drawn.
        "array_other": Role("array", "instance", (), _one, spare=True),
        "tile_other": Role("tile", "instance", (), _one, spare=True),
        "chip_other": Role("chip", "instance", (), _one, spare=True),
        "memory": Role("board", "byte", ("memory_byte",), _one),
    },
)
"""Every role; one that a chip file does not name costs nothing there.

The vector and matrix units sit in the tiles where the chip says `vector.level: tile`."""


def events() -> tuple[str, ...]:
    """Return every event, sorted. On a chip happen those of its own roles."""
    return tuple(sorted(event for role in ROLES.values() for event in role.events))


def roles_of(spec: ChipSpec) -> Mapping[str, Role]:
    """Return the roles that components may play in a chip: all but those of optional parts that it has not."""
    return MappingProxyType(
        {name: role for name, role in ROLES.items() if role.part is None or getattr(spec, role.part) is not None}
    )
