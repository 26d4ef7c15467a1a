"""mho study silicon: what it states holds together, and is what the documentation shows; NeuRRAM's prediction was frozen."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import mho
from benchmarks import study as pages
from mho import studies
from mho.chip.readout import Readout
from mho.network.layers import Array, Input, Linear
from mho.studies.files import plots
from mho.studies.silicon.chips import WIDER, peak
from mho.studies.silicon.neurram import Figures, Phase, content, halves, phases, predict
from tests.test_studies import texts_of

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


@pytest.mark.parametrize("row", PREDICTION, ids=lambda row: "-".join(str(row[key]) for key in PRECISION))
def test_the_preset_reads_as_the_model_predicts(row):
    chip, operations = mho.Chip.load("neurram"), 2 * 128 * 256
    energy, time, parts = chip.energy_per_event, 0.0, dict.fromkeys(("word_lines", "input", "neurons"), 0.0)
    for phase in phases(*(row[key] for key in PRECISION)):
        magnitude = max(phase.input_bits - 1, 1)
        at_once = chip.override({"array.integrated_bits": magnitude}, source="one phase")
        read = Readout(at_once, magnitude, phase.output_bits, 256, signed=True)
        time += read.window_s
        parts["word_lines"] += read.pulses * 256 * energy["dac_drive"]
        parts["input"] += read.pulses * energy["array_read"]
        parts["neurons"] += read.pulses * energy["charge_integration"]
        parts["neurons"] += read.steps * read.conversions * float(read.share) * energy["adc_conversion"]
    assert chip.arrays * operations / time / 1e12 == pytest.approx(row["tops"], rel=1e-4)
    assert operations / sum(parts.values()) / 1e12 == pytest.approx(row["efficiency"], rel=1e-4)
    for part in ("word_lines", "input"):
        assert parts[part] / operations * 1e15 == pytest.approx(row[part], rel=1e-4)
    # Neurons and control, and what the measured parts leave of the total.
    assert parts["neurons"] / operations * 1e15 == pytest.approx(row["neurons"] * (1 + 0.17898 / 12.387), rel=1e-4)


@pytest.mark.parametrize("bits", [(4, 2), (3, 1), (5, 3), (6, 4)], ids=lambda bits: f"{bits[0]}-{bits[1]}")
def test_a_layer_of_such_bits_on_the_preset_takes_the_predicted_time_and_energy(bits: tuple[int, int]) -> None:
    outputs, inputs = bits
    weight = np.random.default_rng(0).normal(size=(256, 128))
    layers = [
        Input(name="x", inputs=(), shape=(1, 128)),
        Linear(name="y", inputs=("x",), shape=(1, 256), weight=Array.of(weight)),
    ]
    coded = mho.quantise(mho.Network("one", tuple(layers), ("y",), "drawn"), bits=f"4/{inputs}", symmetric=True)
    values = {"array.adc_bits": outputs, "array.adc_period_s": 2 ** (outputs - 1) * 194.928e-9}
    chip = mho.Chip.load("neurram").override(values, source="as many bits out")
    content = mho.simulate(mho.compile(coded, chip, "naive")).to_dict()
    (layer,) = (layer for layer in content["layers"] if layer["arrays"])
    parts = content["energy_j"]["by_component"]
    joules = sum(parts[part] for part in ("array", "dac", "adc", "integrator"))
    predicted = predict((Phase(inputs, outputs),))
    assert layer["arrays"] == 1
    operations, time = 2 * 128 * 256, layer["compute_end_s"] - layer["compute_start_s"]
    assert 48 * operations / time / 1e12 == pytest.approx(predicted.tops, rel=1e-4)
    assert operations / joules / 1e12 == pytest.approx(predicted.efficiency, rel=1e-4)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> studies.Study:
    return studies.run("silicon", tmp_path_factory.mktemp("silicon") / "made")


@pytest.fixture(scope="module")
def published() -> studies.Study:
    """The study that the documentation shows."""
    return pages.kept("silicon")


def test_the_published_study_is_this_versions(made: studies.Study, published: studies.Study) -> None:
    schema = json.loads((files("mho.studies") / "study.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(made.to_dict(), schema)
    assert made.to_dict() == published.to_dict(), "run python -m benchmarks.study --only silicon"


def test_the_page_and_its_plots_are_what_the_json_gives(published: studies.Study) -> None:
    texts = pages.rendered(published)
    for path, text in texts.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python -m benchmarks.study --render"
    drawn = set((pages.DOCS / "images").glob("study-silicon-*.svg"))
    assert drawn == set(texts) - {pages.DOCS / "study-silicon.md"}


def test_what_is_not_held_against_silicon_says_so_and_what_was_given_is_not_counted(made: studies.Study) -> None:
    for row in made.rows:
        if row.id.startswith("neurram/") and row.paper is None and not row.id.split("/")[1].endswith(("free", "whole")):
            assert row.note == "Frozen on 2026-11-30, not yet held against silicon."
    held = [row for row in made.rows if row.ratio is not None and not row.note.startswith("Given")]
    assert made.by_id["summary/compared/all"].ours == len(held)
    assert made.by_id["summary/within/all"].ours == sum(not row.differs for row in held)
    assert made.by_id["summary/open/all"].ours == 5 * len(PREDICTION)
    furthest = max(max(row.ratio, 1 / row.ratio) for row in held if row.ratio)
    assert made.by_id["summary/furthest/all"].ours == furthest


def test_the_peak_of_isaac_is_that_of_its_paper() -> None:
    chip = mho.Chip.load("isaac")
    # 168 tiles of 12 units of 8 arrays: 128 x 16 products of 16 bits each in 16 steps of 100.8 ns (100 in the paper).
    assert peak(chip) / WIDER == pytest.approx(2 * 168 * 12 * 8 * 128 * 16 / (16 * 100.78125e-9))


def test_a_folder_gets_the_page(tmp_path: Path) -> None:
    studies.run("silicon", tmp_path, quick=True)
    assert "Frozen on" in (tmp_path / "study.html").read_text(encoding="utf-8")


def test_no_label_of_its_plots_overlaps_another(published: studies.Study) -> None:
    for svg in plots(published).values():
        boxes = texts_of(svg)
        for number, first in enumerate(boxes):
            for second in boxes[number + 1 :]:
                apart = first[2] <= second[0] or second[2] <= first[0] or first[3] <= second[1] or second[3] <= first[1]
                assert apart, (first, second)
