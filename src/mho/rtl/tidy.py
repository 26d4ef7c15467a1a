"""Verilog as Yosys writes it, made readable and fit for a linter: names, comments, operands of equal width, cases with a default.

What is computed stays the same: operands are extended by the very bits that Verilog itself would extend them by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

DECLARED = re.compile(r"^\s*(?:input|output|wire|reg)\b\s*(?:\[(\d+):0\])?\s*(\w+)\s*(?:=[^\[]*)?;$")
BINARY = re.compile(r"^(\s*)assign (\S+)\s*= (.+?) (\+|-|\*|<|>|<=|>=|==|!=|<<|<<<|>>|>>>) (.+);$")
SIGNED = re.compile(r"^\$signed\((.*)\)$")
CONSTANT = re.compile(r"^(\d+)'(s?)([hdb])([0-9a-fA-F]+)$")


def tidy(text: str, comments: Mapping[str, str]) -> str:
    """Return Verilog with a comment before each module, plain names, and operands of equal width."""
    text = re.sub(r"/\*.*?\*/\n", "", text, flags=re.DOTALL)
    # What Yosys puts into processes so that simulators run them once at the beginning.
    text = re.sub(r"\\\$auto\S+ ", "at_beginning", text)
    text = re.sub(r"\\\$(\d+) ", r"w\1_", text)
    text = re.sub(r"\\([A-Za-z_]\w*)\$(\d+) ", r"\1_\2_", text)
    for name, comment in comments.items():
        text = re.sub(rf"^module {name}\(", f"{comment}\nmodule {name}(", text, flags=re.MULTILINE)
    return "\n".join(_with_defaults(_widened(text.splitlines()))) + "\n"


def _widened(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines in which both operands of an operator have the width that the operator asks for."""
    bits: dict[str, int] = {}
    for line in lines:
        if line.startswith("module "):
            bits = {}
        if declared := DECLARED.match(line):
            bits[declared[2]] = int(declared[1] or 0) + 1
        if negated := re.search(r"= ! (\w+);$", line):
            line = f"{line[: negated.start()]}= {negated[1]} == {bits[negated[1]]}'h0;"
        parts = BINARY.match(line)
        if parts is None:
            yield line
            continue
        indent, target, left, operator, right = parts.groups()
        sizes = [_size(left, bits), _size(right, bits)]
        if None not in sizes:
            shift, compares = operator in ("<<", "<<<", ">>", ">>>"), operator in ("<", ">", "<=", ">=", "==", "!=")
            wanted = max(sizes[:1] if shift else sizes)  # type: ignore[type-var]
            wanted = wanted if compares else max(wanted, bits[target])  # type: ignore[type-var]
            left = _extended(left, sizes[0], wanted)  # type: ignore[arg-type]
            right = right if shift else _extended(right, sizes[1], wanted)  # type: ignore[arg-type]
        yield f"{indent}assign {target} = {left} {operator} {right};"


def _size(operand: str, bits: Mapping[str, int]) -> int | None:
    """Return the bits of an operand, None for one that is not understood."""
    operand = operand.strip()
    if found := SIGNED.match(operand):
        return _size(found[1], bits)
    if found := CONSTANT.match(operand):
        return int(found[1])
    if found := re.match(r"^(\w+) ?\[(\d+)(?::(\d+))?\]$", operand):
        return int(found[2]) - int(found[3] or found[2]) + 1
    if operand.startswith("{") and operand.endswith("}"):
        sizes = [_size(part, bits) for part in operand[1:-1].split(",")]
        return None if None in sizes else sum(sizes)  # type: ignore[arg-type]
    return bits.get(operand)


def _extended(operand: str, size: int, wanted: int) -> str:
    """Return an operand of `size` bits with `wanted` ones."""
    operand, more = operand.strip(), wanted - size
    if more <= 0:
        return operand
    found = SIGNED.match(operand)
    if found is None:
        return f"{{ {more}'h0, {operand} }}"
    inner = found[1].strip()
    if constant := CONSTANT.match(inner):
        value = int(constant[4], {"h": 16, "d": 10, "b": 2}[constant[3]])
        value -= (value >> (size - 1)) << size
        return f"$signed({wanted}'h{value & ((1 << wanted) - 1):x})"
    first = inner[1:].split(",")[0].strip() if inner.startswith("{") else inner
    if place := re.match(r"^(\w+) ?\[(\d+)(?::\d+)?\]$", first):
        top = f"{place[1]}[{place[2]}]"
    elif CONSTANT.match(first):
        top = "1'h0"
    else:
        top = f"{first}[{size - 1}]" if not inner.startswith("{") and size > 1 else first
    if inner.startswith("{") and re.match(r"^\w+$", first) and not CONSTANT.match(first):
        return operand
    return f"$signed({{ {{{more}{{{top}}}}}, {inner} }})"


def _with_defaults(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines in which every case has a default."""
    known: list[bool] = []
    for line in lines:
        if re.match(r"^\s*casez? \(", line):
            known.append(False)
        elif re.match(r"^\s*default\s*:", line):
            known[-1] = True
        elif line.strip() == "endcase" and not known.pop():
            yield line.replace("endcase", "  default: ;")
        yield line


__all__ = ["tidy"]
