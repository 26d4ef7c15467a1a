"""The papers whose techniques and figures mho uses, by key, and their entries in BibTeX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mho.errors import OptionError, choices
from mho.files.text import read_yaml

PAPERS = Path(__file__).parent / "papers.yaml"


@cache
def papers() -> Mapping[str, Mapping[str, Any]]:
    """Return the entries by key: `type`, and BibTeX's own fields."""
    return read_yaml(PAPERS, OptionError)


def paper_keys(given: Iterable[str], where: str) -> tuple[str, ...]:
    """Return keys of papers, each once. OptionError for one that there is not, naming `where` it stands."""
    listed = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else [None]
    if not all(isinstance(key, str) for key in listed):
        raise OptionError(f"{where}: papers are a list of keys, not {given!r}; known: {', '.join(papers())}")
    keys = tuple(dict.fromkeys(listed))
    for key in keys:
        if key not in papers():
            raise OptionError(f"{where}: unknown paper {key!r}; {choices(str(key), papers())}")
    return keys


def bibtex(keys: Iterable[str]) -> str:
    """Return the entries of some papers as BibTeX, an entry a paragraph."""
    return "\n\n".join(_entry(key, papers()[key]) for key in paper_keys(keys, "papers"))


def _entry(key: str, record: Mapping[str, Any]) -> str:
    lines = [f"  {name} = {{{value}}}," for name, value in record.items() if name not in ("type", "cited")]
    return "\n".join([f"@{record['type']}{{{key},", *lines, "}"])


def cited(sources: Iterable[str]) -> tuple[str, ...]:
    """Return the keys of the papers that the sources of figures name, such as those of a chip's file."""
    texts = tuple(sources)
    return tuple(key for key, record in papers().items() if any(record["cited"] in text for text in texts))
