"""From a network and a chip to a program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from mho.chip import Chip
from mho.chip.lookup import shares_adcs
from mho.errors import OptionError, choices
from mho.mapping import Mapping, map_network
from mho.mapping.choose import PACKINGS
from mho.network.graph import Network
from mho.network.layers import Constant
from mho.network.samples import Samples
from mho.number import QuantisedNetwork, quantise
from mho.program import Program, Write
from mho.program.instructions import Instruction
from mho.program.work import coded_tensors
from mho.schedule.adaptive import adaptive
from mho.schedule.aras import aras
from mho.schedule.buffer import BANKS, estimated_s, place_tensors, settle_banks
from mho.schedule.builder import Builder, Task
from mho.schedule.centre import aligned, check_alignment, check_low_cell, prepared, weights_of
from mho.schedule.naive import naive
from mho.schedule.overlap import overlap
from mho.schedule.placement import PLACEMENTS, place
from mho.schedule.search import Search

SCHEDULES = {"naive": naive, "overlap": overlap, "aras": aras, "adaptive": adaptive}
RESIDENCIES = ("auto", "never")


def compile(
    network: Network | QuantisedNetwork,
    chip: Chip | str | Path,
    *,
    schedule: str = "adaptive",
    mapping: str = "dense",
    packing: str = "diagonal",
    turns: int = 1,
    residency: str = "auto",
    banks: str = "ilp",
    alignment: str | int = "none",
    low_cell: str = "all",
    placement: str = "none",
    samples: Samples | None = None,
    search: Search | None = None,
) -> Program:
    """Compile a network for a chip.

    mho.compile(network, "aras")                                a preset, the default schedule
    mho.compile(network, chip, schedule="naive")                another schedule
    mho.compile(mho.quantise(network, samples), chip)           a program that can be executed and verified

    A network with weights is quantised (without calibrated activations, so that it can be timed but not executed); one
    that is shapes alone is timed with expected cell changes. residency "auto" writes all weights once, in the setup,
    if the whole network fits the chip; "never" writes them in every inference. banks "ilp" chooses the global buffer's
    banks by integer programs (ARAS section V-A, schedule/bank_programs.py), "greedy" tensor by tensor.

    alignment (ARAS section V-C) shifts the weights of all matrix layers but the first to one mean, so that those which
    overwrite one another differ less: 0 to 255 is that mean, "auto" chooses it (schedule/centre.py), by accuracy on
    `samples` with labels where they are given, else by how many weights are clipped; "none" leaves them. low_cell "lower"
    keeps the least significant cells of the same layers to their lowest levels (number/alignment.py).

    placement (ours, schedule/placement.py) chooses where each block's rows, columns and digits sit in its group: for "time",
    on a chip of write_latency actual, or for "pulses"; "none" leaves them in place.

    mapping "squeezed" (SME, mapping/squeezed.py) slices the digits of weights over cell columns and leaves out what is empty; with
    more than one of `turns`, blocks that leave room share a group and are activated one after another. It asks for weights, and
    for a chip with index memory; `mho.recode` and `mho.squeeze` make weights of few digits.

    `search` says what "adaptive" minimises, how hard and from which seed (schedule/search.py).

    Raises OptionError for an option that does not exist or changes nothing, and for a chip whose groups share ADCs, ChipError for
    an unknown chip, MappingError where a layer cannot be placed.
    """
    if not isinstance(chip, Chip):
        chip = Chip.load(chip)
    for name, given, allowed in (
        ("schedule", schedule, SCHEDULES),
        ("residency", residency, RESIDENCIES),
        ("banks", banks, BANKS),
        ("placement", placement, PLACEMENTS),
    ):
        if not isinstance(given, str) or given not in allowed:
            raise OptionError(f"unknown {name} {given!r}; {choices(str(given), allowed)}")
    if search is not None and schedule != "adaptive":
        raise OptionError(f"schedule {schedule!r} searches for nothing; a Search is for schedule 'adaptive'")
    if shares_adcs(chip):
        raise OptionError(
            f"chip {chip.name}: groups that take turns at ADCs (lookup.groups_per_adc above 1) serve look-ups only; "
            "the time of layers assumes ADCs of their own"
        )
    check_alignment(alignment, low_cell, samples)
    check_low_cell(low_cell, chip)
    if placement == "time" and chip.write_latency == "worst_case":
        raise OptionError(
            f"placement 'time' changes nothing: chip {chip.name} takes the worst case for every write (write_latency)"
        )
    quantised = network if isinstance(network, QuantisedNetwork) else None
    net = network.network if isinstance(network, QuantisedNetwork) else network
    if not isinstance(net, Network):
        raise OptionError(
            f"compile takes a Network or a QuantisedNetwork, not {type(net).__name__}; mho.zoo.load makes one"
        )
    if quantised is None and net.has_values:
        quantised = quantise(net)
    if quantised is None and (placement != "none" or chip.write_latency == "actual"):
        asks = f"placement {placement!r}" if placement != "none" else f"chip {chip.name}, of write_latency 'actual',"
        raise OptionError(
            f"{asks} goes by the levels of cells, but {net.name} is known by shapes alone; load it with weights"
        )
    if mapping == "squeezed" and (alignment, low_cell) != ("none", "all"):
        raise OptionError(
            "alignment and low_cell move the codes of whole weights; mapping 'squeezed' stores their digits"
        )
    if (alignment, low_cell) != ("none", "all"):
        quantised = weights_of(net, quantised)
        if alignment != "auto":
            quantised = prepared(
                quantised, None if alignment == "none" else int(alignment), low_cell, chip.array.cell_bits
            )
    mapped = map_network(quantised or net, chip, mapping=mapping, packing=packing, turns=turns)
    resident = residency == "auto" and mapped.blocks <= chip.groups
    coded = coded_tensors(net, quantised)
    seconds = estimated_s(net, coded, chip, mapped, resident) if banks == "ilp" else None
    buffers = place_tensors(net, coded, chip, seconds)
    spilled = sum(use.spilled for use in buffers)
    task = Task(chip, net, mapped, buffers, resident, coded, quantised, search or Search())
    builder: Builder = SCHEDULES[schedule](task)
    options = {
        "mapping": mapping,
        "packing": packing,
        "turns": turns,
        "residency": residency,
        "banks": banks,
        "alignment": alignment,
        "low_cell": low_cell,
        "placement": placement,
        **(asdict(task.search) if schedule == "adaptive" else {}),
    }
    reusing = (alignment, low_cell, placement) != ("none", "all", "none")
    program = replace(
        task.program(builder, schedule),
        options=options,
        notes=(
            *_idle(net, chip, packing, banks if not spilled else "ilp"),
            *_notes(
                net, quantised, chip, mapped, builder.instructions, resident=resident, reusing=reusing, spilled=spilled
            ),
        ),
    )
    if alignment == "auto":
        program = aligned(program, low_cell, samples)
    if placement != "none":
        program = place(program, placement)
    # Last, since it goes by the times of the finished program.
    return program.with_buffers(settle_banks(program)) if banks == "ilp" else program


def _idle(network: Network, chip: Chip, packing: str, banks: str) -> list[str]:
    """Say which choices change nothing for this network on this chip."""
    notes = []
    if packing != PACKINGS[0] and all(layer.groups == 1 for layer in network.matrix_layers):
        notes.append(f"packing {packing!r} changes nothing: no layer has several matrices that could share a group")
    if banks != "ilp" and len(set(chip.buffer.banks)) == 1:
        notes.append(
            f"banks {banks!r} change nothing: all banks of chip {chip.name} are alike, so that any choice costs the same"
        )
    return notes


def _sharing(mapped: Mapping, instructions: Sequence[Instruction]) -> Iterator[str]:
    """Say which layers use the blocks of others, and which of these are written anew."""
    sharing = {layer.index for layer in mapped.layers if layer.shares is not None}
    anew = len(sharing & {each.layer for each in instructions if isinstance(each, Write)})
    if sharing:
        yield (
            f"shared weights: {len(sharing)} of {len(mapped.layers)} layers use those of an earlier one; these, and the blocks "
            "that hold them, are counted once"
        )
    if anew:
        yield (
            f"shared weights: written anew for {anew} of these layers, as the chip is too small, or the schedule too simple, "
            "to hold them until then"
        )


def _notes(
    network: Network,
    quantised: QuantisedNetwork | None,
    chip: Chip,
    mapped: Mapping,
    instructions: Sequence[Instruction],
    *,
    resident: bool,
    reusing: bool,
    spilled: int,
) -> tuple[str, ...]:
    """State every assumption made on the way to a program."""
    notes = [f"weights: {network.origin}"]
    if quantised is not None:
        notes.append(f"activation codes: {quantised.calibration}")
        notes.extend(quantised.notes)
        if quantised.alignment is not None:
            notes.append(str(quantised.alignment))
    notes.extend(_sharing(mapped, instructions))
    if resident:
        notes.append("the whole network fits the chip: weights are written once, in the setup, and no inference writes")
        if reusing:
            notes.append("alignment, narrowed cells and placement save nothing in an inference that writes nothing")
    if spilled:
        notes.append(f"{spilled} bytes of activations find no room in the global buffer and go through main memory")
    if network.weights > chip.memory.capacity:
        notes.append(
            f"{network.weights} bytes of weights exceed the main memory's {chip.memory.capacity:.3g}; it is taken to hold them"
        )
    constants = sum(layer.size for layer in network.layers if isinstance(layer, Constant))
    if constants > 4096:
        notes.append(
            f"{constants} elements of constants (such as position embeddings) are taken to be in the vector unit already"
        )
    return (*notes, *chip.notes)
