"""What the periphery takes in gates, beside what the chip's file says, and as a technology that chips may use.

Memories of parameters and accumulators are flip-flops, since no macro is at hand. Wires and clock tree are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mho.chip import Chip
from mho.chip.scaling import stillmaker
from mho.errors import OptionError
from mho.rtl.gates import Gates, Joules, Mapped, mapped, toggled
from mho.rtl.group import Group
from mho.rtl.layer import Layer
from mho.rtl.liberty import Library
from mho.rtl.plan import Plan
from mho.rtl.simulate import in_amaranth
from mho.version import __version__

OLDEST = 130e-9
"""The oldest node that the rule of `mho.chip.scaling` knows."""
OLDER_SUPPLY = 1.3
"""Its supply, in V."""
NAME = "synthesised"
PER = {"shift_add": "addition", "input_register": "byte", "output_register": "byte", "accumulator": "addition"}


@dataclass(frozen=True)
class Figure:
    """A role's area (m2) and leakage (W) of one instance of the chip, and J an event: `energy` with a clock that reaches a register
    when it changes and no more, `ungated` with one that always runs; None where nothing was run. At the library's node, or at 130
    nm where that is older.
    """

    area: float
    leakage: float
    energy: float | None
    ungated: float | None


@dataclass(frozen=True, eq=False)
class Synthesis:
    """A group's periphery, or other parts, in a library's cells; `node` in m, `figures` by role or part; `said`: area and energy
    that the chip's file has for each; `run` says what was run for the energies; of the `compared` cycles of modules, `different`
    had an output that is not the Verilog's.
    """

    plan: Plan
    library: str
    yosys: str
    node: float
    given_node: float
    modules: tuple[Gates, ...]
    figures: Mapping[str, Figure]
    said: Mapping[str, tuple[float, float]]
    run: str | None
    compared: int
    different: int

    @property
    def area(self) -> float:
        """The area of a group's periphery, in um2 of the library."""
        return sum(module.count * module.area for module in self.modules)

    @property
    def slowest(self) -> Gates | None:
        """The module with the longest path."""
        return max((m for m in self.modules if m.delay_s is not None), key=lambda m: m.delay_s or 0.0, default=None)

    def scaled(self, role: str) -> tuple[float, float, float]:
        """Return a role's area and both energies at the chip's own node, 0 where none was measured."""
        figure, node = self.figures[role], self.plan.chip.node
        area, energy = (stillmaker().factor(each, self.node, node) for each in ("area", "energy"))
        return figure.area * area, (figure.energy or 0.0) * energy, (figure.ungated or 0.0) * energy

    def published(self, role: str) -> tuple[float, float]:
        """Return a role's area and energy as the chip's file has them."""
        return self.said[role]

    def table(self) -> str:
        """Return the modules as a table of text, and roles beside what the chip's file says."""
        lines = [f"{'module':<20}{'count':>6}{'cells':>8}{'area um2':>12}{'of all':>13}{'path ns':>9}"]
        for m in self.modules:
            path = "-" if m.delay_s is None else f"{m.delay_s * 1e9:.2f}"
            lines.append(f"{m.name:<20}{m.count:>6}{m.cells:>8}{m.area:>12.0f}{m.count * m.area:>13.0f}{path:>9}")
        cells = sum(m.count * m.cells for m in self.modules)
        lines += [
            f"{'all':<20}{'':>6}{cells:>8}{'':>12}{self.area:>13.0f}",
            "",
            f"At {self.plan.chip.node * 1e9:g} nm, one each:",
        ]
        lines.append(f"{'role':<17}{'gates um2':>11}{'chip file':>11}{'gates pJ':>10}{'ungated':>10}{'chip file':>11}")
        for role in self.figures:
            (area, *energies), (own, charged) = self.scaled(role), self.published(role)
            shown = "".join(f"{energy * 1e12:>10.4f}" if self.run else f"{'-':>10}" for energy in energies)
            lines.append(f"{role:<17}{area * 1e12:>11.1f}{own * 1e12:>11.1f}{shown}{charged * 1e12:>11.4f}")
        if self.run:
            exact = "bit-exact" if not self.different else f"{self.different} DIFFER"
            lines += ["", f"Energy of {self.run}: outputs of modules in {self.compared} cycles of theirs, {exact}."]
        return "\n".join(lines) + "\n"

    def technology(self) -> dict[str, Any]:
        """Return the roles as a technology file's content, or raise OptionError where no energy was measured."""
        plan = self.plan
        made = (
            f"mho {__version__}: Verilog of a group of {plan.chip.name} ({plan.arrays} arrays of {plan.rows} rows of weights and "
            f"{plan.outputs} outputs, {plan.adcs} ADCs, codes of {plan.code_bits} bits), mapped by {self.yosys} to {self.library}; "
            f"energy of {self.run}, with a clock that reaches registers when they change; without wires, clock tree and glitches"
        )
        if self.given_node > self.node:
            made += (
                f"; from {self.given_node * 1e9:g} nm to {self.node * 1e9:g} nm with constant fields: area by the square of the "
                "feature size, energy by feature size and square of the supply"
            )
        components = {}
        for role, figure in self.figures.items():
            if figure.energy is None or figure.ungated is None:
                raise OptionError("a technology is written of a layer that was run; name a program and --layer")
            values = {
                "energy": (figure.energy * 1e12, "pJ"),
                "area": (figure.area * 1e12, "um2"),
                "leakage": (figure.leakage, "W"),
            }
            component: dict[str, Any] = {
                key: {"value": float(f"{value:.5g}"), "unit": unit, "source": "synthesis"}
                for key, (value, unit) in values.items()
            }
            low, high = component["energy"]["value"], float(f"{figure.ungated * 1e12:.5g}")
            component["energy"]["spread"] = {
                "low": low,
                "high": max(high, low),
                "shape": "log_uniform",
                "sources": ["ungated"],
            }
            components[role] = {"per": PER[role], "scales": {"value": "digital", "source": "synthesis"}, **component}
        return {
            "schema": "mho.technology/1", "name": NAME, "description": f"The periphery of {plan.chip.name}, synthesised.",
            "sources": {"synthesis": made, "ungated": "the same, with a clock that is never gated"},
            "node": {"value": round(self.node * 1e9, 6), "unit": "nm", "source": "synthesis"},
            "components": components,
        }  # fmt: skip

    def chip(self) -> Chip:
        """Return the chip with what was synthesised in place of its file's constants, digital parts scaled to its node."""
        content = self.chip_content()
        technologies = {**self.plan.chip.to_dict()["technologies"], NAME: self.technology()}
        return Chip.from_dict({**content, "technologies": technologies})

    def chip_content(self) -> dict[str, Any]:
        """Return that chip as the content of a chip file, which stands beside `synthesised.yaml`."""
        content = {key: value for key, value in self.plan.chip.to_dict().items() if key != "technologies"}
        use = {role: {"use": NAME, "source": "periphery"} for role in self.figures}
        return {
            **content, "name": f"{self.plan.chip.name}-{NAME}", "components": {**content["components"], **use},
            "sources": {**content["sources"], "periphery": f"synthesised by mho rtl: {NAME}.yaml"},
            "scaling": {"value": "stillmaker", "source": "periphery"},
        }  # fmt: skip


