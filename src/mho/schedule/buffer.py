"""Where tensors live in the global buffer: which banks, from which layer to which.

Every tensor gets banks of its own (ARAS section V-A: a bank never serves a layer's input and its output at once) from the
layer that makes it to the last that reads it. What finds no room lives in main memory and is streamed by every layer that
reads it (ARAS section V-A: larger layers are processed in parts). Which banks: schedule/bank_states.py.

Choosing goes in two steps, since the times at which tensors are held, and how often they are read, follow from the
schedule, and the schedule from what has no room: `place_tensors` decides that, weighing leakage by estimated times;
`settle_banks` then chooses the banks anew, of the same room, by the times that the machine measures and the accesses that
it counts. Nothing else in a program depends on which banks they are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mho.chip import Chip
from mho.machine.accesses import READ, WRITE, count_accesses
from mho.machine.energy import held_s
from mho.machine.timing import time_program
from mho.mapping import Mapping
from mho.network.graph import Network
from mho.network.layers import Embedding, Input
from mho.number import Sampled
from mho.once import once
from mho.program.program import BufferUse, Program
from mho.program.work import CodedTensors, buffer_bytes, sources, transfer_bytes, vector_seconds, write_bytes
from mho.schedule.bank_orders import set_bits
from mho.schedule.bank_states import select_banks
from mho.schedule.banks import BankProblem, Choice, Tensor, greedy_banks
from mho.schedule.builder import Task
from mho.schedule.stages import Banks
from mho.strategy.choice import choice


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A stored tensor: the layer that makes it, bytes, and who uses it.

    `users` are layers as bits: its maker, those that read it, itself or a view of it, and, where the network returns it, a
    layer after the last, since nothing says when whoever reads the outputs has read them. `moves` says how often a
    byte without room crosses the memory more than it would anyway, but at least once.
    """

    layer: int
    size: int
    users: int
    moves: int


@once
def stored_tensors(network: Network, coded: CodedTensors) -> tuple[StoredTensor, ...]:
    """Return the tensors that take room in the buffer, in the order in which they are made.

    A layer that only moves values is a view of its input: it takes no banks and keeps its input's tensor in use for longer.
    """
    source = sources(network)
    users: dict[int, int] = {}
    loads: dict[int, int] = {}
    for i, layer in enumerate(network.layers):
        for maker in {source[name] for name in layer.inputs}:
            users[maker] = users.get(maker, 0) | 1 << i
            if not layer.moves_only:
                loads[maker] = loads.get(maker, 0) + 1
    for name in network.results:
        users[source[name]] = users.get(source[name], 0) | 1 << len(network.layers)
    stored: list[StoredTensor] = []
    sizes = buffer_bytes(network, coded)
    for i, layer in enumerate(network.layers):
        if layer.name not in sizes:
            continue
        # An input is in main memory already and is not loaded first; an output goes there in any case.
        extra = -1 if isinstance(layer, Input) else 0 if layer.name in network.results else 1
        stored.append(StoredTensor(i, sizes[layer.name], users.get(i, 0) | 1 << i, max(1, loads.get(i, 0) + extra)))
    return tuple(stored)


@once
def ended_before(network: Network, layer_order: str) -> tuple[int, ...]:
    """Return for each layer those that have certainly ended when it starts, as bits."""
    if layer_order == "sequential":
        return tuple((1 << i) - 1 for i in range(len(network.layers)))
    place = {layer.name: i for i, layer in enumerate(network.layers)}
    before: list[int] = []
    for layer in network.layers:
        bits = 0
        for name in layer.inputs:
            bits |= before[place[name]] | 1 << place[name]
        before.append(bits)
    return tuple(before)


def estimated_s(
    network: Network, coded: CodedTensors, chip: Chip, mapping: Mapping, resident: bool
) -> tuple[float, ...]:
    """Estimate how long each layer lasts, in s, before there is a schedule.

    A matrix layer: windows x window time on one copy or, where that is longer, its share of the time in which all groups are
    written once, or of the memory's bandwidth; a vector layer its time on the vector unit; inputs and embeddings the time
    of their bytes on the memory. Only weights for the choice of banks follow from it, no time of any report.
    """
    seconds: list[float] = []
    for i, layer in enumerate(network.layers):
        mapped = mapping.by_index.get(i)
        if mapped is not None:
            written = 0.0
            if not resident and mapped is mapping.users[mapped.run][0]:
                size = write_bytes(mapped.blocks, (0, mapped.count), chip)
                rounds = mapped.count / chip.groups
                written = max(rounds * chip.array_write_time_s, size / chip.memory.bandwidth)
            seconds.append(max(mapped.windows * mapped.window_s, written) + vector_seconds(layer, network, chip))
        else:
            fetched = {Input: transfer_bytes(layer, network, coded), Embedding: layer.size}.get(type(layer), 0)
            seconds.append(fetched / chip.memory.bandwidth + vector_seconds(layer, network, chip))
    return tuple(seconds)


