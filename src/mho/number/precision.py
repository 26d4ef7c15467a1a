"""Which bits the weights and the stored tensors of a network get where bits are asked of its layers.

A weight that layers share is coded once, and a tensor that layers read is stored once, and so is what shares its code
(`storage.shared`): each gets the most bits that any of these layers asks for, and every layer that reads it streams as many.
Codes that come with a network keep their own bits, which their range tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from mho.errors import NumberError, choices
from mho.network.graph import Network
from mho.network.layers import Affine, Embedding
from mho.number.bits import ALL, ALL_BYTES, BYTES, Asked, Bits, LayerBits, asked
from mho.number.storage import shared, stored
from mho.once import once


def bits_of_code(code: Affine) -> int:
    """Return the bits that a code's range takes."""
    return int(code.high - code.low).bit_length()


@dataclass(frozen=True, eq=False)
class Precision:
    """The bits of a `network` of which bits are asked: `wanted` by matrix layer, and those of the codes of `tables`."""

    network: Network
    wanted: Mapping[str, LayerBits | None]
    tables: int = BYTES.inputs

    @classmethod
    def of(cls, network: Network, bits: Asked) -> Precision:
        """Look up each layer in what is asked for: the first pattern that it matches counts.

        One number is for tables too. Raises NumberError for bits out of range, for a pattern that no matrix layer matches, and for
        one whose layers all match an earlier one.
        """
        patterns = asked(bits)
        names = [layer.name for layer in network.matrix_layers]
        matched = _first(names, patterns)
        counting = {ALL, *matched.values()}
        for pattern in patterns:
            if pattern not in counting and not any(_matches(name, pattern) for name in names):
                raise NumberError(f"{network.name} has no matrix layer {pattern!r}: {choices(pattern, names)}")
        usual = patterns == {ALL: BYTES}
        for pattern in [pattern for pattern in patterns if pattern not in counting]:
            taken = next(matched[name] for name in names if _matches(name, pattern))
            raise NumberError(
                f"bits of {pattern!r} count for no layer, as {taken!r} stands before it and the first that a layer matches "
                f"counts; put {pattern!r} first"
            )
        wanted = {name: None if usual or pattern is None else patterns[pattern] for name, pattern in matched.items()}
        of_all = patterns.get(ALL, BYTES) if len(patterns) == 1 else BYTES
        return cls(network, wanted, of_all.weights if of_all.weights == of_all.inputs else BYTES.inputs)

    @cached_property
    def weights(self) -> Mapping[str, int]:
        """The bits of each weight, by the layer that owns it."""
        most: dict[str, int] = {}
        for name, owner in self.network.owners.items():
            code, wanted = self.network.by_name[owner].weight.code, self.wanted[name]  # type: ignore[attr-defined]
            if code is not None:
                most[owner] = bits_of_code(code)
            elif wanted is not None:
                most[owner] = max(most.get(owner, 0), wanted.weights)
        return {layer.name: most.get(layer.name, BYTES.weights) for layer in self.network.weighted}

    @cached_property
    def _given(self) -> Mapping[str, int]:
        """The bits of the stored tensors whose codes come with the network, or with a table."""
        network, names = self.network, stored(self.network)
        known = {name: bits_of_code(code) for name, code in network.codes.items()}
        for layer in network.layers:
            if layer.name in names and layer.name not in known:
                sources = layer.carried()
                code = layer.table.code if isinstance(layer, Embedding) else None
                if isinstance(layer, Embedding) and (code is None or code.axis is None):
                    known[layer.name] = self.tables if code is None else bits_of_code(code)
                elif len(sources) == 1 and sources[0] in known:
                    known[layer.name] = known[sources[0]]
        return known

    @cached_property
    def leaders(self) -> Mapping[str, str]:
        """For each stored tensor whose code is chosen, the first of those that have one code with it."""
        names = stored(self.network)
        return shared(self.network, frozenset(name for name in names if name not in self._given))

    @cached_property
    def tensors(self) -> Mapping[str, int]:
        """The bits of each stored tensor; 8 where no matrix layer reads it, or one that shares its code."""
        most: dict[str, int] = {}
        for layer in self.network.matrix_layers:
            leader = self.leaders.get(layer.inputs[0])
            if leader is not None:
                most[leader] = max(most.get(leader, 0), (self.wanted[layer.name] or BYTES).inputs)
        return {**self._given, **{name: most.get(leader, BYTES.inputs) for name, leader in self.leaders.items()}}

    @cached_property
    def inputs(self) -> Mapping[str, int]:
        """The bits of the tensors that matrix layers read, of those that have other than 8."""
        read = dict.fromkeys(layer.inputs[0] for layer in self.network.matrix_layers)
        return {name: self.tensors[name] for name in read if self.tensors[name] != BYTES.inputs}

    @cached_property
    def bits(self) -> Bits:
        """The bits of each matrix layer that has other than 8 and 8."""
        owners = self.network.owners
        bits = {
            layer.name: LayerBits(self.weights[owners[layer.name]], self.tensors[layer.inputs[0]])
            for layer in self.network.matrix_layers
        }
        return {name: each for name, each in bits.items() if each != BYTES}

    @property
    def notes(self) -> tuple[str, ...]:
        """Say which layers have other bits than were asked of them."""
        others = [
            name for name, wanted in self.wanted.items() if wanted is not None and self.bits.get(name, BYTES) != wanted
        ]
        if not others:
            return ()
        some = ", ".join(f"{name} {self.bits.get(name, BYTES)}" for name in others[:NAMED])
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        return (
            f"bits of {len(others)} layers are not as asked, as codes come with the network or are shared with layers of more "
            f"bits: {some}{more}",
        )


NAMED = 4
"""Layers that a note names."""


def bits_of(network: Network, bits: Asked) -> Bits:
    """Return the bits that layers get, those other than 8 and 8, where `bits` are asked for: also of shapes alone."""
    given = any(layer.weight.code for layer in network.weighted) or any(
        isinstance(layer, Embedding) and layer.table.code for layer in network.layers
    )
    if asked(bits) == {ALL: BYTES} and not network.codes and not given:
        return ALL_BYTES
    return (precision_of(network, bits) if isinstance(bits, str) else Precision.of(network, bits)).bits


@once
def precision_of(network: Network, bits: str) -> Precision:
    """Return who gets which bits where text asks for them; who codes, maps and checks a network asks alike."""
    return Precision.of(network, bits)


def _first(names: Sequence[str], patterns: Iterable[str]) -> dict[str, str | None]:
    """Return the first pattern that each name matches; names that stand for themselves are looked up, not matched one by one."""
    place = {pattern: rank for rank, pattern in enumerate(patterns)}
    wild = [pattern for pattern in place if any(sign in pattern for sign in "*?[")]
    found: dict[str, str | None] = {}
    for name in names:
        matching = [pattern for pattern in wild if fnmatchcase(name, pattern)] + [name] * (name in place)
        found[name] = min(matching, key=place.__getitem__, default=None)
    return found


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)


__all__ = ["Precision", "bits_of", "bits_of_code", "precision_of"]
