"""From a network and a chip to a program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mho.chip import Chip
from mho.errors import OptionError
from mho.mapping import Mapper, mapped_by
from mho.mapping.embedding.seats import Seats
from mho.mapping.embedding.tables import bags_of
from mho.mapping.told import bits_record, bits_said
from mho.network.graph import Network
from mho.network.layers import Constant
from mho.number import QuantisedNetwork, Sampled
from mho.program import Program, Write
from mho.program.work import coded_tensors
from mho.schedule.builder import InstructionBuilder, Task
from mho.schedule.gathering import Seated, dense_part, gathering, remaining, seated
from mho.schedule.stages import Banks, Changing, Coding, Residency, Say, Schedule
from mho.strategy.stages import STAGES
from mho.strategy.strategy import Strategy


def compile(
    network: Network | QuantisedNetwork | Sampled | Seated,
    chip: Chip | str | Path,
    strategy: Strategy | str | Path | None = None,
) -> Program:
    """Compile a network for a chip.

    mho.compile(network, "aras")                                a preset of a chip, the usual strategy
    mho.compile(network, chip, "overlap")                       a preset of a strategy, or its file
    mho.compile(network, chip, strategy.with_(banks="greedy"))  a strategy
    mho.compile(mho.number.quantise(network, samples), chip)           a program that can be executed and verified
    mho.compile(mho.number.Sampled(network, calibration=samples), chip, strategy)   the same, coded as the strategy says

    A network with weights is coded as the strategy's `coding` says: by its calibration samples where it comes with them
    (`Sampled`), else without calibrated activations, so that it can be timed but not executed. A network that is coded already
    keeps its codes; a coding other than the usual one is refused then, unless it made these very codes (`schedule.coded`). One that
    is shapes alone is timed with expected cell changes.

    Tables that layers of bags add up rows of sit as a `Seated` network says, else in the order of their rows, one copy each; the
    dense part has the tiles that they leave.

    Raises StrategyError, as `Strategy.check` says it, before any long work; OptionError for a strategy that there is not; ChipError
    for an unknown chip, and for seats of a network without tables; MappingError where a layer or a table cannot be placed.
    """
    chip = chip if isinstance(chip, Chip) else Chip.load(chip)
    strategy, seats = Strategy.of(strategy), network.seats if isinstance(network, Seated) else None
    subject = Sampled.of(network.network if isinstance(network, Seated) else network)
    strategy.check(subject, chip)
    if bags_of(subject.net):
        return _with_tables(subject, chip, strategy, seats)
    if seats is not None:
        raise OptionError(f"{subject.net.name} adds up no rows of tables, so that seats change nothing")
    changing = [item for stage in STAGES if isinstance(item := getattr(strategy, stage), Changing)]
    codes = coded(subject, chip, strategy) if subject.has_values else None
    for item in changing:
        codes = None if codes is None else item.before(codes, chip, strategy)
    task = _task(subject.net, codes, chip, strategy)
    builder = strategy.get(Schedule).plan(task)
    program = task.program(builder, _notes(task, builder))
    # Banks come last, since they go by the times of the finished program.
    for item in sorted(changing, key=lambda item: isinstance(item, Banks)):
        if program.stream is None or not isinstance(item, Banks):
            program = item.after(program, subject)
    return program


def _with_tables(subject: Sampled, chip: Chip, strategy: Strategy, seats: Seats | None) -> Program:
    """Compile a network whose bags add up rows of tables: its dense part for the tiles that these leave."""
    placed = seated(subject.net, chip, seats)
    codes = coded(subject, chip, strategy) if subject.has_values else subject.net
    program = compile(dense_part(codes), remaining(chip, placed), strategy)
    return gathering(program, codes, chip, placed)


def coded(
    network: Network | QuantisedNetwork | Sampled, chip: Chip, strategy: Strategy, say: Say = lambda text: None
) -> QuantisedNetwork:
    """Return a network's codes: those that it has, else as the strategy says for this chip; `compile` knows them as coded so.

    `say` is told how far the work is. StrategyError as `Strategy.check` says it; NumberError for weights that are not known.
    """
    subject = Sampled.of(network)
    coding = strategy.get(Coding)
    for refusal in coding.refusals(subject, chip, strategy):
        raise refusal
    if subject.quantised is not None:
        return subject.quantised
    return replace(coding.coded(subject, chip, strategy.get(Mapper), say), coding=coding)


def _task(network: Network, codes: QuantisedNetwork | None, chip: Chip, strategy: Strategy) -> Task:
    """Map the network, and say what stays on the chip and where tensors live."""
    mapping = mapped_by(strategy, codes or network, chip)
    resident = strategy.get(Residency).stays and mapping.count <= chip.groups
    task = Task(chip, network, mapping, (), resident, coded_tensors(network, codes, mapping.layers), codes, strategy)
    return task if strategy.get(Schedule).flows else replace(task, buffers=strategy.get(Banks).placed(task))


def _sharing(task: Task, builder: InstructionBuilder) -> Iterator[str]:
    """Say which layers use the blocks of others, and which of these are written anew."""
    sharing = {
        layer.index for layers in task.mapping.users.values() for layer in layers[1:] if layer.combination is None
    }
    anew = len(sharing & {write.layer for write in builder.instructions if isinstance(write, Write)})
    if sharing:
        yield (
            f"shared weights: {len(sharing)} of {len(task.mapping.layers)} layers use those of an earlier one; these, and the "
            "blocks that hold them, are counted once"
        )
    if anew:
        yield (
            f"shared weights: written anew for {anew} of these layers, as the chip is too small, or the schedule too simple, "
            "to hold them until then"
        )


def _on_basis(task: Task) -> Iterator[str]:
    """Say how the sums of a basis are combined, and what of it takes no time."""
    part, combining = task.chip.spec.basis, task.mapping.combining
    if part is None or not combining:
        return
    combined = combining[0].combination
    assert combined is not None
    if combined.merging:
        yield (
            "basis: outputs that share no vector are converted in one pass, bits of coefficients one after another; switches of "
            f"columns are set once for each batch of {part.batch} windows, in no time"
        )
    else:
        if combined.numbers.units:
            yield "basis: unit vectors are in no array that is driven; coefficients are weights, all but few of them pruned"
        if combined.numbers.powers:
            yield "basis: coefficients are powers of two; a lane shifts by one at the price of an addition (assumed)"
        yield (
            "basis: a lane takes a coefficient of one window in a cycle; one that comes serves a batch of up to "
            f"{part.batch} windows; ports of product and coefficient buffers, and finding places in what is packed, take no time"
        )
    if task.quantised is None:
        yield "basis: of shapes alone, every segment of an output has as many coefficients as it may"
    if not task.resident:
        others = len(task.mapping.layers) > len(combining)
        more = "; the weights of other layers are written in every inference" if others else ""
        yield f"basis: one instance is written in the setup, and stays{more}"


def _notes(task: Task, builder: InstructionBuilder) -> Iterator[str]:
    """State every assumption made on the way to a program."""
    network, chip, codes, strategy = task.network, task.chip, task.quantised, task.strategy
    yield from builder.notes
    for stage in STAGES:
        yield from getattr(strategy, stage).idle(task)
    yield f"weights: {network.origin}"
    bits = bits_record(network, task.mapping)
    if bits is not None:
        yield f"bits: {bits_said(bits)}; other codes have 8"
    if codes is not None:
        yield f"activation codes: {codes.calibration}"
        yield from codes.notes
        if codes.alignment is not None:
            yield str(codes.alignment)
    yield from _sharing(task, builder)
    yield from _on_basis(task)
    if task.resident and builder.setup:
        what = "weights are" if len(task.mapping.combining) < len(task.mapping.layers) else "the basis is"
        yield f"the whole network fits the chip: {what} written once, in the setup, and no inference writes"
        if any(getattr(strategy, stage).weighted for stage in ("alignment", "low_cell", "placement")):
            yield "alignment, narrowed cells and placement save nothing in an inference that writes nothing"
    spilled = sum(use.spilled for use in task.buffers)
    if spilled:
        yield f"{spilled} bytes of activations find no room in the global buffer and go through main memory"
    if network.weights > chip.memory.capacity:
        yield (
            f"{network.weights} bytes of weights exceed the main memory's {chip.memory.capacity:.3g}; it is taken to hold them"
        )
    constants = sum(layer.size for layer in network.layers if isinstance(layer, Constant))
    if constants > 4096:
        yield (
            f"{constants} elements of constants (such as position embeddings) are taken to be in the vector unit already"
        )
    yield from chip.notes
