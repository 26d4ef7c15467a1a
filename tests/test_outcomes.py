"""Outcomes come back from their data, exactly; half a record is refused in one clear sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mho
from mho.errors import OptionError
from mho.machine.losses import Losses
from mho.machine.resolution import LayerSum, Resolution
from mho.machine.verify import Verification
from mho.number.accuracy import Accuracy as InIntegers
from mho.program import Violation

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


OUTCOMES: Mapping[str, st.SearchStrategy[Any]] = {"verification": verifications()}


@pytest.mark.parametrize("kind", OUTCOMES)
@given(st.data())
def test_an_outcome_comes_back_from_its_data(kind: str, data: st.DataObject) -> None:
    outcome = data.draw(OUTCOMES[kind])
    text = json.dumps(outcome.to_dict())
    back = type(outcome).from_dict(json.loads(text))
    assert back == outcome and json.dumps(back.to_dict()) == text and repr(back) == repr(outcome)


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
        assert len(path) > 1 or path[0] in ("bit_exact", "legal", "text"), path
    for wrong in (None, [], {}, {"schema": content["schema"]}, {**content, "schema": "mho.report/1"}):
        with pytest.raises(OptionError, match="schema"):
            type(outcome).from_dict(wrong)
