"""What the commands that execute on the analog side start from, and how they tell how far they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mho.cli import options as use
from mho.cli.command import InterruptedWorkError
from mho.cli.compiling import Compiling
from mho.cli.inputs import ModelOptions, SampleOptions, read_changes
from mho.cli.outputs import PROGRAM_SUFFIX
from mho.cli.strategy import NAMES, needs_weights
from mho.errors import (
    AnalogError,
    ChipError,
    DeviceError,
    MappingError,
    OptionError,
    ProgramError,
    StrategyError,
    choices,
)

if TYPE_CHECKING:
    from mho.chip import Chip
    from mho.explore.sweeps import Value
    from mho.machine.analog.spec import Analog
    from mho.network.graph import Network
    from mho.network.samples import Samples
    from mho.program import Program
    from mho.strategy import Strategy

ANALOG = "Analog side"
CHIP = "chip."
KEPT = "results.jsonl"
"""The file of what is finished, in the folder of the results."""
BESIDE = 36
"""Columns that the bar takes, how much is done and the time left."""

# What is not said by a program that is compiled already.
_OF_NO_PROGRAM = (
    "json_to",
    "csv_to",
    "out",
    "model",
    "data",
    "calibration",
    "key",
    "samples",
    "analog",
    "settings",
    "seeds",
    "over",
    "find",
    "loss",
    "backend",
)

AnalogFile = Annotated[
    Path | None,
    typer.Option(
        "--analog",
        metavar="FILE",
        rich_help_panel=ANALOG,
        help="Converters, device, wires and noise: a .yaml file such as {schema: mho.analog/1, adc: {bits: 6}, device: generic}. "
        "Where it is not given: the chip's ADCs at full range, ideal cells, wires without resistance.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        rich_help_panel=ANALOG,
        help="Change a value of the analog side, --set adc.bits=6 --set device.programming.sigma=0.1, or of the chip, --set "
        "chip.tiles=48. May be repeated. mho show CHIP lists the chip's keys, and mho init analog writes a file that says what "
        f"each of these means: {NAMES}.",
    ),
]
Seeds = Annotated[
    int,
    typer.Option(
        parser=use.whole(1, 10_000),
        metavar="N",
        rich_help_panel=ANALOG,
        help="How many chips are drawn, from the analog side's seed on (--set seed=1). Where nothing is drawn, one is enough, "
        "and one is executed.",
    ),
]
Backend = Annotated[
    str,
    typer.Option(
        "--backend",
        metavar="NAME",
        rich_help_panel=ANALOG,
        help="What executes: compiled, plain (numpy, slow) or torch (a GPU, where torch sees one). None changes a result.",
    ),
]
LabelledData = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FILE",
        rich_help_panel=use.SAMPLES,
        help="Needed: samples (.npz) to classify, with labels as array y or labels.",
    ),
]
CalibrationToo = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        metavar="FILE",
        rich_help_panel=use.SAMPLES,
        help="Samples (.npz) that set the range of each activation, and of ADCs whose range is calibrated, and that --rounding "
        "output and --budget go by; where it is not given, those of --data.",
    ),
]
SampleCount = Annotated[
    int | None,
    typer.Option(
        "--samples",
        parser=use.whole(1),
        metavar="N",
        rich_help_panel=use.SAMPLES,
        help="Classify so many samples, evenly spread over the file, which may be sorted by class; else all.",
    ),
]
Compile = Callable[[Mapping[str, Any]], "Program"]


def check_backend(name: str) -> None:
    """Refuse a backend that does not exist, before the long work."""
    from mho.machine.analog.kernels import BACKENDS

    if name not in BACKENDS:
        raise OptionError(f"--backend: unknown backend {name!r}; {choices(name, BACKENDS)}")


def read_settings(settings: list[str] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what --set asks for: changes of the chip, and of the analog side."""
    from mho.explore.sweeps import split

    return split(read_changes(settings, "adc.bits=6 or chip.tiles=48"))


def load_analog(path: Path | None, changes: Mapping[str, Any]) -> Analog:
    """Read the analog side and change what --set asks for."""
    from mho.machine.analog.spec import Analog

    if path is not None and not path.is_file():
        raise OptionError(f"--analog {path}: {'is a folder' if path.is_dir() else 'no such file'}")
    return vary_analog(Analog() if path is None else Analog.load(path), changes, "--set")


