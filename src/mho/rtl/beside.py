"""Parts behind or beside the periphery of a group in gates: combining lanes, index memory with row shifts, dispatcher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mho.chip import Chip
from mho.mapping.combination import SUM_BYTES
from mho.rtl.gates import mapped, toggled
from mho.rtl.group import Group
from mho.rtl.layer import Layer
from mho.rtl.part import Library, Part
from mho.rtl.plan import Plan
from mho.rtl.play import Cycle, play
from mho.rtl.simulate import in_amaranth
from mho.rtl.synthesis import Figure, Synthesis, reached

EVENTS = {"mho_combining_lane": "valid", "mho_row_index": "load", "mho_dispatcher": "fire"}
"""Of parts the port that is high once an event: a product added, a row loaded, an activation."""


@dataclass(frozen=True, eq=False)
class Played:
    """A part, and what its ports carried, cycle by cycle, where it was run; `run` says in what."""

    part: Part
    cycles: Sequence[Cycle] = ()
    run: str | None = None


def behind(layer: Layer) -> list[Played]:
    """Run the windows of a combined layer through its first block, and return the parts that combine its sums."""
    (part,) = layer.parts
    windows = tuple((0, codes, True, True) for block, codes, _, _ in part.stimulus.windows if block == 0)
    group = Group(layer.plan)
    only = [name for name in EVENTS if name != "mho_dispatcher" and (layer.plan.indexed or name != "mho_row_index")]
    stimulus = replace(part.stimulus, blocks=part.stimulus.blocks[:1], windows=windows)
    _, traces = in_amaranth(group, stimulus, True, only)
    assert traces is not None
    run = f"{len(windows)} windows of the first block of layer {layer.name}"
    return [Played(traces.parts[name], traces.cycles[name], run) for name in only]


def played(part: Part, cycles: Sequence[Cycle], run: str) -> Played:
    """Return a part run alone, from reset on."""
    answers = play(part, [{}, *cycles])
    return Played(part, [{**given, **made} for given, made in zip(cycles, answers, strict=False)], run)


def in_gates(plan: Plan, parts: Sequence[Played], liberty: Path, node: float) -> Synthesis:
    """Map parts to the cells of a library made at `node` (m), and give those that were run what they were given."""
    modules, figures, compared, different = [], dict[str, Figure](), 0, 0
    for each in parts:
        name = each.part.part
        design = mapped("".join(Library(each.part).texts.values()), liberty, name)
        (module,) = design.modules
        modules.append(module)
        energy: tuple[float | None, float | None] = None, None
        if each.cycles:
            happens = [cycle[EVENTS[name]] for cycle in each.cycles]
            first, events = happens.index(1), sum(happens)
            cycles, wrong, joules = toggled(design, {name: each.cycles}, first)
            compared, different = compared + cycles, different + wrong
            data, gated, clock = joules[name].sum(axis=0)
            energy = (data + gated) / events, (data + clock * (len(happens) - first)) / events
        figures[name] = Figure(module.area * 1e-12, module.leakage, *energy)
    reach, moved = reached(node, design.library, figures)
    said = {name: published(plan.chip, name) for name in figures}
    return Synthesis(
        plan,
        design.library.name,
        design.yosys,
        reach,
        node,
        tuple(modules),
        moved,
        said,
        parts[0].run,
        compared,
        different,
    )


def published(chip: Chip, name: str) -> tuple[float, float]:
    """Return area (m2) and energy an event (J) of what a chip's file has for a part; 0 where it has nothing."""
    area, joules = chip.costs.area_m2, chip.energy_per_event
    if name == "mho_combining_lane" and chip.spec.basis is not None:
        sums = joules["coefficient_product"] + joules["coefficient_sum"] + SUM_BYTES * joules["lane_register_byte"]
        return area("lane_multiplier") + area("lane_adder") + area("lane_register"), sums
    if name == "mho_row_index" and chip.sparse is not None:
        # Of the index memory the part that tells of rows; that of columns is the lists of what combines.
        rows, bits = chip.array.rows, chip.sparse.row_bits
        share = chip.sparse.turns * rows * bits / 8 / chip.index_bytes
        return (
            area("index_memory") * share + area("row_shift") * chip.costs.count("row_shift") / chip.groups,
            joules["index_byte"] * bits / 8 + joules["row_shift"],
        )
    if name == "mho_dispatcher" and "adc_mode_byte" in joules:
        adcs = chip.group.arrays * chip.array.adcs
        return area("adc_mode") * adcs, joules["adc_mode_byte"] * adcs
    return 0.0, 0.0


__all__ = ["EVENTS", "Played", "behind", "in_gates", "played", "published"]
