"""Accuracy over chips: intervals, evaluations that go on where they stopped, and sweeps."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.errors import AnalogError, OptionError, OutputError, ProgramError
from mho.explore import evaluation, judge
from mho.explore.accuracy import Accuracy, decibels
from mho.explore.evaluation import Case, Evaluations, evaluate
from mho.explore.intervals import student, wilson
from mho.explore.sweeps import Sweep, point_of, sweep
from mho.files.store import Store, key_of
from mho.machine.analog.signals import Signals
from mho.machine.analog.spec import Analog
from mho.machine.calibration import calibrate
from mho.machine.functional import Executor
from mho.network.graph import Network
from mho.network.samples import Samples
from mho.number.accuracy import predicted
from mho.program import Program
from mho.report.views import view
from tests.command_line import write_onnx, write_samples
from tests.hand_sized import entry, hand_chip, linear
from tests.hand_sized import network as hand_network
from tests.strategies import GREEDY

ACCURACY = json.loads((files("mho.explore") / "accuracy.schema.json").read_text(encoding="utf-8"))
SWEEP = json.loads((files("mho.explore") / "sweep.schema.json").read_text(encoding="utf-8"))


def analog(**more: Any) -> Analog:
    """An analog side whose ADCs clip and whose cells vary, unless told otherwise."""
    adc = {"bits": 4, "range": "fixed", "limit": 15}
    content = {"schema": "mho.analog/1", "adc": adc, "device": "generic", **more}
    return Analog.from_dict(content).override({"device.programming.sigma": 0.06})


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A convolution of 3 channels of 6 x 6 pixels to 2, and its rectifier: 32 classes."""
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    write_onnx(path)
    return Network.from_onnx(path)


@pytest.fixture(scope="module")
def samples(network: Network) -> Samples:
    """Samples whose labels are mostly what the network says."""
    generator = np.random.default_rng(3)
    images = generator.standard_normal((12, 3, 6, 6))
    labels = predicted(mho.number.run_float(network, images)[network.outputs[0]])
    labels[::4] = (labels[::4] + 1) % 8
    return Samples((images,), labels, "drawn")


def compiled(network: Network, samples: Samples, changes: Mapping[str, Any] | None = None) -> Program:
    chip = hand_chip().override(dict(changes), source="test") if changes else hand_chip()
    return mho.compile(mho.number.quantise(network, samples.inputs), chip, GREEDY.with_(schedule="overlap"))


@pytest.fixture(scope="module")
def program(network: Network, samples: Samples) -> Program:
    """It is compiled for a chip of 8 x 9 cells an array."""
    return compiled(network, samples)


def whole(found: Accuracy) -> dict[str, Any]:
    content = found.to_dict()
    jsonschema.validate(content, ACCURACY)
    return content


# Intervals


@given(st.integers(1, 10_000), st.data())
def test_wilsons_ends_are_where_the_share_is_just_as_far_off_as_the_confidence_allows(count: int, data: Any) -> None:
    """Its definition: p with |share - p| = z sqrt(p (1 - p) / count); the ends 0 and 1 where the share is."""
    share = data.draw(st.integers(0, count)) / count
    for end in wilson(share, count):
        assert -1e-12 <= end <= 1 + 1e-12
        if 0 < end < 1:
            spread = math.sqrt(end * (1 - end) / count)
            assert math.isclose(abs(share - end), 1.959963984540054 * spread, rel_tol=1e-6, abs_tol=1e-9)
    low, high = wilson(share, count)
    assert low <= share + 1e-12 and share <= high + 1e-12


