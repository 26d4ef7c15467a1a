"""What the terminal shows fits its width, cuts no number, and leaves nothing out."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import mho
from mho.chip import Chip
from mho.engineering import quantity, ratio
from mho.explore import Comparison
from mho.network.graph import Network
from mho.report.views import show
from tests.strategies import ALONE, GREEDY, chips, networks

few = settings(max_examples=15)
WIDTHS = (80, 100, 120, 200)


@pytest.fixture(scope="module")
def reports() -> list[mho.Report]:
    network = mho.zoo.load("resnet20")
    chip = Chip.load("aras").override({"tiles": 4}, source="a smaller chip, so that layers are written anew")
    return [mho.simulate(mho.compile(network, chip, GREEDY.with_(schedule=name))) for name in ("naive", "overlap")]


def console(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False)


def summarised(report: mho.Report, width: int) -> str:
    screen = console(width)
    show(report, screen)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def compared(reports: list[mho.Report], width: int) -> str:
    screen = console(width)
    show(Comparison.between(*reports), screen)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


@few
@given(networks, chips(), st.sampled_from(ALONE), st.sampled_from(WIDTHS))
def test_a_summary_fits_its_width_and_cuts_nothing(network: Network, chip: Chip, schedule: str, width: int) -> None:
    text = summarised(mho.simulate(mho.compile(network, chip, GREEDY.with_(schedule=schedule))), width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text


@pytest.mark.parametrize("width", WIDTHS)
def test_a_summary_tells_time_energy_area_and_the_costliest_layers(reports: list[mho.Report], width: int) -> None:
    report = reports[1]
    text, content = summarised(report, width), report.to_dict()
    for expected in (
        "resnet20 on aras*, schedule overlap",
        "not executed",
        quantity(report.latency_s, "s"),
        ratio(content["bound_ratio"]),
        f"{quantity(report.energy_j, 'J')} per inference",
        quantity(content["area_m2"]["total"], "m²"),
        "none (shapes only)",
    ):
        assert expected in text
    for kind, joules in content["energy_j"]["by_kind"].items():
        assert any(line.split()[:1] == [kind] and quantity(joules, "J") in line for line in text.splitlines())
    costliest = sorted(content["layers"], key=lambda layer: -layer["energy_j"])[:10]
    rows = [line.split()[0] for line in text.split("Costliest layers")[1].splitlines()[3:13]]
    assert rows == [layer["name"] for layer in costliest]


def test_long_names_are_cut_in_the_middle_and_numbers_are_not(reports: list[mho.Report]) -> None:
    network = reports[0].program.network
    layers = tuple(
        replace(
            layer,
            name=f"a.very.long.path.of.modules.before.the.name.{layer.name}",
            inputs=tuple(f"a.very.long.path.of.modules.before.the.name.{name}" for name in layer.inputs),
        )
        for layer in network.layers
    )
    outputs = tuple(f"a.very.long.path.of.modules.before.the.name.{name}" for name in network.outputs)
    report = mho.simulate(mho.compile(Network(network.name, layers, outputs, network.origin), "aras", GREEDY))
    table = summarised(report, 80).split("Costliest layers")[1].split("Notes")[0]
    assert all(len(line) <= 80 for line in table.splitlines())
    for line in table.splitlines()[3:13]:
        assert line.count("…") == 1
        assert line.split()[0].startswith("a.ve")


def test_a_setup_and_a_verification_are_told(reports: list[mho.Report]) -> None:
    resident = mho.simulate(mho.compile(mho.zoo.load("resnet20"), "aras", GREEDY), verified="bit-exact on 1 sample")
    assert resident.program.setup > 0
    text = summarised(resident, 100)
    assert "executed: bit-exact on 1 sample" in text
    assert any(line.split()[:1] == ["Setup"] for line in text.splitlines())
    assert not any(line.split()[:1] == ["Setup"] for line in summarised(reports[0], 100).splitlines())


@pytest.mark.parametrize("width", WIDTHS)
def test_a_comparison_has_a_row_a_schedule_measured_against_the_first(reports: list[mho.Report], width: int) -> None:
    text = compared(reports, width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
    assert text.splitlines()[0] == "resnet20 on aras*"
    cells = " ".join(line for line in text.splitlines() if line.strip().startswith("overlap"))
    faster = reports[0].latency_s / reports[1].latency_s
    content = reports[1].to_dict()
    for expected in (quantity(reports[1].latency_s, "s"), ratio(faster), quantity(reports[1].energy_j, "J")):
        assert expected in cells
    for joules in content["energy_j"]["by_kind"].values():
        assert quantity(joules, "J") in cells
    first = next(line for line in text.splitlines() if line.strip().startswith("naive"))
    assert "1.00 ×" in first


def test_a_comparison_of_several_chips_names_them(reports: list[mho.Report]) -> None:
    other = mho.simulate(mho.compile(mho.zoo.load("resnet20"), "isaac", GREEDY.with_(schedule="overlap")))
    lines = compared([reports[0], other], 120).splitlines()
    assert lines[0] == "resnet20"
    assert any(line.strip().startswith("aras* naive") for line in lines)
    assert any(line.strip().startswith("isaac overlap") for line in lines)


def test_variants_of_one_chip_are_told_apart(reports: list[mho.Report]) -> None:
    chip = Chip.load("aras").override({"tiles": 5}, source="another variant")
    other = mho.simulate(mho.compile(mho.zoo.load("resnet20"), chip, GREEDY.with_(schedule="naive")))
    text = compared([reports[0], other], 120)
    for report in (reports[0], other):
        assert f"aras* {report.program.chip.digest[:6]} naive" in text


def test_a_comparison_of_nothing_is_refused() -> None:
    with pytest.raises(mho.errors.OptionError, match="at least one report"):
        Comparison.between()
