"""Basis mapping: all layers drive the same blocks, which hold the vectors that their weights are combinations of (BasisN).

An instance of the basis is ceil(N e / C) arrays wide, for N vectors whose elements take e cells, in arrays of C columns, and is
written once. Layers that the coding leaves out have blocks of their own, of whole weights. Unit vectors as a basis are the rival
that needs no array: theirs are never driven, and lanes take inputs as they come.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Map
from dataclasses import replace

from mho.chip import Chip
from mho.errors import MappingError, StrategyError
from mho.mapping.blocks import Blocks
from mho.mapping.coding import check_codes
from mho.mapping.combination import combination_of, sum_bits
from mho.mapping.dense import Dense, DenseBlocks, dense_blocks
from mho.mapping.mapper import Mapper
from mho.mapping.mapping import LayerMapping, WeightMapping
from mho.mapping.reading import Readings
from mho.mapping.shape import weights_shape
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.number.basis import BASIS, BasisNumbers, BasisPlan
from mho.number.bits import LayerBits
from mho.number.coded import QuantisedNetwork
from mho.number.sampled import Sampled
from mho.strategy.choice import choice, setting
from mho.strategy.precise import Precise
from mho.strategy.strategy import Strategy

BATCHES = 2
"""Batches of windows that a product buffer holds: one is combined while the next is made."""
WAYS = ("lanes", "merged")


@choice("mapping", "basis", papers=("basisn",))
class Basis(Mapper):
    """The vectors that the weights of all layers are combinations of, written once; as many instances as a schedule asks for."""

    whole = False
    streams = True
    combine: str = setting(
        default=WAYS[0], among=WAYS, later=True, metavar="NAME",
        help="Where the sums of a basis are combined: after conversion, in lanes of multipliers, or before it, by merged columns.",
    )  # fmt: skip

    def cut(self, layer: MatrixLayer, network: Network | QuantisedNetwork, chip: Chip, bits: LayerBits) -> Blocks:
        """Return the blocks of a layer that is left out, of whole weights."""
        return Dense().cut(layer, network, chip, bits)

    def shared(
        self, network: Network | QuantisedNetwork, chip: Chip, basis: BasisPlan | None
    ) -> tuple[Map[str, str], Map[str, Blocks]]:
        """Return which layers drive the basis, and its blocks. Raises MappingError as `refusals` do."""
        plan = planned(network) if isinstance(network, QuantisedNetwork) else basis
        for demanded, _, helps in self._lacking(None if plan is None else plan.numbers, chip):
            raise MappingError(f"mapping 'basis': {demanded}; {helps}")
        assert plan is not None
        blocks = basis_blocks(plan.numbers, chip)
        if isinstance(network, QuantisedNetwork):
            check_codes(BASIS, network.held(BASIS).codes, blocks.shape.coding)
        if plan.left_out and blocks.count >= chip.groups:
            raise MappingError(
                f"mapping 'basis': an instance of the basis fills all {chip.groups} groups of chip {chip.name}, and layers with "
                "weights of their own need some; more groups or fewer vectors help"
            )
        return {name: owner if name in plan.left_out else BASIS for name, owner in network.owners.items()}, {
            BASIS: blocks
        }

    def driven(
        self,
        layer: MatrixLayer,
        index: int,
        weight: WeightMapping,
        network: Network | QuantisedNetwork,
        bits: LayerBits,
        readings: Readings,
        basis: BasisPlan | None,
    ) -> LayerMapping:
        """Return how a layer drives the basis, and what becomes of its sums; one that is left out drives its own blocks."""
        if weight.name != BASIS:
            return super().driven(layer, index, weight, network, bits, readings, basis)
        plan = planned(network) if isinstance(network, QuantisedNetwork) else basis
        assert plan is not None
        own = LayerBits(plan.numbers.element_bits, bits.inputs)
        found = super().driven(layer, index, weight, network, own, readings, basis)
        merged = self.combine == "merged"
        combined = combination_of(layer, network, plan.numbers, weight.blocks, found.readout, merged=merged)
        return replace(found, windows=combined.vectors, combination=combined)

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse weights that are no combinations of a basis, and a chip that cannot hold or combine it."""
        coded = subject.quantised
        plan = strategy.get(Precise).basis_of(subject.net, chip) if coded is None else planned(coded)
        for demanded, bound, helps in self._lacking(None if plan is None else plan.numbers, chip):
            yield self.refuse(demanded, bound=bound, helps=helps)

    def _lacking(self, numbers: BasisNumbers | None, chip: Chip) -> Iterator[tuple[str, str, str]]:
        """Yield what a chip or a coding lacks: what is demanded, what bounds it, and what would help."""
        part = chip.spec.basis
        if part is None:
            yield (
                f"chip {chip.name} has no lanes that combine the sums of a basis (key basis)",
                "basis", "take chip basisn, or add the part",
            )  # fmt: skip
            return
        if numbers is None:
            yield "stores a basis, and weights are no combinations of one", "coding", "take coding basis"
            return
        shape = weights_shape(chip, numbers.element_bits)
        if shape.per_array < 1 or numbers.height > shape.rows:
            yield (
                f"a vector of {numbers.height} elements is a column of an array, which has {shape.rows} rows of weights",
                "array.rows", "take a basis of shorter vectors",
            )  # fmt: skip
            return
        blocks = basis_blocks(numbers, chip)
        if blocks.count > chip.groups:
            yield (
                f"{numbers.vectors} vectors fill {blocks.count} groups, and chip {chip.name} has {chip.groups}",
                "tiles", "take fewer vectors, or more groups",
            )  # fmt: skip
        if numbers.bits > part.coefficient_bits:
            yield (
                f"coefficients have {numbers.bits} bits, and lanes take {part.coefficient_bits} (basis.coefficient_bits)",
                "basis.coefficient_bits", "take coefficients of fewer bits",
            )  # fmt: skip
        sums = min(numbers.vectors, blocks.shape.columns) * sum_bits(numbers, chip.input_bits)
        needed = -(-BATCHES * part.batch * sums // 8)
        if self.combine == "merged" and part.merging != "switches":
            yield (
                f"merges columns, and chip {chip.name} has no switches for it (basis.merging)",
                "basis.merging", "take combine lanes, or add the switches",
            )  # fmt: skip
        if self.combine == "merged" and numbers.units:
            yield "merges columns, and unit vectors are in none that is driven", "coding.basis", "take combine lanes"
        if self.combine == "merged" and shape.coding.inverts:
            yield (
                f"merges columns, and coding {shape.coding.name} of chip {chip.name} stores some of them inverted", "array.coding",
                "take combine lanes, or another coding",
            )  # fmt: skip
        if self.combine != "merged" and needed > part.product_bytes:
            yield (
                f"{BATCHES} batches of {part.batch} windows, one combined while the next is made, give {needed} bytes of sums, and "
                f"the product buffer of a group has {part.product_bytes} (basis.product_bytes)",
                "basis.product_bytes", "take fewer vectors, or a smaller basis.batch",
            )  # fmt: skip


def planned(quantised: QuantisedNetwork) -> BasisPlan | None:
    """Return what basis a network is coded on, None where on none."""
    return None if quantised.basis is None else BasisPlan(quantised.basis.numbers, quantised.left_out)


def basis_blocks(numbers: BasisNumbers, chip: Chip) -> DenseBlocks:
    """Return the blocks of one instance of a basis."""
    return dense_blocks(1, numbers.height, numbers.vectors, weights_shape(chip, numbers.element_bits), False)


__all__ = ["Basis", "basis_blocks"]
