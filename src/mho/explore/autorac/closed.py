"""What a searched model costs on a chip, told from its matrices alone: no network is built, nothing compiled.

For a matrix of K inputs and N outputs, w-bit weights and a-bit inputs, on arrays of R rows of weights and C columns, c cells wide,
g arrays a group:

    arrays       ceil(K / R) x ceil(N / (C // c)), groups ceil(K / R) x ceil(N / (g (C // c)))
    steps        ceil(a / DAC bits)
    conversions  a window: steps x ceil(K / R) x N x c, those of unit columns besides, two columns of a pair at once
    energy       of arrays, drivers, converters, registers, tile buffers and network: the machine's own counts (`window_events`)
    a window     steps x ceil(conversions of the fullest array / ADCs) x period x the share of the bits that are converted

These are the program's numbers exactly, and so are tiles, also those that are there for activations alone (`sketch`), and the area.
Estimated are the vector unit's operations and what passes between layers, counted operator by operator; and the latency: an
operator begins when all that it reads is there, and in a stream copies share its windows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np

from mho.chip import Chip
from mho.chip.coding import Coding
from mho.chip.fit import copies_asked, unsized
from mho.errors import OptionError
from mho.explore.autorac.sketch import activation_tiles, most_buffers
from mho.explore.autorac.space import JointSpace
from mho.explore.screening import SOURCE
from mho.explore.space import Value
from mho.machine.activations import window_events
from mho.mapping.reading import Conversion
from mho.network.zoo.interaction.genotype import Genotype
from mho.network.zoo.interaction.plan import Matrix, paired
from mho.schedule.stages import Schedule
from mho.strategy.strategy import Strategy

NOTHING = np.zeros((4, 1), dtype=np.int64)
LATE = dict.fromkeys(("arrays", "drives", "columns", "sums"), NOTHING[0])


@dataclass(frozen=True)
class Closed:
    """What a query costs: of one inference, in SI units. `array_j`: of all that a window asks for, `adc_j` of it by converters."""

    arrays: int
    groups: int
    tiles: int
    conversions: float
    adc_j: float
    array_j: float
    energy_j: float
    latency_s: float
    area_m2: float
    unresolved: int = 0
    """Matrices whose sums the converters do not tell apart, as their bits are too few."""


@dataclass(frozen=True)
class Arrays:
    """What of a chip decides how a matrix is cut and read."""

    rows: int
    columns: int
    group: int
    dac_bits: int
    adcs: int
    adc_bits: int
    period_s: float
    overhead_s: float
    used: bool
    convert: Conversion
    chip: Chip

    @classmethod
    def of(cls, chip: Chip, strategy: Strategy) -> Arrays:
        """Read a chip. OptionError for one that reads its arrays otherwise than the formulas have it."""
        array = chip.array
        if (
            chip.rows_at_once < chip.weight_rows
            or array.integrated_bits
            or array.drives_signs
            or array.adc_kind == "ramp"
        ):
            raise OptionError(
                f"chip {chip.name}: closed formulas are for arrays whose rows are driven together, by plain codes, and whose "
                "converters approximate step by step"
            )
        return cls(
            chip.weight_rows, array.columns, chip.group.arrays, array.dac_bits, array.adcs, array.adc_bits,
            array.adc_period_s, array.step_overhead_s, array.convert == "used", strategy.get(Conversion), chip,
        )  # fmt: skip

    @cached_property
    def _weights(self) -> dict[int, tuple[Coding, int, int, int]]:
        """By bits of weights: coding, columns of cells of one, weights in a row of an array, least bits of a conversion."""
        return {}

    def read(self, matrix: Matrix) -> tuple[float, ...]:
        """Return how a matrix is cut and read: see COLUMNS."""
        (weights, inputs), rows, outputs = matrix.bits, matrix.rows, matrix.outputs
        if weights not in self._weights:
            coding = self.chip.coding_of(weights)
            self._weights[weights] = coding, coding.cell_columns, self.columns // coding.cell_columns, 1 + coding.pairs
        coding, wide, per_array, least = self._weights[weights]
        down, across = -(-rows // self.rows), -(-outputs // per_array)
        steps = -(-inputs // self.dac_bits)
        cells = min(outputs, per_array) * wide if self.used else self.columns
        needed = _needed(coding, min(rows, self.rows), (1 << min(inputs, self.dac_bits)) - 1)
        bits = self.convert.bits(self.chip, needed, least)
        share = bits / self.adc_bits
        step_s = -(-coding.conversions(cells) // self.adcs) * share * self.period_s + self.overhead_s
        folded = -(-across // self.group)
        return (
            down * across, down * folded, rows * folded, rows * across, outputs * down, steps, wide, share,
            _sum_bytes(self.rows, inputs, weights), inputs / 8, matrix.windows, steps * step_s, bits < needed,
        )  # fmt: skip


COLUMNS = (
    "arrays",
    "groups",
    "rows",
    "drives",
    "sums",
    "steps",
    "cells",
    "share",
    "sum_bytes",
    "input_bytes",
    "windows",
    "window_s",
    "unresolved",
)
"""What `Arrays.read` returns of a matrix."""


@lru_cache(maxsize=4096)
def _needed(coding: Coding, rows: int, highest: int) -> int:
    """Return the bits that tell all sums of a column of so many rows apart, each driven so high at the most."""
    return coding.adc_bits(min(coding.fullest(rows), rows * coding.highest) * highest)


@lru_cache(maxsize=4096)
def _sum_bytes(rows: int, inputs: int, weights: int) -> int:
    """Return the bytes that hold any sum of one array, as `Chip.sum_bytes`."""
    return math.ceil((inputs + weights + math.ceil(math.log2(rows))) / 8)


def closed(model: Genotype, fields: int, dimension: int, chip: Chip, strategy: Strategy, copies: int = 1) -> Closed:
    """Return what a model costs on a chip of so many copies of it. OptionError for a chip that is read otherwise."""
    matrices = model.matrices(fields, dimension)
    arrays = Arrays.of(chip, strategy)
    table = np.array([arrays.read(matrix) for matrix in matrices]).T
    read = dict(zip(COLUMNS, table, strict=True))
    ones = np.ones(len(matrices))
    runs = {
        "rows": read["rows"], "drives": read["drives"], "arrays": read["arrays"], "readings": read["arrays"],
        "columns": read["sums"], "sums": read["sums"], "updates": read["sums"],
    }  # fmt: skip
    reading = np.stack(
        [read["steps"], read["steps"], ones, read["cells"], read["share"], read["sum_bytes"], read["input_bytes"], ones]
    )
    counted = window_events(chip, runs, LATE, NOTHING, reading, 1.0)
    events = {event: float(count @ read["windows"]) for event, count in counted.items()}
    prices = chip.costs.energy_per_event
    adc_j = events["adc_conversion"] * prices["adc_conversion"]
    array_j = sum(count * prices[event] for event, count in events.items())
    elements, products, stored = _between(model, matrices, fields, dimension)
    groups = int(read["groups"].sum())
    tiles = max(1, -(-copies * groups // chip.tile.groups))
    if chip.buffer.in_tiles and tiles < most_buffers(model):
        tiles = max(tiles, activation_tiles(model, fields, dimension, chip))
    rate = chip.spec.vector.elements_per_s
    vector_s = 0.0 if rate is None else 1.0 / (rate * (tiles if chip.vector.level == "tile" else 1))
    shared = copies if strategy.get(Schedule).flows else 1
    times = (read["windows"] / shared * read["window_s"]).tolist()
    latency = _latency(model, matrices, times, vector_s)
    energy = array_j + elements * prices["vector_element"] + products * prices["matrix_mac"]
    energy += stored * (prices["global_buffer_read_byte"] + prices["global_buffer_write_byte"])
    units = {"array": tiles * chip.tile.groups * chip.group.arrays, "group": tiles * chip.tile.groups, "tile": tiles}
    parts = [(units.get(level, 1), leaks, area) for level, leaks, area in _parts(chip)]
    leaks = sum(count * each for count, each, _ in parts)
    area = sum(count * each for count, _, each in parts)
    in_use = int(read["arrays"].sum())
    conversions = events["shift_add"]
    return Closed(
        in_use,
        groups,
        tiles,
        conversions,
        adc_j,
        array_j,
        energy + leaks * latency,
        latency,
        area,
        int(read["unresolved"].sum()),
    )


def _parts(chip: Chip) -> list[tuple[str, float, float]]:
    """Return leakage and area that each component has in a unit of its level; off the chip it has none of the latter."""
    costs = chip.costs
    found: list[tuple[str, float, float]] = []
    for role in costs.roles:
        if role not in UNCOUNTED:
            level, count = costs.level(role), costs.per_unit(role)
            area = 0.0 if level == "board" else costs.area_m2(role)
            found.append((level, count * costs.figure(role, "leakage"), count * area))
    return found


UNCOUNTED = ("global_buffer", "external_io")
"""Components that are left out: a buffer whose banks are those of the tiles, and links, off while nothing crosses them."""


def _between(model: Genotype, matrices: tuple[Matrix, ...], fields: int, dimension: int) -> tuple[int, int, int]:
    """Return the operations of the vector unit, the products of activations, and the bytes that are stored between layers."""
    outputs = sum(matrix.outputs * matrix.windows for matrix in matrices)
    joined = sum(matrix.rows * matrix.windows for matrix in matrices)
    elements, products = outputs + joined, 0
    for what, number in model.order:
        if what == "dense":
            dense = model.dense[number - 1]
            pairs = (paired(dense.width) + 1) ** 2 if dense.kind == "dot" else 0
            elements += 2 * dense.width + pairs
            products += pairs * dimension
            if dense.fm is not None:
                elements += 3 * model.sparse[dense.fm.of - 1].count * dimension + dense.width
        else:
            count = model.sparse[number - 1].count
            attends = model.sparse[number - 1].kind == "attention"
            elements += count * dimension * (3 if attends else 1) + (4 * count * count if attends else 0)
            products += 2 * count * count * dimension if attends else 0
    return elements, products, outputs + joined + fields * dimension


def _latency(model: Genotype, matrices: tuple[Matrix, ...], times: list[float], vector_s: float) -> float:
    """Return how long a query takes: along the longest path of operators."""
    own: dict[str, float] = {}
    for matrix, seconds in zip(matrices, times, strict=True):
        name = matrix.name.partition(".")[0]
        lasting = seconds + (matrix.outputs + matrix.rows) * matrix.windows * vector_s
        # The sides of an operator are multiplied at the same time, what follows on them after.
        beside = matrix.name.endswith((".left", ".right", ".dense", ".vectors")) and not name.startswith("spread")
        own[name] = max(own.get(name, 0.0), lasting) if beside else own.get(name, 0.0) + lasting
    ends: dict[tuple[str, int], float] = {}

    def vectors(reads: tuple[int, ...]) -> float:
        made = 0.0
        for each in reads:
            if each:
                spread = model.sparse[each - 1].spread
                after = 0.0 if spread is None else ends["dense", spread.of] + own[f"spread{each}"]
                made = max(made, ends["sparse", each], after)
        return made

    for what, number in model.order:
        if what == "dense":
            dense = model.dense[number - 1]
            begin = max((ends["dense", each] for each in (*dense.left, *dense.right) if each), default=0.0)
            begin = max(begin, vectors(dense.vectors), ends["sparse", dense.fm.of] if dense.fm else 0.0)
        else:
            begin = vectors(model.sparse[number - 1].reads)
        ends[what, number] = begin + own[f"{what}{number}"]
    dense_end = ends["dense", model.ends[0]] if model.ends[0] else 0.0
    return max(dense_end, vectors((model.ends[1],))) + own["score"]


@dataclass(frozen=True)
class ClosedJudge:
    """Judges designs of a joint space by closed formulas: a model for so many fields on a chip that starts from `chip`."""

    space: JointSpace
    fields: int
    dimension: int
    chip: Chip
    strategy: Strategy = field(default_factory=Strategy)

    def __call__(self, model: Genotype, values: Mapping[str, Value]) -> Closed:
        """Return what a model costs on the chip of these values. ChipError for values that no component has a figure for."""
        changes = self.space.changes(values)
        chip = unchecked(self.chip, tuple(sorted(unsized(changes["chip"]).items())))
        strategy = _strategy(self.strategy, tuple(sorted(changes["strategy"].items())))
        return closed(model, self.fields, self.dimension, chip, strategy, copies_asked(changes["chip"]) or 1)


@lru_cache(maxsize=1024)
def _strategy(strategy: Strategy, changes: tuple[tuple[str, Value], ...]) -> Strategy:
    return strategy.with_(dict(changes)) if changes else strategy


@lru_cache(maxsize=1024)
def unchecked(chip: Chip, changes: tuple[tuple[str, Value], ...]) -> Chip:
    """Return a varied chip without checking what no formula asks for: a tenth of the time that `Chip.override` takes.

    What is checked is what is asked: a figure that a component does not have is refused when it is read. Changes of components
    are made and checked as ever.
    """
    parts: dict[str, dict[str, Value]] = {}
    for key, value in changes:
        part, _, name = key.rpartition(".")
        parts.setdefault(part, {})[name] = value
    if "components" in parts or any("." in part for part in parts):
        return chip.override(dict(changes), SOURCE)
    plain = parts.pop("", {})
    spec = chip.spec.model_copy(
        update=plain | {part: getattr(chip.spec, part).model_copy(update=values) for part, values in parts.items()}
    )
    return replace(chip, spec=spec)


__all__ = ["Closed", "ClosedJudge", "closed", "unchecked"]
