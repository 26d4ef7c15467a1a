"""Parts of a chip as the rest of mho sees them: buffer, vector unit, and which component plays which role."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mho.chip.store import read_technology
from mho.chip.technology import Component, Technology
from mho.errors import choices
from mho.quantity import Document

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
    """The component that plays a role, or none, and why it was chosen; `named` in the file, or none because it was not."""

    role: str
    name: str
    technology: Technology | None
    component_name: str
    source: str
    named: bool = True
    alternatives: tuple[Use, ...] = ()
    """Other components that may be meant, as whole: what of them goes together stays together (`or`)."""

    @property
    def component(self) -> Component | None:
        """The component, or None where the role costs nothing."""
        return None if self.technology is None else self.technology.components[self.component_name]

    @property
    def whole(self) -> tuple[str, ...]:
        """The components of which one is meant, the one that is used first; one alone where there is no doubt."""
        return self.name, *(other.name for other in self.alternatives)

    @property
    def source_texts(self) -> tuple[str, ...]:
        """Sources of the choice and of the component's figures."""
        figures = () if self.component is None else self.component.source_texts
        return tuple(dict.fromkeys((self.source, *figures) if self.named else figures))


class Paid(NamedTuple):
    """What one unit of a price is made of: `share` of a figure of the component that plays a role, which is `value`, in SI units,
    as the chip has it; `factor` of that is what the chip makes of the component's own figure (its node, a column more).
    """

    use: Use
    figure: str
    share: float
    value: float
    factor: float


def read_uses(
    document: Document,
    raw: Any,
    roles: Mapping[str, str],
    known: Mapping[str, Technology],
    beside: Path | None,
    needed: Iterable[str] = (),
) -> dict[str, Use]:
    """Read `components: {role: {use: technology/component, source: id}}`, of `roles` with what the cost of each is per.

    `or: [technology/component, ...]` beside a use names components that may stand in its place.

    A role that is not `needed` and not named is played by no component. `known` technologies are not read again.
    """
    table = document.mapping("components", raw)
    document.check_keys("components", table, needed, roles)
    technologies = dict(known)

    def used(role: str, key: str, name: Any, source: str) -> Use:
        if not isinstance(name, str) or not name:
            raise document.fail(key, f"must be technology/component, or {NONE}")
        if name == NONE:
            return Use(role, name, None, "", source)
        technology_name, _, component_name = name.partition("/")
        component_name = component_name or role
        if technology_name not in technologies:
            technologies[technology_name] = read_technology(technology_name, f"{document.file}: {key}", beside)
        technology = technologies[technology_name]
        if component_name not in technology.components:
            there = choices(component_name, technology.components)
            raise document.fail(key, f"{technology_name} has no component {component_name!r}; {there}")
        given = technology.components[component_name].per
        if given != roles[role]:
            raise document.fail(key, f"{name} costs per {given}, but a {role} costs per {roles[role]}")
        return Use(role, f"{technology_name}/{component_name}", technology, component_name, source)

    uses: dict[str, Use] = {}
    for role in roles:
        key = f"components.{role}"
        if role not in table:
            uses[role] = Use(role, NONE, None, "", "", named=False)
            continue
        mapping = document.mapping(key, table[role])
        document.check_keys(key, mapping, ("use",), ("source", "or"))
        source = document.source(key, mapping)
        others = mapping.get("or", [])
        if not isinstance(others, list):
            raise document.fail(f"{key}.or", "must be a list of components: [technology/component, ...]")
        also = tuple(used(role, f"{key}.or", other, source) for other in others)
        chosen = used(role, f"{key}.use", mapping["use"], source)
        names = [each.name for each in (chosen, *also)]
        if len(set(names)) < len(names):
            raise document.fail(f"{key}.or", f"names a component twice, or the one that is used: {', '.join(names)}")
        uses[role] = replace(chosen, alternatives=also)
    return uses
