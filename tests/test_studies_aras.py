"""mho study aras: what it measures holds together, survives an interruption, and is what the documentation shows."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import mho
from benchmarks import study as pages
from mho import studies
from mho.errors import OptionError
from mho.studies.aras.measure import ALL
from mho.studies.aras.paper import NETWORKS, printed
from mho.studies.work import KEPT, Settings, Work
from tests.command_line import Shell, contents
from tests.strategies import GREEDY

SCHEMA = json.loads((files("mho.studies") / "study.schema.json").read_text(encoding="utf-8"))
KINDS = ("compute", "write", "static", "memory")


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Run commands in this process."""
    monkeypatch.delenv("MHO_DATA", raising=False)
    return Shell(monkeypatch, capsys)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[studies.Study, Path]:
    """A quick run, and its folder."""
    folder = tmp_path_factory.mktemp("quick") / "made"
    return studies.run("aras", folder, quick=True), folder


def ours(study: studies.Study, name: str) -> float:
    found = study.by_id[name].ours
    assert found is not None
    return found


def test_a_quick_run_gives_every_part_and_validates(quick: tuple[studies.Study, Path]) -> None:
    study, folder = quick
    jsonschema.validate(study.to_dict(), SCHEMA)
    assert json.loads((folder / "study.json").read_text(encoding="utf-8")) == study.to_dict()
    assert [part.id for part in study.parts] == [
        "figure-13",
        "figure-14",
        "figure-15",
        "table-4",
        "figure-16",
        "figure-17",
        "constants",
        "overheads",
        "table-3",
    ]
    drawn = {f"{plot.id}.svg" for part in study.parts for plot in part.plots}
    assert {path.name for path in folder.iterdir()} == {"study.json", "study.html", "study.md", KEPT, *drawn}
    # Other networks than the paper's are never set beside its figures.
    assert all(row.paper is None for row in study.rows if row.id.split("/")[0] != "overheads")


def check_energies(study: studies.Study, networks: tuple[str, ...]) -> None:
    """Kinds sum to the whole, and savings to what all of them save."""
    for network in networks:
        for configuration in ALL:
            whole = ours(study, f"figure-15/{configuration.name}/{network}")
            parts = [ours(study, f"figure-15/{configuration.name}/{kind}/{network}") for kind in KINDS]
            assert math.fsum(parts) == pytest.approx(whole, rel=1e-9)
        assert ours(study, f"figure-15/baseline/{network}") == 1
        steps = [ours(study, f"figure-15/saving/{step}/{network}") for step in ("banks", "replication", "reuse")]
        assert math.fsum(steps) == pytest.approx(ours(study, f"figure-15/saving/all/{network}"), abs=1e-9)
        saved = 100 * (1 - ours(study, f"figure-15/reuse/{network}"))
        assert saved == pytest.approx(ours(study, f"figure-15/saving/all/{network}"), abs=1e-9)


def check_times(study: studies.Study, networks: tuple[str, ...]) -> None:
    """Speed-ups follow from throughputs, no bound is beaten, and adaptive is never slower."""
    for network in networks:
        per_s = {
            each: ours(study, f"figure-14/throughput/{each}/{network}") for each in ("overlap", "aras", "adaptive")
        }
        for schedule in ("aras", "adaptive"):
            factor = ours(study, f"figure-14/speed-up/{schedule}/{network}")
            assert factor == pytest.approx(per_s[schedule] / per_s["overlap"], rel=1e-9)
        assert per_s["adaptive"] >= max(per_s.values()) * (1 - 1e-9)
        for schedule in per_s:
            assert ours(study, f"figure-14/bound/{schedule}/{network}") >= 1 - 1e-9


def test_what_was_measured_holds_together(quick: tuple[studies.Study, Path]) -> None:
    check_energies(quick[0], ("resnet20",))
    check_times(quick[0], ("resnet20",))


