"""What run, verify, compare, accuracy and sweep share: one model in codes, for one chip, by one strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from mho.cli.inputs import (
    JUDGED_ON,
    ModelOptions,
    SampleOptions,
    checked_seed,
    draws_weights,
    load_network,
    overridden,
    read_changes,
)
from mho.cli.options import MODEL
from mho.cli.outputs import PROGRAM_SUFFIX, Say
from mho.cli.strategy import STRATEGY, WEIGHTS, needs_weights, searches, seeded
from mho.errors import OptionError

if TYPE_CHECKING:
    from mho.chip import Chip
    from mho.network.graph import Network
    from mho.network.samples import Samples
    from mho.number import Sampled
    from mho.program import Program
    from mho.strategy import Strategy

BROUGHT = ("Chip", MODEL, WEIGHTS, STRATEGY)
"""Headings of options that say what a program has settled when it was compiled."""


@dataclass(frozen=True)
class Compiling:
    """A model, how it is read, the strategies by which it is compiled, of which the first says how it is coded, and samples.

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
        drawn: bool = False,
    ) -> Compiling:
        """Return it with the seed that the options give; refuse what needs weights where none are, and an idle seed.

        `drawn`: something else is drawn from the seed.
        """
        values = needs_weights(reading.weights, strategies[0]) or executes
        drawn = drawn or draws_weights(model, reading.weights, values=values) or (executes and samples.data is None)
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

    def seeded(self, strategy: Strategy) -> Strategy:
        """Return a strategy whose search, if it has one, starts from the seed that the options give."""
        return seeded(strategy, self.samples.seed)

    def sampled(self, network: Network, given: Samples | None) -> Sampled:
        """Return the network with the samples that its codes go by; of `given`, those that are executed, labelled ones judge."""
        from mho.number import Sampled
        from mho.schedule.stages import Alignment, Coding

        by_samples = self.strategies[0].get(Coding).by_samples
        # Real samples alone round weights and choose codings.
        calibrated = self.samples.real if by_samples else self.executes
        measured = self.samples.measured(network) if calibrated else None
        judging, late = None, any(strategy.get(Alignment).late for strategy in self.strategies)
        if given is not None and given.labels is not None and late:
            count = min(JUDGED_ON, len(given)) // network.batch * network.batch
            judging = given.first(count) if count else None
        return Sampled(network, measured, judging)

    def coded(self, network: Network, chip: Chip, given: Samples | None, say: Say) -> Sampled:
        """Return the network in codes, made as the strategy says, after everything that the strategies refuse was refused."""
        from mho.schedule.compile import coded

        subject = self.sampled(network, given)
        measured = subject.calibration
        for strategy in self.strategies:
            strategy.check(subject, chip)
        if not network.has_values:
            return subject
        say("quantising" if measured is None else f"quantising, calibrated on {measured.origin}")
        return replace(subject, network=coded(subject, chip, self.strategies[0], say))


def opened(
    work: Compiling,
    chip: str,
    overrides: Sequence[str] | None,
    count: int | None,
    say: Say,
    network: Network | None = None,
) -> tuple[Chip, Sampled, Samples | None]:
    """Load chip and model, and the samples that are executed, if any; return the chip, the network in codes, the samples.

    network: the model, where it was loaded already.
    """
    from mho.chip import Chip
    from mho.chip.fit import unsized
    from mho.schedule.sizing import fitted

    say("loading the chip")
    changes = read_changes(overrides, "tiles=48")
    loaded = overridden(Chip.load(chip), unsized(changes), "--set")
    network = network or work.network(say)
    given = work.samples.executed(network, count) if work.executes else None
    subject = work.coded(network, loaded, given, say)
    return fitted(loaded, changes, subject, work.strategies[0]), subject, given


def is_program(model: str) -> bool:
    """Return whether a model is a program that was compiled before."""
    return model.lower().endswith(PROGRAM_SUFFIX)


def refuse_what_a_program_brings(
    context: typer.Context, path: str, *, also: Sequence[str] = (), but: Sequence[str] = ()
) -> None:
    """Refuse options of chip, model and strategy, and those named `also`, `but` for some. OptionError names the first."""
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        brought = getattr(parameter, "rich_help_panel", None) in BROUGHT and name not in but
        if (brought or name in also) and source is not None and source.name == "COMMANDLINE":
            raise OptionError(f"{parameter.opts[0]}: {path} is compiled already and brings its own")


def kept_program(path: str, say: Say) -> Program:
    """Read a program that was compiled before. OptionError for one that cannot be executed."""
    import mho

    say(f"reading {path}")
    program = mho.Program.load(path)
    if program.quantised is None or not program.quantised.executable:
        raise OptionError(
            f"{path} was compiled without weights or without calibrated activations and cannot be executed; "
            "keep one by mho run --verify --save"
        )
    return program
