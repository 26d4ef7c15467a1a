"""Training a recommender on clicks: tables and a dense part of any model, at the bits that the chip will have.

What an epoch draws depends on the seed and its number alone, so that a training that is interrupted goes on from its checkpoint to
the very numbers that it would have reached. After each epoch the records to choose by are scored; the best epoch's weights are
kept, and training ends early where `patience` epochs brought nothing better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mho.errors import TraceError
from mho.machine.recommender.recommender import RealRecommender, Recommender
from mho.machine.recommender.scores import log_loss
from mho.machine.recommender.tables import LARGEST
from mho.network import Network
from mho.network.clicks import FOLDS, Clicks
from mho.network.zoo.interaction import DensePart, Model
from mho.network.zoo.recommenders import OUTPUT
from mho.network.zoo.seeds import generator
from mho.number import QuantisedNetwork
from mho.number.bits import Asked, asked
from mho.training import epochs
from mho.training.graph import Graph

TABLES = "tables"
"""The parameter that holds the rows of all tables."""
CALIBRATED_ON = 4096
"""Records to train on that show the ranges of activations, drawn by the seed."""
BALANCED = 256
"""Records that the weights of models that ask for it are balanced on."""
CLIPPED = 1.0
"""The largest norm of their gradient."""
SCORED = 4096
"""Records that are scored at once while training."""
END = 0.1
"""Share of Adam's rate that the last step has."""


@dataclass(frozen=True)
class Settings(epochs.Settings):
    """Settings. `dimension`: numbers of a vector. `batch`: records of a step. `rate`: of Adam (Kingma and Ba 2015), falling in a
    line to a tenth over the epochs.

    `decay`: half of it is what the sum of squares of all tables adds to the mean loss of a step, and `drop`: the share of the
    numbers of looked-up rows that are set to 0 at random (Srivastava et al. 2014). `patience`: epochs without a better loss of
    the records to choose by after which training ends. `spread`: standard deviation of fresh vectors. `bits`: of layers, as
    number.quantise takes them; None: those that the model prescribes, else real numbers, 8 and 8 bits once they are trained.
    `real`: share of the epochs, the first ones, that are in real numbers all the same where bits are trained; they end sooner where
    `patience` of them bring nothing better. `seed`: of everything drawn.

    Raises OptionError out of range, NumberError for bits that are none.
    """

    dimension: int = 16
    epochs: int = 12
    batch: int = 1024
    rate: float = 4e-3
    decay: float = 1e-2
    drop: float = 0.1
    patience: int = 3
    spread: float = 0.05
    bits: str | None = None
    real: float = 0.5
    seed: int = 0

    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "dimension": (1, 1 << 12), "epochs": (1, 10_000), "batch": (1, 1 << 20), "rate": (1e-8, 1.0), "decay": (0.0, 10.0),
        "drop": (0.0, 0.9), "patience": (1, 10_000), "real": (0.0, 1.0), "spread": (0.0, 10.0), "seed": (0, 2**31 - 1),
    }  # fmt: skip

    def __post_init__(self) -> None:
        """Check every value."""
        super().__post_init__()
        if self.bits is not None:
            asked(self.bits)


