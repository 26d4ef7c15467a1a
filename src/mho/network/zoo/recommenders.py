"""The dense parts of recommenders: from the vectors that embedding tables give for a query to its score.

`dlrm` (Naumov et al. 2019, Deep learning recommendation model, sections 2.1 and 2.5): the dot product of each pair of vectors,
then a multilayer perceptron. There are no dense features here, so none of the paper's bottom perceptron; in the place of its
output the vectors themselves go into the top perceptron beside the products. `ncf` (He et al. 2017, Neural collaborative
filtering, section 3.3): a perceptron on the two vectors of user and item. Both end in the score before the sigmoid.

The tables are no part of these networks: look-ups are added up elsewhere, and arrive as the input (batch, vectors, dimension).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError
from mho.network.builder import Builder
from mho.network.graph import Network
from mho.network.layers import Array
from mho.network.zoo.seeds import generator, origin_of

FloatArray = npt.NDArray[np.float32]
INPUT, OUTPUT = "vectors", "score"
"""Names of the tensors that a dense part takes and gives."""


@dataclass(frozen=True)
class DenseSizes:
    """Sizes of a dense part: `vectors` of `dimension` numbers in, hidden layers of `hidden` neurons, one score out.

    `pairs`: whether the products of each two vectors go into the first hidden layer beside the vectors.
    """

    vectors: int
    dimension: int
    hidden: tuple[int, ...]
    pairs: bool = True

    def __post_init__(self) -> None:
        """Refuse sizes below one, and no hidden layer."""
        for value in (self.vectors, self.dimension, *self.hidden):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise OptionError(f"sizes of a dense part are whole numbers of at least 1, not {value!r}")
        if not self.hidden:
            raise OptionError("a dense part has at least one hidden layer")

    @property
    def products(self) -> int:
        """Return the number of products of two vectors that the first hidden layer reads."""
        return self.vectors * (self.vectors - 1) // 2 if self.pairs else 0


SIZES: Mapping[str, DenseSizes] = {
    # User, three attributes of the user, item, attribute of the item, history: what examples/train_dlrm.py trains.
    "dlrm": DenseSizes(vectors=7, dimension=16, hidden=(64, 32)),
    # He et al. 2017, section 4.1 and their published files: 8 predictive factors, so 64-32-16-8 on two vectors of 32.
    "ncf": DenseSizes(vectors=2, dimension=32, hidden=(32, 16, 8), pairs=False),
}


def tensors(sizes: DenseSizes) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of a dense part's weights (outputs, inputs) and biases (outputs,)."""
    first, *rest = sizes.hidden
    shapes: dict[str, tuple[int, ...]] = {
        "from_vectors.weight": (first, sizes.vectors * sizes.dimension),
        "from_vectors.bias": (first,),
    }
    if sizes.products:
        shapes["from_pairs.weight"] = (first, sizes.products)
    for place, (inputs, outputs) in enumerate(zip((first, *rest), (*rest, 1), strict=True)):
        shapes |= {f"top.{place}.weight": (outputs, inputs), f"top.{place}.bias": (outputs,)}
    return shapes


def dense(
    sizes: DenseSizes, weights: Mapping[str, FloatArray] | None = None, *, name: str, origin: str, batch: int = 1
) -> Network:
    """Build a dense part: "vectors" (batch, vectors, dimension) to "score" (batch, 1), the score before the sigmoid.

    `weights` by the names of `tensors`; None: shapes alone. Raises OptionError for weights that are missing, too many or of
    another shape, WeightError for values that are not finite.
    """
    arrays = _arrays(sizes, weights, name)
    builder = Builder()
    builder.scope = INPUT
    vectors = builder.input((batch, sizes.vectors, sizes.dimension))
    builder.scope = "flat"
    flat = builder.reshape(vectors, (batch, sizes.vectors * sizes.dimension))
    builder.scope = "from_vectors"
    x = builder.linear(flat, arrays["from_vectors.weight"], arrays["from_vectors.bias"])
    if sizes.products:
        products = _pairs(builder, vectors)
        builder.scope = "from_pairs"
        joined = builder.linear(products, arrays["from_pairs.weight"])
        builder.scope = "first"
        x = builder.elementwise("add", x, joined)
    for place in range(len(sizes.hidden)):
        builder.scope = f"hidden.{place}"
        x = builder.activation(x, "relu")
        builder.scope = f"top.{place}"
        x = builder.linear(x, arrays[f"top.{place}.weight"], arrays[f"top.{place}.bias"])
    builder.scope = OUTPUT
    x = builder.reshape(x, (batch, 1))
    return Network(name=name, layers=tuple(builder.layers.values()), outputs=(x,), origin=origin)


