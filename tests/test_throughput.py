"""The five networks of ARAS on its chip, against what is to be reached; the page is what the command makes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

import mho
from benchmarks.throughput import FLOORS, PAGE, render, rows
from mho.chip import Chip
from mho.machine.channels import GLOBAL_BUFFER, passed_bytes
from mho.program.columns import COMBINE, VECTOR, columns
from tests.strategies import GREEDY


@pytest.fixture(scope="module")
def measured() -> list[dict[str, Any]]:
    return rows()


def test_the_chip_is_that_of_the_paper() -> None:
    """ARAS Table II: 96 cycles a window and 768,000 cycles a write at 1 GHz."""
    chip = Chip.load("aras")
    assert chip.window_time_s == pytest.approx(96e-9, rel=1e-12)
    assert chip.array_write_time_s == pytest.approx(768e-6, rel=1e-12)
    assert chip.arrays == 2304


@pytest.mark.parametrize("schedule", FLOORS)
def test_schedules_reach_their_floor_on_every_network(measured: list[dict[str, Any]], schedule: str) -> None:
    for row in measured:
        assert row[schedule]["per_s"] >= FLOORS[schedule][row["network"]], row


def test_no_schedule_beats_the_bound_and_adaptive_is_the_fastest(measured: list[dict[str, Any]]) -> None:
    for row in measured:
        ratios = [row[schedule]["bound_ratio"] for schedule in ("adaptive", "aras", "overlap", "naive")]
        assert ratios == sorted(ratios)
        assert 1 <= ratios[0] <= 1.06


def test_aras_speeds_up_convolutional_networks_alone_and_resnet_most(measured: list[dict[str, Any]]) -> None:
    """ARAS section VII-B: DenseNet-161 gains least of the three, ResNet-50 most, BERT nothing."""
    gain = {row["network"]: row["aras"]["per_s"] / row["overlap"]["per_s"] for row in measured}
    assert 1.2 < gain["densenet161"] < gain["vgg16"] < gain["resnet50"]
    assert gain["bert-base"] == gain["bert-large"] == 1


def test_naive_takes_the_sum_of_writes_and_computing(measured: list[dict[str, Any]]) -> None:
    """ARAS Figure 7; ResNet-50: 54 layers of 0.768 ms, one more write for what exceeds the chip, and 5.9 ms of windows.

    One copy of a layer asks for less than the port of the global buffer gives, so what is left is what vector layers move
    through it, and the input's and output's way over the memory channel.
    """
    network = mho.zoo.load("resnet50")
    chip = Chip.load("aras")
    program = mho.compile(network, chip, GREEDY.with_(schedule="naive"))
    segments = sum(-(-layer.count // chip.groups) for layer in program.mapping.layers)
    served = sum(-(-layer.count // chip.groups) * layer.windows for layer in program.mapping.layers)
    expected = segments * chip.array_write_time_s + served * chip.window_time_s
    (row,) = [row for row in measured if row["network"] == "resnet50"]
    moved = float(passed_bytes(program)[GLOBAL_BUFFER, columns(program).of(COMBINE, VECTOR)].sum())
    expected += moved * 8 / chip.buffer.port_bits / chip.frequency_hz
    assert row["naive"]["seconds"] == pytest.approx(expected, rel=1e-3)
    assert row["naive"]["seconds"] == pytest.approx(48e-3, rel=0.03)


def test_the_page_is_what_the_command_makes(measured: list[dict[str, Any]]) -> None:
    assert PAGE.read_text() == render(measured)


@pytest.mark.parametrize("schedule", ["overlap", "adaptive"])
@pytest.mark.parametrize("name", ["resnet50", "bert-base"])
def test_more_arrays_are_never_slower(name: str, schedule: str) -> None:
    network = mho.zoo.load(name)
    chips = [Chip.load("aras").override({"tiles": n}, source="law") for n in (24, 48, 96, 192, 384)]
    strategy = GREEDY.with_({"effort": 0.1} if schedule == "adaptive" else {"schedule": schedule}, residency="never")
    times = [mho.simulate(mho.compile(network, chip, strategy)).latency_s for chip in chips]
    assert all(after <= before * (1 + 1e-9) for before, after in pairwise(times))
