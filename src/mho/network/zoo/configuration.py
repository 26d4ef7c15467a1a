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

from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from mho.errors import NetworkError, OptionError
from mho.files.text import parse_json, read_text, read_yaml
from mho.network.zoo.decoder import DecoderConfiguration
from mho.quantity import Document


def read_configuration(path: str | Path) -> DecoderConfiguration:
    """Read a decoder's configuration. NetworkError names the file and the key that is missing, unknown or wrong."""
    path = Path(path)
    document = Document(str(path), NetworkError, {})
    content = document.mapping("a decoder's configuration", _read(path))
    known = {item.name: item for item in fields(DecoderConfiguration)}
    needed = [name for name, item in known.items() if item.default is MISSING]
    document.check_keys("", content, needed, known.keys() - needed)
    values = {"name": path.stem} | {key: _value(path, key, str(known[key].type), content[key]) for key in content}
    try:
        return DecoderConfiguration(**values)
    except OptionError as error:
        raise NetworkError(f"{path}: {str(error).removeprefix('decoder: ')}") from None


def _read(path: Path) -> Any:
    if path.suffix.lower() != ".json":
        return read_yaml(path, NetworkError)
    try:
        return parse_json(read_text(path, NetworkError))
    except ValueError as error:
        raise NetworkError(f"{path}: not valid JSON: {error}") from None


def _value(path: Path, key: str, kind: str, value: Any) -> Any:
    """Check a value's type; sizes and relations are checked by the configuration itself."""
    if kind == "float" and not isinstance(value, bool):
        # YAML 1.1 reads 1e-5, without a point, as a word.
        with suppress(TypeError, ValueError, OverflowError):
            return float(value)
    types = {"int": int, "bool": bool, "str": str}
    if kind in types and type(value) is types[kind] and value != "":
        return value
    expected = {"float": "a number", "int": "a whole number", "bool": "true or false", "str": "a word"}[kind]
    raise NetworkError(f"{path}: {key}: must be {expected}, not {value!r}")
