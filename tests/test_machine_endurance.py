"""How long cells live, and what taking turns does to them, against a chip whose every cell is followed through it all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.resources import files
from math import inf
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import OptionError, ProgramError
from mho.machine import account, endurance, rotate, time_program, wear
from mho.machine.endurance import SECONDS_PER_YEAR, CellWrites, addressed_writes
from mho.network.graph import Network
from mho.program import Activate, Program, Write, violations
from mho.program.instructions import Groups, members
from tests.coded_cells import block_cells
from tests.command_line import Shell
from tests.hand_sized import bell_codes, entry, hand_chip, hand_program, linear, network, with_codes
from tests.strategies import ALONE, GREEDY, chips, networks

some = settings(max_examples=20)
schedules = st.sampled_from(ALONE)
residencies = st.sampled_from(["auto", "never"])
SCHEMA = json.loads((files("mho.report") / "report.schema.json").read_text(encoding="utf-8"))


class Silicon:
    """Every cell of a chip on its own, (groups, rows, cells of a row), with the writes it has taken, in both ways of counting."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.cells = chip.cells_per_weight
        self.level = np.zeros((chip.groups, chip.array.rows, chip.group_columns * self.cells), dtype=np.int64)
        self.changed = np.zeros_like(self.level)
        self.addressed = np.zeros_like(self.level)

    def run(self, program: Program, *, setup: bool = False) -> None:
        """Carry out the writes of a program's inference, or of its setup."""
        chosen = program.instructions[: program.setup] if setup else program.instructions[program.setup :]
        assert program.quantised is not None
        for each in chosen:
            if not isinstance(each, Write):
                continue
            layer = program.mapping.by_index[each.layer]
            codes = program.quantised.matrices[layer.name].codes
            for which, group in enumerate(members(each.groups)):
                block = layer.blocks.block(layer.within(each.blocks)[0] + which)
                want = block_cells(self.chip, codes, block)
                rows = each.rows[which] if each.rows else ()
                columns = each.columns[which] if each.columns else ()
                for cell in range(self.cells):
                    digit = want[..., cell]
                    down = np.array(rows or range(block.height))[:, None]
                    across = np.array(columns or range(block.width))[None, :] * self.cells + cell
                    self.changed[group, down, across] += self.level[group, down, across] != digit
                    self.addressed[group, down, across] += 1
                    self.level[group, down, across] = digit

    def forget(self) -> None:
        """Count from here."""
        self.changed[...] = self.addressed[...] = 0


def steady(program: Program) -> Silicon:
    """The writes of one inference in steady state."""
    chip = Silicon(program.chip)
    chip.run(program, setup=True)
    chip.run(program)
    chip.forget()
    chip.run(program)
    return chip


def cycle(program: Program, times: int) -> Silicon:
    """The writes of a whole cycle: the program and all its rotations in turn, each so many times, from blank cells."""
    chip = Silicon(program.chip)
    for by in range(program.chip.groups):
        turned = rotate(program, by)
        chip.run(turned, setup=True)
        for _ in range(times):
            chip.run(turned)
    return chip


def compiled(net: Network, chip: Chip, schedule: str = "overlap", residency: str = "never") -> Program:
    return mho.compile(mho.number.quantise(net), chip, GREEDY.with_(schedule=schedule, residency=residency))


@some
@given(networks, chips(), schedules, residencies, st.integers(1, 3))
def test_a_cell_that_takes_turns_sees_the_mean_of_its_place_over_all_groups(
    net: Network, chip: Chip, schedule: str, residency: str, times: int
) -> None:
    program = compiled(net, chip, schedule, residency)
    one, whole = steady(program), cycle(program, times)
    turns = chip.groups
    # One change more or less a cell and rotation, no more; setups are a rotation's one change of their groups.
    assert np.abs(whole.changed - times * one.changed.sum(axis=0)).max() <= turns
    per_inference = whole.changed.max() / (turns * times)
    claimed = wear(program).per_cell_levelled
    assert claimed == pytest.approx(one.changed.sum(axis=0).max() / turns)
    assert addressed_writes(program).most == one.addressed.max()
    assert abs(per_inference - claimed) <= 1 / times + 1e-9
    if not program.setup:
        # Addressed writes do not depend on what is held.
        assert (whole.addressed == times * one.addressed.sum(axis=0)).all()
        assert whole.addressed.max() / (turns * times) == pytest.approx(addressed_writes(program).levelled)


