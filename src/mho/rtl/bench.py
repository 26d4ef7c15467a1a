"""The test bench as Verilog: a behavioural model of arrays and ADCs, and what gives words to a group and notes what leaves it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from mho.errors import OptionError, choices
from mho.rtl.accumulate import WIDE
from mho.rtl.commands import END, LOAD, OPERATION_BITS, STROBES, WAIT, WINDOW, Stimulus, quiet_cycles
from mho.rtl.group import Group
from mho.rtl.simulate import Observed

SIMULATORS = ("icarus", "verilator", "amaranth")
PROGRAMS = {"verilator": "verilator", "icarus": "iverilog"}
TEMPLATE = Path(__file__).with_name("bench.v")
"""The Verilog of a test bench, with what depends on the group in braces."""


def bench_text(group: Group, stimulus: Stimulus, words: int) -> str:
    """Return the test bench of a group for a run of so many words."""
    plan, cases = group.plan, []
    told, free = stimulus.told, "!(loaded && loads == 0 && !window_begins)"
    for operation in sorted(set(told.fields) - {WAIT}):
        place, texts, driven = OPERATION_BITS, [], told.ports[operation]
        for name, bits in told.fields[operation].items():
            port = "block_loading" if name == "block" else driven.get(name, name)
            if name in driven or name in ("block", "vector"):
                taken = len(getattr(group, port)) if name in driven else bits
                texts.append(f"{port} = word[{place} +: {taken}];")
            place += bits
        if operation in STROBES:
            port, which = STROBES[operation]
            texts.append(f"{port}[word[{OPERATION_BITS} +: 16]] = 1;" if which else f"{port} = 1;")
        texts += {WINDOW: [f"loads = {plan.loads};"], LOAD: [f"loads = loads - 1; {_buffer(group)}"]}.get(operation, [])
        waits = f"if ({free}) " if operation in (WINDOW, LOAD) else ""
        cases.append(f"      {operation}: {waits}begin {' '.join(texts)} at = at + 1; end")
    cases.append(f"      {WAIT}: if (quiet > {quiet_cycles(plan)}) at = at + 1;")
    members = group.signature.members
    low, high = plan.code_range
    shapes = {name: len(getattr(group, name)) for name in members}
    declared = "\n".join(
        f"  {'reg' if member.flow.name == 'In' and name != 'codes' else 'wire'} [{shapes[name] - 1}:0] {name};"
        for name, member in members.items()
    )
    zeros = "\n".join(
        f"    {name} = 0;" for name, member in members.items() if member.flow.name == "In" and name != "codes"
    )
    return TEMPLATE.read_text().format(
        plan=plan, top={name: bits - 1 for name, bits in shapes.items()}, cell_top=_cell_bits(stimulus) - 1,
        cells_last=len(stimulus.cell_sets) * plan.arrays * plan.rows * plan.conversions - 1, signs=int(plan.both_signs),
        low=low, high=high, word_top=told.bits - 1, last_word=words - 1,
        declarations=declared, connections=", ".join(f".{name}({name})" for name in members), zeros=zeros,
        inputs_each=len(stimulus.vectors[0]),
        inputs_last=len(stimulus.vectors) * len(stimulus.vectors[0]) - 1, input_top=plan.load_bits - 1,
        inputs='initial $readmemh("inputs.hex", inputs);' if group.rows else "",
        strobes=" ".join(f"{name} = 0;" for name, _ in STROBES.values() if name in members),
        number_bits=group.output_shape.width, wide=WIDE, op_top=OPERATION_BITS - 1,
        cases="\n".join(cases),
    )  # fmt: skip


def _buffer(group: Group) -> str:
    """Return what answers with the inputs that an index asks for, if any."""
    if group.rows is None:
        return ""
    rows = group.rows
    return (
        f"for (n = 0; n < {rows.words}; n = n + 1) load_codes[n*{rows.code_bits} +: {rows.code_bits}] = "
        f"inputs[vector * inputs_each + input_index[n*{rows.index_bits} +: {rows.index_bits}]];"
    )


def _cell_bits(stimulus: Stimulus) -> int:
    return max(int(abs(cells).max()) for cells in stimulus.cell_sets).bit_length() + 1


def write_bench(folder: Path, group: Group, stimulus: Stimulus) -> None:
    """Write the test bench, its words and the cells of its arrays into a folder."""
    words, bits = list(stimulus.words()), _cell_bits(stimulus)
    mask, digits = (1 << bits) - 1, -(-stimulus.told.bits // 4)
    cells = (f"{value & mask:x}" for held in stimulus.cell_sets for value in held.ravel().tolist())
    (folder / "cells.hex").write_text("\n".join(cells) + "\n")
    (folder / "words.hex").write_text("\n".join(f"{word:0{digits}x}" for word in words) + "\n")
    if group.rows is not None:
        (folder / "inputs.hex").write_text(
            "".join(f"{code:x}\n" for codes in stimulus.vectors for code in codes.tolist())
        )
    (folder / "bench.v").write_text(bench_text(group, stimulus, len(words)))


def in_verilog(folder: Path, simulator: str) -> Observed:
    """Run the test bench of a folder, group.v and bench.v, in Icarus Verilog or Verilator."""
    if simulator == "icarus":
        # Verilog of 2005, in which what is set as it is declared wakes processes that wait for any change.
        run_tool(folder, "iverilog", "-g2005", "-o", "bench.vvp", "group.v", "bench.v")
        run_tool(folder, "vvp", "-N", "bench.vvp")
    else:
        run_tool(
            folder,
            "verilator",
            "--binary",
            "-Wno-fatal",
            "-Wno-lint",
            "-O3",
            "--top-module",
            "bench",
            "group.v",
            "bench.v",
        )
        run_tool(folder, "./obj_dir/Vbench")
    observed = Observed({"icarus": "Icarus Verilog", "verilator": "Verilator"}[simulator])
    for line in (folder / "out.txt").read_text().splitlines():
        kind, *rest = line.split()
        if kind == "B":
            observed.begins.append(int(rest[0]))
        elif kind == "O":
            v = int(rest[2], 16)
            observed.outputs.append((int(rest[0]), int(rest[1]), v - (v >> (WIDE - 1) << WIDE), int(rest[3])))
        else:
            observed.cycles = int(rest[0])
    return observed


def run_tool(folder: Path, *words: str) -> None:
    """Run a tool in a folder, or raise OptionError with what it said."""
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OptionError(f"{words[0]} failed: {(done.stderr or done.stdout).strip()[-600:]}")


def chosen(simulator: str | None) -> str:
    """Return the simulator that is asked for, or the first that is there; OptionError for one that is not.

    Icarus comes first: Verilator, faster for many windows, takes a minute to build a group.
    """
    if simulator is None:
        return next((name for name in ("icarus", "verilator") if shutil.which(PROGRAMS[name])), "amaranth")
    if simulator not in SIMULATORS:
        raise OptionError(f"unknown simulator {simulator!r}; {choices(simulator, SIMULATORS)}")
    if simulator in PROGRAMS and not shutil.which(PROGRAMS[simulator]):
        raise OptionError(
            f"{PROGRAMS[simulator]} is not on this machine; leave --simulator out, or take amaranth, which mho[rtl] brings"
        )
    return simulator


__all__ = ["END", "SIMULATORS", "bench_text", "chosen", "in_verilog", "run_tool", "write_bench"]
