"""Where the rows of embedding tables sit (ReCross): groups of rows that occur together, and copies of the busy ones."""

from mho.mapping.embedding.group import METHODS, group
from mho.mapping.embedding.layout import Layout
from mho.mapping.embedding.replicate import RULES, replicate
from mho.mapping.embedding.scatter import scatter
from mho.mapping.embedding.seating import seated

__all__ = [
    "METHODS",
    "RULES",
    "Layout",
    "group",
    "replicate",
    "scatter",
    "seated",
]
