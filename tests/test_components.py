"""A component is one entry of ROLES: chips that do not name it stay what they are, those that do pay for it everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import mho
from mho.chip.roles import ROLES, Role
from mho.chip.template import chip_template
from mho.machine import wear
from mho.machine.energy import count_events
from mho.machine.lookup.energy import Counted, energy
from tests.lookup_oracle import chip_of, layout_of, program_of, trace_of

SHIFTER = "level_shifter"
DIGESTS = {name: mho.Chip.load(name).digest for name in mho.Chip.presets()}


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    # A level shifter before every row: the one entry. It works whenever a row is driven.
    ROLES.add(
        SHIFTER,
        Role(
            "array", "drive", ("level_shift",), lambda chip: chip.array.rows, lambda chip: {"bits": chip.array.dac_bits},
            lambda chip: 1.0 / chip.step_time_s, follows="dac_drive",
        ),
    )  # fmt: skip
    yield
    ROLES.remove(SHIFTER)


def with_shifter(chip: mho.Chip) -> mho.Chip:
    return chip.override({f"components.{SHIFTER}": "isaac-32nm/dac"}, source="as much as a DAC")


@pytest.mark.parametrize("name", mho.Chip.presets())
def test_a_chip_that_does_not_name_a_new_component_stays_what_it_was(name: str) -> None:
    chip = mho.Chip.load(name)
    assert chip.digest == DIGESTS[name]
    assert chip.energy_per_event["level_shift"] == 0 and SHIFTER not in chip.roll_up().area_m2.by_component
    assert f"no component is named for {SHIFTER}: it costs neither energy nor area" in chip.notes


def test_a_chip_that_names_it_pays_for_it_in_area_power_and_energy(tmp_path: Path) -> None:
    plain = mho.Chip.load("aras")
    chip = with_shifter(plain)
    assert chip.digest != plain.digest
    for total in ("area_m2", "peak_power_w", "leakage_w"):
        parts = getattr(chip.roll_up(), total).by_component
        assert parts.get(SHIFTER, 0.0) == parts.get("dac", 0.0)
    program = mho.compile(mho.zoo.load("resnet20"), chip)
    report = mho.simulate(program)
    joules = report.to_dict()["energy_j"]["by_component"]
    assert joules[SHIFTER] == joules["dac"] > 0
    events = count_events(program, wear(program), program.setup, len(program.instructions))
    for (layer, event, kind), count in events.items():
        if event == "dac_drive":
            assert events[layer, "level_shift", kind] == count
    template = chip_template("aras", "mine", "mine.yaml")
    assert f"#   {SHIFTER}: {{use: ..., source: mine}}  # in each array; costs per drive" in template
    (tmp_path / "mine.yaml").write_text(template)
    assert mho.Chip.load(tmp_path / "mine.yaml") == plain


def test_look_ups_pay_for_it_too() -> None:
    chip = with_shifter(chip_of(tile__groups=12))
    program = program_of(trace_of([[0], [1, 2]], rows=(6,)), layout_of([range(6)]), chip, 16)
    counted = Counted(program.reading.bits * 0 + 3, 4, 0, 2, 1e-6)
    joules = energy(counted, program.seats, program.reading, 4)
    assert joules[SHIFTER, "compute"] == joules["dac", "compute"] > 0