@some
@given(networks, chips(), schedules, residencies, st.integers(-40, 40))
def test_a_rotated_program_wears_the_same_cells_of_other_groups(
    net: Network, chip: Chip, schedule: str, residency: str, by: int
) -> None:
    program = compiled(net, chip, schedule, residency)
    turned = rotate(program, by)
    before, after = steady(program), steady(turned)
    assert (np.roll(before.changed, by, axis=0) == after.changed).all()
    assert (np.roll(before.addressed, by, axis=0) == after.addressed).all()
    was, now = wear(program), wear(turned)
    assert was.counts == now.counts
    assert (was.per_cell_mean, was.per_cell_max, was.per_cell_levelled) == (
        now.per_cell_mean,
        now.per_cell_max,
        now.per_cell_levelled,
    )
    assert addressed_writes(program) == addressed_writes(turned)


@some
@given(networks, chips(), schedules, residencies, st.integers(-40, 40), st.integers(0, 2**16))
def test_a_rotated_program_computes_the_same_in_the_same_time_and_with_the_same_energy(
    net: Network, chip: Chip, schedule: str, residency: str, by: int, seed: int
) -> None:
    inputs = tuple(each for each in net.layers if each.kind == "input")
    generator = np.random.default_rng(seed)
    rows = min((each.table.shape[0] for each in net.layers if hasattr(each, "table")), default=2)
    values = tuple(
        generator.integers(0, rows, each.shape)
        if getattr(each, "integers", False)
        else generator.standard_normal(each.shape)
        for each in inputs
    )
    samples = values if len(values) > 1 else values[0]
    program = mho.compile(mho.number.quantise(net, samples), chip, GREEDY.with_(schedule=schedule, residency=residency))
    turned = rotate(program, by)
    assert violations(turned) == ()
    assert mho.verify(turned, samples).ok
    first, second = time_program(program), time_program(turned)
    assert (first.starts == second.starts).all() and (first.ends == second.ends).all()
    assert account(program, first, wear(program)).entries == account(turned, second, wear(turned)).entries


@some
@given(networks, chips(), st.integers(-40, 40), st.integers(-40, 40))
def test_rotations_add_up(net: Network, chip: Chip, a: int, b: int) -> None:
    program = compiled(net, chip)
    assert rotate(rotate(program, a), b).instructions == rotate(program, a + b).instructions
    assert rotate(program, chip.groups).instructions == rotate(program, 0).instructions
    for was, now in zip(program.instructions, rotate(program, a).instructions, strict=True):
        if isinstance(was, Write | Activate):
            assert isinstance(now, Write | Activate)
            assert [(group + a) % chip.groups for group in members(was.groups)] == list(members(now.groups))


@pytest.mark.parametrize(
    ("groups", "by", "moved"),
    [
        (((0, 4),), 1, ((1, 4), (0, 1))),
        (((1, 3),), 1, ((2, 4),)),
        (((1, 3),), 2, ((3, 4), (0, 1))),
        (((1, 3),), 3, ((0, 2),)),
        (((3, 4), (0, 2)), 1, ((0, 3),)),
        (((2, 3), (0, 1)), -1, ((1, 2), (3, 4))),
        (((2, 3),), 4, ((2, 3),)),
    ],
)
def test_a_range_that_passes_the_last_group_goes_on_at_the_first(groups: Groups, by: int, moved: Groups) -> None:
    net = network(entry(1, 1), linear("a", "x", 1, 1, 1))
    program = hand_program(hand_chip(), net, Write(1, (0, 1), 0, groups, ()))
    write = rotate(program, by).instructions[0]
    assert isinstance(write, Write) and write.groups == moved


