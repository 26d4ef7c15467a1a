"""What accuracy and sweep share: a model that is compiled or was before, the analog side, and labelled samples that judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mho.cli.analog import CHIP, KEPT, Follow, load_analog, read_settings, vary_analog, vary_chip
from mho.cli.compiling import Compiling, is_program, kept_program, refuse_what_a_program_brings
from mho.cli.inputs import ModelOptions, SampleOptions
from mho.cli.outputs import Target
from mho.cli.strategy import StrategyOptions, given_in, needs_weights
from mho.errors import MappingError, OptionError, ProgramError, StrategyError, choices

if TYPE_CHECKING:
    from mho.chip import Chip
    from mho.explore.sweeps import Build, Value
    from mho.files.store import Store
    from mho.machine.analog.spec import Analog
    from mho.network.graph import Network
    from mho.network.samples import Samples
    from mho.program import Program
    from mho.strategy import Strategy


@dataclass(frozen=True)
class JudgeOptions:
    """The options that say what executes a model, and what it is judged on."""

    data: Path | None = None
    analog: Path | None = None
    settings: list[str] | None = None
    seeds: int = 5
    backend: str = "compiled"
    workers: int = 1
    samples: int | None = None
    calibration: Path | None = None
    key: list[str] | None = None
    chip: str = "aras"

    def task(self, context: typer.Context, model: str, reading: ModelOptions, options: StrategyOptions) -> JudgeTask:
        """Return what is compiled and judged."""
        chip_changes, changes = read_settings(self.settings)
        files = SampleOptions(self.data, self.calibration, self.key)
        # A program brings its strategy: options of one are refused as such, not for what they say.
        strategy = (replace(options, given={}) if is_program(model) else options).strategy()
        return JudgeTask(context, model, self, chip_changes, changes, reading, strategy, files)


@dataclass(frozen=True)
class JudgeTask:
    """The options that say what is compiled, for which chip, on which analog side, and on which samples it is judged."""

    context: typer.Context
    model: str
    judge: JudgeOptions
    chip_changes: Mapping[str, Any]
    changes: Mapping[str, Any]
    reading: ModelOptions
    strategy: Strategy
    samples: SampleOptions

    @property
    def kept(self) -> bool:
        """True where the model is a program that was compiled before."""
        return is_program(self.model)

    def refuse_set(self, key: str, doing: str) -> None:
        """Refuse a key that is varied by an option and set by --set or an option of the strategy too; `doing` says by which."""
        from mho.explore.sweeps import STRATEGY

        if key in {*self.changes, *(f"{CHIP}{name}" for name in self.chip_changes)}:
            raise OptionError(f"{key} is {doing} and set by --set; one of them")
        name = key.removeprefix(STRATEGY)
        if name != key and name in given_in(self.context).given:
            raise OptionError(f"{key} is {doing} and given as an option of its own; one of them")

    def opened(self, target: Target, out: Path | None, over: Iterable[str] = ()) -> tuple[Store, Analog]:
        """Refuse, before the long work, what contradicts itself or names what there is not; `over`: the keys that are swept.

        Returns where what is finished is kept, in memory where no folder is given, and the analog side.
        """
        from mho.files.store import Store
        from mho.machine.analog.kernels import BACKENDS

        if self.samples.data is None:
            raise OptionError(_needs_data([key.removeprefix(CHIP) for key in over if key.startswith(CHIP)]))
        if self.kept:
            refuse_what_a_program_brings(self.context, self.model)
            for key in self.chip_changes:
                raise OptionError(f"--set {CHIP}{key}: {self.model} is compiled already, for a chip of its own")
        needs_weights(self.reading.weights, self.strategy)
        if self.judge.backend not in BACKENDS:
            listed = choices(self.judge.backend, BACKENDS)
            raise OptionError(f"--backend: unknown backend {self.judge.backend!r}; {listed}")
        target.check(out=out)
        return Store(None if out is None else out / KEPT), load_analog(self.judge.analog, self.changes)

    def prepare(self, say: Callable[[str], None], over: Mapping[str, Sequence[Value]] | None = None) -> Prepared:
        """Load everything but compile nothing yet. `over`: the values that are swept, of which some may be the strategy's."""
        import mho
        from mho.mapping import mapped_by
        from mho.program.legality import violations
        from mho.schedule.sizing import fitted

        if self.kept:
            program = kept_program(self.model, say)
            broken = violations(program)
            if broken:
                first = f"instruction {broken[0].instruction}: {broken[0].text}"
                raise ProgramError(f"{self.model}: not legal, and not executed: {first} ({len(broken)} in all)")
            given = self._judged(program.network)
            measured = self.samples.measured(program.network)
            return Prepared(program.chip, given, measured, lambda changes: program, lambda varied, changes: None)
        strategies = [
            self.strategy,
            *(_varied(self.strategy, changes, "--over") for changes in of_strategy(over or {})),
        ]
        work = Compiling.of(self.model, self.reading, strategies, self.samples, executes=True)
        say("loading the chip")
        chip = vary_chip(mho.Chip.load(self.judge.chip), self.chip_changes, "--set")
        network = work.network(say)
        given = self._judged(network)
        subject = work.coded(network, chip, given, say)

        def strategy_of(changes: Mapping[str, Any]) -> Strategy:
            return work.seeded(_varied(work.strategies[0], changes, "--over"))

        def build(changes: Mapping[str, Any]) -> Program:
            of_chip, of_plan = parted(changes)
            # Another strategy may ask for other codes.
            source, strategy = work.sampled(network, given) if of_plan else subject, strategy_of(of_plan)
            varied = vary_chip(chip, of_chip, "--over")
            return mho.compile(source, fitted(varied, {**self.chip_changes, **of_chip}, source, strategy), strategy)

        def fits(varied: Chip, changes: Mapping[str, Any]) -> None:
            strategy = strategy_of(changes)
            if changes:
                strategy.check(work.sampled(network, given), varied)
            else:
                strategy.check(subject, varied)
                mapped_by(strategy, subject.network, varied)

        return Prepared(chip, given, self.samples.measured(network), build, fits)

    def _judged(self, network: Network) -> Samples:
        """Return the samples that are classified: all of the file, or some that are spread evenly over it."""
        from mho.number.accuracy import checked_labels

        samples, count = self.samples.executed(network, None), self.judge.samples
        if count is not None and count % network.batch:
            raise OptionError(f"--samples {count} is no multiple of the {network.batch} samples of an inference")
        if count is not None and count > len(samples):
            raise OptionError(f"{self.samples.data} holds {len(samples)} samples; {count} are asked for")
        if count is not None:
            samples = samples.spread(count)
        checked_labels(network, samples)
        return samples


