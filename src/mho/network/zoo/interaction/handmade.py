"""Hand-made models: as their papers have them, in the forms that crossbars take best.

What their papers normalise (batch and layer normalisation) is left out; what they join is added (see `assembly`). Bits of their
layers go by name: "deep.*" are the layers of a perceptron, "cross.*" those of a cross network.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mho.errors import OptionError
from mho.network.graph import Network
from mho.network.zoo.interaction.assembly import Assembly, check_counts, perceptron
from mho.network.zoo.interaction.model import FloatArray, Model, Shapes
from mho.network.zoo.recommenders import DenseSizes, dense, in_steps, tensors


@dataclass(frozen=True)
class HandMade(Model):
    """A model that is put together by an `Assembly`."""

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
        """Build it, see `Model.build`."""
        check_counts(self.kind, fields=fields, dimension=dimension, batch=batch)
        assembly = Assembly(self.arrays(fields, dimension, weights), batch, fields, dimension, self.width(dimension))
        self.assemble(assembly)
        return assembly.end(name or self.name, origin)

    @abstractmethod
    def assemble(self, assembly: Assembly) -> None:
        """Append the layers that add to the score."""


@dataclass(frozen=True)
class LogisticRegression(HandMade):
    """Logistic regression: the sum of a weight for each id. Fields have a factor each, which starts at 1."""

    kind: ClassVar[str] = "lr"
    wide: ClassVar[bool] = True

    def width(self, dimension: int) -> int:
        """Return 1: there are no vectors."""
        return 1

    def weights(self, fields: int, dimension: int) -> Shapes:
        """Return the factors of fields, and a bias."""
        return {"first.weight": (1, fields), "first.bias": (1,)}

    def fresh(self, fields: int, dimension: int, seed: int) -> dict[str, FloatArray]:
        """Begin with factors of 1."""
        return {name: _constant(shape, len(shape) > 1) for name, shape in self.weights(fields, dimension).items()}

    def assemble(self, assembly: Assembly) -> None:
        """Append the matrix."""
        assembly.add("first", assembly.flat(assembly.input))


@dataclass(frozen=True)
class FactorisationMachine(HandMade):
    """A factorisation machine (Rendle 2010, "Factorization machines"): a weight for each id, a product for each pair of vectors.

    Products are summed up number by number of the vectors; these have a factor each, which starts at a half.
    """

    kind: ClassVar[str] = "fm"
    wide: ClassVar[bool] = True

    def weights(self, fields: int, dimension: int) -> Shapes:
        """Return the factors of the numbers of vectors, and a bias."""
        return {"pairs.weight": (1, dimension), "pairs.bias": (1,)}

    def fresh(self, fields: int, dimension: int, seed: int) -> dict[str, FloatArray]:
        """Begin with factors of a half."""
        drawn = super().fresh(fields, dimension, seed)
        return drawn | {"pairs.weight": _constant((1, dimension), 0.5)}

    def assemble(self, assembly: Assembly) -> None:
        """Append first-order weights and pairs."""
        assembly.add_first()
        assembly.add_machine("pairs", assembly.vectors())


@dataclass(frozen=True)
class DeepFM(FactorisationMachine):
    """A factorisation machine and a perceptron on the same vectors (Guo et al. 2017, "DeepFM")."""

    kind: ClassVar[str] = "deepfm"

    hidden: tuple[int, ...] = (128, 64)

    def __post_init__(self) -> None:
        """Check the widths."""
        check_counts(self.kind, hidden=self.hidden)

    def weights(self, fields: int, dimension: int) -> Shapes:
        """Return the weights of both."""
        deep = perceptron("deep", fields * dimension, self.hidden)
        return {**super().weights(fields, dimension), **deep, "top.weight": (1, self.hidden[-1])}

    def assemble(self, assembly: Assembly) -> None:
        """Append both."""
        assembly.add_first()
        vectors = assembly.vectors()
        assembly.add("top", assembly.perceptron("deep", assembly.flat(vectors), len(self.hidden)))
        assembly.add_machine("pairs", vectors)


@dataclass(frozen=True)
class DLRM(Model):
    """The products of each two vectors and the vectors themselves into a perceptron: `recommenders.dense`.

    Without `pairs` it is the perceptron alone, as in NCF.
    """

    kind: ClassVar[str] = "dlrm"

    hidden: tuple[int, ...] = (128, 64)
    pairs: bool = True

    def __post_init__(self) -> None:
        """Check the widths."""
        check_counts(self.kind, hidden=self.hidden)
        if not isinstance(self.pairs, bool):
            raise OptionError(f"dlrm: pairs is true or false, not {self.pairs!r}")

    def sizes(self, fields: int, dimension: int) -> DenseSizes:
        """Return the sizes of the dense part."""
        return DenseSizes(fields, dimension, self.hidden, self.pairs)

    def weights(self, fields: int, dimension: int) -> Shapes:
        """Return the weights of `recommenders.tensors`."""
        return tensors(self.sizes(fields, dimension))

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
        """Build it, see `Model.build`."""
        return dense(self.sizes(fields, dimension), weights, name=name or self.name, origin=origin, batch=batch)

    def in_steps(
        self, fields: int, dimension: int, weights: Mapping[str, FloatArray], steps: FloatArray
    ) -> dict[str, FloatArray] | None:
        """Return the weights for vectors that are given in steps, see `recommenders.in_steps`."""
        return in_steps(self.sizes(fields, dimension), weights, steps)


@dataclass(frozen=True)
class DCNv2(HandMade):
    """A cross network beside a perceptron (Wang et al. 2021, "DCN V2", equation 1).

    x becomes x0 * (W x + b) + x, `crosses` times, x0 being the vectors.
    """

    kind: ClassVar[str] = "dcnv2"

    hidden: tuple[int, ...] = (128, 64)
    crosses: int = 2

    def __post_init__(self) -> None:
        """Check widths and layers."""
        check_counts(self.kind, hidden=self.hidden, crosses=self.crosses)

    def weights(self, fields: int, dimension: int) -> Shapes:
        """Return the weights of both."""
        size = fields * dimension
        crosses = perceptron("cross", size, (size,) * self.crosses)
        tops: Shapes = {"top.weight": (1, self.hidden[-1]), "top.bias": (1,), "crossed.weight": (1, size)}
        return {**crosses, **perceptron("deep", size, self.hidden), **tops}

    def deviation(self, name: str, shape: tuple[int, ...], dimension: int) -> float:
        """Begin with crosses that change little."""
        usual = super().deviation(name, shape, dimension)
        return usual / 2 if name.startswith("cross") else usual

    def assemble(self, assembly: Assembly) -> None:
        """Append both."""
        start = x = assembly.flat(assembly.vectors())
        for place in range(self.crosses):
            crossed = assembly.linear(f"cross.{place}", x)
            crossed = assembly.builder.elementwise("multiply", crossed, start, "times")
            x = assembly.builder.elementwise("add", crossed, x, "sum")
        assembly.add("crossed", x)
        assembly.add("top", assembly.perceptron("deep", start, len(self.hidden)))


@dataclass(frozen=True)
class AutoInt(HandMade):
    """AutoInt+: self-attention among the fields beside a perceptron (Song et al. 2019, "AutoInt", equations 5 to 9).

    Each of `layers` layers has `heads` heads of `width` numbers; x becomes relu(heads behind one another + R x). As in the paper,
    scores are not divided by the root of the width. Queries, keys, values and R x of all heads are one matrix.
    """

    kind: ClassVar[str] = "autoint"

    hidden: tuple[int, ...] = (128, 64)
    layers: int = 2
    heads: int = 2
    width_of_head: int = 8

    def __post_init__(self) -> None:
        """Check all sizes."""
        check_counts(
            self.kind, hidden=self.hidden, layers=self.layers, heads=self.heads, width_of_head=self.width_of_head
        )

    @property
    def inner(self) -> int:
        """Return the numbers of all heads."""
        return self.heads * self.width_of_head

    def weights(self, fields: int, dimension: int) -> Shapes:
        """Return the weights of both; an attention's rows are queries, keys, values and R, head after head."""
        inner, shapes = self.inner, Shapes()
        for place in range(self.layers):
            shapes[f"attention.{place}.weight"] = (4 * inner, inner if place else dimension)
        deep = perceptron("deep", fields * dimension, self.hidden)
        tops: Shapes = {"top.weight": (1, self.hidden[-1]), "top.bias": (1,), "attended.weight": (1, fields * inner)}
        return {**shapes, **deep, **tops}

    def assemble(self, assembly: Assembly) -> None:
        """Append both."""
        vectors = x = assembly.vectors()
        for place in range(self.layers):
            x = self._attended(assembly, f"attention.{place}", x)
        assembly.builder.scope = "attended.flat"
        assembly.add("attended", assembly.builder.reshape(x, (assembly.batch, -1)))
        assembly.add("top", assembly.perceptron("deep", assembly.flat(vectors), len(self.hidden)))

    def _attended(self, assembly: Assembly, name: str, x: str) -> str:
        builder, batch, fields = assembly.builder, assembly.batch, assembly.fields
        every = assembly.linear(name, x)
        inner = self.inner

        def of_heads(part: int, word: str) -> str:
            one = builder.slice(every, 2, part * inner, (part + 1) * inner, part=word)
            apart = builder.reshape(one, (batch, fields, self.heads, self.width_of_head), f"{word}.apart")
            return builder.transpose(apart, (0, 2, 3, 1) if word == "keys" else (0, 2, 1, 3), f"{word}.heads")

        queries, keys, values = of_heads(0, "queries"), of_heads(1, "keys"), of_heads(2, "values")
        shares = builder.softmax(builder.product(queries, keys, "scores"), -1, "softmax")
        heads = builder.transpose(builder.product(shares, values, "mixed"), (0, 2, 1, 3), "together")
        mixed = builder.reshape(heads, (batch, fields, inner), "behind")
        kept = builder.slice(every, 2, 3 * inner, 4 * inner, part="kept")
        return builder.activation(builder.elementwise("add", mixed, kept, "sum"), "relu", part="relu")


