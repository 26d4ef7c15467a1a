"""Rules on coefficients: what each layer fetches, when it has come, and that its buffer holds what is still of use."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from mho.program.instructions import Activate, Transfer
from mho.program.legality.facts import Facts, Violation


@dataclass
class _Fetched:
    """What one fetch brings: `size` bytes of the coefficients of `layer`, of the parts [first, last); `users` need them."""

    place: int
    layer: int
    size: int
    first: int
    last: int
    users: list[int] = field(default_factory=list)


def fetching_rules(facts: Facts) -> Iterator[Violation]:
    """Check that coefficients come whole, in order, before they are needed, and find room."""
    fetched: dict[int, list[_Fetched]] = {}
    yield from _parts(facts, fetched)
    yield from _needed(facts, fetched)
    yield from _room(facts, sorted((each for known in fetched.values() for each in known), key=lambda each: each.place))


def _parts(facts: Facts, fetched: dict[int, list[_Fetched]]) -> Iterator[Violation]:
    """Note the parts that each fetch brings; check that those of a layer are brought once, part after part."""
    moved: dict[int, int] = {}
    layers = facts.program.mapping.by_index
    for place, each in enumerate(facts.instructions):
        if not isinstance(each, Transfer) or each.direction != "fetch":
            continue
        layer = layers.get(each.layer)
        if layer is None or layer.combination is None:
            yield Violation(
                place, f"{facts.layers[each.layer].name} combines no sums of a basis, and has nothing to fetch"
            )
            continue
        until, before = layer.combination.until.tolist(), moved.get(each.layer, 0)
        moved[each.layer] = before + each.size
        first, last = (bisect_left(until, size) for size in (before, moved[each.layer]))
        if last >= len(until) or until[last] != moved[each.layer]:
            yield Violation(
                place, f"fetches {each.size} bytes, which are not the coefficients of whole parts of the layer"
            )
            continue
        fetched.setdefault(each.layer, []).append(_Fetched(place, each.layer, each.size, first, last))
    for layer in facts.program.mapping.combining:
        assert layer.combination is not None
        if moved.get(layer.index, 0) != layer.combination.size:
            text = (
                f"{layer.name} fetches {moved.get(layer.index, 0)} bytes of coefficients, not {layer.combination.size}"
            )
            yield Violation(-1, text)


def _needed(facts: Facts, fetched: dict[int, list[_Fetched]]) -> Iterator[Violation]:
    """Check that the coefficients of the parts that an activation drives have come, and that it drives the whole basis."""
    layers = facts.program.mapping.by_index
    for place, each in enumerate(facts.instructions):
        layer = layers.get(each.layer) if isinstance(each, Activate) else None
        if not isinstance(each, Activate) or layer is None or layer.combination is None:
            continue
        if each.blocks != layer.run:
            yield Violation(
                place, f"drives blocks {each.blocks} of a basis whose sums are combined together, {layer.run}"
            )
        windows = layer.combination.windows
        first, last = each.windows[0] // windows, (each.windows[1] - 1) // windows + 1
        for brought in fetched.get(each.layer, []):
            if brought.first < last and first < brought.last:
                brought.users.append(place)
                if not facts.order.before(brought.place, place):
                    yield Violation(place, f"{layer.name} may combine before its coefficients have come")


def _room(facts: Facts, fetched: list[_Fetched]) -> Iterator[Violation]:
    """Check that the buffer holds what a fetch brings beside what earlier ones brought and somebody may still need.

    What comes in the setup is needed again in every inference.
    """
    part = facts.program.chip.spec.basis
    room = 0 if part is None else part.buffer_bytes
    held: deque[_Fetched] = deque()
    size = 0
    for each in fetched:
        while held and all(facts.order.before(user, each.place) for user in held[0].users):
            size -= held.popleft().size
        if each.place >= facts.program.setup:
            held.append(each)
        size += each.size
        if size > room:
            yield Violation(each.place, f"coefficients in use may be {size} bytes, and their buffer holds {room}")
