"""Real interactions and the published NCF: how many hits the integers keep, and that the program gives the integers' scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mho
from mho.errors import WeightError
from mho.machine.recommender import auc, hit_rate, open_real, open_recommender
from mho.training.recommender import Interactions, Settings, Training
from tests.strategies import GREEDY

CANDIDATES, LISTS = 100, 500


@pytest.fixture(scope="module")
def files(data: Path) -> tuple[Path, Path, Path]:
    found = tuple(data / "recsys" / name for name in ("ncf_mlp_ml1m.safetensors", "ncf_ml1m_test.npz", "ml1m.npz"))
    missing = [path for path in found if not path.is_file()]
    if missing:
        pytest.skip(f"no real data: {missing[0]} is missing")
    return found  # type: ignore[return-value]


def test_the_published_ncf_keeps_its_hits_in_integers_and_as_a_program(files: tuple[Path, Path, Path]) -> None:
    """Real: 0.6704, as the files' own README measures. Integers: within half a point."""
    real, recommender = open_real(files[0]), open_recommender(files[0])
    with np.load(files[1]) as lists:
        users, candidates = lists["user"], lists["candidates"]
    program = mho.compile(recommender.for_batch(CANDIDATES), "isaac", GREEDY.with_(schedule="adaptive"))
    found: dict[str, list[np.ndarray]] = {"real": [], "integers": []}
    for start in range(0, len(users), LISTS):
        some = candidates[start : start + LISTS]
        whose = np.repeat(users[start : start + LISTS], CANDIDATES)
        trace = real.bags({"user": whose, "item": some.reshape(-1)})
        reduced = recommender.reduce(trace)
        assert np.abs(reduced).max() <= 127  # one row a bag: exact in the dense part's input
        found["real"].append(real.predict(trace))
        found["integers"].append(recommender.predict(reduced))
        if start % 2000 == 0:
            executed = mho.execute(program, recommender.vectors(reduced))["score"][:, 0]
            assert np.array_equal(executed, found["integers"][-1])
    rates = {name: hit_rate(np.concatenate(each).reshape(-1, CANDIDATES)) for name, each in found.items()}
    assert rates["real"] == pytest.approx(0.6704, abs=5e-5)
    assert abs(rates["integers"] - rates["real"]) < 0.005


def test_a_file_with_other_shapes_is_no_ncf(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    held = load_file(files[0])
    save_file({**held, "layer2_W": held["layer2_W"].T.copy()}, tmp_path / "n.safetensors")
    with pytest.raises(WeightError, match="layer2_W"):
        open_recommender(tmp_path / "n.safetensors")
    del held["layer2_W"]
    save_file(held, tmp_path / "n.safetensors")
    with pytest.raises(WeightError, match="format none"):
        open_recommender(tmp_path / "n.safetensors")


def test_movielens_trains_beyond_popularity_in_a_part_of_an_epoch(files: tuple[Path, Path, Path]) -> None:
    data = Interactions.load(files[2])
    assert (len(data.users), len(data.held), data.unseen.sum()) == (994169, 6040, 604)
    assert data.rows == (6040, 2, 7, 21, 3952, 19, 3952)
    # Every twelfth interaction is trained on; histories stay whole.
    part = data.trained[::12]
    object.__setattr__(data, "trained", part)
    training = Training(data, Settings(epochs=1, batch=1024, rate=0.01))
    training.run()
    real = training.real()
    recommender = real.quantise(real.bags(data.bags(data.sample(1000))))
    queries = data.test(unseen=True)
    reduced = recommender.reduce(real.bags(data.bags(queries)))
    popularity = auc(data.popularity[queries.items].astype(np.float64), queries.labels)
    assert auc(recommender.predict(reduced), queries.labels) > popularity + 0.01
    some = reduced[:200]
    assert mho.verify(
        mho.compile(recommender.dense, "aras", GREEDY.with_(schedule="adaptive")), recommender.vectors(some)
    ).ok
