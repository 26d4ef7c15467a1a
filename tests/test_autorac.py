"""A joint search goes on where it stopped, is the same with any number of workers, and what it says follows from what it keeps."""

from __future__ import annotations

import json
import math
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

import mho
from mho.chip import Chip
from mho.errors import OptionError
from mho.explore.autorac import finals, run
from mho.explore.autorac.choosing import TOLERANCE, best_of, chosen_of, close_of, picked
from mho.explore.autorac.finals import LOST
from mho.explore.autorac.forms import forms
from mho.explore.autorac.learning import Judged, front_of
from mho.explore.autorac.outcome import COSTS, NAIVE, SEARCHED, Autorac
from mho.explore.autorac.run import autorac
from mho.explore.autorac.space import JointSpace
from mho.machine.recommender import load
from mho.network.clicks import Clicks
from mho.network.zoo.interaction.space import ModelSpace
from mho.strategy import Strategy
from mho.studies.autorac.chapters import designs_chapter, factors_chapter, origin_chapter, sides_chapter
from mho.studies.autorac.search import kept_of, ladder
from mho.training.clicks import Settings
from mho.training.clicks.judge import judge
from tests.command_line import Shell

SMALL = JointSpace(
    ModelSpace(blocks=2, widths=(8, 16), counts=(4, 8)),
    {"array.rows": (64, 128), "array.adcs": (1, 2), "tiles": ("fit",)},
)
TASK: dict[str, Any] = {
    "space": SMALL, "settings": Settings(epochs=1, dimension=4, batch=256), "budget": 24, "tries": 6, "sides": True,
    "trained": 2, "seeds": 2, "published": (), "hand_made": ("fm",), "behind": 4, "device": "ideal",
}  # fmt: skip


