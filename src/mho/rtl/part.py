"""Parts: modules of logic that are simulated as they stand, or written as Verilog, one module for all instances that are alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from mho.rtl.writer import module_text


def width(low: int, high: int) -> Any:
    """Return the shape of a number from `low` to `high`."""
    bits = max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0)
    return signed(bits + 1) if low < 0 else unsigned(max(bits, 1))


class Part(wiring.Component):  # type: ignore[misc]
    """A module of logic; the docstring of its class stands before it in Verilog, its cycles among it.

    `part`: its name in Verilog, which tells parts of different sizes apart. Parts inside of it are put there by `place`.
    """

    def __init__(self, part: str, given: Mapping[str, Any], made: Mapping[str, Any]) -> None:
        # Of parts that are alike, one alone becomes Verilog.
        self._MustUse__used = True
        self.part = part
        self.library: Library | None = None
        self.inside: dict[str, Part] = {}
        super().__init__(
            {name: In(shape) for name, shape in given.items()} | {name: Out(shape) for name, shape in made.items()}
        )

    def place(self, m: Module, label: str, part: Part) -> None:
        """Put a part into this one: itself in a simulation, its name and ports in Verilog."""
        self.inside[label] = part
        if self.library is None:
            m.submodules[label] = part
            return
        self.library.add(part)
        ports = {
            f"{'i' if member.flow is In else 'o'}_{name}": getattr(part, name)
            for name, member in part.signature.members.items()
        }
        m.submodules[label] = Instance(part.part, i_clk=ClockSignal(), i_rst=ResetSignal(), **ports)

    def comment(self) -> str:
        """Return what stands before the module."""
        text = " ".join((type(self).__doc__ or "").split())
        return "\n".join(f"// {line}" for line in wrapped(text))


class Library:
    """The modules of a design, each once, from the outermost in, and the Verilog of each."""

    def __init__(self, top: Part) -> None:
        self.parts: dict[str, Part] = {}
        self.texts: dict[str, str] = {}
        self.add(top)
        while len(self.texts) < len(self.parts):
            name, part = next((name, part) for name, part in self.parts.items() if name not in self.texts)
            self.texts[name] = f"{part.comment()}\n{module_text(part, name)}\n"

    def add(self, part: Part) -> None:
        """Take a part, if none of its name is known."""
        if part.part not in self.parts:
            self.parts[part.part] = part
            part.library = self


def wrapped(text: str, columns: int = 120) -> Iterable[str]:
    """Yield lines of so many characters at most."""
    line = ""
    for word in text.split():
        if len(line) + len(word) + 1 > columns:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    yield line


def balanced(values: Iterable[Value]) -> Value:
    """Return the sum of values, added pair by pair."""
    values = list(values)
    while len(values) > 1:
        values = [a + b if b is not None else a for a, b in zip(values[::2], [*values[1::2], None], strict=False)]
    return values[0]


def wire(m: Module, source: Any, target: Any, *ports: str) -> None:
    """Connect ports of one part with those of the same names of another."""
    m.d.comb += [getattr(target, port).eq(getattr(source, port)) for port in ports]


def memory(m: Module, name: str, shape: Any, depth: int, enable: Any, address: Any, data: Any, reads: int = 1) -> Any:
    """Put a memory with one port to write and one to read, or more, without a cycle between; return that, or a list of them."""
    held = Memory(shape=shape, depth=depth, init=[])
    m.submodules[name] = held
    write = held.write_port()
    m.d.comb += [write.en.eq(enable), write.addr.eq(address), write.data.eq(data)]
    ports = [held.read_port(domain="comb") for _ in range(reads)]
    return ports[0] if reads == 1 else ports
