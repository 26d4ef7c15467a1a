"""Cycles and traffic of one matrix product on a systolic array, in closed form.

A product has M windows (input vectors), K inputs and N outputs. Two of the three lie on the array's R rows and C columns,
cut into *folds* of at most R x C; the third, T long, is streamed through (the mappings of SCALE-Sim: A. Samajdar et al., arXiv
1811.02883, and "A Systematic Methodology for Characterizing Scalability of DNN Accelerators using SCALE-Sim", ISPASS 2020):

| dataflow | rows | columns | streamed, T | stays in the array |
|---|---|---|---|---|
| weight | K | N | M | weights |
| input | K | M | N | inputs |
| output | M | N | K | sums |

Cycles of a fold. `weight`, `input`: R to shift the stationary operand in, then the streamed one enters row r a cycle after
row r - 1 and reaches column c after c more, so that the last of its T values has left the last column after
T + (R - 1) + (C - 1): together T + 2 R + C - 2. `output`: both operands are skewed, and the last cell has summed its T
products after T + (R - 1) + (C - 1) = T + R + C - 2; the finished sums move to a second register and leave the array while the
next fold enters (R cycles, never more than that fold takes). The analytical model published with SCALE-Sim (ISPASS 2020) has
T + 2 R + C - 2 for all three; the simulator, scalesim 3.0.0, leaves out the R cycles in `output`, and it is what we agree with.
Folds follow one
another without overlap, and a fold that fills the array only in part takes as long as a whole one, as in SCALE-Sim. A
grouped convolution is its groups one after another; a depthwise one so uses one column.

Where the partial sums of all T windows that several folds add up do not fit the sum buffer, T may be cut in pieces, each
a product of its own: that costs the constant cycles of each fold again, but no sum leaves the chip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Dataflow = Literal["weight", "input", "output"]
DATAFLOWS: tuple[Dataflow, ...] = ("weight", "input", "output")

_PLACES: dict[Dataflow, tuple[str, str, str]] = {
    "weight": ("inner", "outputs", "windows"),
    "input": ("inner", "windows", "outputs"),
    "output": ("windows", "outputs", "inner"),
}
"""Dataflow to what lies on the rows, on the columns, and what is streamed."""


@dataclass(frozen=True)
class Product:
    """`groups` matrix products of `windows` x `inner` by `inner` x `outputs` (M, K, N).

    `input_bytes` and `operand_bytes` are what has to come from main memory for one visit of all inputs, and of all weights
    (or of the second activation), over all groups; `input_room` and `operand_room` are the bytes of buffer that can keep
    either for a further visit.
    """

    groups: int
    windows: int
    inner: int
    outputs: int
    input_bytes: float = 0.0
    operand_bytes: float = 0.0
    input_room: float = 0.0
    operand_room: float = 0.0

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.groups * self.windows * self.inner * self.outputs


@dataclass(frozen=True)
class SystolicGrid:
    """The part that carries out a product: rows and columns of the array, bytes of a partial sum and of the buffer for them."""

    rows: int
    columns: int
    sum_bytes: int
    sum_buffer_bytes: int


@dataclass(frozen=True)
class Folding:
    """One way to carry out a product: the outer of the two fold loops, pieces of the streamed dimension, and the costs of these.

    `outer` is the dimension ("inner", "outputs" or "windows") whose folds the outer loop counts. Bytes are moved from
    (loads) and to (stores) main memory; those of the outputs themselves are not in them.
    """

    outer: str
    pieces: int
    cycles: int
    input_load_bytes: float
    operand_load_bytes: float
    sum_load_bytes: float
    sum_store_bytes: float

    @property
    def load_bytes(self) -> float:
        """Bytes loaded from main memory."""
        return self.input_load_bytes + self.operand_load_bytes + self.sum_load_bytes


def fold_overhead(grid: SystolicGrid, dataflow: Dataflow) -> int:
    """Return the cycles of a fold beyond the T that are streamed (module docstring)."""
    fill = 0 if dataflow == "output" else grid.rows
    return fill + grid.rows + grid.columns - 2


def fold_counts(product: Product, grid: SystolicGrid, dataflow: Dataflow) -> tuple[int, int]:
    """Return into how many folds the rows' and the columns' dimension of one group are cut."""
    rows, columns, _ = (int(getattr(product, name)) for name in _PLACES[dataflow])
    return -(-rows // grid.rows), -(-columns // grid.columns)


def cycles(product: Product, grid: SystolicGrid, dataflow: Dataflow, pieces: int = 1) -> int:
    """Return the cycles of a product, its streamed dimension in so many pieces: groups x folds x (T + pieces x overhead)."""
    row_folds, column_folds = fold_counts(product, grid, dataflow)
    streamed = int(getattr(product, _PLACES[dataflow][2]))
    return product.groups * row_folds * column_folds * (streamed + pieces * fold_overhead(grid, dataflow))


def foldings(product: Product, grid: SystolicGrid, dataflow: Dataflow) -> Iterator[Folding]:
    """Yield the ways to carry out a product: either loop outside, T whole or in the fewest pieces whose sums fit.

    Loads: an operand is visited by the loops (pieces outermost, then outer, then inner fold loop). A visit of what lies in
    the array is a part of its own each time; a loop over a dimension that an operand does not have visits the same part again,
    and loads it again unless it fits the room that there is for it. Halos of convolutions are not counted: what
    neighbouring windows share is loaded once.
    """
    row, column, streamed = _PLACES[dataflow]
    counts = dict(zip((row, column), fold_counts(product, grid, dataflow), strict=True))
    sides = {row: grid.rows, column: grid.columns}
    length = int(getattr(product, streamed))
    for outer, inner in ((column, row), (row, column)):
        # Sums that wait for another fold: none where the array keeps them, or where one fold holds all inputs.
        waiting = 0
        if streamed != "inner" and counts["inner"] > 1:
            other = column if row == "inner" else row
            extent = int(getattr(product, other))
            waiting = min(extent, sides[other]) if inner == "inner" else extent
        fitting = length if not waiting else grid.sum_buffer_bytes // (waiting * grid.sum_bytes)
        # Without room for the sums of even one streamed value, they go to main memory and back.
        for pieces in dict.fromkeys((1, -(-length // fitting) if fitting else 1)):
            moved = 0.0
            if waiting and -(-length // pieces) > fitting:
                elements = product.groups * product.windows * product.outputs
                moved = float((counts["inner"] - 1) * elements * grid.sum_bytes)
            loops = ((streamed, pieces), (outer, counts[outer]), (inner, counts[inner]))
            inputs = _loads(loops, ("windows", "inner"), product.groups, product.input_bytes, product.input_room)
            operands = _loads(loops, ("inner", "outputs"), product.groups, product.operand_bytes, product.operand_room)
            yield Folding(outer, pieces, cycles(product, grid, dataflow, pieces), inputs, operands, moved, moved)


def _loads(
    loops: tuple[tuple[str, int], ...], dimensions: tuple[str, str], groups: int, size: float, room: float
) -> float:
    """Return the bytes loaded of an operand that has these dimensions and `size` bytes over all groups.

    `loops`: the dimension that each loop around a fold cuts, and into how many parts, the outermost first. A loop over another
    dimension repeats the part that the loops so far have cut out.
    """
    part, loads = size / groups, size
    for dimension, count in loops:
        if dimension in dimensions:
            part /= count
        elif part > room:
            loads *= count
    return loads
