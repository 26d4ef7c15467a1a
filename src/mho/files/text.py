"""Text files of a user, bounded before they are read: UTF-8, and as YAML or JSON of believable depth and size.

Both may nest without end, which no parser outlives, and YAML may name a part again and again, so that a page stands for more than
any machine holds. What passes is a tree that may be walked by recursion.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mho.errors import MhoError, OutputError

if TYPE_CHECKING:
    from yaml import SafeLoader as _Loader
else:
    # libyaml parses ten times faster; it is not in every build of PyYAML.
    _Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MOST_BYTES = 16 * 2**20
"""Bytes of a description: a chip, a device, a decoder."""
MOST_DEPTH = 32
"""Mappings and lists within one another."""
MOST_ENTRIES = 200_000
"""Entries of a YAML file, those that a name stands for counted each time that it is named."""
MOST_WORD = 20_000
"""Characters of one word of a YAML file: some words are numbers, and take a time that grows as the square of their length."""

Kind = type[MhoError]


def check_regular(path: Path, error: Kind) -> int:
    """Return the size in bytes of a file that is to be read; raise `error` where it is absent, a folder, a pipe or a device."""
    try:
        status = path.stat()
        if not path.is_file():
            raise error(f"{path}: cannot be read: it is {'a folder' if path.is_dir() else 'not a regular file'}")
    except OSError as failed:
        raise error(f"{path}: cannot be read: {failed.strerror or failed}") from None
    except ValueError as failed:  # A zero character in the name.
        raise error(f"{path}: cannot be read: {failed}") from None
    return status.st_size


def read_text(path: Path, error: Kind, most: int = MOST_BYTES) -> str:
    """Read a UTF-8 file of at most so many bytes; `error` names it and what is wrong."""
    size = check_regular(path, error)
    if size > most:
        raise error(f"{path}: cannot be read: it has {size:,} bytes; such a file has at most {most:,}")
    try:
        return path.read_text(encoding="utf-8")
    except OSError as failed:
        raise error(f"{path}: cannot be read: {failed.strerror or failed}") from None
    except UnicodeDecodeError:
        raise error(f"{path}: cannot be read: it is not UTF-8 text") from None


class _StrictLoader(_Loader):
    """The safe loader, refusing a mapping that gives a key twice and a key that is not plain."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            line = f"line {key_node.start_mark.line + 1}"
            if not isinstance(key_node, yaml.ScalarNode):
                raise _RefusedError(f"{line}: a key must be a word or a number")
            merged = key_node.tag == "tag:yaml.org,2002:merge"
            key = "<<" if merged else self.construct_object(key_node, deep=True)
            if key in seen:
                raise _RefusedError(f"{line}: key {key!r} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


class _RefusedError(ValueError):
    """What is refused though a parser would take it."""


def read_yaml(path: Path, error: Kind) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping with words as keys; raise `error` otherwise."""
    text = read_text(path, error)
    try:
        _check_events(text)
        content = yaml.load(text, Loader=_StrictLoader)
    except _RefusedError as failed:
        raise error(f"{path}: {failed}") from None
    except yaml.YAMLError as failed:
        mark = getattr(failed, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(failed, "problem", None) or str(failed).splitlines()[0]
        raise error(f"{path}: {line}not valid YAML: {problem}") from None
    except (ValueError, TypeError, OverflowError, AttributeError, RecursionError) as failed:
        # A word that looks like a date, a number or a binary, and is none.
        raise error(f"{path}: not valid YAML: {(str(failed).splitlines() or ['?'])[0]}") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise error(f"{path}: the top level must be a mapping with words as keys")
    return content


def _check_events(text: str) -> None:
    """Refuse depth and repetition, by the parser's events alone: nothing is built yet."""
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = []
    entries = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = "" if event.start_mark is None else f"line {event.start_mark.line + 1}"
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            if anchor is not None:
                sizes[anchor] = entries - before
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise _RefusedError(f"{line}: *{event.anchor} names what is not there, or what it is itself part of")
            entries += sizes[event.anchor]
        else:
            entries += 1
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, entries))
        elif isinstance(event, yaml.ScalarEvent):
            if len(event.value) > MOST_WORD:
                raise _RefusedError(f"{line}: a word of more than {MOST_WORD:,} characters")
            if event.anchor is not None:
                sizes[event.anchor] = 1
        if len(opened) > MOST_DEPTH:
            raise _RefusedError(f"{line}: more than {MOST_DEPTH} mappings and lists within one another")
        if entries > MOST_ENTRIES:
            raise _RefusedError(f"{line}: more than {MOST_ENTRIES:,} entries, repeated ones counted each time")


def parse_json(text: str | bytes, *, most_depth: int = MOST_DEPTH) -> Any:
    """Read JSON of bounded depth; ValueError for what is none, nests deeper, or gives a key of an object twice."""
    try:
        content = json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        content, most_depth = None, 0
    if most_depth == 0 or any(depth > most_depth for depth in _depths(content)):
        raise _RefusedError("lists and objects are too deep within one another")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _RefusedError(f"key {key!r} is given twice")
            seen.add(key)
    return content


def _depths(content: Any) -> Iterator[int]:
    """Yield how deep each list and object lies, without recursion."""
    waiting = [(content, 1)]
    while waiting:
        node, depth = waiting.pop()
        if isinstance(node, list | dict):
            yield depth
            inner = node.values() if isinstance(node, dict) else node
            waiting.extend((value, depth + 1) for value in inner if isinstance(value, list | dict))


def json_text(content: Any, **layout: Any) -> str:
    """Return a result as JSON, of which no character is one that a terminal obeys; OutputError where a number is not finite."""
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, **layout)
    except ValueError:
        place = next((place for place, value in _numbers(content, "") if not math.isfinite(value)), "a number")
        raise OutputError(
            f"the result is beyond the range of numbers: {place} is not finite; some value of the chip or an option is out of reach"
        ) from None
    return _NOT_SHOWN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


_NOT_SHOWN = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _numbers(content: Any, place: str) -> Iterator[tuple[str, float]]:
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _numbers(value, f"{place}.{key}" if place else str(key))
    elif isinstance(content, list | tuple):
        for number, value in enumerate(content):
            yield from _numbers(value, f"{place}.{number}")
    elif isinstance(content, float):
        yield place, content