class Training(epochs.Training):
    """The training of a model on clicks in progress. `valid`: the log loss of the records to choose by, epoch by epoch."""

    def __init__(self, clicks: Clicks, model: Model, settings: Settings) -> None:
        """Draw tables and weights. TraceError for a fold without clicks, or without records that are none."""
        for name, part in zip(FOLDS, (clicks.train, clicks.valid, clicks.test), strict=True):
            if len(set(part.y.tolist())) < 2:
                raise TraceError(f"{clicks.origin}: the records of fold {name} are not of both labels")
        self.clicks, self.settings = clicks, settings
        self.part = DensePart(model, clicks.fields, settings.dimension)
        network = self.part.build(
            self.part.fresh(settings.seed), name=model.name, origin=f"fresh, seed {settings.seed}"
        )
        self.bits: Asked | None = self.part.layer_bits() or None if settings.bits is None else settings.bits
        self.graph = Graph(network, self.bits)
        rows = torch.from_numpy(_fresh_rows(clicks, self.part, settings))
        parameters = {TABLES: nn.Parameter(rows), **self.graph.weights}
        # Tables of this size are cheapest touched whole at each step.
        optimiser = torch.optim.Adam(parameters.values(), lr=settings.rate)
        super().__init__(parameters, optimiser, settings.epochs)  # type: ignore[arg-type]
        self.base = torch.from_numpy(np.cumsum([0, *clicks.rows[:-1]]))
        self.valid: list[float] = []
        self.best: dict[str, Tensor] = {}
        if model.balanced:
            self.graph.balance(self._vectors(clicks.train.x[:BALANCED]).detach())

    @property
    def finished(self) -> bool:
        """Whether no epoch is left, or the last ones brought nothing better."""
        waited = len(self.valid) - self.best_epoch >= self.settings.patience
        return super().finished or (waited and len(self.valid) > self.real_epochs)

    @property
    def real_epochs(self) -> int:
        """Return how many epochs are in real numbers before those at the bits that are trained; 0 where none are."""
        settings = self.settings
        most = 0 if self.bits is None else min(round(settings.real * settings.epochs), settings.epochs - 1)
        ends = range(settings.patience + 1, min(most, len(self.valid)) + 1)
        return next((end for end in ends if end - 1 - int(np.argmin(self.valid[:end])) >= settings.patience), most)

    @property
    def best_epoch(self) -> int:
        """Return the number, from 1 on, of the epoch whose weights are kept; 0 where none is done.

        As soon as one is done at the bits that are trained, it is the best of these.
        """
        first = self.real_epochs if len(self.valid) > self.real_epochs else 0
        return first + int(np.argmin(self.valid[first:])) + 1 if self.valid else 0

    def state(self) -> tuple[dict[str, Tensor], list[float]]:
        """Return the state of any training, the ranges of activations, the losses by which epochs are chosen, and the best one."""
        tensors, losses = super().state()
        tensors |= {f"graph.{name}": buffer.clone() for name, buffer in self.ranges().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        tensors["valid"] = torch.tensor(self.valid, dtype=torch.float64)
        return tensors, losses

    def restore(self, tensors: Mapping[str, Tensor], losses: list[float]) -> None:
        """Restore a state that was saved."""
        super().restore(tensors, losses)
        for name, buffer in self.ranges().items():
            buffer.copy_(tensors[f"graph.{name}"])
        self.best = {name.removeprefix("best."): tensor for name, tensor in tensors.items() if name.startswith("best.")}
        self.valid = tensors["valid"].tolist()

    save: ClassVar[Callable[[Training, str | Path], None]]
    resume: ClassVar[Callable[..., Training]]
    """Checkpoints stand above the training: the package hangs `write_checkpoint` and `read_checkpoint` here."""

    def epoch(self, number: int) -> float:
        """Train on every record once, in an order of this epoch; return the mean loss."""
        settings, (x, y) = self.settings, self.clicks.train
        order = np.random.default_rng([settings.seed, 4, number]).permutation(len(y))
        masks = torch.Generator().manual_seed(int(np.random.default_rng([settings.seed, 5, number]).integers(2**62)))
        starts = range(0, len(y), settings.batch)
        total = torch.zeros((), dtype=torch.float64)
        self.graph.train()
        self.graph.coded = number >= self.real_epochs
        if 0 < number == self.real_epochs:
            # From the best real numbers on, with the ranges that these give.
            with torch.no_grad():
                for name, parameter in self.parameters.items():
                    parameter.copy_(self.best[name])
            self.graph.known.fill_(False)
        for place, start in enumerate(starts):
            self.falls_to((number + place / len(starts)) / settings.epochs, settings.rate, END)
            batch = order[start : start + settings.batch]
            labels = torch.from_numpy(y[batch].astype(np.float32))
            vectors = self._vectors(x[batch])
            burden = 0.5 * settings.decay * self.parameters[TABLES].square().sum()
            if settings.drop:
                kept = torch.empty(vectors.shape).bernoulli_(1.0 - settings.drop, generator=masks)
                vectors = vectors * kept.mul_(1.0 / (1.0 - settings.drop))
            loss = nn.functional.binary_cross_entropy_with_logits(self._scores(vectors), labels)
            self.optimiser.zero_grad(set_to_none=True)
            (loss + burden).backward()  # type: ignore[no-untyped-call]
            if self.part.model.balanced:
                nn.utils.clip_grad_norm_(self.parameters.values(), CLIPPED)
            self.optimiser.step()
            total += loss.detach() * len(batch)
        self.valid = [*self.valid, log_loss(self.scores(self.clicks.valid.x), self.clicks.valid.y)]
        if self.best_epoch == len(self.valid):
            self.best = {name: tensor.detach().clone() for name, tensor in {**self.parameters, **self.ranges()}.items()}
        return float(total) / len(y)

    def scores(self, x: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """Score records with the weights of now, as training sees them: to choose by, not to judge."""
        self.graph.eval()
        with torch.no_grad():
            parts = [
                self._scores(self._vectors(x[start : start + SCORED])).double() for start in range(0, len(x), SCORED)
            ]
        return np.asarray(torch.cat(parts).numpy())

    def real(self) -> RealRecommender:
        """Return the weights of the best epoch, in real numbers; of now where none is done."""
        best = self.best or {name: each.detach() for name, each in self.parameters.items()}
        whole = best[TABLES].numpy()
        tables = np.split(whole, np.cumsum(self.clicks.rows)[:-1])
        weights = {name: best[name].numpy().copy() for name in self.part.weights()}
        origin = f"trained on {self.clicks.origin}, epoch {self.best_epoch} of {self.done}, seed {self.settings.seed}"
        named = {name: table.copy() for name, table in zip(self.clicks.names, tables, strict=True)}
        return RealRecommender(self.part.model.name, named, weights, self.part, origin, synthetic=self.clicks.synthetic)

    def recommender(self) -> Recommender:
        """Return the integers of the best epoch: at the bits that training had, with the ranges that it found; else 8 and 8 bits.

        Ranges that training did not find are those of records to train on.
        """
        records = self.clicks.train.x
        chosen = np.random.default_rng([self.settings.seed, 6]).permutation(len(records))[:CALIBRATED_ON]
        some = self.clicks.select_records(np.sort(np.flatnonzero(self.clicks.fold == 0)[chosen]))
        real = self.real()
        if self.bits is None:
            return real.quantise(some.trace(), alike=True)
        return real.quantise(some.trace(), alike=True, by=self._quantised)

    def _quantised(self, network: Network, samples: npt.NDArray[Any], **options: Any) -> QuantisedNetwork:
        """Quantise the dense part as it was trained."""
        graph = Graph(network, self.bits)
        graph.ranges.copy_(self.best["ranges"])
        graph.known.copy_(self.best["known"])
        return graph.quantise(samples)

    def ranges(self) -> dict[str, Tensor]:
        """Return what the graph knows of activations, by name: everything that it holds but weights and constants."""
        return {name: each for name, each in self.graph.named_buffers() if not name.startswith("constant")}

    def _vectors(self, x: npt.NDArray[np.int32]) -> Tensor:
        """Look up records: (records, fields, numbers of a row); as the integers of tables show them, where bits are trained."""
        rows = self.parameters[TABLES]
        vectors = nn.functional.embedding(torch.from_numpy(x).long() + self.base, rows)
        if self.bits is None or not self.graph.coded:
            return vectors
        with torch.no_grad():
            scale = (rows.abs().max() / LARGEST).clamp(min=torch.finfo(torch.float32).tiny)
            shown = (vectors / scale).round() * scale
        return vectors + (shown - vectors).detach()

    def _scores(self, vectors: Tensor) -> Tensor:
        scores: Tensor = self.graph(vectors)[OUTPUT][:, 0]
        return scores


def _fresh_rows(clicks: Clicks, part: DensePart, settings: Settings) -> npt.NDArray[np.float32]:
    """Draw the rows of all tables: normal vectors, first-order weights of 0."""
    drawn = generator(settings.seed, TABLES).standard_normal((sum(clicks.rows), part.width), dtype=np.float32)
    drawn *= np.float32(settings.spread)
    if part.model.wide:
        drawn[:, -1] = 0.0
    return drawn


__all__ = ["Settings", "Training"]
