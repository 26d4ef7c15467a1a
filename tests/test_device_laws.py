"""A device law is one file (tests/toy_telegraph.py) and one line: everything that devices do then does it too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

import mho
from mho.cli.app import command
from mho.errors import DeviceError
from mho.explore.evaluation import draws
from mho.machine.analog.devices import Device
from mho.machine.analog.devices.laws import LAWS
from mho.machine.analog.devices.reader import keys
from mho.machine.analog.devices.template import device_template
from mho.machine.analog.spec import Analog
from mho.machine.lookup import reduce, reference
from mho.training.cells import Chain
from tests.command_line import Shell
from tests.lookup_oracle import chip_of, layout_of, program_of, table_of, trace_of
from tests.toy_telegraph import Telegraph

NOISY = {"telegraph.share": 0.3, "telegraph.amplitude": 0.1}


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    LAWS.add("telegraph", Telegraph)  # the one line
    command.cache_clear()  # a process that has run the command line before
    yield
    LAWS.remove("telegraph")
    command.cache_clear()


def test_streams_of_laws_differ() -> None:
    """What one law draws never moves what another draws."""
    numbers = [law.number for law in LAWS.values() if law.number]
    assert len(set(numbers)) == len(numbers)
    given = {"programming.sigma": 0.1, "g_off_s": 20e-6}
    plain = Device.load("generic").override(given)
    trapped = plain.override(NOISY)
    levels = np.full((64, 64), 2)
    before, after = (device.program(levels, 2, (1,), seed=3) for device in (plain, trapped))
    moved = np.round(before - after, 12)
    assert set(np.unique(moved)) == {0.0, 0.15}, "half of a tenth of three levels, in some cells"
    assert np.mean(moved > 0) == pytest.approx(0.3, abs=0.04)


def test_a_new_law_makes_cells_inexact_reads_noisy_and_chips_differ() -> None:
    plain = Device.load("generic")
    device = plain.override(NOISY)
    assert plain.exact and plain.quiet and not plain.differs(0.0, None)
    assert not device.exact and not device.quiet and device.differs(0.0, None)
    assert np.all(device.read_sigma(np.ones(4), 2) == pytest.approx(np.sqrt(0.3) * 0.1 * 3 / 2))
    assert plain.override({"telegraph.share": 0, "telegraph.amplitude": 0.1}).exact
    assert Device.from_dict(device.to_dict()) == device != plain


def test_a_new_law_is_a_key_of_files_options_and_searches(tmp_path: Path, shell: Shell) -> None:
    assert {"telegraph.share", "telegraph.amplitude"} <= keys().keys()
    analog = Analog().override({f"device.{key}": value for key, value in NOISY.items()})
    assert "telegraph" in analog.device.laws
    swept = mho.explore.ordered("device.telegraph.share")
    assert swept.values[0] == 0 and swept.values[-1] == 1
    with pytest.raises(DeviceError, match=r"telegraph.share: must be from 0 to 1, not 2"):
        Device.load("generic").override({**NOISY, "telegraph.share": 2})
    with pytest.raises(DeviceError, match=r"did you mean telegraph.share"):
        Device.load("generic").override({"telegraph.shar": 2})
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**Device.load("generic").override(NOISY).to_dict(), "name": "mine"}))
    shown = shell("devices", str(path))
    assert shown.code == 0 and "telegraph.amplitude" in shown.out and "0.3" in shown.out
    assert "device.telegraph.share" in shell("sweep", "--help").out.replace("\n", "").replace(" ", "").replace("│", "")


def test_a_template_of_a_device_has_every_law_and_every_key(tmp_path: Path) -> None:
    text = device_template("mine", "mine.yaml")
    assert "telegraph:" in text and "share of cells that have a trap" in text
    for key in keys():
        assert key.rpartition(".")[2] in text
    (tmp_path / "mine.yaml").write_text(text)
    assert Device.load(tmp_path / "mine.yaml").exact
    # Every line that is commented out may be taken in.
    (tmp_path / "whole.yaml").write_text(re.sub(r"^# ( *[a-z_0-9]+: )", r"\1", text, flags=re.MULTILINE))
    assert Device.load(tmp_path / "whole.yaml").laws.keys() == set(LAWS)


def test_execution_look_ups_and_training_obey_a_new_law() -> None:
    """All three put levels into cells by the device alone: nothing of theirs names a law."""
    analog = Analog().override({"adc.bits": "ideal", "device.on_off": 10.0})
    trapped = analog.override({f"device.{key}": value for key, value in NOISY.items()})
    weights, inputs = np.arange(-12, 12).reshape(6, 4) / 12, np.linspace(-1, 1, 4)
    assert not draws(analog) and draws(trapped)
    assert np.any(mho.Core(weights, "aras", trapped) @ inputs != mho.Core(weights, "aras", analog) @ inputs)
    chip = chip_of(tile__groups=12)
    program = program_of(trace_of([[0], [1, 2]], rows=(6,)), layout_of([range(6)]), chip, 16)
    table = table_of(6, 16, 2)
    exact = reference(program.trace, table)
    assert np.all(reduce(program, table, analog).vectors == exact)
    assert np.any(reduce(program, table, trapped).vectors != exact)
    levels = np.ones((8, 8), dtype=np.uint8)
    assert np.all(Chain(chip, analog).seen(levels, 0, 0)[0] == 1)
    seen, variance = Chain(chip, trapped).seen(levels, 0, 0)
    assert np.any(seen < 1) and variance is not None
