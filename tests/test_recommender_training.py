"""Training a recommender: no query shows its answer, the same seed gives the same model, interrupted or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import mho
from mho.errors import OptionError, TraceError, WeightError
from mho.machine.recommender import auc, log_loss, open_real, open_recommender
from mho.training.recommender import Interactions, Queries, Settings, Training
from mho.training.recommender.data import NEGATIVES, TABLES
from tests.strategies import GREEDY

SMALL = Settings(dimension=4, hidden=(8,), epochs=3, batch=100, rate=0.02)


def toy(users: int = 60, items: int = 40, seed: int = 0) -> Interactions:
    """Users of two tastes: most of what each likes is in one half of the items."""
    random = np.random.default_rng(seed)
    taste = random.integers(0, 2, users)
    chosen = []
    for user in range(users):
        chance = np.where(np.arange(items) // (items // 2) == taste[user], 1.0, 0.05)
        chosen.append(random.choice(items, random.integers(6, 12), replace=False, p=chance / chance.sum()))
    return Interactions(
        users=np.repeat(np.arange(users), [len(each) - 1 for each in chosen]),
        items=np.concatenate([each[1:] for each in chosen]).astype(np.int64),
        held=np.asarray([each[0] for each in chosen], dtype=np.int64),
        user_attributes=random.integers(0, 3, (users, 3)),
        item_attribute=random.integers(0, 4, items),
        unseen=np.arange(users) < 12,
        seed=seed,
        origin="toy",
    )


def as_file(data: Interactions, path: Path) -> Path:
    """Write as the file of MovieLens-1M is: counted from 1, attributes in one space of numbers."""
    order = np.random.default_rng(0).permutation(len(data.held))
    np.savez(
        path,
        user=np.concatenate([data.users, order]) + 1,
        item=np.concatenate([data.items, data.held[order]]) + 1,
        n_train=len(data.users),
        user_attr=np.concatenate([[[0] * 3], data.user_attributes * 7 + 100]),
        item_attr=np.concatenate([[0], data.item_attribute + 50]),
    )
    return path


def states(training: Training) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in training.state()[0].items()}


def same(one: Training, other: Training) -> bool:
    first, second = states(one), states(other)
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def bags_of(data: Interactions, queries: Queries, number: int, table: str) -> list[int]:
    held = data.bags(queries)[table]
    if isinstance(held, tuple):
        return list(held[1][held[0][number] : held[0][number + 1]])
    return [int(held[number])] if held[number] >= 0 else []


def test_no_query_shows_its_own_answer() -> None:
    data = toy()
    liked = set(zip(data.users.tolist(), data.items.tolist(), strict=True))
    for queries in (data.sample(200), data.test(unseen=False), data.test(unseen=True)):
        for number in range(0, len(queries), 7):
            user, item = int(queries.users[number]), int(queries.items[number])
            wanted = sorted(i for u, i in liked if u == user and i != item)
            assert sorted(bags_of(data, queries, number, "history")) == wanted
            assert bags_of(data, queries, number, "item") == [item]
            assert bags_of(data, queries, number, "user") == ([] if data.unseen[user] else [user])


def test_labels_are_what_was_the_case() -> None:
    data = toy()
    for unseen in (False, True):
        test = data.test(unseen=unseen)
        assert (data.unseen[test.users] == unseen).all() and len(test) == (1 + NEGATIVES) * (
            data.unseen == unseen
        ).sum()
        assert np.array_equal(test.labels == 1, data.held[test.users] == test.items)
        assert not data.seen[test.users, test.items].any()
        assert np.array_equal(test.items, data.test(unseen=unseen).items)
    sample = data.sample(300)
    assert np.array_equal(sample.labels == 1, data.seen[sample.users, sample.items])
    assert not data.unseen[sample.users].any() and not data.unseen[data.users[data.trained]].any()
    assert data.popularity.sum() == len(data.trained)


def test_training_sums_are_those_of_the_bags() -> None:
    """The matrix product of histories, less the item in question, is the look-up of every row; torch's bags are the oracle."""
    data = toy()
    training = Training(data, SMALL)
    queries = data.sample(150)
    fields = data.bags(queries)
    bags = {}
    for name in TABLES:
        held = fields[name]
        offsets, rows = held if isinstance(held, tuple) else (np.arange(len(queries) + 1), held)
        bags[name] = (torch.from_numpy(np.asarray(rows)), torch.from_numpy(np.asarray(offsets[:-1])))
    with torch.no_grad():
        fast = training.model.score(training._sums(queries, np.zeros(len(queries), dtype=bool)))
        slow = training.model(bags)
    real = training.real()
    assert np.abs(fast.numpy() - slow.numpy()).max() < 1e-5
    assert np.abs(real.predict(real.bags(fields)) - slow.numpy()).max() < 1e-5


