"""The last value of a parameter at which accuracy is kept: the bisection, its intervals, its ranges, and real networks."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.errors import MhoError, OptionError
from mho.explore import bisection as module
from mho.explore.bisection import find, looks
from mho.explore.finding import Finding, Loss, bisect
from mho.explore.intervals import paired_loss
from mho.explore.parameters import ordered
from mho.files.store import Store
from mho.network.samples import Samples, load_samples
from mho.program import Program
from tests.command_line import Shell
from tests.strategies import GREEDY

DIGITS = files("mho.samples")


# The bisection


@settings(max_examples=200)
@given(st.integers(2, 400), st.data())
def test_the_boundary_is_found_between_neighbours_in_logarithmically_many_measures(
    count: int, data: st.DataObject
) -> None:
    values = tuple(range(count))
    rising = data.draw(st.booleans())
    first = data.draw(st.integers(1, count - 1))
    asked: list[float] = []

    def measure(value: float) -> Loss:
        asked.append(value)
        lost = 0.5 if (value < first) == rising else 0.001
        return Loss(lost, lost - 0.0005, lost + 0.0005, 100, 1)

    found = bisect(values, 0.01, measure)
    assert found.within is not None and found.beyond is not None
    assert (found.upward, found.decided) == (rising, True)
    kept, lost = (first, first - 1) if rising else (first - 1, first)
    assert (found.within.value, found.beyond.value) == (kept, lost)
    assert len(asked) == len(set(asked)) <= 2 + math.ceil(math.log2(count))


@settings(max_examples=100)
@given(st.integers(4, 200), st.data())
def test_values_that_samples_cannot_decide_are_named_and_not_taken_for_kept(count: int, data: st.DataObject) -> None:
    begin = data.draw(st.integers(1, count - 2))
    end = data.draw(st.integers(begin, count - 2))

    def measure(value: float) -> Loss:
        middle = 0.0 if value < begin else 0.01 if value <= end else 0.1
        return Loss(middle, middle - 0.004, middle + 0.004, 100, 1)

    found = bisect(tuple(range(count)), 0.01, measure)
    assert found.within is not None and found.beyond is not None
    assert found.within.value == begin - 1
    assert (found.beyond.value, found.beyond.side, found.decided) == (begin, "open", False)


@pytest.mark.parametrize(("share", "half", "decided"), [(0.0, 0.001, True), (0.5, 0.1, True), (0.01, 0.02, False)])
def test_where_both_ends_are_alike_there_is_no_boundary_and_nothing_more_is_measured(
    share: float, half: float, decided: bool
) -> None:
    found = bisect((1, 2, 3, 4), 0.01, lambda value: Loss(share, share - half, share + half, 10, 1))
    assert len(found.probes) == 2
    assert found.upward is None and found.decided == decided


def test_looks_double_and_end_with_all() -> None:
    assert looks(500, 1) == (64, 128, 256, 500)
    assert looks(64, 1) == (64,) and looks(10, 1) == (10,)
    assert all(size % 24 == 0 for size in looks(240, 24))


# The interval


def test_the_interval_of_a_paired_loss_is_that_of_agresti_and_min() -> None:
    before = np.array([True] * 90 + [False] * 10)
    after = before.copy()
    after[:7], after[90:92] = False, True
    lost, low, high = paired_loss(before, after[None])
    # 7 lost and 2 won of 100: each of the four outcomes gets half a sample more (their equation for adjusted Wald).
    middle = (7.5 - 2.5) / 102
    half = 1.959964 * math.sqrt((7.5 + 2.5) - (7.5 - 2.5) ** 2 / 102) / 102
    assert lost == pytest.approx(0.05)
    assert (low, high) == pytest.approx((middle - half, middle + half), rel=1e-6)


def test_the_interval_holds_the_true_loss_as_often_as_it_says() -> None:
    generator = np.random.default_rng(5)
    for lost, won in ((0.05, 0.02), (0.002, 0.001)):
        held = 0
        for _ in range(400):
            drawn = generator.random(300)
            before = np.ones(300, dtype=bool)
            before[drawn > 1 - won] = False
            after = ~(drawn < lost)
            _, low, high = paired_loss(before, after[None])
            held += low <= lost - won <= high
        # 400 trials of 0.95 have a standard error of 0.011.
        assert held / 400 > 0.95 - 4 * 0.011


def test_chips_that_differ_widen_the_interval() -> None:
    generator = np.random.default_rng(1)
    before = np.ones(500, dtype=bool)
    alike = np.stack([generator.random(500) > 0.1 for _ in range(4)])
    differing = np.stack([generator.random(500) > lost for lost in (0.01, 0.05, 0.14, 0.2)])
    widths = [high - low for _, low, high in (paired_loss(before, each) for each in (alike, differing))]
    assert widths[1] > 3 * widths[0]


# The ranges


def test_ranges_come_from_the_types_of_parameters() -> None:
    assert ordered("adc.bits").values == tuple(range(1, 25))
    assert ordered("chip.array.cell_bits").values == tuple(range(1, 9))
    assert ordered("chip.array.rows", 16, 256, 16).values == tuple(range(16, 257, 16))
    sigma = ordered("device.programming.sigma").values
    assert (sigma[0], sigma[-1]) == (0.0, 1.0) and len(sigma) < 400
    ratios = [later / earlier for earlier, later in pairwise(sigma[1:])]
    assert max(ratios) < 1.06 and min(ratios) > 1
    age = ordered("age_s", 1, 1e8).values
    assert (age[0], age[-1]) == (1, 1e8)
    assert ordered("adc.gain_error", 0, 0.3, 0.1).values == (0.0, 0.1, 0.2, 0.3)


@pytest.mark.parametrize(
    ("key", "ends", "words"),
    [
        ("adc.range", (), "has no order: it takes full, fixed, calibrated"),
        ("chip.array.coding", (), "has no order"),
        ("chip.components.adc", (), "unknown key"),
        ("device.programming.kind", (), "has no order"),
        ("device.nothing", (), "unknown key"),
        ("seed", (), "unknown key"),
        ("adc.bit", (), "did you mean adc.bits"),
        ("age_s", (), "has no upper end of its own; give its range"),
        ("adc.bits", (8, 4), "needs LOW < HIGH"),
        ("adc.bits", (1.5, 4), "takes whole numbers"),
        ("adc.bits", (1, 9, 0), "gives no grid"),
        ("age_s", (0, 1e9, 1e-3), "gives no grid"),
    ],
)
def test_parameters_without_order_and_ranges_that_are_none_are_refused(
    key: str, ends: tuple[float, ...], words: str
) -> None:
    with pytest.raises(OptionError) as refused:
        ordered(key, *ends)
    assert words in str(refused.value)


# Real networks


@pytest.fixture(scope="module")
def digits() -> tuple[Program, Samples, Samples]:
    """The network for real digits that comes with mho, compiled, and the digits that it never saw."""
    network = mho.Network.from_onnx(str(DIGITS / "digits.onnx"))
    given, measured = (load_samples(str(DIGITS / name), network) for name in ("digits.npz", "calibration.npz"))
    return (
        mho.compile(mho.number.quantise(network, measured.inputs), "aras", GREEDY.with_(schedule="overlap")),
        given,
        measured,
    )


def test_bits_of_real_digits_are_found_and_taken_up_again(
    digits: tuple[Program, Samples, Samples], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, given, measured = digits
    path = tmp_path / "results.jsonl"
    found = find(program, given, over=ordered("adc.bits"), loss=40, calibration=measured, done=Store(path))
    # 9 bits hold any sum of 128 rows of 2-bit cells: exact, without a sample; 1 bit loses nearly all.
    probes = {probe["value"]: probe for probe in found.records}
    assert probes[24]["proven"] and probes[12]["proven"] and not probes[1]["proven"]
    assert found.content["decided"] and found.value is not None and 2 <= found.value <= 6
    assert found.content["next"] == found.value - 1
    assert f"adc.bits at least {found.value}: no more than 40 points are lost" in found.sentence
    for value, probe in probes.items():
        alone = mho.explore.evaluate(
            program, given, mho.machine.Analog().override({"adc.bits": value}), calibration=measured
        )
        assert (alone.in_integers - alone.accuracy <= 0.4) == (probe["side"] == "within")

    def none(*_: object, **__: object) -> None:
        raise AssertionError("executed again")

    monkeypatch.setattr(module, "Executor", none)
    monkeypatch.setattr(module, "run_reference", none)
    again = find(program, given, over=ordered("adc.bits"), loss=40, calibration=measured, done=Store(path))
    assert again.to_dict() == found.to_dict()
    assert Finding.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_few_samples_cannot_decide_and_say_so(digits: tuple[Program, Samples, Samples]) -> None:
    program, given, measured = digits
    few = given.spread(40)
    found = find(program, few, over=ordered("adc.bits", 2, 12), loss=1, calibration=measured)
    assert not found.content["decided"] and "40 samples cannot decide" in found.sentence
    assert found.value == 9
    told = found.to_dict()
    assert (told["decided"], told["next"], told["side"]) == (False, 8, "least")


def test_the_largest_variation_is_found_too(digits: tuple[Program, Samples, Samples]) -> None:
    program, given, measured = digits
    analog = mho.machine.Analog().override({"adc.bits": 9})
    over = ordered("device.programming.sigma", 0, 0.8, 0.1)
    found = find(program, given.spread(128), analog, over=over, loss=30, seeds=3, calibration=measured)
    assert found.to_dict()["side"] == "largest"
    assert found.value in (0.1, 0.2)
    assert max(probe["chips"] for probe in found.records) == 3


def test_rows_of_the_chip_compile_anew(digits: tuple[Program, Samples, Samples]) -> None:
    program, given, measured = digits
    with pytest.raises(OptionError, match="another chip needs another program"):
        find(program, given, over=ordered("chip.array.rows", 8, 16), loss=1)

    def build(changes: object) -> Program:
        chip = mho.Chip.load("aras").override(changes, source="test")  # type: ignore[arg-type]
        return mho.compile(program.quantised, chip, GREEDY.with_(schedule="overlap"))

    found = find(build, given.spread(128), over=ordered("chip.array.rows", 16, 128, 16), loss=5, calibration=measured)
    # 21 rows of 2-bit cells sum to 63: 16 rows are exact with 6 bits.
    assert found.records[0]["proven"]
    assert found.to_dict()["side"] in (None, "largest")


@pytest.mark.parametrize(
    ("loss", "seeds", "words"), [(0.0, 1, "above 0"), (100.0, 1, "below 100"), (1.0, 0, "at least 1")]
)
def test_senseless_questions_are_refused(
    digits: tuple[Program, Samples, Samples], loss: float, seeds: int, words: str
) -> None:
    program, given, _ = digits
    with pytest.raises(OptionError, match=words):
        find(program, given, over=ordered("adc.bits"), loss=loss, seeds=seeds)


def test_a_value_that_does_not_fit_is_named_with_what_would_help(digits: tuple[Program, Samples, Samples]) -> None:
    program, given, _ = digits
    pairs = mho.Chip.load("aras").override({"array.coding": "differential"}, source="test")
    with pytest.raises(MhoError, match=r"adc\.bits=1: .*at least 2 bits.*narrower range than adc\.bits=1:24"):
        find(mho.compile(program.quantised, pairs, GREEDY), given, over=ordered("adc.bits"), loss=1)


# On the command line


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    """Run commands in this process, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return Shell(monkeypatch, capsys)


