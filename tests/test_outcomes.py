"""Outcomes come back from their data, exactly; half a record is refused in one clear sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mho
from mho.errors import OptionError
from mho.explore import Accuracy, Comparison, Exploration, Finding, Sweep, ordered, recommend
from mho.explore.accuracy import Subject
from mho.explore.bisection import _content
from mho.explore.finding import Loss, bisect
from mho.explore.remedy import Remedy
from mho.explore.sweeps import combinations, point_of
from mho.machine.analog.signals import LayerSignal
from mho.machine.lookup.service import serve
from mho.machine.losses import Losses
from mho.machine.resolution import LayerSum, Resolution
from mho.machine.systolic import run
from mho.machine.verify import Verification
from mho.mapping.embedding import group
from mho.network.trace import synthesise
from mho.number.accuracy import Accuracy as InIntegers
from mho.program import Violation
from mho.strategy import Strategy
from tests.exploration_content import drawn_contents
from tests.hand_sized import entry, linear, network

counts = st.integers(0, 10**6)
names = st.text(max_size=8)


@st.composite
def verifications(draw: st.DrawFn) -> Verification:
    """Draw what verifying may find."""
    layers = draw(st.lists(st.builds(LayerSum, names, counts, counts, counts, st.none() | counts, st.none() | counts)))
    conversions = draw(counts)
    losses = Losses(draw(counts), conversions, *(draw(st.integers(0, conversions)) for _ in range(2)))
    total = draw(st.integers(1, 10**6))
    accuracy = InIntegers(total, *(draw(st.integers(0, total)) for _ in range(2)))
    return Verification(
        samples=draw(counts),
        compared=draw(counts),
        mismatches=tuple(draw(st.lists(st.tuples(names, counts, counts)))),
        illegal=tuple(draw(st.lists(st.builds(Violation, st.integers(-1, 99), names)))),
        resolution=Resolution(draw(st.none() | st.integers(1, 16)), tuple(layers)),
        losses=draw(st.sampled_from([None, losses])),
        about={"model": draw(names), "weights_origin": draw(names), "chip": {"name": "c", "digest": "d"}, "schedule": "naive",
               "strategy": mho.Strategy().to_dict()},
        notes=tuple(draw(st.lists(names))),
        data=draw(st.none() | names),
        accuracy=draw(st.sampled_from([None, accuracy])),
    )  # fmt: skip


shares = st.floats(0, 1)
origins = st.builds(Subject, names, names, names, st.just(mho.Strategy().to_dict()), names, st.integers(1, 10**4))


@st.composite
def accuracies(draw: st.DrawFn) -> Accuracy:
    """Draw what judging may find."""
    subject = draw(origins)
    seeds = tuple(range(draw(st.integers(1, 3))))
    of_all = st.integers(0, subject.samples)
    sums = st.builds(LayerSignal, names, counts, counts, shares, shares)
    remedies = st.builds(Remedy, st.dictionaries(names, st.integers(0, 9), max_size=2), counts, counts, counts)
    return Accuracy(
        subject=subject,
        chip={"name": "c", "digest": "d"},
        analog=mho.machine.Analog().override({"adc.bits": draw(st.integers(1, 16)), "age_s": draw(shares)}),
        draws=len(seeds) > 1,
        seeds=seeds,
        right=tuple(draw(of_all) for _ in seeds),
        agreeing=tuple(draw(of_all) for _ in seeds),
        right_in_integers=draw(of_all),
        right_in_float=draw(st.none() | of_all),
        layers=tuple(draw(st.lists(sums, max_size=2))),
        converters={"text": draw(names), "short": draw(counts)},
        notes=tuple(draw(st.lists(names, max_size=2))),
        remedies=draw(st.none() | st.tuples(remedies)),
    )


@st.composite
def sweeps(draw: st.DrawFn) -> Sweep:
    """Draw a sweep over one or two parameters."""
    parameters = [{"key": "adc.bits", "values": [4, 5]}, {"key": "strategy.schedule", "values": ["aras"]}]
    chosen = parameters[: draw(st.integers(1, 2))]
    points = combinations([(str(each["key"]), list(each["values"])) for each in chosen])
    found = [draw(accuracies()) for _ in points]
    content = {**found[0].subject.to_dict(), "analog": found[0].analog.to_dict(), "parameters": chosen,
               "accuracy": {"float": found[0].in_float}, "points": list(map(point_of, points, found)), "notes": ("n",)}  # fmt: skip
    return Sweep(content)


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    """Draw what a bisection may find: losses that fall, rise, or are open."""
    over = ordered("adc.bits", 1, draw(st.integers(2, 20)))
    losses = {value: Loss(draw(shares), draw(shares), draw(shares), 5, 1, draw(st.booleans())) for value in over.values}
    boundary = bisect(over.values, draw(shares), losses.__getitem__)
    program = Mock(chip=Mock(digest="d"), network=Mock(origin="o"), notes=("n",))
    program.chip.name, program.chip.notes = "c", ()
    content = _content(draw(origins), program, mho.machine.Analog(), over, draw(shares), boundary, 1)
    return Finding(content)


@lru_cache(maxsize=1)
def measured() -> Mapping[str, Any]:
    """Return outcomes that are measured once, of small networks and traces."""
    dense = network(entry(1, 8), linear("y", "x", 1, 8, 4))
    reports = [
        mho.simulate(mho.compile(dense, "aras", Strategy().with_(schedule=each))) for each in ("naive", "overlap")
    ]
    trace = synthesise(60, (30,), (3.0,), seed=1)
    served = serve(trace, group(trace, 8), "recross", dimension=4, batch=16)
    return {
        "comparison": Comparison.between(*reports),
        "service": served,
        "baseline": run(dense, "tpu-like"),
        "recommendation": recommend(trace, designs=("naive", "mho"), batch=16, dimension=4),
    }


OUTCOMES: Mapping[str, st.SearchStrategy[Any]] = {
    "verification": verifications(),
    "accuracy": accuracies(),
    "sweep": sweeps(),
    "finding": findings(),
    "exploration": drawn_contents().map(Exploration),
    **{
        name: st.deferred(lambda name=name: st.just(measured()[name]))
        for name in ("comparison", "service", "baseline", "recommendation")
    },  # type: ignore[misc]
}


@pytest.mark.parametrize("kind", OUTCOMES)
@given(st.data())
def test_an_outcome_comes_back_from_its_data(kind: str, data: st.DataObject) -> None:
    outcome = data.draw(OUTCOMES[kind])
    text = json.dumps(outcome.to_dict())
    back = type(outcome).from_dict(json.loads(text))
    assert json.dumps(back.to_dict()) == text and repr(back) == repr(outcome)
    if kind not in ("service", "baseline"):
        assert back == outcome
    if isinstance(outcome, Exploration):
        assert Exploration.from_dict(json.loads(text)) == outcome
        assert outcome.frames().keys() == back.frames().keys()


def keys(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every key of data, and of one member of each list."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield (*path, key)
            yield from keys(value, (*path, key))
    elif isinstance(content, list) and content:
        yield from keys(content[0], (*path, 0))


def without(content: Any, path: tuple[Any, ...]) -> Any:
    """Return data without the key of a path."""
    if len(path) == 1:
        return {key: value for key, value in content.items() if key != path[0]}
    copy = list(content) if isinstance(content, list) else dict(content)
    copy[path[0]] = without(copy[path[0]], path[1:])
    return copy


@pytest.mark.parametrize("kind", OUTCOMES)
@given(st.data())
def test_half_a_record_is_refused_in_a_sentence_or_read(kind: str, data: st.DataObject) -> None:
    """Never by the error of a programmer. What is no part of every record may be lacking: an energy of a component, say."""
    outcome = data.draw(OUTCOMES[kind])
    content = json.loads(json.dumps(outcome.to_dict()))
    path = data.draw(st.sampled_from(list(keys(content))))
    try:
        type(outcome).from_dict(without(content, path)).to_dict()
    except OptionError as error:
        assert "schema" in str(error)
    else:
        derived = ("bit_exact", "legal", "text", "clip_rate") if kind in ("verification", "accuracy") else ()
        assert len(path) > 1 or path[0] in derived, path
    for wrong in (None, [], {}, {"schema": content["schema"]}, {**content, "schema": "mho.report/1"}):
        with pytest.raises(OptionError, match="schema"):
            type(outcome).from_dict(wrong)


@given(st.sampled_from(["service", "baseline", "comparison", "recommendation"]))
def test_an_outcome_that_was_read_back_says_what_it_does_not_hold(kind: str) -> None:
    outcome = measured()[kind]
    back = type(outcome).from_dict(outcome.to_dict())
    assert not hasattr(back, "nothing") and back.headline() == outcome.headline() and back.facts() == outcome.facts()
    for name in ("loads", "network", "services", "nothing"):
        if not hasattr(back, name):
            with pytest.raises(AttributeError, match="was read back holds figures"):
                getattr(back, name)


def test_a_file_of_an_outcome_is_read_or_named(tmp_path: Path) -> None:
    outcome = measured()["comparison"]
    (tmp_path / "c.json").write_text(json.dumps(outcome.to_dict()))
    assert Exploration.load(tmp_path / "c.json") == outcome == Comparison.load(tmp_path / "c.json")
    (tmp_path / "d.json").write_text("{")
    for name in ("d.json", "e.json"):
        with pytest.raises(OptionError, match=name):
            Exploration.load(tmp_path / name)
