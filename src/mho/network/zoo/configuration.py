"""A decoder's configuration in a file, YAML or JSON: the fields of DecoderConfiguration and nothing else.

    layers: 32
    hidden: 4096
    heads: 32
    key_value_heads: 8
    intermediate: 14336
    vocabulary: 128256

`name` (else the file's), `sequence`, `rope_theta`, `epsilon` and `tied` may be given too.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import yaml

from mho.errors import NetworkError, OptionError, choices
from mho.network.zoo.decoder import DecoderConfiguration


class _RepeatedKeyError(ValueError):
    """A key that is given twice."""


class _Loader(yaml.SafeLoader):
    """The safe loader, refusing a mapping that gives a key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        _unique([(self.construct_object(key, deep=True), None) for key, _ in node.value])
        return super().construct_mapping(node, deep)


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    names = [repr(key) for key, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise _RepeatedKeyError(f"key {twice[0]} is given twice")
    return dict(pairs)


def read_configuration(path: str | Path) -> DecoderConfiguration:
    """Read a decoder's configuration. NetworkError names the file and the key that is missing, unknown or wrong."""
    path = Path(path)
    content = _read(path)
    if not isinstance(content, dict) or not content:
        raise NetworkError(f"{path}: a decoder's configuration must be a mapping of keys to values")
    known = {item.name: item for item in fields(DecoderConfiguration)}
    for key in content:
        if key not in known:
            raise NetworkError(f"{path}: unknown key {key!r}; {choices(str(key), known)}")
    missing = [name for name, item in known.items() if item.default is MISSING and name not in content]
    if missing:
        raise NetworkError(f"{path}: key {missing[0]!r} is missing; needed: {', '.join(missing)}")
    values = {"name": path.stem} | {key: _value(path, key, str(known[key].type), content[key]) for key in content}
    try:
        return DecoderConfiguration(**values)
    except OptionError as error:
        raise NetworkError(f"{path}: {str(error).removeprefix('decoder: ')}") from None


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise NetworkError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    except UnicodeDecodeError:
        raise NetworkError(f"{path}: cannot be read: it is not UTF-8 text") from None
    try:
        if path.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=_unique)
        return yaml.load(text, Loader=_Loader)
    except _RepeatedKeyError as error:
        raise NetworkError(f"{path}: {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f"line {mark.line + 1}: "
        reason = getattr(error, "problem", None) or (str(error).splitlines() or ["?"])[0]
        kind = "JSON" if path.suffix.lower() == ".json" else "YAML"
        raise NetworkError(f"{path}: {place}not valid {kind}: {reason}") from None


def _value(path: Path, key: str, kind: str, value: Any) -> Any:
    """Check a value's type; sizes and relations are checked by the configuration itself."""
    if kind == "float" and not isinstance(value, bool):
        # YAML 1.1 reads 1e-5, without a point, as a word.
        with suppress(TypeError, ValueError, OverflowError):
            return float(value)
    types = {"int": int, "bool": bool, "str": str}
    if kind in types and type(value) is types[kind] and value != "":
        return value
    wanted = {"float": "a number", "int": "a whole number", "bool": "true or false", "str": "a word"}[kind]
    raise NetworkError(f"{path}: {key}: must be {wanted}, not {value!r}")
