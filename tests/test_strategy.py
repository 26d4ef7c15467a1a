"""Strategies: round trips over the registry, one check that all doors share, choices in one file and one line."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.cli.app import _run, command
from mho.errors import MappingError, MhoError, OptionError, StrategyError
from mho.network.graph import Network
from mho.strategy import STAGES, Strategy, bibtex, registered, strategies, unregister
from mho.strategy.choice import Choice
from mho.strategy.papers import papers
from mho.strategy.stages import ALL_STAGES
from mho.strategy.strategy import about
from mho.strategy.table import choices_table, with_table
from mho.strategy.template import strategy_template
from tests.command_line import Ended, Shell
from tests.strategies import chips, networks

DOCS = Path(__file__).parent.parent / "docs"


def values(where: str, kind: Any, declared: Any) -> st.SearchStrategy[Any]:
    """Values that a setting takes, briefly searched where it searches."""
    if where == "schedule.effort":
        return st.sampled_from([0.0, 0.001])
    if where == "schedule.time_limit_s":
        return st.sampled_from([None, 0.001])
    if declared.among:
        return st.sampled_from(declared.among)
    if declared.examples:
        return st.sampled_from(declared.examples)
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(int(declared.least), int(min(declared.most, 2**20)))
    if kind in (float, float | None):
        numbers = st.floats(declared.least, declared.most, exclude_min=declared.above)
        return numbers if kind is float else st.none() | numbers
    return st.lists(st.integers(0, 6), min_size=1, max_size=3, unique=True).map(tuple)


@st.composite
def choices(draw: st.DrawFn, stage: str) -> Choice:
    kind = draw(st.sampled_from([*registered(stage).values()]))
    drawn = {name: draw(values(f"{stage}.{name}", *declared)) for name, declared in kind.settings().items()}
    return kind.of(drawn)


drawn = st.builds(Strategy, **{stage: choices(stage) for stage in STAGES})


# Round trips


@given(drawn)
def test_a_strategy_comes_back_from_its_data_and_as_yaml(strategy: Strategy) -> None:
    data = json.loads(json.dumps(strategy.to_dict()))
    assert Strategy.from_dict(data) == strategy
    assert Strategy().with_(yaml.safe_load(yaml.safe_dump(data))) == strategy
    assert Strategy.from_dict(data).digest == strategy.digest


@given(drawn, drawn)
def test_strategies_are_equal_where_their_digests_are(one: Strategy, other: Strategy) -> None:
    assert (one == other) == (one.digest == other.digest)


@given(drawn)
def test_it_says_every_stage_in_python_and_in_a_notebook(strategy: Strategy) -> None:
    for stage in strategy.told:
        assert stage in repr(strategy) and getattr(strategy, stage).name in repr(strategy)
    assert strategy._repr_html_().startswith("<div>")


@given(drawn, st.sampled_from([*STAGES]), st.data())
def test_changing_one_stage_leaves_the_others(strategy: Strategy, stage: str, data: st.DataObject) -> None:
    choice = data.draw(choices(stage))
    changed = strategy.with_({stage: choice})
    assert getattr(changed, stage) == choice
    assert all(getattr(changed, other) == getattr(strategy, other) for other in STAGES if other != stage)


@pytest.mark.parametrize("name", strategies())
def test_every_preset_loads_names_its_papers_and_comes_back_from_its_template(name: str, tmp_path: Path) -> None:
    strategy = Strategy.load(name)
    assert about(name)["description"] and set(about(name)["papers"]) <= set(papers())
    path = tmp_path / "mine.yaml"
    path.write_text(strategy_template(name, "mine", str(path)))
    assert Strategy.load(path) == strategy
    path.write_text(strategy_template("default", "mine", str(path)).replace("choice: none", "choice: centre", 1)
                    .replace("# centre: ...", "centre: 90"))  # fmt: skip
    assert Strategy.load(path) == Strategy().with_(alignment=90)


def test_what_is_no_strategy_chip_or_outcome_is_refused_in_a_line(tmp_path: Path) -> None:
    network: Any = mho.zoo.load("resnet20")
    wrong: Any = 5
    for call in (
        lambda: Strategy().with_(wrong),
        lambda: Strategy().with_({wrong: 4}),
        lambda: Strategy.from_dict(wrong),
        lambda: Strategy().check(network, wrong),
        lambda: Strategy().frame(),
        lambda: Strategy.choices(None),  # type: ignore[arg-type]
        lambda: Strategy.choices([]),  # type: ignore[arg-type]
        lambda: Strategy().with_(schedule={"choice": "aras", "patience": 3}),
        lambda: mho.save(wrong, tmp_path),
        lambda: mho.Space(wrong),
        lambda: mho.Space({wrong: [1]}),
        lambda: mho.Space({"chip.tiles": wrong}),
    ):
        with pytest.raises(OptionError, match=r"[^ ]$"):
            call()
    path = tmp_path / "wrong.yaml"
    for text in (
        "papers: 5",
        "papers: [[1]]",
        "coding: {true: 1}",
        f"alignment: {10**400}",
        f"schedule: {{effort: {10**400}}}",
    ):
        path.write_text(text)
        with pytest.raises(OptionError, match="wrong"):
            Strategy.load(path)
    assert bibtex("aras") == bibtex(["aras"])
    with pytest.raises(StrategyError, match="leave coding out"):
        Strategy().with_(coding="bytes", grid="window:8:3")


@settings(max_examples=20)
@given(networks, chips(), drawn)
def test_a_program_keeps_its_strategy_in_its_file(
    tmp_path_factory: pytest.TempPathFactory, network: Network, chip: Chip, strategy: Strategy
) -> None:
    try:
        program = mho.compile(network, chip, strategy)
    except (StrategyError, MappingError, OptionError):
        return
    assert program.strategy == strategy
    path = tmp_path_factory.mktemp("kept") / "x.mho"
    program.save(path)
    assert mho.Program.load(path).strategy == strategy


def test_a_program_of_weights_aligned_after_they_were_squeezed_comes_back(tmp_path: Path) -> None:
    """Aligning to a low mean clips codes, which are no multiples of their rows' shifts then."""
    strategy = Strategy().with_(grid="window:8:3", squeeze=1, alignment=3, banks="greedy")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.ReLU(), torch.nn.Linear(16, 8))
    program = mho.compile(Network.from_torch(model, torch.zeros(1, 16)), "aras", strategy)
    assert program.quantised is not None
    shifted = [
        matrix.centred % (1 << squeeze.by_output(matrix.centred.shape[2]))
        for name, squeeze in program.quantised.squeezes.items()
        for matrix in [program.quantised.matrices[name]]
    ]
    assert any(part.any() for part in shifted)
    program.save(tmp_path / "x.mho")
    assert mho.Program.load(tmp_path / "x.mho").instructions == program.instructions


