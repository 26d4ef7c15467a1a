"""A group's periphery as Verilog, with a head that says what it is and what was proven of its widths."""

from __future__ import annotations

from collections import Counter

from mho.rtl.group import Group
from mho.rtl.part import Library, wrapped
from mho.rtl.plan import ACCUMULATOR_BITS, Plan
from mho.rtl.units import units_of
from mho.version import __version__


def verilog(plan: Plan) -> str:
    """Return the Verilog of a group's periphery, and of the parts that its chip has beside."""
    # Parts that the group holds itself stand there, as large as the layer asks for.
    texts = dict[str, str]()
    for part in (Group(plan), *units_of(plan.chip, plan.multiplier_bits)):
        texts |= {name: text for name, text in Library(part).texts.items() if name not in texts}
    return head(plan) + "".join(texts.values())


def head(plan: Plan) -> str:
    """Return the first comment of a design."""
    low, high = plan.code_range
    passes = ", then ".join(f"{steps} steps of {size} bit{'s' * (size > 1)}" for steps, size in plan.steps)
    chains = "one" if len(plan.chains) == 1 else len(plan.chains)
    text = (
        f"Made by mho {__version__} from chip {plan.chip.name}: {plan.arrays} arrays of {plan.rows} rows of weights and "
        f"{plan.outputs} outputs, {plan.adcs} ADCs each, weights of {plan.weight_bits} bits as {plan.coding.name}, inputs of "
        f"{plan.input_bits}. A window takes {plan.window_cycles} cycles of {float(plan.clock_s) * 1e9:g} ns "
        f"({float(plan.timed_cycles):.10g} in the timing model): {passes}, {plan.turns} turn{'s' * (plan.turns > 1)} a step, "
        f"{plan.overhead_cycles} cycles before the first conversion of a step, {plan.per_adc} conversions of "
        f"{plan.conversion_cycles}. Its inputs are loaded in {plan.loads} cycles behind the window before; the sums of an array "
        f"leave {chains} a cycle, in {plan.drained} cycles, behind the window after. Codes of conversions go from {low} to {high}. "
        f"Accumulators of {ACCUMULATOR_BITS} bits hold the sums of {plan.most_blocks} blocks of rows whatever inputs and "
        "weights; every other width holds all that its number can reach. One clock, `clk`; `rst` is synchronous. Numbers with "
        "a sign are in two's complement."
    )
    return "".join(f"// {line}\n" for line in wrapped(text)) + "\n"


def outline(plan: Plan) -> str:
    """Return the modules of a design, each indented under the one that holds it, with how often it does."""
    lines, parts = list[str](), Library(Group(plan)).parts

    def visit(name: str, depth: int, count: int) -> None:
        lines.append(f"{'  ' * depth}{name}{f' x {count}' * (count > 1)}")
        for inside, times in Counter(part.part for part in parts[name].inside.values()).items():
            visit(inside, depth + 1, times)

    visit("mho_group", 0, 1)
    return "\n".join(lines) + "\n"


__all__ = ["head", "outline", "verilog"]