def made_up(records: int = 1200, seed: int = 0) -> Clicks:
    """Make clicks up in which the product of two fields counts."""
    random = np.random.default_rng(seed)
    x = random.integers(0, (6, 5, 4), (records, 3)).astype(np.int32)
    chance = 1 / (1 + np.exp(-(x[:, 0] - 2.5) * (x[:, 1] - 2.0)))
    y = (random.random(records) < chance).astype(np.uint8)
    fold = (np.arange(records) % 10 - 7).clip(0).astype(np.uint8)
    return Clicks(x, y, fold, (6, 5, 4), ("user", "item", "hour"), "made up", synthetic=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("autorac") / "out"


@pytest.fixture(scope="module")
def found(folder: Path) -> Autorac:
    return autorac(made_up(), folder, **TASK)


def test_parts_of_what_was_found_fit_each_other(found: Autorac, folder: Path) -> None:
    content = found.content
    assert 0 < content["judged"] <= TASK["budget"] and 3 <= content["search"]["tries"] <= TASK["tries"]
    fronts = [[each[key] for key in ("log_loss", *COSTS)] for each in content["front"]]
    assert fronts and not any(
        all(a <= b for a, b in zip(one, two, strict=True)) and one != two for one in fronts for two in fronts
    )
    assert {each["kind"] for each in content["designs"]} == {SEARCHED, "hand-made"}
    chosen, baseline = found.chosen, content["designs"][-1]
    assert chosen is not None
    (factor,) = content["factors"]
    assert factor["latency"] == pytest.approx(baseline["latency_s"] / chosen["latency_s"])
    sure = factor["energy_sure"]
    assert sure["factor"] == pytest.approx(factor["energy"]) and sure["low"] < sure["factor"] < sure["high"]
    assert sure["said"].startswith(chosen["name"]) and sure["decided"] == ("undecided" not in sure["said"])
    assert factor["power"] == pytest.approx(factor["energy"] * factor["latency"])
    assert [len(each["seeds"]["test"]) for each in (chosen, baseline)] == [2, 2] and factor["seeds"] == 2
    assert chosen["executed"]["log_loss"] == pytest.approx(chosen["test"]["log_loss"], abs=1e-12)
    assert chosen["executed"]["records"] == content["data"]["records"]["test"]
    assert set(content["sides"]["fronts"]) == {"joint", "model first", "chip alone"}
    assert any("synthetic" in note for note in content["notes"])
    assert Autorac.from_dict(found.to_dict()).to_dict() == found.to_dict()


def test_the_study_tells_what_was_found_and_its_steps_end_with_the_chosen_design(found: Autorac) -> None:
    kept = json.loads(json.dumps(kept_of(found)))
    for each in (*kept["designs"], *kept["factors"]):
        each["kind"] = NAIVE if each["kind"] == "hand-made" else each["kind"]
    steps, chosen = ladder(kept), found.chosen
    assert chosen is not None and list(steps) == ["naive", "model", "bits", "chip", "copies"]
    assert steps["copies"]["latency_s"] == pytest.approx(chosen["latency_s"], rel=1e-6)
    assert steps["copies"]["area_m2"] == pytest.approx(chosen["area_m2"], rel=1e-6)
    told = {"made up": kept}
    factors, origin = factors_chapter(told), origin_chapter({"made up": steps})
    product = math.prod(origin.rows[f"origin/latency_s/made up {step}"].ours or 0.0 for step in steps)
    assert product == pytest.approx(steps["naive"]["latency_s"] / steps["copies"]["latency_s"])
    assert factors.rows["factors/naive/latency/made up"].ours == found.content["factors"][0]["latency"]
    assert factors.rows["factors/hand/latency/made up"].ours is None
    for chapter in (factors, origin, designs_chapter(told), sides_chapter(told)):
        assert chapter.finished().tables


def test_kept_weights_on_the_kept_chip_are_what_was_told(found: Autorac, folder: Path) -> None:
    for each in found.content["designs"]:
        home = folder / "designs" / each["name"]
        recommender = load(home / "recommender.safetensors")
        told = judge(recommender, made_up(), "test")
        assert told.log_loss == each["test"]["log_loss"] and told.auc == each["test"]["auc"]
        assert each["verified"].startswith("bit-exact")
        chip = Chip.load(home / "chip.yaml")
        assert yaml.safe_load((home / "chip.yaml").read_text("utf-8"))["extends"] == "isaac"
        strategy = mho.Strategy.from_dict(each["strategy"])
        report = mho.simulate(mho.compile(recommender.for_batch(1), chip, strategy))
        assert report.latency_s == pytest.approx(each["latency_s"], rel=1e-9)
        assert report.energy_j == pytest.approx(each["energy_j"], rel=1e-9)


def test_what_is_kept_is_not_done_again(found: Autorac, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_kept = (folder / "results.jsonl").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr("mho.explore.autorac.finals.Training", None)
        assert autorac(made_up(), folder, **TASK).to_dict() == found.to_dict()
    assert (folder / "results.jsonl").read_bytes() == bytes_kept


@pytest.mark.nightly
def test_a_new_folder_and_other_workers_end_with_the_same(found: Autorac, folder: Path, tmp_path: Path) -> None:
    kept = (folder / "results.jsonl").read_bytes().splitlines(keepends=True)
    other = tmp_path / "other"
    other.mkdir()
    (other / "results.jsonl").write_bytes(b"".join(kept[: -len(kept) // 4]) + b"torn")
    again = autorac(made_up(), other, **{**TASK, "sides": False}, workers=2)
    assert {**again.to_dict(), "sides": found.content["sides"]} == found.to_dict()


def test_designs_to_train_are_those_that_lose_least_and_the_least_costly_of_their_range() -> None:
    models = forms(ModelSpace(blocks=2, widths=(8, 16), counts=(4,), alone=True))[:8]

    def of(number: int, loss: float, cost: float) -> Judged:
        return Judged(number, models[number], {}, loss, cost, 1.0, 1.0, unresolved=0)

    front = [of(n, 0.1 + 0.001 * n, 10.0 - n) for n in range(8)]
    assert picked(front, 2) == [models[0], models[3]]
    assert picked(front, 4) == [models[0], models[1], models[3]] and picked(front, 6) == models[:4]
    assert picked(front[:1], 3) == models[:1]
    assert front_of([*front, *front]) == front
    assert front_of([Judged(8, models[0], {}, 0.0, 0.0, 0.0, 0.0, unresolved=1), *front]) == front


def test_a_model_that_others_drove_from_the_front_has_no_chip_and_is_not_trained() -> None:
    models = forms(ModelSpace(blocks=2, widths=(8, 16), counts=(4,), alone=True))[:3]
    front = [Judged(n, models[n], {"tiles": "fit"}, 0.1, 1.0, 1.0, 1.0, unresolved=0) for n in (0, 2)]
    task: Any = SimpleNamespace(strategy=Strategy(), trained_at=lambda model: ())
    assert [(job.name, job.model) for job in run._searched(task, front, models)] == [
        ("s1", models[0]),
        ("s3", models[2]),
    ]


def test_what_a_device_ruins_or_converters_cut_off_is_not_chosen() -> None:
    def of(name: str, kind: str, valid: float, cost: float, lost: float = 0.0, unresolved: int = 0) -> dict[str, Any]:
        costs = {"latency_s": cost, "energy_j": 1.0, "area_m2": 1.0}
        return {
            "name": name,
            "kind": kind,
            "valid": {"log_loss": valid},
            "lost": lost,
            "unresolved": unresolved,
            **costs,
        }

    baseline = of("base", "hand-made", 0.5, 9.0)
    noisy, cut = of("noisy", SEARCHED, 0.5, 1.0, lost=2 * LOST), of("cut", SEARCHED, 0.5, 1.0, unresolved=1)
    sound = of("sound", SEARCHED, 0.5, 2.0)
    assert chosen_of([noisy, cut, sound, baseline]) == sound
    assert chosen_of([noisy, cut, baseline]) is None
    assert chosen_of([of("worse", SEARCHED, 0.6, 0.1), sound, baseline]) == sound
    near, far = of("near", SEARCHED, 0.5 + 1.5 * TOLERANCE, 1.0), of("far", SEARCHED, 0.5 + 2.5 * TOLERANCE, 1.0)
    assert close_of([noisy, near, far, sound, baseline]) == [near, sound] and close_of([far, baseline]) == [far]
    assert chosen_of([near, sound, baseline]) == sound
    lucky = {**sound, "seeds": {"valid": [0.5, 0.5 + 4 * TOLERANCE]}}
    steady = {**near, "seeds": {"valid": [0.5 + 1.5 * TOLERANCE, 0.5]}}
    assert chosen_of([lucky, steady, baseline]) == steady
    again = {**of("again", "hand-made", 0.51, 9.0), "seeds": {"valid": [0.51, 0.51]}}
    assert best_of([{**baseline, "seeds": {"valid": [0.5]}}, again], "hand-made") == again
    assert best_of([baseline], SEARCHED) is None


def test_devices_are_asked_for_chips_from_the_least_costly_on_until_one_is_sound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    costs, lost = {"a": 3.0, "b": 1.0, "c": 2.0, "d": 0.5}, {"a": 0.0, "b": 2 * LOST, "c": 0.5 * LOST, "d": 0.0}
    asked: list[str] = []

    class Made:
        def __init__(self, chip: Any, strategy: Any, values: Any) -> None:
            self.name = values["chip"]

        def measured(self, recommender: Any) -> tuple[dict[str, Any], Any]:
            figures = {"latency_s": costs[self.name], "energy_j": 1.0, "area_m2": 1.0, "interval_s": 1.0}
            return figures | {"unresolved": int(self.name == "d")}, SimpleNamespace(program=self.name)

    def executed(program: str, *more: Any) -> tuple[Any, Any]:
        asked.append(program)
        return SimpleNamespace(log_loss=0.5 + lost[program]), SimpleNamespace(log_loss=0.5)

    monkeypatch.setattr(finals, "Machine", Made)
    monkeypatch.setattr(finals, "noisy", executed)
    work: Any = finals.Finals("", Chip.load("isaac"), "taox", 0)
    model = forms(ModelSpace(blocks=2, widths=(8,), counts=(4,), alone=True))[0]

    def best(*chips: str) -> tuple[str, float]:
        job = finals.Job("s1", SEARCHED, model, Strategy(), tuple({"chip": each} for each in chips), ())
        asked.clear()
        report, own = work._best(job, None, SimpleNamespace(valid=None))
        assert chips[own["place"]] == report.program
        return report.program, own["lost"]

    assert best(*"abcd")[0] == "c" and asked == ["b", "c"]
    assert best("a", "d")[0] == "a" and asked == ["a"]
    assert best("b", "d")[0] == "d" and asked == ["b", "d"], "none is sound: the one that loses least"


@pytest.mark.parametrize("alone", [True, False])
def test_forms_of_hand_made_models_are_of_the_space(alone: bool) -> None:
    space = ModelSpace(blocks=2, widths=(8, 16), counts=(4, 8), alone=alone)
    found = forms(space)
    assert len({model.key() for model in found}) == len(found) >= 10
    for model in found:
        assert space.genotype(space.indices(model)) == model
        assert bool(model.ends[1]) != alone
    assert {"fc", "dot", "gate"} <= {dense.kind for model in found for dense in model.dense}


def test_a_supernet_scores_the_designs_where_it_is_asked_to(tmp_path: Path) -> None:
    task = {
        **TASK,
        "score": "shared",
        "steps": 8,
        "budget": 8,
        "sides": False,
        "seeds": 1,
        "trained": 1,
        "hand_made": (),
    }
    del task["tries"]
    found = autorac(made_up(), tmp_path / "shared", **task)
    assert found.content["judged"] == 8 and found.content["search"]["steps"] == 8 and found.content["sides"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"budget": 0},
        {"steps": True},
        {"score": "short"},
        {"tries": 3},
        {"score": "short", "tries": None, "steps": 4},
        {"settings": ()},
        {"score": "best"},
        {"trained": -1},
        {"hand_made": ("searched",)},
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_written(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(OptionError):
        autorac(made_up(), tmp_path / "none", **{**TASK, **wrong})
    assert not (tmp_path / "none").exists()


def test_the_command_tells_sizes_and_finds_what_python_finds(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made_up().save("log.npz")
    assert "10^63.55 designs of which no two are the same" in shell("autorac", "log.npz", "--size").out
    words = ["autorac", "log.npz", "--blocks", "1", "--widths", "8", "--counts", "4", "--budget", "8", "--tries", "6"]
    words += ["--trained", "1", "--drop", "0"]
    few = (*words, "--published", "none", "--hand-made", "fm", "--epochs", "1", "--dimension", "4")
    logic = ["--rtl"] * (find_spec("amaranth") is not None)
    ended = shell(*few, *logic, "--out", "out")
    assert ended.code == 0, ended.err
    content = json.loads((tmp_path / "out" / "autorac.json").read_text("utf-8"))
    assert content["schema"] == "mho.autorac/1" and len(content["designs"]) == 2
    if logic:
        (searched,) = (each["name"] for each in content["designs"] if each["kind"] == SEARCHED)
        said = (tmp_path / "out" / "designs" / searched / "rtl.txt").read_text("utf-8")
        assert "bit-exact" in said or said.startswith("no Verilog")
    page = (tmp_path / "out" / "autorac.html").read_text("utf-8")
    assert "mho train clicks.npz --model" in page and "What design" in page
    assert (tmp_path / "out" / "autorac.svg").is_file()
    assert "from cells of its chip" in page or "none" in ended.out
    assert shell(*few).code == 2
    assert "--tries does not change" in shell("autorac", "log.npz", "--size", "--tries", "9").err
    assert "leave --out and --rtl away" in shell("autorac", "log.npz", "--size", "--out", "out").err
