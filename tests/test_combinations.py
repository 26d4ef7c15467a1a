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
from mho.chip.coding import CODINGS
from mho.mapping import LayerMapping, mapped_by
from mho.network.graph import Network
from mho.network.samples import synthetic
from mho.program import violations
from tests.strategies import chips, networks, strategies

READ = ("rows_parallel", "convert", "adc_modes", "adc_kind", "input_coding", "integrated_bits", "drive", "pairs")
"""Keys of an array that say how it is read, and may be left out."""


def said(chip: Chip, strategy: Strategy, layers: Sequence[LayerMapping]) -> list[str]:
    """Say what a design has of what is told apart: bits of its layers, codings, cells, drivers, readings and choices."""
    array = chip.array
    told = [f"coding {array.coding}", f"cells of {array.cell_bits} bits", f"drivers of {array.dac_bits} bits"]
    told += [f"{stage}: {choice['choice']}" for stage, choice in strategy.to_dict().items()]
    told += [f"{key}: {getattr(array, key)}" for key in READ if isinstance(getattr(array, key), str)]
    told += [key for key in READ if isinstance(getattr(array, key), int)]
    told += ["layers of different weight bits"] * (len({layer.bits.weights for layer in layers}) > 1)
    told += ["layers of different input bits"] * (len({layer.bits.inputs for layer in layers}) > 1)
    told += ["conversions of fewer bits"] * any(layer.readout.adc_bits < array.adc_bits for layer in layers)
    return told + ["inputs of both signs"] * any(layer.readout.signed for layer in layers)


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

    @settings(max_examples=100)
    @given(networks, chips(Chip.presets(), index=True), st.data())
    def draw(network: Network, chip: Chip, data: st.DataObject) -> None:
        strategy = data.draw(strategies(network, chip))
        seen.update(said(chip, strategy, mapped_by(strategy.with_(mapping="dense"), network, chip).layers))

    draw()
    words = ["different weight bits", "different input bits", "conversions of fewer bits", "inputs of both signs"]
    readings = ("two_passes", "twos_complement", "signed", "ramp", "unary", "used", "rows", *READ)
    for word in (*words, *readings, *Strategy.choices("conversion"), *Strategy.choices("mapping"), *CODINGS):
        assert any(word in text for text in seen), word
