"""Bundles of embedding rows are blocks as any others: where each number sits, and a layer mapped so computes what it must."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.mapping import Mapper
from mho.mapping.embedding import BundleBlocks, Layout
from mho.mapping.embedding.seats import Seats
from mho.mapping.shape import weights_shape
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.number.bits import LayerBits
from mho.number.coded import QuantisedMatrix, QuantisedNetwork
from tests.lookup_oracle import chip_of
from tests.strategies import GREEDY


@st.composite
def layouts(draw: st.DrawFn, most: int = 16) -> Layout:
    rows, seed = draw(st.integers(1, 60)), draw(st.integers(0, 99))
    groups = draw(st.integers(-(-rows // most), 12 + rows // most))
    places = np.random.default_rng(seed).permutation(groups * most)[:rows] // most
    return Layout.of(places, most, "drawn")


@given(layouts(), st.integers(1, 70))
def test_every_number_of_a_table_sits_in_one_place(layout: Layout, features: int) -> None:
    shape = weights_shape(chip_of())
    blocks = BundleBlocks(layout, features, shape)
    table = np.random.default_rng(1).integers(0, 256, (1, layout.rows, features)).astype(np.uint8)
    matrix = QuantisedMatrix(table, np.array(1.0), np.array(128))
    laid = [blocks.laid(index, matrix) for index in range(blocks.count)]
    assert [part.shape for part in laid] == list(zip(blocks.heights.tolist(), blocks.widths.tolist(), strict=True))
    assert int(blocks.places.sum()) == blocks.occupied == table.size
    back = blocks.assembled(((i, part.astype(float) - shape.coding.base) for i, part in enumerate(laid)), matrix)
    assert np.array_equal(back, table)
    seats = Seats(layout, chip_of(tile__groups=64, tiles=64, lookup__groups_per_adc=1), features)
    assert seats.span == math.ceil(features / shape.columns) == len(blocks.of_bundle(0))
    assert int(blocks.arrays[blocks.of_bundle(0)].sum()) == math.ceil(features / shape.per_array)


@given(layouts(), st.integers(1, 70), st.data())
def test_what_runs_of_bundles_ask_for_adds_up(layout: Layout, features: int, data: st.DataObject) -> None:
    blocks = BundleBlocks(layout, features, weights_shape(chip_of()))
    cut = data.draw(st.integers(0, layout.groups)) * blocks.span
    whole, first, last = (blocks.totals(run) for run in ((0, blocks.count), (0, cut), (cut, blocks.count)))
    for name in ("blocks", "rows", "columns", "places", "arrays", "drives", "inputs", "sums"):
        assert getattr(whole, name) == getattr(first, name) + getattr(last, name), name
    assert whole.inputs == layout.rows


@dataclass(frozen=True)
class Bundled(Mapper):
    """A mapping of matrix layers as if they were tables, their rows in bundles that are drawn."""

    name: ClassVar[str] = "bundled"

    def cut(self, layer: MatrixLayer, network: Network | QuantisedNetwork, chip: Chip, bits: LayerBits) -> BundleBlocks:
        assert layer.groups == 1
        high = chip.array.rows
        groups = -(-layer.rows // high) + 1
        places = np.random.default_rng(layer.rows).permutation(groups * high)[: layer.rows] // high
        return BundleBlocks(Layout.of(places, high, "drawn"), layer.columns, weights_shape(chip, bits.weights))


@settings(max_examples=10)
@given(inputs=st.integers(1, 300), outputs=st.integers(1, 90), schedule=st.sampled_from(("naive", "overlap", "aras")))
def test_layers_mapped_in_bundles_are_exact_and_legal(inputs: int, outputs: int, schedule: str) -> None:
    import torch

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(inputs, outputs), torch.nn.ReLU(), torch.nn.Linear(outputs, 3)).eval()
    x = np.random.default_rng(2).normal(size=(4, inputs)).astype(np.float32)
    quantised = mho.number.quantise(Network.from_torch(module, torch.from_numpy(x)), x)
    strategy = GREEDY.with_(schedule=schedule)
    bundled = mho.compile(quantised, "aras", strategy.with_(mapping=Bundled()))
    assert mho.verify(bundled, x).ok
    same: Callable[[str], np.ndarray] = mho.execute(mho.compile(quantised, "aras", strategy), x).__getitem__
    for name, found in mho.execute(bundled, x).items():
        assert np.array_equal(found, same(name))
