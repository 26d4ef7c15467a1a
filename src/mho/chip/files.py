"""YAML files read safely: no tags that build objects, no duplicate keys, one-line errors."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mho.errors import ChipError

if TYPE_CHECKING:
    from yaml import SafeLoader as _Loader
else:
    # libyaml parses ten times faster; it is not in every build of PyYAML.
    _Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StrictLoader(_Loader):
    """The safe loader, refusing a mapping that gives a key twice and a key that is not plain."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise ChipError(f"line {key_node.start_mark.line + 1}: a key must be a word or a number")
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise ChipError(f"line {key_node.start_mark.line + 1}: key {key!r} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping with words as keys; raise ChipError otherwise."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ChipError(f"{path}: cannot be read: {reason}") from error
    try:
        content = yaml.load(text, Loader=_StrictLoader)
    except ChipError as error:
        raise ChipError(f"{path}: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ChipError(f"{path}: {line}not valid YAML: {problem}") from None
    except (ValueError, RecursionError) as error:
        raise ChipError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ChipError(f"{path}: the top level must be a mapping with words as keys")
    return content
