"""Codings chosen under a budget from the command line: the choice is the library's, and what is made of it is exact."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import mho
from mho.errors import OptionError
from mho.mapping import Frontier, map_network
from mho.network.graph import Network
from mho.network.samples import load_samples
from mho.network.zoo.configuration import read_configuration
from mho.network.zoo.decoder import decoder
from mho.number import QuantisedNetwork
from mho.number.recode import form
from mho.schedule import coded
from tests.command_line import DECODER, Shell, write_onnx, write_samples

SQUEEZED = ("--chip", "sme", "--schedule", "overlap", "--mapping", "squeezed")
MANY = ("--grid", "window:8:3,planes:2", "--squeeze", "0,3")
CODINGS: dict[str, dict[str, Any]] = {
    "window:8:3": {"grid": "window:8:3"},
    "window:8:3 squeezed by 3": {"grid": "window:8:3", "squeeze": 3},
    "planes:2": {"grid": "planes:2", "per_channel": True},
}
"""The codings that these name, each with how the library is asked for it."""
NARROW = ("--set", "array.columns=32")
"""Arrays so narrow that codings of a small decoder differ in arrays."""
IDS = ("--calibration", "ids.npz")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a small decoder, a smaller network of one layer, and samples for both."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "decoder.yaml").write_text(yaml.safe_dump(DECODER))
    np.savez(tmp_path / "ids.npz", x=np.random.default_rng(3).integers(0, 40, (6, 4)))
    write_onnx(tmp_path / "net.onnx")
    write_samples(tmp_path / "samples.npz", count=4)
    return tmp_path


def told(content: dict[str, Any]) -> Any:
    """Return a report without its notes, which say where samples are from, and without what made the codes."""
    return json.loads(
        json.dumps({key: value for key, value in content.items() if key not in ("notes", "strategy", "papers")})
    )


@dataclass(frozen=True)
class Chosen:
    """What the library chooses for the decoder: the chip, the network in each coding, what these cost, and the choice."""

    chip: mho.Chip
    codings: list[QuantisedNetwork]
    table: Frontier
    picks: tuple[int, ...]
    network: QuantisedNetwork


def chosen(budget: float, **options: Any) -> Chosen:
    """Choose by the library alone."""
    network = decoder(read_configuration("decoder.yaml"), weights="seeded", seed=0, batch=1)
    inputs = load_samples(Path("ids.npz"), network, key=None).inputs
    base = mho.number.quantise(network, inputs)
    codings = [base]
    for each in CODINGS.values():
        more = {"per_channel": False, **each, **options, **({"samples": inputs} if options else {})}
        codings.append(mho.number.recode(base, form(str(more.pop("grid"))), **more))
    chip = mho.Chip.load("sme").override({"array.columns": 32}, source="given on the command line")
    table = mho.mapping.frontier(codings, chip, inputs)
    picks = table.within(budget)
    return Chosen(chip, codings, table, picks, mho.mapping.mixed(codings, picks))


@pytest.mark.parametrize("rounding", ["nearest", "output"])
def test_a_budget_chooses_what_the_library_chooses(rounding: str, folder: Path, shell: Shell) -> None:
    ours = chosen(0.02, **({} if rounding == "nearest" else {"method": rounding}))
    # The budget is one under which layers differ: some stay in 8 bits, some do not.
    assert len(set(ours.picks)) > 1 and 0 in ours.picks
    program = mho.compile(ours.network, ours.chip, mho.Strategy().with_(schedule="overlap", mapping="squeezed"))
    words = ("decoder.yaml", *SQUEEZED, *NARROW, *MANY, "--rounding", rounding, "--budget", "0.02", *IDS)
    found = shell("run", *words, "--json").json()
    assert told(found) == told(mho.simulate(program).to_dict())
    arrays, error = ours.table.total(ours.picks)
    assert found["arrays"]["used"] == arrays
    names = ["8 bits", *CODINGS]
    counted = ", ".join(f"{ours.picks.count(k)} of {names[k]}" for k in sorted(set(ours.picks)))
    said = "\n".join(found["notes"])
    assert f"codings of layers chosen one by one: {counted}\n" in said
    assert f"{arrays} arrays in these codings, {ours.table.costs[:, 0].sum()} with all layers in 8 bits" in said
    assert f"sum to {error:.3g} of the output's variance (budget 0.02)" in said
    assert error <= 0.02
    # The error of all layers together is that of the network as it is compiled.
    output = ours.network.network.outputs[0]
    inputs = load_samples(Path("ids.npz"), ours.network.network, key=None).inputs
    wanted, together = (mho.number.run_reference(each, inputs)[output] for each in (ours.codings[0], ours.network))
    assert f"all together is {np.square(together - wanted).mean() / wanted.var():.3g}, measured on" in said
    assert shell("compare", *words, "--json").json()["reports"] == [found]


def test_a_budget_of_nothing_changes_no_output_and_one_without_end_takes_the_fewest_arrays(
    folder: Path, shell: Shell
) -> None:
    words = ("run", "decoder.yaml", *SQUEEZED, *NARROW, *MANY, *IDS)
    table = chosen(0.0).table
    most = shell(*words, "--budget", "10000", "--json").json()["arrays"]["used"]
    assert most == table.costs.min(axis=1).sum()
    found = shell(*words, "--budget", "0", "--json").json()
    assert most < found["arrays"]["used"] <= table.costs[:, 0].sum()
    assert "sum to 0 of the output's variance" in "\n".join(found["notes"])


def test_what_is_chosen_is_verified_and_kept(folder: Path, shell: Shell) -> None:
    words = ("run", "decoder.yaml", *SQUEEZED, *NARROW, *MANY, "--budget", "0.02", *IDS, "--verify")
    assert shell(*words, "--save", "kept.mho").code == 0
    ours = chosen(0.02)
    kept = mho.Program.load("kept.mho").quantised
    assert kept is not None
    for name, matrix in ours.network.matrices.items():
        assert np.array_equal(kept.matrices[name].codes, matrix.codes)
        assert np.array_equal(kept.matrices[name].scale, matrix.scale)
    assert set(kept.squeezes) == set(ours.network.squeezes)
    found = shell("verify", "decoder.yaml", *words[2:-1], "--json").json()
    assert found["bit_exact"] and found["legal"]


def test_accuracy_and_sweep_are_those_of_the_coding_that_is_chosen(folder: Path, shell: Shell) -> None:
    """In arrays of 8 columns the layer takes 2 in 8 bits and 1 in bits squeezed: enough budget takes these."""
    words = (
        *SQUEEZED,
        "--grid",
        "window:8:3",
        "--squeeze",
        "4",
        "--data",
        "samples.npz",
        "--set",
        "chip.array.columns=8",
    )
    chip = mho.Chip.load("sme").override({"array.columns": 8}, source="given on the command line")
    network = Network.from_onnx("net.onnx")
    given = load_samples(Path("samples.npz"), network, key=None)
    plain = mho.number.quantise(network, given.inputs)
    both = [plain, mho.number.recode(plain, mho.number.Grid.window(8, 3), per_channel=False, squeeze=4)]
    arrays = [map_network(each, chip, mapping="squeezed").arrays for each in both]
    assert arrays[0] > arrays[1]
    for budget, quantised in (("0", both[0]), ("10", both[1])):
        program = mho.compile(quantised, chip, mho.Strategy().with_(schedule="overlap", mapping="squeezed"))
        ours = mho.explore.evaluate(program, given, mho.machine.Analog(), seeds=1, calibration=given).to_dict()
        asked = ("net.onnx", *words, "--budget", budget, "--seeds", "1")
        found = shell("accuracy", *asked, "--json").json()
        for key in ("accuracy", "layers", "chip"):
            assert found[key] == json.loads(json.dumps(ours[key]))
        out = f"out-{budget}"
        swept = shell("sweep", *asked, "--over", "adc.bits=8", "--out", out, "--json").json()
        assert swept["points"][0]["accuracy"]["mean"] == found["accuracy"]["chip"]["mean"]
    # Under a budget layers may stay in 8 bits, of which the codes may be symmetric.
    assert shell("accuracy", "net.onnx", *words, "--budget", "0", "--seeds", "1", "--symmetric").code == 0


def test_progress_tells_codings_and_layers(folder: Path) -> None:
    heard: list[str] = []
    network = Network.from_onnx("net.onnx")
    given = load_samples(Path("samples.npz"), network, key=None)
    strategy = mho.Strategy().with_(mapping="squeezed", grid="window:8:3,planes:2", squeeze=1, budget=0.1)
    coded(mho.number.Sampled(network, calibration=given), mho.Chip.load("sme"), strategy, heard.append)
    assert heard == [
        "recoding to window:8:3 squeezed by 1",
        "recoding to planes:2",
        "measuring codings: layer filter, 1 of 1",
    ]


def test_a_name_of_a_grid_or_of_planes_is_read() -> None:
    for name in ("window:8:3", "uniform:5", "power-of-two:8", "planes:2.5", "planes:3:64"):
        assert str(form(name)) == name
    with pytest.raises(OptionError, match=r"window.*planes"):
        form("windows")