def accuracy(*more: str) -> tuple[str, ...]:
    data = ("--data", str(DIGITS / "digits.npz"), "--calibration", str(DIGITS / "calibration.npz"))
    return ("accuracy", str(DIGITS / "digits.onnx"), *data, "--schedule", "overlap", *more)


def test_find_on_the_command_line_tells_json_and_a_page(shell: Shell, tmp_path: Path) -> None:
    ended = shell(*accuracy("--samples", "128", "--find", "adc.bits=3:10", "--loss", "40", "--out", "out"))
    assert (ended.code, ended.err) == (0, "")
    assert "adc.bits at least" in ended.out and "95 % interval" in ended.out and "exact" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 100
    page = (tmp_path / "out" / "finding.html").read_text()
    assert "adc.bits at least" in page and "<script" not in page
    found = json.loads((tmp_path / "out" / "finding.json").read_text())
    jsonschema.validate(found, json.loads((files("mho.explore") / "finding.schema.json").read_text(encoding="utf-8")))
    assert shell(*accuracy("--samples", "128", "--find", "adc.bits=3:10", "--loss", "40", "--json")).json() == found


def test_accuracy_with_nothing_set_names_the_converters_and_what_would_help(shell: Shell, tmp_path: Path) -> None:
    ended = shell(*accuracy("--samples", "64", "--set", "adc.bits=5", "--out", "out"))
    assert ended.code == 0
    first = ended.out.splitlines()[0]
    assert first.startswith("5-bit converters fall short in 3 of 4 layers")
    assert "the converters are the reason" in " ".join(ended.out.split())
    found = json.loads((tmp_path / "out" / "accuracy.json").read_text())
    assert found["converters"]["short"] == 3
    tried = {
        ", ".join(f"{key}={value}" for key, value in remedy["changes"].items()): remedy for remedy in found["remedies"]
    }
    assert tried[""]["samples"] == 32 and not tried[""]["enough"]
    assert tried["adc.bits=ideal, adc.range=full"]["enough"] and tried["adc.bits=9, adc.range=full"]["enough"]
    assert tried["adc.bits=9, adc.range=full"]["right"] == tried[""]["right_in_integers"]
    assert "the converters are the reason" in (tmp_path / "out" / "accuracy.html").read_text()
    kept = shell(*accuracy("--samples", "64", "--set", "adc.bits=9", "--json")).json()
    assert kept["remedies"] is None and kept["converters"]["short"] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--loss", "1"), "--loss is for --find"),
        (("--find", "adc.bits", "--loss", "0"), "above 0 and below 100"),
        (("--find", "adc.range", "--loss", "1"), "--find adc.range has no order"),
        (("--find", "age_s"), "give its range: age_s=LOW:HIGH"),
        (("--find", "adc.bits=4"), "--find takes KEY"),
        (("--find", "adc.bits=a:b"), "--find takes KEY"),
        (("--find", "adc.bits=1:nan"), "--find takes KEY"),
        (("--find", "adc.bits", "--set", "adc.bits=6"), "sought by --find and set by --set"),
        (("--find", "chip.array.adc_bits=4:8", "--set", "adc.bits=6"), "changes no answer: adc.bits is 6"),
        (("--find", "adc.bits", "--csv", "-"), "--csv is for the layers"),
    ],
)
def test_what_find_cannot_mean_is_refused_at_once(shell: Shell, words: tuple[str, ...], told: str) -> None:
    ended = shell(*accuracy(*words))
    assert ended.code == 2 and told in ended.err and ended.out == ""
