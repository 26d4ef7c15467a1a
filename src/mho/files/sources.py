"""The code that a result rests on: a module of mho and all of mho that it imports, found by reading sources, not by running them.

A name taken from a package is followed to the module that defines it, so that the rest of the package does not count. A module
named in a text, as registries do, counts as imported; what is imported for type checks alone does not. A data file (.yaml)
counts where a module that lies beside it names it.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_PACKAGE = __name__.partition(".")[0]

_TYPES_ONLY = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t]+.*\n|\n)*", re.MULTILINE)
_FROM = re.compile(rf"^[ \t]*from[ ]({_PACKAGE}[\w.]*)[ ]import[ ](?:\(([^)]*)\)|(.*))", re.MULTILINE)
_WHOLE = re.compile(rf"^[ \t]*import[ ]({_PACKAGE}[\w.]*)(?:[ ]as[ ]\w+)?[ ]*$", re.MULTILINE)
_NAMED = re.compile(rf"""["']({_PACKAGE}(?:\.\w+)+)(?::\w+)?["']""")
_ELSEWHERE = re.compile(rf"""["'](\w+)["']: ["']({_PACKAGE}(?:\.\w+)+)["']""")
_DATA = re.compile(r"""["']([\w.-]+\.yaml)["']""")


@cache
def code_digest(module: str) -> str:
    """Return the SHA-256 in hexadecimal of the sources of a module and of all of mho that it imports, directly or not."""
    digest = hashlib.sha256()
    for path in sorted(files_of(module)):
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def files_of(module: str) -> frozenset[Path]:
    """Return the files of a module, of all of mho that it imports, and of the data that these name."""
    modules, waiting = {module}, [module]
    while waiting:
        new = _imports(waiting.pop()) - modules
        modules |= new
        waiting += new
    paths = {path for name in modules if (path := _path(name)) is not None}
    data = {path.parent / name for path in paths for name in _DATA.findall(_text(path))}
    return frozenset(paths | {path for path in data if path.is_file()})


@cache
def _path(module: str) -> Path | None:
    place = ROOT.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


@cache
def _text(path: Path) -> str:
    return _TYPES_ONLY.sub("", path.read_text(encoding="utf-8"))


@cache
def _taken(module: str) -> dict[str, tuple[str, str]]:
    """Return the names that a module takes from elsewhere: name to the module that it is taken from and its name there."""
    path = _path(module)
    if path is None:
        return {}
    names = {}
    for source, several, one in _FROM.findall(_text(path)):
        for clause in re.sub(r"#.*", "", several or one).split(","):
            name, _, alias = clause.strip().partition(" as ")
            if name:
                names[alias or name] = (source, name)
    if path.name == "__init__.py":
        # A table of names that are imported when they are first used.
        for name, source in _ELSEWHERE.findall(_text(path)):
            names[name] = (source.removesuffix(f".{name}") if source.endswith(f".{name}") else source, name)
    return names


@cache
def _defining(module: str, name: str) -> str:
    """Return the module that defines a name found in `module`, through packages that only pass it on."""
    path = _path(module)
    if path is not None and path.name == "__init__.py":
        if name in _taken(module) and _taken(module)[name] != (module, name):
            return _defining(*_taken(module)[name])
        if _path(f"{module}.{name}") is not None:
            return f"{module}.{name}"
    return module


def _reached(names: Sequence[str]) -> str:
    """Return the module that defines what mho.PART.PART names: through packages as far as they go, then the name in the last."""
    module = _PACKAGE
    for name in names:
        if _path(f"{module}.{name}") is None or name in _taken(module):
            return _defining(module, name)
        module = f"{module}.{name}"
    return module


@cache
def _imports(module: str) -> frozenset[str]:
    path = _path(module)
    if path is None:
        return frozenset()
    text = _text(path)
    names = {_defining(*source) for source in _taken(module).values()}
    for whole in _WHOLE.findall(text):
        if whole == _PACKAGE:
            names |= {_reached(chain) for chain in _attributes(ast.parse(text))}
        else:
            names.add(whole)
    names |= {name for name in _NAMED.findall(text) if _path(name) is not None}
    return frozenset(names - {_PACKAGE})


def function_digest(function: Any) -> str:
    """Return the SHA-256 in hexadecimal of the source of a function or class of mho, of what it uses of its own module, and of
    all of mho that these use.

    So of two functions of one module, a change of one leaves the other's digest. What a class or function of another module
    uses counts whole, with its module. Functions within functions count as the outermost, methods as their class.
    """
    digest = hashlib.sha256()
    for piece in _parts(function)[0]:
        digest.update(piece.encode())
    for path in sorted(covered(function)):
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def covered(function: Any) -> frozenset[Path]:
    """Return the files, besides its own, that the digest of a function or class covers whole."""
    return frozenset().union(*(files_of(module) for module in _parts(function)[1]))


def _parts(function: Any) -> tuple[tuple[str, ...], frozenset[str]]:
    function = getattr(function, "func", function)
    return _used(function.__module__, function.__qualname__.partition(".")[0])


@cache
def _used(module: str, name: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the statements of a module that its `name` uses, in order, and the other modules that these use."""
    path = _path(module)
    if path is None:
        return (), frozenset()
    text = path.read_text(encoding="utf-8")
    statements: dict[str, list[ast.stmt]] = {}
    for statement in ast.parse(text).body:
        for bound in _bound(statement):
            statements.setdefault(bound, []).append(statement)
    taken = _taken(module)
    names, waiting, modules, kept = {name}, [name], set(), set()
    while waiting:
        for statement in statements.get(waiting.pop(), ()):
            kept.add(ast.get_source_segment(text, statement) or "")
            modules |= {_reached(chain) for chain in _attributes(statement)}
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and node.id in statements and node.id not in names:
                    names.add(node.id)
                    waiting.append(node.id)
                if isinstance(node, ast.Name) and node.id in taken:
                    modules.add(_defining(*taken[node.id]))
                if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(_PACKAGE):
                    modules |= {_defining(node.module, alias.name) for alias in node.names}
    return tuple(sorted(kept)), frozenset(modules - {_PACKAGE, module})


def _attributes(tree: ast.AST) -> set[tuple[str, ...]]:
    """Return what is taken from the package itself: "number", "quantise" for `mho.number.quantise`."""
    chains = set()
    for node in ast.walk(tree):
        chain: list[str] = []
        while isinstance(node, ast.Attribute):
            chain.insert(0, node.attr)
            node = node.value
        if chain and isinstance(node, ast.Name) and node.id == _PACKAGE:
            chains.add(tuple(chain))
    # A longer chain says more than its beginning.
    return {chain for chain in chains if not any(other[: len(chain)] == chain != other for other in chains)}


def _bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement of a module binds."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom | ast.Expr):
        return set()
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
