"""Every choice at every stage with every other, drawn from what is registered: exact, legal, bounded, and booked in full.

`make combinations` draws a thousand and tells how many had what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

import mho
from mho import Strategy
from mho.chip import Chip
from mho.chip.coding import CODINGS, Coding
from mho.chip.spec import ArraySpec
from mho.mapping import LayerMapping, mapped_by
from mho.network.graph import Network
from mho.network.samples import synthetic
from mho.program import violations
from mho.quantity import Words
from mho.strategy import STAGES
from tests.strategies import chips, networks, strategies

READ = (
    "rows_parallel",
    "convert",
    "adc_modes",
    "adc_kind",
    "input_coding",
    "integrated_bits",
    "drive",
    "pairs",
    "reference",
)
"""Keys of an array that say how it is read, and may be left out."""
OF_LAYERS = (
    "layers of different weight bits", "layers of different input bits", "conversions of fewer bits", "inputs of both signs",
)  # fmt: skip


def said(chip: Chip, strategy: Strategy, layers: Sequence[LayerMapping]) -> list[str]:
    """Say what a design has of what is told apart: bits of its layers, codings, cells, drivers, readings and choices."""
    array = chip.array
    told = [f"coding {array.coding}", f"cells of {array.cell_bits} bits", f"drivers of {array.dac_bits} bits"]
    told += [f"{stage}: {getattr(strategy, stage).name}" for stage in STAGES]
    told += [f"{key}: {getattr(array, key)}" for key in READ if isinstance(getattr(array, key), str)]
    told += [key for key in READ if isinstance(getattr(array, key), int)]
    of_layers = (
        len({layer.bits.weights for layer in layers}) > 1,
        len({layer.bits.inputs for layer in layers}) > 1,
        any(layer.readout.adc_bits < array.adc_bits for layer in layers),
        any(layer.readout.signed for layer in layers),
    )
    return told + [text for text, has in zip(OF_LAYERS, of_layers, strict=True) if has]


def _words(key: str) -> tuple[str, ...]:
    """Return the words that a key of an array takes, none where it takes numbers."""
    return next((each.words for each in ArraySpec.model_fields[key].metadata if isinstance(each, Words)), ())


@settings(max_examples=100)
@given(networks, chips(Chip.presets(), index=True), st.data())
def test_whatever_is_not_refused_is_exact_legal_bounded_and_booked_in_full(
    network: Network, chip: Chip, data: st.DataObject
) -> None:
    samples = synthetic(network, 2, seed=1)
    subject = mho.number.Sampled(network, calibration=samples)
    strategy = data.draw(strategies(subject, chip))
    program = mho.compile(subject, chip, strategy)
    for text in said(chip, strategy, program.mapping.layers):
        event(text)
    result = mho.verify(program, samples.inputs)
    assert result.ok, str(result)
    assert result.samples == 2 and result.compared >= len(network.matrix_layers)
    report = mho.simulate(program)
    assert violations(program, (report.timing.starts, report.timing.ends)) == ()
    assert report.latency_s >= report.bound.seconds * (1 - 1e-9)
    for key in ("component", "kind"):
        assert sum(report.account.by(key).values()) == pytest.approx(report.energy_j, rel=1e-12)


def test_bits_of_layers_and_readings_are_among_what_is_drawn() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=250)
    @given(networks, chips(Chip.presets(), index=True), st.data())
    def draw(network: Network, chip: Chip, data: st.DataObject) -> None:
        subject = mho.number.Sampled(network, calibration=synthetic(network, 2, seed=1))
        strategy = data.draw(strategies(subject, chip))
        seen.update(said(chip, strategy, mapped_by(strategy.with_(mapping="dense"), network, chip).layers))

    draw()
    wanted = [*OF_LAYERS, "rows_parallel", "integrated_bits"]
    # What is so without them is left out.
    wanted += [f"{key}: {word}" for key in READ for word in _words(key) if word not in ("fixed", "columns", "none")]
    wanted += [f"{stage}: {name}" for stage in ("conversion", "mapping") for name in Strategy.choices(stage)]
    wanted += [f"coding {name}" for name in CODINGS if not Coding(name, 8, 2).least_code]
    assert [text for text in wanted if text not in seen] == []


def test_weights_of_more_bits_than_planes_or_an_array_can_hold_are_refused_before_any_work() -> None:
    network = mho.zoo.load("resnet20", weights="seeded")
    wide = Strategy().with_(coding={"choice": "bytes", "bits": "fc=16/8"})
    (refusal,) = wide.with_(mapping="squeezed").refusals(network, Chip.load("sme"))
    assert (refusal.field, refusal.bound) == ("mapping", "coding.bits") and "up to 8 bits, not 16" in str(refusal)
    assert not wide.refusals(network, Chip.load("aras"))
    narrow = Chip.load("aras").override({"array.columns": 7, "array.adcs": 1}, source="test")
    (refusal,) = wide.refusals(network, narrow)
    assert refusal.bound == "array.columns" and "16-bit weight needs 8 cells" in str(refusal)
    few = Strategy().with_(coding={"choice": "budget", "grid": (), "bits": ("1/8", "4/8"), "symmetric": True})
    samples = mho.number.Sampled(network, calibration=synthetic(network, 2, seed=1))
    (refusal,) = few.refusals(samples, Chip.load("aras"))
    assert (refusal.field, refusal.bound) == ("coding.bits", "coding.symmetric")