def _pairs(builder: Builder, vectors: str) -> str:
    """Append the products of each vector with each before it: (batch, vectors x (vectors - 1) / 2), row by row.

    The products of vectors with themselves, the largest and never read, are set to 0 before the products are stored: their
    range would make the code of all others coarse.
    """
    count = builder.shape(vectors)[1]
    builder.scope = "interaction"
    below = builder.constant(Array.of(np.tril(np.ones((1, count, count), dtype=np.float32), -1)), "below")
    products = builder.product(vectors, builder.swap(vectors, 1, 2, "transpose"), "product")
    products = builder.elementwise("multiply", products, below)
    rows = []
    for place in range(1, count):
        row = builder.slice(products, 1, place, place + 1, drop=True, part=f"row{place}")
        rows.append(builder.slice(row, 1, 0, place, part=f"before{place}"))
    return builder.concatenate(rows, 1, "pairs")


def in_steps(sizes: DenseSizes, weights: Mapping[str, FloatArray], steps: FloatArray) -> dict[str, FloatArray]:
    """Return the weights of the same dense part for vectors that are given in steps: `steps` (vectors,) is what 1 is worth in each.

    Weights of a vector are multiplied by its step, those of a product by both steps: vector j of (1 ... vectors - 1) has its
    products with the vectors before it in places j (j - 1) / 2 and following.
    """
    result = dict(weights)
    columns = np.repeat(steps.astype(np.float64), sizes.dimension)
    result["from_vectors.weight"] = (weights["from_vectors.weight"] * columns).astype(np.float32)
    if sizes.products:
        later, earlier = np.tril_indices(sizes.vectors, -1)
        both = steps[later].astype(np.float64) * steps[earlier]
        result["from_pairs.weight"] = (weights["from_pairs.weight"] * both).astype(np.float32)
    return result


def seeded(sizes: DenseSizes, seed: int) -> dict[str, FloatArray]:
    """Draw synthetic weights: normal, of the variance that keeps the size of vectors whose numbers have variance 1."""
    weights = {}
    for name, shape in tensors(sizes).items():
        random = generator(seed, name)
        inputs = shape[-1] * (sizes.dimension if name == "from_pairs.weight" else 1)
        deviation = 0.1 if name.endswith("bias") else math.sqrt(2.0 / inputs)
        weights[name] = (random.standard_normal(shape, dtype=np.float32) * np.float32(deviation)).astype(np.float32)
    return weights


def load_dense(name: str, *, weights: str | Path, seed: int, batch: int) -> Network:
    """Build a dense part of SIZES; `weights` is "none", "seeded" or the path of a .safetensors file with the names of `tensors`."""
    sizes, kind = SIZES[name], str(weights)
    values = seeded(sizes, seed) if kind == "seeded" else None
    if kind not in ("none", "seeded"):
        from mho.network.zoo.weights import read_tensors

        values = read_tensors(Path(weights), tensors(sizes))
    return dense(sizes, values, name=name, origin=origin_of(weights, seed), batch=batch)


def weights_of(network: Network) -> dict[str, FloatArray] | None:
    """Return the weights of a dense part by the names of `tensors`, None where it is known by shapes alone."""
    weights = {}
    for layer in network.matrix_layers:
        for kind, array in (("weight", layer.weight), ("bias", layer.bias)):
            if array is not None and array.values is None:
                return None
            if array is not None:
                weights[f"{layer.name}.{kind}"] = np.asarray(array.values, dtype=np.float32)
    return weights


def _arrays(sizes: DenseSizes, weights: Mapping[str, FloatArray] | None, name: str) -> dict[str, Array]:
    shapes = tensors(sizes)
    if weights is None:
        return {key: Array(shape) for key, shape in shapes.items()}
    wrong = sorted(shapes.keys() ^ weights.keys())
    if wrong:
        state = "missing" if wrong[0] in shapes else "not part of it"
        raise OptionError(f"{name}: weight {wrong[0]!r} is {state}; needed: {', '.join(shapes)}")
    for key, shape in shapes.items():
        if weights[key].shape != shape:
            raise OptionError(f"{name}: weight {key!r} has shape {weights[key].shape}, not {shape}")
    return {key: Array.of(np.asarray(weights[key], dtype=np.float32)) for key in shapes}
