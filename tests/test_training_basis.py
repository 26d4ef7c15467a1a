"""Training on a basis: what comes out is exact and keeps its promises, what is fixed stays, a stopped training goes on unharmed."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import mho
from mho.errors import MhoError, NetworkError, NumberError, OptionError, WeightError
from mho.mapping.merging import first_fit
from mho.number import BasisCoding, QuantisedNetwork, fit_basis, run_reference
from mho.training import Settings, Tuning, combine, contention, keep_basis, moved
from mho.training.basis import BasisLayer, settle
from tests.test_basis import compiled, small
from tests.test_number_basis import run_on_basis

IMAGES = np.random.default_rng(7).random((48, 4, 6, 6), dtype=np.float32) * 2 - 0.5


class Small(nn.Module):
    """Convolutions, one depthwise, one grouped, normalisations that fold and one that does not, a shortcut, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(4, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.before = nn.BatchNorm2d(8)
        self.grouped = nn.Conv2d(8, 6, (2, 1), groups=2, stride=(1, 2))
        self.last = nn.Linear(90, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).relu()
        x = self.before(x + self.depthwise(x)).relu()
        y: Tensor = self.last(self.grouped(x).relu().flatten(1))
        return y


@cache
def plain() -> nn.Module:
    torch.manual_seed(0)
    made = Small().train()
    made(torch.from_numpy(IMAGES))
    return made.eval()


@cache
def start(
    vectors: int = 24, nonzeros: int = 4, levels: int = 4, height: int = 16, basis: str = "learned"
) -> QuantisedNetwork:
    network = mho.Network.from_torch(plain(), torch.from_numpy(IMAGES[:1]))
    return fit_basis(network, IMAGES, vectors, nonzeros, 4, levels, basis, height=height)


def tuning(fitted: QuantisedNetwork, support: str = "moves", teacher: nn.Module | None = None, **asked: Any) -> Tuning:
    asked = {"epochs": 2, "batch": 16} | asked
    return Tuning(combine(plain(), fitted, support=support), IMAGES, Settings(**asked), teacher=teacher or plain())


def coding_of(network: QuantisedNetwork) -> BasisCoding:
    assert network.basis is not None
    return network.basis


def same(one: QuantisedNetwork, other: QuantisedNetwork) -> bool:
    """Say whether two networks are on one basis with the same coefficients, scales and biases, bit for bit."""
    a, b = coding_of(one), coding_of(other)
    pairs = [(a.cells, b.cells)]
    for layer in one.network.matrix_layers:
        first, second = one.matrices[layer.name], other.matrices[layer.name]
        pairs += [(a.dense(layer), b.dense(layer)), (first.scale, second.scale), (first.centred, second.centred)]
        assert first.bias is not None and second.bias is not None
        pairs.append((first.bias, second.bias))
    return all(np.array_equal(*pair) for pair in pairs)


@settings(max_examples=6)
@given(
    st.integers(1, 30), st.integers(1, 6), st.integers(2, 16), st.integers(3, 40), st.sampled_from(["moves", "stays"]),
    st.sampled_from(["together", "alternating"]), st.integers(0, 9),
)  # fmt: skip
def test_what_comes_out_is_exact_on_the_basis(
    vectors: int, nonzeros: int, levels: int, height: int, support: str, turns: str, seed: int
) -> None:
    fitted = start(vectors, nonzeros, levels, height)
    found = tuning(fitted, support, coefficients=0.3, elements=0.3, turns=turns, seed=seed)
    found.run()
    after = keep_basis(found.model)
    coding, before = coding_of(after), coding_of(fitted)
    assert (coding.levels, coding.bits, coding.nonzeros, coding.height) == (levels, 4, nonzeros, height)
    assert set(np.unique(coding.elements)) <= set(range(1 - levels, levels, 2))
    for layer in after.network.matrix_layers:
        coefficients = coding.dense(layer)
        assert np.count_nonzero(coefficients, axis=2).max() <= nonzeros
        assert np.array_equal(after.matrices[layer.name].centred, coding.integers(layer))
        if support == "stays":
            kept = found.model.get_submodule(f"model.{layer.name}").get_buffer("support").transpose(2, 3).numpy()
            assert not coefficients[~kept].any()
            assert not before.dense(layer)[~kept].any()
    # The reference, which knows nothing of a basis, against coefficients x (basis x inputs).
    expected = run_on_basis(after, coding, (IMAGES[:1].astype(np.float64),))
    for name, tensor in run_reference(after, IMAGES[:1], keep=list(expected)[:-1]).items():
        assert np.array_equal(tensor, expected[after.network.returned.get(name, name)])


@pytest.mark.parametrize("asked", [{"coefficients": "powers"}, {"basis": "units"}, {"left_out": ("first", "last")}])
def test_other_coefficients_vectors_and_layers_left_out_stay_what_they_are(asked: dict[str, Any]) -> None:
    network = mho.Network.from_torch(plain(), torch.from_numpy(IMAGES[:1]))
    fitted = fit_basis(network, IMAGES, 24, 4, height=16, **asked)
    before = coding_of(fitted)
    found = tuning(fitted, coefficients=8.0 if before.powers else 0.5, elements=2.0)
    found.run()
    after = keep_basis(found.model)  # codings refuse coefficients that are none
    coding = coding_of(after)
    assert (coding.powers, coding.units) == (before.powers, before.units)
    assert coding.coefficients.keys() == before.coefficients.keys()
    assert np.array_equal(coding.cells, before.cells) == coding.units
    for layer in after.network.matrix_layers:
        if layer.name in coding.coefficients:
            assert np.array_equal(after.matrices[layer.name].centred, coding.integers(layer))
            assert not np.array_equal(coding.dense(layer), before.dense(layer))
        else:
            assert after.matrices[layer.name] is fitted.matrices[layer.name]
            assert layer.name in asked["left_out"]


def test_a_tuned_network_runs_bit_exact_on_a_chip_that_holds_its_basis() -> None:
    found = tuning(start(height=8), coefficients=0.3, elements=0.3)
    found.run()
    verified = mho.verify(compiled(keep_basis(found.model), small(tiles=40)), IMAGES[:1])
    assert verified.ok, str(verified)


def test_a_model_computes_what_its_integers_do() -> None:
    found = tuning(start())
    found.run()
    after = keep_basis(found.model)
    reference = run_reference(after, IMAGES)[after.network.outputs[0]]
    with torch.no_grad():
        outputs = found.model(torch.from_numpy(IMAGES)).numpy()
        plainly = mho.number.run_float(after.network, IMAGES)[after.network.outputs[0]]
    # The shortcut is coded on the chip and not in training: half a step of 8 bits, here and there.
    assert np.abs(outputs - reference).mean() < 0.01 * reference.std()
    assert np.abs(plainly - reference).mean() < 0.03 * reference.std()


def test_training_wins_back_most_of_what_the_basis_lost() -> None:
    held = np.random.default_rng(8).random((200, 4, 6, 6), dtype=np.float32) * 2 - 0.5
    fitted = start(24, 3, 2)

    def lost(network: QuantisedNetwork) -> float:
        with torch.no_grad():
            wanted = plain()(torch.from_numpy(held)).numpy()
        return float(np.square(run_reference(network, held)[network.network.outputs[0]] - wanted).mean() / wanted.var())

    images = np.random.default_rng(9).random((640, 4, 6, 6), dtype=np.float32) * 2 - 0.5
    asked = Settings(epochs=10, batch=16, elements=0.01, settle=0.02, temperature=1.0)
    found = Tuning(combine(plain(), fitted), images, asked, teacher=plain())
    found.run()
    assert lost(keep_basis(found.model)) < 0.7 * lost(fitted)


def test_a_rate_of_0_changes_nothing() -> None:
    found = tuning(start(), coefficients=0.0, elements=0.0, others=0.0, contention=1.0)
    found.run()
    after = keep_basis(found.model)
    assert same(start(), after)
    assert same(start(), keep_basis(combine(plain(), start())))
    name = after.network.outputs[0]
    np.testing.assert_allclose(
        run_reference(after, IMAGES)[name], run_reference(start(), IMAGES)[name], rtol=0, atol=1e-6
    )


def test_the_same_seed_gives_the_same_network_and_another_seed_another() -> None:
    found = [tuning(start(), seed=seed, mix=0.5) for seed in (3, 3, 4)]
    for each in found:
        each.change = moved
        each.run()
    networks = [keep_basis(each.model) for each in found]
    assert found[0].losses == found[1].losses != found[2].losses
    assert same(networks[0], networks[1])
    assert not same(networks[0], networks[2])


def test_a_basis_that_is_fixed_stays_and_turns_rest_what_is_not_theirs() -> None:
    found = tuning(start(), elements=0.5, coefficients=0.5)
    found.model.get_submodule("basis").requires_grad_(False)
    found = Tuning(found.model, IMAGES, found.settings, teacher=plain())
    found.run()
    assert np.array_equal(coding_of(keep_basis(found.model)).cells, coding_of(start()).cells)
    found = tuning(start(), elements=0.5, coefficients=0.5, turns="alternating", settle=0.0)
    states = [found.state()]
    for _ in range(2):
        found.run(epochs=1)
        states.append(found.state())
    for name in states[0]:
        if not name.startswith("model."):
            continue
        still = [torch.equal(states[i][name], states[i + 1][name]) for i in range(2)]
        if name.endswith("elements"):
            assert still == [True, False]
        elif name.endswith("coefficients"):
            assert still == [False, True], name


class Stops(nn.Module):
    """A teacher that is interrupted at one of its lessons."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.lessons, self.at, self.body = 0, at, plain()

    def forward(self, x: Tensor) -> Tensor:
        self.lessons += 1
        if self.lessons == self.at:
            raise KeyboardInterrupt
        y: Tensor = self.body(x)
        return y


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize("turns", ["together", "alternating"])
def test_a_training_that_is_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path, optimiser: str, turns: str) -> None:
    path = tmp_path / "tuning.safetensors"
    asked = {"epochs": 3, "optimiser": optimiser, "turns": turns, "warm": 0.3}
    whole = tuning(start(), **asked)
    whole.run()
    stopped = tuning(start(), teacher=Stops(5), **asked)  # in the second of three batches of the second epoch
    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        stopped.run(lambda epoch, loss: seen.append(epoch), path=path)
    assert seen == [1] and stopped.done == 1
    later = tuning(start(), **asked)
    later.resume(path)
    assert {name: tensor.tolist() for name, tensor in later.state().items()} == {
        name: tensor.tolist() for name, tensor in stopped.state().items()
    }
    for each in (later, stopped):
        each.run(path=path)
        assert each.losses == whole.losses
        assert same(keep_basis(each.model), keep_basis(whole.model))


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tuning.safetensors"
    found = tuning(start())
    found.save(path)
    with pytest.raises(WeightError, match="other settings"):
        tuning(start(), seed=1).resume(path)
    with pytest.raises(WeightError, match="other images or labels"):
        Tuning(found.model, IMAGES[1:], found.settings, teacher=plain()).resume(path)
    with pytest.raises(WeightError, match="another start"):
        tuning(start(nonzeros=3)).resume(path)
    path.write_bytes(b"nothing")
    with pytest.raises(WeightError, match="not a readable"):
        found.resume(path)


def test_the_gradient_goes_straight_through_to_all_coefficients_and_elements() -> None:
    """By hand: of y = sum over vectors of c b x, rounding counted as the identity."""
    torch.manual_seed(3)
    layer = nn.Linear(10, 3)
    samples = np.random.default_rng(0).standard_normal((40, 10)).astype(np.float32)
    fitted = fit_basis(mho.Network.from_torch(layer, torch.from_numpy(samples[:1])), samples, 6, 2, 4, 4, height=10)
    for support in ("moves", "stays"):
        model = combine(layer, fitted, support=support)
        (part,) = (each for each in model.modules() if isinstance(each, BasisLayer))
        x = torch.from_numpy(samples)
        x.requires_grad_(True)
        model(x).sum().backward()  # type: ignore[no-untyped-call]
        coding = coding_of(fitted)
        scale = torch.from_numpy(fitted.matrices[part.layer.name].scale[0])
        code = part.code
        step = float(code.scale)
        shown = np.clip(np.rint(samples / step), code.low - int(code.zero), code.high - int(code.zero)) * step
        sums = torch.from_numpy(shown.sum(axis=0)).double()
        elements = torch.from_numpy(coding.elements).double()
        wanted = scale[:, None] * (elements @ sums)[None, :]
        coefficients = torch.from_numpy(coding.dense(part.layer)[0, 0]).double().T
        kept = part.support[0, 0] if support == "stays" else torch.ones_like(part.support[0, 0])
        assert part.coefficients.grad is not None and part.basis.elements.grad is not None
        torch.testing.assert_close(part.coefficients.grad[0, 0].double(), wanted * kept, rtol=1e-4, atol=1e-4)
        wanted = (coefficients * scale[:, None]).sum(dim=0)[:, None] * sums[None, :]
        torch.testing.assert_close(part.basis.elements.grad.double(), wanted, rtol=1e-4, atol=1e-4)


def test_contention_is_0_where_no_two_outputs_need_one_column_and_falls_when_it_is_trained() -> None:
    found = tuning(start(), coefficients=0.1, elements=0.0, contention=100.0, epochs=20)
    parts = [part for part in found.model.modules() if isinstance(part, BasisLayer)]
    before = float(contention(found.model).detach())
    most = passes(keep_basis(found.model))
    assert before > 0.1
    found.run()
    assert float(contention(found.model).detach()) < 0.7 * before
    assert passes(keep_basis(found.model)) < most
    with torch.no_grad():
        for part in parts:
            part.coefficients.zero_()
            vectors = part.coefficients.shape[-1]
            for output in range(part.coefficients.shape[2]):
                part.coefficients[:, :, output, output % vectors] = 2.0
    assert float(contention(found.model).detach()) == pytest.approx(0.0, abs=1e-6)


def passes(network: QuantisedNetwork) -> int:
    """Count the passes of all segments where columns are merged before the ADC."""
    coding = coding_of(network)
    return sum(
        len(first_fit(segment.T != 0))
        for layer in network.network.matrix_layers
        for group in coding.dense(layer)
        for segment in group
    )


def test_settling_keeps_the_range_and_draws_back_what_is_not_in_the_support() -> None:
    model = combine(plain(), start())
    (part, *_) = (each for each in model.modules() if isinstance(each, BasisLayer))
    with torch.no_grad():
        part.coefficients.copy_(torch.linspace(-20, 20, part.coefficients.numel()).reshape(part.coefficients.shape))
        part.basis.elements.mul_(9)
        kept = part.kept()
        wanted = part.coefficients.clamp(-8, 7) * torch.where(
            part.basis.kept(part.coefficients.clamp(-8, 7)), 1.0, 0.75
        )
    settle(model, 0.25)
    assert float(part.basis.elements.detach().abs().max()) == 3
    torch.testing.assert_close(part.coefficients.detach(), wanted)
    assert kept.any()


def test_images_are_moved_within_their_frame() -> None:
    images = torch.arange(2 * 3 * 5 * 5).reshape(2, 3, 5, 5).float() + 1
    generator = torch.Generator().manual_seed(0)
    places = set()
    for _ in range(60):
        found = moved(images, generator, 1)
        assert found.shape == images.shape
        for each, source in zip(found, images, strict=True):
            matches = [
                (mirrored, top, left)
                for mirrored in (False, True)
                for top in range(3)
                for left in range(3)
                if torch.equal(
                    each,
                    nn.functional.pad(source.flip(2) if mirrored else source, (1, 1, 1, 1))[
                        :, top : top + 5, left : left + 5
                    ],
                )
            ]
            assert len(matches) == 1
            places.update(matches)
    assert len(places) == 18


def test_labels_alone_or_a_share_of_them_train() -> None:
    with torch.no_grad():
        labels = plain()(torch.from_numpy(IMAGES)).argmax(dim=1).numpy()
    for share, teacher in ((0.0, None), (1.0, plain()), (0.5, plain())):
        model = combine(plain(), start(24, 2))
        found = Tuning(model, IMAGES, Settings(epochs=12, batch=16, labels=share), labels=labels, teacher=teacher)
        found.run()
        assert found.losses[-1] < found.losses[0]


# Refusals.


def test_modules_that_were_not_fitted_are_refused() -> None:
    other = copy.deepcopy(plain())
    with torch.no_grad():
        next(other.parameters()).add_(0.5)
    for module, network, error, word in (
        (other, start(), NetworkError, "other weights"),
        (nn.Linear(2, 2), start(), NetworkError, "is not to be found in the"),
        (plain(), replace(start(), basis=None), NumberError, "on no basis"),
        ("module", start(), NetworkError, "torch.nn.Module"),
    ):
        with pytest.raises(error, match=word):
            combine(module, network)  # type: ignore[arg-type]
    for use in (keep_basis, contention):
        with pytest.raises(NetworkError, match=r"not on a basis; mho\.training\.combine"):
            use(plain())


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"epochs": 0}, "epochs"), ({"batch": 1.5}, "batch"), ({"coefficients": -1.0}, "coefficients"), ({"labels": 2}, "labels"),
        ({"turns": "both"}, "together or alternating"), ({"optimiser": "adm"}, "adam or sgd"), ({"temperature": 0}, "temperature"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(asked: dict[str, Any], word: str) -> None:
    with pytest.raises(OptionError, match=word):
        Settings(**asked)


def test_trainings_without_an_aim_are_refused() -> None:
    model = combine(plain(), start())
    cases: list[tuple[dict[str, Any], Settings, str]] = [
        ({}, Settings(), "a teacher, or labels"),
        ({"teacher": plain()}, Settings(labels=0.5), "needs labels"),
        ({"labels": np.zeros(3)}, Settings(), "48 images have 3 labels"),
    ]
    for given_, asked, word in cases:
        with pytest.raises(OptionError, match=word):
            Tuning(model, IMAGES, asked, **given_)
    with pytest.raises(OptionError, match="moves or stays"):
        combine(plain(), start(), support="stay")
    with pytest.raises(OptionError, match="nothing to train"):
        Tuning(copy.deepcopy(model).requires_grad_(False), IMAGES, teacher=plain())
    with torch.no_grad():
        next(part for part in model.modules() if isinstance(part, BasisLayer)).coefficients.fill_(float("nan"))
    with pytest.raises(MhoError, match="not finite: training diverged"):
        model(torch.from_numpy(IMAGES))
