"""How the published figures of a component move to another node: the rule that a chip file names by `scaling`.

Only digital CMOS scales by it, which a technology file says of each of its components (`scales`); analog circuits, cells
and what is off the chip keep their figures. Times never move: they are the chip file's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mho.errors import ChipError
from mho.files.text import read_yaml

ENERGIES = ("energy", "read_energy", "write_energy")


@dataclass(frozen=True)
class Scaling:
    """Energy and area of a digital circuit by node in m, each relative to any other node's; with the sources."""

    energy: Mapping[float, float]
    area: Mapping[float, float]
    sources: tuple[str, ...]

    def factor(self, figure: str, start: float, end: float) -> float:
        """Return what a figure is multiplied by from node `start` to node `end`; 1 for a leakage, which the rule does not tell.

        Raises ChipError where a node lies outside the rule.
        """
        if start == end or figure not in (*ENERGIES, "area"):
            return 1.0
        table = self.area if figure == "area" else self.energy
        return _between(table, end) / _between(table, start)


def _between(table: Mapping[float, float], node: float) -> float:
    """Return the value at a node: of the table, or by the power law through its two neighbours."""
    nodes = sorted(table)
    if not nodes[0] <= node <= nodes[-1]:
        raise ChipError(
            f"scaling: the rule reaches from {nodes[0] * 1e9:g} to {nodes[-1] * 1e9:g} nm, not to {node * 1e9:g} nm"
        )
    upper = next(known for known in nodes if known >= node)
    lower = max((known for known in nodes if known <= node), default=upper)
    if lower == upper:
        return table[upper]
    share = math.log(node / lower) / math.log(upper / lower)
    return table[lower] * math.pow(table[upper] / table[lower], share)


@lru_cache(maxsize=1)
def stillmaker() -> Scaling:
    """Read the rule of Stillmaker and Baas: energy a V^2 + b V + c at each node's supply V (Table 5), and relative area."""
    raw = read_yaml(Path(__file__).parent / "scaling.yaml", ChipError)
    energy, area = {}, {}
    for entry in raw["nodes"]:
        node = float(f"{entry['node_nm']}e-9")
        square, linear, constant = entry["energy"]
        energy[node] = square * entry["supply_v"] ** 2 + linear * entry["supply_v"] + constant
        area[node] = entry["area"]
    return Scaling(energy, area, tuple(" ".join(text.split()) for text in raw["sources"].values()))
