"""Cells of any number of levels, and pairs of sign and magnitude, from chip file to outputs: exact, counted, refused in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.chip.coding import CODINGS, CodingName
from mho.errors import MappingError, NumberError, StrategyError
from mho.machine import wear
from mho.machine.analog import Analog
from mho.machine.energy import count_events
from mho.machine.lookup import reduce
from mho.network.samples import synthetic
from mho.training.cells import Chain, Tiling, program
from tests.lookup_oracle import chip_of, layout_of, program_of, table_of, trace_of
from tests.strategies import GREEDY
from tests.test_mapping_coding import coded_chip, coding_of, small

ARAS = Chip.load("aras")
SIX: dict[str, Any] = {"array.cell_bits": 3, "array.cell_levels": 6}


def varied(**values: Any) -> Chip:
    return ARAS.override({key.replace("__", "."): value for key, value in values.items()}, source="law")


def test_a_chip_that_names_what_its_bits_say_is_the_chip() -> None:
    named = varied(array__cell_levels=4)
    assert named.digest == ARAS.digest and named.levels == ARAS.levels == 4
    assert "cell_levels" not in named.spec.to_dict()["array"] and named == ARAS
    fewer = varied(array__cell_levels=3)
    assert fewer.digest != ARAS.digest and fewer.spec.to_dict()["array"]["cell_levels"] == 3
    assert Chip.from_dict(fewer.to_dict()) == fewer


@pytest.mark.parametrize("levels", range(2, 65))
def test_what_follows_from_the_levels_of_a_cell(levels: int) -> None:
    bits = (levels - 1).bit_length()
    chip = varied(array__cell_bits=bits, array__cell_levels=levels, array__pulses_full_range=120)
    assert chip.levels == levels and chip.pulses_per_level == 120 / (levels - 1)
    assert levels**chip.cells_per_weight >= 256 > levels ** (chip.cells_per_weight - 1)
    # A signed change of a level is one of 2 L - 1.
    assert 2 ** (chip.write_bits_per_cell - 1) < 2 * levels - 1 <= 2**chip.write_bits_per_cell
    assert chip.write_time_s(128 * 2 * (levels - 1)) == pytest.approx(chip.array_write_time_s)


@settings(max_examples=25)
@given(
    st.sampled_from([name for name in CODINGS if name != "flipped"]), st.integers(2, 40), st.sampled_from([1, 2, 8]),
    st.sampled_from(["naive", "aras", "overlap"]), st.sampled_from(["worst_case", "actual"]), st.integers(1, 8),
    st.integers(2, 16), st.integers(1, 8), st.sampled_from(["minmax", "mse"]), st.integers(0, 2**16),
)  # fmt: skip
def test_programs_are_bit_exact_and_legal_at_any_number_of_levels(
    coding: CodingName, levels: int, dac_bits: int, schedule: str, latency: str, tiles: int, weight_bits: int, input_bits: int,
    weight_range: str, seed: int,
) -> None:  # fmt: skip
    code = coding_of(coding, levels)
    chip = coded_chip(
        coding, code.cell_bits, array__dac_bits=dac_bits, array__cell_levels=levels,
        array__columns=4 * coding_of(coding, levels, 16).cells, write_latency=latency, tiles=tiles,
    )  # fmt: skip
    net = small(seed)
    inputs = synthetic(net, 2, seed=seed).inputs
    quantised = mho.number.quantise(
        net, inputs, symmetric=coding == "sign_magnitude", bits=f"{weight_bits}/{input_bits}", weight_range=weight_range
    )
    program = mho.compile(quantised, chip, GREEDY.with_(schedule=schedule))
    result = mho.verify(program, inputs)
    assert result.ok, str(result)


@pytest.mark.parametrize(("cell_bits", "pairs"), [(1, 7), (2, 4), (4, 2), (7, 1), (8, 1)])
def test_sign_and_magnitude_takes_a_conversion_less_where_bits_divide_evenly(cell_bits: int, pairs: int) -> None:
    net = small(1)
    quantised = mho.number.quantise(net, symmetric=True)
    counts = {}
    for coding in ("differential", "sign_magnitude"):
        chip = coded_chip(coding, cell_bits, tiles=40)
        mapped = mho.compile(quantised, chip, GREEDY)
        events = count_events(mapped, wear(mapped), mapped.setup, len(mapped.instructions))
        counts[coding] = sum(n for (_, event, _), n in events.items() if event == "adc_conversion")
    assert coding_of("sign_magnitude", 2**cell_bits).cells == 2 * pairs
    assert counts["sign_magnitude"] / counts["differential"] == pairs / -(-8 // cell_bits)


def test_codes_without_cells_are_refused_with_what_helps() -> None:
    net, chip = small(2), coded_chip("sign_magnitude", 2, tiles=40)
    inputs = synthetic(net, 2).inputs
    with pytest.raises(MappingError, match=r"layer 'convolution1' has a weight of the lowest code.*--symmetric"):
        mho.compile(mho.number.quantise(net, inputs), chip)
    symmetric = mho.number.quantise(net, inputs, symmetric=True)
    assert min(int(matrix.codes.min()) for matrix in symmetric.matrices.values()) >= 1
    assert mho.verify(mho.compile(symmetric, chip), inputs).ok
    for alignment in ("auto", "centre"):
        with pytest.raises(StrategyError, match=r"sign_magnitude has magnitudes around it"):
            mho.compile(symmetric, chip, GREEDY.with_(alignment=alignment))
    with pytest.raises(StrategyError, match="no cell that holds it"):
        mho.compile(symmetric, chip, GREEDY.with_(low_cell="lower"))


@given(st.floats(1e-30, 1e30), st.floats(-1e30, -1e-38), st.booleans(), st.integers(2, 8))
def test_symmetric_codes_never_take_the_lowest_code(high: float, low: float, channel: bool, bits: int) -> None:
    scale, zero = mho.number.affine.fit_many(np.array([low]), np.array([high]), bits, symmetric=True)
    codes = np.rint(np.array([low, high]) / scale) + zero
    assert codes.min() >= 1 and codes.max() <= 2**bits - 1 and int(zero[0]) == 2 ** (bits - 1)


def test_digits_of_whole_bits_need_a_power_of_two() -> None:
    net = small(3)
    chip = Chip.load("sme").override({**SIX, "array.coding": "offset", "array.pulses_full_range": 60}, source="law")
    with pytest.raises(StrategyError, match=r"cells of chip sme\* have 6 levels, and a digit of whole bits"):
        mho.compile(mho.number.quantise(net), chip, GREEDY.with_(mapping="squeezed"))


def test_training_follows_both() -> None:
    """Cells as training programs them show the codes; and a table of -128 has no cells."""
    torch = pytest.importorskip("torch")
    for values in ({"array.coding": "sign_magnitude"}, SIX, {"array.coding": "sign_magnitude", **SIX}):
        chain = Chain(ARAS.override(values, source="law"), Analog().override({"adc.bits": "ideal"}))
        codes = torch.arange(1, 256).reshape(1, 51, 5)
        cells = program(chain, Tiling.of(chain, 1, 51, 5), codes, 0, None, torch.float64)
        shown = (cells.seen * torch.tensor(chain.sensing.significance)[:, None]).sum(dim=3) + chain.chip.coding.base
        assert torch.equal(shown[0, 0, :51], codes[0].double())
    trace = trace_of([[0], [1, 2]], rows=(6,))
    lookups = program_of(trace, layout_of([range(6)]), chip_of(tile__groups=12, array__coding="sign_magnitude"), 16)
    table = table_of(6, 16, 2)
    table[3, 4] = -128
    with pytest.raises(NumberError, match="hold -127 to 127"):
        reduce(lookups, table)
