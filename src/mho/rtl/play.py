"""One test bench for any part: what its inputs are, cycle by cycle, and what it answers; in Amaranth's simulator or in Icarus."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mho.rtl.bench import run_tool
from mho.rtl.part import Library, Part

Cycle = Mapping[str, int]
BENCH = """module bench;
  reg clk = 0, rst = 1;
  always #5 clk = ~clk;
  reg [{given_top}:0] cycles [0:{last}];
  reg [{given_top}:0] given = 0;
  wire [{made_top}:0] made;
  integer at = -3, out;
  {part} part(.clk(clk), .rst(rst), {connections});
  initial begin $readmemh("cycles.hex", cycles); out = $fopen("out.txt", "w"); #1; given = 0; end
  always @(negedge clk) begin
    if (at > 0) $fwrite(out, "%b\\n", made);
    if (at > {last}) begin $fclose(out); $finish; end
    rst = at < 0;
    if (at >= 0) given = cycles[at];
    at = at + 1;
  end
endmodule
"""


def play(part: Part, cycles: Sequence[Cycle], simulator: str = "amaranth") -> list[dict[str, int]]:
    """Return what a part's outputs are after each cycle's clock; inputs that a cycle does not name are 0. `simulator`: amaranth,
    or icarus, which runs its Verilog.
    """
    members = part.signature.members
    given, made = ([name for name, member in members.items() if member.flow.name == flow] for flow in ("In", "Out"))
    return (_in_icarus if simulator == "icarus" else _in_amaranth)(part, cycles, given, made)


def _in_amaranth(part: Part, cycles: Sequence[Cycle], given: list[str], made: list[str]) -> list[dict[str, int]]:
    from amaranth.sim import Simulator

    answers: list[dict[str, int]] = []
    simulator = Simulator(part)
    simulator.add_clock(1e-9)

    async def bench(ctx: Any) -> None:
        for cycle in cycles:
            for name in given:
                ctx.set(getattr(part, name), cycle.get(name, 0))
            await ctx.tick()
            answers.append({name: int(ctx.get(getattr(part, name))) for name in made})

    simulator.add_testbench(bench)
    simulator.run()
    return answers


def _in_icarus(part: Part, cycles: Sequence[Cycle], given: list[str], made: list[str]) -> list[dict[str, int]]:
    places = {name: len(getattr(part, name)) for name in (*given, *made)}
    tops = [sum(places[name] for name in names) for names in (given, made)]
    connections, words = [], [0] * len(cycles)
    for names, vector in ((given, "given"), (made, "made")):
        at = 0
        for name in names:
            connections.append(f".{name}({vector}[{at} +: {places[name]}])")
            if vector == "given":
                mask = (1 << places[name]) - 1
                words = [word | (cycle.get(name, 0) & mask) << at for word, cycle in zip(words, cycles, strict=True)]
            at += places[name]
    with tempfile.TemporaryDirectory(prefix="mho.rtl.") as scratch:
        folder = Path(scratch)
        (folder / "part.v").write_text("".join(Library(part).texts.values()))
        (folder / "cycles.hex").write_text("\n".join(f"{word:x}" for word in words) + "\n")
        text = BENCH.format(
            given_top=tops[0] - 1, made_top=tops[1] - 1, last=len(cycles) - 1, part=part.part, connections=", ".join(connections),
        )  # fmt: skip
        (folder / "bench.v").write_text(text)
        run_tool(folder, "iverilog", "-g2005", "-o", "bench.vvp", "part.v", "bench.v")
        run_tool(folder, "vvp", "-N", "bench.vvp")
        lines = (folder / "out.txt").read_text().split()
    answers = []
    for line in lines:
        word, answer = int(line.replace("x", "0"), 2), {}
        for name in made:
            value, word = word & ((1 << places[name]) - 1), word >> places[name]
            signed = getattr(part, name).shape().signed and value >> (places[name] - 1)
            answer[name] = value - (1 << places[name]) if signed else value
        answers.append(answer)
    return answers


__all__ = ["play"]
