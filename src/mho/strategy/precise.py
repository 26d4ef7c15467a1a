"""What a choice of stage coding says of a network that is known by shapes alone: the bits of its layers, and their basis."""

from __future__ import annotations

from mho.chip import Chip
from mho.network.graph import Network
from mho.number.basis import BasisPlan
from mho.number.bits import ALL_BYTES, Bits
from mho.strategy.choice import Choice


class Precise(Choice):
    """A choice that says the bits of layers, which every choice of stage coding does."""

    stage = "coding"

    def bits_of(self, network: Network) -> Bits:
        """Return the bits of each layer that has other than 8 and 8, without looking at values."""
        return ALL_BYTES

    def basis_of(self, network: Network, chip: Chip) -> BasisPlan | None:
        """Return which weights of a network become combinations of what basis on a chip; None where none do."""
        return None