def test_students_interval_is_that_of_the_tables() -> None:
    """t(0.975, 4) is 2.776445; the numbers 1 to 5 have a standard deviation of sqrt(2.5)."""
    found = student([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.half is not None
    assert (found.mean, found.deviation) == (3.0, pytest.approx(math.sqrt(2.5)))
    assert found.half == pytest.approx(2.7764451 * math.sqrt(2.5) / math.sqrt(5), rel=1e-7)
    assert student([0.5]).half is None and student([0.5]).deviation is None


def test_students_interval_covers_the_mean_as_often_as_it_says() -> None:
    """Of 4000 intervals of 3 normal numbers 95 % cover, with a standard error of sqrt(0.95 x 0.05 / 4000) = 0.00345."""
    drawn = np.random.default_rng(11).standard_normal((4000, 3))
    found = [student(row.tolist()) for row in drawn]
    covered = np.mean([abs(each.mean) <= (each.half or 0.0) for each in found])
    assert abs(covered - 0.95) < 5 * math.sqrt(0.95 * 0.05 / 4000)


# One evaluation


def test_an_ideal_chip_is_as_accurate_as_the_integers_and_one_is_enough(program: Program, samples: Samples) -> None:
    found = evaluate(program, samples, Analog.from_dict({"schema": "mho.analog/1", "adc": "ideal"}), seeds=7)
    assert (found.draws, found.seeds) == (False, (0,))
    assert found.accuracy == found.in_integers and found.agreement == 1.0 and found.clip_rate == 0.0
    assert all(layer.noise == 0 and layer.signal > 0 and decibels(layer) is None for layer in found.layers)
    assert found.seed_interval is None and found.over_seeds.half is None
    assert any("nothing is drawn" in note for note in found.notes)
    assert whole(found)["layers"][0]["snr_db"] is None


def test_counts_are_those_of_every_chip_executed_alone(program: Program, samples: Samples) -> None:
    found = evaluate(program, samples, analog(seed=5), seeds=3)
    output = program.network.outputs[0]
    integers = predicted(mho.number.run_reference(program.quantised, samples.inputs)[output])
    signals = Signals()
    for place, seed in enumerate((5, 6, 7)):
        executor = Executor(program, analog(seed=seed))
        classes = predicted(executor.run(samples.inputs, signals=signals)[output])
        assert found.right[place] == (classes == samples.labels).sum()
        assert found.agreeing[place] == (classes == integers).sum()
    assert found.seeds == (5, 6, 7) and found.draws
    assert len(set(found.right)) > 1, "the chips are alike: nothing is tested"
    assert found.right_in_integers == (integers == samples.labels).sum()
    for layer, wanted in zip(found.layers, signals.layers, strict=True):
        assert (layer.name, layer.conversions, layer.clipped) == (wanted.name, wanted.conversions, wanted.clipped)
        assert layer.signal == pytest.approx(wanted.signal) and layer.noise == pytest.approx(wanted.noise)
    assert 0 < found.clip_rate < 1
    content = whole(found)
    assert content["accuracy"]["chip"]["mean"] == pytest.approx(np.mean(found.right) / len(samples))
    low, high = content["accuracy"]["chip"]["interval_over_samples"]
    assert low < found.accuracy < high
    assert content["accuracy"]["float"] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("changes", "differ"),
    [
        ({}, False),
        ({"device.programming.shift": 0.05}, False),
        ({"device.programming.sigma": 0.05}, True),
        ({"device.stuck.on_share": 0.05}, True),
        ({"device.stuck.off_share": 0.05}, True),
        ({"device.drift.nu": 0.05, "age_s": 100.0}, False),
        ({"device.drift.nu_spread": 0.05}, False),
        ({"device.drift.nu_spread": 0.05, "age_s": 100.0}, True),
        ({"device.relaxation.shift_per_log": 0.05, "age_s": 100.0}, False),
        ({"device.relaxation.sigma": 0.05}, True),
        ({"device.relaxation.sigma_per_log": 0.05, "age_s": 100.0}, True),
        ({"device.endurance.median": 1e6}, False),
        ({"device.endurance.median": 1e6, "writes": 1e6}, True),
        ({"writes": 1e6}, False),
        ({"device": "taox"}, True),
    ],
)
def test_one_chip_is_enough_just_where_no_seed_changes_a_cell(changes: dict[str, Any], differ: bool) -> None:
    side = Analog.from_dict({"schema": "mho.analog/1", "device": "generic"}).override(changes)
    levels = np.random.default_rng(0).integers(0, 4, 10_000)
    one, other = (
        side.device.program(levels, 2, (0,), seed=seed, age_s=side.age_s, writes=side.writes) for seed in (0, 1)
    )
    assert evaluation.draws(side) == differ == bool((one != other).any())


@pytest.mark.parametrize(
    ("changes", "differ"),
    [
        ({}, False),
        ({"adc.gain_error": 0.01}, True),
        ({"adc.offset_error": 0.5}, True),
        ({"adc.effective_bits": 6.0}, False),
        ({"adc.effective_bits": 5.0}, True),
        ({"device.read.sigma": 0.01}, True),
        ({"wires.row_ohm": 1.0}, False),
    ],
)
def test_one_chip_is_enough_where_neither_reads_nor_converters_are_noisy(changes: dict[str, Any], differ: bool) -> None:
    content = {"schema": "mho.analog/1", "adc": {"bits": 6}, "device": "generic"}
    assert evaluation.draws(Analog.from_dict(content).override(changes)) == differ


@pytest.mark.parametrize("together", [1, 5])
def test_nothing_depends_on_how_many_samples_are_executed_together(
    together: int, program: Program, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read noise and noise of conversions are new for each sample, and belong to the sample."""
    noisy = analog().override({"adc.effective_bits": 2.5, "device.read.sigma": 0.05})
    wanted = whole(evaluate(program, samples, noisy, seeds=2))
    monkeypatch.setattr(judge, "TOGETHER", together)
    found = whole(evaluate(program, samples, noisy, seeds=2))
    # Powers are added in another order.
    for ours, theirs in zip(found.pop("layers"), wanted.pop("layers"), strict=True):
        assert ours == pytest.approx(theirs)
    assert found == wanted


@pytest.mark.parametrize("backend", ["plain", "torch"])
def test_no_backend_changes_what_is_found(backend: str, program: Program, samples: Samples) -> None:
    wanted = whole(evaluate(program, samples, analog(), seeds=2))
    assert whole(evaluate(program, samples, analog(), seeds=2, backend=backend)) == wanted
    with pytest.raises(OptionError, match="plain"):
        evaluate(program, samples, analog(), backend="plane")


def test_calibrated_ranges_are_those_of_the_first_chip(program: Program, samples: Samples) -> None:
    adc = {"bits": 3, "range": "calibrated", "percentile": 99.0}
    side = analog(adc=adc)
    found = evaluate(program, samples, side, seeds=2)
    fixed = calibrate(program, samples.inputs, side)
    assert evaluate(program, samples, fixed, seeds=2).right == found.right
    assert any("ADC ranges" in note for note in found.notes)
    assert found.analog == side


def test_an_evaluation_without_what_it_needs_is_refused(program: Program, samples: Samples) -> None:
    with pytest.raises(OptionError, match="labels"):
        evaluate(program, Samples(samples.inputs, None, "unlabelled"))
    with pytest.raises(OptionError, match="classes"):
        evaluate(program, Samples(samples.inputs, np.full(12, 5000), "wrong"))
    with pytest.raises(OptionError, match="at least 1"):
        evaluate(program, samples, seeds=0)
    shapes = mho.compile(
        hand_network(entry(1, 4), linear("a", "x", 1, 4, 4)), hand_chip(), GREEDY.with_(schedule="naive")
    )
    with pytest.raises(ProgramError, match="no weights"):
        evaluate(shapes, samples)


# Going on


class StoppedError(Exception):
    """Stands for an interruption."""


def stop_at(executions: int) -> Any:
    """Return a follower that stops when so many samples have been executed."""

    def follow(what: str, done: int, total: int) -> None:
        if done >= executions:
            raise StoppedError

    return follow


def test_an_interrupted_evaluation_goes_on_where_it_stopped(
    program: Program, samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "results.jsonl"
    wanted = whole(evaluate(program, samples, analog(), seeds=3))
    with pytest.raises(StoppedError):
        evaluate(program, samples, analog(), seeds=3, progress=stop_at(24), done=Store(path))
    kept = Store(path)
    assert len(kept) == 4, "the integers, the float network and two seeds"
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    seeds: list[int] = []

    class Counting(Executor):
        def __init__(self, program: Program, analog: Analog | None = None, **more: Any) -> None:
            assert analog is not None
            seeds.append(analog.seed)
            super().__init__(program, analog, **more)

    monkeypatch.setattr(judge, "Executor", Counting)
    told: list[tuple[int, int]] = []
    found = evaluate(
        program, samples, analog(), seeds=3, progress=lambda what, done, total: told.append((done, total)), done=kept
    )
    assert seeds == [2]
    assert whole(found) == wanted
    assert {total for _, total in told} == {12}, "what was finished before is counted as work"
    evaluate(program, samples, analog(), seeds=3, done=Store(path))
    assert seeds == [2]


def test_what_is_kept_is_only_taken_for_what_it_is_of(
    network: Network, program: Program, samples: Samples, tmp_path: Path
) -> None:
    """Another program, other samples, other labels, another analog side: nothing kept is taken."""
    done = Store(tmp_path / "results.jsonl")
    evaluate(program, samples, analog(), seeds=1, done=done)
    images, labels = samples.inputs[0], samples.labels
    assert labels is not None
    other = (
        (program, Samples((images + 0.01,), labels, "other"), analog()),
        (program, Samples((images,), np.roll(labels, 1), "other"), analog()),
        (program, samples, analog().override({"device.programming.sigma": 0.11})),
        (program, samples, analog(seed=1)),
        (compiled(network, samples, {"array.cell_bits": 1}), samples, analog()),
    )
    for each in other:
        before = len(done)
        found = whole(evaluate(*each, seeds=1, done=done))
        assert len(done) > before
        assert found == whole(evaluate(*each, seeds=1))
    before = len(done)
    evaluate(program, samples, analog(name="another name"), seeds=1, done=done)
    assert len(done) == before


@given(
    st.dictionaries(st.text("ab\n\u2028é", max_size=3), st.integers(0, 9), min_size=1, max_size=4),
    st.binary(max_size=20),
)
@settings(max_examples=25)
def test_a_damaged_file_costs_only_its_damaged_lines(
    tmp_path_factory: pytest.TempPathFactory, record: dict[str, int], damage: bytes
) -> None:
    path = tmp_path_factory.mktemp("kept") / "results.jsonl"
    record = {f"field {name}": value for name, value in record.items()}
    done = Store(path)
    for key in ("one", "two"):
        assert done.put(key, record) == record
    path.write_bytes(b"[1]\n{}\n" + path.read_bytes() + b"\n" + damage)
    again = Store(path)
    assert [again.get(key, tuple(record)) for key in ("one", "two")] == [record, record]
    assert again.get("one", (*record, "more")) is None and again.get("three", tuple(record)) is None


def test_records_that_cannot_be_kept_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        Store(tmp_path / "file" / "results.jsonl").put("key", {})
    with pytest.raises(OutputError, match="it is a folder"):
        Store(tmp_path)
    code = "mho.files.store"
    assert key_of(code, "a", 1) != key_of(code, "a", 2) != key_of("mho.errors", "a", 2)
    assert key_of(code, {"a": 1, "b": 2}) == key_of(code, {"b": 2, "a": 1})


@settings(max_examples=8)
@given(st.integers(1, 3), st.sampled_from([4, 6, 9]), st.sampled_from([0.0, 0.2]), st.integers(3, 12))
def test_an_accuracy_and_a_sweep_come_back_from_their_data(
    program: Program, samples: Samples, seeds: int, bits: int, sigma: float, count: int
) -> None:
    some = samples.first(count)
    side = analog().override({"device.programming.sigma": sigma})
    found = evaluate(program, some, side, seeds=seeds)
    again = Accuracy.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found and again.to_dict() == found.to_dict()
    assert view(again) == view(found)
    swept = sweep(program, some, side, over={"adc.limit": (bits, 20)}, seeds=seeds)
    back = Sweep.from_dict(json.loads(json.dumps(swept.to_dict())))
    assert back == swept and back.to_dict() == swept.to_dict() and view(back) == view(swept)
    with pytest.raises(OptionError, match=r"mho\.accuracy/1"):
        Accuracy.from_dict(swept.to_dict())


# Sweeps


def test_every_point_of_a_sweep_is_the_evaluation_there(network: Network, program: Program, samples: Samples) -> None:
    over = {"chip.array.cell_bits": (1, 2), "device.programming.sigma": (0.0, 0.1)}

    def build(changes: Mapping[str, Any]) -> Program:
        return compiled(network, samples, changes)

    found = sweep(build, samples, analog(), over=over, seeds=2)
    jsonschema.validate(found.to_dict(), SWEEP)
    assert [tuple(point["values"].values()) for point in found.records] == [(1, 0.0), (1, 0.1), (2, 0.0), (2, 0.1)]
    for (bits, sigma), each in zip([(1, 0.0), (1, 0.1), (2, 0.0), (2, 0.1)], found.records, strict=True):
        alone = compiled(network, samples, {"array.cell_bits": bits})
        side = analog().override({"device.programming.sigma": sigma})
        values = {"chip.array.cell_bits": bits, "device.programming.sigma": sigma}
        assert each == point_of(values, evaluate(alone, samples, side, seeds=2))
        assert len(each["seeds"]) == (2 if sigma else 1)


def test_a_sweep_compiles_once_for_each_chip_whatever_the_order(network: Network, samples: Samples) -> None:
    asked: list[Any] = []

    def build(changes: Mapping[str, Any]) -> Program:
        asked.append(dict(changes))
        return compiled(network, samples, changes)

    over = {"adc.limit": (7, 15), "chip.array.cell_bits": (1, 2)}
    found = sweep(build, samples, analog(), over=over, seeds=1)
    assert asked == [{"array.cell_bits": 1}, {"array.cell_bits": 2}]
    digests = [each["chip"]["digest"] for each in found.records]
    assert digests[:2] == digests[2:] and digests[0] != digests[1]
    assert [each["values"]["adc.limit"] for each in found.records] == [7, 7, 15, 15]


def test_an_interrupted_sweep_goes_on_and_can_be_extended(program: Program, samples: Samples, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    over: dict[str, tuple[float, ...]] = {"device.programming.sigma": (0.05, 0.1)}
    wanted = sweep(program, samples, analog(), over=over, seeds=2).to_dict()
    told: list[tuple[int, int]] = []
    with pytest.raises(StoppedError):
        sweep(program, samples, analog(), over=over, seeds=2, progress=stop_at(36), done=Store(path))

    def follow(what: str, done: int, total: int) -> None:
        told.append((done, total))

    found = sweep(program, samples, analog(), over=over, seeds=2, progress=follow, done=Store(path))
    assert found.to_dict() == wanted
    assert told[-1][1] == 12 and all(done <= total for done, total in told)
    kept = len(Store(path))
    more = {"device.programming.sigma": (0.05, 0.1, 0.2)}
    sweep(program, samples, analog(), over=more, seeds=2, done=Store(path))
    assert len(Store(path)) == kept + 2


@pytest.mark.parametrize(
    ("over", "error", "words"),
    [
        ({}, OptionError, "one or two"),
        ({"adc.bits": [1], "adc.limit": [1], "age_s": [1]}, OptionError, "one or two"),
        ({"adc.bits": []}, OptionError, "list of values"),
        ({"adc.bits": "4"}, OptionError, "list of values"),
        ({"adc.bits": [4, 4]}, OptionError, "twice"),
        ({"seed": [1, 2]}, OptionError, "more seeds"),
        ({"adc.bit": [4]}, AnalogError, "adc.bits"),
        ({"adc.bits": [4, 99]}, AnalogError, "adc.bits"),
        ({"chip.tiles": [4]}, OptionError, "another program"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_is_executed(
    over: Any, error: type[Exception], words: str, program: Program, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "Executor", None)
    with pytest.raises(error, match=words):
        sweep(program, samples, analog(), over=over)


# Workers


def swept(build: Any, samples: Samples, path: Path, **more: Any) -> tuple[dict[str, Any], bytes]:
    """Sweep ranges that are calibrated and chips that are compiled anew; return what is found, and what is kept."""
    side = analog(adc={"bits": 3, "range": "calibrated", "percentile": 99.0})
    over = {"adc.bits": (3, 4), "chip.array.cell_bits": (1, 2)}
    found = sweep(build, samples, side, over=over, seeds=2, done=Store(path), **more)
    return found.to_dict(), path.read_bytes()


def test_the_number_of_workers_changes_no_result_and_no_byte(
    network: Network, samples: Samples, tmp_path: Path
) -> None:
    """Not even where some of it was finished before, in another order."""
    told: list[tuple[str, int, int]] = []

    def build(changes: Mapping[str, Any]) -> Program:
        return compiled(network, samples, changes)

    wanted = swept(build, samples, tmp_path / "one.jsonl")
    lines = wanted[1].splitlines(keepends=True)
    # The references of two programs alike in their codes are one; ranges do not rest on the bits; 4 points of 2 chips.
    assert len(lines) == 2 + 2 + 8
    assert swept(build, samples, tmp_path / "two.jsonl", workers=2, progress=lambda *now: told.append(now)) == wanted
    assert [total for _, _, total in told] == [96] * len(told) and told[-1][1] == 96
    assert sorted(done for _, done, _ in told) == [done for _, done, _ in told]
    (tmp_path / "part.jsonl").write_bytes(b"".join(reversed(lines[1::2])))
    assert swept(build, samples, tmp_path / "part.jsonl", workers=2) == wanted


@settings(max_examples=10)
@given(st.data())
def test_whatever_is_kept_the_rest_is_computed_once_and_the_bytes_are_the_same(
    program: Program, samples: Samples, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Of cases that are the same chips, in part or as a whole, each is executed once."""
    folder = tmp_path_factory.mktemp("kept")
    cases = [Case(lambda: program, side) for side in (analog(), analog(seed=1), analog(name="alike"))]
    puts: list[str] = []

    class Counting(Store):
        def put(self, key: str, record: dict[str, Any]) -> dict[str, Any]:
            puts.append(key)
            return super().put(key, record)

    wanted = Evaluations(samples, seeds=2, done=Store(folder / "whole.jsonl"))(cases)
    lines = (folder / "whole.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == 2 + 3
    kept = data.draw(st.lists(st.sampled_from(lines), unique=True))
    (folder / "part.jsonl").write_bytes(b"".join(kept))
    found = Evaluations(samples, seeds=2, done=Counting(folder / "part.jsonl"))(cases)
    assert found == wanted and len(puts) == len(set(puts)) == len(lines) - len(kept)
    assert (folder / "part.jsonl").read_bytes() == b"".join(lines)


def test_what_a_worker_refuses_is_refused(program: Program, samples: Samples) -> None:
    with pytest.raises(OptionError, match="plain"):
        evaluate(program, samples, analog(), backend="plane", workers=2)
    with pytest.raises(OptionError, match="at least one worker"):
        evaluate(program, samples, analog(), workers=0)


# Real weights and samples


def test_fewer_bits_and_more_variation_cost_accuracy_on_real_images(data: Path) -> None:
    network = mho.Network.from_onnx(data / "cifar10" / "resnet8_fp32.onnx")
    from mho.network.samples import load_samples

    calibration = load_samples(data / "cifar10" / "train_calib.npz", network).spread(32)
    images = load_samples(data / "cifar10" / "test_a.npz", network).spread(40)
    assert len(np.unique(images.labels)) == 10, "the file is sorted by class, and they must be spread over it"
    program = mho.compile(mho.number.quantise(network, calibration.inputs), "aras", GREEDY.with_(schedule="overlap"))
    content = {"schema": "mho.analog/1", "device": "generic", "adc": {"bits": 9}}
    found = sweep(program, images, Analog.from_dict(content), over={"adc.bits": (9, 4)}, calibration=calibration)
    exact, coarse = found.records
    # 128 rows of 2-bit cells give sums to 384, so 9 bits lose nothing; 4 bits round to steps of 25.6.
    assert exact["agreement"] == 1.0 and exact["accuracy"]["mean"] == exact["accuracy"]["integers"] >= 0.7
    assert coarse["accuracy"]["mean"] < exact["accuracy"]["mean"] - 0.2
    assert all(layer["snr_db"] is not None for layer in coarse["layers"])


def test_samples_are_spread_evenly(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples.npz", count=10)
    with np.load(tmp_path / "samples.npz") as file:
        held = Samples((file["x"],), np.arange(10), "file")
    assert held.spread(4).labels is not None
    assert held.spread(4).labels.tolist() == [0, 2, 5, 7]  # type: ignore[union-attr]
    assert held.spread(10) is held and held.spread(11) is held


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"age_s": 3600.0}, "age_s 3600 changes nothing"),
        ({"writes": 1e6}, "writes 1e+06 change nothing"),
        ({"age_s": 3600.0, "device.drift.nu": 0.05}, None),
        ({"writes": 1e6, "device.endurance.median": 1e6}, None),
    ],
)
def test_a_value_without_effect_is_named(
    changes: dict[str, object], says: str | None, program: Program, samples: Samples
) -> None:
    side = Analog.from_dict({"schema": "mho.analog/1", "device": "generic"}).override(changes)
    notes = evaluate(program, samples, side, seeds=1).notes
    found = [note for note in notes if "change nothing" in note or "changes nothing" in note]
    assert len(found) == (says is not None)
    assert says is None or found[0].startswith(says)