def test_energy_and_time_are_those_of_a_plain_compilation(quick: tuple[studies.Study, Path]) -> None:
    """The study shows what anybody gets who compiles and simulates the same thing."""
    study, _ = quick
    chip = mho.Chip.load("aras-baseline").override({"tiles": 2}, source="test")
    network = mho.number.quantise(mho.zoo.load("resnet20", weights="seeded"))
    report = mho.simulate(mho.compile(network, chip, mho.Strategy().with_(schedule="overlap", banks="greedy")))
    assert ours(study, "figure-15/joules/resnet20") == pytest.approx(report.energy_j, rel=1e-12)
    static = report.to_dict()["energy_j"]["by_kind"]["static"] / report.energy_j
    assert ours(study, "figure-15/baseline/static/resnet20") == pytest.approx(static, rel=1e-12)
    assert chip.digest in study.chips.values()


def test_lifetimes_are_those_of_the_writes_and_scale_with_endurance_and_rate(
    quick: tuple[studies.Study, Path],
) -> None:
    study, _ = quick
    chip = mho.Chip.load("aras").override({"tiles": 2}, source="test")
    network = mho.number.quantise(mho.zoo.load("resnet20", weights="seeded"))
    found = mho.simulate(mho.compile(network, chip, mho.Strategy().with_(schedule="aras", alignment="auto"))).to_dict()
    writes = found["writes"]["addressed_per_cell_mean"]
    year = 365.25 * 86400
    most = ours(study, "table-4/most/aras/resnet20")
    assert most == pytest.approx(1e12 / writes / found["throughput_per_s"] / year, rel=1e-9)
    assert ours(study, "table-4/real-time/aras/resnet20") == pytest.approx(1e11 / writes / 30 / year, rel=1e-9)


def test_claims_under_constants_are_those_of_plain_compilations_and_readings_change_what_they_say(
    quick: tuple[studies.Study, Path],
) -> None:
    """On the set that Figure 15 has, the same savings; on the coherent set, those of chips compiled on it."""
    study, _ = quick
    for claim, step in {"banks": "banks", "replication": "replication", "reuse": "reuse", "all": "all"}.items():
        plain = ours(study, f"figure-15/saving/{step}/resnet20")
        assert ours(study, f"constants/set/aras/{claim}") == pytest.approx(plain, rel=1e-9, abs=1e-9)
    against = ours(study, "figure-17/saving/aras/resnet20")
    assert ours(study, "constants/set/aras/array") == pytest.approx(against, rel=1e-9)
    network, energies = mho.number.quantise(mho.zoo.load("resnet20", weights="seeded")), []
    for name in ("aras-coherent-baseline", "aras-coherent"):
        chip = mho.Chip.load(name).override({"tiles": 2}, source="test")
        banks = "greedy" if name.endswith("baseline") else "ilp"
        energies.append(
            mho.simulate(mho.compile(network, chip, mho.Strategy().with_(schedule="overlap", banks=banks))).energy_j
        )
    saved = 100 * (1 - energies[1] / energies[0])
    assert ours(study, "constants/set/coherent/banks") == pytest.approx(saved, rel=1e-9)
    assert ours(study, "constants/other/banks/as-it-is") == pytest.approx(saved, rel=1e-9)
    # Pulses as data change what reuse saves, and nothing before it.
    assert ours(study, "constants/set/pulses/banks") == ours(study, "constants/set/coherent/banks")
    assert ours(study, "constants/set/pulses/reuse") > ours(study, "constants/set/coherent/reuse")
    assert ours(study, "constants/low/all") < ours(study, "constants/set/aras/all") < ours(study, "constants/high/all")
    speeds = [ours(study, f"constants/speed/{reading}/resnet20") for reading in ("hidden", "exposed", "refetched")]
    assert speeds == sorted(speeds)


def interrupted_after(count: int) -> Callable[[str], None]:
    """Interrupt a study when it begins measurement number `count`."""
    told = iter(range(count))

    def say(text: str) -> None:
        if next(told, None) is None:
            raise KeyboardInterrupt

    return say


