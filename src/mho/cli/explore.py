"""mho explore: the chips and strategies that none beats, among many."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mho.cli.analog import KEPT, following, load_analog
from mho.cli.inputs import ModelOptions, SampleOptions, checked_seed, draws_weights, load_chip, load_network
from mho.cli.outputs import Target
from mho.cli.strategy import StrategyOptions, needs_weights, searches, seeded
from mho.errors import OptionError

if TYPE_CHECKING:
    from mho.explore import Space
    from mho.network.graph import Network
    from mho.network.samples import Samples
    from mho.number import Sampled
    from mho.strategy import Strategy

EPILOG = (
    "mho explore resnet18 --over tiles=48,96,192 --over array.adcs=8,16 --over schedule=overlap,aras --out out/explore\n\n"
    "mho explore resnet50 --chip isaac --over tiles=84:336:42 --over array.adcs=4,8,16 --over array.adc_bits=7,8 "
    "--minimise interval,energy,area --limit area=80 --schedule stream --budget 200 --workers 4 --out out/isaac\n\n"
    "mho explore resnet18 bert-base --over tiles=48:480:48 --over memory.bandwidth=1e10,2e10,4e10 --per each --budget 60\n\n"
    "mho explore resnet20.onnx --data test.npz --samples 200 --over analog.adc.bits=5,6,7 --over array.rows=64,128 "
    "--minimise accuracy_lost,energy"
)
SUMMED = "sum"


@dataclass(frozen=True)
class SpaceOptions:
    """The options that say which designs there are."""

    over: list[str] | None = None
    space: Path | None = None
    when: list[str] | None = None

    def read(self) -> Space:
        """Return the space. OptionError where there is none, or two say a key."""
        from mho.explore import Space
        from mho.explore.ranges import read_over

        given = read_over(self.over or ())
        if self.space is None:
            if not given:
                raise OptionError("--over KEY=VALUES says what is varied, such as --over tiles=48,96; or --space FILE")
            return Space(given, tuple(self.when or ()))
        of_file = Space.load(self.space)
        for key in given:
            if key in of_file.axes:
                raise OptionError(f"--over {key}: {self.space} gives it values too; one of them")
        return Space({**of_file.axes, **given}, (*of_file.when, *(self.when or ())))


@dataclass(frozen=True)
class SearchOptions:
    """The options that say what is best, and how it is looked for."""

    minimise: str = "time,energy,area"
    limit: list[str] | None = None
    per: str | None = None
    budget: int | None = None
    search: str | None = None
    behind: int | None = None
    measure: int = 100
    workers: int = 1
    ray: str | None = None

    def given(self) -> dict[str, Any]:
        """Return what explore takes of them."""
        if self.ray is not None and self.workers > 1:
            raise OptionError("--ray says where the workers are, and --workers how many there are here; one of them")
        workers: Any = self.workers
        if self.ray is not None:
            from mho.explore.cluster import Ray

            workers = Ray(self.ray)
        return {
            "minimise": [name.strip() for name in self.minimise.split(",")],
            "limits": self.limit or (),
            "over": self.per or SUMMED,
            "budget": self.budget,
            "search": self.search,
            "behind": self.behind,
            "measure": self.measure,
            "workers": workers,
        }


@dataclass(frozen=True)
class Judged:
    """The options that say on what designs are judged beside time, energy and area."""

    data: Path | None = None
    calibration: Path | None = None
    key: list[str] | None = None
    samples: int | None = None
    analog: Path | None = None
    seeds: int | None = None
    verify: bool = False
    rtl: bool = False
    endurance: float | None = None

    def with_logic(self, files: Callable[..., Any], inputs: Samples | None) -> Callable[..., Any]:
        """Return what makes the files of a report, with --rtl those of the design's logic beside."""
        if not self.rtl:
            return files
        from mho.rtl.designs import WithVerilog

        return WithVerilog(files, inputs)

    def check(self, search: SearchOptions, out: Path | None) -> None:
        """Refuse what changes nothing."""
        for option, given in (("--samples", self.samples), ("--analog", self.analog), ("--seeds", self.seeds)):
            if given is not None and self.data is None:
                raise OptionError(f"{option} is for accuracy, which needs samples with labels: --data FILE")
        if self.calibration is not None and not (self.data or self.verify):
            raise OptionError("--calibration is for --data and --verify; without them nothing is executed")
        if self.rtl and not (self.verify and out):
            raise OptionError(
                "--rtl writes the Verilog of designs that are executed, beside their reports: with --verify and --out"
            )
        if self.verify and not search.measure:
            raise OptionError("--verify executes the designs that are measured in full, and --measure 0 measures none")
        judged = [*search.minimise.split(","), *(limit.partition("=")[0] for limit in search.limit or ())]
        if self.endurance is not None and out is None and "lifetime" not in map(str.strip, judged):
            raise OptionError(
                "--endurance is for objective lifetime, and for the reports that --out keeps; neither is asked for"
            )