@pytest.mark.parametrize("by", [0.5, "1", None, 1.0])
def test_a_rotation_is_a_whole_number_of_places(by: Any) -> None:
    net = network(entry(1, 1), linear("a", "x", 1, 1, 1))
    with pytest.raises(OptionError, match="whole number of places"):
        rotate(hand_program(hand_chip(), net), by)


def test_groups_that_do_not_exist_are_not_rotated_into_existence() -> None:
    net = network(entry(1, 1), linear("a", "x", 1, 1, 1))
    with pytest.raises(ProgramError, match="do not exist on a chip of 4"):
        rotate(hand_program(hand_chip(), net, Write(1, (0, 5), 0, ((0, 5),), ())), 1)


def test_a_rotated_program_is_kept_like_any_other(tmp_path: Path) -> None:
    program = rotate(
        mho.compile(mho.zoo.load("resnet20"), Chip.load("aras").override({"tiles": 4}, source="test"), GREEDY), 5
    )
    program.save(tmp_path / "turned.mho")
    assert mho.Program.load(tmp_path / "turned.mho").instructions == program.instructions


@cache
def pair() -> Program:
    """Two blocks, one of codes 0 and one of codes 255, each written over itself in every inference, on two groups."""
    net = network(entry(1, 2), linear("a", "x", 1, 2, 4))
    sizes = {"array__rows": 2, "array__columns": 8, "group__arrays": 1, "tile__groups": 1, "tiles": 2}
    return mho.compile(
        with_codes(net, {"a": [[0, 0, 255, 255]] * 2}), hand_chip(**sizes), GREEDY.with_(residency="never")
    )


def test_rotating_costs_a_cell_up_to_one_change_a_rotation_and_the_bound_is_met() -> None:
    program = pair()
    worn = wear(program)
    assert (worn.per_cell_max, worn.per_cell_levelled) == (0, 0)
    # Turn by turn all cells swing between 0 and 255: in each of the two rotations every cell changes once.
    chip = Silicon(program.chip)
    for turn in range(5):
        if turn == 1:
            chip.forget()
        chip.run(rotate(program, turn))
    assert (chip.changed == 4).all()
    assert addressed_writes(program) == CellWrites(1, 1, 1)
    report = mho.simulate(program, endurance=1e6)
    assert report.to_dict()["endurance"]["changed"] == dict.fromkeys(
        ("years_mean", "years_worst", "years_levelled", "levelling_gain")
    )


def test_taking_turns_spares_a_group_that_is_written_more_often_than_others() -> None:
    # Naive: one layer after another on the lowest groups; four layers of one block all go to group 0 of 4.
    layers = [entry(1, 8), *(linear(f"l{i}", f"l{i - 1}" if i else "x", 1, 8, 4 if i == 3 else 8) for i in range(4))]
    program = mho.compile(
        bell_codes(network(*layers), 1),
        hand_chip(array__columns=16),
        GREEDY.with_(schedule="naive", residency="never"),
    )
    assert {group for each in program.instructions if isinstance(each, Write) for group in members(each.groups)} == {0}
    assert addressed_writes(program) == CellWrites((3 * 64 + 32) / (4 * 8 * 8), 4, 1)
    worn = wear(program)
    assert worn.per_cell_max == 4 * worn.per_cell_levelled
    lived = mho.simulate(program, endurance=1e9, rate=7).to_dict()["endurance"]["changed"]
    assert lived["levelling_gain"] == pytest.approx(4)
    assert lived["years_levelled"] == pytest.approx(4 * lived["years_worst"])


