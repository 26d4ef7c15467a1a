"""Packages outside the tree add choices by entry points; what fails is named."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mho
from mho import plugins
from mho.errors import OptionError, PluginError
from mho.files.store import key_of
from mho.network.layers import LAYER_KINDS, Reshape
from mho.strategy import registered, unregister


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path, as pip installs into; plugins are looked for afresh."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins._PluginState, "started", False)
    monkeypatch.setattr(plugins._PluginState, "error", None)
    monkeypatch.setattr(plugins._PluginState, "brought", ())
    yield tmp_path
    sys.modules.pop("mho_toys", None)


def install(site: Path, module: str, point: str = "mho_toys:register") -> None:
    """Install a package of one module with one plugin."""
    (site / "mho_toys.py").write_text(module)
    record = site / "mho_toys-1.2.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: mho-toys\nVersion: 1.2\n")
    (record / "entry_points.txt").write_text(f"[mho.plugins]\ntoys = {point}\n")


TOY = """
from mho.files.store import key_of
from mho.network.layers import LAYER_KINDS, Reshape
from mho.strategy import registered, unregister
calls = 0

class Toy(Reshape):
    kind = "toy of a plugin"

def register():
    global calls
    calls += 1
    assert "reshape" in LAYER_KINDS     # registries may be read while plugins register
    LAYER_KINDS.add(Toy.kind, Toy)
"""


def test_a_plugin_is_called_once_when_a_registry_is_first_read(site: Path) -> None:
    install(site, TOY)
    assert "mho_toys" not in sys.modules
    try:
        assert LAYER_KINDS["toy of a plugin"].__name__ == "Toy"
        assert "toy of a plugin" in list(LAYER_KINDS) and LAYER_KINDS["reshape"] is Reshape
        assert sys.modules["mho_toys"].calls == 1
    finally:
        LAYER_KINDS.remove("toy of a plugin")


@pytest.mark.parametrize(
    ("module", "point", "words"),
    [
        ("def register():\n    raise ValueError('no such wire')", "mho_toys:register", "ValueError: no such wire"),
        ("import nothing_of_that_name", "mho_toys:register", "ModuleNotFoundError"),
        ("", "mho_toys:register", "AttributeError"),
        ("register = 3", "mho_toys:register", "TypeError"),
        (TOY.replace("Toy.kind", "'reshape'"), "mho_toys:register", "a layer kind 'reshape' already"),
    ],
)
def test_a_plugin_that_fails_is_named_each_time(site: Path, module: str, point: str, words: str) -> None:
    install(site, module, point)
    for _ in range(2):
        with pytest.raises(PluginError, match=words) as caught:
            LAYER_KINDS["reshape"]
        assert "'toys' of package mho-toys 1.2 (mho_toys:register)" in str(caught.value)


MANY = """
from dataclasses import dataclass

def register():
    from mho.chip.roles import ROLES
    from mho.machine.analog.devices.laws import LAWS
    from mho.network import onnx_reader
    from mho.network import torch
    from mho.schedule.naive import Naive
    from mho.mapping import Dense
    from mho.strategy import choice

    @choice("schedule", "of-plugin")
    class Schedule(Naive):
        "A schedule of a plugin."

    @choice("mapping", "of-plugin")
    class Mapping(Dense):
        "A mapping of a plugin."

    LAWS.add("of-plugin", LAWS["drift"])
    ROLES.add("of-plugin", ROLES["external_io"])
    onnx_reader.HANDLERS.add("toys::Same", onnx_reader.HANDLERS["Relu"])
    torch.HANDLERS.add("of-plugin", torch.HANDLERS["relu"])
"""


def test_a_plugin_may_bring_a_choice_of_every_kind(site: Path) -> None:
    install(site, MANY)
    from mho.chip.roles import ROLES
    from mho.machine.analog.devices.laws import LAWS
    from mho.network import onnx_reader, torch

    tables = (ROLES, LAWS, torch.HANDLERS)
    try:
        strategy = mho.Strategy().with_(schedule="of-plugin", mapping="of-plugin")
        assert (str(strategy.schedule), str(strategy.mapping)) == ("of-plugin", "of-plugin")
        assert all("of-plugin" in table for table in tables) and "toys::Same" in onnx_reader.HANDLERS
    finally:
        for stage in ("schedule", "mapping"):
            unregister(registered(stage)["of-plugin"])
        for table in tables:
            table.remove("of-plugin")
        onnx_reader.HANDLERS.remove("toys::Same")


FOLDER = """
from pathlib import Path
from mho.plugins import FOLDERS

def register():
    FOLDERS.add("chip/toys", Path(__file__).parent)
"""


def test_a_folder_of_presets_holds_chips_by_name(site: Path) -> None:
    install(site, FOLDER)
    text = Path(mho.chip.__file__).with_name("presets").joinpath("aras.yaml").read_text()
    (site / "toy-chip.yaml").write_text(text.replace("name: aras", "name: toy-chip", 1))
    try:
        assert plugins.folders("chip") == (site,)
        assert plugins.folders("strategy") == ()
        assert "toy-chip" in mho.Chip.presets() and "aras" in mho.Chip.presets()
        assert mho.Chip.load("toy-chip").arrays == mho.Chip.load("aras").arrays
        assert plugins.brought() == ("'toys' of package mho-toys 1.2 (mho_toys:register)",)
        assert key_of("mho.errors") != before
        (site / "aras.yaml").write_text("name: aras")
        with pytest.raises(PluginError, match=r"aras\.yaml: there is a chip 'aras' already"):
            mho.Chip.presets()
    finally:
        plugins.FOLDERS.remove("chip/toys")


before = key_of("mho.errors")
"""A key of this process, in which no plugin is installed."""


def test_a_registry_is_a_mapping_that_refuses_a_name_twice() -> None:
    toys = plugins.Registry("toy", {"a": 1})
    toys.add("b", 2)
    assert dict(toys) == {"a": 1, "b": 2} and len(toys) == 2 and repr(toys) == "Registry('toy': a, b)"
    with pytest.raises(OptionError, match="a toy 'a' already"):
        toys.add("a", 3)
