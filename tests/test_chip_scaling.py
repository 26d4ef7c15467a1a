"""Components at another node than the chip's: scaled by the published rule, or said to stand where they stand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.chip import Chip
from mho.chip.scaling import stillmaker
from mho.errors import ChipError

NM = 1e-9


def at(node_nm: float, rule: str) -> Chip:
    values = {"node": node_nm * NM, "scaling": rule}
    return Chip.load("aras").override(values, source="scaling")


def test_without_a_rule_a_chip_says_which_components_stand_at_another_node() -> None:
    at_7 = at(7, "none")
    apart = [note for note in at_7.notes if "not at this chip's 7 nm" in note]
    named = " ".join(apart)
    for role, node in at_7.costs.nodes.items():
        assert (role in named) == (node != at_7.node), role
    assert "adc" in named and "at 32 nm" in named and "input_register" in named and "at 40 nm" in named
    assert at_7.energy_per_event == Chip.load("aras").energy_per_event


def test_no_rule_is_the_same_chip_and_a_rule_is_another() -> None:
    aras = Chip.load("aras")
    assert at(32, "none").digest == aras.digest
    assert at(32, "stillmaker").digest != aras.digest


def test_at_the_node_where_it_was_published_nothing_moves() -> None:
    """Of aras, what comes from 32 nm stays; registers, adders and multipliers come from 40 nm and shrink."""
    aras, scaled = Chip.load("aras"), at(32, "stillmaker")
    for event, joules in scaled.energy_per_event.items():
        role = scaled.costs.event_component[event]
        technology = aras.uses[role].technology
        if technology is None or technology.node == aras.node:
            assert joules == aras.energy_per_event[event]
        else:
            assert joules < aras.energy_per_event[event]


@pytest.mark.parametrize(("node_nm", "energy", "area"), [(7, 0.04781, 1.0), (16, 0.13847, 3.2), (65, 1.68075, 25.0)])
def test_digital_components_scale_by_the_published_table(node_nm: float, energy: float, area: float) -> None:
    """Table 5 of Stillmaker and Baas at the supplies that the file states, against 0.457137 and 7.8 at 32 nm."""
    aras, scaled = Chip.load("aras"), at(node_nm, "stillmaker")
    assert scaled.energy_per_event["noc_byte"] / aras.energy_per_event["noc_byte"] == pytest.approx(
        energy / 0.457137, rel=1e-3
    )
    assert scaled.costs.area_m2("noc") / aras.costs.area_m2("noc") == pytest.approx(area / 7.8, rel=1e-9)
    assert scaled.energy_per_event["adc_conversion"] == aras.energy_per_event["adc_conversion"]
    assert scaled.leakage_w == aras.leakage_w
    assert scaled.window_time_s == aras.window_time_s
    total = scaled.roll_up().area_m2
    assert total.total == pytest.approx(sum(total.by_component.values()))


@settings(max_examples=60)
@given(*[st.floats(7, 130)] * 3, st.sampled_from(["energy", "read_energy", "area", "leakage"]))
def test_scaling_twice_is_scaling_once_and_smaller_is_never_more(a: float, b: float, c: float, figure: str) -> None:
    rule = stillmaker()
    a, b, c = (each * NM for each in (a, b, c))
    assert rule.factor(figure, a, c) == pytest.approx(rule.factor(figure, a, b) * rule.factor(figure, b, c), rel=1e-9)
    if b < a:
        assert rule.factor(figure, a, b) <= 1 + 1e-12


def test_what_the_rule_does_not_reach_is_refused() -> None:
    with pytest.raises(ChipError, match="from 7 to 130 nm, not to 3 nm"):
        at(3, "stillmaker")
    with pytest.raises(ChipError, match=r"scaling.*not allowed.*none, stillmaker"):
        at(32, "moore")


def test_a_chip_with_a_rule_survives_its_own_description() -> None:
    scaled = at(16, "stillmaker")
    assert Chip.from_dict(scaled.to_dict()).digest == scaled.digest
