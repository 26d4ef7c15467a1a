"""Training for the chip: the forward pass is the machine's, the gradient goes straight through, the way back loses nothing."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import mho
from benchmarks.files import measured_part, read_json
from examples import train_digits
from mho.errors import AnalogError, MhoError, NetworkError, OptionError
from mho.machine.analog.devices import Device
from mho.machine.analog.spec import Adc, Analog, Wires
from mho.training import calibrate, clip_weights, finish, prepare, quantise
from mho.training.layers import CrossbarLayer
from mho.training.modules import fold
from tests.strategies import GREEDY

CODINGS = ("offset", "flipped", "differential", "twos_complement")
IMAGES = torch.rand((24, 2, 6, 6), generator=torch.Generator().manual_seed(7)) * 2 - 0.5
NOISY = Device.load("generic").override({"programming.sigma": 0.1})


def chip_with(**array: Any) -> mho.Chip:
    """An ARAS chip whose arrays are otherwise; costs and write pulses that fit any of them."""
    values: dict[str, Any] = {f"array.{key}": value for key, value in array.items()}
    values |= {"array.pulses_full_range": 255, "components.dac": "none", "components.adc": "none"}
    return mho.Chip.load("aras").override(values, source="test")


def network(seed: int = 0) -> nn.Sequential:
    """Convolutions, one of them grouped and strided, with a normalisation, pooling, and two linear layers."""
    torch.manual_seed(seed)
    made = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 9, (3, 2), stride=(2, 1), groups=3), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 12, bias=False), nn.ReLU(), nn.Linear(12, 4),
    )  # fmt: skip
    made(IMAGES)
    made(IMAGES + 1)
    return made.eval()


def outputs(model: nn.Module, x: torch.Tensor = IMAGES) -> np.ndarray[Any, Any]:
    """What a module gives in float64 for inputs in its type."""
    with torch.no_grad():
        return model(x.to(next(model.parameters()).dtype)).double().numpy()


def on_chip(model: nn.Module, chip: mho.Chip, analog: Analog | None) -> np.ndarray[Any, Any]:
    """What the compiled program gives on its cells."""
    quantised = quantise(model, IMAGES)
    program = mho.compile(quantised, chip, GREEDY.with_(schedule="naive"))
    return mho.execute(program, IMAGES.numpy(), analog=analog, backend="plain")[quantised.network.outputs[0]]


def layers_of(model: nn.Module) -> list[CrossbarLayer]:
    return [part for part in model.modules() if isinstance(part, CrossbarLayer)]


@settings(max_examples=10)
@given(
    coding=st.sampled_from(CODINGS),
    cell_bits=st.sampled_from([1, 2, 3, 4]),
    dac_bits=st.sampled_from([1, 2, 4, 8]),
    rows=st.sampled_from([8, 20, 128]),
    converter=st.sampled_from([
        Adc(bits="ideal"), Adc(bits=5), Adc(bits=3), Adc(bits=4, range="fixed", limit=15), Adc(bits=4, range="fixed", limit=9.7),
    ]),
)  # fmt: skip
def test_without_noise_the_forward_pass_is_what_the_machine_computes(
    coding: str, cell_bits: int, dac_bits: int, rows: int, converter: Adc
) -> None:
    """In float64 both find the same integers; they only multiply by scales in another order, a few roundings of 2^-52 apart."""
    chip = chip_with(coding=coding, cell_bits=cell_bits, dac_bits=dac_bits, rows=rows)
    analog = Analog(adc=converter)
    model = prepare(network(), chip, analog, IMAGES).double().eval()
    found, wanted = outputs(model), on_chip(model, chip, analog)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13 * np.abs(wanted).max())


def test_an_adc_that_loses_nothing_gives_the_integer_reference() -> None:
    plain = fold(network())  # the importer folds too, with other roundings
    model = prepare(copy.deepcopy(plain).double(), "isaac", Analog(adc=Adc(bits="ideal")), IMAGES.double()).eval()
    imported = mho.Network.from_torch(plain, IMAGES[:1])
    reference = mho.number.run_reference(mho.number.quantise(imported, IMAGES.numpy()), IMAGES.numpy())[
        imported.outputs[0]
    ]
    np.testing.assert_allclose(outputs(model), reference, rtol=0, atol=1e-14)


def test_finish_gives_back_the_module_that_came_in() -> None:
    plain = network()
    model = prepare(plain, "aras", Analog(), IMAGES)
    given = copy.deepcopy(plain.state_dict())
    np.testing.assert_allclose(outputs(finish(model)), outputs(plain), atol=1e-5)
    assert not layers_of(finish(model))
    assert {type(part) for part in finish(model).modules()} >= {nn.Conv2d, nn.Linear}
    assert all(torch.equal(given[key], value) for key, value in plain.state_dict().items())
    assert not layers_of(plain)
    assert layers_of(model)


def test_the_gradient_is_that_of_the_float_network_where_nothing_is_lost() -> None:
    """Codes of 8 bits move it a little, most where they switch a rectifier or a maximum; a wrong path would turn it away."""
    plain = fold(network())
    model = prepare(plain, "isaac", Analog(adc=Adc(bits="ideal")), IMAGES)
    target = torch.randn((24, 4), generator=torch.Generator().manual_seed(1))
    gradients = []
    for each in (plain, model):
        each.zero_grad()
        ((each(IMAGES) - target) ** 2).mean().backward()
        gradients.append([parameter.grad.flatten() for parameter in each.parameters() if parameter.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) == 7
    for wanted, found in zip(*gradients, strict=True):
        assert torch.nn.functional.cosine_similarity(wanted, found, dim=0) > 0.9
        assert float(found.norm()) == pytest.approx(float(wanted.norm()), rel=0.2)


def one_column(limit: float, gradient: str) -> torch.Tensor:
    """The gradient of a sum's weights, where 8 rows are driven and the ADC has steps of 1 up to `limit`."""
    layer = nn.Linear(8, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(0.1, 1.0, 8)[None])
    chip = chip_with(coding="offset", rows=8)
    adc = Adc(bits=8, range="fixed", limit=255.0) if limit == 255 else Adc(bits=2, range="fixed", limit=limit)
    model = prepare(layer, chip, Analog(adc=adc), torch.ones(1, 8), gradient=gradient)
    model(torch.ones(1, 8)).sum().backward()
    (found,) = layers_of(model)
    assert found.weight.grad is not None
    return found.weight.grad


