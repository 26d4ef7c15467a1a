"""Which arrays of a chip the instances of a layout take."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.chip.lookup import adc_sets, shares_adcs
from mho.errors import MappingError, OptionError
from mho.mapping.embedding.bundles import BundleBlocks
from mho.mapping.embedding.layout import Layout
from mho.mapping.shape import weights_shape


def room(chip: Chip, dimension: int) -> int:
    """Return how many instances of groups of rows of `dimension` features a chip has seats for."""
    return chip.tiles * (chip.tile.groups // -(-dimension // chip.group_columns))


@dataclass(frozen=True, eq=False)
class Seats:
    """The place of each instance of a layout on a chip, for rows of `dimension` features of 8 bits.

    An instance takes the groups that its features need, all in one tile. Unless they are `placed`, instances go round the tiles, so
    that copies of one group and groups that follow each other do not crowd one tile's port; `placed` int32 (instances,) gives the
    tile of each (`mho.mapping.embedding.seated` finds them by a history). `tile` and `adc_set` int32 (instances,): where it
    sits, and which set of ADCs (counted over all tiles in use) it takes turns at.

    Raises MappingError where the chip has too few rows, tiles, or groups in a tile, OptionError for rows without features.
    """

    layout: Layout
    chip: Chip
    dimension: int
    placed: npt.NDArray[np.int32] | None = None

    def __post_init__(self) -> None:
        """Refuse what does not fit."""
        chip, layout = self.chip, self.layout
        if isinstance(self.dimension, bool) or not isinstance(self.dimension, int | np.integer) or self.dimension < 1:
            raise OptionError(
                f"rows of embeddings have a whole number of features, at least 1 feature, not {self.dimension!r}"
            )
        if layout.height > chip.weight_rows:
            raise MappingError(
                f"groups of up to {layout.height} rows do not fit the arrays of chip {chip.name!r}, of {chip.weight_rows} rows"
            )
        if self.span > chip.tile.groups or (self.span > 1 and shares_adcs(chip)):
            most = chip.group_columns * (1 if shares_adcs(chip) else chip.tile.groups)
            raise MappingError(
                f"{self.dimension} features take {self.span} groups; chip {chip.name!r} has room for {most} in a row"
            )
        if self.tiles > chip.tiles:
            raise MappingError(
                f"{layout.instances} groups of rows of {self.dimension} features take {self.tiles} tiles, chip {chip.name!r} has "
                f"{chip.tiles} (tiles=... gives it more)"
            )
        if self.placed is not None:
            self._check_placed(self.placed)

    def _check_placed(self, placed: npt.NDArray[np.int32]) -> None:
        whole = isinstance(placed, np.ndarray) and placed.dtype.kind in "iu"
        if not whole or placed.shape != (self.layout.instances,) or placed.min() < 0 or placed.max() >= self.tiles:
            raise MappingError(f"each of {self.layout.instances} instances is placed in one of {self.tiles} tiles")
        counts = np.bincount(placed)
        if counts.max() > self.per_tile:
            raise MappingError(
                f"tile {counts.argmax()} is given {counts.max()} instances; it has room for {self.per_tile}"
            )

    @cached_property
    def blocks(self) -> BundleBlocks:
        """Return the blocks that fill the groups of one copy of the layout."""
        return BundleBlocks(self.layout, self.dimension, weights_shape(self.chip))

    @property
    def span(self) -> int:
        """Groups of the chip that an instance takes."""
        return self.blocks.span

    @property
    def per_tile(self) -> int:
        """Instances that a tile has room for."""
        return self.chip.tile.groups // self.span

    @property
    def tiles(self) -> int:
        """Tiles in use."""
        return -(-self.layout.instances // self.per_tile)

    @property
    def adc_sets(self) -> int:
        """Sets of ADCs in the tiles in use."""
        return self.tiles * adc_sets(self.chip)

    @cached_property
    def tile(self) -> npt.NDArray[np.int32]:
        """The tile of each instance."""
        if self.placed is not None:
            return self.placed
        return (np.arange(self.layout.instances) % self.tiles).astype(np.int32)

    @cached_property
    def _local(self) -> npt.NDArray[np.int64]:
        """The first group of each instance, counted in its tile, which instances fill in order."""
        order = np.argsort(self.tile, kind="stable")
        local = np.empty(self.layout.instances, dtype=np.int64)
        local[order] = np.arange(len(order)) - np.searchsorted(self.tile[order], self.tile[order])
        return local * self.span

    @cached_property
    def groups(self) -> npt.NDArray[np.int64]:
        """The first group of each instance, counted over all tiles."""
        return self.tile.astype(np.int64) * self.chip.tile.groups + self._local

    @cached_property
    def adc_set(self) -> npt.NDArray[np.int32]:
        """The set of ADCs of each instance."""
        shared = 1 if self.chip.lookup is None else self.chip.lookup.groups_per_adc
        return (self.tile * adc_sets(self.chip) + self._local // shared).astype(np.int32)

    def area_m2(self) -> dict[str, float]:
        """Return the area by component of the groups in use, and of their share of tiles and of the chip.

        Parts of arrays and groups count by the groups in use, parts of tiles by the same share of all groups, those of the chip
        whole; so a layout of twice the instances takes about twice the area.
        """
        chip = self.chip
        share = self.layout.instances * self.span / chip.groups
        rolled = chip.roll_up()
        areas: dict[str, float] = {}
        for part in rolled.parts:
            area = part.area_m2 * part.total * (1.0 if part.level == "chip" else share)
            areas[part.component] = areas.get(part.component, 0.0) + area
        return areas
