"""A program as text that a person can read."""

from __future__ import annotations

from mho.number.basis import BASIS
from mho.number.coded import TABLES
from mho.program.instructions import NAMES, ORDERS, Activate, Gather, Grouped, Groups, Orders, Transfer, Write
from mho.program.program import Program


def span(bounds: tuple[int, int]) -> str:
    """Write a half-open range as its first and last member."""
    first, last = bounds
    return str(first) if last == first + 1 else f"{first}..{last - 1}"


def _groups(groups: Groups) -> str:
    return ",".join(span(pair) for pair in groups)


def _orders(orders: Orders) -> str:
    """Write the order of each block, runs of neighbours as ranges; '-' for a block in place."""
    return ";".join(_runs(order) or "-" for order in orders)


def _runs(order: tuple[int, ...]) -> str:
    runs: list[tuple[int, int]] = []
    for place in order:
        if runs and runs[-1][1] == place:
            runs[-1] = runs[-1][0], place + 1
        else:
            runs.append((place, place + 1))
    return ",".join(span(run) for run in runs)


def listing(program: Program) -> str:
    """Return one line an instruction: its number, what it does, on what, and after which others."""
    width = len(str(max(len(program.instructions) - 1, 0)))
    lines = [
        f"; {program.network.name} on {program.chip.name}, schedule {program.schedule}, mapping {program.mapping.kind}: "
        f"{len(program.instructions)} instructions, the first {program.setup} of them setup"
    ]
    for i, instruction in enumerate(program.instructions):
        name = program.network.layers[instruction.layer].name
        if isinstance(instruction, Write):
            # What several layers share bears the name of none of them.
            held = program.mapping.weight_of(instruction.blocks[0]).name
            name = held if held in (BASIS, TABLES) else name
        words = [f"{i:0{width}d}", f"{NAMES[type(instruction)]:<8}", name]
        if isinstance(instruction, Write | Activate):
            copies = (instruction.copy, instruction.copy + getattr(instruction, "copies", 1))
            words += [f"blocks {span(instruction.blocks)}", f"copy {span(copies)}"]
        if isinstance(instruction, Gather):
            words += [f"blocks {span(instruction.blocks)}", f"groups {_groups(instruction.groups)}"]
        if isinstance(instruction, Activate):
            words.append(f"windows {span(instruction.windows)}")
        if isinstance(instruction, Write | Activate):
            words.append(f"groups {_groups(instruction.groups)}")
        if isinstance(instruction, Write):
            words += [f"{key} {_orders(getattr(instruction, key))}" for key in ORDERS if getattr(instruction, key)]
        if isinstance(instruction, Activate) and instruction.release:
            words.append("release")
        if isinstance(instruction, Transfer):
            words += [instruction.direction, f"{instruction.size} bytes"]
        if not isinstance(instruction, Grouped) and instruction.rows is not None:
            words.append(f"rows {span(instruction.rows)}")
        if instruction.after:
            words.append("after " + ",".join(f"{j:0{width}d}" for j in instruction.after))
        lines.append("  ".join(words))
    return "\n".join(lines) + "\n"
