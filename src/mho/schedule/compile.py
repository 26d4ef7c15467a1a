"""From a network and a chip to a program."""

from __future__ import annotations

from pathlib import Path

from mho.chip import Chip
from mho.errors import OptionError, choices
from mho.mapping import map_network
from mho.network.graph import Network
from mho.network.layers import Constant
from mho.number import QuantisedNetwork, quantise
from mho.program import Program
from mho.program.work import coded_tensors
from mho.schedule.adaptive import adaptive
from mho.schedule.buffer import place_tensors
from mho.schedule.builder import Builder, Task
from mho.schedule.naive import naive
from mho.schedule.overlap import overlap

SCHEDULES = {"naive": naive, "overlap": overlap, "adaptive": adaptive}
RESIDENCIES = ("auto", "never")


def compile(
    network: Network | QuantisedNetwork,
    chip: Chip | str | Path,
    *,
    schedule: str = "overlap",
    mapping: str = "dense",
    packing: str = "diagonal",
    residency: str = "auto",
) -> Program:
    """Compile a network for a chip.

    mho.compile(network, "aras")                                a preset, the default schedule
    mho.compile(network, chip, schedule="naive")                another schedule
    mho.compile(mho.quantise(network, samples), chip)           a program that can be executed and verified

    A network with weights is quantised (without calibrated activations, so that it can be timed but not executed); one
    that is shapes alone is timed with expected cell changes. residency "auto" writes all weights once, in the setup,
    if the whole network fits the chip; "never" writes them in every inference. Raises OptionError for an option that
    does not exist, ChipError for an unknown chip, MappingError where a layer cannot be placed.
    """
    if not isinstance(chip, Chip):
        chip = Chip.load(chip)
    for name, given, allowed in (("schedule", schedule, SCHEDULES), ("residency", residency, RESIDENCIES)):
        if not isinstance(given, str) or given not in allowed:
            raise OptionError(f"unknown {name} {given!r}; {choices(str(given), allowed)}")
    quantised = network if isinstance(network, QuantisedNetwork) else None
    net = network.network if isinstance(network, QuantisedNetwork) else network
    if not isinstance(net, Network):
        raise OptionError(
            f"compile takes a Network or a QuantisedNetwork, not {type(net).__name__}; mho.zoo.load makes one"
        )
    if quantised is None and net.has_values:
        quantised = quantise(net)
    mapped = map_network(net, chip, mapping=mapping, packing=packing)
    resident = residency == "auto" and mapped.blocks <= chip.groups
    coded = coded_tensors(net, quantised)
    buffers = place_tensors(net, coded, chip.buffer.banks, chip.layer_order)
    builder: Builder = SCHEDULES[schedule](Task(chip, net, mapped, buffers, resident, coded))
    return Program(
        chip=chip,
        network=net,
        quantised=quantised,
        mapping=mapped,
        schedule=schedule,
        instructions=tuple(builder.instructions),
        setup=builder.setup,
        buffers=buffers,
        options={"mapping": mapping, "packing": packing, "residency": residency},
        notes=_notes(net, quantised, chip, resident, sum(use.spilled for use in buffers)),
    )


def _notes(
    network: Network, quantised: QuantisedNetwork | None, chip: Chip, resident: bool, spilled: int
) -> tuple[str, ...]:
    """State every assumption made on the way to a program."""
    notes = [f"weights: {network.origin}"]
    if quantised is not None:
        notes.append(f"activation codes: {quantised.calibration}")
        notes.extend(quantised.notes)
    if resident:
        notes.append("the whole network fits the chip: weights are written once, in the setup, and no inference writes")
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
