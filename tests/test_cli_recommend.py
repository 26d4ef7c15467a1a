"""mho recommend: what it reads, prints, writes and refuses."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mho.errors import MappingError
from mho.explore import recommend
from mho.mapping.embedding.storage import Seating
from mho.network.trace import Trace, minimum_frequency, synthesise
from mho.strategy import Strategy
from tests.command_line import Shell

FILES = ["layout.npz", "recommend.html", "recommend.json"]
FEW = ("--design", "naive", "--design", "recross", "--batch", "32")


@pytest.fixture(scope="module")
def made() -> Trace:
    return replace(synthesise(200, (300,), (6.0,), seed=5), synthetic=False, origin="clicks.npz")


@pytest.fixture
def clicks(made: Trace, tmp_path: Path) -> str:
    path = tmp_path / "clicks.npz"
    made.save(path)
    return str(path)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_prints_a_summary_and_writes_files(shell: Shell, clicks: str, tmp_path: Path) -> None:
    ended = shell("recommend", clicks, *FEW, "--out", str(tmp_path / "out"))
    assert (ended.code, ended.err) == (0, "")
    for expected in (
        "naive", "recross", "activations a bag", "look-ups an activation", "99th percentile", "energy of a query", "busiest array",
        "time of naive / this", "ADC modes", "Energy by component", "assumption:", "written to",
    ):  # fmt: skip
        assert expected in ended.out
    assert "SYNTHETIC" not in ended.out
    assert names(tmp_path / "out") == FILES


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (FEW, {"designs": ("naive", "recross"), "batch": 32}),
        (
            ("--design", "nmars", "--dimension", "16", "--areas", "own", "--history", "0.5"),
            {"designs": ("nmars",), "dimension": 16, "areas": "own", "history": 0.5},
        ),
        (
            ("--design", "mho", "--grouping", "fast", "--budget", "1.5", "--seed", "7", "--chip", "recross"),
            {
                "designs": ("mho",),
                "strategy": Strategy.load("mho").with_(grouping="fast"),
                "budget": 1.5,
                "seed": 7,
                "chip": "recross",
            },
        ),
        (
            ("--design", "mho", "--strategy", "recross", "--copies", "load", "--load", "activations"),
            {"designs": ("mho",), "strategy": Strategy.load("recross").with_(copies="load", load="activations")},
        ),
    ],
)
def test_json_is_what_python_recommends(
    shell: Shell, clicks: str, words: tuple[str, ...], options: dict[str, Any]
) -> None:
    ended = shell("recommend", clicks, *words, "--json", "-")
    assert ended.json() == json.loads(json.dumps(recommend(clicks, **options).to_dict()))


def test_designs_that_do_not_fit_the_width_make_another_table(
    shell: Shell, clicks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = ("naive", "frequency", "nmars", "nmars-whole", "recross")
    for width in (44, 80, 160):
        monkeypatch.setenv("COLUMNS", str(width))
        ended = shell("recommend", clicks, *(word for name in wide for word in ("--design", name)))
        assert max(map(len, ended.out.splitlines())) <= width
        heads = [line.split() for line in ended.out.splitlines() if line.split() and set(line.split()) <= set(wide)]
        # Designs, modes and energies: each tells all designs once, in their order.
        assert [name for head in heads for name in head] == 3 * list(wide)


def test_json_is_all_that_is_printed_and_the_same_each_time_and_in_the_file(
    shell: Shell, clicks: str, tmp_path: Path
) -> None:
    first, second = (
        shell("recommend", clicks, *FEW, "--json", "-", "--out", str(tmp_path / name)) for name in ("a", "b")
    )
    assert (first.code, first.err) == (0, "")
    assert first.out == second.out == (tmp_path / "a" / "recommend.json").read_text("utf-8")
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    content = first.json()
    assert content["schema"] == "mho.recommendation/1"
    assert content["options"] == {
        "chip": "recross",
        "dimension": 64,
        "batch": 32,
        "budget": 1.25,
        "seed": 0,
        "grouping": "anneal",
        "areas": "equal",
    }
    ended = shell("recommend", clicks, *FEW, "--json", str(tmp_path / "x.json"))
    assert json.loads((tmp_path / "x.json").read_text("utf-8")) == content
    assert "recross" in ended.out


def test_all_designs_are_compared_where_none_is_named(shell: Shell, clicks: str) -> None:
    content = shell("recommend", clicks, "--json", "-").json()
    assert list(content["designs"]) == ["naive", "frequency", "nmars", "recross", "mho"]


def test_synthetic_traces_are_told_apart(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "made.npz"
    synthesise(60, (50,), (4.0,), seed=1).save(path)
    ended = shell("recommend", str(path), "--design", "naive")
    assert "SYNTHETIC" in ended.out


def test_the_layout_tells_where_each_row_of_the_file_sits(
    shell: Shell, made: Trace, clicks: str, tmp_path: Path
) -> None:
    least = 3
    counts = np.bincount(made.indices, minlength=300)
    shell("recommend", clicks, *FEW, "--minimum-frequency", str(least), "--out", str(tmp_path / "out"))
    seating = Seating.load(tmp_path / "out" / "layout.npz")
    assert seating.names == made.names
    assert seating.ids[0].tolist() == np.flatnonzero(counts >= least).tolist()
    for row in seating.ids[0].tolist():
        assert seating.where(row).instances
    content = json.loads((tmp_path / "out" / "recommend.json").read_text("utf-8"))
    layout = content["designs"][content["chosen"]]["layout"]
    assert (seating.layout.groups, seating.layout.instances) == (layout["groups"], layout["instances"])
    assert len(set(seating.tile.tolist())) == layout["tiles"]


def test_histories_are_the_first_queries_or_drawn(shell: Shell, clicks: str) -> None:
    by_time = shell("recommend", clicks, "--design", "naive", "--history", "0.5", "--json", "-").json()
    drawn = shell("recommend", clicks, "--design", "naive", "--split-by", "seed", "--seed", "4", "--json", "-").json()
    assert by_time["history"]["statistics"]["queries"] == 100
    assert drawn["history"]["statistics"]["queries"] == 160
    assert "first" in by_time["history"]["origin"] and "seed 4" in drawn["history"]["origin"]


@pytest.mark.parametrize("least", [None, 2])
def test_a_test_of_its_own_is_served_whole(
    shell: Shell, made: Trace, clicks: str, tmp_path: Path, least: int | None
) -> None:
    # Its rows are read from what it looks up, which is not all that the history does.
    asked = made.select(slice(0, 40))
    highest = int(asked.indices.max()) + 1
    assert highest < 300
    replace(asked, rows=(highest,), origin="later.npz").save(tmp_path / "later.npz")
    more = () if least is None else ("--minimum-frequency", str(least))
    ended = shell("recommend", clicks, "--test", str(tmp_path / "later.npz"), "--design", "naive", *more, "--json", "-")
    content = ended.json()
    kept = 300 if least is None else len(np.flatnonzero(2 * _counts(asked) + _counts(made) - _counts(asked) >= least))
    assert content["history"]["statistics"]["rows"] == [kept]
    served = content["designs"]["naive"]["trace"]
    assert served["rows"] == kept
    if least is None:
        assert (served["bags"], served["lookups"]) == (asked.bags, asked.lookups)
        assert content["history"]["statistics"]["bags"] == made.bags
    else:
        twice = _counts(asked) + _counts(made) >= least
        assert served["lookups"] == twice[asked.indices].sum()
        assert content["history"]["statistics"]["lookups"] == twice[made.indices].sum()


def _counts(trace: Trace) -> np.ndarray:
    return np.bincount(trace.indices, minlength=300)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--design", "nmarz"), "unknown design 'nmarz'; did you mean nmars"),
        (("--design", "naive", "--design", "naive"), "named twice"),
        (("--budget", "0.5"), "from 1 to"),
        (("--budget", "inf"), "inf"),
        (("--design", "naive", "--areas", "own", "--budget", "1.5"), "--budget is for designs with copies"),
        (("--design", "nmars-copies"), "'nmars-copies' is 'nmars' where areas are equal"),
        (("--areas", "fair"), "areas are equal or own, not 'fair'"),
        (("--seed", "3"), "--seed is for the design mho"),
        (("--design", "recross", "--grouping", "fast"), "--grouping is for the design mho"),
        (("--design", "mho", "--grouping", "fats"), "--grouping fats: did you mean fast"),
        (("--design", "recross", "--strategy", "nmars"), "--strategy is for the design mho"),
        (("--design", "mho", "--strategy", "aras"), "mho: schedule 'aras': says how a network is compiled"),
        (
            ("--design", "mho", "--grouping", "fast", "--sweeps", "3"),
            "--sweeps 3: is for grouping 'anneal', not 'fast'",
        ),
        (("--loads", "0.5"), "--loads is for --arrivals"),
        (("--batch-wait", "1e-6"), "--batch-wait is for --arrivals"),
        (("--arrivals", "poison"), "unknown arrivals 'poison'; did you mean poisson"),
        (("--arrivals", "poisson", "--loads", "0.5,1"), "from 0.01 to 0.99"),
        (("--batch", "0"), "from 1 to"),
        (("--history", "1"), "between 0 and 1"),
        (("--split-by", "chance"), "--split-by is time or seed"),
        (("--test", "x.npz", "--history", "0.5"), "--history splits TRACE"),
        (("--test", "x.npz", "--split-by", "seed"), "--split-by splits TRACE"),
        (("--test", "nowhere.npz"), "nowhere.npz"),
        (("--chip", "aras"), "no part lookup"),
        (("--set", "tiles=0"), "tiles"),
        (("--dimension", "60000"), "60000 features"),
        (("--minimum-frequency", "100000"), "100000 times"),
        (("--query", "x"), "says nothing for a .npz file"),
        (("--json", "nowhere/x.json"), "nowhere"),
        (("--nothing",), "--nothing"),
    ],
)
def test_mistakes_get_one_line_and_leave_nothing(
    shell: Shell, clicks: str, tmp_path: Path, words: tuple[str, ...], text: str
) -> None:
    given = words if "--design" in words else (*words, "--design", "naive")
    ended = shell("recommend", clicks, *given, "--out", str(tmp_path / "out"))
    assert ended.code == 2 and ended.out == ""
    assert ended.err.startswith("mho: ") and ended.err.count("\n") == 1
    assert text in ended.err
    assert names(tmp_path) == ["clicks.npz"]


def test_files_that_are_no_traces_are_refused(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("query,row\n1,2\n1,-3\n")
    for name in ("x.csv", "missing.npz", "."):
        ended = shell("recommend", str(tmp_path / name))
        assert ended.code == 2 and ended.err.count("\n") == 1 and ended.out == ""
        assert re.search(r"line 3|no such file|folder", ended.err)


def test_files_that_were_renumbered_apart_are_numbered_alike(
    shell: Shell, made: Trace, clicks: str, tmp_path: Path
) -> None:
    """A history that was filtered, and so renumbered, and a test that was not: rows are those that they are called."""
    minimum_frequency(made, 4).save(tmp_path / "other.npz")
    words = ("recommend", clicks, "--test", str(tmp_path / "other.npz"), "--design", "naive", "--json", "-")
    ended = shell(*words)
    assert ended.code == 0
    lookups = ended.json()["designs"]["naive"]["trace"]["lookups"]
    assert lookups == minimum_frequency(made, 4).lookups
    wanted = recommend(made, minimum_frequency(made, 4), designs=("naive",)).to_dict()
    assert ended.json()["designs"] == wanted["designs"]


def test_ids_that_are_text_can_be_looked_up_in_the_layout(shell: Shell, made: Trace, tmp_path: Path) -> None:
    """With files of history and test that number nothing alike; by mho and by numpy alone."""
    history, test = made.split(0.8)
    for name, part in (("january.csv", history), ("february.csv", test)):
        query = np.repeat(part.queries, part.lengths).tolist()
        lines = (f"{who};item {what:x}" for who, what in zip(query, part.indices.tolist(), strict=True))
        (tmp_path / name).write_text("session;item\n" + "\n".join(lines) + "\n")
    files = (str(tmp_path / "january.csv"), "--test", str(tmp_path / "february.csv"))
    ended = shell(
        "recommend", *files, "--query", "session", "--row", "item", "--design", "mho", "--out", str(tmp_path / "out")
    )
    assert ended.code == 0
    seating = Seating.load(tmp_path / "out" / "layout.npz")
    used = sorted({f"item {what:x}" for what in made.indices.tolist()})
    assert seating.ids[0].tolist() == used
    layout = np.load(tmp_path / "out" / "layout.npz")
    for row in used[:40]:
        place = seating.where(row)
        here = np.flatnonzero(layout["row"] == row)
        assert layout["group"][here].tolist() == [place.group] and layout["wordline"][here].tolist() == [place.wordline]
    for row in ("item", 3):
        with pytest.raises(MappingError):
            seating.where(row)
    busiest = np.bincount(history.indices, minlength=300).argmax()
    assert f"where(&#39;item {busiest:x}&#39;)" in (tmp_path / "out" / "recommend.html").read_text()


def test_an_interrupted_command_writes_nothing(
    shell: Shell, clicks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mho.explore.designs.serve", interrupted)
    ended = shell("recommend", clicks, *FEW, "--out", str(tmp_path / "out"))
    assert ended.code == 130 and ended.err == "mho: interrupted\n" and ended.out == ""
    assert names(tmp_path) == ["clicks.npz"]


def test_real_baskets(shell: Shell, data: Path) -> None:
    path = data / "recsys" / "groceries_baskets.npz"
    if not path.is_file():
        pytest.skip(f"no real data: {path} is not there")
    content = shell("recommend", str(path), "--design", "naive", "--design", "frequency", "--json", "-").json()
    assert not content["synthetic"]
    assert content["history"]["statistics"]["bags"] + content["designs"]["naive"]["trace"]["bags"] == 9835
    # 169 rows in two groups: sorted by frequency, most baskets find all of theirs in the first.
    assert content["designs"]["frequency"]["gain"]["activations"] > 1.2
