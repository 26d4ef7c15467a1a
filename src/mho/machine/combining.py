"""What becomes of the sums of a basis after conversion: how they are combined, and what that costs (`mapping/combination.py`).

Counting rules, for one input vector of the basis through one instance of it:
- of each of the N sums what level 0 of an element does not stand for is taken off, an addition, and it is written to the product
  buffer, as wide as any sum of the layer may be; each coefficient reads one of them;
- each coefficient is a multiplication, an addition, and an update of a lane's register of 32 bits; one that is a power of two is a
  shift in place of the multiplication, at the price of an addition (assumed);
- a coefficient is read from the coefficient buffer, and crosses the network, once for each batch of windows of one part;
- where columns are merged instead, arrays are driven and read once a pass and bit of the coefficients, each output is sampled and
  converted once a bit, and each batch sets the switch of every column anew in every pass, for every bit;
- where the vectors are unit vectors, no array is driven, nothing is converted or taken off, and inputs are what is written to the
  product buffer;
- what a part adds to each output crosses the network as 32 bits, and is added once in the accumulator.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mho.mapping.combination import SUM_BYTES, Combination
from mho.network.layers import MatrixLayer
from mho.number.basis import BasisCoding, segments
from mho.program import Program
from mho.program.columns import columns

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
EVENTS = (
    "coefficient_read_byte", "coefficient_product", "coefficient_sum", "lane_register_byte", "product_byte", "merging_byte",
)  # fmt: skip
DRIVEN = ("dac_drive", "array_read", "input_register_byte")
"""Events of arrays that happen again in every pass, for every bit of the coefficients, where columns are merged."""
CONVERTED = ("sample_hold", "adc_conversion", "shift_add", "output_register_byte")
"""Events of columns, which happen once for each output and bit of the coefficients where columns are merged."""


def combined_events(
    program: Program, activations: IntArray, events: dict[str, FloatArray], input_bytes: FloatArray
) -> dict[str, FloatArray]:
    """Return the events of activations with those of combining, whose sums take the place of those of the basis.

    `input_bytes`: what each activation brings into its groups over the network.
    """
    table, chip = columns(program), program.chip
    assert chip.spec.basis is not None
    layer, windows = table.layer[activations], table.windows[activations]
    none = np.zeros(len(activations))
    added = {event: none.copy() for event in EVENTS}
    outputs, repeated, converted = none.copy(), np.ones(len(activations)), np.ones(len(activations))
    for each in program.mapping.combining:
        combination = each.combination
        assert combination is not None
        own = np.flatnonzero(layer == each.index)
        first, last = table.first_window[activations[own]], table.last_window[activations[own]]
        outputs[own] = windows[own] * combination.outputs
        batch = chip.spec.basis.batch
        added["coefficient_read_byte"][own] = combination.batched(np.diff(combination.until), first, last, batch)
        vectors = combination.numbers.vectors
        if combination.merging is None:
            products, made = combination.summed(combination.counts, first, last), windows[own] * vectors
            shifted = products * combination.numbers.powers
            added["coefficient_product"][own] = products - shifted
            added["coefficient_sum"][own] = products + shifted + made * (not combination.numbers.units)
            if combination.numbers.units:
                repeated[own] = converted[own] = 0.0
            added["lane_register_byte"][own] = SUM_BYTES * products
            added["product_byte"][own] = (made + products) * (combination.sum_bits / 8)
        else:
            passes, bits = combination.merging.passes, combination.numbers.bits
            repeated[own] = combination.summed(passes, first, last) * bits / windows[own]
            cells = each.blocks.shape.coding.cell_columns
            converted[own] = combination.outputs * bits / vectors
            added["merging_byte"][own] = combination.batched(passes, first, last, batch) * (bits * vectors * cells)
    combining = np.isin(layer, [each.index for each in program.mapping.combining])
    moved = input_bytes + outputs * SUM_BYTES + added["coefficient_read_byte"]
    return {
        **{event: counts * repeated if event in DRIVEN else counts for event, counts in events.items()},
        **{event: events[event] * converted for event in CONVERTED},
        "noc_byte": np.where(combining, moved, events["noc_byte"]),
        "accumulate": np.where(combining, outputs, events["accumulate"]),
        **added,
    }


def driven_parts(x: npt.NDArray[np.uint8], height: int, pad: int) -> npt.NDArray[np.uint8]:
    """Lay out inputs (matrices, runs, windows, K) as those of the basis, (1, runs, parts x windows, height).

    Segments that are shorter are filled up with `pad`, the input that drives nothing.
    """
    matrices, runs, windows, rows = x.shape
    parts = segments(rows, height)
    out = np.full((runs, matrices, len(parts), windows, height), pad, dtype=np.uint8)
    for number, part in enumerate(parts):
        out[:, :, number, :, : part.stop - part.start] = x[..., part].transpose(1, 0, 2, 3)
    return out.reshape(1, runs, -1, height)


def combined_sums(
    coding: BasisCoding,
    layer: MatrixLayer,
    combination: Combination,
    products: FloatArray,
    x: npt.NDArray[Any],
    pad: int,
) -> FloatArray:
    """Return the sums of inputs times integer weights, (matrices, runs, windows, outputs), from those of the basis.

    products (1, runs, vectors of inputs, N): sums of inputs times levels of elements; x as `driven_parts` lays it out. What level 0
    stands for is taken off, and what inputs beyond the end of a segment added.
    """
    runs, _, count = products.shape[1:]
    zero, one = (float(coding.elements_of(np.array(level))) for level in (0, 1))
    given = x.sum(axis=-1, dtype=np.int64)[0, ..., None]
    centred = ((one - zero) * products[0] + zero * given).reshape(runs, layer.groups, -1, combination.windows, count)
    if pad:
        for segment, part in enumerate(segments(layer.rows, coding.height)):
            centred[:, :, segment] -= pad * coding.elements[:, part.stop - part.start :].sum(axis=1)
    coefficients = coding.dense(layer).astype(np.float64)
    out = np.zeros((layer.groups, runs, combination.windows, layer.columns))
    for matrix in range(layer.groups):
        for segment in range(centred.shape[2]):
            out[matrix] += centred[:, matrix, segment] @ coefficients[matrix, segment]
    return out
