"""Filters, splits, statistics and made-up traces obey their laws."""

from __future__ import annotations

import math
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import zeta
from scipy.stats import binom, chi2, poisson

from mho.errors import TraceError
from mho.network.trace import (
    Communities,
    Reuse,
    Trace,
    Uniform,
    Zipf,
    describe,
    join,
    minimum_frequency,
    minimum_length,
    read,
    read_locality,
    statistics,
    stream,
    synthesise,
)
from mho.network.trace.popularity import META
from mho.network.trace.power_law import fit
from tests.lookup_oracle import trace_of
from tests.trace_files import assert_same, traces

SURE = 1e-9
"""Chance that a test of chance fails though the law holds, were its seed not fixed."""


def bags(trace: Trace) -> list[tuple[int, int, tuple[int, ...], tuple[int, ...] | None]]:
    """Return each bag: query, table, rows as numbered where the trace is from, weights."""
    found = []
    for bag in range(trace.bags):
        held = slice(trace.offsets[bag], trace.offsets[bag + 1])
        table = int(trace.tables[bag])
        weights = None if trace.weights is None else tuple(trace.weights[held].tolist())
        rows = tuple(trace.original(table)[trace.indices[held]].tolist())
        found.append((int(trace.queries[bag]), table, rows, weights))
    return found


@settings(max_examples=40)
@given(traces(empty=True), st.integers(0, 99), st.data())
def test_times_go_with_their_queries_wherever_these_go(trace: Trace, seed: int, data: st.DataObject) -> None:
    """Into files and out of them, through splits and chunks; a query has one time."""
    came = 0.5 * trace.queries + np.random.default_rng(seed).random() * 1e9
    timed = replace(trace, times=came)
    of = dict(zip(trace.queries.tolist(), came.tolist(), strict=True))

    def holds(part: Trace) -> None:
        assert part.times is not None and part.times.tolist() == [of[query] for query in part.queries.tolist()]

    with TemporaryDirectory() as folder:
        path = Path(folder) / "timed.npz"
        timed.save(path)
        holds(read(path))
        chunks = list(stream(path, chunk=data.draw(st.integers(1, 50))))
    for chunk in chunks:
        holds(chunk)
    holds(join(chunks))
    assert join([replace(chunks[0], times=None), *chunks[1:]]).times is None
    if len(of) > 1:
        for part in timed.split(0.5, data.draw(st.none() | st.just(seed))):
            holds(part)
    holds(minimum_length(timed, 1)) if timed.lengths.max() else None


@pytest.mark.parametrize("written", ["number", "date"])
def test_lines_with_times_tell_when_each_query_came_first(tmp_path: Path, written: str) -> None:
    lines = [("b", 7, 31), ("a", 5, 30), ("b", 6, 29), ("a", 4, 33)]
    day = "2014-04-07T10:51:{:02d}Z"
    (tmp_path / "log.csv").write_text(
        "query,row,at\n" + "\n".join(f"{q},{row},{day.format(at) if written == 'date' else at}" for q, row, at in lines)
    )
    trace = read(tmp_path / "log.csv", time="at")
    assert trace.times is not None and np.diff(trace.times).tolist() == [1.0]
    assert [trace.original()[row] for row in trace.indices] == [6, 7, 5, 4]
    assert trace.times[0] == (1396867889.0 if written == "date" else 29.0)
    assert read(tmp_path / "log.csv").times is None


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([0.0, 1.0], "a finite number of seconds for each bag"),
        ([0.0, 1.0, np.nan], "a finite number"),
        ([1.0, 0.0, 0.0], "bag 1: time 0 after 1; times must not fall"),
        ([0.0, 1.0, 2.0], "bag 2: time 2 after 1; .*bags of one query have one"),
    ],
)
def test_times_that_cannot_be_are_refused(times: list[float], words: str) -> None:
    with pytest.raises(TraceError, match=words):
        replace(trace_of([[0], [0], [0]], (1, 1), [0, 0, 1], [0, 1, 1]), times=np.array(times))


