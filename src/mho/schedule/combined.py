"""Weights as combinations of a basis that all layers share: the choice of stage coding that fits them (BasisN)."""

from __future__ import annotations

from collections.abc import Iterator

from mho.chip import Chip
from mho.errors import StrategyError
from mho.mapping import Mapper
from mho.number import QuantisedNetwork, Sampled, fit_basis
from mho.number.basis import MOST_BITS, MOST_LEVELS, BasisNumbers
from mho.number.fitting import LEARNED, UNIVERSAL
from mho.schedule.stages import Coding, Say
from mho.strategy.choice import choice, setting
from mho.strategy.strategy import Strategy

MOST_VECTORS, SEEDS = 65_536, 2**63 - 1


@choice("coding", "basis", papers=("basisn",), by="vectors")
class OnBasis(Coding):
    """Weights as combinations of few vectors that all layers share."""

    vectors: int = setting(
        default=512, least=1, most=MOST_VECTORS, metavar="N", help="Vectors of the basis that all layers share."
    )
    nonzeros: int = setting(
        default=32, least=1, most=MOST_VECTORS, metavar="K",
        help="The most vectors that a segment of an output, as long as an array is high, is a combination of.",
    )  # fmt: skip
    coefficient_bits: int = setting(
        default=4, least=2, most=MOST_BITS, metavar="N", help="Bits of the coefficients of a basis, sign included."
    )
    levels: int = setting(
        default=4, least=2, most=MOST_LEVELS, metavar="N", help="Levels of the elements of a basis: 2 are +1 and -1."
    )
    basis: str = setting(
        default=LEARNED, among=(LEARNED, UNIVERSAL), metavar="NAME",
        help="Whether the basis is learned from the network, or random, and so the same for every network.",
    )  # fmt: skip
    basis_seed: int = setting(default=0, least=0, most=SEEDS, metavar="N", help="The seed of a basis.")

    @property
    def by_samples(self) -> bool:
        """True: coefficients are fitted on calibration samples."""
        return True

    def basis_of(self, chip: Chip) -> BasisNumbers:
        """Return the numbers of the basis, whose vectors are as long as an array is high."""
        return BasisNumbers(self.vectors, chip.weight_rows, self.levels, self.coefficient_bits, self.nonzeros)

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse a network of weights without samples to fit them on, and a mapping that stores weights themselves."""
        yield from super().refusals(subject, chip, strategy)
        if not strategy.get(Mapper).streams:
            yield self.refuse(
                f"makes combinations of a basis; mapping {strategy.mapping.name!r} stores weights", bound="mapping",
                helps="take mapping basis",
            )  # fmt: skip
        if subject.has_values and subject.quantised is None and subject.calibration is None:
            yield self.refuse("goes by calibration samples", helps="give some by `calibration` or `data`")

    def coded(self, subject: Sampled, chip: Chip, mapper: Mapper, say: Say) -> QuantisedNetwork:
        """Return the network fitted to the basis."""
        assert subject.calibration is not None
        say(f"fitting {len(subject.net.weighted)} layers to a basis")
        return fit_basis(
            subject.net, subject.calibration.inputs, self.vectors, self.nonzeros, self.coefficient_bits, self.levels, self.basis,
            height=chip.weight_rows, seed=self.basis_seed,
        )  # fmt: skip
