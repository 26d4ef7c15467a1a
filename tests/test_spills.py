"""What stays between parts of a network, and how long rings are: against every other choice, and their own words."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.schedule.rings import Kept, fitted
from mho.schedule.spills import EQUAL, Crossing, staying


@st.composite
def crossed(draw: st.DrawFn) -> tuple[list[Crossing], dict[str, np.ndarray]]:
    """Draw a few parts, tensors that cross from one to another, and what room there is."""
    parts = draw(st.integers(2, 4))
    found = []
    for maker in range(draw(st.integers(0, 4))):
        made = draw(st.integers(0, parts - 2))
        last = draw(st.integers(made + 1, parts - 1))
        reads = [draw(st.booleans()) or part == last for part in range(parts)]
        moved = tuple(int(part == made or (made < part <= last and reads[part])) for part in range(parts))
        found.append(Crossing(maker, draw(st.integers(1, 9)), draw(st.sampled_from([1, 4])), made, last, moved))

    def each(low: int, high: int, *shape: int) -> np.ndarray:
        return np.array([draw(st.integers(low, high)) for _ in range(int(np.prod(shape)))], dtype=float).reshape(shape)

    return found, {
        "room": each(-2, 20, parts),
        "rings": each(0, 3, len(found), parts),
        "least_s": each(0, 12, parts) + 0.5,
        "moved": each(0, 5, parts),
    }


def cost(found: list[Crossing], stays: list[float], batch: int, amounts: dict[str, np.ndarray]) -> float | None:
    """Return what a choice takes, as it is weighed, at a byte a second; None where it finds no room."""
    parts = len(amounts["room"])
    taken, moved = np.zeros(parts), batch * amounts["moved"]
    spilled = 0.0
    for number, (each, stay) in enumerate(zip(found, stays, strict=True)):
        for part in range(parts):
            if each.made <= part <= each.last:
                taken[part] += stay * max(0.0, batch * each.size - amounts["rings"][number, part])
            moved[part] += (1 - stay) * batch * each.size * each.moved[part]
            spilled += (1 - stay) * batch * each.size * each.moved[part]
    if (taken > np.maximum(amounts["room"], 0) + 1e-6).any():
        return None
    return float(np.maximum(batch * amounts["least_s"], moved).sum()) + EQUAL * spilled


@settings(max_examples=150, deadline=None)
@given(crossed(), st.integers(1, 3))
def test_no_other_tensors_that_stay_save_more(case: tuple[list[Crossing], dict[str, np.ndarray]], batch: int) -> None:
    found, amounts = case
    chosen = staying(found, batch, bandwidth=1.0, **amounts)
    parts = [(0, 1) if each.rows == 1 else (0, 0.25, 0.5, 0.75, 1) for each in found]
    assert all(0 <= stay <= 1 and (each.rows > 1 or stay in (0, 1)) for each, stay in zip(found, chosen, strict=True))
    taken = cost(found, chosen, batch, amounts)
    assert taken is not None
    for choice in product(*parts):
        other = cost(found, list(choice), batch, amounts)
        assert other is None or taken <= other * (1 + 1e-6)


rings = st.builds(
    lambda least, more, size, first, length: Kept(least + more, least, Fraction(size, 2), first, first + length),
    st.integers(1, 6), st.integers(0, 20), st.integers(1, 9), st.integers(0, 3), st.integers(0, 2),
)  # fmt: skip


@given(st.lists(rings, max_size=6), st.integers(0, 200))
def test_rings_are_shortened_where_there_is_no_room_and_no_further_than_they_may(some: list[Kept], room: int) -> None:
    given_rings = dict(enumerate(some))
    found = fitted(given_rings, room)
    for part in range(6):
        here = [number for number, ring in given_rings.items() if ring.first <= part <= ring.last]
        shortest = sum(given_rings[number].short.bytes for number in here)
        assert sum(found[number].bytes for number in here) <= max(room, shortest)
    for number, ring in found.items():
        assert ring.least <= ring.rows <= given_rings[number].rows
    # What fits stays as it is.
    if all(sum(ring.bytes for ring in some if ring.first <= part <= ring.last) <= room for part in range(6)):
        assert found == given_rings
