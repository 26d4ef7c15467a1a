"""Which coding each layer takes under --budget: the library's choice, for the chip and the mapping that the options name."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mho.cli.outputs import Say
from mho.cli.strategy import StrategyOptions

if TYPE_CHECKING:
    from mho.chip import Chip
    from mho.network.graph import Network
    from mho.network.samples import Samples
    from mho.number import QuantisedNetwork

SEEN = 32
"""Calibration samples on which a layer's error in a coding is measured, at most: it is measured for every layer and coding."""
MACS = 4e9
"""Multiplications of one such measurement, at most, as long as they are of two samples."""


@dataclass(frozen=True)
class Choice:
    """What arrays are counted on: a chip, and how networks are mapped onto it. `say` tells how far the work is."""

    chip: Chip
    strategy: StrategyOptions
    say: Say

    def within(self, budget: float, codings: Mapping[str, QuantisedNetwork], samples: Samples) -> QuantisedNetwork:
        """Return the network with the coding of fewest arrays in each layer, of errors that sum to at most `budget`.

        `codings` by name; errors are measured against the first, on some of the samples. Notes tell how many layers have
        which coding, the arrays and the error.
        """
        import mho

        seen = _few(next(iter(codings.values())).network, samples)
        listed = list(codings.values())
        table = self.strategy.frontier(listed, self.chip, seen.inputs, self._say)
        picks = table.within(budget)
        found = mho.mapping.mixed(listed, picks, names=list(codings))
        arrays, error = table.total(picks)
        note = (
            f"{arrays} arrays in these codings, {int(table.arrays[:, 0].sum())} with all layers in {next(iter(codings))}; errors "
            f"of layers, each alone, sum to {error:.3g} of the output's variance (budget {budget:g}), that of all together is "
            f"{_error(listed[0], found, seen):.3g}, measured on {seen.origin}"
        )
        return replace(found, notes=(*found.notes, note))

    def _say(self, text: str) -> None:
        self.say(f"measuring codings: {text}")


def _error(first: QuantisedNetwork, changed: QuantisedNetwork, samples: Samples) -> float:
    """Return the squared change of the first output over its variance, which that of single layers only adds up to about."""
    import mho

    name = first.network.outputs[0]
    wanted, found = (mho.number.run_reference(each, samples.inputs)[name] for each in (first, changed))
    return float(((found - wanted) ** 2).mean() / max(wanted.var(), sys.float_info.min))


def _few(network: Network, samples: Samples) -> Samples:
    """Return at least two of the samples, and no more than takes long, evenly spread; whole batches."""
    each = max(network.macs / network.batch, 1)
    count = max(2, min(SEEN, int(MACS // each)))
    return samples.spread(-(-count // network.batch) * network.batch)


__all__ = ["Choice"]