@some
@given(networks, chips(), schedules, residencies)
def test_worst_levelled_and_average_stand_in_this_order_and_bounds_hold(
    net: Network, chip: Chip, schedule: str, residency: str
) -> None:
    program = compiled(net, chip, schedule, residency)
    shapes = replace(program, quantised=None)
    exact, bounds, addressed = wear(program), wear(shapes), addressed_writes(program)
    slack = 1 + 1e-9
    for each in (exact, bounds):
        assert each.per_cell_mean <= each.per_cell_levelled * slack
        assert each.per_cell_levelled <= each.per_cell_max * slack
    assert addressed.mean <= addressed.levelled * slack <= addressed.most * slack**2
    assert bounds.per_cell_levelled >= exact.per_cell_levelled / slack
    assert bounds.per_cell_levelled <= addressed.levelled * slack
    assert addressed_writes(shapes) == addressed
    writes = mho.simulate(program).to_dict()["writes"]
    assert writes["addressed_per_cell_mean"] * chip.cells == pytest.approx(writes["addressed"])
    assert writes["per_cell_mean"] * chip.cells == pytest.approx(writes["cells"])


@some
@given(networks, chips(), st.randoms(use_true_random=False))
def test_addressed_writes_follow_the_orders_of_rows_and_columns(net: Network, chip: Chip, random: Any) -> None:
    program = compiled(net, chip)

    def ordered(each: Any) -> Any:
        if not isinstance(each, Write):
            return each
        layer = program.mapping.by_index[each.layer]

        def orders(sizes: npt.NDArray[np.int64], room: int) -> tuple[tuple[int, ...], ...]:
            return tuple(tuple(random.sample(range(room), int(sizes[i]))) for i in range(*layer.within(each.blocks)))

        return replace(
            each,
            rows=orders(layer.blocks.heights, chip.array.rows) if random.random() < 0.5 else (),
            columns=orders(layer.blocks.widths, chip.group_columns) if random.random() < 0.5 else (),
        )

    moved = replace(program, instructions=tuple(ordered(each) for each in program.instructions))
    counted = steady(moved)
    found = addressed_writes(moved)
    assert found.most == counted.addressed.max()
    assert found.levelled == pytest.approx(counted.addressed.sum(axis=0).max() / chip.groups)
    assert found.mean == addressed_writes(program).mean
    worn = wear(moved)
    assert worn.per_cell_max == counted.changed.max()
    assert worn.per_cell_levelled == pytest.approx(counted.changed.sum(axis=0).max() / chip.groups)


def test_weights_that_stay_wear_no_cell() -> None:
    program = mho.compile(mho.zoo.load("resnet20"), "aras", GREEDY)
    assert program.setup
    assert addressed_writes(program) == CellWrites(0, 0, 0)
    lived = mho.simulate(program, endurance=1e12).to_dict()["endurance"]
    for way in ("changed", "addressed"):
        assert set(lived[way].values()) == {None}


@pytest.fixture(scope="module")
def small() -> Program:
    chip = Chip.load("aras").override({"tiles": 4}, source="a smaller chip, so that layers are written anew")
    return mho.compile(mho.zoo.load("resnet20"), chip, GREEDY.with_(schedule="overlap"))


@given(st.floats(1, 1e15), st.floats(1e-3, 1e6))
@example(1e12, 30.0)
def test_a_cell_has_taken_its_endurance_when_its_lifetime_is_over(cycles: float, rate: float) -> None:
    program = pair()
    found = endurance(program, wear(program), 1e-3, cycles, rate)
    assert found.years(found.addressed.mean) * 365.25 * 24 * 3600 * rate == pytest.approx(cycles)
    assert found.years(3.5) * 3.5 * 31_557_600 * rate == pytest.approx(cycles)
    assert found.years(0.0) == inf
    assert found.attainable == (rate <= 1000 * (1 + 1e-9))


def test_a_program_lives_least_long_as_fast_as_it_runs(small: Program) -> None:
    fastest = mho.simulate(small, endurance=1e12).to_dict()["endurance"]
    assert fastest == mho.simulate(small, endurance=1e12, rate="max").to_dict()["endurance"]
    assert fastest["rate_per_s"] == fastest["reached_per_s"] == 1 / time_program(small).latency_s
    slow = mho.simulate(small, endurance=1e12, rate=fastest["rate_per_s"] / 4).to_dict()["endurance"]
    assert fastest["attainable"] and slow["attainable"]
    for way in ("changed", "addressed"):
        assert slow[way]["years_worst"] == pytest.approx(4 * fastest[way]["years_worst"])
        assert slow[way]["levelling_gain"] == fastest[way]["levelling_gain"]


