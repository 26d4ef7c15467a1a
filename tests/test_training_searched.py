"""Searched models trained alone and as parts of a supernet: laws of what is drawn, shared, saved and scored."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import OptionError, WeightError
from mho.machine.recommender.scores import log_loss
from mho.network.clicks import Clicks
from mho.network.zoo.interaction import MODELS
from mho.network.zoo.interaction.space import ModelSpace
from mho.training.clicks import Settings, judge
from mho.training.graph import Graph
from mho.training.searched.alone import Alone, Budget, batches, train_alone
from mho.training.searched.predictor import NAMES, Predictor, features
from mho.training.searched.refit import refitted, refitted_loss
from mho.training.searched.score import SCORES, Scorer
from mho.training.searched.supernet import SCORE, Deck, Supernet

SPACE = ModelSpace(blocks=2, widths=(4, 8), counts=(2, 3), weight_bits=(2, 8), input_bits=(4, 8))
BUDGET = Budget(dimension=4, batch=64, rate=0.02, epochs=3, tables=1.0)


def toy(records: int = 900, seed: int = 0) -> Clicks:
    """Records of four fields; whether they are clicked depends on two of them together."""
    random = np.random.default_rng(seed)
    x = random.integers(0, 6, (records, 4)).astype(np.int32)
    logit = 3.0 * ((x[:, 0] + x[:, 1]) % 2) - 1.5
    y = (random.random(records) < 1 / (1 + np.exp(-logit))).astype(np.uint8)
    fold = np.repeat(np.array([0, 1, 2], dtype=np.uint8), [records - 400, 300, 100])
    return Clicks(x, y, fold, (6,) * 4, ("a", "b", "c", "d"), "toy", synthetic=True)


def drawn(count: int, seed: int = 1) -> list:
    random = Random(seed)
    return [SPACE.genotype(SPACE.drawn(random)) for _ in range(count)]


@pytest.fixture(scope="module")
def supernet() -> Supernet:
    net = Supernet(SPACE, toy(), BUDGET)
    net.train(60)
    return net


@given(st.integers(1, 100), st.integers(1, 40), st.integers(0, 99))
def test_every_record_comes_once_an_epoch(records: int, batch: int, seed: int) -> None:
    data = toy(records + 400).train
    whole = min(batch, records)
    each = records // whole
    seen = list(batches(data, batch, 2 * each, seed))
    for epoch in (seen[:each], seen[each:]):
        rows = np.concatenate([x for x, _ in epoch])
        assert len(rows) == each * whole
        assert not Counter(map(tuple, rows)) - Counter(map(tuple, data.x))


@given(st.integers(0, 99))
@settings(max_examples=20)
def test_every_choice_of_a_gene_comes_as_often(seed: int) -> None:
    deck, size = Deck(SPACE, seed), 2
    counts: list[Counter[int]] = [Counter() for _ in SPACE.sizes]
    plain = SPACE.genotype

    class Spied:
        sizes = SPACE.sizes

        @staticmethod
        def genotype(genes: list[int]) -> object:
            for counter, gene in zip(counts, genes, strict=True):
                counter[gene] += 1
            return plain(genes)

    deck.space = Spied()  # type: ignore[assignment]
    draws = size * int(np.lcm.reduce(SPACE.sizes))
    for _ in range(draws):
        deck.draw()
    for counter, choices in zip(counts, SPACE.sizes, strict=True):
        assert set(counter.values()) == {draws // choices} and len(counter) == choices


@given(st.floats(0.2, 5.0), st.floats(-3.0, 3.0), st.integers(0, 99))
@settings(max_examples=30)
def test_refitting_undoes_scale_and_bias(scale: float, bias: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(0.0, 2.0, 4000)
    labels = (random.random(4000) < 1 / (1 + np.exp(-logits))).astype(np.uint8)
    found = refitted((logits - bias) / scale, labels)
    assert found[0] == pytest.approx(scale, rel=0.2) and found[1] == pytest.approx(bias, abs=0.25)
    same = refitted(logits, labels)
    np.testing.assert_allclose(found[0] * (logits - bias) / scale + found[1], same[0] * logits + same[1], atol=1e-5)


def test_logits_that_rank_backwards_count_for_nothing() -> None:
    labels = np.array([0, 1] * 50, dtype=np.uint8)
    assert refitted(1.0 - 2.0 * labels, labels)[0] == 0.0
    assert refitted_loss(np.zeros(100), labels, 40) == pytest.approx(np.log(2.0))


def test_a_model_alone_learns_and_the_same_seed_gives_the_same() -> None:
    data, model = toy(), drawn(1)[0]
    alone = Alone(model, data, BUDGET, 0)
    before = log_loss(alone.logits(data.train.x), data.train.y)
    alone.train(60)
    after = log_loss(alone.logits(data.train.x), data.train.y)
    again = Alone(model, data, BUDGET, 0)
    again.train(60)
    assert after < before - 0.1 and np.array_equal(alone.logits(data.valid.x), again.logits(data.valid.x))
    other = Alone(model, data, BUDGET, 1)
    other.train(60)
    assert not np.array_equal(alone.logits(data.valid.x), other.logits(data.valid.x))


def test_a_model_trained_whole_is_a_recommender_of_its_own_bits() -> None:
    data, model = toy(), drawn(1)[0]
    recommender = train_alone(model, data, 0, Settings(dimension=4, epochs=3, batch=64, rate=0.02))
    asked = {name: bits for name, bits in model.layer_bits(4, 4).items() if bits != "8/8"}
    assert {name: str(bits) for name, bits in recommender.dense.bits.items()} == asked
    assert judge(recommender, data, "valid").log_loss < 1.0


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind != "searched"][:2])
def test_hand_made_models_are_trained_alike(kind: str) -> None:
    data = toy()
    alone = Alone(MODELS[kind](), data, BUDGET, 0, bits="4/8")
    assert np.isfinite(alone.train(3)) and alone.done == 3


def test_frozen_tables_stay() -> None:
    tables = torch.randn(24, 5)
    alone = Alone(drawn(1)[0], toy(), BUDGET, 0, tables=tables)
    start = alone.tables.detach().clone()
    alone.train(3, frozen=True)
    assert torch.equal(alone.tables, start)
    alone.train(3)
    assert not torch.equal(alone.tables, start)


def test_a_supernet_learns_what_its_models_share(supernet: Supernet) -> None:
    data, fresh = supernet.clicks.valid, Supernet(SPACE, toy(), BUDGET)
    models = drawn(5)
    for_all = [[log_loss(net.logits(model, data.x), data.y) for model in models] for net in (fresh, supernet)]
    assert np.mean(for_all[1]) < np.mean(for_all[0]) - 0.02


def test_a_part_computes_what_the_supernet_does(supernet: Supernet) -> None:
    first = supernet.clicks.train.x[:256]
    for model in drawn(4):
        vectors = supernet.vectors(model, first).detach()
        shared, own = supernet.graph(model, quantised=False), supernet.part(model)
        whole = shared.balanced(supernet.store.cut(model, supernet.weights), vectors, but=SCORE)
        alone = Graph(model.build(4, 4, own))
        with torch.no_grad():
            torch.testing.assert_close(alone(vectors)["score"], shared.run((vectors,), whole)["score"])


def test_a_supernet_goes_on_from_a_file_to_the_same_numbers(tmp_path: Path) -> None:
    whole = Supernet(SPACE, toy(), BUDGET)
    told: list[tuple[int, int]] = []
    whole.train(12, lambda done, steps, loss: told.append((done, steps)), every=5)
    assert told == [(5, 12), (10, 12), (12, 12)]
    half = Supernet(SPACE, toy(), BUDGET)

    class StoppedError(Exception):
        pass

    def stop(done: int, steps: int, loss: float) -> None:
        if done == 7:
            raise StoppedError

    with pytest.raises(StoppedError):
        half.train(12, stop, every=7)
    half.save(tmp_path / "half.safetensors")
    resumed = Supernet.load(tmp_path / "half.safetensors", toy())
    assert resumed.done == 7
    resumed.train(12)
    for name, weight in whole.weights.items():
        assert torch.equal(weight, resumed.weights[name])
    assert torch.equal(whole.tables, resumed.tables)
    with pytest.raises(WeightError, match="trained on other clicks"):
        Supernet.load(tmp_path / "half.safetensors", toy(seed=1))


@pytest.mark.parametrize("score", SCORES)
def test_scores_are_handed_to_other_processes(score: str, supernet: Supernet, tmp_path: Path) -> None:
    supernet.save(tmp_path / "net.safetensors")
    supernet.clicks.save(tmp_path / "clicks.npz")
    scorer = Scorer(tmp_path / "net.safetensors", tmp_path / "clicks.npz", score)
    (model,) = drawn(1)
    value = pickle.loads(pickle.dumps(scorer))(model)
    assert value == SCORES[score](supernet, model) and 0.0 < value < 1.0
    predictor = Predictor.fit(drawn(6), [0.5, 0.4, 0.6, 0.5, 0.3, 0.5], 4, 4, scores=[0.5, 0.4, 0.6, 0.5, 0.3, 0.5])
    predicted = Scorer(scorer.supernet, scorer.clicks, score, predictor)(model)
    assert predicted == predictor(model, value)


def test_unknown_scores_are_refused() -> None:
    with pytest.raises(OptionError, match="unknown score 'best'"):
        Scorer("a", "b", "best")


@given(st.integers(0, 50))
@settings(max_examples=10)
def test_a_predictor_finds_a_line_through_features(seed: int) -> None:
    models = drawn(60, seed)
    x = np.stack([features(model, 4, 4) for model in models])
    assert x.shape == (60, len(NAMES)) and np.isfinite(x).all()
    random = np.random.default_rng(seed)
    losses = x @ random.normal(size=x.shape[1]) * 0.01 + 0.3
    predictor = Predictor.fit(models[:40], losses[:40].tolist(), 4, 4)
    guessed = np.array([predictor(model) for model in models[40:]])
    assert np.abs(guessed - losses[40:]).mean() < 0.2 * losses.std() + 1e-12
    assert predictor.error < losses.std() + 1e-12


def test_a_predictor_needs_models_and_what_it_was_fitted_with() -> None:
    models = drawn(4)
    with pytest.raises(OptionError, match="three or more models"):
        Predictor.fit(models[:2], [0.1, 0.2], 4, 4)
    with pytest.raises(OptionError, match="fitted without scores"):
        Predictor.fit(models, [0.1, 0.2, 0.3, 0.2], 4, 4)(models[0], 0.1)