def synthesise(plan: Plan, text: str, liberty: Path, node: float, layer: Layer | None = None) -> Synthesis:
    """Map a group's Verilog to the cells of a library made at `node` (m), and run the first part of a layer in them.

    Raises OptionError where there is no Yosys, or it fails.
    """
    design = mapped(text, liberty)
    different = number = 0
    run, energies = None, None
    if layer is not None:
        part, windows = layer.parts[0], len(layer.parts[0].stimulus.windows)
        observed, traces = in_amaranth(Group(plan), part.stimulus, traced=True)
        assert traces is not None
        number, different, energies = toggled(design, traces.cycles, observed.begins[0])
        run = f"{windows} windows of layer {layer.name}"
    figures = _figures(plan, design, energies, 1 if layer is None else len(layer.parts[0].stimulus.windows))
    reach, moved = reached(node, design.library, figures)
    chip, said = plan.chip, dict[str, tuple[float, float]]()
    for role in figures:
        (event,) = chip.costs.roles[role].events
        said[role] = chip.costs.area_m2(role), chip.energy_per_event[event]
    return Synthesis(
        plan, design.library.name, design.yosys, reach, node, design.modules, moved, said, run, number, different
    )


def reached(node: float, library: Library, figures: Mapping[str, Figure]) -> tuple[float, dict[str, Figure]]:
    """Return the node (m) that figures of a library are told at, 130 nm where it is older, and what they are there."""
    if node <= OLDEST:
        return node, dict(figures)
    # The rule does not reach as far; constant fields do for the first step.
    area, energy = (OLDEST / node) ** 2, OLDEST / node * (OLDER_SUPPLY / library.voltage) ** 2
    return OLDEST, {
        role: Figure(
            f.area * area, f.leakage, *(None if each is None else each * energy for each in (f.energy, f.ungated))
        )
        for role, f in figures.items()
    }