@dataclass(frozen=True)
class FinalMLP(HandMade):
    """Two perceptrons whose outputs are multiplied (Mao et al. 2023, "FinalMLP", equations 8 to 10), in `heads` parts.

    The paper's selection of features, gates that its learnt constants open, is a factor of the first matrices' inputs, and so is
    in them. Products of a head are summed up with a factor for each output of the second perceptron.
    """

    kind: ClassVar[str] = "finalmlp"

    hidden: tuple[int, ...] = (128, 64)
    second: tuple[int, ...] = (64,)
    heads: int = 4

    def __post_init__(self) -> None:
        """Check all sizes."""
        check_counts(self.kind, hidden=self.hidden, second=self.second, heads=self.heads)
        if self.hidden[-1] % self.heads or self.second[-1] % self.heads:
            raise OptionError(
                f"finalmlp: {self.heads} heads do not divide the last widths, {self.hidden[-1]} and {self.second[-1]}"
            )

    def weights(self, fields: int, dimension: int) -> Shapes:
        """Return the weights of both perceptrons, of their products and of the score."""
        size, left, right = fields * dimension, self.hidden[-1], self.second[-1]
        return {
            **perceptron("deep", size, self.hidden),
            **perceptron("second", size, self.second),
            "fusion.weight": (right, left // self.heads),
            "fused.weight": (1, right),
            "top.weight": (1, left),
            "top.bias": (1,),
            "beside.weight": (1, right),
        }

    def assemble(self, assembly: Assembly) -> None:
        """Append all."""
        flat = assembly.flat(assembly.vectors())
        right = assembly.perceptron("second", flat, len(self.second))
        assembly.add("beside", right)
        left = assembly.perceptron("deep", flat, len(self.hidden))
        assembly.add("top", left)
        fused = assembly.linear("fusion", left, groups=self.heads)
        assembly.add("fused", assembly.builder.elementwise("multiply", fused, right, "times"))


def _constant(shape: tuple[int, ...], value: float) -> FloatArray:
    return np.full(shape, value, dtype=np.float32)


HAND_MADE: tuple[type[Model], ...] = (LogisticRegression, FactorisationMachine, DeepFM, DLRM, DCNv2, AutoInt, FinalMLP)

__all__ = ["DLRM", "HAND_MADE", "AutoInt", "DCNv2", "DeepFM", "FactorisationMachine", "FinalMLP", "LogisticRegression"]
