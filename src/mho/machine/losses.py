"""How many conversions a chip's ADCs would clip or round on samples, measured: the sums that the integers really give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.machine.analog.converter import codes
from mho.machine.analog.planned import Job
from mho.machine.analog.products import Products
from mho.machine.analog.spec import Adc, Analog
from mho.machine.calibration import converted_sums
from mho.mapping import LayerMapping
from mho.program import Program

WINDOWS = 64
"""Windows of a layer and inference whose conversions are looked at, evenly spread: so a large network takes no longer than its
weights ask for."""


@dataclass(frozen=True)
class Losses:
    """Counts of the conversions of `samples` samples, and of those that the chip's ADCs would not give exactly.

    `rounded`: at full range, where the highest code stands for the largest possible sum. `clipped`: with steps of 1, where sums
    above the highest code are cut off. The layers before are taken to be exact.
    """

    samples: int
    conversions: int
    rounded: int
    clipped: int

    def __str__(self) -> str:
        """Say it in one line."""
        looked_at = f"of {self.conversions:,} conversions looked at on {self.samples} sample{'s' * (self.samples != 1)}"
        if not self.rounded and not self.clipped:
            return f"none {looked_at} would clip or round"
        return (
            f"{looked_at}, this chip's ADCs would round {_share(self.rounded, self.conversions)} at full range; "
            f"with steps of 1 they would clip {_share(self.clipped, self.conversions)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "samples": self.samples,
            "conversions": self.conversions,
            "rounded": self.rounded / max(self.conversions, 1),
            "clipped": self.clipped / max(self.conversions, 1),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Losses:
        """Rebuild what `to_dict` gave."""
        count = content["conversions"]
        return cls(content["samples"], count, *(round(content[key] * count) for key in ("rounded", "clipped")))


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.3g} %"


class Watch:
    """Counts, layer by layer as a program is executed, what the chip's own ADCs would make of the sums.

    watch = Watch(program)
    Executor(program, watch=watch).run(inputs)
    watch.losses(samples)
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.ideal = Products(program, Analog(adc=Adc(bits="ideal")), "plain")
        self.own = Products(program, Analog(), "plain")
        self.conversions = self.rounded = self.clipped = 0

    def __call__(self, mapped: LayerMapping, jobs: Sequence[Job], x: npt.NDArray[np.uint8]) -> None:
        """Look at the conversions of a layer's windows, x (matrices, runs, windows, K)."""
        convert = self.own.converter(mapped)
        assert convert.high is not None
        chosen = np.unique(np.linspace(0, mapped.windows - 1, min(WINDOWS, mapped.windows)).astype(np.int64))
        for job in jobs:
            here = chosen[(chosen >= job.windows[0]) & (chosen < job.windows[1])]
            if not len(here):
                continue
            few = replace(job, windows=(0, len(here)))
            for k, sums in converted_sums(self.ideal, mapped, few, np.ascontiguousarray(x[:, :, here])):
                step = convert.steps[k]
                gain = np.full(sums.shape[1], 1 / step, dtype=np.float32)
                converted, _ = codes(sums, gain, np.zeros_like(gain), convert.low, convert.high)
                self.conversions += sums.size
                self.rounded += int(np.count_nonzero(converted * step != sums))
                self.clipped += int(np.count_nonzero((sums > convert.high) | (sums < convert.low)))

    def losses(self, samples: int) -> Losses:
        """Return what was counted."""
        return Losses(samples, self.conversions, self.rounded, self.clipped)
