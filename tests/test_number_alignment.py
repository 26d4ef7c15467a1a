"""Aligned weights: what may change, what may not, and which centre is taken."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import NumberError, OptionError
from mho.machine import wear
from mho.network.graph import Network
from mho.network.samples import Samples, synthetic
from mho.number import CENTRES, QuantisedNetwork, run_reference, skip_probability
from mho.number.accuracy import classified
from mho.number.alignment import HALF_OF_THEM, ONE_LEVEL
from mho.number.coded import QuantisedMatrix
from mho.schedule.centre import ALIKE, choose_centre, overwriting, prepared
from tests.coded_cells import narrows
from tests.hand_sized import entry, hand_chip, linear, with_codes
from tests.hand_sized import network as network_of
from tests.strategies import ALONE, GREEDY, Sketch, chips, networks

few = settings(max_examples=40)
centres = st.integers(0, 255)


def quantised(network: Network, per_channel: bool = False) -> QuantisedNetwork:
    return mho.number.quantise(network, synthetic(network, 2, seed=1).inputs, per_channel=per_channel)


def outputs(each: QuantisedNetwork) -> dict[str, npt.NDArray[np.float64]]:
    keep = [layer.name for layer in each.network.matrix_layers]
    return run_reference(each, synthetic(each.network, 2, seed=2).inputs, keep=keep)


# Shifting.


@few
@given(networks, centres, st.booleans())
def test_codes_and_zero_points_are_shifted_together_and_clipped_weights_are_counted(
    network: Network, centre: int, per_channel: bool
) -> None:
    before = quantised(network, per_channel)
    after = mho.number.align(before, centre)
    record = after.alignment
    assert record is not None
    first, *rest = (layer.name for layer in network.matrix_layers)
    assert after.matrices[first] is before.matrices[first]
    assert set(record.deltas) == set(record.clipped) == set(rest)
    for name in rest:
        old, new = before.matrices[name], after.matrices[name]
        wanted = old.codes.astype(int) + record.deltas[name]
        assert abs(wanted.mean() - centre) <= 0.5
        assert (new.codes == np.clip(wanted, 0, 255)).all()
        assert (new.zero - old.zero == record.deltas[name]).all()
        assert record.clipped[name] == np.count_nonzero((wanted < 0) | (wanted > 255))
    assert record.clipped_share == record.clipped_weights / network.weights


@few
@given(networks, st.integers(0, 40), st.booleans())
def test_where_nothing_is_clipped_outputs_stay_the_same_bit_for_bit(
    network: Network, shift: int, per_channel: bool
) -> None:
    """Codes of 6 bits held in 8 have room on either side: shifting them by anything up to 192 clips nothing."""
    inputs = synthetic(network, 2, seed=1).inputs
    few = mho.number.quantise(network, inputs, per_channel=per_channel, bits=6, weight_range="minmax")
    before = replace(few, matrices={name: replace(matrix, bits=8) for name, matrix in few.matrices.items()})
    after = mho.number.align(before, 64 + shift)
    assert after.alignment is not None
    assert after.alignment.clipped_weights == 0
    for (name, old), new in zip(outputs(before).items(), outputs(after).values(), strict=True):
        assert np.array_equal(old, new), name


@few
@given(
    networks, chips(), st.sampled_from(ALONE), st.sampled_from(["auto", "none"]) | centres,
    st.sampled_from(["all", "lower"]), st.booleans(),
)  # fmt: skip
def test_aligned_programs_are_bit_exact_against_the_reference_of_their_own_codes(
    network: Network, chip: Chip, schedule: str, alignment: str | int, low_cell: str, per_channel: bool
) -> None:
    if not narrows(chip):
        low_cell = "all"
    program = mho.compile(
        quantised(network, per_channel),
        chip,
        GREEDY.with_(schedule=schedule, alignment=alignment, low_cell=low_cell, residency="never"),
    )
    result = mho.verify(program, synthetic(network, 1, seed=2).inputs)
    assert result.ok, str(result)
    assert (program.strategy.alignment.spelled(), program.strategy.low_cell.name) == (alignment, low_cell)


def test_exact_sums_reach_as_far_as_zero_points_outside_the_range_ask_for() -> None:
    """Codes at one end and zero points beyond the other: the longest sums that a shift can make are still exact."""
    sketch = Sketch(3, (1, 2, 300))
    sketch.linear(sketch.linear(sketch.layers[0], 5), 200)
    before = quantised(sketch.network())
    name = sketch.layers[-1].name
    codes = np.full_like(before.matrices[name].codes, 255)
    codes[:, 0] = 0
    far = replace(before.matrices[name], codes=codes, zero=np.asarray(0))
    before = replace(before, matrices={**before.matrices, name: far})
    after = mho.number.align(before, 255)
    zero = int(after.matrices[name].zero)
    assert zero > 0
    lower = mho.number.align(before, 0)
    assert int(lower.matrices[name].zero) < 0
    chip = Chip.load("aras").override({"tiles": 1, "tile.groups": 2}, source="test")
    for each in (after, lower):
        result = mho.verify(mho.compile(each, chip, GREEDY.with_(residency="never")), synthetic(each.network, 1).inputs)
        assert result.ok, str(result)


def test_zero_points_that_do_not_fit_are_refused() -> None:
    codes = np.zeros((1, 2, 2), dtype=np.uint8)
    with pytest.raises(NumberError, match="beyond 32512"):
        QuantisedMatrix(codes, np.ones(()), np.asarray(2**15))


@pytest.mark.parametrize("centre", [-1, 256, 1.5, True, "auto"])
def test_what_is_no_centre_is_refused(centre: object) -> None:
    sketch = Sketch(1, (1, 4))
    sketch.linear(sketch.layers[0], 3)
    with pytest.raises(OptionError, match="0 to 255"):
        mho.number.align(quantised(sketch.network()), centre)  # type: ignore[arg-type]


def test_weights_are_aligned_and_narrowed_once() -> None:
    sketch = Sketch(1, (1, 4))
    sketch.linear(sketch.linear(sketch.layers[0], 8), 3)
    each = mho.number.narrow(mho.number.align(quantised(sketch.network()), 96), 2)
    with pytest.raises(NumberError, match="aligned already"):
        mho.number.align(each, 96)
    with pytest.raises(NumberError, match="narrowed already"):
        mho.number.narrow(each, 2)


# Narrowing.


@few
@given(networks, st.integers(2, 4), st.none() | centres, st.booleans())
def test_narrowed_weights_move_no_further_and_no_more_than_allowed(
    network: Network, cell_bits: int, centre: int | None, per_channel: bool
) -> None:
    before = quantised(network, per_channel)
    before = before if centre is None else mho.number.align(before, centre)
    after = mho.number.narrow(before, cell_bits)
    levels, record = 2**cell_bits, after.alignment
    assert record is not None and record.moved is not None
    first, *rest = (layer.name for layer in network.matrix_layers)
    assert after.matrices[first] is before.matrices[first]
    for name in rest:
        old, new = before.matrices[name], after.matrices[name]
        shift = record.deltas[name] - (before.alignment.deltas[name] if before.alignment else 0)
        assert abs(shift) <= levels // 2
        start = np.clip(old.codes.astype(int) + shift, 0, 255)
        moved = new.codes.astype(int) - start
        assert np.abs(moved[start + levels <= 255]).max(initial=0) <= levels // 2
        assert record.moved[name] == np.count_nonzero(moved)
        power = ((start - np.broadcast_to(new.zero, (start.shape[0], start.shape[2]))[:, None, :]) ** 2).sum(axis=1)
        error = (moved**2).sum(axis=1)
        assert (error <= max(HALF_OF_THEM, ONE_LEVEL) * power).all()
        assert ((new.codes % levels < levels // 2).all(axis=1) | (error == 0)).all()
        if new.zero.ndim == 0:
            assert int(new.zero) % levels == 0
            assert ((new.centred == 0) | (start != int(new.zero))).all(), "real 0 moved"


def test_narrowing_chooses_the_fewest_levels_that_an_output_can_bear() -> None:
    """Columns of ever smaller weights: one level, then half of the levels, then all."""
    net = network_of(entry(1, 4), linear("a", "x", 1, 4, 64), linear("b", "a", 1, 64, 3))
    sizes = np.array([100, 20, 3])
    pattern = np.arange(64)[:, None] % 7 - 3
    codes = 128 + np.where(np.arange(64)[:, None] % 2, sizes, -sizes) + np.where(sizes > 3, pattern, 0) + 1
    each = with_codes(net, {"a": np.zeros((4, 64)), "b": codes})
    b = replace(each.matrices["b"], zero=np.asarray(128))
    after = mho.number.narrow(replace(each, matrices={**each.matrices, "b": b}), 2).matrices["b"].codes[0]
    assert set(after[:, 0] % 4) == {0}
    assert set(after[:, 1] % 4) == {0, 1}
    assert (after[:, 2] == codes[:, 2]).all()


@pytest.mark.parametrize("bits", [1, 9])
def test_cells_without_levels_to_give_up_are_refused(bits: int) -> None:
    sketch = Sketch(1, (1, 4))
    sketch.linear(sketch.linear(sketch.layers[0], 8), 3)
    with pytest.raises(OptionError, match="2 to 8 bits"):
        mho.number.narrow(quantised(sketch.network()), bits)


# The probability of equation 3.


def drawn(seed: int, mean: float, spread: float, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    codes = np.random.default_rng(seed).normal(mean, spread, shape)
    return np.clip(np.rint(codes), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("cell_bits", "count"), [(1, 8), (2, 4), (3, 3), (4, 2), (8, 1)])
def test_equal_digits_are_as_frequent_as_equation_3_says(cell_bits: int, count: int) -> None:
    """Independent weights, some hundred thousand: counted shares are within five standard errors."""
    first, second = drawn(1, 96, 20, (400, 500)), drawn(2, 104, 35, (400, 500))
    found = skip_probability(first, second, cell_bits=cell_bits)
    assert found.shape == (count,)
    for cell, probability in enumerate(found):
        shift = cell_bits * (count - 1 - cell)
        same = ((first >> shift) & (2**cell_bits - 1)) == ((second >> shift) & (2**cell_bits - 1))
        assert same.mean() == pytest.approx(
            probability, abs=5 * (probability * (1 - probability) / same.size) ** 0.5 + 1e-12
        )


def test_equation_3_predicts_what_a_program_skips() -> None:
    """Two layers that overwrite each other on one group, weights independent: the skips counted on the machine."""
    net = network_of(entry(1, 128), linear("a", "x", 1, 128, 128), linear("b", "a", 1, 128, 128))
    codes = {"a": drawn(1, 100, 25, (128, 128)), "b": drawn(2, 90, 12, (128, 128))}
    chip = Chip.load("aras").override({"tiles": 1, "tile.groups": 1}, source="test: one group of 128 x 128 weights")
    program = mho.compile(with_codes(net, codes), chip, GREEDY.with_(schedule="naive"))
    assert program.setup == 0
    _, kept = overwriting(program)
    expected = skip_probability(codes["a"], codes["b"]).mean()
    assert kept == pytest.approx(expected, abs=5 * (0.25 / (4 * 128 * 128)) ** 0.5)


@given(st.lists(st.integers(0, 255), min_size=1), st.lists(st.integers(0, 255), min_size=1), st.integers(1, 8))
def test_skip_probabilities_are_symmetric_probabilities(first: list[int], second: list[int], cell_bits: int) -> None:
    one, two = np.array(first), np.array(second)
    found = skip_probability(one, two, cell_bits=cell_bits)
    assert np.allclose(found, skip_probability(two, one, cell_bits=cell_bits))
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()
    assert np.allclose(skip_probability(one[:1], one[:1], cell_bits=cell_bits), 1)


def test_a_skip_probability_needs_weights() -> None:
    with pytest.raises(NumberError, match="both sides"):
        skip_probability(np.zeros(0, dtype=np.uint8), np.zeros(1, dtype=np.uint8))


# Choosing.


def bells(seed: int, layers: int = 4) -> QuantisedNetwork:
    """Layers whose codes are bells around different means, as in ARAS Figure 11."""
    names = [f"layer{i}" for i in range(layers)]
    sources = ["x", *names]
    net = network_of(entry(1, 8), *(linear(name, sources[i], 1, 8, 8) for i, name in enumerate(names)))
    means = np.random.default_rng(seed).uniform(110, 150, layers)
    return with_codes(net, {name: drawn(seed + i, means[i], 10, (8, 8)) for i, name in enumerate(names)})


@settings(max_examples=10)
@given(st.integers(0, 1000), st.sampled_from(["all", "lower"]))
def test_auto_never_costs_more_pulses_than_no_shift(seed: int, low_cell: str) -> None:
    each = bells(seed)
    program = mho.compile(each, hand_chip(), GREEDY.with_(schedule="overlap", residency="never"))
    choice = choose_centre(program, low_cell=low_cell)
    pulses = {other.centre: other.pulses for other in choice.candidates}
    assert set(pulses) == {None, *CENTRES}
    assert choice.taken.pulses <= pulses[None]
    compiled = mho.compile(
        each,
        hand_chip(),
        GREEDY.with_(schedule="overlap", residency="never", alignment="auto", low_cell=low_cell),
    )
    assert overwriting(compiled)[0] == choice.taken.pulses
    assert compiled.instructions == program.instructions


def test_candidates_cost_what_their_codes_cost_on_the_machine() -> None:
    program = mho.compile(bells(5), hand_chip(), GREEDY.with_(schedule="overlap", residency="never"))
    assert program.quantised is not None
    for each in choose_centre(program).candidates:
        codes = prepared(program.quantised, each.centre, "all", 2)
        worn = wear(replace(program, quantised=codes))
        steps = sum(count.steps for i, count in worn.counts.items() if i >= program.setup)
        assert each.pulses == steps * program.chip.pulses_per_level


def test_of_centres_alike_in_pulses_the_one_that_clips_less_comes_first() -> None:
    for seed in range(20):
        program = mho.compile(bells(seed), hand_chip(), GREEDY.with_(schedule="overlap", residency="never"))
        tried = choose_centre(program, centres=range(88, 169, 4)).candidates
        alike = ALIKE * next(each.pulses for each in tried if each.centre is None)
        for earlier, later in pairwise(tried):
            in_order = earlier.pulses <= later.pulses or earlier.clipped_share <= later.clipped_share
            assert in_order and earlier.pulses <= later.pulses + alike


def test_without_labels_no_centre_is_taken_that_clips_more_than_allowed() -> None:
    each = bells(7)
    (name, *_) = [layer.name for layer in each.network.matrix_layers[1:]]
    wide = each.matrices[name].codes.copy()
    wide[0, :2] = [[0] * 8, [255] * 8]
    each = replace(each, matrices={**each.matrices, name: replace(each.matrices[name], codes=wide)})
    program = mho.compile(each, hand_chip(), GREEDY.with_(schedule="overlap", residency="never"))
    assert choose_centre(program).taken.centre is None
    free = choose_centre(program, most_clipped=1.0)
    assert free.taken.centre is not None
    assert free.taken.clipped_share > 0
    assert free.taken == free.candidates[0]


@pytest.fixture
def classifier() -> tuple[QuantisedNetwork, Samples]:
    """Three layers on random inputs, labelled by what their 8-bit integers say: unshifted codes are always right."""
    sketch = Sketch(11, (1, 12))
    sketch.linear(sketch.linear(sketch.linear(sketch.layers[0], 16), 16), 4)
    net = sketch.network()
    given = synthetic(net, 200, seed=3)
    coded = mho.number.quantise(net, given.inputs)
    labels = run_reference(coded, given.inputs)[net.outputs[0]].argmax(axis=1)
    return coded, Samples(given.inputs, labels, "drawn samples")


def test_with_labels_the_fewest_pulses_within_the_tolerance_are_taken(
    classifier: tuple[QuantisedNetwork, Samples],
) -> None:
    coded, samples = classifier
    program = mho.compile(coded, hand_chip(), GREEDY.with_(schedule="overlap", residency="never"))
    right = {centre: int(classified(prepared(coded, centre, "all", 2), samples).sum()) for centre in (None, *CENTRES)}
    assert right[None] == len(samples)
    cost = {each.centre: each.pulses for each in choose_centre(program, most_clipped=1.0).candidates}
    for tolerance in (0.0, 0.01, 0.05, 1.0):
        choice = choose_centre(program, samples=samples, tolerance=tolerance)
        allowed = [centre for centre, count in right.items() if len(samples) - count <= tolerance * len(samples)]
        least = min(cost[centre] for centre in allowed)
        assert choice.taken.centre in allowed
        assert choice.taken.pulses <= least + ALIKE * cost[None]
        assert choice.taken.right == right[choice.taken.centre]
        assert "accuracy on drawn samples (200 samples" in str(choice)


def test_where_every_candidate_loses_the_one_that_loses_least_is_taken(
    classifier: tuple[QuantisedNetwork, Samples],
) -> None:
    coded, samples = classifier
    program = mho.compile(coded, hand_chip(), GREEDY.with_(schedule="overlap", residency="never"))
    choice = choose_centre(program, samples=samples, tolerance=-1.0)
    assert all(each.right is not None for each in choice.candidates)
    assert choice.taken.right == max(each.right for each in choice.candidates if each.right is not None)


def test_where_no_inference_writes_nothing_is_shifted(classifier: tuple[QuantisedNetwork, Samples]) -> None:
    coded, samples = classifier
    program = mho.compile(mho.number.Sampled(coded, judging=samples), "aras", GREEDY.with_(alignment="auto"))
    assert program.setup > 0
    assert program.quantised is not None
    assert program.quantised.alignment is None
    assert mho.simulate(program).to_dict()["writes"]["skip_ratio"] is None


# Through compile, file and report.


def test_an_aligned_program_says_so_in_notes_report_and_file(tmp_path: Path) -> None:
    each = bells(2)
    plain = mho.compile(each, hand_chip(), GREEDY.with_(schedule="overlap", residency="never"))
    program = mho.compile(
        each, hand_chip(), GREEDY.with_(schedule="overlap", residency="never", alignment=104, low_cell="lower")
    )
    assert program.quantised is not None
    record = program.quantised.alignment
    assert record is not None
    assert record.centre == 104
    assert any("shifted to mean 104" in note and "lowest levels" in note for note in program.notes)
    writes, before = (mho.simulate(each).to_dict()["writes"] for each in (program, plain))
    assert writes["skip_ratio"] == 1 - writes["cells"] / writes["addressed"]
    assert writes["skip_ratio"] > before["skip_ratio"]
    assert writes["pulses"] < before["pulses"]
    program.save(tmp_path / "kept.mho")
    back = mho.Program.load(tmp_path / "kept.mho")
    assert back.quantised is not None
    assert back.quantised.alignment == record
    assert overwriting(back) == overwriting(program)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alignment": "most"}, "takes auto, none or a whole number"),
        ({"alignment": 300}, "0 to 255"),
        ({"alignment": True}, "takes auto, none or a whole number"),
        ({"low_cell": "upper"}, "known: all, lower"),
    ],
)
def test_unknown_alignments_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        mho.compile(bells(1), hand_chip(), GREEDY.with_(options))  # type: ignore[arg-type]


@pytest.mark.parametrize(("coding", "cell_bits"), [("differential", 2), ("differential", 4), ("twos_complement", 8)])
def test_a_coding_without_a_cell_for_the_lowest_digit_cannot_be_narrowed(coding: str, cell_bits: int) -> None:
    chip = hand_chip(array__coding=coding, array__cell_bits=cell_bits, array__pulses_full_range=255)
    mho.compile(bells(1), chip, GREEDY.with_(alignment=96))
    with pytest.raises(OptionError, match=f"coding {coding} in cells of {cell_bits} bits has no cell that holds it"):
        mho.compile(bells(1), chip, GREEDY.with_(low_cell="lower"))


@pytest.mark.parametrize("options", [{"alignment": "auto"}, {"alignment": 96}, {"low_cell": "lower"}])
def test_shapes_alone_cannot_be_aligned(options: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="known by shapes alone"):
        mho.compile(bells(1).network, hand_chip(), GREEDY.with_(options))  # type: ignore[arg-type]


def test_samples_without_labels_judge_nothing(classifier: tuple[QuantisedNetwork, Samples]) -> None:
    coded, samples = classifier
    with pytest.raises(OptionError, match="have none"):
        mho.number.Sampled(coded, judging=replace(samples, labels=None))
