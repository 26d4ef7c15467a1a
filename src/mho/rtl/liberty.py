"""What a liberty library says of its cells: area, leakage, and the energy that a toggle of each pin takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mho.errors import OptionError

MOST_BYTES = 1 << 28
"""The largest library that is read."""
TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|([{}();:,])|([^\s{}();:,"\\]+)', re.DOTALL)
KEPT = ("ff", "latch", "statetable")
"""Groups of cells that keep something, of which functions may be."""
UNITS = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0}


@dataclass
class Entry:
    """A group of a liberty file: its kind, its name, what is said in it, and the groups in it."""

    kind: str
    name: str
    said: dict[str, str] = field(default_factory=dict)
    inside: list[Entry] = field(default_factory=list)

    def all(self, kind: str) -> Iterator[Entry]:
        """Yield the groups of a kind in it."""
        return (each for each in self.inside if each.kind == kind)


@dataclass(frozen=True)
class Cell:
    """A cell: `area` in um2, `leakage` in W; `capacitance` of each input in F; `internal`: the joules that a toggle of a pin takes
    within the cell, the mean of rising and falling, at the shortest transition and the least load of the library's tables.
    `functions`: of each output, an expression of Python on 0 and 1 whose names are pins; `state`: of a register that of what it
    takes with the clock.
    """

    area: float
    leakage: float
    capacitance: Mapping[str, float]
    internal: Mapping[str, float]
    functions: Mapping[str, str]
    state: str | None


@dataclass(frozen=True)
class Library:
    """The cells of a library by name, its supply in V, and whether it has delays."""

    name: str
    voltage: float
    timed: bool
    cells: Mapping[str, Cell]

    @classmethod
    def load(cls, path: Path) -> Library:
        """Read a liberty file, or raise OptionError."""
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            raise OptionError(f"--liberty {path}: there is no such file of at most {MOST_BYTES >> 20} MiB")
        top = _read(re.sub(r"/\*.*?\*/", " ", path.read_text(errors="replace"), flags=re.DOTALL), path)
        try:
            return cls._of(top, path)
        except ValueError as error:
            raise OptionError(f"--liberty {path}: {error}") from None

    @classmethod
    def _of(cls, top: Entry, path: Path) -> Library:
        """Return the cells of the outermost group. OptionError where it is no library, ValueError for what is none of a cell."""
        voltage = _number(top.said.get("nom_voltage", "0"))
        if top.kind != "library" or not voltage or not any(top.all("cell")):
            raise OptionError(f"--liberty {path}: not a library with nom_voltage and cells")
        size, unit = (top.said.get("capacitive_load_unit", "1 pf") + " pf").split()[:2]
        if unit.lower().removesuffix("f") not in UNITS:
            raise ValueError(f"capacitive_load_unit is in ff, pf, nf or f, not in {unit}")
        farad = _number(size) * UNITS[unit.lower().removesuffix("f")]
        watt = _unit(top.said.get("leakage_power_unit", "1nW"), "w")
        joule = farad * _unit(top.said.get("voltage_unit", "1V"), "v") ** 2
        timed = any(
            pin.said.get("direction") == "output" and any(pin.all("timing"))
            for cell in top.all("cell")
            for pin in cell.all("pin")
        )
        return cls(top.name, voltage, timed, {each.name: _cell(each, farad, joule, watt) for each in top.all("cell")})


def _read(text: str, path: Path) -> Entry:
    """Return the outermost group of a text."""
    root = Entry("", "")
    stack, words = [root], list[str]()
    for quoted, mark, word in TOKEN.findall(text):
        if mark == "{":
            if not words:
                raise OptionError(f"--liberty {path}: not a liberty file: a group has no name")
            stack.append(Entry(words[0], " ".join(words[1:])))
            stack[-2].inside.append(stack[-1])
        elif mark == "}" and len(stack) > 1:
            stack.pop()
        elif mark in (";", ")", "}"):
            if mark == ";" and words:
                stack[-1].said.setdefault(words[0], " ".join(words[1:]))
            if mark == ")" and words and words[0] in ("values", "index_1", "index_2", "capacitive_load_unit"):
                stack[-1].said.setdefault(words[0], " ".join(words[1:]))
        else:
            words += [] if mark else [word or quoted.replace("\\", " ")]
            continue
        if mark != ")" or words[:1] in (["values"], ["index_1"], ["index_2"], ["capacitive_load_unit"]):
            words = []
    if len(stack) != 1 or len(root.inside) != 1:
        raise OptionError(f"--liberty {path}: not a liberty file, whose braces close")
    return root.inside[0]


def _cell(entry: Entry, farad: float, joule: float, watt: float) -> Cell:
    capacitance, internal, functions = dict[str, float](), dict[str, float](), dict[str, str]()
    for pin in entry.all("pin"):
        if pin.said.get("direction") == "output":
            functions[pin.name] = expression(pin.said.get("function", "0"))
        else:
            capacitance[pin.name] = _number(pin.said.get("capacitance", "0")) * farad
        # Of arcs from several pins one is taken by a toggle: their mean; rising and falling follow one another.
        powers = [
            _number(table.said["values"].replace(",", " ").split()[0])
            for power in pin.all("internal_power") for table in (*power.all("rise_power"), *power.all("fall_power"))
            if table.said.get("values")
        ]  # fmt: skip
        if powers:
            internal[pin.name] = sum(powers) / len(powers) * joule
    state = next(entry.all("ff"), None)
    named = {name for text in functions.values() for name in re.findall(r"[A-Za-z_]\w*", text)}
    if not any(each.kind in KEPT for each in entry.inside) and not named <= {*capacitance, *functions}:
        raise ValueError(
            f"cell {entry.name}: a function of {', '.join(sorted(named - {*capacitance}))}, which is no pin of it"
        )
    return Cell(
        _number(entry.said.get("area", "0")), _number(entry.said.get("cell_leakage_power", "0")) * watt, capacitance, internal,
        functions, expression(state.said.get("next_state", "0")) if state else None,
    )  # fmt: skip


def expression(text: str) -> str:
    """Return a liberty function as an expression of Python: ! and ' before ^, that before & (or *, or a space), that before |.

    Raises ValueError for what is none.
    """
    tokens: list[str] = re.findall(r"\w+|[()!'^&*|+]", text)

    def joined(level: int) -> str:
        signs = ("|+", "&*", "^")[level]
        terms = [below(level)]
        while tokens and tokens[0] != ")":
            if tokens[0] in signs:
                tokens.pop(0)
            elif level != 1 or tokens[0] in "|+^":
                break
            terms.append(below(level))
        return terms[0] if len(terms) == 1 else f"({f' {signs[0]} '.join(terms)})"

    def below(level: int) -> str:
        if level < 2:
            return joined(level + 1)
        token = tokens.pop(0) if tokens else ""
        if not re.fullmatch(r"\w+|[(!]", token):
            raise ValueError(f"{text!r} is no function of pins")
        if token == "!":
            return f"(1 ^ {below(2)})"
        term = token
        if token == "(":
            term = joined(0)
            if not tokens:
                raise ValueError(f"{text!r} is no function of pins: a bracket is not closed")
            tokens.pop(0)
        while tokens and tokens[0] == "'":
            tokens.pop(0)
            term = f"(1 ^ {term})"
        return term

    found = joined(0)
    if tokens or re.search(r"[^\s\w()!'^&*|+]", text):
        raise ValueError(f"{text!r} is no function of pins")
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"a number belongs where {text!r} stands") from None


def _unit(text: str, letter: str) -> float:
    found = re.fullmatch(rf"([\d.]*)\s*([a-z]?){letter}", text.strip().lower())
    return float(found[1] or 1) * UNITS.get(found[2], 1.0) if found else 1.0


__all__ = ["Cell", "Library"]
