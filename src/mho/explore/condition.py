"""Conditions that the designs of a space meet, as text over dotted keys: "array.adcs <= array.columns and schedule == overlap".

Comparisons, and, or, not, + - * / // % of numbers, words and keys. A key is an axis or a value of the chip; any other word stands
for itself.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from mho.errors import OptionError

LONGEST = 1000
"""Characters of a condition."""
Value = Any
Part = Callable[[Mapping[str, Value]], Value]

_COMPARED: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}  # fmt: skip
_COMPUTED: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip


class Condition:
    """A condition on the values of a design.

    axes: names of the axes as they are written; fixed: values that no axis varies (those of the chip), by key.
    OptionError for text that is no condition, naming what is allowed, and for one that no axis has a part in.
    """

    def __init__(self, text: str, axes: Mapping[str, str], fixed: Callable[[str], Value | None]) -> None:
        self.text = text
        self._axes, self._fixed, self._used = axes, fixed, set[str]()
        if len(text) > LONGEST:
            raise self._refusal(f"is longer than {LONGEST} characters")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self._refusal("cannot be read") from None
        self._holds = self._truth(tree)
        if not self._used:
            raise self._refusal(f"names no axis; axes are {', '.join(axes)}")

    def __call__(self, values: Mapping[str, Value]) -> bool:
        """Return whether a design meets it. OptionError where it compares what has no order."""
        try:
            return bool(self._holds(values))
        except (TypeError, ZeroDivisionError) as error:
            raise self._refusal(f"cannot be told: {error}") from None

    def _refusal(self, what: str) -> OptionError:
        return OptionError(
            f"condition {self.text!r} {what}; such as array.adcs <= array.columns and schedule == overlap"
        )

    def _truth(self, node: ast.expr) -> Part:
        """Return what is true or false: a comparison, or several joined."""
        if isinstance(node, ast.BoolOp):
            parts, whole = [self._truth(each) for each in node.values], all if isinstance(node.op, ast.And) else any
            return lambda values: whole(part(values) for part in parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            denied = self._truth(node.operand)
            return lambda values: not denied(values)
        if isinstance(node, ast.Compare) and all(type(each) in _COMPARED for each in node.ops):
            terms = [self._part(each) for each in (node.left, *node.comparators)]
            tests = [_COMPARED[type(each)] for each in node.ops]
            return lambda values: all(
                test(left(values), right(values)) for test, left, right in zip(tests, terms, terms[1:], strict=False)
            )
        raise self._refusal("compares nothing")

    def _part(self, node: ast.expr) -> Part:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self._part(node.operand)
            return lambda values: -_number(inner(values))
        if isinstance(node, ast.BinOp) and type(node.op) in _COMPUTED:
            left, right, computed = self._part(node.left), self._part(node.right), _COMPUTED[type(node.op)]
            return lambda values: computed(_number(left(values)), _number(right(values)))
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str):
            constant = node.value
            return lambda values: constant
        name = _dotted(node)
        if name is None:
            raise self._refusal("holds what is no comparison, number, word or key")
        return self._named(name)

    def _named(self, name: str) -> Part:
        if name in self._axes:
            key = self._axes[name]
            self._used.add(key)
            return lambda values: values[key]
        fixed = self._fixed(name)
        if fixed is None and "." in name:
            raise self._refusal(f"names {name}, which is neither an axis nor a value of the chip")
        word = name if fixed is None else fixed
        return lambda values: word


def _number(value: Value) -> Value:
    if isinstance(value, str):
        raise TypeError(f"{value} is a word, not a number")
    return value


def _dotted(node: ast.expr) -> str | None:
    """Return a name with its dots, None for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return None if before is None else f"{before}.{node.attr}"
    return None


__all__ = ["Condition"]
