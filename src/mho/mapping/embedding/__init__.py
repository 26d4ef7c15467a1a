"""Where the rows of embedding tables sit (ReCross): groups of rows that occur together, and copies of the busy ones.

The stages of a strategy that are for tables have their choices here.
"""

from mho.mapping.embedding.bundles import BundleBlocks
from mho.mapping.embedding.group import Grouping, group
from mho.mapping.embedding.layout import Layout
from mho.mapping.embedding.reading import Serving
from mho.mapping.embedding.replicate import Copies, replicate
from mho.mapping.embedding.scatter import NewRows, scatter
from mho.mapping.embedding.seating import TileOrder, seated

__all__ = [
    "BundleBlocks",
    "Copies",
    "Grouping",
    "Layout",
    "NewRows",
    "Serving",
    "TileOrder",
    "group",
    "replicate",
    "scatter",
    "seated",
]
