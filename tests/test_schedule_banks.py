"""Laws of the choice of banks: against exhaustive search, against the greedy choice, and as the machine measures it."""

from __future__ import annotations

from itertools import combinations
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import OptionError
from mho.machine.accesses import NOWHERE, count_accesses
from mho.machine.report import Report
from mho.network.graph import Network
from mho.network.layers import Input
from mho.program import Program, Transfer, violations
from mho.program.work import CodedTensors, sources
from mho.schedule import bank_orders, bank_states
from mho.schedule.bank_states import layer_banks, select_banks
from mho.schedule.banks import BankProblem, Choice, Tensor, greedy_banks
from mho.schedule.buffer import bank_problem, stored_tensors
from tests.bank_oracle import programmed_banks
from tests.strategies import Sketch, chips, networks

few = settings(max_examples=30)
many = settings(max_examples=60)


def in_order(lengths: list[int]) -> tuple[int, ...]:
    """What is given up before each tensor where one is made after another and each lives on for so many more."""
    return tuple(sum(1 << j for j in range(i) if j + lengths[j] < i) for i in range(len(lengths)))


def partial_order(count: int, seed: int) -> tuple[int, ...]:
    """Some partial order."""
    draw = np.random.default_rng(seed)
    density = draw.random()
    after: list[int] = []
    for i in range(count):
        bits = 0
        for j in range(i):
            if draw.random() < density:
                bits |= after[j] | 1 << j
        after.append(bits)
    return tuple(after)


POWERS = [(0.0, 0.0), (0.6, 0.5), (2.0, 1.0)]
"""How the price of a byte read, and of one written, grows with its bank."""


def leaking(
    tensors: tuple[Tensor, ...], after: tuple[int, ...], banks: tuple[int, ...], watts: list[float]
) -> BankProblem:
    """A problem in which accesses cost nothing."""
    free = (0.0,) * len(banks)
    return BankProblem(tensors, after, banks, tuple(watts), free, free)


