"""Networks with tables: the dense part is compiled for the tiles that the tables leave, and the gathering of rows set before it.

Tables fill the last tiles of the chip, and are written in the setup, before all else. In the place of each layer of bags the dense
part has an input of its own; a schedule plans as for any other network. Then the loads of these inputs give way to one gather,
which waits for writes and look-ups, and for what the first of the loads waited for: on a chip that computes one layer after
another, the layer before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mho.chip import Chip
from mho.errors import MappingError, StrategyError
from mho.mapping.embedding.layout import Layout
from mho.mapping.embedding.seats import Seats
from mho.mapping.embedding.tables import bags_of, with_tables
from mho.network.graph import Network
from mho.network.layers import Input
from mho.number import QuantisedNetwork, Sampled
from mho.program import Gather, Instruction, Program, Transfer
from mho.program.tables import instance_groups, table_writes
from mho.program.work import dispatched

NOTE = "look-ups reach the chip as selections of rows, whose bytes are counted where they reach arrays, not as tensors of indices"


@dataclass(frozen=True, eq=False)
class Seated:
    """A network that adds up rows of tables, with samples or not, and where these sit: what `mho.compile` takes.

    mho.compile(mho.schedule.Seated(network, Seats(layout, chip, dimension)), chip)
    """

    network: Network | QuantisedNetwork | Sampled
    seats: Seats


def seated(network: Network, chip: Chip, seats: Seats | None) -> Seats:
    """Return where the tables of a network sit: as given, or rows in their order, a copy each. MappingError without room."""
    layers = list(bags_of(network).values())
    widths = sorted({layer.table.shape[1] for layer in layers})
    if len(widths) > 1:
        raise MappingError(
            f"tables of {network.name} have rows of {widths} features; those that share arrays have as many"
        )
    if seats is None:
        rows = sum(layer.table.shape[0] for layer in layers)
        layout = Layout.of(np.arange(rows) // chip.weight_rows, chip.weight_rows, "order")
        seats = Seats(layout, chip, widths[0])
    if seats.chip != chip:
        raise MappingError(f"tables are seated on chip {seats.chip.name!r}, not on {chip.name!r}")
    if seats.tiles >= chip.tiles:
        raise MappingError(
            f"the tables take all {chip.tiles} tiles of chip {chip.name!r}; none is left for the dense part "
            "(tiles=... gives it more)"
        )
    return seats


def remaining(chip: Chip, seats: Seats) -> Chip:
    """Return the chip of the tiles that tables leave."""
    name = f"{chip.name} (dense part)"
    return chip.override({"tiles": chip.tiles - seats.tiles}, source="tiles that the tables leave", name=name)


def dense_part(codes: QuantisedNetwork | Network) -> QuantisedNetwork | Network:
    """Return a network with an input in the place of each layer of bags, and without the inputs that only these read.

    All bags are added up at once, so that these inputs come together, where the first was: what finds room in the buffer for the
    sums of one must not count on another's coming later.
    """
    network = codes.network if isinstance(codes, QuantisedNetwork) else codes
    given, sums = dispatched(network), bags_of(network)
    bags = {layer.name for layer in sums.values()}
    arriving = tuple(Input(name=layer.name, inputs=(), shape=layer.shape) for layer in sums.values())
    first = next(iter(sums))
    before, behind = (
        tuple(layer for layer in layers if layer.name not in given | bags)
        for layers in (network.layers[:first], network.layers[first:])
    )
    cut = replace(network, layers=(*before, *arriving, *behind))
    if not isinstance(codes, QuantisedNetwork):
        return cut
    tables = {name: table for name, table in codes.tables.items() if name not in bags}
    return replace(codes, network=cut, tables=tables)


def gathering(program: Program, codes: QuantisedNetwork | Network, chip: Chip, seats: Seats) -> Program:
    """Return the program of a whole network, of which `program` computes the dense part.

    Raises StrategyError where rows of tensors flow, and where the buffer has no room for sums that are coded.
    """
    network = codes.network if isinstance(codes, QuantisedNetwork) else codes
    if program.stream is not None:
        raise StrategyError(
            "schedule",
            program.schedule,
            "lets rows of tensors flow; tables give a batch at once",
            helps="take schedule adaptive",
        )
    old = [layer.name for layer in program.network.layers]
    place = {layer.name: index for index, layer in enumerate(network.layers)}
    here = [place[name] for name in old]
    mapping = replace(
        program.mapping,
        layers=tuple(replace(layer, index=here[layer.index]) for layer in program.mapping.layers),
    )
    mapping = with_tables(mapping, network, seats.blocks)
    tables = mapping.tables
    assert tables is not None
    for use in program.buffers:
        if here[use.layer] in tables.layers and use.spilled:
            name = program.strategy.banks.name
            raise StrategyError("banks", name, f"finds no room in the buffer for the sums {old[use.layer]!r}")
    offset = (chip.tiles - seats.tiles) * chip.tile.groups
    writes = list(table_writes(tables.layers[0], tables.first, seats, offset))
    body = _Body(network, tables.layers, here, len(writes))
    gather = Gather(tables.layers[0], tables.run, instance_groups(seats, offset), tuple(range(len(writes))))
    instructions = (*writes, *body.moved(program, gather))
    return Program(
        chip=chip,
        network=network,
        quantised=codes if isinstance(codes, QuantisedNetwork) else None,
        mapping=mapping,
        strategy=program.strategy,
        instructions=instructions,
        setup=program.setup + len(writes),
        buffers=tuple(replace(use, layer=here[use.layer], last=here[use.last]) for use in program.buffers),
        notes=(*program.notes, NOTE),
    )


class _Body:
    """Instructions of a dense part, as they stand in the whole program: `number` says where each went."""

    def __init__(self, network: Network, bags: tuple[int, ...], here: list[int], before: int) -> None:
        self.network, self.bags, self.here, self.next = network, frozenset(bags), here, before
        self.waits: list[tuple[int, ...]] = []

    def moved(self, program: Program, gather: Gather) -> Iterator[Instruction]:
        """Yield the instructions behind the writes of tables, in order."""
        place = {layer.name: index for index, layer in enumerate(self.network.layers)}
        gathered: int | None = None
        for number, each in enumerate(program.instructions):
            after = tuple(sorted({other for waited in each.after for other in self.waits[waited]}))
            if isinstance(each, Transfer) and each.direction == "load" and self.here[each.layer] in self.bags:
                if gathered is None:
                    assert number >= program.setup
                    loads = tuple(range(self.next, self.next + len(dispatched(self.network))))
                    for name in sorted(dispatched(self.network), key=place.__getitem__):
                        yield Transfer("load", place[name], 0, ())
                    self.next += len(loads)
                    gathered = self.next
                    yield replace(gather, after=tuple(sorted({*gather.after, *after, *loads})))
                    self.next += 1
                # Who waited for a later load waits for what that waited for, too.
                self.waits.append(tuple(sorted({gathered, *(other for other in after if other > gathered)})))
                continue
            self.waits.append((self.next,))
            self.next += 1
            yield replace(each, layer=self.here[each.layer], after=after)
