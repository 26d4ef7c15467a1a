"""mho run dlrm --trace: what it prints, writes, and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from mho.machine import gathered
from mho.machine.recommender import save, seeded_recommender
from mho.network.trace import Trace, read, synthesise
from tests.command_line import Shell, contents

FAST = ("--schedule", "naive", "--dimension", "4")


@pytest.fixture(scope="module")
def made() -> Trace:
    return synthesise(100, (40, 200), (1.0, 6.0), seed=7)


@pytest.fixture(scope="module")
def folder(made: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace, and a recommender for it."""
    place = tmp_path_factory.mktemp("clicks")
    made.save(place / "clicks.npz")
    save(seeded_recommender(made, 4, 5, hidden=(6,)), place / "tables.safetensors")
    return place


@pytest.fixture
def clicks(folder: Path) -> str:
    return str(folder / "clicks.npz")


def run(shell: Shell, clicks: str, *words: str) -> Any:
    """Run it, as JSON."""
    ended = shell("run", "dlrm", "--trace", clicks, *words, "--json", "-")
    assert (ended.code, ended.err) == (0, "")
    return ended.json()


def test_it_prints_both_parts_and_writes_all_that_it_says(shell: Shell, clicks: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = shell("run", "dlrm", "--trace", clicks, *FAST, "--verify", "--out", str(out))
    assert (ended.code, ended.err) == (0, "")
    for expected in (
        "dlrm on recross",
        "tables",
        "dense part",
        "together",
        "bit-exact on 20 queries",
        "seeded 0 (synthetic)",
    ):
        assert expected in " ".join(ended.out.split())
    assert (
        f"written to {out / 'recommender.html'}; the program's report to {out / 'program' / 'report.html'}" in ended.out
    )
    assert sorted(contents(out)) == [
        "program", "program/report.html", "program/report.json", "program/trace.json", "recommender.html", "recommender.json",
    ]  # fmt: skip
    page = (out / "recommender.html").read_text("utf-8")
    for expected in (
        "dlrm on recross",
        "bit-exact on 20 queries",
        "Weights are synthetic",
        "program/report.html",
        "The trace was made up",
    ):
        assert expected in page
    assert "http:" not in page.replace("http://www.w3.org/2000/svg", "") and "https:" not in page
    written = json.loads((out / "recommender.json").read_text("utf-8"))
    assert written == run(shell, clicks, *FAST, "--verify")
    assert written["program"] == json.loads((out / "program" / "report.json").read_text("utf-8"))


def test_json_goes_to_a_file_as_well_and_then_a_summary_is_printed(shell: Shell, clicks: str, tmp_path: Path) -> None:
    ended = shell("run", "dlrm", "--trace", clicks, *FAST, "--json", str(tmp_path / "x.json"))
    assert ended.code == 0 and "dlrm on recross" in ended.out
    assert json.loads((tmp_path / "x.json").read_text("utf-8")) == run(shell, clicks, *FAST)
    sure = run(shell, clicks, *FAST, "--uncertainty")
    assert sure.pop("uncertainty")["energy_j"]["ranged"] and sure == run(shell, clicks, *FAST)


@pytest.mark.parametrize("schedule", ["naive", "overlap", "adaptive"])
def test_schedules_are_of_the_dense_part_and_the_same_seed_gives_the_same(
    shell: Shell, clicks: str, schedule: str
) -> None:
    words = ("--schedule", schedule, "--dimension", "4", "--seed", "3", "--verify")
    first, second = run(shell, clicks, *words), run(shell, clicks, *words)
    assert first == second
    assert first["verified"].startswith("bit-exact on 20 queries")
    assert first["tables"] == run(shell, clicks, *FAST, "--seed", "3")["tables"]
    # Another seed serves other queries, with other tables.
    other = run(shell, clicks, *words[:-2], "4", "--verify")
    assert other["recommender"]["origin"] == "seeded 4 (synthetic)"
    assert other["tables"]["trace"]["origin"] != first["tables"]["trace"]["origin"]


def test_a_fifth_of_the_queries_is_served_by_a_layout_of_the_others(shell: Shell, clicks: str) -> None:
    found = run(shell, clicks, *FAST)
    assert found["tables"]["trace"]["queries"] == 20
    assert found["tables"]["layout"]["area_ratio"] <= 1.25
    assert found["tables"]["layout"]["dimension"] == 4
    wide = run(shell, clicks, *FAST, "--table-area", "3")
    assert found["tables"]["layout"]["instances"] < wide["tables"]["layout"]["instances"] <= 6


def test_a_batch_is_what_was_asked_for_and_else_as_many_as_there_are(shell: Shell, clicks: str) -> None:
    assert run(shell, clicks, *FAST)["batch"] == 20
    for batch in (1, 7, 20):
        found = run(shell, clicks, *FAST, "--batch", str(batch), "--verify")
        assert found["batch"] == found["tables"]["batch"] == batch
        assert found["verified"].startswith(f"bit-exact on {batch} queries, vectors and scores, and legal, ")
        assert found["verified"].endswith("this chip's converters resolve every sum of the dense part")
        assert found["program"]["model"]["batch"] == batch and found["queries_per_s"] == pytest.approx(
            batch / found["interval_s"]
        )
    ended = shell("run", "dlrm", "--trace", clicks, "--batch", "21")
    assert ended.code == 2 and "--batch 21: the trace leaves 20 queries" in ended.err


def test_batches_are_of_256_where_there_are_so_many(shell: Shell, tmp_path: Path) -> None:
    synthesise(1400, (30,), (2.0,), seed=1).save(tmp_path / "many.npz")
    assert run(shell, str(tmp_path / "many.npz"), *FAST)["batch"] == 256


def test_trained_tables_come_from_a_file(shell: Shell, clicks: str, folder: Path) -> None:
    weights = str(folder / "tables.safetensors")
    found = run(shell, clicks, "--schedule", "naive", "--weights", weights, "--verify")
    assert found["recommender"]["origin"] == "seeded 5 (synthetic)"
    assert found["recommender"]["tables"] == {"table0": 40, "table1": 200}
    assert found["verified"].startswith("bit-exact")
    # Seeds are of the split alone, then.
    again = run(shell, clicks, "--schedule", "naive", "--weights", weights, "--seed", "9")
    assert again["recommender"] == found["recommender"]
    assert again["tables"]["trace"]["origin"] != found["tables"]["trace"]["origin"]


def test_a_trace_that_tells_no_rows_has_those_of_the_trained_tables(
    shell: Shell, made: Trace, folder: Path, tmp_path: Path
) -> None:
    """A text shows rows up to the highest looked up alone."""
    query = np.repeat(made.queries, made.lengths)
    table = np.repeat(made.tables, made.lengths)
    low = made.indices < made.indices[table == 1].max()
    lines = [f"{q},{t},{r}" for q, t, r in zip(query[low], table[low], made.indices[low], strict=True)]
    path = tmp_path / "clicks.csv"
    path.write_text("\n".join(["query,table,row", *lines]) + "\n")
    weights = str(folder / "tables.safetensors")
    found = run(shell, str(path), "--schedule", "naive", "--weights", weights, "--verify")
    assert found["recommender"]["tables"] == {"table0": 40, "table1": 200}
    assert found["verified"].startswith("bit-exact")
    path.write_text(path.read_text() + f"{query[-1] + 1},1,200\n")
    ended = shell("run", "dlrm", "--trace", str(path), "--weights", weights)
    assert ended.code == 2 and "(40, 201) rows are not those of dlrm: (40, 200)" in ended.err


def test_what_was_found_wrong_ends_with_1(shell: Shell, clicks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = gathered.reduce

    def broken(program, table, analog, cells):  # type: ignore[no-untyped-def]
        return original(program, table ^ np.int8(1), analog)

    monkeypatch.setattr(gathered, "reduce", broken)
    ended = shell("run", "dlrm", "--trace", clicks, *FAST, "--verify")
    assert ended.code == 1 and "not exact: " in ended.out
    ended = shell("run", "dlrm", "--trace", clicks, *FAST, "--verify", "--json", "-")
    assert ended.code == 1 and ended.json()["verified"].startswith("not exact")


REFUSED = {
    ("--data", "x.npz"): "--data is not for --trace",
    ("--calibration", "x.npz"): "--calibration is not for --trace",
    ("--key", "x"): "--key is not for --trace",
    ("--endurance", "1e9"): "--endurance is not for --trace",
    ("--rate", "5"): "--rate is not for --trace",
    ("--save", "x.mho"): "--save is not for --trace",
    ("--per-channel",): "--per-channel is not for --trace",
    ("--grid", "window:8:3"): "--grid is not for --trace",
    ("--rounding", "nearest"): "--rounding is not for --trace",
    ("--squeeze", "1"): "--squeeze is not for --trace",
    ("--budget", "0.1"): "--budget is not for --trace",
    ("--input-size", "8"): "--input-size is not for --trace",
    ("--sequence", "8"): "--sequence is not for --trace",
    ("--shape", "a=1"): "--shape is not for --trace",
    ("--weights", "none"): "--weights none gives shapes alone",
    ("--weights", "nowhere.safetensors"): "nowhere.safetensors: cannot be read: No such file",
    ("--weights", "nowhere.safetensors", "--dimension", "4"): "--dimension is for seeded tables",
    ("--schedule", "naive", "--effort", "2"): "--effort 2: is for schedule 'adaptive'",
    ("--schedule", "fastest"): "fastest",
    ("--mapping", "squeezed"): "chip recross has no index memory",
    ("--table-area", "0.9"): "--table-area is a number from 1, not 0.9",
    ("--table-area", "inf"): "must be a positive number",
    ("--dimension", "0"): "whole number from 1 to",
    ("--batch", "0"): "whole number from 1 to",
    ("--chip", "aras"): "has no part lookup",
    ("--chip", "recros"): "unknown chip 'recros'",
    ("--set", "tiles=1"): "none is left for the dense part",
    ("--set", "lookup.groups_per_adc=2"): "ADCs",
    ("--set", "lookup.most_row=2"): "most_row",
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_changes_nothing_or_cannot_be_is_refused_in_a_line(
    shell: Shell, clicks: str, tmp_path: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = shell("run", "dlrm", "--trace", clicks, *words, "--out", "out")
    assert ended.code == 2
    assert REFUSED[words] in " ".join(ended.err.split())
    assert len(ended.err.splitlines()) == 1 and ended.out == ""
    assert contents(tmp_path) == {}


def test_queries_come_one_by_one_at_random_or_at_the_times_of_the_trace(
    shell: Shell, clicks: str, tmp_path: Path
) -> None:
    words = (*FAST, "--batch", "4", "--loads", "0.3,0.8")
    found = run(shell, clicks, *words, "--arrivals", "poisson", "--batch-wait", "1e-6")
    waiting = found["open"]
    assert (waiting["batch"], waiting["process"], waiting["wait_s"]) == (4, "poisson", 1e-6)
    assert [at["load"] for at in waiting["curve"]] == [0.3, 0.8]
    assert run(shell, clicks, *FAST)["open"] is None
    # The same look-ups as lines with times, a query a second; then they come evenly.
    trace = read(clicks)
    bags = zip(trace.queries, trace.tables, np.split(trace.indices, trace.offsets[1:-1]), strict=True)
    lines = [f"{q},{t},{row},{q + 7}" for q, t, rows in bags for row in rows]
    log = tmp_path / "log.csv"
    log.write_text("\n".join(["query,table,row,at", *lines]), encoding="utf-8")
    timed = tmp_path / "timed.npz"
    saved = shell("trace", str(log), "--time", "at", "--save", str(timed))
    assert saved.code == 0 and read(timed).times is not None
    even = run(shell, str(timed), *words, "--arrivals", "own")["open"]
    assert even["process"] == "own" and even["curve"][0]["load"] == 0.3


def test_other_models_and_options_without_a_trace_are_refused(shell: Shell, clicks: str) -> None:
    for words, text in (
        (("resnet20", "--trace", clicks), "--trace is for recommenders"),
        (("dlrm", "--dimension", "4"), "--dimension is for --trace"),
        (("dlrm", "--table-area", "2"), "--table-area is for --trace"),
        (("dlrm", "--arrivals", "poisson"), "--arrivals is for --trace"),
        (("dlrm", "--trace", clicks, "--loads", "0.5"), "--loads is for --arrivals"),
        (("dlrm", "--trace", clicks, "--arrivals", "own"), "does not tell when its queries came"),
        (("dlrm", "--trace", f"{clicks}x"), "clicks.npzx"),
    ):
        ended = shell("run", *words)
        assert ended.code == 2 and text in ended.err and len(ended.err.splitlines()) == 1


def test_files_of_tables_that_do_not_fit_are_refused_before_rows_are_grouped(
    shell: Shell, clicks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("grouped all the same")

    monkeypatch.setattr("mho.explore.designs.group", never)
    other = synthesise(50, (40, 201), (1.0, 3.0), seed=1)
    save(seeded_recommender(other, 4, 0, hidden=(2,)), tmp_path / "other.safetensors")
    fewer = synthesise(50, (40,), (1.0,), seed=1)
    save(seeded_recommender(fewer, 4, 0, hidden=(2,)), tmp_path / "fewer.safetensors")
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "odd.safetensors")
    for name, text in (
        ("other", "tables of (40, 200) rows are not those of dlrm: (40, 201)"),
        ("fewer", "tables of (40, 200) rows are not those of dlrm: (40,)"),
        ("odd", "not a recommender that can be read here"),
    ):
        ended = shell("run", "dlrm", "--trace", clicks, "--weights", str(tmp_path / f"{name}.safetensors"))
        assert ended.code == 2 and text in ended.err


@pytest.mark.parametrize("failing", [1, 5])
def test_a_folder_is_written_whole_or_not_at_all(
    shell: Shell, clicks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    out = tmp_path / "out"

    original, calls = Path.replace, []

    def full(self: Path, target: Path) -> Any:
        calls.append(target)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")
        return original(self, target)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", full)
        ended = shell("run", "dlrm", "--trace", clicks, *FAST, "--out", str(out))
    assert ended.code == 2 and "No space left" in ended.err and ended.out == ""
    assert contents(tmp_path) == {}
    # What could not be written at all is found before the work.
    (tmp_path / "file").write_text("taken")
    ended = shell("run", "dlrm", "--trace", clicks, "--out", str(tmp_path / "file"))
    assert ended.code == 2 and "is not a folder" in ended.err


def test_the_help_says_what_a_trace_does(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    ended = shell("run", "--help")
    text = " ".join(ended.out.replace("│", " ").split())
    for expected in (
        "--trace",
        "run it whole",
        "80 % of the queries",
        "else 256, or all where there are fewer",
        "--table-area",
    ):
        assert expected in text


@pytest.mark.parametrize("batch", [(), ("--batch", "1"), ("--batch", "3")])
def test_without_a_trace_a_batch_is_1_where_none_is_given(shell: Shell, batch: tuple[str, ...]) -> None:
    ended = shell("run", "dlrm", "--schedule", "naive", *batch, "--json", "-")
    assert ended.code == 0
    assert ended.json()["model"]["batch"] == (3 if batch[1:] == ("3",) else 1)
