"""Every choice at every stage with every other, drawn from what is registered: exact, legal, bounded, and booked in full."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.network.graph import Network
from mho.network.samples import synthetic
from mho.program import violations
from tests.strategies import chips, networks, strategies


@settings(max_examples=60)
@given(networks, chips(Chip.presets(), index=True), st.data())
def test_whatever_is_not_refused_is_exact_legal_bounded_and_booked_in_full(
    network: Network, chip: Chip, data: st.DataObject
) -> None:
    samples = synthetic(network, 2, seed=1)
    subject = mho.number.Sampled(network, calibration=samples)
    strategy = data.draw(strategies(subject, chip))
    program = mho.compile(subject, chip, strategy)
    result = mho.verify(program, samples.inputs)
    assert result.ok, str(result)
    assert result.samples == 2 and result.compared >= len(network.matrix_layers)
    report = mho.simulate(program)
    assert violations(program, (report.timing.starts, report.timing.ends)) == ()
    assert report.latency_s >= report.bound.seconds * (1 - 1e-9)
    for key in ("component", "kind"):
        assert sum(report.account.by(key).values()) == pytest.approx(report.energy_j, rel=1e-12)
