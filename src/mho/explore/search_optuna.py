"""Designs chosen by Optuna's samplers: an adapter, for those who have optuna installed (pip install "mho[optuna]")."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any, ClassVar

from mho.errors import OptionError
from mho.explore.search_base import Indices, Search, Trial

LEAST_VERSION = "5"


class OptunaSearch(Search):
    """Designs that a sampler of Optuna proposes: gp (Gaussian processes, slow to ask), nsga (NSGA-II) or tpe.

    Choices are whole numbers with their order, categories where values have none. A design that breaks a limit is told with its
    excess as a constraint; one that is refused with the worst costs so far and a constraint beyond the worst. Where a sampler
    proposes again and again what was asked for, or what is not allowed, a design drawn evenly from the rest stands in for it.
    OptionError where optuna is not installed.
    """

    by = "optuna"
    variants: ClassVar[tuple[str, ...]] = ("gp", "nsga", "tpe")
    TRIES = 20

    def __post_init__(self) -> None:
        """Begin with nothing known: the study is made when the number of aims is."""
        super().__post_init__()
        if find_spec("optuna") is None:
            raise OptionError(
                f'search optuna needs the package optuna, version {LEAST_VERSION} or later: pip install "mho[optuna]"'
            )
        self._study: Any = None
        self._asked: set[int] = set()
        self._open: dict[int, Any] = {}
        self._refused: list[Indices] = []
        self._worst: tuple[float, ...] = ()
        self._most_excess = 0.0

    def ask(self) -> Indices | None:
        """Return what the sampler proposes."""
        indices = self._proposed() if self._study is not None else None
        if indices is None:
            indices = next((rest for rest in self.rest if self.number(rest) not in self._asked), None)
        if indices is not None:
            self._asked.add(self.number(indices))
        return indices

    def tell(self, trial: Trial) -> None:
        """Tell the study; designs that are refused before any was built wait until one is."""
        if trial.costs is None and self._study is None:
            self._refused.append(trial.indices)
            return
        if trial.costs is not None:
            if self._study is None:
                self._study = self._made(len(trial.costs))
                self._worst = trial.costs
            self._worst = tuple(map(max, self._worst, trial.costs))
            self._most_excess = max(self._most_excess, trial.excess)
            self._told(trial.indices, trial.costs, trial.excess)
        else:
            self._refused.append(trial.indices)
        while self._refused:
            self._told(self._refused.pop(), self._worst, 1.0 + self._most_excess)

    def _told(self, indices: Indices, costs: tuple[float, ...], excess: float) -> None:
        live = self._open.pop(self.number(indices), None)
        if live is None:
            self._study.enqueue_trial(dict(zip(self._names, indices, strict=True)))
            live = self._study.ask(self._distributions)
        live.set_constraint("excess", excess)
        self._study.tell(live, list(costs))

    def _proposed(self) -> Indices | None:
        """Return a design of the sampler that is allowed and new, None where it has none in some tries."""
        for _ in range(self.TRIES):
            live = self._study.ask(self._distributions)
            indices = tuple(int(live.params[name]) for name in self._names)
            if (number := self.number(indices)) not in self._asked and self.allows(indices):
                self._open[number] = live
                return indices
            self._study.tell(live, state=_failed())
        return None

    def _made(self, aims: int) -> Any:
        """Return a study of so many aims, kept in memory."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._names = [f"axis {axis}" for axis in range(len(self.sizes))]
        self._distributions = {
            name: optuna.distributions.IntDistribution(0, size - 1)
            if ordered
            else optuna.distributions.CategoricalDistribution(range(size))
            for name, size, ordered in zip(self._names, self.sizes, self.ordered, strict=True)
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of samplers that are called experimental
            sampler = self._sampler(optuna.samplers)
            return optuna.create_study(directions=["minimize"] * aims, sampler=sampler)

    def _sampler(self, samplers: Any) -> Any:
        if self.variant == "nsga":
            return samplers.NSGAIISampler(seed=self.seed, population_size=max(8, min(40, self.budget // 4)))
        if self.variant == "tpe":
            return samplers.TPESampler(seed=self.seed, multivariate=True)
        return samplers.GPSampler(seed=self.seed, deterministic_objective=True)


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL
