"""How an array serves the rows of a bag that stand in it: the choices of stage reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from mho.chip import Chip
from mho.chip.spec import MODES
from mho.errors import StrategyError
from mho.network.trace.trace import Trace
from mho.strategy.choice import Choice, choice, setting

OF_CHIP = "chip"
_MODES = "The resolutions between which ADCs switch, activation by activation; chip: those that the chip's file has."


class Serving(Choice):
    """A way to read rows, which every choice of stage reading is. It changes the part `lookup` of a chip, and nothing else."""

    stage = "reading"
    changes: ClassVar[Mapping[str, Any]] = {}
    modes: str

    def refusals(self, subject: Trace, chip: Chip, strategy: object) -> Iterator[StrategyError]:
        """Refuse a chip that cannot add up rows of tables."""
        if chip.lookup is None:
            yield StrategyError(
                "chip",
                chip.name,
                "has no part lookup; the preset recross has one",
                bound="lookup",
                helps="take chip recross",
            )

    def on(self, chip: Chip, name: str) -> Chip:
        """Return the chip that reads so; `name` is that of the design where the chip is called by it."""
        values = {**self.changes, **({} if self.modes == OF_CHIP else {"lookup.adc_modes": self.modes})}
        called = name if self.changes else f"ADC {self.modes}"
        return chip.override(values, source=f"the design {called}", name=f"{chip.name} ({called})") if values else chip


@choice("reading", "sums")
class Sums(Serving):
    """Rows of a bag that stand in one group are driven together and added up by the array."""

    modes: str = setting(default=OF_CHIP, among=(OF_CHIP, *MODES), help=_MODES)


@choice("reading", "rows")
class Rows(Serving):
    """Rows are read one by one and added up beside the array."""

    changes: ClassVar[Mapping[str, Any]] = {"lookup.most_rows": 1}
    modes: str = setting(default="switch", among=(OF_CHIP, *MODES), help=_MODES)