def test_a_rate_that_the_program_does_not_reach_is_told(small: Program) -> None:
    report = mho.simulate(small, endurance=1e12, rate=1e6)
    assert not report.to_dict()["endurance"]["attainable"]
    assert any("no such rate is possible" in note for note in report.notes())
    assert not any("no such rate" in note for note in mho.simulate(small, endurance=1e12, rate=1).notes())


def test_the_lifetimes_in_the_documentation_are_those_that_come_out() -> None:
    text = (Path(__file__).parent.parent / "docs" / "machine.md").read_text(encoding="utf-8")
    rows: list[list[str]] = [[], []]
    for name, rate in (("vgg16", 30), ("resnet50", 30), ("densenet161", 30), ("bert-base", 100), ("bert-large", 100)):
        program = mho.compile(mho.zoo.load(name), "aras", GREEDY.with_(schedule="overlap"))
        worn, latency = wear(program), time_program(program).latency_s
        slow, fast = endurance(program, worn, latency, 1e11, rate), endurance(program, worn, latency, 1e12)
        for row, found in zip(rows, (slow, fast), strict=True):
            row.append(f"{found.years(found.addressed.most):.1f}" + ("" if found.attainable else " *"))
    for row in rows:
        assert f"| `overlap` | {' | '.join(row)} |" in text


def test_vgg_lives_as_long_as_in_table_4() -> None:
    """ARAS Table IV: 7 years at 30 inferences/s and 1e11 writes; 50 at 43 (section VII-B) and 1e12, by the average cell."""
    program = mho.compile(mho.zoo.load("vgg16"), "aras", GREEDY.with_(schedule="naive"))
    worn, latency = wear(program), time_program(program).latency_s
    for cycles, rate, published in ((1e11, 30, 7), (1e12, 43, 50)):
        found = endurance(program, worn, latency, cycles, rate)
        assert round(found.years(found.addressed.mean)) == published


@pytest.mark.parametrize("cycles", [0, -1.0, inf, float("nan"), "1e12", True, 10**400])
def test_an_endurance_is_a_positive_number(small: Program, cycles: Any) -> None:
    with pytest.raises(OptionError, match=r"the endurance must be a positive number"):
        mho.simulate(small, endurance=cycles)


@pytest.mark.parametrize("rate", [0, -30, inf, float("nan"), "fast", False])
def test_a_rate_is_a_positive_number_or_the_most(small: Program, rate: Any) -> None:
    with pytest.raises(OptionError, match=r"the rate must be a positive number"):
        mho.simulate(small, endurance=1e12, rate=rate)


def test_numbers_beyond_all_lifetimes_and_a_rate_alone_are_refused(small: Program) -> None:
    with pytest.raises(OptionError, match="too long a lifetime"):
        mho.simulate(small, endurance=1e308, rate=1e-300)
    with pytest.raises(OptionError, match="without an endurance it changes nothing"):
        mho.simulate(small, rate="max")


@some
@given(networks, chips(), schedules, residencies, st.booleans(), st.booleans())
def test_every_report_with_lifetimes_fits_the_schema_and_tells_them(
    net: Network, chip: Chip, schedule: str, residency: str, known: bool, fastest: bool
) -> None:
    program = compiled(net, chip, schedule, residency)
    if not known:
        program = replace(program, quantised=None)
    report = mho.simulate(program, endurance=1e10, rate="max" if fastest else 12.5)
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    jsonschema.Draft202012Validator(SCHEMA).validate(content)
    lived, writes = content["endurance"], content["writes"]
    assert lived["exact"] == known
    for way, prefix in (("changed", ""), ("addressed", "addressed_")):
        for years, each in (("mean", "mean"), ("worst", "max"), ("levelled", "levelled")):
            taken, found = writes[f"{prefix}per_cell_{each}"], lived[way][f"years_{years}"]
            if found is None:
                assert taken == 0
            else:
                assert found * taken * lived["rate_per_s"] * SECONDS_PER_YEAR == pytest.approx(1e10)
    assert content == {**mho.simulate(program).to_dict(), "endurance": lived, "notes": content["notes"]}