def _estimated_holds(
    network: Network, stored: Sequence[StoredTensor], layer_order: str, seconds: Sequence[float]
) -> tuple[float, ...]:
    """Estimate how long each tensor is held if each layer starts as soon as the order allows."""
    place = {layer.name: i for i, layer in enumerate(network.layers)}
    ends: list[float] = []
    for i, layer in enumerate(network.layers):
        waits = range(i)[-1:] if layer_order == "sequential" else [place[name] for name in layer.inputs]
        ends.append(max((ends[other] for other in waits), default=0.0) + seconds[i])
    ends.append(max(ends))
    return tuple(
        max(ends[user] for user in set_bits(tensor.users)) - (ends[tensor.layer] - seconds[tensor.layer])
        for tensor in stored
    )


def _after_in_sequence(stored: Sequence[StoredTensor]) -> tuple[int, ...]:
    """Return for each tensor those whose last user comes before its maker, as bits, where layers run one after another."""
    by_end = sorted(range(len(stored)), key=lambda j: stored[j].users.bit_length())
    after, ended, passed = [], 0, 0
    for tensor in stored:
        while passed < len(by_end) and stored[by_end[passed]].users.bit_length() <= tensor.layer:
            ended |= 1 << by_end[passed]
            passed += 1
        after.append(ended)
    return tuple(after)


@once
def _after(network: Network, stored: tuple[StoredTensor, ...], layer_order: str) -> tuple[int, ...]:
    """Return for each tensor those that are done with when it is begun, as bits."""
    if layer_order == "sequential":
        return _after_in_sequence(stored)
    before, users = ended_before(network, layer_order), [tensor.users for tensor in stored]
    after = []
    for i, tensor in enumerate(stored):
        running = ~before[tensor.layer]
        after.append(sum(1 << j for j in range(i) if not users[j] & running))
    return tuple(after)


def _problem(network: Network, stored: Sequence[StoredTensor], chip: Chip, tensors: Sequence[Tensor]) -> BankProblem:
    """State which banks are to be chosen for these stored tensors."""
    return BankProblem(
        tuple(tensors),
        _after(network, tuple(stored), chip.spec.layer_order),
        chip.buffer.banks,
        chip.costs.bank_leakage_w,
        chip.costs.bank_read_j,
        chip.costs.bank_write_j,
    )


def _uses(
    network: Network, stored: Sequence[StoredTensor], problem: BankProblem, choice: Choice
) -> tuple[BufferUse, ...]:
    last = len(network.layers) - 1
    return tuple(
        BufferUse(tensor.layer, tensor.size, chosen, spilled, min(tensor.users.bit_length() - 1, last))
        for tensor, chosen, spilled in zip(stored, choice, problem.spilled(choice), strict=True)
    )


def place_tensors(
    network: Network, coded: CodedTensors, chip: Chip, seconds: Sequence[float] | None = None
) -> tuple[BufferUse, ...]:
    """Give each stored tensor banks from the layer that makes it to the last that reads it, both included.

    Greedily, tensor by tensor; or, given the time in s that each layer is estimated to last, so that as little as possible
    crosses the memory for want of room and the banks leak little; what they are accessed is not known yet. On a chip of
    data-flow order a bank is only taken over by a layer that depends on all readers of the tensor before.
    """
    stored = stored_tensors(network, coded)
    durations = [0.0] * len(stored)
    if seconds is not None:
        durations = list(_estimated_holds(network, stored, chip.spec.layer_order, seconds))
    tensors = [Tensor(tensor.size, lasts, tensor.moves) for tensor, lasts in zip(stored, durations, strict=True)]
    problem = _problem(network, stored, chip, tensors)
    choice = greedy_banks(problem)
    if seconds is not None and problem.cost(choice)[0]:
        choice = select_banks(problem, choice)
    return _uses(network, stored, problem, choice)