def test_unseen_users_change_nothing_in_training() -> None:
    data = toy()
    theirs = data.unseen[data.users]
    without = replace(data, users=data.users[~theirs], items=data.items[~theirs])
    one, other = Training(data, SMALL), Training(without, SMALL)
    assert np.array_equal(data.popularity, without.popularity)
    one.run(epochs=1)
    rows = states(one)["model.tables.user.weight"]
    start = states(other)["model.tables.user.weight"]
    # Rows that no query looks up move by weight decay alone: each by the same factor.
    factors = rows[data.unseen] / start[data.unseen]
    assert np.allclose(factors, factors[0, 0], rtol=1e-4) and not np.allclose(rows[~data.unseen], start[~data.unseen])


def test_training_learns_and_the_integers_keep_it() -> None:
    data = toy(users=150)
    training = Training(data, replace(SMALL, epochs=5, rate=0.01))
    training.run()
    assert training.losses[-1] < training.losses[0]
    real = training.real()
    recommender = real.quantise(real.bags(data.bags(data.sample(500))))
    for unseen in (False, True):
        queries = data.test(unseen=unseen)
        trace = real.bags(data.bags(queries))
        scores, reduced = real.predict(trace), recommender.reduce(trace)
        integers = recommender.predict(reduced)
        # Who knows the tastes reaches about 0.79, because drawn items are often of the user's own half; both halves are
        # equally popular. The constant's loss is that of one in five.
        assert auc(scores, queries.labels) > 0.65
        assert log_loss(scores, queries.labels) < -(0.2 * np.log(0.2) + 0.8 * np.log(0.8))
        assert abs(auc(scores, queries.labels) - auc(integers, queries.labels)) < 0.02
    result = mho.verify(
        mho.compile(recommender.dense, "aras", GREEDY.with_(schedule="adaptive")), recommender.vectors(reduced)
    )
    assert result.ok, str(result)


def test_the_same_seed_gives_the_same_model() -> None:
    data = toy()
    one, again, other = Training(data, SMALL), Training(data, SMALL), Training(data, replace(SMALL, seed=1))
    torch.manual_seed(99)
    for training in (one, again, other):
        training.run()
    assert same(one, again) and one.losses == again.losses
    assert not np.array_equal(states(one)["model.tables.item.weight"], states(other)["model.tables.item.weight"])


def test_a_training_that_goes_on_reaches_the_same_model(tmp_path: Path) -> None:
    data, path = toy(), tmp_path / "c.safetensors"
    whole = Training(data, SMALL)
    whole.run()
    parts = Training(data, SMALL)
    for _ in range(SMALL.epochs):
        parts.run(epochs=1)
        parts.save(path)
        parts = Training.resume(data, path)
    assert parts.done == SMALL.epochs and same(whole, parts) and whole.losses == parts.losses
    fresh = Training(data, SMALL)
    fresh.save(path)
    resumed = Training.resume(data, path)
    resumed.run()
    assert same(whole, resumed)


