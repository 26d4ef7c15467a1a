"""The default run of MNSIM 2.0, and RAELLA beside an 8-bit ISAAC: what simulators say of a network, and what mho says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mho
from mho.studies.chapter import Chapter
from mho.studies.silicon.paper import PAPER, Figures, compared, laid_out

if TYPE_CHECKING:
    from mho.network import Network

VGG8, RESNET18 = "VGG8", "ResNet-18"
PAIRS = {VGG8: 1272, RESNET18: 1968}
"""Pairs of arrays that MNSIM takes for its networks: four a tile."""


def vgg8() -> Network:
    """Build MNSIM's VGG8 for images of 32 x 32: seven convolutions and a layer of 10 outputs."""
    import torch
    from torch import nn

    layers: list[nn.Module] = []
    read, plan = 3, ((128, 1, 0), (128, 1, 1), (256, 1, 0), (256, 1, 1), (512, 1, 0), (512, 1, 1), (1024, 0, 1))
    for channels, padding, pooled in plan:
        layers += [nn.Conv2d(read, channels, 3, padding=padding), nn.ReLU(), *([nn.MaxPool2d(2)] * pooled)]
        read = channels
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(read, 10)).eval()
    return mho.Network.from_torch(model, torch.zeros(1, 3, 32, 32), name="vgg8", origin="MNSIM 2.0, network.py")


def _computing(report: Any) -> float:
    """Return the energy in J of a run without main memory and links."""
    parts = report.to_dict()["energy_j"]["by_component"]
    return float(sum(joules for component, joules in parts.items() if component not in ("memory", "external_io")))


def mnsim() -> dict[str, dict[str, float]]:
    """Return pairs of arrays, time in s, energy in J and area in m2 of MNSIM's networks on its default chip."""
    chip = mho.Chip.load("mnsim")
    tile = chip.roll_up().area_m2.total / chip.tiles
    sized = chip.override({"tiles": PAIRS[VGG8] // 4}, source="the tiles that MNSIM takes")
    report = mho.simulate(mho.compile(vgg8(), sized, "naive"))
    arrays = sum(layer["arrays"] for layer in report.to_dict()["layers"])
    return {
        "pairs": {VGG8: float(arrays)},
        "time": {VGG8: report.latency_s},
        "energy": {VGG8: _computing(report)},
        "area": {name: pairs / 4 * tile for name, pairs in PAIRS.items()},
    }


def mnsim_chapter(measured: Figures) -> Chapter:
    """Set MNSIM's own run beside ours."""
    chapter = PAPER.chapter("mnsim")
    members = compared(chapter, measured, {f"area/{VGG8}": PAPER.says("given")})
    laid_out(chapter, "MNSIM 2.0, default configuration", "network", members)
    return chapter


TILES = {"raella": 743, "isaac": 1024}
"""Tiles that both take of the same area in RAELLA's comparison."""
MODEL = "resnet18"


def raella() -> dict[str, dict[str, float]]:
    """Return by what RAELLA is better than an 8-bit ISAAC: energy of computing, throughput of equal areas, area of a tile."""
    reports, tiles = {}, {}
    for name, count in TILES.items():
        chip = mho.Chip.load(name).override(
            {"tiles": count, "components.external_io": "none"}, source="as RAELLA compares them"
        )
        reports[name] = mho.simulate(mho.compile(mho.zoo.load(MODEL), chip))
        tiles[name] = chip.roll_up().area_m2.total / count
    ours, other = reports["raella"], reports["isaac"]
    return {
        "efficiency": {MODEL: _computing(other) / _computing(ours)},
        "throughput": {MODEL: ours.throughput_per_s / other.throughput_per_s},
        "tile": {MODEL: tiles["raella"] / tiles["isaac"]},
    }


def raella_chapter(measured: Figures) -> Chapter:
    """Set RAELLA's ratios beside ours."""
    chapter = PAPER.chapter("raella")
    members = compared(chapter, measured)
    laid_out(chapter, "RAELLA over an 8-bit ISAAC", "network", members)
    return chapter