@settings(max_examples=80)
@given(traces(empty=True), st.floats(0.01, 0.99), st.none() | st.integers(0, 99))
def test_a_split_loses_and_repeats_nothing_and_keeps_queries_whole(
    trace: Trace, share: float, seed: int | None
) -> None:
    queries = sorted(set(trace.queries.tolist()))
    wanted = round(share * len(queries))
    if not 0 < wanted < len(queries):
        with pytest.raises(TraceError, match="empty"):
            trace.split(share, seed)
        return
    history, test = trace.split(share, seed)
    first, last = set(history.queries.tolist()), set(test.queries.tolist())
    assert not first & last
    assert len(first) == wanted
    assert sorted(bags(history) + bags(test), key=lambda bag: bag[:2]) == sorted(bags(trace), key=lambda bag: bag[:2])
    if seed is None:
        assert max(first) < min(last)
        assert bags(history) + bags(test) == bags(trace)
    assert_same(trace.split(share, seed)[0], history, origin=True)


def test_a_random_split_depends_on_its_seed() -> None:
    made = synthesise(200, 50, 3)
    assert set(made.split(0.5, 1)[0].queries.tolist()) != set(made.split(0.5, 2)[0].queries.tolist())


@settings(max_examples=80)
@given(traces(empty=True), st.integers(1, 6), st.booleans())
def test_a_filter_keeps_just_the_frequent_rows_and_knows_their_numbers(trace: Trace, least: int, keep: bool) -> None:
    before = bags(trace)
    counts = Counter((table, row) for _, table, rows, _ in before for row in rows)
    frequent = {key for key, count in counts.items() if count >= least}
    if {table for table, _ in frequent} != set(range(len(trace.rows))):
        with pytest.raises(TraceError, match="looked up"):
            minimum_frequency(trace, least, keep_empty=keep)
        return
    found = minimum_frequency(trace, least, keep_empty=keep)
    wanted = []
    for query, table, rows, weights in before:
        stays = [at for at, row in enumerate(rows) if (table, row) in frequent]
        if stays or keep or not rows:
            kept = None if weights is None else tuple(weights[at] for at in stays)
            wanted.append((query, table, tuple(rows[at] for at in stays), kept))
    assert bags(found) == wanted
    for table in range(len(trace.rows)):
        assert found.original(table).tolist() == sorted(row for of, row in frequent if of == table)
    # Numbers of numbers: a second filter still tells the first ones.
    if least > 1:
        gentle = minimum_frequency(trace, 1, keep_empty=keep)
        assert bags(minimum_frequency(gentle, least, keep_empty=keep)) == wanted


@settings(max_examples=30)
@given(traces(empty=True), st.integers(1, 6))
def test_short_bags_are_left_out(trace: Trace, least: int) -> None:
    assert bags(minimum_length(trace, least)) == [bag for bag in bags(trace) if len(bag[2]) >= least]


@settings(max_examples=60)
@given(traces(empty=True), st.integers(1, 9))
def test_statistics_count_and_do_not_depend_on_chunks(trace: Trace, size: int) -> None:
    found = statistics(trace)
    held = bags(trace)
    lengths = sorted(len(rows) for _, _, rows, _ in held)
    counts = Counter((table, row) for _, table, rows, _ in held for row in rows)
    assert (found.bags, found.lookups, found.distinct) == (len(held), sum(lengths), len(counts))
    assert found.queries == len({query for query, *_ in held})
    assert found.empty_bags == lengths.count(0)
    assert found.repeats == sum(len(rows) - len(set(rows)) for _, _, rows, _ in held)
    assert found.length_max == lengths[-1]
    assert found.length_mean == pytest.approx(sum(lengths) / len(lengths))
    for share, length in found.length_percentiles.items():
        assert sum(each <= length for each in lengths) >= share / 100 * len(lengths)
        assert length == 0 or sum(each <= length - 1 for each in lengths) < share / 100 * len(lengths)
    for each in found.reuse:
        inside = [count for count in counts.values() if each.above < count <= (each.to or math.inf)]
        assert each.rows == pytest.approx(len(inside) / len(counts))
        assert each.lookups == pytest.approx(sum(inside) / found.lookups)
    chunks = [trace.select(slice(start, start + size)) for start in range(0, trace.bags, size)]
    assert statistics(chunks) == found


