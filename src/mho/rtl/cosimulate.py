"""Is the Verilog right? A layer of a program through the periphery's test bench, code by code against what the program computed."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mho.rtl.bench import chosen, in_verilog, write_bench
from mho.rtl.commands import drain_cycles
from mho.rtl.emit import verilog
from mho.rtl.group import Group
from mho.rtl.layer import Layer, Part
from mho.rtl.simulate import Observed, in_amaranth

SCHEMA = "mho.rtl/1"


@dataclass(frozen=True)
class Difference:
    """The first number that is another: of which window, array and output of it, what it is, and what it should be."""

    window: int
    array: int
    column: int
    what: str
    wanted: int
    got: int | None

    def __str__(self) -> str:
        """Say where it is, and what."""
        got = "nothing" if self.got is None else str(self.got)
        return f"window {self.window}, array {self.array}, column {self.column}: {self.what} {got} instead of {self.wanted}"


@dataclass(frozen=True)
class CoSimulation:
    """What a co-simulation of a layer gave.

    `compared`: numbers, sums v and codes; `different`: those that were others, the `first` of them told. `cycles`: a window's,
    measured where one followed another at once, None where none did; `planned` and `timed`: those of the design and of the
    timing model. `fill`: cycles from the last conversion of a window to its last code at most; `loads` those in which its
    inputs come, behind the window before.
    """

    layer: str
    simulator: str
    windows: int
    compared: int
    codes: int
    different: int
    first: Difference | None
    cycles: int | None
    planned: int
    timed: float
    fill: int
    loads: int
    multiplier_bits: int

    @property
    def ok(self) -> bool:
        """Say whether all numbers are equal, and at least one was compared."""
        return self.compared > 0 and not self.different

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data (schema mho.rtl/1)."""
        return {"schema": SCHEMA, "bit_exact": self.ok, **asdict(self), "text": str(self)}

    def __str__(self) -> str:
        """Say it in a line or two."""
        exact = "bit-exact" if self.ok else f"{self.different} differ, the first: {self.first}"
        cycles = self.planned if self.cycles is None else self.cycles
        measured = f"{cycles} cycles a window{' (planned; parameters are loaded between)' * (self.cycles is None)}"
        same = "as" if cycles == self.timed else f"{cycles / self.timed - 1:+.1%} of"
        return (
            f"{self.layer}: {self.compared} sums and codes of {self.windows} windows in {self.simulator}: {exact}; {measured}, "
            f"{same} the timing model's {self.timed:.10g}; {self.loads} cycles of loading go on beside it, codes leave {self.fill} "
            "cycles after the last conversion"
        )


def cosimulate(layer: Layer, simulator: str | None = None, folder: Path | None = None) -> CoSimulation:
    """Run a layer through a test bench: Verilator or Icarus where present, else Amaranth's simulator.

    `folder` keeps group.v, bench.v and what they read, of the last part of the layer; else they are written into one that goes.
    """
    which, group, text = chosen(simulator), Group(layer.plan), None
    numbers = codes = different = 0
    first: Difference | None = None
    apart: list[int] = []
    for part in layer.parts:
        if which == "amaranth":
            observed, _ = in_amaranth(Group(layer.plan), part.stimulus)
        else:
            text = text or verilog(layer.plan)
            observed = _in_folder(text, group, part, which, folder)
        some, wrong, difference = compared(part, observed, layer.windows)
        numbers, different, first = numbers + some, different + wrong, first or difference
        codes += some if part.codes is None else some // 2
        apart += [] if observed.apart is None or part.stimulus.reloads else [observed.apart]
    plan = layer.plan
    return CoSimulation(
        layer.name, observed.simulator, len(layer.windows), numbers, codes, different, first, min(apart, default=None),
        plan.window_cycles, float(plan.timed_cycles), drain_cycles(plan), plan.loads, layer.bits,
    )  # fmt: skip


def _in_folder(text: str, group: Group, part: Part, simulator: str, folder: Path | None) -> Observed:
    with tempfile.TemporaryDirectory(prefix="mho.rtl.") as scratch:
        place = folder or Path(scratch)
        (place / "group.v").write_text(text)
        write_bench(place, group, part.stimulus)
        return in_verilog(place, simulator)


def compared(part: Part, observed: Observed, windows: tuple[int, ...]) -> tuple[int, int, Difference | None]:
    """Compare what left the arrays with what should: how many numbers, how many others, and the first of these."""
    seen: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for array, number, v, code in observed.outputs:
        seen.setdefault((array, number), []).append((v, code))
    count = different = 0
    first: Difference | None = None
    plan = part.stimulus.plan
    chains = len(plan.chains) if plan.combining is None else plan.makers
    for (array, number), output in np.ndenumerate(part.outputs):
        if output < 0:
            continue
        found = seen.get((array, number), [])
        for w, window in enumerate(windows):
            pairs = [("v", int(part.wanted[w, array, number]), 0)]
            if part.codes is not None:
                pairs.append(("code", int(part.codes[w, array, number]), 1))
            for what, wanted, place in pairs:
                got = found[w][place] if w < len(found) else None
                count += 1
                if got != wanted:
                    different += 1
                    if first is None or window < first.window:
                        first = Difference(window, array // chains, int(output), what, wanted, got)
    return count, different, first


__all__ = ["CoSimulation", "Difference", "compared", "cosimulate"]
