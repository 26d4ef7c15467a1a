"""Weights as combinations of a basis that all layers share: the choice of stage coding that fits them (BasisN)."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Iterator

from mho.chip import Chip
from mho.errors import NumberError, StrategyError
from mho.mapping import DenseBlocks, Mapper
from mho.mapping.basis import basis_blocks
from mho.mapping.dense import dense_blocks
from mho.mapping.shape import weights_shape
from mho.network.graph import Network
from mho.number import QuantisedNetwork, Sampled, fit_basis, quantise
from mho.number.basis import MOST_BITS, MOST_LEVELS, MOST_POWER_BITS, BasisNumbers, BasisPlan
from mho.number.bits import Bits
from mho.number.fitting import INTEGERS, LEARNED, POWERS, UNITS, UNIVERSAL, fitted_layers
from mho.number.precision import bits_of
from mho.schedule.stages import Coding, Say
from mho.strategy.choice import choice, setting
from mho.strategy.strategy import Strategy

MOST_VECTORS, SEEDS = 65_536, 2**63 - 1
NONE, NARROW = "none", "narrow"


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
    levels: int | None = setting(
        default=None, least=2, most=MOST_LEVELS, metavar="N", examples=(2, 4),
        help="Levels of the elements of a basis: 2 are +1 and -1; else 4, and 2 of a universal one.",
    )  # fmt: skip
    coefficients: str = setting(
        default=INTEGERS, among=(INTEGERS, POWERS), metavar="NAME",
        help="Whether coefficients of a basis are integers, or 0 and powers of two, which lanes shift by instead of multiplying.",
    )  # fmt: skip
    basis: str = setting(
        default=LEARNED, among=(LEARNED, UNIVERSAL, UNITS), metavar="NAME",
        help="Whether the basis is learned from the network; universal: random, and so the same for every network; or units: as "
        "many unit vectors as an array has rows, so that coefficients are weights, of which all but few are pruned.",
    )  # fmt: skip
    input_bits: int = setting(
        default=8,
        least=1,
        most=8,
        metavar="N",
        help="Bits of the inputs of all layers, of those that are left out too.",
    )
    left_out: str = setting(
        default=NONE, metavar="LAYERS", commas=True, examples=(NARROW, "*fc"),
        help="Layers that keep weights of their own beside a basis: none, narrow (those that take fewer conversions so, as far as "
        "they fit the chip: less energy, more time), or names and patterns, with commas.",
    )  # fmt: skip
    basis_seed: int = setting(default=0, least=0, most=SEEDS, metavar="N", help="The seed of a basis.")

    @property
    def by_samples(self) -> bool:
        """True: coefficients are fitted on calibration samples."""
        return True

    def basis_of(self, network: Network, chip: Chip) -> BasisPlan:
        """Return the numbers of the basis, whose vectors are as long as an array is high, and the layers that are left out."""
        units, height = self.basis == UNITS, chip.weight_rows
        vectors = height if units else self.vectors
        levels = self.levels or (4 if self.basis == LEARNED else 2)
        powers = self.coefficients == POWERS
        bits = min(self.coefficient_bits, MOST_POWER_BITS) if powers else self.coefficient_bits
        numbers = BasisNumbers(vectors, height, levels, bits, self.nonzeros, powers, units)
        if self.left_out == NARROW:
            return BasisPlan(numbers, narrow_layers(network, numbers, chip))
        return BasisPlan(numbers, named_layers(network, self.left_out))

    def bits_of(self, network: Network) -> Bits:
        """Return the bits of each layer that has other than 8 and 8."""
        return bits_of(network, f"8/{self.input_bits}")

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse a network of weights without samples to fit them on, and a mapping that stores weights themselves."""
        yield from super().refusals(subject, chip, strategy)
        if self.coefficients == POWERS and self.coefficient_bits > MOST_POWER_BITS:
            demanded = f"are {MOST_POWER_BITS} at most where coefficients are powers of two"
            yield self.refuse(demanded, field="coefficient_bits", bound="coding.coefficients")
            return
        fixed = {
            "vectors": (type(self).vectors, chip.weight_rows),
            "levels": (None, 2),
            "basis_seed": (type(self).basis_seed,),
        }
        for field, allowed in fixed.items() if self.basis == UNITS else ():
            if getattr(self, field) not in allowed:
                demanded = f"changes nothing: of unit vectors there are as many as rows of an array, {chip.weight_rows}, of 0 and 1"
                yield self.refuse(demanded, field=field, bound="coding.basis")
        if not strategy.get(Mapper).streams:
            yield self.refuse(
                f"makes combinations of a basis; mapping {strategy.mapping.name!r} stores weights", bound="mapping",
                helps="take mapping basis",
            )  # fmt: skip
        try:
            fitted_layers(subject.net, self.basis_of(subject.net, chip).left_out)
        except NumberError as error:
            yield self.refuse(str(error), field="left_out")
        if subject.has_values and subject.quantised is None and subject.calibration is None:
            yield self.refuse("goes by calibration samples", helps="give some by `calibration` or `data`")

    def coded(self, subject: Sampled, chip: Chip, mapper: Mapper, say: Say) -> QuantisedNetwork:
        """Return the network fitted to the basis."""
        assert subject.calibration is not None
        plan = self.basis_of(subject.net, chip)
        say(f"fitting {len(subject.net.weighted) - len(plan.left_out)} layers to a basis")
        inputs = subject.calibration.inputs
        codes = quantise(
            subject.net, inputs, per_channel=True, symmetric=True, bits=f"8/{self.input_bits}",
            signed_inputs=chip.array.drives_signs,
        )  # fmt: skip
        return fit_basis(
            codes, inputs, self.vectors, self.nonzeros, self.coefficient_bits, self.levels, self.basis,
            coefficients=self.coefficients, height=chip.weight_rows, seed=self.basis_seed, left_out=plan.left_out,
        )  # fmt: skip


