"""One set of weights for all models of a space: trained on a random model a step, and what any of them scores with its part.

A model's weights are the leading parts of the shared ones (`network.zoo.interaction.store`). Nothing normalises a model's
activations, and models of one weight feed it with numbers of other sizes; so for each batch the matrices of the model that was
drawn are scaled to outputs of variance 1 (`Graph.balanced`): scales that belong to the weights of that model alone, as one-shot
search gives each of its networks statistics of its own.

Models are drawn from decks, so that each choice of a gene comes as often as the others (FairNAS, Chu et al. 2021, asks that of the
operators of a place); the first steps are trained in real numbers.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mho.errors import WeightError
from mho.files.tensors import Arrays, write_tensors
from mho.machine.recommender.files import opened
from mho.network.clicks import Clicks
from mho.network.zoo.interaction import Genotype
from mho.network.zoo.interaction.space import ModelSpace
from mho.network.zoo.interaction.store import Store
from mho.network.zoo.recommenders import OUTPUT
from mho.network.zoo.seeds import generator
from mho.training.graph import Graph
from mho.training.searched.alone import BALANCED, CHUNK, Budget, Tables, batches, flushed

WARM = 0.25
"""Share of the steps that are trained in real numbers, at the start."""
RATE = 0.08
"""Of Adagrad (Duchi et al. 2011), which leaves weights alone that a step did not use; NASRec takes 0.12."""
SCORE = ("score.dense", "score.vectors")
"""Matrices whose outputs are the score, which has a size of its own."""
FIRST = 0.1
"""Deviation of the score before training."""
FORMAT = "mho.supernet/1"
Progress = Callable[[int, int, float], None]
"""Is told of steps done, of all, and the mean loss since it was told last."""


class Deck:
    """Draws models so that each choice of a gene comes once before any comes again."""

    def __init__(self, space: ModelSpace, seed: int) -> None:
        self.space, self._random = space, Random(seed)
        self._left: list[list[int]] = [[] for _ in space.sizes]

    def draw(self) -> Genotype:
        """Draw a model."""
        for left, size in zip(self._left, self.space.sizes, strict=True):
            if not left:
                left.extend(self._random.sample(range(size), size))
        return self.space.genotype([left.pop() for left in self._left])


class Supernet:
    """The shared weights of a space and one set of tables, trained on clicks; `done` steps of its training."""

    def __init__(self, space: ModelSpace, clicks: Clicks, budget: Budget, seed: int = 0) -> None:
        """Draw weights: normal, of a variance that the balance of each batch makes right."""
        self.space, self.clicks, self.budget, self.seed = space, clicks, budget, seed
        self.store = Store(space, clicks.fields, budget.dimension)
        self.layout = Tables(clicks)
        width = budget.dimension + any(space.wide)
        self.tables = nn.Parameter(self.layout.fresh(width, budget.spread, seed))
        self.weights = {name: nn.Parameter(_fresh(name, shape, seed)) for name, shape in self.store.shapes.items()}
        self.optimiser = torch.optim.Adagrad([self.tables, *self.weights.values()], lr=RATE, eps=1e-8)
        self.done = 0

    def train(self, steps: int, progress: Progress | None = None, every: int = 50) -> None:
        """Train to so many steps in all, those that are done counted in; what is drawn depends on the seed and the step alone."""
        deck = Deck(self.space, self.seed)
        for _ in range(self.done):
            deck.draw()
        losses: list[float] = []
        with flushed():
            for step, (x, y) in enumerate(batches(self.clicks.train, self.budget.batch, steps, self.seed)):
                if step < self.done:
                    continue
                for group in self.optimiser.param_groups:
                    group["lr"] = RATE * (1.0 - 0.9 * step / steps)
                losses.append(self._step(deck.draw(), x, y, quantised=step >= WARM * steps))
                self.done = step + 1
                if progress is not None and (self.done % every == 0 or self.done == steps):
                    progress(self.done, steps, float(np.mean(losses)))
                    losses.clear()

    def save(self, path: str | Path) -> None:
        """Write weights, tables and what training goes on with, whole or not at all. Raises OutputError where that fails."""
        arrays: Arrays = {}
        for name, parameter in self._parameters().items():
            arrays[f"weight.{name}"] = parameter.detach().numpy()
            arrays[f"sum.{name}"] = self.optimiser.state[parameter]["sum"].numpy()
        about = {
            "space": asdict(self.space), "budget": asdict(self.budget), "seed": self.seed, "done": self.done,
            "clicks": self._clicks(),
        }  # fmt: skip
        write_tensors(path, arrays, {"format": FORMAT, "supernet": json.dumps(about)})

    @classmethod
    def load(cls, path: str | Path, clicks: Clicks) -> Supernet:
        """Read a supernet that was trained on these clicks. Raises WeightError for a file that is none, or is of others."""

        def build(arrays: Arrays, about: dict[str, Any]) -> Supernet:
            genes: dict[str, Any] = {
                key: tuple(each) if isinstance(each, list) else each for key, each in about["space"].items()
            }
            space = ModelSpace(**genes)
            supernet = cls(space, clicks, Budget(**about["budget"]), about["seed"])
            if about["clicks"] != supernet._clicks():
                raise WeightError(f"trained on other clicks than {clicks.origin}")
            with torch.no_grad():
                for name, parameter in supernet._parameters().items():
                    parameter.copy_(torch.from_numpy(arrays[f"weight.{name}"]))
                    supernet.optimiser.state[parameter]["sum"].copy_(torch.from_numpy(arrays[f"sum.{name}"]))
            supernet.done = int(about["done"])
            return supernet

        return opened(path, (FORMAT,), build, key="supernet")

    def _parameters(self) -> dict[str, nn.Parameter]:
        return {"tables": self.tables, **self.weights}

    def _clicks(self) -> list[Any]:
        """Return what tells clicks apart: rows of tables, and a sum over the records to train on."""
        x, y = self.clicks.train
        return [list(self.clicks.rows), len(y), int(y.sum()), zlib.crc32(np.ascontiguousarray(x).tobytes())]

    def graph(self, model: Genotype, quantised: bool = True) -> Graph:
        """Return a model as a graph without weights of its own."""
        fields, dimension = self.clicks.fields, self.budget.dimension
        bits = model.layer_bits(fields, dimension) if quantised else None
        return Graph(model.build(fields, dimension), bits, momentum=0.0, light=True)

    def vectors(self, model: Genotype, x: npt.NDArray[np.int32]) -> Tensor:
        """Look up, (records, fields, width)."""
        return nn.functional.embedding(self.layout.places(x), self.tables)[..., : model.width(self.budget.dimension)]

    def part(self, model: Genotype) -> dict[str, npt.NDArray[np.float32]]:
        """Return copies of a model's part of the weights, balanced on the first records."""
        with torch.no_grad():
            own = self.graph(model, False).balanced(
                self.store.cut(model, self.weights), self.vectors(model, self.clicks.train.x[:BALANCED]), but=SCORE
            )
        return {name: weight.numpy().copy() for name, weight in own.items()}

    def logits(self, model: Genotype, x: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """Score records with a model's part of the weights, (records,)."""
        graph = self.graph(model)
        with torch.no_grad(), flushed():
            own = graph.balanced(self.store.cut(model, self.weights), self.vectors(model, x[: 2 * BALANCED]), but=SCORE)
            parts = [
                graph.run((self.vectors(model, x[start : start + CHUNK]),), own)[OUTPUT].squeeze(1).numpy()
                for start in range(0, len(x), CHUNK)
            ]
        return np.concatenate(parts).astype(np.float64)

    def _step(self, model: Genotype, x: npt.NDArray[np.int32], y: npt.NDArray[np.uint8], *, quantised: bool) -> float:
        vectors = self.vectors(model, x)
        graph = self.graph(model, quantised)
        own = graph.balanced(self.store.cut(model, self.weights), vectors[:BALANCED].detach(), but=SCORE)
        score = graph.run((vectors,), own)[OUTPUT].squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(score, torch.from_numpy(y.astype(np.float32)))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.optimiser.param_groups[0]["params"], 1.0)
        self.optimiser.step()
        return float(loss.detach())


def _fresh(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    if len(shape) == 1:
        return torch.zeros(shape)
    return torch.from_numpy(
        generator(seed, name).standard_normal(shape, dtype=np.float32) / np.float32(shape[1] ** 0.5)
    )


__all__ = ["Deck", "Progress", "Supernet"]
