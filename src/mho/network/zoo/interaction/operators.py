"""What each operator of a searched model computes, as layers.

    fc          relu(W x), x the dense outputs it reads
    gate        sigmoid(W x) * (V y)
    sum         W (x + y), the shorter filled up with zeros
    dot         relu(W p), p the products of each two of U v, the vectors v fitted to `paired` ones, and D x, a vector of x
    mix         relu(W v) over the vectors, the same for each feature: NASRec's embedding FC
    attention   relu(u + softmax(u A u') u V), u = W v as in mix
    fm          W ((sum v)^2 - sum v^2), added to what the dense operator gives, before its relu
    spread      W x as `SPREAD` vectors
    score       W x + V v + the first-order weights where there are

Vectors are held feature by feature, (batch, dimension, vectors): mixing them is then one matrix over the last axis. What an
operator reads is joined into a tensor of its own code and bits (`Join`), so that vectors and products, narrow and wide ranges keep
codes apart, and each operator streams as many bits as it asks for, whoever else reads the same. Rectified tensors get codes without
a sign.

Where NASRec differs. It normalises every output (layer normalisation): a square root and a division for each, which no crossbar
does and which cannot be folded into weights. There is none here; fresh weights of products are divided by the deviation of what
they multiply (`Genotype.deviation`). Of attention it has 8 heads and a perceptron of two layers behind them; one head of A = Q'K
over 16 features can tell as much as Q and K apart, and takes one matrix with V beside it. Gates project both sides to the width,
and each operator has its matrix also where sizes happen to agree. The flat vectors are what dense operators read first: no numbers
come in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mho.network.arrays import Array
from mho.network.builder import Builder
from mho.network.graph import Network
from mho.network.zoo.interaction.description import Bits, Dense, Description, Merged, Sparse
from mho.network.zoo.interaction.plan import SPREAD, named
from mho.network.zoo.recommenders import INPUT, OUTPUT

WHOLE = 8
"""Bits of a stored tensor; an operator that reads one output with as many reads it as it is."""


def built(
    genotype: Description, fields: int, dimension: int, weights: Mapping[str, Array], batch: int, name: str, origin: str
) -> Network:
    """Build the network of a genotype."""
    assembly = Assembly(genotype, fields, dimension, weights, batch)
    assembly.begin()
    for what, number in genotype.order:
        if what == "dense":
            assembly.add_dense(number, genotype.dense[number - 1])
        else:
            assembly.add_sparse(number, genotype.sparse[number - 1])
    output = assembly.end()
    return Network(name=name, layers=tuple(assembly.builder.layers.values()), outputs=(output,), origin=origin)


@dataclass
class Assembly:
    """Operators appended one after the other, each behind those that it reads."""

    genotype: Description
    fields: int
    dimension: int
    weights: Mapping[str, Array]
    batch: int
    builder: Builder = field(default_factory=Builder)
    dense: dict[int, str] = field(default_factory=dict)
    """Dense outputs, (batch, width)."""
    sparse: dict[int, str] = field(default_factory=dict)
    """Sparse outputs without their spread, (batch, dimension, count)."""
    spread: dict[int, str] = field(default_factory=dict)
    first: str | None = None
    """The sum of the first-order weights, (batch, 1)."""

    def begin(self) -> None:
        """Append the input, cut into vectors and first-order weights."""
        builder, dimension = self.builder, self.dimension
        builder.scope = INPUT
        vectors = builder.input((self.batch, self.fields, dimension + self.genotype.wide))
        if self.genotype.wide:
            builder.scope = "first"
            single = builder.slice(vectors, 2, dimension, dimension + 1, drop=True, part="weights")
            self.first = builder.reduce(single, "sum", (1,), keep=True)
            builder.scope = "embedding"
            vectors = builder.slice(vectors, 2, 0, dimension)
        builder.scope = "flat"
        self.dense[0] = builder.reshape(vectors, (self.batch, self.fields * dimension))
        builder.scope = "features"
        self.sparse[0] = builder.swap(vectors, 1, 2)

    def add_dense(self, number: int, dense: Dense) -> None:
        """Append a dense operator."""
        builder, name = self.builder, named(("dense", number))
        merged = None if dense.fm is None else self.machine(name, dense.fm)
        x = getattr(self, f"_{dense.kind}")(f"{name}.{dense.kind}", dense)
        builder.scope = name
        if merged is not None:
            x = builder.elementwise("add", x, merged, "merged")
        if dense.kind in ("fc", "dot"):
            x = builder.activation(x, "relu", part="relu")
        self.dense[number] = x

    def add_sparse(self, number: int, sparse: Sparse) -> None:
        """Append a sparse operator."""
        name = f"{named(('sparse', number))}.{sparse.kind}"
        self.sparse[number] = getattr(self, f"_{sparse.kind}")(name, sparse)

    def linear(self, x: str, name: str) -> str:
        """Append a matrix by its name."""
        self.builder.scope = name
        return self.builder.linear(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))

    def flat(self, outputs: tuple[int, ...], bits: Bits, name: str) -> str:
        """Return dense outputs laid behind one another, coded for their reader."""
        return self.joined([self.dense[each] for each in outputs], 1, bits, name)

    def vectors(self, outputs: tuple[int, ...], bits: Bits, name: str) -> str:
        """Return sparse outputs and their spreads behind one another, coded for their reader."""
        parts = []
        for each in outputs:
            parts.append(self.sparse[each])
            merged = self.genotype.sparse[each - 1].spread if each else None
            if merged is not None:
                if each not in self.spread:
                    self.spread[each] = self.spreading(each, merged)
                parts.append(self.spread[each])
        return self.joined(parts, 2, bits, name)

    def spreading(self, number: int, merged: Merged) -> str:
        """Append the vectors that a dense output is spread over."""
        x = self.linear(self.flat((merged.of,), merged.bits, f"spread{number}.of"), f"spread{number}")
        return self.builder.reshape(x, (self.batch, self.dimension, SPREAD), "vectors")

    def joined(self, parts: list[str], axis: int, bits: Bits, name: str) -> str:
        """Join what an operator reads; one tensor that is stored with as many bits is read as it is."""
        if len(parts) == 1 and bits[1] >= WHOLE:
            return parts[0]
        self.builder.scope = name
        return self.builder.join(parts, axis)

    def machine(self, name: str, merged: Merged) -> str:
        """Append a factorisation machine of a sparse output and the matrix that fits it to a width (Rendle 2010, lemma 3.1)."""
        builder, vectors = self.builder, self.sparse[merged.of]
        builder.scope = f"{name}.fm"
        total = builder.reduce(vectors, "sum", (2,), keep=False, part="total")
        total = builder.elementwise("multiply", total, total, "square")
        squares = builder.elementwise("multiply", vectors, vectors, "squares")
        squares = builder.reduce(squares, "sum", (2,), keep=False, part="of_squares")
        return self.linear(builder.elementwise("subtract", total, squares, "pairs"), f"{name}.fm")

    def _fc(self, name: str, dense: Dense) -> str:
        return self.linear(self.flat(dense.left, dense.bits, f"{name}.in"), name)

    def _gate(self, name: str, dense: Dense) -> str:
        builder = self.builder
        gate = self.linear(self.flat(dense.left, dense.bits, f"{name}.left.in"), f"{name}.left")
        gate = builder.activation(gate, "sigmoid", part="open")
        right = self.linear(self.flat(dense.right, dense.bits, f"{name}.right.in"), f"{name}.right")
        return builder.elementwise("multiply", right, gate, "gated")

    def _sum(self, name: str, dense: Dense) -> str:
        builder = self.builder
        sides = [
            self.flat(side, (8, 8), f"{name}.{part}") for side, part in ((dense.left, "left"), (dense.right, "right"))
        ]
        shorter, longer = sorted(sides, key=lambda side: builder.shape(side)[1])
        builder.scope = name
        if lack := builder.shape(longer)[1] - builder.shape(shorter)[1]:
            shorter = builder.pad(shorter, (0, 0), (0, lack), part="filled")
        return self.linear(builder.elementwise("add", longer, shorter, "added"), name)

    def _dot(self, name: str, dense: Dense) -> str:
        builder, batch = self.builder, self.batch
        vectors = self.linear(self.vectors(dense.vectors, dense.bits, f"{name}.vectors.in"), f"{name}.vectors")
        x = self.linear(self.flat(dense.left, dense.bits, f"{name}.dense.in"), f"{name}.dense")
        x = builder.reshape(x, (batch, self.dimension, 1), "vector")
        builder.scope = name
        both = builder.concatenate([x, vectors], 2, "vectors.all")
        count = builder.shape(both)[2]
        products = builder.product(builder.swap(both, 1, 2, "transposed"), both, "products")
        # Of a vector with itself the largest, and never read: without it the code of all others is finer.
        below = np.tril(np.ones((1, count, count), dtype=np.float32), -1)
        mask = builder.constant(Array.of(below), "below")
        products = builder.elementwise("multiply", products, mask, "masked")
        products = builder.reshape(products, (batch, count * count), "flat")
        later, earlier = np.tril_indices(count, -1)
        pairs = builder.take(products, 1, (later * count + earlier).tolist(), "pairs")
        return self.linear(pairs, f"{name}.out")

    def _mix(self, name: str, sparse: Sparse) -> str:
        x = self.linear(self.vectors(sparse.reads, sparse.bits, f"{name}.in"), name)
        return self.builder.activation(x, "relu", part="relu")

    def _attention(self, name: str, sparse: Sparse) -> str:
        builder, dimension = self.builder, self.dimension
        columns = self.linear(self.vectors(sparse.reads, sparse.bits, f"{name}.in"), f"{name}.project")
        builder.scope = name
        rows = builder.swap(columns, 1, 2, "rows")
        both = self.linear(rows, f"{name}.attend")
        asked = builder.slice(both, 2, 0, dimension, part="asked")
        values = builder.slice(both, 2, dimension, 2 * dimension, part="values")
        shares = builder.softmax(builder.product(asked, columns, "scores"), 2, "shares")
        x = builder.elementwise("add", builder.product(shares, values, "read"), rows, "added")
        return builder.swap(builder.activation(x, "relu", part="relu"), 1, 2, "out")

    def end(self) -> str:
        """Append the score."""
        builder, genotype = self.builder, self.genotype
        dense, sparse = genotype.ends
        parts = [] if self.first is None else [self.first]
        if sparse:
            vectors = self.vectors((sparse,), genotype.bits, "score.vectors.in")
            flat = builder.reshape(vectors, (self.batch, -1), "score.flat")
            parts.append(self.linear(flat, "score.vectors"))
        if dense:
            parts.append(self.linear(self.flat((dense,), genotype.bits, "score.dense.in"), "score.dense"))
        builder.scope = OUTPUT
        score = parts[-1]
        for place, part in enumerate(parts[:-1]):
            last = place == len(parts) - 2
            score = builder.elementwise("add", score, part, None if last else f"sum{place}")
        return score if len(parts) > 1 else builder.reshape(score, (self.batch, 1))


__all__ = ["built"]
