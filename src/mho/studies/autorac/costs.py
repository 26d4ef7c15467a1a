"""What a model of a recommender costs on a chip, from its program: of fresh weights, as costs do not ask what they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mho.chip import Chip
from mho.explore.autorac.execute import Machine
from mho.explore.autorac.finals import COSTS
from mho.explore.autorac.run import SOURCE
from mho.explore.autorac.space import BASE
from mho.explore.space import Value
from mho.network.zoo.interaction.model import DensePart, Model
from mho.number import QuantisedNetwork, quantise
from mho.strategy import Strategy

CHIP = "isaac"
NAIVE_SCHEDULE = Strategy().with_(schedule="naive")
"""One copy, one operator after another."""
BARE: Mapping[str, Value] = {"tiles": "fit"}
"""What a chip that is sized to its network has, and that is not searched."""
SAMPLES = 8


def chip() -> Chip:
    """Return the chip that every design of the study starts from."""
    return Chip.load(CHIP).override(dict(BASE), source=SOURCE, name=f"{CHIP}-searched")


@dataclass(frozen=True)
class Costed:
    """A model for so many fields of a dimension, quantised at bits as `number.quantise` takes them."""

    model: Model
    fields: int
    dimension: int
    bits: Any

    def network(self) -> QuantisedNetwork:
        """Return its integers, of fresh weights."""
        part = DensePart(self.model, self.fields, self.dimension)
        built = part.build(part.fresh(0), name=self.model.name, origin="fresh weights, seed 0")
        samples = np.random.default_rng(0).standard_normal((SAMPLES, self.fields, part.width), dtype=np.float32)
        return quantise(built, samples, bits=self.bits)

    def on(self, base: Chip, strategy: Strategy, values: Mapping[str, Value]) -> dict[str, float]:
        """Return time, energy and area on a chip, and the products and windows of the matrices."""
        network = self.network()
        figures, _ = Machine(base, strategy, values).of(self.model.name, network)
        windows = sum(math.prod(layer.shape[1:-1]) for layer in network.network.matrix_layers)
        return {
            **{cost: figures[cost] for cost in COSTS},
            "products": float(network.network.macs),
            "windows": float(windows),
        }
