"""Where chip and technology files lie, and how a chip file that extends another is merged with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mho.chip.quantity import Sources, as_mapping
from mho.chip.technology import Technology
from mho.errors import ChipError, choices
from mho.files.text import read_yaml

_HERE = Path(__file__).parent
SUFFIXES = (".yaml", ".yml")


def presets() -> tuple[str, ...]:
    """Return the names of the chips that come with mho, sorted."""
    return tuple(sorted(path.stem for path in (_HERE / "presets").glob("*.yaml")))


def technologies() -> tuple[str, ...]:
    """Return the names of the technologies that come with mho, sorted."""
    return tuple(sorted(path.stem for path in (_HERE / "technologies").glob("*.yaml")))


def chip_path(name_or_path: str | Path, beside: Path | None = None) -> Path:
    """Return the file of a preset or path; a relative path starts at the folder `beside` if given."""
    text = str(name_or_path)
    if Path(text).suffix in SUFFIXES or Path(text).name != text or not text:
        path = Path(text)
        path = path if beside is None or path.is_absolute() else beside / path
        if not path.is_file():
            raise ChipError(f"{path}: no such chip file; a preset is named without suffix: {', '.join(presets())}")
        return path
    if text not in presets():
        raise ChipError(f"unknown chip {text!r}; {choices(text, presets())}")
    return _HERE / "presets" / f"{text}.yaml"


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
        parent = _read_chip(chip_path(parent_name, path.parent), (*below, path.resolve()))
    except ChipError as error:
        raise ChipError(f"{path}: extends: {error}") from None
    parent_sources = as_mapping(str(path), "sources", parent.get("sources", {}))
    own_sources = as_mapping(str(path), "sources", raw.get("sources", {}))
    for key in own_sources:
        if key in parent_sources:
            raise ChipError(f"{path}: sources.{key}: {parent_name} already has a source of this name; choose another")
    merged = _merge(parent, raw)
    merged["sources"] = {**parent_sources, **own_sources}
    Sources.of(str(path), merged["sources"])
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
    shipped = _HERE / "technologies" / f"{name}.yaml"
    own = beside / f"{name}.yaml" if beside is not None else None
    has_shipped = name in technologies()
    has_own = own is not None and Path(name).name == name and own.is_file()
    if has_shipped and has_own:
        raise ChipError(f"{where}: technology {name!r} is both in {beside} and in mho; rename yours")
    if own is not None and has_own:
        path = own
    elif has_shipped:
        path = shipped
    else:
        raise ChipError(f"{where}: unknown technology {name!r}; {choices(name, technologies())}")
    technology = Technology.of(str(path), read_yaml(path, ChipError))
    if technology.name != name:
        raise ChipError(f"{path}: name: {technology.name!r} must agree with the file's name {name!r}")
    return technology