def test_clipped_sums_pass_their_share_of_the_gradient() -> None:
    """With 2 bits and limit 3 the sums of 8 rows at levels up to 3 clip in some slices, not in all."""
    plain = one_column(3.0, "plain")
    assert torch.allclose(plain, torch.ones(1, 8))
    assert torch.allclose(one_column(255.0, "unclipped"), plain)
    part = one_column(3.0, "unclipped")
    assert 0 <= float(part.min()) == pytest.approx(float(part.max()))
    assert float(part.max()) < 0.5


def test_inputs_beyond_their_range_pass_no_gradient() -> None:
    model = prepare(nn.Linear(3, 2), "aras", Analog(), torch.tensor([[0.0, 1.0, 0.5]]))
    x = torch.tensor([[0.5, 2.0, -1.0]], requires_grad=True)
    model(x).sum().backward()
    assert x.grad is not None
    assert x.grad[0, 0] != 0
    assert torch.equal(x.grad[0, 1:], torch.zeros(2))


def test_noise_is_drawn_anew_each_pass_and_follows_from_the_seed() -> None:
    analog = Analog(adc=Adc(bits=5), device=NOISY)
    first, second, other = (prepare(network(), "aras", analog, IMAGES, seed=seed).train() for seed in (1, 1, 2))
    passes = [[outputs(model) for _ in range(3)] for model in (first, second, other)]
    assert all(np.array_equal(a, b) for a, b in zip(passes[0], passes[1], strict=True))
    assert not np.array_equal(passes[0][0], passes[0][1])
    assert not np.array_equal(passes[0][0], passes[2][0])
    resumed = prepare(network(), "aras", analog, IMAGES, seed=1).train()
    resumed.load_state_dict(first.state_dict())
    assert np.array_equal(outputs(resumed), outputs(first))
    first.eval()
    assert np.array_equal(outputs(first), outputs(first))


def test_programming_noise_has_the_spread_of_the_device() -> None:
    """One weight of code 0 driven by code 1: a pass shows the sum of its 4 cells, each off by 3 sigma N(0, 1) levels but never
    below 0. So the variance of one cell is that of max(0, e): sigma^2 (1/2 - 1/(2 pi)); 400 passes, 5 standard errors.
    """
    sigma, passes = 0.1, 400
    device = Device.load("generic").override({"programming.sigma": sigma})
    layer = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 1.0]]))
    chip = chip_with(coding="offset", rows=8)
    x = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    model = (
        prepare(layer, chip, Analog(adc=Adc(bits="ideal"), device=device), torch.tensor([[0.0, 1.0]])).double().train()
    )
    found = np.array([outputs(model, x) for _ in range(passes)]).ravel() * 255
    expected = sum(16.0**k for k in range(4)) * (3 * sigma) ** 2 * (0.5 - 0.5 / np.pi)
    # The fourth moment of max(0, e) is 3/2 s^4, so its kurtosis is below 1.5 / 0.34^2 < 13: variance of the estimate < 12 v^2 / n.
    assert found.var() == pytest.approx(expected, rel=5 * np.sqrt(12 / passes))


