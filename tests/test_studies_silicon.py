"""The study of silicon: the prediction of NeuRRAM follows from one row and its assumptions, and was frozen."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from mho.studies.silicon.neurram import Figures, Phase, content, halves, phases, predict

PREDICTION = content()["prediction"]
PRECISION = ("output_bits", "input_bits", "phases")


def test_the_measured_row_predicts_itself():
    measured = content()["measured"]
    known = predict((Phase(**measured["phase"]),))
    assert asdict(known) == pytest.approx(measured["figures"])


@pytest.mark.parametrize("row", PREDICTION, ids=lambda row: "-".join(str(row[key]) for key in PRECISION))
def test_the_frozen_prediction_is_the_models(row):
    frozen = {key: value for key, value in row.items() if key not in PRECISION}
    assert asdict(predict(phases(*(row[key] for key in PRECISION)))) == pytest.approx(frozen, rel=1e-4)


@pytest.mark.parametrize("bits", range(3, 17))
def test_two_phases_share_the_magnitude_and_make_up_the_output(bits):
    first, second = halves(bits)
    lower = second.input_bits - 1
    assert first.input_bits - 1 + lower == bits - 1
    assert 0 <= first.input_bits - second.input_bits <= 1
    assert first.output_bits + lower == bits + 2, "the upper sum, shifted by the lower half's bits"


def test_more_phases_take_the_sum_of_their_times_and_parts():
    first, second = predict((Phase(3, 5),)), predict((Phase(4, 6),))
    both = predict((Phase(3, 5), Phase(4, 6)))
    summed = Figures(
        1 / (1 / first.tops + 1 / second.tops),
        1 / (1 / first.efficiency + 1 / second.efficiency),
        first.word_lines + second.word_lines,
        first.neurons + second.neurons,
        first.input + second.input,
    )
    assert asdict(both) == pytest.approx(asdict(summed))
