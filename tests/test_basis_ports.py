"""Inputs and coefficients of layers on a basis on their way through ports: what tiles keep, what schedules and bounds know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import MappingError
from mho.machine.channels import GLOBAL_BUFFER, NOC, TILE_BUFFER, passed_bytes
from mho.network.layers import Convolution, MatrixLayer
from mho.number import QuantisedNetwork
from mho.number.basis import segments
from mho.program import Program, violations
from mho.program.bound import bound_of
from mho.program.brought import brought
from mho.program.columns import ACTIVATE, columns
from mho.program.demand import Workload
from tests.test_basis import coded_networks, compiled, small

few = settings(max_examples=25)
KEPT = {"tile.input_fetch": "once", "tile.buffer_bytes": 2**16}


def places(layer: MatrixLayer, vector: int, height: int) -> set[tuple[int, ...]]:
    """Return the inputs that an input vector of the basis asks for, one by one; of a convolution, its places in the image."""
    part, window = divmod(vector, layer.windows)
    pieces = segments(layer.rows, height)
    matrix, piece = divmod(part, len(pieces))
    rows = range(layer.rows)[pieces[piece]]
    if not isinstance(layer, Convolution):
        return {(part, window, row) for row in rows}
    down, across = layer.shape[2:]
    sample, y, x = window // (down * across), window // across % down, window % across
    found = set()
    for row in rows:
        channel, tap = divmod(row, layer.kernel[0] * layer.kernel[1])
        j, i = divmod(tap, layer.kernel[1])
        at = y * layer.stride[0] + j * layer.dilation[0], x * layer.stride[1] + i * layer.dilation[1]
        found.add((part, sample, matrix, channel, *at))
    return found


def brought_to_tiles(program: Program, height: int) -> list[tuple[float, int, int]]:
    """For each layer and tile the inputs that come, those that its windows ask for, and the different ones among these."""
    table, share, found = columns(program), brought(program), []
    tile_of = {
        place: {group // program.chip.tile.groups for group in table.groups(np.array([place]))[0].tolist()}
        for place in table.of(ACTIVATE).tolist()
    }
    for index in program.mapping.by_index:
        layer = program.network.layers[index]
        assert isinstance(layer, MatrixLayer)
        asked: dict[frozenset[int], list[set[tuple[int, ...]]]] = {}
        comes: dict[frozenset[int], float] = {}
        for place, tiles in tile_of.items():
            if table.layer[place] != index:
                continue
            home = frozenset(tiles)
            vectors = [
                places(layer, vector, height) for vector in range(table.first_window[place], table.last_window[place])
            ]
            asked.setdefault(home, []).extend(vectors)
            comes[home] = comes.get(home, 0.0) + share[place] * sum(map(len, vectors))
        found += [(comes[home], sum(map(len, each)), len(set.union(*each))) for home, each in asked.items()]
    return found


@few
@given(coded_networks(), st.sampled_from([64, 128, 2**16]), st.integers(40, 50))
def test_a_tile_brings_what_its_windows_share_once_where_its_buffer_holds_it(
    quantised: QuantisedNetwork, buffer: int, tiles: int
) -> None:
    chip = small(tiles=tiles, **{**KEPT, "tile.buffer_bytes": buffer})
    program = compiled(quantised, chip)
    assert quantised.basis is not None
    for comes, asked, different in brought_to_tiles(program, quantised.basis.height):
        assert comes <= asked * (1 + 1e-9)
        if comes < asked * (1 - 1e-9):
            assert different <= comes * (1 + 1e-9)
            assert comes * program.mapping.layers[0].bits.inputs / 8 <= buffer * (1 + 1e-9)


@few
@given(coded_networks(), st.sampled_from([8, 64, 1024]), st.sampled_from([8, 64, 1024]), st.sampled_from([1e7, 1e9]))
def test_programs_that_keep_inputs_are_legal_move_less_and_never_beat_the_bound(
    quantised: QuantisedNetwork, port: int, tile: int, clock_hz: float
) -> None:
    narrow = {"buffer.port_bits": port, "tile.noc_port_bits": tile, "frequency_hz": clock_hz, "basis.buffer_bytes": 200}
    try:
        every, once = (
            compiled(quantised, small(tiles=40, **narrow, **kept))
            for kept in ({"tile.input_fetch": "every_window"}, KEPT)
        )
    except MappingError as error:
        assert "bytes of coefficients for one segment" in str(error)
        return
    for program in (every, once):
        report = mho.simulate(program)
        assert not violations(program, (report.timing.starts, report.timing.ends))
        assert report.bound.seconds <= report.latency_s * (1 + 1e-9), report.bound.arguments
    assert (brought(once) <= 1).all() and (brought(every) == 1).all()
    # No instruction moves more than if each window's inputs came anew.
    anew = passed_bytes(replace(once, chip=every.chip))
    for kind in (GLOBAL_BUFFER, NOC, TILE_BUFFER):
        assert (passed_bytes(once)[kind] <= anew[kind] * (1 + 1e-9)).all()


@pytest.mark.parametrize("layers", [1, 4, 30])
def test_what_lies_between_layers_passes_while_their_coefficients_come(layers: int) -> None:
    """By hand: coefficients of each layer come in 2 s, without a pause, as their buffer holds those of two; each is there when the
    1.1 s of computing the one before and what follows it are over.
    """
    each = np.ones(layers)
    need = Workload(
        each, each, 1, 0.0, 0.1, True, True,
        other_s=float(layers), fetch_s=2.0 * each, ahead_s=4.0, gaps_s=each,
    )  # fmt: skip
    end_s = 2.0 * layers + 1.1
    bound = bound_of(need)
    assert bound.seconds <= end_s * (1 + 1e-9)
    assert layers < 30 or bound.seconds >= 0.9 * end_s


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@pytest.mark.parametrize("port", [256, 1024])
def test_pieces_are_as_large_as_ports_let_them_be(name: str, port: int) -> None:
    """Coefficients are read again for each piece: on the whole chip no more than 1.5 times as often as for whole batches.

    Through ports of tiles of 256 bits. Planned as if these took no time, ResNet-50 reads coefficients 3.4 times as often through
    1,024 bits of the global buffer's, 4.8 times through 256.
    """
    chip = Chip.load("basisn").override({"buffer.port_bits": port, "tile.noc_port_bits": 256}, source="law")
    program = mho.compile(mho.zoo.load(name), chip, mho.Strategy.load("basisn").with_(banks="greedy"))
    batch, least, read = 16, 0.0, 0.0
    table = columns(program)
    for layer in program.mapping.layers:
        combination = layer.combination
        assert combination is not None
        own = table.of(ACTIVATE)[table.layer[table.of(ACTIVATE)] == layer.index]
        each = np.diff(combination.until)
        read += combination.batched(each, table.first_window[own], table.last_window[own], batch).sum()
        least += float(each.sum()) * -(-combination.windows // batch)
    assert least <= read <= 1.5 * least
