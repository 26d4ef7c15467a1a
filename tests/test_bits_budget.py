"""Bits of layers as strategies and the command line ask for them, and as a budget of error chooses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.errors import NumberError, OptionError, StrategyError
from mho.network.graph import Network
from mho.network.samples import synthetic
from mho.number import Budget, LayerBits, QuantisedNetwork, Sampled, run_reference
from mho.number.budget import mean_weight_bits
from mho.number.frontier import changed
from mho.number.precision import bits_of
from mho.strategy import Strategy
from tests.command_line import Shell, write_onnx, write_samples
from tests.strategies import GREEDY, convolutional, networks
from tests.test_number_reference import convolutional as residual

LITTLE = GREEDY.with_(schedule="overlap")


def error(codes: QuantisedNetwork, x: Any) -> float:
    """The change of the first output against 8 bits in all layers, on samples."""
    name = codes.network.outputs[0]
    wanted, got = (run_reference(each, x)[name] for each in (mho.quantise(codes.network, x), codes))
    return changed(wanted, got)


@given(networks, st.sampled_from(["4", "3/6", "*=5/2", "*1=2,*=7/3"]))
@settings(max_examples=20)
def test_shapes_alone_and_codes_are_mapped_alike(net: Network, bits: str) -> None:
    names = [layer.name for layer in net.matrix_layers]
    if "*1" in bits and not any(name.endswith("1") for name in names):
        bits = "*=7/3"
    strategy = LITTLE.with_(bits=bits)
    shapes = mho.compile(net, "aras", strategy).mapping
    codes = mho.compile(Sampled(net, calibration=synthetic(net, 2)), "aras", strategy)
    assert codes.quantised is not None
    assert codes.quantised.bits == bits_of(net, bits)
    assert {layer.name: layer.bits for layer in codes.mapping.layers} == {
        name: codes.quantised.bits.get(name, LayerBits()) for name in names
    }
    assert codes.mapping.arrays == shapes.arrays


@given(convolutional(), st.floats(0, 0.5), st.sampled_from([(2, 4, 6), ("2/8", "5/8"), ("8/3", "4/8"), ("1", "7")]))
@settings(max_examples=12)
def test_a_budget_is_kept_by_the_errors_of_parts(net: Network, most: float, bits: tuple[Any, ...]) -> None:
    x = synthetic(net, 6).inputs
    codes = mho.quantise(net, x, bits=Budget(most, bits))
    summed = float(codes.notes[-1].partition("alone sum to ")[2].split()[0])
    together = float(codes.notes[-1].partition("all together is ")[2].split()[0])
    assert summed <= most * (1 + 1e-2)
    assert together == pytest.approx(error(codes, x), rel=1e-2)
    asked = [LayerBits(*each) for each in (_pair(text) for text in (8, *bits))]
    for each in codes.bits.values():
        assert each.weights in {given.weights for given in asked}
        assert each.inputs in {given.inputs for given in asked}
    again = mho.quantise(net, x, bits=Budget(0.0, bits))
    assert error(again, x) == 0.0, "nothing may be lost"


def _pair(bits: int | str) -> tuple[int, int]:
    first, _, second = str(bits).partition("/")
    return int(first), int(second or first)


@pytest.fixture(scope="module")
def images() -> tuple[Network, Any]:
    net = residual()
    return net, synthetic(net, 40).inputs


@pytest.mark.parametrize("rounding", ["nearest", "output", "sequence"])
def test_more_budget_takes_fewer_bits(images: tuple[Network, Any], rounding: str) -> None:
    net, x = images
    found = [mho.quantise(net, x, bits=Budget(most, ("2/8", "4/8", "6/8"), rounding)) for most in (0.0, 0.01, 0.1, 1e9)]
    means = [mean_weight_bits(codes) for codes in found]
    assert means == sorted(means, reverse=True)
    assert means[0] == 8.0
    assert means[-1] == 2.0
    assert means[1] < 8.0
    assert all(not codes.input_bits for codes in found)


def test_a_cost_of_its_own_decides_what_is_saved(images: tuple[Network, Any]) -> None:
    net, x = images
    cells = Budget(1e9, ("3/8", "4/8"), cost=lambda bits: -(-bits.weights // 2))
    codes = mho.quantise(net, x, bits=cells)
    assert {each.weights for each in codes.bits.values()} <= {3, 4}, "both take two cells of 2 bits"
    plain = mho.quantise(net, x, bits=Budget(1e9, ("3/8", "4/8")))
    assert {each.weights for each in plain.bits.values()} == {3}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Budget(-0.1), "0 or more"),
        (lambda: Budget(float("nan")), "0 or more"),
        (lambda: Budget(0.1, rounding="up"), "no method 'up'"),
        (lambda: Budget(0.1, ("9",)), "1 to 8"),
        (lambda: Budget(0.1, ("conv=4",)), "names layers"),
        (lambda: mho.quantise(residual(), bits=Budget(0.1)), "calibration samples"),
    ],
)
def test_budgets_that_make_no_sense_are_refused(make: Any, said: str) -> None:
    with pytest.raises((NumberError, OptionError), match=said):
        make()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bits": 9}, "1 to 8 bits, not 9"),
        ({"bits": "2,3,4"}, "names several; one, or several with budget"),
        ({"bits": "conv9=4"}, "no matrix layer 'conv9'"),
        ({"bits": 1, "symmetric": True}, "no middle"),
        ({"bits": "2,3", "budget": 0.1, "grid": "uniform:5"}, "not both"),
        ({"bits": "2,2", "budget": 0.1}, "names 2 twice"),
        ({"bits": "a=2,3", "budget": 0.1}, "names layers"),
        ({"bits": 4, "budget": 0.1}, "budget needs it, or several bits"),
        ({"bits": "2,4", "budget": 0.1}, "calibration samples"),
        ({"bits": 4, "grid": "uniform:5"}, "takes weights of 5 bits; layer 'conv1' has 4"),
    ],
)
def test_strategies_refuse_bits_that_make_no_sense(changes: dict[str, Any], said: str) -> None:
    net = mho.zoo.load("resnet20", weights="seeded")
    with pytest.raises((StrategyError, NumberError)) as raised:
        mho.compile(net, "aras", LITTLE.with_(changes))
    assert said in str(raised.value)


def test_a_network_that_is_coded_already_is_not_given_other_bits() -> None:
    codes = mho.quantise(residual(), bits=4)
    assert mho.compile(codes, "aras", LITTLE).quantised is codes
    with pytest.raises(StrategyError, match="coded already"):
        mho.compile(codes, "aras", LITTLE.with_(bits=4))


def test_a_strategy_of_8_bits_is_kept_as_ever() -> None:
    for how in ({}, {"bits": 8}, {"bits": "8"}):
        strategy = Strategy().with_(how)
        assert strategy.digest == Strategy().digest
        assert "bits" not in strategy.to_dict()["coding"]
    few = Strategy().with_(bits="conv1=8,*=4/6")
    assert Strategy.from_dict(few.to_dict()) == few
    assert few.digest != Strategy().digest


def test_bits_are_asked_for_on_the_command_line(tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_onnx(Path("net.onnx"))
    write_samples(Path("samples.npz"), count=4)
    words = ("net.onnx", "--data", "samples.npz", "--bits", "3/5", "--schedule", "overlap", "--banks", "greedy")
    found = shell("verify", *words, "--json").json()
    assert found["bit_exact"] and found["legal"]
    report = shell("run", *words[:1], *words[3:], "--json").json()
    spread = {"mean": 3, "least": 3, "most": 3}
    assert report["model"]["bits"] == {"weights": spread, "inputs": {"mean": 5, "least": 5, "most": 5}}
    assert [(layer["weight_bits"], layer["input_bits"]) for layer in report["layers"] if layer["k"]] == [(3, 5)]
    assert any("bits: weights of 3 bits, inputs of 5 bits" in note for note in report["notes"])
    assert "weights of 3 bits, inputs of 5 bits" in shell("run", *words[:1], *words[3:]).out.replace("\n", " ")
    chosen = shell("verify", *words[:3], *words[5:], "--bits", "2/8,4/8", "--budget", "0.05", "--json").json()
    assert chosen["bit_exact"]
    refused = shell("run", "net.onnx", "--bits", "filters=4")
    assert refused.code == 2
    assert "--bits filters=4: " in refused.err.replace("\n", " ")


def test_files_of_a_strategy_say_bits(tmp_path: Path) -> None:
    (tmp_path / "few.yaml").write_text("coding:\n  bits: 4\n")
    assert Strategy.load(tmp_path / "few.yaml") == Strategy().with_(bits="4")


def test_real_layers_lose_half_a_point_at_most_in_five_bits(data: Path) -> None:
    net = mho.Network.from_onnx(data / "cifar10" / "resnet20.onnx")
    files = (np.load(data / "cifar10" / name) for name in ("train_calib.npz", "test_a.npz"))
    calibration, judged = (
        (np.ascontiguousarray(each["x"][::step].transpose(0, 3, 1, 2)).astype(np.float32), each["y"][::step])
        for each, step in zip(files, (8, 10), strict=True)
    )

    def right(codes: QuantisedNetwork) -> float:
        (output,) = run_reference(codes, judged[0]).values()
        return float((output.reshape(len(output), -1).argmax(axis=1) == judged[1]).mean())

    eight = right(mho.quantise(net, calibration[0], per_channel=True))
    few = mho.quantise(net, calibration[0], per_channel=True, bits=Budget(0.01, ("4/8", "5/8", "6/8")))
    assert mean_weight_bits(few) <= 5.0
    assert right(few) >= eight - 0.005
