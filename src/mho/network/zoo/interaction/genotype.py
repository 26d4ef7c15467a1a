"""Recommenders that are searched, as models: what a description of operators comes to, and how it is written down."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from mho.errors import OptionError, choices
from mho.network.graph import Network
from mho.network.zoo.interaction.canonical import canonical
from mho.network.zoo.interaction.description import Dense, Description, Merged, Sparse
from mho.network.zoo.interaction.model import KIND, FloatArray, Model, Shapes
from mho.network.zoo.interaction.operators import built
from mho.network.zoo.interaction.plan import Matrix, planned


@dataclass(frozen=True, kw_only=True)
class Genotype(Description, Model):
    """A searched model; whether it is wide is a choice like others."""

    kind: ClassVar[str] = "searched"
    balanced: ClassVar[bool] = True

    def matrices(self, fields: int, dimension: int) -> tuple[Matrix, ...]:
        """Return the matrices, those of an operator behind those of what it reads."""
        return planned(self, fields, dimension)

    def weights(self, fields: int, dimension: int) -> Shapes:
        """Return names and shapes of weights and biases."""
        shapes: Shapes = {}
        for matrix in self.matrices(fields, dimension):
            shapes[f"{matrix.name}.weight"] = (matrix.outputs, matrix.rows)
            if matrix.bias:
                shapes[f"{matrix.name}.bias"] = (matrix.outputs,)
        return shapes

    def build(
        self,
        fields: int,
        dimension: int,
        weights: Mapping[str, FloatArray] | None = None,
        *,
        batch: int = 1,
        name: str = "",
        origin: str = "none (shapes only)",
    ) -> Network:
        """Build the network."""
        return built(self, fields, dimension, self.arrays(fields, dimension, weights), batch, name or self.name, origin)

    def layer_bits(self, fields: int, dimension: int) -> dict[str, str]:
        """Return the bits of each matrix layer as `number.quantise(bits=...)` takes them."""
        return {matrix.name: "/".join(map(str, matrix.bits)) for matrix in self.matrices(fields, dimension)}

    def canonical(self) -> Genotype:
        """Return the one genotype of all that are the same network: without dead operators, in an order that its graph decides."""
        return canonical(self)

    def key(self) -> str:
        """Return a text that two genotypes have in common exactly where they are the same network of the same bits."""
        return json.dumps(self.canonical().record(), separators=(",", ":"))

    def record(self) -> dict[str, Any]:
        """Return the description as JSON has it; what an operator does not have is left out."""
        return {
            KIND: self.kind,
            "dense": [_recorded(each) for each in self.dense],
            "sparse": [_recorded(each) for each in self.sparse],
            "ends": list(self.ends),
            "bits": list(self.bits),
            "wide": self.wide,
        }

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """Return the genotype of a record without its kind."""
        return super().read(
            {
                key: tuple(_operator(OPERATORS[key], each) for each in value) if key in OPERATORS else value
                for key, value in record.items()
            }
        )

    def deviation(self, name: str, shape: tuple[int, ...], dimension: int) -> float:
        """Return the standard deviation that keeps the size of numbers, products of vectors included, of variance 1."""
        squares = next(
            (matrix.squares for matrix in self.matrices(1, dimension) if name == f"{matrix.name}.weight"), 1.0
        )
        return super().deviation(name, shape, dimension) / math.sqrt(squares)


OPERATORS: Mapping[str, type[Dense] | type[Sparse]] = {"dense": Dense, "sparse": Sparse}


def _recorded(operator: Dense | Sparse) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(json.dumps(asdict(operator)))
    return {key: value for key, value in record.items() if value not in (None, [])}


def _operator(kind: type[Dense] | type[Sparse], record: Mapping[str, Any]) -> Any:
    """Return the operator of a record."""
    known = [item.name for item in fields(kind)]
    for key in record:
        if key not in known:
            raise OptionError(f"a {kind.__name__.lower()} operator has no key {key!r}; {choices(str(key), known)}")
    values: dict[str, Any] = {}
    try:
        for key, value in record.items():
            values[key] = tuple(value) if isinstance(value, list) else value
            if key in ("fm", "spread") and value is not None:
                values[key] = Merged(value["of"], tuple(value["bits"]))
        return kind(**values)
    except (KeyError, TypeError) as error:
        raise OptionError(f"a {kind.__name__.lower()} operator: {error}") from None


__all__ = ["Genotype"]
