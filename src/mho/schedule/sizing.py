"""A chip sized to a network: the fewest tiles that hold it, as a rule that stands where a number of tiles may stand.

The blocks of one copy of each weight, or of several, fill groups; groups fill tiles, the last one in part. Where activations live
in the tile buffers, there are as many tiles more as all of them need to have room there (banks chosen greedily, each tensor in
whole buffers). Everything else is as on the chip that is sized, and the chip that comes of it is one like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mho.chip import Chip
from mho.chip.fit import TILES, copies_asked
from mho.errors import OptionError
from mho.mapping import mapped_by
from mho.network.graph import Network
from mho.number import QuantisedNetwork, Sampled
from mho.program.work import coded_tensors
from mho.schedule.buffer import fewest_banks
from mho.schedule.compile import coded
from mho.strategy.strategy import Strategy


def sized(
    network: Network | QuantisedNetwork | Sampled,
    chip: Chip | str | Path,
    strategy: Strategy | str | Path | None = None,
    *,
    copies: int = 1,
) -> Chip:
    """Return the chip with the fewest tiles that hold so many copies of a network, as the strategy codes and maps it.

        chip = mho.schedule.sized(network, "isaac")
        mho.compile(network, chip)                      all weights stay, and all activations where tile buffers hold them

    The source of its `tiles` says what was rounded. Raises OptionError for fewer copies than one; StrategyError and MappingError as
    `compile` does.
    """
    if copies < 1:
        raise OptionError(f"a chip is sized to 1 copy of a network or more, not {copies}")
    chip = chip if isinstance(chip, Chip) else Chip.load(chip)
    strategy, subject = Strategy.of(strategy), Sampled.of(network)
    codes = coded(subject, chip, strategy) if subject.has_values else None
    mapping = mapped_by(strategy, codes or subject.net, chip)
    groups = copies * mapping.count
    tiles = needed = max(1, -(-groups // chip.tile.groups))
    held = f"one copy of its weights fills {groups}" if copies == 1 else f"{copies} copies of its weights fill {groups}"
    rule = f"{held} groups, {chip.tile.groups} a tile, rounded up to {needed} tiles"
    if chip.buffer.in_tiles:
        tiles = fewest_banks(subject.net, coded_tensors(subject.net, codes, mapping.layers), chip, needed)
        if tiles > needed:
            rule += (
                f"; {tiles} tiles give its activations room, in whole tile buffers of {chip.tile.buffer_bytes} bytes"
            )
    source = f"assumption: sized to {subject.net.name}: {rule}"
    return chip.override({TILES: tiles}, source=source, name=f"{chip.name.rstrip('*')}*")


def fitted(
    chip: Chip, changes: Mapping[str, Any], network: Network | QuantisedNetwork | Sampled, strategy: Strategy
) -> Chip:
    """Return a chip sized to a network where `changes` give the rule for its tiles, else the chip itself. Raises as `sized`."""
    copies = copies_asked(changes)
    return sized(network, chip, strategy, copies=copies) if copies else chip