def _needs_data(chip_keys: Sequence[str]) -> str:
    """Say what --data is for, and what tells time and energy where a chip's values are swept."""
    costs = "".join(
        f"; what {key} costs in time, energy and area: mho run MODEL --set {key}=VALUE" for key in chip_keys
    )
    return (
        f"--data FILE.npz is needed: accuracy is measured on samples with labels (mho init samples writes some){costs}"
    )


@dataclass(frozen=True)
class Prepared:
    """A chip, the samples that are classified, those that calibrate, and how a program is compiled for changes.

    `fits` raises MappingError or StrategyError for a chip and changes of the strategy that nothing can be compiled for.
    """

    chip: Chip
    given: Samples
    measured: Samples
    build: Build
    fits: Callable[[Chip, Mapping[str, Any]], None]

    def how(self, judge: JudgeOptions, follow: Follow, kept: Store) -> dict[str, Any]:
        """Return the arguments that evaluate and sweep share."""
        return {
            "seeds": judge.seeds,
            "calibration": self.measured,
            "progress": follow,
            "done": kept,
            "backend": judge.backend,
            "workers": judge.workers,
        }

    def check(
        self, task: JudgeTask, analog: Analog, over: Mapping[str, Sequence[Value]], option: str = "--over"
    ) -> None:
        """Refuse values of an option that a chip, the strategy or the analog side cannot take, before anything is executed."""
        from mho.explore.sweeps import combinations, split

        for values in combinations(list(over.items())):
            compiled, changes = split(values)
            of_chip, of_plan = parted(compiled)
            if compiled and task.kept:
                first = next(key for key in values if key not in changes)
                brings = "for a chip of its own" if of_chip else "by a strategy of its own"
                raise OptionError(f"{option} {first}: {task.model} is compiled already, {brings}")
            varied = vary_chip(self.chip, of_chip, option)
            if compiled:
                self._check_fits(varied, of_plan, values, option)
            bits = vary_analog(analog, changes, option).adc.bits
            if "array.adc_bits" in of_chip and bits != "chip":
                raise OptionError(
                    f"{option} {CHIP}array.adc_bits changes no answer: adc.bits is {bits}; leave it at chip"
                )

    def _check_fits(self, varied: Chip, changes: Mapping[str, Any], values: Mapping[str, Value], option: str) -> None:
        try:
            self.fits(varied, changes)
        except (MappingError, StrategyError) as error:
            point = ", ".join(f"{key}={value}" for key, value in values.items())
            raise MappingError(f"{option}, {point}: {error}") from None


def parted(compiled: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell changes of the chip from changes of the strategy, the prefix of these taken away."""
    from mho.explore.sweeps import STRATEGY

    of_plan = {key.removeprefix(STRATEGY): value for key, value in compiled.items() if key.startswith(STRATEGY)}
    return {key: value for key, value in compiled.items() if not key.startswith(STRATEGY)}, of_plan


def of_strategy(over: Mapping[str, Sequence[Value]]) -> list[dict[str, Value]]:
    """Return every combination of the swept values that are the strategy's; nothing where none is."""
    from mho.explore.sweeps import STRATEGY, combinations

    swept = [(key.removeprefix(STRATEGY), values) for key, values in over.items() if key.startswith(STRATEGY)]
    return combinations(swept) if swept else []


def _varied(strategy: Strategy, changes: Mapping[str, Any], option: str) -> Strategy:
    """Change fields of a strategy that `option` names. OptionError naming the option."""
    try:
        return strategy.with_(changes) if changes else strategy
    except OptionError as error:
        raise OptionError(f"{option}, strategy: {error}") from None
