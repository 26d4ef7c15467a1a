"""Dense parts of recommenders that any number of fields feed: by description, hand-made or searched; see `Model`."""

from __future__ import annotations

from mho.network.zoo.interaction.genotype import Genotype
from mho.network.zoo.interaction.handmade import HAND_MADE
from mho.network.zoo.interaction.model import MODELS, DensePart, Model, of

for _model in HAND_MADE:
    MODELS.add(_model.kind, _model)
MODELS.add(Genotype.kind, Genotype)

__all__ = ["MODELS", "DensePart", "Genotype", "Model", "of"]