def explore(
    models: list[str],
    *,
    chip: str = "aras",
    overrides: list[str] | None = None,
    reading: ModelOptions,
    space: SpaceOptions,
    search: SearchOptions,
    strategy: StrategyOptions,
    judged: Judged,
    uncertainty: bool = False,
    out: Path | None = None,
    target: Target,
) -> None:
    """Search a space of chips and strategies for the designs that none beats.

    Each design is compiled and measured; those of the front again, in full. With
    --out what is finished is kept: interrupted, or with more --budget, the next
    call goes on from there.

    Exit code: 0 done, 2 a mistake in what was asked, 130 interrupted.
    """
    designs, how = space.read(), search.given()
    task = Task(models, chip, overrides, reading, strategy, designs, judged)
    task.check(search, out)
    target.check(out=out)

    import mho
    from mho.explore import Measuring
    from mho.explore.evaluation import SEEDS
    from mho.report.views import files, save

    with following(quiet=target.quiet, keeping=None if out is None else out / KEPT) as follow:
        follow.say(f"loading {', '.join(models)}")
        loaded = load_chip(chip, overrides)
        networks = {name: task.loader(name) for name in models}
        inputs = task.inputs(networks) if judged.verify else None
        making = None if out is None else judged.with_logic(files, inputs)
        measuring = Measuring(inputs, out, making, task.command, uncertainty)
        found = mho.explore(
            networks if len(models) > 1 else networks[models[0]],
            loaded,
            designs,
            strategy=task.strategy,
            seed=reading.seed or 0,
            samples=task.samples(networks),
            analog=load_analog(judged.analog, {}) if judged.data else None,
            seeds=judged.seeds or SEEDS,
            endurance=judged.endurance,
            measuring=measuring,
            store=None if out is None else out / KEPT,
            progress=follow,
            **how,
        )
        if out is not None:
            save(found, out)
    files_written = f"explore.html, explore.json, explore.svg, designs.csv, designs.parquet and {KEPT}"
    written = f"\nwritten to {out}: {files_written}" if out else ""
    target.deliver(found, "points", written)


