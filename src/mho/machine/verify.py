"""Is a program right? Executed against the integer reference, bit for bit, and checked to be legal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mho.machine.functional import Executor
from mho.machine.losses import Losses, Watch
from mho.machine.resolution import Resolution, resolution
from mho.machine.timing import time_program
from mho.network.layers import MatrixLayer
from mho.number import run_reference
from mho.program import Program, Violation, violations


@dataclass(frozen=True)
class Verification:
    """What verifying found.

    `exact` says that every compared tensor is equal bit for bit: the outputs and the output of every matrix layer, with
    converters that resolve every sum; `resolution` says of which layers this chip's do. `mismatches` names tensors that are not
    equal, with how many elements differ; `illegal` lists broken rules. `losses`: how many conversions this chip's own ADCs would
    clip or round, where that was measured.
    """

    samples: int
    compared: int
    mismatches: tuple[tuple[str, int, int], ...]
    illegal: tuple[Violation, ...]
    resolution: Resolution
    losses: Losses | None = None

    @property
    def exact(self) -> bool:
        """Whether tensors were compared, and all are equal."""
        return self.compared > 0 and not self.mismatches

    @property
    def ok(self) -> bool:
        """Whether the program is exact and legal."""
        return self.exact and not self.illegal

    def __str__(self) -> str:
        """Say it in one line, with the condition under which it holds."""
        if self.ok:
            comma = "," if self.resolution.complete else ""
            on = f"{self.compared} tensors on {self.samples} sample{'s' * (self.samples != 1)}"
            return f"bit-exact{comma} {self.resolution.condition}; {on}, and legal"
        parts = [f"{name}: {wrong} of {size} elements differ" for name, wrong, size in self.mismatches[:3]]
        parts += [f"instruction {each.instruction}: {each.text}" for each in self.illegal[:3]]
        return "NOT verified: " + "; ".join(parts)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What this chip's own converters make of the sums: what they resolve, and what was measured."""
        return (str(self.resolution), *(() if self.losses is None else (str(self.losses),)))


def verify(program: Program, inputs: Any, *, losses: bool = False) -> Verification:
    """Execute a program, compare with the integer reference, and check that the program is legal as timed.

    Every matrix layer's output is compared besides the network's, so that an error cannot hide behind a later clip. A
    program that is illegal as written is not executed: nothing is compared then. Converters are taken to resolve every sum;
    the result says whether this chip's do, and with `losses` how many conversions of these inputs they would clip or round.
    `inputs` as for execute, and the same errors.
    """
    resolved = resolution(program)
    illegal = violations(program)
    if illegal:
        return Verification(0, 0, (), illegal, resolved)
    keep = tuple(layer.name for layer in program.network.layers if isinstance(layer, MatrixLayer))
    watch = Watch(program) if losses else None
    got = Executor(program, watch=watch).run(inputs, keep=keep)
    assert program.quantised is not None
    wanted = run_reference(program.quantised, inputs, keep=keep)
    mismatches = []
    for name, values in wanted.items():
        same = got[name].shape == values.shape
        wrong = int(np.count_nonzero(got[name] != values)) if same else values.size
        if wrong:
            mismatches.append((name, wrong, values.size))
    timing = time_program(program)
    samples = len(next(iter(wanted.values())))
    return Verification(
        samples,
        len(wanted),
        tuple(mismatches),
        violations(program, (timing.starts, timing.ends)),
        resolved,
        None if watch is None else watch.losses(samples),
    )
