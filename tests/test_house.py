"""The house keeps its own rules: no circle of files, no long file or function, no question for a kind of blocks.

Each list of exceptions may only shrink, and is to be empty.
"""

import ast
import inspect
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TypeGuard

import mho

ROOT = Path(mho.__file__).parent
FILE_LINES, FUNCTION_LINES = 400, 60

LONG_FUNCTIONS: set[str] = set()


@lru_cache(maxsize=1)
def trees() -> dict[str, ast.Module]:
    """Return the syntax tree of every module of mho by its dotted name, packages by the name of the folder."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(["mho", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text("utf-8"), str(path))
    return found


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every node below one but those that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            for other in child.orelse:
                yield from (other, *executed(other))
            continue
        yield child
        yield from executed(child)


def imported(tree: ast.Module, modules: set[str]) -> set[str]:
    """Return the modules of mho that a module names in its imports, those inside functions too."""
    names = set()
    for node in executed(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, "imports name their module in full"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                names.add(whole if whole in modules else node.module)
    return names & modules


def circles(edges: dict[str, set[str]]) -> list[set[str]]:
    """Return the strongly connected components of more than one module (Tarjan, SIAM J. Comput. 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in sorted(edges[name]):
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            component = set(stack[stack.index(name) :])
            del stack[stack.index(name) :]
            if len(component) > 1:
                components.append(component)

    for name in edges:
        if name not in order:
            visit(name)
    return components


def function_lengths() -> dict[str, int]:
    """Return the lines of every function and method, decorators not counted, by module and name."""
    lengths = {}
    for module, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                name = f"{module}.{node.name}"
                lengths[name] = max(lengths.get(name, 0), node.end_lineno - node.lineno + 1)
    return lengths


def derives(node: ast.AST, kinds: set[str]) -> TypeGuard[ast.ClassDef]:
    """Return True if a node is a class that has one of `kinds` among its bases."""
    return isinstance(node, ast.ClassDef) and any(
        isinstance(base, ast.Name) and base.id in kinds for base in node.bases
    )


def asks_for_blocks(tree: ast.Module, kinds: set[str]) -> bool:
    """Return True if a module calls isinstance with a kind of blocks."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            named = {leaf.id for leaf in ast.walk(node.args[1]) if isinstance(leaf, ast.Name)}
            if named & kinds:
                return True
    return False


def test_circles_are_found_and_nothing_else():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "e"}, "e": set()}) == [{"a", "b", "c"}]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    text = "import mho.a\nif TYPE_CHECKING:\n    import mho.b\nelse:\n    import mho.c\ndef late():\n    from mho import d, e\n"
    assert imported(ast.parse(text), {"mho", "mho.a", "mho.b", "mho.c", "mho.d"}) == {"mho.a", "mho.c", "mho.d", "mho"}


def test_no_files_import_each_other_in_a_circle():
    modules = set(trees())
    edges = {name: imported(tree, modules) - {name} for name, tree in trees().items()}
    assert circles(edges) == []


def test_no_file_is_longer_than_a_reader_bears():
    lines = {
        path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in ROOT.rglob("*.py")
    }
    assert {name for name, number in lines.items() if number > FILE_LINES} == set()


def test_no_function_is_longer_than_a_page():
    lengths = function_lengths()
    assert {name for name, number in lengths.items() if number > FUNCTION_LINES} - LONG_FUNCTIONS == set()


def test_compile_takes_a_network_a_chip_and_a_strategy():
    assert list(inspect.signature(mho.compile).parameters) == ["network", "chip", "strategy"]


def test_nobody_asks_which_kind_of_blocks_it_has():
    kinds = {"Blocks"}
    for _ in range(3):
        kinds |= {node.name for tree in trees().values() for node in ast.walk(tree) if derives(node, kinds)}
    assert {"Blocks", "DenseBlocks", "DigitBlocks"} <= kinds
    assert {name for name, tree in trees().items() if asks_for_blocks(tree, kinds)} == set()
