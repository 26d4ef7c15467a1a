"""What run, verify, compare, accuracy and sweep share: one model in codes, for one chip, by one strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mho.cli.inputs import (
    JUDGED_ON,
    ModelOptions,
    SampleOptions,
    checked_seed,
    draws_weights,
    load_chip,
    load_network,
)
from mho.cli.outputs import Say
from mho.cli.strategy import needs_weights, searches, seeded
from mho.errors import OptionError

if TYPE_CHECKING:
    from mho.chip import Chip
    from mho.network.graph import Network
    from mho.network.samples import Samples
    from mho.number import Sampled
    from mho.strategy import Strategy


@dataclass(frozen=True)
class Compiling:
    """A model, how it is read, the strategies by which it is compiled, which differ in their schedules, and samples.

    `executes`: programs are executed, so that weights need values and activations are calibrated.
    """

    model: str
    reading: ModelOptions
    strategies: tuple[Strategy, ...]
    samples: SampleOptions
    executes: bool

    @classmethod
    def of(
        cls,
        model: str,
        reading: ModelOptions,
        strategies: Sequence[Strategy],
        samples: SampleOptions,
        *,
        executes: bool,
    ) -> Compiling:
        """Return it with the seed that the options give; refuse what needs weights where none are, and an idle seed."""
        values = needs_weights(reading.weights, strategies[0]) or executes
        drawn = draws_weights(model, reading.weights, values=values) or (executes and samples.data is None)
        seed = checked_seed(reading.seed, drawn=drawn or any(map(searches, strategies)))
        return cls(
            model,
            reading,
            tuple(seeded(strategy, seed) for strategy in strategies),
            replace(samples, seed=seed),
            executes,
        )

    def network(self, say: Say) -> Network:
        """Import the model, with weights where anything goes by them."""
        say(f"importing {self.model}")
        values = needs_weights(self.reading.weights, self.strategies[0]) or self.executes
        network = load_network(self.model, self.reading, values=values)
        if values and not network.has_values:
            raise OptionError(
                "--weights none gives shapes alone, which cannot be quantised or executed; give seeded or a file"
            )
        return network

    def coded(self, network: Network, chip: Chip, given: Samples | None, say: Say) -> Sampled:
        """Return the network in codes, made as the strategy says, after everything that the strategies refuse was refused.

        `given` are the samples that are executed: labelled ones judge an alignment.
        """
        from mho.number import Sampled
        from mho.schedule.compile import coded
        from mho.schedule.stages import Alignment, Coding

        strategy = self.strategies[0]
        by_samples = strategy.get(Coding).by_samples
        # Real samples alone round weights and choose codings.
        calibrated = self.samples.real if by_samples else self.executes
        measured = self.samples.measured(network) if calibrated else None
        judging = None
        if given is not None and given.labels is not None and strategy.get(Alignment).late:
            count = min(JUDGED_ON, len(given)) // network.batch * network.batch
            judging = given.first(count) if count else None
        subject = Sampled(network, measured, judging)
        for each in self.strategies:
            each.check(subject, chip)
        if not network.has_values:
            return subject
        say("quantising" if measured is None else f"quantising, calibrated on {measured.origin}")
        return replace(subject, network=coded(subject, chip, strategy, say))


def opened(
    work: Compiling, chip: str, overrides: Sequence[str] | None, count: int | None, say: Say
) -> tuple[Chip, Sampled, Samples | None]:
    """Load chip and model, and the samples that are executed, if any; return the chip, the network in codes, the samples."""
    say("loading the chip")
    loaded = load_chip(chip, overrides)
    network = work.network(say)
    given = work.samples.executed(network, count) if work.executes else None
    return loaded, work.coded(network, loaded, given, say), given
