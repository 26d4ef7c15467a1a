"""Where chip and technology files lie, and how a chip file that extends another is merged with it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mho.chip.roles import ROLES
from mho.chip.spec import ChipSpec
from mho.chip.technology import Technology
from mho.errors import ChipError, choices
from mho.files.text import read_yaml
from mho.plugins import Presets
from mho.quantity import Document, varied

if TYPE_CHECKING:
    from mho.chip.chip import Chip

_HERE = Path(__file__).parent
PRESETS = Presets(_HERE / "presets", "chip", ChipError)
TECHNOLOGIES = Presets(_HERE / "technologies", "technology", ChipError)


def technologies() -> tuple[str, ...]:
    """Return the names of the technologies that come with mho, sorted."""
    return TECHNOLOGIES.names()


def read_chip(path: Path) -> dict[str, Any]:
    """Read a chip file and what it extends, merged: the extending file's keys win, quantities as a whole."""
    return _read_chip(path, ())


def _read_chip(path: Path, below: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in below:
        raise ChipError(f"{path}: extends: a chip cannot extend itself")
    raw = read_yaml(path, ChipError)
    if "extends" not in raw:
        return raw
    parent_name = raw.pop("extends")
    if not isinstance(parent_name, str):
        raise ChipError(f"{path}: extends: must be the name of a preset or the path of a chip file")
    try:
        parent = _read_chip(PRESETS.path(parent_name, path.parent), (*below, path.resolve()))
    except ChipError as error:
        raise ChipError(f"{path}: extends: {error}") from None
    document = Document(str(path), ChipError, {})
    parent_sources = document.mapping("sources", parent.get("sources", {}))
    own_sources = document.mapping("sources", raw.get("sources", {}))
    for key in own_sources:
        if key in parent_sources:
            raise ChipError(f"{path}: sources.{key}: {parent_name} already has a source of this name; choose another")
    merged = _merge(parent, raw)
    merged["sources"] = {**parent_sources, **own_sources}
    Document.of(str(path), merged["sources"], ChipError)
    return merged


def _merge(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(parent)
    for key, value in child.items():
        old = merged.get(key)
        leaf = isinstance(value, dict) and ("value" in value or "use" in value)
        if isinstance(old, dict) and isinstance(value, dict) and not leaf:
            merged[key] = _merge(old, value)
        else:
            merged[key] = value
    return merged


def read_technology(name: str, where: str, beside: Path | None) -> Technology:
    """Read a technology by name: one of mho's, or the file `<name>.yaml` in the chip's own folder."""
    own = beside / f"{name}.yaml" if beside is not None else None
    has_shipped = name in technologies()
    has_own = own is not None and Path(name).name == name and own.is_file()
    if has_shipped and has_own:
        raise ChipError(f"{where}: technology {name!r} is both in {beside} and in mho; rename yours")
    if own is not None and has_own:
        return _technology(own, name)
    if has_shipped:
        return _shipped(TECHNOLOGIES.path(name), name)
    raise ChipError(f"{where}: unknown technology {name!r}; {choices(name, technologies())}")


def _technology(path: Path, name: str) -> Technology:
    technology = Technology.of(str(path), read_yaml(path, ChipError))
    if technology.name != name:
        raise ChipError(f"{path}: name: {technology.name!r} must agree with the file's name {name!r}")
    return technology


_shipped = cache(_technology)
"""Those that come with mho never change, and are read once."""


def vary(chip: Chip, values: Mapping[str, Any], source: str) -> tuple[dict[str, Any], dict[str, Technology]]:
    """Return a chip's content with quantities in SI units and components replaced, and the technologies that it may use."""
    raw = varied(chip.raw, values, source, ChipSpec, ROLES, "chip", ChipError)
    used = {use.technology.name: use.technology for use in chip.uses.values() if use.technology is not None}
    components = {use.name for use in chip.uses.values()}
    for key, value in values.items():
        head, _, role = key.partition(".")
        technology, _, component = str(value).partition("/")
        if head == "components" and technology != "none" and f"{technology}/{component or role}" not in components:
            used[technology] = read_technology(technology, f"override: {key}", None)
    return raw, used