def fewest_banks(network: Network, coded: CodedTensors, chip: Chip, least: int) -> int:
    """Return the fewest tile buffers, but `least`, in which no stored tensor lacks room where banks are chosen greedily."""
    stored = stored_tensors(network, coded)
    whole = all(0 < tensor.size < chip.tile.buffer_bytes for tensor in stored)
    if whole and least >= len(stored):
        return least
    problem = _problem(network, stored, chip, [Tensor(tensor.size, 0.0, tensor.moves) for tensor in stored])

    def enough(count: int) -> bool:
        free = (0.0,) * count
        banks = (chip.tile.buffer_bytes,) * count
        alike = replace(problem, banks=banks, watts=free, read_j=free, write_j=free)
        return not any(alike.spilled(greedy_banks(alike)))

    if whole:
        # Each takes the first tile that is free, however many there are.
        every = replace(problem, banks=(chip.tile.buffer_bytes,) * max(len(stored), 1))
        return max([least, *(number + 1 for banks in greedy_banks(every) for number in banks)])
    most = least
    while not enough(most):
        most *= 2
    counts = range(max(least, most // 2), most)
    return counts.start + bisect_left(counts, True, key=enough)


def bank_problem(program: Program) -> BankProblem:
    """State which banks are to be chosen for a program's tensors, in the order of its buffers.

    Of each tensor the bytes that have room, for as long as the machine measures, accessed as often as it counts.
    """
    old = {use.layer: use for use in program.buffers}
    durations = held_s(program, time_program(program))
    bytes_of: dict[tuple[int, str], float] = defaultdict(float)
    for access, size in count_accesses(program, program.setup, len(program.instructions)).items():
        bytes_of[access.tensor, access.event] += size
    stored = _stored(program)
    tensors = [
        Tensor(
            tensor.size - old[tensor.layer].spilled,
            durations[tensor.layer],
            tensor.moves,
            bytes_of[tensor.layer, READ],
            bytes_of[tensor.layer, WRITE],
        )
        for tensor in stored
    ]
    return _problem(program.network, stored, program.chip, tensors)


def settle_banks(program: Program) -> tuple[BufferUse, ...]:
    """Return the places of a program's tensors with banks chosen anew, by what the machine measures.

    What has room keeps it, so that the program's times stay what they are; the banks cost no more energy than before.
    """
    chip = program.chip
    alike = len({*zip(chip.costs.bank_read_j, chip.costs.bank_write_j, strict=True)}) == 1
    if (alike and not any(chip.costs.bank_leakage_w)) or (chip.write_latency == "actual" and program.quantised is None):
        # There is nothing to gain, or no time to go by: the machine does not time shapes alone on such a chip.
        return program.buffers
    old = {use.layer: use for use in program.buffers}
    stored = _stored(program)
    problem = bank_problem(program)
    choice = select_banks(problem, tuple(old[tensor.layer].banks for tensor in stored))
    return tuple(
        BufferUse(use.layer, tensor.size, use.banks, old[use.layer].spilled, use.last)
        for tensor, use in zip(stored, _uses(program.network, stored, problem, choice), strict=True)
    )


def _stored(program: Program) -> tuple[StoredTensor, ...]:
    placed = frozenset(program.network.layers[use.layer].name for use in program.buffers)
    return stored_tensors(program.network, CodedTensors(placed, program.coded.fewer))


@choice("banks", "ilp", papers=("aras",))
class Programmed(Banks):
    """Banks by ARAS's integer program, by estimates first and then by the times of the finished program (section V-A)."""

    def placed(self, task: Task) -> tuple[BufferUse, ...]:
        """Return where each tensor lives by estimates of times."""
        seconds = estimated_s(task.network, task.coded, task.chip, task.mapping, task.resident)
        return place_tensors(task.network, task.coded, task.chip, seconds)

    def after(self, program: Program, subject: Sampled) -> Program:
        """Choose again, by the times of the program."""
        return program.with_buffers(settle_banks(program))


@choice("banks", "greedy")
class Greedy(Banks):
    """Banks tensor by tensor, the smallest first that holds it."""

    def placed(self, task: Task) -> tuple[BufferUse, ...]:
        """Return where each tensor lives."""
        return place_tensors(task.network, task.coded, task.chip)

    def idle(self, task: Task) -> Iterator[str]:
        """Say where all banks are alike."""
        if len(set(task.chip.buffer.banks)) == 1 and not any(use.spilled for use in task.buffers):
            yield (
                f"banks 'greedy' change nothing: all banks of chip {task.chip.name} are alike, so that any choice costs the same"
            )
