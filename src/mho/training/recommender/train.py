"""Training a deep recommender: epochs over all interactions, each of which depends on the seed and its number alone.

So a training that is interrupted goes on from its checkpoint to the very numbers that it would have reached without.

The history of a query is a bag of many rows. Instead of looking them up query by query, a batch multiplies the histories of
its different users, rows of zeros and ones, with the table, and takes the item in question away again where it is among them:
one matrix product for a batch, forwards and backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mho.machine.recommender.recommender import RealRecommender
from mho.network.zoo.interaction import DensePart
from mho.network.zoo.interaction.handmade import DLRM
from mho.network.zoo.recommenders import DenseSizes, tensors
from mho.training import epochs
from mho.training.recommender.data import NEGATIVES, POOLINGS, TABLES, Interactions, Queries
from mho.training.recommender.model import Dlrm


@dataclass(frozen=True)
class Settings(epochs.Settings):
    """Settings. `batch`: queries of a step. `rate`: of Adam (Kingma and Ba 2015), falling in a line to a tenth of it over the
    epochs. `decay`: decoupled weight decay. `forget`: the share of queries whose user's row is left out, so that the model can
    do without. `seed`: of everything drawn. Raises OptionError out of range.
    """

    dimension: int = 16
    hidden: tuple[int, ...] = (64, 32)
    epochs: int = 5
    batch: int = 8192
    rate: float = 3e-3
    decay: float = 1e-5
    forget: float = 0.2
    seed: int = 0

    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "epochs": (1, 10_000), "batch": (1 + NEGATIVES, 1 << 20), "seed": (0, 2**31 - 1), "rate": (1e-8, 1.0),
        "decay": (0.0, 1.0), "forget": (0.0, 1.0),
    }  # fmt: skip

    def __post_init__(self) -> None:
        """Check every value."""
        object.__setattr__(self, "hidden", tuple(self.hidden))
        DenseSizes(len(TABLES), self.dimension, self.hidden)
        super().__post_init__()

    @property
    def sizes(self) -> DenseSizes:
        """Sizes of the dense part."""
        return DenseSizes(len(TABLES), self.dimension, self.hidden)


class Training(epochs.Training):
    """The training of a DLRM in progress."""

    def __init__(self, data: Interactions, settings: Settings) -> None:
        """Draw the model."""
        self.data, self.settings = data, settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = Dlrm(dict(zip(TABLES, data.rows, strict=True)), settings.sizes, POOLINGS)
        optimiser = torch.optim.AdamW(self.model.parameters(), lr=settings.rate, weight_decay=settings.decay)
        super().__init__(dict(self.model.named_parameters()), optimiser, settings.epochs)

    def real(self) -> RealRecommender:
        """Return what has been trained, in real numbers."""
        tables = {name: self.model.table(name).detach().numpy().copy() for name in TABLES}
        dense = self.model.dense
        weights = {name: dense.get_parameter(name).detach().numpy().copy() for name in tensors(self.settings.sizes)}
        origin = f"trained on {self.data.origin}, {self.done} epochs, seed {self.settings.seed}"
        part = DensePart(DLRM(self.settings.hidden), len(TABLES), self.settings.dimension)
        return RealRecommender("dlrm", tables, weights, part, origin, POOLINGS)

    save: ClassVar[Callable[[Training, str | Path], None]]
    resume: ClassVar[Callable[..., Training]]
    """Checkpoints stand above the training: the package hangs `write_checkpoint` and `read_checkpoint` here."""

    def epoch(self, number: int) -> float:
        """Train on every interaction once, with freshly drawn negatives; return the mean loss of the queries."""
        settings, random = self.settings, np.random.default_rng([self.settings.seed, 4, number])
        order = random.permutation(self.data.trained)
        step = max(1, settings.batch // (1 + NEGATIVES))
        starts = range(0, len(order), step)
        total, queries = 0.0, 0
        self.model.train()
        for place, start in enumerate(starts):
            self.falls_to((number + place / len(starts)) / settings.epochs, settings.rate, 0.1)
            batch = self.data.around(order[start : start + step], NEGATIVES, random)
            forgotten = random.random(len(batch)) < settings.forget
            scores = self.model.score(self._sums(batch, forgotten))
            labels = torch.from_numpy(batch.labels.astype(np.float32))
            loss = nn.functional.binary_cross_entropy_with_logits(scores, labels)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            total, queries = total + float(loss.detach()) * len(batch), queries + len(batch)
        self.model.eval()
        return total / queries

    def _sums(self, batch: Queries, forgotten: Any) -> dict[str, Tensor]:
        """Sum up the bags of queries: (queries, dimension) for each table, with gradients."""
        rows = self.data.one_row(batch)
        sums = {}
        for name, indices in rows.items():
            sums[name] = nn.functional.embedding(torch.from_numpy(np.maximum(indices, 0)), self.model.table(name))
        kept = torch.from_numpy(((rows["user"] >= 0) & ~forgotten).astype(np.float32))
        sums["user"] = sums["user"] * kept[:, None]
        users, place = np.unique(batch.users, return_inverse=True)
        table = self.model.table("history")
        whole = torch.from_numpy(self.data.seen[users].astype(np.float32)) @ table
        inside = torch.from_numpy(self.data.seen[batch.users, batch.items].astype(np.float32))
        own = nn.functional.embedding(torch.from_numpy(batch.items), table)
        sums["history"] = whole[torch.from_numpy(place)] - own * inside[:, None]
        return sums