def test_read_noise_and_effective_bits_are_drawn_in_training_only() -> None:
    plain = network()
    read = Device.load("generic").override({"read.sigma": 0.05})
    for analog in (Analog(device=read), Analog(adc=Adc(bits=6, effective_bits=4.5))):
        model = prepare(plain, "aras", analog, IMAGES)
        assert np.array_equal(outputs(model.eval()), outputs(model.eval()))
        assert not np.array_equal(outputs(model.train()), outputs(model.train()))


def test_ranges_follow_batches_only_where_asked() -> None:
    for momentum in (0.0, 0.25):
        model = prepare(network(), "aras", Analog(), IMAGES, momentum=momentum).train()
        before = layers_of(model)[0].range()
        model(IMAGES * 2)
        for old, new in zip(before, layers_of(model)[0].range(), strict=True):
            assert new == pytest.approx(old * (1 + momentum), rel=1e-6)


@pytest.mark.parametrize("per", ["layer", "slice"])
def test_a_calibrated_range_is_the_largest_sum_seen(per: Any) -> None:
    analog = Analog(adc=Adc(bits=12, range="calibrated", percentile=100, per=per))
    chip = chip_with(coding="offset", rows=128)
    model = prepare(network(), chip, analog, IMAGES).double()
    # 12 bits have steps of 1 here, and nothing seen clips: what is left is exact.
    exact = prepare(network(), chip, Analog(adc=Adc(bits="ideal")), IMAGES).double()
    np.testing.assert_allclose(outputs(model.eval()), outputs(exact.eval()), atol=1e-12)
    limits = [layer.limits.tolist() for layer in layers_of(model)]
    assert all((len(set(each)) == 1) == (per == "layer") for each in limits)
    calibrate(model, IMAGES[:2].double())
    assert [layer.limits.tolist() for layer in layers_of(model)] != limits


def test_a_module_used_twice_and_one_at_the_top_are_replaced_wherever_they_stand() -> None:
    shared = nn.Linear(5, 5)
    model = prepare(nn.Sequential(shared, nn.ReLU(), nn.Sequential(shared)), "aras", Analog(), torch.rand(4, 5))
    assert len(layers_of(model)) == 1
    assert isinstance(finish(prepare(shared, "aras", Analog(), torch.rand(4, 5))), nn.Linear)


def test_weights_are_clipped_to_some_deviations() -> None:
    model = prepare(network(), "aras", Analog(), IMAGES)
    before = [layer.weight.detach().clone() for layer in layers_of(model)]
    clip_weights(model, 1.5)
    for old, layer in zip(before, layers_of(model), strict=True):
        bound = 1.5 * old.std()
        assert torch.equal(layer.weight, old.clamp(-bound, bound))


class _Untraceable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.layer(x)) if x.sum() > 0 else x


