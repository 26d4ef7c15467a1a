"""A deep recommender in torch: embedding tables, the products of their vectors, a perceptron (Naumov et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mho.machine.recommender.tables import EPSILON, check_pooling
from mho.network.zoo.recommenders import DenseSizes, tensors


class Dense(nn.Module):
    """The dense part: vectors (queries, vectors, dimension) to scores (queries, 1), before the sigmoid.

    Its parameters bear the names of `zoo.recommenders.tensors`, and it computes what `zoo.recommenders.dense` describes.
    """

    def __init__(self, sizes: DenseSizes) -> None:
        """Start with biases of 0 and weights of variance 2 / inputs, from torch's random state."""
        super().__init__()
        self.sizes = sizes
        first, *rest = sizes.hidden
        self.from_vectors = nn.Linear(sizes.vectors * sizes.dimension, first)
        self.from_pairs = nn.Linear(sizes.products, first, bias=False) if sizes.products else None
        self.top = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes.hidden, (*rest, 1), strict=True))
        later, earlier = np.tril_indices(sizes.vectors, -1)
        self.places = (torch.from_numpy(later), torch.from_numpy(earlier))
        for name, shape in tensors(sizes).items():
            parameter = self.get_parameter(name)
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.normal_(parameter, std=(2.0 / shape[1]) ** 0.5)

    def forward(self, vectors: Tensor) -> Tensor:
        """Score queries."""
        x: Tensor = self.from_vectors(vectors.flatten(1))
        if self.from_pairs is not None:
            products = vectors @ vectors.transpose(1, 2)
            x = x + self.from_pairs(products[:, self.places[0], self.places[1]])
        for layer in self.top:
            x = layer(torch.relu(x))
        return x


class Dlrm(nn.Module):
    """Tables of `rows` by name and the dense part. `poolings` as of machine.recommender.Table, "sum" where none is given.

    Tables start normal with a standard deviation of 0.1, drawn from torch's random state.
    """

    def __init__(self, rows: Mapping[str, int], sizes: DenseSizes, poolings: Mapping[str, str] | None = None) -> None:
        """Draw the tables, then the dense part."""
        super().__init__()
        self.poolings = dict(poolings or {})
        for name, pooling in self.poolings.items():
            check_pooling(name, pooling)
        self.tables = nn.ModuleDict(
            {name: nn.EmbeddingBag(count, sizes.dimension, mode="sum") for name, count in rows.items()}
        )
        for table in self.tables.values():
            nn.init.normal_(table.weight, std=0.1)  # type: ignore[arg-type]
        self.dense = Dense(sizes)

    def pool(self, name: str, sums: Tensor) -> Tensor:
        """Make of the sums of bags (queries, dimension) what the dense part reads."""
        if self.poolings.get(name, "sum") == "sum":
            return sums
        return sums * torch.rsqrt(sums.square().mean(dim=-1, keepdim=True) + EPSILON)

    def table(self, name: str) -> Tensor:
        """Return a table's rows (rows, dimension)."""
        return self.tables[name].get_parameter("weight")

    def forward(self, bags: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        """Score queries given by their bags: for each table indices (look-ups,) and offsets (queries,), as torch takes them."""
        return self.score({name: table(*bags[name]) for name, table in self.tables.items()})

    def score(self, sums: Mapping[str, Tensor]) -> Tensor:
        """Score queries given by the sums of their bags, (queries, dimension) for each table: (queries,), before the sigmoid."""
        vectors: Sequence[Tensor] = [self.pool(name, sums[name]) for name in self.tables]
        scores: Tensor = self.dense(torch.stack(list(vectors), dim=1)).squeeze(1)
        return scores