@pytest.mark.parametrize("width", [80, 120, 200])
def test_terminal_and_page_tell_lifetimes_where_they_were_asked_for(small: Program, width: int) -> None:
    import io

    from rich.console import Console

    from mho.explore import Comparison
    from mho.report.run import years
    from mho.report.views import page as render_html
    from mho.report.views import show

    def shown(draw: Callable[[Console], None]) -> str:
        console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False)
        draw(console)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    asked, plain = mho.simulate(small, endurance=1e12, rate=30), mho.simulate(small)
    lived = asked.to_dict()["endurance"]
    worst = years(lived["addressed"]["years_worst"])
    text, page = shown(lambda console: show(asked, console)), render_html(asked)
    assert "1.00 T writes a cell, 30 inferences/s" in text and "1.00 T writes a cell, 30 inferences/s" in page
    for found in (text, page):
        assert worst in found
        # With shapes alone the worst cell's changes are an upper bound, so its lifetime is a lower one.
        assert f"≥ {years(lived['changed']['years_worst'])}" in found
    table = shown(lambda console: show(Comparison.between(asked, asked), console))
    assert table.count(f"≥ {years(lived['changed']['years_levelled'])}") >= 2
    assert all(len(line) <= width for line in [*text.splitlines(), *table.splitlines()])
    assert table.splitlines()[0].startswith("resnet20 on aras*")
    for found in (
        shown(lambda console: show(plain, console)),
        shown(lambda console: show(Comparison.between(plain), console)),
    ):
        assert "years" not in found and "Endurance" not in found
    assert "Endurance" not in render_html(plain)


def test_the_command_line_reports_lifetimes(shell: Shell) -> None:
    words = ("resnet20", "--set", "tiles=4", "--endurance", "1e12", "--rate", "30", "--json", "-")
    content = shell("run", *words).json()
    assert (content["endurance"]["cycles"], content["endurance"]["rate_per_s"]) == (1e12, 30)
    reports = shell("compare", *words).json()["reports"]
    assert [each["endurance"]["rate_per_s"] for each in reports] == [30] * 4
    fastest = shell("run", *words[:5], "--rate", "max", "--json", "-").json()["endurance"]
    assert fastest["rate_per_s"] == fastest["reached_per_s"]
    resident = shell("run", "resnet20", "--endurance", "1e12")
    assert resident.code == 0 and "no limit" in resident.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--endurance", "0"), "must be a positive number from 1e-12 to 1e+18, not '0'"),
        (("--endurance", "nan"), "must be a positive number from 1e-12 to 1e+18, not 'nan'"),
        (("--endurance", "inf"), "must be a positive number from 1e-12 to 1e+18, not 'inf'"),
        (("--endurance", "long"), "must be a positive number from 1e-12 to 1e+18, not 'long'"),
        (("--endurance", "1e12", "--rate", "-3"), "must be a positive number from 1e-12 to 1e+18, or max, not '-3'"),
        (
            ("--endurance", "1e12", "--rate", "most"),
            "must be a positive number from 1e-12 to 1e+18, or max, not 'most'",
        ),
        (("--rate", "30"), "--rate is for --endurance"),
    ],
)
@pytest.mark.parametrize("command", ["run", "compare"])
def test_the_command_line_refuses_other_numbers(shell: Shell, command: str, words: tuple[str, ...], said: str) -> None:
    ended = shell(command, "resnet20", *words)
    assert ended.code == 2
    assert said in " ".join(ended.err.split())