def refused(
    module: Any = None, chip: Any = "aras", analog: Any = None, x: Any = None, **options: Any
) -> Callable[[], Any]:
    """A call of prepare with one thing wrong."""
    module = nn.Linear(4, 4) if module is None else module
    return lambda: prepare(module, chip, analog or Analog(), torch.ones(2, 4) if x is None else x, **options)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (refused(nn.ReLU()), NetworkError, "nothing for crossbars"),
        (refused("resnet"), NetworkError, "torch.nn.Module, not str"),
        (refused(nn.Sequential(nn.Linear(4, 4), nn.Conv1d(2, 2, 1))), NetworkError, r"'1' \(Conv1d\)"),
        (refused(nn.LSTM(4, 4)), NetworkError, "LSTM"),
        (refused(nn.MultiheadAttention(4, 2)), NetworkError, "MultiheadAttention"),
        (refused(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")), NetworkError, "padding_mode 'reflect'"),
        (refused(nn.Conv2d(1, 1, 3, padding="same")), NetworkError, "padding 'same'"),
        (refused(nn.Linear(4, 4, device="meta")), NetworkError, "meta device"),
        (refused(_Untraceable()), NetworkError, "batch normalisation"),
        (refused(x=torch.ones(2, 5)), NetworkError, "cannot be called on the samples"),
        (refused(x=torch.full((2, 4), torch.nan)), NetworkError, "not finite"),
        (refused(nn.ModuleList([nn.Linear(4, 4)])), NetworkError, "cannot be called"),
        (refused(analog=Analog(wires=Wires(row_ohm=1, column_ohm=1))), AnalogError, "wires"),
        (refused(analog=Analog(adc=Adc(gain_error=0.1))), AnalogError, "adc.gain_error"),
        (refused(analog=Analog(adc=Adc(offset_error=0.1))), AnalogError, "adc.offset_error"),
        (refused(analog="six bits"), OptionError, "mho.machine.Analog, not str"),
        (refused(gradient="clear"), OptionError, "unknown gradient 'clear'"),
        (refused(momentum=1.5), OptionError, "momentum"),
        (refused(seed=-1), OptionError, "seed"),
        (lambda: finish(nn.Linear(4, 4)), NetworkError, "not prepared"),
        (lambda: calibrate(nn.Linear(4, 4), IMAGES), NetworkError, "not prepared"),
        (lambda: quantise(prepare(network(), "aras", Analog(), IMAGES), "images"), NetworkError, "samples"),
        (lambda: clip_weights(prepare(network(), "aras", Analog(), IMAGES), 0), OptionError, "deviations"),
        (lambda: refused(refused()())(), NetworkError, "prepared already"),
    ],
)  # fmt: skip
def test_what_training_cannot_follow_is_refused_by_name(
    call: Callable[[], Any], error: type[MhoError], words: str
) -> None:
    with pytest.raises(error, match=words):
        call()


def test_a_diverged_training_says_so() -> None:
    model = prepare(nn.Linear(4, 4), "aras", Analog(), torch.ones(2, 4)).train()
    with pytest.raises(MhoError, match="not finite"):
        model(torch.full((2, 4), torch.nan))


SMALL = train_digits.Case(hidden=16, train=240, float_epochs=6, epochs=1, limit_epochs=1, seeds=2)


def test_the_example_runs_small_and_gives_the_same_again() -> None:
    pytest.importorskip("sklearn")
    found = train_digits.measure(SMALL)
    assert found == train_digits.measure(SMALL)
    assert found["samples"] == {"train": 240, "held_out": 1557}
    # 1,557 digits at a chance of 1/10 have a standard error of 0.76 points.
    assert found["accuracy"]["float"] > 0.1 + 5 * 0.0076
    assert len(found["accuracy"]["after"]) == 2
    train_digits.table(found)


def test_training_forward_and_machine_agree_on_real_digits() -> None:
    """The same codes and cells without noise; in float32 a tie may fall otherwise, so one prediction in a hundred may differ."""
    pytest.importorskip("sklearn")
    seen, held_out = train_digits.digits(240)
    plain = train_digits.network(24)
    train_digits.train(plain, seen, 6, 3e-3, 50)
    chip, analog = mho.Chip.load("aras"), Analog(adc=Adc(bits=5))
    model = prepare(plain, chip, analog, seen[0]).eval()
    quantised = quantise(model, seen[0])
    program = mho.compile(quantised, chip, GREEDY.with_(schedule="naive"))
    wanted = mho.execute(program, held_out[0].numpy(), analog=analog)[quantised.network.outputs[0]]
    exact = outputs(copy.deepcopy(model).double(), held_out[0])
    np.testing.assert_allclose(exact, wanted, rtol=0, atol=1e-13 * np.abs(wanted).max())
    assert (outputs(model, held_out[0]).argmax(1) == wanted.argmax(1)).mean() >= 0.99


def test_the_page_shows_what_the_example_measured_and_most_of_the_loss_is_gained_back() -> None:
    results = read_json(train_digits.RESULTS)
    assert measured_part(train_digits.PAGE.read_text(encoding="utf-8")) == train_digits.table(results)
    assert results["case"] == asdict(train_digits.Case())
    accuracy = results["accuracy"]
    before, after = np.mean(accuracy["before"]), np.mean(accuracy["after"])
    assert len(accuracy["before"]) == len(accuracy["after"]) == train_digits.Case().seeds
    assert results["gained_back"] == pytest.approx((after - before) / (accuracy["float"] - before))
    assert before < accuracy["float"] - 0.1
    assert results["gained_back"] > 0.5
    fixed = {key: np.mean(value) for key, value in results["fixed_range"].items()}
    assert fixed["unclipped"] > fixed["before"] + (accuracy["float"] - fixed["before"]) / 2


def test_importing_training_leaves_other_commands_without_torch() -> None:
    code = "import sys, mho; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
