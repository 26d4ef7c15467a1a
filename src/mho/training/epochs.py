"""Epochs one after another, each whole or not at all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, TypeVar

import torch
from torch import Tensor

from mho.errors import OptionError, choices

Progress = Callable[[int, float], None]
"""Is told of each epoch: its number from 1, and the mean loss while it trained."""
State = TypeVar("State")


def trained(
    last: int,
    losses: list[float],
    epoch: Callable[[int], float],
    keep: Callable[[], State],
    restore: Callable[[State], None],
) -> Iterator[tuple[int, float]]:
    """Train until `last` epochs are done, of which `losses` has a loss each; yield the number and the loss of each.

    `epoch` trains one and returns its mean loss. One that is interrupted leaves the state of the one before, as `keep` kept it.
    """
    while len(losses) < last:
        before = keep()
        try:
            loss = epoch(len(losses))
        except BaseException:
            restore(before)
            raise
        losses.append(loss)
        yield len(losses), loss


@dataclass(frozen=True)
class Settings(ABC):
    """Settings of a training: numbers within `bounds`, by field. Raises OptionError out of range."""

    bounds: ClassVar[Mapping[str, tuple[float, float]]]
    """The least and the most of each number; whole numbers where these are."""

    def __post_init__(self) -> None:
        """Check every number."""
        for name, (low, high) in self.bounds.items():
            value, whole = getattr(self, name), isinstance(low, int)
            if (
                isinstance(value, bool)
                or not isinstance(value, int if whole else int | float)
                or not low <= value <= high
            ):
                kind = "a whole number" if whole else "a number"
                raise OptionError(f"{name} must be {kind} from {low} to {high}, not {value!r}")

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Read what `record` wrote; raise OptionError for keys that are unknown."""
        known = [item.name for item in fields(cls)]
        for key in record:
            if key not in known:
                raise OptionError(f"unknown settings {key!r}; {choices(str(key), known)}")
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in record.items()})

    def record(self) -> dict[str, Any]:
        """Return the settings for a file."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


class Training(ABC):
    """A training in progress: parameters by name, Adam's moments, and the epochs that are done, of `epochs` in all.

    What an epoch does depends on the state that it begins with, on the settings and on its number alone.
    """

    def __init__(
        self, parameters: Mapping[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer, epochs: int
    ) -> None:
        """Begin with these parameters."""
        self.parameters, self.optimiser, self.epochs = dict(parameters), optimiser, epochs
        self.losses: list[float] = []

    @property
    def done(self) -> int:
        """Epochs that are done."""
        return len(self.losses)

    @property
    def finished(self) -> bool:
        """Whether no epoch is left to train."""
        return self.done >= self.epochs

    def run(self, progress: Progress | None = None, *, epochs: int | None = None) -> None:
        """Train to the end, or at most `epochs` epochs more. An epoch that is interrupted leaves the model of the one before."""
        last = self.epochs if epochs is None else min(self.epochs, self.done + epochs)
        while self.done < last and not self.finished:
            for done, loss in trained(
                self.done + 1, self.losses, self.epoch, self.state, lambda before: self.restore(*before)
            ):
                if progress is not None:
                    progress(done, loss)

    def state(self) -> tuple[dict[str, Tensor], list[float]]:
        """Return copies of parameters, Adam's moments and its count of steps by name; and the losses of the epochs done."""
        tensors: dict[str, Tensor] = {}
        for name, parameter in self.parameters.items():
            tensors[f"model.{name}"] = parameter.detach().clone()
            for key, value in self.optimiser.state.get(parameter, {}).items():
                tensors[f"adam.{key}.{name}"] = torch.as_tensor(value).detach().clone()
        return tensors, list(self.losses)

    def restore(self, tensors: Mapping[str, Tensor], losses: list[float]) -> None:
        """Restore a state that was saved."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(tensors[f"model.{name}"])
                moments = {
                    key: tensors[f"adam.{key}.{name}"].clone()
                    for key in ("step", "exp_avg", "exp_avg_sq")
                    if f"adam.{key}.{name}" in tensors
                }
                self.optimiser.state[parameter] = moments
                if not moments:
                    del self.optimiser.state[parameter]
        self.losses = list(losses)

    def falls_to(self, share: float, rate: float, end: float) -> None:
        """Set Adam's rate, `rate` at first, falling in a line to `end` of it; `share`: of the training that is done."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate * (1.0 - (1.0 - end) * share)

    @abstractmethod
    def epoch(self, number: int) -> float:
        """Train the epoch of a number from 0 on; return its mean loss."""


__all__ = ["Progress", "Settings", "Training", "trained"]
