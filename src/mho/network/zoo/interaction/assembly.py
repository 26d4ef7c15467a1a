"""What hand-made models are put together from: vectors and their flat form, perceptrons, first-order weights, a score summed up.

Each part that scores has a matrix of its own and the results are added, instead of one matrix on parts laid behind one another:
what lies behind one another shares a code, and products need another range than vectors do. The products are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mho.errors import OptionError
from mho.network.arrays import Array
from mho.network.builder import Builder
from mho.network.graph import Network
from mho.network.zoo.interaction.model import Shapes
from mho.network.zoo.recommenders import INPUT, OUTPUT

WIDEST = 1 << 16


def check_counts(model: str, **counts: int | tuple[int, ...]) -> None:
    """Raise OptionError for widths and numbers of layers or heads that are not whole numbers from 1 on, and for none."""
    for name, given in counts.items():
        values = given if isinstance(given, tuple) else (given,)
        whole = all(isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= WIDEST for value in values)
        if not values or not whole:
            raise OptionError(f"{model}: {name} is of whole numbers from 1 to {WIDEST}, not {given!r}")


def perceptron(name: str, inputs: int, hidden: Sequence[int]) -> Shapes:
    """Return the weights of hidden layers called NAME.0, NAME.1 and so on."""
    shapes: Shapes = {}
    for place, outputs in enumerate(hidden):
        shapes |= {f"{name}.{place}.weight": (outputs, inputs), f"{name}.{place}.bias": (outputs,)}
        inputs = outputs
    return shapes


@dataclass
class Assembly:
    """A network under construction, with weights by name; methods append layers and return the name of their tensor."""

    weights: Mapping[str, Array]
    batch: int
    fields: int
    dimension: int
    width: int
    builder: Builder = field(default_factory=Builder)
    terms: list[str] = field(default_factory=list)
    """What the score is the sum of, each (batch, 1)."""

    def __post_init__(self) -> None:
        """Append the input."""
        self.builder.scope = INPUT
        self.input = self.builder.input((self.batch, self.fields, self.width))

    def vectors(self) -> str:
        """Return the vectors of the fields without first-order weights, (batch, fields, dimension)."""
        if self.width == self.dimension:
            return self.input
        self.builder.scope = "embedding"
        return self.builder.slice(self.input, 2, 0, self.dimension)

    def flat(self, vectors: str) -> str:
        """Append vectors behind one another, (batch, fields x dimension)."""
        self.builder.scope = "flat"
        return self.builder.reshape(vectors, (self.batch, -1))

    def single(self) -> str:
        """Append the first-order weights of a query's ids, (batch, fields)."""
        self.builder.scope = "first"
        return self.builder.slice(self.input, 2, self.dimension, self.dimension + 1, drop=True, part="weights")

    def linear(self, name: str, x: str, *, groups: int = 1) -> str:
        """Append the matrix of a name."""
        self.builder.scope = name
        return self.builder.linear(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"), groups=groups)

    def perceptron(self, name: str, x: str, layers: int) -> str:
        """Append hidden layers, each with a rectifier."""
        for place in range(layers):
            x = self.builder.activation(self.linear(f"{name}.{place}", x), "relu", part="relu")
        return x

    def add_first(self) -> None:
        """Add the first-order weights to the score."""
        single = self.single()
        self.terms.append(self.builder.reduce(single, "sum", (1,), keep=True))

    def add_machine(self, name: str, vectors: str) -> None:
        """Add a factorisation machine to the score: a matrix on what each number of the vectors sums to over pairs of fields.

        Twice that sum is the square of the sum less the sum of squares (Rendle 2010, lemma 3.1).
        """
        builder = self.builder
        builder.scope = "pairs"
        squares = builder.elementwise("multiply", vectors, vectors, "squares")
        squares = builder.reduce(squares, "sum", (1,), keep=False, part="of_squares")
        total = builder.reduce(vectors, "sum", (1,), keep=False, part="total")
        total = builder.elementwise("multiply", total, total, "square")
        self.terms.append(self.linear(name, builder.elementwise("subtract", total, squares, "difference")))

    def add(self, name: str, x: str) -> None:
        """Add a matrix with one output to the score."""
        self.terms.append(self.linear(name, x))

    def end(self, name: str, origin: str) -> Network:
        """Append the score and return the network."""
        first, *rest = self.terms
        *inner, last = rest or [""]
        self.builder.scope = "sum"
        for term in inner:
            first = self.builder.elementwise("add", first, term)
        self.builder.scope = OUTPUT
        x = self.builder.elementwise("add", first, last) if last else self.builder.reshape(first, (self.batch, 1))
        return Network(name=name, layers=tuple(self.builder.layers.values()), outputs=(x,), origin=origin)


__all__ = ["Assembly", "check_counts", "perceptron"]
