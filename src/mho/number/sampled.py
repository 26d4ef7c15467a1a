"""A network with the samples that its codes go by."""

from __future__ import annotations

from dataclasses import dataclass

from mho.errors import OptionError
from mho.network.graph import Network
from mho.network.samples import Samples
from mho.number.coded import QuantisedNetwork


@dataclass(frozen=True, eq=False)
class Sampled:
    """A network and samples: what `mho.compile` takes where weights or activations are coded by samples.

    mho.compile(mho.number.Sampled(network, calibration=samples), chip, strategy)     quantised, and rounded, by these samples
    mho.compile(mho.number.Sampled(quantised, judging=labelled), chip, "aras-reuse")  alignment auto judged by accuracy on these

    `calibration` sets the ranges of activations, and is what coding "grid" by outputs and coding "budget" go by; it is not looked
    at where the network is coded already. `judging`, with labels, is what alignment "auto" is judged by.
    """

    network: Network | QuantisedNetwork
    calibration: Samples | None = None
    judging: Samples | None = None

    def __post_init__(self) -> None:
        """Raise OptionError for what is no network, and for judging samples without labels."""
        if not isinstance(self.network, Network | QuantisedNetwork):
            raise OptionError(
                f"compile takes a Network or a QuantisedNetwork, not {type(self.network).__name__}; mho.zoo.load makes one"
            )
        if self.judging is not None and self.judging.labels is None:
            raise OptionError(f"samples that judge have labels; {self.judging.origin} have none")

    @classmethod
    def of(cls, subject: Network | QuantisedNetwork | Sampled) -> Sampled:
        """Return a network without samples, or the very subject where it has them."""
        return subject if isinstance(subject, Sampled) else cls(subject)

    @property
    def net(self) -> Network:
        """The network, coded or not."""
        return self.network.network if isinstance(self.network, QuantisedNetwork) else self.network

    @property
    def quantised(self) -> QuantisedNetwork | None:
        """The network's codes, where it is coded already."""
        return self.network if isinstance(self.network, QuantisedNetwork) else None

    @property
    def has_values(self) -> bool:
        """True if the weights are known."""
        return self.quantised is not None or self.net.has_values
