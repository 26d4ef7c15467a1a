"""Choices and presets by name, and the packages outside this one that add to them.

A package adds what it brings by an entry point of the group `mho.plugins` that names a function without parameters:

    [project.entry-points."mho.plugins"]
    toys = "mho_toys:register"

The function is called once, when a registry is first looked at; it adds mappings, schedules, codings, device laws,
components, layer kinds, operators and folders of presets to the registries of the rooms that use them
(docs/extending.md). A plugin that fails is named and stops the run: results without what it should have added would be others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Generic, TypeVar

from mho.errors import MhoError, OptionError, PluginError, choices

GROUP = "mho.plugins"
SUFFIXES = (".yaml", ".yml")
"""How the name of a file of presets ends."""

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """The choices of one kind by name: those of this package, then those that plugins add.

    SCHEDULES = Registry("schedule", {"naive": naive, "aras": aras})
    SCHEDULES.add("mine", mine)         in a plugin, or in a script; OptionError for a name that is taken

    Reading it (a name, all names, how many) loads the plugins first.
    """

    def __init__(self, kind: str, own: Mapping[str, T]) -> None:
        self.kind = kind
        self._choices = dict(own)

    def add(self, name: str, choice: T) -> None:
        """Add a choice under a name of its own."""
        if name in self._choices:
            raise OptionError(f"there is a {self.kind} {name!r} already")
        self._choices[name] = choice

    def remove(self, name: str) -> None:
        """Take a choice out again, as a test does."""
        del self._choices[name]

    def __getitem__(self, name: str) -> T:
        load()
        return self._choices[name]

    def __iter__(self) -> Iterator[str]:
        load()
        return iter(tuple(self._choices))

    def __len__(self) -> int:
        load()
        return len(self._choices)

    def __repr__(self) -> str:
        """Say the kind and the names."""
        return f"Registry({self.kind!r}: {', '.join(self)})"


FOLDERS: Registry[Path] = Registry("folder of presets", {})
"""Folders that plugins bring, each under "KIND/PLUGIN": "chip/toys" holds YAML files of chips; see `folders`."""


def folders(kind: str) -> tuple[Path, ...]:
    """Return the folders of presets of a kind ("chip", "technology", "device", "strategy" ...) that plugins bring."""
    return tuple(folder for name, folder in FOLDERS.items() if name.partition("/")[0] == kind)


class _PluginState:
    """What was done about plugins in this process: nothing yet, called once, or failed with an error that stays."""

    started = False
    error: PluginError | None = None
    brought: tuple[str, ...] = ()


def load() -> None:
    """Call every plugin once; raise PluginError, naming package and plugin, if one cannot be imported or fails."""
    if not _PluginState.started:
        _PluginState.started = True  # a plugin may read registries while it registers
        for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
            try:
                point.load()()
                _PluginState.brought += (_named(point),)
            except Exception as error:  # whatever foreign code raises is reported under its name
                _PluginState.error = PluginError(f"plugin {_named(point)} failed: {type(error).__name__}: {error}")
                _PluginState.error.__cause__ = error
                break
    if _PluginState.error is not None:
        raise _PluginState.error


def brought() -> tuple[str, ...]:
    """Name the plugins that are loaded, with packages and versions: what is computed rests on their code too."""
    load()
    return _PluginState.brought


def _named(point: EntryPoint) -> str:
    """Name a plugin, the package that brings it and what it points to."""
    package = "" if point.dist is None else f" of package {point.dist.name} {point.dist.version}"
    return f"{point.name!r}{package} ({point.value})"


@dataclass(frozen=True)
class Presets:
    """Specifications by name: a folder of those that come with mho, and those that plugins bring; `kind` is what one is called."""

    folder: Path
    kind: str
    error: type[MhoError]

    def names(self) -> tuple[str, ...]:
        """Return the names, sorted."""
        return tuple(sorted(self._files()))

    def _files(self) -> dict[str, Path]:
        """Return the files by their names; raise PluginError where a plugin brings a name that is taken."""
        files = {path.stem: path for path in self.folder.glob("*.yaml")}
        for path in (path for folder in folders(self.kind) for path in sorted(folder.glob("*.yaml"))):
            if files.setdefault(path.stem, path) != path:
                raise PluginError(f"{path}: there is a {self.kind} {path.stem!r} already")
        return files

    def path(self, name_or_path: str | Path, beside: Path | None = None) -> Path:
        """Return the file of a name or path; a relative path starts at the folder `beside` if given."""
        text = str(name_or_path)
        if Path(text).suffix in SUFFIXES or Path(text).name != text or not text:
            path = Path(text)
            path = path if beside is None or path.is_absolute() else beside / path
            if not path.is_file():
                names = ", ".join(self.names())
                raise self.error(f"{path}: no such {self.kind} file; a preset is named without suffix: {names}")
            return path
        files = self._files()
        if text not in files:
            raise self.error(f"unknown {self.kind} {text!r}; {choices(text, files)}")
        return files[text]
