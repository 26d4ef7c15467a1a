"""mho explore on the command line: its files, the commands that make its designs again, and what it refuses."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.command_line import Shell


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write nothing outside."""
    monkeypatch.chdir(tmp_path)


AXES = ("--over", "tiles=4,8", "--over", "array.adcs=8,16", "--over", "schedule=naive,overlap")


def test_each_command_makes_its_design_again(shell: Shell) -> None:
    told = shell("explore", "resnet20", *AXES, "--set", "memory.bandwidth=3e10", "--banks", "greedy", "--json", "-")
    content = told.json()
    assert told.code == 0 and len(content["points"]) == 8 and content["measured"]
    for design in content["measured"]:
        mho, *words = shlex.split(design["command"])
        report = shell(*words, "--json", "-").json()
        assert mho == "mho" and report["latency_s"] == design["latency_s"]
        assert report["energy_j"]["total"] == design["energy_j"] and report["area_m2"]["total"] == design["area_m2"]
        assert report["bound_ratio"] == design["bound_ratio"] and report["converters"]["short"] == design["unresolved"]


def test_networks_are_varied_and_several_are_set_side_by_side(shell: Shell) -> None:
    axes = (
        "--over",
        "network.batch=1,2",
        "--over",
        "tiles=8",
        "--schedule",
        "naive",
        "--minimise",
        "throughput,energy",
    )
    content = shell("explore", "resnet20", "resnet32", *axes, "--per", "each", "--json", "-").json()
    assert [aim["field"] for aim in content["aims"]] == [
        f"{field}:{name}" for field in ("throughput_per_s", "energy_j") for name in ("resnet20", "resnet32")
    ]
    for point in content["points"]:
        for name in ("resnet20", "resnet32"):
            batch = point["values"]["network.batch"]
            words = ("--batch", batch, "--set", "tiles=8", "--schedule", "naive", "--banks", "greedy")
            report = shell("run", name, *map(str, words), "--json", "-").json()
            assert point[f"throughput_per_s:{name}"] == report["throughput_per_s"]


def test_a_folder_holds_page_data_tables_and_reports_and_the_next_call_takes_them_up(
    shell: Shell, tmp_path: Path
) -> None:
    words = ("explore", "resnet20", *AXES, "--limit", "area=100", "--out", "out")
    first = shell(*words)
    out = tmp_path / "out"
    held = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    names = {str(path) for path in held if len(path.parts) == 1}
    assert names == {"explore.html", "explore.json", "explore.svg", "designs.csv", "designs.parquet", "results.jsonl"}
    content = json.loads((out / "explore.json").read_text())
    for design in content["measured"]:
        assert all((out / report).is_file() for report in design["report"])
    assert shell(*words).out == first.out
    assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()} == held


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "--over KEY=VALUES"),
        ("--over tile=4", "did you mean tiles"),
        ("--over tiles=4,x", "must be a number"),
        ("--over tiles=4 --set tiles=8", "one of them"),
        ("--over schedule=naive --schedule aras", "one of them"),
        ("--over network.batch=1,2 --batch 3", "one of them"),
        ("--over schedule=arras", "did you mean aras"),
        ("--over tiles=4 --when tiles", "compares nothing"),
        ("--over tiles=4 --limit area=3ms", "measures time"),
        ("--over tiles=4 --minimise tme", "did you mean time"),
        ("--over tiles=4 --search frnt", "did you mean front"),
        ("--over tiles=4 --per sum", "for several models"),
        ("--over tiles=4 --samples 3", "--data"),
        ("--over tiles=4 --seeds 3", "--data"),
        ("--over tiles=4 --calibration x.npz", "--data and --verify"),
        ("--over tiles=4 --verify --measure 0", "measures none"),
        ("--over tiles=4 --rtl", "with --verify and --out"),
        ("--over tiles=4 --verify --weights none", "cannot be executed"),
        ("--over tiles=4 --endurance 1e9", "lifetime"),
        ("--over tiles=4 --seed 3 --schedule naive", "--seed changes nothing"),
        ("--over tiles=4 --workers 5 --budget 3", "behind=5"),
        ("--over tiles=4 --space absent.yaml", "absent.yaml"),
        ("--over analog.adc.bits=4", "samples with labels"),
        ("--over tiles=4 --ray local --workers 2", "one of them"),
    ],
)
def test_what_is_wrong_or_changes_nothing_is_refused_in_a_line(
    words: str, said: str, shell: Shell, tmp_path: Path
) -> None:
    out = () if "--endurance" in words else ("--out", "out")  # Reports that are kept tell lifetimes.
    told = shell("explore", "resnet20", *words.split(), *out)
    assert told.code == 2 and told.err.count("\n") == 1 and said in told.err, told.err
    assert not list(tmp_path.iterdir())
