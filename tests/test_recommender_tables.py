"""Tables as integers: sums are torch's, steps are exact where they can be, files give back the same integers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import mho
from mho.errors import MhoError, NumberError, OptionError, TraceError, WeightError
from mho.machine.recommender import (
    RealRecommender,
    Recommender,
    Table,
    auc,
    chance,
    hit_rate,
    load,
    log_loss,
    make_trace,
    open_recommender,
    save,
    seeded_recommender,
)
from mho.network.trace import Trace
from mho.network.zoo.interaction import DensePart
from mho.network.zoo.interaction.handmade import DLRM
from mho.network.zoo.recommenders import seeded
from tests.strategies import GREEDY


def random_trace(seed: int, *, queries: int = 12, weights: bool = False, gaps: bool = False) -> Trace:
    """Three tables; empty bags, repeated rows, and, with `gaps`, bags that are missing or twice."""
    random = np.random.default_rng(seed)
    rows = tuple(int(n) for n in random.integers(1, 30, 3))
    bags = [(q, t) for q in range(queries) for t in range(3) for _ in range(random.integers(0, 3) if gaps else 1)]
    lengths = random.integers(0, 6, len(bags))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    indices = np.concatenate([random.integers(0, rows[t], n) for (_, t), n in zip(bags, lengths, strict=True)] or [[]])
    return Trace(
        rows,
        offsets,
        indices.astype(np.int32),
        np.asarray([t for _, t in bags], np.int32),
        np.asarray([q for q, _ in bags], np.int64),
        f"random {seed}",
        weights=random.integers(1, 256, len(indices)).astype(np.uint8) if weights else None,
    )


def real_recommender(rows: tuple[int, ...], seed: int = 0, unit: tuple[int, ...] = (2,)) -> RealRecommender:
    random = np.random.default_rng(seed)
    part = DensePart(DLRM((6, 3)), len(rows), 4)
    weights = seeded(DLRM((6, 3)).sizes(len(rows), 4), seed)
    tables = {f"table{i}": random.standard_normal((n, 4)) * 3.0**i for i, n in enumerate(rows)}
    return RealRecommender("toy", tables, weights, part, "test", {f"table{i}": "unit" for i in unit})


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.booleans())
def test_reduced_integers_are_torchs_embedding_bag_on_codes(seed: int, weights: bool) -> None:
    trace = random_trace(seed, weights=weights)
    recommender = seeded_recommender(trace, 4, seed)
    reduced = recommender.reduce(trace)
    assert reduced.dtype == np.int64 and reduced.shape == (12, 3, 4)
    for number, table in enumerate(recommender.tables):
        part = trace.select(np.flatnonzero(trace.tables == number))
        given_ = None if part.weights is None else torch.from_numpy(part.weights.astype(np.float64))
        wanted = torch.nn.functional.embedding_bag(
            torch.from_numpy(part.indices.astype(np.int64)),
            torch.from_numpy(table.codes.astype(np.float64)),
            torch.from_numpy(part.offsets[:-1]),
            mode="sum",
            per_sample_weights=given_,
        )
        # Sums of at most 5 x 255 x 127 are exact in float64.
        assert np.array_equal(reduced[:, number], wanted.numpy())


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_bags_that_are_missing_or_twice_are_added_to_their_query(seed: int) -> None:
    trace = random_trace(seed, gaps=True)
    if not trace.bags:
        return
    recommender = seeded_recommender(trace, 2, seed)
    wanted = {int(q): np.zeros((3, 2), np.int64) for q in trace.queries}
    for bag in range(trace.bags):
        for row in trace.indices[trace.offsets[bag] : trace.offsets[bag + 1]]:
            table = int(trace.tables[bag])
            wanted[int(trace.queries[bag])][table] += recommender.tables[table].codes[row]
    assert np.array_equal(recommender.reduce(trace), np.stack([wanted[q] for q in sorted(wanted)]))


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(0, 7))
def test_queries_are_laid_out_bag_by_bag(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    one = random.integers(-1, 9, count)
    bags = [list(random.integers(0, 20, n)) for n in random.integers(0, 5, count)]
    offsets = np.cumsum([0] + [len(bag) for bag in bags])
    held = np.asarray([row for bag in bags for row in bag], dtype=np.int64)
    trace = make_trace(("one", "many"), (9, 20), {"many": (offsets, held), "one": one}, "test")
    found = [list(trace.indices[trace.offsets[b] : trace.offsets[b + 1]]) for b in range(trace.bags)]
    wanted = [part for row, bag in zip(one, bags, strict=True) for part in ([row] if row >= 0 else [], bag)]
    assert found == wanted
    assert list(trace.tables) == [0, 1] * count and list(trace.queries) == [q for q in range(count) for _ in range(2)]


@pytest.mark.parametrize(
    ("queries", "text"),
    [
        ({"one": [0]}, "many"),
        ({"one": [0], "many": [0], "other": [0]}, "other"),
        ({"one": [0], "many": [0, 1]}, "unequal"),
        ({"one": [9], "many": [0]}, "row 9"),
        ({"one": [-2], "many": [0]}, "one"),
        ({"one": [0.5], "many": [0]}, "one"),
        ({"one": [0], "many": (np.asarray([0, 2]), np.asarray([1]))}, "many"),
        ({"one": [0], "many": (np.asarray([0.0, 1.0]), np.asarray([1]))}, "many"),
    ],
)
def test_queries_that_do_not_fit_are_refused(queries: dict[str, object], text: str) -> None:
    fields = {name: value if isinstance(value, tuple) else np.asarray(value) for name, value in queries.items()}
    with pytest.raises(TraceError, match=text):
        make_trace(("one", "many"), (9, 20), fields, "test")


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_codes_are_within_half_a_step_of_the_table(seed: int) -> None:
    real = np.random.default_rng(seed).standard_normal((7, 5)) * 10.0 ** np.random.default_rng(seed).integers(-6, 6)
    table = Table.of("t", real)
    assert np.abs(table.codes).max() == 127
    assert np.abs(table.codes * table.scale - real).max() <= table.scale * (0.5 + 1e-9)


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_single_rows_reach_the_dense_part_without_an_error(seed: int) -> None:
    """Sums within -127 to 127 are coded as themselves: code = sum + 128."""
    random = np.random.default_rng(seed)
    real = real_recommender((9, 5, 30), seed)
    bags = {
        "table0": random.integers(0, 9, 40),
        "table1": random.integers(-1, 5, 40),
        "table2": random.integers(0, 30, 40),
    }
    trace = real.bags(bags)
    recommender = real.quantise(trace)
    reduced = recommender.reduce(trace)
    code = recommender.dense.codes["vectors"]
    stored = np.rint(recommender.vectors(reduced) / code.scale) + code.zero
    assert np.array_equal(stored[:, :2], reduced[:, :2] + 128)
    assert stored[:, 2].min() >= 1 and stored[:, 2].max() <= 255  # "unit": calibrated on these very queries
    assert mho.verify(mho.compile(recommender.dense, "aras", GREEDY), recommender.vectors(reduced)).ok


def test_long_bags_take_the_step_of_the_largest_sum() -> None:
    table = Table.of("t", np.linspace(-1, 1, 40).reshape(10, 4))
    sums = np.asarray([[1270, -50, 3, 0]])
    fitted = table.fitted(sums)
    assert fitted.vectors(sums).max() == pytest.approx(127)
    assert fitted.worth == pytest.approx(10 * table.scale)
    assert table.fitted(np.zeros((3, 4), np.int64)).worth == table.scale


def test_unit_pooling_keeps_direction_and_an_empty_bag_zero() -> None:
    table = Table.of("t", np.eye(4), "unit")
    once = table.vectors(np.asarray([[127, 0, 0, 254], [12700, 0, 0, 25400], [0, 0, 0, 0]]))
    assert np.allclose(once[0], once[1]) and not once[2].any()
    assert np.mean((once[0] * table.worth) ** 2) == pytest.approx(1.0)


def test_integers_score_as_real_numbers_do_up_to_their_steps() -> None:
    real = real_recommender((40, 50, 60))
    random = np.random.default_rng(1)
    trace = real.bags({name: random.integers(0, rows, 2000) for name, rows in zip(real.tables, real.rows, strict=True)})
    recommender = real.quantise(trace)
    ours, yardstick = recommender.predict(recommender.reduce(trace)), real.predict(trace)
    assert np.abs(ours - yardstick).std() < 0.05 * yardstick.std()
    assert not np.array_equal(ours, yardstick)


def test_the_batch_changes_no_score() -> None:
    trace = random_trace(5, queries=24)
    recommender = seeded_recommender(trace, 4)
    reduced = recommender.reduce(trace)
    wanted = recommender.predict(reduced)
    part = recommender.for_batch(6)
    got = mho.execute(mho.compile(part, "aras", GREEDY), recommender.vectors(reduced))["score"][:, 0]
    assert np.array_equal(got, wanted)
    batched = Recommender("r", recommender.tables, part, recommender.part, "test")
    assert np.array_equal(batched.predict(reduced[:5]), wanted[:5])


def test_seeded_recommenders_are_synthetic_and_depend_on_the_seed_alone() -> None:
    trace = random_trace(1)
    one, same, other = (seeded_recommender(trace, 8, seed) for seed in (0, 0, 1))
    reduced = one.reduce(trace)
    assert one.synthetic and "synthetic" in one.origin
    assert np.array_equal(one.predict(reduced), same.predict(reduced))
    assert not np.array_equal(one.tables[0].codes, other.tables[0].codes)
    assert [table.pooling for table in one.tables] == ["unit"] * 3
    alone = Trace((6,), np.arange(4), np.asarray([5, 0, 1], np.int32), np.zeros(3, np.int32), np.arange(3), "one table")
    small = seeded_recommender(alone, 8)
    assert small.tables[0].pooling == "sum" and small.predict(small.reduce(alone)).shape == (3,)
    with pytest.raises(OptionError, match="without queries"):
        seeded_recommender(trace.select(slice(0, 0)))


def test_a_file_gives_back_the_same_integers(tmp_path: Path) -> None:
    trace = random_trace(2, queries=20)
    for recommender in (seeded_recommender(trace, 4), real_recommender(trace.rows).quantise(trace, per_channel=False)):
        save(recommender, tmp_path / "r.safetensors")
        for again in (load(tmp_path / "r.safetensors"), open_recommender(tmp_path / "r.safetensors")):
            assert [(t.name, t.scale, t.pooling, t.step) for t in again.tables] == [
                (t.name, t.scale, t.pooling, t.step) for t in recommender.tables
            ]
            reduced = again.reduce(trace)
            assert np.array_equal(reduced, recommender.reduce(trace))
            assert np.array_equal(again.predict(reduced), recommender.predict(reduced))
            assert (again.synthetic, again.origin) == (recommender.synthetic, recommender.origin)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda a, m: a.pop("tables.table1"), "table1"),
        (lambda a, m: a.pop("codes.top.0"), r"top\.0"),
        (lambda a, m: a.update({"codes.top.0": np.zeros((1, 2, 2), np.uint8)}), r"codes\.top\.0"),
        (lambda a, m: a.update({"tables.table1": np.zeros((3, 4), np.float32)}), "table1"),
        (lambda a, m: m.update(format="other/1"), "other/1"),
        (lambda a, m: m.pop("recommender"), "recommender"),
        (lambda a, m: m.update(recommender="{"), "not as mho writes it"),
        (lambda a, m: m.update(recommender=json.dumps({"tables": []})), "missing"),
    ],
)
def test_a_damaged_file_is_refused_in_a_line(damage: object, text: str, tmp_path: Path) -> None:
    path = tmp_path / "r.safetensors"
    save(seeded_recommender(random_trace(2), 4), path)
    from mho.files.tensors import read_tensors

    arrays, metadata = read_tensors(path)
    damage(arrays, metadata)  # type: ignore[operator]
    save_file(arrays, path, metadata)
    with pytest.raises(WeightError, match=text) as told:
        open_recommender(path)
    assert str(path) in str(told.value) and "\n" not in str(told.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"nothing")
    save_file({"a": np.zeros(3)}, tmp_path / "b.safetensors")
    for name in ("a", "b.safetensors", "none"):
        with pytest.raises(WeightError, match=name):
            open_recommender(tmp_path / name)
    with pytest.raises(MhoError, match="cannot be written"):
        save(seeded_recommender(random_trace(2), 4), tmp_path / "no" / "r.safetensors")
    assert len(load_file(tmp_path / "b.safetensors")) == 1 and not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("codes", "scale", "pooling"),
    [
        (np.zeros((2, 2), np.int16), 1.0, "sum"),
        (np.zeros(4, np.int8), 1.0, "sum"),
        (np.full((2, 2), -128, np.int8), 1.0, "sum"),
        (np.ones((2, 2), np.int8), 0.0, "sum"),
        (np.ones((2, 2), np.int8), float("nan"), "sum"),
        (np.ones((2, 2), np.int8), 1.0, "mean"),
    ],
)
def test_tables_that_are_wrong_are_refused(codes: np.ndarray, scale: float, pooling: str) -> None:
    with pytest.raises(NumberError, match="'t'"):
        Table("t", codes, scale, pooling)


def test_reduced_integers_of_another_shape_are_refused() -> None:
    recommender = seeded_recommender(random_trace(2), 4)
    for wrong in (np.zeros((2, 3, 5), np.int64), np.zeros((2, 3, 4)), np.zeros((3, 4), np.int64)):
        with pytest.raises(NumberError, match="reduced integers"):
            recommender.predict(wrong)
    with pytest.raises(TraceError, match="rows"):
        recommender.reduce(random_trace(3))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30))
def test_the_area_counts_pairs_and_the_loss_is_the_logarithm_of_the_chance(given_: list[tuple[int, bool]]) -> None:
    scores = np.asarray([score for score, _ in given_], dtype=np.float64)
    labels = np.asarray([int(liked) for _, liked in given_])
    chances = np.where(labels == 1, chance(scores), 1.0 - chance(scores))
    assert log_loss(scores, labels) == pytest.approx(float(-np.log(chances).mean()))
    if labels.min() == labels.max():
        with pytest.raises(NumberError, match="both labels"):
            auc(scores, labels)
        return
    pairs = scores[labels == 1][:, None] - scores[labels == 0][None]
    assert auc(scores, labels) == pytest.approx(float(((pairs > 0) + 0.5 * (pairs == 0)).mean()))


def test_hits_are_counted_and_equal_scores_count_against() -> None:
    scores = np.asarray([[3.0, 2.0, 1.0, 2.5], [3.0, 2.0, 1.0, 2.0], [0.0, 0.0, 0.0, 0.0]])
    assert [hit_rate(scores, first) for first in (1, 2, 3, 4)] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    with pytest.raises(NumberError):
        hit_rate(scores[0])
