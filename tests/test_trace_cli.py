"""mho trace: statistics, conversion, filters and made-up traces on the command line; mistakes in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mho.network.trace import Communities, minimum_frequency, minimum_length, read, statistics, synthesise
from tests.command_line import Shell, contents
from tests.trace_files import assert_same, write_columns


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A CSV file with columns of its own names."""
    generator = np.random.default_rng(0)
    path = tmp_path / "clicks.csv"
    item = generator.geometric(0.1, 600) * 7
    write_columns({"session": np.repeat(np.arange(200), 3), "item": item, "time": np.arange(600)}, path)
    return path


COLUMNS = ("--query", "session", "--row", "item", "--ignore", "time")


def test_json_is_what_python_tells(shell: Shell, file: Path) -> None:
    ended = shell("trace", str(file), *COLUMNS, "--compact", "--json")
    assert ended.code == 0
    wanted = statistics(read(file, query="session", row="item", ignored=("time",), compact=True)).to_dict()
    assert ended.json() == wanted


def test_the_terminal_names_the_numbers(shell: Shell, file: Path) -> None:
    ended = shell("trace", str(file), *COLUMNS, "--history", "0.5")
    assert ended.code == 0
    for word in ("clicks.csv", "look-ups", "600", "bag length", "lift of pairs", "unseen", "twice"):
        assert word in ended.out
    assert "made up" not in ended.out


def test_saved_traces_are_filtered_in_the_order_told(shell: Shell, file: Path, tmp_path: Path) -> None:
    saved = tmp_path / "kept.npz"
    more = ("--minimum-frequency", "20", "--minimum-length", "2", "--save", str(saved))
    ended = shell("trace", str(file), *COLUMNS, "--compact", *more)
    assert ended.code == 0 and str(saved) in ended.out
    whole = read(file, query="session", row="item", ignored=("time",), compact=True)
    assert_same(read(saved), minimum_length(minimum_frequency(whole, 20), 2), origin=True)


def test_made_up_traces_say_so(shell: Shell, tmp_path: Path) -> None:
    saved = tmp_path / "made.npz"
    words = (
        "trace", "--synthetic", "--queries", "300", "--rows", "90,40", "--mean-length", "4,2", "--popularity", "zipf:1.2",
        "--community-size", "9", "--cohesion", "0.7", "--lengths", "poisson", "--distinct", "--seed", "5", "--save", str(saved),
    )  # fmt: skip
    ended = shell(*words)
    assert ended.code == 0 and "made up" in ended.out
    made = synthesise(
        300, (90, 40), (4, 2), popularity="zipf:1.2", communities=Communities(9, 0.7), lengths="poisson", distinct=True,
        seed=5,
    )  # fmt: skip
    assert_same(read(saved), made, origin=True)
    again = shell("trace", str(saved), "--json")
    assert again.json()["synthetic"] is True
    assert again.json()["origin"].startswith("synthetic: 300 queries")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trace"], "FILE or --synthetic"),
        (["trace", "FILE", "--synthetic"], "FILE or --synthetic"),
        (["trace", "FILE", "--queries", "9"], "--queries is for --synthetic"),
        (["trace", "FILE", "--distinct"], "--distinct is for --synthetic"),
        (["trace", "--synthetic", "--ignore", "time"], "--ignore is for a FILE"),
        (["trace", "--synthetic", "--compact"], "--compact is for a FILE"),
        (["trace", "--synthetic", "--cohesion", "0.4"], "--community-size"),
        (["trace", "--synthetic", "--community-size", "5", "--cohesion", "1.4"], "from 0 to 1"),
        (["trace", "--synthetic", "--popularity", "pareto"], "'pareto' is no law"),
        (["trace", "--synthetic", "--mean-length", "4,x"], "a number from 1e-06"),
        (["trace", "--synthetic", "--rows", "4,0"], "from 1 to 134217728"),
        (["trace", "--synthetic", "--mean-length", "2,2,2", "--rows", "5,5"], "3 mean lengths"),
        (["trace", "FILE"], "no column 'query'"),
        (["trace", "FILE"], "--query COLUMN"),
        (["trace", "FILE", "--query", "session", "--row", "item", "--rows", "9" * 20], "from 1 to 134217728"),
        (["trace", "FILE", "--query", "session", "--row", "item", "--separator", "x"], "--separator 'x'"),
        (["trace", "--synthetic", "--mean-length", "1e308"], "from 1e-06 to 1e+06"),
        (["trace", "--synthetic", "--rows", "9" * 20], "from 1 to 134217728"),
        (["trace", "--synthetic", "--skip-missing"], "--skip-missing is for a FILE"),
        (["trace", "FILE", *COLUMNS, "--history", "1"], "between 0 and 1"),
        (["trace", "FILE", *COLUMNS, "--rows", "7"], "line 2"),
        (["trace", "FILE", *COLUMNS, "--rows", "900", "--compact"], "compact"),
        (["trace", "FILE", *COLUMNS, "--minimum-frequency", "601"], "no row"),
        (["trace", "FILE", *COLUMNS, "--minimum-length", "4"], "no look-ups"),
        (["trace", "FILE", *COLUMNS, "--save", "kept.csv"], "--save kept.csv"),
        (["trace", "FILE", *COLUMNS, "--save", "no/such/folder.npz"], "--save no/such/folder.npz"),
        (["trace", "nothing.npz"], "no such file"),
    ],
)
def test_mistakes_are_told_in_one_line_and_leave_nothing(shell: Shell, file: Path, words: list[str], said: str) -> None:
    before = contents(file.parent)
    ended = shell(*(str(file) if word == "FILE" else word for word in words))
    assert ended.code == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert not ended.out
    assert contents(file.parent) == before


def test_the_command_lines_range_of_rows_is_the_librarys() -> None:
    from mho.cli.options import table
    from mho.network.trace import trace

    assert table()["rows"]["reads"][-1] == trace.MOST_ROWS


@pytest.mark.parametrize("option", ["--no-header", "--header", "--basket", "--query=a"])
def test_what_reads_a_file_is_refused_where_a_trace_is_made_up(shell: Shell, option: str) -> None:
    ended = shell("trace", "--synthetic", option)
    assert ended.code == 2 and " is for a FILE, not for --synthetic" in ended.err