# One check


@settings(max_examples=60)
@given(networks, chips(), drawn)
def test_check_refuses_exactly_what_compile_refuses(network: Network, chip: Chip, strategy: Strategy) -> None:
    refusals = strategy.refusals(network, chip)
    if refusals:
        with pytest.raises(StrategyError) as raised:
            mho.compile(network, chip, strategy)
        assert (raised.value.field, raised.value.demanded) == (refusals[0].field, refusals[0].demanded)
        return
    # What only mapping finds: rows that are shifted further than this chip's registers can.
    with suppress(MappingError):
        mho.compile(network, chip, strategy)


def test_a_refusal_has_its_parts_and_each_door_its_own_words() -> None:
    network = mho.zoo.load("resnet20", weights="seeded")
    (refusal,) = Strategy().with_(mapping="squeezed").refusals(network, Chip.load("aras"))
    assert (refusal.field, refusal.value, refusal.bound) == ("mapping", "squeezed", "sparse")
    assert "take chip sme" in refusal.helps
    assert str(refusal).startswith("mapping 'squeezed': chip aras has no index memory")
    assert refusal.written().startswith("--mapping squeezed: chip aras has no index memory")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"turns": 4}, "turns 4: is for mapping 'squeezed', not 'dense'"),
        ({"mapping": "squezed"}, "did you mean squeezed?"),
        ({"mapping": None}, "known: basis, dense, squeezed"),
        ({"alignment": 256}, "takes auto, none or a whole number from 0 to 255"),
        ({"effort": -1}, "takes a number from 0 to 10000"),
        ({"effort": True}, "takes a number"),
        ({"schedule": "naive", "objective": "edp"}, "is for schedule 'adaptive', not 'naive'"),
        ({"schedul": "naive"}, "did you mean schedule"),
        ({"mapping.turn": 4}, "no such stage or setting"),
        ({"mapping": {"choice": "dense", "turns": 2}}, "is for mapping 'squeezed'"),
        ({"rounding": "output"}, "give budget or grid too"),
        ({"grid": "window:8:3,uniform:5"}, "names several; one, or several with budget"),
        ({"budget": 0.1}, "budget needs it"),
    ],
)
def test_unknown_keys_choices_and_values_are_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(StrategyError) as raised:
        Strategy().with_(changes)
    assert text in str(raised.value) and "\n" not in str(raised.value)