@st.composite
def problems(draw: st.DrawFn, tensors: int, banks: int, branches: bool = True) -> BankProblem:
    """Tensors of up to about all the room there is; banks some of which are alike; sequential lives or a partial order."""
    count = draw(st.integers(1, tensors))
    sizes = draw(st.lists(st.sampled_from([1, 2, 3, 5, 64, 100]), min_size=1, max_size=banks))
    price = draw(st.sampled_from([0.0, 0.5, 1.0, 2.0]))
    held = st.sampled_from([0.0, 0.25, 1.0, 3.0, 10.0])
    times = st.integers(0, 3)

    def tensor() -> Tensor:
        size = draw(st.integers(1, 2 * max(sizes)))
        return Tensor(size, draw(held), draw(st.integers(1, 3)), size * draw(times), size * draw(times))

    made = [tensor() for _ in range(count)]
    after = (
        in_order(draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
        if not branches or draw(st.booleans())
        else partial_order(count, draw(st.integers(0, 2**16)))
    )
    leaks, *bytes_j = (
        tuple(float(size) ** power for size in sizes) for power in (price, *draw(st.sampled_from(POWERS)))
    )
    return BankProblem(tuple(made), after, tuple(sizes), leaks, *bytes_j)


def legal(problem: BankProblem, choice: Choice) -> bool:
    """Whether nobody holds a bank twice, and nobody takes one over that is still held."""
    return all(len(set(chosen)) == len(chosen) for chosen in choice) and all(
        problem.may_follow(new, old) or not set(choice[new]) & set(choice[old])
        for old, new in combinations(range(len(choice)), 2)
    )


def best_of_all(problem: BankProblem) -> tuple[int, float]:
    """The least cost, by trying all subsets of banks for all tensors."""
    numbers = range(len(problem.banks))
    subsets = [chosen for count in range(len(problem.banks) + 1) for chosen in combinations(numbers, count)]
    best = (10**9, 0.0)

    def extend(choice: Choice) -> None:
        nonlocal best
        new = len(choice)
        if new == len(problem.tensors):
            best = min(best, problem.cost(choice))
            return
        held = {n for old in range(new) if not problem.may_follow(new, old) for n in choice[old]}
        for chosen in subsets:
            if not held & set(chosen):
                extend((*choice, chosen))

    extend(())
    return best


@many
@given(problems(3, 4))
def test_no_choice_of_all_is_better(problem: BankProblem) -> None:
    choice = select_banks(problem)
    assert legal(problem, choice)
    moved, joules = best_of_all(problem)
    found = problem.cost(choice)
    assert found[0] == moved
    assert found[1] == pytest.approx(joules, rel=1e-9)


@many
@given(problems(12, 5, branches=False) | problems(6, 5), st.integers(1, 12))
def test_integer_programs_choose_no_better(problem: BankProblem, horizon: int) -> None:
    programmed = programmed_banks(problem, horizon)
    choice = select_banks(problem, widths=(100, 10_000))
    assert legal(problem, programmed)
    assert legal(problem, choice)
    moved, joules = problem.cost(choice)
    assert (moved, joules * (1 - 1e-9)) <= problem.cost(programmed)


@many
@given(problems(10, 5))
def test_what_is_proven_is_what_no_width_improves(problem: BankProblem) -> None:
    start = greedy_banks(problem)
    beside = bank_orders.living_at_once(problem)
    assert beside is not None
    search = bank_states._Search(problem, beside, *problem.cost(start))
    value = search.start
    for width in (1, 4, 16, 10**6):
        _, better, proven = search.run(width, value)
        assert better <= value
        if width == 10**6:
            assert proven
        elif proven:
            assert search.run(10**6, better)[0] is None
        value = better


@few
@given(problems(12, 6), st.sampled_from([(1,), (3,), (1, 2)]))
def test_however_few_states_go_on_the_result_is_legal_and_never_worse_than_greedy(
    problem: BankProblem, widths: tuple[int, ...]
) -> None:
    choice = select_banks(problem, widths=widths)
    assert legal(problem, choice)
    assert problem.cost(choice) <= problem.cost(greedy_banks(problem))


@few
@given(
    problems(12, 6), st.sampled_from([(bank_states, "BUNDLES", 4), (bank_states, "CELLS", 8), (bank_orders, "SETS", 0)])
)
def test_at_a_limit_the_result_is_legal_and_never_worse_than_greedy(
    problem: BankProblem, limit: tuple[ModuleType, str, int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*limit)
        choice = select_banks(problem)
    assert legal(problem, choice)
    assert problem.cost(choice) <= problem.cost(greedy_banks(problem))


@few
@given(problems(12, 6))
def test_the_result_is_never_worse_than_what_it_starts_from(problem: BankProblem) -> None:
    good = select_banks(problem)
    assert select_banks(problem, good) == good
    (moved, joules), (bytes_good, joules_good) = (
        problem.cost(each) for each in (select_banks(problem, ((),) * len(problem.tensors)), good)
    )
    assert moved == bytes_good
    assert joules == pytest.approx(joules_good)


@few
@given(st.lists(st.integers(1, 400), min_size=1, max_size=8), st.integers(1, 100))
def test_of_equal_banks_each_tensor_gets_the_fewest(sizes: list[int], bank: int) -> None:
    fewest = [-(-size // bank) for size in sizes]
    count = max(first + second for first, second in zip(fewest, [*fewest[1:], 0], strict=True))
    made = tuple(Tensor(size, 1.0) for size in sizes)
    problem = leaking(made, in_order([1] * len(sizes)), (bank,) * count, [1.0] * count)
    choice = select_banks(problem)
    assert [len(chosen) for chosen in choice] == fewest
    assert sum(problem.spilled(choice)) == 0


@few
@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.lists(st.sampled_from([1, 2, 4, 64, 128]), min_size=1, max_size=5),
    st.booleans(),
)
def test_a_layer_gets_the_banks_of_equations_1_and_2(memory: tuple[int, int], sizes: list[int], known: bool) -> None:
    watts = [size**0.9 for size in sizes]
    given_banks = choose_first(memory[0], sizes) if known else None
    inputs, outputs = layer_banks(memory, sizes, watts, given_banks)
    assert not set(inputs) & set(outputs)
    every = [set(chosen) for count in range(len(sizes) + 1) for chosen in combinations(range(len(sizes)), count)]
    pairs = [
        (first, second)
        for first in every
        for second in every
        if not first & second
        and (given_banks is None or first == set(given_banks))
        and (given_banks is not None or sum(sizes[n] for n in first) >= memory[0])
        and sum(sizes[n] for n in second) >= memory[1]
    ]
    if pairs:
        least = min(sum(watts[n] for n in first | second) for first, second in pairs)
        assert sum(sizes[n] for n in outputs) >= memory[1]
        assert sum(watts[n] for n in {*inputs, *outputs}) == pytest.approx(least)
    elif given_banks is not None:
        assert sum(sizes[n] for n in outputs) == sum(sizes) - sum(sizes[n] for n in inputs)


def choose_first(size: int, sizes: list[int]) -> tuple[int, ...]:
    """The first banks that hold `size` bytes, or all but one."""
    chosen: list[int] = []
    while sum(sizes[n] for n in chosen) < size and len(chosen) < len(sizes) - 1:
        chosen.append(len(chosen))
    return tuple(chosen)


def test_the_work_grows_with_the_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """States times bundles looked at, for more and more blocks of a network."""
    cells: list[int] = []
    totals = bank_states._Search._totals

    def counted(self: bank_states._Search, *given: np.ndarray) -> np.ndarray:
        cells.append(len(given[1]) * len(given[2]))
        return totals(self, *given)

    monkeypatch.setattr(bank_states._Search, "_totals", counted)
    block = [Tensor(300, 1.0, 1, 600, 300), Tensor(200, 2.0, 1, 900, 200), Tensor(200, 1.0, 1, 200, 200)]
    banks = (1, 1, 2, 4, 64, 128, 256, 512)
    watts, read_j, write_j = (
        tuple(scale * size**power for size in banks) for scale, power in ((1, 0.9), (1e-3, 0.6), (1e-3, 0.5))
    )
    work = []
    for blocks in (100, 200, 400):
        cells.clear()
        problem = BankProblem(tuple(block * blocks), in_order([1, 1, 0] * blocks), banks, watts, read_j, write_j)
        assert problem.cost(select_banks(problem)) < problem.cost(greedy_banks(problem))
        work.append(sum(cells))
    assert np.log2(work[1] / work[0]) <= 1.1
    assert np.log2(work[2] / work[1]) <= 1.1


def compiled(network: Network, chip: Chip, **options: str) -> Program:
    return mho.compile(mho.number.quantise(network), chip, mho.Strategy().with_({"schedule": "overlap", **options}))


def static_j(report: Report) -> float:
    """Leakage of the global buffer's banks."""
    entries = report.account.entries
    return sum(each.joules for each in entries if (each.component, each.kind) == ("global_buffer", "static"))


def buffer_j(report: Report) -> float:
    """Leakage of the global buffer's banks, and what passes through them."""
    return sum(each.joules for each in report.account.entries if each.component == "global_buffer")


def moved(program: Program) -> int:
    """What the memory moves in all but level changes, in bytes."""
    return sum(each.size for each in program.instructions if isinstance(each, Transfer))


@few
@given(networks, chips(), st.sampled_from(["naive", "overlap"]))
def test_programs_are_legal_and_their_buffers_cost_no_more_than_greedy_ones(
    network: Network, chip: Chip, schedule: str
) -> None:
    greedy, chosen = (compiled(network, chip, schedule=schedule, banks=name) for name in ("greedy", "ilp"))
    assert violations(chosen) == ()
    if [use.spilled for use in greedy.buffers] == [use.spilled for use in chosen.buffers]:
        assert chosen.instructions == greedy.instructions
        assert buffer_j(mho.simulate(chosen)) <= buffer_j(mho.simulate(greedy)) * (1 + 1e-9)
    if not any(use.spilled for use in greedy.buffers):
        assert not any(use.spilled for use in chosen.buffers)


@few
@given(networks, chips())
def test_what_has_no_room_crosses_the_memory_as_often_as_counted(network: Network, chip: Chip) -> None:
    """What the transfers of a program move more than on a chip with room for everything is what was minimised.

    But for inputs with one reader, which cross the memory once in any case: counted once, so that room is used.
    """
    ample = moved(compiled(network, chip.override({"buffer.banks": [2**18] * 60}, source="law"), banks="greedy"))
    counted: list[int] = []
    for name in ("greedy", "ilp"):
        program = compiled(network, chip, banks=name)
        coded = CodedTensors(frozenset(network.layers[use.layer].name for use in program.buffers))
        spills = [
            (tensor, use.spilled) for tensor, use in zip(stored_tensors(network, coded), program.buffers, strict=True)
        ]
        counted.append(sum(tensor.moves * spilled for tensor, spilled in spills))
        once = sum(spilled for tensor, spilled in spills if read_once(network, tensor.layer))
        assert moved(program) == ample + counted[-1] - once
    assert counted[1] <= counted[0]


def read_once(network: Network, place: int) -> bool:
    """Whether a layer is an input that one layer reads, itself or through views."""
    if not isinstance(network.layers[place], Input):
        return False
    source = sources(network)
    readers = [
        layer
        for layer in network.layers
        if not layer.moves_only and any(source[name] == place for name in layer.inputs)
    ]
    return len(readers) == 1


def test_room_is_kept_for_what_comes_later() -> None:
    """The third tensor takes over from the first, and needs the larger bank; greedily, the first took the smaller one."""
    made = (Tensor(100, 1.0), Tensor(128, 1.0), Tensor(200, 1.0))
    problem = leaking(made, in_order([1, 1, 0]), (128, 200), [1.0, 1.5])
    assert greedy_banks(problem) == ((0,), (1,), (0,))
    assert problem.cost(greedy_banks(problem))[0] == 72
    assert select_banks(problem) == ((1,), (0,), (1,))
    assert problem.cost(select_banks(problem)) == (0, 4.0)


def test_a_tensor_that_is_read_often_lies_where_a_byte_is_cheap() -> None:
    """Two small banks leak 10 J more than the large one; each reading of the tensor costs 0.5 J less there."""
    for reads, banks in ((19, (2,)), (21, (0, 1))):
        made = (Tensor(100, 10.0, 1, 100.0 * reads, 100.0),)
        prices = ((50, 50, 100), (2.0, 2.0, 3.0), (1e-3, 1e-3, 6e-3), (2e-3, 2e-3, 2e-3))
        problem = BankProblem(made, (0,), *prices)
        assert select_banks(problem) == (banks,)
        assert select_banks(problem, ((0, 1),)) == (banks,)


@few
@given(networks, chips(), st.sampled_from(["greedy", "ilp"]))
def test_what_is_minimised_is_what_the_account_books(network: Network, chip: Chip, banks: str) -> None:
    program = compiled(network, chip, banks=banks)
    problem = bank_problem(program)
    choice = tuple(use.banks for use in program.buffers)
    assert not any(problem.spilled(choice))
    accesses = count_accesses(program, program.setup, len(program.instructions)).items()
    elsewhere = sum(size * chip.energy_per_event[each.event] for each, size in accesses if each.tensor == NOWHERE)
    assert buffer_j(mho.simulate(program)) == pytest.approx(problem.cost(choice)[1] + elsewhere, rel=1e-9)


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "bert-base"])
def test_integer_programs_choose_no_better_for_networks_of_the_zoo(name: str) -> None:
    program = mho.compile(mho.zoo.load(name), "aras", "overlap")
    problem = bank_problem(program)
    programmed = problem.cost(programmed_banks(problem))
    assert problem.cost(tuple(use.banks for use in program.buffers)) <= (programmed[0], programmed[1] * (1 + 1e-12))


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "resnet18", "mobilenet_v2", "bert-base", "gpt2"])
def test_unequal_banks_save_energy(name: str) -> None:
    """ARAS section VII-C: bank selection lowers total energy; chosen well, since greedily it does not on resnet50."""
    network = mho.zoo.load(name)
    equal, greedy, chosen = (
        mho.simulate(mho.compile(network, chip, mho.Strategy().with_(schedule="overlap", banks=banks)))
        for chip, banks in (("aras-baseline", "ilp"), ("aras", "greedy"), ("aras", "ilp"))
    )
    assert static_j(chosen) < static_j(equal)
    assert buffer_j(chosen) <= buffer_j(greedy) * (1 + 1e-9)
    assert chosen.account.total() < equal.account.total()
    assert (greedy.account.total() > equal.account.total()) == (name == "resnet50")


def test_banks_are_recorded_repeatable_and_refused_where_unknown() -> None:
    sketch = Sketch(0, (1, 4, 8, 8))
    here = sketch.layers[0]
    for channels in (6, 3, 9):
        here = sketch.convolution(here, channels, 3, 1, 1, 1, 1)
    network, chip = sketch.network(), Chip.load("aras").override({"buffer.banks": [64, 128, 256, 512]}, source="law")
    programs = [compiled(network, chip) for _ in range(2)]
    assert programs[0].buffers == programs[1].buffers
    assert programs[0].strategy.banks.name == "ilp"
    assert compiled(network, chip, banks="greedy").strategy.banks.name == "greedy"
    with pytest.raises(OptionError, match="greedy"):
        compiled(network, chip, banks="greedily")
