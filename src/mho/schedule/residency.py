"""Whether weights stay where the whole network fits the chip: the choices of stage residency."""

from __future__ import annotations

from mho.schedule.stages import Residency
from mho.strategy.choice import choice


@choice("residency", "auto")
class Stays(Residency):
    """All weights are written once, in the setup, if the whole network fits the chip."""


@choice("residency", "never")
class WrittenAnew(Residency):
    """Weights are written in every inference."""

    stays = False
