"""Cells that are stuck since they were made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from mho.machine.analog.devices.fields import DeviceDocument, Plain
from mho.machine.analog.devices.law import STUCK_OFF, STUCK_ON, WORKS, Draws, Faults, Law, Writes
from mho.machine.analog.devices.validity import Validity

Share = Annotated[float, Plain(0, 1, share=True)]


class Stuck(Law):
    """Shares of cells that are stuck on and off from the beginning."""

    number: ClassVar[int] = 0xDE02

    on_share: Annotated[Share, Field(description="share of cells that are stuck on")] = 0.0
    off_share: Annotated[Share, Field(description="share of cells that are stuck off")] = 0.0

    def check(self, document: DeviceDocument, laws: Mapping[str, Law], validity: Validity) -> None:
        """Refuse more than all cells."""
        if self.on_share + self.off_share > 1:
            total = self.on_share + self.off_share
            raise document.fail("stuck", f"on_share and off_share must sum to at most 1, not {total:g}")

    @property
    def exact(self) -> bool:
        """True if no cell is stuck."""
        return not (self.on_share or self.off_share)

    def differs(self, age_s: float, writes: Writes) -> bool:
        """Return True if cells are stuck."""
        return not self.exact

    def breaks(self, faults: Faults, draws: Draws, writes: Writes) -> Faults:
        """Mark the cells that are stuck.

        The two ends of the interval of a uniform number are taken, so that each share alone decides which cells it takes.
        """
        if not self.exact:
            uniform = draws.uniform(self.number)
            faults[uniform < self.on_share] = STUCK_ON
            # At on + off = 1 rounding may let the two ends meet: the cell stays on, as at any smaller share off.
            faults[(uniform >= 1.0 - self.off_share) & (faults == WORKS)] = STUCK_OFF
        return faults
