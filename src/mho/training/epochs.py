"""Epochs one after another, each whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

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


__all__ = ["Progress", "trained"]
