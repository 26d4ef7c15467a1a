"""Parts of a chip as the rest of mho sees them: buffer, vector unit, and which component plays which role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mho.chip.quantity import Sources, as_mapping, check_keys
from mho.chip.roles import ROLES, Role
from mho.chip.store import read_technology
from mho.chip.technology import Component, Technology
from mho.errors import ChipError, choices

NONE = "none"


@dataclass(frozen=True)
class Buffer:
    """The global buffer: bytes of each bank, port width in bits; `in_tiles` says that the banks are the tile
    buffers.
    """

    banks: tuple[int, ...]
    port_bits: int
    in_tiles: bool

    @property
    def capacity(self) -> int:
        """Bytes of all banks."""
        return sum(self.banks)


@dataclass(frozen=True)
class Vector:
    """The vector unit and its digital matrix unit; rates are of the whole chip, lanes of one unit."""

    level: Literal["tile", "chip"]
    lanes: int
    matrix_lanes: int
    elements_per_s: float | None
    macs_per_s: float | None


@dataclass(frozen=True)
class Use:
    """The component that plays a role, or none, and why it was chosen."""

    role: str
    name: str
    technology: Technology | None
    component_name: str
    source: str

    @property
    def component(self) -> Component | None:
        """The component, or None where the role costs nothing."""
        return None if self.technology is None else self.technology.components[self.component_name]

    @property
    def source_texts(self) -> tuple[str, ...]:
        """Sources of the choice and of the component's figures."""
        figures = () if self.component is None else self.component.source_texts
        return tuple(dict.fromkeys((self.source, *figures)))


def read_uses(
    file: str,
    raw: Any,
    sources: Sources,
    known: Mapping[str, Technology],
    beside: Path | None,
    roles: Mapping[str, Role],
) -> dict[str, Use]:
    """Read `components: {role: {use: technology/component, source: id}}`, one for each of the chip's `roles`; `known`
    technologies are not read again.
    """
    table = as_mapping(file, "components", raw)
    for role in sorted((ROLES.keys() - roles.keys()) & table.keys()):
        part = ROLES[role].part
        raise ChipError(f"{file}: components.{role}: only a chip with {part} has one, and {part} is not in this chip")
    for role in sorted(roles.keys() - table.keys()):
        if (part := roles[role].part) is not None:
            raise ChipError(f"{file}: components.{role}: missing; a chip with {part} needs one")
    check_keys(file, "components", table, roles)
    technologies = dict(known)
    uses: dict[str, Use] = {}
    for role in roles:
        key = f"components.{role}"
        mapping = as_mapping(file, key, table[role])
        check_keys(file, key, mapping, ("use",), ("source",))
        source = sources.text(key, mapping)
        name = mapping["use"]
        if not isinstance(name, str) or not name:
            raise ChipError(f"{file}: {key}.use: must be technology/component, or {NONE}")
        if name == NONE:
            uses[role] = Use(role, name, None, "", source)
            continue
        technology_name, _, component_name = name.partition("/")
        component_name = component_name or role
        if technology_name not in technologies:
            technologies[technology_name] = read_technology(technology_name, f"{file}: {key}.use", beside)
        technology = technologies[technology_name]
        if component_name not in technology.components:
            there = choices(component_name, technology.components)
            raise ChipError(f"{file}: {key}.use: {technology_name} has no component {component_name!r}; {there}")
        found = technology.components[component_name].per
        if found != roles[role].per:
            raise ChipError(f"{file}: {key}.use: {name} costs per {found}, but a {role} costs per {roles[role].per}")
        uses[role] = Use(role, f"{technology_name}/{component_name}", technology, component_name, source)
    return uses