def test_settings_that_both_choices_have_stay() -> None:
    separate = Strategy().with_(packing="separate")
    assert separate.with_(mapping="squeezed", turns=3).to_dict()["mapping"] == {
        "choice": "squeezed",
        "packing": "separate",
        "turns": 3,
    }


def test_a_network_that_is_coded_keeps_its_codes_and_is_coded_once() -> None:
    network = mho.zoo.load("resnet20", weights="seeded")
    strategy = Strategy().with_(grid="uniform:5", schedule="naive", banks="greedy")
    codes = mho.schedule.coded(network, Chip.load("aras"), strategy)
    assert mho.compile(codes, "aras", strategy).quantised is not None
    with pytest.raises(StrategyError, match="is coded already"):
        mho.compile(codes, "aras", strategy.with_(grid="uniform:4"))
    by_hand = mho.compile(mho.number.quantise(network), "aras", "naive")
    assert by_hand.strategy == Strategy.load("naive")


# Papers


def test_every_choice_and_preset_names_papers_that_are_there() -> None:
    named = {paper for stage in STAGES for kind in registered(stage).values() for paper in kind.papers}
    assert named <= set(papers())
    for key, entry in papers().items():
        text = bibtex([key])
        assert text.startswith(f"@{entry['type']}{{{key},") and entry["title"] in text and "cited" not in text


def test_the_command_line_prints_what_a_run_rests_on(shell: Shell) -> None:
    told = shell("run", "resnet20", "--schedule", "aras", "--banks", "greedy", "--cite")
    assert told.code == 0 and "@misc{aras," in told.out and "2410.17931" in told.out
    told = shell("run", "resnet20", "--schedule", "aras", "--banks", "greedy", "--cite", "--json", "-")
    assert json.loads(told.out)["papers"][:2] == ["aras", "isaac"] and "@misc{aras," in told.err


def test_every_stage_tells_its_choices() -> None:
    for stage in ALL_STAGES:
        assert Strategy.choices(stage) == registered(stage) and Strategy.choices(stage)


