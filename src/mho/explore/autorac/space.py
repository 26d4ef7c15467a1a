"""The joint space of recommenders and the chips that they run on: a model, the bits of its operators, and the keys of a chip.

A design is one number for each gene of the model (`ModelSpace`) and one for each key of chip and strategy (`Space`). Numbers that
come to the same network on the same chip are one design: it has one `key`, and one record in a store.

    joint = JointSpace(ModelSpace(blocks=3))
    indices = joint.drawn(Random(0))
    joint.values(indices)                    {"model": {...}, "array.rows": 64, ...}, the model canonical
    joint.mutated(indices, Random(1))        another design for certain
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from random import Random
from types import MappingProxyType
from typing import Any

from mho.errors import OptionError
from mho.explore.space import Space, Value
from mho.network.zoo.interaction.counting import Count, different, options, raw
from mho.network.zoo.interaction.genotype import Genotype
from mho.network.zoo.interaction.space import Gene, Indices, ModelSpace

MODEL = "model"
"""The key of a design's values that holds the record of its model."""
BASE: Mapping[str, Value] = MappingProxyType(
    {"array.adc_modes": "every", "components.external_io": "none", "components.memory": "none"}
)
"""What a chip like `isaac` that is searched has whatever else is chosen: conversions that may stop early, neither links nor a main
memory, as weights and tables stay in cells.
"""
CHIP: Mapping[str, tuple[Value, ...]] = MappingProxyType(
    {
        "array.rows": (32, 64, 128, 256),
        "array.columns": (32, 64, 128, 256),
        "array.cell_bits": (1, 2),
        "array.coding": ("offset", "flipped", "differential"),
        "array.adcs": (1, 2, 4),
        "array.adc_bits": (6, 7, 8, 9, 10),
        "array.convert": ("all", "used"),
        "conversion": ("chip", "exact", "below"),
        "group.arrays": (1, 2, 4, 8),
        "tile.groups": (4, 8, 12, 16),
        "tile.noc_port_bits": (64, 128, 256),
        "tiles": ("fit", "fit:2", "fit:4"),
        "schedule": ("overlap", "stream"),
    }
)
"""What is searched of a chip like `isaac` and of the strategy. Its DACs have 1 bit: its technology publishes no others."""
ALIKE = ("conversion", "tiles", "schedule")
"""Keys of which two values may come to the same: bits of conversions that the chip's ADCs do not have, tiles for activations."""
TABLES: Mapping[str, tuple[Value, ...]] = MappingProxyType(
    {
        "grouping": ("frequency", "greedy", "refine"),
        "copies": ("none", "log", "load"),
        "seating": ("round", "together"),
        "lookup.adc_modes": ("fixed", "switch", "every"),
    }
)
"""What may be searched besides where the tables of a recommender are in crossbars, of a chip that has the part `lookup`."""
TRIES = 1000
"""Changes that are tried for one that is another design."""


@dataclass(frozen=True)
class Listed:
    """A few models as a space: which of them. OptionError for none, and for one that is not among them."""

    models: tuple[Genotype, ...]

    def __post_init__(self) -> None:
        """Refuse an empty list."""
        if not self.models:
            raise OptionError("a list of models has one or more")

    @property
    def genes(self) -> tuple[Gene, ...]:
        """The one gene: which model."""
        return (Gene(MODEL, len(self.models)),)

    def genotype(self, indices: Sequence[int]) -> Genotype:
        """Return a model by its place."""
        return self.models[indices[0]]

    def indices(self, model: Genotype) -> Indices:
        """Return the place of a model."""
        if model not in self.models:
            raise OptionError("the model is none of the list")
        return (self.models.index(model),)


