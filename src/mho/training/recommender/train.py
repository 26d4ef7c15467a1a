"""Training a deep recommender: epochs over all interactions, each of which depends on the seed and its number alone.

So a training that is interrupted goes on from its checkpoint to the very numbers that it would have reached without.

The history of a query is a bag of many rows. Instead of looking them up query by query, a batch multiplies the histories of
its different users, rows of zeros and ones, with the table, and takes the item in question away again where it is among them:
one matrix product for a batch, forwards and backwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mho.errors import OptionError
from mho.machine.recommender.recommender import RealRecommender
from mho.network.zoo.recommenders import DenseSizes, tensors
from mho.training.epochs import Progress, trained
from mho.training.recommender.data import NEGATIVES, POOLINGS, TABLES, Interactions, Queries
from mho.training.recommender.model import Dlrm


@dataclass(frozen=True)
class Settings:
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

    def __post_init__(self) -> None:
        """Check every value."""
        object.__setattr__(self, "hidden", tuple(self.hidden))
        DenseSizes(len(TABLES), self.dimension, self.hidden)
        for name, low, high in (
            ("epochs", 1, 10_000), ("batch", 1 + NEGATIVES, 1 << 20), ("seed", 0, 2**31 - 1), ("rate", 1e-8, 1.0),
            ("decay", 0.0, 1.0), ("forget", 0.0, 1.0),
        ):  # fmt: skip
            value, whole = getattr(self, name), isinstance(low, int)
            if (
                isinstance(value, bool)
                or not isinstance(value, int if whole else int | float)
                or not low <= value <= high
            ):
                kind = "a whole number" if whole else "a number"
                raise OptionError(f"{name} must be {kind} from {low} to {high}, not {value!r}")

    @property
    def sizes(self) -> DenseSizes:
        """Sizes of the dense part."""
        return DenseSizes(len(TABLES), self.dimension, self.hidden)

    @classmethod
    def of(cls, record: dict[str, Any]) -> Settings:
        """Read what `asdict` wrote; raise OptionError for keys that are unknown."""
        unknown = record.keys() - {item.name for item in fields(cls)}
        if unknown:
            raise OptionError(f"unknown settings {sorted(unknown)}")
        return cls(**record)

    def record(self) -> dict[str, Any]:
        """Return the settings for a file."""
        return {**asdict(self), "hidden": list(self.hidden)}


class Training:
    """A training in progress: model, Adam's moments, and the epochs that are done."""

    def __init__(self, data: Interactions, settings: Settings) -> None:
        """Draw the model."""
        self.data, self.settings = data, settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = Dlrm(dict(zip(TABLES, data.rows, strict=True)), settings.sizes, POOLINGS)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=settings.rate, weight_decay=settings.decay)
        self.losses: list[float] = []

    @property
    def done(self) -> int:
        """Epochs that are done."""
        return len(self.losses)

    def run(self, progress: Progress | None = None, *, epochs: int | None = None) -> None:
        """Train to the end, or at most `epochs` epochs more. An epoch that is interrupted leaves the model of the one before."""
        last = self.settings.epochs if epochs is None else min(self.settings.epochs, self.done + epochs)
        for done, loss in trained(last, self.losses, self._epoch, self.state, lambda before: self.restore(*before)):
            if progress is not None:
                progress(done, loss)

    def state(self) -> tuple[dict[str, Tensor], list[float]]:
        """Return copies of parameters, Adam's moments and its count of steps by name; and the losses of the epochs done."""
        tensors_: dict[str, Tensor] = {}
        for name, parameter in self.model.named_parameters():
            tensors_[f"model.{name}"] = parameter.detach().clone()
            for key, value in self.optimiser.state.get(parameter, {}).items():
                tensors_[f"adam.{key}.{name}"] = torch.as_tensor(value).detach().clone()
        return tensors_, list(self.losses)

    def restore(self, tensors_: dict[str, Tensor], losses: list[float]) -> None:
        """Restore a state that was saved."""
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(tensors_[f"model.{name}"])
                moments = {
                    key: tensors_[f"adam.{key}.{name}"].clone()
                    for key in ("step", "exp_avg", "exp_avg_sq")
                    if f"adam.{key}.{name}" in tensors_
                }
                self.optimiser.state[parameter] = moments
                if not moments:
                    del self.optimiser.state[parameter]
        self.losses = list(losses)

    def real(self) -> RealRecommender:
        """Return what has been trained, in real numbers."""
        tables = {name: self.model.table(name).detach().numpy().copy() for name in TABLES}
        dense = self.model.dense
        weights = {name: dense.get_parameter(name).detach().numpy().copy() for name in tensors(self.settings.sizes)}
        origin = f"trained on {self.data.origin}, {self.done} epochs, seed {self.settings.seed}"
        return RealRecommender("dlrm", tables, weights, self.settings.sizes, origin, POOLINGS)

    save: ClassVar[Callable[[Training, str | Path], None]]
    resume: ClassVar[Callable[..., Training]]
    """Checkpoints stand above the training: the package hangs `write_checkpoint` and `read_checkpoint` here."""

    def _epoch(self, number: int) -> float:
        """Train on every interaction once, with freshly drawn negatives; return the mean loss of the queries."""
        settings, random = self.settings, np.random.default_rng([self.settings.seed, 4, number])
        order = random.permutation(self.data.trained)
        step = max(1, settings.batch // (1 + NEGATIVES))
        starts = range(0, len(order), step)
        total, queries = 0.0, 0
        self.model.train()
        for place, start in enumerate(starts):
            share = (number + place / len(starts)) / settings.epochs
            for group in self.optimiser.param_groups:
                group["lr"] = settings.rate * (1.0 - 0.9 * share)
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