def _figures(plan: Plan, design: Mapped, energies: Mapping[str, Joules] | None, windows: int) -> dict[str, Figure]:
    """Return the figures of the roles that the modules of a group stand for.

    A lane's registers of running sums, and the chain that hands them on, are the output register; the rest of it is the
    shift-adders. The serialiser of a group is shared out among its arrays, the accumulators of a tile among as many as it has.
    """
    chip = plan.chip
    lanes = [m for m in design.modules if m.name.startswith("mho_lane")]
    (columns,), (sums,), (serialiser,) = (
        [m for m in design.modules if m.name == name] for name in ("mho_columns", "mho_accumulators", "mho_serialiser")
    )
    steps = plan.read.all_steps
    adders = chip.costs.count("accumulator") / (chip.groups * plan.arrays)
    # Of each role: modules, of each the part that counts (0: all but running sums, 1: these), how often an array has it; instances
    # and events a window of an array.
    parts: dict[str, tuple[list[tuple[Gates, int, float]], float, float]] = {
        "shift_add": ([(m, 0, m.count / plan.arrays) for m in lanes], chip.array.adcs, plan.conversions * steps),
        "input_register": ([(serialiser, 0, 1 / plan.arrays)], 1, plan.rows * plan.input_bits / 8),
        "output_register": (
            [*((m, 1, m.count / plan.arrays) for m in lanes), (columns, 0, 1.0)], 1, plan.outputs * chip.sum_bytes() * steps,
        ),
        "accumulator": ([(sums, 0, sums.count / plan.arrays)], adders, plan.outputs),
    }  # fmt: skip
    figures = {}
    for role, (own, instances, events) in parts.items():
        if chip.costs.component(role) is None:
            continue
        area = sum((m.sums if kept else m.area - m.sums) * count for m, kept, count in own)
        leakage = sum(m.leakage * (m.sums / m.area if kept else 1 - m.sums / m.area) * count for m, kept, count in own)
        spent = ungated = None
        if energies is not None:
            data, gated, clock = sum(energies[m.name][kept] * count for m, kept, count in own)
            spent, ungated = (
                (data + gated) / (events * windows),
                data / (events * windows) + clock * plan.window_cycles / events,
            )
        figures[role] = Figure(area / instances * 1e-12, leakage / instances, spent, ungated)
    return figures


def files(made: Synthesis) -> dict[str, str]:
    """Return what is written of a synthesis: a table, and with energies of roles a technology and a chip that uses it."""
    texts = {"synthesis.txt": made.table()}
    if made.run and set(made.figures) <= set(PER):
        for name, content in ((f"{NAME}.yaml", made.technology()), ("chip.yaml", made.chip_content())):
            texts[name] = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    return texts


__all__ = ["Figure", "Synthesis", "files", "synthesise"]