def test_papers_of_a_strategys_file_are_cited(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("papers: [sme]\nschedule: naive\nbanks: greedy\n")
    mine = Strategy.load(path)
    assert "sme" in mine.papers and "sme" in mine.with_(schedule="overlap").papers
    assert (
        mine == Strategy().with_(schedule="naive", banks="greedy")
        and mine.digest == Strategy.from_dict(mine.to_dict()).digest
    )
    told = shell("run", "resnet20", "--strategy", str(path), "--cite", "--json", "-")
    assert "sme" in json.loads(told.out)["papers"] and "{sme," in told.err


def test_a_template_names_each_setting_of_a_stage_once(tmp_path: Path) -> None:
    text = strategy_template("default", "mine", "mine.yaml")
    stage = text[text.index("\ncoding:") : text.index("\nmapping:")]
    assert stage.count("# grid: ...  # of budget: a list of text; of grid: text") == 1
    named = [line.split(":")[0] for line in stage.splitlines() if line.startswith("  # ")]
    assert len(named) == len(set(named))


# The command line is the library


def run(*line: str) -> Ended:
    """Run a command without fixtures, so that many may be drawn."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = _run(list(line))
    return Ended(code, out.getvalue(), err.getvalue())


def words(strategy: Strategy) -> list[str]:
    """Write a strategy as options."""
    found = []
    for stage in STAGES:
        choice = getattr(strategy, stage)
        found += [f"--{stage.replace('_', '-')}", str(choice.spelled())]
        for name, (kind, declared) in choice.settings().items():
            value = getattr(choice, name)
            if name == choice.short or value is None or value is False:
                continue
            written = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            option = f"--{(declared.option or name).replace('_', '-')}"
            found += [option] if kind is bool else [option, written]
    return found


@settings(max_examples=6)
@given(drawn)
def test_run_tells_what_the_library_tells_for_any_drawn_options(strategy: Strategy) -> None:
    ended = run("run", "resnet20", *words(strategy), "--json", "-")
    # The command's one seed draws the weights too.
    seed = getattr(strategy.schedule, "seed", 0)
    network = mho.zoo.load("resnet20", weights="seeded" if strategy.needs_weights else "none", seed=seed)
    try:
        report = mho.simulate(mho.compile(network, "aras", strategy))
    except MhoError as error:
        assert ended.code == 2, ended.err
        assert not isinstance(error, StrategyError) or error.written()[:40] in ended.err or "--seed" in ended.err
        return
    if ended.code == 2:  # A seed that nothing is drawn by.
        assert "--seed" in ended.err
        return
    assert json.loads(ended.out) == json.loads(json.dumps(report.to_dict()))


# A choice in one file and one line


TOY = '''
from mho.schedule.naive import naive
from mho.schedule.stages import Schedule
from mho.strategy import choice, setting


@choice("schedule", "toy", papers=("aras",))
class Toy(Schedule):
    """A toy: layers one after another."""

    patience: int = setting(default=1, least=1, most=9, help="How often the toy would try.")

    def plan(self, task):
        return naive(task)
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "toy_schedule.py").write_text(dedent(TOY))
    monkeypatch.syspath_prepend(tmp_path)
    registered("schedule")
    import toy_schedule  # type: ignore[import-not-found]

    command.cache_clear()  # a process that has run the command line before
    yield
    unregister(toy_schedule.Toy)
    command.cache_clear()
    del sys.modules["toy_schedule"]


def test_a_choice_is_one_file_and_one_line(toy: None, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = shell("run", "--help").out
    assert "toy" in shown and "--patience" in shown and "How often the toy would try." in shown
    asked = ("--schedule", "toy", "--patience", "3", "--banks", "greedy")
    told = shell("run", "resnet20", *asked, "--json", "-").json()
    assert told["strategy"]["schedule"] == {"choice": "toy", "patience": 3}
    assert told["latency_s"] == mho.simulate(mho.compile(mho.zoo.load("resnet20"), "aras", "naive")).latency_s
    assert (
        "--patience 10: takes a whole number from 1 to 9"
        in shell("run", "resnet20", "--schedule", "toy", "--patience", "10").err
    )
    assert "patience" in strategy_template("default", "x", "x.yaml") and "`toy`" in choices_table()
    assert "toy" in Strategy.choices("schedule")

    @settings(max_examples=100)
    @given(st.lists(choices("schedule"), min_size=30))
    def draws(some: list[Choice]) -> None:
        names.update(choice.name for choice in some)

    names: set[str] = set()
    draws()
    assert "toy" in names


# The page


def test_the_page_lists_the_registered_choices() -> None:
    page = (DOCS / "strategy.md").read_text(encoding="utf-8")
    assert with_table(page) == page, "python -m mho.strategy.table writes it"