def test_chunks_of_a_long_trace_keep_the_same_bags(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["mho.network.trace.statistics"]
    monkeypatch.setattr(module, "KEPT_LOOKUPS", 500)
    made = synthesise(1000, 80, 4, popularity="uniform", communities=Communities(8, 0.7), seed=4)
    found = statistics(made)
    assert found.cooccurrence_bags * 2 <= 1000
    for size in (1, 17, 400):
        chunks = (made.select(slice(start, start + size)) for start in range(0, 1000, size))
        assert statistics(chunks) == found


@settings(max_examples=40)
@given(traces(empty=True, most_tables=2), st.floats(0.2, 0.8))
def test_unseen_rows_are_those_that_history_lacks(trace: Trace, share: float) -> None:
    try:
        history, test = trace.split(share)
    except TraceError:
        return
    seen = {(table, row) for _, table, rows, _ in bags(history) for row in rows}
    asked = [[(table, row) for row in rows] for _, table, rows, _ in bags(test)]
    flat = [key for bag in asked for key in bag]
    if not flat:
        with pytest.raises(TraceError, match="no look-ups"):
            describe(history, test)
        return
    found = describe(history, test)
    assert found.lookups == pytest.approx(sum(key not in seen for key in flat) / len(flat))
    assert found.bags == pytest.approx(sum(not seen.issuperset(bag) for bag in asked) / len(asked))
    assert found.rows == pytest.approx(len(set(flat) - seen) / len(set(flat)))


@pytest.mark.parametrize(("alpha", "least"), [(1.8, 1), (2.5, 1), (2.5, 6)])
def test_a_power_law_is_found_again(alpha: float, least: int) -> None:
    """Standard error of alpha by the likelihood's curvature, n (zeta''/zeta - (zeta'/zeta)^2): five of them are allowed."""
    count, top = 20_000, 200_000
    values = np.arange(least, top)
    chance = values**-alpha
    generator = np.random.default_rng(8)
    drawn = np.searchsorted(np.cumsum(chance) / chance.sum(), generator.random(count)) + least
    # What is below x_min follows another law, flat.
    if least > 1:
        drawn = np.concatenate([drawn, np.repeat(np.arange(1, least), count // 20)])
    found = fit(*np.unique(drawn, return_counts=True))
    assert found is not None
    step = 1e-3
    logs = [math.log(zeta(alpha + at * step, least)) for at in (-1, 0, 1)]
    error = 1 / math.sqrt(count * (logs[0] - 2 * logs[1] + logs[2]) / step**2)
    # x_min may come out higher, and then fewer counts are fitted.
    assert found.least >= least
    used = (drawn >= found.least).sum() / count
    assert abs(found.alpha - alpha) < 5 * error / math.sqrt(used)
    # Kolmogorov: the distance of a sample of n to its own law exceeds 3.2 / sqrt(n) with chance below 2 exp(-2 * 3.2^2).
    assert found.distance < 3.2 / math.sqrt((drawn >= found.least).sum())


@pytest.mark.parametrize(
    ("values", "number"), [([1, 2, 3, 7, 30], [60, 25, 9, 40, 50]), ([1, 5], [48, 4]), ([1, 5], [400, 4])]
)
def test_the_distance_of_a_power_law_is_that_of_the_two_sums_at_every_whole_number(
    values: list[int], number: list[int]
) -> None:
    found = fit(np.array(values), np.array(number))
    assert found is not None
    counts = np.repeat(values, number)
    counts = counts[counts >= found.least]
    whole = zeta(found.alpha, found.least)
    apart = [
        abs((counts >= at).mean() - zeta(found.alpha, at) / whole) for at in range(found.least, int(counts.max()) + 2)
    ]
    assert found.distance == pytest.approx(max(apart))
    assert found.share == pytest.approx(len(counts) / sum(number))


def test_too_few_counts_give_no_power_law() -> None:
    assert fit(np.arange(1, 40), np.ones(39, dtype=np.int64)) is None
    assert fit(np.array([3]), np.array([1000])) is None


@settings(max_examples=25)
@given(
    st.integers(1, 200), st.lists(st.integers(1, 300), min_size=1, max_size=3), st.integers(1, 12),
    st.sampled_from(["uniform", "zipf", "zipf:1.4", "reuse"]), st.sampled_from(["fixed", "poisson", "geometric"]),
    st.none() | st.builds(Communities, st.integers(1, 400), st.floats(0, 1)), st.booleans(), st.integers(0, 99),
)  # fmt: skip
def test_the_same_seed_makes_the_same_trace(
    queries: int,
    rows: list[int],
    mean: int,
    law: str,
    lengths: str,
    company: Communities | None,
    distinct: bool,
    seed: int,
) -> None:
    first, second = (
        synthesise(
            queries,
            tuple(rows),
            mean,
            popularity=law,
            communities=company,
            lengths=lengths,
            distinct=distinct,
            seed=seed,
        )
        for _ in range(2)
    )
    assert_same(first, second, origin=True)
    assert first.synthetic and first.origin.startswith("synthetic: ")
    assert first.rows == tuple(rows)
    assert first.tables.tolist() == list(range(len(rows))) * queries
    assert first.lengths.min() >= 1
    if lengths == "fixed" and not distinct:
        assert set(first.lengths.tolist()) == {mean}
    if distinct:
        assert all(len(set(held)) == len(held) for _, _, held, _ in bags(first))


def test_another_seed_makes_another_trace() -> None:
    assert synthesise(50, 100, 5, seed=1).indices.tolist() != synthesise(50, 100, 5, seed=2).indices.tolist()


@pytest.mark.parametrize("company", [None, Communities(16, 0.8)])
@pytest.mark.parametrize("law", [Uniform(), Zipf(0.9), Zipf(1.3)])
def test_popularity_is_as_asked_whatever_the_company(law: Uniform | Zipf, company: Communities | None) -> None:
    """Counts by rank follow the law. Look-ups of different bags are independent: with one look-up a bag, all of them are."""
    rows, queries = 200, 60_000
    made = synthesise(queries, rows, 1, popularity=law, communities=company, lengths="fixed", seed=7)
    counts = np.bincount(made.indices, minlength=rows)
    shares = np.ones(rows) if isinstance(law, Uniform) else np.arange(1, rows + 1) ** -law.exponent
    expected = queries * shares / shares.sum()
    if isinstance(law, Uniform):
        # Every row as likely: Pearson's chi-square of all counts.
        assert ((counts - expected) ** 2 / expected).sum() < chi2.ppf(1 - SURE, rows - 1)
        return
    # Which row has which rank is not told; the k counts that are largest sum to no less than those of the true first k, and exceed
    # what is expected by no more than half the sum of all deviations, which is half the sum of sqrt(expected) at the most on
    # average, and beyond that by t with chance exp(-2 t^2 / n) (McDiarmid: a look-up changes it by 1 at the most).
    ranked = np.cumsum(np.sort(counts)[::-1])
    low = binom.ppf(SURE, queries, np.minimum(np.cumsum(expected) / queries, 1))
    assert (ranked >= low).all()
    excess = np.sqrt(expected).sum() / 2 + math.sqrt(queries * math.log(1 / SURE) / 2)
    assert (ranked <= np.cumsum(expected) + excess).all()


def test_numbers_of_rows_tell_nothing_of_popularity_nor_company() -> None:
    made = synthesise(20_000, 1000, 4, popularity="zipf:1", communities=Communities(10, 0.9), seed=3)
    counts = np.bincount(made.indices, minlength=1000)
    # Rank correlation of number and count, of independent ranks: normal, variance 1 / (n - 1).
    ranks = np.argsort(np.argsort(counts))
    assert abs(np.corrcoef(np.arange(1000), ranks)[0, 1]) < 6 / math.sqrt(999)
    # Neighbours by number share a bag no more often than rows far apart: of a bag's pairs, 2 / n differ by 1.
    pairs = np.abs(made.indices[1:] - made.indices[:-1])[np.diff(np.repeat(made.queries, made.lengths)) == 0]
    different = pairs[pairs > 0]
    # Pairs repeat (two popular rows of one community), so that the variance is far beyond binomial; ten times the mean is.
    assert (different == 1).mean() < 10 * 2 / 1000


def test_reuse_follows_the_published_histogram() -> None:
    """Look-ups per row as in the file: the rates that the law gives, spread by chance (Poisson), fill the bins as measured."""
    law = Reuse.load()
    rows = 100_000
    # 6.9 look-ups of each row looked up, as published; then the rates are the law's own reuse.
    rate = law.shares(rows)
    scale = 1 / rate.min()
    made = synthesise(round(rate.sum() * scale), rows, 1, popularity="reuse", lengths="fixed", seed=1)
    found = statistics(made)
    expected = np.zeros(len(law.above))
    values, number = np.unique(np.round(rate * scale, 9), return_counts=True)
    ends = [*law.above[1:], 10**9]
    for at, (above, to) in enumerate(zip(law.above, ends, strict=True)):
        # E[k; above < k <= to] of Poisson k is rate * P(above - 1 < k - 1 <= to - 1).
        inside = poisson.cdf(to - 1, values) - poisson.cdf(above - 1, values)
        expected[at] = (number * values * inside).sum()
    share = expected / made.lookups
    # Of N look-ups the share in a bin varies by at most the largest row's weight: take the variance sum of k^2 P(k).
    for at, each in enumerate(found.reuse):
        spread = math.sqrt(share[at] * (each.to or 2 * each.above) / made.lookups)
        assert abs(each.lookups - share[at]) < 6 * spread + 1e-6


def test_shares_of_rows_follow_from_those_of_lookups() -> None:
    """The published histogram of rows is not used by the law: that it comes out confirms the log-uniform bins."""
    law = Reuse.load()
    published = [0.473, 0.152, 0.139, 0.112, 0.072, 0.032, 0.011, 0.005, 0.002, 0.001, 0, 0, 0, 0, 0, 0, 0]
    # Printed to three decimals; where a bin is wide the assumption is off by a few percent.
    assert np.allclose(law.row_shares(), published, rtol=0.06, atol=0.0006)
    shares = law.shares(1_000_000)
    assert shares.sum() == pytest.approx(1)
    assert (np.diff(shares) <= 0).all()


def test_the_published_file_reads_as_the_table_that_is_kept(data: Path) -> None:
    found = read_locality(data / "recsys" / "meta_dlrm_2021_locality_stats.txt")
    known = Reuse.load(META)
    assert (found.above, found.lookups) == (known.above, known.lookups)
    other = read_locality(data / "recsys" / "meta_dlrm_2021_locality_stats.txt", "fbgemm_t856_bs65536_0")
    assert other.above == known.above
    assert other.lookups != known.lookups


def test_a_bad_histogram_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "stats.txt"
    for text, words in (
        ("nothing", "line 1"),
        ("a.pt\nHistogram", "line 1: a has no"),
        ("a.pt\nRatio of index distribution:\n(0, 1]: x\n", "line 3"),
        ("a.pt\nRatio of index distribution:\n(0, 1]: 0.4\n(1+: 0.1\n", "1 together"),
        ("a.pt\nRatio of index distribution:\n(1, 2]: 0.5\n(2+: 0.5\n", "begin at 0"),
    ):
        path.write_text(text)
        with pytest.raises(TraceError, match=r"stats\.txt") as caught:
            read_locality(path)
        assert words in str(caught.value)


def test_a_trace_of_chance_has_no_lift() -> None:
    for law in ("uniform", "zipf:0.7"):
        made = synthesise(20_000, 300, 5, popularity=law, distinct=True, seed=11)
        found = statistics(made).cooccurrence
        assert found.lift is not None and found.error is not None and found.popular_lift is not None
        # A bag without repeats holds popular pairs a little less often than independent draws would.
        assert abs(found.lift - 1) < 6 * found.error + 0.05
        assert abs(found.popular_lift - 1) < 0.1


@pytest.mark.parametrize("cohesion", [0.3, 0.6, 0.9])
def test_lift_is_what_communities_make_it(cohesion: float) -> None:
    """Closed form for R rows as likely, communities of s: of two look-ups, q^2 are company. In one community a pair is
    1 + q^2 (R / s - 1) times as likely as by chance, over two of them 1 - q^2 times; pairs of one row are left out.
    """
    rows, size = 1600, 40
    made = synthesise(
        30_000, rows, 6, popularity="uniform", communities=Communities(size, cohesion), lengths="fixed", distinct=True
    )
    found = statistics(made).cooccurrence
    both = cohesion**2
    within = (both + (1 - both) * size / rows) * (1 - 1 / size)
    inside, outside = 1 + both * (rows / size - 1), 1 - both
    expected = within / (within + 1 - both) * inside + (1 - within / (within + 1 - both)) * outside
    assert found.lift is not None and found.error is not None
    # Bags that lost repeats are a few percent shorter in company than in chance.
    assert abs(found.lift / expected - 1) < 0.12 + 6 * found.error / expected
    assert found.judged > 0.99 * found.pairs


@settings(max_examples=25)
@given(traces(empty=True, most_tables=2))
def test_lift_is_the_mean_over_all_pairs_as_defined(trace: Trace) -> None:
    """Every look-up with every other row of its bag, counted out, against the pairs that are drawn."""
    sets = [{(table, row) for row in rows} for _, table, rows, _ in bags(trace)]
    sets = [each for each in sets if len(each) > 1]
    chances, lifts, met, hoped = [], [], [], []
    for own, bag in enumerate(sets):
        others = [each for at, each in enumerate(sets) if at != own]
        size = sum(map(len, others))
        for a in bag:
            for b in bag - {a}:
                expected = sum(a in each for each in others) * sum(b in each for each in others) / max(size, 1)
                m = sum(1 / (len(each) - 1) for each in others if {a, b} <= each)
                chances.append(1 / (len(bag) - 1))
                lifts.append(m / expected if expected else np.nan)
                met.append(m)
                hoped.append(expected)
    found = statistics(trace).cooccurrence
    chance, lift = np.array(chances), np.array(lifts)
    judged = ~np.isnan(lift) if len(lift) else np.zeros(0, dtype=bool)
    if not judged.any():
        assert found.lift is None
        return
    assert found.lift is not None and found.error is not None and found.popular_lift is not None
    assert abs(found.judged / found.pairs - chance[judged].sum() / chance.sum()) < 6 * 0.5 / math.sqrt(found.pairs)
    mean = (chance * lift)[judged].sum() / chance[judged].sum()
    assert abs(found.lift - mean) <= 6 * found.error + 1e-9
    # Of few pairs that are seldom drawn the error itself is rough; of the ratio of sums, a tenth.
    assert found.popular_lift == pytest.approx((chance * met).sum() / (chance * hoped).sum(), rel=0.1, abs=0.02)


def test_more_cohesion_is_more_lift() -> None:
    lifts = [
        statistics(synthesise(5000, 500, 6, popularity="zipf:0.8", communities=Communities(10, each), seed=2)).lift
        for each in (0.0, 0.3, 0.6, 0.9)
    ]
    assert None not in lifts
    assert lifts == sorted(lifts)  # type: ignore[type-var]


def test_without_pairs_there_is_no_lift() -> None:
    made = synthesise(500, 40, 1, lengths="fixed")
    assert statistics(made).lift is None
    assert statistics(made).cooccurrence.pairs == 0


def test_joined_traces_need_not_all_have_weights() -> None:
    plain = synthesise(10, 8, 3, seed=0)
    weighted = Trace(
        plain.rows, plain.offsets, plain.indices, plain.tables, plain.queries + 10, "w", plain.names,
        np.full(plain.lookups, 9, np.uint8), True,
    )  # fmt: skip
    both = join([plain, weighted])
    assert both.weights is not None
    assert both.weights.tolist() == [1] * plain.lookups + [9] * plain.lookups