@dataclass(frozen=True)
class Task:
    """What is searched: models as options read them, on variants of a chip, from a strategy on."""

    models: Sequence[str]
    chip: str
    overrides: Sequence[str] | None
    reading: ModelOptions
    options: StrategyOptions
    space: Space
    judged: Judged

    def __post_init__(self) -> None:
        """Refuse a model given twice, and keys that are varied and set at once."""
        twice = next((name for n, name in enumerate(self.models) if name in self.models[:n]), None)
        if twice is not None:
            raise OptionError(f"model {twice} is given twice")
        if self.judged.data is not None and len(self.models) > 1:
            raise OptionError("--data is for one model; accuracies of several are told by mho accuracy, one by one")
        set_keys = {override.partition("=")[0].strip() for override in self.overrides or ()}
        for axis in self.space.parts:
            if axis.part == "chip" and axis.name in set_keys:
                raise OptionError(f"{axis.key} is varied by --over and set by --set; one of them")
            if axis.part == "strategy" and axis.name in self.options.given:
                raise OptionError(f"{axis.key} is varied by --over and given as an option of its own; one of them")
            if axis.part == "network" and getattr(self.reading, axis.name) is not None:
                raise OptionError(f"{axis.key} is varied by --over and given as an option of its own; one of them")

    def check(self, search: SearchOptions, out: Path | None) -> None:
        """Refuse what changes nothing, and what cannot be executed."""
        self.judged.check(search, out)
        if search.per is not None and len(self.models) == 1:
            raise OptionError(f"--per {search.per} is for several models; {self.models[0]} is one")
        if self.executes and self.reading.weights == "none":
            raise OptionError("--weights none gives shapes alone, which cannot be executed: give seeded or a file")
        walks = search.budget is not None and search.search != "grid"
        weights = any(draws_weights(name, self.reading.weights, values=self.valued) for name in self.models)
        plans = any(searches(each) for each in self._strategies())
        checked_seed(self.reading.seed, drawn=walks or weights or plans or search.search == "random" or self.executes)

    @property
    def strategy(self) -> Strategy:
        """The strategy from which designs start."""
        return seeded(self.options.strategy(), self.reading.seed or 0)

    @property
    def executes(self) -> bool:
        """True where designs are executed, so that weights have values."""
        return self.judged.verify or self.judged.data is not None

    def loader(self, model: str) -> Callable[..., Network | Sampled]:
        """Return what loads a model, with keys of the network changed."""

        def load(**keys: Any) -> Network | Sampled:
            network = load_network(model, replace(self.reading, **keys), values=self.valued)
            if not self.executes:
                return network
            from mho.number import Sampled

            return Sampled(network, calibration=self._files().measured(network))

        return load

    @property
    def valued(self) -> bool:
        """True where weights need values: something is executed, or a strategy of the space goes by them."""
        return self.executes or any(needs_weights(self.reading.weights, each) for each in self._strategies())

    def _strategies(self) -> list[Strategy]:
        """Return the strategy, and those that one axis of the space makes of it."""
        axes = [axis for axis in self.space.parts if axis.part == "strategy"]
        return [self.strategy, *(self.strategy.with_({axis.name: value}) for axis in axes for value in axis.values)]

    def _files(self) -> SampleOptions:
        return SampleOptions(self.judged.data, self.judged.calibration, self.judged.key, self.reading.seed or 0)

    def samples(self, networks: Mapping[str, Callable[..., Any]]) -> Samples | None:
        """Return the labelled samples that accuracy is told on."""
        if self.judged.data is None:
            return None
        network = networks[self.models[0]]().net
        samples = self._files().executed(network, None)
        if samples.labels is None:
            raise OptionError(f"--data {self.judged.data}: holds no labels (array y or labels), which accuracy needs")
        count = self.judged.samples
        if count is not None and count > len(samples):
            raise OptionError(f"--samples {count}: {self.judged.data} holds {len(samples)} samples")
        return samples if count is None else samples.spread(count)

    def inputs(self, networks: Mapping[str, Callable[..., Any]]) -> Samples:
        """Return the samples on which programs are executed and compared."""
        if len(self.models) > 1:
            raise OptionError("--verify is for one model; mho run --verify takes them one by one")
        return self._files().executed(networks[self.models[0]]().net, None)

    def command(self, values: Mapping[str, Any]) -> str:
        """Return the commands that reproduce a design, one a model."""
        return " && ".join(shlex.join(self._words(model, values)) for model in self.models)

    def _words(self, model: str, values: Mapping[str, Any]) -> list[str]:
        changes = self.space.changes(values)
        reading = {
            **{name: value for name, value in vars(self.reading).items() if value is not None},
            **changes["network"],
        }
        words = ["mho", "run", model, "--chip", self.chip]
        for override in [*(self.overrides or ()), *(f"{key}={value}" for key, value in changes["chip"].items())]:
            words += ["--set", override]
        for name, value in reading.items():
            for each in value if isinstance(value, list) else [value]:
                words += [f"--{name.replace('_', '-')}", str(each)]
        return [*words, *self.options.words(changes["strategy"])]
