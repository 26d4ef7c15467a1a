"""Hill climbing over copies on the planner's own end (`foreseen`), where the compiled estimate of it does not hold.

That is on chips whose memory cannot keep up with all groups, or that compute several layers at once. One layer's copies are
changed at a time, then two neighbours', as long as that helps. The effort is counted in planned instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mho.schedule.builder import Task
from mho.schedule.foreseen import foreseen, plan_of

REACH = 4
"""How far apart, in matrix layers, two layers may be that exchange a copy."""

Copies = Mapping[int, int]
Worth = Callable[[float, Copies], float]


class Climber:
    """The best copies so far, and what is left of the effort; `worth` scores a planned end in s and copies."""

    def __init__(self, task: Task, start: Copies, worth: Worth, effort: int, expired: Callable[[], bool]) -> None:
        self.task = task
        self.worth = worth
        self.left = effort
        self.expired = expired
        self.most = {layer.index: task.most_copies(layer) for layer in task.writers}
        self.best = dict(start)
        self.plan = plan_of(task)
        self.value = worth(self._end_s(self.best), self.best)

    @property
    def done(self) -> bool:
        """True if effort or time is used up."""
        return self.left <= 0 or self.expired()

    def _end_s(self, copies: Copies) -> float:
        end_s, instructions = foreseen(self.task, self.plan, copies)
        self.left -= instructions
        return end_s

    def _hopeless(self, copies: Copies) -> bool:
        """Return whether copies do not fit where all weights stay, or writing them alone scores worse than the best."""
        total = sum(layer.count * copies.get(layer.index, 1) for layer in self.task.writers)
        if self.task.resident:
            return total > self.task.chip.groups
        return self.worth(total * self.task.chip.least_array_write_time_s / self.task.chip.groups, copies) >= self.value

    def attempt(self, copies: dict[int, int]) -> bool:
        """Plan with other copies; keep them if they are better."""
        if self.done or copies == self.best or self._hopeless(copies):
            return False
        value = self.worth(self._end_s(copies), copies)
        if value >= self.value * (1 - 1e-9):
            return False
        self.best, self.value = copies, value
        return True

    def improve(self) -> bool:
        """Change one layer's copies at a time, those that compute longest first; say whether anything helped."""
        helped = False
        order = sorted(
            self.task.writers,
            key=lambda layer: -self.task.served_windows(layer) * layer.window_s / self.best.get(layer.index, 1),
        )
        for layer in order:
            for count in _changes(self.best.get(layer.index, 1), self.most[layer.index]):
                if self.attempt({**self.best, layer.index: count}):
                    helped = True
                    break
            if self.done:
                break
        return helped

    def exchange(self) -> bool:
        """Give one layer a copy more and a near one a copy less; say whether anything helped."""
        helped = False
        layers = self.task.writers
        for place, layer in enumerate(layers):
            for other in layers[max(place - REACH, 0) : place + REACH + 1]:
                more, less = self.best.get(layer.index, 1) + 1, self.best.get(other.index, 1) - 1
                if other is not layer and less >= 1 and more <= self.most[layer.index]:
                    helped |= self.attempt({**self.best, layer.index: more, other.index: less})
            if self.done:
                break
        return helped

    def climb(self) -> None:
        """Go on until nothing helps, or the effort or the time is used up."""
        while not self.done and (self.improve() or self.exchange()):
            pass


def _changes(count: int, most: int) -> list[int]:
    """Return other numbers of copies to try for one layer."""
    near = (count + 1, count - 1, count * 2, count // 2, count + max(1, count // 4), count - max(1, count // 4))
    return [copies for copies in dict.fromkeys(near) if 1 <= copies <= most and copies != count]