def vary_analog(analog: Analog, changes: Mapping[str, Any], option: str) -> Analog:
    """Change values of the analog side that `option` names. OptionError, AnalogError or DeviceError naming the option."""
    for key in changes:
        known = sorted({*analog.keys(), "device", "device.KEY"})
        if key.partition(".")[0] not in {each.partition(".")[0] for each in known}:
            raise OptionError(f"{option} {key}: unknown key; {choices(key, known)}; keys of the chip follow {CHIP}")
    if not changes:
        return analog
    try:
        return analog.override(changes)
    except (AnalogError, DeviceError) as error:
        raise type(error)(f"{option}: {str(error).removeprefix('override: ')}") from None


def vary_chip(chip: Chip, changes: Mapping[str, Any], option: str) -> Chip:
    """Change values of the chip that `option` names, without their prefix. ChipError naming the option."""
    try:
        return chip.override(dict(changes), source="given on the command line") if changes else chip
    except ChipError as error:
        raise ChipError(f"{option}, chip: {str(error).removeprefix('override: ')}") from None


def _needs_data(chip_keys: Sequence[str]) -> str:
    """Say what --data is for, and what tells time and energy where a chip's values are swept."""
    costs = "".join(
        f"; what {key} costs in time, energy and area: mho run MODEL --set {key}=VALUE" for key in chip_keys
    )
    return (
        f"--data FILE.npz is needed: accuracy is measured on samples with labels (mho init samples writes some){costs}"
    )


@dataclass(frozen=True)
class Asked:
    """The options that say what is compiled, for which chip, and on which samples it is judged."""

    context: typer.Context
    model: str
    chip: str
    chip_changes: Mapping[str, Any]
    reading: ModelOptions
    strategy: Strategy
    samples: SampleOptions
    count: int | None

    @property
    def kept(self) -> bool:
        """Whether the model is a program that was compiled before."""
        return self.model.lower().endswith(PROGRAM_SUFFIX)

    def check(self, over: Iterable[str] = ()) -> None:
        """Refuse, before the long work, what contradicts itself or names what there is not; `over`: the keys that are swept."""
        if self.samples.data is None:
            raise OptionError(_needs_data([key.removeprefix(CHIP) for key in over if key.startswith(CHIP)]))
        if self.kept:
            self._check_kept()
        needs_weights(self.reading.weights, self.strategy)

    def _check_kept(self) -> None:
        """Refuse what a program brings that was compiled before."""
        for parameter in self.context.command.params:
            name = parameter.name or ""
            source = self.context.get_parameter_source(name)
            if name not in _OF_NO_PROGRAM and source is not None and source.name == "COMMANDLINE":
                raise OptionError(f"{parameter.opts[0]}: {self.model} is compiled already and brings its own")
        for key in self.chip_changes:
            raise OptionError(f"--set {CHIP}{key}: {self.model} is compiled already, for a chip of its own")

    def prepare(self, say: Callable[[str], None]) -> Prepared:
        """Load everything but compile nothing yet."""
        import mho
        from mho.mapping import Mapper
        from mho.program.legality import violations

        if self.kept:
            say(f"reading {self.model}")
            program = mho.Program.load(self.model)
            if program.quantised is None or not program.quantised.executable:
                raise OptionError(
                    f"{self.model} was compiled without weights or without calibrated activations and cannot be executed; "
                    "keep one by mho run --verify --save"
                )
            broken = violations(program)
            if broken:
                first = f"instruction {broken[0].instruction}: {broken[0].text}"
                raise ProgramError(f"{self.model}: not legal, and not executed: {first} ({len(broken)} in all)")
            given = self._judged(program.network)
            return Prepared(
                program.chip, given, self._measured(program.network), lambda changes: program, lambda varied: None
            )
        work = Compiling.of(self.model, self.reading, [self.strategy], self.samples, executes=True)
        say("loading the chip")
        chip = vary_chip(mho.Chip.load(self.chip), self.chip_changes, "--set")
        network = work.network(say)
        given = self._judged(network)
        subject = work.coded(network, chip, given, say)
        strategy = work.strategies[0]

        def build(changes: Mapping[str, Any]) -> Program:
            return mho.compile(subject, vary_chip(chip, changes, "--over"), strategy)

        def fits(varied: Chip) -> None:
            strategy.check(subject, varied)
            strategy.get(Mapper).mapped(subject.network, varied)

        return Prepared(chip, given, self._measured(network), build, fits)

    def _judged(self, network: Network) -> Samples:
        """Return the samples that are classified: all of the file, or some that are spread evenly over it."""
        from mho.number.accuracy import checked_labels

        found = self.samples.executed(network, None)
        if self.count is not None and self.count % network.batch:
            raise OptionError(f"--samples {self.count} is no multiple of the {network.batch} samples of an inference")
        if self.count is not None and self.count > len(found):
            raise OptionError(f"{self.samples.data} holds {len(found)} samples; {self.count} are asked for")
        if self.count is not None:
            found = found.spread(self.count)
        checked_labels(network, found)
        return found

    def _measured(self, network: Network) -> Samples:
        return self.samples.measured(network)


@dataclass(frozen=True)
class Prepared:
    """A chip, the samples that are classified, those that calibrate, and how a program is compiled for changes of the chip.

    `fits` raises MappingError for a chip that nothing can be compiled for.
    """

    chip: Chip
    given: Samples
    measured: Samples
    build: Compile
    fits: Callable[[Chip], None]


class Follow:
    """Shows how far the work is, on standard error where that is a terminal."""

    def __init__(self, bar: Any, task: Any) -> None:
        self._bar, self._task = bar, task

    def say(self, text: str) -> None:
        """Tell what is being done, of which the length is not known."""
        self._bar.update(self._task, description=self._cut(text), total=None)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Tell what is being done, and how much of all is done."""
        self._bar.update(self._task, description=self._cut(what), completed=done, total=total or None)

    def _cut(self, text: str) -> str:
        from rich.markup import escape

        room = max(self._bar.console.width - BESIDE, 20)
        return escape(text if len(text) <= room else f"{text[: room - 1]}…")


@contextmanager
def following(*, quiet: bool, keeping: Path | None) -> Iterator[Follow]:
    """Show progress, with the time left; say on an interruption what is kept, and end with its exit code."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from mho.report.console import terminal

    console = terminal(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(16), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
    # Steps are long: what was fast in the last minute alone would mislead.
    bar.speed_estimate_period = 600.0
    try:
        with bar:
            yield Follow(bar, bar.add_task("", total=None))
    except KeyboardInterrupt:
        raise InterruptedWorkError(_kept(keeping)) from None


def _kept(keeping: Path | None) -> str:
    if keeping is None:
        return "nothing is kept; with --out FOLDER the same command goes on from where it was interrupted"
    if not keeping.is_file():
        return "nothing was finished yet"
    return f"what is finished is kept in {keeping}; the same command goes on from there"


def check_variants(
    prepared: Prepared,
    analog: Analog,
    over: Mapping[str, tuple[Value, ...]],
    model: str,
    *,
    compiled: bool,
    option: str = "--over",
) -> None:
    """Refuse values of an option that a chip or the analog side cannot take, before anything is executed."""
    from mho.explore.sweeps import combinations, split

    for values in combinations(list(over.items())):
        chip, changes = split(values)
        if chip and compiled:
            raise OptionError(f"{option} {CHIP}{next(iter(chip))}: {model} is compiled already, for a chip of its own")
        varied = vary_chip(prepared.chip, chip, option)
        if chip:
            _check_fits(prepared, varied, values, option)
        bits = vary_analog(analog, changes, option).adc.bits
        if "array.adc_bits" in chip and bits != "chip":
            raise OptionError(f"{option} {CHIP}array.adc_bits changes no answer: adc.bits is {bits}; leave it at chip")


def _check_fits(prepared: Prepared, varied: Chip, values: Mapping[str, Value], option: str) -> None:
    try:
        prepared.fits(varied)
    except (MappingError, StrategyError) as error:
        point = ", ".join(f"{key}={value}" for key, value in values.items())
        raise MappingError(f"{option}, {point}: {error}") from None


def finished(out: Path | None) -> Any:
    """Return where what is finished is kept: in memory where no folder is given."""
    from mho.files.store import Store

    return Store(None if out is None else out / KEPT)
