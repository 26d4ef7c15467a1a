"""Amaranth's netlist of one part as a module of Verilog-2005, in which operands of an operator are as wide as it asks for.

Every cell of the netlist becomes a wire or a register, named as the signal that it drives; what is set under conditions becomes a
block of `if`, or of `casez`. Registers are set by `rst`, none as it is declared. No other tool is needed.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from amaranth.hdl import _ir, _nir

TAKEN = frozenset(
    ("clk", "rst", "wait", "begin", "end", "case", "initial", "signed", "time", "table", "event", "input", "output")
)
ALWAYS = -1
"""A condition that always holds."""


def module_text(part: Any, name: str) -> str:
    """Return a part as Verilog, its memories inside of it, other parts as instances."""
    fragment = _ir.Fragment.get(part, None)
    ports = {
        port: (getattr(part, port), _ir.PortDirection.Input if member.flow.name == "In" else _ir.PortDirection.Output)
        for port, member in part.signature.members.items()
    }
    return "\n".join(_Writer(_ir.build_netlist(fragment, ports=ports, name=name), name).lines()) + "\n"


class _Writer:
    """The lines of a module; `nets`: of each bit, the wire that it is in, and its place."""

    def __init__(self, netlist: Any, name: str) -> None:
        self.netlist, self.name = netlist, name
        self.nets: dict[Any, tuple[str, int, int]] = {}
        self.ports: list[str] = []
        self.declared: list[str] = []
        self.names: dict[Any, str] = {}
        self.used = {*TAKEN, *netlist.top.ports_i}
        for name, value in netlist.top.ports_o.items():
            self.names.setdefault(value, name)
        for module in netlist.modules:
            for signal, own in module.signal_names.items():
                own = own.replace("$", "_") if module is netlist.modules[0] else f"{module.name[-1]}_{own}"
                self.names.setdefault(netlist.signals[signal], own)
        # What alone a register takes is set in its own block.
        used = Counter(net for cell in netlist.cells for net in cell.input_nets())
        self.clocked: dict[int, int] = {}
        for number, cell in enumerate(netlist.cells):
            if isinstance(cell, _nir.FlipFlop) and (net := cell.data[0]).is_cell and used[net] == 1:
                source = netlist.cells[net.cell]
                if isinstance(source, _nir.AssignmentList) and cell.data == _value(net.cell, len(source.default)):
                    self.clocked[net.cell] = number

    def lines(self) -> Iterator[str]:
        """Yield the module."""
        top, body = self.netlist.top, list[str]()
        self.ports = ["  input clk;", "  input rst;"]
        for name, (start, width) in top.ports_i.items():
            if name not in ("clk", "rst"):
                self.ports.append(f"  input {_range(width)}{name};")
            self._place(0, start, width, name)
        self.ports += [f"  output {_range(len(value))}{name};" for name, value in top.ports_o.items()]
        cells = [(number, cell) for number, cell in enumerate(self.netlist.cells) if number and not _empty(cell)]
        for number, cell in cells:
            self._declare(number, cell)
        for number, cell in cells:
            body += self._cell(number, cell)
        body += [
            f"  assign {name} = {text};" for name, value in top.ports_o.items() if (text := self.text(value)) != name
        ]
        names = ["clk", "rst", *(name for name in (*top.ports_i, *top.ports_o) if name not in ("clk", "rst"))]
        for line in (f"module {self.name}({', '.join(names)});", *self.ports, *self.declared, *body, "endmodule"):
            indent = len(line) - len(line.lstrip())
            yield textwrap.fill(line.strip(), 120, initial_indent=" " * indent, subsequent_indent=" " * (indent + 4),
                break_long_words=False, break_on_hyphens=False)  # fmt: skip

    def _place(self, cell: int, start: int, width: int, name: str) -> None:
        for bit, net in enumerate(_value(cell, width, start)):
            self.nets[net] = name, bit, width

    def _wire(self, cell: int, width: int, kind: str, start: int = 0) -> None:
        """Declare what a cell drives, by the name of the signal that is the same, if any; a port is declared already."""
        name = self.names.get(_value(cell, width, start), "") or f"w{cell}"
        while name in self.used:
            name += "_"
        self.used.add(name)
        if name not in self.netlist.top.ports_o or kind == "reg":
            self.declared.append(f"  {kind} {_range(width)}{name};")
        self._place(cell, start, width, name)

    def _declare(self, number: int, cell: Any) -> None:
        match cell:
            case _nir.Operator() | _nir.Part() | _nir.AsyncReadPort():
                self._wire(number, cell.width, "wire")
            case _nir.FlipFlop():
                self._wire(number, len(cell.data), "reg")
            case _nir.AssignmentList():
                if number not in self.clocked:
                    self._wire(number, len(cell.default), "reg")
            case _nir.Memory():
                self.declared.append(f"  reg {_range(cell.width)}{cell.name}_{number} [0:{cell.depth - 1}];")
            case _nir.Instance():
                for start, width in cell.ports_o.values():
                    self._wire(number, width, "wire", start)
            case _nir.Matches() | _nir.PriorityMatch() | _nir.SyncWritePort():
                pass
            case _:
                raise NotImplementedError(type(cell).__name__)

    def text(self, value: Sequence[Any]) -> str:
        """Return a value as Verilog: constants, wires and ranges of them, and what is repeated, from the highest bit down."""
        parts: list[str] = []
        at = len(value)
        while at > 0:
            stop, top = at - 1, value[at - 1]
            if top.is_const:
                while stop > 0 and value[stop - 1].is_const:
                    stop -= 1
                number = sum(net.const << bit for bit, net in enumerate(value[stop:at]))
                parts.append(f"{at - stop}'h{number:x}")
            elif stop > 0 and value[stop - 1] == top:
                while stop > 0 and value[stop - 1] == top:
                    stop -= 1
                parts.append(f"{{{at - stop}{{{self.text([top])}}}}}")
            else:
                name, high, width = self.nets[top]
                while stop > 0 and self.nets.get(value[stop - 1], ("", 0))[:2] == (name, high - at + stop):
                    stop -= 1
                low = high - (at - 1 - stop)
                whole = low == 0 and high == width - 1
                parts.append(name if whole else f"{name}[{high}]" if low == high else f"{name}[{high}:{low}]")
            at = stop
        if not parts:
            # The address of the only word of a memory.
            return "1'h0"
        return parts[0] if len(parts) == 1 else "{" + ", ".join(parts) + "}"

    def _cell(self, number: int, cell: Any) -> Iterator[str]:
        """Yield the lines of a cell."""
        target = self.nets.get(_nir.Net.from_cell(number, 0), ("",))[0]
        match cell:
            case _nir.Operator():
                yield f"  assign {target} = {self._operator(cell)};"
            case _nir.Part():
                raise NotImplementedError("parts of a signal at a place that another says are chosen by a Switch")
            case _nir.FlipFlop() if number not in self.clocked.values():
                yield f"  always @(posedge clk) {target} <= {self.text(cell.data)};"
            case _nir.AsyncReadPort():
                memory = self.netlist.cells[cell.memory]
                yield f"  assign {target} = {memory.name}_{cell.memory}[{self.text(cell.addr)}];"
            case _nir.SyncWritePort():
                memory = self.netlist.cells[cell.memory]
                what = f"{memory.name}_{cell.memory}[{self.text(cell.addr)}] <= {self.text(cell.data)}"
                yield f"  always @(posedge clk) if ({self.text(cell.en[:1])}) {what};"
            case _nir.Instance():
                given = {name: self.text(value) for name, value in cell.ports_i.items()}
                made = {name: self.text(_value(number, width, start)) for name, (start, width) in cell.ports_o.items()}
                yield f"  {cell.type} {cell.name}("
                yield ",\n".join(f"    .{name}({text})" for name, text in {**given, **made}.items()) + ");"
            case _nir.AssignmentList():
                clocked = number in self.clocked
                target = self.nets[_nir.Net.from_cell(self.clocked.get(number, number), 0)][0]
                yield f"  always @{'(posedge clk)' if clocked else '*'} begin"
                if (default := self.text(cell.default)) != target:
                    yield f"    {target} {'<=' if clocked else '='} {default};"
                sets = f"{target} <=" if clocked else f"{target} ="
                yield from self._assignments(cell, sets, list(cell.assignments), _nir.Net.from_const(1), "    ")
                yield "  end"

    def _operator(self, cell: Any) -> str:
        operator, *operands = cell.operator, *(self.text(value) for value in cell.inputs)
        if operator == "m":
            return "{} ? {} : {}".format(*operands)
        if len(operands) == 1:
            return {"-": "-", "~": "~", "b": "|", "r|": "|", "r&": "&", "r^": "^"}[operator] + operands[0]
        signed = operator[0] == "s"
        sign = operator.lstrip("us")
        first, second = (
            f"$signed({text})" if signed and not (at and sign == ">>") else text for at, text in enumerate(operands)
        )
        return f"{first} {sign if sign != '>>' or not signed else '>>>'} {second}"

    def _assignments(self, cell: Any, sets: str, rest: list[Any], condition: Any, indent: str) -> Iterator[str]:
        """Yield what is set under a condition, as long as the assignments that come next stand under it."""
        target, how = sets.split()
        whole = len(cell.default)
        while rest:
            if rest[0].cond == condition:
                own = rest.pop(0)
                high = own.start + len(own.value) - 1
                place = "" if len(own.value) == whole else f"[{high}:{own.start}]" if high > own.start else f"[{high}]"
                yield f"{indent}{target}{place} {how} {self.text(own.value)};"
                continue
            chain = [rest[0].cond]
            while not chain[-1].is_const and chain[-1] != condition:
                chain.append(self.netlist.cells[chain[-1].cell].en)
            if chain[-1] != condition:
                return
            yield from self._choice(cell, sets, rest, chain[-2].cell, indent)

    def _choice(self, cell: Any, sets: str, rest: list[Any], number: int, indent: str) -> Iterator[str]:
        """Yield one choice among conditions of which the first that holds counts."""
        tests: list[tuple[Any, Any]] = []
        for place, net in enumerate(self.netlist.cells[number].inputs):
            match = None if net.is_const else self.netlist.cells[net.cell]
            if match is not None or net.const:
                tests.append((match, _nir.Net.from_cell(number, place)))
        bodies = [list(self._assignments(cell, sets, rest, own, f"{indent}    ")) for _, own in tests]
        given = [match for match, _ in tests if match is not None]
        if all(_one(match.patterns) is not None for match in given):
            before = indent
            for (match, _), body in zip(tests, bodies, strict=True):
                last = match is None or _one(match.patterns) == ALWAYS
                yield (
                    f"{before}begin" if last else f"{before}if ({self.text([match.value[_one(match.patterns)]])}) begin"
                )
                yield from body
                before = f"{indent}end else "
            yield f"{indent}end"
            return
        yield f"{indent}casez ({self.text(given[0].value)})"
        # Where patterns exclude one another, those under which nothing is set need no line.
        apart = all("-" not in pattern for match in given for pattern in match.patterns) and len(given) == len(tests)
        ended = False
        for (match, _), body in zip(tests, bodies, strict=True):
            ended |= match is None or any(set(pattern) == {"-"} for pattern in match.patterns)
            patterns = ["default"] if ended else [f"{len(each)}'b{each.replace('-', '?')}" for each in match.patterns]
            if body or not apart:
                lines = [f"{', '.join(patterns)}:", *(line.strip() for line in body)]
                block = [f"{lines[0]} begin", *(line[len(indent) + 2 :] for line in body), "end"]
                yield from (f"{indent}  {line}" for line in ([" ".join(lines)] if len(body) == 1 else block))
            if ended:
                break
        if not ended:
            yield f"{indent}  default: ;"
        yield f"{indent}endcase"


def _one(patterns: Sequence[str]) -> int | None:
    """Return the bit that alone decides, if it must be 1; ALWAYS where none does, None where more do."""
    cared = [(at, bit) for pattern in patterns for at, bit in enumerate(reversed(pattern)) if bit != "-"]
    if len(patterns) != 1 or len(cared) > 1 or (cared and cared[0][1] != "1"):
        return None
    return cared[0][0] if cared else ALWAYS


def _empty(cell: Any) -> bool:
    """Say whether a cell has no bit: what a product with 0 is, before it is extended."""
    return 0 in (getattr(cell, "width", 1), len(getattr(cell, "default", "-")), len(getattr(cell, "data", "-")))


def _value(cell: int, width: int, start: int = 0) -> Any:
    return _nir.Value(_nir.Net.from_cell(cell, start + bit) for bit in range(width))


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""


__all__ = ["module_text"]
