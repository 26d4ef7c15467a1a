"""One model trained by itself on clicks, for as many steps as are asked for: the truth that scores are held against, and a score.

alone = Alone(model, clicks, Budget(), seed=0)
alone.train(alone.budget.steps(clicks))
log_loss(alone.logits(clicks.valid.x), clicks.valid.y)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mho.errors import OptionError
from mho.machine.recommender.recommender import Recommender
from mho.network.clicks import Clicks, Part
from mho.network.zoo.interaction import Genotype, Model
from mho.network.zoo.recommenders import OUTPUT
from mho.number.bits import Asked
from mho.training.clicks import Settings, Training
from mho.training.clicks.train import BALANCED
from mho.training.epochs import Progress
from mho.training.graph import Graph

FloatArray = npt.NDArray[np.float32]
CHUNK = 4096
"""Records that are scored at once."""
LIGHT = 0.7
"""Share of a training in which activations of 8 bits stay real."""
STREAM = 7
"""Of the seed: what order records come in."""


@dataclass(frozen=True)
class Budget:
    """How a model is trained. `dimension` of tables; `batch` records a step; `rate` of Adam (Kingma and Ba 2015), falling in a line
    to a tenth, `tables` times as high for tables; `epochs` of a whole training; `spread`: standard deviation of fresh tables.
    Raises OptionError out of range.
    """

    dimension: int = 16
    batch: int = 2048
    rate: float = 1e-2
    epochs: float = 1.0
    spread: float = 0.05
    tables: float = 3.0

    def __post_init__(self) -> None:
        """Check every value."""
        for name, low, high in (
            ("dimension", 1, 4096), ("batch", 2, 1 << 20), ("rate", 1e-8, 1.0), ("epochs", 1e-3, 1e4), ("spread", 1e-8, 10.0),
            ("tables", 1e-3, 1e3),
        ):  # fmt: skip
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | type(low)) or not low <= value <= high:
                raise OptionError(f"{name} must be from {low} to {high}, not {value!r}")

    def steps(self, clicks: Clicks, share: float = 1.0) -> int:
        """Return the steps of a share of a whole training."""
        return max(1, round(share * self.epochs * len(clicks.train.y) / self.batch))


class Tables:
    """The tables of clicks as one matrix, (rows, width): which of its rows a record looks up."""

    def __init__(self, clicks: Clicks) -> None:
        self.rows = sum(clicks.rows)
        self.offsets = np.cumsum([0, *clicks.rows[:-1]])

    def places(self, x: npt.NDArray[np.int32]) -> Tensor:
        """Return the rows of the matrix, (records, fields)."""
        return torch.from_numpy(x + self.offsets)

    def fresh(self, width: int, spread: float, seed: int) -> Tensor:
        """Draw tables."""
        drawn = np.random.default_rng([seed, STREAM + 1]).standard_normal((self.rows, width), dtype=np.float32)
        return torch.from_numpy(drawn * np.float32(spread))


class Alone:
    """A model with tables and weights of its own.

    `tables` (rows, width): what its tables begin with, None for fresh ones; `weights` likewise, by name. `bits`: None for those of
    the model where it has any, else 8.
    """

    def __init__(
        self,
        model: Model,
        clicks: Clicks,
        budget: Budget,
        seed: int,
        *,
        bits: Asked | None = None,
        tables: Tensor | None = None,
        weights: Mapping[str, FloatArray] | None = None,
    ) -> None:
        self.model, self.clicks, self.budget, self.seed = model, clicks, budget, seed
        fields, dimension = clicks.fields, budget.dimension
        width = model.width(dimension)
        self.layout = Tables(clicks)
        start = self.layout.fresh(width, budget.spread, seed) if tables is None else tables[:, :width].clone()
        self.tables = nn.Parameter(start)
        fresh = model.fresh(fields, dimension, seed) if weights is None else weights
        own = getattr(model, "layer_bits", None)
        self.graph = Graph(model.build(fields, dimension, fresh), bits or (own(fields, dimension) if own else 8))
        if weights is None:
            self.graph.balance(self.vectors(clicks.train.x[:BALANCED]).detach())
        self.done = 0

    def vectors(self, x: npt.NDArray[np.int32]) -> Tensor:
        """Look up, (records, fields, width)."""
        return nn.functional.embedding(self.layout.places(x), self.tables)

    def train(self, steps: int, frozen: bool = False) -> float:
        """Train for so many steps, the rate falling over them; `frozen` tables stay. Returns the mean loss of the last tenth."""
        losses: list[float] = []
        parameters = [*self.graph.parameters(), *([] if frozen else [self.tables])]
        share = [1.0] * len(parameters) if frozen else [*(1.0 for _ in self.graph.parameters()), self.budget.tables]
        groups = [
            {"params": [each for each, own in zip(parameters, share, strict=True) if own == rate], "rate": rate}
            for rate in sorted(set(share))
        ]
        optimiser = torch.optim.Adam(groups, lr=self.budget.rate, fused=True)
        self.graph.train()
        with flushed():
            for step, (x, y) in enumerate(batches(self.clicks.train, self.budget.batch, steps, self.seed)):
                self.graph.light = step < LIGHT * steps
                for group in optimiser.param_groups:
                    group["lr"] = group["rate"] * self.budget.rate * (1.0 - 0.9 * step / steps)
                score = self.graph(self.vectors(x))[OUTPUT].squeeze(1)
                loss = nn.functional.binary_cross_entropy_with_logits(score, torch.from_numpy(y.astype(np.float32)))
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimiser.step()
                losses.append(float(loss.detach()))
        self.done += steps
        return float(np.mean(losses[-math.ceil(steps / 10) :]))

    def logits(self, x: npt.NDArray[np.int32], *, hasty: bool = False) -> npt.NDArray[np.float64]:
        """Score records, (records,), with the codes of the trained weights; in haste with those of the last training step."""
        self.graph.train(hasty)
        self.graph.light = False
        with torch.no_grad(), flushed():
            parts = [
                self.graph(self.vectors(x[start : start + CHUNK]))[OUTPUT].squeeze(1).numpy()
                for start in range(0, len(x), CHUNK)
            ]
        return np.concatenate(parts).astype(np.float64)


def train_alone(
    model: Genotype, clicks: Clicks, seed: int = 0, settings: Settings | None = None, progress: Progress | None = None
) -> Recommender:
    """Train a searched model by itself at its own bits, whole: the integers of its best epoch. `settings` but for the seed."""
    training = Training(clicks, model, replace(Settings() if settings is None else settings, seed=seed))
    training.run(progress)
    return training.recommender()


def batches(
    part: Part, batch: int, steps: int, seed: int
) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]]:
    """Yield batches, epoch after epoch in an order of its own; the last few records of an epoch are left to the next."""
    batch = min(batch, len(part.y))
    each = len(part.y) // batch
    order: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
    for step in range(steps):
        epoch, place = divmod(step, each)
        if not place:
            order = np.random.default_rng([seed, STREAM, epoch]).permutation(len(part.y))
        chosen = order[place * batch : (place + 1) * batch]
        yield part.x[chosen], part.y[chosen]


@contextmanager
def flushed() -> Iterator[None]:
    """Take numbers below the range of float32 for 0, as gradients of what saturates are: processors take long over them."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


__all__ = ["BALANCED", "Alone", "Budget", "Tables", "batches", "flushed", "train_alone"]