def named_layers(network: Network, text: str) -> frozenset[str]:
    """Return the matrix layers that names and patterns with commas between them match, and those that match none as they are."""
    patterns = [] if text == NONE else [pattern.strip() for pattern in text.split(",")]
    names = [layer.name for layer in network.matrix_layers]
    return frozenset(name for pattern in patterns for name in fnmatch.filter(names, pattern) or [pattern])


def narrow_layers(network: Network, numbers: BasisNumbers, chip: Chip) -> frozenset[str]:
    """Return the layers that convert fewer sums with weights of their own than on a basis, as far as they fit beside an instance.

    Those that save most conversions for each group that they fill come first. Layers of one weight count together.
    """
    shape, saved = weights_shape(chip), Counter[str]()
    if min(shape.per_array, weights_shape(chip, numbers.element_bits).per_array) < 1:
        return frozenset()
    room = chip.groups - basis_blocks(numbers, chip).count
    blocks: dict[str, DenseBlocks] = {}
    on_basis = numbers.vectors * weights_shape(chip, numbers.element_bits).coding.cell_columns
    for layer in network.matrix_layers:
        owner = network.owners[layer.name]
        own = blocks.setdefault(owner, dense_blocks(layer.groups, layer.rows, layer.columns, shape, True))
        plain = own.totals((0, own.count)).columns * shape.coding.cell_columns
        saved[owner] += layer.windows * (layer.groups * -(-layer.rows // numbers.height) * on_basis - plain)
    left_out: set[str] = set()
    for owner in sorted(saved, key=lambda name: (-saved[name] / blocks[name].count, name)):
        if saved[owner] > 0 and blocks[owner].count <= room and len(left_out) < len(saved) - 1:
            room -= blocks[owner].count
            left_out.add(owner)
    return frozenset(name for name, owner in network.owners.items() if owner in left_out)