def test_an_interrupted_epoch_leaves_the_one_before() -> None:
    data = toy()
    training, untouched = Training(data, SMALL), Training(data, SMALL)
    training.run(epochs=1)
    untouched.run(epochs=1)
    honest, calls = data.around, []

    class Stops(type(data)):  # type: ignore[misc]
        def around(self, *given: object) -> Queries:
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return honest(*given)  # type: ignore[arg-type]

    training.data = Stops(**{name: getattr(data, name) for name in data.__dataclass_fields__})
    with pytest.raises(KeyboardInterrupt):
        training.run()
    assert len(calls) == 3 and training.done == 1 and same(training, untouched)
    training.data = data
    training.run()
    untouched.run()
    assert same(training, untouched)


def test_a_checkpoint_is_a_recommender(tmp_path: Path) -> None:
    data, path = toy(), tmp_path / "c.safetensors"
    training = Training(data, SMALL)
    training.run(epochs=1)
    training.save(path)
    recommender, real = open_recommender(path), open_real(path)
    queries = data.test(unseen=False)
    trace = recommender.bags(data.bags(queries))
    assert np.array_equal(real.predict(trace), training.real().predict(trace))
    calibrated = training.real().quantise(real.bags(data.bags(data.sample(4096))))
    reduced = recommender.reduce(trace)
    assert np.array_equal(recommender.predict(reduced), calibrated.predict(reduced))
    assert not recommender.synthetic and "toy" in recommender.origin
    assert recommender.names == TABLES


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path) -> None:
    data, path = toy(), tmp_path / "c.safetensors"
    Training(data, SMALL).save(path)
    for other in (toy(users=61), replace(data, seed=5), replace(data, unseen=np.zeros(60, dtype=bool))):
        with pytest.raises(WeightError, match="other data"):
            Training.resume(other, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightError, match=r"c\.safetensors"):
        Training.resume(data, path)


def test_a_file_of_interactions_is_read(tmp_path: Path) -> None:
    data = toy()
    read = Interactions.load(as_file(data, tmp_path / "d.npz"), unseen=0.25)
    assert all(np.array_equal(getattr(read, name), getattr(data, name)) for name in ("users", "items", "held"))
    assert np.array_equal(read.user_attributes, data.user_attributes) and read.rows == data.rows
    assert read.unseen.sum() == 15
    assert not np.array_equal(read.unseen, Interactions.load(tmp_path / "d.npz", unseen=0.25, seed=1).unseen)
    with pytest.raises(OptionError, match="share"):
        Interactions.load(tmp_path / "d.npz", unseen=1.5)
    for content in ({"user": np.zeros(3)}, {"n_train": 3}):
        np.savez(tmp_path / "e.npz", **content)
        with pytest.raises(TraceError, match=r"e\.npz"):
            Interactions.load(tmp_path / "e.npz")
    with np.load(tmp_path / "d.npz") as file:
        held = dict(file)
    held["n_train"] = held["n_train"] - 1
    np.savez(tmp_path / "e.npz", **held)
    with pytest.raises(TraceError, match="n_train"):
        Interactions.load(tmp_path / "e.npz")
    with pytest.raises(TraceError, match=r"no\.npz"):
        Interactions.load(tmp_path / "no.npz")


def test_interactions_that_do_not_fit_are_refused() -> None:
    data = toy()
    for change, text in (
        ({"items": np.where(np.arange(len(data.items)) == 3, 40, data.items)}, "items lie in"),
        ({"held": np.full(60, -1)}, "held-out"),
        ({"users": data.users[:-1]}, "do not fit"),
        ({"held": np.where(np.arange(60) == 4, data.items[data.users == 4][0], data.held)}, "twice"),
        ({"user_attributes": data.user_attributes - 5}, "attributes"),
    ):
        with pytest.raises(TraceError, match=text):
            replace(data, **change)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"epochs": 1.5},
        {"batch": 1},
        {"rate": 0.0},
        {"forget": 1.1},
        {"seed": -1},
        {"dimension": 0},
        {"hidden": ()},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        Settings(**wrong)  # type: ignore[arg-type]
    assert Settings.of(SMALL.record()) == SMALL
    with pytest.raises(OptionError, match="unknown"):
        Settings.of({"speed": 1})
