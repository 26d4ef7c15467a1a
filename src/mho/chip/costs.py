"""What the events and parts of a chip cost, from the components that its file names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from mho.chip.lookup import adc_sets, shares_adcs
from mho.chip.parts import Paid
from mho.chip.readout import reading_notes
from mho.chip.roles import ROLES, Level, Role
from mho.chip.scaling import ENERGIES, stillmaker
from mho.chip.technology import Component
from mho.errors import ChipError

if TYPE_CHECKING:
    from mho.chip.chip import Chip
    from mho.chip.parts import Use


_WITH_ADCS = ("adc", "adc_mode", "shift_add")
"""Roles that follow the ADCs where groups share these."""
_ONLY = {
    "global_buffer_read_byte": "read_energy", "global_buffer_write_byte": "write_energy", "index_byte": "read_energy",
    "coefficient_read_byte": "read_energy", "coefficient_write_byte": "write_energy",
}  # fmt: skip
"""Events of memories that are of one way alone."""


@dataclass(frozen=True, eq=False)
class Costs:
    """Costs of one chip, computed on first use. Energies in J, areas in m2, powers in W."""

    chip: Chip

    def check(self) -> None:
        """Compute every cost once, so that a figure out of its table or range is refused when the chip is
        built.
        """
        buffer = self.chip.uses["global_buffer"]
        if self.chip.buffer.in_tiles != (buffer.technology is None):
            raise ChipError("components.global_buffer.use: must be none exactly where buffer.banks is in_tiles")
        _ = self.energy_per_event, self.leakage_w, self.bank_leakage_w, self.bank_byte_j
        for role in self.roles:
            self.area_m2(role)

    @cached_property
    def roles(self) -> Mapping[str, Role]:
        """The roles that components play in this chip."""
        return MappingProxyType({name: ROLES[name] for name in self.chip.uses})

    def component(self, role: str) -> Component | None:
        """Return the component that pays for a role's events."""
        return self._use(role).component

    def context(self, role: str, bank: int | None = None) -> Mapping[str, float]:
        """Return what the chip supplies to a role's figures; for the global buffer, for a bank of so many
        bytes.
        """
        if role == "global_buffer":
            size = max(self.chip.buffer.banks) if bank is None else bank
            return {"bytes": size, "port_bits": self.chip.buffer.port_bits}
        return ROLES[role].context(self.chip)

    def level(self, role: str) -> Level:
        """Return the level at which a role sits in this chip."""
        if role in ("vector_unit", "matrix_unit"):
            return self.chip.vector.level
        return "tile" if role in _WITH_ADCS and shares_adcs(self.chip) else ROLES[role].level

    def per_unit(self, role: str) -> int:
        """Return the instances of a role in one unit of its level; of ADCs that groups share, those of a tile."""
        count = ROLES[role].count(self.chip)
        if role in _WITH_ADCS and shares_adcs(self.chip):
            return count * self.chip.group.arrays * adc_sets(self.chip)
        return count

    def units(self, role: str) -> int:
        """Return how many units of the role's level there are on the chip."""
        chip = self.chip
        return {"array": chip.arrays, "group": chip.groups, "tile": chip.tiles, "chip": 1, "board": 1}[self.level(role)]

    def count(self, role: str) -> int:
        """Return the instances of a role on the whole chip; none for a global buffer that is the tile
        buffers.
        """
        if role == "global_buffer" and self.chip.buffer.in_tiles:
            return 0
        return self.per_unit(role) * self.units(role)

    def figure(self, role: str, name: str, bank: int | None = None) -> float:
        """Return a figure of a role's component, or 0 where no component plays it."""
        key = role, name, bank
        if key not in self._figures:
            component = self.component(role)
            try:
                self._figures[key] = (
                    0.0
                    if component is None
                    else component.figure(name, self.context(role, bank)) * self._scale(role, name) * self._more(role)
                )
            except ChipError as error:
                raise ChipError(f"components.{role}: {error}") from None
        return self._figures[key]

    @cached_property
    def _figures(self) -> dict[tuple[str, str, int | None], float]:
        """The figures that were asked for, by role, name and bank."""
        return {}

    def _use(self, role: str) -> Use:
        """Return which component pays for a role's events, with its technology."""
        return self.chip.uses["tile_buffer" if role == "global_buffer" and self.chip.buffer.in_tiles else role]

    def _more(self, role: str) -> float:
        """Return what a figure of an array is multiplied by for its reference column, which costs what others do."""
        if role != "array" or self.chip.array.reference is None:
            return 1.0
        return 1.0 + 1.0 / self.chip.array.columns

    def _scale(self, role: str, figure: str) -> float:
        """Return what a figure is multiplied by on its way to the chip's node."""
        use = self._use(role)
        if (
            self.chip.spec.scaling is None
            or use.technology is None
            or use.component is None
            or not use.component.scales
        ):
            return 1.0
        return stillmaker().factor(figure, use.technology.node, self.chip.node)

    @cached_property
    def nodes(self) -> Mapping[str, float]:
        """Role on the chip to the node in m that its energy is of; what is scaled, or a formula of the node, is at the chip's."""
        nodes: dict[str, float] = {}
        for role in self.roles:
            use = self._use(role)
            if use.technology is None or use.component is None or self.level(role) == "board":
                continue
            follows = {name for name in use.component.figures if name in ENERGIES} <= use.component.follow_node
            moved = follows or (self.chip.spec.scaling is not None and use.component.scales is not None)
            nodes[role] = self.chip.node if moved else use.technology.node
        return MappingProxyType(nodes)

    def instances(self) -> Iterator[tuple[str, int, int]]:
        """Yield each role that takes area on the chip, the bytes of a bank (0: it is none), and how many there are."""
        for role in self.roles:
            if self.component(role) is None or self.level(role) == "board":
                continue
            if role == "global_buffer":
                banks = () if self.chip.buffer.in_tiles else self.chip.buffer.banks
                yield from ((role, size, count) for size, count in sorted(Counter(banks).items()))
            else:
                yield role, 0, self.count(role)

    def area_m2(self, role: str, bank: int | None = None) -> float:
        """Return the area of one instance."""
        return self.figure(role, "area", bank)

    def byte_energies(self, role: str, bank: int | None = None) -> tuple[float, float]:
        """Return the energies of a byte read from and written to a memory that moves a port's width per
        access.
        """
        context = self.context(role, bank)
        width = context["port_bits"] / 8
        return self.figure(role, "read_energy", bank) / width, self.figure(role, "write_energy", bank) / width

    def paid(self, role: str, event: str, bank: int = 0) -> tuple[Paid, ...]:
        """Return what a price is made of: of an event of a role, or ("leakage", "area") of a second, or the area, of an instance.

        `bank`: the bytes of the bank of the global buffer that it is of, 0 where it is of none.
        """
        use, size = self._use(role), bank or None
        if event in ("leakage", "area"):
            shares = {event: 1.0}
        elif self.roles[role].per == "access":
            width = self.context(role, size)["port_bits"] / 8
            # The machine counts bytes in and out of a tile buffer together; each is written once and read
            # once. An index is written once and read in every window.
            only = _ONLY.get(event)
            shares = {only: 1 / width} if only else {"read_energy": 0.5 / width, "write_energy": 0.5 / width}
        else:
            shares = {"energy": 1.0}
        return tuple(
            Paid(use, name, share, self.figure(role, name, size), self._scale(role, name) * self._more(role))
            for name, share in shares.items()
        )

    @cached_property
    def energy_per_event(self) -> Mapping[str, float]:
        """Event of this chip to energy in J, by name."""
        energies: dict[str, float] = {}
        for role, definition in self.roles.items():
            for event in definition.events:
                energies[event] = sum(part.share * part.value for part in self.paid(role, event))
        return MappingProxyType({event: energies[event] for event in sorted(energies)})

    @cached_property
    def event_component(self) -> Mapping[str, str]:
        """Event to role."""
        return MappingProxyType({event: role for role, definition in self.roles.items() for event in definition.events})

    @cached_property
    def followers(self) -> Mapping[str, str]:
        """Event that follows another to that other: both happen equally often."""
        roles = self.roles.values()
        return MappingProxyType({event: role.follows for role in roles if role.follows for event in role.events})

    def may_leak(self, role: str) -> bool:
        """Return whether a role leaks, or may, by what its files say of other sources."""
        use = self._use(role)
        spreads = {} if use.component is None else use.component.spreads
        return bool(self.figure(role, "leakage") or use.alternatives or "leakage" in spreads)

    @cached_property
    def leakage_w(self) -> Mapping[str, float]:
        """Role to leakage of all its instances, the banks of the global buffer left out."""
        roles = [role for role in self.roles if role != "global_buffer"]
        return MappingProxyType({role: self.figure(role, "leakage") * self.count(role) for role in roles})

    @cached_property
    def bank_leakage_w(self) -> tuple[float, ...]:
        """Leakage of each bank; 0 where the banks are the tile buffers, whose leakage is counted there."""
        if self.chip.buffer.in_tiles:
            return (0.0,) * len(self.chip.buffer.banks)
        sizes = {bank: self.figure("global_buffer", "leakage", bank) for bank in set(self.chip.buffer.banks)}
        return tuple(sizes[bank] for bank in self.chip.buffer.banks)

    @cached_property
    def bank_byte_j(self) -> tuple[tuple[float, float], ...]:
        """Energies in J of a byte read from and written to each bank, by the bank's own size."""
        sizes = {bank: self.byte_energies("global_buffer", bank) for bank in set(self.chip.buffer.banks)}
        return tuple(sizes[bank] for bank in self.chip.buffer.banks)

    @property
    def bank_read_j(self) -> tuple[float, ...]:
        """Energy in J of a byte read from each bank of the global buffer."""
        return tuple(read for read, _ in self.bank_byte_j)

    @property
    def bank_write_j(self) -> tuple[float, ...]:
        """Energy in J of a byte written to each bank of the global buffer."""
        return tuple(write for _, write in self.bank_byte_j)

    def _node_notes(self) -> list[str]:
        """Say which components stand at another node than the chip, and which were brought to it."""
        chip, notes = self.chip, []
        apart: dict[float, list[str]] = {}
        for role, node in self.nodes.items():
            if node != chip.node:
                component = self.component(role)
                by_node = component is not None and "area" in component.follow_node
                apart.setdefault(node, []).append(f"{role} (whose area is a formula of the node)" if by_node else role)
        for node, roles in sorted(apart.items()):
            notes.append(
                f"energy and area of {', '.join(sorted(roles))} are as published at {node * 1e9:g} nm, not at this chip's "
                f"{chip.node * 1e9:g} nm; times are the chip file's own at any node"
            )
        if chip.spec.scaling is not None:
            scaled = [role for role in self.nodes if self._scale(role, "area") != 1.0]
            if scaled:
                notes.append(
                    f"energy and area of {', '.join(sorted(scaled))} are brought to {chip.node * 1e9:g} nm by the rule "
                    f"{chip.spec.scaling}, leakage stays as published: {stillmaker().sources[0]}"
                )
                notes += stillmaker().sources[1:]
        return notes

    @property
    def notes(self) -> tuple[str, ...]:
        """Simplifications that the energies of this chip rest on."""
        notes = [*self._node_notes(), "a byte through a tile buffer costs the mean of a read and a write"]
        if len(set(self.chip.buffer.banks)) > 1:
            largest = max(self.chip.buffer.banks)
            notes.append(
                "a byte of the global buffer costs what it costs in the banks that hold its tensor; one that passes "
                f"through without a bank, what it costs in the largest, {largest} bytes"
            )
        if self.chip.sparse:
            notes.append(
                "a byte of an index memory costs what a read does; it is written once and read in every window"
            )
        if self.chip.coding.inverts:
            notes.append(
                "assumption: the unit column of each array is set once when the chip is made; it is sampled and converted in every "
                "step, but the array's own area and energy are those of the other columns"
            )
        if self.chip.array.reference is not None:
            notes.append(
                "assumption: the reference column of each array costs the area and the reads of one column more, is set once when "
                "the chip is made, and its current is subtracted before columns are sampled, at no cost"
            )
        if self.chip.coding.stacked:
            notes.append(
                "assumption: both rows of a pair have drivers of their own, of opposite voltages, and a column's ADC converts what "
                "they give together like the sum of one row"
            )
        elif self.chip.coding.pairs:
            notes.append(
                "assumption: both columns of a pair are sampled, and an ADC converts their difference like the sum of one column"
            )
        notes += reading_notes(self.chip.array)
        if self.chip.spec.unused is not None:
            notes.append(
                "assumption: arrays, groups and tiles that a program never uses are behind ideal power gates: they leak nothing, "
                "and gates take neither time nor energy nor area"
            )
        if self.chip.spec.external_io is not None:
            notes.append(
                "assumption: links off the chip are powered only while weights, inputs, outputs or activations without room cross "
                "them; switching them takes neither time nor energy"
            )
        return tuple(notes)
