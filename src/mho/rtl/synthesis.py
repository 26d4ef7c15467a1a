"""What the periphery takes in gates: cells and area of each module with a liberty library, beside what the chip's file says.

Yosys maps flip-flops and logic to the library's cells, module by module, so that what is there several times is mapped once. Wires
and clock tree are not in it, and memories of parameters and accumulators are flip-flops, since no macro is at hand.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mho.errors import OptionError
from mho.rtl.plan import Plan

ROLES = {
    "input_register": ("mho_serialiser",),
    "shift_add": ("mho_lane",),
    "output_register": ("mho_columns",),
    "accumulator": ("mho_accumulators",),
}
"""Roles of a chip, and the modules whose own cells stand for them."""


@dataclass(frozen=True)
class Module:
    """A module: how often a group has it, its own cells and area (that of modules in it left out, in the library's unit), for
    each.
    """

    name: str
    count: int
    cells: int
    area: float


@dataclass(frozen=True)
class Synthesis:
    """A group's periphery in a library's cells. `longest`: logic levels or time as Yosys's `ltp` counts cells on the longest
    path.
    """

    chip: str
    library: str
    yosys: str
    modules: tuple[Module, ...]
    longest: int | None
    published: Mapping[str, float | None]

    @property
    def area(self) -> float:
        """The area of a group's periphery."""
        return sum(module.count * module.area for module in self.modules)

    @property
    def cells(self) -> int:
        """The cells of a group's periphery."""
        return sum(module.count * module.cells for module in self.modules)

    def of(self, role: str) -> float:
        """Return the area of the modules that stand for a role, of a group."""
        return sum(m.count * m.area for m in self.modules if m.name.startswith(ROLES[role]))

    def table(self) -> str:
        """Return the modules as a table of text, and roles beside what the chip's file says."""
        lines = [f"{'module':<24}{'count':>6}{'cells':>9}{'area of all':>14}"]
        lines += [f"{m.name:<24}{m.count:>6}{m.cells:>9}{m.count * m.area:>14.1f}" for m in self.modules]
        lines += [
            f"{'all':<24}{'':>6}{self.cells:>9}{self.area:>14.1f}",
            "",
            f"{'role':<24}{'gates':>12}{'chip file, um2':>18}",
        ]
        for role, published in self.published.items():
            lines.append(f"{role:<24}{self.of(role):>12.1f}{'-' if published is None else f'{published:.1f}':>18}")
        return "\n".join(lines) + "\n"


def synthesise(plan: Plan, text: str, liberty: Path) -> Synthesis:
    """Map a group's Verilog to the cells of a liberty library. OptionError where there is no Yosys, or it fails."""
    if shutil.which("yosys") is None:
        raise OptionError("--liberty needs yosys on this machine (Debian: apt-get install yosys)")
    if not liberty.is_file():
        raise OptionError(f"--liberty {liberty}: there is no such file")
    with tempfile.TemporaryDirectory(prefix="mho.rtl.") as scratch:
        folder = Path(scratch)
        (folder / "group.v").write_text(text)
        library = liberty.resolve()
        script = (
            f"read_verilog group.v; hierarchy -check -top mho_group; synth -top mho_group; dfflibmap -liberty {library}; "
            f"abc -liberty {library}; opt_clean; check; tee -o stat.txt stat -liberty {library}; flatten; tee -o path.txt ltp -noff"
        )
        done = subprocess.run(["yosys", "-q", "-p", script], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OptionError(f"yosys failed: {(done.stderr or done.stdout).strip()[-600:]}")
        counted = modules_of((folder / "stat.txt").read_text())
        path = re.search(r"\(length=(\d+)\)", (folder / "path.txt").read_text())
    version = subprocess.run(["yosys", "-V"], capture_output=True, text=True, check=False).stdout.strip()
    return Synthesis(plan.chip.name, liberty.name, version, counted, int(path[1]) if path else None, published(plan))


def modules_of(text: str) -> tuple[Module, ...]:
    """Read what `stat -liberty` prints of each module, and how often the top has it."""
    own: dict[str, tuple[int, float]] = {}
    inside: dict[str, dict[str, int]] = {}
    for name, body in re.findall(r"^=== (mho_\w+) ===\n(.*?)(?=^===|\Z)", text, flags=re.MULTILINE | re.DOTALL):
        cells = re.search(r"Number of cells:\s+(\d+)", body)
        area = re.search(r"Chip area for module[^:]*: ([\d.]+)", body)
        children = {
            child: int(count) for child, count in re.findall(r"^\s+(mho_\w+)\s+(\d+)\s*$", body, flags=re.MULTILINE)
        }
        own[name] = int(cells[1] if cells else 0) - sum(children.values()), float(area[1]) if area else 0.0
        inside[name] = children
    counts: dict[str, int] = {}

    def visit(name: str, times: int) -> None:
        counts[name] = counts.get(name, 0) + times
        for child, count in inside.get(name, {}).items():
            visit(child, times * count)

    visit("mho_group", 1)
    return tuple(Module(name, counts[name], *own[name]) for name in counts if name in own)


def published(plan: Plan) -> dict[str, float | None]:
    """Return the area in um2 that the chip's file gives the parts of a group, None for a role that it does not have."""
    parts = plan.chip.roll_up().parts
    areas = {role: sum(part.area_m2 for part in parts if part.component == role) for role in ROLES}
    return {role: area * 1e12 / plan.chip.groups if area else None for role, area in areas.items()}


__all__ = ["Module", "Synthesis", "modules_of", "published", "synthesise"]
