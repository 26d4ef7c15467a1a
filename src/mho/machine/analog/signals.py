"""What the signals of a run looked like, layer by layer: how often ADCs clipped, and how far sums were from the exact ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class LayerSignal:
    """One layer: conversions made, conversions clipped, and the power of its sums and of their error.

    Conversions are those of the columns that hold weights; the unit columns of `flipped` arrays, whose sums are taken to be exact,
    are charged (`machine/energy.py`) and not counted here.

    Power is that of the layer's integer sums, sum over k of (input code - zero) x (weight code - zero), squared and added; the
    error is against the exact sums of the inputs that the layer really got, so that it is the layer's own.
    """

    name: str
    conversions: int = 0
    clipped: int = 0
    signal: float = 0.0
    noise: float = 0.0

    @property
    def clip_rate(self) -> float:
        """Share of conversions that clipped; 0 where none were made."""
        return self.clipped / self.conversions if self.conversions else 0.0

    @property
    def snr_db(self) -> float:
        """Signal-to-noise ratio in dB: 10 log10(signal / noise); infinite where the sums are exact."""
        if self.noise == 0:
            return math.inf
        return 10.0 * math.log10(self.signal / self.noise) if self.signal else -math.inf


@dataclass
class Signals:
    """Collects what layers did, over any number of runs.

    signals = Signals()
    execute(program, inputs, analog=analog, signals=signals)
    for layer in signals.layers: print(layer.name, layer.clip_rate, layer.snr_db)
    """

    found: dict[str, LayerSignal] = field(default_factory=dict)

    @property
    def layers(self) -> tuple[LayerSignal, ...]:
        """The layers, in the order in which they were first computed."""
        return tuple(self.found.values())

    def add(self, name: str, conversions: int, clipped: int, signal: float, noise: float) -> None:
        """Add what one layer did for some samples."""
        before = self.found.get(name, LayerSignal(name))
        self.found[name] = LayerSignal(
            name,
            before.conversions + conversions,
            before.clipped + clipped,
            before.signal + signal,
            before.noise + noise,
        )
