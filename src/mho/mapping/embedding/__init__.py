"""Where the rows of embedding tables sit (ReCross): groups of rows that occur together, and copies of the busy ones."""

from mho.mapping.embedding.cover import cover, groups_per_bag
from mho.mapping.embedding.layout import Layout

__all__ = ["Layout", "cover", "groups_per_bag"]