def test_an_interrupted_study_goes_on_and_gives_the_same_files(
    quick: tuple[studies.Study, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        studies.run("aras", tmp_path, quick=True, say=interrupted_after(3))
    assert [path.name for path in tmp_path.iterdir()] == [KEPT]
    begun = [json.loads(line)["name"] for line in (tmp_path / KEPT).read_text().splitlines()]
    assert len(begun) == 3
    measured: list[str] = []
    studies.run("aras", tmp_path, quick=True, say=measured.append)
    assert not set(begun) & set(measured)
    first = {path.name: path.read_bytes() for path in quick[1].iterdir()}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def one() -> dict[str, float]:
    return {"value": 1.0}


def test_what_was_kept_is_only_taken_up_where_nothing_that_it_rests_on_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chip = mho.Chip.load("aras")
    data = tmp_path / "some.npz"
    data.write_bytes(b"12")

    def standing(*rests: Any, study: str = "aras", name: str = "one", quick: bool = True) -> str:
        work = Work(study, Settings(quick=quick), tmp_path / "made")
        work.measure(name, one, *rests)
        return next(key for key, names in vars(work.standing).items() if names)

    rests = chip, data, [4, "greedy"]
    assert standing(*rests) == "missing" and standing(*rests) == "current"
    other = chip.override({"tiles": 4}, source="another")
    assert standing(other, *rests[1:]) == "changed"
    assert standing(chip.override({}, source="the same", name="renamed"), *rests[1:]) == "current"
    assert standing(*rests[:2], [4, "ilp"]) == "changed"
    assert standing(*rests, quick=False) == "changed"
    assert standing(*rests, study="sme") == "changed"
    assert standing(*rests, name="another") == "missing"
    with monkeypatch.context() as patch:
        patch.setattr("mho.studies.work.function_digest", lambda function: "changed code")
        assert standing(*rests) == "changed"
    assert standing(*rests) == "current"
    data.write_bytes(b"34")
    assert standing(*rests) == "changed"
    with pytest.raises(ValueError, match="JSON"):
        Work("aras", Settings(), tmp_path).measure("nan", lambda: {"value": math.nan})


def test_any_number_of_workers_gives_the_same_files(quick: tuple[studies.Study, Path], tmp_path: Path) -> None:
    studies.run("aras", tmp_path, quick=True, workers=2)
    shown = {path.name: path.read_bytes() for path in quick[1].iterdir() if path.name != KEPT}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != KEPT} == shown


def test_a_change_of_one_side_leaves_the_other_up_to_date(
    quick: tuple[studies.Study, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a code that only the systolic array is simulated by; and of the chip of ARAS."""
    from mho.files import sources

    systolic = Path(mho.__file__).parent / "machine" / "systolic" / "folds.py"
    assert systolic in sources.files_of("mho.machine.systolic")
    now = studies.standing("aras", quick[1], quick=True)
    assert len(now.current) == 8 and not now.changed and not now.missing
    real = sources.function_digest
    with monkeypatch.context() as patch:
        patch.setattr(
            "mho.studies.work.function_digest",
            lambda function: real(function) + "changed" * (systolic in sources.covered(function)),
        )
        then = studies.standing("aras", quick[1], quick=True)
    assert then.changed == ["resnet20, tpu-like", "resnet20, events"] and len(then.current) == 6


def test_real_networks_are_measured_where_there_are_data_and_said_to_be_left_out_where_not(
    data: Path, quick: tuple[studies.Study, Path], tmp_path: Path
) -> None:
    without = quick[0].by_id["figure-13/real/mean"]
    assert without.ours is None and "--data" in without.note
    found = studies.run("aras", tmp_path, quick=True, data=data)
    for series in ("real", "real-narrow", "real-placed"):
        assert 0 < ours(found, f"figure-13/{series}/dscnn_int8_qdq") <= 1
    for series in ("lost", "lost-narrow"):
        assert -100 <= ours(found, f"table-3/{series}/dscnn_int8_qdq") <= 100
        assert "of 20 right" in found.by_id[f"table-3/{series}/dscnn_int8_qdq"].note


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("study", "arsa", "--out", "new"), "unknown study 'arsa'; did you mean aras"),
        (("study", "aras"), "--out"),
        (("study", "aras", "--out", "new", "--data", "absent"), "--data absent: no such folder"),
        (("study", "aras", "--out", "new", "--data", "."), "--data .: holds no cifar10/resnet8_fp32.onnx"),
        (("study", "aras", "--out", "file"), "file"),
        (("study", "aras", "--out", "new", "--json", "absent/x.json"), "no folder absent"),
    ],
)
def test_mistakes_get_one_line_and_leave_nothing(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("there already")
    before = contents(tmp_path)
    ended = shell(*words)
    assert ended.code == 2 and ended.out == ""
    assert said in ended.err and ended.err.count("\n") == 1
    assert contents(tmp_path) == before


def test_ctrl_c_ends_the_command_and_the_next_call_goes_on_and_prints_the_study(
    shell: Shell, tmp_path: Path, quick: tuple[studies.Study, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> object:
        raise KeyboardInterrupt

    folder = tmp_path / "new"
    words = ("study", "aras", "--quick", "--out", str(folder), "--json", "-")
    with monkeypatch.context() as patch:
        patch.setattr(mho.machine.systolic, "run", interrupted)
        ended = shell(*words)
    assert ended.code == 130 and "interrupted" in ended.err and ended.out == ""
    assert [path.name for path in folder.iterdir()] == [KEPT]
    ended = shell(*words)
    assert ended.code == 0 and ended.err == ""
    assert ended.json() == quick[0].to_dict()
    ended = shell("study", "aras", "--quick", "--out", str(folder), "--check")
    assert ended.code == 0 and ended.out == "8 measurements are up to date\n"


def test_the_help_names_every_study(shell: Shell) -> None:
    text = shell("study", "--help").out
    assert all(name in text for name in studies.STUDIES)
    with pytest.raises(OptionError, match="known: aras"):
        studies.title("nothing alike")


def test_the_papers_figures_have_a_section_and_derived_ones_say_how() -> None:
    content = (files("mho.studies.aras") / "paper.yaml").read_text(encoding="utf-8")
    import yaml

    for quantity in yaml.safe_load(content)["values"]:
        found = printed(quantity)
        assert found.source.startswith(("Section", "Table", "Abstract"))
        for key in found.values:
            note = found.note(key, "Reason.")
            assert note == "Reason." or note.startswith("Paper's figure derived: ")
    assert {*printed("throughput").values} == set(NETWORKS)
    with pytest.raises(KeyError):
        printed("what it does not print")


def test_studies_use_the_public_interface_only() -> None:
    allowed = (
        "mho.errors",
        "mho.machine",
        "mho.machine.bill",
        "mho.machine.endurance",
        "mho.machine.robustness",
        "mho.machine.systolic",
        "mho.network.samples",
        "mho.number.accuracy",
        "mho.schedule.adaptive",
    )
    for path in sorted(Path(str(files("mho.studies.aras"))).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                within = module == "mho" or module.startswith("mho.studies") or module in allowed
                assert within or not module.startswith("mho"), f"{path.name} imports {module}"


@pytest.fixture(scope="module")
def published() -> studies.Study:
    """The study that the documentation shows."""
    return pages.kept("aras")


def test_the_page_and_its_plots_are_what_the_json_gives(published: studies.Study) -> None:
    texts = pages.rendered(published)
    for path, text in texts.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python -m benchmarks.study --render"
    assert set((pages.DOCS / "images").glob("study-aras-*.svg")) == set(texts) - {pages.DOCS / "study-aras.md"}


def test_the_published_study_is_whole(published: studies.Study) -> None:
    jsonschema.validate(published.to_dict(), SCHEMA)
    assert published.settings["quick"] is False
    assert tuple(published.settings["means_over"]) == NETWORKS
    weighted = tuple(name for name in published.settings["networks"] if f"figure-15/joules/{name}" in published.by_id)
    assert set(NETWORKS) < set(weighted)
    check_energies(published, weighted)
    check_times(published, weighted)
    # Everything that paper.yaml holds stands in a row, and no other figure of the paper does.
    import yaml

    content = yaml.safe_load((files("mho.studies.aras") / "paper.yaml").read_text(encoding="utf-8"))
    held = sorted(float(value) for entry in content["values"].values() for value in entry["values"].values())
    shown = sorted(row.paper for row in published.rows if row.paper is not None)
    assert set(shown) == set(held)


def test_the_published_times_are_those_of_this_version(published: studies.Study) -> None:
    for name in ("resnet18", "bert-base"):
        report = mho.simulate(mho.compile(mho.zoo.load(name), "aras", GREEDY.with_(schedule="overlap")))
        assert ours(published, f"figure-14/throughput/overlap/{name}") == pytest.approx(
            report.throughput_per_s, rel=1e-9
        )
