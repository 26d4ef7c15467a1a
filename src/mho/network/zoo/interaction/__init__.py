"""Dense parts of recommenders that any number of fields feed: by description, hand-made or searched; see `Model`."""

from __future__ import annotations

from mho.network.zoo.interaction.model import MODELS, Model, of

__all__ = ["MODELS", "Model", "of"]
