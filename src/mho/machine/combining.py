"""What becomes of the sums of a basis after conversion: how they are combined, and what that costs (`mapping/combination.py`).

Counting rules, for one input vector of the basis through one instance of it:
- of each of the N sums what level 0 of an element does not stand for is taken off, an addition, and it is written to the product
  buffer, as wide as any sum of the layer may be; each coefficient reads one of them;
- each coefficient is a multiplication, an addition, and an update of a lane's register of 32 bits;
- a coefficient is read from the coefficient buffer, and crosses the network, once for each batch of windows of one part;
- what a part adds to each output crosses the network as 32 bits, and is added once in the accumulator.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mho.mapping.combination import Combination
from mho.network.layers import MatrixLayer
from mho.number.basis import BasisCoding, segments
from mho.program import Program
from mho.program.columns import columns

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SUM_BYTES = 4
"""Bytes of what a lane adds up."""


def combined_events(
    program: Program, activations: IntArray, events: dict[str, FloatArray], input_bytes: FloatArray
) -> dict[str, FloatArray]:
    """Return the events of activations with those of combining, whose sums take the place of those of the basis.

    `input_bytes`: what each activation brings into its groups over the network.
    """
    table, chip = columns(program), program.chip
    assert chip.spec.basis is not None
    layer, windows = table.layer[activations], table.windows[activations]
    products, outputs, moved, made, stored = (np.zeros(len(activations)) for _ in range(5))
    combining = np.zeros(len(activations), dtype=np.bool_)
    for each in program.mapping.combining:
        combination = each.combination
        assert combination is not None
        own = np.flatnonzero(layer == each.index)
        first, last = table.first_window[activations[own]], table.last_window[activations[own]]
        combining[own] = True
        products[own] = windows[own] * combination.mean_count
        outputs[own] = windows[own] * combination.outputs
        batches = combination.batches(first, last, chip.spec.basis.batch)
        moved[own] = batches * (combination.size / combination.parts)
        made[own] = combination.numbers.vectors * windows[own]
        stored[own] = (made[own] + products[own]) * (combination.sum_bits / 8)
    return {
        **events,
        "noc_byte": np.where(combining, input_bytes + outputs * SUM_BYTES + moved, events["noc_byte"]),
        "accumulate": np.where(combining, outputs, events["accumulate"]),
        "coefficient_product": products,
        "coefficient_sum": products + made,
        "lane_register_byte": SUM_BYTES * products,
        "product_byte": stored,
        "coefficient_read_byte": moved,
    }


def driven_parts(x: npt.NDArray[np.uint8], height: int, pad: int) -> npt.NDArray[np.uint8]:
    """Lay out inputs (matrices, runs, windows, K) as those of the basis, (1, runs, parts x windows, height).

    A last segment that is shorter is filled up with `pad`, the input that drives nothing.
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

    products (1, runs, vectors of inputs, N): sums of inputs times levels of elements; x as `driven_parts` lays it out. An element
    of level l is 2 l - (L - 1); what inputs beyond the end of a segment added is taken off.
    """
    (runs, _, count), high = products.shape[1:], coding.levels - 1
    given = x.sum(axis=-1, dtype=np.int64)[0, ..., None]
    centred = (2.0 * products[0] - high * given).reshape(runs, layer.groups, -1, combination.windows, count)
    if pad:
        last = layer.rows - (centred.shape[2] - 1) * coding.height
        centred[:, :, -1] -= pad * coding.elements[:, last:].sum(axis=1)
    coefficients = coding.dense(layer).astype(np.float64)
    out = np.zeros((layer.groups, runs, combination.windows, layer.columns))
    for matrix in range(layer.groups):
        for segment in range(centred.shape[2]):
            out[matrix] += centred[:, matrix, segment] @ coefficients[matrix, segment]
    return out
