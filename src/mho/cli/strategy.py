"""How a program is compiled, as the options name it; one group for all commands that compile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mho.cli import options as use
from mho.cli.registries import check_strategies
from mho.errors import MappingError, OptionError

if TYPE_CHECKING:
    from mho.chip import Chip
    from mho.mapping import Frontier
    from mho.network.graph import Network
    from mho.network.samples import Samples
    from mho.number import QuantisedNetwork
    from mho.number.walk import Inputs
    from mho.program import Program

SQUEEZED, ADAPTIVE = "squeezed", "adaptive"
"""The mapping that goes by the bits of weights, and the schedule that searches."""


@dataclass(frozen=True)
class StrategyOptions:
    """Everything that says how to compile but the schedule, of which some commands take several."""

    mapping: use.MappingName = "dense"
    turns: use.Turns = 1
    packing: use.Packing = "diagonal"
    residency: use.Residency = "auto"
    banks: use.Banks = "ilp"
    alignment: use.Alignment = "none"
    low_cell: use.LowCell = "all"
    placement: use.Placement = "none"
    objective: use.Objective = None
    effort: use.Effort = None
    time_limit: use.TimeLimit = None

    def check(self, schedules: Sequence[str]) -> None:
        """Refuse, before any long work, what does not exist, contradicts itself or changes nothing."""
        named = {
            "mapping": self.mapping, "packing": self.packing, "residency": self.residency, "banks": self.banks,
            "low_cell": self.low_cell, "placement": self.placement, "objective": self.objective,
        }  # fmt: skip
        for schedule in schedules:
            check_strategies(schedule=schedule, **named)
        self._check_mapping()
        if ADAPTIVE in schedules:
            if self.effort == 0 and self.time_limit is not None:
                raise OptionError("--time-limit changes nothing with --effort 0: nothing is searched for")
            return
        for option, value in (
            ("--objective", self.objective),
            ("--effort", self.effort),
            ("--time-limit", self.time_limit),
        ):
            if value is not None:
                raise OptionError(f"{option} is for schedule adaptive; {' and '.join(schedules)} search for nothing")

    def _check_mapping(self) -> None:
        from mho.mapping.choose import MOST_TURNS

        if self.turns > MOST_TURNS:
            raise OptionError(f"--turns is a whole number from 1 to {MOST_TURNS}, not {self.turns}")
        if self.mapping != SQUEEZED:
            if self.turns != 1:
                raise OptionError(
                    f"--turns is for --mapping {SQUEEZED}; with --mapping {self.mapping} every block has a group of its own"
                )
            return
        for option, moved in (("--alignment", self.alignment != "none"), ("--low-cell", self.low_cell != "all")):
            if moved:
                raise OptionError(
                    f"{option} moves the codes of whole weights; --mapping {SQUEEZED} stores their digits"
                )

    def check_chip(self, chip: Chip) -> None:
        """Refuse a chip that cannot be mapped so, before the long work. MappingError."""
        if self.mapping == SQUEEZED and chip.sparse is None:
            raise MappingError(
                f"--mapping {SQUEEZED}: chip {chip.name} has no index memory, which tells each array its inputs and outputs; take "
                "--chip sme, or add the part sparse"
            )

    def check_fits(self, subject: Network | QuantisedNetwork, chip: Chip) -> None:
        """Refuse a chip that the network cannot be mapped onto, without compiling. MappingError."""
        from mho.mapping import map_network

        map_network(subject, chip, mapping=self.mapping, packing=self.packing, turns=self.turns)

    def frontier(
        self, codings: Sequence[QuantisedNetwork], chip: Chip, inputs: Inputs, progress: Callable[[str], None]
    ) -> Frontier:
        """Measure what each layer costs in each of several codings, mapped so. MappingError for a chip that cannot."""
        import mho

        return mho.mapping.frontier(codings, chip, inputs, packing=self.packing, turns=self.turns, progress=progress)

    def of_weights(self) -> tuple[str, ...]:
        """Name the options that go by the values of weights."""
        asked = {
            f"--mapping {SQUEEZED}": self.mapping == SQUEEZED,
            "--alignment": self.alignment != "none",
            "--low-cell": self.low_cell != "all",
            "--placement": self.placement != "none",
        }
        return tuple(option for option, wanted in asked.items() if wanted)

    def searches(self, schedules: Sequence[str]) -> bool:
        """Whether any of the schedules searches, so that a seed matters."""
        return ADAPTIVE in schedules and self.effort != 0

    def compile(
        self,
        subject: Network | QuantisedNetwork,
        chip: Chip,
        *,
        schedule: str,
        seed: int,
        samples: Samples | None = None,
    ) -> Program:
        """Compile so; `samples` are those by which a centre of weights is chosen."""
        import mho

        options: dict[str, Any] = {
            "mapping": self.mapping, "packing": self.packing, "residency": self.residency,
            "banks": self.banks, "alignment": self.alignment, "low_cell": self.low_cell, "placement": self.placement,
            "schedule": schedule,
        }  # fmt: skip
        if self.mapping == SQUEEZED:
            options["turns"] = self.turns
        if schedule == ADAPTIVE:
            given = {"objective": self.objective, "effort": self.effort, "time_limit_s": self.time_limit, "seed": seed}
            options |= {key: value for key, value in given.items() if value is not None}
        strategy = mho.Strategy().with_(options)
        return mho.compile(mho.number.Sampled(subject, judging=samples), chip, strategy)