@dataclass(frozen=True)
class JointSpace:
    """Models of a space, or some models, on chips of another space. Raises OptionError for keys and values as `Space` does."""

    models: ModelSpace | Listed = field(default_factory=ModelSpace)
    axes: Mapping[str, Sequence[Value]] = field(default_factory=lambda: CHIP)
    when: Sequence[str] = ()

    @cached_property
    def chips(self) -> Space:
        """The space of chips and strategies."""
        return Space(self.axes, self.when)

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """The genes of the model, then those of chip and strategy."""
        return (*self.models.genes, *(Gene(axis.key, len(axis.values), axis.ordered) for axis in self.chips.parts))

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """How many choices each gene has."""
        return tuple(gene.size for gene in self.genes)

    @property
    def ordered(self) -> tuple[bool, ...]:
        """Whether neighbouring choices of each gene are like one another."""
        return tuple(gene.ordered for gene in self.genes)

    def parts(self, indices: Indices) -> tuple[Indices, Indices]:
        """Return the numbers of the model, and those of chip and strategy."""
        count = len(self.models.genes)
        return indices[:count], indices[count:]

    def model(self, indices: Indices) -> Genotype:
        """Return the canonical model of a design."""
        return _model(self.models, self.parts(indices)[0])

    def chip_values(self, indices: Indices) -> dict[str, Value]:
        """Return the values of chip and strategy, by key."""
        return self.chips.values(self.parts(indices)[1])

    def values(self, indices: Indices) -> dict[str, Any]:
        """Return a design as JSON has it: the same for all numbers that are the same design."""
        return {MODEL: self.model(indices).record(), **self.chip_values(indices)}

    def changes(self, values: Mapping[str, Any]) -> dict[str, dict[str, Value]]:
        """Return what a design changes of chip, strategy, analog side and network, by part."""
        return self.chips.changes({key: value for key, value in values.items() if key != MODEL})

    def indices(self, model: Genotype, chip: Mapping[str, Value]) -> Indices:
        """Return numbers of a design. OptionError for a model or a value that is not in the space."""
        found = list(self.models.indices(model))
        for axis in self.chips.parts:
            if axis.key not in chip or chip[axis.key] not in axis.values:
                raise OptionError(f"{axis.key}: {chip.get(axis.key)!r} is none of {list(axis.values)}")
            found.append(axis.values.index(chip[axis.key]))
        return tuple(found)

    def key(self, indices: Indices) -> str:
        """Return a text that two designs have in common exactly where they are the same."""
        return json.dumps(self.values(indices), separators=(",", ":"))

    def __getstate__(self) -> dict[str, Any]:
        """Return what goes to another process: not what is told by a function within a function."""
        return {name: value for name, value in vars(self).items() if name != "_allows"}

    @cached_property
    def _allows(self) -> Any:
        return self.chips.allows()

    def allows(self, indices: Indices) -> bool:
        """Return whether a design meets all conditions."""
        return bool(self._allows(self.parts(indices)[1]))

    def drawn(self, random: Random) -> Indices:
        """Draw each gene evenly, of designs that meet the conditions. OptionError where next to none does."""
        for _ in range(TRIES):
            indices = tuple(random.randrange(size) for size in self.sizes)
            if self.allows(indices):
                return indices
        raise OptionError(f"the conditions refuse {TRIES} designs that were drawn")

    def mutated(self, indices: Indices, random: Random, genes: int = 3) -> Indices:
        """Return another design: one to so many genes changed, of which at least one counts.

        Half of the changes are of the model: neighbours on ordered genes, one output more or less of those that are read, any other
        choice elsewhere. OptionError where nothing else is found, as in a space of one design.
        """
        key, first = self.key(indices), len(self.models.genes)
        for _ in range(TRIES):
            changed = list(indices)
            for _ in range(random.randint(1, genes)):
                inside = random.random() < 0.5
                place = random.randrange(first) if inside else random.randrange(first, len(changed))
                changed[place] = other(self.genes[place], changed[place], random)
            made = tuple(changed)
            if made != indices and self.allows(made) and self.key(made) != key:
                return made
        raise OptionError("no other design was found by changing one")

    def crossed(self, one: Indices, two: Indices, random: Random) -> Indices:
        """Return a design of two: each block of the model from either, each key of the chip from either. It may be one of them."""
        parents, made = (one, two), list[int]()
        sources: dict[str, int] = {}
        for place, gene in enumerate(self.genes):
            block = gene.name.partition(".")[0] if place < len(self.models.genes) else gene.name
            source = sources.setdefault(block, random.randrange(2))
            made.append(parents[source][place])
        return tuple(made) if self.allows(tuple(made)) else one

    def counts(self) -> dict[str, Count]:
        """Return the size of the space: raw, by options, and a lower bound of designs that certainly differ; see `counting`.

        Chips of different values differ, but where these are of keys in ALIKE, which the bound leaves out. Conditions are not
        counted in, so that none may be there for it to hold.
        """
        if isinstance(self.models, Listed):
            raise OptionError("listed models are no space that is counted")
        chips = len(self.chips)
        said = f"chips ({self.chips.formula().partition(' = ')[0]})"
        found = {"raw": raw(self.models).times(chips, said), "options": options(self.models).times(chips, said)}
        certain = {axis.key: len(axis.values) for axis in self.chips.parts if axis.key not in ALIKE}
        said = f"chips ({' × '.join(map(str, certain.values()))})"
        return (
            found
            if self.when
            else found | {"different": different(self.models).times(math.prod(certain.values()), said)}
        )


@lru_cache(maxsize=4096)
def _model(models: ModelSpace | Listed, indices: Indices) -> Genotype:
    """Return a canonical model, which is asked for by its key and again by its values."""
    return models.genotype(indices)


def other(gene: Gene, index: int, random: Random) -> int:
    """Return another choice of a gene."""
    if gene.size == 1:
        return index
    if gene.subset:
        # One output more or less; the empty set, which is none, becomes what was.
        flipped = (index + 1) ^ 1 << random.randrange((gene.size + 1).bit_length() - 1)
        return flipped - 1 if flipped else index
    if gene.ordered:
        return random.choice([near for near in (index - 1, index + 1) if 0 <= near < gene.size])
    return (index + random.randrange(1, gene.size)) % gene.size


__all__ = ["BASE", "CHIP", "MODEL", "TABLES", "JointSpace", "Listed", "other"]
